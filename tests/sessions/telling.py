"""Sessions for tests: hook lines by hand, a memory of what was told, and what the fold makes of the events."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import weakref
from typing import Any

from pyjama_metrics.fold import fold
from pyjama_metrics.sessions.machine import Session
from pyjama_metrics.sessions.session_state import Out
from pyjama_metrics.state import State, new_state
from pyjama_metrics.storage.sessions import SessionsFile

WRITER = "claude-code-s1-77-1f"
START = 1_000_000


class Memory(SessionsFile):
    """What was told by all sessions, in a file of its own that is gone with it; an outcome that is told twice is noticed."""

    def __init__(self) -> None:
        place = tempfile.mkdtemp()
        super().__init__(place, fsync=False)
        self.__enter__()
        weakref.finalize(self, _let_go, self._db, place)

    def answer(self, call: str) -> None:
        assert not self.answered(call), f"the outcome of {call} is told twice"
        super().answer(call)

    @property
    def told(self) -> set[str]:
        """The names of all that was told."""
        return self._told | self._news

    @property
    def copies(self) -> set[tuple[str, str]]:
        """The answers that are in other sessions' transcripts as well."""
        return self._copies


def _let_go(database: sqlite3.Connection, place: str) -> None:
    database.close()
    shutil.rmtree(place)


class Told:
    """A session, told by hand: each line 100 ms after the one before."""

    def __init__(
        self, *, has_hooks: bool = True, session: str = "s1", source: str = "claude-code", memory: Memory | None = None
    ) -> None:
        self.memory = memory or Memory()
        self.session = Session(source, session, WRITER, has_hooks=has_hooks, agent="web-shop")
        self.state: State = new_state()
        self.requests: dict[str, Any] = {}
        self.outs: list[Out] = []
        self.now = START

    def hook(self, name: str, *, time: int | None = None, **told: Any) -> Told:
        """One hook fires."""
        self.now = self.now + 100 if time is None else time
        line = {"event": "hook", "hook": name, "session": "s1", "time": self.now, "cwd": "/home/dev/web-shop"}
        self.session.hook(line | {key.replace("_", "-"): value for key, value in told.items()}, self.memory)
        return self.folded()

    def fact(self, fact: Any, sub: str | None = None) -> Told:
        """One fact of its transcript."""
        self.session.fact(fact, sub, self.memory)
        return self.folded()

    def later(self, ms: int = 60_000) -> Told:
        """Time passes."""
        self.now += ms
        self.session.tick(self.now, self.memory)
        self.session.show_wait(self.session.shown_ms)
        return self.folded()

    def finished(self) -> Told:
        """It is over, and its transcript read."""
        self.session.finish(self.now, self.memory)
        return self.folded()

    def folded(self) -> Told:
        # Through JSON each time: what a machine knows survives the process that followed it.
        outs = self.session.take()
        self.session = Session.from_json(self.session.as_json())
        self.outs += outs
        events = [{"event": out.event, "time": out.time_ms, **out.fields} for out in outs]
        fold(self.state, f"{WRITER}.0.jsonl", events, self.requests)
        return self

    def status(self, agent: str = "web-shop") -> str:
        """The agent's status, with the reason where it waits."""
        found = self.state["agents"][agent]
        reason = found["waiting-reason"]
        return found["status"] if reason is None else f"{found['status']}: {reason}"

    def tools(self, agent: str = "web-shop") -> dict[str, tuple[int, int, int]]:
        """(ok, error, not executed or interrupted) by tool."""
        tools = self.state["agents"].get(agent, {}).get("tools", {})
        return {name: (tally["success"], tally["error"], tally["interrupted"]) for name, tally in tools.items()}


def begun() -> Told:
    """A session at its first prompt."""
    return Told().hook("SessionStart", how="startup").hook("UserPromptSubmit", turn="t1")
