"""The thread that folds in the background of a recording process.

It is woken by the first event after a fold, folds at most every 100 ms, and skips its turn while another process is folding.
Without events it sleeps without a timeout: an idle process wakes for nothing.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from _queue import SimpleQueue  # the module queue would bring heapq and types onto the write road

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyjama_metrics.hub import Hub

PACE = 0.1
"""Seconds between two folds of a hub, whoever does them."""
BUSY = 0.02
"""Seconds until the next try while somebody else folds."""
SETTLE = 0.05
"""Seconds before the first fold: the thread's imports must not hold up the first calls of the agent."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries where folding fails (a full disk, a read-only folder), after growing from ``PACE``."""
FORK_WAIT = 5.0
"""Seconds that a fork waits at most for an import that the thread is in the middle of."""

_importing = threading.RLock()
"""Held while the thread imports the read road, and over each fork. A child of a fork in the middle of an import would find the
module half made and locked by a thread that it does not have, and wait for ever where it imports the same module.
"""


class BackgroundFold:
    """Folds the hub in ``folder`` while this process records.

    Args:
        folder: the hub's folder.
        look_after: looks after this process's journal; called by the thread before each fold. It must not raise.
    """

    def __init__(self, folder: str, look_after: Callable[[], None]) -> None:
        self.pending = False
        """Whether a fold is due. The recorder reads it without a lock and calls ``wake`` where it is false."""
        self._folder, self._look_after = folder, look_after
        self._hub: Hub | None = None
        # Not a threading.Event: its set() takes a lock that a signal handler, or a __del__, must not take a second time.
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._stopping = threading.Event()
        self._pause = PACE
        self.thread = threading.Thread(target=self._run, name="pyjama-metrics-fold", daemon=True)
        self.thread.start()

    def wake(self) -> None:
        """An event was recorded: fold soon."""
        self.pending = True
        self._woken.put(None)

    def stop(self, timeout: float) -> None:
        """End the thread, waiting at most ``timeout`` seconds for a fold that is under way."""
        self._stopping.set()
        self._woken.put(None)
        self.thread.join(timeout)

    def last_fold(self, timeout: float) -> None:
        """After ``stop``: fold what was recorded since, in the caller's thread, for at most ``timeout`` seconds."""
        if self.thread.is_alive():
            return
        deadline = time.monotonic() + timeout
        try:
            while not self.hub.fold(max(0.0, deadline - time.monotonic())).caught_up and time.monotonic() < deadline:
                pass
        except Exception:
            # The agent is ending; the journal keeps the events for whoever folds next.
            return

    @property
    def hub(self) -> Hub:
        """The hub, loaded on first use: the read road is none of a recording thread's business."""
        if self._hub is None:
            with _importing:
                # With what the hub loads by itself, but later, when no fork would wait for it.
                from pyjama_metrics.hub import Hub
                from pyjama_metrics.storage.history import projection  # noqa: F401

            self._hub = Hub(self._folder)
        return self._hub

    def _run(self) -> None:
        self._stopping.wait(SETTLE)
        while not self._stopping.is_set():
            self._woken.get()
            self._stopping.wait(self._until_due())
            if self._stopping.is_set():
                return
            self._step()

    def _until_due(self) -> float:
        try:
            age = time.time() - os.stat(os.path.join(self._folder, "metrics.json")).st_mtime
        except OSError:
            return 0.0
        return PACE - age if 0 <= age < PACE else 0.0

    def _step(self) -> None:
        self.pending = False  # before the fold: an event that comes while it reads asks for another one
        self._look_after()
        try:
            report = self.hub.fold()
        except Exception:
            # Whatever is wrong with the folder is not the agent's business, and doctor finds it by itself. Nothing is lost.
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._stopping.wait(self._pause)
            return
        self._pause = PACE
        if not report.caught_up:
            self._stopping.wait(BUSY if report.busy else 0.0)
            self.wake()


def _hold_imports() -> None:
    # With a bound: where the forking thread is itself in the middle of an import that the other one needs, each would wait for
    # the other for ever.
    had_logging = _logging_is_there()
    _importing.acquire(timeout=FORK_WAIT)
    if not had_logging and _logging_is_there():
        # It has asked, while we waited, to have its lock released after this fork, too late to have it taken before.
        sys.modules["logging"]._lock.acquire()


def _logging_is_there() -> bool:
    # In sys.modules it is from the first line of its import on; its last definitions come after its hooks for a fork.
    return hasattr(sys.modules.get("logging"), "captureWarnings")


def _let_imports_go_on() -> None:
    try:
        _importing.release()
    except RuntimeError:
        # It was not to be had in time, so it is not ours to release.
        return


def _after_fork() -> None:
    global _importing
    _importing = threading.RLock()


os.register_at_fork(before=_hold_imports, after_in_parent=_let_imports_go_on, after_in_child=_after_fork)
