"""The history: what it holds, that it holds it once, and that nothing depends on it."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics import histogram, history
from pyjama_metrics.checks import check
from pyjama_metrics.errors import HistoryUnusable
from pyjama_metrics.hub import Hub
from pyjama_metrics.storage.history import blobs, follower, schema, upkeep
from pyjama_metrics.storage.history.upkeep import Bounds
from tests.histories import caught_up, contents, database, executions, rows, usages
from tests.journals import Event, counted, event, leave_journal, live_journal, now_ms, record, tool

HOUR, DAY = 3_600_000, 86_400_000
NOW = 1_790_000_000_000 // DAY * DAY + 10 * HOUR


def llm(time: int, request: str | None = None, agent: str = "a", **fields: Any) -> Event:
    """A model call."""
    usual: dict[str, Any] = {"model": "m", "input_tokens": 10, "output_tokens": 5}
    return event("llm", time, agent, **{**usual, **({"request_id": request} if request else {}), **fields})


def hub_at(home: Path, now: int) -> Hub:
    """A hub whose clock stands still."""
    return Hub(str(home), clock=lambda: now / 1000)


# -- what it holds -----------------------------------------------------------------------------------------------------


def test_a_run_is_told_as_a_whole(home: Path) -> None:
    """Who, of whom, what for, from when to when, how it ended, and what it did."""
    labels = {"project": "shop", "label": "nightly", "task": "tidy up"}
    leave_journal(
        home,
        "w-1-a",
        event("start", NOW, run="w-1-a.1", parent="p-1-a.1", parent_agent="p", source="hook", host="box", labels=labels),
        tool(NOW + 5, run="w-1-a.1", duration_ms=2.0),
        tool(NOW + 6, status="timeout", tool="u"),
        event("complete", NOW + 9, run="w-1-a.1", status="failed", error="no luck"),
    )
    caught_up(home, hub_at(home, NOW + 10))
    assert rows(
        home,
        "SELECT run, parent, parent_agent, source, label, task, host, started, ended, outcome, error, last_seen, success, errors,"
        " (SELECT text FROM names WHERE id = project) FROM runs",
    ) == [
        ("w-1-a.1", "p-1-a.1", "p", "hook", "nightly", "tidy up", "box", NOW, NOW + 9, "failed", "no luck", NOW + 9, 1, 1, "shop")
    ]
    told = rows(home, "SELECT text, success, error, timed, total_us FROM run_tools JOIN names ON names.id = tool ORDER BY text")
    assert told == [("t", 1, 0, 1, 2000), ("u", 0, 1, 0, 0)]
    assert rows(home, "SELECT kind, status, message FROM events ORDER BY time") == [
        ("start", "running", None),
        ("complete", "failed", "no luck"),
    ]


def test_durations_in_the_database_are_those_of_the_live_histograms(home: Path) -> None:
    """Zeros, tiny and long ones; two writes of the same minute add up to what one would be."""
    chance = random.Random(1)
    durations = [0, 0.0, 2e-6, *(chance.lognormvariate(2, 2) for _ in range(500)), 1e10]
    with live_journal(home) as journal:
        hub = hub_at(home, NOW)
        for part in (durations[:200], durations[200:]):
            journal.append(b"".join(line_of(tool(NOW, duration_ms=each)) for each in part))
            caught_up(home, hub)
    expected = histogram.empty()
    histogram.add_many(expected, [float(each) for each in durations])
    for table in ("minutes", "totals"):
        (row,) = rows(home, f"SELECT timed, total_us, least_ns, most_ns, buckets FROM {table} LIMIT 1")
        assert blobs.histogram_of(*row) == expected


def line_of(one: Event) -> bytes:
    """An event as a journal line."""
    from tests.journals import lines

    return lines(one)


def test_its_files_are_the_users_alone(home: Path) -> None:
    """The database and what SQLite puts beside it, whatever the umask is."""
    old = os.umask(0)
    try:
        leave_journal(home, "w-1-a", tool(NOW))
        caught_up(home, hub_at(home, NOW))
        with database(home) as connection:
            connection.execute("UPDATE meta SET value = value")
            made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.glob("history.db*")}
    finally:
        os.umask(old)
    assert made == dict.fromkeys(("history.db", "history.db-wal", "history.db-shm", "history.db.lock"), 0o600)


# -- once ----------------------------------------------------------------------------------------------------------------


def test_any_order_and_any_pieces_give_the_same_history(home: Path, tmp_path: Path) -> None:
    """Runs, executions, and usages of which many are told twice, by two writers, in many folds or in one."""
    chance = random.Random(7)
    told = [
        llm(
            NOW + chance.randrange(DAY),
            f"request-{chance.randrange(12)}",
            agent=chance.choice("ab"),
            input_tokens=chance.randrange(9),
            **chance.choice([{}, {"cost_micros": chance.randrange(100)}, {"tokens_are": "estimated"}]),
            **chance.choice([{}, {"phase": "planning"}, {"run": "x-9-a.1"}, {"tool": "t", "cache_write_1h_tokens": 4}]),
        )
        for _ in range(60)
    ]
    begin, end = event("start", NOW, run="x-9-a.1"), event("complete", NOW + DAY, run="x-9-a.1")
    tools = [tool(NOW + each * 7000, run="x-9-a.1", duration_ms=each) for each in range(40)]
    seen = []
    for number in range(6):
        place = tmp_path / f"hub-{number}"
        body = told + tools
        chance.shuffle(body)
        first, second = [begin, *body[:50], end], [*body[50:], *chance.sample(told, 20)]
        for writer, part in (("w-1-a", first), ("w-2-a", second)):
            leave_journal(place, writer, *part)
        hub = hub_at(place, NOW + DAY)
        if number % 2:
            whole = {path: path.read_bytes().splitlines(keepends=True) for path in (place / "journal").iterdir()}
            for path in whole:
                path.write_bytes(b"")
            while any(whole.values()):
                for path, left in whole.items():
                    with path.open("ab") as file:
                        file.write(b"".join(left[:13]))
                    del left[:13]
                hub.history.advance()
        caught_up(place, hub)
        seen.append(contents(place))
    assert all(each == seen[0] for each in seen[1:])
    assert seen[0]["usage"]


def test_the_better_source_of_a_request_wins_and_who_was_first_is_charged(home: Path) -> None:
    """A reported cost over counted tokens over estimated ones; told again by another agent later it stays where it was."""
    leave_journal(
        home,
        "w-1-a",
        llm(NOW + HOUR, "r", agent="late", cost_micros=7),
        llm(NOW, "r", agent="first", input_tokens=1),
        llm(NOW, "r", agent="first", input_tokens=1000, tokens_are="estimated"),
    )
    hub = caught_up(home, hub_at(home, NOW + HOUR))
    assert usages(home) == (1, 10, 5, 0, 0, 0, 0, 7)
    leave_journal(home, "w-2-a", llm(NOW + 2 * HOUR, "r", agent="later still", input_tokens=20, cost_micros=9))
    caught_up(home, hub)
    assert usages(home) == (1, 20, 5, 0, 0, 0, 0, 9)
    assert rows(home, "SELECT DISTINCT text FROM usage JOIN names ON names.id = agent WHERE requests > 0") == [("first",)]


def test_history_and_figures_agree(home: Path) -> None:
    """The same executions, whatever nonsense is between them."""
    hub = hub_at(home, NOW)
    leave_journal(
        home,
        "w-1-a",
        *(
            tool(NOW, status=status, duration_ms=duration)
            for status in ("ok", "error", "stopped")
            for duration in (1, True, -1, None)
        ),
        {"event": "tool", "time": NOW, "agent": 3, "tool": "t"},
        {"event": "tool", "agent": "a", "tool": "t"},
        {"event": "llm", "time": NOW, "agent": "a", "input-tokens": -1},
        {"event": "start", "time": NOW, "agent": "a", "run": 7},
    )
    state = hub.read()
    caught_up(home, hub)
    overall = state["global"]
    assert executions(home) == (overall["success"], overall["error"], overall["interrupted"]) == (4, 4, 4)
    assert usages(home)[0] == state["tokens"]["requests"] == 0


# -- nothing depends on it -------------------------------------------------------------------------------------------------


def test_a_locked_database_keeps_the_journals_and_catches_up(home: Path) -> None:
    """Another program holds it: the figures go on, the finished journal stays, and later nothing is missing."""
    caught_up(home)
    with live_journal(home) as journal, database(home) as other:
        other.execute("BEGIN IMMEDIATE")
        old = leave_journal(home, "old-1-a", tool(now_ms()), tool(now_ms()))
        hub = Hub(str(home))
        for number in range(3):
            record(journal, 1)
            assert hub.read()["global"]["count"] == 3 + number
            assert not hub.catch_up(0.0)
        assert old.exists()
        assert "locked" in str(hub.history.trouble)
        other.execute("ROLLBACK")
        assert executions(home)[0] == 0
        caught_up(home)
        assert executions(home)[0] == 5
        record(journal, 1)
        caught_up(home)
    assert not old.exists()


@pytest.mark.parametrize("damage", [b"no database at all", b""], ids=["other bytes", "a hole in it"])
def test_a_damaged_database_is_set_aside_and_begun_anew_from_what_is_left(home: Path, damage: bytes) -> None:
    """What the journals still hold is in it again; what was set aside can be looked at."""
    with live_journal(home) as journal:
        record(journal, 3)
        hub = caught_up(home)
        path = home / "history.db"
        content = path.read_bytes()
        path.write_bytes(damage * 500 if damage else content[:4096] + b"\xff" * (len(content) - 4096))
        record(journal, 2)
        assert hub.read()["global"]["count"] == 5
        caught_up(home, hub)
        assert executions(home)[0] == 5
    (aside,) = home.glob("history.db.corrupt-*")
    assert hub.history.set_aside == str(aside)
    assert [problem.where for problem in check(hub) if problem.kind == "history-set-aside"] == [str(aside)]


def test_a_place_that_cannot_be_written_is_told_and_given_up_within_bounds(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else has the name: the figures go on; the journals are kept, but not for ever, and what that cost is noted."""
    home.mkdir(mode=0o700)
    (home / "history.db").mkdir()
    hub = Hub(str(home))
    old = leave_journal(home, "old-1-a", *(tool(now_ms()) for _ in range(9)))
    with live_journal(home) as journal:
        for number in range(1, 6):
            record(journal, 1)
            assert hub.read()["global"]["count"] == 9 + number
        assert old.exists()
        assert "history.db" in str(hub.history.trouble)
        size = old.stat().st_size
        monkeypatch.setattr(follower, "JOURNALS_KEPT", size - 1)
        for _ in range(3):
            record(journal, 1)
            hub.flush()
        assert not old.exists()
        assert hub.history.let_go() == (1, size)
    assert {problem.kind for problem in check(hub)} >= {"history-unusable", "history-incomplete"}


def test_a_journal_that_waited_for_a_day_is_given_up(home: Path) -> None:
    """However small it is."""
    home.mkdir(mode=0o700)
    (home / "history.db").mkdir()
    hub = Hub(str(home))
    old = leave_journal(home, "old-1-a", tool(now_ms()))
    with live_journal(home) as journal:
        for _ in range(3):
            record(journal, 1)
            hub.flush()
        assert old.exists()
        os.utime(old, (1, 1))
        for _ in range(2):
            record(journal, 1)
            hub.flush()
        assert not old.exists()


def test_a_history_of_a_newer_version_is_left_alone(home: Path) -> None:
    """It is whole; the figures go on without it."""
    caught_up(home)
    with database(home) as connection:
        connection.execute("PRAGMA user_version = 99")
    leave_journal(home, "w-1-a", tool(now_ms()))
    assert counted(home) == 1
    hub = Hub(str(home))
    assert not hub.catch_up(1.0)
    assert "newer version" in str(hub.history.trouble)
    assert list(home.glob("history.db.corrupt*")) == []


def test_without_a_history_there_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting; the journals then wait for nobody."""
    monkeypatch.setenv("PYJAMA_HISTORY", "0")
    leave_journal(home, "w-1-a", tool(now_ms()))
    assert counted(home) == 1
    assert Hub(str(home)).catch_up(1.0)
    assert list(home.glob("history*")) == []


# -- clearing --------------------------------------------------------------------------------------------------------------


def test_clear_keeps_the_history_unless_told(home: Path) -> None:
    """The figures begin anew either way; with the history cleared too, open runs stay, with nothing counted."""
    with live_journal(home, "w-1-a") as journal:
        journal.append(line_of(event("start", now_ms(), run="w-1-a.1")) + line_of(llm(now_ms(), "r")))
        record(journal, 3, run="w-1-a.1")
        hub = caught_up(home)
        hub.clear()
        record(journal, 2, run="w-1-a.1")
        caught_up(home, hub)
        assert (hub.read()["global"]["count"], executions(home)[0], usages(home)[0]) == (2, 5, 1)
        record(journal, 1, run="w-1-a.1")
        hub.clear(history=True)
        assert (executions(home)[0], usages(home)[0]) == (0, 0)
        record(journal, 4, run="w-1-a.1")
        caught_up(home, hub)
        assert executions(home)[0] == 4
    assert rows(home, "SELECT run, success FROM runs") == [("w-1-a.1", 4)]


# -- upkeep ----------------------------------------------------------------------------------------------------------------


def test_minutes_become_hours_and_nothing_else_changes(home: Path) -> None:
    """After two days, in small steps, whatever is recorded late; and after the retention all is gone."""
    chance = random.Random(3)
    leave_journal(home, "w-1-a", *(tool(NOW + chance.randrange(DAY), duration_ms=chance.random()) for _ in range(3000)))
    now = NOW
    hub = Hub(str(home), clock=lambda: now / 1000)
    now = NOW + DAY
    caught_up(home, hub)
    before = executions(home)
    whole = rows(home, "SELECT sum(timed), sum(total_us), min(least_ns), max(most_ns) FROM minutes")
    for step in range(1, 6):
        now = NOW + DAY + step * 16 * HOUR
        hub.history.advance()
    assert rows(home, "SELECT count(*) FROM minutes") == [(0,)]
    assert rows(home, "SELECT count(*) FROM hours") == [(24,)]
    assert executions(home) == before
    assert rows(home, "SELECT sum(timed), sum(total_us), min(least_ns), max(most_ns) FROM hours") == whole
    for _ in range(64):
        now += 12 * HOUR
        hub.history.advance()
    assert executions(home) == (0, 0, 0)
    assert rows(home, "SELECT count(*) FROM runs") == [(0,)]


def test_a_clock_that_is_wrong_for_a_day_costs_nothing(home: Path) -> None:
    """A year ahead, for a day: nothing is forgotten. One that stays there is believed in the end."""
    leave_journal(home, "w-1-a", tool(NOW))
    now = NOW
    hub = Hub(str(home), clock=lambda: now / 1000)
    caught_up(home, hub)
    for hour in range(25):
        now = NOW + 365 * DAY + hour * HOUR
        hub.history.advance()
    assert executions(home)[0] == 1
    now = NOW + 26 * HOUR
    hub.history.advance()
    assert executions(home)[0] == 1
    for hour in range(60):
        now = NOW + 365 * DAY + hour * HOUR
        hub.history.advance()
    assert executions(home)[0] == 0


def test_a_database_that_is_too_large_lets_the_oldest_go(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound on its size: what is newest stays, and the disk gets the space back."""
    tools = [tool(NOW + hour * HOUR + each, tool=f"tool-{each}", duration_ms=each) for hour in range(40) for each in range(150)]
    leave_journal(home, "w-1-a", *tools)
    now = NOW + 40 * HOUR
    hub = Hub(str(home), clock=lambda: now / 1000)
    caught_up(home, hub)
    monkeypatch.setattr("pyjama_metrics.settings.history_bytes", lambda: 150_000)
    size = (home / "history.db").stat().st_size
    assert size > 300_000
    for _ in range(200):
        now += 61_000
        hub.history.advance()
    assert 0 < executions(home)[0] < 6000
    assert rows(home, "SELECT max(begin) FROM minutes") == [(NOW + 39 * HOUR,)]
    assert (home / "history.db").stat().st_size < 200_000


def test_recent_events_are_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest of them stay."""
    monkeypatch.setattr(upkeep, "MOST_EVENTS", 10)
    leave_journal(home, "w-1-a", *(event("error", NOW + each, message=str(each)) for each in range(50)))
    caught_up(home, hub_at(home, NOW))
    assert rows(home, "SELECT min(time), count(*) FROM events") == [(NOW + 40, 10)]


def test_a_step_of_upkeep_touches_few_rows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody has to wait for it; what is left is the next one's."""
    monkeypatch.setattr(upkeep, "ROWS", 10)
    leave_journal(home, "w-1-a", *(tool(NOW + each * 60_000) for each in range(100)))
    caught_up(home, hub_at(home, NOW + 2 * HOUR))
    connection = schema.open_to_write(str(home))
    try:
        left = []
        for step in range(12):
            upkeep.step(connection, NOW + 2 * HOUR + 20 * HOUR * step, Bounds(1, 2**40))
            left.append(connection.execute("SELECT count(*) FROM minutes").fetchone()[0])
    finally:
        connection.close()
    gone = [before - after for before, after in pairwise(left)]
    assert left[-1] < left[0]
    assert max(gone) <= 22


def test_a_migration_that_dies_half_way_is_done_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a transaction; a database of the form before is brought forward, with what is in it."""
    leave_journal(home, "w-1-a", tool(NOW))
    caught_up(home, hub_at(home, NOW))
    ours = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*ours, ("another", "CREATE TABLE more (x); CREATE TABLE more (x)")))
    with pytest.raises(sqlite3.OperationalError):
        schema.open_to_write(str(home))
    assert rows(home, "PRAGMA user_version") == [(2,)]
    monkeypatch.setattr(schema, "MIGRATIONS", (*ours, ("another", "CREATE TABLE more (x)")))
    schema.open_to_write(str(home)).close()
    assert rows(home, "SELECT name FROM migrations ORDER BY name") == [("another",), ("begin",), ("sessions",)]
    assert executions(home)[0] == 1


def test_a_pipe_in_its_place_is_told_at_once(home: Path) -> None:
    """SQLite would wait for somebody to write into it; the figures go on."""
    home.mkdir(mode=0o700)
    os.mkfifo(home / "history.db")
    leave_journal(home, "w-1-a", tool(now_ms()))
    hub = Hub(str(home))
    assert not hub.catch_up(5.0)
    assert "it is no file" in str(hub.history.trouble)
    with pytest.raises(HistoryUnusable, match="it is no file"):
        history.whole(0, NOW)
    assert counted(home) == 1


def test_a_database_that_others_may_read_is_told_and_mended(home: Path) -> None:
    """It has names of projects and errors in it."""
    leave_journal(home, "w-1-a", tool(now_ms()))
    hub = caught_up(home)
    (home / "history.db").chmod(0o644)
    assert [problem.where for problem in check(hub) if problem.kind == "file-mode"] == [str(home / "history.db")]
    check(hub, fix=True)
    assert stat.S_IMODE((home / "history.db").stat().st_mode) == 0o600


def test_more_tokens_than_can_be_counted_leave_both_readable(home: Path) -> None:
    """Each call is within its bounds, and their sum is not."""
    calls = [llm(NOW, None, input_tokens=10**12) for _ in range(10_000)]
    leave_journal(home, "w-1-a", *calls, llm(NOW, None, model="other", input_tokens=7))
    hub = caught_up(home, hub_at(home, NOW))
    state = hub.read(thorough=True)
    assert (state["tokens"]["input-tokens"], state["models"]["other"]["input-tokens"]) == (2**53, 7)
    assert list(home.glob("*.corrupt-*")) == []


def test_it_may_be_brought_to_a_named_place_and_no_further(home: Path) -> None:
    """What was recorded after that is left for later; where it is further already, nothing is read again."""
    with live_journal(home) as journal:
        record(journal, 3)
        hub = Hub(str(home))
        hub.flush()
        until = {name: at["offset"] for name, at in hub.read(fresh=False)["journals"].items()}
        (home / "history.db").unlink(missing_ok=True)
        record(journal, 2)
        other = Hub(str(home))
        assert other.history.advance(until=until)
        assert (executions(home)[0], other.history.is_at(until)) == (3, True)
        caught_up(home, other)
        assert other.history.advance(until=until)
        assert (executions(home)[0], other.history.is_at(until)) == (5, False)
