"""Figures over time: from which source, in which slices, and what is not known."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.activity import MAX_SLICES, activity, today_view
from pyjama_metrics.recent import Recent
from pyjama_metrics.retention import MAX_MINUTES_MS, MAX_QUARTERS_MS, retain
from pyjama_metrics.roll_ups import MINUTE_MS, QUARTER_MS
from pyjama_metrics.state import State
from pyjama_metrics.storage.json import dumps
from pyjama_metrics.views import ActivityView, as_json
from tests.journals import Event, event, folded, tool
from tests.states import foreign_states, full_memory

HOUR = 60 * MINUTE_MS
DAY = 24 * HOUR
NOW = 20_000 * DAY + 12 * HOUR
SERIES = ("success", "error", "interrupted", "requests", "tokens", "cost-micros")


def recorded(*events: Event) -> State:
    """What the file holds at `NOW`."""
    state = folded(*events)
    state["updated"] = NOW
    retain(state, NOW)
    return state


def memory(*events: Event, since_ms: int = 0) -> Recent:
    """A memory that saw those events, and everything from ``since_ms`` on."""
    recent = Recent()
    recent.since_ms = since_ms
    recent.add("w.0.jsonl", events)
    return recent


def back(span: int, state: Any, recent: Recent | None = None) -> ActivityView:
    """The activity of the last ``span`` ms."""
    return activity(state, NOW - span, NOW, recent)


def at(view: ActivityView, time: int) -> int:
    """The place of the slice in which a time lies."""
    return view.times.index(time - time % view.step)


def test_a_quarter_of_an_hour_is_told_from_memory_in_slices_of_5_seconds() -> None:
    """Three executions in two slices, and zeros elsewhere."""
    events = [tool(NOW - 61_000), tool(NOW - 60_900, status="error"), tool(NOW - 3_000, status="interrupted")]
    view = back(15 * MINUTE_MS, recorded(*events), memory(*events))
    assert (view.source, view.step, len(view.times), view.note) == ("memory", 5_000, 180, None)
    assert (view.success[at(view, NOW - 61_000)], view.error[at(view, NOW - 61_000)]) == (1, 1)
    assert (sum(map(int, filter(None, view.success))), view.interrupted[-1]) == (1, 1)
    assert None not in view.success + view.error + view.interrupted


@pytest.mark.parametrize(
    ("span", "step", "slices"),
    [
        (15 * MINUTE_MS, MINUTE_MS, 15),
        (HOUR, MINUTE_MS, 60),
        (DAY, QUARTER_MS, 96),
        (2 * DAY, QUARTER_MS, 192),
        (7 * DAY, HOUR, 168),
        (30 * DAY, 6 * HOUR, 120),
        (366 * DAY, DAY, 367),
    ],
)
def test_the_file_tells_a_span_in_slices_that_fit_it(span: int, step: int, slices: int) -> None:
    """Each event once, in the slice of its time, whatever the step is."""
    view = back(span, recorded(tool(NOW - 1), tool(NOW - 10 * MINUTE_MS, status="error")))
    assert (view.source, view.step, len(view.times)) == ("file", step, slices)
    assert (sum(filter(None, view.success)), view.error[at(view, NOW - 10 * MINUTE_MS)]) == (1, 1)


@given(st.integers(0, NOW), st.integers(1, 4000 * DAY))
def test_slices_are_aligned_and_side_by_side_and_not_too_many(begin: int, span: int) -> None:
    """The first holds the begin of the span, the last its end."""
    view = activity(recorded(), begin, begin + span)
    assert all(time % view.step == 0 for time in view.times)
    assert all(after - before == view.step for before, after in pairwise(view.times))
    assert view.times[0] == view.from_ <= begin < view.from_ + view.step
    assert view.times[-1] < view.to == begin + span <= view.times[-1] + view.step
    assert len(view.times) <= MAX_SLICES + 1
    assert {len(values) for key, values in as_json(view).items() if key in SERIES} == {len(view.times)}


def test_a_memory_that_did_not_see_all_of_the_span_leaves_it_to_the_file() -> None:
    """A dashboard that was just started knows less than the file."""
    events = [tool(NOW - 10 * MINUTE_MS), tool(NOW - 1000)]
    state = recorded(*events)
    assert back(15 * MINUTE_MS, state, memory(events[1], since_ms=NOW - 5 * MINUTE_MS)).source == "file"
    assert back(4 * MINUTE_MS, state, memory(events[1], since_ms=NOW - 5 * MINUTE_MS)).source == "memory"
    unfed = Recent()
    assert back(4 * MINUTE_MS, state, unfed).source == "file"


def test_a_memory_that_began_late_and_found_everything_in_the_journals_tells_the_span() -> None:
    """A page that was just opened need not wait a quarter of an hour for its fine slices."""
    events = [tool(NOW - 10 * MINUTE_MS), tool(NOW - 2 * MINUTE_MS)]
    assert back(15 * MINUTE_MS, recorded(*events), memory(*events, since_ms=NOW - MINUTE_MS)).source == "memory"
    assert back(15 * MINUTE_MS, recorded(*events), memory(*events[1:], since_ms=NOW - MINUTE_MS)).source == "file"


def test_minutes_of_long_ago_are_told_from_memory_by_nobody() -> None:
    """Neither the memory nor the minutes of the file go back three hours, the quarters do."""
    then = NOW - 3 * HOUR
    events = [tool(then), tool(NOW - 1)]
    view = activity(recorded(*events), then - MINUTE_MS, then + MINUTE_MS, memory(*events))
    assert (view.source, view.step, sum(filter(None, view.success))) == ("file", QUARTER_MS, 1)


def test_before_the_file_begins_nothing_is_known_and_it_says_so() -> None:
    """Null, not 0; what is left of the first slice counts."""
    old, kept = NOW - 3 * DAY, NOW - MAX_QUARTERS_MS + MINUTE_MS + QUARTER_MS
    view = back(7 * DAY, recorded(tool(old), tool(kept)))
    assert view.known_from == NOW - MAX_QUARTERS_MS
    assert (view.success[at(view, old)], view.success[at(view, kept)], view.success[-1]) == (None, 1, 0)
    assert (view.error.count(None), view.tokens.count(None)) == ((7 * DAY - MAX_QUARTERS_MS) // HOUR,) * 2
    assert "50 hours" in (view.note or "")
    assert back(DAY, recorded()).note is None


@pytest.mark.parametrize("span", [15 * MINUTE_MS, HOUR, DAY, 7 * DAY])
def test_before_the_figures_were_cleared_nothing_is_known(span: int) -> None:
    """Null and not 0 from every source; the slice in which they were cleared holds what came after."""
    cleared = NOW - 10 * MINUTE_MS + 2_000
    state, after = recorded(tool(cleared + 1_000)), memory(tool(cleared + 1_000), since_ms=cleared)
    state["known-from"] = cleared
    view = back(span, state, after)
    assert (view.known_from, view.source) == (cleared, "memory" if span == 15 * MINUTE_MS else "file")
    place = at(view, cleared)
    assert set(view.success[:place]) == {None}
    assert view.success[place:] == [1] + [0] * (len(view.times) - place - 1)
    assert "cleared" in (view.note or "")
    assert activity(state, cleared - HOUR, cleared).source == "none"
    assert activity(state, cleared + QUARTER_MS, NOW + HOUR).note is None


def test_a_span_of_which_nothing_is_known_has_no_source() -> None:
    """A week that ended a week ago."""
    view = activity(recorded(), NOW - 14 * DAY, NOW - 7 * DAY)
    assert (view.source, view.known_from, set(view.success)) == ("none", None, {None})
    assert view.note


def test_everything_that_the_file_lets_go_of_is_called_unknown() -> None:
    """The bounds here are those of the retention: no slice that it removed is told as a zero."""
    steps = range(NOW - MAX_QUARTERS_MS - DAY, NOW, QUARTER_MS // 3)
    view = back(4 * DAY, recorded(*[tool(time) for time in steps]))
    assert 0 not in view.success
    minutes = range(NOW - MAX_MINUTES_MS - HOUR, NOW, MINUTE_MS // 2)
    state = recorded(*[tool(time) for time in minutes])
    for end in range(NOW - 40 * MINUTE_MS, NOW, 7 * MINUTE_MS + 1):
        assert 0 not in activity(state, end - HOUR + MINUTE_MS, end).success


def test_a_hub_in_which_nothing_happens_keeps_what_it_knew() -> None:
    """The file lets go when it is written; a day later it still tells the hour before that."""
    state = recorded(tool(NOW - HOUR))
    view = activity(state, NOW - HOUR, NOW + DAY)
    assert (view.known_from, view.success[0], view.success[-1]) == (NOW - HOUR, 1, 0)


def test_cost_is_null_where_nothing_was_priced() -> None:
    """Unpriced calls are no calls for nothing, and neither are none."""
    calls = [event("llm", NOW - 10 * MINUTE_MS, input_tokens=5, cost_micros=7), event("llm", NOW - MINUTE_MS, input_tokens=3)]
    view = back(HOUR, recorded(*calls))
    priced, unpriced = at(view, NOW - 10 * MINUTE_MS), at(view, NOW - MINUTE_MS)
    assert (view.cost_micros[priced], view.requests[priced], view.tokens[priced]) == (7, 1, 5)
    assert (view.cost_micros[unpriced], view.requests[unpriced], view.tokens[unpriced]) == (None, 1, 3)
    assert view.cost_micros.count(None) == len(view.times) - 1


def test_today_sums_what_happened_since_midnight() -> None:
    """By the time of the events: what was recorded late still belongs to yesterday."""
    midnight = NOW - NOW % DAY
    today = [tool(midnight), tool(NOW, status="error"), tool(NOW, status="interrupted")]
    today += [event("llm", NOW, input_tokens=5, output_tokens=2, cost_micros=9), event("llm", NOW, input_tokens=1)]
    view = today_view(recorded(*today, tool(midnight - 1), event("llm", midnight - 1, input_tokens=99)), midnight)
    assert (view.since, view.count, view.success, view.error) == (midnight, 2, 1, 1)
    assert (view.requests, view.tokens, view.priced_requests, view.cost_micros) == (2, 8, 1, 9)


def test_a_day_in_which_nothing_was_priced_cost_nobody_knows_what() -> None:
    """Null, not 0."""
    view = today_view(recorded(event("llm", NOW, input_tokens=1)), NOW - NOW % DAY)
    assert (view.requests, view.cost_micros) == (1, None)
    assert today_view({}, 0).cost_micros is None


@pytest.mark.parametrize("foreign", [None, 7, [], {"success": "many"}, {"success": None, "error": [1]}, {"success": -1e999}, {}])
def test_a_slice_that_a_hand_wrote_counts_what_is_a_count(foreign: Any) -> None:
    """The others count as ever."""
    state: Any = recorded(tool(NOW - 1), tool(NOW - HOUR))
    for series, step in (("minutes", MINUTE_MS), ("quarters", QUARTER_MS)):
        state["roll-ups"][series][str(NOW - HOUR)] = foreign
        state["roll-ups"][series]["yesterday"] = {"success": 5}
        view = back(15 * MINUTE_MS + step, state)
        assert (view.success[-1], sum(filter(None, view.success))) == (1, 1)
    assert back(DAY, state).success[at(back(DAY, state), NOW - HOUR)] == 0
    assert today_view(state, NOW - DAY).success == 1


@given(foreign_states(), st.sampled_from([1, MINUTE_MS, HOUR, DAY, 30 * DAY]))
def test_any_state_has_an_activity(state: Any, span: int) -> None:
    """Whatever a hand put into the roll-ups, or instead of them."""
    for recent in (None, full_memory()):
        json.dumps(as_json(activity(state, 2000 - span, 2000, recent)), allow_nan=False)
    dumps(as_json([activity(state, 2000 - span, 2000), today_view(state, 0)]))
