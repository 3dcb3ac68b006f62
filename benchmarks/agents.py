"""The child processes of the benchmarks, one function per role.

A child says ``ready`` on its standard output, waits for a line, does its work, says ``done`` (or what it
measured), and stays until its standard input ends: its exit, which folds, is not part of what is measured.
"""

from __future__ import annotations

import itertools
import json
import random
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path


def say(line: str) -> None:
    """Tell the parent one line."""
    print(line, flush=True)


def wait_for_a_line() -> None:
    """Wait for the parent's word, or for its end."""
    sys.stdin.readline()


def record(count: str) -> None:
    """Record ``count`` tool executions at full speed."""
    from pyjama_metrics import record_tool_execution

    say("ready")
    wait_for_a_line()
    for _ in range(int(count)):
        record_tool_execution("write-file", "agent", "ok", 12.5)
    say("done")
    wait_for_a_line()


def rewrite(folder: str, count: str) -> None:
    """Count ``count`` executions in the shared file of ``folder`` by lock, read, change, replace."""
    from rivals import RewrittenFile

    shared = RewrittenFile(Path(folder))
    say("ready")
    wait_for_a_line()
    shared.block(int(count))
    say("done")
    wait_for_a_line()


def trickle(count: str, seed: str) -> None:
    """Record ``count`` executions, 50 to 400 ms apart at random; tell when each call began (monotonic ns)."""
    from pyjama_metrics import record_tool_execution

    # Not for secrets: the same intervals in each run.
    intervals = random.Random(int(seed))
    began: list[int] = []
    say("ready")
    wait_for_a_line()
    for _ in range(int(count)):
        if select.select([sys.stdin], [], [], intervals.uniform(0.05, 0.4))[0]:
            # The parent says nothing now: its end of the pipe is closed.
            return
        began.append(time.monotonic_ns())
        record_tool_execution("write-file", "agent", "ok", 12.5)
    say(json.dumps(began))
    wait_for_a_line()


def idle() -> None:
    """Record one execution and then do nothing."""
    from pyjama_metrics import record_tool_execution

    record_tool_execution("write-file", "agent", "ok", 12.5)
    say("ready")
    wait_for_a_line()


def rotate(names: str, seconds: str) -> None:
    """Start ``names`` agents; then one execution every ``seconds``, of one after the other, until told to end."""
    from pyjama_metrics import record_tool_execution

    agents = _start_agents(int(names))
    say("ready")
    wait_for_a_line()
    for agent in itertools.cycle(agents):
        if select.select([sys.stdin], [], [], float(seconds))[0]:
            break
        record_tool_execution("write-file", agent, "ok", 12.5)


def step(names: str, ago: str = "0") -> None:
    """Start ``names`` agents that began ``ago`` seconds ago; then one execution for each line that is heard, by turns."""
    from pyjama_metrics import record_tool_execution

    agents = _start_agents(int(names), float(ago))
    say("ready")
    for agent in itertools.cycle(agents):
        if not sys.stdin.readline():
            break
        record_tool_execution("write-file", agent, "ok", 12.5)


def _start_agents(count: int, ago: float = 0) -> list[str]:
    from pyjama_metrics import flush, record_agent_start, record_tool_execution

    began = int((time.time() - ago) * 1000)
    agents = [f"agent-{number}" for number in range(count)]
    for agent in agents:
        record_agent_start(agent, time_ms=began)
        record_tool_execution("grep", agent, "ok", 3.5, time_ms=began)
    flush()
    return agents


ROLES: dict[str, Callable[..., None]] = {
    "record": record,
    "rewrite": rewrite,
    "trickle": trickle,
    "idle": idle,
    "rotate": rotate,
    "step": step,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
