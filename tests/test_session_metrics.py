"""What a session comes to: all of its runs and what is below them, added up by hand."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from pyjama_metrics import session_metrics
from pyjama_metrics.run_figures import runs_of_sessions
from pyjama_metrics.session_metrics import as_camel, camel, of_agent, of_session
from pyjama_metrics.views import help_texts
from tests.journals import Event, event, folded, tool
from tests.states import foreign_states

ANSWERS = (Path(__file__).parent.parent / "docs" / "http-data.md").read_text(encoding="utf-8")
NOW = 100_000
VIEWS = ("TokenMetrics", "LatencyMetrics", "SubagentMetrics", "SessionMetrics")


def start(time: int, run: str, agent: str = "shop", parent: str | None = None, **labels: str) -> Event:
    """A run begins."""
    above = {} if parent is None else {"parent": parent, "parent_agent": "shop"}
    return event("start", time, agent, run=run, labels=labels, source="claude-code", **above)


def call(run: str, agent: str = "shop", **tokens: Any) -> Event:
    """A model call."""
    return event("llm", 3_000, agent, run=run, model="m", **tokens)


def session() -> list[Event]:
    """A session that was resumed, with a subagent and a script that a tool of it started; and another session of the agent."""
    return [
        start(1_000, "w.1", session="s1", project="shop"),
        tool(1_100, "shop", "Bash", run="w.1", duration_ms=100),
        tool(1_200, "shop", "Bash", run="w.1", status="error", duration_ms=300),
        tool(1_300, "shop", "Edit", run="w.1", status="not-executed"),
        event("message", 1_400, "shop", role="user", run="w.1"),
        call("w.1", input_tokens=10, output_tokens=1, cache_read_tokens=100, cost_micros=250_000),
        event("complete", 2_000, "shop", run="w.1"),
        start(5_000, "w.2", session="s1", project="shop"),
        event("session", 5_100, "shop", run="w.2", model="m", branch="main", context_percent=40),
        event("session", 5_100, "shop", run="w.2", limits={"five_hour": [42, 9_000]}),
        start(5_200, "w.2.x", "shop/Explore", "w.2", session="s1", subagent="Explore"),
        tool(5_300, "shop/Explore", "Read", run="w.2.x", duration_ms=200),
        call("w.2.x", "shop/Explore", input_tokens=1, cache_write_tokens=20, cache_write_1h_tokens=300),
        event("complete", 5_400, "shop/Explore", run="w.2.x"),
        start(5_500, "v.1", "script", "w.2"),
        tool(5_600, "script", "fetch", run="v.1", duration_ms=200),
        event("message", 5_700, "shop", role="assistant", run="w.2"),
        event("waiting", 5_800, "shop", run="w.2", reason="permission to use Bash"),
        start(6_000, "w.3", session="s2"),
        tool(6_100, "shop", "Bash", run="w.3", duration_ms=7),
        call("w.3", input_tokens=1_000),
    ]


def told(*events: Event, name: str = "s1") -> dict[str, Any]:
    """The answer for a session, as JSON."""
    answer: dict[str, Any] = as_camel(of_session(name, runs_of_sessions(folded(*events))[name], NOW))
    return json.loads(json.dumps(answer))


def test_a_session_is_all_of_its_runs_and_what_is_below_them() -> None:
    """Each figure, worked out by hand; nothing of the other session is in it."""
    found = told(*session())
    below = found.pop("subagents")
    assert found == {
        "sessionId": "s1",
        "tokens": {
            "input": 11, "output": 1, "cacheRead": 100, "cacheWrite": 320, "total": 432, "cost": 0.25, "unpriced": 1,
        },
        "latency": {"avg": 200.0, "p95": 300.0, "p99": 300.0},
        "errorRate": 0.25,
        "toolCounts": {"Bash": 2, "Read": 1, "fetch": 1},
        "toolErrors": {"Bash": 1},
        "messages": {"user": 1, "assistant": 1},
        "duration": 99_000.0,
        "status": "waiting",
        "interrupted": {"Edit": 1},
        "waitingReason": "permission to use Bash",
        "startTime": 1_000,
        "lastSeen": 5_800,
        "agent": "shop",
        "source": "claude-code",
        "project": "shop",
        "branch": "main",
        "model": "m",
        "contextTokens": None,
        "contextWindow": None,
        "contextPercent": 40.0,
        "limits": [{"source": "claude-code", "name": "five_hour", "percent": 42.0, "resets": 9_000, "time": 5_100}],
        "runs": 4,
        "note": None,
    }  # fmt: skip
    nothing = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0, "cost": None, "unpriced": 0}
    assert below == [
        {
            "agent": "shop/Explore", "run": "w.2.x", "parent": "w.2", "type": "Explore", "status": "completed",
            "tokens": {**nothing, "input": 1, "cacheWrite": 320, "total": 321, "unpriced": 1},
            "toolCalls": 1, "toolErrors": 0, "duration": 200.0,
        },
        {
            "agent": "script", "run": "v.1", "parent": "w.2", "type": None, "status": "running", "tokens": nothing,
            "toolCalls": 1, "toolErrors": 0, "duration": 94_500.0,
        },
    ]  # fmt: skip


def test_a_session_that_is_over_lasted_until_its_last_end() -> None:
    """And says how it ended, not how a subagent did."""
    found = told(
        start(1_000, "w.1", session="s1"),
        start(1_100, "w.1.x", "shop/Explore", "w.1", session="s1", subagent="Explore"),
        event("complete", 1_200, "shop/Explore", run="w.1.x", status="failed"),
        event("complete", 4_000, "shop", run="w.1", status="stopped"),
    )
    assert (found["status"], found["duration"], found["waitingReason"]) == ("stopped", 3_000.0, None)
    assert (found["errorRate"], found["latency"], found["toolCounts"]) == (None, {"avg": None, "p95": None, "p99": None}, {})
    assert (found["tokens"]["cost"], found["messages"]) == (None, {"user": 0, "assistant": 0})


def test_a_session_that_another_one_started_is_not_part_of_it() -> None:
    """It has an id of its own, and what it started belongs to it."""
    events = [start(1, "w.1", session="s1"), start(2, "v.1", "other", "w.1", session="s2"), start(3, "u.1", "script", "v.1")]
    state = folded(*events, start(4, "t.1", "loner"), start(5, "r.1", "ring", "r.2"), start(6, "r.2", "ring", "r.1"))
    found = {name: sorted(run.run for run in runs) for name, runs in runs_of_sessions(state).items()}
    assert found == {"s1": ["w.1"], "s2": ["u.1", "v.1"]}


def test_quantiles_are_told_where_each_duration_is_known() -> None:
    """One run that lost its durations makes them unknown; the mean stays."""
    state = folded(*session())
    state["agents"]["shop/Explore"]["runs"]["w.2.x"]["histogram"] = None
    found = of_session("s1", runs_of_sessions(state)["s1"], NOW)
    assert as_camel(found.latency) == {"avg": 200.0, "p95": None, "p99": None}


def test_quantiles_of_a_part_of_the_durations_are_not_told_for_all() -> None:
    """A run that lost its durations and went on has the later ones."""
    state = folded(*session())
    state["agents"]["shop"]["runs"]["w.1"]["histogram"] = folded(tool(duration_ms=300))["global"]["histogram"]
    found = of_session("s1", runs_of_sessions(state)["s1"], NOW)
    assert as_camel(found.latency) == {"avg": 200.0, "p95": None, "p99": None}


def test_tools_of_a_run_that_an_older_version_counted_are_not_lost() -> None:
    """They have no names there."""
    state = folded(*session())
    state["agents"]["shop"]["runs"]["w.1"]["tools"] = {"Bash": [1, 0, 0]}
    found = of_session("s1", runs_of_sessions(state)["s1"], NOW)
    assert (found.tool_counts["(other tools)"], found.tool_errors, found.error_rate) == (1, {"(other tools)": 1}, 0.25)
    assert found.interrupted == {"(other tools)": 1}


def test_an_agent_is_all_of_its_runs_and_what_it_started_is_listed_only() -> None:
    """Its sums also hold the runs that left the file."""
    state = folded(*session())
    del state["agents"]["shop"]["runs"]["w.1"]
    found = of_agent(state, "shop", NOW)
    assert found is not None
    assert (found.session_id, found.agent, found.status, found.runs) == ("shop", "shop", "running", 3)
    assert (found.tool_counts, found.tool_errors, found.interrupted) == ({"Bash": 3}, {"Bash": 1}, {"Edit": 1})
    assert (found.tokens.input, found.tokens.total, found.tokens.cost, found.tokens.unpriced) == (1_010, 1_111, 0.25, 1)
    assert (found.latency.avg, found.latency.p95) == (pytest.approx(407 / 3), 300.0)
    assert found.messages == {"user": 1, "assistant": 1}
    assert [(each.agent, each.type, each.run, each.tokens.total) for each in found.subagents] == [
        ("script", None, None, 0),
        ("shop/Explore", "Explore", None, 321),
    ]
    assert of_agent(state, "nobody", NOW) is None


@given(foreign_states())
def test_whatever_is_in_the_file_there_is_an_answer_that_can_be_written(state: Any) -> None:
    """Missing keys, other types, numbers without bounds."""
    for name, runs in runs_of_sessions(state).items():
        json.dumps(as_camel(of_session(name, runs, NOW)), allow_nan=False)
    for name in state.get("agents") if isinstance(state.get("agents"), dict) else ():
        json.dumps(as_camel(of_agent(state, name, NOW)), allow_nan=False)


@pytest.mark.parametrize("view", VIEWS)
def test_each_field_is_described(view: str) -> None:
    """The document has the sentence."""
    described = getattr(session_metrics, view)
    assert all(f"| `{camel(name)}` | {text} |\n" in ANSWERS for name, text in help_texts(described).items())
    assert len(fields(described)) == len(help_texts(described))


def test_names_are_in_camel_case_and_names_that_users_gave_stay() -> None:
    """A tool called ``read_file`` is not renamed."""
    assert [camel(name) for name in ("p95", "session_id", "context_window")] == ["p95", "sessionId", "contextWindow"]
    assert told(start(1, "w.1", session="s1"), tool(2, "shop", "read_file", run="w.1"))["toolCounts"] == {"read_file": 1}
