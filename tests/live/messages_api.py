"""The dialect of Claude Code: the Messages API, with its stream of events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.live.model import Handler, Model, Result, Turn, marked
from tests.live.scripts import Call, Thought

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_SUMMARISE = ("Your task is to create a detailed summary", "detailed summary of the conversation")
_OLDER_NAMES = {"Agent": "Task"}
"""Tools that had another name before."""


class MessagesApi(Handler):
    """Answers ``POST /v1/messages``."""

    def do_POST(self) -> None:
        """Answer what a script says."""
        data, path = self.body(), self.path.partition("?")[0]
        if path == "/v1/messages/count_tokens":
            return self.answer_json(200, {"input_tokens": max(1, len(data) // 4)})
        if path != "/v1/messages":
            return self.answer_json(404, _error(404))
        asked = json.loads(data)
        messages: list[dict[str, Any]] = asked.get("messages") or []
        for call, result in _results(messages):
            self.model.learn(call, result)
        tools = {tool.get("name") for tool in asked.get("tools") or []}
        script, place = _place(messages)
        turn = self.model.turn(script, place, has_tools=bool(tools), summarises=_summarises(messages))
        if isinstance(turn, int):
            again = "false" if turn < 429 else "true"
            return self.answer_json(turn, _error(turn), retry_after="0", x_should_retry=again)
        content = _content(self.model, turn, tools, asked)
        calls = {block["id"]: block["name"] for block in content if block["type"] == "tool_use"}
        self.model.serve(turn, self._session(asked), asked["model"], calls)
        message = _message(turn, asked["model"], content)
        if not asked.get("stream"):
            return self.answer_json(200, message)
        return self.answer_events(_events(message))

    def _session(self, asked: dict[str, Any]) -> str | None:
        told = self.headers.get("x-claude-code-session-id")
        user = (asked.get("metadata") or {}).get("user_id") or ""
        if told is None and user.startswith("{"):
            told = json.loads(user).get("session_id")
        return told or user.partition("_session_")[2] or None


def _texts(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    else:
        yield from (block["text"] for block in content or [] if block.get("type") == "text")


def _place(messages: list[dict[str, Any]]) -> tuple[str | None, int]:
    """The script of the last prompt that has one, and how often the model spoke since."""
    script, place, spoke = None, 0, False
    for message in messages:
        speaks = message.get("role") == "assistant"
        if speaks and not spoke:  # parallel results may come as several messages, an answer is one
            place += 1
        spoke = speaks
        found = None if speaks else marked(_texts(message))
        if found is not None:
            script, place = found, 0
    return script, place


def _summarises(messages: list[dict[str, Any]]) -> bool:
    last = next((message for message in reversed(messages) if message.get("role") == "user"), {})
    return any(words in text for text in _texts(last) for words in _SUMMARISE)


def _results(messages: list[dict[str, Any]]) -> Iterator[tuple[str, Result]]:
    for message in messages:
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            if block.get("type") == "tool_result":
                told = block.get("content")
                text = told if isinstance(told, str) else json.dumps(told)
                yield block["tool_use_id"], Result(bool(block.get("is_error")), text)


def _content(model: Model, turn: Turn, tools: set[str], asked: dict[str, Any]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for number, said in enumerate(turn.answer.says):
        if isinstance(said, Call):
            name = said.tool if said.tool in tools else _OLDER_NAMES.get(said.tool, said.tool)
            call = f"toolu_{turn.number:04}x{number:02}"
            content.append({"type": "tool_use", "id": call, "name": name, "input": model.input_of(said)})
        elif isinstance(said, Thought):
            content.append({"type": "thinking", "thinking": said.text, "signature": "c2NyaXB0ZWQ="})
        else:
            content.append({"type": "text", "text": _fitting(said, asked)})
    return content


def _fitting(text: str, asked: dict[str, Any]) -> str:
    """The text, or the object in whose form an answer is asked for."""
    form = (asked.get("output_config") or {}).get("format") or asked.get("output_format") or {}
    if form.get("type") != "json_schema":
        return text
    members = (form.get("schema") or {}).get("properties") or {}
    return json.dumps({name: kind.get("type") == "boolean" or text for name, kind in members.items()})


def _message(turn: Turn, model: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    tokens = turn.answer.tokens
    asks = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_{turn.number:04}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if asks else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": tokens.input,
            "output_tokens": tokens.output,
            "cache_read_input_tokens": tokens.cache_read,
            "cache_creation_input_tokens": tokens.cache_write,
            "cache_creation": {"ephemeral_5m_input_tokens": tokens.cache_write, "ephemeral_1h_input_tokens": 0},
            "service_tier": "standard",
        },
    }


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = message["usage"] | {"output_tokens": 1}
    yield {"type": "message_start", "message": message | {"content": [], "stop_reason": None, "usage": begun}}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        empty, parts = _parts(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for part in parts:
            yield {"type": "content_block_delta", "index": index, "delta": part}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": message["usage"]}
    yield {"type": "message_stop"}


def _parts(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and what is added to it."""
    if block["type"] == "text":
        halves = (block["text"][:7], block["text"][7:])
        return block | {"text": ""}, [{"type": "text_delta", "text": half} for half in halves if half]
    if block["type"] == "thinking":
        signed = {"type": "signature_delta", "signature": block["signature"]}
        return block | {"thinking": "", "signature": ""}, [{"type": "thinking_delta", "thinking": block["thinking"]}, signed]
    written = json.dumps(block["input"])
    halves = (written[:9], written[9:])
    return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": half} for half in halves]


def _error(code: int) -> dict[str, Any]:
    kind = _ERRORS.get(code, "not_found_error")
    return {"type": "error", "error": {"type": kind, "message": f"scripted {code}"}}
