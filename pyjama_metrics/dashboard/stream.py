"""Server-sent events: what `Live` shows, pushed to every open page.

A stream holds one of the server's threads, so their number is capped. A slow client is given the newest
edition when it is ready for more, never a queue of old ones. A client that went away is noticed within
`LOOK_FOR_CLIENT` seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyjama_metrics.dashboard.live import Live

MAX_STREAMS = 64
"""Streams at a time; further clients are refused and may poll."""

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that proxies and browsers keep the connection."""

LOOK_FOR_CLIENT = 1.0
"""Seconds between two looks at whether the client is still there."""

RECONNECT_MS = 1000
"""Milliseconds after which a browser whose stream ended tries again."""


class TooManyStreams(Exception):
    """Every place for a stream is taken."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(limit)

    def __str__(self) -> str:
        return f"All {self.limit} streams are taken; close a page, or ask /api/data every few seconds instead."


class Streams:
    """The open streams of one server, and how many there may be."""

    def __init__(self, live: Live, limit: int = MAX_STREAMS, heartbeat: float = HEARTBEAT) -> None:
        self.live, self.limit, self.heartbeat = live, limit, heartbeat
        self._lock = threading.Lock()
        self._open: set[Stream] = set()

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def open(self, is_gone: Callable[[], bool]) -> Stream:
        """Take a place and return its stream; ``close`` gives the place back.

        ``is_gone`` answers whether the client has closed its connection. Raises TooManyStreams at the limit.
        """
        with self._lock:
            if len(self._open) >= self.limit:
                raise TooManyStreams(self.limit)
            stream = Stream(self, is_gone)
            self._open.add(stream)
            return stream

    def release(self, stream: Stream) -> None:
        """Give a stream's place back; a second time does nothing."""
        with self._lock:
            self._open.discard(stream)


class Stream:
    """One client's frames, as the body of a WSGI response.

    An object and not a generator: a server that loses its client before the first frame closes the body
    without having begun it, and a generator's ``finally`` would then never run.
    """

    def __init__(self, streams: Streams, is_gone: Callable[[], bool]) -> None:
        self._streams = streams
        self._is_gone = is_gone
        self._sent = 0
        self._silent_since = time.monotonic()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Wait for the next frame; ends when the client is gone or the server stops."""
        live = self._streams.live
        if not self._sent:
            self._sent = live.newest.number
            return b"retry: %d\n\n" % RECONNECT_MS + live.newest.snapshot_frame
        while not (live.closed or self._is_gone()):
            edition = live.wait(self._sent, LOOK_FOR_CLIENT)
            if edition is not None:
                self._sent = edition.number
                return self._spoken(edition.update_frame)
            if time.monotonic() - self._silent_since >= self._streams.heartbeat:
                return self._spoken(b": still here\n\n")
        raise StopIteration

    def close(self) -> None:
        """Give the place back."""
        self._streams.release(self)

    def _spoken(self, frame: bytes) -> bytes:
        self._silent_since = time.monotonic()
        return frame
