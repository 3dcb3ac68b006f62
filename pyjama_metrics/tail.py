"""A tail of the journals: what they got since the last look, for the memory of a dashboard.

It reads what the fold reads, beside it and at offsets of its own; it takes no lock, writes nothing, and keeps no file open.
Whoever needs sums has them from the fold. So this may do what the fold must not: pass over bytes when there are too many.
"""

from __future__ import annotations

import functools
import os
import time
from collections import deque
from collections.abc import Callable

from pyjama_metrics.hub import AHEAD_MS
from pyjama_metrics.recent import Recent
from pyjama_metrics.storage import names, requests, segments
from pyjama_metrics.storage.segments import Segment

READ_BYTES = 2 * 1024 * 1024
"""Journal bytes after which one call takes no more: some 15,000 events, 50 ms."""
MAX_BEHIND = 32 * 1024 * 1024
"""Unread bytes, of all journals together, beyond which a tail passes over most of them: it would only see what is long past."""
KEPT_BEHIND = 8 * 1024 * 1024
"""Unread bytes that it leaves itself then. A journal that has less than its share of them is read in full."""
_LEAST_SHARE = 64 * 1024
_STAMP_MS = 20
"""By how much the time of a change to a folder may lie before the change: file systems take that of the kernel's last tick."""


class _Position:
    """How far one journal is read.

    Attributes:
        inode: of the file; another file may have the name some day.
        size: bytes that it had when it was last listed.
        offset: bytes that are read, or passed over.
        looked: its size when there was no whole line behind the offset; nothing is new until that changes.
    """

    __slots__ = ("inode", "looked", "offset", "size")

    def __init__(self, inode: int) -> None:
        self.inode = inode
        self.size = self.offset = self.looked = 0

    @property
    def ahead(self) -> int:
        """Unread bytes that may be lines."""
        return 0 if self.size == self.looked else max(0, self.size - self.offset)


class Tail:
    """Feeds a `Recent` from the journals of the hub in one folder. Not for several threads at once, and neither is `recent`.

    Attributes:
        recent: the memory; the same object for good. Its ``since_ms`` is kept true here: it moves on when something was passed
            over, or vanished before it was read. (What was written, folded and removed between two calls leaves no trace.
            ``read_to`` keeps one's own hub from removing it, nothing keeps other processes.)
        let_go: bytes that were passed over or vanished unread.
        is_behind: whether the last call left something unread. Another one may follow at once.
    """

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        """Args:
        folder: the hub's folder; it need not exist.
        clock: seconds since the epoch.
        """
        self.recent = Recent()
        self.recent.known_requests = functools.partial(requests.newest, folder)
        self.let_go = 0
        self.is_behind = False
        self._folder, self._clock = folder, clock
        self._positions: dict[str, _Position] = {}
        self._place: tuple[int, int] | None = None
        self._read_last = ""
        self._since: int | None = None
        self._not_before = 0
        self._backlog: dict[str, int] | None = None

    def advance(self, max_bytes: int = READ_BYTES) -> int:
        """Read what the journals got since the last call; the first call begins with what is on disk.

        Without news it costs a listing of the journals with their sizes. Journals that vanish, shrink, are replaced, belong to
        somebody else or cannot be read do not raise; what cannot be read now is tried again.

        Args:
            max_bytes: bytes after which to take no more; the last share may go beyond, by less than 2 MiB.

        Returns:
            How many lines were read; 0 does not mean that nothing was there.
        """
        if self._since is not None and self.recent.since_ms is None:
            self._not_before, self._since = self._now(), None  # somebody else had the memory forget
        self._mind_the_clock()
        self._keep_place()
        try:
            listed = segments.listing(self._folder)
        except OSError:
            return 0  # the journals may not be listed now: whoever folds says so
        waiting = self._compare(listed)
        if self._since is None and self._backlog is None:
            self._backlog = {segment.name: segment.size for segment in waiting}
            self._not_before = max(self._not_before, self._unchanged_since())
        if sum(self._positions[segment.name].ahead for segment in waiting) > MAX_BEHIND:
            self._pass_over(waiting)
        lines = self._read_waiting(waiting, max_bytes)
        if self._backlog is not None and all(self._has_read(*of_segment) for of_segment in self._backlog.items()):
            self._date_from(self._not_before)
        return lines

    def forget(self) -> None:
        """Forget everything recorded until now, because the figures were cleared. Runs that are open stay known."""
        self.advance(MAX_BEHIND)  # what is unread may tell of runs that began
        now = self._now()
        self.recent.forget()
        self._date_from(now)

    def read_to(self, name: str) -> int:
        """How far a segment is read, in bytes. A hub that has this in its ``projections`` removes none before it is read."""
        position = self._positions.get(name)
        return 0 if position is None else position.offset

    def _mind_the_clock(self) -> None:
        """Where the clock was set back, nothing of before is dated later than now."""
        now = self._now()
        self.recent.set_back(now, AHEAD_MS)
        if self._since is not None and self._since > now:
            self._date_from(now)

    # -- what is there ---------------------------------------------------------------------------------------------

    def _keep_place(self) -> None:
        """Begin anew where the folder is another one, or gone: its figures were, too."""
        try:
            status = os.stat(names.journal_folder(self._folder))
            place = status.st_dev, status.st_ino
        except OSError:
            place = None
        if self._place not in (None, place):
            self._positions.clear()
            self.recent.forget()
            self._since, self._not_before, self._backlog = None, 0, None
        self._place = place

    def _compare(self, listed: list[Segment]) -> list[Segment]:
        """Bring the positions up to what was listed; the segments that have something new."""
        waiting, before, self._positions = [], self._positions, {}
        for segment in listed:
            position = before.get(segment.name)
            if position is None or position.inode != segment.inode or position.offset > segment.size:
                position = _Position(segment.inode)  # new, or another file, or truncated: what is in it now is new
            self._positions[segment.name] = position
            position.size = segment.size
            if position.ahead:
                waiting.append(segment)
        lost = sum(position.ahead for name, position in before.items() if self._positions.get(name) is not position)
        if lost:
            # Removed by a hub that had folded it, or with its folder; the fold knows what was in it and we never shall.
            self._count_let_go(lost)
        return waiting

    def _unchanged_since(self) -> int:
        """Since when no journal was removed: those that are there hold everything that was dated after that."""
        now = self._now()
        try:
            changed = os.stat(names.journal_folder(self._folder)).st_mtime_ns // 1_000_000
        except OSError:
            return now
        return min(now, changed + _STAMP_MS)

    def _has_read(self, name: str, size: int) -> bool:
        """Whether a segment is read as far as it went once, or is gone."""
        position = self._positions.get(name)
        return position is None or position.offset >= size or not position.ahead

    def _date_from(self, time_ms: int) -> None:
        self.recent.since_ms = self._since = time_ms
        self._backlog = None

    # -- reading ---------------------------------------------------------------------------------------------------

    def _pass_over(self, waiting: list[Segment]) -> None:
        """Leave ``KEPT_BEHIND`` bytes of what is unread: of each journal the end, of none more than an equal share of that."""
        positions = [self._positions[segment.name] for segment in waiting]
        left, share = KEPT_BEHIND, 0
        for place, ahead in enumerate(sorted(position.ahead for position in positions)):
            share = left // (len(positions) - place)
            if ahead > share:
                break
            left -= ahead
        let_go = 0
        for position in positions:
            if position.ahead > share:
                let_go += position.ahead - share
                position.offset = position.size - share  # within a line, most likely: the rest of it is no event
        self._count_let_go(let_go)

    def _count_let_go(self, count: int) -> None:
        self.let_go += count
        self._date_from(self._now())

    def _read_waiting(self, waiting: list[Segment], budget: int) -> int:
        """Read a share of each writer's journal in turn, its segments in order; how many lines."""
        lines = 0
        writers: dict[str, deque[Segment]] = {}
        for segment in waiting:
            writers.setdefault(segment.writer, deque()).append(segment)
        # Begin behind where the last call ended, so that with many journals each has its turn.
        turns = deque(sorted(writers, key=lambda writer: (writer <= self._read_last, writer)))
        while turns and budget > 0:
            writer = turns.popleft()
            segment, self._read_last = writers[writer][0], writer
            count, size = self._read(segment, min(max(budget // (len(turns) + 1), _LEAST_SHARE), READ_BYTES))
            lines, budget = lines + count, budget - size
            if not size or self._positions[segment.name].offset >= segment.size:
                writers[writer].popleft()
            if writers[writer]:
                turns.append(writer)
        self.is_behind = bool(turns)
        return lines

    def _read(self, segment: Segment, share: int) -> tuple[int, int]:
        """Read about ``share`` bytes of one segment: (lines, bytes)."""
        position = self._positions[segment.name]
        try:
            lines, size = segments.read_lines(segment.path, position.offset, share)
        except PermissionError:
            position.looked = segment.size  # another user's: the fold cannot read it either, and doctor says so
            return 0, 0
        except OSError:
            return 0, 0  # removed since it was listed, most likely; if not, the next call tries again
        position.offset += size
        if not size:
            position.looked = segment.size
        events = segments.parse(lines, self._now() + AHEAD_MS) if lines else []
        self.recent.add(segment.name, events)
        return len(events), size

    def _now(self) -> int:
        return int(self._clock() * 1000)
