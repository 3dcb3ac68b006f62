"""Which errors of SQLite say that the file itself is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is broken; not that it is locked, full, or not to be written."""
    import sqlite3

    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
