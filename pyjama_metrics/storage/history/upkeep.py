"""What the history forgets, and when: minutes become hours, what is old goes, and the file stays within its bounds.

Each call does one small step, in a transaction of its own, and nobody waits for it. What it left is the next call's.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from pyjama_metrics.storage.history.schema import ALL, ALL_BY_HOUR, DAY_MS, HOUR_MS
from pyjama_metrics.storage.history.sums import ADD_TALLY, TALLY

EVERY_MS = 60_000
"""Time between two looks for something to do, where nothing was left to do."""
MINUTES_KEPT_MS = 2 * DAY_MS
"""Age from which executions are kept by the hour."""
REQUESTS_KEPT_MS = 10 * DAY_MS
"""How much longer than everything else a request id is remembered: told again after that, it would count again."""
MOST_EVENTS = 20_000
"""Recent events that are kept."""
ROWS = 2_000
"""Rows of one table that one step touches at most."""
TOTALS_MS = 6 * HOUR_MS
"""Time of which one step forgets the sums at most."""
PAGES = 500
"""Free pages that one step gives back to the disk."""
SPARE_PAGES = 32
"""Free pages that stay for what comes next."""
LEAP_MS = DAY_MS
"""A clock that is this much ahead of the last time may be wrong: nothing is forgotten for its age until it has kept it up."""
DOUBT_MS = 36 * HOUR_MS
"""For how long a clock that leapt is not believed: one that is wrong for a day must not cost thirty days of history."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept.

    Attributes:
        days: of everything; requests and names are remembered for longer.
        size: bytes of the database file.
    """

    days: int
    size: int


def meta(connection: sqlite3.Connection, key: str) -> int:
    """A number that the database keeps about itself; 0 where it has none."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return 0 if row is None else int(row[0])


def set_meta(connection: sqlite3.Connection, key: str, value: int) -> None:
    """Keep such a number."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def step(connection: sqlite3.Connection, now_ms: int, bounds: Bounds) -> None:
    """Do a small part of what is due, if something is. Raises sqlite3.Error; then nothing was done."""
    if 0 <= now_ms - meta(connection, "looked") < EVERY_MS and not meta(connection, "unfinished"):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        horizon = _horizon(connection, now_ms, bounds)
        left = _to_hours(connection, now_ms - MINUTES_KEPT_MS)
        for forget in (_forget_slices, _forget_runs, _forget_requests, _forget_events):
            left |= forget(connection, horizon)
        set_meta(connection, "looked", now_ms)
        left |= connection.execute("PRAGMA freelist_count").fetchone()[0] > SPARE_PAGES
        set_meta(connection, "unfinished", int(left))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()


def _horizon(connection: sqlite3.Connection, now_ms: int, bounds: Bounds) -> int:
    """Before when everything is forgotten; it never goes back."""
    before = horizon = meta(connection, "horizon")
    if _believes(connection, now_ms):
        oldest_kept = now_ms - bounds.days * DAY_MS
        horizon = max(horizon, oldest_kept - oldest_kept % HOUR_MS)
    if used(connection) > bounds.size:
        begins = [connection.execute(f"SELECT min(begin) FROM {table}").fetchone()[0] for table in _SLICES]
        begins += [_oldest(connection, table) for table in _TOTALS]
        begins += connection.execute("SELECT min(last_seen) FROM runs").fetchone()
        oldest = min((begin for begin in begins if begin is not None), default=horizon)
        if oldest >= horizon:
            # Too large, and nothing is left that is too old: the oldest hour goes, and so on until it fits.
            horizon = oldest - oldest % HOUR_MS + HOUR_MS
    if horizon != before:
        set_meta(connection, "horizon", horizon)
    return horizon


def _believes(connection: sqlite3.Connection, now_ms: int) -> bool:
    """Whether the clock is to be trusted with forgetting: it did not leap, or has kept that up for long enough."""
    last, leapt = meta(connection, "looked"), meta(connection, "leapt")
    if leapt and (now_ms < leapt or now_ms - leapt > DOUBT_MS):
        set_meta(connection, "leapt", 0)
        return now_ms >= leapt
    if not leapt and last and now_ms - last > LEAP_MS:
        set_meta(connection, "leapt", now_ms)
        return False
    return not leapt


def used(connection: sqlite3.Connection) -> int:
    """Bytes of the database that hold something."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


_SLICES, _TOTALS = ("minutes", "hours", "usage"), ("totals", "usage_totals")


def _to_hours(connection: sqlite3.Connection, before: int) -> bool:
    """Turn the oldest minutes into hours, up to a time; whether some are left."""
    before -= before % HOUR_MS
    rows = connection.execute(
        "SELECT begin FROM minutes WHERE begin < ? ORDER BY begin LIMIT 1 OFFSET ?", (before, ROWS)
    ).fetchone()
    until = before if rows is None else max(rows[0], 1)
    if rows is not None and connection.execute("SELECT min(begin) FROM minutes").fetchone()[0] == until:
        until += 1  # one minute with more rows than that
    connection.execute(
        f"INSERT INTO hours (begin, agent, tool, {TALLY}) SELECT begin - begin % {HOUR_MS}, agent, tool, {TALLY} FROM minutes"
        f" WHERE begin < ? ON CONFLICT {ADD_TALLY}",
        (until,),
    )
    connection.execute("DELETE FROM minutes WHERE begin < ?", (until,))
    return rows is not None


def _forget_slices(connection: sqlite3.Connection, horizon: int) -> bool:
    left = False
    for table in _SLICES:
        row = connection.execute(
            f"SELECT begin FROM {table} WHERE begin < ? ORDER BY begin LIMIT 1 OFFSET {ROWS}", (horizon,)
        ).fetchone()
        connection.execute(f"DELETE FROM {table} WHERE begin < ?", (horizon if row is None else row[0] + 1,))
        left |= row is not None
    for table in _TOTALS:
        # No index by time: there are few agents, and what each of them did is in the sum of all.
        oldest = _oldest(connection, table)
        if oldest is not None and oldest < horizon:
            until = min(horizon, oldest + TOTALS_MS)
            agents = f"SELECT id FROM names UNION ALL VALUES ({ALL}), ({ALL_BY_HOUR})"
            connection.execute(f"DELETE FROM {table} WHERE agent IN ({agents}) AND begin < ?", (until,))
            left |= until < horizon
    return left


def _oldest(connection: sqlite3.Connection, table: str) -> int | None:
    found: int | None = connection.execute(f"SELECT min(begin) FROM {table} WHERE agent = {ALL_BY_HOUR}").fetchone()[0]
    return found


def _forget_runs(connection: sqlite3.Connection, horizon: int) -> bool:
    old = connection.execute("SELECT id FROM runs WHERE last_seen < ? ORDER BY last_seen LIMIT ?", (horizon, ROWS))
    gone = [run for (run,) in old]
    connection.executemany("DELETE FROM run_tools WHERE run = ?", [(run,) for run in gone])
    connection.executemany("DELETE FROM corrections WHERE run = ?", [(run,) for run in gone])
    connection.executemany("DELETE FROM runs WHERE id = ?", [(run,) for run in gone])
    return len(gone) >= ROWS


def _forget_requests(connection: sqlite3.Connection, horizon: int) -> bool:
    # There is no index by time, which would be half as large as what it tells of: so it is done for a day at once.
    before = horizon - REQUESTS_KEPT_MS
    if before - meta(connection, "requests") < DAY_MS:
        return False
    gone = connection.execute(
        f"DELETE FROM requests WHERE hash IN (SELECT hash FROM requests WHERE time < ? LIMIT {ROWS})", (before,)
    )
    if gone.rowcount < ROWS:
        set_meta(connection, "requests", before)
        return False
    return True


def _forget_events(connection: sqlite3.Connection, horizon: int) -> bool:
    row = connection.execute("SELECT time FROM events ORDER BY time DESC LIMIT 1 OFFSET ?", (MOST_EVENTS,)).fetchone()
    bound = horizon if row is None else max(horizon, row[0] + 1)
    gone = connection.execute("DELETE FROM events WHERE id IN (SELECT id FROM events WHERE time < ? LIMIT ?)", (bound, ROWS))
    return gone.rowcount >= ROWS
