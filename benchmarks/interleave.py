"""Measure several subjects by turns (A B C, B C A, …), so that a drift of the machine falls on all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns


def nothing() -> None:
    """Be the ``settle`` of a subject that leaves no work behind."""


@dataclass(frozen=True)
class Subject:
    """Something that is called many times.

    Attributes:
        name: How the turns are found afterwards.
        block: Makes the given number of calls in a loop.
        calls: Calls in one timed block.
        seconds: How long a turn lasts.
        settle: Ends, outside the clock, what the subject left running in the background, so that it is not
            paid for by the next subject's turn.
    """

    name: str
    block: Callable[[int], None]
    calls: int
    seconds: float
    settle: Callable[[], None] = nothing


@dataclass
class Turn:
    """One subject's turn: the cost per call of each of its blocks in microseconds, and of the whole turn."""

    blocks: list[float] = field(default_factory=list)
    mean: float = 0.0

    @property
    def median(self) -> float:
        """Answer the median cost per call of the blocks in microseconds."""
        return statistics.median(self.blocks)


Turns = dict[str, list[Turn]]


def interleave(subjects: Sequence[Subject], rounds: int) -> Turns:
    """Give each subject ``rounds`` turns, a different one first in each round."""
    for subject in subjects:
        subject.block(subject.calls)
        subject.settle()
    turns: Turns = {subject.name: [] for subject in subjects}
    for at in range(rounds):
        shift = at % len(subjects)
        for subject in (*subjects[shift:], *subjects[:shift]):
            turns[subject.name].append(_turn(subject))
            subject.settle()
    return turns


def _turn(subject: Subject) -> Turn:
    turn, block, calls = Turn(), subject.block, subject.calls
    begin = perf_counter_ns()
    end, now = begin + int(subject.seconds * 1e9), begin
    while now < end or len(turn.blocks) < 3:
        before = perf_counter_ns()
        block(calls)
        now = perf_counter_ns()
        turn.blocks.append((now - before) / calls / 1000)
    turn.mean = (now - begin) / (len(turn.blocks) * calls) / 1000
    return turn


def blocks(turns: Sequence[Turn]) -> list[float]:
    """Answer the costs of all blocks of all turns."""
    return [cost for turn in turns for cost in turn.blocks]


def ratio(ours: Sequence[float], rival: Sequence[float]) -> float:
    """Answer the median of the ratios ours / rival, each of two neighbouring turns."""
    return statistics.median(a / b for a, b in zip(ours, rival, strict=True))


def difference(ours: Sequence[float], rival: Sequence[float]) -> float:
    """Answer the median of the differences ours - rival, each of two neighbouring turns."""
    return statistics.median(a - b for a, b in zip(ours, rival, strict=True))
