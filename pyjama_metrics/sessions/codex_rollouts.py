"""Rollouts of Codex: what the lines of one of them tell, fed in their order to a `Rollout`.

A rollout is a file of JSON lines, ``{"timestamp", "type", "payload"}``, one file for each thread; a subagent is a thread of its
own. Three things make it more than a list:

- The file of a subagent or a fork may begin with a copy of its parent's history. Nothing of that counts.
- Tokens are told by ``token_usage_record`` lines, one for each answer, or, by older versions, only by ``token_count`` events with
  the sum of the thread, which are told again and again. Of those, what the sum grew by counts.
- A command's exit code is told by an event, its output, which never says that it failed, by another line; in any order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from pyjama_metrics.events import MAX_TIME_MS
from pyjama_metrics.sessions.facts import (
    ERROR,
    NOT_EXECUTED,
    OK,
    About,
    Call,
    Compacted,
    Fact,
    Failed,
    Interrupted,
    Prompt,
    Result,
    Usage,
)
from pyjama_metrics.sessions.foreign_values import count, duration, fields, items, number, reason, time_ms, word
from pyjama_metrics.tool_errors import error_class

_PAUSE_MS = 500
"""A copied history is written in one go; whatever is written that long after the line before it was not copied with it."""
_OPEN_CALLS = 1_000
"""Calls without a result that are remembered. They are forgotten with their result, and a session has a few."""
_LIMITS = {300: "five_hour", 10_080: "seven_day"}
"""Minutes of a limit's window to the name that Claude Code has for it."""
_CALLS = {"function_call", "custom_tool_call", "local_shell_call"}
_OUTPUTS = {"function_call_output", "custom_tool_call_output"}
_KINDS = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_input_tokens")

_STILL_RUNS = re.compile(r"(?:Chunk ID: \w+\n)?Wall time: [\d.]+ seconds\nProcess running with session ID", re.ASCII)
_EXITED = re.compile(
    r"(?:(?:Chunk ID: \w+\n)?Wall time: ([\d.]{1,20}) seconds\nProcess exited with code (-?\d{1,10})\n"
    r"|(?:Wall time: [\d.]+ seconds\nOutput:\n)?Exit code: (-?\d{1,10})\nWall time: ([\d.]{1,20}) seconds\n)",
    re.ASCII,
)
_METADATA = re.compile(r'"metadata":\s?\{"exit_code":\s?(-?\d{1,10}),\s?"duration_seconds":\s?([\d.]{1,20})\}\}\s*\Z', re.ASCII)
_UNSUPPORTED = re.compile(
    r"unsupported (?:call|custom tool call|tool)|unknown (?:tool|function)|rejected by (?:the )?user", re.IGNORECASE
)
_FAILED = re.compile(r"(?:err|error|failed|failure)\b|(?:[\w .:'`/-]{0,80}) failed\b|failed to ", re.IGNORECASE | re.ASCII)

_SILENT = re.compile(
    rb'\{"timestamp":"[^"\\]{1,64}",(?:"ordinal":\d{1,18},)?"type":(?:"world_state",|"response_item","payload":\{"type":"'
    rb'(?:message|reasoning|ghost_snapshot|compaction|compaction_summary)",'
    rb'|"event_msg","payload":\{"type":"(?:agent_message|agent_reasoning|agent_reasoning_raw_content|task_complete'
    rb'|thread_settings_applied|exec_command_begin|patch_apply_begin|mcp_tool_call_begin|item_started)",)'
)


def matters(line: bytes | bytearray | memoryview, begin: int = 0, end: int | None = None) -> bool:
    """Whether a `Rollout` may find something in a line: False only where it finds nothing, and without parsing it."""
    return _SILENT.match(line, begin, len(line) if end is None else end) is None


class Rollout:
    """Reads the lines of one rollout, in order.

    Attributes:
        thread: the id of the file's own thread; "" until its first line was read.
        session: the session to which it belongs: of a subagent, that of the thread which began it.
        parent: the thread that began this one, where it is that of a subagent; else "".
    """

    def __init__(self, state: object = None) -> None:
        """Args:
        state: what `state` answered when the lines before were read; anything else begins anew.
        """
        kept = fields(state)
        self.thread = word(kept.get("thread"))
        self.session = word(kept.get("session"))
        self.parent = word(kept.get("parent"))
        self._began_ms = int(number(kept.get("began"), MAX_TIME_MS) or 0)
        self._is_copy = kept.get("copy") is True
        self._has_dated_turns = kept.get("dated") is True
        self._last_ms = int(number(kept.get("last"), MAX_TIME_MS) or 0)
        self._model = word(kept.get("model"))
        self._sum = _sum_of(kept.get("sum"))
        self._is_recorded = kept.get("recorded") is True
        self._prompts = word(kept.get("prompts"))
        self._open = {word(call): is_known is True for call, is_known in fields(kept.get("open")).items()}

    def state(self) -> dict[str, object]:
        """What is needed to go on with the next line, as plain JSON."""
        return {
            "thread": self.thread,
            "session": self.session,
            "parent": self.parent,
            "began": self._began_ms,
            "copy": self._is_copy,
            "dated": self._has_dated_turns,
            "last": self._last_ms,
            "model": self._model,
            "sum": list(self._sum),
            "recorded": self._is_recorded,
            "prompts": self._prompts,
            "open": dict(self._open),
        }

    def facts_of(self, line: object) -> list[Fact]:
        """What the next line tells; nothing where it is no line of a rollout. Never raises."""
        if not isinstance(line, dict) or not isinstance(kind := line.get("type"), str):
            return []
        payload, time = fields(line.get("payload")), time_ms(line.get("timestamp"))
        if kind == "session_meta":
            return self._meta(payload, time)
        self._look_for_own(payload, time)
        self._last_ms = time or self._last_ms
        if kind == "event_msg":
            kind = f"event {word(payload.get('type'), 64)}"
        elif kind == "response_item":
            kind = f"item {word(payload.get('type'), 64)}"
        if self._is_copy:
            self._pass_by(kind, payload)
            return []
        return self._tell(kind, payload, time)

    # -- whose lines these are -----------------------------------------------------------------------------------------

    def _meta(self, payload: dict[str, object], time: int) -> list[Fact]:
        thread = word(payload.get("id"))
        if not thread or (self.thread and thread != self.thread):
            # The second one of a file is its parent's: what follows was copied from there.
            self._is_copy = self._is_copy or bool(self.thread and thread)
            self._last_ms = time or self._last_ms
            return []
        source = payload.get("source")
        subagent = fields(source).get("subagent")
        spawned = fields(fields(subagent).get("thread_spawn"))
        session = word(payload.get("session_id"))
        parent = word(payload.get("parent_thread_id")) or word(spawned.get("parent_thread_id"))
        if subagent is not None and not parent and session != thread:
            parent = session
        is_subagent = subagent is not None or payload.get("thread_source") == "subagent"
        if not self.thread:
            self.thread, self.parent = thread, parent if is_subagent else ""
            self.session = session or self.parent or thread
            self._began_ms = _born_ms(thread) or time_ms(payload.get("timestamp")) or time
            self._is_copy = bool(parent or word(payload.get("forked_from_id")))
            self._last_ms = time
        role = word(spawned.get("agent_role")) or word(payload.get("agent_role")) or (word(subagent) if subagent else "")
        git = fields(payload.get("git"))
        return [
            About(
                time,
                cwd=word(payload.get("cwd"), 1_024) or None,
                branch=word(git.get("branch")) or None,
                version=word(payload.get("cli_version"), 64) or None,
                parent=self.parent or None,
                agent_type=(role or "subagent") if is_subagent else None,
            )
        ]

    def _look_for_own(self, payload: dict[str, object], time: int) -> None:
        """Notice where a copied history ends: at the first turn that began after the thread did, or after a pause."""
        if not self._is_copy:
            return
        born = _born_ms(word(payload.get("turn_id")))
        if thread := word(payload.get("thread_id")):
            self._is_copy = thread != self.thread
        elif born:
            self._is_copy, self._has_dated_turns = born < self._began_ms, True
        elif not self._has_dated_turns:  # older versions number their turns
            self._is_copy = time < self._began_ms or time - self._last_ms < _PAUSE_MS

    def _pass_by(self, kind: str, payload: dict[str, object]) -> None:
        """Keep of a copied line what the thread's own lines go on from."""
        if kind == "event token_count":
            total = fields(payload.get("info")).get("total_token_usage")
            if isinstance(total, dict):
                self._sum = _sum_of(total)
        elif kind == "turn_context":
            self._model = word(payload.get("model")) or self._model

    # -- what they tell ------------------------------------------------------------------------------------------------

    def _tell(self, kind: str, payload: dict[str, object], time: int) -> list[Fact]:
        if kind == "token_usage_record":
            return self._recorded(payload, time)
        if kind == "turn_context":
            self._model = word(payload.get("model")) or self._model
            return [About(time, cwd=word(payload.get("cwd"), 1_024) or None, model=self._model or None)]
        if kind == "compacted":
            return [Compacted(time)]
        if kind.startswith("item "):
            return self._item(payload, time)
        event = self._EVENTS.get(kind)
        return [] if event is None else event(self, payload, time)

    def _recorded(self, payload: dict[str, object], time: int) -> list[Fact]:
        usage, name = payload.get("usage"), word(payload.get("response_id"))
        if not isinstance(usage, dict) or not name:
            return []
        self._is_recorded = True
        return [self._usage(name, time, _sum_of(usage))]

    def _counted(self, payload: dict[str, object], time: int) -> list[Fact]:
        told: list[Fact] = []
        info = fields(payload.get("info"))
        window, last = count(info.get("model_context_window")), fields(info.get("last_token_usage"))
        context = count(last.get("total_tokens"))
        limits = _limits(payload.get("rate_limits"), time)
        total = info.get("total_token_usage")
        if isinstance(total, dict):
            told += self._grown(_sum_of(total), _sum_of(last), time)
        if window or context or limits:
            told.append(About(time, context_tokens=context or None, context_window=window or None, limits=limits or None))
        return told

    def _grown(self, total: tuple[int, ...], last: tuple[int, ...], time: int) -> list[Fact]:
        """What a thread's sum grew by since it was last told. Often nothing: it is told again when a limit changes."""
        before, self._sum = self._sum, total
        if self._is_recorded:
            return []  # a program that writes records writes one for each answer
        if sum(total) < sum(before):  # it was begun anew, by a resumed or compacted conversation
            grown = tuple(map(min, last, total))
        else:
            grown = tuple(max(0, now - then) for now, then in zip(total, before, strict=True))
        if not any(grown):
            return []
        return [self._usage(f"{self.thread}:{'-'.join(map(str, total))}", time, grown)]

    def _usage(self, name: str, time: int, tokens: tuple[int, ...]) -> Usage:
        into, out, cached, written = tokens
        return Usage(name, time, self._model or "(unnamed)", max(0, into - cached - written), out, cached, written, 0)

    def _item(self, payload: dict[str, object], time: int) -> list[Fact]:
        kind = payload.get("type")
        call = word(payload.get("call_id"))
        if kind in _CALLS:
            tool = word(payload.get("name")) or ("local_shell" if kind == "local_shell_call" else "")
            call = call or word(payload.get("id"))
            if not call or not tool:
                return []
            self._open[call] = False
            while len(self._open) > _OPEN_CALLS:
                del self._open[next(iter(self._open))]
            return [Call(call, time, tool)]
        if kind in _OUTPUTS and call:
            return self._output(call, payload.get("output"), time)
        if kind == "web_search_call" and (call := word(payload.get("id"))):
            outcome, error = (ERROR, "failed") if payload.get("status") == "failed" else (OK, None)
            return [Call(call, time, "web_search"), Result(call, time, outcome, error, None, "web_search")]
        return []

    def _output(self, call: str, output: object, time: int) -> list[Fact]:
        text = _text_of(output)
        if _STILL_RUNS.match(text):
            return []  # the event that tells how it ended comes later
        if self._open.pop(call, False):
            return []  # told by an event already
        if exited := _EXITED.match(text):
            code, seconds = (exited[2], exited[1]) if exited[2] else (exited[3], exited[4])
            return [_ended(call, time, int(code), _ms(seconds))]
        if exited := _METADATA.search(text, max(0, len(text) - 200)):
            return [_ended(call, time, int(exited[1]), _ms(exited[2]))]
        if _UNSUPPORTED.match(text):
            return [Result(call, time, NOT_EXECUTED, None, None, None)]
        if fields(output).get("success") is False or _FAILED.match(text):
            return [Result(call, time, ERROR, error_class(text), None, None)]
        return [Result(call, time, OK, None, None, None)]

    def _completed(self, payload: dict[str, object], time: int) -> list[Fact]:
        """An item of a turn is done: a person's message, or a call, with what came of it."""
        item = fields(payload.get("item"))
        kind, name = item.get("type"), word(item.get("id"))
        if kind == "UserMessage":
            return self._prompt(kind, name, time)
        if not name or name not in self._open or item.get("status") not in ("completed", "failed", "declined"):
            return []
        took = _span(item.get("duration"))
        if type(code := item.get("exit_code")) is int:
            result = _ended(name, time, code, took)
        elif item["status"] == "declined":
            result = Result(name, time, NOT_EXECUTED, None, took, None)
        elif item["status"] == "failed":
            result = Result(name, time, ERROR, "failed", took, None)
        else:
            # Only an exit code says more than the output does, which is still to come.
            return []
        return self._settle(name, result)

    def _command_end(self, payload: dict[str, object], time: int) -> list[Fact]:
        call, code = word(payload.get("call_id")), payload.get("exit_code")
        if not call or type(code) is not int:
            return []
        return self._settle(call, _ended(call, time, code, _span(payload.get("duration"))))

    def _settle(self, call: str, result: Result) -> list[Fact]:
        """An event told how a call ended: its output tells nothing more. Where that came first, the call is no longer open."""
        if self._open.get(call) is True:
            return []
        if call in self._open:
            self._open[call] = True
        return [result]

    def _message(self, payload: dict[str, object], time: int) -> list[Fact]:
        if payload.get("kind") not in (None, "plain"):
            return []
        return self._prompt("user_message", f"{self.thread}:{time}", time)

    def _prompt(self, form: str, name: str, time: int) -> list[Fact]:
        """A person's message. Versions that write it in two forms write both; the first form that is seen is the one to go by."""
        self._prompts = self._prompts or form
        is_a_persons = not self.parent and self._prompts == form
        return [Prompt(name, time)] if name and is_a_persons else []

    def _started(self, payload: dict[str, object], time: int) -> list[Fact]:
        window = count(payload.get("model_context_window"))
        return [About(time, context_window=window)] if window else []

    def _aborted(self, payload: dict[str, object], time: int) -> list[Fact]:
        return [Interrupted(time)] if payload.get("reason", "interrupted") == "interrupted" else []

    def _error(self, payload: dict[str, object], time: int) -> list[Fact]:
        info = payload.get("codex_error_info")
        named = info if isinstance(info, str) else next(iter(fields(info)), None)
        return [Failed(time, reason(named) or "failed")]

    _EVENTS: ClassVar[dict[str, Callable[[Rollout, dict[str, object], int], list[Fact]]]] = {
        "event token_count": _counted,
        "event item_completed": _completed,
        "event exec_command_end": _command_end,
        "event user_message": _message,
        "event task_started": _started,
        "event turn_aborted": _aborted,
        "event error": _error,
    }


def _ended(call: str, time: int, code: int, took: float | None) -> Result:
    if code == 0:
        return Result(call, time, OK, None, took, None)
    return Result(call, time, ERROR, f"exit code {code}" if -(10**10) < code < 10**10 else "failed", took, None)


def _sum_of(usage: object) -> tuple[int, ...]:
    if isinstance(usage, list):  # from a kept state
        numbers = [count(number) for number in usage]
        return tuple(numbers) if len(numbers) == len(_KINDS) else (0,) * len(_KINDS)
    told = fields(usage)
    return tuple(count(told.get(kind)) for kind in _KINDS)


def _born_ms(name: str) -> int:
    """When a UUID of the seventh kind was made, in milliseconds since the epoch; 0 for another name."""
    head = name[:8] + name[9:13]
    is_one = len(name) == 36 and name[14] == "7" and name[8] == name[13] == "-" and re.fullmatch("[0-9a-f]{12}", head)
    return int(head, 16) if is_one else 0


def _limits(told: object, time: int) -> dict[str, tuple[float, int]]:
    limits: dict[str, tuple[float, int]] = {}
    which = word(fields(told).get("limit_id"), 64)
    for place in ("primary", "secondary"):
        limit = fields(fields(told).get(place))
        used = number(limit.get("used_percent"), 1_000)
        if used is None:
            continue
        resets = count(limit.get("resets_at")) * 1_000
        if not resets and time and (seconds := count(limit.get("resets_in_seconds"))):
            resets = time + seconds * 1_000
        name = _LIMITS.get(count(limit.get("window_minutes")), place)
        limits[name if which in ("", "codex") else f"{which} {name}"] = used, resets
    return limits


def _span(told: object) -> float | None:
    """A duration of {"secs", "nanos"} in milliseconds."""
    seconds, nanos = number(fields(told).get("secs"), 10**9), number(fields(told).get("nanos"), 10**9)
    return None if seconds is None or nanos is None else duration(seconds * 1_000 + nanos / 1e6)


def _ms(seconds: str) -> float | None:
    try:
        return duration(float(seconds) * 1_000) or None  # 0 is what is left of it when it was rounded
    except ValueError:
        return None


def _text_of(output: object) -> str:
    """The text of a call's output, which is a text, an object that holds one, or a list of blocks."""
    if isinstance(output, str):
        return output
    if isinstance(output, dict):
        content = output.get("content", output.get("output"))
        return content if isinstance(content, str) else _text_of(items(content)) if content else ""
    texts = (fields(block).get("text") for block in items(output))
    return next((text for text in texts if isinstance(text, str) and text), "")
