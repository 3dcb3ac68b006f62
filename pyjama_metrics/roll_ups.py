"""Roll-ups: what happened in each slice of time, by the time of the events.

The state has two series: minutes of the last hour and a bit, and quarters of an hour of the last two days and a bit. A key is
the begin of its slice in milliseconds since the epoch, as text. Slices are sums of integers, so events may be added in any
order. Nothing here lets go of a slice: `pyjama_metrics.retention` does, because that depends on when one looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from pyjama_metrics import ledger_rows
from pyjama_metrics.ledger_rows import Ledger, RowKey
from pyjama_metrics.state_fields import LARGEST, count, lists

MINUTE_MS = 60_000
QUARTER_MS = 15 * MINUTE_MS
"""No time zone in use is off by less, so a day is a sum of quarters wherever one is."""

Slice = TypedDict(
    "Slice",
    {
        "count": int,
        "success": int,
        "error": int,
        "interrupted": int,
        "requests": int,
        "tokens": int,
        "priced-requests": int,
        "cost-micros": int,
        "ledger": Ledger,
    },
)
"""Sums of one slice of time: ``count`` = ``success`` + ``error``; ``cost-micros`` is what the ``priced-requests`` reported as
their cost. The rows of the ledger have no day, phase and tool.
"""

COUNTS = ("count", "success", "error", "interrupted", "requests", "tokens", "priced-requests", "cost-micros")
"""What is a number in a slice."""
MAX_ROWS = 12
"""Rows of the ledger kept of one slice; beyond that the models called least are added up."""


class RollUps(TypedDict):
    """The two series of a state."""

    minutes: dict[str, Slice]
    quarters: dict[str, Slice]


def new_slice() -> Slice:
    """A slice in which nothing happened."""
    return {
        "count": 0,
        "success": 0,
        "error": 0,
        "interrupted": 0,
        "requests": 0,
        "tokens": 0,
        "priced-requests": 0,
        "cost-micros": 0,
        "ledger": {},
    }


def new_roll_ups() -> RollUps:
    """Two series without a slice."""
    return {"minutes": {}, "quarters": {}}


def add_executions(target: Slice, kind: str, executions: int) -> None:
    """Add a number of tool ``executions`` that ended as ``kind``: success, error or interrupted."""
    target[kind] += executions  # type: ignore[literal-required]
    if kind != "interrupted":
        target["count"] += executions


def add_requests(target: Slice, key: RowKey, amounts: Sequence[int], *, is_reported: bool) -> None:
    """Add model calls, by the ``amounts`` of their row; less than nothing where they are charged elsewhere now."""
    requests = amounts[ledger_rows.REQUESTS]
    target["requests"] = min(LARGEST, max(0, target["requests"] + requests))
    target["tokens"] = min(LARGEST, max(0, target["tokens"] + sum(amounts[ledger_rows.ALL_TOKENS])))
    if is_reported:
        target["priced-requests"] = max(0, target["priced-requests"] + requests)
        target["cost-micros"] = min(LARGEST, max(0, target["cost-micros"] + amounts[ledger_rows.REPORTED_MICROS]))
    ledger_rows.add(target["ledger"], key, amounts)


def add_slice(target: Slice, other: Mapping[str, Any]) -> None:
    """Add all that happened in another slice, whatever wrote it."""
    for key in COUNTS:
        target[key] += count(other, key)  # type: ignore[literal-required]
    rows = target["ledger"]
    for key, row in lists(other, "ledger"):
        amounts = ledger_rows.amounts_in(key, row)
        rows[key] = [one + more for one, more in zip(rows[key], amounts, strict=True)] if key in rows else amounts


def drop_empty(roll_ups: RollUps, time_ms: int) -> None:
    """Remove the minute and the quarter of an hour in which a time lies where nothing is left in them, in place."""
    for series, step in ((roll_ups["minutes"], MINUTE_MS), (roll_ups["quarters"], QUARTER_MS)):
        key = str(time_ms - time_ms % step)
        if not any(series[key].values()):
            del series[key]


def at(roll_ups: RollUps, time_ms: int) -> tuple[Slice, Slice]:
    """The minute and the quarter of an hour in which a time lies, made where they are new."""
    return _at(roll_ups["minutes"], time_ms, MINUTE_MS), _at(roll_ups["quarters"], time_ms, QUARTER_MS)


def quarter_at(roll_ups: RollUps, time_ms: int) -> Slice:
    """The quarter of an hour in which a time lies, made where it is new."""
    return _at(roll_ups["quarters"], time_ms, QUARTER_MS)


def _at(series: dict[str, Slice], time_ms: int, step: int) -> Slice:
    key = str(time_ms - time_ms % step)
    found = series.get(key)
    if found is None:
        found = series[key] = new_slice()
    return found


def summed(slices: Mapping[int, Mapping[str, Any]], since_ms: int, until_ms: int, step_ms: int) -> dict[int, Slice]:
    """Slices added up into longer ones.

    Args:
        slices: by their begin, in milliseconds since the epoch; those that begin outside the span are left out.
        since_ms: begin of the span.
        until_ms: its end, which is not in it.
        step_ms: length of a slice of the result.

    Returns:
        By their begin, multiples of ``step_ms``, those slices in which there was one.
    """
    result: dict[int, Slice] = {}
    for begin, each in slices.items():
        if since_ms <= begin < until_ms:
            target = result.setdefault(begin - begin % step_ms, new_slice())
            add_slice(target, each)
    return result


def let_go(series: dict[str, Slice], before_ms: int, most: int) -> None:
    """Remove slices, in place: those that begin before a time, and of the others all but the first ``most``.

    More than are wanted are there only when the clock was put back: then some lie in what is the future now, and the furthest go.
    The rows of those that stay are bounded.
    """
    for key in [key for key in series if int(key) < before_ms]:
        del series[key]
    for key in sorted(series, key=int)[most:]:
        del series[key]
    for each in series.values():
        if len(each["ledger"]) > MAX_ROWS:
            ledger_rows.bound(each["ledger"], 0, MAX_ROWS)
