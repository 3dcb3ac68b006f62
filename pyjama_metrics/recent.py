"""What a dashboard remembers beyond the file: single executions, the last minutes in fine slices, failures that repeat.

`metrics.json` holds sums. A page also wants to show what a run did one call after the other, what happened in the last
seconds, and that an agent tries the same thing again and again: that is a memory of the newest events, in bounds, fed from the
journals a second time. Nothing in it has to survive, so it has no file; and no clock, because it goes by the times of the events.

This is who remembers, of whom, and what is let go of; what an execution, a spark and a repeated failure are is in
`pyjama_metrics.executions`, `sparks` and `repeats`.

Law, kept by property tests: journals may be fed in any order, and each in any pieces, and the answers are the same. "Newest" is
therefore by (time, journal, place in the journal) and not by when it was read. As in the fold, the exception is what one
journal itself orders: an event without a run belongs to the open run of its agent that the same writer started latest. And it is
a law within the bounds: which run or agent is let go first depends on what was known when there were too many.

What the fold would leave out (names that are no texts, times that are none) is left out here; names are those of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyjama_metrics import roll_ups
from pyjama_metrics.corrections import Row as SumsRow
from pyjama_metrics.corrections import sums_in
from pyjama_metrics.event_fields import Event, Invalid, are_names, run_name, run_told_by, time_of, times_of
from pyjama_metrics.events import MAX_TEXT, MAX_WORD, status_class, text_of
from pyjama_metrics.executions import (
    ERROR,
    MAX_RUN_EXECUTIONS,
    TIME,
    Executions,
    Newest,
    Row,
    dated,
    execution_of,
    measured,
)
from pyjama_metrics.ledger_rows import RowKey
from pyjama_metrics.repeats import Failing, failures_since_success, worst
from pyjama_metrics.roll_ups import Slice
from pyjama_metrics.sparks import Slots, Spark, counted
from pyjama_metrics.usages import REPORTED, Request, amounts_of, figures_of, join, owner_of, request_id_of

SLICE_MS = 5_000
"""Length of one of the slices, in milliseconds."""
KEPT_SLICES_MS = 22 * 60_000
"""How far back from the newest event there are slices: 15 minutes, five by which an event may be dated ahead, and some."""
MAX_KNOWN_AGENTS = 2_000
"""Agents remembered. Beyond that the least recently seen are let go of, with their sparks, runs and errors."""
MAX_AGENT_RUNS = 400
"""Runs remembered of one agent, more than the state keeps. Beyond that the least recently seen are let go of."""
MAX_EXECUTIONS = 50_000
"""Executions remembered in all, where each run counts as one more: some 15 MB. Beyond that the least recently seen runs are let
go of; a tenth at once, because to find them takes looking at all.
"""
MAX_REQUESTS = 20_000
"""Model calls with a request id that are remembered. Beyond that those that were first are let go of, a tenth at once."""
MAX_AGENT_ERRORS = 50
"""Errors remembered of one agent, the newest."""
MAX_ERRORS = 10_000
"""Errors remembered in all. Beyond that those of the agents that had none for longest are let go of, a tenth at once."""

_KEPT = 0.9
"""What stays where something in all was too much: so it is looked for once in thousands of events."""


@dataclass(frozen=True, slots=True)
class ErrorSeen:
    """One error: a tool's, or one that is no tool's failure and names none. Its message has at most ``MAX_TEXT`` characters."""

    time_ms: int
    message: str
    tool: str | None
    run_id: str | None


class _Run:
    """What is remembered of one run of one agent; its fields are those of the state's runs."""

    __slots__ = ("agent_id", "ended", "executions", "failing", "failing_of", "run_id", "seen", "started", "unknown")

    def __init__(self, agent_id: str, run_id: str) -> None:
        self.agent_id, self.run_id = agent_id, run_id
        self.started: int | None = None
        self.ended = False
        self.seen = 0
        self.unknown = 0
        self.executions = Newest(MAX_RUN_EXECUTIONS)
        self.failing: Failing | None = None
        self.failing_of = 0
        """How many executions there had been when ``failing`` was found out."""

    @property
    def is_open(self) -> bool:
        return not self.ended and self.unknown <= self.seen


class _Agent:
    """What is remembered of one agent."""

    __slots__ = ("agent_id", "errors", "runs", "seen", "slots")

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.seen = 0
        self.runs: dict[str, _Run] = {}
        self.slots = Slots()
        self.errors = Newest(MAX_AGENT_ERRORS)


class Recent:
    """The memory. Not for several threads at once.

    What `spark` and `failing` return is the same object until something happened that it tells of.

    Attributes:
        since_ms: everything dated from here on was fed, in ms since the epoch; None where that cannot be said yet. Whoever feeds
            this memory sets it.
        known_requests: what the fold knows of model calls, by their request ids: of those that were told long ago, too. Whoever
            feeds this memory sets it.
    """

    def __init__(self) -> None:
        self.since_ms: int | None = None
        self.known_requests: Callable[[list[str]], Mapping[str, Request]] = _none_known
        self._fed = 0
        self._empty()

    def _empty(self) -> None:
        self._agents: dict[str, _Agent] = {}
        self._named: dict[str, dict[str, _Run]] = {}  # by run id and agent id: a run id is one agent's, unless somebody lies
        self._all = Slots()
        self._slices: dict[int, Slice] = {}
        self._last_slice = 0
        self._latest = 0
        self._executions = 0
        self._errors = 0
        self._requests: dict[str, Request] = {}

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
        if len(self._requests) > MAX_REQUESTS:
            self._let_requests_go()
        if len(self._agents) > MAX_KNOWN_AGENTS:
            for agent in sorted(self._agents.values(), key=_seen)[: -int(_KEPT * MAX_KNOWN_AGENTS)]:
                self._let_agent_go(agent)

    def forget(self) -> None:
        """Forget what happened, because the figures were cleared; runs that are open stay known, as they do in the state."""
        kept = [run for agent in self._agents.values() for run in agent.runs.values() if run.started is not None and run.is_open]
        self._empty()
        self.since_ms = None
        for before in kept:
            run = self._run(self._agent(before.agent_id, before.seen), before.run_id)
            run.started, run.seen = before.started, before.seen

    def set_back(self, now_ms: int, ahead_ms: int) -> None:
        """Move what is dated more than ``ahead_ms`` after ``now_ms`` back, as a whole, so that the latest of it is now.

        The clock by which it was dated was set back since. Left where it is, it would be the newest until the clock is there
        again, and all that happens meanwhile would be let go of for it.
        """
        bound, by = now_ms + ahead_ms, self._latest - now_ms
        if self._latest <= bound:
            return

        def moved(time: int) -> int:
            return max(0, time - by) if time > bound else time

        self._latest = now_ms
        before, self._slices, self._last_slice = self._slices, {}, 0
        for number, each in before.items():
            roll_ups.add_slice(self._slice(moved(number * SLICE_MS) // SLICE_MS), each)
        for request_id, (owner, figures) in self._requests.items():
            self._requests[request_id] = Request(owner._replace(time_ms=moved(owner.time_ms)), figures)
        self._all.move(moved)
        for agent in self._agents.values():
            agent.seen = moved(agent.seen)
            agent.slots.move(moved)
            agent.errors.move(moved)
            for run in agent.runs.values():
                run.seen, run.unknown = moved(run.seen), moved(run.unknown)
                run.started = None if run.started is None else moved(run.started)
                run.executions.move(moved)
                run.failing_of = -1

    def _agent(self, agent_id: str, time: int) -> _Agent:
        agent = self._agents.get(agent_id)
        if agent is None:
            agent = self._agents[agent_id] = _Agent(agent_id)
        agent.seen = max(agent.seen, time)
        self._latest = max(self._latest, time)
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

    def _add_executions(self, run: _Run, rows: Sequence[Row]) -> None:
        self._executions += run.executions.add(rows)

    def _add_errors(self, agent: _Agent, rows: Sequence[Row]) -> None:
        self._errors += agent.errors.add(rows)

    def _count(self, outcome: str, times: list[int]) -> None:
        self._all.add_all(times, failed=outcome == "error")
        for number, count in counted(times, SLICE_MS):
            roll_ups.add_executions(self._slice(number), outcome, count)

    def _charge(self, request: Request, sign: int) -> None:
        figures = request.figures
        number = request.owner.time_ms // SLICE_MS
        if sign < 0 and number not in self._slices:
            return  # let go of since
        target = self._slice(number)
        amounts = [sign * amount for amount in amounts_of(request)]
        key = RowKey(0, figures.band, figures.kind, figures.model)
        roll_ups.add_requests(target, key, amounts, is_reported=figures.kind == REPORTED)
        if not any(target.values()):
            del self._slices[number]

    def _add_sums(self, row: SumsRow) -> None:
        key = RowKey(0, row.band, row.kind, row.model)
        roll_ups.add_requests(self._slice(row.time_ms // SLICE_MS), key, row.amounts, is_reported=row.kind == REPORTED)

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
            agent.errors = Newest(MAX_AGENT_ERRORS)

    def _let_requests_go(self) -> None:
        by_time = sorted(self._requests.items(), key=lambda item: item[1].owner.time_ms)
        self._requests = dict(by_time[-int(_KEPT * MAX_REQUESTS) :])

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
        rows = sorted(map(execution_of, newest), key=lambda execution: execution.start_ms)
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
        return {begin: _copied(each) for begin, each in kept if since_ms <= begin < until_ms}

    def failing(self, agent_id: str) -> Failing | None:
        """The call that an open run of the agent repeats although it fails; None where there is none.

        Where there are several, the one that failed most often, and of those the one that failed first.
        """
        agent = self._agents.get(agent_id)
        runs = agent.runs.values() if agent is not None else ()
        return worst(found for run in runs if run.is_open and (found := _failing(run)) is not None)

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
        self.rows: list[Row] = []


class _Feeding:
    """One call of `Recent.add`: executions are gathered by (agent, run, tool, status) first, as in the fold."""

    def __init__(self, recent: Recent, journal: str) -> None:
        self.recent, self.journal = recent, journal
        self.writer = journal.rsplit(".", 2)[0]
        self.groups: dict[tuple[Any, Any, Any, Any], _Group] = {}
        self.times: dict[str, list[int]] = {}
        self.requests: list[tuple[str, Request]] = []

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
        self.add_requests()
        for outcome, times in self.times.items():
            self.recent._count(outcome, times)

    # -- executions ------------------------------------------------------------------------------------------------

    def add_groups(self) -> None:
        """Add what is gathered: to the runs that are open now."""
        for (agent_id, run_id, tool, status), group in self.groups.items():
            rows = dated(group.rows)
            if rows and are_names(agent_id, run_id, tool, status):
                self.add_group(text_of(agent_id), run_id, status_class(status), rows)
        self.groups.clear()

    def add_group(self, agent_id: str, run_id: Any, outcome: str, rows: list[Row]) -> None:
        recent, times = self.recent, [row[TIME] for row in rows]
        latest = max(times)
        agent = recent._agent(agent_id, latest)
        run = self.run_of(agent, run_id)
        for time, _, place, _, tool, _, error in [row for row in rows if row[ERROR]]:
            self.note_error(agent, run, time, place, error, tool)
        if run is not None:
            run.seen = max(run.seen, latest)
            recent._add_executions(run, measured(rows))
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
        name = run_told_by(run_id, self.writer, ((run.started, name) for name, run in agent.runs.items() if not run.ended))
        return None if name is None else self.recent._run(agent, name)

    def on_executions(self, event: Event, place: int) -> None:
        tool, status = event["tool"], event.get("status", "ok")
        key = event["agent"], run_name(event["run"]), tool, status
        group = self.groups.setdefault(key, _Group(tool, status))
        group.rows += ((time, self.journal, place, None, group.tool, group.status, None) for time in times_of(event["times"]))

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
        figures, request_id = figures_of(event), request_id_of(event)
        run = self.on_sign_of_life(event, place)
        if figures is None:
            return
        request = Request(owner_of(event, time_of(event["time"]), None if run is None else run.run_id), figures)
        if request_id is None:
            self.recent._charge(request, 1)
        else:
            self.requests.append((request_id, request))

    def on_usages(self, event: Event, place: int) -> None:
        rows, _ = sums_in(event), run_name(event["run"])
        self.on_sign_of_life(event, place)
        for row in rows:
            self.recent._add_sums(row)

    def add_requests(self) -> None:
        """Add the model calls that may have been told before: each counts once, as in the fold."""
        recent, requests = self.recent, self.recent._requests
        unknown = [request_id for request_id, _ in self.requests if request_id not in requests]
        known = recent.known_requests(unknown) if unknown else {}
        for request_id, request in self.requests:
            before = requests.get(request_id)
            if before is None and request_id in known:
                request = join(known[request_id], request)
            if before is not None:
                request = join(before, request)
                if request == before:
                    continue
                recent._charge(before, -1)
            requests[request_id] = request
            recent._charge(request, 1)


_RULES: dict[str, Callable[[_Feeding, Event, int], object]] = {
    "start": _Feeding.on_start,
    "complete": _Feeding.on_end,
    "crash": _Feeding.on_end,
    "unknown": _Feeding.on_unknown,
    "executions": _Feeding.on_executions,
    "usages": _Feeding.on_usages,
    "activity": _Feeding.on_sign_of_life,
    "waiting": _Feeding.on_sign_of_life,
    "message": _Feeding.on_sign_of_life,
    "workflow": _Feeding.on_sign_of_life,
    "step-start": _Feeding.on_sign_of_life,
    "step-complete": _Feeding.on_sign_of_life,
    "error": _Feeding.on_error,
    "llm": _Feeding.on_llm,
}


def _none_known(_: list[str]) -> Mapping[str, Request]:
    return {}


def _copied(each: Slice) -> Slice:
    return {**each, "ledger": {key: row.copy() for key, row in each["ledger"].items()}}


def _seen(known: _Run | _Agent) -> int:
    return known.seen


def _failing(run: _Run) -> Failing | None:
    """The call that a run repeats although it fails, found out again only after further executions."""
    if run.failing_of != run.executions.added:
        run.failing_of = run.executions.added
        run.failing = worst(failures_since_success(run.executions.ordered(), run.run_id))
    return run.failing
