"""What a session, or an agent, comes to in one object: the answer of ``GET /metrics/<session or agent>``.

Its names are in camel case, as programs that watch sessions know them from elsewhere; the figures mean what they mean everywhere:
input tokens leave out what a cache held, a cost that nobody knows is none, a quantile that cannot be known is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple

from pyjama_metrics import histogram
from pyjama_metrics.about_sessions import Facts, context_of, facts_of, latest_of, limit_views, value_of
from pyjama_metrics.event_fields import label_of, project_of
from pyjama_metrics.families import children_of
from pyjama_metrics.histogram import Histogram
from pyjama_metrics.ledger_rows import ALL_TOKENS
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.run_figures import ERROR, INTERRUPTED, SUCCESS, RunFigures, Tools, with_others
from pyjama_metrics.shares import NO_SHARE, Share, together, whole_of
from pyjama_metrics.state import RUN_TOOL
from pyjama_metrics.state_fields import Table, count, counts_in, positive, ratio, table_of, tables, text
from pyjama_metrics.statuses import OPEN
from pyjama_metrics.tallies import histogram_of
from pyjama_metrics.views import LimitView, says

_RANKS = {"running": 3, "waiting": 2, "unknown": 1}
"""A session runs while any of its runs does; where none is open, the latest speaks. As of an agent."""
_ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMetrics:
    """Tokens and their cost."""

    input: int = field(metadata=says("Tokens sent, without those read from or written to a cache"))
    output: int = field(metadata=says("Tokens received"))
    cache_read: int = field(metadata=says("Tokens sent that the provider's cache held"))
    cache_write: int = field(metadata=says("Tokens sent that went into the provider's cache, for its usual time or for an hour"))
    total: int = field(metadata=says("Sum of these four"))
    cost: float | None = field(metadata=says("Known cost in dollars, reported or computed; null where no call has one"))
    unpriced: int = field(metadata=says("Model calls whose cost is not known: it is not in cost"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMetrics:
    """Durations of tool executions."""

    avg: float | None = field(metadata=says("Mean of the measured durations, in ms"))
    p95: float | None = field(metadata=says("95 % of them were at most this, in ms; null where not all are known one by one"))
    p99: float | None = field(metadata=says("99 % of them were at most this, in ms; null where not all are known one by one"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubagentMetrics:
    """One run below a session, or one agent below an agent."""

    agent: str = field(metadata=says("Its agent"))
    run: str | None = field(metadata=says("Its run; null where all runs of an agent are meant"))
    parent: str | None = field(metadata=says("The run that started it"))
    type: str | None = field(metadata=says("What kind of subagent it is; null for what is none of the program's own"))
    status: str = field(metadata=says("As of a session"))
    tokens: TokenMetrics = field(metadata=says("Its own tokens, which are among those of the session"))
    tool_calls: int = field(metadata=says("Its tool executions with an outcome"))
    tool_errors: int = field(metadata=says("Those of them that failed"))
    duration: float | None = field(metadata=says("From its start to its end or now, in ms"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMetrics:
    """A session with its subagents, or an agent over all of its runs."""

    session_id: str = field(metadata=says("What was asked for: the session, or the agent"))
    tokens: TokenMetrics = field(metadata=says("Tokens and their cost"))
    latency: LatencyMetrics = field(metadata=says("Durations of tool executions"))
    error_rate: float | None = field(metadata=says("error / (success + error) of tool executions, from 0 to 1"))
    tool_counts: dict[str, int] = field(metadata=says("Tool executions with an outcome, by tool"))
    tool_errors: dict[str, int] = field(metadata=says("Those that failed, by tool; a tool without failures is not there"))
    messages: dict[str, int] | None = field(metadata=says("Messages by role: user, assistant; null where not all were counted"))
    duration: float | None = field(metadata=says("From the first start to the last end, or to now while it is open, in ms"))
    status: str = field(metadata=says("running, waiting, completed, failed, crashed, stopped or unknown"))
    interrupted: dict[str, int] = field(metadata=says("Tool calls that were stopped, refused or never executed, by tool"))
    waiting_reason: str | None = field(metadata=says("What it waits for"))
    start_time: int | None = field(metadata=says("First start, in ms since the epoch"))
    last_seen: int | None = field(metadata=says("Latest event, in ms since the epoch"))
    agent: str | None = field(metadata=says("Agent whose session it is"))
    source: str | None = field(metadata=says("How it was recorded: claude-code, codex, python, shell, …"))
    project: str | None = field(metadata=says("Project"))
    branch: str | None = field(metadata=says("git branch"))
    model: str | None = field(metadata=says("Model at work, as the session told"))
    context_tokens: int | None = field(metadata=says("Tokens in the context of the model"))
    context_window: int | None = field(metadata=says("How many of them fit in"))
    context_percent: float | None = field(metadata=says("How full the context is, in per cent"))
    limits: list[LimitView] = field(metadata=says("Limits of the user's plan as it told them last, each with the time of that"))
    runs: int = field(metadata=says("How many runs are counted, subagents included"))
    subagents: list[SubagentMetrics] = field(metadata=says("What is below it, by start: its figures are in those above"))
    note: str | None = field(metadata=says("What is missing, in a sentence; null where nothing is"))


class Sum(NamedTuple):
    """Figures of several runs together, or of an agent."""

    tools: Tools
    timed: int
    total_us: int
    durations: Histogram | None
    messages: Mapping[str, int] | None
    share: Share


def of_session(session: str, runs: Sequence[RunFigures], now_ms: int, note: str | None = None) -> SessionMetrics:
    """The answer for a session.

    Args:
        session: its id.
        runs: those that belong to it, at least one.
        now_ms: the time of looking, in ms since the epoch.
        note: what is missing.
    """
    names = {run.run for run in runs}
    is_top = {(run.agent, run.run): run.parent not in names and run.subagent is None for run in runs}
    tops = [run for run in runs if is_top[run.agent, run.run]] or list(runs)
    shown = max(tops, key=lambda run: (_RANKS.get(run.status, 0), run.started or run.last_seen or 0, run.run))
    facts = latest_of(run.facts for run in tops)
    rest = [run for run in runs if not is_top[run.agent, run.run]] if len(tops) < len(runs) else []
    below = sorted(rest, key=lambda run: (run.started or run.last_seen or 0, run.run))
    starts = [run.started for run in runs if run.started is not None]
    start, seen = min(starts, default=None), max((run.last_seen or 0 for run in runs), default=0)
    ends = [run.ended if run.ended is not None else run.last_seen for run in runs]
    is_open = shown.status in OPEN
    end = now_ms if is_open else max((each for each in ends if each is not None), default=None)
    return metrics_of(
        session,
        _sum_of(runs),
        facts=facts,
        source=shown.source,
        status=shown.status,
        waiting_reason=shown.waiting_reason,
        start_time=start,
        last_seen=seen or None,
        duration=_span(start, end),
        agent=shown.agent,
        project=shown.project,
        runs=len(runs),
        subagents=[_subagent(run, now_ms) for run in below],
        note=note,
    )


def of_agent(state: Table, agent_id: str, now_ms: int, overrides: Overrides | None = None) -> SessionMetrics | None:
    """The answer for an agent over all of its runs, also those that left the state; None where the state has no such agent.

    What it started are agents of their own: they are listed, and their figures are not among its own.
    """
    agents = dict(tables(state, "agents"))
    agent = agents.get(agent_id)
    if agent is None:
        return None
    runs = dict(tables(agent, "runs"))
    latest = runs.get(text(agent, "latest-run") or "", {})
    start = min((start for run in runs.values() if (start := positive(run, "start-time"))), default=positive(agent, "start-time"))
    status = text(agent, "status") or "unknown"
    return metrics_of(
        agent_id,
        _sum_of_agent(agent, overrides),
        facts=facts_of(latest),
        source=text(agent, "source"),
        status=status,
        waiting_reason=text(agent, "waiting-reason") if status == "waiting" else None,
        start_time=start,
        last_seen=positive(agent, "last-seen"),
        duration=_span(start, _end_of(agent, now_ms)),
        agent=agent_id,
        project=project_of(table_of(latest, "origin")) or None,
        runs=count(table_of(agent, "run-counts"), "started"),
        subagents=[_agent_below(name, agents[name], now_ms, overrides) for name in children_of(state, agent_id)],
        note=None,
    )


def metrics_of(name: str, figures: Sum, *, facts: Facts, source: str | None, **told: Any) -> SessionMetrics:
    """The answer for a name with some figures; what nobody can add up is ``told``."""
    error, success = (sum(row[place] for row in figures.tools.values()) for place in (ERROR, SUCCESS))
    most_first = dict(sorted(figures.tools.items(), key=lambda item: (-item[1][SUCCESS] - item[1][ERROR], item[0])))
    return SessionMetrics(
        session_id=name,
        tokens=token_metrics(figures.share),
        latency=latency_metrics(figures),
        error_rate=ratio(error, success + error),
        tool_counts={tool: row[SUCCESS] + row[ERROR] for tool, row in most_first.items() if row[SUCCESS] + row[ERROR]},
        tool_errors={tool: row[ERROR] for tool, row in most_first.items() if row[ERROR]},
        interrupted={tool: row[INTERRUPTED] for tool, row in most_first.items() if row[INTERRUPTED]},
        messages=None if figures.messages is None else {**dict.fromkeys(_ROLES, 0), **figures.messages},
        source=source,
        branch=value_of(facts, "branch"),
        model=value_of(facts, "model"),
        context_tokens=value_of(facts, "context-tokens"),
        context_window=value_of(facts, "context-window"),
        context_percent=context_of(facts)[0],
        limits=limit_views(source, facts),
        **told,
    )


def token_metrics(share: Share) -> TokenMetrics:
    """The tokens of some model calls, and what they cost."""
    uncached, output, read, write, write_1h = share.counts[ALL_TOKENS]
    micros = share.cost.total_micros
    return TokenMetrics(
        input=uncached,
        output=output,
        cache_read=read,
        cache_write=write + write_1h,
        total=uncached + output + read + write + write_1h,
        cost=None if micros is None else micros / 1_000_000,
        unpriced=share.cost.unpriced_requests,
    )


def latency_metrics(figures: Sum) -> LatencyMetrics:
    """The durations of some executions; quantiles where each of them is known."""
    p95, p99 = (None, None) if figures.durations is None else histogram.quantiles(figures.durations, (0.95, 0.99))
    return LatencyMetrics(avg=ratio(figures.total_us / 1000, figures.timed), p95=p95, p99=p99)


def _sum_of(runs: Sequence[RunFigures]) -> Sum:
    return Sum(
        _added_tools(run.tools for run in runs),
        sum(run.timed for run in runs),
        sum(run.total_us for run in runs),
        _merged([run.durations for run in runs]),
        _added_messages([run.messages for run in runs]),
        together([run.share for run in runs]) if runs else NO_SHARE,
    )


def _sum_of_agent(agent: Table, overrides: Overrides | None) -> Sum:
    tools = dict(tables(agent, "tools"))
    measured = [_whole_histogram(tool) for tool in tools.values()]
    return Sum(
        with_others({name: tuple(count(tool, kind) for kind in RUN_TOOL) for name, tool in tools.items()}, agent),
        count(agent, "timed"),
        count(agent, "total-us"),
        # Tools that an agent used beyond a limit are not told apart.
        _merged(measured) if sum(count(tool, "timed") for tool in tools.values()) == count(agent, "timed") else None,
        counts_in(table_of(agent, "messages")),
        whole_of(agent, overrides),
    )


def _whole_histogram(tool: Table) -> Histogram | None:
    durations, timed = histogram_of(table_of(tool, "histogram")), count(tool, "timed")
    if durations is None:
        return None if timed else histogram.empty()
    return durations if durations["n"] == timed else None


def _added_tools(parts: Iterable[Tools]) -> Tools:
    found: dict[str, tuple[int, int, int]] = {}
    for tools in parts:
        for name, row in tools.items():
            before = found.get(name, (0,) * len(RUN_TOOL))
            found[name] = (before[0] + row[0], before[1] + row[1], before[2] + row[2])
    return found


def _added_messages(parts: Sequence[Mapping[str, int] | None]) -> Mapping[str, int] | None:
    found: dict[str, int] = {}
    for messages in parts:
        if messages is None:
            return None
        for role, number in messages.items():
            found[role] = found.get(role, 0) + number
    return found


def _merged(parts: Sequence[Histogram | None]) -> Histogram | None:
    whole = histogram.empty()
    for part in parts:
        if part is None:
            return None
        histogram.merge(whole, part)
    return whole


def _subagent(run: RunFigures, now_ms: int) -> SubagentMetrics:
    success, error = (sum(row[place] for row in run.tools.values()) for place in (SUCCESS, ERROR))
    return SubagentMetrics(
        agent=run.agent,
        run=run.run,
        parent=run.parent,
        type=run.subagent,
        status=run.status,
        tokens=token_metrics(run.share),
        tool_calls=success + error,
        tool_errors=error,
        duration=_span(run.started, now_ms if run.status in OPEN else run.ended),
    )


def _agent_below(name: str, agent: Table, now_ms: int, overrides: Overrides | None) -> SubagentMetrics:
    latest = dict(tables(agent, "runs")).get(text(agent, "latest-run") or "", {})
    return SubagentMetrics(
        agent=name,
        run=None,
        parent=text(agent, "parent"),
        type=label_of(table_of(latest, "origin"), "subagent"),
        status=text(agent, "status") or "unknown",
        tokens=token_metrics(whole_of(agent, overrides)),
        tool_calls=count(agent, "success") + count(agent, "error"),
        tool_errors=count(agent, "error"),
        duration=_span(positive(agent, "start-time"), _end_of(agent, now_ms)),
    )


def _end_of(agent: Table, now_ms: int) -> int | None:
    if text(agent, "status") in OPEN:
        return now_ms
    ends = [positive(run, "end-time") for _, run in tables(agent, "runs")]
    return max((end for end in ends if end is not None), default=positive(agent, "last-seen"))


def _span(start: int | None, end: int | None) -> float | None:
    return None if start is None or end is None else float(max(0, end - start))


def as_camel(view: Any) -> Any:
    """A view as plain dictionaries and lists whose names are in camel case; names of tools and roles stay as they are."""
    if isinstance(view, dict):
        return {name: as_camel(value) for name, value in view.items()}
    if isinstance(view, list):
        return [as_camel(value) for value in view]
    if is_dataclass(view) and not isinstance(view, type):
        return {camel(each.name): as_camel(getattr(view, each.name)) for each in fields(view)}
    return view


def camel(name: str) -> str:
    """``tool_counts`` is ``toolCounts``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
