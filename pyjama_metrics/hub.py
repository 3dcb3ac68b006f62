"""The hub: one folder, and the order of steps in which its journals become ``metrics.json``.

Everything with a rule in it is elsewhere: what an event means (`fold`), what is forgotten (`retention`), who is dead (`deaths`),
what is in a file (`storage`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pyjama_metrics import deaths, settings
from pyjama_metrics.errors import FolderUnusable, HubError, LockTimeout, SnapshotUnreadable
from pyjama_metrics.fold import fold
from pyjama_metrics.retention import cleared, retain
from pyjama_metrics.state import State
from pyjama_metrics.statuses import OPEN
from pyjama_metrics.storage import followed, losses, names, segments
from pyjama_metrics.storage.files import Signature
from pyjama_metrics.storage.history.follower import EVERYTHING, History
from pyjama_metrics.storage.lock import FoldLock, HeldLock
from pyjama_metrics.storage.requests import RequestsFile
from pyjama_metrics.storage.segments import Claim, Segment
from pyjama_metrics.storage.snapshot import Removed, SnapshotFile, SnapshotTooNew

if TYPE_CHECKING:
    from pyjama_metrics.sessions.follower import Follower

FOLD_BYTES = 2 * 1024 * 1024
"""Journal bytes after which a fold takes no more (some 15,000 events, 50 ms), so that no agent has to work for all."""
_LEAST_SHARE = 64 * 1024
_BUSY = 0.005

Projection = Callable[[str], int]
"""How far a projection of the journals is durably past: the name of a segment to an offset in bytes."""
Result = TypeVar("Result")

AHEAD_MS = 5 * 60 * 1000
"""An event dated further ahead than that is dated wrongly: it would be the latest of all until then."""
_MOST_DOUBT = 2
"""0: the snapshot is taken as it is; 1: each of its rows is looked at; 2: neither it nor the generation before is believed."""


@dataclass(frozen=True, slots=True)
class FoldReport:
    """What one fold did.

    Attributes:
        events: journal lines that were added to the state.
        caught_up: whether everything that the journals held when it began is in the snapshot now.
        busy: whether another process was folding and this one did nothing.
    """

    events: int = 0
    caught_up: bool = False
    busy: bool = False


class Hub:
    """The hub in one folder.

    An instance may be used by several threads of one process: the fold lock keeps threads apart as it keeps processes apart. It
    holds no open file between two calls, so it may be carried over a fork.
    """

    def __init__(self, folder: str | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Args:
        folder: the hub's folder; ``$PYJAMA_HOME`` or ``~/.pyjama`` where None. It is made when it is first written to.
        clock: seconds since the epoch.
        """
        self.folder = settings.home() if folder is None else os.path.abspath(folder)
        self.clock = clock
        self.trouble: HubError | None = None
        """Why the last ``read``, by whichever thread, could not bring the figures up to date; None where it could."""
        self.history = History(self.folder, clock, AHEAD_MS)
        """The second projection of the journals: what happened in the past, in a database."""
        self.projections: list[Projection] = [self.history.past, self._followed_to]
        """Other projections of the journals: a segment stays until each of them is past its end."""
        self._snapshot = SnapshotFile(self.folder, fsync=settings.fsync())
        self._requests = RequestsFile(self.folder, fsync=settings.fsync())
        self._lock = FoldLock(self._snapshot.path + ".lock")
        self._watch = deaths.OwnerWatch(followed_to=self._followed_to, is_followed=lambda: followed.is_at_work(self.folder))
        self._cached: tuple[Signature, State] | None = None
        self._follower: Follower | None = None
        self._read_last = ""
        self._listed: list[Segment] = []
        self._history_is_awaited = False

    @property
    def snapshot_path(self) -> str:
        """The shared file, ``metrics.json``."""
        return self._snapshot.path

    @property
    def lock_path(self) -> str:
        """The file whose lock a fold holds."""
        return self._lock.path

    def _followed_to(self, name: str) -> int:
        """How far a session's journal is read by whoever follows sessions, in bytes; others need not be."""
        if names.source_of(name) is None:
            return EVERYTHING
        return followed.followed_to(self.folder, name)

    def lost_elsewhere(self) -> int:
        """Events that processes could not record and could not tell in a journal either, as far as they left a note."""
        return sum(losses.notes(self.folder).values())

    # -- sessions of other programs --------------------------------------------------------------------------------

    def follow(self) -> bool:
        """Bring what hooks and transcripts of other programs' sessions tell into their journals; whether that was all for now.

        It costs a listing of the journals where there are no such sessions. Where it cannot be done, `follower.trouble` says why.
        """
        follower = self.follower
        if follower is None or not follower.is_due():
            return True
        return follower.advance() or follower.trouble is not None

    @property
    def follower(self) -> Follower | None:
        """Who follows the sessions of other programs; None where there was none yet."""
        if self._follower is None:
            try:
                listed = segments.listing(self.folder)
            except OSError:
                return None
            if any(names.source_of(segment.writer) for segment in listed) or os.path.exists(names.sessions_path(self.folder)):
                from pyjama_metrics.sessions.follower import Follower  # most hubs have no sessions, and do without it

                self._follower = Follower(self.folder, self.clock)
        return self._follower

    def watches_sessions(self) -> bool:
        """Whether a session is open, or ended just now: only whoever goes on finds its program dead, or its last words."""
        if self._follower is not None and self._follower.expects_more:
            return True
        state = self._cached[1] if self._cached is not None else None
        return state is not None and any(
            names.source_of(run_id) is not None and run["status"] in OPEN
            for agent in state["agents"].values()
            for run_id, run in agent["runs"].items()
        )

    # -- folding ---------------------------------------------------------------------------------------------------

    def fold(self, wait: float | None = 0.0, *, max_bytes: int = FOLD_BYTES, thorough: bool = False) -> FoldReport:
        """Bring ``metrics.json`` closer to the journals, find dead owners, remove what is read and done with.

        Args:
            wait: seconds to wait while another process folds; 0 gives up at once, None waits as long as it takes.
            max_bytes: journal bytes after which to take no more; the last share may go beyond.
            thorough: look at each row of the snapshot first, and restore it where one is not what it should be.

        Raises:
            FolderUnusable, SnapshotUnwritable: nothing was changed, nothing is lost, a later fold catches up.
            SnapshotUnreadable: a newer version of pyjama-metrics wrote the snapshot.
        """
        try:
            report = self._under_lock(wait, lambda held, doubt: self._fold(held, doubt, max_bytes), int(thorough))
        except LockTimeout:
            return FoldReport(busy=True)
        # Without the lock: nobody waits for the history, and it has offsets of its own.
        if self.history.is_due(self._listed, now=self._history_is_awaited):
            self.history.advance()
        return report

    def _under_lock(self, wait: float | None, step: Callable[[HeldLock, int], Result], doubt: int = 0) -> Result:
        while True:
            try:
                with self._lock.held(wait) as held:
                    try:
                        return step(held, doubt)
                    finally:
                        self._requests.end()
            except Removed:
                continue  # somebody removed the snapshot or the folder meanwhile: begin again with what is there now
            except OSError as error:
                raise FolderUnusable(self.folder, error.strerror or str(error)) from error
            except (LookupError, TypeError, ValueError, AttributeError):
                # A row of the snapshot may not be what it should be: an older version wrote it, or a person did. To look at
                # each row costs more than all the rest of a fold, so it is done when there is a reason to. Where that does
                # not help, the figures are made anew from the journals that are there.
                if doubt == _MOST_DOUBT or self._snapshot.signature() is None:
                    raise
                doubt += 1

    def _fold(self, held: HeldLock, doubt: int, max_bytes: int) -> FoldReport:
        state, exists = self._load(doubt)
        _set_back(state, self._now())
        if not exists and state["generation"] == 0:
            self.history.begin_with_hub()
        start = {name: dict(at) for name, at in state["journals"].items()}
        listed = segments.listing(self.folder)
        folded, caught_up = self._add_new(state, listed, max_bytes)
        found = self._watch.look(state, self.folder, self._now())
        if found:
            listed = segments.listing(self.folder)
            folded += self._add_new(state, listed, max_bytes)[0]
        if found or not exists or state["journals"] != start:
            for name in state["journals"].keys() - {segment.name for segment in listed}:
                del state["journals"][name]
            retain(state, self._now())
            self._publish(held, state, exists, start)
            self._history_is_awaited = False
            if exists:
                # What the generation before had read to the end can never be needed again, even to restore from it.
                self._remove_finished(listed, lambda name: start.get(name, {}).get("offset", 0))
        else:
            self._remember(state)
        self._listed = listed
        return FoldReport(folded, caught_up)

    def _load(self, doubt: int) -> tuple[State, bool]:
        """The state to go on from, and whether it is that of the snapshot in place; the requests are those that it counts."""
        # Taken out while it is being changed: a fold that fails half way leaves a state that is no use any more.
        cached, self._cached = self._cached, None
        if cached is not None and not doubt and cached[0] == self._snapshot.signature():
            self._requests.begin(cached[1]["generation"])
            return cached[1], True
        try:
            if doubt == _MOST_DOUBT:
                return self._gone_back(trust_previous=False), False
            state = self._snapshot.read(thorough=doubt > 0)
        except SnapshotTooNew:
            raise
        except SnapshotUnreadable:
            return self._gone_back(trust_previous=True), False
        if state is None:
            self._requests.begin(-1)
            emptied = self._snapshot.emptied()
            if emptied["generation"]:
                emptied["known-from"] = self._now()  # somebody removed the snapshot
            return emptied, False
        self._requests.begin(state["generation"])
        return state, True

    def _gone_back(self, *, trust_previous: bool) -> State:
        """The state to go on from where the snapshot is damaged, with the requests that it counts."""
        state, counts = self._snapshot.restore(trust_previous=trust_previous)
        self._requests.begin(counts)
        return state

    def _remember(self, state: State) -> None:
        signature = self._snapshot.signature()
        if signature is not None:
            self._cached = (signature, state)

    def _add_new(self, state: State, listed: list[Segment], budget: int) -> tuple[int, bool]:
        """Fold what is new, a share of each journal in turn: (lines folded, whether nothing whole was left)."""
        folded = 0
        waiting = [segment for segment in listed if segment.size != _offset(state, segment.name)]
        # Begin behind where the last fold ended, so that with many journals each has its turn.
        waiting.sort(key=lambda segment: (segment.name <= self._read_last, segment.name))
        while waiting and budget > 0:
            segment = waiting.pop(0)
            share = min(max(budget // (len(waiting) + 1), _LEAST_SHARE), 4 * FOLD_BYTES)
            lines, size = self._take(state, segment, share)
            folded, budget, self._read_last = folded + lines, budget - size, segment.name
            if size and _offset(state, segment.name) < segment.size:
                waiting.append(segment)
        return folded, not waiting

    def _take(self, state: State, segment: Segment, share: int) -> tuple[int, int]:
        """Fold about ``share`` bytes of one journal: (lines folded, their bytes)."""
        at = state["journals"].setdefault(segment.name, {"offset": 0, "lines": 0})
        if not 0 <= at["offset"] <= segment.size:
            at["offset"] = 0  # somebody truncated it: what is in it now is new
        try:
            lines, size = segments.read_lines(segment.path, at["offset"], share)
        except (FileNotFoundError, PermissionError):
            return 0, 0  # removed by whoever removed the folder; or another user's, and doctor says so
        parsed = segments.parse(lines, self._now() + AHEAD_MS) if lines else []
        fold(state, segment.name, parsed, self._requests)
        self.history.take(segment.name, at["offset"], size, parsed)
        at["offset"] += size
        return len(parsed), size

    def _publish(
        self, held: HeldLock, state: State, exists: bool, start: dict[str, dict[str, int]], *, cleared: bool = False
    ) -> None:
        before = state["generation"]
        state["generation"], state["updated"] = before + 1, self._now()
        if not held.is_in_place():
            raise Removed  # the folder that we locked is gone; what we know belongs to it, not to the new one
        self._requests.write(before + 1, self._now(), cleared=cleared)
        if self._requests.set_aside is not None:
            state["problems"]["damaged-requests"] = state["problems"].get("damaged-requests", 0) + 1
        try:
            self._cached = (self._snapshot.write(state, held, replaces=exists), state)
        except Removed:
            # Events recorded after the removal may be in this very batch: read it again, into empty figures.
            if held.is_in_place():
                self._snapshot.keep_offsets(before, start)
            raise

    def _remove_finished(self, listed: list[Segment], before: Projection) -> None:
        newest = segments.newest(listed)
        self.history.bound(listed)
        for segment in listed:
            followed = newest[segment.writer].number > segment.number
            if not followed and segment.writer not in self._watch.final:
                continue
            read_to = before(segment.name)
            for past in self.projections if read_to else ():
                read_to = min(read_to, past(segment.name))
            self._history_is_awaited |= read_to < segment.size
            self._remove(segment, followed, read_to)

    def _remove(self, segment: Segment, followed: bool, read_to: int) -> None:
        try:
            with Claim(segment) as claim:
                # Not its size, but its whole lines: half a line at the end, left by a full disk, is nothing to read.
                if (followed or claim.is_final) and claim.holds_lock and not claim.unread(read_to):
                    claim.remove()
                    self.history.was_removed(segment)
        except (FileNotFoundError, PermissionError):
            return  # gone already; or another user's

    def _now(self) -> int:
        return int(self.clock() * 1000)

    # -- reading ---------------------------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> bool:
        """Fold until everything that any process had recorded when this was called is in ``metrics.json``.

        Args:
            timeout: seconds to try; None tries until it is done.

        Returns:
            Whether it is done. Raises as ``fold`` does.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.follow() and (deadline is None or time.monotonic() < deadline):
            time.sleep(_BUSY)
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if self.fold(left, max_bytes=4 * FOLD_BYTES).caught_up:
                return True
            if left == 0.0:
                return False

    def catch_up(self, timeout: float | None = None) -> bool:
        """Bring everything that any process had recorded when this was called into ``metrics.json`` and into the history.

        Args:
            timeout: seconds to try; None tries until it is done, or the history says why it cannot be.

        Returns:
            Whether it is done; ``history.trouble`` says what is wrong with the history. Raises as ``fold`` does.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self.flush(timeout):
            return False
        while self.history.is_kept and not self.history.advance():
            if self.history.trouble is not None or (deadline is not None and time.monotonic() >= deadline):
                return False
            time.sleep(_BUSY)  # another process is at it
        return True

    def as_one(self, look: Callable[[State], Result], timeout: float) -> Result:
        """Look at the figures and at the history, which both hold the same lines of the same journals meanwhile.

        Args:
            look: gets the state, which is not to be changed; what it returns is returned.
            timeout: seconds to wait for others.

        Raises:
            LockTimeout: other processes were at it for longer than that.
            HubError: one of the two cannot be brought up to date.
        """
        deadline = time.monotonic() + timeout
        self.catch_up(timeout)  # as far as that goes without keeping others from it
        return self._under_lock(timeout, lambda held, doubt: self._as_one(held, doubt, look, timeout, deadline), 1)

    def _as_one(self, held: HeldLock, doubt: int, look: Callable[[State], Result], timeout: float, deadline: float) -> Result:
        while True:
            self._fold(held, doubt, 4 * FOLD_BYTES)
            state = self._snapshot.read(thorough=True) or self._snapshot.emptied()
            until = {name: at["offset"] for name, at in state["journals"].items()}
            while self.history.is_kept and not self.history.advance(until=until):
                if self.history.trouble is not None:
                    raise self.history.trouble
                if time.monotonic() >= deadline:
                    raise LockTimeout(self.history.path, timeout)
                time.sleep(_BUSY)
            # Somebody who had read the journals before we held the lock may have brought the history further: we follow.
            if not self.history.is_kept or self.history.is_at(until):
                return look(state)

    def signature(self) -> Signature | None:
        """What tells one generation of the snapshot from every other; None where there is none. Raises FolderUnusable."""
        return self._snapshot.signature()

    def read(self, fresh: bool = True, *, timeout: float = 5.0, thorough: bool = False) -> State:
        """The state, as a copy of the caller's own.

        Args:
            fresh: fold first. Where that fails (a full disk, a folder that may only be read) the figures are those of the last
                fold, and ``trouble`` says why.
            timeout: seconds to spend on being fresh.
            thorough: look at each row: what it lacks is filled in, and a value of a wrong type makes the snapshot unreadable.
                Takes tens of milliseconds with hundreds of agents.

        Raises:
            SnapshotUnreadable, FolderUnusable: there is a snapshot and it cannot be read.
        """
        self.trouble = None
        if fresh and not self._is_missing():
            try:
                if not self.flush(timeout):
                    self.trouble = LockTimeout(self.lock_path, timeout)
            except HubError as error:
                self.trouble = error
        state = self._snapshot.read(thorough=thorough)
        if state is None:
            if self.trouble is not None:
                raise self.trouble
            return self._snapshot.emptied()
        return state

    def _is_missing(self) -> bool:
        """Whether there is no folder: then there is nothing to fold, and to look must not make one."""
        try:
            os.stat(self.folder)
        except FileNotFoundError:
            return not os.path.islink(self.folder)
        except OSError:
            return False
        return False

    def pending(self) -> bool:
        """Whether a fold may have something to do: unread bytes, no snapshot, or owners to look after. Cheap; takes no lock."""
        cached = self._cached
        if cached is None or self._snapshot.signature() != cached[0]:
            return True
        try:
            listed = segments.listing(self.folder)
        except OSError as error:
            raise FolderUnusable(self.folder, error.strerror or str(error)) from error
        is_new = any(s.size != _offset(cached[1], s.name) for s in listed)
        return is_new or (bool(listed) and self._watch.is_due) or self.history.is_due(listed)

    # -- clearing and checking -------------------------------------------------------------------------------------

    def clear(self, timeout: float = 10.0, *, history: bool = False) -> None:
        """Start the figures anew: everything counted so far goes, open runs stay as running with nothing counted.

        Agents may record all the while; what they record after this began is counted in full.

        Args:
            timeout: seconds to wait for others.
            history: clear the history as well; otherwise it stays, and goes on.

        Raises:
            LockTimeout: another process held the lock for ``timeout`` seconds.
            HistoryUnusable: the history could not be cleared, and nothing else was.
            FolderUnusable, SnapshotUnwritable: the figures were not cleared.
        """
        self._under_lock(timeout, lambda held, doubt: self._clear(held, doubt, timeout if history else None))

    def _clear(self, held: HeldLock, doubt: int, history: float | None) -> None:
        state, _ = self._load(doubt)
        # Before the journals are read: what is recorded while they are is counted by the figures that begin now.
        began = self._now()
        listed = segments.listing(self.folder)
        self._add_new(state, listed, 2**62)
        start = {name: dict(at) for name, at in state["journals"].items()}
        anew = cleared(state)
        anew["known-from"] = began
        if history is not None:
            self.history.clear(start, history)
        self._publish(held, anew, False, start, cleared=True)
        self._snapshot.become_own_previous()
        losses.clear_notes(self.folder)

    def writers(self) -> list[segments.WriterInfo]:
        """Who writes, or wrote and is not yet removed. Raises OSError."""
        return segments.writers(self.folder, self._cached_offsets())

    def _cached_offsets(self) -> dict[str, int]:
        try:
            state = self._snapshot.read(thorough=True)
        except HubError:
            state = None
        return {} if state is None else {name: at["offset"] for name, at in state["journals"].items()}


def _offset(state: State, name: str) -> int:
    at = state["journals"].get(name)
    return 0 if at is None else at["offset"]


def _set_back(state: State, now_ms: int) -> None:
    """Move the log entries that are dated too far ahead back, as a whole, so that the last of them is now.

    The clock was set back since. Left where they are, they would be the latest until it is there again, and keep every new
    entry out. Nor are the figures known from a time on that is still to come.
    """
    state["known-from"] = min(state["known-from"], now_ms)
    logs, bound = state["recent-logs"], now_ms + AHEAD_MS
    by = logs[-1]["timestamp"] - now_ms if logs else 0
    if by > AHEAD_MS:
        for entry in logs:
            entry["timestamp"] -= by if entry["timestamp"] > bound else 0
        logs.sort(key=lambda entry: entry["timestamp"])
