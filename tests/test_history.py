"""Questions about the past: whichever way one asks, the figures are the same."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pyjama_metrics import history, pricing
from pyjama_metrics.history import Part, Tally, Usage
from pyjama_metrics.hub import Hub
from tests.histories import caught_up
from tests.journals import Event, event, leave_journal, tool

BERLIN, KOLKATA, NEPAL = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Asia/Kathmandu")
HOUR = 3_600_000
MODEL = "claude-sonnet-4-5"


def at(*parts: int, zone: ZoneInfo = BERLIN) -> int:
    """A time in a zone, in milliseconds since the epoch."""
    return int(datetime(*parts, tzinfo=zone).timestamp() * 1000)  # type: ignore[arg-type, misc]


def llm(time: int, agent: str = "a", **fields: Any) -> Event:
    """A model call."""
    return event("llm", time, agent, **{"model": MODEL, "input_tokens": 1000, "output_tokens": 100, **fields})


def recorded(home: Path, *events: Event, now: int) -> None:
    """A hub in whose history these events are."""
    leave_journal(home, "w-1-a", *events)
    caught_up(home, Hub(str(home), clock=lambda: now / 1000))


def price_of(time: int, tokens_in: int = 1000, output: int = 100) -> int:
    """What a call cost, in pico-dollars, by the price table itself."""
    found = pricing.find(MODEL, time)
    assert found is not None
    cost = pricing.cost_pico(pricing.Tokens(tokens_in, output), found.price)
    assert cost is not None
    return cost


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)],
    ids=["spring", "autumn", "usual"],
)
def test_a_day_is_as_long_as_it_is_where_the_user_is(home: Path, day: date, hours: int) -> None:
    """From midnight to midnight; the first and the last quarter of an hour are in it, their neighbours are not."""
    begin = at(day.year, day.month, day.day)
    end = begin + hours * HOUR
    times = [begin - 1, begin, end - 1, end]
    recorded(home, *(each for time in times for each in (tool(time), llm(time))), now=end + HOUR)
    found = history.daily_usage(day, zone=BERLIN)
    assert (found.begin, found.end) == (begin, end)
    assert (found.executions.count, found.usage.requests) == (2, 2)
    by_hour = history.history(begin, end, "hour", zone=BERLIN)
    assert [each.executions.count for each in by_hour] == [1, *[0] * (hours - 2), 1]
    week = history.history(begin - 24 * HOUR, end + HOUR, "day", zone=BERLIN)
    assert [each.executions.count for each in week] == [1, 2, 1]
    assert sum((each.end - each.begin) for each in week) == (hours + 48) * HOUR


@pytest.mark.parametrize("zone", [KOLKATA, NEPAL], ids=str)
def test_days_are_exact_where_clocks_are_off_by_a_part_of_an_hour(home: Path, zone: ZoneInfo) -> None:
    """No usage of yesterday's last minute is in today."""
    begin = at(2026, 5, 5, zone=zone)
    recorded(home, llm(begin - 1), llm(begin), tool(begin - 1), tool(begin), now=begin + HOUR)
    yesterday, today = history.daily_usage(date(2026, 5, 4), zone=zone), history.daily_usage(date(2026, 5, 5), zone=zone)
    assert (yesterday.usage.requests, today.usage.requests) == (1, 1)
    assert (yesterday.executions.count, today.executions.count) == (1, 1)
    assert history.history(begin, begin + 1, "hour", zone=zone)[0].begin == begin


def test_sums_agree_whichever_way_one_asks(home: Path) -> None:
    """By day, by agent, by model, by run: the same to the micro-dollar, and each of the three kinds of cost by itself."""
    begin = at(2026, 5, 4)
    events = [event("start", begin, agent, run=f"w-1-a.{agent}") for agent in "ab"]
    for number in range(48):
        agent = "ab"[number % 2]
        what: dict[str, Any] = [{}, {"cost_micros": 5}, {"model": "nobody-knows-it"}, {"tokens_are": "estimated"}][number % 4]
        own = {"run": f"w-1-a.{agent}", "phase": "planning" if number % 3 else "execution", "tool": "grep"}
        events += [
            llm(begin + number * HOUR, agent, **own, **what),
            tool(begin + number * HOUR, agent, duration_ms=number, **own),
        ]
    recorded(home, *(each for each in events), now=begin + 50 * HOUR)
    end = begin + 48 * HOUR
    (whole,) = history.history(begin, end, "month", zone=BERLIN)
    usage = whole.usage
    expected = sum(price_of(begin + n * HOUR) for n in range(48) if n % 4 in (0, 3))
    assert (usage.requests, usage.reported_micros, usage.computed_micros) == (48, 12 * 5, pricing.micros(expected))
    assert (usage.unpriced_requests, usage.unpriced_models, usage.estimated_tokens) == (12, ("nobody-knows-it",), 12 * 1100)
    days = [history.daily_usage(date(2026, 5, 4) + timedelta(days=number), zone=BERLIN) for number in range(2)]
    agents = history.agent_breakdown(begin, end)
    runs = [found for run in "ab" if (found := history.execution_summary(f"w-1-a.{run}")) is not None]
    for parts in (
        [day.usage for day in days],
        [each.usage for each in agents],
        [model.usage for day in days for model in day.models],
        [agent.usage for day in days for agent in day.agents],
        [run.usage for run in runs],
        [phase.usage for run in runs for phase in run.phases],
        [each.usage for run in runs for each in run.tools],
    ):
        assert sum(part.requests for part in parts) == 48
        assert sum(part.reported_micros + part.computed_micros for part in parts) == usage.total_micros
        assert sum(part.unpriced_requests for part in parts) == 12
    assert [(run.agent, run.executions.count, run.tools[0].name, run.tools[0].executions.count) for run in runs] == [
        ("a", 24, "grep", 24),
        ("b", 24, "grep", 24),
    ]
    assert [(part.name, part.runs, part.executions.count) for part in sorted(agents, key=lambda part: part.name)] == [
        ("a", 1, 24),
        ("b", 1, 24),
    ]
    assert history.history(begin, end, "month", "a", zone=BERLIN)[0].usage.requests == 24
    assert history.history(begin, end, "month", "nobody", zone=BERLIN)[0].usage == Usage()


def test_quantiles_of_a_long_span_are_those_of_all_its_durations(home: Path) -> None:
    """Histograms of quarters of an hour add up exactly."""
    begin = at(2026, 5, 4)
    recorded(home, *(tool(begin + n * 60_000, duration_ms=n + 1) for n in range(1000)), now=begin + 20 * HOUR)
    found = history.daily_usage(date(2026, 5, 4), zone=BERLIN).executions
    assert (found.count, found.timed, found.total_ms) == (1000, 1000, 500_500)
    assert found.p50_ms == pytest.approx(500, rel=0.012)
    assert found.p99_ms == pytest.approx(990, rel=0.012)
    assert history.history(begin, begin + HOUR, "day", zone=BERLIN)[0].executions == Tally(1000, 0, 0, 1000, 500_500)


def test_a_price_of_ones_own_holds_for_the_past(home: Path) -> None:
    """Nothing is folded again; what a source reported stays as it is."""
    begin = at(2026, 5, 4)
    recorded(home, llm(begin), llm(begin, cost_micros=7), llm(begin, model="ours"), now=begin + HOUR)
    before = history.daily_usage(date(2026, 5, 4), zone=BERLIN).usage
    assert (before.reported_micros, before.unpriced_models) == (7, ("ours",))
    overrides, problems = pricing.overrides_of({"ours": {"input": 1, "output": 0}})
    assert problems == ()
    after = history.daily_usage(date(2026, 5, 4), zone=BERLIN, overrides=overrides).usage
    assert (after.reported_micros, after.unpriced_requests) == (7, 0)
    assert after.computed_micros == before.computed_micros + 1000


def test_what_nobody_knows_the_price_of_has_no_cost(home: Path) -> None:
    """Not zero: none."""
    begin = at(2026, 5, 4)
    recorded(home, llm(begin, model="ours"), now=begin + HOUR)
    assert history.daily_usage(date(2026, 5, 4), zone=BERLIN).usage.total_micros is None
    assert history.daily_usage(date(2026, 5, 6), zone=BERLIN).usage.total_micros is None


def test_durations_of_a_run_are_those_of_its_tools_or_unknown(home: Path) -> None:
    """No measured duration is no duration of 0; a run without executions has none that is missing."""
    begin = at(2026, 5, 4)
    timed, untimed, idle = ({"run": f"w-1-a.{number}"} for number in range(3))
    recorded(
        home,
        event("start", begin, **timed),
        tool(begin + 1, tool="grep", duration_ms=100, **timed),
        tool(begin + 2, tool="grep", duration_ms=50, status="error", **timed),
        tool(begin + 3, tool="bash", duration_ms=7, **timed),
        tool(begin + 4, tool="read", **timed),
        event("start", begin + 5, **untimed),
        tool(begin + 6, tool="read", **untimed),
        event("start", begin + 7, **idle),
        now=begin + HOUR,
    )

    def summary(run: dict[str, str]) -> tuple[Tally, tuple[Tally, ...]]:
        found = history.execution_summary(run["run"])
        assert found is not None
        return found.executions, tuple(part.executions for part in found.tools)

    assert summary(timed) == (
        Tally(3, 1, 0, 3, 157.0),
        (Tally(1, 0, 0, 1, 7.0), Tally(1, 1, 0, 2, 150.0), Tally(1, 0, 0, 0, None)),
    )
    assert summary(untimed) == (Tally(1, 0, 0, 0, None), (Tally(1, 0, 0, 0, None),))
    assert summary(idle) == (Tally(), ())
    # A list of runs does not look at their tools.
    listed = [Tally(0, 0, 0, 0, 0.0), Tally(1, 0, 0, 0, None), Tally(3, 1, 0, 0, None)]
    assert [run.executions for run in history.sessions(begin, begin + HOUR)] == listed
    assert [run.executions for run in history.all_executions(begin, begin + HOUR)] == listed
    assert history.whole(begin, begin + HOUR).executions == Tally(4, 1, 0, 3, 157.0)


def test_runs_are_found_by_span_agent_project_and_outcome(home: Path) -> None:
    """The latest first; a run is in each span that it touches."""
    begin = at(2026, 5, 4)
    events = []
    for number, agent in enumerate("abab"):
        start, run = begin + number * HOUR, f"w-1-a.{number}"
        events.append(event("start", start, agent, run=run, labels={"project": f"p{number // 2}"}))
        events.append(event("complete", start + HOUR // 2, agent, run=run, status="failed" if number == 3 else "completed"))
    events.append(event("start", begin + 8 * HOUR, "c", run="w-1-a.4"))
    recorded(home, *events, now=begin + 9 * HOUR)

    def found(since: int, until: int, **filters: Any) -> list[str]:
        return [run.run[-1] for run in history.all_executions(begin + since, begin + until, **filters)]

    assert found(0, 9 * HOUR) == ["4", "3", "2", "1", "0"]
    assert found(HOUR + 1, 2 * HOUR) == ["1"]
    assert found(0, 9 * HOUR, agent="a") == ["2", "0"]
    assert found(0, 9 * HOUR, project="p1", outcome="completed") == ["2"]
    assert found(0, 9 * HOUR, limit=1) == ["4"]
    assert found(0, 9 * HOUR, project="") == ["4"]
    assert found(0, 9 * HOUR, project="", agent="a") == []


def test_weeks_begin_when_the_user_says_and_months_on_their_first() -> None:
    """Boundaries of steps, across a change of the clocks."""
    day = at(2026, 3, 25)
    monday = history.boundaries(day, day + 1, "week", BERLIN)
    sunday = history.boundaries(day, day + 1, "week", BERLIN, 6)
    assert monday == [at(2026, 3, 23), at(2026, 3, 30)]
    assert sunday == [at(2026, 3, 22), at(2026, 3, 29)]
    assert history.boundaries(day, at(2026, 4, 2), "month", BERLIN) == [at(2026, 3, 1), at(2026, 4, 1), at(2026, 5, 1)]
    assert history.boundaries(day + 5, day + 900_000, "quarter", BERLIN) == [day, day + 900_000]
    with pytest.raises(ValueError, match="are the most"):
        history.boundaries(0, day, "hour", BERLIN)
    with pytest.raises(ValueError, match="ends before"):
        history.boundaries(day, day, "day", BERLIN)


def test_without_a_history_every_answer_is_empty(home: Path) -> None:
    """There is none yet: that is no error."""
    begin = at(2026, 5, 4)
    assert history.execution_summary("w-1-a.1") is None
    assert history.all_executions(0, begin) == ()
    assert history.agent_breakdown(0, begin) == ()
    assert history.daily_usage(date(2026, 5, 4), zone=BERLIN).agents == ()
    assert [each.executions for each in history.history(begin, begin + HOUR, "day", zone=BERLIN)] == [Tally()]
    assert Part("a").usage.total_micros is None
    assert not home.exists()
