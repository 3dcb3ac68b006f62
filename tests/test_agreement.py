"""Totals agree wherever they are kept, and where they do not, that is found."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics import agreement
from pyjama_metrics.checks import check
from pyjama_metrics.hub import Hub
from tests.cli.commands import pyjama
from tests.histories import caught_up, database
from tests.journals import Event, event, leave_journal, now_ms, tool

HOUR, DAY = 3_600_000, 86_400_000


def recorded(home: Path, number: int, begin: int) -> None:
    """A day of two agents: runs, executions and calls, of which many are told twice."""
    chance = random.Random(number)
    writer = f"w-{number}-a"
    events: list[Event] = [event("start", begin, chance.choice("ab"), run=f"{writer}.1", labels={"project": "shop"})]
    for _ in range(60):
        time, agent = begin + chance.randrange(DAY), chance.choice("ab")
        run: dict[str, Any] = chance.choice([{}, {"run": f"{writer}.1"}])
        events.append(tool(time, agent, chance.choice("tu"), status=chance.choice(["ok", "error", "stopped"]), **run))
        events.append(
            event(
                "llm",
                time,
                agent,
                model=chance.choice(["claude-opus-4-8", "gemini-2.5-pro", "nobody's"]),
                input_tokens=chance.randrange(250_000),
                output_tokens=chance.randrange(999),
                **run,
                **chance.choice([{}, {"cost_micros": chance.randrange(100)}, {"tokens_are": "estimated"}]),
                **chance.choice([{}, {"request_id": f"r-{chance.randrange(20)}"}]),
            )
        )
    leave_journal(home, writer, *events)


def differing(home: Path) -> dict[str, int]:
    """What was compared and is not the same, with how many sums differ."""
    found: dict[str, int] = {}
    for each in agreement.compare(Hub(str(home))):
        if each.differences:
            found[f"{each.what}: {each.one}, {each.other}"] = len(each.differences)
    return found


def test_whatever_is_recorded_agrees_everywhere(home: Path) -> None:
    """In several folds, with calls that move from one agent, day or run to another; every place has something to compare."""
    begin = now_ms() // DAY * DAY - 2 * DAY
    for number in range(4):
        recorded(home, number, begin + number % 2 * DAY)
        assert differing(home) == {}
    assert {each.what for each in agreement.compare(Hub(str(home))) if not each.compared} == set()


def test_a_clear_leaves_the_history_with_more_and_that_is_no_difference(home: Path) -> None:
    """What both know since then is compared again."""
    begin = now_ms() // DAY * DAY - DAY
    recorded(home, 1, begin)
    caught_up(home).clear()
    leave_journal(home, "w-2-a", tool(now_ms(), "a"))
    assert differing(home) == {}
    Hub(str(home)).clear(history=True)
    recorded(home, 3, begin)
    assert differing(home) == {}


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE usage SET output = output + 1 WHERE begin = (SELECT max(begin) FROM usage)", 3),
        ("DELETE FROM usage_totals WHERE agent > 0 AND begin % 7 = 0", 1),
        ("UPDATE usage_totals SET reported_micros = reported_micros + 1 WHERE agent = 0", 3),
        ("UPDATE totals SET success = success + 1 WHERE agent = -1", 1),
        ("DELETE FROM minutes WHERE begin = (SELECT min(begin) FROM minutes)", 3),
        ("UPDATE run_tools SET success = success + 1", 1),
    ],
)
def test_a_row_that_is_not_what_it_was_is_found(home: Path, statement: str, found: int) -> None:
    """In whichever of the places it is."""
    recorded(home, 1, now_ms() // DAY * DAY - DAY)
    assert differing(home) == {}
    with database(home) as connection:
        assert connection.execute(statement).rowcount > 0
    assert len(differing(home)) == found


def test_a_figure_that_is_not_what_it_was_is_found_and_told(home: Path) -> None:
    """By the command, as a problem with its place; the exit code says so."""
    recorded(home, 1, now_ms() // DAY * DAY - DAY)
    assert differing(home) == {}
    told = pyjama("doctor", "--deep")
    assert (told.returncode, "all agree" in told.stdout) == (0, True)
    state = json.loads((home / "metrics.json").read_text())
    day = next(iter(state["ledger"]))
    state["ledger"][day][2] += 1
    (home / "metrics.json").write_text(json.dumps(state))
    assert set(differing(home)) == {
        "model calls: their totals, the rows of the ledger",
        "days of model calls: the figures, the history",
    }
    kinds = [problem.kind for problem in check(Hub(str(home)), deep=True)]
    assert kinds.count("sums-differ") == 2
    told = pyjama("doctor", "--deep")
    assert (told.returncode, "differ" in told.stdout) == (1, True)
    assert pyjama("doctor").returncode == 0


def test_calls_of_more_models_than_are_kept_apart_agree_in_sum(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger of the figures has fewer rows than the history then."""
    begin = now_ms() // DAY * DAY - DAY
    calls = [event("llm", begin + each, "a", model=f"model {each}", input_tokens=each) for each in range(3_000)]
    leave_journal(home, "w-1-a", *calls)
    assert differing(home) == {}
    days = next(each for each in agreement.compare(Hub(str(home))) if each.what == "days of model calls")
    assert 0 < days.compared < 20


def test_without_a_history_the_figures_are_compared_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be an old one that nobody writes any more."""
    recorded(home, 1, now_ms() - DAY)
    caught_up(home)
    monkeypatch.setenv("PYJAMA_HISTORY", "0")
    leave_journal(home, "w-2-a", tool(now_ms(), "a"))
    assert differing(home) == {}
    assert len(agreement.compare(Hub(str(home)))) == 2
