"""Single executions of tools as the memory keeps them: a row each, and of each run the newest.

A row is what a journal said, in bounds; `Execution` is what is told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyjama_metrics.event_fields import Invalid, time_of, usable_durations
from pyjama_metrics.events import MAX_TIME_MS, status_class, text_of
from pyjama_metrics.histogram import valid_duration

MAX_RUN_EXECUTIONS = 500
"""Executions remembered of one run, the newest."""
MAX_EXECUTION_ERROR = 500
"""Characters kept of the error of one execution; `Recent.errors` has up to ``MAX_TEXT``."""

Row = tuple[Any, ...]
"""Time, journal, place (these order the rows, and no two have the same place), and then what there is to tell: of an execution
its duration, tool, status and error; of an error its message, tool and run.
"""
TIME, DURATION, ERROR = 0, 3, 6
"""Where these stand in the row of an execution."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a tool.

    Attributes:
        start_ms: when it began, in ms since the epoch: the time of its event, which is its end, less its duration.
        duration_ms: None where it was not measured; ``start_ms`` is then its end.
        tool: the tool's name, as in the state.
        status: in the words of whoever recorded it, at most ``MAX_WORD`` characters.
        outcome: ``success``, ``error`` or ``interrupted``.
        message: of its error, at most ``MAX_EXECUTION_ERROR`` characters; None where there was none.
    """

    start_ms: int
    duration_ms: float | None
    tool: str
    status: str
    outcome: str
    message: str | None


@dataclass(frozen=True, slots=True)
class Executions:
    """The newest executions of a run by their start, and how many more of it were seen and let go of."""

    rows: tuple[Execution, ...]
    let_go: int


class Newest:
    """The newest ``limit`` of the rows that were added, in whichever order they were."""

    __slots__ = ("_in_order", "_limit", "added", "rows")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_order = True
        self.added = 0
        self.rows: list[Row] = []

    def add(self, rows: Sequence[Row]) -> int:
        """Add rows; by how many there are more now. There may be twice the limit, so that sorting them is seldom."""
        before = len(self.rows)
        self.rows += rows
        self.added += len(rows)
        self._in_order = False
        if len(self.rows) > 2 * self._limit:
            self.ordered()
        return len(self.rows) - before

    def move(self, moved: Callable[[int], int]) -> None:
        """Date each row anew: ``moved`` gives the new time for the one it has."""
        self.rows = [(moved(row[TIME]), *row[1:]) for row in self.rows]
        self._in_order = False

    def ordered(self) -> list[Row]:
        """The newest, oldest first; the others are gone."""
        if not self._in_order:
            self.rows.sort()
            del self.rows[: -self._limit]
            self._in_order = True
        return self.rows


def dated(rows: list[Row]) -> list[Row]:
    """Those executions that have a time. Without one they count in the state, and have no place here."""
    times = [row[TIME] for row in rows]
    if set(map(type, times)) == {int} and min(times) >= 0 and max(times) <= MAX_TIME_MS:
        return rows
    found = []
    for row in rows:
        try:
            found.append((time_of(row[TIME]), *row[1:]))
        except Invalid:
            continue
    return found


def measured(rows: list[Row]) -> list[Row]:
    """The same executions with usable durations and bounded errors only; anybody may have put anything there."""
    durations = [row[DURATION] for row in rows if row[DURATION] is not None]
    if usable_durations(durations) is durations and all(row[ERROR] is None for row in rows):
        return rows
    return [(*row[:DURATION], _duration(row[DURATION]), *row[DURATION + 1 : ERROR], _short(row[ERROR])) for row in rows]


def _duration(value: Any) -> float | None:
    return value if valid_duration(value) else None


def _short(error: Any) -> str | None:
    return text_of(error, MAX_EXECUTION_ERROR) if error else None


def execution_of(row: Row) -> Execution:
    """What is told of a row of an execution."""
    time, _, _, duration, tool, status, error = row
    return Execution(max(0, time - round(duration or 0)), duration, tool, status, status_class(status), error)
