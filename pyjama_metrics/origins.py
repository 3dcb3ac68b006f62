"""The projects and hosts to which model calls are charged: those of the runs that made them.

A run's start may be read after its calls, so nothing of it is copied while the run is in the state: whoever asks adds up the
ledgers of the runs by their origins. What no run of the state holds is in ``projects``, and in ``hosts`` too: the calls of runs
that left, and those that belong to no run. The runs and either table add up to the ledger of all agents.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def charge(state: State, key: RowKey, amounts: Sequence[int]) -> None:
    """Count calls, in place, that no run of the state holds; less than nothing where they are charged elsewhere now.

    What is taken away is taken from the first project, and host, that has as much. Where several have, it may be another than the
    one that once was charged, because nobody remembers the origins of the runs that left; the sums over all are right.
    """
    key = key._replace(phase="", tool="")
    for table in (state["projects"], state["hosts"]):
        places = ((name, each) for each in (key, key._replace(day=0)) for name in ["", *sorted(table)])
        place = next((place for place in places if ledger_rows.holds(table.get(place[0], {}), place[1], amounts)), ("", key))
        _add(table, *place, amounts)


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
