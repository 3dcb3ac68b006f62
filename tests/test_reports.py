"""Questions by any dimension: whatever a span is broken down by, it adds up to the same."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyjama_metrics import history, pricing, reports
from pyjama_metrics.history import Dimension, Tally, Usage
from pyjama_metrics.hub import Hub
from pyjama_metrics.ledger import Cost
from pyjama_metrics.report_files import wording
from pyjama_metrics.reports import Span
from tests import a_week
from tests.a_week import BEGIN, BERLIN, END, HOSTILE, LONG, WEEK, at, prices
from tests.histories import caught_up
from tests.journals import Event, event, leave_journal, tool

DIMENSIONS: tuple[Dimension, ...] = ("agent", "model", "phase", "tool", "run", "project", "host")
COUNTS = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
COSTS = (
    "requests",
    "reported_requests",
    "reported_micros",
    "computed_requests",
    "computed_pico",
    "unpriced_requests",
    "estimated_tokens",
)


@pytest.fixture
def week(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The four days of `a_week`."""
    a_week.lived(home, tmp_path, monkeypatch)


def sums(usages: Sequence[Usage]) -> tuple[int, ...]:
    """What some usages add up to, with the computed cost as it is before it is rounded."""
    counts = [sum(getattr(usage, name) for usage in usages) for name in COUNTS]
    return *counts, *(sum(getattr(usage.cost, name) for usage in usages) for name in COSTS)


# -- the sums of a_week, worked out by hand there ------------------------------------------------------------------------


def costs(by: Dimension, **filters: Any) -> dict[str, tuple[int | None, int]]:
    """The total and the reported part of each part."""
    parts = history.breakdown(BEGIN, END, by, overrides=prices(), **filters)
    return {part.name: (part.usage.total_micros, part.usage.reported_micros) for part in parts}


@pytest.mark.usefixtures("week")
@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("agent", {"builder": (2_400_000, 750_000), "reviewer": (45_000, 0), "loner": (6_000, 0), HOSTILE: (3_000, 0)}),
        ("model", {"model-a": (1_704_000, 0), "model-b": (750_000, 750_000), "house-model": (None, 0)}),
        ("phase", {"execution": (1_950_000, 750_000), "planning": (450_000, 0), "micro": (45_000, 0), "": (9_000, 0)}),
        ("tool", {LONG: (1_200_000, 0), "": (804_000, 750_000), "grep": (450_000, 0), "@SUM(A1)": (None, 0), "bash": (None, 0)}),
        ("project", {"shop": (2_400_000, 750_000), "": (51_000, 0), "-2+3": (3_000, 0)}),
        ("host", {"vm-1": (2_400_000, 750_000), "vm-2": (45_000, 0), "": (9_000, 0)}),
        (
            "run",
            {
                "w-1-a.1": (1_650_000, 0),
                "w-1-a.2": (750_000, 750_000),
                "w-1-a.3": (45_000, 0),
                "": (6_000, 0),
                "w-1-a.4": (3_000, 0),
            },
        ),
    ],
)
def test_a_span_is_broken_down_by_anything(by: Dimension, expected: dict[str, tuple[int | None, int]]) -> None:
    """To the micro-dollar, dearest first; what belongs to none stands under no name."""
    found = costs(by)
    assert found == expected
    known = [total or 0 for total, _ in found.values()]
    assert known == sorted(known, reverse=True)


@pytest.mark.usefixtures("week")
def test_a_breakdown_may_be_of_one_agent_or_one_project() -> None:
    """And of both; the empty project is that of runs without one, and of calls without a run."""
    assert costs("phase", agent="builder") == {"execution": (1_950_000, 750_000), "planning": (450_000, 0)}
    assert costs("agent", project="shop") == {"builder": (2_400_000, 750_000)}
    assert costs("agent", project="") == {"reviewer": (45_000, 0), "loner": (6_000, 0)}
    assert costs("model", project="shop", agent="reviewer") == {}
    assert costs("model", agent="nobody") == costs("host", project="nothing") == {}
    days = history.history(BEGIN, END, "day", project="shop", zone=BERLIN, overrides=prices())
    assert [day.usage.total_micros for day in days] == [1_650_000, 750_000, None, None]
    assert [day.runs for day in days] == [1, 1, 0, 0]


@pytest.mark.usefixtures("week")
def test_executions_are_told_where_they_are_known() -> None:
    """By agent and tool; by project, host and run as those of runs; by model and phase nobody knows them."""

    def executed(by: Dimension, **filters: Any) -> dict[str, tuple[int, int]]:
        parts = history.breakdown(BEGIN, END, by, **filters)
        return {part.name: (part.executions.success, part.executions.error) for part in parts if part.executions.count}

    assert executed("agent") == {"builder": (4, 1), HOSTILE: (2, 0)}
    assert executed("tool") == {"grep": (4, 0), "@SUM(A1)": (2, 0), "bash": (0, 1)}
    assert executed("tool", agent="builder") == executed("tool", project="shop") == {"grep": (4, 0), "bash": (0, 1)}
    assert executed("project") == {"shop": (4, 1), "-2+3": (2, 0)}
    assert executed("host") == {"vm-1": (4, 1), "": (2, 0)}
    assert executed("run") == {"w-1-a.1": (3, 1), "w-1-a.2": (1, 0), "w-1-a.4": (2, 0)}
    assert executed("model") == executed("phase") == {}
    for kind in ("models", "phases"):
        assert {row.executions for row in reports.report(kind, WEEK).rows} == {None}


@pytest.mark.usefixtures("week")
def test_a_run_that_lies_partly_in_a_span_has_the_cost_of_the_span_and_all_its_executions() -> None:
    """It began on the 26th, and is asked for with the 27th alone."""
    (first, second) = history.sessions(at(27), at(28), overrides=prices())
    assert (first.run, first.usage.total_micros, first.executions) == ("w-1-a.3", 45_000, Tally())
    assert (second.run, second.usage.requests, second.executions) == ("w-1-a.2", 0, Tally(1, 0, 0, total_ms=None))
    assert history.breakdown(at(27), at(28), "project")[-1].runs == 1


def test_a_run_to_which_a_call_of_the_span_is_charged_is_there(home: Path) -> None:
    """Also where its start is told with a later time: somebody's clock was set."""
    run = {"run": "w-2-b.1"}
    call = a_week.call(at(25, 1), "a", 1_000, 0, **run)
    leave_journal(home, "w-2-b", call, event("start", at(27), "a", **run), event("complete", at(27, 1), "a", **run))
    caught_up(home, Hub(str(home), clock=lambda: a_week.NOW / 1000))
    assert [(run.run, run.usage.requests) for run in history.sessions(at(25), at(26))] == [("w-2-b.1", 1)]


@pytest.mark.usefixtures("week")
def test_two_agents_may_have_used_the_same_run_id(home: Path) -> None:
    """Neither is lost, and each is found by its agent."""
    more = [event("start", at(25, 1), who, run="w-2-b.1") for who in ("x", "y")]
    more += [a_week.call(at(25, 2), who, 1_000, 0, run="w-2-b.1") for who in ("x", "x", "y")]
    leave_journal(home, "w-2-b", *more, *(event("complete", at(25, 3), who, run="w-2-b.1") for who in ("x", "y")))
    caught_up(home, Hub(str(home), clock=lambda: a_week.NOW / 1000))
    found = [(run.agent, run.usage.requests) for run in history.sessions(BEGIN, END) if run.run == "w-2-b.1"]
    assert sorted(found) == [("x", 2), ("y", 1)]
    for agent, requests in found:
        whole = history.execution_summary("w-2-b.1", agent=agent)
        assert whole is not None
        assert (whole.agent, whole.usage.requests) == (agent, requests)
    assert history.execution_summary("w-2-b.1", agent="z") is None


def test_a_price_that_changes_within_the_span_holds_from_its_day_on(home: Path) -> None:
    """claude-opus-4-6 asked $10 a million for long requests until 13 March 2026, and $5 since: 3,000,000 and 1,500,000 here."""
    day = int(datetime(2026, 3, 13, tzinfo=UTC).timestamp()) * 1000
    calls = [a_week.call(day + after, "a", 300_000, 0, model="claude-opus-4-6", phase="p", tool="t") for after in (-1, 0)]
    leave_journal(home, "w-1-a", *calls)
    caught_up(home, Hub(str(home), clock=lambda: day / 1000 + 86_400))
    for by in DIMENSIONS:
        (part,) = history.breakdown(day - 86_400_000, day + 86_400_000, by)
        assert part.usage.computed_micros == 4_500_000, by
        (part,) = history.breakdown(day - 86_400_000, day + 86_400_000, by, project="")
        assert part.usage.computed_micros == 4_500_000, by
    (month,) = history.history(day - 86_400_000, day + 86_400_000, "month", zone=UTC)
    assert month.usage.computed_micros == 4_500_000


# -- time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("week")
def test_a_day_of_a_report_has_as_many_hours_as_it_has() -> None:
    """The Sunday on which the clocks go back has 25; its neighbours have none of its calls."""
    rows = reports.report("daily", WEEK, overrides=prices()).rows
    hours = [(row.end - row.begin) // 3_600_000 for row in rows if row.begin is not None and row.end is not None]
    assert hours == [24, 25, 24, 24]
    assert [row.usage.total_micros for row in rows] == [1_650_000, 750_000, 45_000, 9_000]
    # Where the day ends two hours later, the calls of 23:45 and of 00:20 are on other days.
    far = Span(at(25), at(29), ZoneInfo("America/New_York"))
    assert [row.usage.total_micros for row in reports.report("daily", far, overrides=prices()).rows] == [
        None,
        1_650_000,
        750_000,
        48_000,
        6_000,
    ]


@pytest.mark.usefixtures("week")
@pytest.mark.parametrize(
    ("week_begins", "costs"), [(0, [2_400_000, 54_000]), (6, [1_650_000, 804_000])], ids=["monday", "sunday"]
)
def test_weeks_begin_as_the_user_says(week_begins: int, costs: list[int]) -> None:
    """The 26th is a Sunday."""
    span = Span(BEGIN, END, BERLIN, week_begins)
    rows = reports.report("weekly", span, overrides=prices()).rows
    assert [row.usage.total_micros for row in rows] == costs
    assert [rows[0].begin, rows[-1].end] == [BEGIN, END]


@pytest.mark.usefixtures("week")
def test_the_week_of_the_setting_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever names none; what is no day is Monday."""
    for told, first in [("sunday", at(26)), ("Sunday", at(26)), ("monday", at(20)), ("someday", at(20))]:
        monkeypatch.setenv("PYJAMA_WEEK_BEGINS", told)
        assert history.history(at(26), at(27), "week", zone=BERLIN)[0].begin == first


@pytest.mark.usefixtures("week")
def test_a_span_is_cut_where_it_begins_and_ends() -> None:
    """Its steps are not longer than itself, and add up to it: to a quarter of an hour outwards."""
    span = Span(at(26, 23, 40), at(27, 9, 7), BERLIN)
    report = reports.report("daily", span, overrides=prices())
    assert (report.span.begin, report.span.end) == (at(26, 23, 30), at(27, 9, 15))
    assert [(row.begin, row.end) for row in report.rows] == [(at(26, 23, 30), at(27)), (at(27), at(27, 9, 15))]
    assert [row.usage.total_micros for row in report.rows] == [750_000, 45_000]
    assert report.total.usage.total_micros == 795_000


def test_a_report_says_where_the_history_begins(home: Path) -> None:
    """What was forgotten is not told as nothing."""
    leave_journal(home, "w-1-a", tool(a_week.NOW))
    caught_up(home, Hub(str(home), clock=lambda: a_week.NOW / 1000))
    horizon = at(29, 12) - 30 * 86_400_000
    assert reports.report("daily", Span(horizon - 1, END, BERLIN)).known_from == horizon
    assert reports.report("daily", WEEK).known_from is None


def test_a_report_says_when_the_history_was_cleared(home: Path) -> None:
    """What was before is not told as nothing; a minute that is known in part is not called complete."""
    leave_journal(home, "w-1-a", tool(at(26, 9)))
    hub = caught_up(home, Hub(str(home), clock=lambda: (at(27, 12) + 30_000) / 1000))
    assert reports.report("daily", WEEK).known_from is None
    hub.clear(history=True)
    assert reports.report("daily", WEEK).known_from == at(27, 12) + 30_000
    assert reports.export_report(BEGIN, END, made=a_week.NOW, zone=BERLIN).known_from == at(27, 12) + 30_000
    assert reports.report("daily", Span(at(27, 12, 15), END, BERLIN)).known_from is None
    (sentence,) = wording.limits(at(27, 12) + 30_000, WEEK)
    assert sentence.startswith("This is complete from 2025-10-27 12:01 on.")


def test_a_report_says_when_the_history_was_made_late(home: Path) -> None:
    """Somebody removed the database, and the journals that told of the time before are gone."""
    old = leave_journal(home, "w-1-a", tool(at(26, 9)))
    caught_up(home, Hub(str(home), clock=lambda: at(27, 12) / 1000))
    assert reports.report("daily", WEEK).known_from is None
    for path in home.glob("history.db*"):
        path.unlink()
    old.unlink(missing_ok=True)
    leave_journal(home, "w-2-b", tool(at(28, 7)))
    caught_up(home, Hub(str(home), clock=lambda: at(28, 8) / 1000))
    report = reports.report("daily", WEEK)
    assert (report.known_from, report.total.executions) == (at(28, 8), Tally(1, total_ms=None))


@pytest.mark.parametrize("is_about_to_end", [False, True], ids=["agent", "hook"])
def test_a_hub_that_anybody_begins_knows_everything(home: Path, *, is_about_to_end: bool) -> None:
    """Also one whose first fold is a hook's, which leaves the history to others ever after."""
    leave_journal(home, "w-1-a", tool(at(26, 9)))
    first = Hub(str(home), clock=lambda: at(27, 12) / 1000)
    first.history.is_left_to_others = is_about_to_end
    first.fold()
    caught_up(home, Hub(str(home), clock=lambda: at(28, 12) / 1000))
    assert reports.report("daily", WEEK).known_from is None


def test_a_report_without_a_history_is_empty(home: Path) -> None:
    """No rows but those of time, and no folder is made."""
    for kind in reports.KINDS:
        report = reports.report(kind, WEEK)
        assert all(row.is_empty for row in report.rows)
        assert (report.total.usage, report.known_from) == (Usage(), None)
    assert history.waiting() == 0
    assert not home.exists()


REPORTED, COMPUTED = (
    {"reported_requests": 1, "reported_micros": 500_000},
    {"computed_requests": 1, "computed_pico": 250_000_000_000},
)
FREE = {"reported_requests": 1, "reported_micros": 0}


@pytest.mark.parametrize(
    ("requests", "told", "parts", "note"),
    [
        (1, REPORTED, {"reported": "$0.5000"}, "The cost is what the sources reported."),
        (1, COMPUTED, {"computed": "$0.2500"}, "The cost is computed from prices; no source reported it."),
        (
            2,
            REPORTED | COMPUTED,
            {"reported": "$0.5000", "computed": "$0.2500"},
            "Of the cost, $0.5000 was reported by the sources and $0.2500 computed from prices.",
        ),
        # A source that says that a call was free has reported it.
        (1, FREE, {"reported": "$0.0000"}, "The cost is what the sources reported."),
        (
            2,
            FREE | COMPUTED,
            {"reported": "$0.0000", "computed": "$0.2500"},
            "Of the cost, $0.0000 was reported by the sources and $0.2500 computed from prices.",
        ),
        (1, {"computed_requests": 1}, {"computed": "$0.0000"}, "The cost is computed from prices; no source reported it."),
        (1, {}, {}, "What the model calls cost is not known."),
    ],
)
def test_a_part_of_the_cost_is_told_where_a_call_has_one(
    requests: int, told: dict[str, int], parts: dict[str, str], note: str
) -> None:
    """Whether a call was reported or computed says it, not whether that came to more than nothing."""
    unpriced = frozenset[str]() if told else frozenset({"house-model"})
    usage = Usage(cost=Cost(requests, unpriced=unpriced, **told))
    assert dict(wording.cost_parts(usage, usage)) == parts | {"unpriced": "0 calls" if told else "1 call"}
    assert next(wording.notes(usage)) == note


# -- the law -------------------------------------------------------------------------------------------------------------

HOUR = 3_600_000
FIRST = 1_761_300_000_000 // HOUR * HOUR
TOKENS = st.integers(0, 300_000)
CALLS = st.fixed_dictionaries(
    {
        "time": st.integers(0, 5 * 24 * 4).map(lambda quarter: FIRST + quarter * 900_000 + 1),
        "agent": st.sampled_from(["a", "b", "=1+1"]),
        "model": st.sampled_from(["own", "claude-sonnet-4-5", "house", ""]),
        "input_tokens": TOKENS,
        "output_tokens": TOKENS,
        "cache_read_tokens": TOKENS,
    },
    optional={
        "run": st.sampled_from(["w-1-a.1", "w-1-a.2", "w-1-a.3", "elsewhere"]),
        "phase": st.sampled_from(["planning", "execution", ""]),
        "tool": st.sampled_from(["grep", "(none)"]),
        "cost_micros": st.integers(0, 10**7),
        "tokens_are": st.just("estimated"),
        "request_id": st.sampled_from(["r1", "r2"]),
    },
)
STARTS = st.fixed_dictionaries(
    {
        "time": st.integers(0, 5 * 24).map(lambda hour: FIRST + hour * HOUR),
        "agent": st.sampled_from(["a", "b"]),
        "run": st.sampled_from(["w-1-a.1", "w-1-a.2", "w-1-a.3"]),
    },
    optional={"labels": st.sampled_from([{"project": "p"}, {"project": "q"}, {}]), "host": st.sampled_from(["h", "i"])},
)
OWN, _ = pricing.overrides_of({"own": {"input": 3, "output": 15, "cache_read": 0.3}})


@settings(max_examples=60)
@given(
    calls=st.lists(CALLS, min_size=1, max_size=25),
    starts=st.lists(STARTS, max_size=6),
    begin=st.integers(0, 80),
    length=st.integers(1, 100),
)
def test_every_breakdown_adds_up_to_the_span(calls: list[Event], starts: list[Event], begin: int, length: int) -> None:
    """Whatever was recorded, whatever is asked for: tokens, the parts of the cost, and the calls that have none."""
    events = [event("start", **start) for start in starts] + [event("llm", **call) for call in calls]
    since, until = FIRST + begin * HOUR, FIRST + (begin + length) * HOUR
    zone = ZoneInfo("Asia/Kolkata")
    with TemporaryDirectory() as folder:
        leave_journal(Path(folder), "w-1-a", *events)
        caught_up(Path(folder), Hub(folder, clock=lambda: (FIRST + 6 * 24 * HOUR) / 1000))
        asked: dict[str, Any] = {"folder": folder, "overrides": OWN}
        for filters in ({}, {"agent": "a"}, {"project": "p"}, {"agent": "a", "project": ""}):
            whole = history.whole(since, until, **filters, **asked).usage
            expected = sums([whole])
            for by in DIMENSIONS:
                parts = history.breakdown(since, until, by, **filters, **asked)
                assert sums([part.usage for part in parts]) == expected, (by, filters)
                assert {m for part in parts for m in part.usage.unpriced_models} == set(whole.unpriced_models)
            for step in ("hour", "day", "week", "month"):
                steps, total = history.history_and_total(since, until, step, zone=zone, clipped=True, **filters, **asked)
                assert sums([each.usage for each in steps]) == expected == sums([total.usage]), (step, filters)
        everybody = sums([history.whole(since, until, **asked).usage])
        for key, names in (("agent", ("a", "b", "=1+1")), ("project", ("p", "q", ""))):
            parts = [history.whole(since, until, **{key: name}, **asked).usage for name in names]
            assert sums(parts) == everybody, key


@pytest.mark.parametrize("name", ["reports", "history"])
def test_what_the_documents_show_is_what_happens(name: str) -> None:
    """Their sessions of Python, in an empty hub."""
    document = Path(__file__).parents[1] / "docs" / f"{name}.md"
    failed, tried = doctest.testfile(str(document), module_relative=False)
    assert (failed, tried > 1) == (0, True)
