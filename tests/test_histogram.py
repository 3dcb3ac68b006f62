"""The latency histogram: its laws, and the buckets of the formats it must agree with."""

from __future__ import annotations

import copy
import json
import math
import random
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyjama_metrics.events import MAX_DURATION_MS
from pyjama_metrics.histogram import (
    LARGEST_MS,
    LARGEST_SUM_US,
    SMALLEST_MS,
    Histogram,
    add_many,
    bounds,
    bucket_of,
    empty,
    merge,
    quantile,
    quantiles,
    valid_duration,
)

DURATIONS = st.one_of(
    st.floats(0, LARGEST_MS),
    st.floats(0, 1e4),
    st.integers(0, 10_000).map(float),
    st.integers(-19, 33).map(lambda power: 2.0**power),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-7, SMALLEST_MS, LARGEST_MS]),
)
MEASURED = st.floats(SMALLEST_MS, LARGEST_MS)
BUCKETS = range(bucket_of(SMALLEST_MS), bucket_of(LARGEST_MS) + 1)


def of(values: list[float]) -> Histogram:
    """The histogram of some durations."""
    made = empty()
    add_many(made, values)
    return made


def merged(*parts: Histogram) -> Histogram:
    """The sum of some histograms, none of which is changed."""
    made = empty()
    for part in parts:
        merge(made, part)
    return made


def as_bytes(one: Histogram) -> str:
    """The figures as the file has them, so that 1 and 1.0, or 0.0 and -0.0, are two things."""
    return json.dumps(one, sort_keys=True)


@given(st.lists(DURATIONS), st.lists(DURATIONS))
@example([0.0], [-0.0])
@example([1], [1.0])
def test_merging_two_histograms_is_the_same_either_way_round(some: list[float], others: list[float]) -> None:
    """Merge is commutative, to the byte."""
    assert as_bytes(merged(of(some), of(others))) == as_bytes(merged(of(others), of(some)))


@given(st.lists(DURATIONS), st.lists(DURATIONS), st.lists(DURATIONS))
def test_merging_three_histograms_may_begin_with_any_two(a: list[float], b: list[float], c: list[float]) -> None:
    """Merge is associative, to the byte."""
    assert as_bytes(merged(merged(of(a), of(b)), of(c))) == as_bytes(merged(of(a), merged(of(b), of(c))))


@given(st.data(), st.lists(DURATIONS))
def test_values_added_in_any_order_and_pieces_make_the_same_dict(data: st.DataObject, values: list[float]) -> None:
    """Folding a journal line by line, in one go, or after another one: the file is the same."""
    shuffled = data.draw(st.permutations(values))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    pieces = [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(values)], strict=True)]
    added = empty()
    for piece in pieces:
        add_many(added, piece)
    assert as_bytes(added) == as_bytes(of(values)) == as_bytes(merged(*map(of, pieces)))


@given(st.lists(DURATIONS), st.lists(DURATIONS))
def test_adding_and_merging_leave_their_source_alone(values: list[float], others: list[float]) -> None:
    """The fold adds one batch to the figures of the tool and to those of all tools."""
    values_before, other = list(values), of(others)
    other_before = copy.deepcopy(other)
    into = of(values)
    merge(into, other)
    add_many(into, values)
    assert (values, other) == (values_before, other_before)


@given(st.lists(DURATIONS))
def test_every_value_is_in_exactly_one_place(values: list[float]) -> None:
    """The count is the zeros plus the buckets, and the buckets are those of the values one by one."""
    made = of(values)
    alone = [bucket_of(value) for value in values if value]
    assert made["n"] == len(values) == made["zero"] + sum(made["buckets"].values())
    assert made["buckets"] == {str(k): alone.count(k) for k in set(alone)}


@given(st.one_of(MEASURED, st.integers(-19, 33).map(lambda power: 2.0**power)))
def test_the_bucket_of_a_value_is_that_of_the_real_numbers(value: float) -> None:
    """Checked without rounding: 2**((k-1)/32) < v <= 2**(k/32), both sides raised to the 32nd power."""
    k = bucket_of(value)
    assert Fraction(2) ** (k - 1) < Fraction(value) ** 32 <= Fraction(2) ** k


@given(MEASURED)
def test_the_bounds_of_its_bucket_contain_the_value(value: float) -> None:
    """The lower bound is outside, the upper one inside."""
    lower, upper = bounds(bucket_of(value))
    assert lower < value <= upper


def test_each_bound_belongs_to_the_bucket_below_it() -> None:
    """Upper bounds are inclusive, as in OTLP and Prometheus, and the next float is in the next bucket."""
    upper = [bounds(k)[1] for k in BUCKETS[:-1]]
    assert [bucket_of(value) for value in upper] == list(BUCKETS[:-1])
    assert [bucket_of(math.nextafter(value, math.inf)) for value in upper] == list(BUCKETS[1:])


@pytest.mark.parametrize("k", range(32))
def test_a_bound_is_the_last_float_that_belongs_to_its_bucket(k: int) -> None:
    """Checked without rounding, so that all machines agree: 2.0 ** (k / 32) is often one float too high."""
    bound = bounds(k)[1]
    assert Fraction(bound) ** 32 <= 2**k < Fraction(math.nextafter(bound, math.inf)) ** 32


def test_the_bounds_are_those_of_an_exponential_histogram_of_scale_5() -> None:
    """2**(k/32) to the last bit but one, and exactly so at each power of two."""
    assert [bounds(k)[1] for k in BUCKETS] == pytest.approx([2.0 ** (k / 32) for k in BUCKETS], rel=2.3e-16)
    assert [(bucket_of(2.0**power), bounds(power * 32)[1]) for power in range(-19, 34)] == [
        (power * 32, 2.0**power) for power in range(-19, 34)
    ]


def test_what_is_too_short_to_measure_is_in_the_lowest_bucket() -> None:
    """The number of buckets is bounded, also against durations of 5e-324 ms."""
    made = of([5e-324, 1e-300, 1e-7, SMALLEST_MS])
    assert (made["buckets"], made["min-ms"], made["zero"]) == ({str(BUCKETS[0]): 4}, 5e-324, 0)
    assert len(BUCKETS) < 1_800


@given(st.lists(MEASURED | st.just(0.0), min_size=1, max_size=300), st.floats(0, 1))
def test_a_quantile_is_at_most_1_1_percent_from_the_true_one(values: list[float], q: float) -> None:
    """Beside the nearest rank of the sorted values."""
    true = sorted(values)[max(math.ceil(round(q * len(values), 6)), 1) - 1]
    assert quantile(of(values), q) == pytest.approx(true, rel=0.011, abs=0)


@given(st.lists(DURATIONS, min_size=1))
def test_quantiles_grow_from_the_minimum_to_the_maximum(values: list[float]) -> None:
    """The first and the last rank are exact, and none in between lies outside."""
    found = quantiles(of(values), [step / 20 for step in range(21)])
    assert found == sorted(found)  # type: ignore[type-var]
    assert (found[0], found[-1]) == (min(values), max(values))


def test_the_median_of_two_is_the_first_of_them_to_the_last_digit() -> None:
    """With a few values the percentiles are values that were measured."""
    assert quantiles(of([3.3, 1000.1]), (0.5, 0.95)) == [3.3, 1000.1]


def test_a_rank_that_floats_put_just_above_a_whole_number_is_that_number() -> None:
    """0.07 * 100 is 7.000000000000001, and the 7th of a hundred values is meant."""
    assert quantile(of([1.0] * 7 + [1000.0] * 93), 0.07) == pytest.approx(1.0, rel=0.011)


def test_a_histogram_of_nothing_has_no_figures() -> None:
    """None, not 0: nothing was measured."""
    made = empty()
    add_many(made, [])
    merge(made, empty())
    assert made == {"n": 0, "zero": 0, "sum-us": 0, "min-ms": None, "max-ms": None, "buckets": {}}
    assert quantiles(made, (0, 0.5, 1)) == [None, None, None]


def test_a_quantile_outside_0_to_1_is_refused() -> None:
    """95 instead of 0.95 is a slip that must not answer with the maximum."""
    with pytest.raises(ValueError, match=r"p95 is 0\.95\), not 95"):
        quantile(of([1.0]), 95)


def test_the_sum_is_in_whole_microseconds_and_stops_where_json_is_exact_no_more() -> None:
    """2**53 - 1 is the largest integer that JavaScript holds; beyond it, order does not matter either."""
    some = of([1.0004, 1.0006, 45.2])
    assert (some["sum-us"], some["min-ms"], some["max-ms"]) == (1000 + 1001 + 45_200, 1.0004, 45.2)
    huge = of([LARGEST_MS] * 1000)
    assert huge["sum-us"] == LARGEST_SUM_US == 2**53 - 1
    assert merged(huge, some) == merged(some, huge)
    assert merged(huge, some)["sum-us"] == LARGEST_SUM_US


@pytest.mark.parametrize("value", [0, 0.0, -0.0, 5e-324, 45, 45.2, LARGEST_MS, int(LARGEST_MS)])
def test_a_number_from_zero_to_115_days_is_a_duration(value: float) -> None:
    """Whole numbers too: JSON does not tell 45 from 45.0."""
    assert valid_duration(value)
    add_many(empty(), [value])


@pytest.mark.parametrize("value", [-1, -5e-324, math.nan, math.inf, -math.inf, 1.0000001e10, 10**400, True, None, "45", [], {}])
def test_anything_else_is_no_duration(value: object) -> None:
    """A foreign writer may put anything in a line."""
    assert not valid_duration(value)


def test_the_recorder_and_the_histogram_agree_on_the_longest_duration() -> None:
    """The light write road cannot import the histogram, so the number stands twice."""
    assert LARGEST_MS == MAX_DURATION_MS


def test_ten_times_the_values_make_a_dict_of_the_same_size() -> None:
    """The state is bounded: the size depends on the spread of the durations, not on their number."""
    rng = random.Random(5)
    few, many = ([rng.lognormvariate(3, 2) for _ in range(n)] for n in (10_000, 100_000))
    assert len(of(many)["buckets"]) < 1.3 * len(of(few)["buckets"]) < 800


def test_the_index_is_that_of_prometheus_and_one_more_than_that_of_otlp() -> None:
    """2 ms is Prometheus bucket 32, which 2 ms closes, and OTLP bucket 31, which begins at 2**(31/32) ms."""
    assert bucket_of(2.0) == 32
    assert bounds(32) == pytest.approx((2 ** (31 / 32), 2.0))
