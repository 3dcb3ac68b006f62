"""Finding out that the owner of a run is gone, and writing that into the owner's own journal.

A run names its writer, a writer's newest journal segment is locked for as long as its process lives. So whoever folds can tell,
without heartbeats or timeouts. The finding becomes a journal line like any other event: every projection reads it, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pyjama_metrics import events
from pyjama_metrics.fold import lose_sight
from pyjama_metrics.state import Run, State
from pyjama_metrics.storage import owners, segments
from pyjama_metrics.storage.segments import Claim, Segment

LOOK_EVERY = 0.2
"""Seconds between two looks, at least; more where there are so many journals that looking takes longer than 2 % of that."""
RECENT = 5.0
"""Where the owner was seen alive less than this many seconds ago, the time of finding it dead is the time of its death."""
LONGEST_PATIENCE_MS = 60_000
"""The same while somebody is at it, and has much to read."""
PATIENCE_MS = 3_000
"""How long the end of a session may be told by nobody but its hooks, which somebody has to follow first, in milliseconds."""

OpenRuns = dict[str, list[tuple[str, str, Run]]]
"""Writer to its open runs: (agent id, run id, run)."""


class OwnerWatch:
    """What one process knows about the owners of the journals. Use it under the fold lock only."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        followed_to: Callable[[str], int] | None = None,
        is_followed: Callable[[], bool] = lambda: False,
    ) -> None:
        """Args:
        monotonic: a clock for spans, in seconds.
        followed_to: how far a journal is read by whoever follows sessions of other programs, in bytes; None where nobody has to.
        is_followed: whether somebody is at that right now.
        """
        self.monotonic = monotonic
        self._followed_to, self._is_followed = followed_to, is_followed
        self.final: set[str] = set()
        """Writers that will never write again."""
        self._alive_at: dict[str, float] = {}
        self._due = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to look again."""
        return self.monotonic() >= self._due

    def look(self, state: State, folder: str, now_ms: int) -> bool:
        """Ask for each journal whether its owner lives; tell the deaths in the journals. Whether there is something to fold.

        Args:
            state: the state with the offsets up to which the journals are folded; of a journal that is not folded to its
                end nothing is concluded yet.
            folder: the hub's folder.
            now_ms: the time of looking, in milliseconds since the epoch.

        Raises OSError where a journal cannot be opened or written.
        """
        if not self.is_due:
            return False
        started = self.monotonic()
        open_runs = runs_by_owner(state)
        newest = segments.newest(segments.listing(folder))
        told = False
        for writer, segment in newest.items():
            try:
                with Claim(segment) as claim:
                    told |= self._conclude(state, claim, open_runs.get(writer, []), now_ms)
            except (FileNotFoundError, PermissionError):
                # Its owner removed the folder, another process removed a finished journal, or it is another user's: nothing to
                # conclude.
                continue
        for writer in open_runs.keys() - newest.keys():
            for agent_id, run_id, run in open_runs[writer]:
                if run["status"] != "unknown":
                    lose_sight(state, agent_id, run_id, now_ms)
                    told = True
        self._forget(newest)
        finished = self.monotonic()
        self._due = finished + max(LOOK_EVERY, 50 * (finished - started))
        return told

    def _conclude(self, state: State, claim: Claim, runs: list[tuple[str, str, Run]], now_ms: int) -> bool:
        writer = claim.segment.writer
        if claim.verdict == owners.ALIVE:
            self._alive_at[writer] = self.monotonic()
            return False
        at = state["journals"].get(claim.segment.name, {"offset": 0})
        if claim.unread(at["offset"]) or claim.was_followed():
            return False
        if claim.verdict == owners.DEAD:
            if runs and self._is_followed_soon(claim, now_ms):
                return False
            lines = [self._crash(claim, agent_id, run_id, now_ms) for agent_id, run_id, _ in runs]
        else:
            lines = [
                events.line("unknown", max(now_ms, run["last-seen"] + 1), {"agent": agent_id, "run": run_id})
                for agent_id, run_id, run in runs
                if run["status"] != "unknown"
            ]
        if lines:
            claim.append("".join(lines).encode())
        elif claim.is_final:
            self.final.add(writer)
        return bool(lines)

    def _is_followed_soon(self, claim: Claim, now_ms: int) -> bool:
        """Whether its last lines may yet say how a session ended, once whoever follows it has read them."""
        age = now_ms - claim.last_write_ms()
        if self._followed_to is None or age > LONGEST_PATIENCE_MS or (age > PATIENCE_MS and not self._is_followed()):
            return False
        return self._followed_to(claim.segment.name) < claim.segment.size

    def _crash(self, claim: Claim, agent_id: str, run_id: str, now_ms: int) -> str:
        seen = self._alive_at.get(claim.segment.writer)
        # Found long after the fact, the last thing that the owner wrote is the best that is known about its end.
        recent = seen is not None and self.monotonic() - seen < RECENT
        time_ms = now_ms if recent else min(now_ms, claim.last_write_ms())
        return events.line("crash", time_ms, {"agent": agent_id, "run": run_id, "detected": now_ms})

    def _forget(self, newest: dict[str, Segment]) -> None:
        self.final &= newest.keys()
        self._alive_at = {writer: at for writer, at in self._alive_at.items() if writer in newest}


def runs_by_owner(state: State) -> OpenRuns:
    """The open runs of a state by the writer that owns them."""
    found: OpenRuns = {}
    for agent_id, agent in state["agents"].items():
        for run_id, run in agent["runs"].items():
            if run["outcome"] is None:
                found.setdefault(events.owner_of(run_id), []).append((agent_id, run_id, run))
    return found
