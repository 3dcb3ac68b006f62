"""The process that folds where nobody else does: started by a hook (`starting`), gone when there is nothing more to do."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from pyjama_metrics.errors import HubError
from pyjama_metrics.hub import Hub
from pyjama_metrics.integrations.starting import try_lock
from pyjama_metrics.storage import names

QUIET = 2.0
"""Seconds without news after which it leaves."""
LONGEST_QUIET = 30.0
"""Seconds without news after which it leaves even where the hub cannot be brought up to date."""
PAUSE = 0.1
"""Seconds between two folds."""


def main(lock: int | None = None) -> int:
    """Fold until there was nothing new for a while.

    Args:
        lock: the descriptor of the lock, where whoever started this process handed it over.

    Returns:
        The exit code.
    """
    _detach()
    hub = Hub()
    if lock is None:
        lock = try_lock(hub.folder)
    while lock is not None and _is_in_place(hub.folder, lock):
        _fold_while_there_is_news(hub, lock)
        os.close(lock)
        # Whoever recorded while we still had the lock has started nobody: so look once more without it.
        lock = try_lock(hub.folder) if _has_news(hub) else None
    return 0


def _fold_while_there_is_news(hub: Hub, lock: int) -> None:
    last_news = time.monotonic()
    while _is_in_place(hub.folder, lock):
        events, caught_up = _folded(hub)
        now = time.monotonic()
        if events:
            last_news = now
        elif now - last_news > (QUIET if caught_up else LONGEST_QUIET):
            return
        time.sleep(PAUSE)


def _has_news(hub: Hub) -> bool:
    return os.path.isdir(hub.folder) and _folded(hub)[0] > 0


def _folded(hub: Hub) -> tuple[int, bool]:
    try:
        report = hub.fold()
    except HubError:
        return 0, False  # a full disk, say: whoever reads is told, and the journals wait
    return report.events, report.caught_up


def _is_in_place(folder: str, lock: int) -> bool:
    """Whether ours is the lock that others would try: the hub's folder may have been removed."""
    try:
        there = os.stat(names.folder_lock_path(folder))
    except OSError:
        return False
    mine = os.fstat(lock)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _detach() -> None:
    """Leave whoever started us: its session, where that is not done yet, and its folder."""
    os.chdir("/")
    with suppress(PermissionError):  # we are the first of a session of our own already
        os.setsid()


if __name__ == "__main__":
    raise SystemExit(main())
