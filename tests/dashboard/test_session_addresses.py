"""GET /metrics and GET /metrics/<id>: what is live and what is past of a session together; a sentence for what has no answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.events import text_of
from pyjama_metrics.hub import Hub
from tests.dashboard.serving import ask, serving
from tests.dashboard.test_addresses import STRANGE_NAMES
from tests.histories import caught_up, database
from tests.journals import Event, event, leave_journal, lines, live_journal, now_ms, tool

NOW = now_ms()
WRITER = "w-1-a"


def run_of(number: int, session: str, time: int, *more: Event, agent: str = "shop", is_over: bool = True) -> list[Event]:
    """A run of a session: two executions of Bash of 100 and 300 ms, of which one fails, a prompt, an answer."""
    run = f"{WRITER}.{number}"
    labels = {"session": session, "project": "shop"}
    return [
        event("start", time, agent, run=run, labels=labels, source="claude-code"),
        tool(time + 1, agent, "Bash", run=run, duration_ms=100),
        tool(time + 2, agent, "Bash", run=run, duration_ms=300, status="error"),
        event("message", time + 3, agent, role="user", run=run),
        event("message", time + 3, agent, role="assistant", run=run, count=2),
        event("llm", time + 4, agent, run=run, model="gpt-4o", input_tokens=1000, output_tokens=100, request_id=f"r{number}"),
        *more,
        *([event("complete", time + 1000, agent, run=run)] if is_over else ()),
    ]


def sub_of(number: int, time: int) -> list[Event]:
    """A subagent of a run, which calls a model for $0.0035 as well."""
    run, labels = f"{WRITER}.{number}-x", {"session": f"s{number}", "subagent": "Explore"}
    return [
        event("start", time, "shop/Explore", run=run, parent=f"{WRITER}.{number}", parent_agent="shop", labels=labels),
        tool(time + 1, "shop/Explore", "Read", run=run, duration_ms=5),
        event("llm", time + 2, "shop/Explore", run=run, model="gpt-4o", input_tokens=1000, output_tokens=100),
        event("complete", time + 3, "shop/Explore", run=run),
    ]


def metrics(server: DashboardServer, name: str) -> dict[str, Any]:
    """The answer for a name."""
    found = ask(server, f"/metrics/{quote(name, safe='')}")
    assert found.status == 200
    told: dict[str, Any] = found.json
    return told


def test_a_session_that_goes_on_is_told_by_its_id_and_changes_with_a_figure_only(home: Path) -> None:
    """How long it has lasted is in the answer and not in its tag."""
    with live_journal(home, WRITER) as journal, serving(home) as server:
        journal.append(lines(*run_of(1, "s1", NOW - 5000, is_over=False)))
        Hub(str(home)).flush()
        first = ask(server, "/metrics/s1")
        told = first.json
        assert (told["sessionId"], told["status"], told["toolCounts"], told["toolErrors"]) == (
            "s1",
            "running",
            {"Bash": 2},
            {"Bash": 1},
        )
        assert (told["messages"], told["errorRate"]) == ({"user": 1, "assistant": 2}, 0.5)
        assert told["duration"] >= 5000
        assert told["latency"]["avg"] == 200
        assert told["tokens"]["cost"] == 0.0035
        tag = first.headers["ETag"]
        assert ask(server, "/metrics/s1", If_None_Match=tag).status == 304
        journal.append(lines(tool(NOW, "shop", "Edit", run=f"{WRITER}.1")))
        Hub(str(home)).flush()
        assert ask(server, "/metrics/s1", If_None_Match=tag).json["toolCounts"] == {"Bash": 2, "Edit": 1}


def test_a_session_that_left_the_file_is_told_from_the_history(home: Path) -> None:
    """With its subagents; the quantiles nobody knows any more."""
    body = [each for number in range(1, 9) for each in run_of(number, f"s{number}", NOW - 100_000 + number * 2000)]
    leave_journal(home, WRITER, *body, *sub_of(1, NOW - 97_900))
    hub = caught_up(home)
    assert f"{WRITER}.1" not in hub.read()["agents"]["shop"]["runs"]
    with serving(home) as server:
        told = metrics(server, "s1")
        assert (told["status"], told["duration"], told["runs"], told["note"]) == ("completed", 1000, 2, None)
        assert (told["toolCounts"], told["toolErrors"]) == ({"Bash": 2, "Read": 1}, {"Bash": 1})
        assert told["latency"] == {"avg": 135.0, "p95": None, "p99": None}
        assert told["messages"] == {"user": 1, "assistant": 2}
        assert {key: told["tokens"][key] for key in ("input", "output", "total", "cost", "unpriced")} == {
            "input": 2000, "output": 200, "total": 2200, "cost": 0.007, "unpriced": 0,
        }  # fmt: skip
        assert [(each["agent"], each["type"], each["tokens"]["total"]) for each in told["subagents"]] == [
            ("shop/Explore", "Explore", 1100)
        ]
        live = metrics(server, "s8")
        assert (live["toolCounts"], live["latency"]["p95"]) == ({"Bash": 2}, 300)
        assert sorted(ask(server, "/metrics").json["sessions"]) == ["s1", "s4", "s5", "s6", "s7", "s8"]


def test_a_session_of_which_one_run_left_is_counted_whole_and_once(home: Path) -> None:
    """Whether it is asked for by itself or with all others."""
    first = run_of(1, "s", NOW - 100_000)
    others = [each for number in range(2, 8) for each in run_of(number, f"s{number}", NOW - 50_000 + number * 2000)]
    with live_journal(home, WRITER) as journal, serving(home) as server:
        journal.append(lines(*first, *others, *run_of(8, "s", NOW - 500, is_over=False)))
        caught_up(home)
        told = metrics(server, "s")
        assert (told["runs"], told["status"], told["toolCounts"], told["tokens"]["cost"]) == (2, "running", {"Bash": 4}, 0.007)
        assert (told["startTime"], told["messages"]) == (NOW - 100_000, {"user": 2, "assistant": 4})
        everything = ask(server, "/metrics").json["sessions"]
        assert everything["s"]["toolCounts"] == {"Bash": 4}
        assert "shop" not in everything


def test_a_subagent_is_told_with_its_session_though_what_started_it_left(home: Path) -> None:
    """Only the history knows to which session it belongs, when its own start does not say it."""
    body = [each for number in range(1, 9) for each in run_of(number, f"s{number}", NOW - 100_000 + number * 2000)]
    script = event("start", NOW - 97_000, "script", run="v-1-a.1", parent=f"{WRITER}.1")
    leave_journal(home, WRITER, *body)
    leave_journal(home, "v-1-a", script, tool(NOW - 96_000, "script", "fetch", run="v-1-a.1"))
    caught_up(home)
    with serving(home) as server:
        assert metrics(server, "s1")["toolCounts"] == {"Bash": 2, "fetch": 1}
        assert metrics(server, "script")["toolCounts"] == {"fetch": 1}


def test_an_agent_is_told_by_its_name_also_when_it_left(home: Path) -> None:
    """The history knows all of its durations."""
    leave_journal(home, WRITER, *run_of(1, "s1", NOW - 5000), *run_of(2, "s2", NOW - 2000), *sub_of(1, NOW - 4000))
    hub = caught_up(home)
    with serving(home) as server:
        live = metrics(server, "shop")
        hub.clear()
        past = metrics(server, "shop")
    for told in (live, past):
        assert (told["sessionId"], told["status"], told["runs"], told["toolCounts"]) == ("shop", "completed", 2, {"Bash": 4})
        assert (told["messages"], told["tokens"]["cost"]) == ({"user": 2, "assistant": 4}, 0.007)
        assert told["latency"] == {"avg": 200.0, "p95": 300.0, "p99": 300.0}
    assert [each["agent"] for each in live["subagents"]] == ["shop/Explore"]


def test_all_sessions_and_the_agents_that_have_none(home: Path) -> None:
    """An agent in Python is there by its name."""
    leave_journal(home, WRITER, *run_of(1, "s1", NOW - 5000), tool(NOW, "planner", "read"))
    caught_up(home)
    with serving(home) as server:
        found = ask(server, "/metrics").json
        assert sorted(found) == ["sessions"]
        assert {name: each["toolCounts"] for name, each in found["sessions"].items()} == {
            "s1": {"Bash": 2},
            "planner": {"read": 1},
        }
        assert found["sessions"]["s1"] == metrics(server, "s1")


def test_an_empty_hub_has_no_sessions(server: DashboardServer) -> None:
    """And that is no error."""
    assert ask(server, "/metrics").json == {"sessions": {}}


@pytest.mark.parametrize("name", [*STRANGE_NAMES, "history", "history/runs", "id"])
def test_any_name_may_be_asked_for(home: Path, name: str) -> None:
    """Also the names of other addresses, as an argument."""
    name = text_of(name)
    leave_journal(home, WRITER, tool(NOW, name, "read"), *run_of(1, text_of(f"{name} s"), NOW))
    caught_up(home)
    with serving(home) as server:
        assert ask(server, f"/metrics?id={quote(name, safe='')}").json["toolCounts"] == {"read": 1}
        assert metrics(server, text_of(f"{name} s"))["toolCounts"] == {"Bash": 2}
        if not name.startswith("history"):
            assert metrics(server, name)["toolCounts"] == {"read": 1}


def test_the_past_keeps_its_addresses(server: DashboardServer) -> None:
    """Nobody's name takes them."""
    assert "nothing to tell of the past" in ask(server, "/metrics/history?from=2025-01-01").json["error"]
    assert "nothing to tell of the past" in ask(server, "/metrics/history/runs?from=2025-01-01").json["error"]


def test_what_nobody_knows_is_told_in_the_shape_of_all_errors(home: Path) -> None:
    """With what to do."""
    leave_journal(home, WRITER, *run_of(1, "s1", NOW))
    caught_up(home)
    with serving(home) as server:
        for path in ("/metrics/nobody", "/metrics?id=nobody"):
            found = ask(server, path)
            assert (found.status, sorted(found.json), found.json["status"]) == (404, ["error", "ok", "status"], 404)
            assert "no session and no agent 'nobody'" in found.json["error"]


@pytest.mark.parametrize("path", ["/metrics", "/metrics/s1"])
def test_pages_of_other_sites_may_not_ask(home: Path, path: str) -> None:
    """As for all data."""
    leave_journal(home, WRITER, *run_of(1, "s1", NOW))
    caught_up(home)
    with serving(home) as server:
        assert ask(server, path, Sec_Fetch_Site="cross-site").status == 403
        assert ask(server, path, Host="evil.example").status == 403
        assert ask(server, path, "POST", "{}", Content_Type="application/json").status == 405
        assert ask(server, path).status == 200


def test_where_the_history_cannot_be_read_what_is_live_is_told_and_what_is_missing(home: Path) -> None:
    """A name that only the history could know is not said to be unknown."""
    leave_journal(home, WRITER, *run_of(1, "s1", NOW))
    caught_up(home)
    with database(home) as connection:
        connection.execute("PRAGMA user_version = 99")
    with serving(home) as server:
        told = metrics(server, "s1")
        assert told["toolCounts"] == {"Bash": 2}
        assert "a newer version of pyjama-metrics made it" in told["note"]
        assert ask(server, "/metrics/nobody").status == 503


def test_without_a_history_what_left_is_said_to_be_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing left, nothing is missing."""
    monkeypatch.setenv("PYJAMA_HISTORY", "0")
    leave_journal(home, WRITER, *run_of(1, "s1", NOW - 50_000))
    with serving(home) as server:
        Hub(str(home)).flush()
        assert metrics(server, "s1")["note"] is None
        assert ask(server, "/metrics/nobody").status == 404
        body = [each for number in range(2, 9) for each in run_of(number, f"s{number}", NOW - 20_000 + number * 2000)]
        leave_journal(home, WRITER, *body, segment=1)
        Hub(str(home)).flush()
        assert (
            metrics(server, "s8")["note"]
            == "What left metrics.json is not counted: no history is kept, as PYJAMA_HISTORY says so."
        )
        assert ask(server, "/metrics/s1").status == 404
