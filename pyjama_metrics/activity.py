"""What all agents did over time: the series behind the page's charts, and today's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyjama_metrics import roll_ups
from pyjama_metrics.ledger import NOTHING, Cost
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.recent import SLICE_MS
from pyjama_metrics.retention import MAX_MINUTES_MS, MAX_QUARTERS_MS
from pyjama_metrics.roll_ups import MINUTE_MS, QUARTER_MS, Slice
from pyjama_metrics.slice_costs import cost_of_slice, cost_since, slices
from pyjama_metrics.state_fields import LARGEST, Table, positive, total
from pyjama_metrics.views import ActivityView, TodayView

if TYPE_CHECKING:
    from pyjama_metrics.recent import Recent

MEMORY_SPAN_MS = 15 * 60_000
"""The longest span that is told in slices of seconds."""
MINUTES_SPAN_MS = 60 * 60_000
"""The longest span that is told in minutes."""
MAX_SLICES = 400
"""Slices of a series: more than a chart has pixels to tell apart."""
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_STEPS = (QUARTER_MS, _HOUR_MS, 6 * _HOUR_MS, _DAY_MS)
_CLEARED = "What happened before is not known: the figures were cleared then."
_BEGINS = "What happened before is not known: the history begins then."
_KEPT = f"What happened more than {MAX_QUARTERS_MS // _HOUR_MS} hours ago is not known: "
_NO_HISTORY = f"{_KEPT}there is no history of it yet."


@dataclass(frozen=True, slots=True)
class PastSlice:
    """What the history knows of a slice of an `ActivityView`; the fields are those of the view."""

    begin: int
    success: int
    error: int
    interrupted: int
    requests: int
    tokens: int
    cost_micros: int | None
    unpriced_requests: int
    unpriced_models: tuple[str, ...] = ()


def activity(
    state: Table, from_ms: int, to_ms: int, recent: Recent | None = None, overrides: Overrides | None = None
) -> ActivityView:
    """The series of a span, from the finest source that knows all of it.

    Slices of 5 seconds are in the memory of the dashboard, for the last 15 minutes; minutes and quarters of an hour are in the
    file, for the last 75 minutes and 50 hours. Of a span that reaches further back the part is told that the file holds; `seam`
    says whether the history may know more, and `with_past` puts that in. Quarters are added up to longer slices where there were
    more than `MAX_SLICES` of them.

    Args:
        state: a parsed ``metrics.json``.
        from_ms: begin, in ms since the epoch; the first slice is the one in which it lies.
        to_ms: end, later than the begin; the last slice is the one in which it lies, as far as it is known.
        recent: what a tail of the journals remembers, where somebody keeps one.
        overrides: prices of the user's own.
    """
    span, latest, begun = to_ms - from_ms, positive(state, "updated") or to_ms, positive(state, "known-from") or 0
    since = from_ms - from_ms % SLICE_MS
    if span <= MEMORY_SPAN_MS and recent is not None and _remembers(recent, state, since, to_ms, latest):
        return _view("memory", recent.slices(since, to_ms), from_ms, to_ms, SLICE_MS, since, begun, overrides)
    since = from_ms - from_ms % MINUTE_MS
    if span <= MINUTES_SPAN_MS and since >= latest - MAX_MINUTES_MS:
        return _view("file", slices(state, "minutes"), from_ms, to_ms, MINUTE_MS, since, begun, overrides)
    kept_since = _kept_since(latest)
    step = next((step for step in _STEPS if span <= MAX_SLICES * step), -(-span // (MAX_SLICES * _DAY_MS)) * _DAY_MS)
    known_from = max(from_ms - from_ms % step, kept_since)
    return _view("file", slices(state, "quarters"), from_ms, to_ms, step, known_from, begun, overrides)


def seam(state: Table, view: ActivityView) -> int | None:
    """Where the history's part of a view ends and that of the live figures begins; None for a view that needs no history.

    The live figures have as much as they can: they are never behind. A slice is of one of the two alone, so that nothing is
    counted twice: from the seam on all slices are whole in the live figures, however late they were cleared. A span that the
    file would reach without a clear begins anew with it.
    """
    kept_since = _kept_since(positive(state, "updated") or view.to)
    if view.from_ >= kept_since or not view.times:
        return None
    whole_since = max(kept_since, positive(state, "known-from") or 0)
    return min(-(-whole_since // view.step) * view.step, view.times[-1] + view.step)


def with_past(view: ActivityView, past: Sequence[PastSlice], known_from: int | None) -> ActivityView:
    """The view with what the history knows of its slices before the seam.

    Args:
        view: of the live figures.
        past: the slices before the seam.
        known_from: from when on the history knows what happened; None where it knows nothing.
    """
    told = {each.begin: each for each in past if known_from is not None and each.begin + view.step > known_from}
    if not told or known_from is None:
        return view
    since = min(known_from if view.known_from is None else view.known_from, max(known_from, view.from_))

    def column(name: str) -> list[int | None]:
        live: list[int | None] = getattr(view, name)
        return [getattr(told[time], name) if time in told else value for time, value in zip(view.times, live, strict=True)]

    return replace(
        view,
        source="history",
        known_from=since,
        note=_BEGINS if since >= view.from_ + view.step else None,
        success=column("success"),
        error=column("error"),
        interrupted=column("interrupted"),
        requests=column("requests"),
        tokens=column("tokens"),
        cost_micros=column("cost_micros"),
        unpriced_requests=column("unpriced_requests"),
        unpriced_models=sorted({*view.unpriced_models, *(model for each in told.values() for model in each.unpriced_models)}),
    )


def without_past(view: ActivityView, why: str) -> ActivityView:
    """The view, which says why there is no history of what it lacks: the end of a sentence."""
    return replace(view, note=f"{_KEPT}{why}") if view.note == _NO_HISTORY else view


def _kept_since(latest_ms: int) -> int:
    """From when on the file has all quarters: what the fold let go of is cut at any moment, the first whole one is after it."""
    return -((MAX_QUARTERS_MS - latest_ms) // QUARTER_MS) * QUARTER_MS


def _remembers(recent: Recent, state: Table, since_ms: int, to_ms: int, latest_ms: int) -> bool:
    """Whether the memory has all slices from ``since_ms`` on: it was there, or found all that the file counts in the journals.

    It lets go by the latest event, and the file soon has that; what was not folded yet, it counts before the file.
    """
    if recent.since_ms is None or since_ms < latest_ms - MEMORY_SPAN_MS - SLICE_MS:
        return False
    begin = since_ms - since_ms % MINUTE_MS
    counted = [each for time, each in slices(state, "minutes", begin).items() if time < to_ms]
    found = recent.slices(begin, to_ms).values()
    return since_ms >= recent.since_ms or all(
        sum(each[key] for each in found) >= sum(each[key] for each in counted) for key in ("count", "interrupted", "requests")
    )


def today_view(state: Table, since_ms: int, overrides: Overrides | None = None) -> TodayView:
    """The figures since ``since_ms``, by the roll-ups of the state: a midnight, wherever it is one, is the begin of a quarter."""
    kept = slices(state, "quarters", since_ms)
    sums = {key: total(each[key] for each in kept.values()) for key in roll_ups.COUNTS}  # type: ignore[literal-required]
    return TodayView(
        since=since_ms,
        count=sums["count"],
        success=sums["success"],
        error=sums["error"],
        tokens=sums["tokens"],
        **cost_since(state, since_ms, overrides).as_fields(),
    )


def _view(
    source: str,
    slices: Mapping[int, Slice],
    from_ms: int,
    to_ms: int,
    step: int,
    kept_from: int,
    begun: int,
    overrides: Overrides | None,
) -> ActivityView:
    """The view of slices that are kept from one time on, of figures that were cleared at another."""
    begin, known_from = from_ms - from_ms % step, max(kept_from, begun)
    times = list(range(begin, to_ms, step))
    sums = roll_ups.summed(slices, kept_from, to_ms, step)
    # The slice in which the knowledge begins is told as far as it goes, like the last one.
    rows = [sums.get(time, roll_ups.new_slice()) if time + step > known_from else None for time in times]
    # Priced before they are added up: a longer slice may reach over the day on which a price changed.
    costs: dict[int, Cost] = {}
    for time, each in slices.items():
        if kept_from <= time < to_ms:
            costs[time - time % step] = costs.get(time - time % step, NOTHING) + cost_of_slice(each, time, overrides)
    told = [None if row is None else costs.get(time, NOTHING) for time, row in zip(times, rows, strict=True)]

    def column(name: str) -> list[int | None]:
        return [None if row is None else min(row[name], LARGEST) for row in rows]  # type: ignore[literal-required]

    return ActivityView(
        from_=begin,
        to=to_ms,
        step=step,
        source=source if known_from < to_ms else "none",
        known_from=known_from if known_from < to_ms else None,
        note=None if known_from <= begin else _CLEARED if begun > kept_from else _NO_HISTORY,
        times=times,
        success=column("success"),
        error=column("error"),
        interrupted=column("interrupted"),
        requests=column("requests"),
        tokens=column("tokens"),
        cost_micros=[None if cost is None else cost.total_micros for cost in told],
        unpriced_requests=[None if cost is None else cost.unpriced_requests for cost in told],
        unpriced_models=sorted(frozenset[str]().union(*(cost.unpriced for cost in told if cost is not None))),
    )
