"""What leaves the state: old and finished first, totals never, and the rest says what went."""

from __future__ import annotations

import pytest

from pyjama_metrics import retention
from pyjama_metrics.fold import fold
from pyjama_metrics.retention import (
    MAX_AGE_MS,
    MAX_AGENT_HISTOGRAMS,
    MAX_AGENT_MODELS,
    MAX_AGENT_TOOLS,
    MAX_AGENTS,
    MAX_EARLIER_RUNS,
    MAX_FINISHED_RUNS,
    MAX_KEPT_SLICES,
    MAX_MINUTES_MS,
    MAX_MODELS,
    MAX_OPEN_AGENTS,
    MAX_OPEN_RUNS,
    MAX_QUARTERS_MS,
    MAX_RUN_BUCKETS,
    MAX_RUN_HISTOGRAMS,
    MAX_RUN_TOOLS,
    MAX_TOOLS,
    OTHER_TOOLS,
    cleared,
    retain,
)
from pyjama_metrics.state import State, new_state
from pyjama_metrics.storage import json
from tests.journals import event, folded, tool

NOW = 10 * MAX_AGE_MS


def open_agents(count: int, name: str = "open") -> list[dict[str, object]]:
    """Agents that run, the first seen longest ago."""
    return [event("start", NOW + number, f"{name} {number}", run=f"w.{name}{number}") for number in range(count)]


def finished_agents(count: int, time: int = NOW, name: str = "done") -> list[dict[str, object]]:
    """Agents that have completed a run, the first seen longest ago."""
    return [event("complete", time + number, f"{name} {number}", run=f"w.{name}{number}") for number in range(count)]


def test_within_the_limits_nothing_goes() -> None:
    """The state is the same."""
    state, same = (folded(*open_agents(3), *finished_agents(3), tool(NOW)) for _ in range(2))
    assert not retain(state, NOW)
    assert state == same


def test_a_finished_agent_leaves_after_a_week_and_an_open_one_does_not() -> None:
    """However long it is silent."""
    old = NOW - MAX_AGE_MS - 1
    state = folded(event("start", old, "open", run="w.1"), event("complete", old, "done", run="w.2"), *finished_agents(1))
    assert retain(state, NOW)
    assert set(state["agents"]) == {"open", "done 0"}
    assert state["evicted"]["agents"] == 1


def test_beyond_the_limit_the_finished_agents_go_first_and_the_oldest_of_them() -> None:
    """Open ones stay, though they were seen longer ago."""
    state = folded(*open_agents(MAX_AGENTS - 1), *finished_agents(3, NOW + 10_000))
    retain(state, NOW)
    assert len(state["agents"]) == MAX_AGENTS
    assert {name for name in state["agents"] if name.startswith("done")} == {"done 2"}
    assert state["evicted"]["agents"] == 2


def test_open_agents_go_only_beyond_a_limit_of_their_own() -> None:
    """The oldest first; the file stays bounded even when nobody ever ends."""
    state = folded(*open_agents(MAX_OPEN_AGENTS + 5))
    retain(state, NOW)
    assert len(state["agents"]) == MAX_OPEN_AGENTS
    assert "open 4" not in state["agents"]
    assert "open 5" in state["agents"]


def test_the_totals_keep_what_left() -> None:
    """And the evicted executions say why the agents do not add up to them."""
    body = [tool(NOW + number, f"agent {number}", f"tool {number}") for number in range(MAX_AGENTS + 7)]
    state = folded(*body)
    retain(state, NOW)
    assert state["global"]["count"] == len(body)
    assert sum(agent["count"] for agent in state["agents"].values()) + state["evicted"]["executions"] == len(body)
    assert len(state["tools"]) == MAX_TOOLS
    assert state["evicted"]["tools"] == 7


def test_of_a_run_that_is_over_only_the_latest_stay_and_of_the_open_ones_all() -> None:
    """Five finished ones, beside those that run."""
    ended = [event("complete", NOW + number, run=f"w.{number}") for number in range(MAX_FINISHED_RUNS + 3)]
    state = folded(event("start", 1, run="w.open"), *ended)
    retain(state, NOW)
    assert set(state["agents"]["a"]["runs"]) == {"w.open", *(f"w.{number}" for number in range(3, MAX_FINISHED_RUNS + 3))}
    assert (state["evicted"]["runs"], state["runs"]["completed"]) == (3, MAX_FINISHED_RUNS + 3)


def test_earlier_runs_of_all_agents_together_are_bounded_and_the_latest_of_each_stays() -> None:
    """With hundreds of agents the file would be megabytes."""
    body = [event("complete", NOW + n, f"agent {n % 150}", run=f"w.{n}") for n in range(450)]
    state = folded(*body)
    retain(state, NOW)
    left = {run_id for agent in state["agents"].values() for run_id in agent["runs"]}
    assert len(left) == 150 + MAX_EARLIER_RUNS
    assert left == {f"w.{n}" for n in range(450 - len(left), 450)}
    assert state["evicted"]["runs"] == 450 - len(left)


def test_open_runs_of_one_agent_are_bounded() -> None:
    """The latest stay."""
    state = folded(*[event("start", NOW + number, run=f"w.{number}") for number in range(MAX_OPEN_RUNS + 2)])
    retain(state, NOW)
    assert len(state["agents"]["a"]["runs"]) == MAX_OPEN_RUNS
    assert f"w.{MAX_OPEN_RUNS + 1}" in state["agents"]["a"]["runs"]


def test_tools_models_phases_and_roles_are_bounded() -> None:
    """Those that were seen last, or counted most, stay."""
    state = folded(
        *[tool(NOW + number, tool=f"t{number}") for number in range(MAX_AGENT_TOOLS + 1)],
        *[event("llm", NOW, model=f"m{number}", phase=f"p{number}") for number in range(MAX_MODELS + 1)],
        *[event("message", NOW, role=f"r{number}") for number in range(MAX_AGENT_TOOLS + 1)],
        event("message", NOW, role="r0"),
    )
    retain(state, NOW)
    assert len(state["agents"]["a"]["tools"]) == MAX_AGENT_TOOLS
    assert "t0" not in state["agents"]["a"]["tools"]
    assert (len(state["models"]), len(state["phases"]), len(state["messages"])) == (MAX_MODELS, MAX_MODELS, MAX_AGENT_TOOLS)
    assert state["messages"]["r0"] == 2
    agent = state["agents"]["a"]
    assert len(agent["messages"]) <= MAX_AGENT_TOOLS
    assert len(agent["models"]) == len(agent["phases"]) == MAX_AGENT_MODELS


def test_of_the_models_of_an_agent_those_called_most_stay() -> None:
    """The totals of the agent keep the rest."""
    calls = [event("llm", NOW, model=f"m{number:02}") for number in range(MAX_AGENT_MODELS + 2)]
    state = folded(*calls, event("llm", NOW, model="m00"))
    retain(state, NOW)
    agent = state["agents"]["a"]
    assert set(agent["models"]) == {"m00", *(f"m{number:02}" for number in range(3, MAX_AGENT_MODELS + 2))}
    assert agent["tokens"]["requests"] == MAX_AGENT_MODELS + 3


def used_tools(count: int) -> list[dict[str, object]]:
    """Tools used by a hundred agents, the first longest ago, for one millisecond each."""
    return [tool(NOW + n, f"agent {n % 100}", f"t{n // 100}", duration_ms=1.0) for n in range(count)]


def test_histograms_of_the_tools_of_agents_are_bounded_and_those_used_last_stay() -> None:
    """The tallies stay, so that a reader sees how many durations a histogram lacks; those of all agents are whole."""
    state = folded(*used_tools(MAX_AGENT_HISTOGRAMS + 5))
    retain(state, NOW)
    tallies = {(name, used): row for name, agent in state["agents"].items() for used, row in agent["tools"].items()}
    assert {key for key, row in tallies.items() if row["histogram"]["n"] < row["timed"]} == {
        (f"agent {n}", "t0") for n in range(5)
    }
    assert {row["timed"] for row in tallies.values()} == {1}
    assert state["tools"]["t0"]["histogram"]["n"] == 100


def test_a_histogram_that_was_emptied_begins_anew_with_the_next_execution() -> None:
    """It tells of the latest durations, and that it is a part."""
    state = folded(*used_tools(MAX_AGENT_HISTOGRAMS + 5))
    retain(state, NOW)
    fold(state, "w.0.jsonl", [tool(NOW + 10_000, "agent 0", "t0", duration_ms=64.0)], {})
    retain(state, NOW)
    row = state["agents"]["agent 0"]["tools"]["t0"]
    assert (row["timed"], row["total-us"]) == (2, 65_000)
    assert row["histogram"] == {"n": 1, "zero": 0, "sum-us": 64_000, "min-ms": 64.0, "max-ms": 64.0, "buckets": {"192": 1}}


def test_durations_of_runs_are_bounded_and_those_of_the_runs_seen_last_stay() -> None:
    """The tally tells how many were timed, so that a reader sees that they are gone; a run that goes on begins anew."""
    names = [f"w.{number:03}" for number in range(MAX_RUN_HISTOGRAMS + 2)]
    state = folded(*(tool(NOW + n, f"agent {n % 4}", run=name, duration_ms=1.0) for n, name in enumerate(names)))
    retain(state, NOW)
    runs = {name: run for agent in state["agents"].values() for name, run in agent["runs"].items()}
    assert {name for name, run in runs.items() if run["histogram"] is None} == {"w.000", "w.001"}
    assert {(run["tally"]["timed"], *run["tools"]["t"]) for run in runs.values()} == {(1, 1, 0, 0)}
    fold(state, "w.0.jsonl", [tool(NOW + 10_000, "agent 0", run="w.000", duration_ms=64.0)], {})
    retain(state, NOW)
    assert (runs["w.000"]["histogram"] or {})["buckets"] == {"192": 1}
    assert runs["w.002"]["histogram"] is None


def test_the_buckets_of_all_runs_together_are_bounded() -> None:
    """So that a few hundred long runs do not make a file of a megabyte."""
    durations = [1.1**exponent for exponent in range(100)]
    many = MAX_RUN_BUCKETS // 100 + 5
    state = folded(*(tool(NOW + n, f"agent {n}", run=f"w.{n:03}", duration_ms=ms) for n in range(many) for ms in durations))
    retain(state, NOW)
    runs = {name: run for agent in state["agents"].values() for name, run in agent["runs"].items()}
    assert sorted(name for name, run in runs.items() if run["histogram"] is None) == [f"w.{n:03}" for n in range(5)]


def test_tools_of_a_run_that_are_too_many_are_added_up() -> None:
    """Those that were executed least; the sum of all stays."""
    used = [tool(NOW, run="w.1", tool=f"t{n:02}", status="error" if n == 3 else "ok") for n in range(MAX_RUN_TOOLS + 5)]
    state = folded(*used, *(tool(NOW, run="w.1", tool="t00") for _ in range(3)))
    retain(state, NOW)
    tools = state["agents"]["a"]["runs"]["w.1"]["tools"]
    assert (len(tools), tools["t00"], tools[OTHER_TOOLS]) == (MAX_RUN_TOOLS, [4, 0, 0], [5, 1, 0])
    fold(state, "w.0.jsonl", [tool(NOW, run="w.1", tool="new")], {})
    retain(state, NOW)
    assert (len(tools), tools[OTHER_TOOLS]) == (MAX_RUN_TOOLS, [6, 1, 0])


def test_slices_of_time_leave_when_they_are_old() -> None:
    """Minutes sooner than quarters; the totals keep what they counted."""
    ages = (MAX_QUARTERS_MS + 1, MAX_QUARTERS_MS, MAX_MINUTES_MS + 1, MAX_MINUTES_MS, 0)
    state = folded(*[tool(NOW - age) for age in ages])
    retain(state, NOW)
    series = state["roll-ups"]
    assert {name: sum(each["count"] for each in series[name].values()) for name in ("minutes", "quarters")} == {  # type: ignore[literal-required]
        "minutes": 2,
        "quarters": 4,
    }
    assert state["global"]["count"] == len(ages)


def test_slices_of_time_are_bounded_when_the_clock_is_put_back() -> None:
    """What lies furthest in the future then goes first."""
    state = folded(*[tool(NOW + 60_000 * minute) for minute in range(MAX_KEPT_SLICES + 9)])
    retain(state, NOW)
    assert len(state["roll-ups"]["minutes"]) == MAX_KEPT_SLICES
    assert str(NOW) in state["roll-ups"]["minutes"]


def test_the_state_stays_bounded_after_ten_thousand_names() -> None:
    """Its size then is what it was after two thousand."""
    state, sizes = new_state(), []
    for batch in range(20):
        names = range(batch * 500, batch * 500 + 500)
        body = [event("start", NOW + n, f"agent {n:05}", run=f"w.{n:05}") for n in names]
        body += [tool(NOW + n, f"agent {n:05}", f"tool {n:05}", run=f"w.{n:05}", duration_ms=1.0, error="no") for n in names]
        body += [event("complete", NOW + n, f"agent {n:05}", run=f"w.{n:05}") for n in names]
        fold(state, "w.0.jsonl", body, {})
        retain(state, NOW + batch)
        sizes.append(len(json.dumps(state)))
    assert sizes[-1] < 1.05 * sizes[3]
    assert state["global"]["count"] == 10_000


def test_retaining_twice_changes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is within the limits."""
    monkeypatch.setattr(retention, "MAX_AGENTS", 3)
    monkeypatch.setattr(retention, "MAX_TOOLS", 2)
    state = folded(*open_agents(2), *finished_agents(4), *[tool(NOW, tool=f"t{n}") for n in range(5)])
    assert retain(state, NOW)
    left = json.dumps(state)
    assert not retain(state, NOW)
    assert json.dumps(state) == left


def test_an_agent_that_was_let_go_begins_anew_when_it_returns() -> None:
    """Under its name, with what it does from then on."""
    state = folded(*finished_agents(1, 1), tool(1, "done 0"))
    retain(state, NOW)
    fold(state, "w.0.jsonl", [tool(NOW, "done 0")], {})
    assert state["agents"]["done 0"]["count"] == 1
    assert state["global"]["count"] == 2


def test_cleared_figures_are_those_of_an_empty_hub_with_its_open_runs() -> None:
    """Offsets and generation go on; an open run keeps what it is and loses what it counted."""
    state = folded(
        event("start", 5, run="w.1", pid=7),
        tool(6, run="w.1", duration_ms=1.0),
        event("error", message="no"),
        event("llm", model="m", phase="plan", run="w.1"),
        event("message", role="user", run="w.1"),
        *finished_agents(1),
        journal="w.3.jsonl",
    )
    state["generation"] = 9
    empty: State = cleared(state)
    kept = empty["agents"].pop("a")
    expected = {**new_state(), "generation": 9, "journals": state["journals"], "runs": {**new_state()["runs"], "started": 1}}
    assert empty == expected
    assert (kept["status"], kept["pid"], kept["count"], kept["errors"], kept["tools"]) == ("running", 7, 0, 0, {})
    assert (kept["models"], kept["phases"]) == ({}, {})
    assert kept["runs"]["w.1"]["tally"]["count"] == 0
    assert kept["runs"]["w.1"]["start-time"] == 5
    assert [kept["runs"]["w.1"][key] for key in ("tools", "messages", "histogram")] == [{}, {}, None]


def test_clearing_does_not_change_what_it_was_given() -> None:
    """A clearing that cannot be written has not happened."""
    state, same = (folded(event("start", 5, run="w.1"), tool(6, run="w.1")) for _ in range(2))
    cleared(state)
    assert state == same
