"""Costs on reading: exact, in three parts, and the same however the calls are added up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics import pricing
from pyjama_metrics.activity import activity, today_view
from pyjama_metrics.fold import fold
from pyjama_metrics.ledger import NOTHING, Cost, costs_in
from pyjama_metrics.ledger_rows import RowKey
from pyjama_metrics.pricing import Overrides, Price, Tokens
from pyjama_metrics.queries import DashboardRows, dashboard
from pyjama_metrics.roll_ups import QUARTER_MS
from pyjama_metrics.state import new_state
from pyjama_metrics.views import as_json
from tests.journals import Event, event, folded

DAY_MS = 86_400_000
NOW = 20_400 * DAY_MS  # in November 2025
OPUS = "claude-opus-4-8"
OTHERS = Overrides().with_price("mine", Price(1_000_001, 3, 5, 7, 11))
"""A price of which the rounding shows."""

CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(NOW - 3 * DAY_MS, NOW - 1),
            "agent": st.sampled_from("ab"),
            "model": st.sampled_from([OPUS, "mine", "nobody's", "gemini-2.5-pro"]),
            "input_tokens": st.integers(0, 300_000),
            "output_tokens": st.integers(0, 999),
            "cache_read_tokens": st.integers(0, 999),
            "cost_micros": st.none() | st.integers(0, 99),
            "phase": st.sampled_from(["plan", "work"]),
        }
    ),
    max_size=12,
)


def expected(calls: list[dict[str, Any]]) -> Cost:
    """What somebody would say the calls cost who prices each by itself."""
    total = NOTHING
    for call in calls:
        tokens = Tokens(call["input_tokens"], call["output_tokens"], call["cache_read_tokens"])
        found = pricing.find(call["model"], call["time"], OTHERS)
        pico = None if found is None else pricing.cost_pico(tokens, found.price)
        if call["cost_micros"] is not None:
            total += Cost(1, reported_requests=1, reported_micros=call["cost_micros"])
        elif pico is not None:
            total += Cost(1, computed_requests=1, computed_pico=pico)
        else:
            total += Cost(1, unpriced=frozenset({call["model"]}))
    return total


@given(CALLS)
def test_the_sums_cost_what_each_call_costs_by_itself(calls: list[dict[str, Any]]) -> None:
    """To the pico-dollar: by model, by phase, by agent, in all, since any quarter of an hour, and in a chart."""
    state = folded(*(event("llm", **call) for call in calls))
    costs = costs_in(state, OTHERS)
    by: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for call in calls:
        for field in ("model", "phase", "agent"):
            by[field][call[field]].append(call)
    assert costs == expected(calls)
    assert costs.by_model == {name: expected(each) for name, each in by["model"].items()}
    assert costs.by_phase == {name: expected(each) for name, each in by["phase"].items()}
    assert {name: costs_in(agent, OTHERS) for name, agent in state["agents"].items()} == {
        name: expected(each) for name, each in by["agent"].items()
    }
    since = NOW - DAY_MS
    today = today_view(state, since, OTHERS)
    of_today = expected([call for call in calls if call["time"] >= since])
    assert (today.cost_micros, today.unpriced_requests) == (of_today.total_micros, of_today.unpriced_requests)
    chart = activity(state, NOW - 2 * DAY_MS, NOW, None, OTHERS)
    for begin, cost in zip(chart.times, chart.cost_micros, strict=True):
        within = [call for call in calls if begin <= call["time"] < begin + chart.step]
        if begin >= (chart.known_from or 0):
            assert cost == expected(within).total_micros
    assert chart.step >= QUARTER_MS


@given(CALLS, st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=6))
def test_calls_that_are_told_in_any_order_and_again_cost_the_same(
    calls: list[dict[str, Any]], order: list[int], again: list[int]
) -> None:
    """However they are spread over journals."""
    told = [event("llm", request_id=f"r{number}", **call) for number, call in enumerate(calls)]
    ordered = [told[place] for place in [*order, *again] if place < len(told)]
    one, other, known = new_state(), new_state(), dict[str, Any]()
    fold(one, "w.0.jsonl", told, {})
    for number, each in enumerate(ordered):
        fold(other, f"w{number % 3}.0.jsonl", [each], known)
    assert (one["ledger"], one["tokens"], one["roll-ups"]) == (other["ledger"], other["tokens"], other["roll-ups"])
    assert costs_in(one, OTHERS) == expected(calls)


def test_an_override_prices_the_past_anew_without_a_fold() -> None:
    """The state is the same; the page's rows follow."""
    state: Any = {**folded(event("llm", NOW, model="mine", input_tokens=1_000_000)), "generation": 1}
    rows = DashboardRows()
    before = rows.document(state, NOW, today_ms=NOW)
    assert (before["metrics"]["tokens"]["cost-micros"], before["metrics"]["tokens"]["unpriced-models"]) == (None, ["mine"])
    after = rows.document(state, NOW, today_ms=NOW, overrides=OTHERS)
    for part in (after["metrics"]["tokens"], after["metrics"]["models"]["mine"], after["agents"]["a"], after["today"]):
        assert (part["computed-micros"], part["unpriced-requests"], part["unpriced-models"]) == (1_000_001, 0, [])
    assert after == as_json(dashboard(state, NOW, today_ms=NOW, overrides=OTHERS))
    pricing.override("mine", input=2, output=0)
    try:
        assert rows.document(state, NOW, today_ms=NOW, overrides=OTHERS)["agents"]["a"]["cost-micros"] == 2_000_000
    finally:
        pricing.remove_override("mine")
    assert rows.document(state, NOW, today_ms=NOW, overrides=OTHERS)["agents"]["a"]["cost-micros"] == 1_000_001


def test_parts_are_rounded_once_and_at_the_very_end() -> None:
    """Three calls of a third of a micro-dollar are one."""
    third = Overrides().with_price("mine", Price(333_334, 0))
    calls = [event("llm", NOW, model="mine", input_tokens=1) for _ in range(3)]
    assert costs_in(folded(*calls), third).computed_micros == 1
    assert costs_in(folded(calls[0]), third).computed_micros == 0


def test_the_days_that_were_added_up_have_the_oldest_price() -> None:
    """There is no telling them apart any more."""
    dated = next(found for found in pricing.models() if len(found) > 1 and found[0].price.tiers == () and found[0].price.input)
    row = {RowKey(0, 0, "computed", f"{dated[0].provider}/{dated[0].model}").text: [1, 10, 0, 0, 0, 0, 0, 0]}
    assert costs_in({"ledger": row}).computed_pico == 10 * (dated[0].price.input or 0)


# -- each rule of counting that another tool got wrong ------------------------------------------------------------------

ANSWER = {"model": OPUS, "input_tokens": 1_000, "output_tokens": 400, "request_id": "msg_1"}
COST = 1_000 * 5 + 400 * 25  # micro-dollars: $5 and $25 a million


def told(**fields: Any) -> Event:
    """One telling of the answer."""
    return event("llm", fields.pop("time", NOW), fields.pop("agent", "session"), **{**ANSWER, **fields})


RULES: dict[str, tuple[list[Event], dict[str, int | None]]] = {
    "one answer is several lines, one for each block, not side by side": (
        [told(), told(request_id="msg_2", output_tokens=0), told(), told()],
        {"session": COST + 5_000},
    ),
    "an answer grows while it streams, and its largest figures count": (
        [told(output_tokens=1), told(output_tokens=40, time=NOW + 1), told(time=NOW + 2), told(output_tokens=40, time=NOW + 3)],
        {"session": COST},
    ),
    "a copy in a session that was resumed or forked is charged to the first": (
        [told(agent="fork", time=NOW + 9), told(), told(agent="resumed", time=NOW + 5)],
        {"session": COST, "fork": None, "resumed": None},
    ),
    "a copy that has more of the answer brings it to the first": (
        [told(output_tokens=40), told(agent="fork", time=NOW + 9)],
        {"session": COST, "fork": None},
    ),
    "a subagent's answer is its own, in the session's file too": (
        [told(agent="session", time=NOW + 1), told(agent="subagent"), told(agent="session", request_id="msg_2")],
        {"session": COST, "subagent": COST},
    ),
    "an id may be missing: then each telling is a call": ([told(request_id=None), told(request_id=None)], {"session": 2 * COST}),
    "a synthetic answer costs nothing and is no call": (
        [told(), told(model="<synthetic>", request_id="msg_2")],
        {"session": COST},
    ),
    "input excludes what the cache held": ([told(cache_read_tokens=100_000)], {"session": COST + 50_000}),
    "a cache write for five minutes costs 1.25 times the input": ([told(cache_write_tokens=8_000)], {"session": COST + 50_000}),
    "a cache write for an hour costs twice the input": ([told(cache_write_1h_tokens=8_000)], {"session": COST + 80_000}),
    "what telemetry reports is better than what is computed": (
        [told(), told(cost_micros=14_999, time=NOW + 3), told(time=NOW + 4)],
        {"session": 14_999},
    ),
    "what is counted is better than what is estimated": (
        [told(output_tokens=9_999, tokens_are="estimated"), told(time=NOW + 3)],
        {"session": COST},
    ),
    "the mark of a long context and a route are the same model": (
        [told(model=f"{OPUS}[1m]"), told(model=f"anthropic/{OPUS}", request_id="msg_2")],
        {"session": 2 * COST},
    ),
    "an unknown model is unpriced and not free": ([told(model="claude-opus-48")], {"session": None}),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_of_counting_holds_to_the_micro_dollar_in_any_order(rule: str) -> None:
    """By agent and in all, by its sums and by its rows."""
    events, costs = RULES[rule]
    for ordered in rotations(events):
        state = folded(*ordered)
        view = dashboard(state, NOW + 10)
        assert {name: agent.cost_micros for name, agent in view.agents.items()} == costs
        known = [cost for cost in costs.values() if cost is not None]
        assert view.metrics.tokens.cost_micros == (sum(known) if known else None)
        assert sum(usage.cost_micros or 0 for usage in view.metrics.models.values()) == sum(known)
        assert view.today.cost_micros == view.metrics.tokens.cost_micros


def rotations(events: list[Event]) -> Iterator[list[Event]]:
    """The events from each of them on, forwards and backwards."""
    for start in range(len(events)):
        turned = events[start:] + events[:start]
        yield turned
        yield turned[::-1]
