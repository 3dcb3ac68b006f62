"""Slices of time: which time lies in which, how they add up, and which go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.ledger_rows import RowKey
from pyjama_metrics.roll_ups import (
    MAX_ROWS,
    MINUTE_MS,
    QUARTER_MS,
    RollUps,
    add_executions,
    add_requests,
    at,
    drop_empty,
    let_go,
    new_roll_ups,
    new_slice,
    summed,
)

NOON = 1_706_961_600_000


def executions(*times: int) -> RollUps:
    """The roll-ups after one successful execution at each of some times."""
    series = new_roll_ups()
    for time in times:
        for target in at(series, time):
            add_executions(target, "success", 1)
    return series


def counts(slices: Any) -> dict[Any, int]:
    """The executions in each slice."""
    return {begin: each["count"] for begin, each in slices.items()}


def test_a_time_lies_in_the_minute_and_the_quarter_that_begin_at_or_before_it() -> None:
    """The begin of a slice is in it, and its end in the next one."""
    series = executions(NOON - 1, NOON, NOON + MINUTE_MS - 1, NOON + MINUTE_MS)
    assert counts(series["minutes"]) == {str(NOON - MINUTE_MS): 1, str(NOON): 2, str(NOON + MINUTE_MS): 1}
    assert counts(series["quarters"]) == {str(NOON - QUARTER_MS): 1, str(NOON): 3}


def test_an_interrupted_execution_stands_apart_from_the_count() -> None:
    """As everywhere."""
    one = new_slice()
    for kind, number in (("success", 3), ("error", 2), ("interrupted", 1)):
        add_executions(one, kind, number)
    assert one == {**new_slice(), "count": 5, "success": 3, "error": 2, "interrupted": 1}


def test_a_model_call_without_a_cost_is_unpriced_and_one_that_cost_nothing_is_not() -> None:
    """A sum of costs says of how many calls it is, and the rows say which calls may be priced."""
    one = new_slice()
    computed, reported = RowKey(0, 0, "computed", "m"), RowKey(0, 0, "reported", "m")
    add_requests(one, computed, [1, 10, 0, 0, 0, 0, 0, 0], is_reported=False)
    add_requests(one, reported, [2, 4, 1, 0, 0, 1, 0, 7], is_reported=True)
    figures = {"requests": 3, "tokens": 16, "priced-requests": 2, "cost-micros": 7}
    ledger = {"0|0|computed|m||": [1, 10, 0, 0, 0, 0, 0, 0], "0|0|reported|m||": [2, 4, 1, 0, 0, 1, 0, 7]}
    assert one == {**new_slice(), **figures, "ledger": ledger}


def test_a_slice_whose_calls_are_charged_elsewhere_now_is_none() -> None:
    """It was made for them."""
    series = new_roll_ups()
    for sign in (1, -1):
        for target in at(series, NOON):
            add_requests(target, RowKey(0, 0, "computed", "m"), [sign, sign * 10, 0, 0, 0, 0, 0, 0], is_reported=False)
    drop_empty(series, NOON)
    assert series == new_roll_ups()


def test_the_rows_of_a_slice_are_bounded_and_its_sums_are_not_touched() -> None:
    """The models that were called least are added up."""
    minutes = new_roll_ups()["minutes"]
    one = minutes[str(NOON)] = new_slice()
    for number in range(3 * MAX_ROWS):
        add_requests(one, RowKey(0, 0, "computed", f"m{number}"), [number + 1, 2, 0, 0, 0, 0, 0, 0], is_reported=False)
    before = one["requests"], one["tokens"]
    let_go(minutes, NOON, 1)
    assert (one["requests"], one["tokens"]) == before
    assert len(one["ledger"]) == MAX_ROWS
    assert [sum(column) for column in zip(*one["ledger"].values(), strict=True)][:2] == [*before]
    assert f"0|0|computed|m{3 * MAX_ROWS - 1}||" in one["ledger"]


def test_slices_are_summed_into_longer_ones_within_a_span() -> None:
    """By where they begin: the end of the span is not in it."""
    slices = {begin: {**new_slice(), "count": 1} for begin in range(0, 600, 50)}
    assert counts(summed(slices, 100, 500, 200)) == {0: 2, 200: 4, 400: 2}


@given(st.lists(st.integers(0, 10**8), max_size=30))
def test_minutes_add_up_to_quarters(times: list[int]) -> None:
    """Both series tell the same while nothing was let go."""
    series = executions(*times)
    minutes = {int(begin): each for begin, each in series["minutes"].items()}
    assert {str(begin): each for begin, each in summed(minutes, 0, 10**9, QUARTER_MS).items()} == series["quarters"]


@pytest.mark.parametrize("foreign", [{}, {"count": "many"}, {"count": None, "tokens": [1]}])
def test_a_slice_that_somebody_edited_sums_to_what_can_be_read_of_it(foreign: dict[str, Any]) -> None:
    """A view goes on; the next fold mends the file."""
    assert summed({0: foreign}, 0, 1, 1) == {0: new_slice()}


def test_what_began_before_a_time_goes() -> None:
    """And what began at it stays."""
    minutes = executions(NOON - 1, NOON, NOON + MINUTE_MS)["minutes"]
    let_go(minutes, NOON, 10)
    assert set(minutes) == {str(NOON), str(NOON + MINUTE_MS)}


def test_of_too_many_the_first_stay() -> None:
    """Counted from those that are not too old, whatever the order in which they were made."""
    minutes = executions(*(NOON + n * MINUTE_MS for n in (3, -1, 0, 2, 1)))["minutes"]
    let_go(minutes, NOON, 2)
    assert set(minutes) == {str(NOON), str(NOON + MINUTE_MS)}
