"""A dashboard server of the test's own, on a free port, and the client's side of HTTP and of server-sent events."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyjama_metrics.dashboard.server import DashboardServer, listen
from pyjama_metrics.hub import Hub
from tests.waiting import run_python, wait_until

AGENT = """
    import sys
    from pyjama_metrics.recorder import record_agent_start, record_agent_activity, record_agent_complete
    from pyjama_metrics.recorder import record_agent_waiting, record_error, record_tool_execution
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
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        print(line, file=self.child.stdin, flush=True)
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
def serving(home: Path, max_streams: int = 8, heartbeat: float = 15.0, port: int = 0) -> Iterator[DashboardServer]:
    """Serve the hub in ``home`` while the block lasts."""
    listener = listen("127.0.0.1", port)
    assert listener is not None
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
    server: DashboardServer,
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


def post_json(server: DashboardServer, path: str, body: str = "{}", **headers: str | None) -> Answer:
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

    def __init__(self, server: DashboardServer, **headers: str) -> None:
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        lines = [f"GET /api/stream HTTP/1.1\r\nHost: {host}:{port}"] + [f"{k}: {v}" for k, v in headers.items()]
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

    def close(self) -> None:
        """Go away without a word."""
        self.file.close()
        self.socket.close()


@contextmanager
def streaming(server: DashboardServer, **headers: str) -> Iterator[StreamClient]:
    """Hold a stream open while the block lasts."""
    with closing(StreamClient(server, **headers)) as client:
        yield client


def shown(server: DashboardServer, agent: str) -> str | None:
    """The status that the server shows for an agent."""
    view = ask(server, "/api/data").json["agents"].get(agent)
    return None if view is None else str(view["status"])


def wait_for_status(server: DashboardServer, agent: str, status: str, timeout: float = 5.0) -> None:
    """Wait until the server shows an agent in a status."""
    wait_until(lambda: shown(server, agent) == status, timeout, f"{agent} to be {status}")
