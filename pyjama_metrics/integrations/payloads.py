"""What is kept of the payloads of Claude Code and of Codex: names, sizes, outcomes and times; no content unless asked for.

A payload becomes the fields of a journal line of the kind ``hook`` (docs/journal.md). Nothing is decided here: what the line
means is for whoever reads it. What has another type than it should is left out, and so is what is empty.
"""

from __future__ import annotations

from pyjama_metrics.events import MAX_COUNT, MAX_DURATION_MS, MAX_LABEL, MAX_NAME, MAX_TEXT, MAX_TIME_MS, MAX_WORD, text_of
from pyjama_metrics.integrations.json_members import Members
from pyjama_metrics.tool_errors import error_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

STATUS_LINE, NOTIFY = "StatusLine", "notify"
"""The names under which the two payloads are kept that are no hook's."""
TASK_NOTIFICATION = "<task-notification>"
"""How a prompt begins that the program wrote to itself."""
MOST_CALLS = 1_000
"""Tool calls kept of one batch."""
MOST_LIMITS = 20
"""Limits of a plan that are kept."""

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_WORD = frozenset(_LETTERS + "_-")
_REASON = frozenset(_LETTERS + "_. -")
_SECONDS = 100_000_000_000
"""A time below this is in seconds, not in milliseconds."""

Fields = dict[str, object]


def told(payload: Members, source: str, *, hook: str | None = None, captured: Collection[str] = ()) -> Fields | None:
    """The fields of the line that a payload becomes.

    Args:
        payload: what the program handed over.
        source: which program.
        hook: the payload's name, where it does not tell one.
        captured: which content is kept: ``prompt``, ``input``, ``output``, ``error``.

    Returns:
        None where the payload tells no session, or is no hook's.
    """
    values = payload.values
    name = hook or (NOTIFY if "thread-id" in values else values.get("hook_event_name"))
    session = values.get("thread-id") if name == NOTIFY else values.get("session_id")
    if not is_word(name) or not isinstance(session, str) or not session:
        return None
    fields: Fields = {
        "source": source,
        "hook": name,
        "session": text_of(session, MAX_LABEL),
        "transcript": _path(values.get("transcript_path")),
        "cwd": _path(values.get("cwd")),
        "turn": _text(values.get("turn-id") or values.get("prompt_id") or values.get("turn_id"), MAX_LABEL),
        "agent-id": _text(values.get("agent_id"), MAX_LABEL),
        "agent-type": _text(values.get("agent_type")),
        "model": _text(values.get("model")),
    }
    more = _MORE.get(str(name))
    if more is not None:
        fields |= more(payload)
    if captured:
        fields |= _content(values, captured)
    return fields


def is_word(value: object) -> bool:
    """Whether a value is a name of at most 64 letters, digits, hyphens and underscores."""
    return isinstance(value, str) and 0 < len(value) <= MAX_WORD and _WORD.issuperset(value)


# -- by event ------------------------------------------------------------------------------------------------------------


def _session_start(payload: Members) -> Fields:
    return {"how": _text(payload.values.get("source"), MAX_WORD)}


def _session_end(payload: Members) -> Fields:
    return {"reason": _text(payload.values.get("reason"), MAX_WORD)}


def _prompt(payload: Members) -> Fields:
    prompt = payload.values.get("prompt")
    if not isinstance(prompt, str):
        return {}
    size = len(prompt.encode("utf-8", "surrogatepass"))
    return {"bytes": size, "automatic": _if(prompt.lstrip().startswith(TASK_NOTIFICATION))}


def _tool(payload: Members) -> Fields:
    return {"tool": _text(payload.values.get("tool_name"))}


def _before_tool(payload: Members) -> Fields:
    return _call(payload) | {"bytes": payload.size("tool_input")}


def _after_tool(payload: Members) -> Fields:
    values = payload.values
    response = _object(values.get("tool_response"))
    runs_on = (
        response.get("status") == "async_launched" or response.get("isAsync") is True or bool(response.get("backgroundTaskId"))
    )
    return _call(payload) | {
        "duration-ms": _number(values.get("duration_ms"), MAX_DURATION_MS),
        "bytes": payload.size("tool_response"),
        "background": _if(runs_on),
    }


def _after_failure(payload: Members) -> Fields:
    interrupted = payload.values.get("is_interrupt") is True
    error = error_class(payload.values.get("error"), interrupted=interrupted)
    return _after_tool(payload) | {"error": error, "interrupted": _if(interrupted)}


def _call(payload: Members) -> Fields:
    return _tool(payload) | {"call": _text(payload.values.get("tool_use_id"), MAX_LABEL)}


def _batch(payload: Members) -> Fields:
    calls = payload.values.get("tool_calls")
    if not isinstance(calls, list):
        return {}
    pairs = ((_object(call).get("tool_use_id"), _object(call).get("tool_name")) for call in calls[:MOST_CALLS])
    return {"calls": [[_text(call, MAX_LABEL), _text(tool)] for call, tool in pairs if call or tool]}


def _notification(payload: Members) -> Fields:
    return {"kind": _text(payload.values.get("notification_type"), MAX_WORD)}


def _elicitation(payload: Members) -> Fields:
    return {"server": _text(payload.values.get("mcp_server_name"))}


def _stop(payload: Members) -> Fields:
    tasks = payload.values.get("background_tasks")
    if not isinstance(tasks, list):
        return {}
    running = [each for each in map(_object, tasks) if each.get("status") == "running"]
    agents = sum(each.get("type") == "subagent" for each in running)
    return {"background": {"agents": agents, "commands": len(running) - agents}}


def _stop_failure(payload: Members) -> Fields:
    error = payload.values.get("error")
    is_plain = isinstance(error, str) and 0 < len(error) <= MAX_WORD and _REASON.issuperset(error)
    return _stop(payload) | {"error": error if is_plain else None}


def _subagent_stop(payload: Members) -> Fields:
    return _stop(payload) | {"agent-transcript": _path(payload.values.get("agent_transcript_path"))}


def _compact(payload: Members) -> Fields:
    return {"trigger": _text(payload.values.get("trigger"), MAX_WORD)}


def _moved(payload: Members) -> Fields:
    new = _path(payload.values.get("new_cwd"))
    return {} if new is None else {"cwd": new}


_CODEX_TOKENS = {
    "input": "input_tokens",
    "cached": "cached_input_tokens",
    "cache-write": "cache_write_input_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_output_tokens",
}


def _model_request(payload: Members) -> Fields:
    usage = _object(payload.values.get("token_usage"))
    tokens = {name: count for name, key in _CODEX_TOKENS.items() if (count := _count(usage.get(key))) is not None}
    return {"status": _text(payload.values.get("status"), MAX_WORD), "tokens": tokens or None}


_IN_CONTEXT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _status_line(payload: Members) -> Fields:
    values = payload.values
    context, now = _object(values.get("context_window")), _object(_object(values.get("context_window")).get("current_usage"))
    counts = [count for name in _IN_CONTEXT if (count := _count(now.get(name))) is not None]
    limits: Fields = {}
    for name, limit in list(_object(values.get("rate_limits")).items())[:MOST_LIMITS]:
        used = _number(_object(limit).get("used_percentage"), MAX_COUNT)
        if is_word(name) and used is not None:
            limits[name] = [used, _moment(_object(limit).get("resets_at"))]
    return {
        "model": _text(_object(values.get("model")).get("id")),
        "cost-usd": _number(_object(values.get("cost")).get("total_cost_usd"), MAX_COUNT),
        "context-percent": _number(context.get("used_percentage"), MAX_COUNT),
        "context-tokens": sum(counts) if counts else None,
        "context-window": _count(context.get("context_window_size")),
        "limits": limits or None,
    }


_MORE: dict[str, Callable[[Members], Fields]] = {
    "SessionStart": _session_start,
    "SessionEnd": _session_end,
    "UserPromptSubmit": _prompt,
    "PreToolUse": _before_tool,
    "PostToolUse": _after_tool,
    "PostToolUseFailure": _after_failure,
    "PostToolBatch": _batch,
    "PermissionRequest": _tool,
    "PermissionDenied": _tool,
    "Notification": _notification,
    "Elicitation": _elicitation,
    "ElicitationResult": _elicitation,
    "Stop": _stop,
    "StopFailure": _stop_failure,
    "SubagentStop": _subagent_stop,
    "PreCompact": _compact,
    "PostCompact": _compact,
    "CwdChanged": _moved,
    "PostModelRequest": _model_request,
    STATUS_LINE: _status_line,
}


# -- content -------------------------------------------------------------------------------------------------------------

_CONTENT = (
    ("prompt", "prompt", "prompt"),
    ("input", "input", "tool_input"),
    ("output", "output", "tool_response"),
    ("error", "error-text", "error"),
)
"""What may be asked for, the field of the line, and that of the payload."""


def _content(values: Fields, captured: Collection[str]) -> Fields:
    from pyjama_metrics.integrations.redaction import (
        shown,
    )  # needs regular expressions, which take as long to load as all of this

    kept = ((field, values.get(name)) for what, field, name in _CONTENT if what in captured)
    return {field: shown(value) for field, value in kept if value}


# -- values of their types -----------------------------------------------------------------------------------------------


def _text(value: object, limit: int = MAX_NAME) -> str | None:
    return text_of(value, limit) if isinstance(value, str) and value else None


def _path(value: object) -> str | None:
    """A path that leads somewhere: whole, and such that a journal can hold it."""
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT or "\0" in value:
        return None
    return value if text_of(value, MAX_TEXT) == value else None


def _object(value: object) -> Fields:
    return value if isinstance(value, dict) else {}


def _number(value: object, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if 0 <= value <= most else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def _moment(value: object) -> int:
    """Milliseconds since the epoch; 0 where a time is not known."""
    number = _number(value, MAX_TIME_MS)
    return 0 if number is None else int(number if number >= _SECONDS else number * 1000)


def _if(condition: bool) -> bool | None:
    """True or nothing: what is not so is left out."""
    return condition or None
