"""One agent, and one run, with everything that is known about them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pyjama_metrics.about_sessions import about_view
from pyjama_metrics.event_fields import project_of
from pyjama_metrics.families import children_of, members, subtrees
from pyjama_metrics.histogram import SCALE, Histogram, bounds
from pyjama_metrics.ledger import costs_in
from pyjama_metrics.ledger_rows import ALL_TOKENS
from pyjama_metrics.needs import tmux_command
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.queries import agent_view, log_view
from pyjama_metrics.shares import share_in
from pyjama_metrics.state_fields import Table, count, counts_in, list_of, positive, ratio, table_of, tables, text, texts, total
from pyjama_metrics.tallies import histogram_of, model_views, phase_views, tool_view
from pyjama_metrics.views import (
    AgentDetail,
    AgentToolView,
    BucketView,
    ErrorView,
    ExecutionView,
    RunDetail,
    RunView,
    StepView,
)

if TYPE_CHECKING:
    from pyjama_metrics.recent import Recent

MAX_BARS = 40
"""Bars of a histogram: as many as can be told apart on a page."""
_QUARTER_OF_AN_OCTAVE = 2**SCALE // 4


def agent_detail(
    state: Table, agent_id: str, now_ms: int, recent: Recent | None = None, overrides: Overrides | None = None
) -> AgentDetail | None:
    """Everything about one agent, or None where the state has no such agent.

    Args:
        state: a parsed ``metrics.json``.
        agent_id: name of the agent.
        now_ms: the time of looking, in ms since the epoch.
        recent: what a tail of the journals remembers, where somebody keeps one.
        overrides: prices of the user's own.
    """
    agent = dict(tables(state, "agents")).get(agent_id)
    if agent is None:
        return None
    runs = [run_view(agent_id, run_id, run, overrides) for run_id, run in tables(agent, "runs")]
    tools = [(name, agent_tool_view(tool)) for name, tool in tables(agent, "tools")]
    family, costs = members(state, overrides), costs_in(agent, overrides)
    logs = [log_view(entry) for entry in list_of(state, "recent-logs") if isinstance(entry, dict)]
    return AgentDetail(
        agent_id=agent_id,
        agent=agent_view(
            agent,
            recent.spark(agent_id) if recent else None,
            subtrees(family).get(agent_id),
            cost=family[agent_id].cost,
        ),
        runs=sorted(runs, key=lambda run: (run.start_time or run.last_seen or 0, run.id), reverse=True),
        tools=dict(sorted(tools, key=lambda item: (-item[1].count, item[0]))),
        models=model_views(agent, costs),
        phases=phase_views(agent, costs),
        messages=counts_in(table_of(agent, "messages")),
        errors=_errors(agent_id, agent, recent),
        recent_logs=[entry for entry in logs if entry.agent_id == agent_id],
        parent_agent=text(agent, "parent-agent"),
        children=children_of(state, agent_id),
        labels=texts(agent, "labels"),
        spec=agent.get("spec"),
        now=now_ms,
    )


def run_detail(
    state: Table, run_id: str, now_ms: int, recent: Recent | None = None, overrides: Overrides | None = None
) -> RunDetail | None:
    """One run with the single executions that are remembered of it, or None where the state has no such run.

    The arguments are those of `agent_detail`.
    """
    for agent_id, agent in tables(state, "agents"):
        run = dict(tables(agent, "runs")).get(run_id)
        if run is not None:
            seen = recent.executions(run_id) if recent else None
            rows = seen.rows if seen else ()
            tally = table_of(run, "tally")
            return RunDetail(
                run=run_view(agent_id, run_id, run, overrides),
                executions=[
                    ExecutionView(
                        start=row.start_ms,
                        duration_ms=row.duration_ms,
                        tool=row.tool,
                        status=row.status,
                        outcome=row.outcome,
                        message=row.message,
                    )
                    for row in rows
                ],
                # The memory may be ahead of the file by what was not folded yet.
                let_go=max(0, count(tally, "count") + count(tally, "interrupted") - len(rows)),
                seen_since=recent.since_ms if recent else None,
                now=now_ms,
            )
    return None


def run_view(agent_id: str, run_id: str, run: Table, overrides: Overrides | None = None) -> RunView:
    """The view of one run; ``overrides`` are prices of the user's own."""
    share = share_in(run, overrides)
    origin, tally = table_of(run, "origin"), table_of(run, "tally")
    start, end = positive(run, "start-time"), positive(run, "end-time")
    success, error = count(tally, "success"), count(tally, "error")
    is_waiting = text(run, "status") == "waiting"
    return RunView(
        id=run_id,
        agent_id=agent_id,
        status=text(run, "status") or "unknown",
        start_time=start,
        end_time=end,
        last_seen=positive(run, "last-seen"),
        duration_ms=_span(start, end),
        message=text(run, "outcome-error"),
        waiting_reason=text(run, "waiting-reason") if is_waiting else None,
        waiting_since=positive(run, "waiting-since") if is_waiting else None,
        count=count(tally, "count"),
        success=success,
        error=error,
        interrupted=count(tally, "interrupted"),
        success_rate=ratio(success, success + error),
        tokens=total(share.counts[ALL_TOKENS]),
        steps=[step_view(step) for step in list_of(run, "steps") if isinstance(step, dict)],
        parent=text(origin, "parent"),
        source=text(origin, "source"),
        project=project_of(origin) or None,
        host=text(origin, "host"),
        pid=positive(origin, "pid"),
        cwd=text(origin, "cwd"),
        labels=texts(origin, "labels"),
        tmux_pane=text(origin, "tmux-pane"),
        command=tmux_command(text(origin, "tmux-pane"), text(origin, "tmux")),
        messages=counts_in(table_of(run, "messages")),
        about=about_view(run),
        **share.cost.as_fields(),
    )


def step_view(step: Table) -> StepView:
    """The view of one step of a workflow."""
    status = text(step, "status") or "pending"
    started = positive(step, "started")
    # A step that began again has the end of the time before.
    ended = positive(step, "ended") if status != "running" else None
    return StepView(
        id=text(step, "id") or "",
        status=status,
        started=started,
        ended=ended,
        duration_ms=_span(started, ended),
        attempts=count(step, "attempts"),
    )


def agent_tool_view(tool: Table) -> AgentToolView:
    """The view of one tool of an agent, with the bars of its histogram."""
    plain, histogram = tool_view(tool), histogram_of(table_of(tool, "histogram"))
    figures: dict[str, Any] = {each.name: getattr(plain, each.name) for each in fields(plain)}
    return AgentToolView(**figures, histogram=bars(histogram) if histogram else [])


def bars(histogram: Histogram) -> list[BucketView]:
    """The buckets of a histogram as at most ``MAX_BARS`` bars side by side, whose bounds are bounds of buckets.

    Bars are a quarter of an octave wide where that suffices, and wider where it does not. Durations of 0 have a bar of their
    own, up to the next one. The counts of all bars add up to those of all buckets.
    """
    buckets = {int(key): number for key, number in histogram["buckets"].items() if number > 0}
    zero, width, found = histogram["zero"], _QUARTER_OF_AN_OCTAVE, []
    if buckets:
        while _bar(max(buckets), width) - _bar(min(buckets), width) + 1 + bool(zero) > MAX_BARS:
            width *= 2
        counts = dict.fromkeys(range(_bar(min(buckets), width), _bar(max(buckets), width) + 1), 0)
        for bucket, number in buckets.items():
            counts[_bar(bucket, width)] += number
        edges = {bar: bounds(bar * width)[1] for bar in [min(counts) - 1, *counts]}
        found = [BucketView(from_ms=edges[bar - 1], to_ms=edges[bar], count=number) for bar, number in counts.items()]
    if zero:
        found.insert(0, BucketView(from_ms=0.0, to_ms=found[0].from_ms if found else 0.0, count=zero))
    return found


def _bar(bucket: int, width: int) -> int:
    """The bar of a bucket: bar ``b`` holds the buckets ``(b-1)*width+1 … b*width``."""
    return -(-bucket // width)


def _errors(agent_id: str, agent: Table, recent: Recent | None) -> list[ErrorView]:
    seen = recent.errors(agent_id) if recent else ()
    errors = [ErrorView(time=error.time_ms, message=error.message, tool=error.tool, run=error.run_id) for error in seen]
    last = table_of(agent, "last-error")
    message, time = text(last, "message"), positive(last, "time")
    if message is not None and (time, message) not in {(error.time, error.message) for error in errors}:
        # From before the memory began.
        errors.append(ErrorView(time=time, message=message, tool=None, run=None))
    return sorted(errors, key=lambda error: error.time or 0, reverse=True)


def _span(start: int | None, end: int | None) -> float | None:
    return None if start is None or end is None else float(max(0, end - start))
