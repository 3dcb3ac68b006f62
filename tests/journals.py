"""Journals written by hand: what a process, a session or a stranger may have left in the hub's folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyjama_metrics.fold import fold
from pyjama_metrics.hub import Hub
from pyjama_metrics.state import State, new_state
from pyjama_metrics.storage import owners
from pyjama_metrics.storage.journal import Journal

Event = dict[str, Any]


def event(kind: str, time: int = 1, agent: str = "a", **fields: Any) -> Event:
    """One journal event; an underscore in a field's name stands for a hyphen."""
    return {"event": kind, "time": time, "agent": agent} | {name.replace("_", "-"): value for name, value in fields.items()}


def tool(time: int = 1, agent: str = "a", tool: str = "t", **fields: Any) -> Event:
    """One execution of a tool, successful unless told otherwise."""
    return event("tool", time, agent, tool=tool, **{"status": "ok", **fields})


def folded(*events: Event | None, journal: str = "w.0.jsonl") -> State:
    """The state after the events of one journal."""
    state = new_state()
    fold(state, journal, events, {})
    return state


def lines(*events: Event) -> bytes:
    """Events as journal lines."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


def header(writer: str, *, segment: int = 0, **fields: Any) -> Event:
    """The first line of a segment; by default of a process of this machine and boot."""
    usual = {"kind": "process", "pid": 1, "host": os.uname().nodename, "boot": owners.boot_id()}
    usual |= {"pid-namespace": owners.pid_namespace()}
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return {"event": "writer", "time": 1, "format": 1, "writer": writer, "segment": segment, **usual, **named}


def leave_journal(home: Path, writer: str, *events: Event, segment: int = 0, **fields: Any) -> Path:
    """The journal of a process that has ended: its header with those ``fields``, its events, and no lock."""
    path = home / "journal" / f"{writer}.{segment}.jsonl"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    path.write_bytes(lines(header(writer, segment=segment, **fields), *events))
    return path


@contextmanager
def live_journal(home: Path, writer: str = "w-1-a") -> Iterator[Journal]:
    """A journal of this process, owned and locked while the block lasts."""
    journal = Journal(str(home), writer, fsync=False)
    try:
        yield journal
    finally:
        journal.close()


def record(journal: Journal, count: int, **fields: Any) -> None:
    """Append ``count`` tool executions of just now to a live journal."""
    for _ in range(count):
        journal.append(lines(tool(now_ms(), **fields)))


def now_ms() -> int:
    """Milliseconds since the epoch: a finished agent that was last seen long ago leaves the state."""
    return time.time_ns() // 1_000_000


def counted(home: Path) -> int:
    """Tool executions in ``metrics.json`` after everything recorded so far is folded, by a process that knows nothing yet."""
    return Hub(str(home)).read()["global"]["count"]


def on_disk(home: Path) -> State:
    """What ``metrics.json`` holds, as any reader without our code sees it."""
    state: State = json.loads((home / "metrics.json").read_bytes())
    return state
