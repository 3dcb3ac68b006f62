"""Many viewers in a process of their own, so that reading does not slow the test that measures.

``python crowd.py PORT COUNT`` opens the streams and says ``ready`` when each has its first event. Then it is told a
version; when every viewer has it, or every stream has ended, it says as one JSON line what they got.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import Counter

PATIENCE = 20.0
"""Seconds that a test gives its viewers for getting what they wait for."""


class Viewer:
    """One stream (HTTP/1.1, so in chunks), and all events that it got."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.sendall(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        self.events: list[bytes] = []
        self.received_ms: list[float] = []
        self.version = b""
        self.is_open, self.is_ended = True, False
        self._in_head, self._buffer, self._text = True, b"", b""

    def read(self) -> None:
        """Take what is there."""
        try:
            received = self.socket.recv(1 << 20)
        except ConnectionError:
            received = b""
        self.is_open = bool(received)
        self._buffer += received
        if self._in_head and b"\r\n\r\n" in self._buffer:
            self._in_head, self._buffer = False, self._buffer.partition(b"\r\n\r\n")[2]
        while not self._in_head and self._take_chunk():
            pass

    def _take_chunk(self) -> bool:
        size, line_end, rest = self._buffer.partition(b"\r\n")
        if not line_end or len(rest) < (length := int(size, 16)) + 2:
            return False
        self._buffer = rest[length + 2 :]
        self.is_ended = self.is_ended or not length
        *events, self._text = (self._text + rest[:length]).split(b"\n\n")
        for event in events:
            fields = dict(line.split(b": ", 1) for line in event.split(b"\n"))
            if b"data" in fields:
                self.version = fields[b"id"]
                self.events.append(fields[b"data"])
                self.received_ms.append(time.time() * 1000)
        return True


def main(port: int, count: int) -> None:
    """Be the crowd."""
    viewers = [Viewer(port) for _ in range(count)]
    with selectors.DefaultSelector() as selector:
        for viewer in viewers:
            selector.register(viewer.socket, selectors.EVENT_READ, viewer)
        selector.register(sys.stdin, selectors.EVENT_READ)
        is_said, wanted, deadline = False, None, float("inf")
        while time.monotonic() < deadline and not all(not one.is_open or one.version == wanted for one in viewers):
            for key, _ in selector.select(0.1):
                if key.data is None:
                    wanted, deadline = sys.stdin.readline().strip().encode(), time.monotonic() + PATIENCE
                    selector.unregister(sys.stdin)
                    continue
                key.data.read()
                if not key.data.is_open:
                    selector.unregister(key.data.socket)
            if not is_said and all(viewer.events for viewer in viewers):
                is_said = True
                print("ready", flush=True)
    report(viewers)
    for viewer in viewers:
        viewer.socket.close()


def report(viewers: list[Viewer]) -> None:
    """Say what the viewers got: each different history once, with the number of those who had it."""
    histories = Counter(tuple(viewer.events) for viewer in viewers)
    told = {
        "histories": [[count, [json.loads(event) for event in events]] for events, count in histories.items()],
        "delays-ms": [
            received - json.loads(event)["set"]["now"]
            for viewer in viewers
            for event, received in zip(viewer.events[1:], viewer.received_ms[1:], strict=True)
            if b'"set":' in event
        ],
        "ended": sum(viewer.is_ended for viewer in viewers),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
