"""What a dashboard remembers beyond the file: single executions, the last minutes in fine slices, failures that repeat.

`metrics.json` holds sums. A page also wants to show what a run did one call after the other, what happened in the last
seconds, and that an agent tries the same thing again and again: that is a memory of the newest events, in bounds, fed from the
journals a second time. Nothing in it has to survive, so it has no file; and no clock, because it goes by the times of the events.

Law, kept by property tests: journals may be fed in any order, and each in any pieces, and the answers are the same. "Newest" is
therefore by (time, journal, place in the journal) and not by when it was read. As in the fold, the exception is what one
journal itself orders: an event without a run belongs to the open run of its agent that the same writer started latest. And it is
a law within the bounds: which run or agent is let go first depends on what was known when there were too many.

What the fold would leave out (names that are no texts, times that are none) is left out here; names are those of the state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyjama_metrics import roll_ups
from pyjama_metrics.event_fields import Event, Invalid, are_names, count_of, run_name, time_of, usable_durations
from pyjama_metrics.events import MAX_TEXT, MAX_TIME_MS, MAX_WORD, owner_of, status_class, text_of
from pyjama_metrics.histogram import valid_duration
from pyjama_metrics.roll_ups import Slice

SLICE_MS = 5_000
"""Length of one of the slices, in milliseconds."""
KEPT_SLICES_MS = 22 * 60_000
"""How far back from the newest event there are slices: 15 minutes, five by which an event may be dated ahead, and some."""
SLOT_MS = 10_000
"""Length of one slot of a spark, in milliseconds."""
SLOTS = 30
"""Slots of a spark: five minutes."""
MAX_AGENTS = 2_000
"""Agents remembered. Beyond that the least recently seen are let go of, with their sparks, runs and errors."""
MAX_AGENT_RUNS = 400
"""Runs remembered of one agent, more than the state keeps. Beyond that the least recently seen are let go of."""
MAX_RUN_EXECUTIONS = 500
"""Executions remembered of one run, the newest."""
MAX_EXECUTIONS = 50_000
"""Executions remembered in all, where each run counts as one more: some 15 MB. Beyond that the least recently seen runs are let
go of; a tenth at once, because to find them takes looking at all.
"""
MAX_AGENT_ERRORS = 50
"""Errors remembered of one agent, the newest."""
MAX_ERRORS = 10_000
"""Errors remembered in all. Beyond that those of the agents that had none for longest are let go of, a tenth at once."""
MAX_EXECUTION_ERROR = 500
"""Characters kept of the error of one execution; `Recent.errors` has up to ``MAX_TEXT``."""
REPEATS = 3
"""Failures of one tool, without a success of any tool in between, from which on an agent counts as repeating a failing call."""

_KEPT = 0.9
"""What stays where something in all was too much: so it is looked for once in thousands of events."""
_TOKENS = ("input-tokens", "output-tokens", "cache-read-tokens", "cache-write-tokens")
_Row = tuple[Any, ...]
"""Time, journal, place (these order the rows, and no two have the same place), and then what there is to tell: of an execution
its duration, tool, status and error; of an error its message, tool and run.
"""
_TIME, _DURATION, _ERROR = 0, 3, 6


@dataclass(frozen=True, slots=True)
class Spark:
    """Executions of the last minutes in which there were any.

    Attributes:
        until_ms: end of the last slot, the one of the latest execution, in ms since the epoch.
        step_ms: length of a slot.
        executions: executions of each slot, interrupted ones too, oldest first, at most ``SLOTS``; the first is not 0.
        errors: how many of them failed.
    """

    until_ms: int
    step_ms: int
    executions: tuple[int, ...]
    errors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a tool.

    Attributes:
        start_ms: when it began, in ms since the epoch: the time of its event, which is its end, less its duration.
        duration_ms: None where it was not measured; ``start_ms`` is then its end.
        tool: the tool's name, as in the state.
        status: in the words of whoever recorded it, at most ``MAX_WORD`` characters.
        outcome: ``success``, ``error`` or ``interrupted``.
        error: its message, at most ``MAX_EXECUTION_ERROR`` characters; None where there was none.
    """

    start_ms: int
    duration_ms: float | None
    tool: str
    status: str
    outcome: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Executions:
    """The newest executions of a run by their start, and how many more of it were seen and let go of."""

    rows: tuple[Execution, ...]
    let_go: int


@dataclass(frozen=True, slots=True)
class Failing:
    """A call that an open run repeats although it fails.

    Since the run's last success, by whichever tool, ``tool`` has failed ``times`` times; failures of other tools in between do
    not end that, and interruptions are neither.

    Attributes:
        since_ms: time of the first of these failures, in ms since the epoch.
        message: error of the latest; None where it told none.
    """

    tool: str
    times: int
    since_ms: int
    message: str | None
    run_id: str


@dataclass(frozen=True, slots=True)
class ErrorSeen:
    """One error: a tool's, or one that is no tool's failure and names none. Its message has at most ``MAX_TEXT`` characters."""

    time_ms: int
    message: str
    tool: str | None
    run_id: str | None


class _Newest:
    """The newest ``limit`` of the rows that were added, in whichever order they were."""

    __slots__ = ("_in_order", "_limit", "added", "rows")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_order = True
        self.added = 0
        self.rows: list[_Row] = []

    def add(self, rows: Sequence[_Row]) -> int:
        """Add rows; by how many there are more now. There may be twice the limit, so that sorting them is seldom."""
        before = len(self.rows)
        self.rows += rows
        self.added += len(rows)
        self._in_order = False
        if len(self.rows) > 2 * self._limit:
            self.ordered()
        return len(self.rows) - before

    def ordered(self) -> list[_Row]:
        """The newest, oldest first; the others are gone."""
        if not self._in_order:
            self.rows.sort()
            del self.rows[: -self._limit]
            self._in_order = True
        return self.rows


class _Run:
    """What is remembered of one run of one agent; its fields are those of the state's runs."""

    __slots__ = ("agent_id", "ended", "executions", "failing", "failing_of", "run_id", "seen", "started", "unknown")

    def __init__(self, agent_id: str, run_id: str) -> None:
        self.agent_id, self.run_id = agent_id, run_id
        self.started: int | None = None
        self.ended = False
        self.seen = 0
        self.unknown = 0
        self.executions = _Newest(MAX_RUN_EXECUTIONS)
        self.failing: Failing | None = None
        self.failing_of = 0
        """How many executions there had been when ``failing`` was found out."""

    @property
    def is_open(self) -> bool:
        return not self.ended and self.unknown <= self.seen


class _Slots:
    """Executions by slots of time, the newest ``SLOTS`` of them."""

    __slots__ = ("_spark", "last", "slots")

    def __init__(self) -> None:
        self.slots: dict[int, list[int]] = {}
        self.last = 0
        self._spark: Spark | None = None

    def add_all(self, times: list[int], *, failed: bool) -> None:
        """Add executions that ended at those times."""
        for slot, count in _counted(times, SLOT_MS):
            self.add(slot, count, count if failed else 0)

    def add(self, slot: int, executions: int, errors: int) -> None:
        self.last = max(self.last, slot)
        counts = self.slots.setdefault(slot, [0, 0])
        counts[0] += executions
        counts[1] += errors
        self._spark = None
        if len(self.slots) > 2 * SLOTS:
            self.slots = {slot: counts for slot, counts in self.slots.items() if slot > self.last - SLOTS}

    def spark(self) -> Spark | None:
        if self._spark is None and self.slots:
            first = min(slot for slot in self.slots if slot > self.last - SLOTS)
            counts = [self.slots.get(slot, (0, 0)) for slot in range(first, self.last + 1)]
            executions, errors = zip(*counts, strict=True)
            self._spark = Spark((self.last + 1) * SLOT_MS, SLOT_MS, executions, errors)
        return self._spark


class _Agent:
    """What is remembered of one agent."""

    __slots__ = ("agent_id", "errors", "runs", "seen", "slots")

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.seen = 0
        self.runs: dict[str, _Run] = {}
        self.slots = _Slots()
        self.errors = _Newest(MAX_AGENT_ERRORS)


class Recent:
    """The memory. Not for several threads at once.

    What `spark` and `failing` return is the same object until something happened that it tells of.

    Attributes:
        since_ms: everything dated from here on was fed, in ms since the epoch; None where that cannot be said yet. Whoever feeds
            this memory sets it.
    """

    def __init__(self) -> None:
        self.since_ms: int | None = None
        self._fed = 0
        self._empty()

    def _empty(self) -> None:
        self._agents: dict[str, _Agent] = {}
        self._named: dict[str, dict[str, _Run]] = {}  # by run id and agent id: a run id is one agent's, unless somebody lies
        self._all = _Slots()
        self._slices: dict[int, Slice] = {}
        self._last_slice = 0
        self._executions = 0
        self._errors = 0

    # -- feeding ---------------------------------------------------------------------------------------------------

    def add(self, journal: str, events: Sequence[Event | None]) -> None:
        """Add the next ``events`` of one journal. Never raises for what is in them.

        Args:
            journal: name of the journal file, ``<writer>.<segment>.jsonl``.
            events: its lines in order, parsed; ``None`` stands for a line that is not a JSON object.
        """
        _Feeding(self, journal).run(events, self._fed)
        self._fed += len(events)
        if self._executions > MAX_EXECUTIONS:
            self._let_executions_go()
        if self._errors > MAX_ERRORS:
            self._let_errors_go()
        if len(self._agents) > MAX_AGENTS:
            for agent in sorted(self._agents.values(), key=_seen)[: -int(_KEPT * MAX_AGENTS)]:
                self._let_agent_go(agent)

    def forget(self) -> None:
        """Forget what happened, because the figures were cleared; runs that are open stay known, as they do in the state."""
        kept = [run for agent in self._agents.values() for run in agent.runs.values() if run.started is not None and run.is_open]
        self._empty()
        self.since_ms = None
        for before in kept:
            run = self._run(self._agent(before.agent_id, before.seen), before.run_id)
            run.started, run.seen = before.started, before.seen

    def _agent(self, agent_id: str, time: int) -> _Agent:
        agent = self._agents.get(agent_id)
        if agent is None:
            agent = self._agents[agent_id] = _Agent(agent_id)
        agent.seen = max(agent.seen, time)
        return agent

    def _run(self, agent: _Agent, run_id: str) -> _Run:
        run = agent.runs.get(run_id)
        if run is None:
            if len(agent.runs) >= MAX_AGENT_RUNS:
                for old in sorted(agent.runs.values(), key=_seen)[: -MAX_AGENT_RUNS // 2]:
                    self._let_run_go(old)
            run = agent.runs[run_id] = _Run(agent.agent_id, run_id)
            self._named.setdefault(run_id, {})[agent.agent_id] = run
            self._executions += 1
        return run

    def _add_executions(self, run: _Run, rows: Sequence[_Row]) -> None:
        self._executions += run.executions.add(rows)

    def _add_errors(self, agent: _Agent, rows: Sequence[_Row]) -> None:
        self._errors += agent.errors.add(rows)

    def _count(self, outcome: str, times: list[int]) -> None:
        self._all.add_all(times, failed=outcome == "error")
        for number, count in _counted(times, SLICE_MS):
            roll_ups.add_executions(self._slice(number), outcome, count)

    def _slice(self, number: int) -> Slice:
        found = self._slices.get(number)
        if found is None:
            self._last_slice = max(self._last_slice, number)
            if len(self._slices) >= 2 * KEPT_SLICES_MS // SLICE_MS:
                self._slices = dict(self._newest_slices())
            found = self._slices[number] = roll_ups.new_slice()
        return found

    def _newest_slices(self) -> Iterable[tuple[int, Slice]]:
        oldest = self._last_slice - KEPT_SLICES_MS // SLICE_MS
        return ((number, each) for number, each in self._slices.items() if number > oldest)

    # -- letting go ------------------------------------------------------------------------------------------------

    def _let_executions_go(self) -> None:
        runs = [run for agent in self._agents.values() for run in agent.runs.values()]
        self._executions = sum(1 + len(run.executions.ordered()) for run in runs)
        for run in sorted(runs, key=_seen):
            if self._executions <= _KEPT * MAX_EXECUTIONS:
                return
            self._let_run_go(run)

    def _let_run_go(self, run: _Run) -> None:
        del self._agents[run.agent_id].runs[run.run_id]
        of_all_agents = self._named[run.run_id]
        del of_all_agents[run.agent_id]
        if not of_all_agents:
            del self._named[run.run_id]
        self._executions -= 1 + len(run.executions.rows)

    def _let_errors_go(self) -> None:
        agents = [agent for agent in self._agents.values() if agent.errors.rows]
        self._errors = sum(len(agent.errors.ordered()) for agent in agents)
        for agent in sorted(agents, key=lambda agent: agent.errors.rows[-1]):
            if self._errors <= _KEPT * MAX_ERRORS:
                return
            self._errors -= len(agent.errors.rows)
            agent.errors = _Newest(MAX_AGENT_ERRORS)

    def _let_agent_go(self, agent: _Agent) -> None:
        for run in list(agent.runs.values()):
            self._let_run_go(run)
        self._errors -= len(agent.errors.rows)
        del self._agents[agent.agent_id]

    # -- asking ----------------------------------------------------------------------------------------------------

    def spark(self, agent_id: str | None) -> Spark | None:
        """The executions of an agent, or of all for None, in slots of ten seconds; None where none is remembered."""
        if agent_id is None:
            return self._all.spark()
        agent = self._agents.get(agent_id)
        return None if agent is None else agent.slots.spark()

    def executions(self, run_id: str) -> Executions | None:
        """The newest executions of a run; None where the run is not remembered."""
        runs = list(self._named.get(run_id, {}).values())
        if not runs:
            return None
        newest = sorted(row for run in runs for row in run.executions.ordered())[-MAX_RUN_EXECUTIONS:]
        rows = sorted(map(_execution, newest), key=lambda execution: execution.start_ms)
        return Executions(tuple(rows), sum(run.executions.added for run in runs) - len(rows))

    def slices(self, since_ms: int, until_ms: int) -> dict[int, Slice]:
        """What all agents did, in slices of 5 seconds.

        Args:
            since_ms: slices that begin from here on, in ms since the epoch.
            until_ms: and before this.

        Returns:
            By their begin, those slices in which something happened, at most of the last ``KEPT_SLICES_MS``. The caller's own.
        """
        kept = ((number * SLICE_MS, each) for number, each in self._newest_slices())
        return {begin: each.copy() for begin, each in kept if since_ms <= begin < until_ms}

    def failing(self, agent_id: str) -> Failing | None:
        """The call that an open run of the agent repeats although it fails; None where there is none.

        Where there are several, the one that failed most often, and of those the one that failed first.
        """
        agent = self._agents.get(agent_id)
        runs = agent.runs.values() if agent is not None else ()
        return _worst(found for run in runs if run.is_open and (found := _failing(run)) is not None)

    def errors(self, agent_id: str) -> tuple[ErrorSeen, ...]:
        """The newest errors of an agent that came with a message, newest first."""
        agent = self._agents.get(agent_id)
        rows = agent.errors.ordered() if agent is not None else []
        return tuple(ErrorSeen(time, message, tool, run_id) for time, _, _, message, tool, run_id in reversed(rows))


class _Group:
    """The executions of one tool by one run with one status, as gathered from a batch: rows, but not looked at yet."""

    __slots__ = ("rows", "status", "tool")

    def __init__(self, tool: object, status: object) -> None:
        self.tool, self.status = text_of(tool), text_of(status, MAX_WORD)
        self.rows: list[_Row] = []


class _Feeding:
    """One call of `Recent.add`: executions are gathered by (agent, run, tool, status) first, as in the fold."""

    def __init__(self, recent: Recent, journal: str) -> None:
        self.recent, self.journal = recent, journal
        self.writer = journal.rsplit(".", 2)[0]
        self.groups: dict[tuple[Any, Any, Any, Any], _Group] = {}
        self.times: dict[str, list[int]] = {}

    def run(self, events: Sequence[Event | None], first_place: int) -> None:
        groups, journal = self.groups, self.journal
        for place, event in enumerate(events, first_place):
            if event is None:
                continue
            try:
                if event.get("event") == "tool":
                    tool, status = event["tool"], event.get("status", "ok")
                    key = event["agent"], event.get("run"), tool, status
                    group = groups.get(key)
                    if group is None:
                        group = groups[key] = _Group(tool, status)
                    group.rows.append(
                        (event["time"], journal, place, event.get("duration-ms"), group.tool, group.status, event.get("error"))
                    )
                else:
                    rule = _RULES.get(event["event"])
                    if rule is not None:
                        rule(self, event, place)
            except (KeyError, TypeError, Invalid):  # a field is missing, unhashable or no use; the fold counts that
                continue
        self.add_groups()
        for outcome, times in self.times.items():
            self.recent._count(outcome, times)

    # -- executions ------------------------------------------------------------------------------------------------

    def add_groups(self) -> None:
        """Add what is gathered: to the runs that are open now."""
        for (agent_id, run_id, tool, status), group in self.groups.items():
            rows = _dated(group.rows)
            if rows and are_names(agent_id, run_id, tool, status):
                self.add_group(text_of(agent_id), run_id, status_class(status), rows)
        self.groups.clear()

    def add_group(self, agent_id: str, run_id: Any, outcome: str, rows: list[_Row]) -> None:
        recent, times = self.recent, [row[_TIME] for row in rows]
        latest = max(times)
        agent = recent._agent(agent_id, latest)
        run = self.run_of(agent, run_id)
        for time, _, place, _, tool, _, error in [row for row in rows if row[_ERROR]]:
            self.note_error(agent, run, time, place, error, tool)
        if run is not None:
            run.seen = max(run.seen, latest)
            recent._add_executions(run, _measured(rows))
        agent.slots.add_all(times, failed=outcome == "error")
        self.times.setdefault(outcome, []).extend(times)

    # -- everything else -------------------------------------------------------------------------------------------

    def seen(self, event: Event) -> tuple[_Agent, int]:
        time = time_of(event["time"])
        agent_id = event["agent"]
        if not isinstance(agent_id, str):
            raise Invalid("an agent that is no text")
        return self.recent._agent(text_of(agent_id), time), time

    def run_of(self, agent: _Agent, run_id: Any) -> _Run | None:
        """The run that an event names; without a name, this writer's latest open run of the agent, if there is one."""
        if run_id is not None:
            return self.recent._run(agent, run_name(run_id))
        mine = [
            (run.started, name)
            for name, run in agent.runs.items()
            if not run.ended and run.started is not None and owner_of(name) == self.writer
        ]
        return agent.runs[max(mine)[1]] if mine else None

    def on_start(self, event: Event, _: int) -> None:
        name = run_name(event["run"])
        agent, time = self.seen(event)
        self.add_groups()  # what this journal recorded before belongs to the run that was open then
        run = self.recent._run(agent, name)
        run.seen = max(run.seen, time)
        if run.started is None:
            run.started = time

    def on_end(self, event: Event, _: int) -> None:
        agent, time = self.seen(event)
        self.add_groups()
        run = self.run_of(agent, event.get("run"))
        if run is not None:
            run.ended, run.seen = True, max(run.seen, time)

    def on_unknown(self, event: Event, _: int) -> None:
        agent, time = self.seen(event)
        run = self.run_of(agent, event.get("run"))
        if run is not None:
            run.unknown = max(run.unknown, time)

    def on_sign_of_life(self, event: Event, _: int) -> _Run | None:
        agent, time = self.seen(event)
        run = self.run_of(agent, event.get("run"))
        if run is not None:
            run.seen = max(run.seen, time)
        return run

    def on_error(self, event: Event, place: int) -> None:
        agent, time = self.seen(event)
        run = self.on_sign_of_life(event, place)
        self.note_error(agent, run, time, place, event.get("message"), None)

    def note_error(self, agent: _Agent, run: _Run | None, time: int, place: int, error: object, tool: str | None) -> None:
        row = time, self.journal, place, text_of(error, MAX_TEXT), tool, None if run is None else run.run_id
        self.recent._add_errors(agent, [row])

    def on_llm(self, event: Event, place: int) -> None:
        tokens = sum(count_of(event.get(key, 0)) for key in _TOKENS)
        cost = event.get("cost-micros")
        cost = None if cost is None else count_of(cost)
        self.on_sign_of_life(event, place)
        roll_ups.add_request(self.recent._slice(time_of(event["time"]) // SLICE_MS), tokens, cost)


_RULES: dict[str, Callable[[_Feeding, Event, int], object]] = {
    "start": _Feeding.on_start,
    "complete": _Feeding.on_end,
    "crash": _Feeding.on_end,
    "unknown": _Feeding.on_unknown,
    "activity": _Feeding.on_sign_of_life,
    "waiting": _Feeding.on_sign_of_life,
    "message": _Feeding.on_sign_of_life,
    "workflow": _Feeding.on_sign_of_life,
    "step-start": _Feeding.on_sign_of_life,
    "step-complete": _Feeding.on_sign_of_life,
    "error": _Feeding.on_error,
    "llm": _Feeding.on_llm,
}


def _seen(known: _Run | _Agent) -> int:
    return known.seen


def _counted(times: list[int], step_ms: int) -> Iterable[tuple[int, int]]:
    """How many of some times lie in each slice of a length, by the slice's number; nearly always all lie in one."""
    first = min(times) // step_ms
    if first == max(times) // step_ms:
        return [(first, len(times))]
    return Counter([time // step_ms for time in times]).items()


def _dated(rows: list[_Row]) -> list[_Row]:
    """Those executions that have a time. Without one they count in the state, and have no place here."""
    times = [row[_TIME] for row in rows]
    if set(map(type, times)) == {int} and min(times) >= 0 and max(times) <= MAX_TIME_MS:
        return rows
    dated = []
    for row in rows:
        try:
            dated.append((time_of(row[_TIME]), *row[1:]))
        except Invalid:
            continue
    return dated


def _measured(rows: list[_Row]) -> list[_Row]:
    """The same executions with usable durations and bounded errors only; anybody may have put anything there."""
    durations = [row[_DURATION] for row in rows if row[_DURATION] is not None]
    if usable_durations(durations) is durations and all(row[_ERROR] is None for row in rows):
        return rows
    return [(*row[:_DURATION], _duration(row[_DURATION]), *row[_DURATION + 1 : _ERROR], _short(row[_ERROR])) for row in rows]


def _duration(value: Any) -> float | None:
    return value if valid_duration(value) else None


def _short(error: Any) -> str | None:
    return text_of(error, MAX_EXECUTION_ERROR) if error else None


def _execution(row: _Row) -> Execution:
    time, _, _, duration, tool, status, error = row
    return Execution(max(0, time - round(duration or 0)), duration, tool, status, status_class(status), error)


def _failing(run: _Run) -> Failing | None:
    """The call that a run repeats although it fails, found out again only after further executions."""
    if run.failing_of != run.executions.added:
        run.failing_of = run.executions.added
        run.failing = _worst(_failures_since_success(run))
    return run.failing


def _failures_since_success(run: _Run) -> list[Failing]:
    found: dict[str, Failing] = {}
    for time, _, _, _, tool, status, error in reversed(run.executions.ordered()):
        outcome = status_class(status)
        if outcome == "success":
            break
        if outcome == "error":
            later = found.get(tool)
            times, message = (1, error) if later is None else (later.times + 1, later.message)
            found[tool] = Failing(tool, times, time, message, run.run_id)
    return [failing for failing in found.values() if failing.times >= REPEATS]


def _worst(found: Iterable[Failing]) -> Failing | None:
    return min(found, key=lambda failing: (-failing.times, failing.since_ms, failing.tool, failing.run_id), default=None)
