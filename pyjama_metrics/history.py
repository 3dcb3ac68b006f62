"""Questions about the past, answered from the history; the same for Python, HTTP and the command line.

Each function reads what is in the database now and does not bring it up to date: ``Hub.catch_up`` does. A time is in milliseconds
since the epoch, a span holds its begin and not its end. Days are those of a time zone: the local one unless another is named;
where the clocks change they have 23 or 25 hours. Sums are kept by the quarter of an hour, so the ends of a span are meant so.

Costs are worked out when one asks, so a price of one's own holds for the past as well.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, Literal

from pyjama_metrics import histogram, pricing, settings
from pyjama_metrics.pricing import Overrides, Tokens
from pyjama_metrics.storage.history.reading import Reader, TallyRow, UsageRow, opened

MOST_STEPS = 10_000
"""Steps of one answer; more are refused, as nobody can look at them."""
QUARTER_MS = 900_000
_STEPS = {"quarter": QUARTER_MS, "hour": 4 * QUARTER_MS, "6h": 24 * QUARTER_MS}

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
_SUMS = UsageRow._fields[5:]

Step = Literal["quarter", "hour", "6h", "day", "week", "month"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Executions of tools.

    Attributes:
        success, error, interrupted: how they ended.
        timed: those whose duration is known.
        total_ms: their durations together.
        p50_ms, p95_ms, p99_ms: of their durations; None where there are none, or where that was not asked for.
    """

    success: int = 0
    error: int = 0
    interrupted: int = 0
    timed: int = 0
    total_ms: float = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None

    @property
    def count(self) -> int:
        """Those that came to an end of their own."""
        return self.success + self.error


@dataclass(frozen=True, slots=True)
class Usage:
    """Model calls, their tokens, and what they cost as far as that is known.

    Attributes:
        requests: how many.
        input, output, cache_read, cache_write, cache_write_1h: tokens; what a cache held is not in the input.
        estimated_tokens: those of all of them that were estimated.
        reported_micros: the part of the cost that the sources told, in micro-dollars.
        computed_micros: the part that was worked out from prices.
        unpriced_requests: those whose cost nobody knows.
        unpriced_models: their models.
    """

    requests: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    estimated_tokens: int = 0
    reported_micros: int = 0
    computed_micros: int = 0
    unpriced_requests: int = 0
    unpriced_models: tuple[str, ...] = ()

    @property
    def total_micros(self) -> int | None:
        """The known cost; None where there were requests and the cost of none of them is known."""
        if self.unpriced_requests and self.unpriced_requests == self.requests:
            return None
        return self.reported_micros + self.computed_micros


@dataclass(frozen=True, slots=True)
class Part:
    """A name and what belongs to it: an agent, a model, a phase or a tool."""

    name: str
    executions: Tally = field(default_factory=Tally)
    usage: Usage = field(default_factory=Usage)
    runs: int = 0


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """One run of an agent. What was not told is None; ``outcome`` is None while it runs, or where its end is not known."""

    run: str
    agent: str
    parent: str | None
    parent_agent: str | None
    source: str | None
    project: str | None
    label: str | None
    task: str | None
    host: str | None
    started: int | None
    ended: int | None
    outcome: str | None
    error: str | None
    last_seen: int
    executions: Tally
    usage: Usage
    phases: tuple[Part, ...] = ()
    tools: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """What happened in a step of time."""

    begin: int
    end: int
    executions: Tally
    usage: Usage


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """What happened in a day, from its midnight to the next."""

    day: date
    begin: int
    end: int
    executions: Tally
    usage: Usage
    agents: tuple[Part, ...]
    models: tuple[Part, ...]


# -- the questions -------------------------------------------------------------------------------------------------------


def execution_summary(run: str, *, folder: str | None = None, overrides: Overrides | None = None) -> ExecutionSummary | None:
    """One run, with its tools and phases; None where the history does not know it. Raises HistoryUnusable."""
    with opened(_folder(folder)) as reader:
        rows = [] if reader is None else reader.runs(run)
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
    """The runs that were there in a span, the latest first, without their parts. Raises HistoryUnusable."""
    told = {"agent": agent, "project": project, "outcome": outcome}
    filters = {key: value for key, value in told.items() if value is not None}
    with opened(_folder(folder)) as reader:
        rows = [] if reader is None else reader.latest_runs(begin, end, filters, limit)
        return () if reader is None else tuple(_summary(reader, row, overrides, in_parts=False) for row in rows)


def agent_breakdown(begin: int, end: int, *, folder: str | None = None, overrides: Overrides | None = None) -> tuple[Part, ...]:
    """The agents that did something in a span, dearest first, then by name. Raises HistoryUnusable."""
    with opened(_folder(folder)) as reader:
        return () if reader is None else _agents(reader, *_whole_quarters(begin, end), overrides)


def daily_usage(
    day: date, *, zone: tzinfo | None = None, folder: str | None = None, overrides: Overrides | None = None
) -> DailyUsage:
    """A day, by agent and by model. Raises HistoryUnusable."""
    begin, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    with opened(_folder(folder)) as reader:
        if reader is None:
            return DailyUsage(day, begin, end, Tally(), Usage(), (), ())
        (whole,) = _slices(reader, [begin, end], None, overrides, durations=True)
        step = _step_within([begin, end], _price_changes(reader.models(begin, end), begin, end))
        models: dict[str, list[UsageRow]] = {}
        for row in reader.usages(begin, end, step, None):
            models.setdefault(row.model, []).append(row)
        parts = [Part(name, usage=_usage(rows, overrides)) for name, rows in models.items()]
        return DailyUsage(
            day, begin, end, whole.executions, whole.usage, _agents(reader, begin, end, overrides), _dearest_first(parts)
        )


def history(
    begin: int,
    end: int,
    step: Step,
    agent: str | None = None,
    *,
    zone: tzinfo | None = None,
    week_begins: int = 0,
    durations: bool = False,
    folder: str | None = None,
    overrides: Overrides | None = None,
) -> tuple[Slice, ...]:
    """What happened in a span, step by step; also those steps in which nothing did.

    Args:
        begin: of the span; the first step and the last are whole ones.
        end: of the span.
        step: how long a step is.
        agent: of all agents where None.
        zone: in which days, weeks and months begin; the local one where None.
        week_begins: 0 for Monday … 6 for Sunday.
        durations: tell the quantiles of the durations, too, which takes longer.
        folder: the hub's.
        overrides: prices of one's own.

    Raises:
        HistoryUnusable: the database cannot be read.
        ValueError: more than `MOST_STEPS`, or a span that ends before it begins.
    """
    bounds = boundaries(begin, end, step, zone, week_begins)
    with opened(_folder(folder)) as reader:
        if reader is None:
            return tuple(Slice(one, other, Tally(), Usage()) for one, other in pairwise(bounds))
        return _slices(reader, bounds, agent, overrides, durations=durations)


def known_from(*, folder: str | None = None) -> int | None:
    """The hour in which the first of what is kept happened, in milliseconds since the epoch; None where nothing is known.

    Raises HistoryUnusable.
    """
    with opened(_folder(folder)) as reader:
        return None if reader is None else reader.first()


# -- time ----------------------------------------------------------------------------------------------------------------


def midnight(day: date, zone: tzinfo | None = None) -> int:
    """When a day begins, in milliseconds since the epoch: in a time zone, or where this machine is."""
    # Without a zone datetime asks the system, which knows when the clocks change.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000


def boundaries(begin: int, end: int, step: Step, zone: tzinfo | None, week_begins: int = 0) -> list[int]:
    """Where the steps of a span begin, and at last where it ends. Raises ValueError."""
    if end <= begin:
        raise ValueError("The span ends before it begins.")
    if step in _STEPS:
        length = _STEPS[step]
        # Hours begin where those of the zone's day do, which are not those of UTC everywhere.
        first = midnight(_day_of(begin, zone), zone)
        at = first + (begin - first) // length * length
        _refuse_many((end - at) // length)
        return list(range(at, end + length, length))
    day = _begin_of(_day_of(begin, zone), step, week_begins)
    _refuse_many((end - begin) // (24 * _STEPS["hour"]) // {"day": 1, "week": 7, "month": 28}[step])
    found = [midnight(day, zone)]
    while found[-1] < end:
        day = _next(day, step)
        found.append(midnight(day, zone))
    return found


def _refuse_many(steps: int) -> None:
    if steps > MOST_STEPS:
        raise ValueError(
            f"That would be {steps:,} steps; {MOST_STEPS:,} are the most. Ask for longer ones, or for a shorter span."
        )


def _day_of(time_ms: int, zone: tzinfo | None) -> date:
    return datetime.fromtimestamp(time_ms / 1000, zone).date()


def _begin_of(day: date, step: Step, week_begins: int) -> date:
    if step == "week":
        return day - timedelta(days=(day.weekday() - week_begins) % 7)
    return day.replace(day=1) if step == "month" else day


def _next(day: date, step: Step) -> date:
    if step == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if step == "week" else 1)


def _whole_quarters(begin: int, end: int) -> tuple[int, int]:
    return begin - begin % QUARTER_MS, -(-end // QUARTER_MS) * QUARTER_MS


# -- sums ----------------------------------------------------------------------------------------------------------------


def _slices(
    reader: Reader, bounds: list[int], agent: str | None, overrides: Overrides | None, *, durations: bool
) -> tuple[Slice, ...]:
    begin, end = bounds[0], bounds[-1]
    step = _step_within(bounds)
    tallies: list[list[TallyRow]] = [[] for _ in bounds[1:]]
    for row in reader.tallies(begin, end, step, agent, durations=durations):
        tallies[bisect_right(bounds, begin + row.group * step) - 1].append(row)
    rows = reader.usages(begin, end, step, agent)
    if cuts := _price_changes({row.model for row in rows}, begin, end):
        step = _step_within(bounds, cuts)
        rows = reader.usages(begin, end, step, agent)
    usages: list[list[UsageRow]] = [[] for _ in bounds[1:]]
    for used in rows:
        usages[bisect_right(bounds, begin + used.group * step) - 1].append(used)
    return tuple(
        Slice(one, other, _tally(of_step), _usage(used, overrides))
        for one, other, of_step, used in zip(bounds, bounds[1:], tallies, usages, strict=False)
    )


def _step_within(bounds: Sequence[int], cuts: Iterable[int] = ()) -> int:
    """The longest step, from the first bound on, of which none lies across another bound, or across a cut."""
    return math.gcd(*(each - bounds[0] for each in (*bounds[1:], *cuts)))


def _price_changes(models: Iterable[str], begin: int, end: int) -> list[int]:
    """When the price of one of some models changed, within a span; no usage of a quarter of an hour lies on both sides."""
    return sorted({cut for model in models for cut in pricing.periods(model) if begin < cut < end})


def _agents(reader: Reader, begin: int, end: int, overrides: Overrides | None) -> tuple[Part, ...]:
    tallies = {row.group: [row] for row in reader.tallies_by_agent(begin, end, durations=False)}
    usages: dict[str, list[UsageRow]] = {}
    for used in reader.usages_by_agent(begin, end, _price_changes(reader.models(begin, end), begin, end)):
        usages.setdefault(used.group, []).append(used)
    runs = reader.runs_by_agent(begin, end)
    names = tallies.keys() | usages.keys() | runs.keys()
    return _dearest_first(
        [Part(name, _tally(tallies.get(name, [])), _usage(usages.get(name, []), overrides), runs.get(name, 0)) for name in names]
    )


def _dearest_first(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda part: (-(part.usage.total_micros or 0), part.name)))


def _summary(reader: Reader, row: tuple[Any, ...], overrides: Overrides | None, *, in_parts: bool) -> ExecutionSummary:
    number = row[0]
    told: dict[str, Any] = dict(zip(_TOLD, row[1:-3], strict=True))
    tally = Tally(*row[-3:])
    cuts = _price_changes(reader.models_of_run(number), 0, 2**62)
    used = reader.usages_of_run(number, "phase", cuts)
    phases: tuple[Part, ...] = ()
    tools: tuple[Part, ...] = ()
    if in_parts:
        by_phase: dict[str, list[UsageRow]] = {}
        for each in used:
            by_phase.setdefault(each.group or "", []).append(each)
        phases = _dearest_first([Part(name, usage=_usage(rows, overrides)) for name, rows in by_phase.items() if name])
        by_tool: dict[str, list[UsageRow]] = {}
        for each in reader.usages_of_run(number, "tool", cuts):
            by_tool.setdefault(each.group or "", []).append(each)
        tallies = {tally.group: tally for tally in reader.tools_of(number)}
        tools = tuple(
            Part(name, _tally([tallies[name]] if name in tallies else []), _usage(by_tool.get(name, []), overrides))
            for name in sorted((tallies.keys() | by_tool.keys()) - {""})
        )
    return ExecutionSummary(**told, executions=tally, usage=_usage(used, overrides), phases=phases, tools=tools)


def _tally(rows: Sequence[TallyRow]) -> Tally:
    if not rows:
        return Tally()
    success, error, interrupted, timed, total_us = (sum(column) for column in list(zip(*rows, strict=True))[1:6])
    merged = histogram.empty()
    for row in rows:
        if row.durations is not None:
            histogram.merge(merged, row.durations)
    p50, p95, p99 = histogram.quantiles(merged, (0.5, 0.95, 0.99))
    return Tally(success, error, interrupted, timed, total_us / 1000, p50, p95, p99)


def _usage(rows: Sequence[UsageRow], overrides: Overrides | None) -> Usage:
    if not rows:
        return Usage()
    pico = unpriced = 0
    models: set[str] = set()
    for row in rows:
        if row.is_reported:
            continue
        found = pricing.find(row.model, row.begin, overrides)
        tokens = Tokens(row.input, row.output, row.cache_read, row.cache_write, row.cache_write_1h)
        cost = None if found is None else pricing.cost_of_sums(tokens, found.price, row.band)
        if cost is None:
            unpriced += row.requests
            models.add(row.model)
        else:
            pico += cost
    columns = list(zip(*rows, strict=True))[5:]
    sums: dict[str, Any] = {name: sum(column) for name, column in zip(_SUMS, columns, strict=True)}
    computed = pricing.micros(pico)
    return Usage(**sums, computed_micros=computed, unpriced_requests=unpriced, unpriced_models=tuple(sorted(models)))


def _folder(folder: str | None) -> str:
    return settings.home() if folder is None else folder
