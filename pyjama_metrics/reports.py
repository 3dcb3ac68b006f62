"""Reports: what a span of time cost and what was done in it, row by row, as it is printed, exported and handed on.

A report is made of the answers of `pyjama_metrics.history`, and knows neither files nor terminals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, get_args

from pyjama_metrics import history
from pyjama_metrics.history import Dimension, ExecutionSummary, Part, Slice, Tally, Usage
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.time_steps import Step, whole_quarters

Kind = Literal["daily", "weekly", "monthly", "sessions", "agents", "models", "phases", "tools", "projects", "hosts"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_STEPS: dict[Kind, Step] = {"daily": "day", "weekly": "week", "monthly": "month"}
DIMENSIONS: dict[Kind, Dimension] = {
    "agents": "agent",
    "models": "model",
    "phases": "phase",
    "tools": "tool",
    "projects": "project",
    "hosts": "host",
}


TITLES: dict[Kind, str] = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "sessions": "run",
    "agents": "agent",
    "models": "model",
    "phases": "phase",
    "tools": "tool",
    "projects": "project",
    "hosts": "host",
}
"""What one row of a report is."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a report is about.

    Attributes:
        begin, end: in milliseconds since the epoch; moved outwards to quarters of an hour.
        zone: in which days begin; the local one where None.
        week_begins: 0 for Monday, 6 for Sunday.
        agent, project: only what is of these, where they are told.
    """

    begin: int
    end: int
    zone: tzinfo | None = None
    week_begins: int = 0
    agent: str | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report.

    Attributes:
        name: of an agent, a model, and so on; "" for what belongs to none, and for steps of time.
        begin, end: of a step of time, or of a run as far as they are known; None otherwise.
        executions: None where nobody knows them: by model and by phase.
        runs: that began; None where it is not counted: by model, phase and tool.
        session: the run, where the row is one.
    """

    name: str
    usage: Usage
    executions: Tally | None = None
    runs: int | None = 0
    begin: int | None = None
    end: int | None = None
    session: ExecutionSummary | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened."""
        return not (
            self.usage.requests or self.runs or (self.executions and (self.executions.count + self.executions.interrupted))
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A span in rows of one kind. ``known_from`` is from when on it is complete, where that is later than its begin."""

    kind: Kind
    span: Span
    rows: tuple[Row, ...]
    total: Row
    known_from: int | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """A span in all kinds of rows: what is handed to others. ``made`` is when, in milliseconds since the epoch."""

    span: Span
    made: int
    total: Row
    reports: dict[Kind, Report]
    known_from: int | None = None


EXPORTED: tuple[Kind, ...] = ("daily", "agents", "models", "phases", "tools", "projects", "hosts", "sessions")


def report(kind: Kind, span: Span, *, folder: str | None = None, overrides: Overrides | None = None) -> Report:
    """The report of one kind about a span. Raises HistoryUnusable, and ValueError for more steps than anybody can look at."""
    span = _moved(span)
    known_from = _known_from(span, folder)
    if kind in _STEPS:
        steps, whole = history.history_and_total(
            span.begin,
            span.end,
            _STEPS[kind],
            span.agent,
            project=span.project,
            zone=span.zone,
            week_begins=span.week_begins,
            clipped=True,
            folder=folder,
            overrides=overrides,
        )
        return Report(kind, span, tuple(map(_row_of_step, steps)), _row_of_step(whole), known_from)
    rows = _rows(kind, span, folder, overrides)
    return Report(kind, span, rows, _total(kind, span, rows, folder, overrides), known_from)


def export_report(
    begin: int,
    end: int,
    *,
    made: int,
    zone: tzinfo | None = None,
    week_begins: int = 0,
    agent: str | None = None,
    project: str | None = None,
    folder: str | None = None,
    overrides: Overrides | None = None,
) -> Export:
    """All that the history says about a span: by day, agent, model, phase, tool, project and host, and each run.

    Args:
        begin: of the span, in milliseconds since the epoch.
        end: of the span.
        made: the time of now, which the export tells.
        zone: in which days begin; the local one where None.
        week_begins: 0 for Monday, 6 for Sunday.
        agent: only what is this agent's.
        project: only what is of this project's runs.
        folder: the hub's.
        overrides: prices of one's own.

    Raises:
        HistoryUnusable: the database cannot be read.
        ValueError: the span has too many days, or ends before it begins.
    """
    span = Span(begin, end, zone, week_begins, agent, project)
    reports = dict(exported(span, folder=folder, overrides=overrides))
    return export_of(span, made, reports)


def exported(span: Span, *, folder: str | None = None, overrides: Overrides | None = None) -> Iterator[tuple[Kind, Report]]:
    """The reports of an export, one by one: for who wants to tell how far it is. Raises as `report` does."""
    for kind in EXPORTED:
        yield kind, report(kind, span, folder=folder, overrides=overrides)


def export_of(span: Span, made: int, reports: dict[Kind, Report]) -> Export:
    """An export of reports that were made."""
    daily = reports["daily"]
    return Export(daily.span, made, daily.total, reports, daily.known_from)


def _moved(span: Span) -> Span:
    begin, end = whole_quarters(span.begin, span.end)
    return Span(begin, end, span.zone, span.week_begins, span.agent, span.project)


def _rows(kind: Kind, span: Span, folder: str | None, overrides: Overrides | None) -> tuple[Row, ...]:
    if kind == "sessions":
        runs = history.sessions(span.begin, span.end, agent=span.agent, project=span.project, folder=folder, overrides=overrides)
        return tuple(map(_row_of_session, runs))
    by = DIMENSIONS[kind]
    parts = history.breakdown(
        span.begin, span.end, by, agent=span.agent, project=span.project, folder=folder, overrides=overrides
    )
    return tuple(_row_of_part(part, by) for part in parts)


def _row_of_step(step: Slice) -> Row:
    return Row("", step.usage, step.executions, step.runs, step.begin, step.end)


def _row_of_part(part: Part, by: Dimension) -> Row:
    executions = part.executions if by in history.TELL_EXECUTIONS else None
    return Row(part.name, part.usage, executions, part.runs if by in ("agent", "project", "host") else None)


def _row_of_session(run: ExecutionSummary) -> Row:
    return Row(run.run, run.usage, run.executions, int(bool(run.run)), run.started, run.ended, run)


def _total(kind: Kind, span: Span, rows: tuple[Row, ...], folder: str | None, overrides: Overrides | None) -> Row:
    whole = history.whole(span.begin, span.end, agent=span.agent, project=span.project, folder=folder, overrides=overrides)
    executions, runs = whole.executions, whole.runs
    if kind in ("sessions", "projects", "hosts"):
        # Theirs are those of runs, and a run may have begun before the span: the sum is that of what is shown.
        executions, runs = (
            _sum([row.executions for row in rows if row.executions is not None]),
            sum(row.runs or 0 for row in rows),
        )
    return Row("", whole.usage, executions, runs, span.begin, span.end)


def _sum(tallies: list[Tally]) -> Tally:
    known = [tally.total_ms for tally in tallies if tally.total_ms is not None]
    timed = sum(tally.timed for tally in tallies)
    return Tally(
        sum(tally.success for tally in tallies),
        sum(tally.error for tally in tallies),
        sum(tally.interrupted for tally in tallies),
        timed,
        sum(known) if timed or len(known) == len(tallies) else None,
    )


def _known_from(span: Span, folder: str | None) -> int | None:
    complete_from = history.complete_from(folder=folder)
    return complete_from if complete_from is not None and complete_from > span.begin else None
