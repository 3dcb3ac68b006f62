"""The server's connections: errors in our shape, clients that do not read, and the handing over of a stream's connection.

waitress has a thread answer a request, and then ends the response. The response to a stream's request goes on instead:
its thread goes back to the others, the socket leaves waitress, and `Streams` owns it.

A thread of waitress waits for a client that does not take what it asked for; as many such clients as there are threads, and
nobody is answered. Here no thread ever waits for a client: a whole answer is kept for it (`server.py` sets no bound), which
is one at most, because its next request is given to a thread only when the last answer is taken. A client that takes nothing
of its answer for a while is let go, and so is one that asks nothing.

That needs more of waitress than it documents; all of it is in this module and listed in `RELIED_ON`.
"""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from socket import SO_LINGER, SOL_SOCKET
from socket import socket as Socket
from typing import Any

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.task import ErrorTask, WSGITask  # type: ignore[import-untyped]

from pyjama_metrics.dashboard import arrivals, security
from pyjama_metrics.dashboard.arrivals import PromptRequest
from pyjama_metrics.dashboard.stream import HAND_OVER, Opening
from pyjama_metrics.storage.json import dumps

STALLED = 30.0
"""Seconds in which a client takes nothing of its answer, after which its connection is closed."""

IDLE = 30.0
"""Seconds for which a connection is kept that was used and is not any more; browsers keep theirs for the next request."""

FIRST_BYTE = 5.0
"""Seconds that a new connection has for beginning a request: a client that connects has something to ask."""

MAX_PIPELINED = 8
"""Requests of one connection that wait for the one before; the connection of a client that sends more ends after these."""

_LEFT_UNREAD = 8
"""Times that we read from a connection which we are about to close."""

RELIED_ON = {
    "channel": (
        "connected",
        "creation_time",
        "del_channel",
        "error_task_class",
        "handle_close",
        "handle_write",
        "last_activity",
        "outbuf_lock",
        "outbufs",
        "parser_class",
        "readable",
        "received",
        "request",
        "requests",
        "requests_lock",
        "server",
        "service",
        "socket",
        "task_class",
        "total_outbufs_len",
    ),
    "task": ("channel", "chunked_response", "close_on_finish", "finish", "get_environment", "request"),
    "server": ("active_channels", "add_task", "channel_class", "readable", "task_dispatcher"),
}
"""The attributes of waitress's objects that this module and the server use."""


class JsonError(ErrorTask):  # type: ignore[misc]
    """Answers what waitress refuses before any application sees it (malformed, too large) in our error
    shape.
    """

    def execute(self) -> None:
        """Called by waitress."""
        error = self.request.error
        body = dumps({"ok": False, "error": f"{error.reason}: {error.body}", "status": error.code})
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend([("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        self.response_headers.extend(security.HEADERS.items())
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Task(WSGITask):  # type: ignore[misc]
    """Answers a request; a body that asks for the connection gets it, and the response is not ended."""

    opening: Opening | None = None

    def get_environment(self) -> dict[str, Any]:
        """Called by waitress."""
        environ: dict[str, Any] = super().get_environment()
        environ[HAND_OVER] = self._hand_over
        return environ

    def finish(self) -> None:
        """Called by waitress when everything that the body had was written."""
        if self.opening is None:
            super().finish()
            return
        self.close_on_finish = False
        self.channel.keep_for(self.opening, self.request, self.chunked_response)

    def _hand_over(self, opening: Opening) -> None:
        self.opening = opening


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose errors have our shape, that holds no thread while its client does not read, and whose socket can be
    given away.
    """

    error_task_class = JsonError
    parser_class = PromptRequest
    task_class = Task

    socket: Any
    opening: Opening | None = None
    opened_by: Any = None
    chunked = False
    waits_for_client = False
    used_at: float | None = None
    """When the latest answer was ready (seconds since the epoch); None before the first."""

    def readable(self) -> bool:
        """Called by waitress; what a stream's client sends is no request."""
        return self.opening is None and super().readable()

    def received(self, data: bytes) -> bool:
        """Called by waitress with what came, which may be many requests at once."""
        taken: bool = super().received(data)
        with self.requests_lock:
            if len(self.requests) > MAX_PIPELINED:
                for request in self.requests[MAX_PIPELINED:]:
                    request.close()
                del self.requests[MAX_PIPELINED:]
                # The answer to the last one says so, and a client that means well asks for the others again.
                self.requests[-1].headers["CONNECTION"] = "close"
                self.request = None
        return taken

    def handle_write(self) -> None:
        """Called by waitress, in the thread of the loop, when the client may take something."""
        super().handle_write()
        with self.outbuf_lock:
            goes_on = self.waits_for_client and not self.total_outbufs_len
            if goes_on:
                self.waits_for_client = False
        if goes_on and self.connected:
            self.server.add_task(self)

    def kept_until(self) -> float | None:
        """When to close this connection if nothing happens to it (seconds since the epoch); None while it is being answered."""
        if self.total_outbufs_len and (self.waits_for_client or not self.requests):
            return float(self.last_activity + STALLED)
        if self.requests or self.opening is not None:
            return None
        # What arrives does not prolong it, or a byte now and then would keep it for ever.
        request = self.request
        if request is not None:
            return float(self.creation_time if self.used_at is None else request.began) + arrivals.WHOLE_REQUEST
        return float(self.creation_time + FIRST_BYTE) if self.used_at is None else self.used_at + IDLE

    def unused_since(self) -> float:
        """When it was last of use, in seconds since the epoch: who has waited longest goes first when there is no room."""
        return float(self.used_at or self.creation_time)

    def let_go(self) -> None:
        """Close the connection; a client that is in the middle of a request is told why. Called in the thread of the loop."""
        with self.requests_lock:
            late, self.request = self.request, None
            if late is not None and not self.requests and not self.total_outbufs_len:
                late.give_up()
                self.requests.append(late)
                self.server.add_task(self)
                return
        if self.total_outbufs_len:
            # The system would otherwise hold for minutes what was not taken.
            self.socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.handle_close()

    def handle_close(self) -> None:
        """Called by waitress, in the thread of the loop.

        To close over what the client sent and nobody has read would make the system reset the connection, and the answer to a
        request that was refused in its middle would be lost. So a little of that is taken off first.
        """
        if self.connected and not self.total_outbufs_len:
            with suppress(OSError):  # there is nothing, most often
                for _ in range(_LEFT_UNREAD):
                    if not self.socket.recv(65_536):
                        break
        super().handle_close()

    def service(self) -> None:
        """Called by waitress, in the thread that answers."""
        with self.outbuf_lock:
            self.waits_for_client = self.connected and self.total_outbufs_len > 0
            if self.waits_for_client:
                return
        request = self.requests[0]
        super().service()
        self.used_at = time.time()
        # The thread of an earlier request of this connection may still be here when another answers the stream's.
        if self.opening is not None and self.opened_by is request:
            self.opening.arrive(self)

    def keep_for(self, opening: Opening, request: Any, chunked: bool) -> None:
        """Answer no request after this one, and hand the connection over when its thread is done with it."""
        with self.requests_lock:
            self.opening, self.opened_by, self.chunked = opening, request, chunked
            self.request = None
            for request in self.requests[1:]:
                request.close()
            del self.requests[1:]

    def detach(self) -> tuple[Socket, bytes] | None:
        """The socket, which is not waitress's any more, and what of the response it has not taken; None when the
        client has left. Called in the thread of the loop.
        """
        if self.socket is None:
            return None
        with self.outbuf_lock:
            unsent = b"".join([buffer.get() for buffer in self.outbufs])
            for buffer in self.outbufs:
                buffer.close()
            self.total_outbufs_len = 0
        self.del_channel()
        connection, self.socket, self.connected = self.socket, None, False
        return connection, unsent
