"""The server finds a port without taking anybody's, and ends when it is told to."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pyjama_metrics.dashboard import connections
from pyjama_metrics.dashboard import server as server_module
from pyjama_metrics.dashboard.addresses import health
from pyjama_metrics.dashboard.server import DashboardServer, listen, serve
from pyjama_metrics.hub import Hub
from tests.dashboard.serving import ask, dashboard_process, serving, streaming
from tests.waiting import run_python, wait_until


def seconds_to_end(child: subprocess.Popen[str], number: signal.Signals) -> float:
    """Send a signal and measure how long the process needs."""
    began = time.monotonic()
    child.send_signal(number)
    child.wait(10)
    return time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well_within_a_second(home: Path, number: signal.Signals) -> None:
    """Ctrl-C and a service manager are obeyed at once, in silence, with open and with stalled streams."""
    with dashboard_process() as dashboard, streaming(dashboard) as first, streaming(dashboard):
        next(first.frames())
        assert seconds_to_end(dashboard.child, number) < 1.0
        assert dashboard.child.returncode == 0
        assert dashboard.child.communicate() == ("", "")


INTERRUPTED = """
    import os, random, signal, sys, threading, time
    from pyjama_metrics.dashboard import server as servers
    from pyjama_metrics.hub import Hub
    worst = 0.0
    for _ in range(int(sys.argv[1])):
        server = servers.DashboardServer(Hub(), servers.listen("127.0.0.1", 0))
        turning = threading.Event()
        push = server.streams.push
        server.streams.push = lambda sockets: (push(sockets), turning.set())

        def interrupt():
            # The signal comes while the loop turns, or ends its turn and begins to wait.
            server.live.on_change()
            turning.wait(10)
            for _ in range(random.randrange(200)):
                pass
            os.kill(os.getpid(), random.choice((signal.SIGINT, signal.SIGTERM)))
            interrupt.at = time.monotonic()

        with servers.stopped_by_signals(server.stop):
            thread = threading.Thread(target=interrupt)
            thread.start()
            server.run()
            thread.join()
            worst = max(worst, time.monotonic() - interrupt.at)
    print(worst)
"""


def test_a_signal_at_any_moment_ends_it(home: Path) -> None:
    """Also one that comes when the loop has looked whether it should end, and not begun to wait."""
    with run_python(INTERRUPTED, "60") as child:
        out, errors = child.communicate(timeout=60)
        assert errors == ""
        assert float(out) < 1.0


def test_an_idle_loop_waits_without_end(server: DashboardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked for by the clock while nobody is connected; with a stream, the heartbeat is all."""
    waits: list[float | None] = []
    turn = server_module.wasyncore.loop

    def watched(timeout: float | None, **options: Any) -> None:
        waits.append(timeout)
        turn(timeout, **options)

    monkeypatch.setattr(server_module.wasyncore, "loop", watched)
    with streaming(server) as client:
        next(client.frames())
        wait_until(lambda: waits and waits[-1] is not None and 14 < waits[-1] < 15.1, 2.0, "nothing but the heartbeat")
    wait_until(lambda: waits[-1] is None, 2.0, "nothing at all")


def test_stop_does_not_wait_for_clients_that_do_not_read(home: Path) -> None:
    """Neither for streams nor for answers that nobody takes."""
    with serving(home, send_buffer=4096) as server:
        server.live.report("test", "x" * 4_000_000)
        with streaming(server, receive_buffer=4096), streaming(server, path="/api/data", receive_buffer=4096):
            wait_until(lambda: server.streams.count == 1, 2.0, "the stream to be open")
            began = time.monotonic()
            server.stop()
            wait_until(lambda: server.streams.count == 0, 1.0, "the stream to be ended")
    assert time.monotonic() - began < 1.0


def test_open_streams_are_ended_and_not_cut(server: DashboardServer) -> None:
    """A client can tell the end of the server from a broken line."""
    with streaming(server) as client:
        next(client.frames())
        server.stop()
        assert client.file.read() == b"0\r\n\r\n"


def test_our_own_dashboard_keeps_its_port(home: Path, tmp_path: Path) -> None:
    """A second start for the same folder, by any of its names, says where the first one is and ends well."""
    other_name = tmp_path / "link"
    other_name.symlink_to(home)
    with dashboard_process() as first:
        said: list[str] = []
        assert serve(Hub(str(other_name)), port=first.port, announce=said.append) == 0
        assert len(said) == 1
        assert first.url in said[0]
        assert "already" in said[0]
        assert first.child.poll() is None


def test_the_dashboard_of_another_folder_is_a_stranger(home: Path, tmp_path: Path) -> None:
    """Its page would show other figures, so the next port is taken."""
    with (
        dashboard_process() as first,
        dashboard_process(first.port, tmp_path / "other hub") as second,
    ):
        assert first.port < second.port <= first.port + server_module.PORTS_TO_TRY
        assert first.child.poll() is None


class Rude(BaseHTTPRequestHandler):
    """Says that it is something else."""

    body = b'["not", "ours"]'

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def stranger(body: bytes = Rude.body) -> Iterator[int]:
    """A server of somebody else that gives one answer to everything; its port."""
    handler = type("Handler", (Rude,), {"body": body})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_strangers_port_is_left_to_it(home: Path) -> None:
    """The next free port is taken and announced; the stranger goes on undisturbed."""
    with stranger() as port, dashboard_process(port) as ours:
        assert port < ours.port


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[1]", b'{"service": "other"}', b"[" * 60_000])
def test_whatever_a_stranger_answers_it_is_none_of_ours(body: bytes) -> None:
    """No answer makes the one who asks fail."""
    with stranger(body) as port:
        assert health("127.0.0.1", port, 2.0) is None


def test_a_dashboard_tells_whose_it_is(server: DashboardServer, home: Path) -> None:
    """By any of this machine's own names, to whoever asks for it."""
    port = int(server.url.rpartition(":")[2])
    for host in ("127.0.0.1", "localhost"):
        told = health(host, port, 2.0)
        assert told is not None
        assert told["folder"] == str(home.resolve())


def test_looking_for_a_dashboard_loads_no_web_framework() -> None:
    """The doctor, and the help of the command line, do without."""
    code = """
        import sys
        from pyjama_metrics.dashboard import addresses
        addresses.health("localhost", 1, 0.1)
        print(*{name.partition(".")[0] for name in sys.modules} & {"flask", "waitress", "werkzeug", "watchdog", "orjson"})
    """
    with run_python(code) as child:
        assert child.communicate(timeout=20) == ("\n", "")


def test_a_stranger_that_says_nothing_is_not_waited_for_long(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port whose owner does not answer is a stranger's."""
    monkeypatch.setattr(server_module, "ASK_NEIGHBOUR", 0.1)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        assert not server_module.is_our_dashboard("127.0.0.1", silent.getsockname()[1], str(home))


def test_no_free_port_is_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is raised at the user."""
    monkeypatch.setattr(server_module, "PORTS_TO_TRY", 0)
    monkeypatch.setattr(server_module, "ASK_NEIGHBOUR", 0.1)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        assert serve(Hub(str(home)), port=taken.getsockname()[1]) == 1
    assert "--port" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", ""])
def test_only_loopback_is_served(home: Path, host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no access control, so other machines get no address to ask."""
    assert serve(Hub(str(home)), host=host, port=0) == 1
    assert "loopback" in capsys.readouterr().err


def test_a_port_is_ours_from_the_moment_it_is_found() -> None:
    """Between finding a port and serving on it nobody else can take it."""
    first = listen("localhost", 0)
    assert first is not None
    with closing(first):
        assert listen("localhost", first.getsockname()[1]) is None


def test_a_request_is_answered_while_others_are_slow(server: DashboardServer) -> None:
    """A body that comes byte by byte holds a connection and nothing else."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with closing(socket.create_connection((host, int(port)))) as slow:
        slow.sendall(f"POST /api/clear HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 10\r\n\r\n{{".encode())
        assert ask(server, "/health").status == 200


def pipelining(server: DashboardServer, path: str, times: int) -> socket.socket:
    """A connection that has asked for one thing many times and takes no answer yet."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(10)
    client.connect((host, int(port)))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode() * times)
    return client


def behind(server: DashboardServer) -> int:
    """How many connections have not taken all of their answers."""
    return sum(bool(channel.total_outbufs_len) for channel in server._server.active_channels.values())


def test_clients_that_never_read_hold_no_thread_and_are_let_go(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many as there are threads, with more asked for than is kept for one; everybody else is answered meanwhile."""
    with serving(home, send_buffer=4096) as server, ExitStack() as stack:
        for _ in range(2 * server_module.THREADS):
            stack.enter_context(closing(pipelining(server, "/", 100)))
        wait_until(lambda: behind(server) == 2 * server_module.THREADS, 5.0, "each to be behind")
        began = time.monotonic()
        assert ask(server, "/health").status == 200
        assert time.monotonic() - began < 2.0
        kept = [channel.total_outbufs_len for channel in server._server.active_channels.values()]
        assert max(kept) < 2 * len(ask(server, "/").body), "more than one answer is kept for one client"

        monkeypatch.setattr(connections, "STALLED", 0.2)
        ask(server, "/health")
        wait_until(lambda: not behind(server), 5.0, "those that take nothing to be let go")


def test_requests_that_do_not_wait_are_answered_one_after_the_other(home: Path) -> None:
    """However slowly their client reads; after some of them the connection ends, and the last answer says that it does."""
    with serving(home, send_buffer=4096) as server, closing(pipelining(server, "/health", 100)) as client:
        told = b"".join(iter(lambda: client.recv(1000), b""))
    assert told.count(b"HTTP/1.1 200 OK") == told.count(b'"service"') == connections.MAX_PIPELINED
    assert told.count(b"Connection: close") == 1
    with serving(home, send_buffer=4096) as server, closing(pipelining(server, "/", 3)) as client:
        size, told = 3 * len(ask(server, "/").body), b""
        while told.count(b"</html>") < 3:
            told += client.recv(65536)
        assert len(told) > size
        assert b"Connection: close" not in told


def test_a_connection_that_asks_nothing_is_closed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent ones are gone after a moment; one that has asked something is kept for longer."""
    monkeypatch.setattr(connections, "FIRST_BYTE", 0.2)
    with serving(home) as server, ExitStack() as stack:
        host, _, port = server.url.removeprefix("http://").partition(":")
        used = stack.enter_context(closing(http.client.HTTPConnection(host, int(port), timeout=5)))
        used.request("GET", "/health")
        used.getresponse().read()
        silent = [stack.enter_context(socket.create_connection((host, int(port)), timeout=5)) for _ in range(20)]
        assert [connection.recv(1) for connection in silent] == [b""] * 20
        used.request("GET", "/health")
        assert used.getresponse().status == 200


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /health HTTP/1.1\r\nHost: "], ids=["nothing", "a byte", "half a request"])
def test_whoever_comes_last_finds_room(home: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """No more connections are open than there are descriptors; those that were of no use for longest are closed for others."""
    few = server_module.OWN_DESCRIPTORS + 10
    monkeypatch.setattr(server_module.resource, "getrlimit", lambda _: (few, few))
    with serving(home) as server, ExitStack() as stack:
        host, _, port = server.url.removeprefix("http://").partition(":")
        useless = [stack.enter_context(socket.create_connection((host, int(port)), timeout=5)) for _ in range(20)]
        for connection in useless:
            with suppress(ConnectionError):
                connection.sendall(sent)
        began = time.monotonic()
        assert ask(server, "/health").status == 200
        assert time.monotonic() - began < 1.0
        assert len(server._sockets) <= 10
        assert gone(useless[0])


def test_what_arrives_does_not_keep_a_connection(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither blank lines before a request nor a request that stops in its middle; the latter is told why."""
    monkeypatch.setattr(connections, "FIRST_BYTE", 0.3)
    monkeypatch.setattr(connections.arrivals, "WHOLE_REQUEST", 0.6)
    with serving(home) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as blank, socket.create_connection((host, int(port))) as half:
            half.settimeout(5)
            half.sendall(b"GET /health HTTP/1.1\r\nHos")

            def is_closed() -> bool:
                try:
                    blank.sendall(b"\r\n\r\n")
                except ConnectionError:
                    return True
                return gone(blank)

            wait_until(is_closed, 3.0, "the end of a connection of blank lines")
            told = b"".join(iter(lambda: half.recv(4096), b""))
        assert told.startswith(b"HTTP/1.0 408 ")
        assert b"did not arrive within 0.6 s" in told


def gone(connection: socket.socket) -> bool:
    """Whether the server has closed a connection."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.settimeout(5)
