"""JSON with comments is read with the place of everything, and what is broken is told with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.integrations import json_text
from pyjama_metrics.integrations.json_text import JsonBroken
from tests.integrations.documents import documents, values


@given(values, st.sampled_from([None, 0, 3, "\t"]), st.booleans())
def test_a_document_is_read_as_json_reads_it(value: Any, indent: int | str | None, ascii: bool) -> None:
    """All that JSON can say."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii)
    assert json_text.plain(json_text.parse(text)) == json.loads(text)


@given(documents(values))
def test_every_value_is_where_it_is_said_to_be(text: str) -> None:
    """The text of a node is the text of its value."""

    def look(node: json_text.Node) -> None:
        assert json_text.plain(json_text.parse(text[node.start : node.end])) == json_text.plain(node)
        for item in node.items:
            assert item.comma is None or text[item.comma] == ","
            look(item.value)

    look(json_text.parse(text))


@given(st.text(st.sampled_from('{}[]",:/*\\\n\r ntrue1-.e\ufeff')))
def test_any_text_is_read_or_refused(text: str) -> None:
    """With a place inside of it, and nothing but JsonBroken; what json takes is taken."""
    broken = None
    try:
        json_text.parse(text)
    except JsonBroken as error:
        broken = error
    if broken is not None:
        assert 1 <= broken.line <= text.count("\n") + text.count("\r") + 1
        assert 1 <= broken.column <= len(text) + 1
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3, 'a "," or "}" is missing'),
        ('{"a": }', 1, 7, "a value is missing"),
        ('{"a" 1}', 1, 6, 'a ":" is missing after the name'),
        ("{a: 1}", 1, 2, "a name in double quotes is missing"),
        ('{"a": tru}', 1, 7, "this is no value"),
        ('{"a": 01}', 1, 7, "this is no value"),
        ('{"a": 1', 1, 8, 'the text ends here, and a "," or "}" is missing'),
        ("", 1, 1, "the text ends here, and a value is missing"),
        ("[1,,2]", 1, 4, "a value is missing"),
        ("[,]", 1, 2, "a value is missing"),
        ('{"a": "x\ny"}', 1, 9, "this text in quotes is broken"),
        ('{"a": "x', 1, 7, "this text in quotes is broken"),
        ("\ufeff{}\r\n{}", 2, 1, "there is something after the end"),
        ("{} /* x", 1, 4, "a comment begins here and never ends"),
        ("{\r\r\n  x}", 3, 3, "a name in double quotes"),
        ("[" * 101, 1, 101, "nested more than 100 levels deep"),
        ("\0", 1, 1, "this is no value"),
    ],
)
def test_what_is_broken_is_told_with_its_place(text: str, line: int, column: int, reason: str) -> None:
    """As an editor counts it."""
    with pytest.raises(JsonBroken) as found:
        json_text.parse(text)
    assert (found.value.line, found.value.column) == (line, column)
    assert reason in found.value.reason
