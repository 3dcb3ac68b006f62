from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyjama_metrics import flush, record_agent_start, record_tool_execution
from tests.cli.commands import PYJAMA, figures, in_terminal, pyjama
from tests.histories import caught_up
from tests.histories import executions as recorded


@pytest.fixture(autouse=True)
def something_to_clear() -> None:
    """An agent, a tool, an execution and a log entry."""
    record_agent_start("builder")
    record_tool_execution("compile", "builder")
    assert flush(10)


def executions() -> int:
    """How many tool executions are counted now."""
    count: int = figures()["metrics"]["global"]["count"]
    return count


def test_off_a_terminal_it_clears_without_a_question() -> None:
    """``clear-metrics`` in a script just clears, and says what went and what stays."""
    answer = pyjama("clear")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "1 agent, 1 tool, 1 tool execution, 1 log entry" in answer.stdout
    assert "Running agents go on recording." in answer.stdout
    assert executions() == 0


def test_running_agents_go_on_and_are_counted_anew() -> None:
    """What is recorded after the clear counts."""
    assert pyjama("clear").returncode == 0
    record_tool_execution("compile", "builder")
    assert executions() == 1


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 0), ("yes\n", 0, 0), ("n\n", 1, 1), ("\n", 1, 1), ("\x04", 1, 1)])
def test_on_a_terminal_it_asks_first(typed: str, code: int, left: int) -> None:
    """Only a yes clears; anything else leaves everything and ends with 1."""
    answered, shown = in_terminal(*PYJAMA, "clear", typed=typed)
    assert "This clears 1 agent" in shown
    assert (answered, executions()) == (code, left)


def test_yes_spares_the_question() -> None:
    """--yes is for those who know."""
    answered, shown = in_terminal(*PYJAMA, "clear", "--yes")
    assert (answered, "?" in shown, executions()) == (0, False, 0)


def test_json_says_what_went() -> None:
    """Programs learn what was there."""
    told = json.loads(pyjama("clear", "--json").stdout)
    assert told["cleared"] == {"agents": 1, "tools": 1, "executions": 1, "log-entries": 1}


def test_the_history_stays_unless_it_is_named(home: Path) -> None:
    """Two things that are lost are two decisions; the question names both."""
    caught_up(home)
    assert pyjama("clear").returncode == 0
    assert recorded(home)[0] == 1
    answer = pyjama("clear", "--history")
    assert "and the whole history" in answer.stdout
    assert recorded(home)[0] == 0
    shown = in_terminal(*PYJAMA, "clear", "--history", typed="n\n")[1]
    assert "and the whole history" in shown
