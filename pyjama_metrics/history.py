"""Questions about the past, answered from the history; the same for Python, HTTP and the command line.

Each function reads what is in the database now and does not bring it up to date: ``Hub.catch_up`` does. A time is in milliseconds
since the epoch, a span holds its begin and not its end. Days are those of a time zone: the local one unless another is named;
where the clocks change they have 23 or 25 hours. Sums are kept by the quarter of an hour, so the ends of a span are meant so.

Costs are worked out when one asks, so a price of one's own holds for the past as well.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta, tzinfo
from itertools import pairwise
from typing import Any, Literal

from pyjama_metrics import histogram, pricing, settings
from pyjama_metrics.answers import DailyUsage as DailyUsage
from pyjama_metrics.answers import ExecutionSummary as ExecutionSummary
from pyjama_metrics.answers import Part as Part
from pyjama_metrics.answers import RunCorrection as RunCorrection
from pyjama_metrics.answers import Slice as Slice
from pyjama_metrics.answers import Tally as Tally
from pyjama_metrics.answers import Usage as Usage
from pyjama_metrics.ledger import NOTHING, cost_of
from pyjama_metrics.ledger_rows import ALL_TOKENS, COLUMNS, RowKey
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.storage.history.reading import ANYBODY, Reader, TallyRow, UsageRow, Whose, opened
from pyjama_metrics.time_steps import Step, boundaries, midnight, whole_quarters

_DAY_MS = 86_400_000

_TOLD = (
    "run",
    "agent",
    "parent",
    "parent_agent",
    "source",
    "project",
    "label",
    "task",
    "host",
    "started",
    "ended",
    "outcome",
    "error",
    "last_seen",
)


Dimension = Literal["agent", "model", "phase", "tool", "run", "project", "host"]
"""What a span may be broken down by."""
TELL_EXECUTIONS = frozenset({"agent", "tool", "run", "project", "host"})
"""The dimensions by which executions are known; nobody tells for which model, or in which phase, a tool was executed."""


# -- the questions -------------------------------------------------------------------------------------------------------


def execution_summary(
    run: str, *, agent: str | None = None, folder: str | None = None, overrides: Overrides | None = None
) -> ExecutionSummary | None:
    """One run, with its tools and phases; None where the history does not know it. Raises HistoryUnusable.

    ``agent`` says whose run is meant, where two agents have used the same id.
    """
    with opened(_folder(folder)) as reader:
        rows = [] if reader is None else [row for row in reader.runs(run) if agent in (None, row[2])]
        if reader is None or not rows:
            return None
        return _summary(reader, rows[0], overrides, in_parts=True)


def all_executions(
    begin: int,
    end: int,
    *,
    agent: str | None = None,
    project: str | None = None,
    outcome: str | None = None,
    limit: int = 1000,
    folder: str | None = None,
    overrides: Overrides | None = None,
) -> tuple[ExecutionSummary, ...]:
    """The runs that were there in a span, the latest first, without their parts. Raises HistoryUnusable.

    The empty project is that of runs without one, as in `breakdown`.
    """
    told = {"agent": agent, "project": project, "outcome": outcome}
    filters = {key: value for key, value in told.items() if value is not None}
    with opened(_folder(folder)) as reader:
        rows = [] if reader is None else reader.latest_runs(begin, end, filters, limit)
        return () if reader is None else tuple(_summary(reader, row, overrides, in_parts=False) for row in rows)


def agent_breakdown(begin: int, end: int, *, folder: str | None = None, overrides: Overrides | None = None) -> tuple[Part, ...]:
    """The agents that did something in a span, dearest first, then by executions and name. Raises HistoryUnusable."""
    with opened(_folder(folder)) as reader:
        return () if reader is None else _parts(reader, *whole_quarters(begin, end), "agent", ANYBODY, overrides)


def breakdown(
    begin: int,
    end: int,
    by: Dimension,
    *,
    agent: str | None = None,
    project: str | None = None,
    folder: str | None = None,
    overrides: Overrides | None = None,
) -> tuple[Part, ...]:
    """A span by agent, model, phase, tool, run, project or host: dearest first, then by executions and name.

    Every model call of the span is in exactly one part; in that without a name where nothing was told. So the parts of the cost
    add up to those of the span, exactly before they are rounded, whatever it is broken down by.

    Executions are known by time for agents and tools, and by run: those of a project or a host, and all where one project is
    asked for, are of the runs that began in the span; a run has all of its own. By model and by phase they are not known
    (`TELL_EXECUTIONS`).

    Args:
        begin: of the span, moved outwards to a quarter of an hour.
        end: of the span, likewise.
        by: what to break it down by. A run is named by its id; two agents may have used the same one.
        agent: only what is this agent's.
        project: only what is of this project's runs; the empty text asks for what is of no project.
        folder: the hub's.
        overrides: prices of one's own.

    Raises:
        HistoryUnusable: the database cannot be read.
    """
    if by == "run":
        runs = sessions(begin, end, agent=agent, project=project, folder=folder, overrides=overrides)
        return _dearest_first([Part(run.run, run.executions, run.usage, int(bool(run.run))) for run in runs])
    with opened(_folder(folder)) as reader:
        return () if reader is None else _parts(reader, *whole_quarters(begin, end), by, Whose(agent, project), overrides)


def sessions(
    begin: int,
    end: int,
    *,
    agent: str | None = None,
    project: str | None = None,
    folder: str | None = None,
    overrides: Overrides | None = None,
) -> tuple[ExecutionSummary, ...]:
    """The runs that were there in a span, the latest first: each with its model calls of that span, and with all its executions.

    Model calls that belong to no run are last, as a run without a name. Raises HistoryUnusable.
    """
    since, until = whole_quarters(begin, end)
    with opened(_folder(folder)) as reader:
        if reader is None:
            return ()
        whose = Whose(agent, project)
        used = reader.usages_by(since, until, "run", whose, price_changes(reader.models(since, until), since, until))
        by_run = _grouped(used)
        found = []
        for row in reader.runs_there(since, until, whose):
            told: dict[str, Any] = dict(zip(_TOLD, row[1:-3], strict=True))
            found.append(ExecutionSummary(**told, executions=_tally_of_run(row), usage=_usage(by_run.pop(row[0], []), overrides)))
        rest = [row for rows in by_run.values() for row in rows]
        if rest:
            nobody: dict[str, Any] = dict.fromkeys(_TOLD) | {"run": "", "agent": "", "last_seen": max(row.begin for row in rest)}
            found.append(ExecutionSummary(**nobody, executions=Tally(), usage=_usage(rest, overrides)))
        return tuple(found)


def daily_usage(
    day: date, *, zone: tzinfo | None = None, folder: str | None = None, overrides: Overrides | None = None
) -> DailyUsage:
    """A day, by agent and by model. Raises HistoryUnusable."""
    begin, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    with opened(_folder(folder)) as reader:
        if reader is None:
            return DailyUsage(day, begin, end, Tally(), Usage(), (), ())
        _, whole = _slices(reader, [begin, end], ANYBODY, overrides, durations=True)
        agents = _parts(reader, begin, end, "agent", ANYBODY, overrides)
        models = _parts(reader, begin, end, "model", ANYBODY, overrides)
        return DailyUsage(day, begin, end, whole.executions, whole.usage, agents, models)


def history(
    begin: int,
    end: int,
    step: Step,
    agent: str | None = None,
    *,
    project: str | None = None,
    zone: tzinfo | None = None,
    week_begins: int | None = None,
    clipped: bool = False,
    durations: bool = False,
    folder: str | None = None,
    overrides: Overrides | None = None,
) -> tuple[Slice, ...]:
    """What happened in a span, step by step; also those steps in which nothing did.

    Args:
        begin: of the span; the first step and the last are whole ones, unless they are clipped.
        end: of the span.
        step: how long a step is.
        agent: of all agents where None.
        project: of all projects where None; as in `breakdown`.
        zone: in which days, weeks and months begin; the local one where None.
        week_begins: 0 for Monday … 6 for Sunday; as ``PYJAMA_WEEK_BEGINS`` says where None.
        clipped: the first step begins and the last one ends where the span does, moved outwards to a quarter of an hour.
        durations: tell the quantiles of the durations, too, which takes longer.
        folder: the hub's.
        overrides: prices of one's own.

    Raises:
        HistoryUnusable: the database cannot be read.
        ValueError: more than `time_steps.MOST_STEPS`, or a span that ends before it begins.
    """
    return history_and_total(
        begin,
        end,
        step,
        agent,
        project=project,
        zone=zone,
        week_begins=week_begins,
        clipped=clipped,
        durations=durations,
        folder=folder,
        overrides=overrides,
    )[0]


def history_and_total(
    begin: int,
    end: int,
    step: Step,
    agent: str | None = None,
    *,
    project: str | None = None,
    zone: tzinfo | None = None,
    week_begins: int | None = None,
    clipped: bool = False,
    durations: bool = False,
    folder: str | None = None,
    overrides: Overrides | None = None,
) -> tuple[tuple[Slice, ...], Slice]:
    """What `history` answers, and what it adds up to: of the cost exactly, where the sum of rounded steps is not."""
    bounds = boundaries(begin, end, step, zone, settings.week_begins() if week_begins is None else week_begins)
    if clipped:
        bounds[0], bounds[-1] = whole_quarters(begin, end)
    with opened(_folder(folder)) as reader:
        if reader is None:
            empty = tuple(Slice(one, other, Tally(), Usage()) for one, other in pairwise(bounds))
            return empty, Slice(bounds[0], bounds[-1], Tally(), Usage())
        return _slices(reader, bounds, Whose(agent, project), overrides, durations=durations)


def whole(
    begin: int,
    end: int,
    *,
    agent: str | None = None,
    project: str | None = None,
    durations: bool = False,
    folder: str | None = None,
    overrides: Overrides | None = None,
) -> Slice:
    """A span as a whole, moved outwards to quarters of an hour; filters are those of `breakdown`. Raises HistoryUnusable."""
    begin, end = whole_quarters(begin, end)
    with opened(_folder(folder)) as reader:
        if reader is None:
            return Slice(begin, end, Tally(), Usage())
        return _slices(reader, [begin, end], Whose(agent, project), overrides, durations=durations)[1]


def known_from(*, folder: str | None = None) -> int | None:
    """The hour in which the first of what is kept happened, in milliseconds since the epoch; None where nothing is known.

    Raises HistoryUnusable.
    """
    with opened(_folder(folder)) as reader:
        return None if reader is None else reader.first()


def complete_from(*, folder: str | None = None) -> int | None:
    """From when on the history knows everything, in milliseconds since the epoch; None where there is none.

    What happened before was forgotten in time, or is from before the history was begun, cleared or set aside; some of it may be
    known. 0 where everything ever is. Raises HistoryUnusable.
    """
    with opened(_folder(folder)) as reader:
        return None if reader is None else reader.complete_from()


def waiting(*, folder: str | None = None) -> int:
    """Bytes of the journals that are not in the history yet. Raises HistoryUnusable, OSError."""
    from pyjama_metrics.storage import segments

    place = _folder(folder)
    listed = segments.listing(place)
    with opened(place) as reader:
        offsets = {} if reader is None else reader.offsets()
    # A journal that was truncated is new, so it counts as well.
    return sum(abs(segment.size - offsets.get(segment.name, 0)) for segment in listed)


# -- sums ----------------------------------------------------------------------------------------------------------------


def _slices(
    reader: Reader, bounds: list[int], whose: Whose, overrides: Overrides | None, *, durations: bool
) -> tuple[tuple[Slice, ...], Slice]:
    begin, end = bounds[0], bounds[-1]
    step = _step_within(bounds)
    tallies: list[list[TallyRow]] = [[] for _ in bounds[1:]]
    executions = reader.tallies(begin, end, step, whose, durations=durations)
    for row in executions:
        tallies[bisect_right(bounds, begin + row.group * step) - 1].append(row)
    runs = [0] * len(tallies)
    for group, count in reader.runs_begun(begin, end, step, whose).items():
        runs[bisect_right(bounds, begin + group * step) - 1] += count
    rows = reader.usages(begin, end, step, whose)
    if cuts := price_changes({row.model for row in rows}, begin, end):
        step = _step_within(bounds, cuts)
        rows = reader.usages(begin, end, step, whose)
    usages: list[list[UsageRow]] = [[] for _ in bounds[1:]]
    for used in rows:
        usages[bisect_right(bounds, begin + used.group * step) - 1].append(used)
    steps = tuple(
        Slice(one, other, _tally(of_step), _usage(used, overrides), begun)
        for one, other, of_step, used, begun in zip(bounds, bounds[1:], tallies, usages, runs, strict=False)
    )
    if len(steps) == 1:
        return steps, steps[0]
    return steps, Slice(begin, end, _tally(executions), _together([each.usage for each in steps]), sum(runs))


def _step_within(bounds: Sequence[int], cuts: Iterable[int] = ()) -> int:
    """The longest step, from the first bound on, of which none lies across another bound, or across a cut."""
    return math.gcd(*(each - bounds[0] for each in (*bounds[1:], *cuts)))


def price_changes(models: Iterable[str], begin: int, end: int) -> list[int]:
    """When the price of one of some models changed, within a span; no usage of a quarter of an hour lies on both sides."""
    return sorted({cut for model in models for cut in pricing.periods(model) if begin < cut < end})


def _parts(reader: Reader, begin: int, end: int, by: Dimension, whose: Whose, overrides: Overrides | None) -> tuple[Part, ...]:
    cuts = price_changes(reader.models(begin, end), begin, end)
    usages = _grouped(reader.usages_by(begin, end, by, whose, cuts))
    tallies: dict[Any, TallyRow] = {}
    runs: dict[str, int] = {}
    if by in TELL_EXECUTIONS:
        tallies = {row.group: row for row in _executions(reader, begin, end, by, whose)}
        runs = {} if by == "tool" else reader.runs_by(begin, end, by, whose)
    names = tallies.keys() | usages.keys() | runs.keys()
    return _dearest_first(
        [
            Part(
                name,
                _tally([tallies[name]] if name in tallies else []),
                _usage(usages.get(name, []), overrides),
                runs.get(name, 0),
            )
            for name in names
        ]
    )


def _executions(reader: Reader, begin: int, end: int, by: Dimension, whose: Whose) -> list[TallyRow]:
    if whose.project is None and by == "agent":
        return reader.tallies_by_agent(begin, end, whose.agent)
    if whose.project is None and by == "tool":
        return reader.tallies_by_tool(begin, end, whose.agent)
    return reader.tallies_of_runs(begin, end, by, whose)


def _grouped(rows: Iterable[UsageRow]) -> dict[Any, list[UsageRow]]:
    found: dict[Any, list[UsageRow]] = {}
    for row in rows:
        found.setdefault(row.group, []).append(row)
    return found


def _dearest_first(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda part: (-(part.usage.total_micros or 0), -part.executions.count, part.name)))


def _summary(reader: Reader, row: tuple[Any, ...], overrides: Overrides | None, *, in_parts: bool) -> ExecutionSummary:
    number = row[0]
    told: dict[str, Any] = dict(zip(_TOLD, row[1:-3], strict=True))
    tally = _tally_of_run(row)
    cuts = price_changes(reader.models_of_run(number), 0, 2**62)
    used = reader.usages_of_run(number, "phase", cuts)
    phases: tuple[Part, ...] = ()
    tools: tuple[Part, ...] = ()
    corrections: tuple[RunCorrection, ...] = ()
    if in_parts:
        by_phase: dict[str, list[UsageRow]] = {}
        for each in used:
            by_phase.setdefault(each.group or "", []).append(each)
        phases = _dearest_first([Part(name, usage=_usage(rows, overrides)) for name, rows in by_phase.items() if name])
        by_tool: dict[str, list[UsageRow]] = {}
        for each in reader.usages_of_run(number, "tool", cuts):
            by_tool.setdefault(each.group or "", []).append(each)
        tallies = {each.group: each for each in reader.tools_of(number)}
        tally = _tally_of_run(row, tallies.values())
        tools = tuple(
            Part(name, _tally([tallies[name]] if name in tallies else []), _usage(by_tool.get(name, []), overrides))
            for name in sorted((tallies.keys() | by_tool.keys()) - {""})
        )
        corrections = tuple(
            RunCorrection(time, model, reason, dict(zip(COLUMNS, amounts, strict=True)))
            for time, model, reason, amounts in reader.corrections(number)
        )
    usage = _usage(used, overrides)
    return ExecutionSummary(**told, executions=tally, usage=usage, phases=phases, tools=tools, corrections=corrections)


def _tally_of_run(row: tuple[Any, ...], tools: Collection[TallyRow] = ()) -> Tally:
    """The executions of a run, with their durations where those of its tools are given."""
    success, error, interrupted = row[-3:]
    timed, total_us = sum(tool.timed for tool in tools), sum(tool.total_us for tool in tools)
    return Tally(success, error, interrupted, timed, _total_ms(success + error, timed, total_us))


def _total_ms(count: int, timed: int, total_us: int) -> float | None:
    return total_us / 1000 if timed or not count else None


def _tally(rows: Sequence[TallyRow]) -> Tally:
    if not rows:
        return Tally()
    success, error, interrupted, timed, total_us = (sum(column) for column in list(zip(*rows, strict=True))[1:6])
    merged = histogram.empty()
    for row in rows:
        if row.durations is not None:
            histogram.merge(merged, row.durations)
    p50, p95, p99 = histogram.quantiles(merged, (0.5, 0.95, 0.99))
    return Tally(success, error, interrupted, timed, _total_ms(success + error, timed, total_us), p50, p95, p99)


def _usage(rows: Sequence[UsageRow], overrides: Overrides | None) -> Usage:
    if not rows:
        return Usage()
    cost = cost_of([(RowKey(row.begin // _DAY_MS, row.band, row.kind, row.model), row.sums) for row in rows], overrides)
    uncached, output, read, write, write_1h = (
        sum(column) for column in zip(*(row.sums[ALL_TOKENS] for row in rows), strict=True)
    )
    return Usage(uncached, output, read, write, write_1h, cost)


def _together(usages: Sequence[Usage]) -> Usage:
    """What usages add up to, exactly: costs are added before they are rounded."""
    return Usage(
        sum(usage.input for usage in usages),
        sum(usage.output for usage in usages),
        sum(usage.cache_read for usage in usages),
        sum(usage.cache_write for usage in usages),
        sum(usage.cache_write_1h for usage in usages),
        sum((usage.cost for usage in usages), NOTHING),
    )


def _folder(folder: str | None) -> str:
    return settings.home() if folder is None else folder
