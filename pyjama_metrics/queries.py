"""What the state says: a typed view for the page, the JSON API and the command line.

`dashboard` turns a state (the parsed ``metrics.json``) into the frozen dataclasses of `pyjama_metrics.views`,
which `pyjama_metrics.views.as_json` turns into plain dictionaries with kebab-case keys.

Nothing here knows files or clocks. A state of an older version, with keys missing or of another type, is read
as far as it goes: missing counts are 0, everything else that is missing is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyjama_metrics.events import OUTCOMES
from pyjama_metrics.histogram import LARGEST_MS, SMALLEST_MS, Histogram, bucket_of, quantiles
from pyjama_metrics.statuses import OPEN
from pyjama_metrics.views import (
    AgentView,
    Dashboard,
    LogView,
    MetricsView,
    Overview,
    ProblemsView,
    RunsView,
    ToolView,
    UsageView,
)

Table = Mapping[str, Any]
"""An object of the state; `pyjama_metrics.state` has the exact types."""

_BUCKETS = frozenset(str(k) for k in range(bucket_of(SMALLEST_MS), bucket_of(LARGEST_MS) + 1))
_ORDER = {"running": 0, "waiting": 1, "crashed": 2, "failed": 3, "unknown": 4, "stopped": 5, "completed": 6}


def dashboard(state: Table, now_ms: int) -> Dashboard:
    """The view of a whole state at ``now_ms`` (ms since the epoch)."""
    agents = {name: agent_view(agent) for name, agent in _tables(state, "agents")}
    return Dashboard(
        agents=dict(sorted(agents.items(), key=_by_urgency)),
        metrics=metrics_view(state),
        recent_logs=[log_view(entry) for entry in _list(state, "recent-logs") if isinstance(entry, Mapping)],
        overview=overview(agents),
        problems=problems_view(_table(state, "problems")),
        generation=_count(state, "generation"),
        updated=_positive(state, "updated"),
        now=now_ms,
    )


def metrics_view(state: Table) -> MetricsView:
    """The figures of a whole state that belong to no single agent."""
    tools = ((name, tool_view(tool)) for name, tool in _tables(state, "tools"))
    return MetricsView(
        global_=tool_view(_table(state, "global")),
        tools=dict(sorted(tools, key=lambda item: (-item[1].count, item[0]))),
        runs=runs_view(_table(state, "runs")),
        tokens=usage_view(_table(state, "tokens")),
    )


def tool_view(tally: Table) -> ToolView:
    """The view of one tool, or of ``global``."""
    histogram = _histogram(_table(tally, "histogram"))
    p50, p95, p99 = quantiles(histogram, (0.5, 0.95, 0.99)) if histogram else (None, None, None)
    success, error = _count(tally, "success"), _count(tally, "error")
    return ToolView(
        count=_count(tally, "count"),
        success=success,
        error=error,
        interrupted=_count(tally, "interrupted"),
        total_duration=_number(tally, "total-duration") or 0.0,
        success_rate=_ratio(success, success + error),
        avg_duration_ms=_average_ms(tally),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        min_ms=histogram["min-ms"] if histogram else None,
        max_ms=histogram["max-ms"] if histogram else None,
        last_seen=_positive(tally, "last-seen"),
    )


def runs_view(counts: Table) -> RunsView:
    """The view of run counts."""
    completed, failed, crashed = (_count(counts, key) for key in ("completed", "failed", "crashed"))
    return RunsView(
        started=_count(counts, "started"),
        completed=completed,
        failed=failed,
        crashed=crashed,
        stopped=_count(counts, "stopped"),
        success_rate=_ratio(completed, completed + failed + crashed),
    )


def usage_view(usage: Table) -> UsageView:
    """The view of model calls: of all agents, of one, of a model, of a phase."""
    priced = _count(usage, "priced-requests")
    kinds = [_count(usage, f"{kind}-tokens") for kind in ("input", "output", "cache-read", "cache-write")]
    return UsageView(
        requests=_count(usage, "requests"),
        input_tokens=kinds[0],
        output_tokens=kinds[1],
        cache_read_tokens=kinds[2],
        cache_write_tokens=kinds[3],
        total_tokens=sum(kinds),
        estimated_tokens=_count(usage, "estimated-tokens"),
        # Where nothing was priced, 0 would be a claim.
        cost_micros=_count(usage, "cost-micros") if priced else None,
        priced_requests=priced,
    )


def agent_view(agent: Table) -> AgentView:
    """The view of one agent."""
    last_error = _table(agent, "last-error")
    counts = _table(agent, "run-counts")
    success, error = _count(agent, "success"), _count(agent, "error")
    return AgentView(
        status=_text(agent, "status") or "unknown",
        start_time=_positive(agent, "start-time"),
        last_seen=_positive(agent, "last-seen"),
        count=_count(agent, "count"),
        success=success,
        error=error,
        interrupted=_count(agent, "interrupted"),
        success_rate=_ratio(success, success + error),
        avg_duration_ms=_average_ms(agent),
        current_tool=_text(agent, "current-tool"),
        current_step=_text(agent, "current-step"),
        waiting_reason=_text(agent, "waiting-reason"),
        parent=_text(agent, "parent"),
        parent_agent=_text(agent, "parent-agent"),
        source=_text(agent, "source"),
        host=_text(agent, "host"),
        pid=_positive(agent, "pid"),
        errors=_count(agent, "errors"),
        last_error=_text(last_error, "message"),
        last_error_time=_positive(last_error, "time"),
        tokens=usage_view(_table(agent, "tokens")).total_tokens,
        runs_open=sum(_text(run, "status") in OPEN for _, run in _tables(agent, "runs")),
        runs_started=_count(counts, "started"),
        runs_completed=_count(counts, "completed"),
        runs_failed=_count(counts, "failed"),
        runs_crashed=_count(counts, "crashed"),
        runs_stopped=_count(counts, "stopped"),
    )


def log_view(entry: Table) -> LogView:
    """The view of one entry of ``recent-logs``."""
    return LogView(
        timestamp=_positive(entry, "timestamp"),
        agent_id=_text(entry, "agent-id") or "",
        tool=_text(entry, "tool"),
        status=_text(entry, "status"),
        event=_text(entry, "event"),
        message=_text(entry, "message"),
        run=_text(entry, "run"),
        id=_text(entry, "id"),
    )


def overview(agents: Mapping[str, AgentView]) -> Overview:
    """The agents counted by status; a status that is none of ours counts as unknown."""
    statuses = [agent.status for agent in agents.values()]
    running, waiting, crashed = (statuses.count(status) for status in ("running", "waiting", "crashed"))
    finished = sum(status in OUTCOMES for status in statuses)
    return Overview(
        agents=len(statuses),
        running=running,
        waiting=waiting,
        crashed=crashed,
        finished=finished,
        unknown=len(statuses) - running - waiting - crashed - finished,
    )


def problems_view(problems: Table) -> ProblemsView:
    """The view of the problem counts; kinds that this version does not know are in the total."""
    return ProblemsView(
        malformed_lines=_count(problems, "malformed-lines"),
        unknown_events=_count(problems, "unknown-events"),
        invalid_values=_count(problems, "invalid-values"),
        lost_events=_count(problems, "lost-events"),
        total=sum(_count(problems, kind) for kind in problems),
    )


def _by_urgency(item: tuple[str, AgentView]) -> tuple[int, int, str]:
    name, agent = item
    return _ORDER.get(agent.status, _ORDER["unknown"]), -(agent.last_seen or 0), name


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _average_ms(tally: Table) -> float | None:
    """Mean duration of the timed executions; where nobody counted those, all are taken as timed."""
    timed = _count(tally, "timed" if "timed" in tally else "count")
    return _ratio(_number(tally, "total-duration") or 0.0, timed)


def _histogram(table: Table) -> Histogram | None:
    """The histogram that a table holds, or None when it holds no duration."""
    low, high = _number(table, "min-ms"), _number(table, "max-ms")
    n = _count(table, "n")
    if n <= 0 or low is None or high is None:
        return None
    buckets = _table(table, "buckets")
    return {
        "n": n,
        "zero": _count(table, "zero"),
        "sum-us": _count(table, "sum-us"),
        "min-ms": low,
        "max-ms": high,
        "buckets": {key: _count(buckets, key) for key in buckets if key in _BUCKETS},
    }


def _tables(table: Table, key: str) -> list[tuple[str, Table]]:
    return [(name, value) for name, value in _table(table, key).items() if isinstance(value, Mapping)]


def _table(table: Table, key: str) -> Table:
    value = table.get(key)
    return value if isinstance(value, Mapping) else {}


def _list(table: Table, key: str) -> list[Any]:
    value = table.get(key)
    return value if isinstance(value, list) else []


def _number(table: Table, key: str) -> float | None:
    value = table.get(key)
    # An infinity, which 1e999 is to some parsers, minus itself is not 0.
    return value if isinstance(value, int | float) and value - value == 0 else None


def _count(table: Table, key: str) -> int:
    return int(_number(table, key) or 0)


def _positive(table: Table, key: str) -> int | None:
    """A time or a process number; the state has 0 where there is none yet."""
    value = _count(table, key)
    return value if value > 0 else None


def _text(table: Table, key: str) -> str | None:
    value = table.get(key)
    return value if isinstance(value, str) else None
