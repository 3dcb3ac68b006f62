"""The words of the journal: anything becomes text, any plain value becomes JSON, and a line is a line."""

from __future__ import annotations

import enum
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.events import INTERRUPTED, MAX_NAME, MAX_TEXT, SUCCESS, encode, line, owner_of, quote, status_class, text_of
from pyjama_metrics.storage import json as door

ANY_TEXT = st.text(st.characters(codec=None), max_size=30)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(max_size=5) | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT | st.integers(), inner, max_size=3) | st.tuples(inner),
    max_leaves=8,
)


class Colour(enum.Enum):
    RED = 1


class Word(enum.StrEnum):
    HELLO = "hello there"


class Level(enum.IntEnum):
    HIGH = 3


class Rude:
    def __str__(self) -> str:
        raise SystemError("no")


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not what it holds"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("write-file", "write-file"),
        ("", "(unnamed)"),
        (None, "(unnamed)"),
        (7, "7"),
        (2.5, "2.5"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (Path("a/b"), "a/b"),
        (Colour.RED, "RED"),
        (Word.HELLO, "hello there"),
        (Level.HIGH, "HIGH"),
        (Rude(), "(Rude)"),
        (Shouting("held"), "held"),
        ("a\nb\0c", "a\nb\0c"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d!", "\ufffd!"),
    ],
)
def test_anything_becomes_a_text(value: object, text: str) -> None:
    """A path, an enum, a number, bytes, nothing, and what cannot even be shown."""
    assert text_of(value) == text


@given(ANYTHING, st.integers(20, 40))
def test_a_text_is_short_not_empty_and_one_that_every_reader_takes(value: Any, limit: int) -> None:
    """Whatever it was made of."""
    text = text_of(value, limit)
    assert 0 < len(text) <= limit
    assert door.loads(door.dumps(text)) == text


def test_two_long_names_stay_two_names() -> None:
    """What is cut ends in a checksum of the whole."""
    one, two = (text_of("x" * 1_000_000 + end) for end in "ab")
    assert MAX_NAME - 1 <= len(one) <= MAX_NAME
    assert one != two
    assert one == text_of("x" * 1_000_000 + "a")


@given(ANYTHING)
def test_any_value_becomes_json(value: Any) -> None:
    """Bounded in depth, readable by orjson as by json, and on one line."""
    text = encode(value)
    assert text.isascii()
    assert "\n" not in text
    assert door.loads(text.encode()) == json.loads(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(min_size=1, max_size=9), st.lists, max_leaves=6
    )
)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    """Where nothing had to be bent."""
    if encode(value).count("[") <= 6:
        assert json.loads(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "null"),
        (math.inf, "null"),
        (-math.inf, "null"),
        (0.1, "0.1"),
        (2**63 - 1, "9223372036854775807"),
        (2**63, '"9223372036854775808"'),
        (True, "true"),
        (Level.HIGH, '"HIGH"'),
        ((1, [2]), "[1,[2]]"),
        ({1: "é"}, '{"1":"\\u00e9"}'),
    ],
)
def test_what_json_cannot_hold_is_bent(value: object, text: str) -> None:
    """Numbers that are none are null; integers that not every reader holds are texts."""
    assert encode(value) == text


def test_a_list_that_holds_itself_ends() -> None:
    """What is nested deeper than six levels is text."""
    endless: list[Any] = []
    endless.append(endless)
    assert encode(endless) == '[[[[[["[[...]]"]]]]]]'


def test_a_long_text_in_a_value_is_cut() -> None:
    """No field makes a line of any length."""
    assert len(encode("x" * 10**6)) < MAX_TEXT + 10


@given(st.text(), st.integers(0, 2**50), st.dictionaries(st.text(min_size=1, max_size=5), ANYTHING, max_size=3))
def test_a_line_is_one_json_object_and_ends_with_the_newline_that_publishes_it(
    event: str, time: int, fields: dict[str, Any]
) -> None:
    """Whatever is in its fields; those that are None are left out."""
    text = line(event, time, {f"field {name}": value for name, value in fields.items()})
    assert text.index("\n") == len(text) - 1
    found = json.loads(text)
    assert (found.pop("event"), found.pop("time")) == (event, time)
    assert len(found) == len({text_of(f"field {name}") for name, value in fields.items() if value is not None})


@given(st.text(st.characters(codec="utf-8")))
def test_a_quoted_text_is_ascii_and_the_same_text(text: str) -> None:
    """As JSON has it."""
    assert quote(text).isascii()
    assert json.loads(quote(text)) == text


def test_a_status_is_a_success_an_interruption_or_an_error() -> None:
    """What is not known is an error: a new word must not look like a success."""
    assert {status_class(word) for word in SUCCESS} == {"success"}
    assert {status_class(word) for word in INTERRUPTED} == {"interrupted"}
    assert {status_class(word) for word in ("error", "failed", "timeout", "OK", "", "denied")} == {"error"}


@pytest.mark.parametrize(("run", "owner"), [("a-1-x.3", "a-1-x"), ("a.b-1-x.3", "a.b-1-x"), ("x", ""), ("", "")])
def test_a_run_id_names_its_owner(run: str, owner: str) -> None:
    """Everything up to the last dot."""
    assert owner_of(run) == owner
