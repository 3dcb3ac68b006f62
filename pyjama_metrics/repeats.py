"""Calls that are repeated although they fail: read from the executions of a run, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyjama_metrics.events import status_class
from pyjama_metrics.executions import Row

REPEATS = 3
"""Failures of one tool, without a success of any tool in between, from which on an agent counts as repeating a failing call."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A call that an open run repeats although it fails.

    Since the run's last success, by whichever tool, ``tool`` has failed ``times`` times; failures of other tools in between do
    not end that, and interruptions are neither.

    Attributes:
        since_ms: time of the first of these failures, in ms since the epoch.
        message: error of the latest; None where it told none.
    """

    tool: str
    times: int
    since_ms: int
    message: str | None
    run_id: str


def failures_since_success(rows: Sequence[Row], run_id: str) -> list[Failing]:
    """The calls that failed ``REPEATS`` times or more since anything succeeded.

    Args:
        rows: executions of a run, oldest first.
        run_id: name of the run.
    """
    found: dict[str, Failing] = {}
    for time, _, _, _, tool, status, error in reversed(rows):
        outcome = status_class(status)
        if outcome == "success":
            break
        if outcome == "error":
            later = found.get(tool)
            times, message = (1, error) if later is None else (later.times + 1, later.message)
            found[tool] = Failing(tool, times, time, message, run_id)
    return [failing for failing in found.values() if failing.times >= REPEATS]


def worst(found: Iterable[Failing]) -> Failing | None:
    """The one that failed most often, and of those the one that failed first."""
    return min(found, key=lambda failing: (-failing.times, failing.since_ms, failing.tool, failing.run_id), default=None)
