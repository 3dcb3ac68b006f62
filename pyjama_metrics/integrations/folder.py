"""The process that folds where nobody else does: started by a hook (`starting`), gone when there is nothing more to do."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from pyjama_metrics.errors import HubError
from pyjama_metrics.hub import Hub
from pyjama_metrics.integrations.starting import is_in_place, try_lock

QUIET = 5.0
"""Seconds without news after which it leaves, unless a session is open."""
LONGEST_QUIET = 30.0
"""Seconds without news after which it leaves even where the hub cannot be brought up to date."""
PAUSE = 0.1
"""Seconds between two folds while there is news."""
LONG_PAUSE = 1.0
"""Seconds between two looks while there is none, and a session is open: its program may end without a word."""


def main(lock: int | None = None) -> int:
    """Fold until there was nothing new for a while, and no session is open.

    Args:
        lock: the descriptor of the lock, where whoever started this process handed it over.

    Returns:
        The exit code.
    """
    _detach()
    hub = Hub()
    if lock is None:
        lock = try_lock(hub.folder)
    while lock is not None and is_in_place(hub.folder, lock):
        _fold_while_there_is_news(hub, lock)
        os.close(lock)
        # Whoever recorded while we still had the lock has started nobody: so look once more without it.
        lock = try_lock(hub.folder) if os.path.isdir(hub.folder) and _folded(hub) else None
    return 0


def _fold_while_there_is_news(hub: Hub, lock: int) -> None:
    last_news = time.monotonic()
    while is_in_place(hub.folder, lock):
        news = _folded(hub)
        now = time.monotonic()
        if news:
            last_news = now
        quiet = now - last_news
        if (quiet > LONGEST_QUIET or (quiet > QUIET and news is not None)) and not hub.watches_sessions():
            return
        time.sleep(PAUSE if quiet < QUIET else LONG_PAUSE)


def _folded(hub: Hub) -> bool | None:
    """Bring the hub up to date; whether there was news, None where it could not be done."""
    try:
        caught_up = hub.follow()
        if caught_up and not hub.pending():
            return False
        report = hub.fold()
    except HubError:
        return None  # a full disk, say: whoever reads is told, and the journals wait
    return bool(report.events) or not caught_up or not report.caught_up


def _detach() -> None:
    """Leave whoever started us: its session, where that is not done yet, and its folder."""
    os.chdir("/")
    with suppress(PermissionError):  # we are the first of a session of our own already
        os.setsid()


if __name__ == "__main__":
    raise SystemExit(main())
