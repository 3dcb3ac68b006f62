"""Make transcripts of Claude Code as they lie on a machine that is used: a folder of projects, sessions, subagents and forks.

    python benchmarks/corpus.py FOLDER 1000000000

The shape of every line is that of a line which the real program wrote (tests/captures), printed as it prints them, with texts
and figures of a chance that is always the same. What they sum up to is known without reading them: see `Sums`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).resolve().parent.parent / "tests" / "captures" / "claude-code-2.1.329"
PROJECTS = ("checkout-service", "billing", "docs site", "infra.tf", "mobile-app", "data-pipeline", "playground")
MODELS = ("claude-opus-4-8", "claude-opus-4-8", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001")
TOOLS = ("Bash", "Bash", "Bash", "Read", "Read", "Read", "Edit", "Edit", "Grep", "Write", "Glob", "mcp__github__search_code")
BEGIN_S = 1_767_258_000
"""The first line: 2026-01-01, 09:00 UTC. Sessions go on for two hundred days from there."""
DAYS = 200
KEPT_TEXTS = 400
FORKED = 0.06
"""Share of sessions that begin as a copy of another."""


@dataclass
class Sums:
    """What is in a corpus when everything is counted once.

    ``naive`` is what comes out when every line is counted by itself: several lines hold the same usage, and forks hold copies.
    """

    bytes: int = 0
    lines: int = 0
    files: int = 0
    sessions: int = 0
    prompts: int = 0
    messages: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    naive: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Corpus:
    """Writes one corpus below ``folder``/projects."""

    def __init__(self, folder: Path, size: int, seed: int = 5) -> None:
        self._place, self._size = folder / "projects", size
        self._chance = random.Random(seed)
        self._shapes = _shapes()
        self._texts = {share: _texts(self._chance, low, high) for share, (low, high) in SIZES.items()}
        self._forms = list(SHARES)
        self._weights = list(SHARES.values())
        self.sums = Sums()

    def write(self) -> Sums:
        """Write sessions until there are as many bytes as were asked for."""
        past: list[tuple[str, str, list[str]]] = []
        while self.sums.bytes < self._size:
            day = self.sums.sessions * 7 % DAYS
            at_ms = (BEGIN_S + day * 86_400 + self._chance.randrange(30_000)) * 1000
            project = self._chance.choice(PROJECTS)
            session = self._uuid()
            lines: list[str] = []
            if past and self._chance.random() < FORKED:
                before, project, lines = self._chance.choice(past)
                lines = [line.replace(before, session) for line in lines]
                self._count_copies(lines)
            room = min(int(self._chance.lognormvariate(13.8, 1.0)), self._size // 4 + 100_000)
            folder = self._place / f"-home-dev-{''.join(c if c.isalnum() else '-' for c in project)}"
            lines += self._session(session, f"/home/dev/{project}", at_ms, room, folder / session / "subagents")
            self._store(folder / f"{session}.jsonl", lines)
            self.sums.sessions += 1
            if len(past) < 20 and len(lines) < 2_000:
                past.append((session, project, lines))
        return self.sums

    def _session(self, session: str, cwd: str, at_ms: int, room: int, subagents: Path) -> list[str]:
        lines: list[str] = []
        about = {"session": session, "cwd": cwd, "model": self._chance.choice(MODELS)}
        cache, size = 20_000, 0
        while size < room:
            turn = list(self._turn(about, at_ms, cache, subagents))
            at_ms, cache = at_ms + self._chance.randrange(30_000, 900_000), min(cache + 9_000, 160_000)
            lines += turn
            size += sum(map(len, turn))
        return lines

    def _turn(self, about: dict[str, str], at_ms: int, cache: int, subagents: Path | None) -> Iterator[str]:
        """Yield what a prompt leads to: answers with thinking, text and calls, each in a line of its own, and results."""
        self.sums.prompts += subagents is not None
        yield self._line("prompt" if subagents else "subagent prompt", about, at_ms, text=self._text("short"))
        for _ in range(self._chance.randrange(3, 30)):
            at_ms += self._chance.randrange(2_000, 20_000)
            calls = [self._chance.choice(TOOLS) for _ in range(self._chance.choice((1, 1, 1, 1, 2, 3)))]
            agent = bool(subagents) and self._chance.random() < 0.02
            calls += ["Agent"] * agent
            usage = self._usage(cache)
            cache += usage["write"]
            common = {**about, **usage, "message": self._id("msg_01"), "request": self._id("req_011C")}
            blocks = [("thinking", "")] * (self._chance.random() < 0.5) + [("text", "")] * (self._chance.random() < 0.4)
            blocks += [("call", tool) for tool in calls]
            self._count_message(usage, len(blocks))
            ids: list[tuple[str, str]] = []
            for kind, tool in blocks:
                call = self._id("toolu_01") if tool else ""
                size = "medium" if tool in ("Edit", "Write") else "short"
                yield self._line(kind, common, at_ms, text=self._text(size), tool=tool, call=call, sign=self._text("signature"))
                ids += [(call, tool)] * bool(tool)
                at_ms += 700
            for call, tool in ids:
                at_ms += self._chance.randrange(20, 4_000)
                self.sums.calls[tool] += 1
                failed = self._chance.random() < 0.06
                self.sums.outcomes["error" if failed else "ok"] += 1
                if tool == "Agent" and subagents:
                    self._subagent(about, at_ms, cache, subagents)
                text = self._text(self._chance.choices(self._forms, self._weights)[0])
                yield self._line("failed" if failed else "result", about, at_ms, text=text, call=call)
        yield self._line("stop", about, at_ms)
        yield self._line("last prompt", about, at_ms, text=self._text("short"))

    def _subagent(self, about: dict[str, str], at_ms: int, cache: int, folder: Path) -> None:
        agent = f"a{self._chance.getrandbits(64):016x}"
        lines = list(self._turn({**about, "agent": agent}, at_ms, cache, None))
        lines = [_of_subagent(line, agent) for line in lines]
        self._store(folder / f"agent-{agent}.jsonl", lines)
        meta = {"agentType": "general-purpose", "description": "Look", "toolUseId": "toolu", "spawnDepth": 1}
        (folder / f"agent-{agent}.meta.json").write_text(json.dumps(meta))

    def _usage(self, cache: int) -> dict[str, int]:
        write = self._chance.randrange(200, 4_000)
        hour = write if self._chance.random() < 0.3 else 0
        return {
            "input": self._chance.randrange(1, 30),
            "output": self._chance.randrange(20, 1_500),
            "read": cache,
            "write": write,
            "hour": hour,
            "five": write - hour,
        }

    def _count_message(self, usage: dict[str, int], lines: int) -> None:
        self.sums.messages += 1
        for kind in ("input", "output", "read", "write", "hour"):
            self.sums.tokens[kind] += usage[kind]
            self.sums.naive[kind] += usage[kind] * lines

    def _count_copies(self, lines: list[str]) -> None:
        for line in lines:
            if '"usage":{' in line:
                usage = json.loads(line)["message"]["usage"]
                self.sums.naive["input"] += usage["input_tokens"]
                self.sums.naive["output"] += usage["output_tokens"]
                self.sums.naive["read"] += usage["cache_read_input_tokens"]
                self.sums.naive["write"] += usage["cache_creation_input_tokens"]
                self.sums.naive["hour"] += usage["cache_creation"]["ephemeral_1h_input_tokens"]

    def _line(self, shape: str, values: dict[str, Any], at_ms: int, **more: Any) -> str:
        time = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        return self._shapes[shape] % {**values, **more, "time": time, "uuid": self._uuid(), "parent": self._uuid()}

    def _store(self, path: Path, lines: list[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.sums.files += 1
        self.sums.lines += len(lines)
        self.sums.bytes += path.write_bytes(("\n".join(lines) + "\n").encode())

    def _text(self, size: str) -> str:
        return self._texts[size][self._chance.randrange(KEPT_TEXTS)]

    def _id(self, start: str) -> str:
        return f"{start}{self._chance.getrandbits(88):022x}"

    def _uuid(self) -> str:
        bits = f"{self._chance.getrandbits(128):032x}"
        return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"


def _of_subagent(line: str, agent: str) -> str:
    line = line.replace('"isSidechain":false', '"isSidechain":true')
    for before in ('"type":"user"', '"type":"system"', '"message":{'):
        begin, found, end = line.partition(f",{before}")
        if found and '"agentId":' not in line:
            line = f'{begin},"agentId":"{agent}"{found}{end}'
    return line


SIZES = {
    "short": (60, 900),
    "medium": (300, 4_000),
    "signature": (300, 1_500),
    "100 B": (20, 200),
    "1 KB": (300, 2_500),
    "6 KB": (2_500, 12_000),
    "25 KB": (12_000, 50_000),
}
SHARES = {"100 B": 35, "1 KB": 35, "6 KB": 24, "25 KB": 6}
"""How many of a hundred results are as long."""


def _texts(chance: random.Random, low: int, high: int) -> list[str]:
    """Pieces of the source of this Python's library, as they stand inside a JSON text."""
    source = "".join(path.read_text("utf-8", "replace") for path in sorted(Path(json.__file__).parent.parent.glob("a*.py")))
    pieces = []
    for _ in range(KEPT_TEXTS):
        size = chance.randrange(low, high)
        begin = chance.randrange(len(source) - size)
        pieces.append(json.dumps(source[begin : begin + size], ensure_ascii=False)[1:-1])
    return pieces


def _shapes() -> dict[str, str]:
    """Make a pattern of one captured line of each kind: values that differ became ``%(name)s``."""
    main, sub = sorted(CAPTURES.glob("basic/transcripts/**/*.jsonl"), key=lambda path: "subagents" in str(path))
    lines = [json.loads(line) for line in main.read_text().splitlines()]
    kinds: dict[str, dict[str, Any]] = {"subagent prompt": json.loads(sub.read_text().splitlines()[0])}
    for line in lines:
        content = line.get("message", {}).get("content")
        block = content[0] if isinstance(content, list) else {}
        name = {
            "tool_use": "call",
            "tool_result": "failed" if block.get("is_error") else "result",
        }.get(block.get("type"), block.get("type"))
        name = name or {"user": "prompt", "system": "stop", "last-prompt": "last prompt"}.get(line["type"], "")
        kinds.setdefault(name, line)
    _mark(kinds)
    return {kind: _pattern(line) for kind, line in kinds.items()}


def _pattern(line: dict[str, Any]) -> str:
    text = json.dumps(line, separators=(",", ":"), ensure_ascii=False).replace("%", "%%")
    for mark, sign in (('"\\u0000', "%("), ('\\u0001"', ")s"), ("\\u0002", "%("), ("\\u0003", ")s")):
        text = text.replace(mark, sign)
    return text


def _number(name: str) -> str:
    return f"\x00{name}\x01"  # with its quotation marks


def _inside(name: str) -> str:
    return f"\x02{name}\x03"  # without them


OWN = (("uuid", "uuid"), ("parentUuid", "parent"), ("sessionId", "session"), ("cwd", "cwd"), ("timestamp", "time"))


def _mark(kinds: dict[str, dict[str, Any]]) -> None:
    """Put marks where a line of a kind differs from others of it."""
    for line in kinds.values():
        line.update({key: _inside(name) for key, name in OWN if key in line})
        line.pop("agentId", None)
        if "isSidechain" in line:
            line["isSidechain"] = False
        if "usage" in line.get("message", {}):
            _mark_usage(line)
    kinds["prompt"]["message"]["content"] = kinds["subagent prompt"]["message"]["content"] = _inside("text")
    kinds["last prompt"]["lastPrompt"] = _inside("text")
    blocks = {kind: line["message"]["content"][0] for kind, line in kinds.items() if kind in BLOCKS}
    blocks["thinking"] |= {"thinking": _inside("text"), "signature": _inside("sign")}
    blocks["text"]["text"] = _inside("text")
    blocks["call"] |= {"id": _inside("call"), "name": _inside("tool"), "input": {"command": _inside("text")}}
    blocks["result"] |= {"tool_use_id": _inside("call"), "content": _inside("text")}
    blocks["failed"] |= {"tool_use_id": _inside("call"), "content": "Exit code 1\n" + _inside("text")}
    kinds["result"]["toolUseResult"]["stdout"] = _inside("text")
    kinds["failed"]["toolUseResult"] = "Error: Exit code 1\n" + _inside("text")


BLOCKS = ("thinking", "text", "call", "result", "failed")


def _mark_usage(line: dict[str, Any]) -> None:
    message = line["message"]
    line["requestId"], message["id"], message["model"] = _inside("request"), _inside("message"), _inside("model")
    message["usage"] |= {
        "input_tokens": _number("input"),
        "output_tokens": _number("output"),
        "cache_read_input_tokens": _number("read"),
        "cache_creation_input_tokens": _number("write"),
        "cache_creation": {"ephemeral_1h_input_tokens": _number("hour"), "ephemeral_5m_input_tokens": _number("five")},
    }


def main() -> int:
    """Be the command line: write a corpus and print what is in it."""
    parser = argparse.ArgumentParser(description="Write transcripts below FOLDER/projects.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("bytes", type=int)
    options = parser.parse_args()
    print(json.dumps(vars(Corpus(options.folder, options.bytes).write()), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
