"""What is in a hub's history, read from its database as any program may."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyjama_metrics.hub import Hub
from pyjama_metrics.storage.history.blobs import histogram_of
from pyjama_metrics.storage.history.schema import SUMS as USAGE

SUMS = "coalesce(sum(success), 0), coalesce(sum(error), 0), coalesce(sum(interrupted), 0)"


@contextmanager
def database(home: Path) -> Iterator[sqlite3.Connection]:
    """The database, open for a test to read or to change."""
    connection = sqlite3.connect(home / "history.db", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def caught_up(home: Path, hub: Hub | None = None) -> Hub:
    """The hub, with everything that was recorded in its history."""
    hub = Hub(str(home)) if hub is None else hub
    assert hub.catch_up(30.0), hub.history.trouble
    return hub


def rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query answers."""
    with database(home) as connection:
        return connection.execute(query).fetchall()


def executions(home: Path) -> tuple[int, int, int]:
    """(successes, errors, interrupted) of all executions; they must be the same wherever they are kept."""
    slices = rows(home, f"SELECT {SUMS} FROM (SELECT * FROM minutes UNION ALL SELECT * FROM hours)")
    totals = rows(home, f"SELECT {SUMS} FROM totals WHERE agent = 0")
    by_agent = rows(home, f"SELECT {SUMS} FROM totals WHERE agent > 0")
    by_hour = rows(home, f"SELECT {SUMS} FROM totals WHERE agent < 0")
    assert slices == totals == by_agent == by_hour
    (found,) = slices
    return found[0], found[1], found[2]


def usages(home: Path) -> tuple[int, ...]:
    """The sums of all usages, from requests to reported micro-dollars; the same wherever they are kept."""
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in USAGE.split(", "))
    detailed = rows(home, f"SELECT {sums} FROM usage")
    totals = rows(home, f"SELECT {sums} FROM usage_totals WHERE agent = 0")
    assert detailed == totals == rows(home, f"SELECT {sums} FROM usage_totals WHERE agent > 0")
    assert detailed == rows(home, f"SELECT {sums} FROM usage_totals WHERE agent < 0")
    return tuple(detailed[0])


def contents(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that the history says, in words and sorted: what is the same is equal, in whichever order it was told."""
    text = "(SELECT text FROM names WHERE id = {})"
    agent, tool, model, phase = (text.format(name) for name in ("agent", "tool", "model", "phase"))
    queries = {
        "runs": f"SELECT run, {agent}, started, ended, outcome, error, last_seen, success, errors, interrupted FROM runs",
        "run_tools": f"SELECT (SELECT run FROM runs WHERE id = run_tools.run), {tool}, success, error, timed FROM run_tools",
        "usage": f"SELECT begin, (SELECT run FROM runs WHERE id = usage.run), {agent}, {model}, {phase}, {tool}, band, kind,"
        f" {USAGE} FROM usage",
        "totals": f"SELECT begin, {agent}, success, error, interrupted, timed, total_us, least_ns, most_ns, buckets FROM totals",
        "minutes": f"SELECT begin, {agent}, {tool}, success, error, interrupted, timed, total_us, least_ns, most_ns, buckets"
        " FROM minutes",
        "events": f"SELECT time, {agent}, run, kind, {tool}, status, message FROM events",
    }
    found = {}
    for name, query in queries.items():
        values = rows(home, query)
        if name in ("totals", "minutes"):
            values = [(*row[:-5], repr(sorted_histogram(row[-5:]))) for row in values]
        found[name] = sorted(values, key=repr)
    return found


def sorted_histogram(columns: tuple[Any, ...]) -> list[Any]:
    """What a row says about durations; the order of its buckets says nothing."""
    histogram = histogram_of(*columns)
    return [histogram["n"], histogram["zero"], histogram["sum-us"], histogram["min-ms"], sorted(histogram["buckets"].items())]
