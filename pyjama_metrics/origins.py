"""The projects and hosts to which model calls are charged: those of the runs that made them.

A run's start may be read after its calls, so nothing of it is copied while the run is in the state: whoever asks adds up the
ledgers of the runs by their origins. What no run of the state holds is in ``projects``, and in ``hosts`` too: the calls of runs
that left, and those that belong to no run. The runs and either table add up to the ledger of all agents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyjama_metrics import ledger_rows
from pyjama_metrics.event_fields import host_of, project_of
from pyjama_metrics.ledger_rows import REQUESTS, Ledger, RowKey
from pyjama_metrics.state import Run, State

OTHER_PROJECTS, OTHER_HOSTS = "(other projects)", "(other hosts)"
"""Where those are added up that are too many."""


def leave(state: State, run: Run) -> None:
    """A run is about to leave the state, in place: its calls stay with its project and its host."""
    project, host = project_of(run["origin"]), host_of(run["origin"])
    for text, amounts in ledger_rows.without_details(run["ledger"]).items():
        if (key := ledger_rows.parsed(text)) is not None:
            for table, name in ((state["projects"], project), (state["hosts"], host)):
                _add(table, name, key, amounts)


def charge(state: State, run: Run | None, key: RowKey, amounts: Sequence[int]) -> None:
    """Count calls for the run that made them, in place; less than nothing where they are charged elsewhere now.

    Where there is no run they are counted for the projects and hosts of none. What is to be taken away from a run that left the
    state, and may be back since, is taken from the first project, and host, that has as much. Where several have, it may be
    another than the one that once was charged, because nobody remembers the origins of the runs that left; the sums are right.
    """
    if run is not None:
        of_run = key if key.day >= run["ledger-from"] else key._replace(day=0)
        if ledger_rows.holds(run["ledger"], of_run, amounts):
            ledger_rows.add(run["ledger"], of_run, amounts)
            return
    key = key._replace(phase="", tool="")
    tables = (state["projects"], state["hosts"])
    if run is not None and any(_holder(table, key, amounts) is None for table in tables):
        # Parts of the same calls are in the run and in the tables: it left between two tellings.
        amounts = ledger_rows.take(run["ledger"], of_run, amounts)
    for table in tables:
        _charge(table, key, amounts)


def _charge(table: dict[str, Ledger], key: RowKey, amounts: Sequence[int]) -> None:
    place = _holder(table, key, amounts)
    if place is not None:
        _add(table, *place, amounts)
        return
    _add(table, "", key, [max(0, amount) for amount in amounts])
    left = [min(0, amount) for amount in amounts]
    for name, each in _places(table, key):
        left = ledger_rows.take(table.get(name, {}), each, left)
        if name in table and not table[name]:
            del table[name]


def _holder(table: dict[str, Ledger], key: RowKey, amounts: Sequence[int]) -> tuple[str, RowKey] | None:
    """The first that has as much as is to be taken away."""
    found = (place for place in _places(table, key) if ledger_rows.holds(table.get(place[0], {}), place[1], amounts))
    return next(found, None)


def _places(table: dict[str, Ledger], key: RowKey) -> Iterator[tuple[str, RowKey]]:
    for each in (key, key._replace(day=0)):
        yield "", each
        for name in sorted(table.keys() - {""}):
            yield name, each


def bound(table: dict[str, Ledger], others: str, most: int, most_rows: int) -> None:
    """Add up, in place, the projects or the hosts with the fewest calls until there are at most so many, and the rows of each."""
    excess = len(table) - most
    if excess > 0:
        least_first = sorted(table.keys() - {"", others}, key=lambda name: (_requests(table[name]), name))
        # One more, because those that go need a place.
        for name in least_first[: excess + (others not in table)]:
            for text, amounts in table.pop(name).items():
                if (key := ledger_rows.parsed(text)) is not None:
                    _add(table, others, key, amounts)
    for ledger in table.values():
        ledger_rows.bound(ledger, 0, most_rows)


def _add(table: dict[str, Ledger], name: str, key: RowKey, amounts: Sequence[int]) -> None:
    ledger = table.setdefault(name, {})
    ledger_rows.add(ledger, key, amounts)
    if not ledger:
        del table[name]


def _requests(ledger: Ledger) -> int:
    return sum(row[REQUESTS] for row in ledger.values())
