from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime

from pyjama_metrics import (
    flush,
    record_agent_complete,
    record_agent_start,
    record_agent_waiting,
    record_error,
    record_llm_usage,
    record_tool_execution,
)
from pyjama_metrics.cli.shares_table import NONE
from pyjama_metrics.shares import KINDS
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


def shares(*words: str) -> dict[str, list[str]]:
    """The rows of ``show --by``, by their names: the cells that two spaces part."""
    lines = pyjama("show", *words).stdout.partition("\n\n")[0].splitlines()
    return {cells[0]: cells[1:] for cells in (re.split(r"  +", line.strip()) for line in lines)}


def spend() -> str:
    """A run of a project that asks three models, another without a project, and a call of no run; the id of the first."""
    run = record_agent_start("builder", labels={"project": "site"})
    record_llm_usage("builder", "claude-opus-4-8", 1_000, 400, phase="plan", tool="grep")
    record_llm_usage("builder", "unheard-of", 7, phase="plan")
    record_agent_start("asker")
    record_llm_usage("asker", "claude-opus-4-8", prompt="x" * 4_000, answer="y" * 4_000, estimate=True)
    record_llm_usage("nobody", "mine", 10, 10, cost_usd=0.5)
    assert flush(10)
    return run


def test_cost_is_told_by_each_kind() -> None:
    """What is not known has a name, an estimate a ~, what is unpriced a +; and each table comes to the same."""
    run = spend()
    builder, asker, nobody = "$0.015+", "~$0.0425", "$0.50"
    expected = {
        "model": {"claude-opus-4-8": "~$0.0575", "unheard-of": "unpriced", "mine": "$0.50"},
        "phase": {"plan": builder, "(no phase)": "~$0.5425"},
        "tool": {"grep": "$0.015", "(no tool)": "~$0.5425+"},
        "project": {"site": builder, "(no project)": "~$0.5425"},
        "host": {os.uname().nodename: "~$0.0575+", "(host not known)": nobody},
        "day": {f"{datetime.now(UTC):%Y-%m-%d}": "~$0.5575+"},
        "agent": {"builder": builder, "asker": asker, "nobody": nobody},
    }
    for kind, costs in expected.items():
        title, *rows = shares("--by", kind).items()
        assert title == (kind.upper(), ["CALLS", "TOKENS", "COST", "REPORTED", "COMPUTED", "UNPRICED"])
        assert {name: cells[2] for name, cells in rows} == costs, kind
        assert (
            "4 calls, ~3,927 tokens, ~$0.5575: $0.50 reported, ~$0.0575 computed, 1 call unpriced (unheard-of)"
            in pyjama("show", "--by", kind).stdout
        )
    by_run = shares("--by", "run")
    assert by_run[run] == ["builder", "2", "1,407", builder, "–", "$0.015", "1 call: unheard-of"]
    assert by_run["(no run, or let go)"] == ["1", "20", nobody, nobody, "–"]


def test_cost_of_one_agent_is_told_by_each_kind() -> None:
    """Only its own; and its runs have theirs in its detail."""
    run = spend()
    assert shares("builder", "--by", "model")["claude-opus-4-8"] == ["1", "1,400", "$0.015", "–", "$0.015"]
    assert {name: cells[2] for name, cells in shares("builder", "--by", "project").items()} == {
        "PROJECT": "COST",
        "site": "$0.015+",
    }
    assert shares("builder", "--by", "run")[run][:3] == ["2", "1,407", "$0.015+"]
    assert shares("nobody", "--by", "run")["(no run, or let go)"][:3] == ["1", "20", "$0.50"]
    [row] = [line.split() for line in pyjama("show", "builder").stdout.splitlines() if line.startswith(run)]
    assert row[-2:] == ["1,407", "$0.015+"]
    assert agent("builder")["runs"][run]["computed-micros"] == 15_000


def test_shares_are_json_for_programs() -> None:
    """Names as they are, and the parts of the cost; null where nothing is known."""
    run = spend()
    told = json.loads(pyjama("show", "--by", "run", "--json").stdout)
    assert (told["by"], told["agent-id"], told["total"]["cost-micros"]) == ("run", None, 557_500)
    rows = {(row["name"], row.get("agent-id")): row for row in told["rows"]}
    row = rows[run, "builder"]
    assert (row["reported-micros"], row["computed-micros"], row["unpriced-models"]) == (None, 15_000, ["unheard-of"])
    assert rows["", None]["reported-micros"] == 500_000
    told = json.loads(pyjama("show", "builder", "--by", "model", "--json").stdout)
    assert {row["name"]: row["cost-micros"] for row in told["rows"]} == {"claude-opus-4-8": 15_000, "unheard-of": None}


def test_where_no_model_was_called_that_is_said() -> None:
    """Of all, and of an agent; and a kind that is none is refused with those that are."""
    record_agent_start("quiet")
    assert flush(10)
    assert "No model call is recorded yet." in pyjama("show", "--by", "model").stdout
    assert "No model call of quiet is recorded yet." in pyjama("show", "quiet", "--by", "run").stdout
    assert json.loads(pyjama("show", "--by", "day", "--json").stdout)["rows"] == []
    refused = pyjama("show", "--by", "colour")
    assert (refused.returncode, "'model', 'phase', 'tool', 'project', 'host', 'day', 'run', 'agent'" in refused.stderr) == (
        2,
        True,
    )
    assert tuple(NONE) == KINDS


def test_a_name_of_a_project_may_be_anything() -> None:
    """It is cut to the width, and holds no command for the terminal."""
    record_agent_start("a", labels={"project": "\x1b[31m" + "p" * 300})
    record_llm_usage("a", "m\x9b", 5)
    assert flush(10)
    shown = pyjama("show", "--by", "project", env={"COLUMNS": "80"}).stdout
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    table = shown.partition("\n\n")[0].splitlines()
    assert max(len(line) for line in table) <= 80


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
