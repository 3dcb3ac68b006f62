"""The dialect of Codex: the Responses API, with its stream of events."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.live.model import Handler, Model, Result, Turn, marked
from tests.live.scripts import Call, Thought

_SPOKEN = ("function_call", "custom_tool_call", "local_shell_call", "reasoning")
_ANSWERED = ("function_call_output", "custom_tool_call_output")
_SHELLS = ("exec_command", "shell_command", "shell")
"""What the tool for commands is called, by version."""
_AGENT_ID = re.compile(r'agent_id\\*"\s*:\s*\\*"([^"\\]+)')


class ResponsesApi(Handler):
    """Answers ``POST /v1/responses``."""

    def do_GET(self) -> None:
        """Tell of no models: the one that is asked for is in the settings."""
        if self.path.partition("?")[0].endswith("/models"):
            return self.answer_json(200, {"object": "list", "data": [], "models": []})
        return self.answer_json(404, _error(404))

    def do_POST(self) -> None:
        """Answer what a script says."""
        data = self.body()
        if not self.path.partition("?")[0].endswith("/responses"):
            return self.answer_json(404, _error(404))
        asked = json.loads(data)
        items: list[dict[str, Any]] = asked.get("input") or []
        for item in items:
            if item.get("type") in _ANSWERED:
                told = item.get("output")
                self.model.learn(item["call_id"], Result(False, told if isinstance(told, str) else json.dumps(told)))
        script, place = _place(items)
        turn = self.model.turn(script, place, has_tools=True, summarises=False)
        if isinstance(turn, int):
            return self.answer_json(turn, _error(turn))
        output = list(_output(self.model, turn, asked))
        calls = {item["call_id"]: item["name"] for item in output if "call_id" in item}
        self.model.serve(turn, self.headers.get("session_id") or asked.get("prompt_cache_key"), asked["model"], calls)
        return self.answer_events(_events(turn, asked["model"], output))


def _place(items: list[dict[str, Any]]) -> tuple[str | None, int]:
    """The script of the last prompt that has one, and how often the model spoke since."""
    script, place, spoke = None, 0, False
    for item in items:
        kind = item.get("type", "message")
        speaks = kind in _SPOKEN or (kind == "message" and item.get("role") == "assistant")
        if speaks and not spoke:
            place += 1
        spoke = speaks
        asks = kind == "agent_message" or (kind == "message" and item.get("role") == "user")
        found = marked(_texts(item)) if asks else None
        if found is not None:
            script, place = found, 0
    return script, place


def _texts(item: dict[str, Any]) -> Iterator[str]:
    content = item.get("content")
    if isinstance(content, str):
        yield content
    else:
        yield from (part.get("text") or "" for part in content or [] if isinstance(part, dict))


def _output(model: Model, turn: Turn, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for number, said in enumerate(turn.answer.says):
        name = f"{turn.number:04}x{number:02}"
        if isinstance(said, Call):
            yield _call(model, said, name, asked)
        elif not isinstance(said, Thought):
            part = {"type": "output_text", "text": said, "annotations": []}
            yield {"type": "message", "id": f"msg_{name}", "role": "assistant", "status": "completed", "content": [part]}


def _call(model: Model, said: Call, name: str, asked: dict[str, Any]) -> dict[str, Any]:
    tool, given = said.tool, model.input_of(said)
    tools = {each.get("name") or each.get("type"): each for each in asked.get("tools") or []}
    if tool == "Bash":
        tool = next(shell for shell in _SHELLS if shell in tools or shell == _SHELLS[-1])
        command = given["command"]
        given = {"exec_command": {"cmd": command}, "shell_command": {"command": command}}.get(
            tool, {"command": ["bash", "-c", command]}
        )
    told = json.dumps(asked.get("input"))
    begun = _AGENT_ID.findall(told)
    written = json.dumps(given).replace("{agent}", begun[-1] if begun else "nobody")
    call = {"type": "function_call", "id": f"fc_{name}", "call_id": f"call_{name}", "name": tool, "arguments": written}
    for space, each in tools.items():
        if each.get("type") == "namespace" and any(one.get("name") == tool for one in each.get("tools") or []):
            call["namespace"] = space
    return call | {"status": "completed"}


def _events(turn: Turn, model: str, output: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    tokens = turn.answer.tokens
    cached, given = tokens.cache_read, tokens.input + tokens.cache_read  # what a cache held is part of the input here
    usage = {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.output // 3},
        "total_tokens": given + tokens.output,
    }
    numbers = itertools.count()
    response = {"id": f"resp_{turn.number:04}", "object": "response", "created_at": 1, "model": model, "output": []}

    def event(kind: str, **told: Any) -> dict[str, Any]:
        return {"type": kind, "sequence_number": next(numbers), **told}

    yield event("response.created", response=response | {"status": "in_progress"})
    for index, item in enumerate(output):
        yield event("response.output_item.added", output_index=index, item=item | {"status": "in_progress"})
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=response | {"status": "completed", "output": output, "usage": usage})


def _error(code: int) -> dict[str, Any]:
    return {"error": {"message": f"scripted {code}", "type": "invalid_request_error", "code": None}}
