"""The fields of a state as the views may use them: of their type, or none."""

from __future__ import annotations

from typing import Any

import pytest

from pyjama_metrics.state_fields import LARGEST, count, number, positive, text, texts, time_key, total


@pytest.mark.parametrize("value", [None, "5", [5], {}, float("nan"), float("inf"), -float("inf"), 2**53 + 1, 1e300, 10**400])
def test_what_is_no_number_is_none_and_counts_nothing(value: Any) -> None:
    """A number that JSON cannot carry to every reader is no figure of ours."""
    assert (number({"key": value}, "key"), count({"key": value}, "key"), positive({"key": value}, "key")) == (None, 0, None)


def test_a_count_is_whole_and_not_negative() -> None:
    """A person may have written 7.9, or -3."""
    assert [count({"key": value}, "key") for value in (7, 7.9, True, -3, -0.5, LARGEST)] == [7, 7, 1, 0, 0, LARGEST]
    assert count({}, "key") == 0


def test_a_sum_stays_within_what_json_holds() -> None:
    """However many large ones are added."""
    assert (total([1, 2]), total([LARGEST] * 3_000), total([])) == (3, LARGEST, 0)


def test_a_text_is_a_text() -> None:
    """In an object of texts, what is none is left out."""
    assert [text({"key": value}, "key") for value in ("", "a", 5, None, ["a"])] == ["", "a", None, None, None]
    assert texts({"key": {"a": "b", "c": 5}}, "key") == {"a": "b"}
    assert texts({"key": ["a"]}, "key") == {}


def test_a_time_that_is_a_key_is_digits() -> None:
    """Not what else Python takes for a number."""
    keys = ("0", "1700000000000", "", "-1", "1_0", " 1", "٣", "1.0", "9" * 16)
    assert [time_key(key) for key in keys] == [0, 1_700_000_000_000, None, None, None, None, None, None, None]
