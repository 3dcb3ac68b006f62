"""What each event means for the figures; the laws that hold for all of them are in test_fold_laws."""

from __future__ import annotations

from typing import Any

import pytest

from pyjama_metrics.events import MAX_STEPS
from pyjama_metrics.fold import LOG_ENTRIES, fold, lose_sight
from pyjama_metrics.roll_ups import new_slice
from pyjama_metrics.state import Agent, Run, State, new_run_counts, new_usage
from pyjama_metrics.storage import json
from tests.journals import event, folded, tool


def agent(state: State) -> Agent:
    """The agent called a."""
    return state["agents"]["a"]


def run(state: State, run_id: str = "w.1") -> Run:
    """A run of the agent called a."""
    return agent(state)["runs"][run_id]


def start(time: int = 1, run: str = "w.1", **fields: Any) -> dict[str, Any]:
    """A run begins."""
    return event("start", time, run=run, **fields)


def figures(tally: Any) -> tuple[int, ...]:
    """count, success, error, interrupted, timed, total-us, last-seen."""
    return tuple(tally[key] for key in ("count", "success", "error", "interrupted", "timed", "total-us", "last-seen"))


# -- tools -------------------------------------------------------------------------------------------------------------


def test_an_execution_counts_for_the_tool_the_agent_its_run_and_all() -> None:
    """The same figures in each place; interrupted ones stand apart from the count."""
    state = folded(
        start(),
        tool(2, run="w.1", duration_ms=1.5),
        tool(4, run="w.1", duration_ms=2.5, status="error"),
        tool(3, run="w.1", status="cancelled"),
    )
    for tally in (state["global"], state["tools"]["t"], agent(state), agent(state)["tools"]["t"], run(state)["tally"]):
        assert figures(tally) == (2, 1, 1, 1, 2, 4000, 4)
        assert tally["total-duration"] == 4.0
    assert state["global"]["histogram"] == state["tools"]["t"]["histogram"] == agent(state)["tools"]["t"]["histogram"]
    assert (state["global"]["histogram"]["n"], state["global"]["histogram"]["max-ms"]) == (2, 2.5)
    assert run(state)["histogram"] == state["global"]["histogram"]


def test_a_run_tells_its_tools_and_messages_apart() -> None:
    """Of a tool success, error and interrupted; what another run of the agent did is not among them."""
    state = folded(
        start(),
        start(2, run="w.2"),
        *(
            tool(3, run="w.1", tool=name, status=status)
            for name, status in (("t", "ok"), ("t", "ok"), ("t", "error"), ("u", "cancelled"))
        ),
        tool(4, run="w.2", duration_ms=64.0),
        event("message", 5, role="user", run="w.1"),
        event("message", 6, role="assistant"),
    )
    first, second = run(state), run(state, "w.2")
    assert (first["tools"], first["messages"], first["histogram"]) == ({"t": [2, 1, 0], "u": [0, 0, 1]}, {"user": 1}, None)
    assert (second["tools"], second["messages"]) == ({"t": [1, 0, 0]}, {"assistant": 1})
    assert second["histogram"] == {"n": 1, "zero": 0, "sum-us": 64_000, "min-ms": 64.0, "max-ms": 64.0, "buckets": {"192": 1}}


def test_executions_make_no_log_entry_unless_asked_for() -> None:
    """The log is for people."""
    state = folded(tool(1), tool(2, log=True, status="error"))
    assert state["recent-logs"] == [
        {"timestamp": 2, "agent-id": "a", "event": "tool", "tool": "t", "status": "error", "id": "w.0.jsonl:2"}
    ]


def test_the_error_of_a_tool_is_the_last_error_of_its_agent() -> None:
    """The latest by time, not by line."""
    state = folded(tool(5, status="error", error="late"), tool(3, status="error", error="early"))
    assert (agent(state)["errors"], state["errors"], agent(state)["last-error"]) == (2, 2, {"time": 5, "message": "late"})


@pytest.mark.parametrize("duration", [-1, 1e11, True, "7", [1]])
def test_what_is_no_duration_is_left_out_and_told(duration: object) -> None:
    """The execution counts all the same."""
    state = folded(tool(duration_ms=duration), tool(duration_ms=2))
    assert (state["global"]["count"], state["global"]["timed"], state["global"]["total-us"]) == (2, 1, 2000)
    assert state["problems"]["invalid-values"] == 1


def test_a_value_that_the_recorder_could_not_use_is_told() -> None:
    """It marked the event as holding an invalid value."""
    assert folded(tool(invalid=True), event("message", invalid=True, role="user"))["problems"]["invalid-values"] == 2


@pytest.mark.parametrize("time", [-5, 10**18, "now", None, []])
def test_an_absurd_time_is_told(time: Any) -> None:
    """And moves no clock of ours."""
    for one in (tool(time), event("activity", time)):
        state = folded(one)
        assert state["problems"]["invalid-values"] == 1
        assert all(agent["last-seen"] == 0 for agent in state["agents"].values())


def test_a_time_may_be_a_float() -> None:
    """Not every writer has integers."""
    state = folded(tool(5.9), event("activity", 7.2))  # type: ignore[arg-type]
    assert (state["global"]["last-seen"], agent(state)["last-seen"], state["recent-logs"][0]["timestamp"]) == (5, 7, 7)
    assert state["problems"]["invalid-values"] == 0


def test_clocks_that_jump_back_make_nothing_older() -> None:
    """Last seen is the latest that was told."""
    state = folded(start(50), tool(90, run="w.1"), tool(10, run="w.1"))
    assert (agent(state)["last-seen"], run(state)["last-seen"], state["tools"]["t"]["last-seen"]) == (90, 90, 90)
    assert agent(state)["current-tool-time"] == 90


# -- runs --------------------------------------------------------------------------------------------------------------


def test_a_start_tells_what_the_run_is() -> None:
    """Of the agent the latest run speaks."""
    told = {"parent": "w.0", "parent_agent": "boss", "source": "python", "pid": 7, "host": "h", "cwd": "/", "tmux_pane": "%3"}
    state = folded(start(5, labels={"team": "x"}, spec={"goal": [1]}, **told))
    origin = {name.replace("_", "-"): value for name, value in told.items()} | {"labels": {"team": "x"}, "spec": {"goal": [1]}}
    assert run(state)["origin"] == origin
    assert {key: agent(state)[key] for key in origin} == origin  # type: ignore[literal-required]
    assert (agent(state)["start-time"], agent(state)["latest-run"], agent(state)["status"]) == (5, "w.1", "running")


def test_what_a_stranger_tells_about_a_run_is_bounded_and_of_its_type() -> None:
    """The state stays small, and the views may believe the types."""
    state = folded(start(pid="x", host=["h"], labels=[1], cwd="c" * 10**6, source={"a": 1}))
    origin = run(state)["origin"]
    assert set(origin) == {"host", "cwd", "source"}
    assert all(isinstance(value, str) and len(value) <= 2000 for value in origin.values())


@pytest.mark.parametrize(
    "spec", ["s" * 10**6, ["s" * 10**6], {"k" * 10**6: 1}, list(range(10**5)), {str(n): n for n in range(10**5)}]
)
def test_a_huge_specification_is_cut(spec: Any) -> None:
    """Whoever wrote it, the recorder or a stranger."""
    assert len(json.dumps(run(folded(start(spec=spec)))["origin"])) < 10_000


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("completed", "completed"),
        ("failed", "failed"),
        ("stopped", "stopped"),
        ("odd", "failed"),
        (7, "failed"),
        (None, "failed"),
    ],
)
def test_a_run_ends_as_its_agent_says(status: object, outcome: str) -> None:
    """A word that is not known is a failure."""
    state = folded(start(), event("complete", 9, run="w.1", status=status, error="why"))
    assert (run(state)["status"], run(state)["end-time"], run(state)["outcome-error"]) == (outcome, 9, "why")
    assert agent(state)["status"] == outcome
    assert state["runs"] == agent(state)["run-counts"] == {**new_run_counts(), "started": 1, outcome: 1}


def test_what_the_agent_said_beats_what_others_concluded() -> None:
    """In whichever order they are told."""
    crash, complete = event("crash", 5, run="w.1"), event("complete", 9, run="w.1")
    for told in ((crash, complete), (complete, crash)):
        state = folded(start(), *told)
        assert (run(state)["status"], run(state)["end-time"]) == ("completed", 9)
        assert state["runs"] == {**new_run_counts(), "started": 1, "completed": 1}


def test_of_two_ends_the_earlier_one_stays() -> None:
    """A run ends once."""
    state = folded(start(), event("complete", 9, run="w.1", status="failed"), event("complete", 7, run="w.1"))
    assert (run(state)["status"], run(state)["end-time"], state["runs"]["failed"]) == ("completed", 7, 0)


def test_a_crash_is_no_sign_of_life() -> None:
    """Somebody else tells of it."""
    assert agent(folded(start(2), event("crash", 9, run="w.1")))["last-seen"] == 2


def test_an_agent_runs_while_any_of_its_runs_does() -> None:
    """Then the latest of them speaks; where none is open, the latest run does."""
    both = [start(1, "w.1"), start(2, "w.2")]
    ended = event("complete", 3, run="w.2", status="failed")
    assert agent(folded(*both, ended))["status"] == "running"
    assert agent(folded(*both, ended, event("complete", 4, run="w.1")))["status"] == "failed"


def test_an_event_without_a_run_belongs_to_the_latest_open_run_of_its_writer() -> None:
    """What came before a start belongs to the run that was open then."""
    state = folded(
        tool(),
        start(1, "w.1"),
        tool(),
        tool(),
        start(2, "w.2"),
        tool(),
        event("complete", 3),
        tool(),
        event("complete", 4),
        tool(),
    )
    assert {name: one["tally"]["count"] for name, one in agent(state)["runs"].items()} == {"w.1": 3, "w.2": 1}
    assert agent(state)["count"] == 6
    assert state["runs"]["completed"] == 2


def test_an_event_without_a_run_does_not_belong_to_the_run_of_another_writer() -> None:
    """Two processes may run the same agent at once."""
    state = folded(start(1, "w.1"))
    fold(state, "v.0.jsonl", [tool(), event("complete", 5)], {})
    assert run(state)["tally"]["count"] == 0
    assert run(state)["status"] == "running"


def test_an_end_without_any_run_is_a_run_of_its_own() -> None:
    """A process that only says that it is done has done something."""
    state = folded(event("complete", 5, status="failed"))
    assert agent(state)["status"] == "failed"
    assert state["runs"] == {**new_run_counts(), "failed": 1}


def test_a_start_that_is_told_twice_is_one_run() -> None:
    """A journal that was saved from a removed folder may tell it again."""
    state = folded(start(5, pid=1), start(5, pid=1))
    assert (state["runs"]["started"], len(state["recent-logs"])) == (1, 1)


# -- statuses ----------------------------------------------------------------------------------------------------------


def test_an_agent_waits_until_its_next_event() -> None:
    """With the reason, which goes away with the wait."""
    waiting = [start(), event("waiting", 5, run="w.1", reason="approval")]
    assert (agent(folded(*waiting))["status"], agent(folded(*waiting))["waiting-reason"]) == ("waiting", "approval")
    for sign in (tool(6, run="w.1"), event("message", 6, run="w.1", role="user"), event("activity", 6, run="w.1")):
        state = folded(*waiting, sign)
        assert (agent(state)["status"], agent(state)["waiting-reason"]) == ("running", None)


def test_what_cannot_be_known_is_unknown_until_a_later_event() -> None:
    """Told by whoever folds; it is no sign of life itself."""
    unknown = [start(2), event("unknown", 8, run="w.1")]
    assert (agent(folded(*unknown))["status"], agent(folded(*unknown))["last-seen"]) == ("unknown", 2)
    assert agent(folded(*unknown, tool(9, run="w.1")))["status"] == "running"
    assert agent(folded(*unknown, event("complete", 9, run="w.1")))["status"] == "completed"


def test_losing_sight_of_a_run_makes_it_unknown() -> None:
    """Even where its clock is ahead of ours."""
    state = folded(start(100))
    lose_sight(state, "a", "w.1", 5)
    assert (run(state)["status"], agent(state)["status"]) == ("unknown", "unknown")


def test_an_agent_without_a_run_is_unknown() -> None:
    """It records, but never said that it began."""
    assert agent(folded(tool()))["status"] == "unknown"


# -- steps -------------------------------------------------------------------------------------------------------------


def test_steps_have_the_order_of_the_workflow_and_their_own_statuses() -> None:
    """Those that no workflow named come after it; the running one is the agent's current step."""
    state = folded(
        start(),
        event("step-start", 2, run="w.1", step="extra"),
        event("workflow", 2, run="w.1", steps=["plan", "do", "check"]),
        event("step-start", 3, run="w.1", step="plan"),
        event("step-complete", 4, run="w.1", step="plan"),
        event("step-complete", 4, run="w.1", step="extra", status="cancelled"),
        event("step-start", 5, run="w.1", step="do"),
    )
    found = [(step["id"], step["status"]) for step in run(state)["steps"]]
    assert found == [("plan", "completed"), ("do", "running"), ("check", "pending"), ("extra", "stopped")]
    assert agent(state)["current-step"] == "do"


def test_a_step_that_is_begun_again_runs_again() -> None:
    """And counts its attempts."""
    again = [
        event("step-start", 2, step="s"),
        event("step-complete", 3, step="s", status="error"),
        event("step-start", 4, step="s"),
    ]
    (step,) = run(folded(start(), *again))["steps"]
    assert (step["status"], step["attempts"], step["started"], step["ended"]) == ("running", 2, 4, 3)


def test_the_steps_of_a_run_are_bounded() -> None:
    """A loop that names its steps by number does not fill the file."""
    steps = [event("step-start", number, step=f"s{number}") for number in range(1, 2 * MAX_STEPS)]
    assert len(run(folded(start(), event("workflow", steps=["x"] * 300), *steps))["steps"]) == MAX_STEPS


# -- everything else ---------------------------------------------------------------------------------------------------


def test_model_calls_are_summed_by_agent_model_phase_and_in_all() -> None:
    """Costs only where the source reported one; estimated tokens are told apart."""
    calls = [
        event("llm", model="m", input_tokens=10, output_tokens=1, phase="plan", cost_micros=5),
        event("llm", model="m", input_tokens=20, cache_read_tokens=2, cache_write_tokens=3, tokens_are="estimated"),
    ]
    state = folded(*calls)
    expected = {
        "requests": 2,
        "input-tokens": 30,
        "output-tokens": 1,
        "cache-read-tokens": 2,
        "cache-write-tokens": 3,
        "cache-write-1h-tokens": 0,
    }
    expected |= {"estimated-tokens": 25, "cost-micros": 5, "priced-requests": 1}
    assert agent(state)["tokens"] == state["tokens"] == state["models"]["m"] == agent(state)["models"]["m"] == expected
    plan = {**new_usage(), "requests": 1, "input-tokens": 10, "output-tokens": 1, "cost-micros": 5, "priced-requests": 1}
    assert state["phases"] == agent(state)["phases"] == {"plan": plan}


@pytest.mark.parametrize("count", [-1, 1.5, True, "7", 10**13, []])
def test_a_model_call_with_an_impossible_count_is_told_and_not_summed(count: object) -> None:
    """Half a sum would look like a whole one."""
    state = folded(event("llm", model="m", input_tokens=5, output_tokens=count))
    assert (state["tokens"], state["models"], state["problems"]["invalid-values"]) == (new_usage(), {}, 1)


def test_executions_and_model_calls_are_in_the_slices_of_their_own_times() -> None:
    """Whatever the order of the lines, and to the millisecond."""
    late, early = tool(900_000, status="error"), tool(899_999.9, status="cancelled")  # type: ignore[arg-type]
    state = folded(late, tool(840_000), early, event("llm", 840_000, input_tokens=7, output_tokens=1, cost_micros=3))
    first, second = new_slice(), {**new_slice(), "count": 1, "error": 1}
    first |= {"count": 1, "success": 1, "interrupted": 1, "requests": 1, "tokens": 8, "priced-requests": 1, "cost-micros": 3}
    first["ledger"] = {"0|0|reported|(unnamed)||": [1, 7, 1, 0, 0, 0, 0, 3]}
    assert state["roll-ups"] == {
        "minutes": {"840000": first, "900000": second},
        "quarters": {"0": first, "900000": second},
    }


@pytest.mark.parametrize("time", [-5, 10**18])
def test_an_execution_at_no_time_counts_and_is_in_no_slice(time: int) -> None:
    """It happened, but nobody knows when."""
    state = folded(tool(time), tool(5))
    assert (state["global"]["count"], state["problems"]["invalid-values"]) == (2, 1)
    assert [each["count"] for each in state["roll-ups"]["minutes"].values()] == [1]


def test_messages_and_errors_are_counted() -> None:
    """By role, for the agent and in all."""
    state = folded(*[event("message", role=role) for role in ("user", "user", "assistant")], event("error", 3, message="no"))
    assert agent(state)["messages"] == state["messages"] == {"user": 2, "assistant": 1}
    assert (agent(state)["errors"], agent(state)["last-error"]) == (1, {"time": 3, "message": "no"})


def test_an_activity_is_seen_and_logged_and_counts_nothing() -> None:
    """Figures are for executions."""
    state = folded(start(1), event("activity", 7, run="w.1", tool="read", status="ok"))
    assert (agent(state)["last-seen"], agent(state)["current-tool"], agent(state)["count"], state["tools"]) == (7, "read", 0, {})
    assert [entry["event"] for entry in state["recent-logs"]] == ["start", "activity"]


def test_each_log_entry_has_the_number_of_its_line() -> None:
    """Also when the journal is folded in two batches: a reader knows an entry by its id."""
    state = folded(event("activity"), None, event("activity"))
    fold(state, "w.0.jsonl", [event("activity")], {})
    assert [entry["id"] for entry in state["recent-logs"]] == ["w.0.jsonl:1", "w.0.jsonl:3", "w.0.jsonl:4"]


def test_the_log_is_bounded() -> None:
    """The newest by time stay."""
    state = folded(*[event("activity", time) for time in range(LOG_ENTRIES + 50, 0, -1)])
    assert [entry["timestamp"] for entry in state["recent-logs"]] == list(range(51, LOG_ENTRIES + 51))


def test_problems_are_counted_by_kind() -> None:
    """A line that is none, a kind that is not known, a value that is none, and what a writer had to drop."""
    state = folded(None, event("dance"), {"event": "activity"}, event("lost", count=5), event("lost", count=-1), {})
    assert state["problems"] == {"malformed-lines": 1, "unknown-events": 1, "invalid-values": 3, "lost-events": 5}


def test_a_foreign_run_does_not_stop_the_fold_or_count_anything_twice() -> None:
    """Executions that were gathered before the bad one are added once."""
    state = folded(tool(), {**tool(), "run": 5}, {**tool(), "run": ""}, start(), tool(run="w.1"))
    assert (state["global"]["count"], state["problems"]["invalid-values"]) == (2, 2)


def test_names_are_bounded_texts() -> None:
    """1 MB of a name does not enter the file."""
    state = folded(tool(agent="a" * 10**6, tool="t" * 10**6), event("message", agent="b", role="r" * 10**6))
    assert max(map(len, [*state["agents"], *state["tools"], *state["messages"]])) <= 512


def test_a_header_changes_no_figure() -> None:
    """It is a line like any other."""
    state = folded({"event": "writer", "time": 1, "writer": "w"})
    assert (state["agents"], sum(state["problems"].values()), state["journals"]["w.0.jsonl"]["lines"]) == ({}, 0, 1)


def test_what_a_hook_told_is_known_and_changes_nothing() -> None:
    """Whoever follows the session makes events of it; an agent is not seen by it, even where a stranger names one."""
    events = [event("start", 1, run="w.1"), tool(5, run="w.1")]
    told = {"event": "hook", "time": 9_000, "source": "codex", "hook": "Stop", "session": "s"}
    with_hooks = folded(*events, told, told | {"agent": "a", "run": "w.1"})
    without = folded(*events)
    assert with_hooks.pop("journals") != without.pop("journals")  # type: ignore[misc]
    assert with_hooks == without
