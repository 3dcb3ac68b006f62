"""The server finds a port without taking anybody's, and ends when it is told to."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pyjama_metrics.dashboard import server as server_module
from pyjama_metrics.dashboard.addresses import health
from pyjama_metrics.dashboard.server import DashboardServer, listen, serve
from pyjama_metrics.hub import Hub
from tests.dashboard.serving import ask, streaming
from tests.waiting import run_python

SERVE = """
    import sys
    from pyjama_metrics.dashboard.server import serve
    from pyjama_metrics.hub import Hub
    sys.exit(serve(Hub(), port=int(sys.argv[1]), announce=lambda line: print(line, flush=True)))
"""


@contextmanager
def dashboard_process(port: int = 0, home: Path | None = None) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A dashboard in a process of its own, and the port that it announced."""
    with run_python(SERVE, str(port), env={"PYJAMA_HOME": str(home)} if home else {}) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if found := re.search(r" is at http://127\.0\.0\.1:(\d+)", line):
                yield child, int(found.group(1))
                return
        raise AssertionError(f"no address was announced: {child.communicate()}")


def seconds_to_end(child: subprocess.Popen[str], number: signal.Signals) -> float:
    """Send a signal and measure how long the process needs."""
    began = time.monotonic()
    child.send_signal(number)
    child.wait(10)
    return time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well_within_a_second(home: Path, number: signal.Signals) -> None:
    """Ctrl-C and a service manager are obeyed at once, in silence, with open and with stalled streams."""
    with dashboard_process() as (child, port):
        streams = []
        for _ in range(5):
            stream = socket.create_connection(("127.0.0.1", port))
            stream.sendall(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert stream.recv(16).startswith(b"HTTP/1.1 200")
            streams.append(stream)
        try:
            assert seconds_to_end(child, number) < 1.0
            assert child.returncode == 0
            assert child.communicate() == ("", "")
        finally:
            for stream in streams:
                stream.close()


def test_stop_does_not_wait_for_clients_that_do_not_read(server: DashboardServer) -> None:
    """A thread that waits for its client's buffer is woken too."""
    with streaming(server), streaming(server), streaming(server) as reader:
        frames = reader.frames()
        for number in range(60):
            server.live.report("test", f"{number} " + "x" * 200_000)
        assert any("59 x" in "".join(frame.data["hub"]["troubles"]) for frame in frames)
        began = time.monotonic()
        server.stop()
        assert list(frames) == []
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
    with dashboard_process() as (first, port):
        said: list[str] = []
        assert serve(Hub(str(other_name)), port=port, announce=said.append) == 0
        assert len(said) == 1
        assert f"http://127.0.0.1:{port}" in said[0]
        assert "already" in said[0]
        assert first.poll() is None


def test_the_dashboard_of_another_folder_is_a_stranger(home: Path, tmp_path: Path) -> None:
    """Its page would show other figures, so the next port is taken."""
    with (
        dashboard_process() as (first, port),
        dashboard_process(port, tmp_path / "other hub") as (_, chosen),
    ):
        assert port < chosen <= port + server_module.PORTS_TO_TRY
        assert first.poll() is None


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
    with stranger() as port, dashboard_process(port) as (_, chosen):
        assert port < chosen


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
