"""JSON as people write it, read with the place of everything in it.

Settings of other programs are somebody's work: their order, indent and comments are kept. So a change to them is a change to
their text, and for that one has to know where each thing stands. Comments (``//`` and ``/* */``) and a comma after the last item
are read over; everything else is JSON, and what is not is an error with its line and column.
"""

from __future__ import annotations

import json
import re
from _json import scanstring
from dataclasses import dataclass, field

DEEPEST = 100
"""Levels that may be nested in each other; no settings are deeper, and a parser has to end somewhere."""

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9A-Za-z_.+-])")
_WORD = re.compile(r"(?:true|false|null)(?![0-9A-Za-z_])")
_CLOSERS = {"object": "}", "array": "]"}

Plain = dict[str, "Plain"] | list["Plain"] | str | int | float | bool | None


class JsonBroken(ValueError):
    """A text is not JSON. ``line`` and ``column`` count from 1."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        self.reason, self.line, self.column = reason, line, column
        super().__init__(f"line {line}, column {column}: {reason}")


@dataclass(slots=True)
class Node:
    """One value and where it stands: ``text[start:end]``.

    Attributes:
        kind: ``object``, ``array``, ``string``, ``number`` or ``word`` (true, false, null).
        start: of its first character.
        end: after its last character.
        value: of a string what it says, of a number or word its text.
        items: of an object or array what is in it, in order; a key that comes twice is there twice.
    """

    kind: str
    start: int
    end: int
    value: str = ""
    items: list[Item] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """The value of a key of an object, as programs read it: the last of that name. None for anything else."""
        item = self.item(key)
        return None if item is None else item.value

    def item(self, key: str) -> Item | None:
        """The same with its key and comma."""
        found = [item for item in self.items if item.key is not None and item.key.value == key]
        return found[-1] if found else None


@dataclass(slots=True)
class Item:
    """A member of an object (with a key) or an element of an array (without), and where the comma after it stands."""

    key: Node | None
    value: Node
    comma: int | None = None

    @property
    def start(self) -> int:
        """Where it begins."""
        return (self.value if self.key is None else self.key).start

    @property
    def end(self) -> int:
        """Where its value ends; a comma comes later."""
        return self.value.end


def parse(text: str) -> Node:
    """The document in a text, which may begin with a byte order mark. Raises JsonBroken."""
    return _Reader(text).document()


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of a character, both from 1, as editors count them: a byte order mark is no column."""
    before = text[:offset].removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def plain(node: Node) -> Plain:
    """The value of a node, as ``json.loads`` gives it."""
    if node.kind == "object":
        return {item.key.value: plain(item.value) for item in node.items if item.key is not None}
    if node.kind == "array":
        return [plain(item.value) for item in node.items]
    if node.kind == "string":
        return node.value
    try:
        found: Plain = json.loads(node.value)
    except ValueError:  # a number of more digits than Python turns into an int
        return node.value
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 1 if text.startswith("\ufeff") else 0

    def document(self) -> Node:
        root = self._value(0)
        self._space()
        if self.position < len(self.text):
            raise self._broken("there is something after the end of the document")
        return root

    def _value(self, depth: int) -> Node:
        self._space()
        start, character = self.position, self.text[self.position : self.position + 1]
        if character in ("{", "["):
            if depth >= DEEPEST:
                raise self._broken(f"it is nested more than {DEEPEST} levels deep")
            return self._container("object" if character == "{" else "array", depth)
        if character == '"':
            return self._string()
        for kind, pattern in (("number", _NUMBER), ("word", _WORD)):
            match = pattern.match(self.text, start)
            if match is not None:
                self.position = match.end()
                return Node(kind, start, match.end(), match.group())
        raise self._broken("a value is missing" if character in ("", ",", "]", "}", ":") else "this is no value")

    def _container(self, kind: str, depth: int) -> Node:
        node = Node(kind, self.position, self.position)
        self.position += 1
        while not self._closed(node):
            if node.items:
                last = node.items[-1]
                if self.text[self.position : self.position + 1] != ",":
                    raise self._broken(f'a "," or "{_CLOSERS[kind]}" is missing')
                last.comma = self.position
                self.position += 1
                if self._closed(node):
                    break
            node.items.append(self._item(kind, depth))
        return node

    def _closed(self, node: Node) -> bool:
        """Whether the container ends here; it is then read over."""
        self._space()
        if self.text[self.position : self.position + 1] != _CLOSERS[node.kind]:
            return False
        self.position += 1
        node.end = self.position
        return True

    def _item(self, kind: str, depth: int) -> Item:
        if kind == "array":
            return Item(None, self._value(depth + 1))
        if self.text[self.position : self.position + 1] != '"':
            raise self._broken("a name in double quotes is missing")
        key = self._string()
        self._space()
        if self.text[self.position : self.position + 1] != ":":
            raise self._broken('a ":" is missing after the name')
        self.position += 1
        return Item(key, self._value(depth + 1))

    def _string(self) -> Node:
        start = self.position
        try:
            value, self.position = scanstring(self.text, start + 1, True)
        except json.JSONDecodeError as error:
            self.position = min(error.pos, len(self.text))
            raise self._broken(f"this text in quotes is broken ({error.msg.lower().removesuffix(' at')})") from None
        return Node("string", start, self.position, value)

    def _space(self) -> None:
        match = _SPACE.match(self.text, self.position)
        self.position = self.position if match is None else match.end()
        if self.text.startswith("/*", self.position):
            raise self._broken("a comment begins here and never ends")

    def _broken(self, reason: str) -> JsonBroken:
        if self.position >= len(self.text):
            reason = f"the text ends here, and {reason}"
        return JsonBroken(reason, *place(self.text, self.position))
