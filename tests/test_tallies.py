"""The figures of tools, runs and model calls: what each rate is out of, and what is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from pyjama_metrics.histogram import add_many
from pyjama_metrics.state import new_tool_tally, new_usage
from pyjama_metrics.tallies import metrics_view, runs_view, tool_view, usage_view


def tally(durations: list[float] | None = None, **counts: Any) -> dict[str, Any]:
    """The figures of a tool as the fold keeps them."""
    made: dict[str, Any] = {**new_tool_tally(), **counts}
    add_many(made["histogram"], durations or [])
    made["timed"] = made["histogram"]["n"]
    made["total-duration"] = made["histogram"]["sum-us"] / 1000
    return made


def test_the_success_rate_of_tools_is_out_of_successes_and_errors() -> None:
    """Interrupted executions stand apart: three of four went well, whatever somebody stopped."""
    view = tool_view(tally(count=4, success=3, error=1, interrupted=96))
    assert (view.count, view.success, view.error, view.interrupted, view.success_rate) == (4, 3, 1, 96, 0.75)


def test_the_success_rate_of_runs_is_out_of_completed_failed_and_crashed() -> None:
    """A crash is no success; running and stopped runs stand apart."""
    view = runs_view({"started": 100, "completed": 2, "failed": 1, "crashed": 1, "stopped": 50})
    assert (view.started, view.completed, view.failed, view.crashed, view.stopped) == (100, 2, 1, 1, 50)
    assert view.success_rate == 0.5


def test_a_file_that_does_not_count_timed_executions_is_averaged_over_all() -> None:
    """The figures of the documented example, written before there were histograms."""
    view = tool_view({"count": 156, "success": 152, "error": 4, "total-duration": 7013.5})
    assert view.avg_duration_ms == pytest.approx(7013.5 / 156)
    assert (view.p50_ms, view.min_ms, view.last_seen) == (None, None, None)


def test_percentiles_are_those_of_the_measured_durations() -> None:
    """Within 1.1 percent; the extremes exactly."""
    view = tool_view(tally([float(ms) for ms in range(1, 1001)]))
    assert (view.p50_ms, view.p95_ms, view.p99_ms) == pytest.approx((500, 950, 990), rel=0.011)
    assert (view.min_ms, view.max_ms) == (1.0, 1000.0)


def test_tools_come_by_count_and_then_by_name() -> None:
    """A stable order: rows of the page do not swap places without a reason."""
    tools = {"c": tally(count=1), "b": tally(count=9), "a": tally(count=1)}
    assert list(metrics_view({"tools": tools}).tools) == ["b", "a", "c"]


@pytest.mark.parametrize("key", ["999999999", "-999999999", "--3", "1.5", "", "٣x", "NaN"])
def test_a_bucket_that_no_duration_has_is_passed_over(key: str) -> None:
    """Its bound would be no number at all."""
    made = tally([10.0, 20.0, 30.0])
    made["histogram"]["buckets"][key] = 5
    assert tool_view(made) == tool_view(tally([10.0, 20.0, 30.0]))


def test_a_number_without_end_is_no_number() -> None:
    """Some JSON readers make an infinity of 1e999."""
    assert tool_view({"count": float("inf"), "total-duration": float("nan")}).count == 0


def test_the_average_duration_is_out_of_the_timed_executions() -> None:
    """An execution without a duration did not take 0 ms."""
    view = tool_view(tally([10.0, 30.0], count=10, success=10))
    assert (view.total_duration, view.avg_duration_ms) == (40.0, 20.0)


def test_a_rate_out_of_nothing_is_unknown() -> None:
    """None, not 0 and not 100 percent, also where interrupted and stopped ones are."""
    assert tool_view(tally(interrupted=3)).success_rate is None
    assert tool_view(tally(count=3, success=3)).avg_duration_ms is None
    assert runs_view({"started": 5, "stopped": 5}).success_rate is None


def test_tokens_are_summed_over_the_four_kinds_and_a_cost_is_shown_only_where_one_was_reported() -> None:
    """Unpriced is not free."""
    usage = {**new_usage(), "requests": 2, "input-tokens": 1, "output-tokens": 20, "cache-read-tokens": 300}
    usage |= {"cache-write-tokens": 4000, "estimated-tokens": 21}
    view = usage_view(usage)
    assert (view.total_tokens, view.estimated_tokens, view.cost_micros) == (4321, 21, None)
    assert usage_view({**usage, "priced-requests": 1, "cost-micros": 0}).cost_micros == 0


def test_error_and_success_rates_have_the_same_denominator() -> None:
    """They add up to one, and are both unknown where nothing ended."""
    view = tool_view(tally(count=4, success=3, error=1, interrupted=9))
    assert (view.success_rate, view.error_rate) == (0.75, 0.25)
    assert tool_view(tally(interrupted=9)).error_rate is None


def test_models_and_phases_come_by_tokens() -> None:
    """The most expensive habit is on top; what is no object is passed over."""
    models = {"small": {"input-tokens": 5}, "large": {"output-tokens": 9}, "also small": {"input-tokens": 5}, "odd": 7}
    view = metrics_view({"models": models, "phases": models})
    assert list(view.models) == list(view.phases) == ["large", "also small", "small"]
