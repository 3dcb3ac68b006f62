"""What the words after an option must look like; each function is an argparse ``type`` and says what it
wanted instead.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyjama_metrics.events import MAX_COUNT, MAX_DURATION_MS, MAX_TIME_MS

if TYPE_CHECKING:
    from datetime import tzinfo

_EARLIEST_MS = 100_000_000_000
_WHOLE_DIGITS = 18


def name(text: str) -> str:
    """The name of an agent, a tool, a step: any text but the empty one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a name is needed here, and this one is empty")
    return text


def whole_number(low: int, high: int, what: str) -> Callable[[str], int]:
    """A number without a fraction from ``low`` to ``high``; ``what`` names it in the complaint."""

    def convert(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= _WHOLE_DIGITS else -1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}: use a whole number from {low} to {high}")
        return number

    return convert


port = whole_number(0, 65535, "a port")
tokens = whole_number(0, MAX_COUNT, "a number of tokens")
process_id = whole_number(1, 2**31 - 1, "a process id")


def duration_ms(text: str) -> float:
    """A length of time in milliseconds."""
    return _measure(text, MAX_DURATION_MS, "a duration in milliseconds", "45.2")


def seconds(text: str) -> float:
    """A length of time in seconds, more than none and up to a day."""
    value = _measure(text, 86_400, "a number of seconds", "30")
    if not value:
        raise argparse.ArgumentTypeError("it has to be more than 0 seconds")
    return value


def dollars(text: str) -> float:
    """An amount of money in dollars."""
    return _measure(text, 1e9, "an amount in dollars", "0.0125")


def _measure(text: str, high: float, what: str, example: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= high:  # false for NaN too
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}: use a number from 0 to {high:.0f}, such as {example}")
    return number


def label(text: str) -> tuple[str, str]:
    """``key=value``, with a key."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not a label: write it as key=value")
    return key.strip(), value


def moment(text: str) -> int:
    """A moment, as milliseconds since the epoch or in ISO 8601; one without a time zone is local time.

    >>> moment("2024-02-03T07:37:53.123Z")
    1706945873123
    """
    from datetime import datetime

    try:
        time_ms = int(text) if text.isascii() and text.isdigit() else round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        time_ms = -1
    if _EARLIEST_MS <= time_ms <= MAX_TIME_MS:
        return time_ms
    hint = " (this looks like seconds; 'date +%s%3N' prints milliseconds)" if 0 < time_ms < _EARLIEST_MS else ""
    raise argparse.ArgumentTypeError(
        f"{text[:60]!r} is not a time: use milliseconds since the epoch or ISO 8601, such as 2024-02-03T12:30:00Z{hint}"
    )


def zone(text: str) -> tzinfo:
    """A time zone by its name."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(text)
    except (LookupError, ValueError, OSError):  # unknown, no name at all, or a folder of zones
        hint = "use a name such as Europe/Berlin, America/New_York or UTC"
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not a time zone that this machine knows: {hint}") from None
