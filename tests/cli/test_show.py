from __future__ import annotations

import json

from pyjama_metrics import (
    flush,
    record_agent_complete,
    record_agent_start,
    record_agent_waiting,
    record_error,
    record_llm_usage,
    record_tool_execution,
)
from tests.cli.commands import PYJAMA, agent, figures, in_terminal, pyjama


def test_an_empty_hub_is_said_to_be_empty() -> None:
    """A newcomer is told what to do next, not shown empty tables."""
    answer = pyjama("show")
    assert answer.returncode == 0
    assert "Nothing is recorded" in answer.stdout
    assert "pyjama-metrics demo" in answer.stdout


def test_totals_agents_and_tools_are_shown() -> None:
    """Every figure of the overview is there, with status as word and shape."""
    record_agent_start("builder")
    for status in ("ok", "ok", "error"):
        record_tool_execution("compile", "builder", status, 200.0)
    record_llm_usage("builder", "m", 100, 20)
    record_llm_usage("builder", "m", cost_usd=0.25)
    record_llm_usage("builder", "claude-opus-4-8", 1_000, request_id="r1")
    record_agent_start("asker")
    record_agent_waiting("asker", "for a yes")
    shown = pyjama("show").stdout
    assert "agents  2: 1 running, 1 waiting" in shown
    assert "tools   3 executions, 1 error; success 66.7 %, average 200 ms, p95 200 ms" in shown
    assert "models  3 calls, 1,120 tokens" in shown
    cost = "$0.255: $0.25 reported, $0.005 computed, 1 call unpriced (m)"
    assert f"cost    {cost}" in shown
    assert f"cost       {cost}" in pyjama("show", "builder").stdout
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line}
    assert rows["builder"][1:] == ["●", "running", "1", "3", "66.7", "%", "200", "ms", "just", "now", "compile"]
    assert rows["asker"][1:3] == ["◐", "waiting"]
    assert "waits: for a yes" in shown
    assert rows["compile"][1:5] == ["3", "1", "66.7", "%"]


def test_what_was_recorded_a_moment_ago_is_counted() -> None:
    """Figures are fresh, without anybody else folding."""
    record_tool_execution("t", "a")
    assert figures()["metrics"]["global"]["count"] == 1


def test_the_json_is_the_data_of_the_dashboard() -> None:
    """Programs get the same view as the page: kebab-case keys, rates from 0 to 1."""
    record_tool_execution("t", "a", "ok", 10.0)
    shown = figures()
    assert shown["metrics"]["tools"]["t"]["success-rate"] == 1.0
    assert {"agents", "metrics", "recent-logs", "overview", "problems"} <= shown.keys()


def test_one_agent_is_shown_in_detail() -> None:
    """Its runs with how they ended, its tools, its labels, where it ran."""
    run = record_agent_start("builder", labels={"branch": "main"})
    record_tool_execution("link", "builder", "error", 5.0)
    record_error("builder", "no such symbol")
    record_agent_complete("builder", "failed", "gave up")
    assert flush(10)
    shown = pyjama("show", "builder").stdout
    for expected in ("✗ failed", "branch=main", "no such symbol", "gave up", run, "link", "1 execution, 1 error"):
        assert expected in shown
    detail = agent("builder")
    assert (detail["agent-id"], detail["status"], detail["tools"]["link"]["error"]) == ("builder", "failed", 1)
    assert detail["runs"][run]["outcome-error"] == "gave up"


def test_an_agent_that_is_not_there_is_said_so_with_a_hint() -> None:
    """A misspelt name is a failure, and the right one is offered."""
    record_agent_start("builder")
    assert flush(10)
    answer = pyjama("show", "bilder")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "There is no agent bilder" in answer.stderr
    assert "Did you mean builder?" in answer.stderr


def test_a_long_name_is_cut_in_the_table_and_whole_in_json() -> None:
    """No line is wider than the terminal."""
    record_tool_execution("t" * 300, "a" * 300)
    assert flush(10)
    shown = pyjama("show", env={"COLUMNS": "80"}).stdout
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "a" * 300 in json.loads(pyjama("show", "--json").stdout)["agents"]


def test_json_for_a_terminal_holds_no_commands_for_it() -> None:
    """Control characters and those that turn text around are escaped there, as JSON may; a program gets the name as it is."""
    name = "a\x9b31mb\u202ec\x7f"
    record_agent_start(name)
    flush(10)
    code, shown = in_terminal(*PYJAMA, "show", "--json")
    assert (code, [character for character in "\x9b\u202e\x7f" if character in shown]) == (0, [])
    assert name in json.loads(shown)["agents"]
    assert name in json.loads(pyjama("show", "--json").stdout)["agents"]


def test_today_begins_at_midnight_where_the_terminal_is() -> None:
    """The same day as on the page of this machine."""
    shown = json.loads(pyjama("show", "--json", env={"TZ": "HERE-5:30"}).stdout)
    assert (shown["today"]["since"] / 3_600_000 + 5.5) % 24 == 0
