"""What a line of a Claude Code transcript tells, by line and summed up over all that the real program wrote."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyjama_metrics.sessions.claude_transcripts import agent_of, facts_of, matters, session_of
from pyjama_metrics.sessions.facts import (
    About,
    Call,
    Compacted,
    Fact,
    Failed,
    Interrupted,
    Prompt,
    Result,
    Totals,
    Usage,
)
from tests.captured import CLAUDE, as_printed, lines_of, name_of, truth_of
from tests.foreign_lines import ANYTHING

AT = "2026-11-21T02:02:14.331Z"
AT_MS = 1_795_226_534_331


def answer(**message: Any) -> dict[str, Any]:
    """A line of the model's."""
    usage = {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 11}
    told = {"id": "msg_1", "model": "claude-opus-4-8", "content": [], "usage": usage} | message
    return {"type": "assistant", "timestamp": AT, "message": told}


def said(content: Any, **more: Any) -> dict[str, Any]:
    """A line of the person's side."""
    return {"type": "user", "uuid": "u1", "timestamp": AT, "message": {"role": "user", "content": content}} | more


def came_back(text: Any, *, is_error: Any = True, **more: Any) -> Result:
    """The one result that a line tells."""
    block = {"type": "tool_result", "tool_use_id": "toolu_1", "content": text, "is_error": is_error}
    (result,) = facts_of(said([block], **more))
    assert isinstance(result, Result)
    return result


def summed(facts: list[Fact]) -> tuple[dict[str, int], Counter[str], Counter[str], int]:
    """Tokens by kind, calls by tool, outcomes, and prompts, everything once, by the rules of the facts."""
    usages: dict[str, Usage] = {}
    for fact in facts:
        if isinstance(fact, Usage) and (fact.message not in usages or usages[fact.message].output < fact.output):
            usages[fact.message] = fact
    tokens = {
        "input_tokens": sum(usage.input for usage in usages.values()),
        "output_tokens": sum(usage.output for usage in usages.values()),
        "cache_read_input_tokens": sum(usage.cache_read for usage in usages.values()),
        "cache_creation_input_tokens": sum(usage.cache_write + usage.cache_write_1h for usage in usages.values()),
    }
    calls = {fact.call: fact.tool for fact in facts if isinstance(fact, Call)}
    outcomes = {fact.call: fact.outcome for fact in facts if isinstance(fact, Result)}
    prompts = {fact.message for fact in facts if isinstance(fact, Prompt)}
    return tokens, Counter(calls.values()), Counter(outcomes.values()), len(prompts)


@pytest.mark.parametrize("folder", CLAUDE, ids=name_of)
def test_the_sums_of_what_the_real_program_wrote_are_the_truth(folder: Path) -> None:
    """Several lines for each answer, copies in a fork, subagents in files of their own: everything counts once."""
    truth = truth_of(folder)
    tokens, calls, outcomes, prompts = summed([fact for line in lines_of(folder) for fact in facts_of(line)])
    # The compaction request is written nowhere among the lines.
    assert tokens == truth.get("tokens_in_transcripts", truth["tokens"]["all"])
    assert dict(calls) == truth["tool_calls"]
    words = {"ok": "ok", "failed": "error", "not_executed": "not-executed"}
    expected = truth.get("tool_outcomes") or {
        "failed": truth["tool_failures_total"],
        "ok": truth["tool_calls_total"] - truth["tool_failures_total"],
    }
    assert outcomes == Counter({words[word]: number for word, number in expected.items() if word in words})
    # "/compact" was typed, and answered by the program itself.
    assert prompts == truth["prompts"] - (folder.name == "compact")


SUMS = {
    "claude-code-2.1.329/basic": (987, 410, 19345, 3979),
    "claude-code-2.1.197/basic": (987, 410, 19345, 3979),
    "claude-code-2.1.329/resume": (53, 56, 62, 59),
    "claude-code-2.1.197/resume": (53, 56, 62, 59),
    "claude-code-2.1.329/compact": (1008, 432, 19369, 4002),
    "claude-code-2.1.329/denied": (222, 225, 231, 228),
    "claude-code-2.1.329/sigkill": (80, 81, 83, 82),
}


@pytest.mark.parametrize("folder", CLAUDE, ids=name_of)
def test_the_truth_is_what_it_was(folder: Path) -> None:
    """Input, output, cache read, cache write as literals: a truth that was lost along with the rule would go unseen."""
    tokens, _, _, _ = summed([fact for line in lines_of(folder) for fact in facts_of(line)])
    if name_of(folder) in SUMS:
        assert (
            tokens["input_tokens"],
            tokens["output_tokens"],
            tokens["cache_read_input_tokens"],
            tokens["cache_creation_input_tokens"],
        ) == SUMS[name_of(folder)]


def test_the_program_s_own_totals_hold_the_compaction_that_no_line_tells() -> None:
    """4,560 tokens of the request that sums the conversation up: 500 in, 60 out, 4,000 from the cache."""
    (folder,) = (folder for folder in CLAUDE if name_of(folder) == "claude-code-2.1.329/compact")
    facts = [fact for line in lines_of(folder) for fact in facts_of(line)]
    totals = [fact for fact in facts if isinstance(fact, Totals)]
    assert totals[-1] == Totals(0, {"claude-opus-5-5": (1508, 492, 23369, 4002, 0)}, 0.0405558)
    assert len([fact for fact in facts if isinstance(fact, Compacted)]) == 1
    assert [fact.context_tokens for fact in facts if isinstance(fact, About) and fact.context_tokens] == [2688]


def test_the_errors_of_what_the_real_program_wrote_have_classes() -> None:
    """A missing file, an exit code of 3, exit codes of parallel calls; never a text."""
    facts = {name_of(folder): [fact for line in lines_of(folder) for fact in facts_of(line)] for folder in CLAUDE}
    errors = {
        name: Counter(fact.error for fact in told if isinstance(fact, Result) and fact.error) for name, told in facts.items()
    }
    assert errors["claude-code-2.1.329/basic"] == {"not found": 2, "exit code 3": 1}
    assert errors["claude-code-2.1.329/parallel"] == {"exit code 4": 1, "exit code 1": 1}
    assert errors["claude-code-2.1.329/denied"] == {}


@pytest.mark.parametrize("folder", CLAUDE, ids=name_of)
def test_what_is_told_not_to_matter_tells_nothing(folder: Path) -> None:
    """Of all that the real program wrote, as it prints it and with blanks."""
    for line in lines_of(folder):
        for raw in (as_printed(line), json.dumps(line).encode()):
            assert matters(raw) or facts_of(line) == []


@pytest.mark.parametrize("kind", ["queued_command", "hook_success", "file"])
def test_an_attachment_matters_where_it_may_be_a_message(kind: str) -> None:
    """All others are passed over, whatever they hold."""
    attachment = {"type": kind, "prompt": "Do it.", "commandMode": "prompt"}
    line = {
        "parentUuid": None,
        "isSidechain": False,
        "attachment": attachment,
        "type": "attachment",
        "uuid": "u1",
        "timestamp": AT,
    }
    assert matters(as_printed(line)) == (kind == "queued_command") == bool(facts_of(line))


def test_most_of_what_tells_nothing_is_told_so() -> None:
    """The other half of the promise: it is of use."""
    silent = [as_printed(line) for folder in CLAUDE for line in lines_of(folder) if not facts_of(line)]
    assert sum(not matters(raw) for raw in silent) == len(silent)


def test_agents_and_sessions_are_told_by_the_lines() -> None:
    """A subagent has a file of its own, lies beside its session, or, long ago, among its lines."""
    assert agent_of({"isSidechain": False}) is None
    assert agent_of({"isSidechain": True, "agentId": "a1b2"}) == "a1b2"
    assert agent_of({"isSidechain": True}) == "sidechain"
    assert session_of({"sessionId": "s-1"}) == "s-1"
    assert session_of({"sessionId": 7}) == ""


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (
            {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4},
            (1, 2, 3, 4, 0),
        ),
        (
            {
                "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
            },
            (0, 0, 0, 4, 6),
        ),
        ({"cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6}}, (0, 0, 0, 4, 6)),
        ({"input_tokens": "12", "output_tokens": -1, "cache_read_input_tokens": 2**70}, (0, 0, 0, 0, 0)),
        ({"input_tokens": float("nan"), "output_tokens": True, "cache_creation": [1]}, (0, 0, 0, 0, 0)),
    ],
)
def test_tokens_are_told_by_kind(usage: dict[str, Any], tokens: tuple[int, ...]) -> None:
    """What was written for an hour costs more than what was written for five minutes; what is no count is none."""
    assert facts_of(answer(usage=usage)) == [Usage("msg_1", AT_MS, "claude-opus-4-8", *tokens)]


def test_an_answer_that_no_model_gave_costs_nothing() -> None:
    """An error of the API is told as one."""
    line = answer(model="<synthetic>") | {"isApiErrorMessage": True, "error": "rate_limit", "apiErrorStatus": 429}
    assert facts_of(line) == [Failed(AT_MS, "rate_limit")]
    assert facts_of(line | {"error": "Your prompt was: …"}) == [Failed(AT_MS, "status 429")]
    assert facts_of(line | {"error": None, "apiErrorStatus": None}) == [Failed(AT_MS, "failed")]
    assert facts_of(answer(model="<synthetic>")) == []


def test_an_answer_without_an_id_is_known_by_its_line() -> None:
    """Nothing is charged twice, and nothing is lost where there is any name at all."""
    (usage,) = facts_of(answer(id=None) | {"uuid": "line-1"})
    assert usage[0] == "line-1"
    assert facts_of(answer(id=None)) == []


def test_calls_of_one_answer_are_told_each() -> None:
    """Also where a line holds several blocks."""
    blocks = [
        {"type": "text", "text": "x"},
        *({"type": "tool_use", "id": f"t{n}", "name": "Bash"} for n in (1, 2)),
        {"type": "tool_use"},
    ]
    assert facts_of(answer(content=blocks, usage=None)) == [Call("t1", AT_MS, "Bash"), Call("t2", AT_MS, "Bash")]


@pytest.mark.parametrize(
    ("result", "outcome", "error"),
    [
        (came_back("fine", is_error=False), "ok", None),
        (came_back("fine", is_error=None), "ok", None),
        (came_back("Exit code 3\nbad"), "error", "exit code 3"),
        (came_back("Exit code 127\ncommand was blocked: not found"), "error", "exit code 127"),
        (came_back([{"type": "text", "text": "Exit code 2"}]), "error", "exit code 2"),
        (came_back("Exit code 143\nCommand timed out after 2m 0.0s"), "error", "timeout"),
        (came_back("File does not exist."), "error", "not found"),
        (came_back("EACCES: permission denied, open '/x'"), "error", "denied"),
        (came_back("[Request interrupted by user for tool use]"), "error", "interrupted"),
        (came_back(None), "error", "failed"),
        (came_back("fine", is_error=False, toolUseResult={"stdout": "", "interrupted": True}), "error", "interrupted"),
        (came_back("<tool_use_error>Error: No such tool available: Xyz</tool_use_error>"), "not-executed", None),
        (came_back("Claude requested permissions to use Bash, but you haven't granted it yet."), "not-executed", None),
        (came_back("The user doesn't want to proceed with this tool use."), "not-executed", None),
        (came_back("PreToolUse:Bash hook error: no"), "not-executed", None),
        (came_back("Permission to use Bash has been denied."), "not-executed", None),
        (came_back("odd", toolDenialKind="user-rejected"), "not-executed", None),
        (came_back("odd", permissionDecision={"decision": "reject"}), "not-executed", None),
        (came_back("odd", permissionDecision={"decision": "accept"}), "error", "failed"),
    ],
)
def test_what_came_of_a_call_is_told(result: Result, outcome: str, error: str | None) -> None:
    """It was done, it failed, or it never ran; of an error its class."""
    assert (result.call, result.time_ms, result.outcome, result.error) == ("toolu_1", AT_MS, outcome, error)


def test_a_duration_is_told_where_the_tool_tells_it() -> None:
    """Of a search, and of a subagent."""
    assert came_back("", is_error=False, toolUseResult={"filenames": [], "durationMs": 12}).duration_ms == 12.0
    assert came_back("", is_error=False, toolUseResult={"status": "completed", "totalDurationMs": 900}).duration_ms == 900.0
    assert came_back("", is_error=False, toolUseResult={"status": "completed", "durationMs": "12"}).duration_ms is None


@pytest.mark.parametrize(
    "line",
    [
        said("Do it."),
        said([{"type": "text", "text": "Do it."}]),
        said([{"type": "text", "text": "<ide_opened_file>x</ide_opened_file>"}, {"type": "text", "text": "Do it."}]),
        said([{"type": "image", "source": {}}]),
        said("<command-message>review is running…</command-message>\n<command-name>/review</command-name>"),
        {
            "type": "attachment",
            "uuid": "u1",
            "timestamp": AT,
            "attachment": {"type": "queued_command", "prompt": "Do it.", "commandMode": "prompt"},
        },
    ],
)
def test_a_persons_message_is_a_prompt(line: dict[str, Any]) -> None:
    """Typed, pasted, with what an editor adds, a command that is one, or in a queue."""
    assert facts_of(line) == [Prompt("u1", AT_MS)]


@pytest.mark.parametrize(
    "line",
    [
        said("Do it.", isMeta=True),
        said("Do it.", isSidechain=True, agentId="a1"),
        said("Do it.", origin={"kind": "task-notification"}),
        said("This session is being continued …", isCompactSummary=True),
        said("<task-notification>\n<task-id>a</task-id></task-notification>"),
        said("<local-command-stdout>Compacted</local-command-stdout>"),
        said("<command-name>/compact</command-name>\n<command-message>compact</command-message>"),
        said("<bash-input>ls</bash-input>"),
        said(""),
        said([]),
        said([{"type": "text", "text": "<system-reminder>x</system-reminder>"}]),
        said("Do it.", uuid=None),
        {
            "type": "attachment",
            "uuid": "u1",
            "attachment": {"type": "queued_command", "prompt": "<task-notification>", "commandMode": "task-notification"},
        },
        {"type": "attachment", "uuid": "u1", "attachment": {"type": "hook_success", "prompt": "Do it."}},
        {"type": "queue-operation", "operation": "enqueue", "content": "Do it."},
    ],
)
def test_what_no_person_wrote_is_no_prompt(line: dict[str, Any]) -> None:
    """Summaries, results of background work, output of commands, what a subagent is told."""
    assert facts_of(line) == []


def test_an_interruption_is_told() -> None:
    """Esc, while the model speaks and while a tool works."""
    assert facts_of(said("[Request interrupted by user]")) == [Interrupted(AT_MS)]
    assert facts_of(said([{"type": "text", "text": "[Request interrupted by user for tool use]"}])) == [Interrupted(AT_MS)]


def test_what_a_line_tells_by_the_way_is_told() -> None:
    """Folder, branch and version; a name that the person or the program gave to the session."""
    assert facts_of(said("x", isMeta=True, cwd="/w", gitBranch="main", version="2.1.329")) == [
        About(AT_MS, cwd="/w", branch="main", version="2.1.329")
    ]
    assert facts_of({"type": "custom-title", "customTitle": "T"}) == [About(0, title="T")]


def test_a_cost_that_the_program_does_not_know_is_none() -> None:
    """It is not zero."""
    line = {"type": "cost-state", "totalCostUSD": 0, "hasUnknownModelCost": True, "modelUsage": {"m": {"inputTokens": 1}}}
    assert facts_of(line) == [Totals(0, {"m": (1, 0, 0, 0, 0)}, None)]


KINDS = ["assistant", "user", "system", "attachment", "cost-state", "custom-title", "ai-title", "progress", "no such", 7, None]
FIELDS = [
    "message",
    "timestamp",
    "uuid",
    "cwd",
    "gitBranch",
    "version",
    "toolUseResult",
    "permissionDecision",
    "origin",
    "modelUsage",
]
FIELDS += [
    "attachment",
    "compactMetadata",
    "subtype",
    "isApiErrorMessage",
    "error",
    "apiErrorStatus",
    "totalCostUSD",
    "customTitle",
]


def deep(levels: int) -> object:
    """A list in a list in a list."""
    value: object = []
    for _ in range(levels):
        value = [value]
    return value


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=8))
@example("cost-state", {"modelUsage": {"m": {"inputTokens": 2**70}}, "totalCostUSD": float("inf")})
def test_a_line_of_any_shape_raises_nothing_and_tells_only_what_a_journal_can_hold(kind: object, line: dict[str, object]) -> None:
    """Fields of wrong types, missing, absurd."""
    for fact in facts_of(line | {"type": kind}):
        assert 0 <= fact.time_ms <= 253_402_300_800_000
        for value in fact:
            if isinstance(value, str):
                assert value
                assert value.encode()
        if isinstance(fact, Usage):
            assert all(0 <= tokens <= 10**12 for tokens in fact[3:])


def test_what_is_nested_a_thousand_deep_is_no_text_and_no_number() -> None:
    """No recursion follows it."""
    nested = deep(1_000)
    for kind in ("user", "assistant", "cost-state", "system", "attachment"):
        line = {
            "type": kind,
            "message": {"content": [{"type": "tool_result", "tool_use_id": nested, "content": nested}], "usage": nested},
        }
        assert (
            facts_of(line | {"modelUsage": {"m": nested}, "attachment": nested, "toolUseResult": nested, "timestamp": nested})
            == []
        )


@pytest.mark.parametrize("line", [None, [], 7, "user", {}, {"type": []}, {"type": "user"}, {"type": {"a": 1}}])
def test_what_is_no_line_tells_nothing(line: object) -> None:
    """Lists, numbers, objects without a type."""
    assert facts_of(line) == []
