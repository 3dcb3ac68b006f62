"""How far the journals of other programs' sessions are read by whoever follows them, for whoever does not."""

from __future__ import annotations

import os
import time
from contextlib import closing
from urllib.parse import quote

from pyjama_metrics.storage import descriptors, names, owners

KEPT_S = 86_400.0
"""Seconds after its last line for which a session's journal is kept for whoever follows."""
EVERYTHING = 2**62
_WAIT = 5.0


def is_at_work(folder: str) -> bool:
    """Whether somebody follows right now, or imports, which keeps those who follow waiting. Takes the lock for a moment."""
    try:
        descriptor = descriptors.open_carrier(names.sessions_lock_path(folder), os.O_RDWR)
    except OSError:
        return False  # nobody ever has
    try:
        return not owners.try_lock(descriptor, shared=True)
    except OSError:
        return False
    finally:
        descriptors.close_carrier(descriptor)


def followed_to(folder: str, journal: str) -> int:
    """How far a session's journal is read, in bytes. Takes no lock, changes nothing.

    Where nobody follows, a journal is given up a day after its last line, so that they do not pile up.
    """
    path = os.path.join(folder, names.SESSIONS)
    found: int | None = None
    if os.path.exists(path):
        import sqlite3

        try:
            with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=_WAIT)) as database:
                row = database.execute("SELECT offset FROM offsets WHERE journal = ?", (journal,)).fetchone()
                found = 0 if row is None else int(row[0])
        except sqlite3.Error:
            found = None
    try:
        status = os.stat(os.path.join(names.journal_folder(folder), journal))
    except OSError:
        return EVERYTHING
    if time.time() - status.st_mtime > KEPT_S:
        return EVERYTHING
    return 0 if found is None else found
