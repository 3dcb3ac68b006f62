"""What the rows of a ledger cost, by the prices that are known when one looks.

Nothing of a price is in the state, so a price that changes, or an override, prices the past anew. Of each sum three parts are
told and never mixed in silence: what the sources reported, what was computed from prices, and how many calls have no price, and
of which models. Inside sums computed costs are pico-dollars; they are rounded once, where they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pyjama_metrics import pricing
from pyjama_metrics.ledger_rows import ALL_TOKENS, CORRECTIONS, REPORTED_MICROS, REQUESTS, RowKey, amounts_in, parsed
from pyjama_metrics.pricing import Overrides, Price, Tokens
from pyjama_metrics.state_fields import LARGEST, Table, count, lists
from pyjama_metrics.usages import REPORTED

_DAY_MS = 86_400_000
_ESTIMATED = 6


@dataclass(frozen=True, slots=True)
class Cost:
    """What some model calls cost, in its three parts. Costs may be added up."""

    requests: int = 0
    reported_requests: int = 0
    reported_micros: int = 0
    computed_requests: int = 0
    computed_pico: int = 0
    unpriced: frozenset[str] = frozenset()
    """Models without a price."""
    estimated_tokens: int = 0
    by_model: Mapping[str, Cost] = field(default_factory=dict, compare=False, repr=False)
    by_phase: Mapping[str, Cost] = field(default_factory=dict, compare=False, repr=False)

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.requests + other.requests,
            self.reported_requests + other.reported_requests,
            self.reported_micros + other.reported_micros,
            self.computed_requests + other.computed_requests,
            self.computed_pico + other.computed_pico,
            self.unpriced | other.unpriced,
            self.estimated_tokens + other.estimated_tokens,
        )

    @property
    def priced_requests(self) -> int:
        """Calls whose cost is known."""
        return self.reported_requests + self.computed_requests

    @property
    def unpriced_requests(self) -> int:
        """Calls whose cost is not known."""
        return max(0, self.requests - self.priced_requests)

    @property
    def unpriced_models(self) -> tuple[str, ...]:
        """The models of those, by name."""
        return tuple(sorted(self.unpriced)) if self.unpriced_requests else ()

    @property
    def computed_micros(self) -> int:
        """The computed part in millionths of a dollar."""
        return pricing.micros(self.computed_pico)

    @property
    def total_micros(self) -> int | None:
        """The known parts together; None where no cost is known: 0 would be a claim."""
        # What people corrected may be all that is left of calls that turned out to be another's.
        is_known = self.priced_requests or self.reported_micros or self.computed_pico
        return min(self.reported_micros + self.computed_micros, LARGEST) if is_known else None

    def as_fields(self) -> dict[str, Any]:
        """The fields of a `pyjama_metrics.views.CostView`."""
        return {
            "requests": self.requests,
            "priced_requests": self.priced_requests,
            "reported_requests": self.reported_requests,
            "unpriced_requests": self.unpriced_requests,
            "unpriced_models": list(self.unpriced_models),
            "estimated_tokens": self.estimated_tokens,
            "reported_micros": self.reported_micros if self.reported_requests or self.reported_micros else None,
            "computed_micros": self.computed_micros if self.computed_requests or self.computed_pico else None,
            "cost_micros": self.total_micros,
        }


NOTHING = Cost()


class PricedRow(NamedTuple):
    """A row of a ledger, and what its calls cost."""

    key: RowKey
    counts: list[int]
    cost: Cost


def cost_of(rows: Iterable[tuple[RowKey, list[int]]], overrides: Overrides | None = None, time_ms: int | None = None) -> Cost:
    """The cost of rows.

    Args:
        rows: of a ledger.
        overrides: prices of the user's own; those of `pyjama_metrics.pricing.override` always count.
        time_ms: when the calls were made, in ms since the epoch, where the rows do not tell their day. Otherwise a row of day 0
            has the oldest price of its model.
    """
    total = NOTHING
    for key, row in rows:
        total += _cost_of_row(key, row, overrides, time_ms)
    return total


def cost_of_usage(usage: Table, ledger: Cost) -> Cost:
    """The cost of model calls that are counted as a sum, with the ledger of the same calls.

    Of calls that an older version counted there is no row: what they reported is in the sum, and the others have no price.
    """
    requests, reported = count(usage, "requests"), count(usage, "priced-requests")
    if requests == ledger.requests:
        return ledger
    computed = max(0, min(ledger.computed_requests, requests - reported))
    return Cost(
        requests,
        reported,
        count(usage, "cost-micros") if reported else 0,
        computed,
        ledger.computed_pico if computed else 0,
        ledger.unpriced,
        count(usage, "estimated-tokens") if "estimated-tokens" in usage else ledger.estimated_tokens,
    )


def costs_in(table: Table, overrides: Overrides | None = None, time_ms: int | None = None) -> Cost:
    """The cost of the whole ``ledger`` in a part of a state, and by model and phase, whatever wrote it."""
    return costs_of(priced_rows(table, overrides, time_ms))


def priced_rows(table: Table, overrides: Overrides | None = None, time_ms: int | None = None) -> Iterator[PricedRow]:
    """The rows of the ``ledger`` in a part of a state, each with its cost."""
    for key, row in rows_of(table):
        yield PricedRow(key, row, _cost_of_row(key, row, overrides, time_ms))


def costs_of(rows: Iterable[PricedRow]) -> Cost:
    """The cost of rows together, and by model and phase."""
    total, models, phases = NOTHING, dict[str, Cost](), dict[str, Cost]()
    for key, _, cost in rows:
        total += cost
        models[key.model] = models.get(key.model, NOTHING) + cost
        if key.phase:
            phases[key.phase] = phases.get(key.phase, NOTHING) + cost
    return Cost(
        total.requests,
        total.reported_requests,
        total.reported_micros,
        total.computed_requests,
        total.computed_pico,
        total.unpriced,
        total.estimated_tokens,
        models,
        phases,
    )


def rows_of(table: Table) -> Iterator[tuple[RowKey, list[int]]]:
    """The rows of the ``ledger`` in a part of a state; what is none is left out."""
    for text, row in lists(table, "ledger"):
        key = parsed(text)
        if key is not None:
            yield key, amounts_in(text, row)


def _cost_of_row(key: RowKey, row: list[int], overrides: Overrides | None, time_ms: int | None) -> Cost:
    requests, estimated = row[REQUESTS], row[_ESTIMATED]
    if key.kind == REPORTED:
        return Cost(requests, requests, row[REPORTED_MICROS], estimated_tokens=estimated)
    price = _price(key, overrides, time_ms)
    uncached, output, read, write, write_1h = row[ALL_TOKENS]
    tokens = Tokens(uncached, output, read, write, write_1h)
    pico = None if price is None else pricing.cost_of_sums(tokens, price, key.band % CORRECTIONS)
    if pico is None:
        return Cost(requests, unpriced=frozenset({key.model}), estimated_tokens=estimated)
    return Cost(requests, computed_requests=requests, computed_pico=pico, estimated_tokens=estimated)


def _price(key: RowKey, overrides: Overrides | None, time_ms: int | None) -> Price | None:
    time = key.day * _DAY_MS if time_ms is None else time_ms
    found = pricing.find(key.model, time, overrides)
    if found is None and time_ms is None and key.day == 0:
        found = next(iter(pricing.history(key.model)), None)
    return None if found is None else found.price
