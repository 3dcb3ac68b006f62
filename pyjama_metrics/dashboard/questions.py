"""What a request asks about the past: spans, steps and time zones, checked. No web framework."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from pyjama_metrics.dashboard.spans import BadSpan
from pyjama_metrics.history import Dimension
from pyjama_metrics.time_steps import Step, midnight, whole_quarters

Argument = Callable[[str], str | None]
"""Answers with an argument of the request, or None."""

LATEST_MS = 32_503_680_000_000
"""The year 3000, in ms since the epoch; the calendars of time zones have no end of their own."""

DIMENSIONS: tuple[Dimension | Literal["day"], ...] = (*get_args(Dimension), "day")
"""What a span may be broken down by."""

MOST_RUNS = 1000
"""Runs of one answer."""
USUAL_RUNS = 100

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone and its name; both None for that of the server."""

    name: str | None
    rules: tzinfo | None


def zone_of(argument: Argument) -> Zone:
    """The time zone that is asked for by ``timezone``. Raises BadSpan."""
    name = argument("timezone")
    if name is None:
        return Zone(None, None)
    try:
        return Zone(name, ZoneInfo(name))
    except (LookupError, ValueError, OSError):
        # No file in the folder of the zones, none that is below it, or none of a zone.
        raise BadSpan(f"There is no time zone {name[:40]!r}; give an IANA name, such as Europe/Berlin or UTC.") from None


def past_span_of(argument: Argument, now_ms: int, zone: Zone) -> tuple[int, int]:
    """Begin and end of a span of the past, in ms since the epoch: ``from``, and ``to`` or else now. Raises BadSpan.

    What ends now ends with the quarter of an hour that has begun, as sums are kept by those: so it has one answer for all.
    """
    begin, end = argument("from"), argument("to")
    if begin is None:
        raise BadSpan("Say when the span begins: from, and to where it does not end now, in ms since the epoch or as a date.")
    since, until = time_of(begin, zone), whole_quarters(0, now_ms)[1] if end is None else time_of(end, zone)
    if since >= until:
        raise BadSpan(
            f"The span is empty: it ends at {until} and begins at {since}, in ms since the epoch; from must be before to."
        )
    return since, until


def time_of(text: str, zone: Zone) -> int:
    """A time in ms since the epoch: digits alone are that, a date is its midnight in the time zone. Raises BadSpan."""
    try:
        if text.isascii() and text.isdigit() and len(text) < 16:
            found = int(text)
        elif _DAY.fullmatch(text):
            found = midnight(date.fromisoformat(text), zone.rules)
        elif _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text)
            told = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone.rules)
            found = round(told.timestamp() * 1000)
        else:
            raise ValueError(text)
        if not 0 <= found <= LATEST_MS:
            raise ValueError(text)
    except (ValueError, OverflowError):
        raise BadSpan(
            f"{text[:40]!r} is no time between 1970 and 3000; give ms since the epoch, a date (2026-11-20), or a date with a "
            "time (2026-11-20T08:30, with Z or +01:00 where it is not of the time zone)."
        ) from None
    return found


def day_of(text: str) -> date:
    """A day as YYYY-MM-DD. Raises BadSpan."""
    try:
        if not _DAY.fullmatch(text):
            raise ValueError(text)
        day = date.fromisoformat(text)
        if not 1970 < day.year < 3000:
            raise ValueError(text)
    except ValueError:
        raise BadSpan(f"{text[:20]!r} is no day; give one after 1970 as YYYY-MM-DD, such as 2026-11-20.") from None
    return day


def step_of(argument: Argument) -> Step:
    """How long each step is: ``step``, a day where nothing is said. Raises BadSpan."""
    name = argument("step")
    for step in get_args(Step):
        if name == step:
            found: Step = step
            return found
    if name is None:
        return "day"
    raise BadSpan(f"There is no step {name[:20]!r}; there are {', '.join(get_args(Step))}.")


def dimension_of(argument: Argument) -> Dimension | Literal["day"]:
    """What a span is broken down by: ``by``, agents where nothing is said. Raises BadSpan."""
    name = argument("by")
    for dimension in DIMENSIONS:
        if name == dimension:
            return dimension
    if name is None:
        return "agent"
    raise BadSpan(f"There is nothing to break down by that is called {name[:20]!r}; there are {', '.join(DIMENSIONS)}.")


def week_begins_of(argument: Argument) -> int | None:
    """On which day weeks begin: ``week_begins``, 0 for Monday; None, for the setting, where nothing is said. Raises BadSpan."""
    name = argument("week_begins")
    if name is None:
        return None
    if name.lower() not in _WEEKDAYS:
        raise BadSpan(f"No day of the week is called {name[:20]!r}; give one of {', '.join(_WEEKDAYS)}.")
    return _WEEKDAYS.index(name.lower())


def flag_of(argument: Argument, name: str) -> bool:
    """A question that is answered by 1 or 0; 0 where nothing is said. Raises BadSpan."""
    told = argument(name) or "0"
    if told not in ("0", "1"):
        raise BadSpan(f"{name} is 1 or 0, and not {told[:20]!r}.")
    return told == "1"


def limit_of(argument: Argument) -> int:
    """How many runs are asked for: ``limit``. Raises BadSpan."""
    told = argument("limit")
    if told is None:
        return USUAL_RUNS
    if not (told.isascii() and told.isdigit() and len(told) < 6 and 0 < int(told) <= MOST_RUNS):
        raise BadSpan(f"The limit is a number from 1 to {MOST_RUNS:,}, and not {told[:20]!r}.")
    return int(told)
