"""What one model call used and to whom it is charged, however often and from wherever it was told.

A local law until the ledger's own is there: the names are the same.
"""

from __future__ import annotations

from typing import NamedTuple

from pyjama_metrics.event_fields import Event, count_of
from pyjama_metrics.events import MAX_LABEL, text_of

REPORTED, ACTUAL, ESTIMATED = 2, 1, 0
COUNTS = ("input-tokens", "output-tokens", "cache-read-tokens", "cache-write-tokens", "cache-write-1h-tokens")


class Figures(NamedTuple):
    """What a call used; in the order in which better figures are greater."""

    quality: int
    total: int
    output: int
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    cost: int
    model: str


class Owner(NamedTuple):
    """To whom, and to when, a call is charged: who first produced it, that is the least."""

    time: int
    agent: str
    run: str
    phase: str
    tool: str


class Request(NamedTuple):
    """A usage that has a request id, as far as it is known."""

    figures: Figures
    owner: Owner


def join(one: Request, other: Request) -> Request:
    """What two tellings of the same request are together; in any order, any number of times."""
    return Request(max(one.figures, other.figures), min(one.owner, other.owner))


def figures_of(event: Event) -> Figures:
    """The figures that an event tells. Raises Invalid."""
    counts = [count_of(event.get(name, 0)) for name in COUNTS]
    cost = event.get("cost-micros")
    estimated = event.get("tokens-are") == "estimated"
    quality = REPORTED if cost is not None else ESTIMATED if estimated else ACTUAL
    tokens_in, output, cache_read, cache_write, cache_write_1h = counts
    cost = 0 if cost is None else count_of(cost)
    model = text_of(event.get("model"))
    return Figures(quality, sum(counts), output, tokens_in, cache_read, cache_write, cache_write_1h, cost, model)


def request_id_of(event: Event) -> str | None:
    """The id under which a call counts once; None where it has none."""
    told = event.get("request-id")
    return None if told is None else text_of(told, MAX_LABEL)
