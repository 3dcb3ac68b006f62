"""The runs and the texts of the database, as one transaction sees and changes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from pyjama_metrics.event_fields import label_of, origin_of, project_of, told_of
from pyjama_metrics.events import owner_of
from pyjama_metrics.statuses import end_order


class Names:
    """Texts by number, made where they are new. 0 is no text."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        """The number of a text."""
        if text is None or text == "":
            return 0
        found = self._known.get(text)
        if found is None:
            row = self._connection.execute("SELECT id FROM names WHERE text = ?", (text,)).fetchone()
            if row is None:
                row = (self._connection.execute("INSERT INTO names (text) VALUES (?)", (text,)).lastrowid,)
            found = self._known[text] = int(row[0] or 0)
        return found


class Run:
    """A run as it is in the database, and what this transaction adds to it."""

    __slots__ = (
        *("agent", "ended", "error", "is_open", "last_seen", "messages", "name", "number", "origin", "outcome", "started"),
        "tally",
    )

    def __init__(self, number: int, name: str, agent: str) -> None:
        self.number, self.name, self.agent = number, name, agent
        self.started: int | None = None
        self.ended: int | None = None
        self.outcome: str | None = None
        self.error: str | None = None
        self.last_seen = 0
        self.origin: dict[str, Any] | None = None
        self.tally = {"success": 0, "error": 0, "interrupted": 0}
        self.messages = {"user": 0, "assistant": 0}

    def seen(self, time: int) -> None:
        """Something of it happened then."""
        self.last_seen = max(self.last_seen, time)

    def start(self, time: int, event: dict[str, Any]) -> bool:
        """It began; whether that is news."""
        if self.started is not None:
            return False
        self.started, self.origin = time, origin_of(event)
        self.seen(time)
        return True

    def end(self, outcome: str, time: int, error: str | None) -> None:
        """Somebody says that it ended."""
        self.seen(time)
        if self.outcome is None or end_order(outcome, time, error) < end_order(self.outcome, self.ended or 0, self.error):
            self.outcome, self.ended, self.error = outcome, time, error


class Runs:
    """The runs that one transaction meets. Use `save` before it ends."""

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        self._connection, self._names = connection, names
        self._met: dict[tuple[str, str], Run] = {}
        self._listed: set[tuple[str, str]] = set()

    def run(self, agent: str, name: str) -> Run:
        """An agent's run, made where it is new."""
        found = self._met.get((agent, name))
        if found is not None:
            return found
        number = self._names.number(agent)
        row = self._connection.execute(
            "SELECT id, started, ended, outcome, error, last_seen FROM runs WHERE run = ? AND agent = ?", (name, number)
        ).fetchone()
        if row is None:
            made = self._connection.execute(
                "INSERT INTO runs (run, agent, last_seen, success, errors, interrupted, user_messages, assistant_messages)"
                " VALUES (?, ?, 0, 0, 0, 0, 0, 0)",
                (name, number),
            )
            row = (made.lastrowid, None, None, None, None, 0)
        found = self._met[agent, name] = Run(row[0], name, agent)
        found.started, found.ended, found.outcome, found.error, found.last_seen = row[1:]
        return found

    def started(self, agent: str, writer: str) -> Iterator[tuple[int | None, str]]:
        """The open runs of an agent that a writer owns, with their starts."""
        if (agent, writer) not in self._listed:
            self._listed.add((agent, writer))
            # "/" follows "." in ASCII: all names that begin with the writer's and a dot.
            rows = self._connection.execute(
                "SELECT run FROM runs WHERE run > ? AND run < ? AND agent = ? AND outcome IS NULL",
                (f"{writer}.", f"{writer}/", self._names.number(agent)),
            ).fetchall()
            for (name,) in rows:
                self.run(agent, name)
        for (of_agent, name), run in self._met.items():
            if of_agent == agent and run.outcome is None and owner_of(name) == writer:
                yield run.started, name

    def save(self) -> None:
        """Write what changed."""
        self._connection.executemany(
            "UPDATE runs SET started = ?, ended = ?, outcome = ?, error = ?, last_seen = ?, success = success + ?,"
            " errors = errors + ?, interrupted = interrupted + ?, user_messages = user_messages + ?,"
            " assistant_messages = assistant_messages + ? WHERE id = ?",
            [
                (
                    *(run.started, run.ended, run.outcome, run.error, run.last_seen),
                    *(*run.tally.values(), *run.messages.values(), run.number),
                )
                for run in self._met.values()
            ],
        )
        self._connection.executemany(
            "UPDATE runs SET parent = ?, parent_agent = ?, source = ?, project = ?, label = ?, task = ?, host = ?,"
            " session = ?, subagent = ? WHERE id = ?",
            [(*self._origin(run.origin), run.number) for run in self._met.values() if run.origin is not None],
        )

    def _origin(self, origin: dict[str, Any]) -> tuple[object, ...]:
        spec = origin.get("spec")
        task = told_of(origin, "task")
        if task is None and isinstance(spec, str):
            task = spec
        project = self._names.number(project_of(origin))
        parent, parent_agent, source, host = (origin.get(key) for key in ("parent", "parent-agent", "source", "host"))
        told = told_of(origin, "label"), task, host, label_of(origin, "session"), label_of(origin, "subagent")
        return parent, parent_agent, source, project, *told
