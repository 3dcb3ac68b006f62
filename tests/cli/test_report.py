from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import a_week
from tests.cli.commands import PYJAMA, ReadyCommands, in_terminal, pyjama
from tests.histories import caught_up
from tests.journals import leave_journal, now_ms, tool
from tests.system.test_faults import small_disk

WEEK = ("--since", "2025-10-25", "--until", "2025-10-28", "--timezone", "Europe/Berlin")
EXPORTED = ("--from", "2025-10-25", "--to", "2025-10-28", "--timezone", "Europe/Berlin")
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def week(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The four days of `a_week`."""
    a_week.lived(home, tmp_path, monkeypatch)
    return home


@pytest.fixture
def ready(week: Path, ready: ReadyCommands) -> ReadyCommands:
    """Commands in that hub that start at once."""
    return ready


def told(*words: str) -> dict[str, Any]:
    """What ``report … --json`` says."""
    answer = pyjama("report", *words, "--json")
    assert (answer.returncode, answer.stderr) == (0, "")
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def sheet(text: str) -> list[dict[str, str]]:
    """The rows of a CSV."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_report_is_printed_as_it_is_in_the_golden_files(ready: ReadyCommands) -> None:
    """By the command itself: tables, JSON and CSV."""
    for kind in ("daily", "agents", "sessions"):
        for form, ending in (("--json", "json"), ("--csv", "csv")):
            answer = ready.run("report", kind, *WEEK, form)
            assert (answer.returncode, answer.stderr) == (0, "")
            golden = (GOLDEN / f"{kind}.{ending}").read_text()
            assert json.loads(answer.stdout) == json.loads(golden) if form == "--json" else answer.stdout == golden
    answer = pyjama("report", "daily", *WEEK, env={"COLUMNS": "120", "PYTHONIOENCODING": "utf-8"})
    assert answer.stdout == (GOLDEN / "daily.txt").read_text()


def test_what_yesterday_cost_is_one_command(home: Path) -> None:
    """Recorded a day ago, asked for by word; nothing of today is in it."""
    today = now_ms()
    leave_journal(
        home,
        "w-1-a",
        a_week.call(today - 86_400_000, "builder", 0, 0, cost_micros=1_230_000, phase="planning"),
        a_week.call(today, "builder", 0, 0, cost_micros=5),
    )
    found = told("phases", "--since", "yesterday", "--until", "yesterday", "--timezone", "UTC")
    assert [(row["name"], row["usage"]["cost-micros"]) for row in found["rows"]] == [("planning", 1_230_000)]
    day = date.fromisoformat(found["span"]["from"][:10])
    assert found["span"]["to"][:10] == (day + timedelta(days=1)).isoformat()
    whole = told("daily", "--timezone", "UTC")
    assert (len(whole["rows"]), whole["total"]["usage"]["cost-micros"]) == (30, 1_230_005)
    assert [row["usage"]["reported-micros"] for row in whole["rows"][-2:]] == [1_230_000, 5]
    assert len(told("daily", "--since", "7d", "--timezone", "UTC")["rows"]) == 7
    assert len(told("daily", "--since", "14d", "--until", "7d")["rows"]) == 7


@pytest.mark.parametrize(
    ("since", "until", "begin", "end"),
    [
        ("2025-10-26", "2025-10-26", a_week.at(26), a_week.at(27)),
        ("2025-10-26T23:45", "2025-10-27", a_week.at(26, 23, 45), a_week.at(28)),
        ("2025-10-26T23:45+01:00", "2025-10-26T23:30:00Z", a_week.at(26, 23, 45), a_week.at(27, 0, 30)),
    ],
)
def test_a_span_is_named_in_many_ways(week: Path, since: str, until: str, begin: int, end: int) -> None:
    """A day is meant with its end, a time to the quarter of an hour, in the zone that is told unless it has its own."""
    span = told("daily", "--since", since, "--until", until, "--timezone", "Europe/Berlin")["span"]
    assert (span["begin"], span["end"]) == (begin, end)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["daily", "--since", "last week"], "is not a time from 1970 on: use a day"),
        (["daily", "--since", ""], "is not a time"),
        (["daily", "--since", "99999999d"], "is not a time"),
        (["daily", "--since", "999999d"], "is not a time"),
        (["daily", "--since", "0001-01-01", "--timezone", "Asia/Tokyo"], "is not a time"),
        (["daily", "--since", "2025-02-30"], "is not a time"),
        (["daily", "--since", "today", "--until", "yesterday"], "ends before it begins"),
        (["daily", "--since", "1700-01-01"], "is not a time from 1970 on"),
        (["daily", "--since", "1970-01-01", "--timezone", "UTC"], "are the most"),
        (["daily", "--timezone", "Mars/Olympus"], "not a time zone that this machine knows"),
        (["daily", "--timezone", "../../etc/passwd"], "not a time zone"),
        (["daily", "--timezone", "Europe"], "not a time zone"),
        (["hourly"], "invalid choice"),
        (["daily", "--json", "--csv"], "not allowed with"),
        (["daily", "--week-begins", "friday"], "invalid choice"),
        (["daily", "--agent", " "], "a name is needed"),
    ],
)
def test_what_is_no_span_is_refused_with_a_sentence(home: Path, words: list[str], complaint: str) -> None:
    """Code 2, nothing on stdout, and no folder made."""
    answer = pyjama("report", *words)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert complaint in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not home.exists()


def test_filters_are_told_in_the_title(ready: ReadyCommands) -> None:
    """So that a table that was cut out of a terminal still says what it is of."""
    shown = ready.run("report", "models", *WEEK, "--agent", "builder", "--project", "shop").stdout
    assert shown.startswith("models: 2025-10-25 to 2025-10-28, Europe/Berlin, agent builder, project shop\n")
    assert "house-model" not in shown
    assert "runs of no project" in ready.run("report", "agents", *WEEK, "--project", "").stdout


def test_what_nobody_knows_the_price_of_is_never_nothing(ready: ReadyCommands) -> None:
    """A word instead of a figure, a sentence below, null for programs."""
    words = ("report", "models", *WEEK)
    shown = ready.run(*words).stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("house-model")]
    assert line.split()[-2:] == ["unpriced", "–"]
    assert "1 call of house-model has no price: its cost is not known" in shown
    rows = {row["name"]: row["usage"] for row in json.loads(ready.run(*words, "--json").stdout)["rows"]}
    names = ("cost-micros", "reported-micros", "computed-micros", "unpriced-models")
    assert [rows["house-model"][name] for name in names] == [None, None, None, ["house-model"]]
    lines = {row["model"]: row for row in sheet(ready.run(*words, "--csv").stdout)}
    assert [lines["house-model"][name] for name in names] == ["", "", "", "house-model"]
    alone = ready.run(*words, "--since", "2025-10-27", "--until", "2025-10-27", "--agent", "reviewer").stdout
    assert "~$0.0450+" in alone


def test_names_of_others_are_no_formulas_in_a_spreadsheet(ready: ReadyCommands) -> None:
    """An apostrophe stands before what would be computed."""
    names = [
        row["agent"] for row in csv.DictReader(io.StringIO(ready.run("report", "agents", *WEEK, "--csv").stdout, newline=""))
    ]
    assert f"'{a_week.HOSTILE}" in names
    assert not [name for name in names if name[:1] in "=+-@\t\r"]


def test_an_empty_history_says_what_to_do(home: Path) -> None:
    """A sentence, code 0, and nothing is made."""
    answer = pyjama("report", "daily")
    assert answer.returncode == 0
    assert answer.stdout.startswith("Nothing happened in this span (")
    assert "pyjama-metrics demo" in answer.stdout
    assert told("agents")["rows"] == []
    assert not home.exists()


def test_without_a_history_that_is_said(week: Path) -> None:
    """What is there is shown, after a sentence."""
    answer = pyjama("report", "agents", *WEEK, env={"PYJAMA_HISTORY": "0"})
    assert answer.returncode == 0
    assert "No history is kept (PYJAMA_HISTORY=0)" in answer.stderr
    assert "builder" in answer.stdout


def test_what_was_just_recorded_is_in_it(week: Path) -> None:
    """It is counted first, by a process that knows nothing yet."""
    leave_journal(week, "w-2-b", a_week.call(a_week.at(28, 9), "latecomer", 0, 0, cost_micros=1_000_000))
    answer = pyjama("report", "agents", *WEEK)
    assert answer.stderr == ""
    assert "latecomer" in answer.stdout


def test_a_disk_that_may_only_be_read_is_reported_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of before, and why they are not newer."""
    with small_disk(tmp_path / "disk", 2048) as disk:
        home = disk / "hub"
        monkeypatch.setenv("PYJAMA_HOME", str(home))
        a_week.lived(home, tmp_path, monkeypatch)
        leave_journal(home, "w-2-b", tool(a_week.at(28, 9)))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        answer = pyjama("report", "agents", *WEEK)
    assert (answer.returncode, "builder" in answer.stdout) == (0, True)
    assert answer.stderr.count("These figures are not up to date.") == 1
    assert "Read-only" in answer.stderr


def test_a_database_that_is_locked_is_reported_with_a_warning(week: Path) -> None:
    """Somebody else writes for long: what can be read is shown."""
    leave_journal(week, "w-2-b", tool(a_week.at(28, 9)))
    other = sqlite3.connect(week / "history.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        answer = pyjama("report", "agents", *WEEK)
    finally:
        other.close()
    assert (answer.returncode, "builder" in answer.stdout) == (0, True)
    assert "These figures are not up to date." in answer.stderr


def test_a_damaged_database_is_built_anew_and_said(week: Path) -> None:
    """It is put aside, and the journals that are left are counted again."""
    for suffix in ("-wal", "-shm"):
        (week / f"history.db{suffix}").unlink(missing_ok=True)
    (week / "history.db").write_bytes(b"no database" * 1000)
    answer = pyjama("report", "agents", *WEEK)
    assert answer.returncode == 0
    assert "builder" in answer.stdout
    assert "set aside" in answer.stderr
    assert len(list(week.glob("history.db.corrupt-*"))) == 1


def test_a_database_of_a_newer_version_is_left_alone(week: Path) -> None:
    """One sentence, code 1, and nothing is changed."""
    with sqlite3.connect(week / "history.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    answer = pyjama("report", "agents", *WEEK)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.count("a newer version of pyjama-metrics made it") == 1


def test_colour_and_bars_are_for_terminals_and_pipes_get_text(week: Path) -> None:
    """And nothing of another process's name reaches a terminal as a command."""
    leave_journal(week, "w-2-b", a_week.call(a_week.at(28, 9), "\x1b[31mred\x07", 0, 0, cost_micros=1_000_000))
    code, shown = in_terminal(*PYJAMA, "report", "agents", *WEEK, env={"COLUMNS": "100", "PYTHONIOENCODING": "utf-8"})
    assert code == 0
    assert "\x1b[36m" in shown
    assert "█" in shown
    assert "\x1b[31m" not in shown
    assert "\\x1b[31mred\\x07" in shown
    for words in (["report", "agents", *WEEK, "--csv"], ["export", *EXPORTED, "--format", "csv"], ["export", *EXPORTED]):
        shown = in_terminal(*PYJAMA, *words)[1]
        assert "red" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown
    plain = in_terminal(*PYJAMA, "report", "agents", *WEEK, env={"NO_COLOR": "1", "COLUMNS": "100"})[1]
    assert "\x1b" not in plain


def test_a_bar_shows_how_far_counting_is_and_goes_away(home: Path, tmp_path: Path) -> None:
    """What takes longer than a second is not silent; in a pipe it is."""
    event = tool(a_week.NOW - 1)
    leave_journal(home, "w-1-a", *[event] * 200_000)
    code, shown = in_terminal(*PYJAMA, "report", "agents", *WEEK, env={"PYTHONIOENCODING": "utf-8"})
    assert code == 0
    drawn = [part for part in shown.split("\r") if "counting what was recorded" in part]
    # On a machine that counts all of it within a second there is nothing to show.
    assert not drawn or (drawn[0].startswith("\x1b[K") and "%" in drawn[0])
    assert shown.count("\x1b[K") in (0, len(drawn) + 1)
    caught_up(home)
