"""The span of time that a request for the activity asks for. No web framework."""

from __future__ import annotations

from collections.abc import Callable

from pyjama_metrics.events import MAX_TIME_MS

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

RANGES = {"15m": 15 * MINUTE, "1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
"""The spans that have a name, in ms; each ends now."""

LONGEST = 366 * DAY
"""The longest span that is answered, in ms."""


class BadSpan(ValueError):
    """Not a span of time that can be answered; its text is a sentence for people."""


def span_of(argument: Callable[[str], str | None], now_ms: int) -> tuple[int, int]:
    """Begin and end of the span that is asked for, in ms since the epoch.

    Args:
        argument: answers with an argument of the request, or None: ``range``, or ``from`` and ``to``.
        now_ms: where a named range ends.

    Raises BadSpan.
    """
    name, begin, end = argument("range"), argument("from"), argument("to")
    if name is not None and begin is None and end is None:
        if name not in RANGES:
            raise BadSpan(f"There is no range {name[:20]!r}; there are {', '.join(RANGES)}, or give from and to in ms.")
        return now_ms - RANGES[name], now_ms
    if name is not None or begin is None or end is None:
        raise BadSpan(f"Give either a range ({', '.join(RANGES)}) or both from and to, in ms since the epoch.")
    since, until = _time(begin), _time(end)
    if since >= until:
        raise BadSpan(f"The span is empty: it ends at {until} and begins at {since}; from must be before to.")
    if until - since > LONGEST:
        raise BadSpan(f"The span has {(until - since) / DAY:,.1f} days; ask for {LONGEST // DAY} days at most.")
    return since, until


def _time(text: str) -> int:
    # Python's int would take " 1_0 " and the digits of other scripts too.
    if not (text.isascii() and text.isdigit() and len(text) < 16) or int(text) > MAX_TIME_MS:
        raise BadSpan(f"{text[:20]!r} is no time in ms since the epoch; give digits only, up to {MAX_TIME_MS}.")
    return int(text)
