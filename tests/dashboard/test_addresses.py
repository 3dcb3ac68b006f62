"""What each address answers."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from urllib.parse import quote

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


def test_the_page_is_compressed_for_who_accepts_it(server: DashboardServer) -> None:
    """It is a page all the same."""
    plain, small = ask(server, "/"), ask(server, "/", Accept_Encoding="gzip")
    assert gzip.decompress(small.body) == plain.body
    assert plain.headers["Content-Type"] == small.headers["Content-Type"] == "text/html; charset=utf-8"


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


def test_data_is_compressed_for_who_accepts_it(server: DashboardServer) -> None:
    """Once per version; it is the same document, under the same tag."""
    record_agent_start("reader")
    flush()
    plain, small = ask(server, "/api/data"), ask(server, "/api/data", Accept_Encoding="gzip, br")
    assert (plain.headers["Content-Encoding"], small.headers["Content-Encoding"]) == (None, "gzip")
    assert gzip.decompress(small.body) == plain.body
    assert small.headers["ETag"] == plain.headers["ETag"]
    assert (plain.headers["Vary"], small.headers["Vary"]) == ("Accept-Encoding", "Accept-Encoding")
    assert small.body == server.live.newest.gzipped


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "br", "", ";;q=,", "gzip" * 1000])
def test_who_does_not_accept_compressed_data_gets_it_plain(server: DashboardServer, accepted: str) -> None:
    """Whatever a client says there."""
    assert "agents" in ask(server, "/api/data", Accept_Encoding=accepted).json


@pytest.mark.parametrize("tag", ["", "*", "W/", '"', "x" * 5000, '"a", W/"b"'])
def test_a_strange_tag_is_no_error(server: DashboardServer, tag: str) -> None:
    """A client that has something else gets the data."""
    assert ask(server, "/api/data", If_None_Match=tag).status == (304 if tag == "*" else 200)


STRANGE_NAMES = [
    "a/b",
    "/",
    "//a//",
    "..",
    "../../etc/passwd",
    "a?b=c&d#e",
    "a b+c%20d",
    "a\nb\r\nc",
    "\x00\x1b[2J",
    "<script>alert(1)</script>",
    "\u202eevil",
    "__proto__",
    "\U0001f600" * 100,
    "x" * 10_000,
]


@pytest.mark.parametrize("name", STRANGE_NAMES, ids=lambda name: ascii(name)[:20])
def test_an_agent_of_any_name_is_found(server: DashboardServer, name: str) -> None:
    """By both addresses, under the name that the data has for it."""
    record_agent_start(name)
    record_tool_execution("grep", name, duration_ms=5)
    flush()
    (known,) = ask(server, "/api/data").json["agents"]
    for address in (f"/api/agents/{quote(known, safe='')}", f"/api/agents?id={quote(known, safe='')}"):
        answer = ask(server, address)
        assert (answer.status, answer.json["agent-id"], answer.json["agent"]["count"]) == (200, known, 1)


def test_a_run_is_found_with_its_executions(server: DashboardServer) -> None:
    """By the id that its agent has for it."""
    record_agent_start("reader")
    record_tool_execution("grep", "reader", duration_ms=5)
    flush()
    (run,) = ask(server, "/api/agents/reader").json["runs"]
    for address in (f"/api/runs/{quote(run['id'], safe='')}", f"/api/runs?id={quote(run['id'], safe='')}"):
        told = ask(server, address).json
        assert (told["run"]["agent-id"], told["run"]["count"]) == ("reader", 1)
        assert [execution["tool"] for execution in told["executions"]] == ["grep"]


@pytest.mark.parametrize("what", ["agents", "runs"])
@pytest.mark.parametrize(
    "name", ["", "nobody", "%ff%fe", *(quote(name, safe="") for name in STRANGE_NAMES)], ids=lambda name: name[:20]
)
def test_a_name_that_nobody_has_is_a_sentence(server: DashboardServer, what: str, name: str) -> None:
    """404 in the one shape, and not longer than a sentence."""
    for address in (f"/api/{what}/{name}", f"/api/{what}?id={name}"):
        answer = ask(server, address)
        assert answer.refusal == (404 if len(name) < 30_000 else 431)
        assert len(answer.body) < 1000


@pytest.mark.parametrize("what", ["agents", "runs"])
def test_no_name_at_all_is_told_how_to_give_one(server: DashboardServer, what: str) -> None:
    """There is no list of agents there; it is in the data."""
    answer = ask(server, f"/api/{what}")
    assert answer.refusal == 400
    assert f"/api/{what}?id=" in answer.json["error"]


@pytest.mark.parametrize("address", ["/api/agents/reader", "/api/agents?id=reader", "/api/activity?from=0&to=60000"])
def test_details_that_did_not_change_are_not_sent_again(server: DashboardServer, address: str) -> None:
    """The passing of time changes nothing; an event does."""
    record_agent_start("reader")
    flush()
    tag = ask(server, address).headers["ETag"]
    again = ask(server, address, If_None_Match=tag)
    assert (again.status, again.body) == (304, b"")
    if "activity" not in address:
        record_tool_execution("grep", "reader", duration_ms=5)
        flush()
        assert ask(server, address, If_None_Match=tag).status == 200


def test_details_are_compressed_for_who_accepts_it(server: DashboardServer) -> None:
    """Histograms and executions are long and even."""
    record_tool_execution("grep", "reader", duration_ms=5)
    flush()
    small = ask(server, "/api/agents/reader", Accept_Encoding="gzip")
    assert small.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(small.body))["agent-id"] == "reader"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "range=",
        "range=2h",
        "range=15M",
        "range=15m&from=0&to=1",
        "from=0",
        "to=1",
        "from=1&to=1",
        "from=2&to=1",
        "from=-1&to=1",
        "from=0&to=1e3",
        "from=0&to=1.5",
        "from=+0&to=1_0",
        "from=0&to=%D9%A2",
        "from=0&to=NaN",
        "from=0&to=99999999999999999999",
        f"from=0&to={'9' * 5000}",
        f"from=0&to={366 * 86_400_000 + 1}",
        "range=%00",
    ],
    ids=lambda query: query[:25],
)
def test_a_span_that_is_none_is_a_sentence(server: DashboardServer, query: str) -> None:
    """400, and what is wrong with it."""
    answer = ask(server, f"/api/activity?{query}")
    assert answer.refusal == 400
    assert 20 < len(answer.json["error"]) < 200


@pytest.mark.parametrize(
    "query", ["range=15m", "range=1h", "range=24h", "range=7d", "range=30d", f"from=0&to={366 * 86_400_000}", "from=0&to=1"]
)
def test_a_span_is_answered_in_slices(server: DashboardServer, query: str) -> None:
    """At most some thousand, each figure for each of them."""
    record_tool_execution("grep", "reader", duration_ms=5)
    flush()
    told = ask(server, f"/api/activity?{query}").json
    assert len(told["times"]) <= 1000
    figures = ("success", "error", "interrupted", "tokens", "requests", "cost-micros")
    assert {len(told[figure]) for figure in figures} == {len(told["times"])}
    assert told["from"] < told["to"]
    if query == "range=15m":
        assert sum(told["success"]) == 1


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
        if rule.endpoint != "favicon":
            (method,) = methods - {"HEAD", "OPTIONS"}
            assert f"`{method} {rule.rule.replace('<path:', '<')}`" in described
