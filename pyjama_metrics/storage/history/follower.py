"""The history as the hub knows it: it is told what was folded, follows at its own pace, and is never waited for.

SQLite is loaded when there is something to write, not before: a short process that only records or looks never needs it.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pyjama_metrics import settings
from pyjama_metrics.errors import HistoryUnusable, HubError, LockTimeout
from pyjama_metrics.event_fields import Event
from pyjama_metrics.storage import files, json
from pyjama_metrics.storage.history import BEGINS
from pyjama_metrics.storage.history.gathered import Batch, gather

if TYPE_CHECKING:
    from pyjama_metrics.storage.history.projection import Offsets, Projector
    from pyjama_metrics.storage.segments import Segment

NAME = "history.db"
LET_GO = "history.let-go"

READ_BYTES = 16 * 1024 * 1024
"""Journal bytes after which one call takes no more: some 100,000 events, a third of a second."""
PACE = 1.0
"""Seconds between two writes of the database, whoever does them, while little is new."""
MUCH = 8 * 1024 * 1024
"""Journal bytes that are written at once, pace or not. Many events in one transaction cost far less than in several."""
LEFT_BYTES = 1024 * 1024
"""Bytes of journals from which on even a process that leaves the history to others looks after it."""
GATHERED_BYTES = 8 * 1024 * 1024
"""Journal bytes of which the events are kept, gathered, between fold and write; beyond, they are read once more."""

JOURNALS_KEPT = 64 * 1024 * 1024
"""Bytes of journals that are kept at most for a history that cannot be written."""
JOURNALS_KEPT_S = 86_400.0
"""Seconds for which such a journal is kept at most after its last line."""
STUCK = 60.0
"""Seconds after which another process that is at it all the time is trouble: it is stopped, most likely."""
_PAUSES = (0.1, 30.0)
"""Seconds until the next try where the database cannot be written: at first, and at most."""

EVERYTHING = 2**62


class History:
    """The history of the hub in one folder. Safe for the threads of a process as long as one `Hub` uses it; no file stays open.

    Attributes:
        trouble: why the last try to bring it up to date failed; None where it did not.
        set_aside: where this process put a damaged database; None where it did not.
        is_kept: whether there is to be a history.
        is_left_to_others: this process is about to end, and leaves it alone unless much is waiting.
    """

    def __init__(self, folder: str, clock: Callable[[], float], ahead_ms: int) -> None:
        """Args:
        folder: the hub's.
        clock: seconds since the epoch.
        ahead_ms: by how much the time of an event may lie ahead of the clock.
        """
        self.trouble: HubError | None = None
        self.set_aside: str | None = None
        self.is_kept = settings.keeps_history()
        self.is_left_to_others = False
        self._folder, self._clock, self._ahead = folder, clock, ahead_ms
        self._offsets: Offsets | None = None
        self._torn: dict[str, int] = {}
        self._gathered: dict[str, deque[Batch]] = {}
        self._gathered_bytes = 0
        self._read_last = ""
        self._busy_since: float | None = None
        self._retry_at = 0.0
        self._pause = _PAUSES[0]
        self._given_up: set[str] = set()

    @property
    def path(self) -> str:
        """The database."""
        return os.path.join(self._folder, NAME)

    def begin_with_hub(self) -> None:
        """The first figures of this hub are being made, so whatever was recorded is still in its journals. A note of that is left
        for whoever makes the database, which a process that is about to end does not.
        """
        if self.is_kept:
            with suppress(OSError):  # the folder cannot be written, as the fold is about to find out
                path = os.path.join(self._folder, BEGINS)
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.FILE_MODE))

    # -- following -------------------------------------------------------------------------------------------------

    def take(self, name: str, offset: int, size: int, events: Sequence[Event | None]) -> None:
        """These lines of a journal were just read for the fold: where they come next here too, they need no second reading."""
        if not self.is_kept or self._offsets is None or self._gathered_bytes > GATHERED_BYTES or self._is_paused():
            return
        before = self._gathered.get(name)
        expected = before[-1].offset + before[-1].size if before else self._offsets.get(name, (0, 0))[0]
        if offset == expected:
            self._gathered.setdefault(name, deque()).append(gather(offset, size, events))
            self._gathered_bytes += size

    def is_due(self, listed: Sequence[Segment], *, now: bool = False) -> bool:
        """Whether there is something to bring into the database, and it is time to; cheap, and touches no database.

        Args:
            listed: the journals.
            now: do not keep the pace.
        """
        if not self.is_kept or self._is_paused() or self._is_unknown(listed):
            return False
        ahead = self._ahead_of(listed)
        return ahead > 0 and (now or ahead >= MUCH or self._is_time())

    def waiting(self, listed: Sequence[Segment]) -> int:
        """Bytes of these journals that are not in the database; 1 where nobody knows yet."""
        return self._ahead_of(listed)

    def _is_unknown(self, listed: Sequence[Segment]) -> bool:
        """Whether this process neither knows how far it is, nor has to."""
        if self._offsets is not None or not self.is_left_to_others:
            return False
        return sum(segment.size for segment in listed) < LEFT_BYTES

    def _ahead_of(self, listed: Sequence[Segment]) -> int:
        """Bytes that are not in the database; where nobody knows, at least one."""
        if self._offsets is None:
            return 1 if listed else 0
        ahead = 0
        for segment in listed:
            if self._torn.get(segment.name) != segment.size:
                # A journal that was truncated is new, so it counts as well.
                ahead += abs(segment.size - self._offsets.get(segment.name, (0, 0))[0])
        return ahead

    def _is_time(self) -> bool:
        written = 0.0
        for suffix in ("", "-wal"):
            try:
                written = max(written, os.stat(self.path + suffix).st_mtime)
            except OSError:
                continue
        return not 0 <= time.time() - written < PACE

    def _is_paused(self) -> bool:
        return time.monotonic() < self._retry_at

    def advance(self, budget: int = READ_BYTES, until: Mapping[str, int] | None = None) -> bool:
        """Bring the history closer to the journals; whether nothing whole was left. Never raises: `trouble` says why.

        Args:
            budget: journal bytes after which to take no more.
            until: how far to read each journal, in bytes; to its end where None.
        """
        gathered, self._gathered, self._gathered_bytes = self._gathered, {}, 0
        try:
            outcome = self._projector().advance(gathered, budget, self._read_last, until)
        except LockTimeout as error:
            return self._was_busy(error)
        except HubError as error:
            return self._failed(error)
        except Exception as error:
            # Whatever it is, it must not reach the fold: the live figures do not depend on the history.
            return self._failed(HistoryUnusable(self.path, str(error) or type(error).__name__))
        self._offsets, self._torn, self._read_last = outcome.offsets, outcome.torn, outcome.read_last
        self.set_aside = outcome.set_aside or self.set_aside
        self.trouble, self._busy_since, self._pause = None, None, _PAUSES[0]
        self._given_up.clear()
        return outcome.caught_up

    def _projector(self) -> Projector:
        from pyjama_metrics.storage.history.projection import Projector
        from pyjama_metrics.storage.history.upkeep import Bounds

        bounds = Bounds(settings.history_days(), settings.history_bytes())
        now = int(self._clock() * 1000)
        return Projector(self._folder, now, self._ahead, bounds)

    def _was_busy(self, error: HubError) -> bool:
        moment = time.monotonic()
        self._busy_since = moment if self._busy_since is None else self._busy_since
        if moment - self._busy_since > STUCK:
            return self._failed(error)
        return False

    def _failed(self, error: HubError) -> bool:
        self.trouble = error
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _PAUSES[1])
        return False

    def is_at(self, until: Mapping[str, int]) -> bool:
        """Whether the history is as far as that in each journal, and no further, as of the last `advance`."""
        # A journal that is gone is in neither any more; the state may still name it.
        return self._offsets is not None and all(offset == until.get(name, 0) for name, (offset, _) in self._offsets.items())

    # -- what may be removed ---------------------------------------------------------------------------------------

    def past(self, name: str) -> int:
        """How far the history is durably past a journal, in bytes: beyond that, it must not be removed."""
        if not self.is_kept or name in self._given_up:
            return EVERYTHING
        if self._offsets is None and not self.is_left_to_others:
            self._learn()
        return self._offset(name)

    def _learn(self) -> None:
        """Ask the database how far it is, because this process has not written it yet and somebody else may have."""
        from pyjama_metrics.storage.history.projection import offsets_of

        if not self._is_paused():
            try:
                self._offsets = offsets_of(self._folder)
            except Exception as error:
                self._failed(HistoryUnusable(self.path, str(error) or type(error).__name__))

    def _offset(self, name: str) -> int:
        return 0 if self._offsets is None else self._offsets.get(name, (0, 0))[0]

    def bound(self, listed: Sequence[Segment]) -> None:
        """Where the history cannot be written, give up those journals that have waited for too long, or are too much."""
        if self.trouble is None:
            return
        kept = 0
        aged = sorted(((_last_write(segment), segment) for segment in listed), key=lambda pair: pair[0], reverse=True)
        for written, segment in aged:
            unread = segment.size - self._offset(segment.name)
            kept += max(0, unread)
            if unread <= 0:
                continue
            if kept > JOURNALS_KEPT or time.time() - written > JOURNALS_KEPT_S:
                self._given_up.add(segment.name)

    def was_removed(self, segment: Segment) -> None:
        """A journal is gone; where the history had not read it, that is noted for whoever asks what is wrong."""
        if segment.name not in self._given_up:
            return
        journals, size = self.let_go()
        note = json.dumps({"journals": journals + 1, "bytes": size + segment.size - self._offset(segment.name)})
        try:
            path = os.path.join(self._folder, LET_GO)
            os.replace(files.write_beside(path, note), path)
        except OSError:
            return  # a full disk, most likely: it is the same trouble

    def let_go(self) -> tuple[int, int]:
        """How many journals the history never read, and their bytes."""
        try:
            note = json.loads(files.read_whole(os.path.join(self._folder, LET_GO)))
            return int(note["journals"]), int(note["bytes"])
        except (OSError, ValueError, TypeError, KeyError):
            return 0, 0

    def examine(self) -> str | None:
        """Why the database cannot be read, in words; None where it can, or where there is none."""
        if not os.path.lexists(self.path):
            return None
        from pyjama_metrics.storage.history.projection import offsets_of

        try:
            offsets_of(self._folder)
        except Exception as error:
            return str(error) or type(error).__name__
        return None

    def damaged(self) -> list[str]:
        """The databases that were set aside, oldest first. Raises OSError."""
        names = sorted(name for name in os.listdir(self._folder) if name.startswith(f"{NAME}.corrupt-") and name[-1].isdigit())
        return [os.path.join(self._folder, name) for name in names]

    # -- clearing --------------------------------------------------------------------------------------------------

    def clear(self, offsets: dict[str, dict[str, int]], wait: float) -> None:
        """Forget what the journals held up to ``offsets``, as the state names them.

        Raises:
            HistoryUnusable, LockTimeout: nothing was cleared.
        """
        self._gathered, self._gathered_bytes = {}, 0
        cut = {name: (at["offset"], at["lines"]) for name, at in offsets.items()}
        try:
            self._projector().clear(cut, wait)
        except HubError:
            raise
        except Exception as error:
            raise HistoryUnusable(self.path, str(error) or type(error).__name__) from error
        self._offsets = None
        try:
            files.remove(os.path.join(self._folder, LET_GO))
        except OSError:
            return


def _last_write(segment: Segment) -> float:
    try:
        return os.stat(segment.path).st_mtime
    except OSError:
        return time.time()
