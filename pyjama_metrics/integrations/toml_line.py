"""One line at the top of a TOML file: put in and taken out as text, so that everything else stays as it is.

Python reads TOML and does not write it. So each change is read again: it holds if the document then says what it said before, and
the one thing more (or less).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

_NEWLINE = re.compile(r"\r\n|\n")


class TomlBroken(ValueError):
    """A text is not TOML, or none that could be changed; the text says why and where."""


def parse(text: str) -> dict[str, Any]:
    """The document in a text, which may begin with a byte order mark. Raises TomlBroken."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise TomlBroken(str(error) or "it is nested too deep") from None


def put_in(text: str, key: str, words: Sequence[str]) -> str:
    """The text with ``key = [words]`` among the keys at its top, where it has none of that name yet. Raises TomlBroken."""
    before = parse(text)
    found = _NEWLINE.search(text)
    newline = found.group() if found else "\n"
    line = f"{key} = [{', '.join(json.dumps(word, ensure_ascii=False) for word in words)}]{newline}"
    for position in _places(text):
        glue = newline if position and text[position - 1] not in "\n\ufeff" else ""
        after = text[:position] + glue + line + text[position:]
        if _says(after, {**before, key: list(words)}):
            return after
    raise TomlBroken(f"there is no place for a line '{line.strip()}'")


def take_out(text: str, key: str) -> str:
    """The text without the line of a key at its top. Raises TomlBroken where that key has no line of its own."""
    before = parse(text)
    wanted = {name: value for name, value in before.items() if name != key}
    for match in re.finditer(rf"^[ \t]*{re.escape(key)}[ \t]*=.*(?:\r\n|\n|\Z)", text.replace("\ufeff", "\n", 1), re.MULTILINE):
        after = text[: match.start()] + text[match.end() :]
        if _says(after, wanted):
            return after
    raise TomlBroken(f"'{key}' has no line of its own; take it out in an editor")


def _places(text: str) -> Iterator[int]:
    """Where the line may stand, the best first: after the last key at the top; before the first table; at the very begin."""
    start = 1 if text.startswith("\ufeff") else 0
    lines, position = text[start:].splitlines(keepends=True), start
    after_keys = None
    for line in lines:
        if line.lstrip().startswith("["):
            break
        position += len(line)
        if line.strip() and not line.lstrip().startswith("#"):
            after_keys = position
    if after_keys is not None:
        yield after_keys
    yield position
    yield start


def _says(text: str, document: dict[str, Any]) -> bool:
    try:
        return _comparable(parse(text)) == _comparable(document)
    except TomlBroken:
        return False


def _comparable(document: dict[str, Any]) -> str:
    """A document as text, in which nan is nan."""
    return json.dumps(document, sort_keys=True, default=str)
