"""Digests: what one transcript of the past tells, condensed, so that gigabytes can be read by several processes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from pyjama_metrics.sessions import facts
from pyjama_metrics.sessions.claude_skimming import Skimmer
from pyjama_metrics.sessions.facts import NOT_EXECUTED, Fact
from pyjama_metrics.storage import json
from pyjama_metrics.storage.grown_files import PIECE, GrownFile, Position

Used = tuple[str, int, str, tuple[int, ...]]
"""An answer of a model: its id, time, model and tokens."""
Calls = tuple[list[str], list[int]]
"""The ids of tool calls, and the times of their outcomes in the same order."""
Owner = tuple[str, str | None]
"""A session and its subagent: "" where the lines name no session, None for the session itself."""


class Told(NamedTuple):
    """What a transcript tells of one agent of one session.

    Attributes:
        first_ms, last_ms: the times of its first and last fact.
        usages: its answers, each with its largest figures.
        calls: its tool calls that have an outcome, by tool and outcome; each id once.
        prompts: its prompts: (id, time).
        failures: requests that were given up: (time, reason).
        compactions: when the conversation was replaced by a summary of it, where nothing is to be expected any more that counts
            the request for that.
        about: what is known of the session in the end, by the names of `facts.About`; the folder is that in which it began.
        totals: what the program itself has counted, by model.
    """

    first_ms: int
    last_ms: int
    usages: list[Used]
    calls: dict[tuple[str, str], Calls]
    prompts: list[tuple[str, int]]
    failures: list[tuple[int, str]]
    compactions: list[int]
    about: dict[str, Any]
    totals: dict[str, tuple[int, ...]]


class Kept(NamedTuple):
    """How far a transcript is read, and what is needed to go on there. As a list it is JSON.

    Attributes:
        position: as a `Position`, in plain JSON.
        state: that of the reader of its lines.
        waiting: of each agent (session, agent, what is known): calls without an outcome, compactions that nothing counts yet,
            and what its later lines do not tell again.
    """

    position: Any
    state: Any = None
    waiting: Any = ()

    @classmethod
    def of(cls, kept: Any) -> Kept:
        """What was kept as a list; nothing where it is none of ours."""
        return cls(*kept) if isinstance(kept, list) and 1 < len(kept) <= len(cls._fields) else cls(None)

    @property
    def expects_more(self) -> bool:
        """Whether something is to be told when the transcript has rested."""
        return any(each.get("asked") or each.get("compactions") for _, _, each in _entries(self.waiting))

    @property
    def has_totals(self) -> bool:
        """Whether the program's own figures were read and not compared yet."""
        return any(each.get("totals") for _, _, each in _entries(self.waiting))

    def compared(self) -> list[Any]:
        """The same, as a list, with its figures compared."""
        entries = [[s, a, {name: value for name, value in each.items() if name != "totals"}] for s, a, each in self.waiting]
        return [self.position, self.state, entries]

    def facts(self) -> Iterator[tuple[str | None, Fact]]:
        """What is waiting, as facts of subagents, for whoever follows the session from here on."""
        for _, agent, each in _entries(self.waiting):
            yield from ((agent, facts.Call(call, time, tool)) for call, (tool, time) in each.get("asked", {}).items())
            yield from ((agent, facts.Compacted(time)) for time in each.get("compactions", ()))


class Digest(NamedTuple):
    """What was new in a transcript.

    Attributes:
        path: the file.
        kept: how far it is read, as plain JSON: a `Kept`; None where it cannot be read.
        size: bytes that were read.
        told: what is told of each agent.
        trouble: why it cannot be read.
    """

    path: str
    kept: Any
    size: int
    told: dict[Owner, Told]
    trouble: str | None = None


def digest(source: str, path: str, before: Any, *, rests: bool, wanted: Callable[[str], bool] | None = None) -> Digest | None:
    """Read what is new in a transcript. Never raises.

    Args:
        source: the program that wrote it.
        path: the file.
        before: what was kept of an earlier reading; None for none.
        rests: whether nothing was written for so long that calls without an outcome will not get one any more.
        wanted: whether a session that began in some folder is. Where one is not, the rest is not read, and the answer is None.
    """
    kept = Kept.of(before)
    reading = GrownFile(path, Position.of(kept.position), _buffer)
    reader = reader_of(source, kept.state)
    gathered: dict[Owner, _Gathered] = {}
    size = 0
    try:
        gathered = {(session, agent): _Gathered(each) for session, agent, each in _entries(kept.waiting)}
        for buffer, begin, end in reading.pieces():
            if not size and reading.began_anew:
                reader.begin_anew()
                gathered.clear()
            for session, agent, told in reader.read(buffer, begin, end):
                place = gathered.get((session, agent))
                if place is None:
                    place = gathered[session, agent] = _Gathered()
                place.add(told)
            size += end - begin
            if wanted is not None and any(cwd and not wanted(cwd) for cwd in (each.cwd for each in gathered.values())):
                return None
    except OSError as error:
        if reading.position is None or not size:
            return Digest(path, None, 0, {}, error.strerror or str(error))
    except (LookupError, TypeError, ValueError, AttributeError):
        if before is None:
            raise
        # What was kept is not what it should be: somebody wrote into it. All ids are known, so nothing counts twice.
        return digest(source, path, None, rests=rests, wanted=wanted)
    found = {owner: each.told(rests=rests) for owner, each in gathered.items()}
    waiting = [[session, agent, each.waiting(rests=rests)] for (session, agent), each in gathered.items()]
    return Digest(path, [list(reading.position or ()), reader.state(), waiting], size, found)


_buffer = bytearray(PIECE)
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_MOST_WAITING = 1_000
"""Calls without an outcome, and compactions, that are kept of one agent. A session has a few."""


def _entries(waiting: Any) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """What is waiting, as far as it is in the form in which it was kept."""
    for each in waiting if isinstance(waiting, (list, tuple)) else ():
        if isinstance(each, list) and len(each) == 3 and isinstance(each[2], dict):
            yield each[0], each[1], each[2]


class _Gathered:
    """What was read of one agent so far."""

    def __init__(self, waiting: Mapping[str, Any] = _NOTHING) -> None:
        """Args:
        waiting: what `waiting` answered after the lines before.
        """
        self.first, self.last = 0, 0
        self.usages: dict[str, Used] = {}
        self.asked: dict[str, tuple[str, int]] = {call: (str(tool), int(time)) for call, (tool, time) in _of(waiting, "asked")}
        self.calls: dict[str, tuple[str, str, int]] = {}
        self.prompts: list[tuple[str, int]] = []
        self.failures: list[tuple[int, str]] = []
        self.compactions: list[int] = [int(time) for time in waiting.get("compactions", ())]
        self.totals: dict[str, tuple[int, ...]] = {model: tuple(map(int, told)) for model, told in _of(waiting, "totals")}
        self.cwd: str | None = waiting.get("cwd")
        self.kind: str | None = waiting.get("kind")
        self.before: int = int(waiting.get("last", 0))
        self.about: dict[str, Any] = {}

    def add(self, told: list[Fact]) -> None:
        usages, asked, calls = self.usages, self.asked, self.calls
        first, last = self.first, self.last
        for fact in told:
            time = fact.time_ms
            if type(fact) is facts.Usage:
                message, _, model, *tokens = fact
                before = usages.get(message)
                if before is None:
                    usages[message] = (message, time, model, tuple(tokens))
                else:
                    usages[message] = (*before[:3], tuple(map(max, before[3], tokens)))
            elif type(fact) is facts.Call:
                asked[fact.call] = fact.tool, time
                continue
            elif type(fact) is facts.Result:
                known = asked.pop(fact.call, None)
                tool = fact.tool if known is None else known[0]
                if tool is not None:
                    calls.setdefault(fact.call, (tool, fact.outcome, time))
            else:
                self.add_other(fact)
            if time:
                if time > last:
                    last = time
                if not first or time < first:
                    first = time
        self.first, self.last = first, last

    def add_other(self, fact: Fact) -> None:
        if isinstance(fact, facts.Prompt):
            self.prompts.append((fact.message, fact.time_ms))
        elif isinstance(fact, facts.Failed):
            self.failures.append((fact.time_ms, fact.reason))
        elif isinstance(fact, facts.Compacted):
            self.compactions = [*self.compactions, fact.time_ms][-_MOST_WAITING:]
        elif isinstance(fact, facts.Totals):
            self.totals, self.compactions = dict(fact.models), []  # the requests for summaries are in them
        elif isinstance(fact, facts.About):
            self.about |= {name: value for name, value in fact._asdict().items() if value is not None}
            self.cwd, self.kind = self.cwd or fact.cwd, self.kind or fact.agent_type  # a project is where a session began

    def told(self, *, rests: bool) -> Told:
        calls: dict[tuple[str, str], Calls] = {}
        for call, (tool, outcome, time) in self.calls.items():
            ids, times = calls.setdefault((tool, outcome), ([], []))
            ids.append(call)
            times.append(time)
        first, last = self.first, self.last
        if rests:
            for call, (tool, time) in self.asked.items():
                ids, times = calls.setdefault((tool, NOT_EXECUTED), ([], []))
                ids.append(call)
                times.append(time)
        return Told(
            first or self.before,
            last or self.before,
            list(self.usages.values()),
            calls,
            self.prompts,
            self.failures,
            self.compactions if rests else [],
            self.about | {"cwd": self.cwd, "agent_type": self.kind},
            self.totals,
        )

    def waiting(self, *, rests: bool) -> dict[str, Any]:
        """What the next reading has to know, as plain JSON."""
        asked = {} if rests else dict(list(self.asked.items())[-_MOST_WAITING:])
        kept = {
            "cwd": self.cwd,
            "kind": self.kind,
            "last": self.last or self.before,
            "asked": asked,
            "compactions": [] if rests else self.compactions,
            "totals": self.totals,
        }
        return {name: value for name, value in kept.items() if value}


def _of(waiting: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    found = waiting.get(name)
    return list(found.items()) if isinstance(found, dict) else []


class Reader(Protocol):
    """Reads the lines of one transcript, in their order."""

    def begin_anew(self) -> None:
        """What comes next is the first line."""

    def read(self, buffer: bytearray, begin: int, end: int) -> Iterator[tuple[str, str | None, list[Fact]]]:
        """What whole lines in some memory tell: (session, subagent, facts)."""
        ...

    def state(self) -> Any:
        """What is needed to go on, as plain JSON."""


def reader_of(source: str, state: Any = None) -> Reader:
    """Who reads the lines of a program's transcripts.

    Args:
        source: the program.
        state: what `state` of the reader answered after the lines before; None for none.
    """
    if source != "codex":
        return _Lines()
    from pyjama_metrics.sessions.codex_reading import Rollouts  # most have no use for its patterns

    return Rollouts(state)


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
