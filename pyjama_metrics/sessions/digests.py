"""Digests: what one transcript of the past tells, condensed, so that gigabytes can be read by several processes at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from pyjama_metrics.sessions import facts
from pyjama_metrics.sessions.claude_skimming import Skimmer
from pyjama_metrics.sessions.codex_rollouts import Rollout, matters
from pyjama_metrics.sessions.facts import NOT_EXECUTED, Fact
from pyjama_metrics.storage import json
from pyjama_metrics.storage.grown_files import PIECE, GrownFile, Position

Used = tuple[str, int, str, tuple[int, ...]]
"""An answer of a model: its id, time, model and tokens."""
Executed = tuple[str, str, str, int]
"""A tool call: its id, tool, outcome and the time of that."""


class Told(NamedTuple):
    """What a transcript tells of one agent of one session.

    Attributes:
        first_ms, last_ms: the times of its first and last fact.
        usages: its answers, each with its largest figures.
        calls: its tool calls.
        prompts: its prompts: (id, time).
        failures: requests that were given up: (time, reason).
        compactions: how often the conversation was replaced by a summary.
        about: what is known of the session in the end, by the names of `facts.About`.
        totals: what the program itself has counted, by model.
    """

    first_ms: int
    last_ms: int
    usages: list[Used]
    calls: list[Executed]
    prompts: list[tuple[str, int]]
    failures: list[tuple[int, str]]
    compactions: int
    about: dict[str, Any]
    totals: dict[str, tuple[int, ...]]


class Digest(NamedTuple):
    """What was new in a transcript.

    Attributes:
        path: the file.
        position: how far it is read, as plain JSON; None where it cannot be read.
        size: bytes that were read.
        told: (session, subagent) to what is told of it; "" where the lines name no session, None for the session itself.
        trouble: why it cannot be read.
    """

    path: str
    position: Any
    size: int
    told: dict[tuple[str, str | None], Told]
    trouble: str | None = None


def digest(source: str, path: str, kept: Any) -> Digest:
    """Read what is new in a transcript. Never raises.

    Args:
        source: the program that wrote it.
        path: the file.
        kept: the position of an earlier reading, as plain JSON; None for none.
    """
    position, state = (kept[0], kept[1]) if isinstance(kept, list) and len(kept) == 2 else (None, None)
    reading = GrownFile(path, Position.of(position), _buffer)
    reader = reader_of(source, state)
    gathered: dict[tuple[str, str | None], _Gathered] = {}
    size = 0
    try:
        for buffer, begin, end in reading.pieces():
            if not size and reading.began_anew:
                reader.begin_anew()
            for session, agent, told in reader.read(buffer, begin, end):
                place = gathered.get((session, agent))
                if place is None:
                    place = gathered[session, agent] = _Gathered()
                place.add(told)
            size += end - begin
    except OSError as error:
        if reading.position is None:
            return Digest(path, None, 0, {}, error.strerror or str(error))
    found = {key: place.told() for key, place in gathered.items()}
    return Digest(path, [list(reading.position or ()), reader.state()], size, found)


_buffer = bytearray(PIECE)


class _Gathered:
    """What was read of one agent so far."""

    def __init__(self) -> None:
        self.first, self.last = 0, 0
        self.usages: dict[str, Used] = {}
        self.asked: dict[str, tuple[str, int]] = {}
        self.calls: list[Executed] = []
        self.prompts: list[tuple[str, int]] = []
        self.failures: list[tuple[int, str]] = []
        self.compactions = 0
        self.about: dict[str, Any] = {}
        self.totals: dict[str, tuple[int, ...]] = {}

    def add(self, told: list[Fact]) -> None:
        usages, asked, calls = self.usages, self.asked, self.calls
        for fact in told:
            time = fact.time_ms
            if isinstance(fact, facts.Usage):
                tokens = fact[3:]
                before = usages.get(fact.message)
                if before is None:
                    usages[fact.message] = (fact.message, time, fact.model, tokens)
                else:
                    usages[fact.message] = (*before[:3], tuple(map(max, before[3], tokens)))
            elif isinstance(fact, facts.Call):
                asked[fact.call] = fact.tool, time
                continue
            elif isinstance(fact, facts.Result):
                known = asked.pop(fact.call, None)
                tool = fact.tool if known is None else known[0]
                if tool is not None:
                    calls.append((fact.call, tool, fact.outcome, time))
            else:
                self.add_other(fact)
            if time:
                self.last = time if time > self.last else self.last
                self.first = time if not self.first or time < self.first else self.first

    def add_other(self, fact: Fact) -> None:
        if isinstance(fact, facts.Prompt):
            self.prompts.append((fact.message, fact.time_ms))
        elif isinstance(fact, facts.Failed):
            self.failures.append((fact.time_ms, fact.reason))
        elif isinstance(fact, facts.Compacted):
            self.compactions += 1
        elif isinstance(fact, facts.Totals):
            self.totals = dict(fact.models)
        elif isinstance(fact, facts.About):
            cwd = self.about.get("cwd")
            self.about |= {name: value for name, value in fact._asdict().items() if value is not None}
            self.about["cwd"] = cwd or fact.cwd  # a project is where a session began

    def told(self) -> Told:
        # What nobody answered in a transcript of the past was not executed.
        calls = self.calls + [(call, tool, NOT_EXECUTED, time) for call, (tool, time) in self.asked.items()]
        return Told(
            self.first,
            self.last,
            list(self.usages.values()),
            calls,
            self.prompts,
            self.failures,
            self.compactions,
            self.about,
            self.totals,
        )


def reader_of(source: str, state: Any = None) -> _Lines | _Rollout:
    """Who reads the lines of a program's transcripts.

    Args:
        source: the program.
        state: what `state` of the reader answered after the lines before; None for none.
    """
    return _Rollout(state) if source == "codex" else _Lines()


class _Lines:
    """Transcripts of Claude Code."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        self._skimmer = Skimmer(json.loads)

    def read(self, buffer: bytearray, begin: int, end: int) -> Iterator[tuple[str, str | None, list[Fact]]]:
        yield from self._skimmer.read(buffer, begin, end)

    def state(self) -> None:
        return None


class _Rollout:
    """Rollouts of Codex."""

    def __init__(self, state: Any) -> None:
        self._rollout = Rollout(state)

    def begin_anew(self) -> None:
        self._rollout = Rollout()

    def read(self, buffer: bytearray, begin: int, end: int) -> Iterator[tuple[str, str | None, list[Fact]]]:
        rollout, told = self._rollout, list[Fact]()
        while begin < end:
            stop = buffer.index(b"\n", begin, end)
            if matters(buffer, begin, stop):
                with suppress(ValueError):  # half a line, which a program that was killed left behind
                    told += rollout.facts_of(json.loads(bytes(memoryview(buffer)[begin:stop])))
            begin = stop + 1
        yield rollout.session, rollout.thread if rollout.parent else None, told

    def state(self) -> Any:
        return self._rollout.state()
