"""Values of lines that another program wrote: taken where they are what they should be, else left out. Nothing here raises.

Such a line may have fields of any type, missing, absurd: its format belongs to somebody else and changes without a word.
"""

from __future__ import annotations

import functools
import re

from pyjama_metrics.events import MAX_COST_USD, MAX_COUNT, MAX_DURATION_MS, MAX_LABEL, MAX_TIME_MS, text_of

_DAY_MS = 86_400_000
_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d{1,9}))?(?:Z|([+-])([01]\d|2[0-3]):?([0-5]\d))?",
    re.ASCII,
)
_REASON = re.compile(r"[A-Za-z0-9_. -]{1,64}", re.ASCII)


def word(value: object, limit: int = MAX_LABEL) -> str:
    """A text that a journal can hold; "" for what is no text, or empty.

    >>> word("claude-opus-4-8"), word(7), word(None)
    ('claude-opus-4-8', '', '')
    """
    if type(value) is str and value.isascii() and len(value) <= limit:
        return value
    return text_of(value, limit) if isinstance(value, str) and value else ""


def reason(value: object) -> str | None:
    """A word or two that a program chose, such as ``rate_limit``; None for what may be somebody's text."""
    return value if isinstance(value, str) and _REASON.fullmatch(value) else None


def count(value: object) -> int:
    """A number of tokens; 0 for what is none.

    >>> count(12), count("12"), count(-1), count(True), count(2**70), count(3.0)
    (12, 0, 0, 0, 0, 3)
    """
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_COUNT else 0


def number(value: object, most: float) -> float | None:
    """A number from 0 to ``most``; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        return None
    return float(value)


def cost(value: object) -> float | None:
    """US dollars; None for what is no cost."""
    return number(value, MAX_COST_USD)


def duration(value: object) -> float | None:
    """Milliseconds; None for what is no duration."""
    return number(value, MAX_DURATION_MS)


def fields(value: object) -> dict[str, object]:
    """An object's fields; none where it is no object."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """A list's items; none where it is no list."""
    return value if isinstance(value, list) else []


def time_ms(value: object) -> int:
    """The time of an ISO 8601 text in milliseconds since the epoch (UTC where it names no zone); 0 for what is none.

    >>> time_ms("2026-11-21T02:02:14.235Z"), time_ms("1970-01-01T01:00:00+01:00"), time_ms("soon")
    (1795226534235, 0, 0)
    """
    match = _STAMP.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return 0
    date, hours, minutes, seconds, fraction, sign, zone_hours, zone_minutes = match.groups()
    time = _day_ms(date) + (int(hours) * 3_600 + int(minutes) * 60 + int(seconds)) * 1_000
    if fraction:
        time += int(fraction[:3].ljust(3, "0"))
    if sign:
        away = (int(zone_hours) * 60 + int(zone_minutes)) * 60_000
        time += -away if sign == "+" else away
    return time if 0 <= time <= MAX_TIME_MS else 0


@functools.lru_cache(maxsize=64)
def _day_ms(date: str) -> int:
    """The beginning of a day such as 2026-11-21; far below zero where there is no such day."""
    year, month, day = int(date[:4]), int(date[5:7]), int(date[8:])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not (1 <= month <= 12 and 1 <= day <= (29 if month == 2 and leap else _DAYS[month - 1])):
        return -(10**15)
    before = year - (month <= 2)  # years begin in March here, so that the day of a leap year is the last of its year
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 + of_year - 719_468
    return days * _DAY_MS


_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
