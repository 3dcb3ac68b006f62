"""Requests as they arrive: one that takes too long is refused, so that nobody keeps a connection by trickling."""

from __future__ import annotations

import time
from typing import Any

from waitress.parser import HTTPRequestParser  # type: ignore[import-untyped]
from waitress.utilities import Error  # type: ignore[import-untyped]

WHOLE_REQUEST = 20.0
"""Seconds in which a request must be there from its first byte to its last; the largest one has some hundred kilobytes."""


class TooSlow(Error):  # type: ignore[misc]
    """The refusal, in the form in which the server makes an answer of it."""

    code = 408
    reason = "Request Timeout"


class PromptRequest(HTTPRequestParser):  # type: ignore[misc]
    """Collects a request. A connection on which nothing comes at all is none of its business: the server closes it."""

    completed: bool

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.began = time.time()
        """When its first byte was there, in seconds since the epoch, as the server's own times."""

    def received(self, data: bytes) -> int:
        """Called by waitress with what came; returns how much of it belongs to this request."""
        taken: int = super().received(data)
        if not self.completed and time.time() - self.began > WHOLE_REQUEST:
            self.give_up()
        return taken

    def give_up(self) -> None:
        """Take it for complete, and refuse it."""
        self.error = TooSlow(f"the request did not arrive within {WHOLE_REQUEST:g} s; send it without pauses")
        self.completed = True
