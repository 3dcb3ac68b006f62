"""The fold: journal events into state, without a clock, a file or a price.

Laws, kept by property tests: journals may be folded in any order, and each in any pieces, and the state is the same. They
hold because everything in the state is a sum of integers, a maximum or minimum under a total order, or a function of those;
nothing says "whatever came last". The one thing that goes by order is what one journal itself orders: an event without a
run belongs to the open run of its agent that the same writer started latest. (For that the journal of a writer has to be read
in order, and the run to be ended by the writer that owns it.)

Tool executions, nearly all of the events, are gathered by (agent, run, tool, status) first and added in groups: the rules
then cost per group, not per event.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from pyjama_metrics import histogram, ledger_rows, origins, roll_ups
from pyjama_metrics.corrections import rows_in, sums_in
from pyjama_metrics.event_fields import (
    ORIGIN,
    Event,
    Invalid,
    are_names,
    count_of,
    origin_of,
    run_name,
    run_told_by,
    session_fields,
    time_of,
    times_of,
    usable_durations,
)
from pyjama_metrics.events import MAX_STEPS, MAX_TEXT, MAX_TIME_MS, MAX_WORD, OUTCOMES, encode, status_class, text_of
from pyjama_metrics.state import (
    RUN_TOOL,
    Agent,
    Run,
    State,
    Step,
    Tally,
    Usage,
    new_agent,
    new_run,
    new_step,
    new_tool_tally,
    new_usage,
)
from pyjama_metrics.state_fields import LARGEST
from pyjama_metrics.statuses import end_order, settle
from pyjama_metrics.usages import REPORTED, Charge, Request, amounts_of, charge_of, figures_of, join, owner_of, request_id_of

LOG_ENTRIES = 100
"""Entries kept in ``recent-logs``."""
_PLACES = {kind: place for place, kind in enumerate(RUN_TOOL)}


class Requests(Protocol):
    """The model calls that the state counts, by their request ids."""

    def get(self, request_id: str, /) -> Request | None:
        """What is known of a call; None where nothing is."""

    def __setitem__(self, request_id: str, request: Request, /) -> None:
        """Know that of a call from now on."""


def fold(state: State, journal: str, events: Sequence[Event | None], requests: Requests) -> None:
    """Add the next ``events`` of one journal to ``state``, in place.

    Args:
        state: as :func:`pyjama_metrics.state.new_state` makes it. It is changed; if this raises it must be thrown away.
        journal: name of the journal file, ``<writer>.<segment>.jsonl``.
        events: its lines in order, parsed; ``None`` stands for a line that is not a JSON object. The caller moves the
            byte offset; the number of lines is counted here, as it numbers the log entries.
        requests: those that ``state`` counts. It is changed with the state, and is to be thrown away with it. Only a model call
            that has a request id makes use of it.
    """
    _Folding(state, journal, requests).run(events)


def lose_sight(state: State, agent_id: str, run_id: str, time_ms: int) -> None:
    """Mark an open run as ``unknown``: its journal is gone, so nobody can tell any more. A later event of it undoes that.

    Args:
        state: changed in place.
        agent_id: an agent in ``state``.
        run_id: an open run of it.
        time_ms: when that was found, in milliseconds since the epoch.
    """
    agent = state["agents"][agent_id]
    run = agent["runs"][run_id]
    run["unknown-since"] = max(time_ms, run["last-seen"] + 1)
    settle(agent)


class _Group:
    """The executions of one tool by one run with one status, as gathered from a batch."""

    __slots__ = ("durations", "times", "undated")

    def __init__(self) -> None:
        self.times: list[float] = []
        self.undated = 0
        self.durations: list[float] = []


class _Folding:
    """One call of :func:`fold`: the state, the place in the journal, and what is gathered but not yet added."""

    def __init__(self, state: State, journal: str, requests: Requests) -> None:
        self.state, self.journal, self.requests = state, journal, requests
        self.writer = journal.rsplit(".", 2)[0]
        self.position = state["journals"].setdefault(journal, {"offset": 0, "lines": 0})
        self.line = self.position["lines"]
        self.groups: dict[tuple[Any, Any, Any, Any], _Group] = {}
        self.times: dict[str, list[float]] = {}
        self.charges: dict[Charge, list[int]] = {}
        self.touched: dict[str, Agent] = {}
        self.logs: list[dict[str, Any]] = []

    def run(self, events: Sequence[Event | None]) -> None:
        groups = self.groups
        for event in events:
            self.line += 1
            if event is None:
                self.problem("malformed-lines")
                continue
            if event.get("event") == "tool":
                try:
                    key = (event["agent"], event.get("run"), event["tool"], event.get("status", "ok"))
                    group = groups.get(key)
                    if group is None:
                        group = groups[key] = _Group()
                    time = event["time"]
                    if 0 <= time <= MAX_TIME_MS:
                        group.times.append(time)
                    else:
                        group.undated += 1
                        self.problem("invalid-values")
                    duration = event.get("duration-ms")
                    if duration is not None:
                        group.durations.append(duration)
                    if "log" in event or "error" in event or "invalid" in event:
                        self.tool_extras(event)
                except (KeyError, TypeError, Invalid):  # a field is missing, unhashable or not a number
                    self.problem("invalid-values")
            else:
                self.other(event)
        self.add_groups()
        self.finish()

    def problem(self, kind: str, count: int = 1) -> None:
        problems = self.state["problems"]
        problems[kind] = problems.get(kind, 0) + count

    # -- tool executions -------------------------------------------------------------------------------------------

    def tool_extras(self, event: Event) -> None:
        if event.get("invalid"):
            self.problem("invalid-values")
        if event.get("log"):
            status = event.get("status", "ok")
            self.log(event, event["agent"], "tool", tool=event["tool"], status=status, message=event.get("error"))
        if event.get("error"):
            self.note_error(self.agent(event["agent"]), time_of(event["time"]), event["error"])

    def add_groups(self) -> None:
        for (agent_id, run_id, tool, status), group in self.groups.items():
            count = len(group.times) + group.undated
            if not count or not are_names(agent_id, run_id, tool, status):
                self.problem("invalid-values", count)
                continue
            self.add_group(self.agent(agent_id), run_id, text_of(tool), status_class(status), group)
        self.groups.clear()

    def add_group(self, agent: Agent, run_id: Any, tool: str, kind: str, group: _Group) -> None:
        usable = usable_durations(group.durations)
        if len(usable) < len(group.durations):
            self.problem("invalid-values", len(group.durations) - len(usable))
        batch = histogram.empty()
        histogram.add_many(batch, usable)
        count = len(group.times) + group.undated
        latest = int(max(group.times)) if group.times else 0
        tools, own = self.state["tools"], agent["tools"]
        if tool not in tools:
            tools[tool] = new_tool_tally()
        if tool not in own:
            own[tool] = new_tool_tally()
        for tool_tally in (self.state["global"], tools[tool], own[tool]):
            histogram.merge(tool_tally["histogram"], batch)
            _add(tool_tally, kind, count, latest, batch)
        _add(agent, kind, count, latest, batch)
        self.times.setdefault(kind, []).extend(group.times)
        self.note_tool(agent, latest, tool)
        run = self.run_of(agent, run_id)
        if run is not None:
            _add(run["tally"], kind, count, latest, batch)
            run["last-seen"] = max(run["last-seen"], latest)
            counts = run["tools"].get(tool)
            if counts is None:
                counts = run["tools"][tool] = [0, 0, 0]
            counts[_PLACES[kind]] += count
            if run["histogram"] is not None:
                histogram.merge(run["histogram"], batch)
            elif batch["n"]:
                run["histogram"] = batch  # nobody else keeps it

    def note_tool(self, agent: Agent, time: int, tool: str) -> None:
        if (time, tool) > (agent["current-tool-time"], agent["current-tool"] or ""):
            agent["current-tool-time"], agent["current-tool"] = time, tool

    def on_executions(self, event: Event) -> None:
        """Several executions of one tool by one run, as whoever reads an old transcript tells them."""
        key = (event["agent"], run_name(event["run"]), event["tool"], event.get("status", "ok"))
        if not are_names(*key):
            raise Invalid(f"executions of {key!r:.80}")
        self.groups.setdefault(key, _Group()).times.extend(times_of(event["times"]))

    # -- everything else -------------------------------------------------------------------------------------------

    def other(self, event: Event) -> None:
        try:
            kind = event["event"]
            rule = RULES.get(kind)
            if rule is None:
                self.problem("unknown-events")
                return
            if event.get("invalid"):
                self.problem("invalid-values")
            rule(self, event)
        except (Invalid, KeyError, TypeError):
            self.problem("invalid-values")

    def on_writer(self, event: Event) -> None:
        """The header of a segment says who writes; it changes no figure."""

    def on_hook(self, event: Event) -> None:
        """What another program's hook told; whoever follows its sessions makes events of it, and they change the figures."""

    def on_lost(self, event: Event) -> None:
        self.problem("lost-events", count_of(event["count"]))

    def on_start(self, event: Event) -> None:
        agent, time = self.seen(event)
        self.add_groups()  # what this journal recorded before belongs to the run that was open then
        run_id = run_name(event["run"])
        run = _known_run(agent, run_id)
        if run["start-time"] is None:
            run["start-time"] = time
            self.count_run(agent, "started")
            run["origin"] = origin_of(event)
            run["last-seen"] = max(run["last-seen"], time)
            self.log(event, event["agent"], "start", status="running", run=run_id)
        latest = agent["runs"].get(agent["latest-run"] or "")
        if latest is None or (time, run_id) >= (latest["start-time"] or 0, agent["latest-run"] or ""):
            agent["latest-run"] = run_id
            agent["start-time"] = run["start-time"]
            for key in ORIGIN:
                cast(dict[str, Any], agent)[key] = run["origin"].get(key)

    def on_complete(self, event: Event) -> None:
        outcome = event.get("status", "completed")
        self.end(event, outcome if outcome in OUTCOMES else "failed", event.get("error"), "complete")

    def on_crash(self, event: Event) -> None:
        self.end(event, "crashed", None, "crash")

    def end(self, event: Event, outcome: str, error: object, name: str) -> None:
        agent, time = self.seen(event, alive=outcome != "crashed")
        self.add_groups()
        run_id = self.run_id_of(agent, event.get("run")) or f"{self.writer}.line{self.line}"
        run = _known_run(agent, run_id)
        message = None if error is None else text_of(error, MAX_TEXT)
        run["last-seen"] = max(run["last-seen"], time)
        self.log(event, event["agent"], name, status=outcome, run=run_id, message=message)
        before = run["outcome"]
        if before is not None:
            if end_order(outcome, time, message) >= end_order(before, run["end-time"] or 0, run["outcome-error"]):
                return
            self.count_run(agent, before, -1)
        self.count_run(agent, outcome)
        run["outcome"], run["end-time"], run["outcome-error"] = outcome, time, message

    def count_run(self, agent: Agent, what: str, step: int = 1) -> None:
        for counts in (cast(dict[str, int], self.state["runs"]), cast(dict[str, int], agent["run-counts"])):
            counts[what] += step

    def on_activity(self, event: Event) -> None:
        agent, time = self.seen(event)
        tool = event.get("tool")
        if tool is not None:
            self.note_tool(agent, time, text_of(tool))
        self.touch_run(agent, event, time)
        if event.get("log", True):
            self.log(event, event["agent"], "activity", tool=tool, status=event.get("status", "ok"))

    def on_waiting(self, event: Event) -> None:
        agent, time = self.seen(event)
        run = self.touch_run(agent, event, time)
        reason = text_of(event.get("reason"), MAX_TEXT)
        if run is not None and (time, reason) > (_or_never(run["waiting-since"]), run["waiting-reason"] or ""):
            run["waiting-since"], run["waiting-reason"] = time, reason
        if event.get("log", True):
            self.log(event, event["agent"], "waiting", status="waiting", message=reason)

    def on_session(self, event: Event) -> None:
        """What a run's session tells about itself: of each field, the latest holds."""
        agent, time = self.seen(event, alive=False)
        run = self.run_of(agent, event.get("run"))
        if run is not None:
            for name, value in session_fields(event):
                before = run["session"].get(name)
                if before is None or (time, encode(value)) > (before[0], encode(before[1])):
                    run["session"][name] = [time, value]

    def on_unknown(self, event: Event) -> None:
        agent, time = self.seen(event, alive=False)
        run = self.run_of(agent, event.get("run"))
        if run is not None:
            run["unknown-since"] = max(run["unknown-since"] or 0, time)

    def on_message(self, event: Event) -> None:
        agent, time = self.seen(event)
        run = self.touch_run(agent, event, time)
        role, count = text_of(event.get("role"), MAX_WORD), count_of(event.get("count", 1))
        for counts in (agent["messages"], self.state["messages"], *(() if run is None else (run["messages"],))):
            counts[role] = min(LARGEST, counts.get(role, 0) + count)

    def on_error(self, event: Event) -> None:
        agent, time = self.seen(event)
        self.touch_run(agent, event, time)
        message = text_of(event.get("message"), MAX_TEXT)
        self.note_error(agent, time, message)
        self.log(event, event["agent"], "error", status="error", message=message)

    def note_error(self, agent: Agent, time: int, message: object) -> None:
        text = text_of(message, MAX_TEXT)
        agent["errors"] += 1
        self.state["errors"] += 1
        last = agent["last-error"]
        if last is None or (time, text) > (last["time"], last["message"]):
            agent["last-error"] = {"time": time, "message": text}

    def on_llm(self, event: Event) -> None:
        figures, request_id = figures_of(event), request_id_of(event)
        agent, time = self.seen(event)
        run_id = self.run_id_of(agent, event.get("run"))
        if run_id is not None:
            run = _known_run(agent, run_id)
            run["last-seen"] = max(run["last-seen"], time)
        if figures is None:
            return
        request = Request(owner_of(event, time, run_id), figures)
        if request_id is not None:
            before = self.requests.get(request_id)
            if before is not None:
                request = join(before, request)
                if request == before:
                    return
                self.charge(before, -1)
            self.requests[request_id] = request
        self.charge(request, 1)

    def on_correction(self, event: Event) -> None:
        rows, run_id, agent_id = rows_in(event), run_name(event["run"]), text_of(event["agent"])
        time_of(event["time"])
        if agent_id in self.state["agents"]:
            self.agent(agent_id)  # its figures change; it was not there itself, so it was not seen
        for row in rows:
            minute = row.time_ms - row.time_ms % roll_ups.MINUTE_MS
            self.add(Charge(agent_id, minute, row.band, row.kind, row.model, row.phase, row.tool, run_id), row.amounts, 1)
        self.log(event, agent_id, "correction", status="ok", run=run_id, message=event.get("reason"))

    def on_usages(self, event: Event) -> None:
        """The sums of several model calls of one run, none of which is told by anybody else."""
        rows, run_id = sums_in(event), run_name(event["run"])
        agent, time = self.seen(event)
        run = _known_run(agent, run_id)
        run["last-seen"] = max(run["last-seen"], time)
        for row in rows:
            minute = row.time_ms - row.time_ms % roll_ups.MINUTE_MS
            charge = Charge(text_of(event["agent"]), minute, row.band, row.kind, row.model, row.phase, row.tool, run_id)
            self.add(charge, row.amounts, 1)

    def charge(self, request: Request, sign: int) -> None:
        self.add(charge_of(request), amounts_of(request), sign)

    def add(self, charge: Charge, amounts: Sequence[int], sign: int) -> None:
        before = self.charges.get(charge)
        if before is None:
            self.charges[charge] = [sign * amount for amount in amounts]
        else:
            before[:] = [one + sign * amount for one, amount in zip(before, amounts, strict=True)]

    def on_workflow(self, event: Event) -> None:
        agent, time = self.seen(event)
        run = self.touch_run(agent, event, time)
        names = event["steps"]
        if not isinstance(names, list):
            raise Invalid("steps is not a list")
        if run is not None:
            for index, name in enumerate(names[:MAX_STEPS]):
                self.step(run, text_of(name), index)

    def on_step_start(self, event: Event) -> None:
        agent, time = self.seen(event)
        run = self.touch_run(agent, event, time)
        step = self.step(run, text_of(event["step"])) if run is not None else None
        if step is not None:
            step["attempts"] += 1
            step["started"] = max(step["started"] or 0, time)

    def on_step_complete(self, event: Event) -> None:
        agent, time = self.seen(event)
        run = self.touch_run(agent, event, time)
        step = self.step(run, text_of(event["step"])) if run is not None else None
        status = text_of(event.get("status", "ok"), MAX_WORD)
        if step is not None and (time, status) >= (step["ended"] or 0, step["outcome"] or ""):
            step["ended"], step["outcome"] = time, status

    def step(self, run: Run, name: str, index: int | None = None) -> Step | None:
        """The run's step of that name, made if there is room; a workflow gives it its place in the row."""
        step = next((step for step in run["steps"] if step["id"] == name), None)
        if step is None:
            if len(run["steps"]) >= MAX_STEPS:
                return None
            step = new_step(name)
            run["steps"].append(step)
        if index is not None:
            step["index"] = index if step["index"] is None else min(index, step["index"])
        return step

    # -- agents and runs -------------------------------------------------------------------------------------------

    def agent(self, agent_id: Any) -> Agent:
        """The agent of that name, made if it is new; its status is worked out again when the batch ends."""
        agent = self.touched.get(agent_id)
        if agent is None:
            if not isinstance(agent_id, str):
                raise Invalid(f"agent {agent_id!r}")
            name = text_of(agent_id)
            agents = self.state["agents"]
            if name not in agents:
                agents[name] = new_agent()
            agent = self.touched[agent_id] = agents[name]
        return agent

    def seen(self, event: Event, *, alive: bool = True) -> tuple[Agent, int]:
        """The event's agent and time; the agent was seen then, unless somebody else tells of it."""
        time = time_of(event["time"])
        agent = self.agent(event["agent"])
        if alive:
            agent["last-seen"] = max(agent["last-seen"], time)
        return agent, time

    def touch_run(self, agent: Agent, event: Event, time: int) -> Run | None:
        run = self.run_of(agent, event.get("run"))
        if run is not None:
            run["last-seen"] = max(run["last-seen"], time)
        return run

    def run_id_of(self, agent: Agent, run_id: object) -> str | None:
        started = ((run["start-time"], name) for name, run in agent["runs"].items() if run["outcome"] is None)
        return run_told_by(run_id, self.writer, started)

    def run_of(self, agent: Agent, run_id: Any) -> Run | None:
        found = self.run_id_of(agent, run_id)
        return None if found is None else _known_run(agent, found)

    # -- the end of a batch ----------------------------------------------------------------------------------------

    def log(self, event: Event, agent_id: object, name: str, **fields: object) -> None:
        entry: dict[str, Any] = {"timestamp": time_of(event["time"]), "agent-id": text_of(agent_id), "event": name}
        entry |= {key: text_of(value, MAX_TEXT) for key, value in fields.items() if value is not None}
        if "run" not in entry and event.get("run") is not None:
            entry["run"] = text_of(event["run"])
        entry["id"] = f"{self.journal}:{self.line}"
        self.logs.append(entry)

    def finish(self) -> None:
        self.position["lines"] = self.line
        # Here and not where a call is read: a row of the state that is not what it should be must raise, not count as an event
        # that is no use.
        self.roll_up()
        # What is added first: sums never come below nothing, also not on the way.
        for charge, amounts in sorted(self.charges.items(), key=lambda each: min(each[1]) < 0):
            if any(amounts):
                self.add_charge(charge, amounts)
        if self.logs:
            logs = self.state["recent-logs"] + self.logs
            logs.sort(key=_log_order)
            self.state["recent-logs"] = logs[-LOG_ENTRIES:]
        for agent in self.touched.values():
            settle(agent)

    def add_charge(self, charge: Charge, amounts: list[int]) -> None:
        state, is_reported = self.state, charge.kind == REPORTED
        key = ledger_rows.RowKey(charge.day, *charge[2:7])
        # An agent that was let go is only in the figures of all.
        agent = state["agents"].get(charge.agent)
        for part in (state,) if agent is None else (state, agent):
            _add_usage(part["tokens"], amounts, is_reported)
            _add_to_row(part["models"], charge.model, amounts, is_reported)
            if charge.phase:
                _add_to_row(part["phases"], charge.phase, amounts, is_reported)
            day = key.day if key.day >= part["ledger-from"] else 0
            ledger_rows.add(part["ledger"], key._replace(day=day), amounts)
        run = None if agent is None else agent["runs"].get(charge.run)
        origins.charge(state, run, key, amounts)
        series, key = state["roll-ups"], ledger_rows.RowKey(0, charge.band, charge.kind, charge.model)
        # In which minute of its quarter a corrected call was, nobody knows any more.
        is_correction, time_ms = key.is_correction, charge.minute_ms
        for target in (roll_ups.quarter_at(series, time_ms),) if is_correction else roll_ups.at(series, time_ms):
            roll_ups.add_requests(target, key, amounts, is_reported=is_reported)
        if amounts[ledger_rows.REQUESTS] < 0 and not is_correction:
            roll_ups.drop_empty(series, charge.minute_ms)

    def roll_up(self) -> None:
        series = self.state["roll-ups"]
        for kind, times in self.times.items():
            times.sort()  # nearly in order as they are, and mostly of one minute
            start = 0
            while start < len(times):
                begin = int(times[start]) // roll_ups.MINUTE_MS * roll_ups.MINUTE_MS
                end = bisect_left(times, begin + roll_ups.MINUTE_MS, start)
                for target in roll_ups.at(series, begin):
                    roll_ups.add_executions(target, kind, end - start)
                start = end


RULES: dict[str, Callable[[_Folding, Event], None]] = {
    "writer": _Folding.on_writer,
    "hook": _Folding.on_hook,
    "lost": _Folding.on_lost,
    "start": _Folding.on_start,
    "complete": _Folding.on_complete,
    "crash": _Folding.on_crash,
    "activity": _Folding.on_activity,
    "waiting": _Folding.on_waiting,
    "session": _Folding.on_session,
    "unknown": _Folding.on_unknown,
    "message": _Folding.on_message,
    "error": _Folding.on_error,
    "llm": _Folding.on_llm,
    "correction": _Folding.on_correction,
    "executions": _Folding.on_executions,
    "usages": _Folding.on_usages,
    "workflow": _Folding.on_workflow,
    "step-start": _Folding.on_step_start,
    "step-complete": _Folding.on_step_complete,
}


def _known_run(agent: Agent, run_id: str) -> Run:
    run = agent["runs"].get(run_id)
    if run is None:
        run = agent["runs"][run_id] = new_run()
    return run


def _add(tally: Tally | Agent, kind: str, count: int, latest: int, batch: histogram.Histogram) -> None:
    tally[kind] += count  # type: ignore[literal-required]
    if kind != "interrupted":
        tally["count"] += count
    if batch["n"]:
        tally["timed"] += batch["n"]
        total = tally["total-us"] + batch["sum-us"]
        # Once at the limit it stays there, whatever comes in which order.
        tally["total-us"] = total if total < histogram.LARGEST_SUM_US else histogram.LARGEST_SUM_US
        tally["total-duration"] = tally["total-us"] / 1000
    if latest > tally["last-seen"]:
        tally["last-seen"] = latest


def _add_to_row(rows: dict[str, Usage], name: str, amounts: Sequence[int], is_reported: bool) -> None:
    row = rows.setdefault(name, new_usage())
    _add_usage(row, amounts, is_reported)
    if not any(row.values()):
        del rows[name]  # its calls were charged elsewhere since


def _add_usage(usage: Usage, amounts: Sequence[int], is_reported: bool) -> None:
    sums = cast(dict[str, int], usage)
    for column, amount in zip(ledger_rows.COLUMNS, amounts, strict=True):
        if amount:
            sums[column] = min(LARGEST, max(0, sums[column] + amount))
    if is_reported:
        sums["priced-requests"] = min(LARGEST, max(0, sums["priced-requests"] + amounts[ledger_rows.REQUESTS]))


def _or_never(time: int | None) -> int:
    return -1 if time is None else time


def _log_order(entry: dict[str, Any]) -> tuple[int, str, int]:
    journal, _, line = entry["id"].rpartition(":")
    return entry["timestamp"], journal, int(line)
