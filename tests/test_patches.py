"""A patch turns one document into the next, whatever the two are."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.fold import LOG_ENTRIES
from pyjama_metrics.patches import LOGS, apply, difference, is_empty, merged_logs

KEYS = st.sampled_from(["a", "b", "__proto__", "a.b", "", LOGS]) | st.text(max_size=3)
VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | st.text(max_size=2)
DOCUMENTS = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
ENTRIES = st.builds(
    lambda time, journal, line, text: {"timestamp": time, "id": f"{journal}:{line}", "message": text},
    st.integers(0, 5),
    st.sampled_from(["a", "b:c", "\ue000", "\U0001f600"]),
    st.integers(0, 9),
    st.sampled_from(["x", "y"]),
)


def exact(document: Any) -> str:
    """A document as its text: Python takes 1, 1.0 and True for equal, JSON does not."""
    return json.dumps(document, sort_keys=True)


@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_makes_the_new_document_of_the_old(old: Any, new: Any) -> None:
    """The law, for any two documents and to the type of each value; and nothing is lost on the way through JSON."""
    patch = json.loads(json.dumps(difference(old, new)))
    assert exact(apply(old, patch)) == exact(new)


@given(st.dictionaries(KEYS, DOCUMENTS), st.dictionaries(KEYS, DOCUMENTS))
def test_neither_document_is_changed(old: Any, new: Any) -> None:
    """Others may hold parts of them."""
    before = copy.deepcopy((old, new))
    apply(old, difference(old, new))
    assert (old, new) == before


@given(st.dictionaries(KEYS, DOCUMENTS))
def test_a_document_does_not_differ_from_itself(document: Any) -> None:
    """Nor from a copy: no edition is made of nothing."""
    assert is_empty(difference(document, copy.deepcopy(document)))


@given(st.lists(ENTRIES, max_size=8), st.lists(ENTRIES, max_size=8))
def test_log_lists_that_are_no_continuation_are_sent_whole(old: list[Any], new: list[Any]) -> None:
    """Entries that changed, went, came twice or stand in another order: the law holds for all of them."""
    patch = json.loads(json.dumps(difference({LOGS: old}, {LOGS: new})))
    assert exact(apply({LOGS: old}, patch)) == exact({LOGS: new})


@given(st.lists(ENTRIES, unique_by=lambda entry: entry["id"]), st.integers(0, 8))
def test_new_log_entries_are_all_that_is_sent_of_the_log(entries: list[Any], known: int) -> None:
    """Also of those that come late and belong between others."""
    old, new = {LOGS: merged_logs(entries[:known], [])}, {LOGS: merged_logs(entries, [])}
    patch = difference(old, new)
    assert patch["set"] == {}
    assert sorted(map(exact, patch["logs"])) == sorted(map(exact, entries[known:]))
    assert apply(old, patch) == new


def test_an_entry_that_comes_late_finds_its_place() -> None:
    """By time, then by journal in the order in which browsers compare texts, then by line as a number."""
    places = [(1, "b:9"), (1, "b:10"), (2, "\U0001f600:1"), (2, "\ue000:1"), (3, "a:b:2")]
    entries = [{"timestamp": time, "id": identity} for time, identity in places]
    for late in entries:
        old = {LOGS: [entry for entry in entries if entry is not late]}
        patch = difference(old, {LOGS: entries})
        assert patch == {"set": {}, "unset": [], "logs": [late]}
        assert apply(old, patch) == {LOGS: entries}


def test_the_oldest_log_entries_make_room() -> None:
    """A full log gets one entry, and one goes without a word."""
    entries = [{"timestamp": number, "id": f"j:{number}"} for number in range(LOG_ENTRIES + 1)]
    patch = difference({LOGS: entries[:-1]}, {LOGS: entries[1:]})
    assert patch == {"set": {}, "unset": [], "logs": entries[-1:]}
    assert apply({LOGS: entries[:-1]}, patch) == {LOGS: entries[1:]}


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {"set": {}, "unset": []}),
        ({"a": 1}, {"a": True}, {"set": {"a": True}, "unset": []}),
        ({"a": [1]}, {"a": [True]}, {"set": {"a": [True]}, "unset": []}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"set": {"a": {"c": 3}}, "unset": []}),
        ({"a": {"b": 1}}, {"a": {}}, {"set": {}, "unset": [["a", "b"]]}),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, {"set": {"a": {"c": 1}}, "unset": [["a", "b"]]}),
        ({"a": {"b": 1}}, {"a": [1]}, {"set": {"a": [1]}, "unset": []}),
        ({"a": [1]}, {"a": {}}, {"set": {"a": {}}, "unset": []}),
        ({"a": 1}, {"a": None}, {"set": {"a": None}, "unset": []}),
        ({}, {"a": {}}, {"set": {"a": {}}, "unset": []}),
        ([1], {}, {"set": {}, "unset": []}),
        ({}, [1], {"set": [1], "unset": []}),
    ],
    ids=str,
)
def test_a_patch_names_what_differs_and_nothing_else(old: Any, new: Any, patch: Any) -> None:
    """Objects are compared key by key; every other value is one thing."""
    assert exact(difference(old, new)) == exact({**patch, "logs": []})
    assert exact(apply(old, {**patch, "logs": []})) == exact(new)


def test_what_is_the_same_object_is_not_looked_into() -> None:
    """Of 500 agents one changed: the others cost a comparison each."""

    class Untouched(dict[str, Any]):
        def __iter__(self) -> Any:
            raise AssertionError("looked into")

        items = keys = values = __iter__  # type: ignore[assignment]

    agents = {str(number): Untouched(count=number) for number in range(500)}
    patch = difference({"agents": {**agents, "x": {"n": 1}}}, {"agents": {**agents, "x": {"n": 2}}})
    assert patch["set"] == {"agents": {"x": {"n": 2}}}
