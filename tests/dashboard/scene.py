"""A staged hub: a working day of a developer with a dozen agents, for pictures of the page and for looking at all of it at once.

Who the agents are and what they did is in `cast.py`. Each is a process of its own, which records through the public API;
those at work live while the scene does, and the one that crashed was killed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pyjama_metrics.hub import Hub
from tests.dashboard import cast
from tests.waiting import run_command, wait_until

PANES = {"clean-build": "%7", "fix-flaky-test": "%12"}
"""Those that run in tmux, and in which pane."""

PATIENCE = 60.0
"""Seconds that all agents together have for recording their day."""


@contextmanager
def staged(home: Path) -> Iterator[int]:
    """Play the scene into the hub in ``home`` while the block lasts; the value is its now, in ms since the epoch.

    Everything is in the file when the block begins. A dashboard that is to know single executions must be up before.
    """
    now = time.time_ns() // 1_000_000
    folder = home.parent / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        children = {}
        for name in cast.BOSSES:
            agent = run_command(*command(name, now), env=surroundings(home, name), cwd=str(folder))
            children[name] = stack.enter_context(agent)
        for name, child in children.items():
            assert child.stdout is not None
            if child.stdout.readline().rstrip() != cast.THERE.format(name):
                raise AssertionError(f"{name} did not come:\n{child.communicate(timeout=PATIENCE)[1]}")
        for name, child in children.items():
            if cast.CAST[name].outcome == "crash":
                child.kill()
                child.wait()
        hub = Hub(str(home))
        wait_until(lambda: is_as_staged(hub), PATIENCE, "the scene in the file")
        yield now
        for child in children.values():
            if child.poll() is None:
                # Their children end with them, so that nobody is left who records into a folder that may be removed.
                child.communicate(timeout=PATIENCE)


def command(name: str, now: int) -> list[str]:
    """The command of one agent."""
    return [sys.executable, cast.__file__, name, str(now)]


def surroundings(home: Path, name: str) -> dict[str, str | None]:
    """What is different in an agent's environment."""
    changes: dict[str, str | None] = {"PYJAMA_HOME": str(home), "PYTHONPATH": str(Path(cast.__file__).parents[2])}
    pane = PANES.get(name)
    tmux = "/tmp/tmux-1000/default,4711,0" if pane else None
    return changes | {"TMUX": tmux, "TMUX_PANE": pane, "PYJAMA_RUN": None, "PYJAMA_AGENT": None}


def is_as_staged(hub: Hub) -> bool:
    """Whether the file tells of every agent what its part says."""
    agents = hub.read()["agents"]
    return {name: agents.get(name, {}).get("status") for name in cast.CAST} == {
        name: status(part) for name, part in cast.CAST.items()
    }


def status(part: cast.Part) -> str:
    """The status that a part leads to."""
    if part.outcome == "crash":
        return "crashed"
    if part.outcome == "open":
        return "waiting" if part.waits_for else "running"
    return part.outcome
