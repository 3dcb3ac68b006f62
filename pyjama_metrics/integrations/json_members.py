"""The members of a JSON object, without the package ``json``: importing that takes as long as half an interpreter's start.

Its C half, ``_json``, works alone. What a member needs in the text is known as well, so that sizes are told without writing
anything as JSON again.
"""

from __future__ import annotations

from _json import make_scanner, scanstring

LONGEST_NUMBER = 18
"""Characters of the longest whole number that is taken as one; a longer one is nobody's measurement."""

_BLANK = " \t\n\r"


class Members:
    """One JSON object: the values of its members, and how much of the text each needs."""

    __slots__ = ("_spans", "_text", "values")

    def __init__(self, text: str) -> None:
        """Read an object. Raises ValueError where the text does not begin with a whole one."""
        self._text = text
        self._spans: dict[str, tuple[int, int]] = {}
        self.values: dict[str, object] = {}
        try:
            self._read()
        except (IndexError, StopIteration) as error:
            raise ValueError("the text ends, or is no JSON") from error

    def size(self, name: str) -> int | None:
        """Bytes of a member's value as JSON, in UTF-8; None where there is no such member, or it is null."""
        start, end = self._spans.get(name, (0, 0))
        if start == end or self._text.startswith("null", start):
            return None
        return end - start if self._text.isascii() else len(self._text[start:end].encode("utf-8", "surrogatepass"))

    def _read(self) -> None:
        text = self._text
        at = _past_blanks(text, 0)
        if text[at] != "{":
            raise ValueError("it is no object")
        at = _past_blanks(text, at + 1)
        while text[at] == '"':
            name, at = scanstring(text, at + 1, False)
            at = _past_blanks(text, at)
            if text[at] != ":":
                break
            start = _past_blanks(text, at + 1)
            try:
                value, at = _scan(text, start)
            except RecursionError:
                # All else that the object tells still counts.
                value, at = None, _past_value(text, start)
            self.values[name], self._spans[name] = value, (start, at)
            at = _past_blanks(text, at)
            if text[at] != ",":
                break
            at = _past_blanks(text, at + 1)
        if text[at] != "}":
            raise ValueError("it is no JSON")


def _past_blanks(text: str, at: int) -> int:
    while text[at] in _BLANK:
        at += 1
    return at


def _past_value(text: str, at: int) -> int:
    """The end of an object or a list that is nested too deeply to be read."""
    depth = 0
    while True:
        mark = text[at]
        if mark == '"':
            at = scanstring(text, at + 1, False)[1]
            continue
        depth += (mark in "[{") - (mark in "]}")
        at += 1
        if not depth:
            return at


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= LONGEST_NUMBER else None


def _no_number(_: str) -> None:
    """NaN and the infinities, which some programs write, are no values."""


class _Rules:
    """What the scanner asks for."""

    strict = False  # control characters in texts are no reason to lose an event
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = staticmethod(_integer)
    parse_constant = staticmethod(_no_number)
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner's, which empties it


_scan = make_scanner(_Rules())  # type: ignore[arg-type]  # any object with these attributes serves
