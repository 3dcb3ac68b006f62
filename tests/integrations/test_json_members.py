"""A JSON object without the package json: the same values, and how much of the text each needs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.integrations.json_members import Members

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17) + 1, 10**18 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=6)


@given(OBJECTS, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_the_values_are_those_of_json(document: dict[str, Any], indent: Any, ascii_only: bool) -> None:
    """However it is written; and the size of each is that of its text."""
    members = Members(json.dumps(document, indent=indent, ensure_ascii=ascii_only))
    assert members.values == document
    if indent is None:
        sizes = {
            name: None if value is None else len(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
            for name, value in document.items()
        }
        assert {name: members.size(name) for name in document} == sizes


@given(st.text() | OBJECTS.map(lambda document: json.dumps(document)[:-1]))
def test_what_is_no_object_is_a_value_error(text: str) -> None:
    """And nothing else is raised."""
    try:
        expected = json.loads(text, strict=False)
    except ValueError:
        expected = None
    if not isinstance(expected, dict):
        with pytest.raises(ValueError, match=r"it is no|the text ends|Invalid|Expecting|Unterminated"):
            Members(text)


def test_a_value_nested_too_deeply_is_passed_over() -> None:
    """What stands behind it is read, and its size is known."""
    deep = "[" * 100_000 + '"]"' + "]" * 100_000
    members = Members(f'{{"a": 1, "deep": {deep}, "b": {{"x": {deep}}}, "c": 2}}')
    assert members.values == {"a": 1, "deep": None, "b": None, "c": 2}
    assert members.size("deep") == 200_003


def test_numbers_that_are_none_become_nothing() -> None:
    """A number of 5,000 digits takes long to read, and is nobody's duration."""
    text = f'{{"nan": NaN, "minus": -Infinity, "large": {"9" * 5000}, "list": [NaN], "int": -12, "float": 1e2}}'
    assert Members(text).values == {"nan": None, "minus": None, "large": None, "list": [None], "int": -12, "float": 100.0}


@pytest.mark.parametrize(
    "text", ["", " ", "null", "[]", '"x"', "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a" 1}', "{a:1}", '{"a":1 "b":2}']
)
def test_half_an_object_is_none(text: str) -> None:
    """Whoever wrote it was stopped in the middle."""
    with pytest.raises(ValueError, match=r"it is no|the text ends"):
        Members(text)


def test_a_missing_member_and_null_have_no_size() -> None:
    """Nothing was told."""
    members = Members('{"a": null, "b": "null"}')
    assert (members.size("a"), members.size("b"), members.size("c")) == (None, 6, None)
