"""The journals into the database: offsets of its own, in the same transaction as what was read up to them.

So each event is in the history exactly once, whoever brings it there and wherever they die. A lock keeps one process at a time
at it; what makes it exact is the transaction. Where the database cannot be used, the journals wait (within bounds), and the
next try catches up.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from pyjama_metrics.events import MAX_TIME_MS
from pyjama_metrics.storage import files, segments
from pyjama_metrics.storage.damage import is_damage
from pyjama_metrics.storage.history import BEGINS, THE_BEGINNING, schema, upkeep
from pyjama_metrics.storage.history.gathered import Batch, gather
from pyjama_metrics.storage.history.upkeep import Bounds
from pyjama_metrics.storage.history.writing import Writing
from pyjama_metrics.storage.lock import FoldLock
from pyjama_metrics.storage.segments import Segment

Offsets = dict[str, tuple[int, int]]
"""Journal to the bytes and the lines of it that are in the database."""


Gathered = dict[str, deque[Batch]]
"""What was read for another projection, by journal and in its order."""

_LEAST_SHARE = 64 * 1024


def offsets_of(folder: str) -> Offsets | None:
    """How far each journal is in the database; None where there is none. Raises sqlite3.Error, TooNew."""
    connection = schema.open_to_read(folder, 0.0)
    if connection is None:
        return None
    try:
        return _offsets_in(connection)
    finally:
        connection.close()


def _offsets_in(connection: sqlite3.Connection) -> Offsets:
    return {name: (at, lines) for name, at, lines in connection.execute("SELECT journal, offset, lines FROM offsets")}


class Outcome(NamedTuple):
    """What one call did.

    Attributes:
        offsets: how far each journal is in the database.
        torn: journals that end with half a line, and their sizes: there is nothing to read until these change.
        caught_up: whether nothing whole was left.
        read_last: the journal that was read last.
        set_aside: where a damaged database was put.
    """

    offsets: Offsets
    torn: dict[str, int]
    caught_up: bool
    read_last: str
    set_aside: str | None


class Projector:
    """Brings the journals of one folder into its history, under the history's lock. Made for each time anew."""

    def __init__(self, folder: str, now_ms: int, ahead_ms: int, bounds: Bounds) -> None:
        self._folder, self._now, self._latest, self._bounds = folder, now_ms, min(now_ms + ahead_ms, MAX_TIME_MS), bounds
        self._lock = FoldLock(schema.path_of(folder) + ".lock")

    def advance(self, gathered: Gathered, budget: int, behind: str, until: Mapping[str, int] | None = None) -> Outcome:
        """Read on, as far as the budget goes.

        Args:
            gathered: what the caller has read already; what does not begin where the database is, is read again.
            budget: bytes after which to take no more; the last share may go beyond.
            behind: the journal that was read last, so that with many each has its turn.
            until: how far to read each journal, in bytes; to its end where None.

        Raises:
            LockTimeout: another process is at it.
            sqlite3.Error, OSError, HubError, TooNew: nothing was changed.
        """
        with self._lock.held(0.0):
            try:
                return self._advance(gathered, budget, behind, until, None)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
            aside = schema.set_aside(self._folder)
            return self._advance({}, budget, behind, until, aside)

    def clear(self, offsets: Offsets, wait: float) -> None:
        """Forget everything that happened until the journals were at ``offsets``; open runs stay, with nothing counted.

        Raises as `advance` does; LockTimeout after ``wait`` seconds.
        """
        with self._lock.held(wait):
            connection = schema.open_to_write(self._folder)
            try:
                connection.execute("BEGIN IMMEDIATE")
                for table in schema.DETAILS:
                    connection.execute(f"DELETE FROM {table}")
                connection.execute("DELETE FROM runs WHERE outcome IS NOT NULL")
                connection.execute(f"UPDATE runs SET {schema.NOTHING_COUNTED}")
                connection.execute("DELETE FROM offsets")
                _keep(connection, offsets)
                upkeep.set_meta(connection, "unfinished", 1)
                upkeep.set_meta(connection, "began", self._now)
                connection.execute("COMMIT")
            finally:
                connection.close()

    def _began(self, aside: str | None) -> int:
        """Since when a database that is made now knows all that happened."""
        begins_with_hub = aside is None and os.path.exists(os.path.join(self._folder, BEGINS))
        return THE_BEGINNING if begins_with_hub else self._now

    def _advance(
        self, gathered: Gathered, budget: int, behind: str, until: Mapping[str, int] | None, aside: str | None
    ) -> Outcome:
        connection = schema.open_to_write(self._folder)
        try:
            connection.execute("BEGIN IMMEDIATE")
            offsets = _offsets_in(connection)
            if not upkeep.meta(connection, "began"):
                upkeep.set_meta(connection, "began", self._began(aside))
            reading = _Reading(self._folder, offsets, self._latest, until)
            writing = Writing(connection, upkeep.meta(connection, "horizon"))
            for name, batch in reading.batches(gathered, budget, behind):
                writing.add(name, reading.offsets[name][1], batch)
            writing.save()
            _keep(connection, {name: at for name, at in reading.offsets.items() if offsets.get(name) != at})
            vanished = offsets.keys() - reading.offsets.keys()
            connection.executemany("DELETE FROM offsets WHERE journal = ?", [(name,) for name in vanished])
            connection.execute("COMMIT")
            with suppress(OSError):
                files.remove(os.path.join(self._folder, BEGINS))
            upkeep.step(connection, self._now, self._bounds)
        finally:
            connection.close()  # which rolls back what is not committed
        return Outcome(reading.offsets, reading.torn, reading.caught_up, reading.read_last, aside)


def _keep(connection: sqlite3.Connection, offsets: Offsets) -> None:
    connection.executemany("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)", [(name, *at) for name, at in offsets.items()])


def _end(segment: Segment, offsets: Offsets, until: Mapping[str, int]) -> int:
    """How far to read a journal; where more than that was read already, it is not to be taken for a journal that was cut."""
    return max(until.get(segment.name, 0), offsets.get(segment.name, (0, 0))[0])


class _Reading:
    """One look at the journals, under the lock: a journal that is not there now is gone for good.

    Attributes:
        offsets: how far each journal that is there has been read, of bytes and lines.
        torn, caught_up, read_last: as in `Outcome`.
    """

    def __init__(self, folder: str, offsets: Offsets, latest_ms: int, until: Mapping[str, int] | None) -> None:
        self._latest = latest_ms
        self._listed = segments.listing(folder)
        if until is not None:
            self._listed = [replace(each, size=min(each.size, _end(each, offsets, until))) for each in self._listed]
        self.offsets: Offsets = {}
        self.torn: dict[str, int] = {}
        self.caught_up = False
        self.read_last = ""
        for segment in self._listed:
            at, lines = offsets.get(segment.name, (0, 0))
            # Somebody truncated it: what is in it now is new.
            self.offsets[segment.name] = (at if at <= segment.size else 0), lines

    def batches(self, gathered: Gathered, budget: int, behind: str) -> Iterator[tuple[str, Batch]]:
        """(journal, what comes next in it), a share of each writer in turn. The offset moves when the next one is asked for."""
        writers: dict[str, deque[Segment]] = {}
        for segment in self._listed:
            if segment.size > self.offsets[segment.name][0]:
                writers.setdefault(segment.writer, deque()).append(segment)
        behind = behind.rsplit(".", 2)[0]
        turns = deque(sorted(writers, key=lambda writer: (writer <= behind, writer)))
        while turns and budget > 0:
            writer = turns.popleft()
            segment = writers[writer][0]
            self.read_last = segment.name
            batch = self._next(segment, gathered, min(max(budget // (len(turns) + 1), _LEAST_SHARE), segments.CHUNK))
            if batch is not None:
                yield segment.name, batch
                budget -= batch.size
                self.offsets[segment.name] = batch.offset + batch.size, self.offsets[segment.name][1] + batch.lines
            if batch is None or self.offsets[segment.name][0] >= segment.size:
                writers[writer].popleft()
            if writers[writer]:
                turns.append(writer)
        self.caught_up = not turns

    def _next(self, segment: Segment, gathered: Gathered, share: int) -> Batch | None:
        at = self.offsets[segment.name][0]
        waiting = gathered.get(segment.name)
        while waiting:
            batch = waiting.popleft()
            if batch.offset == at:
                return batch
        try:
            # No further than it was when it was listed: the caller may have named an end.
            lines, size = segments.read_lines(segment.path, at, min(share, segment.size - at))
        except (FileNotFoundError, PermissionError):
            return None  # removed since it was listed, or another user's
        if not size:
            self.torn[segment.name] = segment.size
            return None
        return gather(at, size, segments.parse(lines, self._latest) if lines else [])
