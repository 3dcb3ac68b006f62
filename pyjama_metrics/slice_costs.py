"""What the slices of the roll-ups cost: for whoever needs no more than that, and quickly."""

from __future__ import annotations

from pyjama_metrics import roll_ups
from pyjama_metrics.ledger import NOTHING, Cost, cost_of_usage, costs_in
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.roll_ups import Slice
from pyjama_metrics.state_fields import Table, table_of, tables, time_key


def cost_since(state: Table, since_ms: int, overrides: Overrides | None = None) -> Cost:
    """The cost of all model calls since a moment, by the quarters of an hour of the state: a midnight is the begin of one."""
    return sum((cost_of_slice(each, begin, overrides) for begin, each in slices(state, "quarters", since_ms).items()), NOTHING)


def cost_of_slice(each: Slice, begin: int, overrides: Overrides | None) -> Cost:
    """What the model calls of a slice cost, by the prices of its time."""
    return cost_of_usage(each, costs_in(each, overrides, begin)) if each["requests"] else NOTHING


def slices(state: Table, series: str, since_ms: int = 0) -> dict[int, Slice]:
    """The slices of a series of the state that begin at ``since_ms`` or later, by their begin."""
    found = tables(table_of(state, "roll-ups"), series)
    begun = [(begin, each) for key, each in found if (begin := time_key(key)) is not None and begin >= since_ms]
    kept = {begin: roll_ups.new_slice() for begin, _ in begun}
    for begin, each in begun:
        roll_ups.add_slice(kept[begin], each)
    return kept
