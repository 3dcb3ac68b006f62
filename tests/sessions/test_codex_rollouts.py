"""What the lines of a Codex rollout tell: of the real program, and of versions before it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.sessions.codex_rollouts import Rollout, matters
from pyjama_metrics.sessions.facts import About, Call, Compacted, Fact, Failed, Interrupted, Prompt, Result, Usage
from tests.captured import CODEX, as_printed, files_of, name_of, truth_of
from tests.foreign_lines import ANYTHING

PARENT, CHILD = "01a1fbd2-1aaa-7080-b8ac-e46f965db369", "01a1fbd2-1b52-7981-9645-443897788bac"
CHILD_BORN_MS = 1_795_226_213_202  # the first 48 bits of its name


def read(lines: list[dict[str, Any]]) -> list[Fact]:
    """What lines tell, the state put away and taken back after each of them."""
    facts, rollout = [], Rollout()
    for line in lines:
        facts += rollout.facts_of(line)
        rollout = Rollout(json.loads(json.dumps(rollout.state())))
    return facts


def of(folder: Path) -> list[Fact]:
    """What all rollouts of a scenario tell."""
    return [fact for file in files_of(folder) for fact in read([json.loads(line) for line in file.read_text().splitlines()])]


def at(seconds: float) -> str:
    """A time, counted from the child's birth."""
    ms = CHILD_BORN_MS % 60_000 + round(seconds * 1000)
    return f"2026-11-21T01:56:{ms // 1000:02d}.{ms % 1000:03d}Z"


def line(kind: str, payload: dict[str, Any], seconds: float = 1.0) -> dict[str, Any]:
    """One line of a rollout."""
    return {"timestamp": at(seconds), "type": kind, "payload": payload}


def event(which: str, seconds: float = 1.0, **payload: Any) -> dict[str, Any]:
    """One event."""
    return line("event_msg", {"type": which} | payload, seconds)


def counted(total: int, last: int, seconds: float = 1.0, **more: Any) -> dict[str, Any]:
    """A count of input tokens, half of them from a cache, and a tenth as many of output."""
    totals, lasts = ({"input_tokens": n, "cached_input_tokens": n // 2, "output_tokens": n // 10} for n in (total, last))
    return event("token_count", seconds, info={"total_token_usage": totals, "last_token_usage": lasts}, **more)


def meta(thread: str = PARENT, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
    """The first line of a rollout."""
    return line("session_meta", {"id": thread, "cwd": "/w", "cli_version": "0.50.0", "git": {"branch": "main"}} | more, seconds)


def tokens(facts: list[Fact]) -> list[tuple[int, ...]]:
    """Input, output, cache read of each answer."""
    return [(fact.input, fact.output, fact.cache_read) for fact in facts if isinstance(fact, Usage)]


def results(*lines: dict[str, Any]) -> list[tuple[str, str | None, float | None]]:
    """What came of the calls of a thread."""
    return [(fact.outcome, fact.error, fact.duration_ms) for fact in read([meta(), *lines]) if isinstance(fact, Result)]


def test_the_sums_of_what_the_real_program_wrote_are_the_truth() -> None:
    """Cached input is part of the input there; here it is not."""
    sums = {}
    for folder in CODEX:
        usages = {fact.message: fact for fact in of(folder) if isinstance(fact, Usage)}
        sums[folder.name] = tuple(sum(usage[place] for usage in usages.values()) for place in range(3, 8))
    assert sums == {"basic": (1645, 311, 7500, 0, 0), "sub": (2605, 83, 2700, 0, 0), "text": (60, 7, 40, 0, 0)}


@pytest.mark.parametrize("folder", [folder for folder in CODEX if (folder / "truth.json").exists()], ids=name_of)
def test_the_truth_file_says_the_same(folder: Path) -> None:
    """Tokens as the model served them, and calls by name."""
    truth, facts = truth_of(folder), of(folder)
    served = truth["tokens"]["all"]
    assert sum(usage[0] + usage[2] for usage in tokens(facts)) == served["input_tokens"]
    assert sum(usage[1] for usage in tokens(facts)) == served["output_tokens"]
    assert Counter(fact.tool for fact in facts if isinstance(fact, Call)) == Counter(truth["tool_calls"])
    assert len([fact for fact in facts if isinstance(fact, Prompt)]) == 1


def test_commands_that_failed_are_told_with_their_exit_codes() -> None:
    """Hooks and telemetry call each of them a success."""
    (folder,) = (folder for folder in CODEX if folder.name == "basic")
    told = [fact for fact in of(folder) if isinstance(fact, Result)]
    assert Counter((fact.outcome, fact.error) for fact in told) == {
        ("ok", None): 4,
        ("error", "exit code 1"): 1,
        ("error", "exit code 3"): 1,
        ("not-executed", None): 1,
    }


def test_a_subagent_s_rollout_names_its_session() -> None:
    """It is a thread of its own, of its parent's session; its prompt is no person's."""
    (folder,) = (folder for folder in CODEX if folder.name == "sub")
    rollouts = {}
    for file in files_of(folder):
        rollout = Rollout()
        facts = [fact for text in file.read_text().splitlines() for fact in rollout.facts_of(json.loads(text))]
        prompts = len([fact for fact in facts if isinstance(fact, Prompt)])
        rollouts[rollout.thread] = rollout.session, rollout.parent, prompts, facts[0]
    assert rollouts[PARENT][:3] == (PARENT, "", 1)
    assert rollouts[CHILD][:3] == (PARENT, PARENT, 0)
    assert rollouts[CHILD][3] == About(
        1_795_226_213_215, cwd="/home/dev/work", version="0.169.0", parent=PARENT, agent_type="subagent"
    )


@pytest.mark.parametrize("folder", CODEX, ids=name_of)
def test_what_is_told_not_to_matter_tells_nothing(folder: Path) -> None:
    """And leaves no trace in what comes after it."""
    for file in files_of(folder):
        lines = [json.loads(text) for text in file.read_text().splitlines()]
        assert read([one for one in lines if matters(as_printed(one))]) == read(lines)
        assert sum(not matters(as_printed(one)) for one in lines) >= 4


def test_sums_that_are_told_again_and_again_count_once() -> None:
    """Older versions write no record, and tell the sum with every change of a limit."""
    facts = read([meta(), counted(1000, 1000), counted(1000, 1000, 2), counted(1000, 1000, 3), counted(3000, 2000, 4)])
    assert tokens(facts) == [(500, 100, 500), (1000, 200, 1000)]


def test_a_record_and_the_sum_after_it_are_one_answer() -> None:
    """Also where the old sum is told once more in between."""
    record = line(
        "token_usage_record",
        {"response_id": "resp_2", "usage": {"input_tokens": 2000, "cached_input_tokens": 500, "output_tokens": 7}},
        3,
    )
    facts = read([meta(), counted(1000, 1000), record, counted(1000, 1000, 3), counted(3000, 2000, 4)])
    assert tokens(facts) == [(500, 100, 500), (1500, 7, 500)]
    assert [fact.message for fact in facts if isinstance(fact, Usage)][1] == "resp_2"


def test_a_sum_that_begins_anew_counts_its_last_answer() -> None:
    """After a conversation was resumed."""
    assert tokens(read([meta(), counted(9000, 9000), counted(400, 400, 2)])) == [(4500, 900, 4500), (200, 40, 200)]


def test_what_is_written_to_a_cache_is_part_of_the_input_there() -> None:
    """It is never below zero here."""
    usage = {"input_tokens": 100, "cached_input_tokens": 30, "cache_write_input_tokens": 20, "output_tokens": 1}
    record = line("token_usage_record", {"response_id": "r", "usage": usage})
    context = line("turn_context", {"model": "gpt-5.2-codex"})
    assert read([meta(), context, record])[-1] == Usage("r", CHILD_BORN_MS + 1_000, "gpt-5.2-codex", 50, 1, 30, 20, 0)
    too_much = line("token_usage_record", {"response_id": "r", "usage": usage | {"input_tokens": 10}})
    assert tokens(read([meta(), too_much])) == [(0, 1, 30)]


def child(**more: Any) -> dict[str, Any]:
    """The first line of a subagent's rollout."""
    return meta(CHILD, session_id=PARENT, source={"subagent": {"thread_spawn": {"parent_thread_id": PARENT}}}, **more)


def called(name: str, seconds: float) -> dict[str, Any]:
    """A call of a tool."""
    return line("response_item", {"type": "function_call", "call_id": name, "name": "exec_command"}, seconds)


OWN_TURN = {"turn_id": "01a1fbd2-1b57-73f1-af79-ee093e774e7d"}
OLD_TURN = {"turn_id": "01a1fbd2-1ac1-7022-808a-a8d9024cd098"}


@pytest.mark.parametrize("seconds", [-9.0, 0.01], ids=["with their own times", "stamped anew"])
@pytest.mark.parametrize("dated", [True, False], ids=["turns with times", "turns with numbers"])
def test_a_copied_history_counts_nothing(seconds: float, dated: bool) -> None:
    """The file of a subagent begins with all that its parent did; what follows goes on from the parent's sum."""
    old, own = (OLD_TURN, OWN_TURN) if dated else ({"turn_id": "4"}, {"turn_id": "1"})
    copied = [
        line("session_meta", {"id": PARENT, "cwd": "/elsewhere"}, seconds),
        line("turn_context", {"model": "gpt-5.2"} | old, seconds),
        event("user_message", seconds, message="Do it."),
        called("call_parents", seconds + 0.01),
        *(counted(total, 1000, seconds + 0.02) for total in range(1000, 91_000, 1000)),
        event("turn_aborted", seconds + 0.03, reason="interrupted"),
    ]
    its_own = [
        event("task_started", 0.1 if dated else 2.0, **own),
        line("turn_context", {"model": "gpt-5.2-mini"} | own, 0.1 if dated else 2.0),
        called("call_own", 2.4),
        counted(90_500, 500, 2.5),
    ]
    facts = read([child(), *copied, *its_own])
    assert tokens(facts) == [(250, 50, 250)]
    assert [fact.call for fact in facts if isinstance(fact, Call)] == ["call_own"]
    assert [fact.model for fact in facts if isinstance(fact, Usage)] == ["gpt-5.2-mini"]
    assert not [fact for fact in facts if isinstance(fact, (Prompt, Interrupted))]


def test_a_fork_by_a_person_counts_what_came_after_it() -> None:
    """It is a session of its own, no subagent; its prompts are a person's."""
    copied = [counted(5000, 5000, -5), event("user_message", -4, message="old")]
    own = [
        line("turn_context", {"model": "m"} | OWN_TURN, 0.2),
        event("user_message", 0.3, message="new"),
        counted(6000, 1000, 3),
    ]
    facts = read([meta(CHILD, forked_from_id=PARENT), *copied, *own])
    assert tokens(facts) == [(500, 100, 500)]
    assert [fact.time_ms - CHILD_BORN_MS for fact in facts if isinstance(fact, Prompt)] == [300]
    assert facts[0] == About(CHILD_BORN_MS, cwd="/w", branch="main", version="0.50.0")


def ended(code: object, **more: Any) -> dict[str, Any]:
    """The event with a command's exit code."""
    item = {
        "type": "CommandExecution",
        "id": "c1",
        "status": "completed",
        "exit_code": code,
        "duration": {"secs": 1, "nanos": 500_000_000},
    }
    return event("item_completed", 2, item=item | more)


def output(text: object) -> dict[str, Any]:
    """A call's output."""
    return line("response_item", {"type": "function_call_output", "call_id": "c1", "output": text}, 2)


CALL = called("c1", 1)


def test_an_exit_code_counts_once_in_whichever_order_it_is_told() -> None:
    """The event before the output, after it, or by itself; a command that still runs has no result yet."""
    assert results(CALL, ended(3), output("bad")) == [("error", "exit code 3", 1500.0)]
    assert results(CALL, ended(0), output("Process exited with code 9")) == [("ok", None, 1500.0)]
    assert results(CALL, output("Chunk ID: a\nWall time: 1.0000 seconds\nProcess running with session ID 7\n"), ended(1)) == [
        ("error", "exit code 1", 1500.0)
    ]
    assert results(
        CALL, event("exec_command_end", 2, call_id="c1", exit_code=2, duration={"secs": 0, "nanos": 10**6}), output("")
    ) == [("error", "exit code 2", 1.0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chunk ID: 35e114\nWall time: 0.2500 seconds\nProcess exited with code 1\nOutput:\nx", ("error", "exit code 1", 250.0)),
        ("Exit code: 7\nWall time: 2 seconds\nOutput:\nx", ("error", "exit code 7", 2000.0)),
        ("Exit code: 0\nWall time: 0 seconds\nOutput:\nProcess exited with code 1", ("ok", None, None)),
        ('{"output":"x","metadata":{"exit_code":4,"duration_seconds":0.5}}', ("error", "exit code 4", 500.0)),
        ("unsupported call: update_plan", ("not-executed", None, None)),
        ("exec_command failed for `/bin/bash`: No such file", ("error", "not found", None)),
        ("failed to parse function arguments: missing field", ("error", "validation", None)),
        ({"content": "no", "success": False}, ("error", "failed", None)),
        ({"content": "yes", "success": True}, ("ok", None, None)),
        ([{"type": "input_text", "text": "unsupported call: x"}], ("not-executed", None, None)),
        ("Plan updated", ("ok", None, None)),
        (None, ("ok", None, None)),
    ],
)
def test_an_output_tells_how_the_call_ended_where_no_event_does(
    text: object, expected: tuple[str, str | None, float | None]
) -> None:
    """Only its beginning or its end, where the program itself speaks."""
    assert results(CALL, output(text)) == [expected]


def test_other_tools_end_as_their_events_say() -> None:
    """A patch that failed, and one that a person declined."""
    assert results(CALL, ended(None, type="FileChange", status="failed"), output("")) == [("error", "failed", 1500.0)]
    assert results(CALL, ended(None, type="FileChange", status="declined"), output("")) == [("not-executed", None, 1500.0)]
    assert results(CALL, ended(None, type="McpToolCall"), output("fine")) == [("ok", None, None)]


def test_prompts_that_are_written_in_two_forms_count_once() -> None:
    """The form that comes first is the one to go by."""
    item = event("item_completed", 1, item={"type": "UserMessage", "id": "u1"})
    message = event("user_message", 1, message="Do it.")
    assert [fact for fact in read([meta(), item, message]) if isinstance(fact, Prompt)] == [Prompt("u1", CHILD_BORN_MS + 1000)]
    assert len([fact for fact in read([meta(), message, item]) if isinstance(fact, Prompt)]) == 1
    assert read([meta(), event("user_message", 1, kind="environment_context")])[1:] == []


def test_what_happens_to_a_turn_is_told() -> None:
    """A person stopped it, the program gave up, the conversation was summed up."""
    assert read([meta(), event("turn_aborted", 1, reason="interrupted")])[1:] == [Interrupted(CHILD_BORN_MS + 1000)]
    assert read([meta(), event("turn_aborted", 1, reason="replaced")])[1:] == []
    assert read([meta(), event("error", 1, message="secret", codex_error_info="usage_limit_exceeded")])[1:] == [
        Failed(CHILD_BORN_MS + 1000, "usage_limit_exceeded")
    ]
    assert read([meta(), event("error", 1, message="secret")])[1:] == [Failed(CHILD_BORN_MS + 1000, "failed")]
    assert read([meta(), line("compacted", {"message": "secret"})])[1:] == [Compacted(CHILD_BORN_MS + 1000)]


def test_limits_and_the_context_are_told() -> None:
    """By the names that Claude Code has for them, with the time of their reset."""
    limits = {
        "primary": {"used_percent": 12.5, "window_minutes": 300, "resets_at": 1_795_230_000},
        "secondary": {"used_percent": 40, "window_minutes": 10_080, "resets_in_seconds": 60},
    }
    (about,) = read([meta(), event("token_count", 1, info={"model_context_window": 258_400}, rate_limits=limits)])[1:]
    assert about == About(
        CHILD_BORN_MS + 1000,
        context_window=258_400,
        limits={"five_hour": (12.5, 1_795_230_000_000), "seven_day": (40.0, CHILD_BORN_MS + 61_000)},
    )


def test_open_calls_are_not_kept_for_ever() -> None:
    """A state stays small, however many calls never end."""
    rollout = Rollout()
    for number in range(1_500):
        rollout.facts_of(called(f"c{number}", 1))
    assert len(rollout.state()["open"]) == 1_000  # type: ignore[arg-type]


KINDS = ["session_meta", "turn_context", "event_msg", "response_item", "token_usage_record", "compacted", "no such", 7, None]
TYPES = [
    "token_count",
    "item_completed",
    "exec_command_end",
    "user_message",
    "task_started",
    "turn_aborted",
    "error",
    "function_call",
]
TYPES += ["function_call_output", "local_shell_call", "web_search_call", "message", ""]
FIELDS = [
    "id",
    "info",
    "usage",
    "call_id",
    "item",
    "rate_limits",
    "total_token_usage",
    "source",
    "git",
    "turn_id",
    "thread_id",
    "output",
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.sampled_from(TYPES),
            st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=5),
            ANYTHING,
        ),
        max_size=5,
    ),
    ANYTHING,
)
def test_lines_and_states_of_any_shape_raise_nothing(lines: list[tuple[Any, str, dict[str, Any], object]], state: object) -> None:
    """Fields of wrong types, missing, absurd; a state that somebody damaged."""
    rollout = Rollout(state)
    for kind, inner, payload, stamp in lines:
        for fact in rollout.facts_of({"type": kind, "timestamp": stamp, "payload": payload | {"type": inner}}):
            assert all(value and value.encode() for value in fact if isinstance(value, str))
    assert Rollout(json.loads(json.dumps(rollout.state()))).state() == rollout.state()
