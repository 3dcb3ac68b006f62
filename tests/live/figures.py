"""What the hub says of a session, in the form of the truth (`tests.live.model.Truth`)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyjama_metrics.hub import Hub
from pyjama_metrics.ledger_rows import parsed
from pyjama_metrics.sessions.follower import Follower
from tests.live.scripts import Tokens
from tests.waiting import wait_until

A_MINUTE = 60.0


@dataclass
class Figures:
    """The sum over some runs."""

    statuses: dict[str, str] = field(default_factory=dict)
    """Of each agent."""
    tokens: dict[str, Tokens] = field(default_factory=dict)
    """By model."""
    calls: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """(done, failed, not executed) by tool."""
    calls_of: dict[str, dict[str, tuple[int, int, int]]] = field(default_factory=dict)
    """The same of each agent that made any."""
    prompts: int = 0
    answers: int = 0
    runs: dict[str, int] = field(default_factory=dict)
    """How many each agent had."""
    errors: list[str] = field(default_factory=list)
    """The last one of each agent."""
    sessions: dict[str, dict[str, Tokens]] = field(default_factory=dict)
    """The tokens once more, by session."""


def now(hub: Path) -> Figures:
    """What whoever asks now is told."""
    return of_state(Hub(str(hub)).read())


def a_minute_later(hub: Path) -> Figures:
    """What whoever asks in a minute is told: nothing may come late any more, and everything has been read."""
    follower = Follower(str(hub), clock=lambda: time.time() + A_MINUTE)
    wait_until(lambda: follower.advance() or _raise(follower), what="the end of what is to be read")
    return now(hub)


def without_us(hub: Path) -> Figures:
    """What is in the file: nothing is done to bring it up to date."""
    return of_state(Hub(str(hub)).read(fresh=False))


def _raise(follower: Follower) -> bool:
    if follower.trouble is not None:
        raise follower.trouble
    return False


def of_state(state: Any) -> Figures:
    """The figures of all agents of a state."""
    made = Figures(calls={tool: _outcomes(tally) for tool, tally in state["tools"].items()})
    made.tokens = {model: _tokens(used) for model, used in state["models"].items()}
    for name, agent in state["agents"].items():
        made.statuses[name] = agent["status"] + (f": {agent['waiting-reason']}" if agent["waiting-reason"] else "")
        if agent["tools"]:
            made.calls_of[name] = {tool: _outcomes(tally) for tool, tally in agent["tools"].items()}
        made.runs[name] = agent["run-counts"]["started"]
        made.prompts += agent["messages"].get("user", 0)
        made.answers += agent["messages"].get("assistant", 0)
        if agent["last-error"]:
            made.errors.append(agent["last-error"]["message"])
        for run in agent["runs"].values():
            session = made.sessions.setdefault((run["origin"].get("labels") or {}).get("session", ""), {})
            for key, amounts in run["ledger"].items():
                model = parsed(key).model
                _, given, output, read, write, *_ = amounts
                session[model] = session.get(model, Tokens()) + Tokens(given, output, read, write)
    return made


def _outcomes(tally: dict[str, Any]) -> tuple[int, int, int]:
    return tally["success"], tally["error"], tally["interrupted"]


def _tokens(used: dict[str, int]) -> Tokens:
    kinds = ("input-tokens", "output-tokens", "cache-read-tokens", "cache-write-tokens")
    assert used["cache-write-1h-tokens"] == used["estimated-tokens"] == 0
    return Tokens(*(used[kind] for kind in kinds))
