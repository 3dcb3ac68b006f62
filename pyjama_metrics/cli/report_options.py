"""Which span of the past, whose, and in which time zone: what ``report`` and ``export`` ask for in the same words."""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING, NoReturn

from pyjama_metrics.cli import argument_types, terminal
from pyjama_metrics.events import MAX_TIME_MS

if TYPE_CHECKING:
    from datetime import date, tzinfo

    from pyjama_metrics.hub import Hub
    from pyjama_metrics.reports import Span

USUAL = "30d"
TIMEOUT = 30.0
"""Seconds after which figures are shown as they are, however much is still to be counted."""
_STEP = 0.25


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the options for whose figures are meant, and in which time zone."""
    parser.add_argument("--agent", metavar="NAME", type=argument_types.name, help="only this agent")
    parser.add_argument("--project", metavar="NAME", help='only runs of this project; "" for those of none')
    parser.add_argument("--timezone", metavar="ZONE", type=argument_types.zone, help="zone of the days, such as Europe/Berlin")
    parser.add_argument("--week-begins", choices=("monday", "sunday"), help="first day of weeks (PYJAMA_WEEK_BEGINS)")


def span_of(since: str, until: str | None, arguments: argparse.Namespace, now_ms: int) -> Span:
    """The span that the options name.

    Leaves with code 2 and a sentence where they name none.
    """
    from pyjama_metrics import settings
    from pyjama_metrics.reports import Span
    from pyjama_metrics.time_steps import day_of, midnight

    zone: tzinfo | None = arguments.timezone
    today = day_of(now_ms, zone)
    begin = _told(since, today, zone, is_end=False)
    # A day that has begun counts as a whole one: what is still to come of it is empty.
    end = midnight(_days_after(today, 1), zone) if until is None else _told(until, today, zone, is_end=True)
    if begin >= end:
        _refuse(f"The span ends before it begins: from {since} to {until or 'today'}. Name an earlier begin or a later end.")
    told = arguments.week_begins
    week_begins = settings.week_begins() if told is None else 6 if told == "sunday" else 0
    return Span(begin, end, zone, week_begins, arguments.agent, arguments.project)


def beginning(since: str, zone: tzinfo | None = None) -> int:
    """The moment with which a span begins, in milliseconds since the epoch.

    Leaves with code 2 and a sentence where the text names none.
    """
    from pyjama_metrics.time_steps import day_of

    return _told(since, day_of(now(), zone), zone, is_end=False)


def _told(text: str, today: date, zone: tzinfo | None, *, is_end: bool) -> int:
    try:
        time_ms = _moment(text, today, zone, is_end=is_end)
    except (ValueError, OverflowError, OSError):
        time_ms = -1
    if 0 <= time_ms <= MAX_TIME_MS:
        return time_ms
    _refuse(
        f"{terminal.cut(text, 60)!r} is not a time from 1970 on: use a day (2026-05-04), today, yesterday, a number of days up "
        "to today (7d), or ISO 8601 (2026-05-04T12:30, with +02:00 or Z for another zone)."
    )


def _moment(text: str, today: date, zone: tzinfo | None, *, is_end: bool) -> int:
    from datetime import date, datetime

    from pyjama_metrics.time_steps import midnight

    word = text.strip().lower()
    if word in ("today", "yesterday"):
        return midnight(_days_after(today, int(is_end) - (word == "yesterday")), zone)
    if word.endswith("d") and word[:-1].isascii() and word[:-1].isdigit() and len(word) < 7:
        # For both ends the midnight with which the last N days begin: "--since 14d --until 7d" is the week before this one.
        return midnight(_days_after(today, 1 - int(word[:-1])), zone)
    try:
        day = date.fromisoformat(word)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)
    return midnight(_days_after(day, int(is_end)), zone)


def _days_after(day: date, days: int) -> date:
    from datetime import timedelta

    return day + timedelta(days=days)


def _refuse(sentence: str) -> NoReturn:
    terminal.complain(sentence)
    raise SystemExit(2)


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def bring_up_to_date(folder: str, *, thoroughly: bool) -> None:
    """Bring what was recorded into the history; where that fails, say so on stderr.

    Arguments:
        folder: the hub's.
        thoroughly: look for runs whose process has died as well, which changes no sum, but how a run ended.
    """
    from pyjama_metrics import history, settings
    from pyjama_metrics.errors import HistoryUnusable, HubError

    if not os.path.isdir(folder):
        return  # there is nothing to count, and to look must not make a folder
    if not settings.keeps_history():
        terminal.complain("No history is kept (PYJAMA_HISTORY=0), so what was recorded under that setting is missing here.")
        return
    try:
        # Mostly somebody else has counted everything, and then there is no need to load what counts.
        if not thoroughly and not history.waiting(folder=folder):
            return
    except (HistoryUnusable, OSError):
        pass  # whoever counts knows what to do about it, or says what is wrong
    from pyjama_metrics.hub import Hub

    hub = Hub(folder)
    try:
        if not _catch_up(hub):
            history.complete_from(folder=folder)  # what cannot be read either is told once, by whoever reads
            trouble = hub.history.trouble
            reason = str(trouble) if trouble is not None else f"Counting took longer than {TIMEOUT:g} s; ask again for the rest."
            terminal.complain(f"These figures are not up to date. {reason}")
    except HistoryUnusable:
        raise
    except (HubError, OSError) as error:
        terminal.complain(f"These figures are not up to date. {error}")
    if hub.history.set_aside is not None:
        terminal.complain(
            f"The history was damaged. It is set aside as {hub.history.set_aside}, and begun anew with what the journals still "
            "hold."
        )


def _catch_up(hub: Hub) -> bool:
    from pyjama_metrics.cli.progress import Progress
    from pyjama_metrics.storage import segments

    deadline, most = time.monotonic() + TIMEOUT, 1
    with Progress("counting what was recorded") as progress:
        while not hub.catch_up(_STEP):
            if hub.history.trouble is not None or time.monotonic() > deadline:
                return False
            left = hub.history.waiting(segments.listing(hub.folder))
            most = max(most, left)
            progress.at(1 - left / most)
    return True
