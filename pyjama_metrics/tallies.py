"""The figures of tools, runs and model calls, of all agents or of one: parts of a state as views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pyjama_metrics import shares
from pyjama_metrics.events import TOKENS
from pyjama_metrics.histogram import LARGEST_MS, SMALLEST_MS, Histogram, bucket_of, quantiles
from pyjama_metrics.ledger import NOTHING, Cost, PricedRow, cost_of_usage, costs_of
from pyjama_metrics.shares import NO_ORIGINS, Origins
from pyjama_metrics.state_fields import Table, count, number, positive, ratio, table_of, tables, total
from pyjama_metrics.views import MetricsView, RunsView, ToolView, UsageView

_BUCKETS = frozenset(str(k) for k in range(bucket_of(SMALLEST_MS), bucket_of(LARGEST_MS) + 1))


def metrics_view(state: Table, rows: Sequence[PricedRow] = (), origins: Origins = NO_ORIGINS) -> MetricsView:
    """The figures of a whole state that belong to no single agent.

    Args:
        state: a parsed ``metrics.json``.
        rows: those of its ledger, priced.
        origins: all of its model calls by project and by host.
    """
    costs = costs_of(rows)
    tools = ((name, tool_view(tool)) for name, tool in tables(state, "tools"))
    return MetricsView(
        global_=tool_view(table_of(state, "global")),
        tools=dict(sorted(tools, key=lambda item: (-item[1].count, item[0]))),
        runs=runs_view(table_of(state, "runs")),
        tokens=usage_view(table_of(state, "tokens"), costs),
        models=model_views(state, costs),
        phases=phase_views(state, costs),
        tool_usage=shares.most_tokens_first(shares.by(rows, shares.tool_of)),
        projects=shares.most_tokens_first(origins.projects),
        hosts=shares.most_tokens_first(origins.hosts),
        days=shares.latest_first(shares.by(rows, shares.day_of)),
    )


def model_views(table: Table, costs: Cost) -> dict[str, UsageView]:
    """The model calls by model, of all agents or of one, with the costs in its ledger: most tokens first."""
    views = ((name, usage_view(usage, costs.by_model.get(name, NOTHING), name)) for name, usage in tables(table, "models"))
    return _most_tokens_first(views)


def phase_views(table: Table, costs: Cost) -> dict[str, UsageView]:
    """The same by phase of the work."""
    return _most_tokens_first(
        (name, usage_view(usage, costs.by_phase.get(name, NOTHING))) for name, usage in tables(table, "phases")
    )


def _most_tokens_first(views: Iterable[tuple[str, UsageView]]) -> dict[str, UsageView]:
    return dict(sorted(views, key=lambda item: (-item[1].total_tokens, item[0])))


def tool_view(tally: Table) -> ToolView:
    """The view of one tool, or of ``global``."""
    histogram = histogram_of(table_of(tally, "histogram"))
    p50, p95, p99 = quantiles(histogram, (0.5, 0.95, 0.99)) if histogram else (None, None, None)
    success, error = count(tally, "success"), count(tally, "error")
    return ToolView(
        count=count(tally, "count"),
        success=success,
        error=error,
        interrupted=count(tally, "interrupted"),
        total_duration=number(tally, "total-duration") or 0.0,
        success_rate=ratio(success, success + error),
        error_rate=ratio(error, success + error),
        avg_duration_ms=average_ms(tally),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        min_ms=histogram["min-ms"] if histogram else None,
        max_ms=histogram["max-ms"] if histogram else None,
        last_seen=positive(tally, "last-seen"),
    )


def runs_view(counts: Table) -> RunsView:
    """The view of run counts."""
    completed, failed, crashed = (count(counts, key) for key in ("completed", "failed", "crashed"))
    return RunsView(
        started=count(counts, "started"),
        completed=completed,
        failed=failed,
        crashed=crashed,
        stopped=count(counts, "stopped"),
        success_rate=ratio(completed, completed + failed + crashed),
    )


def usage_view(usage: Table, ledger: Cost = NOTHING, model: str | None = None) -> UsageView:
    """The view of model calls: of all agents, of one, of a model, of a phase.

    Args:
        usage: their sums.
        ledger: the costs of their rows.
        model: their model, where they have one in common.
    """
    kinds = [count(usage, kind) for kind in TOKENS]
    cost = cost_of_usage(usage, ledger)
    if cost.unpriced_requests and model is not None:
        cost = replace(cost, unpriced=frozenset({model}))  # of calls that an older version counted, too
    return UsageView(
        input_tokens=kinds[0],
        output_tokens=kinds[1],
        cache_read_tokens=kinds[2],
        cache_write_tokens=kinds[3],
        cache_write_1h_tokens=kinds[4],
        total_tokens=total(kinds),
        **cost.as_fields(),
    )


def histogram_of(table: Table) -> Histogram | None:
    """The histogram that a table holds, or None when it holds no duration."""
    low, high = number(table, "min-ms"), number(table, "max-ms")
    n = count(table, "n")
    if n <= 0 or low is None or high is None:
        return None
    buckets = table_of(table, "buckets")
    return {
        "n": n,
        "zero": count(table, "zero"),
        "sum-us": count(table, "sum-us"),
        "min-ms": low,
        "max-ms": high,
        "buckets": {key: count(buckets, key) for key in buckets if key in _BUCKETS},
    }


def average_ms(tally: Table) -> float | None:
    """Mean duration of the timed executions; where nobody counted those, all are taken as timed."""
    timed = count(tally, "timed" if "timed" in tally else "count")
    return ratio(number(tally, "total-duration") or 0.0, timed)
