"""Sessions for tests: hook lines by hand, a memory of what was told, and what the fold makes of the events."""

from __future__ import annotations

from typing import Any

from pyjama_metrics.fold import fold
from pyjama_metrics.sessions.known import Spent
from pyjama_metrics.sessions.machine import Session
from pyjama_metrics.sessions.session_state import Out
from pyjama_metrics.state import State, new_state

WRITER = "claude-code-s1-77-1f"
START = 1_000_000


class Memory:
    """What was told by all sessions, in memory."""

    def __init__(self) -> None:
        self.told: set[str] = set()
        self.messages: dict[str, Spent] = {}
        self.copies: set[tuple[str, str]] = set()
        self.excess: dict[tuple[str, str], tuple[int, ...]] = {}

    def answered(self, call: str) -> bool:
        return f"c{call}" in self.told

    def answer(self, call: str) -> None:
        assert not self.answered(call), f"the outcome of {call} is told twice"
        self.told.add(f"c{call}")

    def prompted(self, message: str) -> bool:
        before = f"p{message}" in self.told
        self.told.add(f"p{message}")
        return before

    def spent(self, message: str) -> Spent | None:
        return self.messages.get(message)

    def spend(self, message: str, spent: Spent) -> None:
        self.messages[message] = spent

    def copied(self, session: str, message: str) -> None:
        self.copies.add((session, message))

    def unlisted(self, session: str, model: str, total: tuple[int, ...]) -> tuple[int, ...]:
        mine = [s.tokens for m, s in self.messages.items() if s.session == session or (session, m) in self.copies]
        listed = [sum(column) for column in zip(*mine, strict=True)] or [0] * 5
        before = self.excess.get((session, model), (0,) * 5)
        excess = tuple(max(0, all_of - own) for all_of, own in zip(total, listed, strict=True))
        self.excess[session, model] = excess
        return tuple(now - then for now, then in zip(excess, before, strict=True))


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
