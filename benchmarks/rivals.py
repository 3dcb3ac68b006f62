"""What we are compared with, each in the form its own users would write, at its best.

Every rival stores the same fact: tool ``write-file`` of ``agent`` went ``ok`` in 12.5 ms.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import portalocker

REWRITTEN_BYTES = 16 * 1024
Block = Callable[[int], None]


def prometheus(folder: Path) -> tuple[Block, Block]:
    """Answer blocks of prometheus_client calls in multiprocess mode (values in mapped files in ``folder``).

    The first looks the labels up in each call, as code must whose tool names are data; the second keeps the
    two children in variables, which is the least that prometheus_client can cost.
    """
    # The library chooses its kind of value when it is imported: the variable must be there before.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    from prometheus_client import CollectorRegistry, Counter, Histogram

    registry = CollectorRegistry()
    labels = ("tool", "agent", "status")
    counter = Counter("tool_executions", "Tool executions", labels, registry=registry)
    seconds = Histogram("tool_seconds", "Duration of tool executions", ("tool",), registry=registry)

    def with_labels(calls: int) -> None:
        for _ in range(calls):
            counter.labels("write-file", "agent", "ok").inc()
            seconds.labels("write-file").observe(0.0125)

    one_counter, one_histogram = counter.labels("write-file", "agent", "ok"), seconds.labels("write-file")

    def with_children(calls: int) -> None:
        for _ in range(calls):
            one_counter.inc()
            one_histogram.observe(0.0125)

    with_labels(1)
    if not any(folder.glob("histogram_*.db")):
        raise RuntimeError("prometheus_client did not enter its multiprocess mode: nothing is in its folder.")
    return with_labels, with_children


class RewrittenFile:
    """One JSON file of 16 KB that every event locks, reads, changes and replaces.

    The lock is a sidecar that stays open, and the kernel does the waiting: the fastest form of this scheme.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self.temporary = str(folder / "shared.json"), str(folder / f"shared.{os.getpid()}.tmp")
        self.lock = os.open(folder / "shared.json.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def create(self) -> None:
        """Write the first state; one process does it before the others begin."""
        self._replace(orjson.dumps(_sixteen_kilobytes()))

    def record(self) -> None:
        """Count one execution: lock, read, change, replace, unlock."""
        portalocker.lock(self.lock, portalocker.LOCK_EX)
        try:
            state = self.read()
            now = time.time_ns() // 1_000_000
            for entry in (state["global"], state["tools"]["write-file"], state["agents"]["agent"]):
                _count(entry, now)
            self._replace(orjson.dumps(state))
        finally:
            portalocker.unlock(self.lock)

    def block(self, calls: int) -> None:
        """Record ``calls`` times."""
        for _ in range(calls):
            self.record()

    def read(self) -> dict[str, Any]:
        """Answer the state as it is."""
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = os.read(fd, 4 * REWRITTEN_BYTES)
        finally:
            os.close(fd)
        state: dict[str, Any] = orjson.loads(content)
        return state

    def close(self) -> None:
        """Close the lock file."""
        os.close(self.lock)

    def _replace(self, content: bytes) -> None:
        fd = os.open(self.temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
        os.replace(self.temporary, self.path)


def _count(entry: dict[str, Any], now: int) -> None:
    entry["count"] += 1
    entry["success"] += 1
    entry["total-duration"] += 12.5
    entry["last-seen"] = now


def _entry() -> dict[str, Any]:
    return {"count": 0, "success": 0, "error": 0, "total-duration": 0.0, "last-seen": 1_700_000_000_000}


def _sixteen_kilobytes() -> dict[str, Any]:
    """Build a state with agents added until it is 16 KB of JSON."""
    agents = {"agent": _entry()}
    state: dict[str, Any] = {"global": _entry(), "tools": {"write-file": _entry()}, "agents": agents}
    while len(orjson.dumps(state)) < REWRITTEN_BYTES:
        agents[f"agent-{len(agents):04}"] = _entry()
    return state


class EventTable:
    """SQLite in WAL mode with synchronous NORMAL; each insert is a transaction of its own."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "events.db", isolation_level=None)
        mode = self.connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise RuntimeError(f"SQLite answered journal mode '{mode}' where 'wal' was asked for.")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.execute("CREATE TABLE events (time INTEGER, agent TEXT, tool TEXT, status TEXT, duration REAL)")

    def block(self, calls: int) -> None:
        """Insert ``calls`` times."""
        execute = self.connection.execute
        for _ in range(calls):
            event = (time.time_ns() // 1_000_000, "agent", "write-file", "ok", 12.5)
            execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", event)

    def close(self) -> None:
        """Close the database."""
        self.connection.close()
