"""The tables of ``history.db``, how they came to be, and the way to open it.

Texts that come again and again (agents, tools, models) are in `names` once; 0 stands for none. A slice of time is named by its
begin in milliseconds since the epoch, UTC. Sums of money and of executions per agent are in quarters of an hour, because no time
zone in use is off by less: so they add up to days wherever one is.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import suppress
from urllib.parse import quote

from pyjama_metrics import settings
from pyjama_metrics.storage import files
from pyjama_metrics.storage.history.blobs import Merge, merged

NAME = "history.db"
KEPT_ASIDE = 3
"""Damaged databases that are kept."""

ALL, ALL_BY_HOUR = 0, -1
"""In place of an agent's number: all agents together, by the quarter of an hour as each of them, or by the hour."""

MINUTE_MS, QUARTER_MS, HOUR_MS, DAY_MS = 60_000, 900_000, 3_600_000, 86_400_000

SUMS = "requests, input, output, cache_read, cache_write, cache_write_1h, estimated_tokens, reported_micros"
"""What model calls add up to, in the tables that have their sums."""

_TALLY = """
    success INTEGER NOT NULL, error INTEGER NOT NULL, interrupted INTEGER NOT NULL,
    timed INTEGER NOT NULL, total_us INTEGER NOT NULL, least_ns INTEGER, most_ns INTEGER, buckets BLOB"""
_SUMS = """
    requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL, estimated_tokens INTEGER NOT NULL,
    reported_micros INTEGER NOT NULL"""

MIGRATIONS: tuple[tuple[str, str], ...] = (
    (
        "begin",
        f"""
        CREATE TABLE migrations (name TEXT PRIMARY KEY, time INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE offsets (journal TEXT PRIMARY KEY, offset INTEGER NOT NULL, lines INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
        CREATE TABLE runs (
            id INTEGER PRIMARY KEY, run TEXT NOT NULL, agent INTEGER NOT NULL, parent TEXT, parent_agent TEXT, source TEXT,
            project INTEGER NOT NULL DEFAULT 0, label TEXT, task TEXT, host TEXT, started INTEGER, ended INTEGER, outcome TEXT,
            error TEXT, last_seen INTEGER NOT NULL, success INTEGER NOT NULL, errors INTEGER NOT NULL,
            interrupted INTEGER NOT NULL, UNIQUE (run, agent));
        CREATE INDEX runs_by_last_seen ON runs (last_seen);
        CREATE TABLE run_tools (
            run INTEGER NOT NULL, tool INTEGER NOT NULL, success INTEGER NOT NULL, error INTEGER NOT NULL,
            interrupted INTEGER NOT NULL, timed INTEGER NOT NULL, total_us INTEGER NOT NULL,
            PRIMARY KEY (run, tool)) WITHOUT ROWID;
        CREATE TABLE usage (
            begin INTEGER NOT NULL, run INTEGER NOT NULL, agent INTEGER NOT NULL, model INTEGER NOT NULL, phase INTEGER NOT NULL,
            tool INTEGER NOT NULL, band INTEGER NOT NULL, kind INTEGER NOT NULL, {_SUMS},
            PRIMARY KEY (begin, run, agent, model, phase, tool, band, kind)) WITHOUT ROWID;
        CREATE INDEX usage_by_run ON usage (run);
        CREATE TABLE usage_totals (
            begin INTEGER NOT NULL, agent INTEGER NOT NULL, model INTEGER NOT NULL, band INTEGER NOT NULL, kind INTEGER NOT NULL,
            {_SUMS}, PRIMARY KEY (agent, begin, model, band, kind)) WITHOUT ROWID;
        CREATE TABLE minutes (
            begin INTEGER NOT NULL, agent INTEGER NOT NULL, tool INTEGER NOT NULL, {_TALLY},
            PRIMARY KEY (begin, agent, tool)) WITHOUT ROWID;
        CREATE TABLE hours (
            begin INTEGER NOT NULL, agent INTEGER NOT NULL, tool INTEGER NOT NULL, {_TALLY},
            PRIMARY KEY (begin, agent, tool)) WITHOUT ROWID;
        CREATE TABLE totals (
            begin INTEGER NOT NULL, agent INTEGER NOT NULL, {_TALLY}, PRIMARY KEY (agent, begin)) WITHOUT ROWID;
        CREATE TABLE requests (
            hash BLOB PRIMARY KEY, is_actual INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
            cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
            cost_micros INTEGER NOT NULL, model INTEGER NOT NULL, band INTEGER NOT NULL, time INTEGER NOT NULL,
            agent INTEGER NOT NULL, run INTEGER NOT NULL, phase INTEGER NOT NULL, tool INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE events (
            id INTEGER PRIMARY KEY, time INTEGER NOT NULL, agent INTEGER NOT NULL, run TEXT, kind TEXT NOT NULL,
            tool INTEGER NOT NULL, status TEXT, message TEXT);
        CREATE INDEX events_by_time ON events (time);
        CREATE TABLE corrections (
            id INTEGER PRIMARY KEY, time INTEGER NOT NULL, run INTEGER NOT NULL, model INTEGER NOT NULL, reason TEXT NOT NULL,
            {_SUMS});
        CREATE INDEX corrections_by_run ON corrections (run);
        """,
    ),
    (
        # Of runs that were there before nobody knows how many messages they had, which is why these have no default.
        "sessions",
        """
        ALTER TABLE runs ADD COLUMN session TEXT;
        ALTER TABLE runs ADD COLUMN subagent TEXT;
        ALTER TABLE runs ADD COLUMN user_messages INTEGER;
        ALTER TABLE runs ADD COLUMN assistant_messages INTEGER;
        CREATE INDEX runs_by_session ON runs (session) WHERE session IS NOT NULL;
        CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL;
        """,
    ),
)
"""Each step from one form of the tables to the next, by its name; what is here never changes, something is only added below."""

NOTHING_COUNTED = "success = 0, errors = 0, interrupted = 0, user_messages = 0, assistant_messages = 0"
"""Of a run."""

DETAILS = ("run_tools", "usage", "usage_totals", "minutes", "hours", "totals", "requests", "events", "corrections")
"""The tables that hold what happened, except for the runs."""


class TooNew(Exception):
    """A newer version of this program made the database."""


def path_of(folder: str) -> str:
    """Where a hub's history is."""
    return os.path.join(folder, NAME)


def open_to_write(folder: str) -> sqlite3.Connection:
    """The database, made or brought to this version's form where need be. Use it under the lock of those who project.

    Nobody waits here: where another program holds the database, that is an error like any other.

    Raises:
        sqlite3.Error, OSError: it cannot be opened or written.
        TooNew: another version's.
    """
    path = path_of(folder)
    with suppress(FileExistsError):
        # Made by us, as SQLite would let others read it; the files that it puts beside it get the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, files.FILE_MODE))
    connection = _connect(path, "rw", 0.0)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise TooNew(f"a newer version of pyjama-metrics made it (form {version})")
        if version == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
        # Without it a process that is killed loses nothing, and neither does a machine that crashes lose the whole file.
        connection.execute(f"PRAGMA synchronous = {'FULL' if settings.fsync() else 'NORMAL'}")
        if version < len(MIGRATIONS):
            _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(folder: str, timeout: float = 5.0) -> sqlite3.Connection | None:
    """The database for questions; None where there is none. Raises sqlite3.Error, TooNew.

    Args:
        folder: the hub's.
        timeout: seconds to wait while it is locked against reading, which is rare.
    """
    path = path_of(folder)
    if not os.path.exists(path):
        return None
    connection = _connect(path, "ro&immutable=1" if _stands_still(path) else "ro", timeout)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise TooNew(f"a newer version of pyjama-metrics made it (form {version})")
    except BaseException:
        connection.close()
        raise
    if version < len(MIGRATIONS):
        connection.close()  # nobody has projected since the program is of this version; whoever does brings it here
        return None
    return connection


def _stands_still(path: str) -> bool:
    """Whether nobody can write the database and nothing was left beside it: SQLite would have to make a file there to read it."""
    return os.statvfs(path).f_flag & os.ST_RDONLY != 0 and not os.path.exists(f"{path}-wal")


def _connect(path: str, mode: str, timeout: float) -> sqlite3.Connection:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise sqlite3.OperationalError("it is no file")  # SQLite would wait for ever to open a pipe
    place = f"file:{quote(os.fsencode(path))}?mode={mode}"
    connection = sqlite3.connect(place, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
    connection.create_function("merged", 2, merged, deterministic=True)
    connection.create_aggregate("merge", 1, Merge)  # type: ignore[arg-type]
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for number, (name, statements) in enumerate(MIGRATIONS[version:], version + 1):
            for statement in statements.split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?, ?)", (name, time.time_ns() // 1_000_000))
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def set_aside(folder: str) -> str:
    """Put a damaged database out of the way, with what belongs to it; under which name. Raises OSError."""
    path = path_of(folder)
    aside = f"{path}.corrupt-{time.time_ns() // 1_000_000}"
    for suffix in ("-wal", "-shm"):
        # First: a new database must not meet the old one's changes.
        try:
            os.rename(path + suffix, aside + suffix)
        except FileNotFoundError:
            continue
    os.rename(path, aside)
    older = sorted(name for name in os.listdir(folder) if name.startswith(f"{NAME}.corrupt-") and name[-1].isdigit())
    for name in older[:-KEPT_ASIDE]:
        for suffix in ("", "-wal", "-shm"):
            files.remove(os.path.join(folder, name + suffix))
    return aside
