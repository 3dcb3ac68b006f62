"""Usages: what is told of one call joins to one request, in any order, however often, and whoever tells it."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.event_fields import Invalid
from pyjama_metrics.usages import Request, amounts_of, charge_of, figures_of, join, owner_of, request_id_of
from tests.journals import event

SMALL = st.integers(0, 3)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A request as some source may tell it."""
    fields: dict[str, Any] = {
        "model": draw(st.sampled_from(["m", "n"])),
        "input-tokens": draw(SMALL),
        "output-tokens": draw(SMALL),
        "cache-write-1h-tokens": draw(SMALL),
        "cost-micros": draw(st.none() | SMALL),
        "tokens-are": draw(st.sampled_from(["actual", "estimated"])),
        "phase": draw(st.none() | st.just("plan")),
    }
    told = event("llm", draw(SMALL), draw(st.sampled_from("ab"))) | fields
    figures = figures_of(told)
    assert figures is not None
    return Request(owner_of(told, told["time"], draw(st.none() | st.just("w.1"))), figures)


@given(requests(), requests())
def test_it_does_not_matter_who_tells_first(one: Request, other: Request) -> None:
    """The join is commutative."""
    assert join(one, other) == join(other, one)


@given(requests(), requests(), requests())
def test_it_does_not_matter_what_was_joined_before(one: Request, two: Request, three: Request) -> None:
    """It is associative."""
    assert join(join(one, two), three) == join(one, join(two, three))


@given(st.lists(requests(), min_size=1, max_size=5), st.randoms())
def test_what_is_told_again_changes_nothing(told: list[Request], chance: Any) -> None:
    """It is idempotent: any order with any repetition gives the same."""
    again = told + chance.choices(told, k=4)
    chance.shuffle(again)
    assert reduce(join, again) == reduce(join, told)


@given(requests(), requests())
def test_the_best_figures_and_the_first_owner_are_kept(one: Request, other: Request) -> None:
    """Each as a whole: nothing is mixed of two tellings."""
    joined = join(one, other)
    assert joined.figures in (one.figures, other.figures)
    assert joined.owner in (one.owner, other.owner)
    assert joined.owner.time_ms == min(one.owner.time_ms, other.owner.time_ms)
    assert joined.figures.quality == max(one.figures.quality, other.figures.quality)


def told(**fields: Any) -> Request:
    """A request of the agent a at the time 1."""
    figures = figures_of(event("llm", **fields))
    assert figures is not None
    return Request(owner_of(event("llm", **fields), 1, None), figures)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"cost_micros": 0, "output_tokens": 1}, {"output_tokens": 9}),
        ({"output_tokens": 1}, {"output_tokens": 9, "tokens_are": "estimated"}),
        ({"output_tokens": 9}, {"output_tokens": 1}),
        ({"output_tokens": 9, "input_tokens": 1}, {"output_tokens": 1, "input_tokens": 9}),
    ],
    ids=["reported before counted", "counted before estimated", "larger before smaller", "more output among equals"],
)
def test_the_better_source_wins(better: dict[str, Any], worse: dict[str, Any]) -> None:
    """However little it tells."""
    assert join(told(**worse), told(**better)).figures == told(**better).figures


def test_a_request_tells_its_charge_and_its_amounts() -> None:
    """The minute and the band for the price, and each count in its column."""
    request = told(model="m", input_tokens=200_000, output_tokens=2, cache_read_tokens=3, cache_write_1h_tokens=4, cost_micros=5)
    assert charge_of(request)[:4] == ("a", 0, 200_000, "reported")
    assert amounts_of(request) == (1, 200_000, 2, 3, 0, 4, 0, 5)
    assert amounts_of(told(output_tokens=2, tokens_are="estimated"))[6:] == (2, 0)


def test_an_answer_that_no_model_gave_has_no_figures() -> None:
    """Claude Code writes such lines for errors and after resuming."""
    assert figures_of(event("llm", model="<synthetic>", output_tokens=5)) is None


@pytest.mark.parametrize("field", ["input_tokens", "cache_write_1h_tokens", "cost_micros"])
def test_a_count_that_is_none_is_no_use(field: str) -> None:
    """Whoever folds counts it among the problems."""
    with pytest.raises(Invalid):
        figures_of(event("llm", **{field: -1}))


@pytest.mark.parametrize(("given", "known"), [(None, None), ("", None), ("r", "r"), (7, "7")])
def test_a_request_id_is_a_text_or_none(given: Any, known: str | None) -> None:
    """A foreign writer may number its requests."""
    assert request_id_of({"request-id": given}) == known
