"""Server-sent events: what `Live` publishes, pushed to every open page.

A stream holds a place and a connection, but no thread. A thread answers its request with the head of a response and
hands the connection over; from then on the thread of the server's loop writes to it. Each edition is framed once, and
the same bytes go to everybody who has the edition before. Nothing is queued for a client whose connection takes no more:
it is left behind, and gets what it missed when it is ready again, or the whole view where that is forgotten or longer.
So every client gets every version, or a snapshot.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pyjama_metrics.dashboard.live import Edition, Live

MAX_STREAMS = 256
"""Streams at a time; further clients are refused and may poll."""

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that proxies and browsers keep the connection."""

STALLED = 30.0
"""Seconds in which a connection takes nothing of what waits for it, after which it is closed."""

RECONNECT_MS = 1000
"""Milliseconds after which a browser whose stream ended tries again."""

MAX_UNASKED = 64 * 1024
"""Bytes that a client may send after its request. They are ignored; more of them end the stream."""

HAND_OVER = "pyjama_metrics.hand_over"
"""Where a request's WSGI environment has what keeps its connection for an `Opening`."""

STILL_HERE = b": still here\n\n"
LAST_CHUNK = b"0\r\n\r\n"


class TooManyStreams(Exception):
    """Every place for a stream is taken."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(limit)

    def __str__(self) -> str:
        return f"All {self.limit} streams are taken; close a page, or ask /api/data every few seconds instead."


class Connection(Protocol):
    """What answered a stream's request and now gives its socket away."""

    chunked: bool
    """Whether the body of its response is in chunks (HTTP/1.1)."""

    def detach(self) -> tuple[socket.socket, bytes] | None:
        """The socket and what of the response it has not taken yet; None when the client has left."""


class Streams:
    """The open streams of one server, and how many there may be.

    `open` may be called from any thread, everything else from the thread of the server's loop alone.

    Attributes:
        limit: places for streams.
        heartbeat: seconds of silence after which a comment is sent.
        stalled: seconds after which a client that takes nothing is let go.
        on_arrival: called when a connection waits for `push`, by the thread that answered its request.

    """

    def __init__(self, live: Live, limit: int = MAX_STREAMS) -> None:
        self.limit, self.heartbeat, self.stalled = limit, HEARTBEAT, STALLED
        self.on_arrival: Callable[[], None] = lambda: None
        self._live = live
        self._lock = threading.Lock()
        self._places: set[Opening] = set()
        self._arrivals: deque[tuple[Opening, Connection]] = deque()
        self._streams: dict[Stream, Opening] = {}
        self._pushed = 0
        self._heartbeat_at = 0.0

    @property
    def count(self) -> int:
        """How many places are taken."""
        return len(self._places)

    def open(self, environ: Mapping[str, Any], after: str | None = None) -> Opening:
        """Take a place for the request with this WSGI environment, and return the body of its response.

        ``after`` is the version that the client has; it gets what came later, without a snapshot where that is still
        known. Raises TooManyStreams at the limit.
        """
        opening = Opening(self, environ[HAND_OVER], None if after is None else self._live.number_of(after))
        with self._lock:
            if len(self._places) >= self.limit:
                raise TooManyStreams(self.limit)
            self._places.add(opening)
        return opening

    def release(self, opening: Opening) -> None:
        """Give a place back, from any thread; a second time does nothing."""
        with self._lock:
            self._places.discard(opening)

    def arrive(self, opening: Opening, connection: Connection) -> None:
        """Take a connection over with the next `push`; called from any thread."""
        self._arrivals.append((opening, connection))
        self.on_arrival()

    def push(self, sockets: dict[int, Any]) -> None:
        """Send everybody what is new, or a heartbeat, and let go of who takes nothing.

        ``sockets`` is the loop's map; streams enter themselves there. Never waits for a client.
        """
        now = time.monotonic()
        self._admit(sockets, now)
        newest, messages = self._live.newest, _Messages(self._live)
        silent = now >= self._heartbeat_at
        for stream in tuple(self._streams):
            if stream.is_behind:
                if now - stream.moved_at >= self.stalled:
                    stream.abandon()
            elif stream.number != newest.number:
                self._send_news(stream, messages, newest, now)
            elif silent:
                stream.send(messages.heartbeat(stream.chunked), now)
        if silent or self._pushed != newest.number:
            # One clock for all: everybody who is not behind has just been sent something.
            self._heartbeat_at, self._pushed = now + self.heartbeat, newest.number

    def seconds_to_next_duty(self) -> float | None:
        """How long `push` has nothing to do, provided that nothing new comes; None for ever."""
        if not self._streams:
            return None
        duties = [stream.moved_at + self.stalled for stream in self._streams if stream.is_behind]
        return max(0.0, min([self._heartbeat_at, *duties]) - time.monotonic())

    def end(self, sockets: dict[int, Any]) -> None:
        """End every stream, so that its client can tell the end from a broken line where its connection takes that."""
        self._admit(sockets, time.monotonic())
        for stream in tuple(self._streams):
            stream.end()

    def _admit(self, sockets: dict[int, Any], now: float) -> None:
        while self._arrivals:
            opening, connection = self._arrivals.popleft()
            detached = connection.detach()
            if detached is None:
                self.release(opening)
                continue
            if not self._streams:
                self._heartbeat_at = now + self.heartbeat
            stream = Stream(detached[0], connection.chunked, opening.number, sockets, self._forget)
            self._streams[stream] = opening
            stream.send(detached[1], now)

    def _send_news(self, stream: Stream, messages: _Messages, newest: Edition, now: float) -> None:
        try:
            message, stream.number = messages.news(stream.number, stream.chunked, newest)
        except Exception:
            # A view that cannot be written as JSON ends the streams that need it, and not the server; whoever asks
            # for the data is told.
            stream.close()
        else:
            stream.send(message, now)

    def _forget(self, stream: Stream) -> None:
        self.release(self._streams.pop(stream))


class Opening:
    """The first words of a stream, as the body of a WSGI response; holds the stream's place.

    An object and not a generator: a server that loses its client before the first frame closes the body
    without having begun it, and a generator's ``finally`` would then never run.
    """

    def __init__(self, streams: Streams, hand_over: Callable[[Opening], None], number: int | None) -> None:
        self.number = number
        self._streams, self._hand_over = streams, hand_over
        self._begun = self._kept = False

    def __iter__(self) -> Opening:
        return self

    def __next__(self) -> bytes:
        """The words; and when they were written without an error, the connection is asked for."""
        if not self._begun:
            self._begun = True
            return b"retry: %d\n\n" % RECONNECT_MS
        self._kept = True
        self._hand_over(self)
        raise StopIteration

    def close(self) -> None:
        """Give the place back, unless the connection was asked for: then it is given back when that ends."""
        if not self._kept:
            self._streams.release(self)

    def arrive(self, connection: Connection) -> None:
        """Let the loop push to this connection from now on."""
        self._streams.arrive(self, connection)


class _Messages:
    """What is sent in one turn, each framed once for all who get it."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._made: dict[tuple[int | None, bool], tuple[bytes, int]] = {}

    def news(self, number: int | None, chunked: bool, newest: Edition) -> tuple[bytes, int]:
        """What leads from edition ``number`` (None for nothing at all) to the newest; and the newest's number."""
        key = (number, chunked)
        if key not in self._made:
            events, reached = self._events(number, newest)
            self._made[key] = (chunk(events) if chunked else events, reached)
        return self._made[key]

    def heartbeat(self, chunked: bool) -> bytes:
        """A comment."""
        return chunk(STILL_HERE) if chunked else STILL_HERE

    def _events(self, number: int | None, newest: Edition) -> tuple[bytes, int]:
        updates = self._live.after(number) if number is not None else None
        if updates and (len(updates) == 1 or sum(len(one.update_frame) for one in updates) <= len(newest.snapshot_frame)):
            return b"".join([update.update_frame for update in updates]), updates[-1].number
        return newest.snapshot_frame, newest.number


def chunk(data: bytes) -> bytes:
    """One chunk of a body whose length nobody knows."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Stream:
    """One client: the edition that it has, and what its connection has not taken yet.

    An entry of the loop's map of sockets, which calls what begins with ``handle_`` and asks what ends with ``able``.

    Attributes:
        number: of the edition that was sent, None before the first.
        chunked: whether the body is in chunks.
        moved_at: when the connection last took something, or was first given what waits now (monotonic seconds).

    """

    accepting = False

    def __init__(
        self,
        connection: socket.socket,
        chunked: bool,
        number: int | None,
        sockets: dict[int, Any],
        on_close: Callable[[Stream], None],
    ) -> None:
        self.number, self.chunked, self.moved_at = number, chunked, 0.0
        self._socket, self._sockets, self._on_close = connection, sockets, on_close
        self._descriptor = connection.fileno()
        self._unsent: bytes | memoryview = b""
        self._unasked = 0
        sockets[self._descriptor] = self

    @property
    def is_behind(self) -> bool:
        """Whether the connection has not taken everything that it was given."""
        return bool(self._unsent)

    def send(self, data: bytes, now: float) -> None:
        """Send as much as the connection takes, and keep the rest. Only for a stream that is not behind."""
        self.moved_at = now
        self._unsent = data
        self.handle_write_event()

    def end(self) -> None:
        """Say that the body ends here, if that can be said at once, and close."""
        self.handle_write_event()
        if self.chunked and not self._unsent and self._descriptor in self._sockets:
            self.send(LAST_CHUNK, time.monotonic())
        self.close()

    def abandon(self) -> None:
        """Close without keeping what was not taken, which the system would otherwise hold for minutes."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the connection and give its place back; a second time does nothing."""
        if self._sockets.get(self._descriptor) is self:
            del self._sockets[self._descriptor]
            self._unsent = b""
            self._socket.close()
            self._on_close(self)

    def readable(self) -> bool:
        """Always: that is how a client is seen to leave."""
        return True

    def writable(self) -> bool:
        """Whether something waits to be taken."""
        return bool(self._unsent)

    def handle_read_event(self) -> None:
        """Ignore what the client says after its request, within bounds; notice that it left."""
        try:
            received = len(self._socket.recv(4096))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        self._unasked += received
        if not received or self._unasked > MAX_UNASKED:
            self.close()

    def handle_write_event(self) -> None:
        """Send as much as the connection takes of what waits."""
        if not self._unsent:
            return
        try:
            taken = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            # The client has left, for whatever reason.
            self.close()
            return
        self._unsent = memoryview(self._unsent)[taken:] if taken < len(self._unsent) else b""
        if self._unsent:
            self.moved_at = time.monotonic()

    def handle_expt_event(self) -> None:
        """Nobody has urgent data for us."""
        self.close()

    def handle_close(self) -> None:
        """The connection is broken."""
        self.close()

    def handle_error(self) -> None:
        """One stream's defect is not the others'."""
        self.close()
