"""The typed answers about the past, as `pyjama_metrics.views` are those about now, made of what `pyjama_metrics.history` tells.

Each field carries its sentence of help. A figure that cannot be known is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pyjama_metrics import history
from pyjama_metrics.activity import PastSlice
from pyjama_metrics.views import UsageView, says


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTallyView:
    """Tool executions of the past."""

    count: int = field(metadata=says("Executions with an outcome: success + error"))
    success: int = field(metadata=says("Executions that succeeded"))
    error: int = field(metadata=says("Executions that failed"))
    interrupted: int = field(metadata=says("Executions that were interrupted or never ran; they are not in count"))
    total_duration: float | None = field(
        metadata=says("Sum of the measured durations, in ms; none where there were executions, and none was measured")
    )
    success_rate: float | None = field(metadata=says("success / (success + error), from 0 to 1"))
    avg_duration_ms: float | None = field(metadata=says("Mean of the measured durations, in ms"))
    p50_ms: float | None = field(metadata=says("Half of the durations were at most this, in ms; none where it was not asked for"))
    p95_ms: float | None = field(metadata=says("95 % of the durations were at most this, in ms; none where it was not asked for"))
    p99_ms: float | None = field(metadata=says("99 % of the durations were at most this, in ms; none where it was not asked for"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSliceView:
    """What happened in one step of time."""

    begin: int = field(metadata=says("Begin of the step, in ms since the epoch"))
    end: int = field(metadata=says("End of the step, in ms since the epoch; it is not in it"))
    executions: PastTallyView = field(metadata=says("Tool executions"))
    usage: UsageView = field(metadata=says("Model calls"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryView:
    """What happened in a span, step by step; also those steps in which nothing did."""

    from_: int = field(metadata=says("Begin of the first step, in ms since the epoch"))
    to: int = field(metadata=says("End of the last step, in ms since the epoch"))
    step: str = field(metadata=says("quarter, hour, 6h, day, week or month"))
    agent: str | None = field(metadata=says("The agent that was asked for; none for all agents together"))
    project: str | None = field(
        metadata=says("The project that was asked for; none for all of them together, empty for no project")
    )
    timezone: str | None = field(metadata=says("The time zone in which days begin; none for that of the server"))
    known_from: int | None = field(metadata=says("The hour in which the first of what is kept happened, in ms since the epoch"))
    slices: list[PastSliceView] = field(metadata=says("The steps, the earliest first"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPartView:
    """One agent, model, phase, tool, project, host or day, and what belongs to it."""

    name: str = field(metadata=says("Its name; empty where none was told"))
    runs: int | None = field(metadata=says("Runs that began; none where that is not known by name, as for models"))
    executions: PastTallyView | None = field(
        metadata=says("Tool executions; none where they are not known by name, as for models")
    )
    usage: UsageView = field(metadata=says("Model calls"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakdownView:
    """A span by agent, model, phase, tool, project, host, run or day. Every model call is in exactly one part."""

    from_: int = field(metadata=says("Begin of the span, in ms since the epoch, a whole quarter of an hour"))
    to: int = field(metadata=says("End of the span, in ms since the epoch, a whole quarter of an hour"))
    by: str = field(metadata=says("agent, model, phase, tool, run, project, host or day"))
    agent: str | None = field(metadata=says("The agent that was asked for; none for all agents together"))
    project: str | None = field(metadata=says("The project that was asked for; none for all projects together"))
    timezone: str | None = field(metadata=says("The time zone in which days begin; none for that of the server"))
    known_from: int | None = field(metadata=says("The hour in which the first of what is kept happened, in ms since the epoch"))
    executions: PastTallyView = field(metadata=says("Tool executions of the whole span"))
    usage: UsageView = field(metadata=says("Model calls of the whole span; the costs are rounded once"))
    parts: list[PastPartView] = field(metadata=says("The parts, dearest first; days in their order"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DayView:
    """What happened in a day, from its midnight to the next."""

    day: str = field(metadata=says("The day, as YYYY-MM-DD"))
    timezone: str | None = field(metadata=says("The time zone of its midnights; none for that of the server"))
    begin: int = field(metadata=says("Its midnight, in ms since the epoch"))
    end: int = field(metadata=says("The next midnight, in ms since the epoch"))
    executions: PastTallyView = field(metadata=says("Tool executions, with the quantiles of their durations"))
    usage: UsageView = field(metadata=says("Model calls"))
    agents: list[PastPartView] = field(metadata=says("By agent, dearest first"))
    models: list[PastPartView] = field(metadata=says("By model, dearest first"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionView:
    """What a person said that a run really used: the difference to what was counted before."""

    time: int = field(metadata=says("When, in ms since the epoch"))
    model: str = field(metadata=says("Of which model's calls"))
    reason: str = field(metadata=says("Why"))
    added: dict[str, int] = field(
        metadata=says("Calls, tokens and reported micro-dollars, as in a row of the ledger; less than 0 where it takes away")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRunView:
    """One run as the history knows it, after it left the live figures, too."""

    id: str = field(metadata=says("Name of the run"))
    agent_id: str = field(metadata=says("The agent that ran"))
    outcome: str | None = field(
        metadata=says("completed, failed, crashed or stopped; none while it runs, or where its end is not known")
    )
    start_time: int | None = field(metadata=says("Start, in ms since the epoch"))
    end_time: int | None = field(metadata=says("End, in ms since the epoch; none while it is open"))
    last_seen: int = field(metadata=says("Time of the latest event, in ms since the epoch"))
    duration_ms: int | None = field(metadata=says("From start to end, in ms; none while it is open"))
    message: str | None = field(metadata=says("Text of the error that ended it"))
    parent: str | None = field(metadata=says("Run that started this one"))
    parent_agent: str | None = field(metadata=says("Agent of that run"))
    source: str | None = field(metadata=says("How it was recorded: python, shell, an integration"))
    project: str | None = field(metadata=says("Project it was for"))
    label: str | None = field(metadata=says("Label it was given"))
    task: str | None = field(metadata=says("Its task"))
    host: str | None = field(metadata=says("Machine"))
    executions: PastTallyView = field(metadata=says("Tool executions"))
    usage: UsageView = field(metadata=says("Model calls"))
    phases: list[PastPartView] = field(metadata=says("Model calls by phase of the work, dearest first; none in a list of runs"))
    tools: list[PastPartView] = field(metadata=says("Executions and model calls by tool, by name; none in a list of runs"))
    corrections: list[CorrectionView] = field(
        metadata=says("How people corrected what it used, the first one first; none in a list of runs")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRunsView:
    """The runs that were there in a span."""

    from_: int = field(metadata=says("Begin of the span, in ms since the epoch"))
    to: int = field(metadata=says("End of the span, in ms since the epoch"))
    limit: int = field(metadata=says("How many are told at most"))
    runs: list[PastRunView] = field(metadata=says("The runs, the latest first"))


def tally_view(tally: history.Tally) -> PastTallyView:
    """The view of executions."""
    ended = tally.success + tally.error
    return PastTallyView(
        count=ended,
        success=tally.success,
        error=tally.error,
        interrupted=tally.interrupted,
        total_duration=tally.total_ms,
        success_rate=tally.success / ended if ended else None,
        avg_duration_ms=tally.total_ms / tally.timed if tally.timed and tally.total_ms is not None else None,
        p50_ms=tally.p50_ms,
        p95_ms=tally.p95_ms,
        p99_ms=tally.p99_ms,
    )


def usage_view(usage: history.Usage) -> UsageView:
    """The view of model calls, as of those of now."""
    return UsageView(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h,
        total_tokens=usage.tokens,
        **usage.cost.as_fields(),
    )


def slice_view(each: history.Slice) -> PastSliceView:
    """The view of a step of time."""
    return PastSliceView(begin=each.begin, end=each.end, executions=tally_view(each.executions), usage=usage_view(each.usage))


def part_view(part: history.Part, by: history.Dimension) -> PastPartView:
    """The view of a part of a breakdown."""
    knows_executions = by in history.TELL_EXECUTIONS
    return PastPartView(
        name=part.name,
        runs=part.runs if knows_executions and by != "tool" else None,
        executions=tally_view(part.executions) if knows_executions else None,
        usage=usage_view(part.usage),
    )


def day_part_view(each: history.Slice, day: date) -> PastPartView:
    """The view of a day as a part of a breakdown."""
    return PastPartView(
        name=day.isoformat(), runs=each.runs, executions=tally_view(each.executions), usage=usage_view(each.usage)
    )


def day_view(told: history.DailyUsage, timezone: str | None) -> DayView:
    """The view of a day."""
    return DayView(
        day=told.day.isoformat(),
        timezone=timezone,
        begin=told.begin,
        end=told.end,
        executions=tally_view(told.executions),
        usage=usage_view(told.usage),
        agents=[part_view(part, "agent") for part in told.agents],
        models=[part_view(part, "model") for part in told.models],
    )


def slices_of_activity(slices: Iterable[history.Slice]) -> list[PastSlice]:
    """Slices in the form in which they are put into the view of the activity."""
    found = []
    for each in slices:
        usage = usage_view(each.usage)
        tally = each.executions
        found.append(
            PastSlice(
                begin=each.begin,
                success=tally.success,
                error=tally.error,
                interrupted=tally.interrupted,
                requests=usage.requests,
                tokens=usage.total_tokens,
                cost_micros=usage.cost_micros,
                unpriced_requests=usage.unpriced_requests,
                unpriced_models=tuple(usage.unpriced_models),
            )
        )
    return found


def run_view(run: history.ExecutionSummary) -> PastRunView:
    """The view of a run."""
    same = ("outcome", "last_seen", "parent", "parent_agent", "source", "project", "label", "task", "host")
    told: dict[str, Any] = {name: getattr(run, name) for name in same}
    return PastRunView(
        id=run.run,
        agent_id=run.agent,
        start_time=run.started,
        end_time=run.ended,
        duration_ms=None if run.started is None or run.ended is None else max(0, run.ended - run.started),
        message=run.error,
        executions=tally_view(run.executions),
        usage=usage_view(run.usage),
        phases=[part_view(part, "phase") for part in run.phases],
        tools=[part_view(part, "tool") for part in run.tools],
        corrections=[
            CorrectionView(time=each.time, model=each.model, reason=each.reason, added=dict(each.added))
            for each in run.corrections
        ],
        **told,
    )


VIEWS: tuple[type, ...] = (
    PastTallyView,
    PastSliceView,
    HistoryView,
    PastPartView,
    BreakdownView,
    DayView,
    CorrectionView,
    PastRunView,
    PastRunsView,
)
"""All of them."""
