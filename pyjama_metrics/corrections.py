"""Corrections: what a person says that a run really used, as differences that may be added like any model call.

A correction is one journal line, so it counts as a whole and once, in the figures and in the history alike. It holds no new
truth but signed amounts for rows of the ledger: sums of integers stay sums of integers, in whatever order they are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyjama_metrics.event_fields import Event, Invalid, time_of
from pyjama_metrics.events import TOKENS, text_of
from pyjama_metrics.ledger_rows import ALL_TOKENS, COLUMNS, CORRECTIONS, REQUESTS
from pyjama_metrics.usages import COMPUTED, REPORTED

MAX_ROWS = 1_000
"""Rows that one correction may change: a run of days, with many phases and tools."""
_ESTIMATED = COLUMNS.index("estimated-tokens")
_COST = COLUMNS.index("cost-micros")
_MOST = 2**53
"""An amount is a difference of sums, not a count of one call; a larger one is no exact number in other languages."""


class Row(NamedTuple):
    """Some calls of a run that have one price, or what is to be added to these; amounts in the order of `COLUMNS`.

    In the ledger what is added gets rows of its own (`pyjama_metrics.ledger_rows.CORRECTIONS`).
    """

    time_ms: int
    band: int
    kind: str
    model: str
    phase: str
    tool: str
    amounts: tuple[int, ...]


_Amounts = dict[Row, list[int]]
"""Amounts by the row to which they belong, which is written without any."""


def rows_in(event: Event) -> tuple[Row, ...]:
    """What a ``correction`` event adds. Raises Invalid: any program may have written it."""
    return tuple(row._replace(band=CORRECTIONS + row.band) for row in map(_row_in, _told_rows(event)))


def sums_in(event: Event) -> tuple[Row, ...]:
    """What a ``usages`` event adds: sums of calls, of which those with a told cost are apart. Raises Invalid."""
    rows = tuple(map(_row_in, _told_rows(event)))
    for row in rows:
        if min(row.amounts) < 0 or not any(row.amounts) or (row.kind == COMPUTED and row.amounts[_COST]):
            raise Invalid(f"amounts {row.amounts!r:.80}")
    return rows


def _told_rows(event: Event) -> list[object]:
    told = event.get("rows")
    if not isinstance(told, list) or not 0 < len(told) <= MAX_ROWS:
        raise Invalid("no rows")
    return told


def _row_in(told: object) -> Row:
    if not isinstance(told, list) or len(told) != len(Row._fields):
        raise Invalid(f"a row of a correction: {told!r:.80}")
    time, band, kind, *names, amounts = told
    if type(band) is not int or not 0 <= band < CORRECTIONS or kind not in (REPORTED, COMPUTED):
        raise Invalid(f"band {band!r}, kind {kind!r}")
    if not isinstance(amounts, list) or len(amounts) != len(COLUMNS):
        raise Invalid(f"amounts {amounts!r:.80}")
    if not all(type(amount) is int and -_MOST <= amount <= _MOST for amount in amounts):
        raise Invalid(f"amounts {amounts!r:.80}")
    model, phase, tool = (text_of(name) if isinstance(name, str) and name else "" for name in names)
    return Row(time_of(time), band, kind, model, phase, tool, tuple(amounts))


def differences(rows: Sequence[Row], told: Mapping[str, int], model: str, time_ms: int) -> tuple[Row, ...]:
    """What is to be added so that a run's calls of a model come to what was told.

    The rows that used most are corrected first, and none below nothing. Tokens that a person told are no estimates any more. A
    cost that was told is a reported one, for all of these calls.

    Args:
        rows: what the run's calls of that model are counted as now.
        told: the right sums by the names of `COLUMNS`; what is not in it stays.
        model: their model.
        time_ms: when the calls were, where there are no rows.
    """
    if not rows:
        return (_new_row(told, model, time_ms),)
    changes: _Amounts = {}
    counted: _Amounts = {}
    for row in sorted(rows, key=lambda row: (-sum(row.amounts[ALL_TOKENS]), row)):
        place = row._replace(amounts=())
        if "cost-micros" in told and row.kind == COMPUTED:
            _add(changes, place, [-amount for amount in row.amounts])
            place = place._replace(kind=REPORTED)
            _add(changes, place, row.amounts)
        _add(counted, place, row.amounts)
    for column, name in enumerate(COLUMNS):
        if name in told:
            _spread(changes, counted, column, told[name])
    if any(name in told for name in TOKENS):
        _spread(changes, counted, _ESTIMATED, 0)
    return tuple(place._replace(amounts=tuple(amounts)) for place, amounts in changes.items() if any(amounts))


def _new_row(told: Mapping[str, int], model: str, time_ms: int) -> Row:
    amounts = [told.get(name, 0) for name in COLUMNS]
    amounts[REQUESTS] = told.get("requests", 1)
    tokens = dict(zip(COLUMNS, amounts, strict=True))
    # One call's size decides on its price, so the calls are taken as equally large.
    total_input = sum(tokens[name] for name in TOKENS if name != "output-tokens")
    from pyjama_metrics.pricing import band_of  # a fold that meets no call of a model does without the table of prices

    band = band_of(total_input // max(1, amounts[REQUESTS]))
    return Row(time_ms, band, REPORTED if "cost-micros" in told else COMPUTED, model, "", "", tuple(amounts))


def _spread(changes: _Amounts, counted: _Amounts, column: int, total: int) -> None:
    left = total - sum(amounts[column] for amounts in counted.values())
    for place, amounts in counted.items():
        change = left if left > 0 else max(left, min(0, -amounts[column]))
        if change:
            _add(changes, place, [change if each == column else 0 for each in range(len(COLUMNS))])
        left -= change


def _add(rows: _Amounts, place: Row, amounts: Sequence[int]) -> None:
    before = rows.get(place, [0] * len(COLUMNS))
    rows[place] = [one + more for one, more in zip(before, amounts, strict=True)]


def total_of(rows: Sequence[Row]) -> dict[str, int]:
    """The sums of some rows, by the names of `COLUMNS`."""
    return {name: sum(row.amounts[column] for row in rows) for column, name in enumerate(COLUMNS)}
