"""Pages of other sites can neither read the hub nor change it."""

from __future__ import annotations

import json
import re
import select
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics.dashboard import arrivals
from pyjama_metrics.dashboard.assets import SHARED_WORKER, Assets
from pyjama_metrics.dashboard.security import HEADERS, MAX_BODY, own_hosts, refusal
from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.reading import flush
from pyjama_metrics.recorder import record_tool_execution
from tests.dashboard.serving import Answer, ask, post_json
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STYLE = Assets().url("base.css")
PAST = [
    "/metrics/history?from=0",
    "/metrics/history/breakdown?from=0",
    "/metrics/history/export?from=2026-11-01",
    "/metrics/history/runs?from=0",
    "/metrics/history/run?id=a",
]
DETAILS = ["/api/agents?id=a", "/api/agents/a", "/api/runs?id=a", "/api/runs/a", "/api/activity?range=1h"]
DETAILS += [*PAST, "/metrics/history/run/a", "/metrics/history/day/2026-11-20"]
READABLE = ["/", "/api/data", "/api/stream", "/health", STYLE, *DETAILS]


@pytest.mark.parametrize("path", READABLE)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "", None])
def test_a_foreign_host_is_refused(server: DashboardServer, path: str, host: str | None) -> None:
    """DNS rebinding: a name that is not ours reads nothing, wherever it leads."""
    asked = host.format(port=server.url.rpartition(":")[2]) if host is not None else None
    assert ask(server, path, Host=asked).refusal == 403


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_every_own_name_is_answered(server: DashboardServer, name: str) -> None:
    """localhost, 127.0.0.1 and [::1] are this server, with its port."""
    assert ask(server, "/health", Host=f"{name}:{server.url.rpartition(':')[2]}").status == 200


@pytest.mark.parametrize("path", READABLE)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", ""])
def test_a_foreign_origin_is_refused(server: DashboardServer, path: str, origin: str) -> None:
    """A request of another page's script is not answered, not even for reading."""
    assert ask(server, path, Origin=origin).refusal == 403


def test_our_own_origin_is_answered(server: DashboardServer) -> None:
    """Our page may say where it comes from."""
    assert ask(server, "/api/data", Origin=server.url).status == 200


@pytest.mark.parametrize("path", ["/api/data", "/api/stream", *DETAILS])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_data_is_not_for_other_sites(server: DashboardServer, path: str, site: str) -> None:
    """A browser that says that another site asks gets no data, also where it sends no Origin; a link still works."""
    assert ask(server, path, Sec_Fetch_Site=site).refusal == 403
    assert ask(server, "/", Sec_Fetch_Site=site).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_form_changes_nothing(server: DashboardServer, kind: str | None) -> None:
    """What a form of another page can send is no change: only JSON is."""
    assert post_json(server, "/api/clear", Content_Type=kind).refusal == 415


def test_every_change_needs_json_whatever_its_address_does() -> None:
    """The check does not rely on the address reading its body."""
    headers = {"Host": "localhost:1", "Content-Type": "text/plain"}
    refused = refusal("POST", "/api/later", headers.get, own_hosts("127.0.0.1", 1))
    assert refused is not None
    assert refused.status == 415


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}],
    ids=str,
)
def test_a_foreign_change_is_refused(server: DashboardServer, headers: dict[str, str]) -> None:
    """The right type alone does not make a change ours."""
    before = ask(server, "/api/data").json["hub"]["version"]
    assert post_json(server, "/api/clear", **headers).refusal == 403
    assert ask(server, "/api/data").json["hub"]["version"] == before


@pytest.mark.parametrize("path", ["/", "/api/data", "/health", "/static/base.css", "/nothing", "/static/../app.py", *DETAILS])
def test_every_answer_carries_the_protecting_headers(server: DashboardServer, path: str) -> None:
    """Nothing inline runs, nobody frames us, nothing is sniffed or kept; errors included."""
    headers = ask(server, path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"trusted-types ([^;]*)", policy) == ["pyjama-scripts"]
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] in ("no-store", "no-cache")
    assert "Server" not in headers


def test_a_part_of_the_page_carries_what_concerns_it(server: DashboardServer) -> None:
    """A style sheet is nothing that could be framed or run; the worker is a program and a picture may be a document."""
    assets = Assets()
    part, *others = (set(ask(server, assets.url(name)).headers) for name in ("base.css", SHARED_WORKER, "favicon.svg"))
    assert part & set(HEADERS) == {"X-Content-Type-Options", "Cross-Origin-Resource-Policy"}
    assert all(set(HEADERS) <= headers for headers in others)


TRICKS = [
    "/static/../app.py",
    "/static/%2e%2e/app.py",
    "/static/..%2f..%2fhub.py",
    "/static//etc/passwd",
    f"{STYLE}/../../../app.py",
    f"{STYLE.removesuffix('base.css')}..%2fapp.py",
    "/api/../metrics.json",
    "/api/data/../clear",
    "/api//data",
    "/api/data/",
    "/api/data%00",
    "/api/data%2f..",
    "/%2e%2e/%2e%2e/etc/passwd",
    "http://evil.example/etc/passwd",
]


@pytest.mark.parametrize("path", TRICKS)
def test_path_tricks_lead_nowhere(server: DashboardServer, path: str) -> None:
    """Only the addresses that are described answer, and only what is in the folder of static files is served."""
    assert ask(server, path).refusal == 404


def figures(server: DashboardServer) -> tuple[str, int]:
    """Everything that a change would change: the version, and the count of one recorded execution."""
    data = ask(server, "/api/data").json
    return data["hub"]["version"], data["metrics"]["global"]["count"]


REFUSED: dict[str, tuple[int, Callable[[DashboardServer], Answer]]] = {
    "a foreign name": (403, lambda server: post_json(server, "/api/clear", Host="evil.example")),
    "a page of another site": (403, lambda server: post_json(server, "/api/clear", Origin="http://evil.example")),
    "a page without an origin": (403, lambda server: post_json(server, "/api/clear", Origin="null")),
    "a page of another port": (403, lambda server: post_json(server, "/api/clear", Sec_Fetch_Site="same-site")),
    "a form": (415, lambda server: post_json(server, "/api/clear", "a=1", Content_Type="application/x-www-form-urlencoded")),
    "a form with a file": (415, lambda server: post_json(server, "/api/clear", "--x--", Content_Type="multipart/form-data")),
    "plain text": (415, lambda server: post_json(server, "/api/clear", "{}", Content_Type="text/plain")),
    "two types": (415, lambda server: post_json(server, "/api/clear", "{}", Content_Type="text/plain, application/json")),
    "a link": (405, lambda server: ask(server, "/api/clear")),
    "a form to what is only read": (405, lambda server: post_json(server, "/api/data", Content_Type="text/plain")),
    "a form to nowhere": (404, lambda server: post_json(server, "/api/nothing", Content_Type="text/plain")),
    "another method": (405, lambda server: ask(server, "/api/data", "DELETE", "{}", Content_Type="application/json")),
    "an oversize body": (413, lambda server: post_json(server, "/api/clear", "{" + " " * MAX_BODY + "}")),
    "an oversize header": (431, lambda server: post_json(server, "/api/clear", X="x" * 33_000)),
    "an endless address": (431, lambda server: ask(server, "/api/agents/" + "x" * 33_000)),
    "no JSON": (400, lambda server: post_json(server, "/api/clear", "{")),
}


@pytest.mark.parametrize("attack", REFUSED)
def test_what_is_refused_changes_nothing(server: DashboardServer, attack: str) -> None:
    """The figures and the file are what they were, and the refusal has the one shape."""
    status, send = REFUSED[attack]
    record_tool_execution("grep", "worker", duration_ms=1)
    flush()
    snapshot, before = Path(server.live.folder, "metrics.json").read_bytes(), figures(server)
    assert send(server).refusal == status
    assert (figures(server), before[1]) == (before, 1)
    assert json.loads(Path(server.live.folder, "metrics.json").read_bytes())["global"] == json.loads(snapshot)["global"]


def test_a_refusal_reaches_who_was_still_sending(server: DashboardServer) -> None:
    """What of the request nobody reads any more does not reset the connection, or the client would never see the answer."""
    for _ in range(60):
        assert post_json(server, "/api/clear", X="x" * 33_000).refusal == 431


def test_a_refusal_says_what_was_asked_and_what_to_do(server: DashboardServer) -> None:
    """In our own words, not in those of the web framework."""
    said = {
        "/api/datas": ask(server, "/api/datas"),
        "/api/clear": ask(server, "/api/clear"),
        "/api/data": ask(server, "/api/data", "DELETE"),
        "/" + "x" * 99 + "…": ask(server, "/" + "x" * 500),
    }
    assert {path: answer.refusal for path, answer in said.items()} == dict(zip(said, (404, 405, 405, 404), strict=True))
    told = {path: answer.json["error"] for path, answer in said.items()}
    assert all(repr(path) in sentence for path, sentence in told.items())
    assert "/api/data has the figures" in told["/api/datas"]
    assert "use one of OPTIONS, POST." in told["/api/clear"]
    assert "use one of GET, HEAD, OPTIONS." in told["/api/data"]


SLOW = {
    "a body": "POST /api/clear HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n",
    "a body in chunks": "POST /api/clear HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
    "headers": "GET /api/data HTTP/1.1\r\nHost: {host}\r\nX: ",
    "an address": "GET /api/agents/",
}


@pytest.mark.parametrize("what", SLOW)
def test_a_request_that_trickles_is_cut_off_and_holds_up_nobody(
    server: DashboardServer, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Forty of them take no thread; each is refused once its time is up, though it never paused."""
    monkeypatch.setattr(arrivals, "WHOLE_REQUEST", 2.0)
    before = figures(server)
    host = server.url.removeprefix("http://")
    name, _, port = host.rpartition(":")
    with ExitStack() as open_sockets:
        slow = {open_sockets.enter_context(closing(socket.create_connection((name, int(port))))) for _ in range(40)}
        for connection in slow:
            connection.sendall(SLOW[what].format(host=host).encode())
        began = time.monotonic()
        assert figures(server) == before
        assert time.monotonic() - began < 2.0

        answers: dict[socket.socket, bytes] = {}

        def trickled_to_the_end() -> bool:
            for connection in slow - answers.keys():
                if select.select([connection], [], [], 0)[0]:
                    connection.settimeout(5)
                    answers[connection] = connection.recv(4096)
                    while not answers[connection].endswith(b"}"):
                        answers[connection] += connection.recv(4096) or b"}"
                else:
                    connection.sendall(b"x")
            return len(answers) == len(slow)

        wait_until(trickled_to_the_end, 20.0, "an answer to each")
        for answer in answers.values():
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b" 408 " in head.splitlines()[0]
            assert json.loads(body)["status"] == 408
    assert figures(server) == before


def test_a_slow_request_that_is_there_in_time_is_answered(server: DashboardServer) -> None:
    """A bad line is no attack."""
    host = server.url.removeprefix("http://")
    name, _, port = host.rpartition(":")
    with closing(socket.create_connection((name, int(port)), timeout=5)) as slow:
        for byte in f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n":
            slow.sendall(byte.encode())
        assert slow.recv(4096).startswith(b"HTTP/1.1 200 ")


TRIED = """() => {
  const fails = (attempt) => { try { attempt(); return false; } catch { return true; } };
  const policy = trustedTypes.createPolicy("pyjama-scripts", { createScriptURL: (url) => url });
  return {
    "our policy": fails(() => new SharedWorker(policy.createScriptURL("/nothing.js"), { type: "module" })),
    "another policy": fails(() => trustedTypes.createPolicy("other", {})),
    "a second one of its name": fails(() => trustedTypes.createPolicy("pyjama-scripts", {})),
    "a worker without a policy": fails(() => new SharedWorker("/nothing.js")),
    "a script without a policy": fails(() => { document.createElement("script").src = "/nothing.js"; }),
    "text as HTML": fails(() => { document.body.innerHTML = "<b>x</b>"; }),
    "text as a script": fails(() => { document.createElement("script").text = "1"; }),
  };
}"""
"""What a script of a page of ours may do with text, and what it may not."""


@pytest.mark.browser
def test_the_policy_lets_one_worker_begin_and_no_text_become_code(server: DashboardServer, chromium: Browser) -> None:
    """As a browser understands it."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/health")
    refused = page.evaluate(TRIED)
    context.close()
    assert refused.pop("our policy") is False
    assert refused == dict.fromkeys(refused, True)


def test_only_loopback_is_bound(server: DashboardServer) -> None:
    """Nobody else on the network reaches the page."""
    assert server.url.startswith("http://127.0.0.1:")
