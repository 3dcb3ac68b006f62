"""The state of a hub: the shape of ``metrics.json``, as types and as empty values.

Plain dictionaries with kebab-case keys, so that reading and writing the file is one call. Times are milliseconds since the
epoch, durations milliseconds; sums are integers (microseconds, micro-dollars), because integers add up to the same in any
order and floats do not: ``total-duration`` is derived from ``total-us``. ``docs/metrics-json.md`` describes each key.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypedDict, cast

from pyjama_metrics.events import FORMAT
from pyjama_metrics.histogram import Histogram, empty
from pyjama_metrics.ledger_rows import COLUMNS, Ledger, RowKey, parsed, without_details
from pyjama_metrics.roll_ups import RollUps, new_roll_ups, new_slice
from pyjama_metrics.state_fields import time_key

Usage = TypedDict(
    "Usage",
    {
        "requests": int,
        "input-tokens": int,
        "output-tokens": int,
        "cache-read-tokens": int,
        "cache-write-tokens": int,
        "cache-write-1h-tokens": int,
        "estimated-tokens": int,
        "cost-micros": int,
        "priced-requests": int,
    },
)
"""Sums of model calls. ``cost-micros`` sums what the sources reported, in ``priced-requests`` of the ``requests``."""

Tally = TypedDict(
    "Tally",
    {
        "count": int,
        "success": int,
        "error": int,
        "interrupted": int,
        "timed": int,
        "total-us": int,
        "total-duration": float,
        "last-seen": int,
    },
)
"""Counts of tool executions: ``count`` = ``success`` + ``error``; ``interrupted`` stands apart; ``timed`` had a duration."""


class ToolTally(Tally):
    """A tally with the distribution of its durations. An agent's tool may have lost that of older ones: ``n`` < ``timed``."""

    histogram: Histogram


class Step(TypedDict):
    """One step of a run's workflow: ``pending``, ``running``, ``completed``, ``failed`` or ``stopped``."""

    id: str
    index: int | None
    status: str
    started: int | None
    ended: int | None
    outcome: str | None
    attempts: int


Run = TypedDict(
    "Run",
    {
        "status": str,
        "start-time": int | None,
        "end-time": int | None,
        "last-seen": int,
        "outcome": str | None,
        "outcome-error": str | None,
        "waiting-since": int | None,
        "waiting-reason": str | None,
        "unknown-since": int | None,
        "tally": Tally,
        "ledger": Ledger,
        "ledger-from": int,
        "steps": list[Step],
        "origin": dict[str, Any],
        "session": dict[str, list[Any]],
        "tools": dict[str, list[int]],
        "messages": dict[str, int],
        "histogram": Histogram | None,
    },
)
"""One execution of an agent. ``origin`` is what its start event told: parent, source, pid, host, cwd, tmux pane, labels;
``session`` is what the session told about itself since, each with its time: [time, value]. ``tools`` are its executions by tool,
in the order of `RUN_TOOL`; ``histogram`` is None where it has no durations, and where only those of other runs are kept."""

RUN_TOOL = ("success", "error", "interrupted")
"""What a run counts of a tool."""


class RunCounts(TypedDict):
    """Runs that began, and runs that ended by how they ended."""

    started: int
    completed: int
    failed: int
    crashed: int
    stopped: int


Agent = TypedDict(
    "Agent",
    {
        "status": str,
        "start-time": int | None,
        "last-seen": int,
        "count": int,
        "success": int,
        "error": int,
        "interrupted": int,
        "timed": int,
        "total-us": int,
        "total-duration": float,
        "current-tool": str | None,
        "current-tool-time": int,
        "current-step": str | None,
        "waiting-reason": str | None,
        "errors": int,
        "last-error": dict[str, Any] | None,
        "messages": dict[str, int],
        "tokens": Usage,
        "models": dict[str, Usage],
        "phases": dict[str, Usage],
        "ledger": Ledger,
        "ledger-from": int,
        "tools": dict[str, ToolTally],
        "run-counts": RunCounts,
        "runs": dict[str, Run],
        "latest-run": str | None,
        "parent": str | None,
        "parent-agent": str | None,
        "source": str | None,
        "host": str | None,
        "pid": int | None,
        "cwd": str | None,
        "labels": dict[str, str] | None,
        "spec": Any,
        "tmux-pane": str | None,
    },
)
"""A name that a user gave, over all its runs; from ``parent`` on it says what the latest run's start told."""

State = TypedDict(
    "State",
    {
        "format": int,
        "generation": int,
        "updated": int,
        "known-from": int,
        "agents": dict[str, Agent],
        "global": ToolTally,
        "tools": dict[str, ToolTally],
        "runs": RunCounts,
        "tokens": Usage,
        "models": dict[str, Usage],
        "phases": dict[str, Usage],
        "ledger": Ledger,
        "ledger-from": int,
        "projects": dict[str, Ledger],
        "hosts": dict[str, Ledger],
        "messages": dict[str, int],
        "errors": int,
        "roll-ups": RollUps,
        "recent-logs": list[dict[str, Any]],
        "evicted": dict[str, int],
        "problems": dict[str, int],
        "journals": dict[str, dict[str, int]],
    },
)


def new_usage() -> Usage:
    """No model call yet."""
    return {
        "requests": 0,
        "input-tokens": 0,
        "output-tokens": 0,
        "cache-read-tokens": 0,
        "cache-write-tokens": 0,
        "cache-write-1h-tokens": 0,
        "estimated-tokens": 0,
        "cost-micros": 0,
        "priced-requests": 0,
    }


def new_tally() -> Tally:
    """No execution yet."""
    return {
        "count": 0,
        "success": 0,
        "error": 0,
        "interrupted": 0,
        "timed": 0,
        "total-us": 0,
        "total-duration": 0.0,
        "last-seen": 0,
    }


def new_tool_tally() -> ToolTally:
    """No execution yet, and no duration."""
    return {**new_tally(), "histogram": empty()}


def new_run_counts() -> RunCounts:
    """No run yet."""
    return {"started": 0, "completed": 0, "failed": 0, "crashed": 0, "stopped": 0}


def new_run() -> Run:
    """A run of which nothing is known but its id."""
    return {
        "status": "running",
        "start-time": None,
        "end-time": None,
        "last-seen": 0,
        "outcome": None,
        "outcome-error": None,
        "waiting-since": None,
        "waiting-reason": None,
        "unknown-since": None,
        "tally": new_tally(),
        "ledger": {},
        "ledger-from": 0,
        "steps": [],
        "origin": {},
        "session": {},
        "tools": {},
        "messages": {},
        "histogram": None,
    }


def new_step(name: str) -> Step:
    """A step that has not begun."""
    return {
        "id": name,
        "index": None,
        "status": "pending",
        "started": None,
        "ended": None,
        "outcome": None,
        "attempts": 0,
    }


def new_agent() -> Agent:
    """An agent of which nothing is known but its name."""
    return {
        "status": "unknown",
        "start-time": None,
        "current-tool": None,
        "current-tool-time": 0,
        "current-step": None,
        "waiting-reason": None,
        "errors": 0,
        "last-error": None,
        "messages": {},
        "tokens": new_usage(),
        "models": {},
        "phases": {},
        "ledger": {},
        "ledger-from": 0,
        "tools": {},
        "run-counts": new_run_counts(),
        "runs": {},
        "latest-run": None,
        "parent": None,
        "parent-agent": None,
        "source": None,
        "host": None,
        "pid": None,
        "cwd": None,
        "labels": None,
        "spec": None,
        "tmux-pane": None,
        **new_tally(),
    }


def new_state() -> State:
    """The state of a hub in which nothing has happened."""
    return {
        "format": FORMAT,
        "generation": 0,
        "updated": 0,
        "known-from": 0,
        "agents": {},
        "global": new_tool_tally(),
        "tools": {},
        "runs": new_run_counts(),
        "tokens": new_usage(),
        "models": {},
        "phases": {},
        "ledger": {},
        "ledger-from": 0,
        "projects": {},
        "hosts": {},
        "messages": {},
        "errors": 0,
        "roll-ups": new_roll_ups(),
        "recent-logs": [],
        "evicted": {"agents": 0, "runs": 0, "tools": 0, "models": 0, "executions": 0},
        "problems": {"malformed-lines": 0, "unknown-events": 0, "invalid-values": 0, "lost-events": 0},
        "journals": {},
    }


def accepted(value: object, *, thorough: bool) -> State | None:
    """A parsed document as a state, or None where it is not one.

    Keys that it lacks are filled in, in place: an older version did not know them, or a person took them out. A value of
    the wrong type makes it no state, because the first fold would stumble over it, and every fold after that.

    Args:
        value: what was parsed.
        thorough: look at each row too, not only at the parts; with hundreds of agents that takes tens of milliseconds.
    """
    if not isinstance(value, dict) or value.get("format") != FORMAT or not value.keys() >= _ESSENTIAL:
        return None
    state, has_origins = cast(State, value), "projects" in value or "hosts" in value
    if not _fits(value, _NEW_STATE):
        return None
    if not has_origins and (rows := without_details(state["ledger"])):
        # An older version counted them, and no run of it knew of its calls.
        state["projects"], state["hosts"] = {"": rows}, {"": copy.deepcopy(rows)}
    return state if not thorough or all(_rows_fit(state)) else None


def _rows_fit(state: State) -> Iterator[bool]:
    for agent in state["agents"].values():
        yield _fits(agent, _NEW_AGENT) and _fits(agent["tokens"], _NEW_USAGE) and _fits(agent["run-counts"], _NEW_COUNTS)
        for run in agent["runs"].values():
            yield _fits(run, _NEW_RUN) and _fits(run["tally"], _NEW_TALLY) and _is_ledger(run["ledger"])
            yield from (_fits(step, _NEW_STEP) for step in run["steps"])
            yield from (_is_run_tool(counts) for counts in run["tools"].values())
            yield _counts(run["messages"]) and (run["histogram"] is None or _is_histogram(run["histogram"]))
        yield from (_tool_fits(tool) for tool in agent["tools"].values())
        yield from (_fits(usage, _NEW_USAGE) for usage in [*agent["models"].values(), *agent["phases"].values()])
        yield _is_ledger(agent["ledger"])
    yield from (_tool_fits(tool) for tool in [state["global"], *state["tools"].values()])
    yield _fits(state["roll-ups"], new_roll_ups())
    for series in (state["roll-ups"]["minutes"], state["roll-ups"]["quarters"]):
        yield from (time_key(key) is not None and _is_slice(each) for key, each in series.items())
    yield _is_ledger(state["ledger"])
    for ledger in [*state["projects"].values(), *state["hosts"].values()]:
        yield type(ledger) is dict and _is_ledger(ledger)
    yield from (_fits(usage, _NEW_USAGE) for usage in [state["tokens"], *state["models"].values(), *state["phases"].values()])
    yield from (_fits(position, {"offset": 0, "lines": 0}) for position in state["journals"].values())
    yield from (_fits(entry, {"timestamp": 0, "id": ""}) and entry["id"][-1:].isdigit() for entry in state["recent-logs"])
    yield from (_counts(row) for row in (state["evicted"], state["problems"], state["messages"]))
    yield _fits(state["runs"], _NEW_COUNTS)


def _is_slice(each: Any) -> bool:
    return _fits(each, _NEW_SLICE) and _is_ledger(each["ledger"])


def _is_ledger(ledger: Ledger) -> bool:
    return all(_is_row(parsed(key), row) for key, row in ledger.items())


def _is_row(key: RowKey | None, row: Any) -> bool:
    if key is None or type(row) is not list or len(row) != len(COLUMNS):
        return False
    return all(type(amount) is int for amount in row) if key.is_correction else all(_is_like(count, 0) for count in row)


def _is_run_tool(counts: Any) -> bool:
    return type(counts) is list and len(counts) == len(RUN_TOOL) and all(_is_like(count, 0) for count in counts)


def _tool_fits(tool: Any) -> bool:
    return _fits(tool, _NEW_TOOL) and _is_histogram(tool["histogram"])


def _is_histogram(table: Any) -> bool:
    return _fits(table, _NEW_TOOL["histogram"]) and _counts(table["buckets"])


def _fits(row: Any, usual: Any) -> bool:
    """Whether a row has its keys (those that it lacks are filled in) with values of their types; None stands for any type."""
    if not isinstance(row, dict):
        return False
    if not row.keys() >= usual.keys():
        row |= {key: value for key, value in copy.deepcopy(usual).items() if key not in row}
    return all(_is_like(row[key], value) for key, value in usual.items())


def _is_like(value: Any, usual: Any) -> bool:
    kind = type(value)
    if kind is int and not -(2**53) <= value <= 2**53:
        return False  # sums of such numbers cannot be written
    return usual is None or kind is type(usual) or (kind is int and type(usual) is float)


def _counts(row: dict[str, int]) -> bool:
    return all(_is_like(count, 0) for count in row.values())


_ESSENTIAL = frozenset({"agents", "global", "tools", "journals"})
_NEW_STATE, _NEW_AGENT, _NEW_RUN, _NEW_STEP, _NEW_TALLY = new_state(), new_agent(), new_run(), new_step(""), new_tally()
_NEW_TOOL, _NEW_USAGE, _NEW_COUNTS, _NEW_SLICE = new_tool_tally(), new_usage(), new_run_counts(), new_slice()
