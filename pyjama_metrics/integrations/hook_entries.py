"""Our entries among the hooks of a settings file, as Claude Code and Codex have them.

``{"hooks": {EVENT: [{"hooks": [{"type": "command", "command": …}]}]}}``: events, groups, handlers. A handler is ours if its
command calls our launcher, by the name of that file. Everything else belongs to somebody else: it stays as it is, character for
character.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pyjama_metrics.integrations import json_edits, json_text
from pyjama_metrics.integrations.json_text import Item, Node, Plain

Handlers = Mapping[str, Mapping[str, Plain]]
"""The handler that is wanted for each event."""


class WrongShape(ValueError):
    """A document is JSON and yet no settings."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        self.reason, self.line, self.column = reason, line, column
        super().__init__(f"line {line}, column {column}: {reason}")


class Place(NamedTuple):
    """A handler, and what it is in."""

    event: Item
    group: Item
    handler: Item


def checked(text: str, events: Handlers) -> Node:
    """The document, with hooks as they have to be for those ``events``. Raises JsonBroken, WrongShape."""
    root = json_text.parse(text)
    _must_be(text, root, "object", "the whole has to be an object, { … }")
    hooks = root.get("hooks")
    if hooks is not None:
        _must_be(text, hooks, "object", '"hooks" has to be an object of events, { … }')
        for event in events:
            groups = hooks.get(event)
            if groups is not None:
                _must_be(text, groups, "array", f'"{event}" in "hooks" has to be a list, [ … ]')
    return root


def put_in(text: str, wanted: Handlers, name: str) -> str:
    """The text with one handler for each event that is wanted, and none of ours for any other.

    Args:
        text: of a settings file; it is an object.
        wanted: the handlers.
        name: the file name of our launcher.

    Raises:
        JsonBroken, WrongShape: nothing can be put in.
    """
    root = checked(text, wanted)
    first = {place.event.key.value: id(place.handler) for place in reversed(list(own(root, name))) if place.event.key is not None}
    keep = {number for event, number in first.items() if event in wanted}
    text = _without(text, root, [place for place in own(root, name) if id(place.handler) not in keep], None)
    root = checked(text, wanted)
    looks = json_edits.looks_of(text, root)
    there = {place.event.key.value: place.handler.value for place in own(root, name) if place.event.key is not None}
    edits = [
        json_edits.put_instead(text, node, dict(wanted[event]), looks)
        for event, node in there.items()
        if json_text.plain(node) != wanted[event]
    ]
    missing: dict[str, Plain] = {event: {"hooks": [dict(wanted[event])]} for event in wanted if event not in there}
    hooks = root.get("hooks")
    if not missing:
        return json_edits.applied(text, edits)
    if hooks is None:
        everything: Plain = {event: [group] for event, group in missing.items()}
        return json_edits.applied(text, [*edits, *json_edits.put_in(text, root, [("hooks", everything)], looks)])
    new: list[tuple[str | None, Plain]] = []
    for event, group in missing.items():
        groups = hooks.get(event)
        if groups is None:
            new.append((event, [group]))
        else:
            edits += json_edits.put_in(text, groups, [(None, group)], looks)
    return json_edits.applied(text, [*edits, *json_edits.put_in(text, hooks, new, looks)])


def take_out(text: str, name: str, original: str | None) -> str:
    """The text without our handlers, and without what is empty now and was not there before.

    Args:
        text: of a settings file.
        name: the file name of our launcher.
        original: the text before anything was put in, where it is known.

    Raises:
        JsonBroken: it is no JSON.
    """
    root = json_text.parse(text)
    return _without(text, root, list(own(root, name)), original)


def own(root: Node, name: str) -> Iterator[Place]:
    """Our handlers, whatever else a document holds."""
    for member in root.items:
        if member.key is None or member.key.value != "hooks":
            continue
        for event in member.value.items:
            for group in event.value.items if event.value.kind == "array" else ():
                handlers = group.value.get("hooks")
                for handler in handlers.items if handlers is not None and handlers.kind == "array" else ():
                    command = handler.value.get("command")
                    if command is not None and command.kind == "string" and calls(command.value, name):
                        yield Place(event, group, handler)


def others(root: Node, name: str) -> int:
    """How many handlers are not ours."""
    ours = {id(place.handler) for place in own(root, name)}
    hooks = root.get("hooks")
    count = 0
    for event in hooks.items if hooks is not None else ():
        groups = event.value.items if event.value.kind == "array" else []
        handlers = [handler for group in groups if (found := group.value.get("hooks")) is not None for handler in found.items]
        count += sum(id(handler) not in ours for handler in handlers)
    return count


def calls(command: str, name: str) -> bool:
    """Whether a command calls the program of that file name, wherever it is.

    >>> calls("'/home/a b/pyjama-metrics-hook' claude", "pyjama-metrics-hook")
    True
    >>> calls("echo pyjama-metrics-hook", "pyjama-metrics-hook")
    False
    """
    try:
        words = shlex.split(command)
    except ValueError:  # quotes that do not end
        words = command.split()
    return bool(words) and os.path.basename(words[0]) == name


def rest(root: Node, name: str) -> Plain:
    """What is left of a document without our handlers, and without hooks that are empty: it must be the same after any change."""
    ours = {id(place.handler.value) for place in own(root, name)}

    def left(node: Node, depth: int) -> Plain:
        if node.kind == "object":
            members = {item.key.value: left(item.value, depth + 1) for item in node.items if item.key is not None}
            return {key: value for key, value in members.items() if value not in ({}, [])} if depth == 1 else members
        if node.kind == "array":
            kept = [item for item in node.items if id(item.value) not in ours]
            values = [left(item.value, depth + 1) for item in kept]
            return [value for value in values if value != {"hooks": []}] if depth == 2 else values
        return json_text.plain(node)

    whole: dict[str, Plain] = {}
    for item in root.items:
        if item.key is not None:
            is_hooks = item.key.value == "hooks"
            whole[item.key.value] = left(item.value, 1) if is_hooks else json_text.plain(item.value)
    if whole.get("hooks") == {}:
        del whole["hooks"]
    return whole


def _must_be(text: str, node: Node, kind: str, reason: str) -> None:
    if node.kind != kind:
        raise WrongShape(reason, *json_text.place(text, node.start))


def _without(text: str, root: Node, going: list[Place], original: str | None) -> str:
    """The text without these handlers, and without the containers that they leave empty, but for those that were there before."""
    handlers = {id(place.handler) for place in going}
    kept = _containers(original)
    edits: list[json_edits.Edit] = []
    empty_hooks = []
    for member in {id(m): m for m in root.items if m.key is not None and m.key.value == "hooks"}.values():
        empty_events = []
        for event in {id(place.event): place.event for place in going if _holds(member, place.event)}.values():
            empty_groups = []
            for group in {id(place.group): place.group for place in going if place.event is event}.values():
                held = group.value.get("hooks")
                leaving = [item for item in (held.items if held else []) if id(item) in handlers]
                if held is not None and len(leaving) < len(held.items):
                    edits += json_edits.take_out(text, held, leaving)
                else:
                    empty_groups.append(group)
            name = "" if event.key is None else event.key.value
            if len(empty_groups) < len(event.value.items) or name in kept:
                edits += json_edits.take_out(text, event.value, empty_groups)
            else:
                empty_events.append(event)
        if len(empty_events) < len(member.value.items) or "" in kept or not empty_events:
            edits += json_edits.take_out(text, member.value, empty_events)
        else:
            empty_hooks.append(member)
    return json_edits.applied(text, [*edits, *json_edits.take_out(text, root, empty_hooks)])


def _holds(member: Item, event: Item) -> bool:
    return any(item is event for item in member.value.items)


def _containers(original: str | None) -> set[str]:
    """The events that a document has a list for, and "" if it has hooks at all."""
    if original is None:
        return set()
    try:
        hooks = json_text.parse(original).get("hooks")
    except json_text.JsonBroken:
        return set()
    return set() if hooks is None else {"", *(item.key.value for item in hooks.items if item.key is not None)}
