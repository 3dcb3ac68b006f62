"""The server's connections: errors in our shape, and the handing over of a stream's connection.

waitress has a thread answer a request, and then ends the response. The response to a stream's request goes on instead:
its thread goes back to the others, the socket leaves waitress, and `Streams` owns it. That needs more of waitress than it
documents; all of it is in this module and listed in `RELIED_ON`.
"""

from __future__ import annotations

from socket import socket as Socket
from typing import Any

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.task import ErrorTask, WSGITask  # type: ignore[import-untyped]

from pyjama_metrics.dashboard import security
from pyjama_metrics.dashboard.arrivals import PromptRequest
from pyjama_metrics.dashboard.stream import HAND_OVER, Opening
from pyjama_metrics.storage.json import dumps

RELIED_ON = {
    "channel": (
        "connected",
        "del_channel",
        "error_task_class",
        "handle_close",
        "outbuf_lock",
        "outbufs",
        "parser_class",
        "readable",
        "request",
        "requests",
        "requests_lock",
        "service",
        "socket",
        "task_class",
        "total_outbufs_len",
    ),
    "task": ("channel", "chunked_response", "close_on_finish", "finish", "get_environment", "request"),
    "server": ("active_channels", "channel_class", "readable", "task_dispatcher"),
}
"""The attributes of waitress's objects that the handing over and the end of the server use."""


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
    """A connection whose errors have our shape, and whose socket can be given away."""

    error_task_class = JsonError
    parser_class = PromptRequest
    task_class = Task

    socket: Any
    opening: Opening | None = None
    opened_by: Any = None
    chunked = False

    def readable(self) -> bool:
        """Called by waitress; what a stream's client sends is no request."""
        return self.opening is None and super().readable()

    def service(self) -> None:
        """Called by waitress, in the thread that answers."""
        request = self.requests[0]
        super().service()
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
