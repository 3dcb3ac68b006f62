"""The fields of a state as the views may use them, whatever wrote it.

A state of an older version, or one that a person edited, may lack keys and have values of another type. Missing counts are 0,
everything else that is missing, or of no use, is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyjama_metrics.events import MAX_TIME_MS

Table = Mapping[str, Any]
"""An object of the state, parsed, so a dict; `pyjama_metrics.state` has the exact types."""

LARGEST = 2**53
"""Beyond this JSON readers hold no exact integer; no figure of ours gets there."""


def tables(table: Table, key: str) -> list[tuple[str, Table]]:
    """The objects in the object under ``key``, with their names."""
    return [(name, value) for name, value in table_of(table, key).items() if isinstance(value, dict)]


def table_of(table: Table, key: str) -> Table:
    """The object under ``key``; an empty one where there is none."""
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def list_of(table: Table, key: str) -> list[Any]:
    """The list under ``key``; an empty one where there is none."""
    value = table.get(key)
    return value if isinstance(value, list) else []


def lists(table: Table, key: str) -> list[tuple[str, list[Any]]]:
    """The lists in the object under ``key``, with their names."""
    return [(name, value) for name, value in table_of(table, key).items() if isinstance(value, list)]


def counts_of(values: list[Any], length: int) -> list[int]:
    """So many counts from a list; 0 for each that is missing or none."""
    found = [value if type(value) is int and 0 <= value <= LARGEST else 0 for value in values[:length]]
    return found + [0] * (length - len(found))


def number(table: Table, key: str) -> float | None:
    """The number under ``key``; one that is not finite, or absurdly large, is none. True is 1, to which it is equal."""
    value = table.get(key)
    # NaN fails both comparisons.
    return value + 0 if isinstance(value, (int, float)) and -LARGEST <= value <= LARGEST else None


def count(table: Table, key: str) -> int:
    """The count under ``key``; 0 where there is none, or less than none."""
    value = table.get(key)
    if type(value) is int and 0 <= value <= LARGEST:
        return value
    return max(0, int(number(table, key) or 0))


def counts_in(table: Table) -> dict[str, int]:
    """An object of counts."""
    return {name: count(table, name) for name in table}


def positive(table: Table, key: str) -> int | None:
    """A time or a process number; the state has 0 where there is none yet."""
    return count(table, key) or None


def text(table: Table, key: str) -> str | None:
    """The text under ``key``."""
    value = table.get(key)
    return value if isinstance(value, str) else None


def texts(table: Table, key: str) -> dict[str, str]:
    """The object of texts under ``key``; what is in it and no text is left out."""
    return {name: value for name, value in table_of(table, key).items() if isinstance(value, str)}


def time_key(key: str) -> int | None:
    """A time in milliseconds since the epoch that is the key of an object."""
    return int(key) if key.isascii() and key.isdigit() and len(key) <= len(str(MAX_TIME_MS)) else None


def total(counts: Iterable[int]) -> int:
    """The sum of counts, as far as JSON can hold it."""
    return min(sum(counts), LARGEST)


def ratio(part: float, whole: float) -> float | None:
    """A rate; None out of nothing."""
    return part / whole if whole else None
