"""One agent and one run in full, and the bars of their histograms."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.agent_details import MAX_BARS, agent_detail, bars, run_detail, step_view
from pyjama_metrics.histogram import LARGEST_MS, SMALLEST_MS, add_many, empty
from pyjama_metrics.queries import agent_view
from pyjama_metrics.storage.json import dumps
from pyjama_metrics.tallies import tool_view
from pyjama_metrics.views import AgentDetail, BucketView, RunDetail, StepView, as_json
from tests.journals import event, folded, tool
from tests.states import ANYTHING, RUN, foreign_states, full_memory, full_state

NOW = 2_000


def detail(agent_id: str = "a", state: Any = None, **more: Any) -> AgentDetail:
    """Everything about an agent of the full state."""
    found = agent_detail(full_state() if state is None else state, agent_id, NOW, **more)
    assert found is not None
    return found


def run(run_id: str = RUN, state: Any = None, **more: Any) -> RunDetail:
    """Everything about a run of the full state."""
    found = run_detail(full_state() if state is None else state, run_id, NOW, **more)
    assert found is not None
    return found


def test_who_is_not_there_has_no_detail() -> None:
    """Nor has what is no object."""
    assert agent_detail(full_state(), "nobody", NOW) is None
    assert agent_detail({"agents": {"a": 7}}, "a", NOW) is None
    assert run_detail(full_state(), "w.9", NOW, full_memory()) is None


def test_an_agent_is_told_with_everything_that_the_file_has() -> None:
    """Its figures are those of the dashboard."""
    view = detail()
    assert view.agent == agent_view(full_state()["agents"]["a"])
    assert ([each.id for each in view.runs], view.messages, view.labels, view.spec) == (
        [RUN], {"user": 1}, {"branch": "main"}, {"goal": 1},
    )  # fmt: skip
    assert (list(view.tools), view.models["m"].total_tokens, view.phases) == (["read"], 11, {})
    assert (view.parent_agent, view.children, view.now) == ("boss", [], NOW)
    assert {entry.agent_id for entry in view.recent_logs} == {"a"}
    boss = detail("boss")
    assert (boss.children, boss.models["free"].cost_micros, boss.phases["plan"].input_tokens) == (["a"], None, 30)
    assert boss.agent.subtree is not None


def test_an_agents_sparkline_is_that_of_the_memory() -> None:
    """The same as on the dashboard."""
    recent = full_memory()
    spark = detail(recent=recent).agent.recent
    assert spark is not None
    assert (spark.executions, spark.error) == ([2], [1])


def test_runs_come_newest_first() -> None:
    """By their start; of one that nobody saw start, by when it was seen."""
    starts = [event("start", time, run=f"w.{time}") for time in (5, 9, 7)]
    state = folded(*starts, event("complete", 8, run="v.0"))
    assert [each.id for each in detail(state=state).runs] == ["w.9", "v.0", "w.7", "w.5"]


def test_a_run_is_told_with_its_steps_and_how_to_get_there() -> None:
    """While it is open it has no end and no duration."""
    view = run().run
    assert (view.agent_id, view.status, view.start_time, view.end_time, view.duration_ms) == ("a", "waiting", 1000, None, None)
    assert (view.waiting_reason, view.waiting_since, view.message) == ("a person", 1040, None)
    assert (view.count, view.success, view.error, view.interrupted, view.success_rate) == (2, 1, 1, 0, 0.5)
    assert [(step.id, step.status) for step in view.steps] == [("plan", "running"), ("build", "pending")]
    assert (view.parent, view.source, view.host, view.pid, view.cwd) == ("w-1-x.0", "python", "h", 7, "/work")
    assert (view.labels, view.tmux_pane, view.command) == ({"branch": "main"}, "%3", "tmux switch-client -t '%3'")


def test_a_run_that_is_over_lasted_from_its_start_to_its_end_and_waits_no_more() -> None:
    """What it waited for is past."""
    about: dict[str, Any] = {"run": "w.1"}
    state = folded(
        event("start", 1000, **about),
        event("waiting", 1500, reason="a person", **about),
        event("complete", 4000, status="failed", error="no", **about),
    )
    view = run("w.1", state).run
    assert (view.status, view.duration_ms, view.message, view.waiting_reason, view.waiting_since) == (
        "failed",
        3000,
        "no",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ({"status": "completed", "started": 5, "ended": 8, "attempts": 1}, (5, 8, 3)),
        ({"status": "running", "started": 9, "ended": 8, "attempts": 2}, (9, None, None)),
        ({"status": "pending"}, (None, None, None)),
        ({"status": "failed", "ended": 8}, (None, 8, None)),
    ],
)
def test_a_step_has_the_times_of_its_latest_attempt(step: dict[str, Any], shown: tuple[Any, ...]) -> None:
    """The end of the attempt before is not the end of this one."""
    view = step_view({"id": "s", **step})
    assert (view.started, view.ended, view.duration_ms) == shown
    assert isinstance(view, StepView)


def test_a_run_has_the_executions_that_are_remembered_and_says_how_many_are_not() -> None:
    """By their start, in the words of whoever recorded them."""
    view = run(recent=full_memory())
    assert [(each.start, each.duration_ms, each.tool, each.status, each.outcome, each.message) for each in view.executions] == [
        (1008, 2.0, "read", "ok", "success", None),
        (1020, None, "read", "failed", "error", "gone"),
    ]
    assert (view.let_go, view.seen_since) == (0, 0)
    forgotten = run()
    assert (forgotten.executions, forgotten.let_go, forgotten.seen_since) == ([], 2, None)


def test_a_memory_that_is_ahead_of_the_file_has_let_nothing_go() -> None:
    """It reads what is not folded yet."""
    recent = full_memory()
    recent.add("w-1-x.0.jsonl", [tool(1100, run=RUN)])
    view = run(recent=recent)
    assert (len(view.executions), view.let_go) == (3, 0)


def test_errors_are_those_of_the_memory_and_the_last_one_of_the_file() -> None:
    """Newest first, each once; the file knows the last one from before the memory began."""
    recent = full_memory()
    assert [(error.time, error.message, error.tool, error.run) for error in detail(recent=recent).errors] == [
        (1020, "gone", "read", RUN)
    ]
    assert [(error.time, error.message, error.tool, error.run) for error in detail().errors] == [(1020, "gone", None, None)]
    recent.add("w-1-x.0.jsonl", [event("error", 1100, message="late", run=RUN)])
    assert [error.message for error in detail(recent=recent).errors] == ["late", "gone"]


def test_a_tool_of_an_agent_is_a_tool_with_bars() -> None:
    """The other figures are those of any tool."""
    view = detail().tools["read"]
    plain = tool_view(full_state()["agents"]["a"]["tools"]["read"])
    assert {key: value for key, value in as_json(view).items() if key != "histogram"} == as_json(plain)
    assert [bar.count for bar in view.histogram] == [1]
    assert view.histogram[0].from_ms < 2.0 <= view.histogram[0].to_ms


DURATIONS = st.lists(
    st.floats(0, LARGEST_MS) | st.floats(1, 100) | st.sampled_from([0.0, *(2.0**k for k in range(-20, 33))]),
    min_size=1,
    max_size=60,
)


@given(DURATIONS)
def test_bars_stand_side_by_side_and_add_up_to_the_durations(durations: list[float]) -> None:
    """At most 40 of them, each at least a quarter of an octave wide; the shortest and the longest have a bar."""
    histogram = empty()
    add_many(histogram, durations)
    shown = bars(histogram)
    assert sum(bar.count for bar in shown) == len(durations)
    assert len(shown) <= MAX_BARS
    assert all(before.to_ms == after.from_ms for before, after in pairwise(shown))
    assert shown[0].count > 0 < shown[-1].count
    assert shown[-1].to_ms >= max(durations)


@given(DURATIONS)
def test_each_duration_is_counted_in_the_bar_that_holds_it(durations: list[float]) -> None:
    """A bar tells durations above its begin, and up to its end; those of 0 have the first one."""
    histogram = empty()
    add_many(histogram, durations)
    for bar in bars(histogram):
        inside = [ms for ms in durations if (bar.from_ms < max(ms, SMALLEST_MS) <= bar.to_ms if ms else bar.from_ms == 0)]
        assert len(inside) == bar.count


def test_bars_are_as_fine_as_there_is_room_for() -> None:
    """Quarters of an octave for durations that are alike, whole octaves for milliseconds to hours."""

    def width(*durations: float) -> float:
        histogram = empty()
        add_many(histogram, list(durations))
        return bars(histogram)[0].to_ms / bars(histogram)[0].from_ms

    assert width(10.0, 20.0) == pytest.approx(2**0.25)
    assert width(1.0, 4_000_000.0) == pytest.approx(2)


def test_bars_are_never_too_many() -> None:
    """Whichever two durations are the shortest and the longest, and with those of nothing before them."""
    for quarters in range(1, 4 * 53):
        histogram = empty()
        add_many(histogram, [0.0, SMALLEST_MS, min(SMALLEST_MS * 2 ** (quarters / 4), LARGEST_MS)])
        assert 1 < len(bars(histogram)) <= MAX_BARS


def test_durations_of_nothing_have_a_bar_of_their_own() -> None:
    """No logarithm of 0."""
    histogram = empty()
    assert bars(histogram) == []
    add_many(histogram, [0.0, 0.0])
    assert bars(histogram) == [BucketView(from_ms=0.0, to_ms=0.0, count=2)]
    add_many(histogram, [16.0])
    first, second = bars(histogram)
    assert (first.from_ms, first.count, second.count) == (0.0, 2, 1)
    assert first.to_ms == second.from_ms == pytest.approx(16 / 2**0.25)
    assert second.to_ms == 16.0


@given(foreign_states())
def test_any_state_has_details(state: Any) -> None:
    """Of its agents and their runs, whatever a hand put into their places."""
    before = copy.deepcopy(state)
    agents = state.get("agents")
    for name, agent in agents.items() if isinstance(agents, dict) else ():
        runs = agent.get("runs") if isinstance(agent, dict) else None
        for recent in (None, full_memory()):
            view = agent_detail(state, name, NOW, recent)
            # What an agent is to do is told as it is, so it is JSON if the state is.
            shown = [as_json(view) | {"spec": None}] if view else []
            shown += [as_json(run_detail(state, run_id, NOW, recent)) for run_id in (runs if isinstance(runs, dict) else ())]
            json.dumps(shown, allow_nan=False)
            dumps(shown)
    assert repr(state) == repr(before)


@given(ANYTHING)
def test_what_an_agent_is_to_do_is_told_as_it_is(spec: Any) -> None:
    """However deep it is nested: nobody walks through it."""
    state = full_state()
    state["agents"]["a"]["spec"] = spec
    assert as_json(detail(state=state))["spec"] is spec
