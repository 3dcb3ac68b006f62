"""What wakes the server's loop while it waits for its clients: other threads, and signals."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Waker:
    """An entry of the loop's map of sockets that can be made readable from elsewhere."""

    accepting = False

    def __init__(self, sockets: dict[int, Any]) -> None:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)
        self._outside.setblocking(False)
        self._sockets = sockets
        sockets[self._inside.fileno()] = self

    def wake(self) -> None:
        """Let the loop turn once more. May be called at any time, from any thread and from a signal handler."""
        try:
            self._outside.send(b"\0")
        except OSError:
            # Full: it has been woken and has not turned yet. Closed: there is no loop any more.
            return

    @contextmanager
    def woken_by_signals(self) -> Iterator[None]:
        """Wake the loop whenever a signal with a handler in Python arrives, while the block lasts.

        The interpreter itself writes to the socket at the moment of the signal; so one that comes after the loop has
        looked whether it should end, and before it waits, does not keep it waiting. In another than the main thread,
        which alone sees signals, this does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.set_wakeup_fd(self._outside.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def close(self) -> None:
        """Leave the map; who wakes later does nothing."""
        self._sockets.pop(self._inside.fileno(), None)
        self._inside.close()
        self._outside.close()

    def readable(self) -> bool:
        """Always."""
        return True

    def writable(self) -> bool:
        """Never: nothing is sent this way."""
        return False

    def handle_read_event(self) -> None:
        """Forget how often it was woken: one turn answers them all."""
        self._inside.recv(4096)
