"""The dashboard's addresses: what each one answers. `docs/http.md` is the description for users."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from pyjama_metrics import session_metrics, views
from pyjama_metrics.dashboard import past_answers, past_views, security, session_answers
from pyjama_metrics.dashboard.addresses import SERVICE
from pyjama_metrics.dashboard.assets import CACHED, Assets
from pyjama_metrics.dashboard.live import GZIP_LEVEL, HubView, Live
from pyjama_metrics.dashboard.past import TooBusy
from pyjama_metrics.dashboard.spans import BadSpan, span_of
from pyjama_metrics.dashboard.stream import Streams, TooManyStreams
from pyjama_metrics.errors import HubError
from pyjama_metrics.storage.json import dumps
from pyjama_metrics.version import __version__

VIEWS: tuple[type, ...] = (
    HubView,
    *(view for view in vars(views).values() if is_dataclass(view) and isinstance(view, type)),
    *past_views.VIEWS,
)
"""The views that the page shows; the template takes the help of its columns from their fields."""

LEAST_GZIPPED = 1024
"""Bytes below which an answer is not worth compressing."""


class AnyText(BaseConverter):
    """The rest of a path, whatever is in it: slashes, dots, line ends, or nothing at all."""

    regex = "(?s:.*)"
    part_isolating = False


def create_app(live: Live, streams: Streams, hosts: frozenset[str]) -> Flask:
    """Make the WSGI application of one hub.

    ``hosts`` are the ``Host`` headers under which it may be asked.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = security.MAX_BODY
    # A path with empty parts is a path that does not exist; a redirect would not have our error shape.
    app.url_map.merge_slashes = False
    app.url_map.converters["path"] = AnyText
    guard(app, hosts)
    one_error_shape(app)
    serve_page(app, live, Assets())
    serve_api(app, live, streams)
    serve_details(app, live)
    serve_past(app, live)
    serve_sessions(app, live)
    return app


def guard(app: Flask, hosts: frozenset[str]) -> None:
    """Check every request before anything else sees it, and give every answer its headers."""

    @app.before_request
    def check() -> Response | None:
        refused = security.refusal(request.method, request.path, request.headers.get, hosts)
        if refused is None or (refused.status == 415 and request.routing_exception is not None):
            # What there is nowhere to send has no right type: 404 or 405 follows.
            return None
        return failure(refused.status, refused.error)

    @app.after_request
    def protect(response: Response) -> Response:
        if "X-Content-Type-Options" not in response.headers:
            response.headers.update(security.HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def one_error_shape(app: Flask) -> None:
    """Answer every error, whoever raises it, as ``{"ok": false, "error": a sentence, "status": number}``."""

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        if isinstance(error.response, Response):
            return error.response
        answer = failure(error.code or 500, sentence_of(error))
        for name, value in error.get_headers(request.environ):
            if name in ("Allow", "Retry-After"):
                answer.headers[name] = value
        return answer

    @app.errorhandler(BadSpan)
    def no_span(error: BadSpan) -> Response:
        return failure(400, str(error))

    @app.errorhandler(TooBusy)
    def busy(error: TooBusy) -> Response:
        return failure(503, str(error), {"Retry-After": "2"})

    @app.errorhandler(HubError)
    def hub_in_trouble(error: HubError) -> Response:
        return failure(503, str(error))

    @app.errorhandler(TooManyStreams)
    def full(error: TooManyStreams) -> Response:
        return failure(503, str(error), {"Retry-After": "5"})


def sentence_of(error: HTTPException) -> str:
    """What, where, and what to do, for an error that the web framework found."""
    asked = shortened(request.path)
    match error:
        case NotFound():
            return f"There is nothing at {asked!r}; the page is at /, and /api/data has the figures."
        case MethodNotAllowed():
            allowed = ", ".join(sorted(error.valid_methods or ()))
            return f"{request.method[:20]!r} is no way to ask for {asked!r}; use one of {allowed}."
        case BadRequest():
            return f"What came with the request to {asked!r} cannot be read; send JSON, {{}} at least."
        case RequestEntityTooLarge():
            return f"The body sent to {asked!r} is too large; send {security.MAX_BODY:,} bytes at most."
        case _:
            return f"{asked!r} could not be answered: {error.name}; what failed is in the terminal that runs the dashboard."


def shortened(text: str) -> str:
    """Enough of a text of somebody else's to know it again in a sentence."""
    return text if len(text) <= 100 else f"{text[:100]}…"


def serve_page(app: Flask, live: Live, assets: Assets) -> None:
    """``/``, its static files, and the favicon that browsers ask for by name."""
    helps = {view.__name__: views.help_texts(view) for view in VIEWS}
    app.jinja_env.globals.update(asset=assets.url, module_urls=assets.module_urls("js/main.js"))

    template = app.jinja_env.get_template("index.html")
    html = template.render(folder=live.folder, version=__version__, help=helps).encode()
    gzipped = gzip.compress(html, GZIP_LEVEL, mtime=0)

    @app.get("/")
    def page() -> Response:
        response = encoded(html, lambda: gzipped)
        response.headers["Content-Type"] = "text/html; charset=utf-8"
        return response

    @app.get("/static/<version>/<path:name>")
    def static(version: str, name: str) -> Response:
        found = assets.find(version, name)
        if found is None:
            return failure(404, "There is no such file of this version of the page; reload the page.")
        response = encoded(found.body, lambda: found.gzipped)
        response.headers["Content-Type"] = found.media_type
        response.headers["Cache-Control"] = CACHED
        if found.is_part:
            response.headers.update(security.PART_HEADERS)
        return response

    @app.get("/favicon.ico")
    def favicon() -> Response:
        response = static(assets.version, "favicon.svg")
        response.headers["Cache-Control"] = "no-cache"
        return response


def serve_api(app: Flask, live: Live, streams: Streams) -> None:
    """Everything that answers for the hub as a whole."""
    began = time.monotonic()

    @app.get("/api/data")
    def data() -> Response:
        live.refresh()
        edition = live.newest
        return unless_known(edition.version, lambda: encoded(edition.body, lambda: edition.gzipped))

    @app.get("/api/stream")
    def stream() -> Response:
        # A browser that connects again asks for the same address; what it has by now is in the header.
        after = request.headers.get("Last-Event-ID") or request.args.get("after")
        # Whoever asks for the head alone gets no stream, and takes no place from those who want one.
        body = None if request.method == "HEAD" else streams.open(request.environ, after)
        response = Response(body, mimetype="text/event-stream")
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


def serve_details(app: Flask, live: Live) -> None:
    """Everything that answers for one agent, one run, one span of time."""

    @app.get("/api/agents")
    @app.get("/api/agents/<path:id>")
    def agent(id: str | None = None) -> Response:
        return one("agent", live.agent, id)

    @app.get("/api/runs")
    @app.get("/api/runs/<path:id>")
    def run(id: str | None = None) -> Response:
        return one("run", live.run, id)

    @app.get("/api/activity")
    def activity() -> Response:
        live.refresh()
        return detail(live.activity(*span_of(request.args.get, live.now_ms())))

    def one(what: str, find: Callable[[str], Any], name: str | None) -> Response:
        name = request.args.get("id") if name is None else name
        if name is None:
            return failure(400, f"Say which {what}: {request.path}?id=…")
        live.refresh()
        view = find(name)
        if view is None:
            return failure(
                404, f"There is no {what} {shortened(name)!r} in {live.folder}; /api/data names the agents that there are."
            )
        return detail(view)


def serve_past(app: Flask, live: Live) -> None:
    """Everything that answers from the history."""
    folder = live.past.folder

    def told(question: past_answers.Question, missing: str = "") -> Response:
        """The answer: the same bytes for whoever asks, until the history changes; 404 where there is no such thing."""
        answer = live.past.answer((request.path, question.key), lambda overrides: written(question.ask(overrides)))
        return failure(404, missing) if answer is None else known(*answer)

    @app.get("/metrics/history")
    def steps() -> Response:
        return told(past_answers.steps(request.args.get, live.now_ms(), folder))

    @app.get("/metrics/history/breakdown")
    def breakdown() -> Response:
        return told(past_answers.breakdown(request.args.get, live.now_ms(), folder))

    @app.get("/metrics/history/export")
    def export() -> Response:
        return told(past_answers.export(request.args.get, live.now_ms(), folder))

    @app.get("/metrics/history/runs")
    def past_runs() -> Response:
        return told(past_answers.runs(request.args.get, live.now_ms(), folder))

    @app.get("/metrics/history/day/<day>")
    def day(day: str) -> Response:
        return told(past_answers.day(day, request.args.get, folder))

    @app.get("/metrics/history/run")
    @app.get("/metrics/history/run/<path:id>")
    def past_run(id: str | None = None) -> Response:
        name = request.args.get("id") if id is None else id
        if name is None:
            return failure(400, f"Say which run: {request.path}?id=…")
        sentence = (
            f"There is no run {shortened(name)!r} in the history of {folder}; /metrics/history/runs names those that there are."
        )
        return told(past_answers.run(name, request.args.get, folder), sentence)


def serve_sessions(app: Flask, live: Live) -> None:
    """Everything that answers for sessions; the addresses of the past are below the same name, and win."""

    @app.get("/metrics")
    @app.get("/metrics/<path:id>")
    def sessions(id: str | None = None) -> Response:
        name = request.args.get("id") if id is None else id
        live.refresh()
        answers = live.sessions()
        if name is None:
            return told(answers.everything())
        found = answers.one(name)
        if found is None:
            return failure(
                404,
                f"There is no session and no agent {shortened(name)!r} in {live.folder}; /metrics names those that there are.",
            )
        return told(found)

    def told(found: session_metrics.SessionMetrics | dict[str, session_metrics.SessionMetrics]) -> Response:
        document = session_answers.document(found)
        return known(dumps(document), tag_of(dumps(session_answers.without_now(document))))


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


def encoded(body: bytes, gzipped: Callable[[], bytes | None]) -> Response:
    """An answer with one of two bodies, by what the client accepts; ``gzipped`` is None where there is no second one."""
    compressed = gzipped() if request.accept_encodings["gzip"] > 0 else None
    response = answer(body if compressed is None else compressed)
    response.headers["Vary"] = "Accept-Encoding"
    if compressed is not None:
        response.headers["Content-Encoding"] = "gzip"
    return response


def unless_known(tag: str, make: Callable[[], Response]) -> Response:
    """What ``make`` makes, or 304 for a client that has it under the same ``tag``; then nothing is made."""
    known = request.if_none_match.contains_weak(tag)
    response = Response(status=304) if known else make()
    # Weak: the same figures, compressed or not, and at whichever moment.
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Vary"] = "Accept-Encoding"
    return response


def detail(view: Any) -> Response:
    """A view as JSON. Its tag leaves out ``now``, so that it changes when a figure does."""
    document = views.as_json(view)
    return known(dumps(document), tag_of(dumps(document | {"now": None})))


def written(view: Any) -> tuple[bytes, str] | None:
    """A view that tells of no moment of its own as JSON, and its tag; None for None."""
    if view is None:
        return None
    body = dumps(views.as_json(view))
    return body, tag_of(body)


def tag_of(body: bytes) -> str:
    """A name for a document, which another document does not have."""
    return hashlib.sha256(body).hexdigest()[:16]


def known(body: bytes, tag: str) -> Response:
    """A JSON document, unless the client has it under the same tag."""

    def gzipped() -> bytes | None:
        return gzip.compress(body, GZIP_LEVEL, mtime=0) if len(body) >= LEAST_GZIPPED else None

    return unless_known(tag, lambda: encoded(body, gzipped))


def failure(status: int, error: str, headers: dict[str, str] | None = None) -> Response:
    """The one shape of an error."""
    response = answer(dumps({"ok": False, "error": error, "status": status}), status)
    response.headers.update(headers or {})
    return response
