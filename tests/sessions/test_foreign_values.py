"""Values of other programs' lines: what they should be, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.sessions.foreign_values import cost, duration, reason, time_ms, word
from pyjama_metrics.sessions.refusals import was_refused
from pyjama_metrics.tool_errors import error_class


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)), st.integers(-23, 23))
def test_a_time_is_that_of_the_library(when: datetime, hours: int) -> None:
    """In every century, with and without a zone."""
    when = when.replace(microsecond=when.microsecond // 1000 * 1000)
    expected = (when.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert time_ms(when.isoformat()) == time_ms(f"{when.isoformat()}Z") == expected
    away = when.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert time_ms(away.isoformat()) == max(0, expected - hours * 3_600_000)


@pytest.mark.parametrize("text", ["2026-02-29T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-01T24:00:00Z", "1969-12-31T00:00:00Z"])
@pytest.mark.parametrize("form", ["{}", " {}", "{}Z", "{}\n"])
def test_what_is_no_time_is_none(text: str, form: str) -> None:
    """A day that no month has, an hour that no day has, a time before all."""
    assert time_ms(form.format(text)) == 0


def test_a_leap_day_is_one() -> None:
    """In 2024 and in 2000; not in 2100."""
    assert time_ms("2024-02-29T00:00:00Z") == 1_709_164_800_000
    assert time_ms("2000-02-29T00:00:00Z") == 951_782_400_000
    assert time_ms("2100-02-29T00:00:00Z") == 0


def test_words_are_what_a_journal_can_hold() -> None:
    """Long ones are cut and stay two; lone surrogates are replaced."""
    assert word("\ud800x") == "\ufffdx"
    assert len(word("é" * 1_000)) <= 256
    assert word("a" * 999) != word("a" * 998)
    assert word("a" * 256) == "a" * 256
    assert word(["a"]) == ""


def test_a_reason_is_a_word_of_a_program() -> None:
    """Never somebody's text."""
    assert reason("rate_limit") == "rate_limit"
    assert reason("The prompt «…» was too long") is None
    assert reason("") is None


def test_numbers_out_of_all_bounds_are_none() -> None:
    """Neither a cost nor a duration."""
    for value in (-1, float("nan"), float("inf"), 10**400, True, "1", None):
        assert cost(value) is None
        assert duration(value) is None
    assert (cost(0.5), duration(7)) == (0.5, 7.0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Exit code 1", "exit code 1"),
        ("Error: Exit code 137\nKilled", "exit code 137"),
        ("Command timed out after 120s", "timeout"),
        ("Exit code 1\nthe request timed out", "exit code 1"),
        ("InputValidationError: path is missing", "validation"),
        ("ENOENT: no such file or directory", "not found"),
        ("EPERM: operation not permitted", "denied"),
        ("x" * 500 + " not found", "failed"),
    ],
)
def test_an_error_has_a_class(text: str, name: str) -> None:
    """By what the program says at its beginning."""
    assert error_class(text) == name


def test_a_command_that_prints_a_refusal_ran() -> None:
    """Its exit code says so."""
    assert not was_refused("Exit code 1\nhook error: <tool_use_error>")
    assert was_refused("<tool_use_error>File has not been read yet.</tool_use_error>")
