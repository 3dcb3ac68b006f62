"""A real dashboard process, and a client of its event stream on a plain socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import PATIENCE, BenchmarkFailed, child, environment


@contextmanager
def dashboard(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a dashboard of the folder ``home``, wait until it answers, lend process and port, and end it."""
    port = free_port()
    command = [sys.executable, "-m", "pyjama_metrics", "dashboard", "--port", str(port)]
    with child(command, environment(home), stdout=subprocess.DEVNULL) as process:
        _wait_until_it_answers(process, port)
        yield process, port


def free_port() -> int:
    """Answer a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchmarkFailed(f"The dashboard ended at once, with exit code {process.returncode}.")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            # Not listening yet.
            time.sleep(0.05)
        else:
            return
    raise BenchmarkFailed(f"The dashboard did not listen on port {port} within {PATIENCE:.0f} s.")


@contextmanager
def stream(port: int) -> Iterator[socket.socket]:
    """Open ``/api/stream`` and lend the socket after the request was sent.

    It speaks HTTP/1.0, so that the body comes without chunk sizes between its bytes.
    """
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = f"GET /api/stream HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n"
        client.sendall(request.encode())
        yield client


def frames(received: bytes) -> tuple[list[Any], bytes]:
    r"""Split what was received into the data of the complete events, and the rest.

    The header of the response has no line that begins with ``data:`` and falls away.

    >>> frames(b'HTTP/1.0 200 OK\r\n\r\nevent: log\ndata: {"a": 1}\n\nevent: x\nda')
    ([{'a': 1}], b'event: x\nda')
    """
    *complete, rest = received.split(b"\n\n")
    lines = [line for event in complete for line in event.split(b"\n") if line.startswith(b"data:")]
    return [json.loads(line[5:]) for line in lines], rest


def is_linux() -> bool:
    """Tell whether ``/proc`` can be asked for the work of a process."""
    return os.path.isdir("/proc/self/task")
