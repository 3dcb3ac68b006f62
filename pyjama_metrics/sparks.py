"""Executions of the last minutes in slots of ten seconds: what the sparklines of the page are drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

SLOT_MS = 10_000
"""Length of one slot of a spark, in milliseconds."""
SLOTS = 30
"""Slots of a spark: five minutes."""


@dataclass(frozen=True, slots=True)
class Spark:
    """Executions of the last minutes in which there were any.

    Attributes:
        until_ms: end of the last slot, the one of the latest execution, in ms since the epoch.
        step_ms: length of a slot.
        executions: executions of each slot, interrupted ones too, oldest first, at most ``SLOTS``; the first is not 0.
        error: how many of them failed.
    """

    until_ms: int
    step_ms: int
    executions: tuple[int, ...]
    error: tuple[int, ...]


class Slots:
    """Executions by slots of time, the newest ``SLOTS`` of them."""

    __slots__ = ("_last", "_slots", "_spark")

    def __init__(self) -> None:
        self._slots: dict[int, list[int]] = {}
        self._last = 0
        self._spark: Spark | None = None

    def add_all(self, times: list[int], *, failed: bool) -> None:
        """Add executions that ended at those times."""
        for slot, count in counted(times, SLOT_MS):
            self.add(slot, count, count if failed else 0)

    def add(self, slot: int, executions: int, error: int) -> None:
        """Add executions to one slot, of which so many failed."""
        self._last = max(self._last, slot)
        counts = self._slots.setdefault(slot, [0, 0])
        counts[0] += executions
        counts[1] += error
        self._spark = None
        if len(self._slots) > 2 * SLOTS:
            self._slots = {slot: counts for slot, counts in self._slots.items() if slot > self._last - SLOTS}

    def move(self, moved: Callable[[int], int]) -> None:
        """Date each slot anew: ``moved`` gives the new time for the one it has."""
        before, self._slots, self._last = self._slots, {}, 0
        for slot, (executions, error) in before.items():
            self.add(moved(slot * SLOT_MS) // SLOT_MS, executions, error)

    def spark(self) -> Spark | None:
        """The newest slots; None where there is none. The same object until the next execution."""
        if self._spark is None and self._slots:
            first = min(slot for slot in self._slots if slot > self._last - SLOTS)
            counts = [self._slots.get(slot, (0, 0)) for slot in range(first, self._last + 1)]
            executions, error = zip(*counts, strict=True)
            self._spark = Spark((self._last + 1) * SLOT_MS, SLOT_MS, executions, error)
        return self._spark


def counted(times: list[int], step_ms: int) -> Iterable[tuple[int, int]]:
    """How many of some times lie in each slice of a length, by the slice's number; nearly always all lie in one."""
    first = min(times) // step_ms
    if first == max(times) // step_ms:
        return [(first, len(times))]
    return Counter([time // step_ms for time in times]).items()
