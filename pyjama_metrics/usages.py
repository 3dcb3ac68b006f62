"""Usages: what one model call used, and how the many reports of one call become one request.

A call may be told many times: line by line while its answer streams, again by a copy of the conversation, by a transcript and by
telemetry. What is told under one request id is joined, and the join is that of a semilattice: commutative, associative and
idempotent. So whatever arrives in whatever order, however often and through however many sources, gives the same request:

- its figures are the best that anybody told (reported before actual before estimated, then the largest: an answer only grows);
- its owner, to whom it is charged, is the earliest that anybody told: a copy is charged to whom it was copied from.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from pyjama_metrics.event_fields import Event, count_of
from pyjama_metrics.events import MAX_LABEL, TOKENS, text_of

NO_MODEL = "<synthetic>"
"""The model that Claude Code writes for an answer that no model gave, such as the text of an error: nothing was called."""

REPORTED, COMPUTED = "reported", "computed"
"""Where a cost is from: told by the source, or to be computed from a price on reading (where one is known)."""

_DAY_MS = 86_400_000
_NONE = -1


class Owner(NamedTuple):
    """To whom a request is charged. The smallest is the one who first produced it; "" stands for what is not known."""

    time_ms: int
    agent: str
    run: str
    phase: str
    tool: str


class Figures(NamedTuple):
    """What a request used. The largest is the best that is known of it; `cost_micros` is -1 where nobody told a cost."""

    quality: int
    """2: the source told the cost; 1: it told the tokens; 0: the tokens are an estimate."""
    is_actual: bool
    total: int
    output: int
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    cost_micros: int
    model: str
    band: int
    """The band of its price. It is kept, because another version of the price table may have other bands."""

    @property
    def kind(self) -> str:
        """``reported`` or ``computed``."""
        return COMPUTED if self.cost_micros == _NONE else REPORTED


class Request(NamedTuple):
    """One model call, as far as it is known."""

    owner: Owner
    figures: Figures


class Charge(NamedTuple):
    """Where a request counts: those of one charge may be added up, and still be priced exactly."""

    agent: str
    minute_ms: int
    band: int
    kind: str
    model: str
    phase: str
    tool: str
    run: str

    @property
    def day(self) -> int:
        """Days since 1970, in UTC: prices change at midnight there."""
        return self.minute_ms // _DAY_MS


def join(one: Request, other: Request) -> Request:
    """What two reports of the same request tell together."""
    return Request(min(one.owner, other.owner), max(one.figures, other.figures))


def figures_of(event: Event) -> Figures | None:
    """The figures of an ``llm`` event; None where no model was called. Raises Invalid."""
    counts = [count_of(event.get(key, 0)) for key in TOKENS]
    cost = event.get("cost-micros")
    cost = _NONE if cost is None else count_of(cost)
    is_actual = event.get("tokens-are") != "estimated"
    model = text_of(event.get("model"))
    uncached, output, read, write, write_1h = counts
    if model == NO_MODEL:
        return None
    quality = 2 if cost != _NONE else int(is_actual)
    band = band_of_input(uncached + read + write + write_1h)
    return Figures(quality, is_actual, sum(counts), output, uncached, read, write, write_1h, cost, model, band)


@lru_cache(1024)
def band_of_input(total_input: int) -> int:
    """The band of the price of a call with so many input tokens, cached ones included."""
    # Here, because the table of prices is large, and a fold that meets no model call does without it.
    from pyjama_metrics.pricing import band_of

    return band_of(total_input)


def owner_of(event: Event, time_ms: int, run_id: str | None) -> Owner:
    """The owner that an ``llm`` event tells.

    Args:
        event: with an agent.
        time_ms: when it was.
        run_id: the run to which it belongs, where that is known.
    """
    phase, tool = event.get("phase"), event.get("tool")
    return Owner(
        time_ms,
        text_of(event["agent"]),
        run_id or "",
        "" if phase is None else text_of(phase),
        "" if tool is None else text_of(tool),
    )


def request_id_of(event: Event) -> str | None:
    """The id under which a call counts once, whoever tells of it; None for a call that has none."""
    value = event.get("request-id")
    return None if value is None or value == "" else text_of(value, MAX_LABEL)


def charge_of(request: Request) -> Charge:
    """Where a request counts."""
    (time, agent, run, phase, tool), figures = request
    return Charge(agent, time - time % 60_000, figures.band, figures.kind, figures.model, phase, tool, run)


def amounts_of(request: Request) -> tuple[int, ...]:
    """What a request adds, in the order of `pyjama_metrics.ledger_rows.COLUMNS`."""
    figures = request.figures
    return (
        1,
        figures.input,
        figures.output,
        figures.cache_read,
        figures.cache_write,
        figures.cache_write_1h,
        0 if figures.is_actual else figures.total,
        max(0, figures.cost_micros),
    )
