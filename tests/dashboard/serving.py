"""A dashboard server of the test's own, on a free port, and the client's side of HTTP and of server-sent events."""

from __future__ import annotations

import http.client
import json
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pyjama_metrics import patches
from pyjama_metrics.dashboard.server import DashboardServer, listen
from pyjama_metrics.hub import Hub
from tests.waiting import run_command, run_python, wait_until

AGENT = """
    import sys, time
    from pyjama_metrics.recorder import record_agent_start, record_agent_activity, record_agent_complete
    from pyjama_metrics.recorder import record_agent_waiting, record_error, record_tool_execution

    def work(seconds, agents=50):
        "Fifty executions a second, by one agent after the other."
        for number in range(int(seconds * 50)):
            record_tool_execution("grep", f"agent-{number % agents}", duration_ms=3)
            time.sleep(0.02)

    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
"""


class Agent:
    """An agent in a process of its own: ``do`` executes one line in it, and returns when that is done."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child

    def do(self, line: str) -> None:
        """Execute one line of Python, in which the recorder's functions are known."""
        self.begin(line)
        self.finish()

    def begin(self, line: str) -> None:
        """Let it execute one line without waiting for that."""
        assert self.child.stdin is not None
        print(line, file=self.child.stdin, flush=True)

    def finish(self) -> None:
        """Wait until the line that was begun is executed."""
        assert self.child.stdout is not None
        assert self.child.stdout.readline() == "done\n", "the agent's process has failed"

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        self.child.kill()
        self.child.wait()


@contextmanager
def agent_process() -> Iterator[Agent]:
    """Start an `Agent` that records into this test's hub; it is dead when the block ends."""
    with run_python(AGENT) as child:
        yield Agent(child)


@contextmanager
def serving(
    home: Path, max_streams: int = 8, heartbeat: float = 15.0, port: int = 0, send_buffer: int = 0
) -> Iterator[DashboardServer]:
    """Serve the hub in ``home`` while the block lasts.

    With ``send_buffer`` the system keeps no more than about so many bytes for a client that does not read.
    """
    listener = listen("127.0.0.1", port)
    assert listener is not None
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    server = DashboardServer(Hub(str(home)), listener, max_streams)
    server.streams.heartbeat = heartbeat
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"


SERVE = """
    import sys
    from pyjama_metrics.dashboard.server import serve
    from pyjama_metrics.hub import Hub
    sys.exit(serve(Hub(), port=int(sys.argv[1]), announce=lambda line: print(line, flush=True)))
"""


class Served(Protocol):
    """A dashboard, whichever process it is in."""

    url: str


@dataclass(frozen=True)
class DashboardProcess:
    """A dashboard in a process of its own."""

    child: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def dashboard_process(port: int = 0, home: Path | None = None) -> Iterator[DashboardProcess]:
    """A dashboard in a process of its own, which has announced its port."""
    with run_python(SERVE, str(port), env={"PYJAMA_HOME": str(home)} if home else {}) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if found := re.search(r" is at http://127\.0\.0\.1:(\d+)", line):
                yield DashboardProcess(child, int(found.group(1)))
                return
        raise AssertionError(f"no address was announced: {child.communicate()}")


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a JSON document."""
        return json.loads(self.body)

    @property
    def refusal(self) -> int:
        """The status of an answer that has the one error shape; fails for any other."""
        told = self.json
        assert (told["ok"], told["status"]) == (False, self.status)
        assert told["error"]
        assert set(told) == {"ok", "error", "status"}
        return self.status


def ask(
    server: Served,
    path: str,
    method: str = "GET",
    body: str | bytes | None = None,
    **headers: str | None,
) -> Answer:
    """Send one request. ``Host`` is right unless given; ``Content_Type`` stands for ``Content-Type``; None leaves out."""
    host = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    with closing(connection):
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        content = body.encode() if isinstance(body, str) else body
        sent: dict[str, str | None] = {"Host": host} | headers
        if content is not None:
            sent.setdefault("Content_Length", str(len(content)))
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(content)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


def post_json(server: Served, path: str, body: str = "{}", **headers: str | None) -> Answer:
    """Send a change as our own page does."""
    return ask(server, path, "POST", body, **({"Content_Type": "application/json"} | headers))


@dataclass(frozen=True)
class Frame:
    """One event of a stream."""

    event: str
    id: str
    data: Any


class StreamClient:
    """An open stream, read frame by frame."""

    def __init__(
        self, server: Served, path: str = "/api/stream", version: str = "1.1", receive_buffer: int = 0, **headers: str
    ) -> None:
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        self.socket = socket.socket()
        self.socket.settimeout(10)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((host, int(port)))
        lines = [f"GET {path} HTTP/{version}\r\nHost: {host}:{port}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def raw_lines(self) -> Iterator[str]:
        """The lines of the body, without those of the chunked encoding, until the server ends it."""
        rest = b""
        while size := int(self.file.readline().strip() or b"0", 16):
            *lines, rest = (rest + self.file.read(size)).split(b"\n")
            self.file.readline()
            yield from (line.decode() for line in lines)

    def frames(self) -> Iterator[Frame]:
        """The events, until the server ends the stream."""
        fields: dict[str, str] = {}
        for line in self.raw_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "data" in fields:
                yield Frame(fields["event"], fields["id"], json.loads(fields["data"]))
            if not line:
                fields = {}

    def documents(self) -> Iterator[Any]:
        """What a page has after each event; fails where an update does not follow on what it has."""
        document: Any = None
        for frame in self.frames():
            document = followed(document, frame.data)
            yield document

    def close(self) -> None:
        """Go away as browsers do."""
        self.file.close()
        self.socket.close()

    def reset(self) -> None:
        """Go away as crashed ones do."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def followed(document: Any, data: Any) -> Any:
    """The document after one event's data: the snapshot, or the update applied; fails for one that does not follow."""
    if "from" not in data:
        return data
    assert document is not None, "an update before any snapshot"
    assert document["hub"]["version"] == data["from"], "an update was left out"
    after = patches.apply(document, data)
    assert after["hub"]["version"] == data["to"]
    return after


@contextmanager
def streaming(server: Served, **options: Any) -> Iterator[StreamClient]:
    """Hold a stream open while the block lasts; for ``options`` see `StreamClient`."""
    with closing(StreamClient(server, **options)) as client:
        yield client


class Crowd:
    """Many viewers in a process of their own; see `crowd.py`."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child

    def until(self, version: str) -> Any:
        """What they got until each had ``version``, or the end of its stream."""
        out, errors = self.child.communicate(version + "\n", timeout=30)
        assert not errors
        return json.loads(out)


@contextmanager
def crowd(server: Served, count: int) -> Iterator[Crowd]:
    """``count`` viewers, each of whom has its first event."""
    port = server.url.rpartition(":")[2]
    with run_command(sys.executable, str(Path(__file__).with_name("crowd.py")), port, str(count)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield Crowd(child)


def shown(server: Served, agent: str) -> str | None:
    """The status that the server shows for an agent."""
    view = ask(server, "/api/data").json["agents"].get(agent)
    return None if view is None else str(view["status"])


def wait_for_status(server: Served, agent: str, status: str, timeout: float = 5.0) -> None:
    """Wait until the server shows an agent in a status."""
    wait_until(lambda: shown(server, agent) == status, timeout, f"{agent} to be {status}")
