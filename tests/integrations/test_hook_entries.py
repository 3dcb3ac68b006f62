"""Our entries go in and come out, and nothing else moves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from pyjama_metrics.integrations import hook_entries, json_text
from pyjama_metrics.integrations.hook_entries import WrongShape
from tests.integrations.documents import EVENTS, NAME, documents

COMMAND = f"/data/{NAME} claude"
WANTED: dict[str, dict[str, Any]] = {event: {"type": "command", "command": COMMAND, "timeout": 5} for event in EVENTS}


def put_in(text: str, wanted: dict[str, dict[str, Any]] = WANTED) -> str:
    """Install."""
    return hook_entries.put_in(text, wanted, NAME)


def take_out(text: str, original: str | None = None) -> str:
    """Uninstall."""
    return hook_entries.take_out(text, NAME, original)


def plain(text: str) -> Any:
    """What a text says."""
    return json_text.plain(json_text.parse(text))


def ours(document: Any) -> list[tuple[str, Any]]:
    """Our handlers in a parsed document, found by other means than the code's."""
    found = []
    for event, groups in document.get("hooks", {}).items():
        for group in groups:
            held = group.get("hooks") if isinstance(group, dict) else None
            for handler in held if isinstance(held, list) else []:
                if isinstance(handler, dict) and handler.get("command") == COMMAND:
                    found.append((event, handler))
    return found


def without(document: Any) -> Any:
    """A parsed document without them, and without the groups that hold nothing else."""
    copy = json.loads(json.dumps(document))
    for groups in copy.get("hooks", {}).values():
        groups[:] = [group for group in groups if group != {"hooks": [WANTED["Stop"]]}]
    return copy


@given(documents())
def test_every_event_gets_one_handler_and_nothing_else_changes(text: str) -> None:
    """Whatever the document is, and however it is written."""
    before, after = plain(text), plain(put_in(text))
    assert sorted(ours(after)) == sorted((event, WANTED[event]) for event in EVENTS)
    left = without(after)
    for event in EVENTS:
        if left["hooks"].get(event) == [] and event not in before.get("hooks", {}):
            del left["hooks"][event]
    if left["hooks"] == {} and "hooks" not in before:
        del left["hooks"]
    assert left == before
    assert [key for key in after if key != "hooks" or "hooks" in before] == list(before)


@given(documents())
def test_a_second_time_changes_no_character(text: str) -> None:
    """Installing twice is installing once."""
    once = put_in(text)
    assert put_in(once) == once


@given(documents())
def test_what_was_put_in_comes_out_again(text: str) -> None:
    """Without the copy, too: the document says what it said, and the characters of others are there in their order."""
    after = take_out(put_in(text), text)
    assert plain(after) == plain(text)
    assert [c for c in after if not c.isspace()] == [c for c in text if not c.isspace()]


@given(documents())
def test_an_older_entry_is_refreshed_where_it_is(text: str) -> None:
    """A launcher that has moved, an event that is not wanted any more, one that is new."""
    older = put_in(
        text, {event: {"type": "command", "command": f"'/old place/{NAME}' claude"} for event in ("Stop", "PreCompact")}
    )
    assert plain(take_out(put_in(older), text)) == plain(text)
    assert sorted(event for event, _ in ours(plain(put_in(older)))) == sorted(EVENTS)
    assert "/old place/" not in put_in(older)


@given(documents())
def test_a_document_that_a_program_wrote_is_given_back_to_the_character(text: str) -> None:
    """Only space inside of containers that were empty may be lost without the copy."""
    after = take_out(put_in(text), text)
    empty = any(text[node.start : node.end].strip("{}[]") for node in empties(json_text.parse(text)))
    assert empty or "/*" in text or "//" in text or after == text or is_closed_oddly(text)


def empties(node: json_text.Node) -> list[json_text.Node]:
    """The containers without anything in them."""
    if node.kind not in ("object", "array"):
        return []
    return [node] if not node.items else [found for item in node.items for found in empties(item.value)]


def is_closed_oddly(text: str) -> bool:
    """Whether a document is not written as programs do: those end each line of a container alike."""
    value = plain(text)
    plainly = {
        json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii)
        for indent in (None, 0, 1, 2, 4, "\t")
        for separators in ((",", ":"), (", ", ": "), (",", ": "))
        for ascii in (True, False)
    }
    return text.strip().replace("\r\n", "\n") not in plainly


BY_HAND = """\
// mine
{
    "model": "opus", // the dear one
    "hooks": {
        /* guard */
        "PreToolUse": [
            {"matcher": "Bash", "hooks": [{"type": "command", "command": "guard.sh"}]}, // keep
        ],
    }
}
"""

WITH_OURS = """\
// mine
{
    "model": "opus", // the dear one
    "hooks": {
        /* guard */
        "PreToolUse": [
            {"matcher": "Bash", "hooks": [{"type": "command", "command": "guard.sh"}]}, // keep
            {
                "hooks": [
                    {
                        "type": "command",
                        "command": "/data/pyjama-metrics-hook claude",
                        "timeout": 5
                    }
                ]
            },
        ],
        "Stop": [
            {
                "hooks": [
                    {
                        "type": "command",
                        "command": "/data/pyjama-metrics-hook claude",
                        "timeout": 5
                    }
                ]
            }
        ],
    }
}
"""


def test_what_is_put_in_looks_like_what_is_around_it() -> None:
    """Indent, comments, the comma after the last: all as the user writes them; and out of it again."""
    two = {event: WANTED[event] for event in ("PreToolUse", "Stop")}
    assert put_in(BY_HAND, two) == WITH_OURS
    assert take_out(WITH_OURS, BY_HAND) == take_out(WITH_OURS) == BY_HAND


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('{"a":1}', '{"a":1,"hooks":{"Stop":[{"hooks":[{"type":"command"}]}]}}'),
        ('{"a": 1}', '{"a": 1, "hooks": {"Stop": [{"hooks": [{"type": "command"}]}]}}'),
        ('{"hooks": {"Stop": [ ]}, "a": 1}', '{"hooks": {"Stop": [{"hooks": [{"type": "command"}]}]}, "a": 1}'),
        ("{\r\n\t\"a\": 1 // x\r\n}", '{\r\n\t"a": 1, // x\r\n\t"hooks": {\r\n\t\t"Stop": [\r\n\t\t\t{\r\n\t\t\t\t"hooks": [\r\n'
         '\t\t\t\t\t{\r\n\t\t\t\t\t\t"type": "command"\r\n\t\t\t\t\t}\r\n\t\t\t\t]\r\n\t\t\t}\r\n\t\t]\r\n\t}\r\n}'),
        ("\ufeff{}", '\ufeff{\n  "hooks": {\n    "Stop": [\n      {\n        "hooks": [\n          {\n'
         '            "type": "command"\n          }\n        ]\n      }\n    ]\n  }\n}'),
    ],
)  # fmt: skip
def test_the_form_of_a_document_is_kept(text: str, after: str) -> None:
    """On one line, with tabs, with the ends of lines of Windows, with a byte order mark."""
    assert put_in(text, {"Stop": {"type": "command"}}) == after


def test_only_ours_goes_from_a_group_that_somebody_has_added_to() -> None:
    """A handler beside ours stays, and so does an event that was there before."""
    text = put_in('{"hooks": {"Stop": []}}', {"Stop": WANTED["Stop"]})
    added = text.replace('"timeout": 5}', '"timeout": 5}, {"type": "command", "command": "mine"}')
    assert added != text
    assert take_out(added) == '{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "mine"}]}]}}'
    assert take_out(text, '{"hooks": {"Stop": []}}') == '{"hooks": {"Stop": []}}'
    assert take_out(text) == "{}"


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("null", "line 1, column 1", "the whole has to be an object"),
        ("[]", "line 1, column 1", "the whole has to be an object"),
        ('{\n "hooks": []}', "line 2, column 11", '"hooks" has to be an object'),
        ('{"hooks": null}', "line 1, column 11", '"hooks" has to be an object'),
        ('{"hooks": {"Stop": {}}}', "line 1, column 20", '"Stop" in "hooks" has to be a list'),
    ],
)
def test_what_is_json_and_no_settings_is_refused(text: str, place: str, reason: str) -> None:
    """With its place."""
    with pytest.raises(WrongShape, match=reason) as refused:
        put_in(text)
    assert str(refused.value).startswith(place)


def test_two_thousand_hooks_of_others_are_no_trouble() -> None:
    """They stay as they are, and it does not take long."""
    many = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": f"other {n}"}]} for n in range(2000)]}}
    text = json.dumps(many, indent=2)
    after = put_in(text)
    assert hook_entries.others(json_text.parse(after), NAME) == 2000
    assert take_out(after, text) == text
