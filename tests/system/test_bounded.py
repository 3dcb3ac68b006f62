"""However much is recorded, what is kept stays small: the shared file, the journals, and the work of one fold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics.hub import Hub
from pyjama_metrics.retention import MAX_AGENT_LEDGER_ROWS, MAX_AGENTS, MAX_LEDGER_ROWS, MAX_OPEN_AGENTS, MAX_TOOLS
from pyjama_metrics.roll_ups import MAX_ROWS
from tests.system.processes import figures, journal, journal_of_the_dead, line, run_to_end, tool_line

MANY_AGENTS = """
for number in range(int(sys.argv[1])):
    name = f"agent-{number}"
    p.record_agent_start(name)
    for tool in range(3):
        p.record_tool_execution(f"tool-{number % 1500}-{tool}", name, "ok", 1.0 + number)
    p.record_agent_activity(name)
    p.record_llm_usage(name, f"model-{number}", 1, 1, phase=f"phase-{number}", request_id=name)
    p.record_message(name, f"role-{number}")
    p.record_agent_complete(name)
"""


def size(home: Path) -> int:
    """Bytes of the shared file."""
    return (home / "metrics.json").stat().st_size


def test_two_thousand_agents_leave_a_file_of_bounded_size(home: Path) -> None:
    """The totals are exact, what left is counted, and twice as many agents make it no larger."""
    many_agents(home, 1_000)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_agents_leave_a_file_of_bounded_size(home: Path) -> None:
    """The same with many more, in ten waves of a thousand."""
    many_agents(home, 5_000)


def many_agents(home: Path, number: int) -> None:
    """Record ``number`` agents, and as many again under other names; compare the two files."""
    run_to_end(MANY_AGENTS, number)
    assert_bounded(figures(home), number)
    before = size(home)
    run_to_end(MANY_AGENTS.replace("agent-{", "other-{"), number)
    assert_bounded(figures(home), 2 * number)
    assert size(home) < 1.1 * before


def assert_bounded(state: dict[str, Any], number: int) -> None:
    """What is kept is within its limits, and with what is counted as gone it is all there."""
    assert state["global"]["count"] == 3 * number
    assert (state["runs"]["started"], state["runs"]["completed"]) == (number, number)
    assert state["tokens"]["requests"] == number
    assert len(state["agents"]) == MAX_AGENTS
    assert len(state["agents"]) + state["evicted"]["agents"] == number
    kept = sum(agent["count"] for agent in state["agents"].values())
    assert kept + state["evicted"]["executions"] == 3 * number
    assert len(state["tools"]) <= MAX_TOOLS
    assert len(state["models"]) <= 200
    assert len(state["phases"]) <= 200
    assert len(state["messages"]) <= 50
    assert len(state["ledger"]) <= MAX_LEDGER_ROWS
    assert sum(row[0] for row in state["ledger"].values()) == number
    assert max(len(each["ledger"]) for each in state["roll-ups"]["quarters"].values()) <= MAX_ROWS
    assert len(state["recent-logs"]) == 100
    assert set(state["problems"].values()) == {0}


def test_agents_that_never_end_are_bounded_too(home: Path) -> None:
    """A program that starts agents and completes none does not fill the file for ever."""
    with journal(home) as written:
        for number in range(MAX_OPEN_AGENTS + 500):
            name = f"agent-{number}"
            written.append(line("start", agent=name, run=f"hand-1-1.{number}") + tool_line(name, run=f"hand-1-1.{number}"))
        state = figures(home)
    assert (len(state["agents"]), state["evicted"]["agents"]) == (MAX_OPEN_AGENTS, 500)
    assert state["global"]["count"] == MAX_OPEN_AGENTS + 500


def test_one_agent_with_many_runs_tools_and_steps_is_bounded(home: Path) -> None:
    """The agent counts them all and lists a few."""
    run_to_end("""
    for number in range(1000):
        with p.track_agent("a"):
            p.record_tool_execution(f"tool-{number}", "a", "ok", 1.0)
            p.record_workflow_info("a", [f"step-{number}-{i}" for i in range(300)])
            p.record_error("a", "x" * 100_000)
    """)
    state = figures(home)
    found = state["agents"]["a"]
    assert (found["count"], found["run-counts"]["started"], found["run-counts"]["completed"]) == (1000, 1000, 1000)
    assert len(found["runs"]) <= 5
    assert len(found["tools"]) <= 50
    assert max(len(run["steps"]) for run in found["runs"].values()) <= 100
    assert size(home) < 1_000_000


def test_an_agent_with_many_models_and_tools_behind_them_is_bounded(home: Path) -> None:
    """No call is lost; the models that are called most keep their price."""
    run_to_end("""
    for number in range(2000):
        p.record_llm_usage("a", f"model-{number % 300}" if number % 4 else "main", 1, 1, phase=f"p-{number}", tool=f"t-{number}")
    """)
    state = figures(home)
    ledger = state["agents"]["a"]["ledger"]
    assert len(ledger) <= MAX_AGENT_LEDGER_ROWS
    assert sum(row[0] for row in ledger.values()) == sum(row[0] for row in state["ledger"].values()) == 2000
    assert sum(row[0] for key, row in ledger.items() if key.endswith("|computed|main||")) == 500
    assert size(home) < 400_000


def test_the_file_does_not_grow_with_the_number_of_executions(home: Path) -> None:
    """Twenty times as many of the same kind: the numbers have a digit or two more, in each bucket of each histogram."""
    code = "for i in range(int(sys.argv[1])): p.record_tool_execution(f't-{i % 5}', 'a', 'ok', float(i % 97))"
    run_to_end(code, 5_000)
    figures(home)
    before = size(home)
    run_to_end(code, 95_000)
    assert figures(home)["global"]["count"] == 100_000
    # And there may be a slice of a minute or two more, of 150 bytes each.
    assert size(home) < before + 2_000


def test_journals_go_when_they_are_read(home: Path) -> None:
    """A long-lived process goes on to a new segment, and the old one is removed; a dead process leaves nothing."""
    run_to_end("""
    for _ in range(4):
        for _ in range(70_000): p.record_tool_execution("a-tool", "an-agent-with-a-name", "ok", 1.0)
        p.flush()
    p.flush()
    segments = [name for name in os.listdir(os.environ["PYJAMA_HOME"] + "/journal") if name.endswith(".jsonl")]
    assert len(segments) <= 2, segments
    """)
    hub = Hub(str(home))
    for number in range(3):  # one generation late, and only when the owner was seen dead
        hub._watch._due = 0.0
        journal_of_the_dead(home, f"nudge-1-{number}", tool_line("nudge"))
        hub.fold(None)
    assert hub.read()["tools"]["a-tool"]["count"] == 280_000
    left = [name for name in os.listdir(home / "journal") if name.startswith("python-")]
    assert left == []
    assert len(hub.read()["journals"]) <= 3
