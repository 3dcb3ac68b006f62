"""The rows that are kept from one state to the next: what is new is shown, and what is old is not made again."""

from __future__ import annotations

import copy
from functools import reduce
from operator import getitem
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyjama_metrics.needs import KEPT_MS
from pyjama_metrics.queries import DashboardRows, dashboard
from pyjama_metrics.recent import Recent
from pyjama_metrics.storage.json import dumps
from pyjama_metrics.views import as_json
from tests.journals import event, folded, tool
from tests.states import RUN, foreign_states, full_memory, full_state

NOW = 2_000


def parsed(state: Any) -> Any:
    """As a reader has it: no part is the same object as before."""
    return copy.deepcopy(state)


def shown(rows: DashboardRows, state: Any, recent: Recent | None = None, now_ms: int = NOW, today_ms: int = 0) -> dict[str, Any]:
    """The document of the rows, after a comparison with the one that is made of nothing but the state."""
    before = parsed(state)
    document = rows.document(state, now_ms, today_ms=today_ms, recent=recent)
    whole = as_json(dashboard(before, now_ms, today_ms=today_ms, recent=recent))
    assert document == whole
    assert [*document["agents"], *document["metrics"]["tools"]] == [*whole["agents"], *whole["metrics"]["tools"]]
    return document


def test_the_rows_make_the_document_of_the_dashboard() -> None:
    """At first, again, and with a memory."""
    rows = DashboardRows()
    for recent in (None, None, full_memory()):
        assert shown(rows, full_state(), recent)["agents"].keys() == {"a", "boss", "late"}


def test_rows_of_what_did_not_change_are_the_same_objects() -> None:
    """Whoever compares two documents needs not look into them."""
    rows = DashboardRows()
    first = shown(rows, full_state())
    state = full_state()
    state["agents"]["late"]["errors"] += 1
    second = shown(rows, state)
    assert [name for name, row in second["agents"].items() if row is not first["agents"][name]] == ["late"]
    assert second["metrics"]["tools"]["read"] is first["metrics"]["tools"]["read"]
    assert all(after is before for after, before in zip(second["recent-logs"], first["recent-logs"], strict=True))
    assert second["today"] is first["today"]


def test_a_parents_row_is_new_when_a_child_changed() -> None:
    """Its subtree tells something else."""
    rows = DashboardRows()
    before = shown(rows, full_state())["agents"]["boss"]["subtree"]["count"]
    state = full_state()
    state["agents"]["a"]["count"] += 1
    assert shown(rows, state)["agents"]["boss"]["subtree"]["count"] == before + 1


def test_a_row_is_new_when_the_memory_has_more() -> None:
    """Also where the file is as it was: the memory may be ahead of it."""
    rows, recent = DashboardRows(), full_memory()
    assert shown(rows, full_state(), recent)["agents"]["a"]["recent"]["executions"] == [2]
    recent.add("w-1-x.0.jsonl", [tool(1500, run=RUN), tool(1600, "boss", "psql", run="w-1-x.0", status="error")])
    later = shown(rows, full_state(), recent)
    assert later["agents"]["a"]["recent"]["executions"] == [3]
    assert [need["error"] for need in later["needs"] if need["kind"] == "repeating"] == [4]


def test_projects_and_hosts_are_told_anew_when_a_run_left_or_was_charged() -> None:
    """And are the same objects where neither happened."""
    rows = DashboardRows()
    state = full_state()
    state["projects"] = state["hosts"] = {"site": {"1|0|reported|m||": [1, 2, 0, 0, 0, 0, 0, 5]}}
    first = shown(rows, parsed(state))["metrics"]
    state["agents"]["late"]["errors"] += 1
    second = shown(rows, parsed(state))["metrics"]
    assert (second["projects"] is first["projects"], second["hosts"] is first["hosts"]) == (True, True)
    state["projects"]["site"]["1|0|reported|m||"][7] += 1
    assert shown(rows, parsed(state))["metrics"]["projects"]["site"]["cost-micros"] == 6
    state["agents"]["a"]["runs"][RUN]["origin"]["labels"]["project"] = "site"
    assert shown(rows, parsed(state))["metrics"]["projects"]["site"]["requests"] == 2


def test_agents_tools_and_log_entries_that_left_are_gone() -> None:
    """Nothing is kept for longer than one state: a server lives for months."""
    rows = DashboardRows()
    shown(rows, full_state())
    empty = shown(rows, {})
    assert (empty["agents"], empty["metrics"]["tools"], empty["recent-logs"], empty["needs"]) == ({}, {}, [], [])
    shown(rows, full_state())


def test_time_passes_over_rows_that_do_not_change() -> None:
    """A crash of yesterday leaves the list, and a new day begins at nothing."""
    rows = DashboardRows()
    crash = folded(tool(5), event("start", 5, run="w.1"), event("crash", 10, run="w.1"))
    assert shown(rows, parsed(crash), now_ms=KEPT_MS + 9)["needs"] != []
    assert shown(rows, parsed(crash), now_ms=KEPT_MS + 10)["needs"] == []
    assert (shown(rows, parsed(crash))["today"]["count"], shown(rows, parsed(crash), today_ms=900_000)["today"]["count"]) == (
        1,
        0,
    )


PLACES = [
    (),
    ("agents", "a"),
    ("agents", "boss"),
    ("agents", "late", "runs", "w-1-x.2"),
    ("agents", "a", "tokens"),
    ("tools", "read"),
]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path[-1] if path else "state")
def test_a_change_of_any_field_is_seen(path: tuple[str, ...]) -> None:
    """What the rows compare is everything that they are made of: each field is changed, and then removed."""
    for key in sorted(reduce(getitem, path, full_state())):
        rows = DashboardRows()
        shown(rows, full_state())
        for value in ("waiting", 77, {"w.1": {"status": "running"}}, None):
            state = full_state()
            reduce(getitem, path, state)[key] = value
            shown(rows, state)
        state = full_state()
        del reduce(getitem, path, state)[key]
        shown(rows, state)


@given(st.lists(st.tuples(foreign_states(), st.booleans()), min_size=1, max_size=3))
@settings(max_examples=60)
def test_any_states_one_after_the_other_are_shown(states: list[tuple[Any, bool]]) -> None:
    """Whatever was there before, and whatever a hand made of it."""
    rows = DashboardRows()
    for state, has_memory in states:
        dumps(shown(rows, state, full_memory() if has_memory else None))
