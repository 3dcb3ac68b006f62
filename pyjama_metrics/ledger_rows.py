r"""The rows of the ledger: sums of model calls that may be priced together, on reading, by the prices known then.

A ledger is an object of rows, by a text key of six parts, ``DAY|BAND|KIND|MODEL|PHASE|TOOL``; in a part ``\`` and ``|`` stand
behind a ``\``. A row is a list of counts in the order of `COLUMNS`. Calls of one row have the same price, so the cost of the
row is exactly the sum of their costs.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pyjama_metrics.state_fields import LARGEST, counts_of

COLUMNS = (
    "requests",
    "input-tokens",
    "output-tokens",
    "cache-read-tokens",
    "cache-write-tokens",
    "cache-write-1h-tokens",
    "estimated-tokens",
    "cost-micros",
)
"""What a row counts; the last is what the sources reported."""
REQUESTS, REPORTED_MICROS, ALL_TOKENS = 0, 7, slice(1, 6)

OTHER_MODELS = "(other models)"
"""The model of the rows that were added up because there were too many: its calls have no price."""

CORRECTIONS = 10**12
"""Rows of which the band is this and more hold what people corrected of the rows with the band that is this less. They stand
apart because they may be less than nothing, and because a call that is told again is taken from where it was counted, not from
what somebody said about it.
"""

Ledger = dict[str, list[int]]
_PART = re.compile(r"((?:[^|\\]|\\.)*)(?:\||$)", re.DOTALL)


class RowKey(NamedTuple):
    """What the calls of a row have in common; "" stands for what is not told apart there."""

    day: int
    """Days since 1970 in UTC; 0 for all that was before the days that are kept apart."""
    band: int
    kind: str
    model: str
    phase: str = ""
    tool: str = ""

    @property
    def is_correction(self) -> bool:
        """Whether its amounts are differences."""
        return self.band >= CORRECTIONS

    @property
    def text(self) -> str:
        """The key as it is in the state."""
        return _text_of(self)


@lru_cache(4096)
def _text_of(key: RowKey) -> str:
    return "|".join([str(key.day), str(key.band), *map(_escaped, key[2:])])


def parsed(key: str) -> RowKey | None:
    """The parts of a key; None for a text that is none."""
    parts = key.split("|") if "\\" not in key else [_plain(part) for part in _PART.findall(key)[:6]]
    if len(parts) != 6 or not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts[:2]):
        return None
    return RowKey(int(parts[0]), int(parts[1]), *parts[2:])


def add(ledger: Ledger, key: RowKey, amounts: Sequence[int]) -> None:
    """Add amounts to a row, in place; less than nothing where a call is charged elsewhere now. A row of nothing is none."""
    text = key.text if key.is_correction else _place(ledger, key, amounts)
    row = ledger.get(text)
    if row is None:
        row = ledger[text] = [0] * len(COLUMNS)
    least = -LARGEST if key.is_correction else 0
    # Of an agent that left the file and came back the row may not have what is taken away. What is more than all that JSON's
    # readers count exactly is no count of tokens, and must not make the file one that nobody reads.
    row[:] = map(operator.add, row, amounts)
    if min(row) < least or max(row) > LARGEST:
        row[:] = [min(LARGEST, max(least, amount)) for amount in row]
    if not any(row):
        del ledger[text]


def holds(ledger: Ledger, key: RowKey, amounts: Sequence[int]) -> bool:
    """Whether `add` changes a row by all of the amounts: what is taken away must have been counted there."""
    if key.is_correction or (amounts[REQUESTS] > 0 and min(amounts) >= 0):
        return True
    row = ledger.get(_place(ledger, key, amounts))
    return row is not None and all(before + amount >= 0 for before, amount in zip(row, amounts, strict=True))


def take(ledger: Ledger, key: RowKey, amounts: Sequence[int]) -> list[int]:
    """As `add`, of a row that does not have all that is to be taken away: what it had not is the answer."""
    text = _place(ledger, key, amounts)
    sums = [before + amount for before, amount in zip(ledger.get(text) or [0] * len(COLUMNS), amounts, strict=True)]
    ledger[text] = [max(0, count) for count in sums]
    if not any(ledger[text]):
        del ledger[text]
    return [min(0, count) for count in sums]


def _place(ledger: Ledger, key: RowKey, amounts: Sequence[int]) -> str:
    """The row to which amounts are to be added."""
    text = key.text
    if amounts[REQUESTS] > 0 or text in ledger:
        return text
    # What is taken away was counted: if not in a row of its own, in one of those that were added up.
    return next((coarser for each in _coarser(key) if (coarser := each.text) in ledger), text)


def without_details(ledger: Mapping[str, Any]) -> Ledger:
    """The rows without phase and tool, of which no price depends; what is none of ours is left out."""
    rows: Ledger = {}
    for text, row in ledger.items():
        key = parsed(text)
        if key is not None and isinstance(row, list):
            add(rows, key._replace(phase="", tool=""), amounts_in(text, row))
    return rows


def amounts_in(text: str, row: list[Any]) -> list[int]:
    """The amounts of a row, whatever wrote it: counts, or differences where the key is that of a correction."""
    if any(type(amount) is int and amount < 0 for amount in row):
        key = parsed(text)
        if key is not None and key.is_correction:
            found = [amount if type(amount) is int and -LARGEST <= amount <= LARGEST else 0 for amount in row[: len(COLUMNS)]]
            return found + [0] * (len(COLUMNS) - len(found))
    return counts_of(row, len(COLUMNS))


def bound(ledger: Ledger, from_day: int, most: int, *, days_last: bool = False) -> int:
    """Add rows up, in place, until there are at most so many: first the oldest days, then the phases and tools of the smallest
    rows, then their models.

    Args:
        ledger: changed.
        from_day: the first day that is kept apart.
        most: rows; it is reached unless it is absurdly small.
        days_last: give up phases and tools first, on which no price depends, and days after them.

    Returns:
        The first day that is kept apart from now on: what is of days before belongs into day 0.
    """
    if len(ledger) <= most:
        return from_day
    keys = {text: key for text in ledger if (key := parsed(text)) is not None}
    if days_last:
        _coarsen(ledger, keys, most, 0)
    days = sorted({key.day for key in keys.values()} - {0})
    while len(ledger) > most and len(days) > 1:
        day = days.pop(0)
        from_day = day + 1
        for text in [text for text, key in keys.items() if key.day == day]:
            _move(ledger, keys, text, keys[text]._replace(day=0))
    for level in range(2):
        _coarsen(ledger, keys, most, level)
    return from_day


def _coarsen(ledger: Ledger, keys: dict[str, RowKey], most: int, level: int) -> None:
    for text in sorted(keys, key=lambda text: (ledger[text][REQUESTS], text)):
        if len(ledger) <= most:
            return
        _move(ledger, keys, text, _coarser(keys[text])[level])


def _move(ledger: Ledger, keys: dict[str, RowKey], text: str, to: RowKey) -> None:
    if to != keys.pop(text):
        add(ledger, to, ledger.pop(text))
    keys[to.text] = to


def _coarser(key: RowKey) -> tuple[RowKey, RowKey]:
    return key._replace(phase="", tool=""), key._replace(phase="", tool="", model=OTHER_MODELS)


def _escaped(part: object) -> str:
    text = str(part)
    return text.replace("\\", "\\\\").replace("|", "\\|") if "|" in text or "\\" in text else text


def _plain(part: str) -> str:
    return re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL)
