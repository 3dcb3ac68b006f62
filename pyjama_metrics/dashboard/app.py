"""The dashboard's addresses: what each one answers. `docs/http.md` is the description for users."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from pyjama_metrics import views
from pyjama_metrics.dashboard import security
from pyjama_metrics.dashboard.addresses import SERVICE
from pyjama_metrics.dashboard.live import HubView, Live
from pyjama_metrics.dashboard.stream import Streams, TooManyStreams
from pyjama_metrics.errors import HubError
from pyjama_metrics.storage.json import dumps
from pyjama_metrics.version import __version__

PANELS = (
    HubView,
    views.AgentView,
    views.LogView,
    views.MetricsView,
    views.Overview,
    views.ProblemsView,
    views.RunsView,
    views.ToolView,
)
"""The views that the page shows; the template takes the help of its columns from their fields."""


def create_app(live: Live, streams: Streams, hosts: frozenset[str]) -> Flask:
    """Make the WSGI application of one hub.

    ``hosts`` are the ``Host`` headers under which it may be asked.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = security.MAX_BODY
    # A path with empty parts is a path that does not exist; a redirect would not have our error shape.
    app.url_map.merge_slashes = False
    guard(app, hosts)
    one_error_shape(app)
    serve_page(app, live)
    serve_api(app, live, streams)
    return app


def guard(app: Flask, hosts: frozenset[str]) -> None:
    """Check every request before anything else sees it, and give every answer its headers."""

    @app.before_request
    def check() -> Response | None:
        refused = security.refusal(request.method, request.path, request.headers.get, hosts)
        return failure(refused.status, refused.error) if refused else None

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(security.HEADERS)
        if request.endpoint == "static":
            # Kept, but asked for each time: after an update the page and its scripts are of one version.
            response.headers["Cache-Control"] = "no-cache"
        elif "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response


def one_error_shape(app: Flask) -> None:
    """Answer every error, whoever raises it, as ``{"ok": false, "error": a sentence, "status": number}``."""

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        if isinstance(error.response, Response):
            return error.response
        answer = failure(error.code or 500, error.description or error.name)
        for name, value in error.get_headers(request.environ):
            if name in ("Allow", "Retry-After"):
                answer.headers[name] = value
        return answer

    @app.errorhandler(HubError)
    def hub_in_trouble(error: HubError) -> Response:
        return failure(503, str(error))

    @app.errorhandler(TooManyStreams)
    def full(error: TooManyStreams) -> Response:
        return failure(503, str(error), {"Retry-After": "5"})


def serve_page(app: Flask, live: Live) -> None:
    """``/`` and the favicon that browsers ask for by name."""
    helps = {panel.__name__: views.help_texts(panel) for panel in PANELS}

    @app.get("/")
    def page() -> str:
        return render_template("index.html", folder=live.folder, version=__version__, help=helps)

    @app.get("/favicon.ico")
    def favicon() -> Response:
        return app.send_static_file("favicon.svg")


def serve_api(app: Flask, live: Live, streams: Streams) -> None:
    """Everything that answers with data."""
    began = time.monotonic()

    @app.get("/api/data")
    def data() -> Response:
        live.refresh()
        edition = live.newest
        response = answer(edition.body)
        response.set_etag(edition.version)
        response.headers["Cache-Control"] = "no-cache"
        return response.make_conditional(request)  # type: ignore[return-value]

    @app.get("/api/stream")
    def stream() -> Response:
        gone: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
        response = Response(streams.open(gone), mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        return response

    @app.post("/api/clear")
    def clear() -> Response:
        try:
            body = request.get_json()
        except RecursionError:
            body = None  # nested deeper than anybody means it
        if not isinstance(body, dict):
            return failure(400, "The body must be a JSON object; send {}.")
        live.clear()
        return answer(dumps({"ok": True}))

    @app.get("/health")
    def health() -> Response:
        return answer(dumps(health_of(live, streams, began)))


def health_of(live: Live, streams: Streams, began: float) -> dict[str, Any]:
    """What ``/health`` says. A second dashboard reads it to learn whose port it met."""
    return {
        "status": "degraded" if live.troubles else "ok",
        "service": SERVICE,
        "version": __version__,
        "uptime": round(time.monotonic() - began, 3),
        "folder": live.folder,
        "pid": os.getpid(),
        "streams": streams.count,
        "troubles": live.troubles,
    }


def answer(body: bytes, status: int = 200) -> Response:
    """A JSON document."""
    return Response(body, status, mimetype="application/json")


def failure(status: int, error: str, headers: dict[str, str] | None = None) -> Response:
    """The one shape of an error."""
    response = answer(dumps({"ok": False, "error": error, "status": status}), status)
    response.headers.update(headers or {})
    return response
