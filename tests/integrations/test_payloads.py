"""What is kept of each payload, and of which type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyjama_metrics.integrations.json_members import Members
from pyjama_metrics.integrations.payloads import told
from pyjama_metrics.tool_errors import error_class

SESSION = {"session_id": "s-1", "hook_event_name": "Stop"}


def fields(program: str = "claude-code", *, hook: str | None = None, captured: tuple[str, ...] = (), **payload: Any) -> Any:
    """The fields of the line of a payload, without those that every line has and those that are left out."""
    found = told(Members(json.dumps(SESSION | payload)), program, hook=hook, captured=captured)
    if found is None:
        return None
    return {name: value for name, value in found.items() if value is not None and name not in ("source", "hook", "session")}


EVENTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("SessionStart", {"source": "resume", "model": "opus"}, {"how": "resume", "model": "opus"}),
    ("SessionEnd", {"reason": "prompt_input_exit"}, {"reason": "prompt_input_exit"}),
    ("UserPromptSubmit", {"prompt": "größer", "prompt_id": "p"}, {"bytes": 8, "turn": "p"}),
    ("UserPromptSubmit", {"prompt": "<task-notification>\n<task-id>a"}, {"bytes": 30, "automatic": True}),
    (
        "PreToolUse",
        {"tool_name": "Bash", "tool_use_id": "c", "tool_input": {"a": "ü"}},
        {"tool": "Bash", "call": "c", "bytes": 15},
    ),
    (
        "PostToolUse",
        {
            "tool_name": "Bash",
            "tool_use_id": "c",
            "tool_response": {"stdout": ""},
            "duration_ms": 20,
            "agent_id": "a1",
            "agent_type": "E",
        },
        {"tool": "Bash", "call": "c", "bytes": 14, "duration-ms": 20, "agent-id": "a1", "agent-type": "E"},
    ),
    (
        "PostToolUse",
        {"tool_name": "A", "tool_response": {"status": "async_launched"}},
        {"tool": "A", "bytes": 28, "background": True},
    ),
    ("PostToolUse", {"tool_name": "A", "tool_response": {"isAsync": True}}, {"tool": "A", "bytes": 17, "background": True}),
    (
        "PostToolUse",
        {"tool_name": "B", "tool_response": {"backgroundTaskId": "b"}},
        {"tool": "B", "bytes": 25, "background": True},
    ),
    ("PostToolUseFailure", {"tool_name": "B", "error": "Exit code 3\nbad"}, {"tool": "B", "error": "exit code 3"}),
    (
        "PostToolUseFailure",
        {"tool_name": "B", "error": "Exit code 3", "is_interrupt": True},
        {"tool": "B", "error": "interrupted", "interrupted": True},
    ),
    (
        "PostToolBatch",
        {"tool_calls": [{"tool_use_id": "1", "tool_name": "A", "tool_input": {}}, {"tool_name": "B"}, 7, {}]},
        {"calls": [["1", "A"], [None, "B"]]},
    ),
    ("PermissionRequest", {"tool_name": "Write", "tool_input": {"file_path": "/x"}}, {"tool": "Write"}),
    ("PermissionDenied", {"tool_name": "Write"}, {"tool": "Write"}),
    ("Notification", {"notification_type": "permission_prompt", "message": "m"}, {"kind": "permission_prompt"}),
    ("Elicitation", {"mcp_server_name": "tiny", "message": "Your name?"}, {"server": "tiny"}),
    ("ElicitationResult", {"mcp_server_name": "tiny"}, {"server": "tiny"}),
    ("Stop", {"background_tasks": []}, {"background": {"agents": 0, "commands": 0}}),
    (
        "Stop",
        {
            "background_tasks": [
                {"type": "subagent", "status": "running"},
                {"type": "shell", "status": "running"},
                {"type": "monitor", "status": "running"},
                {"type": "shell", "status": "completed"},
                "no task",
            ]
        },
        {"background": {"agents": 1, "commands": 2}},
    ),
    ("Stop", {}, {}),
    ("StopFailure", {"error": "rate_limit"}, {"error": "rate_limit"}),
    ("StopFailure", {"error": "see <https://x/?key=1>"}, {}),
    ("StopFailure", {"error": "x" * 65}, {}),
    ("SubagentStart", {"agent_id": "a", "agent_type": "Explore"}, {"agent-id": "a", "agent-type": "Explore"}),
    (
        "SubagentStop",
        {"agent_id": "a", "agent_type": "", "agent_transcript_path": "/t"},
        {"agent-id": "a", "agent-transcript": "/t"},
    ),
    ("PreCompact", {"trigger": "auto", "custom_instructions": "text"}, {"trigger": "auto"}),
    ("PostCompact", {"trigger": "manual", "compact_summary": "text"}, {"trigger": "manual"}),
    ("CwdChanged", {"cwd": "/b", "old_cwd": "/a", "new_cwd": "/b"}, {"cwd": "/b"}),
    ("NotYetInvented", {"transcript_path": "/t", "secret": "x"}, {"transcript": "/t"}),
]


@pytest.mark.parametrize(("event", "payload", "expected"), EVENTS)
def test_what_is_kept_of_an_event(event: str, payload: dict[str, Any], expected: dict[str, Any]) -> None:
    """Names, sizes and outcomes; of what nobody knows yet, that it was."""
    assert fields(hook_event_name=event, **payload) == expected


@pytest.mark.parametrize(("event", "payload", "_"), EVENTS)
@pytest.mark.parametrize("odd", [None, True, 7, -1.5, "text", [], [[]], {}, {"status": []}, [None, {"type": []}]])
def test_a_value_of_a_wrong_type_is_left_out_and_costs_nothing_else(
    event: str, payload: dict[str, Any], _: object, odd: Any
) -> None:
    """Each field in turn; the event is kept, and can be written."""
    for name in payload:
        assert fields(hook_event_name=event, **{**payload, name: odd}) is not None


def test_a_model_request_of_codex_tells_its_tokens() -> None:
    """Cached input is a part of its input here, as it was told; whoever counts converts."""
    usage = {"input_tokens": 1103, "cached_input_tokens": 1000, "cache_write_input_tokens": 0, "output_tokens": 37}
    usage |= {"reasoning_output_tokens": 5, "total_tokens": 1140}
    told = fields(
        source="codex", hook_event_name="PostModelRequest", model="gpt", status="completed", error=None, token_usage=usage
    )
    tokens = {"input": 1103, "cached": 1000, "cache-write": 0, "output": 37, "reasoning": 5}
    assert told == {"model": "gpt", "status": "completed", "tokens": tokens}


def test_codex_notifies_with_another_shape() -> None:
    """Its session is called a thread there."""
    payload = {"type": "agent-turn-complete", "thread-id": "t", "turn-id": "u", "cwd": "/w", "input-messages": ["secret"]}
    found = told(Members(json.dumps(payload)), "codex")
    assert found is not None
    assert {name: value for name, value in found.items() if value is not None} == {
        "source": "codex",
        "hook": "notify",
        "session": "t",
        "turn": "u",
        "cwd": "/w",
    }


def test_a_status_line_tells_cost_context_and_limits() -> None:
    """The name that a person gave to the session is not kept."""
    payload = {
        "session_name": "my secret project",
        "model": {"id": "opus", "display_name": "Opus"},
        "cost": {"total_cost_usd": 0.0123},
        "context_window": {
            "context_window_size": 200000,
            "used_percentage": 8.5,
            "current_usage": {
                "input_tokens": 8,
                "output_tokens": 5,
                "cache_creation_input_tokens": 10,
                "cache_read_input_tokens": 2000,
            },
        },
        "rate_limits": {
            "five_hour": {"used_percentage": 42, "resets_at": 1795290728},
            "seven_day": {"used_percentage": 7.5, "resets_at": "soon"},
            "of another shape": 3,
        },
    }
    assert fields(hook="StatusLine", **payload) == {
        "model": "opus",
        "cost-usd": 0.0123,
        "context-percent": 8.5,
        "context-tokens": 2018,
        "context-window": 200000,
        "limits": {"five_hour": [42, 1795290728000], "seven_day": [7.5, 0]},
    }


def test_a_status_line_that_knows_nothing_yet_tells_nothing() -> None:
    """No cost is not a cost of 0."""
    assert fields(hook="StatusLine", model={"id": "opus"}, cost={}, context_window={"current_usage": None}) == {"model": "opus"}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"session_id": "s"},
        {"hook_event_name": "Stop"},
        {"session_id": "", "hook_event_name": "Stop"},
        {"session_id": 7, "hook_event_name": "Stop"},
        {"session_id": "s", "hook_event_name": "No word\n"},
    ],
)
def test_a_payload_without_a_session_or_a_name_is_no_hook(payload: dict[str, Any]) -> None:
    """There is no journal for it."""
    assert told(Members(json.dumps(payload)), "claude-code") is None


def test_content_is_kept_only_where_it_is_asked_for() -> None:
    """Each kind by itself."""
    payload = {
        "hook_event_name": "PostToolUseFailure",
        "tool_name": "B",
        "tool_input": {"command": "ls"},
        "error": "Exit code 1\nno",
    }
    assert "error-text" not in fields(**payload)
    assert fields(**payload, captured=("input",)) == {"tool": "B", "error": "exit code 1", "input": '{"command":"ls"}'}
    assert fields(**payload, captured=("error",))["error-text"] == "Exit code 1\nno"
    assert fields(hook_event_name="UserPromptSubmit", prompt="hello", captured=("prompt",)) == {"bytes": 5, "prompt": "hello"}
    assert fields(hook_event_name="PostToolUse", tool_response="x" * 3000, captured=("output",))["output"] == "x" * 1999 + "…"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("Exit code 3\nbad", "exit code 3"),
        ("Exit code 127\nsh: nope: command not found", "exit code 127"),
        ("Exit code 143\nCommand timed out after 2m 0.0s", "timeout"),
        ("Exit code soon", "failed"),
        ("File does not exist. Note: your current working directory is /home/dev/work.", "not found"),
        ("No such tool available: Frobnicate", "not found"),
        ("Permission to use Bash has been denied.", "denied"),
        ("The user doesn't want to proceed with this tool use.", "denied"),
        ("InputValidationError: Read failed due to the following issue: file_path is missing", "validation"),
        ("Request timed out", "timeout"),
        ("[Request interrupted by user for tool use]", "interrupted"),
        ("swordfish", "failed"),
        ("", "failed"),
        (None, "failed"),
        ({"message": "denied"}, "failed"),
    ],
)
def test_the_class_of_an_error(error: object, expected: str) -> None:
    """One of seven, and never a word of the text."""
    assert error_class(error) == expected
