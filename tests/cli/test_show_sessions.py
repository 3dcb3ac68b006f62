"""What ``show`` prints about sessions of other programs: whose they are, what they wait for, how full they are, what is below."""

from __future__ import annotations

import json
from pathlib import Path

from pyjama_metrics.cli.session_lines import context_line, limit_line
from pyjama_metrics.views import AboutView, LimitView
from tests.cli.commands import pyjama
from tests.journals import Event, event, lines, live_journal, now_ms, tool

NOW = now_ms()
WRITER = "claude-code-s1-4711-ab"
HOUR = 3_600_000


def session(**told: object) -> list[Event]:
    """A session of Claude Code that waits for a permission, with a subagent at work that has one of its own."""
    run = f"{WRITER}.1"
    labels = {"session": "s1", "project": "shop", "version": "2.1.329", "entrypoint": "cli", "team": "web"}
    return [
        event("start", NOW - HOUR, "shop", run=run, source="claude-code", labels=labels),
        event("session", NOW - 1000, "shop", run=run, **told),
        event("start", NOW - 900, "shop/Explore", run=f"{WRITER}.x", parent=run, parent_agent="shop", source="claude-code"),
        tool(NOW - 800, "shop/Explore", "Read", run=f"{WRITER}.x", status="error"),
        event("start", NOW - 700, "shop/deep", run=f"{WRITER}.y", parent=f"{WRITER}.x", parent_agent="shop/Explore"),
        event("llm", NOW - 600, "shop/deep", run=f"{WRITER}.y", model="gpt-4o", input_tokens=1000, output_tokens=100),
        event("waiting", NOW - 500, "shop", run=run, reason="permission to use Bash"),
    ]


def shown(home: Path, *words: str, columns: str = "140", **told: object) -> str:
    """What ``show`` prints of that session."""
    with live_journal(home, WRITER) as journal:
        journal.append(lines(*session(**told)))
        answer = pyjama("show", *words, env={"COLUMNS": columns})
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_agents_are_told_with_their_source_and_what_they_wait_for(home: Path) -> None:
    """Also where there is little room."""
    for columns, source in (("140", "Claude Code  "), ("80", "Claude  ")):
        rows = {line.split("  ")[0]: line for line in shown(home, columns=columns).splitlines()}
        assert source in rows["shop"]
        assert "waits: permission" in rows["shop"]


def test_limits_of_the_plan_are_told_once_and_first(home: Path) -> None:
    """Before the tables, with the time of the reset; one that was reset since says so."""
    text = shown(home, limits={"five_hour": [42, NOW + HOUR], "seven_day": [71.6, NOW - HOUR], "odd\x1b[2J": [3, 0]})
    (line,) = [line for line in text.splitlines() if line.startswith("limits")]
    assert line.startswith("limits  Claude Code ")
    assert "5 h: 42 %, resets " in line
    assert "7 days: began anew " in line
    assert "odd\\x1b[2J: 3 %" in line
    assert text.index("limits ") < text.index("AGENT")


def test_an_agent_is_told_with_branch_model_context_and_all_that_is_below_it(home: Path) -> None:
    """The tree has each level indented."""
    told = {"model": "claude-opus-4-8", "branch": "main", "context_tokens": 82_000, "context_window": 200_000}
    text = shown(home, "shop", **told)
    facts = {line[2:11].strip(): line[13:] for line in text.splitlines() if line.startswith("  ")}
    assert facts["source"] == "Claude Code 2.1.329, cli"
    assert (facts["session"], facts["project"], facts["branch"], facts["model"]) == ("s1", "shop", "main", "claude-opus-4-8")
    assert facts["context"] == "41 % (82,000 of 200,000 tokens)"
    assert facts["labels"] == "team=web"
    below = text.partition("BELOW IT")[2].splitlines()[1:]
    assert [row.split("  ")[0] or row[2:].split("  ")[0] for row in below] == ["shop/Explore", "shop/deep"]
    assert below[0].split()[1:5] == ["●", "running", "1", "1"]
    assert "1,100" in below[1]
    assert "$0.0035" in below[1]


def test_agents_without_a_session_look_as_they_did(home: Path) -> None:
    """No column for a source that all have, and no line about sessions."""
    with live_journal(home) as journal:
        journal.append(lines(event("start", NOW, "planner", run="w-1-a.1", source="python", labels={"project": "p"})))
        assert "SOURCE" not in pyjama("show").stdout
        told = pyjama("show", "planner").stdout
        assert "source" not in told
        assert "labels     project=p" in told


def test_programs_get_the_same(home: Path) -> None:
    """``--json`` has what the dashboard has."""
    told = json.loads(shown(home, "--json", branch="main", limits={"five_hour": [42, NOW + HOUR]}))
    assert told["agents"]["shop"]["about"]["branch"] == "main"
    assert told["limits"] == [
        {"source": "claude-code", "name": "five_hour", "percent": 42.0, "resets": NOW + HOUR, "time": NOW - 1000}
    ]
    assert json.loads(shown(home, "shop", "--json"))["about"]["id"] == "s1"


def test_an_old_figure_says_how_old_it_is() -> None:
    """What a session told ten minutes ago may be another by now."""
    limit = LimitView(source="codex", name="primary", percent=99.6, resets=None, time=NOW - 2 * HOUR)
    assert limit_line(limit, NOW) == "primary: 100 % (told 2 h 0 min ago)"
    about = AboutView(
        id=None,
        project=None,
        subagent=None,
        branch=None,
        model=None,
        version=None,
        entrypoint=None,
        cwd=None,
        context_tokens=5_000,
        context_window=None,
        context_percent=None,
        context_time=NOW - HOUR,
        limits=[],
    )
    assert context_line(about, NOW) == "5,000 tokens (told 1 h 0 min ago)"
    assert context_line(about, NOW - HOUR) == "5,000 tokens"
