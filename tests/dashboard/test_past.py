"""The history as the dashboard answers for it: joined with what is live, asked once for all, and never in the way."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyjama_metrics import pricing
from pyjama_metrics.activity import PastSlice, activity, seam, with_past
from pyjama_metrics.dashboard.live import Live
from pyjama_metrics.dashboard.past import REMEMBERED, WAITING, NoHistory, Past, TooBusy
from pyjama_metrics.history import known_from
from pyjama_metrics.hub import Hub
from pyjama_metrics.state import new_state
from tests.histories import database
from tests.journals import Event, event, leave_journal, tool
from tests.waiting import wait_until

MINUTE = 60_000
QUARTER = 15 * MINUTE
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 20_500 * DAY + 13 * HOUR + 7 * MINUTE
"""A Saturday of February 2026, in the middle of the day."""


def call(time: int, model: str = "gpt-4o", **fields: Any) -> Event:
    """A model call of 1,000 tokens and 100 more, which cost $0.0035 with gpt-4o."""
    return event("llm", time, model=model, input_tokens=1000, output_tokens=100, **fields)


def hub_of(home: Path, *events: Event, now: int = NOW) -> Hub:
    """A hub that has counted these events, with its history."""
    leave_journal(home, "w-1-a", *events)
    hub = Hub(str(home), clock=lambda: now / 1000)
    assert hub.catch_up(30.0), hub.history.trouble
    return hub


def live_of(hub: Hub, now: int = NOW) -> Live:
    """What a dashboard knows of it."""
    live = Live(hub, clock=lambda: now / 1000)
    live.refresh()
    return live


def settled(home: Path) -> None:
    """Let the last change of the database be so long ago that answers are kept."""
    long_ago = time.time_ns() - 10_000_000_000
    for file in home.glob("history.db*"):
        os.utime(file, ns=(long_ago, long_ago))


# -- the seam ----------------------------------------------------------------------------------------------------------


def test_a_month_is_told_by_the_history_and_its_end_by_the_file(home: Path) -> None:
    """What happened in each stretch is there once; what no price is known of is unpriced, and the three sums stay apart."""
    events = [
        tool(NOW - 30 * DAY + HOUR),
        tool(NOW - 5 * DAY, status="error"),
        tool(NOW - 49 * HOUR),
        tool(NOW - HOUR),
        tool(NOW),
    ]
    events += [call(NOW - 20 * DAY, cost_micros=500_000), call(NOW - 6 * DAY), call(NOW - 3 * DAY, "no-such"), call(NOW - HOUR)]
    live = live_of(hub_of(home, *events))
    month = live.activity(NOW - 30 * DAY, NOW)
    assert (month.source, month.note, month.step) == ("history", None, 6 * HOUR)
    assert (sum(filter(None, month.success)), sum(filter(None, month.error))) == (4, 1)
    assert sum(filter(None, month.cost_micros)) == 500_000 + 3_500 + 3_500
    assert (sum(filter(None, month.unpriced_requests)), month.unpriced_models) == (1, ["no-such"])
    assert sum(filter(None, month.tokens)) == 4 * 1100
    assert None not in month.success
    week = live.activity(NOW - 7 * DAY, NOW)
    assert (sum(filter(None, week.success)), sum(filter(None, week.error)), week.step) == (3, 1, HOUR)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ages=st.lists(st.integers(0, 29 * DAY) | st.integers(46 * HOUR, 54 * HOUR), min_size=1, max_size=40),
    now=st.integers(NOW, NOW + DAY),
    cleared=st.none() | st.integers(0, 60 * HOUR),
)
def test_whenever_one_looks_each_event_is_in_exactly_one_bar(
    tmp_path_factory: pytest.TempPathFactory, ages: list[int], now: int, cleared: int | None
) -> None:
    """The bars of the last 30 days are those that the times of the events make, also around the seam and after a clear."""
    home = tmp_path_factory.mktemp("hub")
    times = sorted(now - age for age in ages)
    moment = [now / 1000]
    hub = Hub(str(home), clock=lambda: moment[0])
    if cleared is None:
        leave_journal(home, "w-1-a", *(tool(each) for each in times))
    else:
        cut = now - cleared
        moment[0] = cut / 1000
        leave_journal(home, "w-1-a", *(tool(each) for each in times if each < cut))
        assert hub.catch_up(30.0)
        hub.clear()
        moment[0] = now / 1000
        leave_journal(home, "w-2-b", *(tool(each) for each in times if each >= cut))
    assert hub.catch_up(30.0), hub.history.trouble
    view = live_of(hub, now).activity(now - 30 * DAY, now)
    wanted: dict[int, int] = {}
    for each in times:
        wanted[each - each % view.step] = wanted.get(each - each % view.step, 0) + 1
    found = {begin: count for begin, count in zip(view.times, view.success, strict=True) if count}
    assert found == wanted


def test_a_clear_empties_what_is_live_and_leaves_the_past(home: Path) -> None:
    """A day begins anew with the figures, as it did before there was a history; a week still has what was counted."""
    hub = hub_of(home, tool(NOW - 3 * DAY), tool(NOW - HOUR))
    hub.clear()
    live = live_of(hub)
    day, week = live.activity(NOW - DAY, NOW), live.activity(NOW - 7 * DAY, NOW)
    assert sum(filter(None, day.success)) == 0
    assert "cleared" in (day.note or "")
    assert sum(filter(None, week.success)) == 2


def test_the_time_before_the_history_is_not_known(home: Path) -> None:
    """A program that was installed ten days ago knows nothing of the eleventh."""
    live = live_of(hub_of(home, tool(NOW - 10 * DAY), tool(NOW)))
    month = live.activity(NOW - 30 * DAY, NOW)
    assert month.known_from == (NOW - 10 * DAY) // HOUR * HOUR
    assert month.note == "What happened before is not known: the history begins then."
    unknown = [begin for begin, count in zip(month.times, month.success, strict=True) if count is None]
    assert unknown == [begin for begin in month.times if begin + month.step <= month.known_from]
    assert live.activity(NOW - 7 * DAY, NOW).note is None


def test_a_history_that_is_younger_than_the_file_takes_nothing_away(home: Path) -> None:
    """The file knew the hours before somebody switched the history on."""
    state = new_state()
    state["updated"] = NOW
    view = activity(state, NOW - 7 * DAY, NOW)
    until = seam(state, view)
    assert until is not None
    past = [PastSlice(begin, 7, 0, 0, 0, 0, None, 0) for begin in range(view.from_, until, view.step)]
    joined = with_past(view, past, known_from=until - 2 * view.step)
    place = joined.times.index(until)
    assert joined.success[place - 3 : place + 1] == [None, 7, 7, 0]
    assert with_past(view, past, None) == view


def test_a_span_that_is_over_is_told_by_the_history_alone(home: Path) -> None:
    """A day of last week, by quarters of an hour."""
    begin = NOW - 6 * DAY
    live = live_of(hub_of(home, tool(begin + HOUR), tool(begin + HOUR + QUARTER), tool(begin - HOUR), tool(NOW)))
    view = live.activity(begin, begin + DAY)
    assert (view.step, view.source, sum(filter(None, view.success))) == (QUARTER, "history", 2)


# -- no history --------------------------------------------------------------------------------------------------------


def test_without_a_history_the_view_says_why_and_tells_what_the_file_knows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off; not there yet; damaged. The live part is the same in each."""
    hub = hub_of(home, tool(NOW - 5 * DAY), tool(NOW - HOUR))
    live = live_of(hub)
    known = "What happened more than 50 hours ago is not known: "
    monkeypatch.setenv("PYJAMA_HISTORY", "0")
    off = live.activity(NOW - 7 * DAY, NOW)
    assert (off.note, off.source) == (f"{known}no history is kept, as PYJAMA_HISTORY says so.", "file")
    monkeypatch.delenv("PYJAMA_HISTORY")
    (home / "history.db").write_bytes(b"this is no database, but it is long enough to be taken for one" * 100)
    damaged = live.activity(NOW - 7 * DAY, NOW)
    assert (damaged.note or "").startswith(f"{known}the history in {home}/history.db cannot be read (file is not a database)")
    for file in home.glob("history.db*"):
        file.unlink()
    gone = live.activity(NOW - 7 * DAY, NOW)
    assert gone.note == f"{known}there is no history in {home} yet."
    assert sum(filter(None, off.success)) == sum(filter(None, damaged.success)) == sum(filter(None, gone.success)) == 1


def test_a_newer_versions_history_is_left_alone(home: Path) -> None:
    """Whoever goes back to an older version is told why the past is missing."""
    hub_of(home, tool(NOW))
    with database(home) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(NoHistory, match="a newer version of pyjama-metrics made it"):
        Past(str(home)).answer("q", lambda _: known_from(folder=str(home)))


# -- asking ------------------------------------------------------------------------------------------------------------


def test_ten_who_ask_the_same_cost_one_question(home: Path) -> None:
    """Until the database changes; then the next one costs another."""
    hub_of(home, tool(NOW - HOUR))
    settled(home)
    past, asked = Past(str(home)), list[int]()

    def ask(_: Any) -> Any:
        asked.append(1)
        return known_from(folder=str(home))

    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(past.answer("q", ask))) for _ in range(WAITING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found += [past.answer("q", ask) for _ in range(2)]
    assert (len(asked), found) == (1, [(NOW - HOUR) // HOUR * HOUR] * 10)
    leave_journal(home, "w-2-b", tool(NOW - 3 * HOUR))
    assert Hub(str(home), clock=lambda: NOW / 1000).catch_up(30.0)
    assert past.answer("q", ask) == (NOW - 3 * HOUR) // HOUR * HOUR


def test_a_reader_of_the_database_is_no_change(home: Path) -> None:
    """SQLite leaves files beside it when it is read: an answer is kept all the same."""
    hub_of(home, tool(NOW))
    settled(home)
    past, asked = Past(str(home)), list[int]()
    for _ in range(3):
        past.answer("q", lambda _: asked.append(1) or known_from(folder=str(home)))
        assert known_from(folder=str(home)) is not None
    assert len(asked) == 1


def test_of_a_change_that_has_just_come_nothing_is_kept(home: Path) -> None:
    """A second one could bear the same time."""
    hub_of(home, tool(NOW))
    os.utime(home / "history.db")
    past, asked = Past(str(home)), list[int]()
    for _ in range(2):
        past.answer("q", lambda _: asked.append(1) or 1)
    assert len(asked) == 2


def test_a_price_of_ones_own_changes_the_past(home: Path) -> None:
    """Also where the answer was kept, and without a restart."""
    live = live_of(hub_of(home, call(NOW - 5 * DAY, "mine")))
    settled(home)
    assert sum(filter(None, live.activity(NOW - 7 * DAY, NOW).unpriced_requests)) == 1
    pricing.override("mine", input=1, output=10)
    try:
        assert sum(filter(None, live.activity(NOW - 7 * DAY, NOW).cost_micros)) == 2_000
    finally:
        pricing.remove_override("mine")


def test_answers_are_bounded(home: Path) -> None:
    """Whoever asks a thousand questions does not fill the memory: the first is worked out again."""
    hub_of(home, tool(NOW))
    settled(home)
    past, asked = Past(str(home)), list[int]()
    for number in (*range(REMEMBERED + 1), 0):
        past.answer(number, lambda _, number=number: asked.append(number))
    assert asked == [*range(REMEMBERED + 1), 0]


def test_more_than_a_few_do_not_wait_for_a_slow_answer(home: Path) -> None:
    """The server's other threads are for what is live."""
    hub_of(home, tool(NOW))
    past, is_asked, may_end = Past(str(home)), threading.Event(), threading.Event()

    def slow(_: Any) -> int:
        is_asked.set()
        may_end.wait(10)
        return 1

    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(past.answer("q", slow))) for _ in range(WAITING)]
    for thread in threads:
        thread.start()
    assert is_asked.wait(10)
    wait_until(lambda: past._places._value == 0, what="the others to wait")  # type: ignore[attr-defined]
    begin = time.monotonic()
    with pytest.raises(TooBusy, match="ask again in a few seconds"):
        past.answer("q", slow)
    assert time.monotonic() - begin < 1
    may_end.set()
    for thread in threads:
        thread.join()
    assert results == [1] * WAITING
    assert past.answer("q", slow) == 1


def test_a_locked_database_is_waited_for_once(home: Path) -> None:
    """SQLite waits for seconds; whoever comes next is told at once, and when it is free again it is asked again."""
    hub_of(home, tool(NOW))
    connection = sqlite3.connect(home / "history.db", isolation_level=None)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    past = Past(str(home))
    try:
        with pytest.raises(NoHistory, match="database is locked"):
            past.answer("q", lambda _: known_from(folder=str(home)))
        begin = time.monotonic()
        with pytest.raises(NoHistory, match="database is locked"):
            past.answer("other", lambda _: known_from(folder=str(home)))
        assert time.monotonic() - begin < 1
    finally:
        connection.close()
    wait_until(lambda: _answers(past, home), 15.0, "the history to be asked again")


def _answers(past: Past, home: Path) -> bool:
    try:
        return bool(past.answer("q", lambda _: known_from(folder=str(home))) is not None)
    except NoHistory:
        return False
