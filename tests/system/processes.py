"""Agents as real processes that speak with their test line by line, and journals that no process writes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import textwrap
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyjama_metrics
from pyjama_metrics import events
from pyjama_metrics.hub import Hub
from pyjama_metrics.storage.journal import Journal
from tests.journals import live_journal
from tests.waiting import run_python, wait_until

PACKAGES = str(Path(pyjama_metrics.__file__).parent.parent)
"""What a child's PYTHONPATH must hold to import the package that is being tested."""

PATIENCE = 30.0
"""Seconds after which a silent child counts as hanging. It bounds a failure; nothing is expected to take that long."""

PREAMBLE = """
import os, signal, sys
import pyjama_metrics as p

def say(*words):
    print(*words, flush=True)

def hear():
    return sys.stdin.readline().strip()

"""
"""What every agent of these tests begins with: the calls, and one line to say and one to hear."""


@contextmanager
def agent(code: str, *args: object, env: dict[str, str | None] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run ``code``, which may ``say`` and ``hear`` lines and record through ``p``, in a process that ends with the block."""
    program = PREAMBLE + textwrap.dedent(code)
    with run_python(program, *map(str, args), env={"PYTHONPATH": PACKAGES, **(env or {})}) as child:
        yield child


def hear(child: subprocess.Popen[str]) -> str:
    """The next line that a child says. Fails with its stderr when it is silent for long, or dead."""
    assert child.stdout is not None
    assert select.select([child.stdout], [], [], PATIENCE)[0], f"process {child.pid} says nothing"
    line = child.stdout.readline()
    if not line:
        child.kill()
        _, err = child.communicate()
        raise AssertionError(f"process {child.pid} ended ({child.returncode}) without a word:\n{err}")
    return line.rstrip("\n")


def tell(child: subprocess.Popen[str], line: str = "go") -> None:
    """Send a line to a child."""
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()


def end(child: subprocess.Popen[str]) -> str:
    """Wait for the child's own end, which must be a good one, without a word on stderr; what else it said."""
    out, err = child.communicate(timeout=PATIENCE)
    assert (err, child.returncode) == ("", 0)
    return out


def run_to_end(code: str, *args: object, env: dict[str, str | None] | None = None) -> str:
    """Run an agent to its own good and quiet end; what it said."""
    with agent(code, *args, env=env) as child:
        return end(child)


def kill(child: subprocess.Popen[str]) -> None:
    """``kill -9``, and reap."""
    child.send_signal(signal.SIGKILL)
    child.wait()


def figures(home: Path) -> dict[str, Any]:
    """The hub's state, with everything folded that was recorded so far."""
    hub = Hub(str(home))
    assert hub.flush(PATIENCE)
    return dict(hub.read())


def status_of(home: Path, agent_id: str) -> str | None:
    """An agent's status, asked of the hub as a dashboard asks: None where it is not there."""
    found = Hub(str(home)).read()["agents"].get(agent_id)
    return found["status"] if found else None


def wait_for_status(home: Path, agent_id: str, status: str, timeout: float = 2.0) -> None:
    """Fold as a dashboard does until the agent has the status; the hub must be one and the same, for it keeps time."""
    hub = Hub(str(home))
    wait_until(lambda: hub.read()["agents"].get(agent_id, {}).get("status") == status, timeout, f"{agent_id} to be {status}")


def counts(state: dict[str, Any]) -> dict[str, int]:
    """How many executions each agent has."""
    return {name: agent["count"] for name, agent in state["agents"].items()}


def tool_line(agent_id: str = "a", tool: str = "t", **fields: object) -> bytes:
    """One execution as a journal line."""
    return line("tool", agent=agent_id, tool=tool, status="ok", **fields)


def line(event: str, **fields: object) -> bytes:
    """An event of now as a journal line; a field's underscores become dashes."""
    now_ms = time.time_ns() // 1_000_000
    return events.line(event, now_ms, {name.replace("_", "-"): value for name, value in fields.items()}).encode()


def journal_of_the_dead(home: Path, writer: str, lines: bytes) -> None:
    """The journal of a process that has died."""
    child = os.fork()
    if not child:
        try:
            Journal(str(home), writer, fsync=False).append(lines)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def journal(home: Path, writer: str = "hand-1-1") -> AbstractContextManager[Journal]:
    """A journal that this test writes by hand: nothing is folded unless the test does it. Its owner lives in the block."""
    return live_journal(home, writer)
