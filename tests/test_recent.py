"""The memory of single executions, fine slices, failures and errors: its laws, what it tells, and its bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyjama_metrics import recent, roll_ups
from pyjama_metrics.events import MAX_TIME_MS, status_class, text_of
from pyjama_metrics.executions import MAX_EXECUTION_ERROR, MAX_RUN_EXECUTIONS, Execution, Executions
from pyjama_metrics.fold import fold
from pyjama_metrics.recent import KEPT_SLICES_MS, MAX_AGENT_ERRORS, MAX_AGENT_RUNS, SLICE_MS, ErrorSeen, Recent
from pyjama_metrics.repeats import Failing
from pyjama_metrics.roll_ups import MINUTE_MS
from pyjama_metrics.sparks import SLOT_MS, SLOTS, Spark
from pyjama_metrics.state import State, new_state
from pyjama_metrics.usages import Request
from tests.journals import Event, event, tool
from tests.test_fold_laws import JSON_VALUES, RUNS, WRITERS, garbage, journals

RUN = "w.1"
EVER = (0, MAX_TIME_MS)
Journals = dict[str, list[Event]]


def remembered(*events: Event | None, journal: str = "w.0.jsonl") -> Recent:
    """The memory after the events of one journal."""
    memory = Recent()
    memory.add(journal, events)
    return memory


def fed(recorded: Journals, order: Iterable[str] | None = None) -> Recent:
    """The memory after several journals, one after the other."""
    memory = Recent()
    for name in order or recorded:
        memory.add(name, recorded[name])
    return memory


def folded(recorded: Journals) -> State:
    """What the fold makes of several journals."""
    state, requests = new_state(), dict[str, Request]()
    for name, body in recorded.items():
        fold(state, name, body, requests)
    return state


def answers(memory: Recent) -> dict[str, Any]:
    """Everything that the memory tells of the agents and runs of the laws."""
    told: dict[str, Any] = {"all": memory.spark(None), "slices": memory.slices(*EVER)}
    for agent in ("planner", "coder", "a"):
        told[agent] = memory.spark(agent), memory.failing(agent), memory.errors(agent)
    for writer in WRITERS:
        for number in (1, 2):
            told[f"{writer}.{number}"] = memory.executions(f"{writer}.{number}")
    return told


def failures(count: int, tool_name: str = "t", time: int = 1, **fields: Any) -> list[Event]:
    """So many failures of one tool in a row, a millisecond apart, by one run."""
    return [tool(time + place, tool=tool_name, status="error", **{"run": RUN, **fields}) for place in range(count)]


def rows(memory: Recent, run: str = RUN) -> tuple[Execution, ...]:
    """The executions of a run that is remembered."""
    found = memory.executions(run)
    assert found is not None
    return found.rows


at_leisure = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""What these laws say does not depend on how busy the machine is."""


# -- laws ------------------------------------------------------------------------------------------------------------


@at_leisure
@given(journals(), st.permutations(sorted(f"{writer}.0.jsonl" for writer in WRITERS)))
def test_the_order_of_journals_does_not_matter(recorded: Journals, order: list[str]) -> None:
    """Whoever is read first, every answer is the same."""
    assert answers(fed(recorded)) == answers(fed(recorded, order))


@at_leisure
@given(journals(RUNS | st.none()), st.lists(st.integers(0, 99), max_size=5))
def test_feeding_in_any_pieces_gives_the_same_answers(recorded: Journals, cuts: list[int]) -> None:
    """A call may end after any line, and what was asked in between changes nothing."""
    pieces = Recent()
    for name, body in recorded.items():
        places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
        for start, end in pairwise(places):
            pieces.add(name, body[start:end])
            answers(pieces)
    assert answers(pieces) == answers(fed(recorded))


@at_leisure
@given(st.lists(st.sampled_from(WRITERS), max_size=40), journals())
def test_journals_that_grow_by_turns_give_the_same_answers(turns: list[str], recorded: Journals) -> None:
    """Three journals a line at a time, as three processes write them, are the same as one after the other."""
    woven = Recent()
    left = {name: list(body) for name, body in recorded.items()}
    for writer in turns:
        name = f"{writer}.0.jsonl"
        woven.add(name, [left[name].pop(0)] if left[name] else [])
    for name, body in left.items():
        woven.add(name, body)
    assert answers(woven) == answers(fed(recorded))


@at_leisure
@given(journals(RUNS | st.none()))
def test_a_run_has_the_executions_that_the_fold_counts_for_it(recorded: Journals) -> None:
    """Those that name no run are given to the same one."""
    counted: Counter[str] = Counter()
    for agent in folded(recorded)["agents"].values():
        for run_id, run in agent["runs"].items():
            counted[run_id] += run["tally"]["count"] + run["tally"]["interrupted"]
    memory = fed(recorded)
    assert {run: len(found.rows) for run in counted if (found := memory.executions(run))} == {
        run: count for run, count in counted.items() if "line" not in run
    }


@at_leisure
@given(journals(RUNS | st.none()))
def test_an_agent_has_the_errors_that_the_fold_counts_for_it(recorded: Journals) -> None:
    """And the newest of them by time and text is the agent's last error."""
    memory = fed(recorded)
    for name, agent in folded(recorded)["agents"].items():
        seen = memory.errors(name)
        assert len(seen) == agent["errors"]
        latest = max(((error.time_ms, error.message) for error in seen), default=None)
        assert latest == (agent["last-error"] and (agent["last-error"]["time"], agent["last-error"]["message"]))


def times_told(event: Event) -> list[int]:
    """The times of the executions and model calls that an event tells of."""
    if event["event"] in ("tool", "llm"):
        return [event["time"]]
    if event.get("run") is None:
        return []
    return [*event.get("times", ()), *(row[0] for row in event.get("rows", ()))]


@at_leisure
@given(journals(RUNS | st.none()))
def test_the_slices_of_a_minute_add_up_to_the_minute_of_the_fold(recorded: Journals) -> None:
    """Executions by outcome, model calls, tokens and cost, of each minute that is not too long ago."""
    minutes = {int(begin): each for begin, each in folded(recorded)["roll-ups"]["minutes"].items()}
    # What is too long ago is so from the latest that was ever told, also where that call turned out to be an earlier one.
    told = [time for body in recorded.values() for event in body if event is not None for time in times_told(event)]
    latest = max(told, default=0)
    since = latest - latest % MINUTE_MS - KEPT_SLICES_MS + MINUTE_MS
    assert roll_ups.summed(fed(recorded).slices(*EVER), since, MAX_TIME_MS, MINUTE_MS) == {
        begin: each for begin, each in minutes.items() if begin >= since
    }


@at_leisure
@given(st.lists(garbage() | st.none(), max_size=8))
def test_garbage_never_raises_and_tells_of_nobody_whom_the_fold_does_not_know(body: list[Event | None]) -> None:
    """Whatever a stranger writes into a journal, the memory goes on, and has no more than the file."""
    memory, state = remembered(*body), new_state()
    fold(state, "w.0.jsonl", body, {})
    told = answers(memory)
    executions = sum(each["count"] for each in told["slices"].values())
    assert executions <= state["global"]["count"]
    assert told["a"] == (None, None, ()) or "a" in state["agents"]


@at_leisure
@given(st.sampled_from(["agent", "tool", "run", "status", "time", "duration-ms", "error"]), JSON_VALUES)
def test_an_execution_with_any_value_in_any_field_raises_nothing(field: str, value: Any) -> None:
    """What is shown of it is of the types that are promised."""
    memory = remembered({**tool(5, run=RUN), field: value})
    for row in rows(memory) if memory.executions(RUN) else ():
        assert (type(row.start_ms), type(row.tool), type(row.status)) == (int, str, str)
        assert row.duration_ms is None or row.duration_ms >= 0
        assert row.message is None or len(row.message) <= MAX_EXECUTION_ERROR


# -- slices and sparks -----------------------------------------------------------------------------------------------

SEEN = st.lists(
    st.tuples(st.integers(0, 50 * MINUTE_MS), st.sampled_from("abc"), st.sampled_from(["ok", "error", "cancelled"])), max_size=60
)


@at_leisure
@given(SEEN)
def test_slices_are_those_of_a_naive_count(seen: list[tuple[int, str, str]]) -> None:
    """Of the newest minutes, each execution is in the slice of its time; older slices are gone."""
    memory = remembered(*(tool(time, agent, status=status) for time, agent, status in seen))
    newest = max((time // SLICE_MS for time, _, _ in seen), default=0)
    expected = Counter(
        (time // SLICE_MS * SLICE_MS, status_class(status))
        for time, _, status in seen
        if time // SLICE_MS > newest - KEPT_SLICES_MS // SLICE_MS
    )
    found = memory.slices(*EVER)
    kinds = ("success", "error", "interrupted")
    assert +Counter({(begin, kind): each[kind] for begin, each in found.items() for kind in kinds}) == expected  # type: ignore[literal-required]
    assert all(each["count"] == each["success"] + each["error"] for each in found.values())


def expected_spark(seen: Iterable[tuple[int, str, str]]) -> Spark | None:
    """A spark, counted one slot after the other."""
    slots = [(time // SLOT_MS, status_class(status)) for time, _, status in seen]
    if not slots:
        return None
    last = max(slots)[0]
    row = range(min(slot for slot, _ in slots if slot > last - SLOTS), last + 1)
    executions = tuple(sum(slot == place for slot, _ in slots) for place in row)
    return Spark((last + 1) * SLOT_MS, SLOT_MS, executions, tuple(slots.count((place, "error")) for place in row))


@at_leisure
@given(SEEN, st.integers(1, 20))
def test_sparks_are_those_of_a_naive_count(seen: list[tuple[int, str, str]], piece: int) -> None:
    """Of each agent, and of all together; up to the slot of the latest execution, from the first that is not empty."""
    memory = Recent()
    for start in range(0, len(seen), piece):
        memory.add("w.0.jsonl", [tool(time, agent, status=status) for time, agent, status in seen[start : start + piece]])
    assert memory.spark(None) == expected_spark(seen)
    for agent in "abc":
        assert memory.spark(agent) == expected_spark(one for one in seen if one[1] == agent)


def test_a_spark_is_the_same_object_until_the_agent_executes_something() -> None:
    """Whoever compares views by identity finds nothing new where nothing is."""
    memory = remembered(tool(1), tool(1, "b"))
    before = memory.spark("a")
    memory.add("w.0.jsonl", [tool(2, "b"), event("activity", 3)])
    assert memory.spark("a") is before
    memory.add("w.0.jsonl", [tool(2)])
    assert memory.spark("a") != before


def test_model_calls_are_in_the_slice_of_their_time() -> None:
    """With all their tokens; what nobody priced costs nothing, and is not among the priced."""
    call = {"model": "m", "input_tokens": 5, "cache_read_tokens": 2}
    memory = remembered(event("llm", 1, **call), event("llm", 7_000, **call, cost_micros=9), event("llm", 7_001, input_tokens=-1))
    first, second = memory.slices(0, 10_000).values()
    assert (first["requests"], first["tokens"], first["priced-requests"], first["cost-micros"]) == (1, 7, 0, 0)
    assert (second["requests"], second["tokens"], second["priced-requests"], second["cost-micros"]) == (1, 7, 1, 9)


def test_slices_are_asked_for_by_their_begin_and_belong_to_the_caller() -> None:
    """From the first moment on, and before the last."""
    memory = remembered(*(tool(time) for time in (0, 5_000, 9_999, 10_000)))
    found = memory.slices(5_000, 10_000)
    assert {begin: each["count"] for begin, each in found.items()} == {5_000: 2}
    found[5_000]["count"] = 7
    assert memory.slices(5_000, 10_000)[5_000]["count"] == 2


# -- executions ------------------------------------------------------------------------------------------------------


def test_an_execution_begins_its_duration_before_its_event() -> None:
    """An event is dated by its end; where nobody measured, the end is all that is known."""
    memory = remembered(
        tool(1_000, run=RUN, tool="slow", duration_ms=900.4),
        tool(500, run=RUN, tool="quick", status="timeout", error="too late"),
        tool(700, run=RUN, tool="long", duration_ms=5_000, status="cancelled"),
    )
    assert memory.executions(RUN) == Executions(
        (
            Execution(0, 5_000, "long", "cancelled", "interrupted", None),
            Execution(100, 900.4, "slow", "ok", "success", None),
            Execution(500, None, "quick", "timeout", "error", "too late"),
        ),
        let_go=0,
    )


def test_of_a_run_that_nobody_saw_nothing_is_told() -> None:
    """And of one that has executed nothing, that."""
    memory = remembered(event("start", run=RUN))
    assert memory.executions("other") is None
    assert memory.executions(RUN) == Executions((), 0)


def test_executions_without_a_run_belong_to_the_writers_latest_open_run() -> None:
    """Not to one that has ended, and not to one of another writer."""
    memory = Recent()
    memory.add("other.0.jsonl", [event("start", 9, run="other.1")])
    begun = [event("start", 1, run="w.1"), event("start", 2, run="w.2")]
    memory.add("w.0.jsonl", [*begun, tool(3, tool="in 2"), event("complete", 4, run="w.2"), tool(5, tool="in 1")])
    assert {run: [row.tool for row in rows(memory, run)] for run in ("w.1", "w.2", "other.1")} == {
        "w.1": ["in 1"],
        "w.2": ["in 2"],
        "other.1": [],
    }


def test_a_run_that_is_told_to_start_again_began_the_first_time() -> None:
    """As in the state: it does not become the latest by that."""
    begun = [event("start", 1, run="w.1"), event("start", 2, run="w.2"), event("start", 3, run="w.1")]
    assert len(rows(remembered(*begun, tool(4)), "w.2")) == 1


@at_leisure
@given(st.permutations(range(30)))
def test_the_newest_executions_of_a_run_are_kept_in_whichever_order_they_came(order: list[int]) -> None:
    """Forty of each of thirty batches are more than fit; how many went is told."""
    memory = Recent()
    for batch in order:
        memory.add("w.0.jsonl", [tool(batch * 40 + place, run=RUN) for place in range(40)])
    assert [row.start_ms for row in rows(memory)] == list(range(1_200 - MAX_RUN_EXECUTIONS, 1_200))
    assert memory.executions(RUN).let_go == 1_200 - MAX_RUN_EXECUTIONS  # type: ignore[union-attr]


def test_names_are_those_of_the_state() -> None:
    """Also those that are too long, empty, or no text that every reader takes."""
    for name in ("x" * 10_000, "", "\ud800", "‮<script>\x00\n"):
        event_ = tool(1, name, name, run=name or "-", error="e")
        memory, state = remembered(event_), folded({"w.0.jsonl": [event_]})
        (agent,), (run,) = state["agents"], state["agents"][text_of(name)]["runs"]
        assert memory.spark(agent) is not None
        assert [row.tool for row in rows(memory, run)] == list(state["tools"])
        assert memory.errors(agent) == (ErrorSeen(1, "e", text_of(name), run),)


# -- failures --------------------------------------------------------------------------------------------------------


def test_three_failures_of_a_tool_in_a_row_are_a_call_that_repeats() -> None:
    """Told with their number, the first of them, and what the latest said."""
    memory = remembered(tool(1, run=RUN), *failures(2, time=2), tool(9, run=RUN, status="timeout", error="no such file"))
    assert memory.failing("a") == Failing("t", 3, 2, "no such file", RUN)


def failing_by_hand(seen: Sequence[tuple[str, str]]) -> tuple[str, int] | None:
    """The tool that failed most often since the last success, if three times; of several the one that began first."""
    outcomes = [status_class(status) for _, status in seen]
    begin = len(outcomes) - outcomes[::-1].index("success") if "success" in outcomes else 0
    counts = Counter(name for (name, _), outcome in zip(seen[begin:], outcomes[begin:], strict=True) if outcome == "error")
    most = counts.most_common(1)
    return most[0] if most and most[0][1] >= 3 else None


@at_leisure
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["ok", "error", "error", "error", "cancelled"])), max_size=20),
    st.integers(1, 20),
)
def test_a_call_that_repeats_is_the_one_found_by_hand(seen: list[tuple[str, str]], piece: int) -> None:
    """A success of any tool ends it; an interruption and a failure of another tool do not."""
    memory = Recent()
    events = [tool(time, run=RUN, tool=name, status=status) for time, (name, status) in enumerate(seen)]
    for start in range(0, len(events), piece):
        memory.add("w.0.jsonl", events[start : start + piece])
        memory.failing("a")
    found = memory.failing("a")
    assert (found and (found.tool, found.times)) == failing_by_hand(seen)


@pytest.mark.parametrize("end", [event("complete", 9, run=RUN), event("crash", 9, run=RUN), event("unknown", 9, run=RUN)])
def test_a_run_that_has_ended_repeats_nothing(end: Event) -> None:
    """Nobody is called to help one that is over, or of which nothing can be known."""
    memory = remembered(*failures(3))
    assert memory.failing("a") is not None
    memory.add("w.0.jsonl", [end])
    assert memory.failing("a") is None


def test_an_event_after_unknown_shows_that_the_run_goes_on() -> None:
    """As in the state, where a later event undoes it."""
    memory = remembered(*failures(3), event("unknown", 9, run=RUN), event("activity", 10, run=RUN))
    assert memory.failing("a") == Failing("t", 3, 1, None, RUN)


def test_of_several_runs_the_one_that_failed_most_often_is_told() -> None:
    """A success of one run does not help another."""
    memory = remembered(*failures(3), *failures(4, time=50, run="w.2"), tool(90, run="w.3"))
    assert memory.failing("a") == Failing("t", 4, 50, None, "w.2")


# -- errors ----------------------------------------------------------------------------------------------------------


def test_errors_are_told_newest_first_whether_a_tools_or_not() -> None:
    """With the tool and the run, where there is one."""
    memory = remembered(
        event("start", 1, run=RUN),
        event("error", 5, message="lost the key"),
        tool(3, "b", error="not mine"),
        tool(4, status="error", error="e" * 5_000),
        event("error", 2, message=None, run="w.7"),
    )
    assert memory.errors("a") == (
        ErrorSeen(5, "lost the key", None, RUN),
        ErrorSeen(4, text_of("e" * 5_000, 2_000), "t", RUN),
        ErrorSeen(2, "(unnamed)", None, "w.7"),
    )


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_the_newest_errors_of_an_agent_are_kept() -> None:
    """In whichever order they came."""
    memory = Recent()
    for time in [*range(150, 300), *range(150)]:
        memory.add("w.0.jsonl", [event("error", time, message="e")])
    assert [error.time_ms for error in memory.errors("a")] == list(range(299, 299 - MAX_AGENT_ERRORS, -1))


def test_with_too_many_executions_the_runs_not_seen_for_longest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the time of their events; and never are there more than the bound."""
    monkeypatch.setattr(recent, "MAX_EXECUTIONS", 1_000)
    memory = Recent()
    for run in [*range(50, 100), *range(50)]:
        memory.add("w.0.jsonl", [tool(run * 1_000 + place, run=f"w.{run}") for place in range(30)])
        assert sum(1 + len(found.rows) for number in range(100) if (found := memory.executions(f"w.{number}"))) <= 1_000
    kept = [run for run in range(100) if memory.executions(f"w.{run}")]
    assert kept[-1] == 99
    assert set(kept) >= set(range(71, 100))


def test_executions_that_are_kept_only_until_they_are_sorted_do_not_push_out_other_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy run has up to twice its number for a while."""
    monkeypatch.setattr(recent, "MAX_EXECUTIONS", 1_000)
    memory = remembered(tool(0, run="quiet"))
    for start in range(0, 5_000, 10):
        memory.add("w.0.jsonl", [tool(start + place, run=RUN) for place in range(10)])
    assert len(rows(memory, "quiet")) == 1
    assert len(rows(memory)) == MAX_RUN_EXECUTIONS


def test_with_too_many_agents_those_not_seen_for_longest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their sparks, runs and errors; the sums of all stay."""
    monkeypatch.setattr(recent, "MAX_KNOWN_AGENTS", 100)
    memory = Recent()
    for number in range(300):
        memory.add("w.0.jsonl", [tool(number, f"a{number}", run=f"w.{number}", error="e")])
        assert sum(memory.spark(f"a{other}") is not None for other in range(300)) <= 100
    kept = [number for number in range(300) if memory.spark(f"a{number}")]
    assert set(kept) >= set(range(210, 300))
    assert [number for number in range(300) if memory.executions(f"w.{number}")] == kept
    assert [number for number in range(300) if memory.errors(f"a{number}")] == kept
    assert memory.spark(None).executions == (300,)  # type: ignore[union-attr]


def test_with_too_many_runs_of_one_agent_those_not_seen_for_longest_go() -> None:
    """An agent that is started for each call has thousands."""
    memory = remembered(*(tool(number, run=f"w.{number}") for number in range(3 * MAX_AGENT_RUNS)))
    kept = [number for number in range(3 * MAX_AGENT_RUNS) if memory.executions(f"w.{number}")]
    assert MAX_AGENT_RUNS // 2 <= len(kept) <= MAX_AGENT_RUNS
    assert kept == list(range(kept[0], 3 * MAX_AGENT_RUNS))


def test_with_too_many_errors_those_of_the_agents_that_had_none_for_longest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of agents with fifty long messages each would be a gigabyte."""
    monkeypatch.setattr(recent, "MAX_ERRORS", 1_000)
    memory = Recent()
    for number in range(100):
        memory.add("w.0.jsonl", [event("error", number * 100 + place, f"a{number}", message="e") for place in range(50)])
        assert sum(len(memory.errors(f"a{other}")) for other in range(100)) <= 1_000
    assert {number for number in range(100) if memory.errors(f"a{number}")} >= set(range(82, 100))


def test_slots_and_slices_are_let_go_of_as_time_passes() -> None:
    """Hours of executions need no more than minutes."""
    memory = remembered(*(tool(time) for time in range(0, 600 * MINUTE_MS, 5_000)))
    assert len(memory._slices) <= 2 * KEPT_SLICES_MS // SLICE_MS
    assert len(memory._agents["a"].slots._slots) <= 2 * SLOTS
    assert len(memory.slices(*EVER)) == KEPT_SLICES_MS // SLICE_MS


def test_rows_that_are_not_asked_for_are_let_go_of_too() -> None:
    """There are never more than twice as many as are told."""
    memory = Recent()
    for time in range(3_000):
        memory.add("w.0.jsonl", [tool(time, run=RUN, error="e")])
        agent = memory._agents["a"]
        assert len(agent.runs[RUN].executions.rows) <= 2 * MAX_RUN_EXECUTIONS
        assert len(agent.errors.rows) <= 2 * MAX_AGENT_ERRORS


def test_what_a_stranger_put_where_a_duration_belongs_is_not_kept() -> None:
    """However large; the execution is."""
    memory = remembered(tool(1, run=RUN, duration_ms=[0] * 100_000), tool(2, run=RUN, error={"deep": ["e" * 10_000]}))
    kept = memory._agents["a"].runs[RUN].executions.rows
    assert len(repr(kept)) < 1_000


# -- forgetting ------------------------------------------------------------------------------------------------------


def test_after_forgetting_only_open_runs_are_known() -> None:
    """As in the state after it was cleared: runs go on, with nothing counted."""
    memory = remembered(event("start", 1, run="w.1"), event("start", 2, run="w.2"), event("complete", 3, run="w.2"), *failures(3))
    memory.since_ms = 1
    memory.forget()
    assert (memory.since_ms, memory.spark(None), memory.slices(*EVER), memory.executions("w.2")) == (None, None, {}, None)
    assert (memory.spark("a"), memory.failing("a"), memory.executions("w.1")) == (None, None, Executions((), 0))
    memory.add("w.0.jsonl", [tool(5, tool="after")])
    assert [row.tool for row in rows(memory, "w.1")] == ["after"]
