"""What each address of the past answers: figures worked out by hand, any zone, any name; a sentence for what has no answer."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from pyjama_metrics.dashboard.questions import DIMENSIONS
from pyjama_metrics.dashboard.server import DashboardServer
from tests.cli.commands import pyjama
from tests.dashboard.serving import ask, serving
from tests.dashboard.test_addresses import STRANGE_NAMES
from tests.histories import caught_up, database
from tests.journals import Event, event, leave_journal, now_ms, tool
from tests.waiting import wait_until

HOUR = 3_600_000
DAY = 24 * HOUR
BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = (2025, 3, 30), (2025, 10, 26)
"""Days of 23 and of 25 hours in Berlin."""


def at(*parts: int, zone: ZoneInfo = BERLIN) -> int:
    """A time in a zone, in ms since the epoch."""
    return int(datetime(*parts, tzinfo=zone).timestamp() * 1000)  # type: ignore[arg-type, misc]


def call(time: int, agent: str = "a", model: str = "gpt-4o", **fields: Any) -> Event:
    """A model call of 1,000 tokens and 100 more, which cost $0.0035 with gpt-4o."""
    return event("llm", time, agent, model=model, input_tokens=1000, output_tokens=100, **fields)


@pytest.fixture(autouse=True)
def _nothing_is_too_old(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The days of these tests are long over."""
    monkeypatch.setenv("PYJAMA_HISTORY_DAYS", "100000")


def recorded(home: Path, *events: Event) -> None:
    """Put these events into the history of the hub."""
    leave_journal(home, "w-1-a", *events)
    caught_up(home)


def figures(usage: dict[str, Any]) -> tuple[Any, ...]:
    """(calls, reported, computed, known cost, unpriced calls, their models)."""
    names = ("requests", "reported-micros", "computed-micros", "cost-micros", "unpriced-requests", "unpriced-models")
    return tuple(usage[name] for name in names)


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25)], ids=["spring", "autumn"])
def test_a_day_on_which_the_clocks_change_is_one_day(home: Path, day: tuple[int, int, int], hours: int) -> None:
    """Its first and its last quarter of an hour are in it, their neighbours are not."""
    begin = at(*day)
    end = begin + hours * HOUR
    recorded(home, *(each for time in (begin - 1, begin, end - 1, end) for each in (tool(time, duration_ms=20), call(time))))
    text = f"{day[0]}-{day[1]:02}-{day[2]:02}"
    following = f"{day[0]}-{day[1]:02}-{day[2] + 1:02}"
    with serving(home) as server:
        told = ask(server, f"/metrics/history?from={text}&to={following}&timezone=Europe/Berlin").json
        assert [(each["begin"], each["end"]) for each in told["slices"]] == [(begin, end)]
        assert told["slices"][0]["executions"]["count"] == 2
        assert figures(told["slices"][0]["usage"]) == (2, None, 7_000, 7_000, 0, [])
        by_hour = ask(server, f"/metrics/history?from={begin}&to={end}&step=hour&timezone=Europe/Berlin").json["slices"]
        assert [each["executions"]["count"] for each in by_hour] == [1, *[0] * (hours - 2), 1]
        whole = ask(server, f"/metrics/history/day/{text}?timezone=Europe/Berlin").json
        assert (whole["begin"], whole["end"], whole["executions"]["count"]) == (begin, end, 2)
        assert whole["executions"]["p50-ms"] == pytest.approx(20, rel=0.011)
        days = ask(server, f"/metrics/history/breakdown?by=day&from={text}&to={following}&timezone=Europe/Berlin").json["parts"]
        assert [(each["name"], each["usage"]["cost-micros"]) for each in days] == [(text, 7_000)]


@pytest.mark.parametrize("name", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Eucla"])
def test_a_zone_off_by_a_part_of_an_hour_has_exact_days(home: Path, name: str) -> None:
    """A quarter of an hour before midnight is yesterday."""
    midnight = at(2025, 6, 2, zone=ZoneInfo(name))
    recorded(home, call(midnight - 1), call(midnight), call(midnight + DAY - 1), call(midnight + DAY))
    with serving(home) as server:
        told = ask(server, f"/metrics/history?from=2025-06-01&to=2025-06-04&timezone={quote(name)}").json
        assert [each["usage"]["requests"] for each in told["slices"]] == [1, 2, 1]
        assert told["slices"][1]["begin"] == midnight
        hours = ask(server, f"/metrics/history?from=2025-06-02T00:00&to=2025-06-02T02:00&step=hour&timezone={quote(name)}").json
        assert [(each["begin"], each["usage"]["requests"]) for each in hours["slices"]] == [(midnight, 1), (midnight + HOUR, 0)]


def test_costs_stay_apart_by_how_well_they_are_known(home: Path) -> None:
    """Reported, computed, unpriced; whatever the span is broken down by, the parts are all of it."""
    begin = at(2025, 6, 2)
    start = event("start", begin, "a", run="r1", host="laptop", labels={"project": "shop"})
    recorded(
        home,
        start,
        tool(begin + 1, run="r1"),
        call(begin + 2, run="r1", phase="planning", cost_micros=500_000),
        call(begin + 3, run="r1", phase="execution", tool="grep"),
        call(begin + 4, "b", "nobody-knows"),
    )
    with serving(home) as server:
        for by in DIMENSIONS:
            told = ask(server, f"/metrics/history/breakdown?by={by}&from={begin}&to={begin + HOUR}&timezone=Europe/Berlin").json
            assert figures(told["usage"]) == (3, 500_000, 3_500, 503_500, 1, ["nobody-knows"]), by
            assert sum(each["usage"]["requests"] for each in told["parts"]) == 3, by
            assert sum(each["usage"]["cost-micros"] or 0 for each in told["parts"]) == 503_500, by
        parts = {
            by: {
                each["name"]: each["usage"]["cost-micros"]
                for each in ask(server, f"/metrics/history/breakdown?by={by}&from={begin}&to={begin + HOUR}").json["parts"]
            }
            for by in ("agent", "phase", "tool", "project", "host", "model")
        }
        assert parts["agent"] == {"a": 503_500, "b": None}
        assert parts["phase"] == {"planning": 500_000, "execution": 3_500, "": None}
        assert parts["project"] == {"shop": 503_500, "": None}
        assert parts["host"] == {"laptop": 503_500, "": None}
        assert parts["model"] == {"gpt-4o": 503_500, "nobody-knows": None}
        assert (parts["tool"]["grep"], parts["tool"][""]) == (3_500, 500_000)
        of_b = ask(server, f"/metrics/history/breakdown?from={begin}&to={begin + HOUR}&agent=b").json
        assert figures(of_b["usage"]) == (1, None, None, None, 1, ["nobody-knows"])
        run = ask(server, "/metrics/history/run/r1").json
        assert (run["agent-id"], run["project"], run["host"], run["executions"]["count"]) == ("a", "shop", "laptop", 1)
        assert (run["executions"]["total-duration"], run["executions"]["avg-duration-ms"]) == (None, None)
        assert [(each["name"], each["usage"]["cost-micros"]) for each in run["phases"]] == [
            ("planning", 500_000),
            ("execution", 3_500),
        ]
        assert [each["id"] for each in ask(server, f"/metrics/history/runs?from={begin}&project=shop").json["runs"]] == ["r1"]
        assert ask(server, f"/metrics/history/runs?from={begin}&project=other").json["runs"] == []


def test_steps_and_runs_are_told_by_project(home: Path) -> None:
    """The empty one is what belongs to none; the answer for one project is not that for another."""
    begin = at(2025, 6, 2)
    recorded(
        home,
        event("start", begin, "a", run="r1", labels={"project": "shop"}),
        tool(begin + 1, run="r1"),
        call(begin + 2, run="r1"),
        call(begin + HOUR, run="r1", cost_micros=500_000),
        event("start", begin + 3, "b", run="r2"),
        tool(begin + 4, "b", run="r2"),
        tool(begin + 5, "b", run="r2"),
        call(begin + 6, "b", run="r2"),
        call(begin + 7, "b", run="r2"),
    )
    expected = {
        "": (None, [(3, 10_500), (0, 500_000)], ["r2", "r1"]),
        "&project=shop": ("shop", [(1, 3_500), (0, 500_000)], ["r1"]),
    }
    expected |= {"&project=": ("", [(2, 7_000), (0, None)], ["r2"]), "&project=other": ("other", [(0, None), (0, None)], [])}
    span = f"from={begin}&to={begin + 2 * HOUR}"
    with serving(home) as server:
        for filtered, (project, steps, runs) in expected.items():
            told = ask(server, f"/metrics/history?{span}&step=hour{filtered}").json
            assert told["project"] == project
            assert [(each["executions"]["count"], each["usage"]["cost-micros"]) for each in told["slices"]] == steps, filtered
            assert [each["id"] for each in ask(server, f"/metrics/history/runs?{span}{filtered}").json["runs"]] == runs, filtered


def test_a_sum_is_rounded_once(home: Path) -> None:
    """A thousand calls of a third of a micro-dollar are 333 of them, and not a thousand times nothing."""
    begin = at(2025, 6, 2)
    small = [
        event("llm", begin + each * 900_000, "a", model="claude-3-5-haiku-20241022", cache_read_tokens=4) for each in range(96)
    ]
    recorded(home, *small)
    with serving(home) as server:
        told = ask(server, "/metrics/history/breakdown?by=day&from=2025-06-02&to=2025-06-03&timezone=Europe/Berlin").json
    # 96 × 4 tokens at $0.08 a million.
    assert told["usage"]["computed-micros"] == told["parts"][0]["usage"]["computed-micros"] == 31


@pytest.mark.parametrize("name", STRANGE_NAMES, ids=lambda name: ascii(name)[:20])
def test_runs_and_agents_of_any_name_are_found(home: Path, name: str) -> None:
    """By both addresses of a run, and where an agent is asked for."""
    begin = at(2025, 6, 2)
    recorded(home, event("start", begin, name, run=name), tool(begin + 1, name, name, run=name), call(begin + 2, name, run=name))
    with serving(home) as server:
        (told,) = ask(server, f"/metrics/history/runs?from={begin}").json["runs"]
        agent, run = told["agent-id"], told["id"]
        for address in (f"/metrics/history/run/{quote(run, safe='')}", f"/metrics/history/run?id={quote(run, safe='')}"):
            answer = ask(server, f"{address}{'&' if '?' in address else '?'}agent={quote(agent, safe='')}")
            assert (answer.status, answer.json["id"], answer.json["usage"]["requests"]) == (200, run, 1)
        of_agent = ask(server, f"/metrics/history/breakdown?from={begin}&by=tool&agent={quote(agent, safe='')}").json
        assert sum(each["executions"]["count"] for each in of_agent["parts"]) == 1


def test_two_agents_with_a_run_of_one_name_are_two(home: Path) -> None:
    """Each is told under its agent."""
    begin = at(2025, 6, 2)
    recorded(
        home, *(event("start", begin + place, name, run="r") for place, name in enumerate("ab")), tool(begin + 9, "b", run="r")
    )
    with serving(home) as server:
        counts = {name: ask(server, f"/metrics/history/run?id=r&agent={name}").json["executions"]["count"] for name in "ab"}
        assert counts == {"a": 0, "b": 1}
        assert ask(server, "/metrics/history/run?id=r&agent=c").refusal == 404


BAD = {
    "": "Say when the span begins",
    "from=5&to=5": "The span is empty",
    "from=9&to=5": "The span is empty",
    "from=yesterday": "is no time between 1970 and 3000",
    "from=-1": "is no time",
    "from=1e3": "is no time",
    "from=%D9%A3": "is no time",
    "from=2026-02-30": "is no time",
    "from=2026-11-20T25:00": "is no time",
    "from=9999-12-31": "is no time",
    "from=1960-01-01": "is no time",
    "from=" + "9" * 5000: "is no time",
    "from=0&to=999999999999999": "is no time",
    "from=0&timezone=Mars/Olympus": "There is no time zone 'Mars/Olympus'",
    "from=0&timezone=../../etc/passwd": "There is no time zone",
    "from=0&timezone=/etc/localtime": "There is no time zone",
    "from=0&timezone=%00": "There is no time zone",
    "from=0&timezone=Europe": "There is no time zone",
    "from=0&timezone=": "There is no time zone",
    "from=0&timezone=zone.tab": "There is no time zone",
    "from=0&timezone=" + "Europe/" * 1000: "There is no time zone",
}


@pytest.mark.parametrize("query", BAD)
@pytest.mark.parametrize("address", ["", "/breakdown", "/runs"])
def test_a_span_that_is_none_is_refused_with_a_sentence(server: DashboardServer, address: str, query: str) -> None:
    """It says what to write instead."""
    answer = ask(server, f"/metrics/history{address}?{query}")
    assert answer.refusal == 400
    assert BAD[query] in answer.json["error"]
    assert len(answer.json["error"]) < 400


BAD_QUESTIONS = {
    "?from=0&step=minute": "quarter, hour, 6h, day, week, month",
    "?from=0&step=hour": "10,000 are the most",
    "?from=0&week_begins=7": "monday",
    "?from=0&quantiles=yes": "quantiles is 1 or 0",
    "/breakdown?from=0&by=moon": "agent, model, phase, tool, run, project, host, day",
    "/breakdown?from=0&by=day&to=2999-01-01": "10,000 are the most",
    "/runs?from=0&limit=0": "from 1 to 1,000",
    "/runs?from=0&limit=1001": "from 1 to 1,000",
    "/day/2026-02-30": "YYYY-MM-DD",
    "/day/0001-01-01": "YYYY-MM-DD",
    "/day/today": "YYYY-MM-DD",
    "/day/2026-01-01?timezone=x": "There is no time zone",
    "/run": "Say which run",
}


@pytest.mark.parametrize("question", BAD_QUESTIONS)
def test_what_cannot_be_asked_is_refused_with_a_sentence(server: DashboardServer, question: str) -> None:
    """Before anybody looks into the history: there is none here."""
    answer = ask(server, f"/metrics/history{question}")
    assert answer.refusal == 400
    assert BAD_QUESTIONS[question] in answer.json["error"]


def test_weeks_begin_when_one_says(home: Path) -> None:
    """On Monday, or on Sunday by the argument."""
    recorded(home, tool(at(2025, 6, 4)))
    with serving(home) as server:
        address = "/metrics/history?from=2025-06-04&to=2025-06-05&step=week&timezone=Europe/Berlin"
        begins = [ask(server, f"{address}{more}").json["from"] for more in ("", "&week_begins=Sunday")]
    assert begins == [at(2025, 6, 2), at(2025, 6, 1)]


def test_without_a_history_the_answer_says_why_and_the_rest_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None yet; of a newer version, all at once; switched off."""
    with serving(home) as server:
        assert "no history in" in refused(server, "/metrics/history?from=0&step=month", 503)
    recorded(home, tool(now_ms()))
    with serving(home) as server:
        address = "/metrics/history/breakdown?from=0"
        assert ask(server, address).status == 200
        with database(home) as connection:
            connection.execute("PRAGMA user_version = 99")
        assert "a newer version" in refused(server, address, 503)
        assert "doctor" in refused(server, address, 503)
        monkeypatch.setenv("PYJAMA_HISTORY", "0")
        assert "PYJAMA_HISTORY" in refused(server, address, 503)
        assert ask(server, "/api/data").json["metrics"]["global"]["count"] == 1
        assert ask(server, "/health").json["status"] == "ok"


def refused(server: DashboardServer, address: str, status: int) -> str:
    """The sentence with which a request is refused."""
    answer = ask(server, address)
    assert answer.refusal == status
    return str(answer.json["error"])


def test_an_answer_is_one_document_until_the_history_changes(home: Path) -> None:
    """With a tag that a client may send back; compressed for who accepts it."""
    begin = now_ms() - DAY
    recorded(home, *(tool(begin, f"agent-{number}") for number in range(30)))
    with serving(home) as server:
        address = f"/metrics/history/breakdown?from={begin}"
        first = ask(server, address)
        tag = first.headers["ETag"]
        assert (ask(server, address, If_None_Match=tag).status, ask(server, address).headers["ETag"]) == (304, tag)
        small = ask(server, address, Accept_Encoding="gzip")
        assert gzip.decompress(small.body) == first.body
        leave_journal(home, "w-2-b", tool(now_ms(), "newcomer"))
        wait_until(lambda: ask(server, address, If_None_Match=tag).status == 200, what="the newcomer in the history")
        assert len(ask(server, address).json["parts"]) == 31


def test_a_time_zone_is_that_of_the_server_where_none_is_named(home: Path) -> None:
    """A date means its midnight there; with a zone of its own a time means that."""
    recorded(home, tool(at(2025, 6, 2)))
    with serving(home) as server:
        told = ask(server, "/metrics/history?from=2025-06-02&to=2025-06-03").json
        assert told["from"] == int(datetime(2025, 6, 2).timestamp() * 1000)
        exact = ask(server, "/metrics/history?from=2025-06-02T00:00%2B05:30&to=2025-06-02T01:00%2B05:30&step=quarter").json
        assert exact["from"] == int(datetime(2025, 6, 1, 18, 30, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)


def test_nobody_asks_a_hub_that_is_not_there(home: Path) -> None:
    """To ask makes no folder."""
    with serving(home) as server:
        assert ask(server, "/metrics/history/runs?from=0").refusal == 503
    assert not (home / "history.db").exists()


def test_the_export_is_that_of_the_command(home: Path) -> None:
    """The same document for the same span, however one asks; filters and spans that are none as everywhere."""
    begin = at(2025, 6, 2, 9)
    start = event("start", begin, "a", run="w-1-a.1", labels={"project": "shop"})
    recorded(home, start, call(begin, run="w-1-a.1"), call(begin, "b", "no-such-model"), tool(begin))
    command = pyjama("export", "--from", "2025-06-02", "--to", "2025-06-03", "--timezone", "Europe/Berlin")
    with serving(home) as server:
        address = "/metrics/history/export?from=2025-06-02&to=2025-06-04&timezone=Europe/Berlin"
        told = ask(server, address).json
        assert told | {"made": 0} == json.loads(command.stdout) | {"made": 0}
        assert figures(told["total"]["usage"]) == (2, None, 3500, 3500, 1, ["no-such-model"])
        assert ask(server, f"{address}&project=shop").json["total"]["usage"]["requests"] == 1
        assert ask(server, "/metrics/history/export?from=2025-06-04&to=2025-06-02").status == 400
        assert ask(server, "/metrics/history/export?from=1970-01-01&to=2025-06-02").status == 400
