"""Corrections: sums come to what a person told, nothing else changes, and it counts once, as a whole, everywhere."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics import agreement, correct_run, get_dashboard_data, history, pricing, roll_ups
from pyjama_metrics.corrections import Row, differences, rows_in, total_of
from pyjama_metrics.errors import CorrectionRefused, HubError
from pyjama_metrics.event_fields import Invalid
from pyjama_metrics.hub import Hub
from pyjama_metrics.ledger import costs_in
from pyjama_metrics.ledger_rows import COLUMNS
from pyjama_metrics.recorder import close
from tests.cli.commands import pyjama
from tests.histories import caught_up, rows
from tests.journals import Event, event, leave_journal, lines, now_ms
from tests.system.processes import agent, hear, tell

MODEL = "claude-opus-4-8"
RUN = "w-1-a.1"
TOLD = [name for name in COLUMNS if name != "estimated-tokens"]

ROWS = st.lists(
    st.builds(
        Row,
        st.sampled_from([0, 900_000]),
        st.just(0),
        st.sampled_from(["reported", "computed"]),
        st.just("m"),
        st.sampled_from(["", "plan"]),
        st.just(""),
        st.tuples(*[st.integers(0, 9)] * 7, st.just(0)),
    ),
    max_size=5,
    unique_by=lambda row: row[:-1],
)


@given(ROWS, st.dictionaries(st.sampled_from(TOLD), st.integers(0, 60), min_size=1))
def test_the_sums_come_to_what_was_told_and_the_others_stay(counted: list[Row], told: dict[str, int]) -> None:
    """Whatever the rows are; and no row comes below nothing."""
    added = differences(counted, told, "m", 7)
    before, after = total_of(counted), total_of([*counted, *added])
    assert {name: after[name] for name in told} == told
    for name in set(TOLD) - told.keys():
        expected = 1 if name == "requests" and not counted else before[name]
        assert after[name] == expected
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in [*counted, *added]:
        total = sums.setdefault(row[:-1], [0] * len(COLUMNS))
        total[:] = [one + more for one, more in zip(total, row.amounts, strict=True)]
    assert min(amount for total in sums.values() for amount in total) >= 0
    if "cost-micros" in told:
        assert all(not any(total) for key, total in sums.items() if key[2] == "computed")


def test_a_correction_may_be_corrected_below_what_others_took_away() -> None:
    """Rows of less than nothing, as a call that turned out to be another's leaves them, are left alone."""
    one, less = (1, 300, 0, 0, 0, 0, 0, 0), (0, -200, 0, 0, 0, 0, 0, 0)
    counted = [Row(0, 0, "computed", "m", "", "", one), Row(0, 0, "computed", "m", "p", "", less)]
    assert differences(counted, {"input-tokens": 100}, "m", 0) == ()


def recorded(home: Path, *more: Event) -> int:
    """A run of an hour ago with three calls, one of them estimated; when it was."""
    begin = now_ms() - 3_600_000
    call: dict[str, Any] = {"run": RUN, "model": MODEL}
    leave_journal(
        home,
        "w-1-a",
        event("start", begin, run=RUN),
        event("llm", begin, **call, input_tokens=1000, output_tokens=100, phase="plan"),
        event("llm", begin, **call, input_tokens=10, output_tokens=1, tool="t"),
        event("llm", begin, **call, input_tokens=4, output_tokens=4, tokens_are="estimated"),
        *more,
    )
    caught_up(home)
    return begin


def usage_of(run: str) -> tuple[int, int, int, int | None]:
    """(calls, input, output, cost in micro-dollars) of a run in the history."""
    found = history.execution_summary(run)
    assert found is not None
    return found.usage.requests, found.usage.input, found.usage.output, found.usage.total_micros


def test_a_corrected_run_counts_as_it_was_told_everywhere(home: Path) -> None:
    """In the run, in its agent's figures, in all; the log says why; what is counted in several places agrees."""
    recorded(home)
    assert usage_of(RUN) == (3, 1014, 105, 7695)
    made = correct_run(RUN, "as the invoice says", output_tokens=50, cache_read_tokens=2000)
    assert (made.before["output-tokens"], made.after["output-tokens"], made.after["cache-read-tokens"]) == (105, 50, 2000)
    # 1,014 at $5, 50 at $25 and 2,000 at $0.50 for a million.
    assert usage_of(RUN) == (3, 1014, 50, 7320)
    state = Hub(str(home)).read()
    for part in (state, state["agents"]["a"]):
        assert (part["tokens"]["requests"], part["tokens"]["output-tokens"], part["tokens"]["estimated-tokens"]) == (3, 50, 0)
    entry = state["recent-logs"][-1]
    assert (entry["event"], entry["run"], entry["message"]) == ("correction", RUN, "as the invoice says")
    assert rows(home, "SELECT reason, output, cache_read FROM corrections") == [("as the invoice says", -55, 2000)]
    assert [each for each in agreement.compare(Hub(str(home))) if each.differences] == []
    told = history.execution_summary(RUN)
    assert told is not None
    (kept,) = told.corrections
    assert (kept.model, kept.reason, kept.added["output-tokens"]) == (MODEL, "as the invoice says", -55)
    again = correct_run(RUN, "as the invoice says", output_tokens=50)
    assert again.before == again.after
    assert Hub(str(home)).read()["problems"]["invalid-values"] == 0
    assert len(rows(home, "SELECT * FROM corrections")) == 1


def test_a_cost_that_was_told_is_a_reported_one(home: Path) -> None:
    """For all calls of the run of that model, whatever was computed; those of other models stay."""
    begin = now_ms()
    other = event("llm", begin, run=RUN, model="gemini-2.5-pro", input_tokens=8, output_tokens=1)
    recorded(home, other)
    with pytest.raises(CorrectionRefused, match="it has called several models"):
        correct_run(RUN, "invoice", cost_usd=0.5)
    correct_run(RUN, "invoice", cost_usd=0.5, model=MODEL)
    found = history.execution_summary(RUN)
    assert found is not None
    # 8 at $1.25 and 1 at $10 for a million are computed as before.
    assert (found.usage.reported_micros, found.usage.computed_micros, found.usage.unpriced_requests) == (500_000, 20, 0)
    assert [each for each in agreement.compare(Hub(str(home))) if each.differences] == []
    correct_run(RUN, "no, half of it", cost_usd=0.25, model=MODEL)
    assert usage_of(RUN)[-1] == 250_020


def test_a_run_that_nobody_counted_gets_a_call(home: Path) -> None:
    """At the time at which it was last seen."""
    begin = now_ms() - 3_600_000
    leave_journal(home, "w-1-a", event("start", begin, run=RUN), event("complete", begin + 5, run=RUN))
    with pytest.raises(CorrectionRefused, match="called no model yet"):
        correct_run(RUN, "forgotten", input_tokens=7)
    correct_run(RUN, "forgotten", input_tokens=7, model=MODEL)
    assert usage_of(RUN) == (1, 7, 0, 35)
    assert rows(home, "SELECT begin FROM usage") == [((begin + 5) // 900_000 * 900_000,)]


def test_an_override_prices_a_corrected_run_anew(home: Path) -> None:
    """Corrections are counts; nothing of a price is in them."""
    recorded(home)
    correct_run(RUN, "more", input_tokens=2000)
    pricing.override(MODEL, input=1, output=0)
    try:
        assert usage_of(RUN)[-1] == 2000
    finally:
        pricing.remove_override(MODEL)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"run": "w-1-a.2", "input_tokens": 1}, "the history does not know it"),
        ({"agent": "b", "input_tokens": 1}, "agent 'b' has no such run"),
        ({}, "nothing was said about what it used"),
        ({"reason": " ", "input_tokens": 1}, "needs a reason"),
        ({"input_tokens": -1}, "-1 is no value of input-tokens"),
        ({"input_tokens": 1.5}, "1.5 is no value"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(home: Path, arguments: dict[str, Any], said: str) -> None:
    """And nothing is changed."""
    recorded(home)
    with pytest.raises(CorrectionRefused, match=said):
        correct_run(**{"run": RUN, "reason": "r", **arguments})
    assert usage_of(RUN) == (3, 1014, 105, 7695)


def test_of_two_agents_with_a_run_of_that_name_it_is_asked_whose(home: Path) -> None:
    """An id is unique unless somebody chose it."""
    recorded(home, event("llm", now_ms(), "b", run=RUN, model=MODEL, input_tokens=1))
    with pytest.raises(CorrectionRefused, match="several agents have one of that name: 'a', 'b'"):
        correct_run(RUN, "r", input_tokens=2)
    assert correct_run(RUN, "r", input_tokens=2, agent="b").agent == "b"


def test_without_a_history_or_a_place_to_write_nothing_is_corrected(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its reason."""
    recorded(home)
    close()
    journals = home / "journal"
    journals.rename(home / "elsewhere")
    journals.write_text("")
    with pytest.raises(HubError):
        correct_run(RUN, "r", input_tokens=2)
    journals.unlink()
    (home / "elsewhere").rename(journals)
    monkeypatch.setenv("PYJAMA_HISTORY", "0")
    with pytest.raises(CorrectionRefused, match="no history is kept"):
        correct_run(RUN, "r", input_tokens=2)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": None},
        {"rows": []},
        {"rows": [[1, 0, "computed", "m", None, None]]},
        {"rows": [[1, 0, "guessed", "m", None, None, [1, 1, 0, 0, 0, 0, 0, 0]]]},
        {"rows": [[1, -1, "computed", "m", None, None, [1, 1, 0, 0, 0, 0, 0, 0]]]},
        {"rows": [[-1, 0, "computed", "m", None, None, [1, 1, 0, 0, 0, 0, 0, 0]]]},
        {"rows": [[1, 0, "computed", "m", None, None, [1, 1]]]},
        {"rows": [[1, 0, "computed", "m", None, None, [1, 1.5, 0, 0, 0, 0, 0, 0]]]},
        {"rows": [[1, 0, "computed", "m", None, None, [1, True, 0, 0, 0, 0, 0, 0]]]},
        {"rows": [[1, 0, "computed", "m", None, None, [2**60, 0, 0, 0, 0, 0, 0, 0]]]},
        {"rows": [[1, 0, "computed", "m", None, None, [1, 1, 0, 0, 0, 0, 0, 0]]] * 1001},
        {"run": ""},
        {"run": 7},
    ],
)
def test_a_strangers_correction_that_is_none_changes_nothing(home: Path, change: dict[str, Any]) -> None:
    """It is a problem that is counted, and what stands beside it counts."""
    time = now_ms()
    whole = [[time, 0, "computed", "m", None, None, [0, 1, 0, 0, 0, 0, 0, 0]]]
    stranger = {"event": "correction", "time": time, "agent": "a", "run": RUN, "reason": "r", "rows": whole, **change}
    if "rows" in change:
        with pytest.raises(Invalid):
            rows_in(json.loads(lines(stranger)))
    recorded(home, stranger)
    state = Hub(str(home)).read()
    assert (state["tokens"]["input-tokens"], state["problems"]["invalid-values"]) == (1014, 1)
    assert usage_of(RUN)[:3] == (3, 1014, 105)


def test_the_command_tells_what_it_changed(home: Path) -> None:
    """In a table for people, as JSON for programs; a refusal is a sentence and a 1."""
    recorded(home)
    answer = pyjama("correct", RUN, "--output-tokens", "50", "--reason", "as the invoice says")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.splitlines()[0] == f"Corrected run {RUN} of a, calls of {MODEL}:"
    assert ["output-tokens", "105", "50"] in [line.split() for line in answer.stdout.splitlines()]
    told = json.loads(pyjama("correct", RUN, "--output-tokens", "60", "--reason", "no", "--json").stdout)
    assert (told["before"]["output-tokens"], told["after"]["output-tokens"]) == (50, 60)
    assert "is counted like that already" in pyjama("correct", RUN, "--output-tokens", "60", "--reason", "no").stdout
    answer = pyjama("correct", "nobody.1", "--output-tokens", "60", "--reason", "no")
    assert (answer.returncode, "the history does not know it" in answer.stderr) == (1, True)
    assert pyjama("correct", RUN, "--reason", "no").returncode == 1
    assert pyjama("correct", RUN, "--output-tokens", "5").returncode == 2


def retold(home: Path, writer: str, **fields: Any) -> None:
    """The call r1 is told by a writer."""
    usual: dict[str, Any] = {"run": RUN, "model": MODEL, "request_id": "r1", "input_tokens": 1000, "output_tokens": 10}
    told = {**usual, **fields}
    leave_journal(home, writer, event("llm", told.pop("time"), told.pop("agent", "a"), **told))
    caught_up(home)


def cost_everywhere(home: Path) -> set[int | None]:
    """The cost of all, in micro-dollars, from each place that tells it; the totals must agree as well."""
    assert [each for each in agreement.compare(Hub(str(home))) if each.differences] == []
    assert list(home.glob("*.corrupt-*")) == []
    now = now_ms()
    state = Hub(str(home)).read(thorough=True)
    quarters = {int(begin): each for begin, each in state["roll-ups"]["quarters"].items()}
    (activity,) = roll_ups.summed(quarters, 0, now + 3_600_000, 2**52).values()
    span = now - 86_400_000, now + 3_600_000
    data = get_dashboard_data()["metrics"]
    found = {data["tokens"]["cost-micros"], history.whole(*span).usage.total_micros, costs_in(activity, time_ms=now).total_micros}
    for kind in ("models", "projects", "hosts", "days"):
        parts = data[kind].values() if isinstance(data[kind], dict) else data[kind]
        found.add(sum(part["cost-micros"] or 0 for part in parts))
    for by in ("agent", "model", "run", "project"):
        found.add(sum(part.usage.total_micros or 0 for part in history.breakdown(*span, by=by)))
    return found


def test_a_corrected_call_that_is_told_again_changes_by_what_is_new(home: Path) -> None:
    """What was said about it stays, what it grew by comes on top, and every place says the same."""
    begin = now_ms() - 60_000
    retold(home, "w-1-a", time=begin)
    correct_run(RUN, "invoice", cost_usd=1)
    assert cost_everywhere(home) == {1_000_000}
    retold(home, "w-2-a", time=begin)
    assert cost_everywhere(home) == {1_000_000}
    retold(home, "w-3-a", time=begin, output_tokens=500)
    # 490 more tokens at $25 for a million.
    assert cost_everywhere(home) == {1_012_250}


def test_a_corrected_call_that_is_another_agents_goes_there_and_the_correction_stays(home: Path) -> None:
    """As that of a copied conversation: its own tokens go with it, the difference that somebody told does not."""
    begin = now_ms() - 60_000
    retold(home, "w-1-a", time=begin)
    correct_run(RUN, "invoice", output_tokens=100)
    retold(home, "w-0-b", time=begin - 1_800_000, agent="b", run="w-0-b.1")
    # 1,000 at $5 and 10 at $25 for a million with b; 90 more at $25 with a.
    parts = {part.name: part.usage.total_micros for part in history.breakdown(begin - 7_200_000, now_ms() + 60_000, by="agent")}
    assert parts == {"b": 5250, "a": 2250}
    assert cost_everywhere(home) == {7500}


def test_a_call_that_was_corrected_to_less_and_is_another_agents_takes_nothing_from_it(home: Path) -> None:
    """The other agent has what was told of it; that somebody said it was less stays with whom they said it of."""
    begin = now_ms() - 60_000
    retold(home, "w-1-a", time=begin)
    correct_run(RUN, "invoice", output_tokens=3)
    assert cost_everywhere(home) == {5075}
    retold(home, "w-0-b", time=begin - 1_800_000, agent="b", run="w-0-b.1")
    parts = {part.name: part.usage.total_micros for part in history.breakdown(begin - 7_200_000, now_ms() + 60_000, by="agent")}
    assert parts == {"b": 5250, "a": -175}
    assert Hub(str(home)).read()["tokens"]["output-tokens"] == 3
    assert cost_everywhere(home) == {5075}


def test_a_correction_has_the_price_of_the_calls_that_it_corrects(home: Path) -> None:
    """A sum of many small calls is no long one, whose tokens would cost more."""
    retold(home, "w-1-a", time=now_ms() - 60_000, model="gemini-2.5-pro")
    correct_run(RUN, "more", input_tokens=300_000)
    # 300,000 at $1.25 and 10 at $10 for a million.
    assert cost_everywhere(home) == {375_100}


CORRECTING = """
from pyjama_metrics import correct_run
say("ready")
hear()
correct_run("w-1-a.1", "the invoice", output_tokens=3000)
say("done")
"""


def test_two_who_correct_at_once_come_to_what_both_said(home: Path) -> None:
    """The second of them starts from what the first has made of it."""
    for number in range(3):
        leave_journal(home, "w-1-a", event("llm", now_ms(), run=RUN, model=MODEL, output_tokens=2000), segment=number)
        caught_up(home)
        with ExitStack() as stack:
            children = [stack.enter_context(agent(CORRECTING, env={"PYJAMA_HOME": str(home)})) for _ in range(2)]
            for child in children:
                assert hear(child) == "ready"
            for child in children:
                tell(child)
            for child in children:
                assert hear(child) == "done"
        assert usage_of(RUN)[2] == 3000


def test_a_call_that_is_told_again_after_a_clear_is_no_difference(home: Path) -> None:
    """It counts again in the figures, which forgot it, and not in the history, which did not."""
    retold(home, "w-1-a", time=now_ms() - 7_200_000)
    Hub(str(home)).clear()
    state = json.loads((home / "metrics.json").read_bytes())
    state["known-from"] -= 3_600_000
    (home / "metrics.json").write_text(json.dumps(state))
    retold(home, "w-2-a", time=now_ms())
    assert [each for each in agreement.compare(Hub(str(home))) if each.differences] == []


def test_calls_that_were_none_have_no_cost(home: Path) -> None:
    """Nobody would see it; a run may be corrected to nothing at all."""
    recorded(home)
    with pytest.raises(CorrectionRefused, match="calls that were none"):
        correct_run(RUN, "r", requests=0, cost_usd=0.001)
    nothing = dict.fromkeys(("input_tokens", "output_tokens", "requests"), 0)
    correct_run(RUN, "never happened", **nothing)  # type: ignore[arg-type]
    assert usage_of(RUN) == (0, 0, 0, None)
    assert [each for each in agreement.compare(Hub(str(home))) if each.differences] == []


@pytest.mark.parametrize("lines_of", [1, 2, 20])
def test_sums_that_are_no_counts_any_more_stay_readable(home: Path, lines_of: int) -> None:
    """A stranger's corrections, each within its bounds, add up to more than anybody can read: the file is not lost for it."""
    time = now_ms()
    row = [time, 0, "computed", MODEL, None, None, [2**53] * 8]
    body = {"event": "correction", "time": time, "agent": "a", "run": RUN, "reason": "r", "rows": [row] * 1000}
    recorded(home, *(body for _ in range(lines_of)), event("llm", time, run=RUN, model="m", input_tokens=5))
    state = Hub(str(home)).read(thorough=True)
    assert (state["tokens"]["input-tokens"], state["models"]["m"]["input-tokens"]) == (2**53, 5)
    assert list(home.glob("*.corrupt-*")) == []
    assert usage_of(RUN)[0] == 2**53 + 4
