"""What each address answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyjama_metrics.dashboard.app import create_app
from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.reading import flush
from pyjama_metrics.recorder import record_agent_activity, record_agent_start, record_tool_execution
from pyjama_metrics.version import __version__
from tests.dashboard.serving import ask, post_json, wait_for_status

DOCS = Path(__file__).parents[2] / "docs" / "http.md"


def test_the_page_names_its_folder(server: DashboardServer, home: Path) -> None:
    """The page is there before any data is."""
    answer = ask(server, "/")
    assert answer.status == 200
    assert str(home).encode() in answer.body


def test_data_shows_what_was_flushed(server: DashboardServer) -> None:
    """What is in the shared file is in the next answer."""
    record_agent_start("reader")
    record_tool_execution("grep", "reader", duration_ms=20)
    record_tool_execution("grep", "reader", "error", duration_ms=40)
    record_agent_activity("reader", "grep")
    flush()
    data = ask(server, "/api/data").json
    assert data["agents"]["reader"]["status"] == "running"
    assert data["metrics"]["global"]["success-rate"] == 0.5
    assert data["metrics"]["tools"]["grep"]["avg-duration-ms"] == 30
    assert [entry["agent-id"] for entry in data["recent-logs"]][-1] == "reader"
    assert data["overview"]["running"] == 1


def test_unchanged_data_is_not_sent_again(server: DashboardServer) -> None:
    """A client that has this version is told so; a change makes another version."""
    first = ask(server, "/api/data")
    tag = first.headers["ETag"]
    again = ask(server, "/api/data", If_None_Match=tag)
    assert (again.status, again.body) == (304, b"")
    record_agent_start("newcomer")
    flush()
    changed = ask(server, "/api/data", If_None_Match=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


def test_health_says_who_we_are(server: DashboardServer, home: Path) -> None:
    """Another dashboard can tell that this one shows the same folder."""
    health = ask(server, "/health").json
    assert (health["status"], health["service"], health["version"]) == ("ok", "pyjama-metrics", __version__)
    assert (health["folder"], health["pid"]) == (os.path.realpath(home), os.getpid())
    assert health["uptime"] >= 0


def test_clear_starts_the_figures_anew(server: DashboardServer) -> None:
    """After the answer the figures are zero, for this page and for the file."""
    record_agent_start("worker")
    record_tool_execution("grep", "worker", duration_ms=1)
    wait_for_status(server, "worker", "running")
    assert post_json(server, "/api/clear").json == {"ok": True}
    assert ask(server, "/api/data").json["metrics"]["global"]["count"] == 0


@pytest.mark.parametrize("body", ["", "[]", "no json", '"text"', "{", "\x00"])
def test_a_change_that_is_no_json_object_is_refused(server: DashboardServer, body: str) -> None:
    """A broken request changes nothing."""
    assert post_json(server, "/api/clear", body).refusal == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/static/nothing.js", 404),
        ("GET", "/api/clear", 405),
        ("PUT", "/api/data", 405),
        ("DELETE", "/", 405),
    ],
)
def test_errors_have_one_shape(server: DashboardServer, method: str, path: str, status: int) -> None:
    """A program reads every refusal in the same way."""
    assert ask(server, path, method, Content_Type="application/json").refusal == status


def test_a_method_that_is_not_allowed_is_told_which_are(server: DashboardServer) -> None:
    """405 names the others, as HTTP wants it."""
    assert "POST" in ask(server, "/api/clear").headers["Allow"]


def test_a_large_body_is_refused_before_it_is_sent(server: DashboardServer) -> None:
    """Nobody fills our memory: the announced length is enough for the refusal."""
    assert post_json(server, "/api/clear", "", Content_Length="10000000").refusal == 413


def test_a_large_chunked_body_is_refused(server: DashboardServer) -> None:
    """A body that does not say how long it is has the same bound."""
    body = b"10000\r\n" + b"x" * 0x10000 + b"\r\n1\r\nx\r\n0\r\n\r\n"
    answer = post_json(server, "/api/clear", body, Transfer_Encoding="chunked", Content_Length=None)  # type: ignore[arg-type]
    assert answer.refusal == 413


def test_what_is_no_http_is_refused_in_the_same_shape(server: DashboardServer) -> None:
    """Also errors that the server finds before the application is asked."""
    assert ask(server, "/api/data", Content_Length="many").refusal == 400


def test_a_defect_of_ours_has_the_error_shape(
    server: DashboardServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even then no page of HTML and no traceback reaches the client."""
    monkeypatch.setattr(server.live, "clear", lambda: 1 / 0)
    answer = post_json(server, "/api/clear")
    assert answer.refusal == 500
    assert b"division" not in answer.body


def test_every_address_is_described(server: DashboardServer) -> None:
    """docs/http.md names each method and path."""
    described = DOCS.read_text(encoding="utf-8")
    app = create_app(server.live, server.streams, frozenset())
    for rule in app.url_map.iter_rules():
        methods = rule.methods or set()
        if rule.endpoint not in ("static", "favicon"):
            (method,) = methods - {"HEAD", "OPTIONS"}
            assert f"`{method} {rule.rule}`" in described
