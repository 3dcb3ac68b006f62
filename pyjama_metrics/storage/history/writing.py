"""What the events of a journal become in the database: the rules, within one transaction.

They are those of `pyjama_metrics.fold`, as far as the history has a place for what an event tells. What is no use is left
out here, and counted there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from pyjama_metrics.corrections import rows_in, sums_in
from pyjama_metrics.event_fields import Event, Invalid, are_names, count_of, run_name, run_told_by, time_of, usable_durations
from pyjama_metrics.events import MAX_TEXT, MAX_TIME_MS, MAX_WORD, OUTCOMES, status_class, text_of
from pyjama_metrics.storage.history.gathered import Batch, Group, Groups
from pyjama_metrics.storage.history.runs_table import Names, Run, Runs
from pyjama_metrics.storage.history.schema import MINUTE_MS
from pyjama_metrics.storage.history.sums import Executions, Usages
from pyjama_metrics.usages import Request, figures_of, owner_of, request_id_of

_NUMBERS = frozenset({int, float})


class Writing:
    """Batches on their way into the database. The transaction, and the offsets, are the caller's."""

    def __init__(self, connection: sqlite3.Connection, horizon: int) -> None:
        """Args:
        connection: in a transaction that may write.
        horizon: what is older is forgotten, and is not taken in again.
        """
        self._connection, self._horizon = connection, horizon
        self._names = Names(connection)
        self._runs = Runs(connection, self._names)
        self._executions = Executions(horizon)
        self._usages = Usages(connection, self._names, self._runs, horizon)
        self._events: list[tuple[Any, ...]] = []
        self._writer, self._line = "", 0

    def add(self, journal: str, lines: int, batch: Batch) -> None:
        """Add what a journal got.

        Args:
            journal: its name.
            lines: how many of its lines came before.
            batch: what comes next.
        """
        self._writer = journal.rsplit(".", 2)[0]
        for item in batch.items:
            if isinstance(item, dict):
                self._add_groups(item)
                continue
            self._line = lines + item.line
            rule = RULES.get(item.event.get("event"))  # type: ignore[arg-type]
            if rule is None:
                continue
            try:
                rule(self, item.event)
            except (Invalid, KeyError, TypeError):
                continue  # the fold counts it as a problem

    def save(self) -> None:
        """Write everything that was added."""
        self._usages.save()
        self._executions.save(self._connection)
        self._connection.executemany(
            "INSERT INTO events (time, agent, run, kind, tool, status, message) VALUES (?,?,?,?,?,?,?)", self._events
        )
        self._runs.save()

    # -- executions ------------------------------------------------------------------------------------------------

    def _add_groups(self, groups: Groups) -> None:
        for (agent, run_id, tool, status), group in groups.items():
            if group[0] and are_names(agent, run_id, tool, status):
                self._add_group(text_of(agent), run_id, text_of(tool), status_class(status), group)

    def _add_group(self, agent: str, run_id: str | None, tool: str, kind: str, group: Group) -> None:
        times, durations = _usable(group)
        if not times:
            return
        who, what = self._names.number(agent), self._names.number(tool)
        for minute, count, measured in _by_minute(times, durations):
            self._executions.add(minute, who, what, kind, count, measured)
        run = self._run_of(agent, run_id)
        if run is not None:
            self._executions.add_to_run(run.number, what, kind, len(times), [each for each in durations if each is not None])
            run.tally[kind] += len(times)
            run.seen(int(max(times)))

    # -- everything else -------------------------------------------------------------------------------------------

    def _seen(self, event: Event) -> tuple[str, int]:
        time = time_of(event["time"])
        if not isinstance(event["agent"], str):
            raise Invalid("the agent is no text")
        return text_of(event["agent"]), time

    def _run_of(self, agent: str, run_id: object) -> Run | None:
        name = run_told_by(run_id, self._writer, () if run_id is not None else self._runs.started(agent, self._writer))
        return None if name is None else self._runs.run(agent, name)

    def on_start(self, event: Event) -> None:
        """A run began."""
        agent, time = self._seen(event)
        name = run_told_by(event["run"], self._writer, ())
        if name is None:
            raise Invalid("a start without a run")
        if self._runs.run(agent, name).start(time, event):
            self._tell(event, agent, "start", run=name, status="running")

    def on_complete(self, event: Event) -> None:
        """A run said how it ended."""
        outcome = event.get("status", "completed")
        self._end(event, outcome if outcome in OUTCOMES else "failed", event.get("error"))

    def on_crash(self, event: Event) -> None:
        """Somebody found that a run ended without a word."""
        self._end(event, "crashed", None)

    def _end(self, event: Event, outcome: str, error: object) -> None:
        agent, time = self._seen(event)
        run = self._run_of(agent, event.get("run")) or self._runs.run(agent, f"{self._writer}.line{self._line}")
        message = None if error is None else text_of(error, MAX_TEXT)
        run.end(outcome, time, message)
        self._tell(event, agent, event["event"], run=run.name, status=outcome, message=message)

    def on_llm(self, event: Event) -> None:
        """A model call."""
        figures, request_id = figures_of(event), request_id_of(event)
        agent, time = self._seen(event)
        run = self._run_of(agent, event.get("run"))
        if run is not None:
            run.seen(time)
        if figures is not None:
            self._usages.add(Request(owner_of(event, time, None if run is None else run.name), figures), request_id)

    def on_correction(self, event: Event) -> None:
        """A person said what a run really used."""
        rows, time, agent = rows_in(event), time_of(event["time"]), text_of(event["agent"])
        run = self._runs.run(agent, run_name(event["run"]))
        reason = text_of(event.get("reason"), MAX_TEXT)
        for row in rows:
            self._usages.add_row(row, agent, run)
        self._usages.keep_correction(time, run, reason, rows)
        self._tell(event, agent, "correction", status="ok", message=reason)

    def on_usages(self, event: Event) -> None:
        """The sums of several model calls of one run."""
        rows = sums_in(event)
        agent, time = self._seen(event)
        run = self._runs.run(agent, run_name(event["run"]))
        run.seen(time)
        for row in rows:
            self._usages.add_row(row, agent, run)

    def on_sign_of_life(self, event: Event) -> None:
        """Something that is not kept, but tells that the run was there."""
        agent, time = self._seen(event)
        run = self._run_of(agent, event.get("run"))
        if run is not None:
            run.seen(time)

    def on_message(self, event: Event) -> None:
        """One message was exchanged, or several."""
        agent, time = self._seen(event)
        role, count = text_of(event.get("role"), MAX_WORD), count_of(event.get("count", 1))
        run = self._run_of(agent, event.get("run"))
        if run is not None:
            run.seen(time)
            if role in run.messages:
                run.messages[role] += count

    def on_told(self, event: Event) -> None:
        """Something that people want to read of."""
        self.on_sign_of_life(event)
        if not event.get("log", True):
            return
        message = event.get("message", event.get("reason"))
        kind = event["event"]
        status = {"waiting": "waiting", "error": "error"}.get(kind) or text_of(event.get("status", "ok"), 64)
        self._tell(event, text_of(event["agent"]), kind, status=status, message=message)

    def on_tool(self, event: Event) -> None:
        """An execution that asks to be in the log; it is counted in its group."""
        agent, _ = self._seen(event)
        self._tell(event, agent, "tool", status=text_of(event.get("status", "ok"), 64), message=event.get("error"))

    def _tell(self, event: Event, agent: str, kind: str, *, status: str, run: object = None, message: object = None) -> None:
        time = time_of(event["time"])
        if time < self._horizon:
            return
        run = event.get("run") if run is None else run
        tool = event.get("tool")
        self._events.append(
            (
                time,
                self._names.number(agent),
                None if run is None else text_of(run),
                kind,
                0 if tool is None else self._names.number(text_of(tool)),
                status,
                None if message is None else text_of(message, MAX_TEXT),
            )
        )


RULES: dict[str, Callable[[Writing, Event], None]] = {
    "start": Writing.on_start,
    "complete": Writing.on_complete,
    "crash": Writing.on_crash,
    "llm": Writing.on_llm,
    "correction": Writing.on_correction,
    "usages": Writing.on_usages,
    "tool": Writing.on_tool,
    "activity": Writing.on_told,
    "waiting": Writing.on_told,
    "error": Writing.on_told,
    "message": Writing.on_message,
    "workflow": Writing.on_sign_of_life,
    "step-start": Writing.on_sign_of_life,
    "step-complete": Writing.on_sign_of_life,
}


def _usable(group: Group) -> tuple[list[float], list[float | None]]:
    """The times of those executions that have one, and their durations; None for one that is no measurement."""
    times, durations = group
    measured = [each for each in durations if each is not None]
    fine = usable_durations(measured)
    if len(fine) < len(measured):
        durations = [each if each is not None and usable_durations([each]) else None for each in durations]
    if _NUMBERS.issuperset(map(type, times)) and min(times) >= 0 and max(times) <= MAX_TIME_MS:
        return times, durations
    pairs = [
        (time, each) for time, each in zip(times, durations, strict=True) if type(time) in _NUMBERS and 0 <= time <= MAX_TIME_MS
    ]
    return [time for time, _ in pairs], [each for _, each in pairs]


def _by_minute(times: list[float], durations: list[float | None]) -> list[tuple[int, int, list[float]]]:
    """(minute, executions, durations that were measured), nearly always of one minute only."""
    first, last = int(min(times)) // MINUTE_MS, int(max(times)) // MINUTE_MS
    if first == last:
        return [(first, len(times), [each for each in durations if each is not None])]
    found: dict[int, tuple[int, list[float]]] = {}
    for time, each in zip(times, durations, strict=True):
        minute = int(time) // MINUTE_MS
        count, measured = found.get(minute, (0, []))
        if each is not None:
            measured.append(each)
        found[minute] = count + 1, measured
    return [(minute, *rest) for minute, rest in found.items()]
