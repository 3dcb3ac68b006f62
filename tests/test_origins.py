"""Model calls by run, project and host: whatever is told in whatever order, and whatever leaves, the parts add up to all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyjama_metrics import origins
from pyjama_metrics.agent_details import run_view
from pyjama_metrics.fold import fold
from pyjama_metrics.ledger import Cost, costs_in, priced_rows
from pyjama_metrics.ledger_rows import COLUMNS, Ledger, holds, parsed, without_details
from pyjama_metrics.pricing import Overrides, Price
from pyjama_metrics.queries import dashboard
from pyjama_metrics.retention import MAX_AGE_MS, MAX_ORIGINS, MAX_RUN_LEDGER_ROWS, cleared, retain
from pyjama_metrics.shares import NO_SHARE, Share, by, origins_in, portions, share_in, tool_of
from pyjama_metrics.state import State, accepted, new_state
from pyjama_metrics.storage import json
from tests.journals import Event, event, folded
from tests.test_fold_laws import RUNS, Figures, in_pieces, journals

DAY_MS = 86_400_000
NOW = 20_400 * DAY_MS
PRICES = Overrides().with_price("m", Price(1_000_001, 3, 5, 7, 11)).with_price("n", Price(13, 17, 19, 23, 29))
"""Prices of which the rounding shows, for two of three models."""


def rows_of_runs(state: State) -> list[Ledger]:
    """The ledgers of all runs in the state."""
    return [run["ledger"] for agent in state["agents"].values() for run in agent["runs"].values()]


def added(ledgers: Iterable[Ledger]) -> Counter[tuple[str, str]]:
    """Ledgers added up, without phase and tool: each count by the text of its row and the name of its column."""
    sums: Counter[tuple[str, str]] = Counter()
    for ledger in ledgers:
        for text, row in without_details(ledger).items():
            sums.update({(text, column): count for column, count in zip(COLUMNS, row, strict=True)})
    return +sums


def check(state: State, *, agents_left: bool = False) -> None:
    """The laws: by row and column, in pico-dollars, and in the view to the micro-dollar."""
    whole = added([state["ledger"]])
    for table in (state["projects"], state["hosts"]):
        assert added([*rows_of_runs(state), *table.values()]) == whole
        assert all(table.values()), "a project without a row"
    if not agents_left:
        assert added(agent["ledger"] for agent in state["agents"].values()) == whole
    found, total = origins_in(state, PRICES), share_in(state, PRICES)
    for shares in found:
        assert sum_of(shares.values()) == total
    view = dashboard(state, NOW, overrides=PRICES).metrics
    assert costs_in(state, PRICES).requests == view.tokens.requests
    for kind in (view.projects, view.hosts, view.tool_usage, view.days):
        assert sum(each.requests for each in kind.values()) == view.tokens.requests
        assert sum(each.total_tokens for each in kind.values()) == view.tokens.total_tokens
        assert sum(each.unpriced_requests for each in kind.values()) == view.tokens.unpriced_requests


def sum_of(shares: Iterable[Share]) -> Share:
    """Shares together."""
    total = NO_SHARE
    for share in shares:
        total = total.plus(share)
    return total


@given(journals(RUNS | st.none()), st.permutations(range(3)), st.lists(st.integers(0, 99), max_size=5))
def test_runs_agents_projects_and_hosts_add_up_to_all(
    recorded: dict[str, list[Event]], order: list[int], cuts: list[int]
) -> None:
    """Whoever is read first, in any pieces, with calls told again by others and for others; and again after a clearing."""
    figures, names = Figures(), list(recorded)
    for place in order:
        in_pieces(figures, names[place], recorded[names[place]], cuts)
    check(figures.state)
    empty = Figures(cleared(figures.state))
    check(empty.state)
    assert added(rows_of_runs(empty.state)) == Counter()
    for name, body in recorded.items():
        empty.fold(name, body)
    check(empty.state)


CALLS = st.fixed_dictionaries(
    {
        "kind": st.just("llm"),
        "agent": st.sampled_from("ab"),
        "run": st.none() | st.sampled_from(["w.1", "w.2", "w.3"]),
        "time": st.sampled_from([NOW - DAY_MS, NOW, NOW + 1]),
        "model": st.sampled_from(["m", "n", "nobody's"]),
        "input_tokens": st.integers(0, 9),
        "output_tokens": st.integers(0, 9),
        "cost_micros": st.none() | st.integers(0, 9),
        "tokens_are": st.sampled_from(["actual", "estimated"]),
        "phase": st.none() | st.just("plan"),
        "request_id": st.none() | st.sampled_from(["r1", "r2", "r3"]),
    }
)
STARTS = st.fixed_dictionaries(
    {"kind": st.just("start"), "agent": st.sampled_from("ab"), "run": st.sampled_from(["w.1", "w.2", "w.3"])}
)
STEPS = st.lists(CALLS | CALLS | STARTS | st.sampled_from(["runs leave", "agents leave", "tables are bounded"]), max_size=25)


@given(STEPS)
@settings(max_examples=200)
def test_what_leaves_stays_with_its_project_and_is_still_corrected(steps: list[dict[str, Any] | str]) -> None:
    """Runs, and whole agents, leave between any two events; what is told of their calls later is taken from where it is then."""
    figures, agents_left = Figures(), False
    state = figures.state
    for step in steps:
        if step == "runs leave":
            for agent in state["agents"].values():
                for run_id in list(agent["runs"]):
                    origins.leave(state, agent["runs"].pop(run_id))
        elif step == "agents leave":
            agents_left = True
            for name in list(state["agents"]):
                for run in state["agents"].pop(name)["runs"].values():
                    origins.leave(state, run)
        elif step == "tables are bounded":
            origins.bound(state["projects"], origins.OTHER_PROJECTS, 2, 24)
            origins.bound(state["hosts"], origins.OTHER_HOSTS, 2, 24)
        elif isinstance(step, dict):
            fields = {name: value for name, value in step.items() if value is not None and name != "kind"}
            if step["kind"] == "start":
                fields |= {"labels": {"project": step["run"]}, "host": step["run"], "time": NOW}
            figures.fold("w.0.jsonl", [event(step["kind"], **fields)])
        check(state, agents_left=agents_left)


def start(run: str, time: int = NOW, agent: str = "a", **fields: Any) -> Event:
    """A run begins."""
    return event("start", time, agent, run=run, **fields)


def call(run: str | None = None, time: int = NOW, **fields: Any) -> Event:
    """A model call of a thousand tokens."""
    told: dict[str, Any] = {"model": "m", "input_tokens": 1_000, **fields}
    return event("llm", time, told.pop("agent", "a"), **({} if run is None else {"run": run}), **told)


def test_calls_are_charged_to_the_run_that_made_them_and_a_better_telling_replaces_a_worse_one_there() -> None:
    """Another run that tells of it, and another agent, are charged nothing."""
    state = folded(
        start("w.1"),
        start("w.2", NOW + 1),
        call("w.1", request_id="r"),
        call("w.2", NOW + 5, request_id="r", cost_micros=7),
        call("v.1", NOW + 6, agent="b", request_id="r"),
    )
    runs = {name: run["ledger"] for agent in state["agents"].values() for name, run in agent["runs"].items()}
    assert runs == {"w.1": {"20400|0|reported|m||": [1, 1000, 0, 0, 0, 0, 0, 7]}, "w.2": {}, "v.1": {}}


def test_an_earlier_telling_moves_the_charge_to_its_run() -> None:
    """A copy is charged to whom it was copied from, whoever is read first."""
    state = folded(start("w.1"), start("w.2"), call("w.2", NOW + 9, request_id="r"), call("w.1", NOW + 3, request_id="r"))
    assert {name: [*run["ledger"].values()] for name, run in state["agents"]["a"]["runs"].items()} == {
        "w.1": [[1, 1000, 0, 0, 0, 0, 0, 0]],
        "w.2": [],
    }


def test_project_and_host_are_those_that_the_start_tells_also_where_it_is_read_after_the_calls() -> None:
    """A label before the specification; what neither tells, and a call of no run, are under the empty name."""
    calls = [call(f"w.{number}", output_tokens=number) for number in range(1, 5)]
    starts = [
        start("w.1", labels={"project": "site"}, spec={"project": "other"}, host="desk"),
        start("w.2", spec={"project": "site"}, host="rack"),
        start("w.3", spec="site", host="desk"),
    ]
    view = dashboard(folded(*calls, *starts, call(agent="b", output_tokens=50)), NOW, overrides=PRICES).metrics
    assert {name: each.output_tokens for name, each in view.projects.items()} == {"": 57, "site": 3}
    assert {name: each.output_tokens for name, each in view.hosts.items()} == {"": 54, "desk": 4, "rack": 2}
    # 1,000 tokens at $1.000001 a million are 1000.001 micro-dollars, an output token 3 millionths of one.
    assert {name: each.cost_micros for name, each in view.projects.items()} == {"": 3_000, "site": 2_000}


def test_cost_is_told_by_tool_and_by_day() -> None:
    """A day is one of UTC; the latest is first."""
    state = folded(
        call(time=NOW - 1, tool="grep", cost_micros=5),
        call(tool="grep", model="unheard-of"),
        call(cost_micros=9),
    )
    view = dashboard(state, NOW).metrics
    told = {name: (each.requests, each.cost_micros, each.unpriced_models) for name, each in view.tool_usage.items()}
    assert told == {"grep": (2, 5, ["unheard-of"]), "": (1, 9, [])}
    assert [(name, each.requests, each.cost_micros) for name, each in view.days.items()] == [
        ("2025-11-08", 2, 9),
        ("2025-11-07", 1, 5),
    ]


def test_a_run_that_leaves_stays_counted_for_its_project_and_host() -> None:
    """Not for its agent's other runs, and with what is told of it later."""
    ended = [event("complete", NOW + number, run=f"w.{number}") for number in range(1, 8)]
    state, requests = new_state(), dict[str, Any]()
    first = start("w.1", labels={"project": "site"}, host="desk")
    fold(state, "w.0.jsonl", [first, call("w.1", request_id="r", phase="plan", tool="t"), *ended], requests)
    retain(state, NOW)
    assert "w.1" not in state["agents"]["a"]["runs"]
    row = {"20400|0|computed|m||": [1, 1000, 0, 0, 0, 0, 0, 0]}
    assert (state["projects"], state["hosts"]) == ({"site": row}, {"desk": row})
    fold(state, "v.0.jsonl", [call("w.1", NOW + 1, agent="b", request_id="r", output_tokens=5)], requests)
    row["20400|0|computed|m||"][2] = 5
    assert (state["projects"], state["hosts"]) == ({"site": row}, {"desk": row})
    check(state)


def test_a_call_of_which_the_parts_are_in_two_places_is_taken_from_both() -> None:
    """Its run left, came back, was charged the growth of the call, and then another source tells what the call cost."""
    state, requests = new_state(), dict[str, Any]()
    fold(state, "w.0.jsonl", [call("w.1", request_id="r", input_tokens=10)], requests)
    origins.leave(state, state["agents"]["a"]["runs"].pop("w.1"))
    grown = [call("w.1", input_tokens=2), call("w.1", request_id="r", input_tokens=15)]
    fold(state, "w.0.jsonl", grown, requests)
    assert state["agents"]["a"]["runs"]["w.1"]["ledger"] == {"20400|0|computed|m||": [1, 7, 0, 0, 0, 0, 0, 0]}
    check(state)
    fold(state, "w.0.jsonl", [call("w.1", request_id="r", input_tokens=15, cost_micros=3)], requests)
    check(state)
    assert state["ledger"] == {
        "20400|0|computed|m||": [1, 2, 0, 0, 0, 0, 0, 0],
        "20400|0|reported|m||": [1, 15, 0, 0, 0, 0, 0, 3],
    }


def test_what_an_agent_that_leaves_had_called_stays() -> None:
    """In the tables, to the token."""
    state = folded(start("w.1", labels={"project": "site"}), call("w.1"), event("complete", NOW, run="w.1"))
    retain(state, NOW + MAX_AGE_MS + 1)
    assert (state["agents"], state["projects"]) == ({}, {"site": {"20400|0|computed|m||": [1, 1000, 0, 0, 0, 0, 0, 0]}})
    check(state, agents_left=True)


def test_the_rows_of_a_run_are_bounded_and_its_phases_go_before_its_days() -> None:
    """So that its cost is the same: no price depends on a phase."""
    calls = [call("w.1", NOW + DAY_MS * (n % 3), phase=f"p{n}", tool=f"t{n}") for n in range(90)]
    state = folded(start("w.1"), *calls)
    before = share_in(state["agents"]["a"]["runs"]["w.1"], PRICES)
    retain(state, NOW)
    run = state["agents"]["a"]["runs"]["w.1"]
    assert len(run["ledger"]) <= MAX_RUN_LEDGER_ROWS
    assert (run["ledger-from"], share_in(run, PRICES)) == (0, before)
    assert {key.day for text in run["ledger"] if (key := parsed(text))} == {20_400, 20_401, 20_402}


def test_a_project_of_runs_that_left_is_told_with_the_others() -> None:
    """By the function behind the command line; of one agent nobody knows the projects of its runs that left."""
    state = folded(start("w.1", labels={"project": "site"}), call("w.1"), start("w.2"), call("w.2"), call(agent="b"))
    origins.leave(state, state["agents"]["a"]["runs"].pop("w.1"))

    def told(kind: str, agent_id: str | None = None) -> list[tuple[str, int]]:
        return [(each.name, each.share.cost.requests) for each in portions(state, kind, PRICES, agent_id)]

    assert told("project") == [("site", 1), ("", 2)]
    assert told("project", "a") == [("", 2)]
    assert told("run") == [("w.2", 1), ("", 2)]
    assert told("run", "a") == [("w.2", 1), ("", 1)]
    assert told("agent") == [("a", 2), ("b", 1)]
    del state["agents"]["b"]
    assert told("agent") == [("a", 2), ("", 1)]
    assert told("agent", "nobody") == told("run", "nobody") == []


def test_what_an_older_version_counted_without_rows_is_a_portion_of_its_own() -> None:
    """With the cost that was reported; the others of its calls have none."""
    usage = {"requests": 3, "input-tokens": 30, "priced-requests": 1, "cost-micros": 7}
    [portion] = portions({"tokens": usage}, "model", PRICES)
    cost = portion.share.cost
    assert (portion.name, cost.requests, cost.total_micros, cost.unpriced_requests) == ("", 3, 7, 2)


def test_tokens_that_are_an_estimate_are_told_of_today_and_of_each_run() -> None:
    """Wherever tokens are summed."""
    state = folded(start("w.1"), call("w.1", tokens_are="estimated"), call("w.1", input_tokens=5))
    view = dashboard(state, NOW + 1)
    told = [view.today, view.agents["a"], view.metrics.tokens, *view.metrics.days.values(), *view.metrics.tool_usage.values()]
    assert [each.estimated_tokens for each in told] == [1_000] * 5
    assert run_view("a", "w.1", state["agents"]["a"]["runs"]["w.1"]).estimated_tokens == 1_000


def test_a_run_of_many_days_adds_the_oldest_up_and_is_corrected_there() -> None:
    """A later telling of one of those days is taken from the day 0."""
    requests: dict[str, Any] = {}
    state = new_state()
    fold(state, "w.0.jsonl", [call("w.1", NOW + n * DAY_MS, request_id=f"r{n}") for n in range(20)], requests)
    retain(state, NOW + 20 * DAY_MS)
    run = state["agents"]["a"]["runs"]["w.1"]
    assert (len(run["ledger"]), run["ledger-from"]) == (MAX_RUN_LEDGER_ROWS, 20_409)
    fold(state, "w.0.jsonl", [call("w.1", NOW + DAY_MS, request_id="r1", cost_micros=3)], requests)
    assert run["ledger"]["0|0|computed|m||"] == [8, 8000, 0, 0, 0, 0, 0, 0]
    assert run["ledger"]["0|0|reported|m||"] == [1, 1000, 0, 0, 0, 0, 0, 3]


def test_projects_that_left_are_bounded_and_those_with_most_calls_stay() -> None:
    """The others are added up; a file stays small however many projects there were."""
    state = new_state()
    for number in range(200):
        run = folded(start("w.1", labels={"project": f"p{number:03}"}), *[call("w.1")] * (1 + (number == 7)))
        origins.leave(state, run["agents"]["a"]["runs"]["w.1"])
    retain(state, NOW)
    assert len(state["projects"]) == MAX_ORIGINS
    assert state["projects"]["p007"] == {"20400|0|computed|m||": [2, 2000, 0, 0, 0, 0, 0, 0]}
    assert state["projects"]["(other projects)"] == {"20400|0|computed|m||": [151, 151_000, 0, 0, 0, 0, 0, 0]}
    assert (len(state["hosts"]), sum(row[0] for row in state["hosts"][""].values())) == (1, 201)


def test_what_an_older_version_counted_is_of_no_project() -> None:
    """Its runs do not know what they called; the sums are right all the same, and stay so."""
    state: Any = json.loads(json.dumps(folded(start("w.1", labels={"project": "site"}), call("w.1", phase="plan"))))
    del state["projects"], state["hosts"], state["agents"]["a"]["runs"]["w.1"]["ledger"]
    found = accepted(state, thorough=True)
    assert found is not None
    assert found["projects"] == found["hosts"] == {"": {"20400|0|computed|m||": [1, 1000, 0, 0, 0, 0, 0, 0]}}
    check(found)
    fold(found, "w.0.jsonl", [call("w.1")], {})
    check(found)


@pytest.mark.parametrize("table", [{"site": 7}, {"site": {"no key": [0] * 8}}, {"site": {"1|0|computed|m||": [1]}}])
def test_a_table_that_is_none_makes_it_no_state(table: Any) -> None:
    """The fold would stumble over it."""
    state: Any = json.loads(json.dumps(new_state())) | {"projects": table}
    assert accepted(state, thorough=True) is None


def test_nothing_is_taken_from_a_row_that_has_less() -> None:
    """Whoever takes looks elsewhere then."""
    ledger = {"20400|0|computed|m||": [2, 10, 0, 0, 0, 0, 0, 0]}
    key = parsed("20400|0|computed|m||")
    assert key is not None
    asked = {(-1, -10): True, (-1, -11): False, (0, 5): True, (1, -11): False, (1, 5): True}
    assert {each: holds(ledger, key, [*each, 0, 0, 0, 0, 0, 0]) for each in asked} == asked
    assert not holds({}, key, [0, 5, 0, 0, 0, 0, 0, 0])


def test_the_shares_of_one_kind_add_up_in_pico_dollars() -> None:
    """They are rounded once, where they are shown."""
    state = folded(call(tool="x", input_tokens=1, model="n"), call(tool="y", input_tokens=1, model="n"))
    rows = list(dict.fromkeys(state["ledger"]))
    assert len(rows) == 2
    shares = by(priced_rows(state, PRICES), tool_of)
    assert {name: share.cost for name, share in shares.items()} == {
        "x": Cost(1, computed_requests=1, computed_pico=13),
        "y": Cost(1, computed_requests=1, computed_pico=13),
    }
