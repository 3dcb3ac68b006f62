"""The state machine of sessions: states, calls, subagents; and its laws, whatever hooks come in which order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.sessions import facts
from tests.sessions.telling import START, Memory, Told, begun


def test_a_session_is_a_run_of_the_agent_named_after_the_project() -> None:
    """A session is a run of the agent named after the project."""
    told = begun()
    agent = told.state["agents"]["web-shop"]
    assert agent["source"] == "claude-code"
    assert agent["labels"] == {"session": "s1", "project": "web-shop"}
    assert agent["messages"] == {"user": 1}
    assert told.status() == "running"


def test_from_the_prompt_to_the_end() -> None:
    """From the prompt to the end."""
    told = Told().hook("SessionStart", how="startup")
    assert told.status() == "waiting: the next prompt"
    assert told.hook("UserPromptSubmit", turn="t1").status() == "running"
    assert told.hook("PreToolUse", tool="Bash", call="c1").status() == "running"
    assert told.state["agents"]["web-shop"]["current-tool"] == "Bash"
    assert told.hook("PermissionRequest", tool="Bash").status() == "waiting: permission to use Bash"
    assert told.hook("Notification", kind="permission_prompt").status() == "waiting: permission to use Bash"
    assert told.hook("PostToolUse", tool="Bash", call="c1", duration_ms=12).status() == "running"
    assert told.hook("Stop", background={"agents": 0, "commands": 1}).status() == "waiting: the next prompt"
    assert told.hook("SessionEnd", reason="prompt_input_exit").status() == "completed"
    assert told.tools() == {"Bash": (1, 0, 0)}


def test_another_call_that_ends_meanwhile_does_not_end_the_wait_for_a_permission() -> None:
    """Another call that ends meanwhile does not end the wait for a permission."""
    told = begun().hook("PreToolUse", tool="Bash", call="c1").hook("PreToolUse", tool="Read", call="c2")
    told.hook("PermissionRequest", tool="Bash").hook("PostToolUse", tool="Read", call="c2")
    assert told.status() == "waiting: permission to use Bash"
    assert told.hook("PostToolUse", tool="Bash", call="c1").status() == "running"
    waits = [entry for entry in told.state["recent-logs"] if entry["event"] == "waiting" and "Bash" in entry["message"]]
    assert len(waits) == 1, "it is one wait, and one entry of the log"


def test_the_subagents_permission_is_what_the_session_waits_for() -> None:
    """The subagents permission is what the session waits for."""
    told = begun().hook("SubagentStart", agent_id="a1", agent_type="Explore", turn="t1")
    told.hook("PreToolUse", tool="Bash", call="c1", agent_id="a1", agent_type="Explore")
    told.hook("PermissionRequest", tool="Bash", agent_id="a1", agent_type="Explore")
    assert told.status() == "waiting: permission to use Bash"
    assert told.status("web-shop/Explore") == "running"
    told.hook("PostToolUse", tool="Bash", call="c1", agent_id="a1", agent_type="Explore")
    assert told.status() == "running"


@pytest.mark.parametrize(
    ("tool", "reason"), [("AskUserQuestion", "an answer to its question"), ("ExitPlanMode", "approval of its plan")]
)
def test_a_tool_that_asks_the_person_makes_the_session_wait(tool: str, reason: str) -> None:
    """A tool that asks the person makes the session wait."""
    told = begun().hook("PreToolUse", tool=tool, call="c1").hook("PermissionRequest", tool=tool)
    assert told.status() == f"waiting: {reason}"
    assert told.hook("PostToolUse", tool=tool, call="c1").status() == "running"


def test_an_elicitation_waits_for_an_answer() -> None:
    """An elicitation waits for an answer."""
    told = begun().hook("Elicitation", server="db")
    assert told.status() == "waiting: an answer for db"
    assert told.hook("ElicitationResult", server="db").status() == "running"


def test_agents_in_the_background_go_on_after_stop_and_commands_are_not_waited_for() -> None:
    """Agents in the background go on after stop and commands are not waited for."""
    told = begun().hook("SubagentStart", agent_id="a1", agent_type="Explore", turn="t1")
    told.hook("Stop", background={"agents": 1, "commands": 0})
    assert (told.status(), told.status("web-shop/Explore")) == ("running", "running")
    told.hook("SubagentStop", agent_id="a1", agent_type="Explore")
    assert (told.status(), told.status("web-shop/Explore")) == ("running", "completed")
    told.hook("UserPromptSubmit", automatic=True, turn="t2").hook("Stop", background={"agents": 0, "commands": 1})
    assert told.status() == "waiting: the next prompt"
    assert told.state["agents"]["web-shop"]["messages"] == {"user": 1}, "the program's own prompt is no person's"


def test_subagents_are_child_agents_of_the_session() -> None:
    """Subagents are child agents of the session."""
    told = begun().hook("SubagentStart", agent_id="a1", agent_type="Explore", turn="t1")
    child = told.state["agents"]["web-shop/Explore"]
    assert (child["parent-agent"], child["parent"]) == ("web-shop", "claude-code-s1-77-1f.1")
    assert child["labels"] == {"session": "s1", "project": "web-shop", "subagent": "Explore"}


def test_the_programs_own_helper_of_a_compaction_is_no_subagent() -> None:
    """The programs own helper of a compaction is no subagent."""
    told = begun().hook("SubagentStop", agent_id="a9", agent_type="")
    assert set(told.state["agents"]) == {"web-shop"}


def test_subagents_that_a_version_warms_up_for_itself_are_none_and_what_they_use_is_the_sessions() -> None:
    """Versions 2.0 begin some without being asked; a real one is asked for by a tool."""
    told = begun().hook("SubagentStart", agent_id="a9", agent_type="Plan", turn=None)
    told.fact(spent("m1", 3), "a9").hook("SubagentStop", agent_id="a9", agent_type="Plan", turn=None)
    assert (set(told.state["agents"]), told.state["agents"]["web-shop"]["tokens"]["output-tokens"]) == ({"web-shop"}, 3)
    told.hook("PreToolUse", tool="Task", call="c1", turn=None).hook("SubagentStart", agent_id="a1", agent_type="Plan", turn=None)
    assert told.status("web-shop/Plan") == "running"


@pytest.mark.parametrize("late", ["SubagentStart", "SubagentStop", "PreCompact", "Stop", "PostToolBatch"])
def test_no_hook_that_is_late_begins_a_session_again(late: str) -> None:
    """Only a start or a prompt does."""
    told = begun().hook("Stop").hook("SessionEnd", reason="other").hook(late, agent_id="a1", agent_type="Explore", turn="t1")
    assert (told.status(), told.state["agents"]["web-shop"]["run-counts"]["started"]) == ("completed", 1)
    assert told.state["runs"]["completed"] == told.state["runs"]["started"]


def test_a_subagent_that_goes_on_is_another_run() -> None:
    """A subagent that goes on is another run."""
    told = begun()
    for _ in range(2):
        told.hook("SubagentStart", agent_id="a1", agent_type="Explore", turn="t1").hook(
            "SubagentStop", agent_id="a1", agent_type="Explore"
        )
    assert told.state["agents"]["web-shop/Explore"]["run-counts"]["completed"] == 2


def test_a_call_that_nobody_answers_is_not_executed_and_no_failure() -> None:
    """A call that nobody answers is not executed and no failure."""
    told = begun().hook("PreToolUse", tool="Bash", call="c1").hook("PostToolBatch", calls=[["c1", "Bash"], ["c2", "Nope"]])
    assert told.tools() == {}, "the hook that would answer may still be on its way"
    assert told.later().tools() == {"Bash": (0, 0, 1), "Nope": (0, 0, 1)}
    assert told.state["global"]["error"] == 0


@pytest.mark.parametrize("proof", ["UserPromptSubmit", "Stop", "SessionEnd"])
def test_what_proves_that_nothing_runs(proof: str) -> None:
    """What proves that nothing runs."""
    told = begun().hook("PreToolUse", tool="Bash", call="c1")
    assert told.later(3_600_000).tools() == {}, "it may run for an hour"
    told.hook(proof, turn="t2")
    assert told.later().tools() == {"Bash": (0, 0, 1)}


def test_a_hook_that_is_late_beats_the_doubt() -> None:
    """A hook that is late beats the doubt."""
    told = begun().hook("PreToolUse", tool="Bash", call="c1").hook("Stop").hook("PostToolUse", tool="Bash", call="c1")
    assert told.later().tools() == {"Bash": (1, 0, 0)}
    assert told.status() == "waiting: the next prompt", "it is late, and the session waits all the same"


def test_a_call_that_is_told_after_its_answer_is_not_open() -> None:
    """A call that is told after its answer is not open."""
    told = begun().hook("PostToolUse", tool="Bash", call="c1").hook("PreToolUse", tool="Bash", call="c1").hook("Stop")
    assert told.later().tools() == {"Bash": (1, 0, 0)}


def test_an_interrupt_by_the_person_is_an_execution_that_was_interrupted() -> None:
    """An interrupt by the person is an execution that was interrupted."""
    told = begun().hook("PreToolUse", tool="Bash", call="c1")
    told.hook("PostToolUseFailure", tool="Bash", call="c1", error="interrupted", interrupted=True)
    assert told.tools() == {"Bash": (0, 0, 1)}


def test_an_interrupt_that_only_the_transcript_tells_makes_the_session_wait() -> None:
    """An interrupt that only the transcript tells makes the session wait."""
    told = begun().hook("PreToolUse", tool="Bash", call="c1")
    told.fact(facts.Interrupted(told.now + 50))
    assert told.status() == "waiting: the next prompt"
    assert told.later().tools() == {"Bash": (0, 0, 1)}


def test_an_api_error_fails_the_run_and_the_next_prompt_begins_another() -> None:
    """An api error fails the run and the next prompt begins another."""
    told = begun().hook("StopFailure", error="rate_limit")
    agent = told.state["agents"]["web-shop"]
    assert (told.status(), agent["last-error"]["message"]) == ("failed", "rate_limit")
    assert agent["runs"]["claude-code-s1-77-1f.1"]["outcome-error"] == "rate_limit"
    told.hook("UserPromptSubmit", turn="t2")
    assert told.status() == "running"
    assert sorted(agent["runs"]) == ["claude-code-s1-77-1f.1", "claude-code-s1-77-1f.2"]


@pytest.mark.parametrize(
    "order", ["fact", "fact, hook", "hook, fact", "hook", "end", "end, fact", "end, hook", "end, hook, fact"]
)
def test_a_program_that_gave_up_and_left_has_failed(order: str) -> None:
    """A program that leaves does not wait for the hook that tells of its failure, so that comes late, or never."""
    told = begun()
    at = told.now + 10
    for step in [*order.split(", "), *(["end"] if "end" not in order else [])]:
        if step == "fact":
            told.fact(facts.Failed(at, "authentication_failed"))
        elif step == "hook":
            told.hook("StopFailure", error="authentication_failed")
        else:
            told.hook("SessionEnd", reason="other")
    expected = "stopped" if order == "end" else "failed"
    told.later().finished()
    agent = told.state["agents"]["web-shop"]
    (run,) = agent["runs"].values()
    assert (told.status(), run["outcome-error"]) == (expected, "authentication_failed" if expected == "failed" else None)
    assert (agent["errors"], agent["run-counts"][expected]) == (int(expected == "failed"), 1)


@pytest.mark.parametrize("order", ["hook, fact", "fact, hook", "fact", "hook"])
def test_a_prompt_without_a_turn_counts_once_whoever_tells_it_first(order: str) -> None:
    """Older versions write it down before they call their hook, and neither names it as the other does."""
    told = Told().hook("SessionStart", how="startup").hook("UserPromptSubmit").fact(facts.Prompt("u1", START + 200)).hook("Stop")
    for step in order.split(", "):
        if step == "fact":
            told.fact(facts.Prompt("u2", told.now + 50))
        else:
            told.hook("UserPromptSubmit")
    assert told.later().finished().state["agents"]["web-shop"]["messages"]["user"] == 2


def test_a_prompt_after_the_end_is_that_of_the_process_that_goes_on() -> None:
    """Its hooks tell it, though the line may be read first by whoever still follows the process before."""
    memory = Memory()
    told = Told(memory=memory).hook("SessionStart", how="startup").hook("UserPromptSubmit").fact(facts.Prompt("u1", START + 200))
    told.hook("Stop").hook("SessionEnd", reason="other").fact(facts.Prompt("u2", told.now + 50)).later().finished()
    assert told.state["agents"]["web-shop"]["messages"]["user"] == 1
    assert memory.prompted("u2")


@pytest.mark.parametrize("is_read_first", [True, False])
def test_a_session_that_ends_with_an_interruption_was_stopped(is_read_first: bool) -> None:
    """Whether the transcript was read before the end or after it. One that went on with another prompt then was not."""
    told = begun().hook("PreToolUse", tool="Bash", call="c1")
    interrupted = facts.Interrupted(told.now + 50)
    if is_read_first:
        told.fact(interrupted).hook("SessionEnd", reason="other")
    else:
        told.hook("SessionEnd", reason="other").fact(interrupted)
    assert told.later().finished().status() == "stopped"
    again = begun().fact(interrupted).hook("UserPromptSubmit", turn="t2").hook("Stop").hook("SessionEnd", reason="other")
    assert again.status() == "completed"


# -- Codex ---------------------------------------------------------------------------------------------------------------


def codex() -> Told:
    """A session of Codex at its first prompt."""
    return Told(source="codex").hook("SessionStart", how="startup").hook("UserPromptSubmit", turn="t1")


@pytest.mark.parametrize("is_read_first", [True, False])
def test_a_command_of_codex_failed_by_its_exit_code(is_read_first: bool) -> None:
    """Its hooks call everything a success, before the transcript tells better or after it."""
    told = codex().hook("PreToolUse", tool="Bash", call="c1")
    result = facts.Result("c1", told.now + 50, facts.ERROR, "exit code 3", 7.0, "exec_command")
    if is_read_first:
        told.fact(result).hook("PostToolUse", tool="Bash", call="c1")
    else:
        told.hook("PostToolUse", tool="Bash", call="c1").fact(result)
    assert told.tools() == {"Bash": (0, 1, 0)}
    assert told.state["agents"]["web-shop"]["last-error"]["message"] == "exit code 3"
    told.hook("PreToolUse", tool="Bash", call="c2").hook("PostToolUse", tool="Bash", call="c2").later()
    assert told.tools() == {"Bash": (1, 1, 0)}  # what no transcript tells is as the hook says


@pytest.mark.parametrize("is_read_first", [True, False])
def test_a_model_call_of_codex_is_charged_once_whoever_tells_it_first(is_read_first: bool) -> None:
    """The hook has no id of it; the same figures once more are another call."""
    told = codex()
    for name in ("r1", "r2"):
        usage = facts.Usage(name, told.now + 10, "gpt-5.2-codex", 103, 37, 1000, 0, 0)
        tokens = {"input": 1103, "cached": 1000, "cache-write": 0, "output": 37}
        if is_read_first:
            told.fact(usage).hook("PostModelRequest", tokens=tokens)
        else:
            told.hook("PostModelRequest", tokens=tokens).fact(usage)
    told.hook("Stop").later().finished()
    used = told.state["agents"]["web-shop"]["tokens"]
    assert (used["requests"], used["input-tokens"], used["cache-read-tokens"]) == (2, 206, 2000)


def test_what_a_session_prompts_its_subagent_is_no_message_of_a_person() -> None:
    """Codex tells it by the same hook."""
    told = codex().hook("SubagentStart", turn="t2", agent_id="a1", agent_type="default")
    told.hook("UserPromptSubmit", turn="t2", agent_id="a1", agent_type="default")
    assert told.state["agents"]["web-shop"]["messages"] == {"user": 1}
    assert told.status("web-shop/default") == "running"


def test_a_failure_before_the_prompt_is_none_of_it() -> None:
    """A program that could not ask, and then could, ended as it says."""
    told = begun()
    before = facts.Failed(told.now - 5, "overloaded")
    told.hook("SessionEnd", reason="other").fact(before).later().finished()
    assert told.status() == "stopped"
    again = begun().fact(facts.Failed(START + 250, "overloaded")).hook("UserPromptSubmit", turn="t2").hook("Stop")
    assert again.hook("SessionEnd", reason="other").later().finished().status() == "completed"


def test_a_subagent_that_is_sent_into_the_background_may_begin_after_its_call_was_answered() -> None:
    """Version 2.0 tells so; its own subagents, which nobody asked for, stay its own."""
    told = Told().hook("SessionStart", how="startup").hook("UserPromptSubmit")
    told.hook("SubagentStart", agent_id="w1", agent_type="Plan")
    told.hook("PreToolUse", tool="Task", call="c1").hook("PostToolUse", tool="Task", call="c1", background=True)
    told.hook("SubagentStart", agent_id="a1", agent_type="Explore").hook("SubagentStart", agent_id="w2", agent_type="Plan")
    assert sorted(told.state["agents"]) == ["web-shop", "web-shop/Explore"]


def test_a_session_that_ends_in_the_middle_of_its_work_was_stopped() -> None:
    """A session that ends in the middle of its work was stopped."""
    told = begun().hook("PreToolUse", tool="Bash", call="c1").hook("SessionEnd", reason="other")
    assert told.status() == "stopped"


def test_hooks_that_are_late_do_not_begin_an_ended_session_again() -> None:
    """Hooks that are late do not begin an ended session again."""
    told = begun().hook("PreToolUse", tool="Bash", call="c1").hook("Stop").hook("SessionEnd", reason="other")
    told.hook("PostToolUse", tool="Bash", call="c1").hook("PreToolUse", tool="Read", call="c2")
    assert told.status() == "completed"
    assert told.tools()["Bash"] == (1, 0, 0)


@pytest.mark.parametrize("how", ["resume", "fork"])
def test_a_resumed_session_begins_when_something_happens_in_it_or_after_a_while(how: str) -> None:
    """Some versions name another session at first, in which nothing ever happens."""
    told = Told().hook("SessionStart", how=how)
    assert told.state["agents"] == {}
    assert told.later().status() == "waiting: the next prompt"
    told = Told().hook("SessionStart", how=how).hook("UserPromptSubmit", turn="t1")
    assert (told.status(), told.state["agents"]["web-shop"]["start-time"]) == ("running", START + 100)
    told = Told().hook("SessionStart", how=how).fact(spent("m1", 20)).hook("UserPromptSubmit", turn="t1")
    assert (told.status(), told.state["runs"]["started"]) == ("running", 1)


def test_calls_of_older_versions_are_the_subagents_whose_transcript_has_them() -> None:
    """Their hooks name no subagent; what nobody claims is the session's."""
    told = begun().hook("PreToolUse", tool="Task", call="c0").hook("SubagentStart", agent_id="a1", agent_type="Explore")
    told.hook("PreToolUse", tool="Bash", call="c1").hook("PostToolUse", tool="Bash", call="c1", duration_ms=7)
    told.hook("PreToolUse", tool="Bash", call="c2").hook("PostToolUseFailure", tool="Bash", call="c2", error="exit code 3")
    told.fact(facts.Call("c1", START, "Bash"), "a1")
    told.later()
    assert told.tools("web-shop/Explore") == {"Bash": (1, 0, 0)}
    assert told.tools() == {"Bash": (0, 1, 0)}


@pytest.mark.parametrize("place", [0, 1, 2], ids=["before Stop", "before SessionEnd", "after SessionEnd"])
def test_a_subagent_that_only_the_transcript_tells_of_has_completed_when_its_session_stopped(place: int) -> None:
    """Whenever the transcript is read: no hook tells of its end, and it ran within the session's turn."""
    told, hooks = begun(), ["Stop", "SessionEnd"]
    for hook in hooks[:place]:
        told.hook(hook)
    told.fact(spent("m1", 20), "a1")
    assert told.status("web-shop/subagent") == ("running" if place == 0 else "completed")
    for hook in hooks[place:]:
        told.hook(hook)
    assert (told.status("web-shop/subagent"), told.status()) == ("completed", "completed")
    assert told.state["agents"]["web-shop/subagent"]["tokens"]["output-tokens"] == 20


def test_a_subagent_that_only_the_transcript_tells_of_is_stopped_with_a_busy_session() -> None:
    """It cannot have ended where its session had not."""
    told = begun().fact(spent("m1", 20), "a1").hook("SessionEnd", reason="other")
    assert (told.status("web-shop/subagent"), told.status()) == ("stopped", "stopped")


def test_a_session_that_is_seen_in_its_middle_has_begun() -> None:
    """A session that is seen in its middle has begun."""
    told = Told().hook("PostToolUse", tool="Bash", call="c1")
    assert (told.status(), told.tools()) == ("waiting: the next prompt", {"Bash": (1, 0, 0)})


def test_the_same_hook_twice_counts_once() -> None:
    """The same hook twice counts once."""
    told = begun().hook("UserPromptSubmit", turn="t1")
    for _ in range(2):
        told.hook("PreToolUse", tool="Bash", call="c1").hook("PostToolUseFailure", tool="Bash", call="c1", error="exit code 3")
    assert told.tools() == {"Bash": (0, 1, 0)}
    assert told.state["agents"]["web-shop"]["messages"] == {"user": 1}


@pytest.mark.parametrize("is_late", [False, True])
def test_hooks_without_ids_are_matched_with_the_transcript(is_late: bool) -> None:
    """Hooks without ids are matched with the transcript."""
    told = begun().hook("PreToolUse", tool="Bash").hook("PostToolUse", tool="Bash", duration_ms=12)
    told.fact(facts.Call("c3", START, "Read")).fact(facts.Result("c3", START, facts.OK, None, None, None))
    told.hook("PostToolUse", tool="Read")
    if is_late:
        assert told.later().tools() == {"Read": (1, 0, 0), "Bash": (1, 0, 0)}
    told.fact(facts.Call("c1", START, "Bash"), "a1").fact(facts.Result("c1", START, facts.OK, None, None, None), "a1")
    told.fact(facts.Call("c2", START, "Bash")).fact(facts.Result("c2", START, facts.ERROR, "failed", None, None))
    told.hook("Stop").later()
    assert told.state["tools"]["Bash"]["success"] == 1
    assert told.tools() == {"Read": (1, 0, 0), "Bash": (1, 1, 0) if is_late else (0, 1, 0)}
    assert told.tools("web-shop/subagent") == ({} if is_late else {"Bash": (1, 0, 0)})
    assert told.status("web-shop/subagent") == "completed"
    assert told.status() == "waiting: the next prompt"


# -- the transcript ----------------------------------------------------------------------------------------------------


def spent(message: str, output: int, *, time: int = START, model: str = "claude-opus-5-5") -> facts.Usage:
    """An answer of a model."""
    return facts.Usage(message, time, model, 10, output, 30, 40, 5)


def test_an_answer_counts_once_with_its_largest_figures() -> None:
    """An answer counts once with its largest figures."""
    told = begun()
    for output in (7, 20, 20, 7):
        told.fact(spent("m1", output))
    told.fact(spent("m2", 1))
    tokens = told.state["tokens"]
    assert (tokens["requests"], tokens["output-tokens"], tokens["input-tokens"]) == (2, 21, 20)
    assert (tokens["cache-read-tokens"], tokens["cache-write-tokens"], tokens["cache-write-1h-tokens"]) == (60, 80, 10)
    assert told.state["agents"]["web-shop"]["messages"] == {"user": 1, "assistant": 2}


def test_a_copy_in_another_session_is_charged_to_whoever_told_it_first() -> None:
    """A copy in another session is charged to whoever told it first."""
    memory = Memory()
    first = Told(memory=memory).hook("SessionStart").fact(spent("m1", 20))
    fork = Told(memory=memory, session="s2").hook("SessionStart").fact(spent("m1", 20)).fact(spent("m2", 3))
    assert first.state["tokens"]["output-tokens"] == 20
    assert fork.state["tokens"]["output-tokens"] == 3
    assert memory.copies == {("s2", "m1")}


def test_a_call_in_doubt_that_a_copy_has_as_well_counts_once() -> None:
    """Both sessions took it in while nobody had answered it."""
    memory = Memory()
    one, other = Told(memory=memory).hook("SessionStart"), Told(memory=memory, session="s2").hook("SessionStart")
    for each in (one, other):
        each.fact(facts.Call("c1", START, "Bash")).fact(facts.Result("c1", START, facts.OK, None, None, None))
    one.hook("Stop").later()
    other.hook("Stop").later()
    assert (one.tools(), other.tools()) == ({"Bash": (1, 0, 0)}, {})


def test_a_subagents_answers_are_its_own() -> None:
    """A subagents answers are its own."""
    told = begun().hook("SubagentStart", agent_id="a1", agent_type="Explore", turn="t1").fact(spent("m1", 20), "a1")
    assert told.state["agents"]["web-shop/Explore"]["tokens"]["output-tokens"] == 20
    assert told.state["agents"]["web-shop"]["tokens"]["output-tokens"] == 0


def test_requests_that_the_transcript_does_not_list_come_from_the_programs_own_sum() -> None:
    """Requests that the transcript does not list come from the programs own sum."""
    told = begun().fact(spent("m1", 20)).fact(facts.Compacted(START))
    told.fact(facts.Totals(START, {"claude-opus-5-5": (510, 80, 4030, 40, 5)}, None))
    told.hook("SessionEnd", reason="other").finished().finished()
    tokens = told.state["tokens"]
    assert (tokens["requests"], tokens["input-tokens"], tokens["output-tokens"], tokens["cache-read-tokens"]) == (
        2,
        510,
        80,
        4030,
    )


def test_a_compaction_that_no_source_counts_is_an_unpriced_request() -> None:
    """A compaction that no source counts is an unpriced request."""
    told = begun().fact(spent("m1", 20)).fact(facts.Compacted(START)).hook("SessionEnd", reason="other").finished()
    assert told.state["models"]["(requests that the transcript does not list)"]["requests"] == 1
    assert told.state["tokens"]["output-tokens"] == 20


def test_what_the_transcript_tells_about_the_session() -> None:
    """What the transcript tells about the session."""
    told = begun().fact(facts.About(START, branch="main", version="2.1.329")).fact(spent("m1", 20, time=START + 5))
    session = told.state["agents"]["web-shop"]["runs"]["claude-code-s1-77-1f.1"]["session"]
    assert {name: value for name, (_, value) in session.items()} == {
        "cwd": "/home/dev/web-shop",
        "branch": "main",
        "version": "2.1.329",
        "model": "claude-opus-5-5",
        "context-tokens": 105,
    }


def test_prompts_that_hooks_told_are_not_told_again() -> None:
    """Prompts that hooks told are not told again."""
    told = begun().fact(facts.Prompt("u1", START, "t1")).fact(facts.Prompt("u2", START, "t2")).fact(facts.Prompt("u2", START))
    assert told.state["agents"]["web-shop"]["messages"] == {"user": 2}


def test_a_session_without_hooks_is_all_that_its_transcript_tells() -> None:
    """A session without hooks is all that its transcript tells."""
    told = Told(has_hooks=False).fact(facts.Prompt("u1", START))
    told.fact(facts.Call("c1", START, "Bash")).fact(facts.Result("c1", START, facts.NOT_EXECUTED, None, None, None))
    told.fact(facts.Call("c2", START, "Bash")).fact(facts.Result("c2", START, facts.ERROR, "exit code 3", None, None))
    told.fact(facts.Call("c3", START, "Read"), "a1").fact(facts.Result("c3", START, facts.OK, None, 5.0, None), "a1")
    told.fact(facts.Call("c4", START, "Read"))
    told.finished()
    assert told.tools() == {"Bash": (0, 1, 1), "Read": (0, 0, 1)}
    assert told.tools("web-shop/subagent") == {"Read": (1, 0, 0)}
    assert (told.status(), told.status("web-shop/subagent")) == ("completed", "completed")


# -- its laws ----------------------------------------------------------------------------------------------------------

OUTCOMES = (facts.OK, facts.ERROR, facts.NOT_EXECUTED)


@given(
    st.lists(st.tuples(st.sampled_from(["Bash", "Read"]), st.sampled_from(OUTCOMES)), max_size=8),
    st.randoms(use_true_random=False),
    st.data(),
)
def test_hooks_in_any_order_twice_or_lost_with_a_transcript_count_the_truth(
    calls: list[tuple[str, str]], chance: random.Random, data: st.DataObject
) -> None:
    """Whatever happens to the hooks, and wherever the transcript's lines come between them, each call counts once and rightly."""
    told = begun()
    hooks: list[tuple[str, dict[str, str]]] = []
    for number, (tool, outcome) in enumerate(calls):
        hooks.append(("PreToolUse", {"tool": tool, "call": f"c{number}"}))
        if outcome != facts.NOT_EXECUTED:
            kind = "PostToolUse" if outcome == facts.OK else "PostToolUseFailure"
            hooks.append((kind, {"tool": tool, "call": f"c{number}"}))
    kept = [each for each in hooks for _ in range(data.draw(st.integers(0, 2)))]
    lines: list[facts.Fact] = []
    for number, (tool, outcome) in enumerate(calls):
        lines += [facts.Call(f"c{number}", START, tool), facts.Result(f"c{number}", START, outcome, None, None, None)]
    chance.shuffle(kept)
    places = sorted(chance.randrange(len(kept) + 1) for _ in lines)
    for place, (name, fields) in enumerate(kept):
        for line in [line for line, at in zip(lines, places, strict=True) if at == place]:
            told.fact(line)
        told.hook(name, **fields)
    for line in [line for line, at in zip(lines, places, strict=True) if at == len(kept)]:
        told.fact(line)
    told.hook("Stop").hook("SessionEnd", reason="other").later().finished()
    truth = {
        tool: tuple(sum(1 for each in calls if each == (tool, outcome)) for outcome in OUTCOMES) for tool in {t for t, _ in calls}
    }
    assert told.tools() == truth


@given(st.lists(st.sampled_from(["Pre", "Post", "Batch", "Stop", "Prompt"]), max_size=12), st.randoms(use_true_random=False))
def test_hooks_alone_never_count_a_call_twice(kinds: list[str], chance: random.Random) -> None:
    """Hooks alone never count a call twice."""
    told = begun()
    for kind in kinds:
        call = f"c{chance.randrange(2)}"
        if kind == "Pre":
            told.hook("PreToolUse", tool="Bash", call=call)
        elif kind == "Post":
            told.hook("PostToolUse", tool="Bash", call=call)
        elif kind == "Batch":
            told.hook("PostToolBatch", calls=[[call, "Bash"]])
        else:
            told.hook("Stop" if kind == "Stop" else "UserPromptSubmit", turn=kind)
        if chance.random() < 0.3:
            told.later(chance.randrange(8_000))
    told.hook("SessionEnd", reason="other").later().finished()
    assert sum(map(sum, told.tools().values())) == len([name for name in told.memory.told if name.startswith("c")])
