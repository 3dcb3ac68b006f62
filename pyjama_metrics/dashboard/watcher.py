"""Notices that the hub changed, and sees to it that somebody folds.

watchdog observes the hub's *folder*, because the file in it is replaced and not changed. Its handler does
nothing but set an event; one pump thread does the work. The first event after a pause is shown at once,
those of the next `COALESCE` seconds together. The pump also looks by itself every `TICK` seconds, because
events are a courtesy: there are none on network mounts, none once the folder was deleted, and none when the
system's limit of watches is reached.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from watchdog.events import FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from pyjama_metrics.errors import HubError, LockTimeout
from pyjama_metrics.integrations.starting import FolderLock
from pyjama_metrics.storage.names import SNAPSHOT

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

    from pyjama_metrics.dashboard.live import Live
    from pyjama_metrics.hub import Hub
    from pyjama_metrics.storage.files import Signature

TICK = 0.5
"""Seconds between two looks of the pump's own."""

COALESCE = 0.06
"""Seconds in which changes that follow a shown one are collected."""

STANDSTILL = 2.0
"""Seconds after which it is said that another process holds the lock and folds nothing."""

RETRY_OBSERVING = 30.0
"""Seconds after which a folder that could not be observed is tried again."""


class SnapshotReplaced(FileSystemEventHandler):
    """Calls ``tell`` when a new snapshot is in place, and for nothing else that happens in the folder."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog, in a thread of its own."""
        landed = event.dest_path if isinstance(event, FileMovedEvent) else event.src_path
        if os.path.basename(os.fsdecode(landed)) == SNAPSHOT:
            self._tell()


def observe(folder: str, tell: Callable[[], None]) -> BaseObserver:
    """Start calling ``tell`` whenever the snapshot in ``folder`` is replaced.

    Raises OSError where that is impossible.
    """
    observer = Observer()
    observer.schedule(SnapshotReplaced(tell), folder, recursive=False, event_filter=[FileMovedEvent, FileCreatedEvent])
    try:
        observer.start()
    except OSError:
        observer.unschedule_all()
        raise
    return observer


class Watcher:
    """Keeps a `Live` current from `start` to `stop`, whatever happens to the folder meanwhile."""

    def __init__(self, hub: Hub, live: Live, observe: Callable[[str, Callable[[], None]], BaseObserver] = observe) -> None:
        self._hub, self._live, self._observe = hub, live, observe
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pump = threading.Thread(target=self._run, name="dashboard-pump", daemon=True)
        self._observer: BaseObserver | None = None
        self._observed: tuple[int, int] | None = None
        self._observe_again_at = 0.0
        self._behind = False
        self._folder_lock = FolderLock(hub.folder)
        self._busy_with: Signature | None = None
        self._busy_since = time.monotonic()

    def start(self) -> None:
        """Fold and read once, so that the first page is current; then go on in a thread."""
        self._tick()
        self._pump.start()

    def stop(self) -> None:
        """End the threads; they are gone on return."""
        self._stopping.set()
        self._wake.set()
        self._pump.join()
        self._folder_lock.release()
        self._end_observing()

    def _run(self) -> None:
        tick_at = time.monotonic() + TICK
        while not self._stopping.is_set():
            told = self._wake.wait(0.0 if self._behind else max(0.0, tick_at - time.monotonic()))
            self._wake.clear()
            if self._behind or time.monotonic() >= tick_at:
                self._tick()
                tick_at = time.monotonic() + TICK
            self._live.refresh()
            if told:
                self._stopping.wait(COALESCE)

    def _tick(self) -> None:
        """See to what does not announce itself: a replaced folder, bytes nobody folded, owners that died."""
        try:
            self._fold()
        except HubError as error:
            self._live.report("folding", str(error))
        except Exception as error:
            # Anything else must not end the pump either: the page goes on with what it has, and says so.
            self._live.report("folding", f"New events could not be added up: {type(error).__name__}: {error}.")
        else:
            self._live.report("folding", None)
        self._live.report("losses", self._losses())
        # After the fold, which may have made the folder, and before the reading, which sees what came before the observer.
        self._keep_observing()
        self._live.refresh()

    def _fold(self) -> None:
        """Fold where something is pending, which includes owners that are to be looked after."""
        self._behind = False
        follower = self._hub.follower
        if follower is not None:
            self._folder_lock.keep()  # so that the hooks of these sessions start no other process for that
            self._behind = not self._hub.follow() and not follower.is_busy
            self._live.report("following", None if follower.trouble is None else str(follower.trouble))
        if self._hub.pending():
            report = self._hub.fold()
            self._behind |= not (report.caught_up or report.busy)
            self._live.report("waiting", self._standstill(report.busy))

    def _standstill(self, busy: bool) -> str | None:
        """A sentence once somebody has kept us from folding for a while and has not folded either."""
        generation = self._hub.signature()
        if not busy or generation != self._busy_with:
            self._busy_with, self._busy_since = generation, time.monotonic()
        seconds = time.monotonic() - self._busy_since
        return str(LockTimeout(self._hub.lock_path, round(seconds))) if busy and seconds > STANDSTILL else None

    def _losses(self) -> str | None:
        lost = self._hub.lost_elsewhere()
        if not lost:
            return None
        return (
            f"{lost:,} events could not be recorded (a full disk, a folder that may not be written); see 'pyjama-metrics doctor'."
        )

    def _keep_observing(self) -> None:
        """Observe the folder that is there now; a deleted one leaves an observer that is alive and silent."""
        folder = folder_identity(self._hub.folder)
        if folder == self._observed and self._is_observing():
            return
        self._end_observing()
        self._observed = folder
        if folder is None:
            self._live.report("observing", None)
            return
        try:
            self._observer = self._observe(self._hub.folder, self._wake.set)
        except OSError as error:
            self._observe_again_at = time.monotonic() + RETRY_OBSERVING
            self._live.report("observing", self._silence(error))
        else:
            self._live.report("observing", None)

    def _is_observing(self) -> bool:
        """Whether there is an observer and its folder is still there, or none can be had for the moment."""
        if self._observer is None:
            return time.monotonic() < self._observe_again_at
        # A folder made just after the old one was deleted can have its number too; an emitter ends with its folder.
        return all(emitter.is_alive() for emitter in self._observer.emitters)

    def _silence(self, error: OSError) -> str:
        return (
            f"This system does not report changes in {self._hub.folder} ({error.strerror or error}), "
            f"so the page looks "
            f"every {TICK:g} s instead. On Linux, raising fs.inotify.max_user_instances usually mends it."
        )

    def _end_observing(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None


def folder_identity(path: str) -> tuple[int, int] | None:
    """Tell one folder from another of the same name: None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        # Deleted, or not there yet; the next tick looks again.
        return None
    return status.st_dev, status.st_ino
