"""Changes to the text of a JSON document that leave everything else in it as it is.

An edit is ``(start, end, text)``: what stands there, and what is to stand there instead. What is put in looks like what is around
it: its indent, its ends of lines, its commas. Taking out what was put in gives the text that was there before, wherever nobody
has changed it meanwhile.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyjama_metrics.integrations.json_text import Item, Node, Plain

Edit = tuple[int, int, str]

_NEWLINE = re.compile(r"\r\n|\n|\r")
_BLANKS = " \t"
_ANY_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Looks:
    """How a document is written.

    Attributes:
        newline: what ends its lines.
        unit: what each level is indented by; None where all of it is on one line.
        compact: whether there is nothing after a colon.
    """

    newline: str
    unit: str | None
    compact: bool


def looks_of(text: str, root: Node) -> Looks:
    """How a document is written; an empty one as most are."""
    newline = _NEWLINE.search(text)
    compact = False
    unit: str | None = "  "
    if root.items:
        first = root.items[0]
        unit = _indent_before(text, first.start)
        if unit is not None:
            unit = unit[len(_line_indent(text, root.start)) :] or "  "
        if first.key is not None:
            compact = text[first.value.start - 1] == ":"
    return Looks(newline.group() if newline else "\n", unit, compact)


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text after all edits, none of which touch each other; of two at one place the first comes first."""
    parts, position = [], 0
    for start, end, instead in sorted(edits, key=lambda edit: edit[:2]):
        parts += [text[position:start], instead]
        position = end
    return "".join([*parts, text[position:]])


def put_in(text: str, container: Node, values: Sequence[tuple[str | None, Plain]], looks: Looks) -> list[Edit]:
    """Edits that add items at the end of an object (values with a key) or array (without)."""
    if not values:
        return []
    closer = container.end - 1
    last = container.items[-1] if container.items else None
    inside = container.start + 1 if last is None else (last.end if last.comma is None else last.comma + 1)
    after = inside + len(text[inside:closer].rstrip(_ANY_SPACE))
    base = _line_indent(text, container.start)
    in_lines = _is_in_lines(text, container, looks) or "//" in text[inside:after]
    indent = base + (looks.unit or "  ")
    if in_lines and last is not None:
        indent = next((found for item in container.items if (found := _indent_before(text, item.start)) is not None), indent)
    written = [_written(key, value, looks, indent if in_lines else None) for key, value in values]
    if in_lines:
        between = looks.newline + indent
        addition = between + ("," + between).join(written)
    else:
        between = "" if looks.compact else " "
        addition = (between if last is not None else "") + ("," + between).join(written)
    if last is not None and last.comma is not None:
        addition += ","
    edits = [] if last is None or last.comma is not None else [(last.end, last.end, ",")]
    if in_lines and last is None and not _NEWLINE.search(text, after, closer):
        return [(after, closer, addition + looks.newline + base)]
    if not in_lines and last is None and after == inside:
        return [(inside, closer, addition)]
    return [*edits, (after, after, addition)]


def put_instead(text: str, node: Node, value: Plain, looks: Looks) -> Edit:
    """The edit that puts another value in the place of one."""
    in_lines = _NEWLINE.search(text, node.start, node.end) is not None
    return node.start, node.end, _written(None, value, looks, _line_indent(text, node.start) if in_lines else None)


def take_out(text: str, container: Node, going: Sequence[Item]) -> list[Edit]:
    """Edits that remove items, each with its comma and, where it has lines of its own, with those."""
    ids = {id(item) for item in going}
    staying = [item for item in container.items if id(item) not in ids]
    if not going:
        return []
    if not staying and not _has_comments(text, container):
        return [(container.start + 1, container.end - 1, "")]
    edits = []
    for index, item in enumerate(container.items):
        if id(item) in ids:
            following = container.items[index + 1] if index + 1 < len(container.items) else None
            stays_behind = bool(staying) and staying[-1].start > item.start
            edits.append(_cut_out(text, item, following if stays_behind else None))
    if staying and container.items[-1].comma is None and staying[-1].comma is not None:
        edits.append((staying[-1].comma, staying[-1].comma + 1, ""))
    return edits


def _cut_out(text: str, item: Item, following: Item | None) -> Edit:
    start, end = item.start, item.end if item.comma is None else item.comma + 1
    line_start = start - (len(text[:start]) - len(text[:start].rstrip(_BLANKS)))
    line_end = end + len(text[end:]) - len(text[end:].lstrip(_BLANKS))
    newline = _NEWLINE.match(text, line_end)
    if newline is not None and (line_start == 0 or text[line_start - 1] in "\r\n"):
        return line_start, newline.end(), ""
    if following is not None:
        return start, following.start if not text[end : following.start].strip(_ANY_SPACE) else end, ""
    before = text[:start].rstrip(_ANY_SPACE)
    last_line = before[max(before.rfind("\n"), before.rfind("\r")) + 1 :]
    return (line_start if "//" in last_line else len(before)), end, ""


def _has_comments(text: str, container: Node) -> bool:
    """Whether there is anything between the items but space and commas."""
    position, found = container.start + 1, ""
    for item in container.items:
        found += text[position : item.start]
        position = item.end
    return bool((found + text[position : container.end - 1]).strip(_ANY_SPACE + ","))


def _is_in_lines(text: str, container: Node, looks: Looks) -> bool:
    """Whether items of a container stand on lines of their own; of an empty one, whether those around it do."""
    if container.items:
        return _indent_before(text, container.items[0].start) is not None
    return looks.unit is not None


def _indent_before(text: str, position: int) -> str | None:
    """The indent of what begins a line; None for what does not."""
    start = position - (
        len(text[max(0, position - 1000) : position]) - len(text[max(0, position - 1000) : position].rstrip(_BLANKS))
    )
    return text[start:position] if start and text[start - 1] in "\r\n" else None


def _line_indent(text: str, position: int) -> str:
    """The indent of the line in which something stands."""
    start = max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1
    line = text[start:position].removeprefix("\ufeff")
    return line[: len(line) - len(line.lstrip(_BLANKS))]


def _written(key: str | None, value: Plain, looks: Looks, indent: str | None) -> str:
    """An item as text: on lines that begin with ``indent``, or on one line."""
    colon = ":" if looks.compact else ": "
    if indent is None:
        text = json.dumps(value, ensure_ascii=False, separators=("," if looks.compact else ", ", colon))
    else:
        text = json.dumps(value, ensure_ascii=False, indent=looks.unit or "  ", separators=(",", colon))
        text = text.replace("\n", looks.newline + indent)
    return text if key is None else json.dumps(key, ensure_ascii=False) + colon + text
