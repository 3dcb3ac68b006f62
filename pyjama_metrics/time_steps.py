"""Days, weeks and months, and where they begin in a time zone: steps into which a span of time is divided."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from typing import Literal

MOST_STEPS = 10_000
"""Steps of one answer; more are refused, as nobody can look at them."""
QUARTER_MS = 900_000
_STEPS = {"quarter": QUARTER_MS, "hour": 4 * QUARTER_MS, "6h": 24 * QUARTER_MS}

Step = Literal["quarter", "hour", "6h", "day", "week", "month"]


def midnight(day: date, zone: tzinfo | None = None) -> int:
    """When a day begins, in milliseconds since the epoch: in a time zone, or where this machine is."""
    # Without a zone datetime asks the system, which knows when the clocks change.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000


def boundaries(begin: int, end: int, step: Step, zone: tzinfo | None, week_begins: int = 0) -> list[int]:
    """Where the steps of a span begin, and at last where it ends. Raises ValueError."""
    if end <= begin:
        raise ValueError("The span ends before it begins.")
    if step in _STEPS:
        length = _STEPS[step]
        # Hours begin where those of the zone's day do, which are not those of UTC everywhere.
        first = midnight(day_of(begin, zone), zone)
        at = first + (begin - first) // length * length
        _refuse_many((end - at) // length)
        return list(range(at, end + length, length))
    day = _begin_of(day_of(begin, zone), step, week_begins)
    _refuse_many((end - begin) // (24 * _STEPS["hour"]) // {"day": 1, "week": 7, "month": 28}[step])
    found = [midnight(day, zone)]
    while found[-1] < end:
        day = _next(day, step)
        found.append(midnight(day, zone))
    return found


def _refuse_many(steps: int) -> None:
    if steps > MOST_STEPS:
        raise ValueError(
            f"That would be {steps:,} steps; {MOST_STEPS:,} are the most. Ask for longer ones, or for a shorter span."
        )


def day_of(time_ms: int, zone: tzinfo | None = None) -> date:
    """The day in which a time lies, in a time zone, or where this machine is."""
    return datetime.fromtimestamp(time_ms / 1000, zone).date()


def _begin_of(day: date, step: Step, week_begins: int) -> date:
    if step == "week":
        return day - timedelta(days=(day.weekday() - week_begins) % 7)
    return day.replace(day=1) if step == "month" else day


def _next(day: date, step: Step) -> date:
    if step == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if step == "week" else 1)


def whole_quarters(begin: int, end: int) -> tuple[int, int]:
    """A span with its ends moved outwards to quarters of an hour, by which sums are kept."""
    return begin - begin % QUARTER_MS, -(-end // QUARTER_MS) * QUARTER_MS
