"""``pyjama-metrics show``: the figures as they are now, of all agents or of one."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyjama_metrics.cli import terminal
from pyjama_metrics.cli.fresh_figures import fresh_state
from pyjama_metrics.cli.shares_table import NONE, cost, cost_words, show_shares, tokens
from pyjama_metrics.cli.terminal import Cell, Column, Screen

if TYPE_CHECKING:
    from pyjama_metrics.hub import Hub
    from pyjama_metrics.views import AgentView, Dashboard, ToolView, UsageView

DESCRIPTION = """\
Print totals, agents and tools as they are now. Whatever any process has recorded is counted first. With the
name of an agent, print that agent: its runs and its tools. With --by, print its model calls, or those of all
agents, and what they cost.
"""

EXAMPLES = """\
examples:
  pyjama-metrics show
  pyjama-metrics show builder               one agent
  pyjama-metrics show --by model            tokens and cost of each model
  pyjama-metrics show builder --by run
  pyjama-metrics show --json | jq '.agents | map_values(.status)'
  watch -n 1 pyjama-metrics show

Costs: a + says that some calls are unpriced and in no sum, a ~ that tokens are estimated.
Success rates: of tools success / (success + error); of runs completed / (completed + failed + crashed).
"""

_RUNS_SHOWN = 10
_NARROW = 110
"""Columns below which the table of agents leaves figures out where their sources are told."""

_AGENT_COLUMNS = (
    Column("AGENT", names=True),
    Column("STATUS"),
    Column("RUNS", right=True),
    Column("TOOLS", right=True),
    Column("SUCCESS", right=True),
    Column("AVERAGE", right=True),
    Column("LAST SEEN", right=True),
    Column("NOW", names=True),
)
_TOOL_COLUMNS = (
    Column("TOOL", names=True),
    Column("COUNT", right=True),
    Column("ERRORS", right=True),
    Column("SUCCESS", right=True),
    Column("AVERAGE", right=True),
    Column("P50", right=True),
    Column("P95", right=True),
    Column("P99", right=True),
)
_AGENT_TOOL_COLUMNS = (*_TOOL_COLUMNS[:5], Column("LAST SEEN", right=True))
_RUN_COLUMNS = (
    Column("RUN", names=True),
    Column("STATUS"),
    Column("STARTED", right=True),
    Column("LASTED", right=True),
    Column("TOOLS", right=True),
    Column("ERRORS", right=True),
    Column("TOKENS", right=True),
    Column("COST", right=True),
    Column("WHY", names=True),
)


_TOLD_OF_SESSIONS = ("session", "project", "version", "entrypoint", "subagent")
"""Labels that have a line of their own where a session is told."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``show``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument("agent", nargs="?", metavar="AGENT", help="only this agent, in detail")
    parser.add_argument("--by", choices=tuple(NONE), metavar="KIND", help=f"model calls and their cost by {', '.join(NONE)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(arguments: argparse.Namespace) -> int:
    """Print what was asked for; 1 if there is no such agent."""
    from pyjama_metrics.events import text_of
    from pyjama_metrics.hub import Hub

    hub = Hub()
    if arguments.agent is None and arguments.by is not None:
        return show_shares(fresh_state(hub), arguments.by, None, as_json=arguments.json)
    if arguments.agent is None:
        return overall(hub, as_json=arguments.json)
    state = fresh_state(hub)
    name = text_of(arguments.agent)
    if name not in state["agents"]:
        terminal.complain(_no_such_agent(name, list(state["agents"]), hub.folder))
        return 1
    if arguments.by is not None:
        return show_shares(state, arguments.by, name, as_json=arguments.json)
    return _one(state, name, _now_ms(), arguments.json)


def _now_ms() -> int:
    return int(time.time() * 1000)


def _no_such_agent(name: str, known: list[str], folder: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name[:200], known, n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else "'pyjama-metrics show' lists those that are there."
    return f"There is no agent {terminal.cut(name, 60)} in {folder}. {hint}"


def overall(hub: Hub, *, as_json: bool) -> int:
    """Print the figures of all agents of ``hub``, fresh; the exit code."""
    from pyjama_metrics.days import local_midnight
    from pyjama_metrics.queries import dashboard
    from pyjama_metrics.storage import config
    from pyjama_metrics.views import as_json as plain

    now_ms = _now_ms()
    view = dashboard(fresh_state(hub), now_ms, today_ms=local_midnight(now_ms / 1000), overrides=config.load().prices)
    if as_json:
        from pyjama_metrics.cli.printing import print_json

        print_json(plain(view))
        return 0
    screen = Screen(sys.stdout)
    if not view.agents and not view.metrics.tools:
        screen.line(f"Nothing is recorded in {terminal.printable(hub.folder)} yet. 'pyjama-metrics demo' shows how it looks.")
    else:
        _totals(screen, view, now_ms)
        _agents(screen, view, now_ms)
        _tools(screen, view)
    _problems(screen, view)
    return 0


def _totals(screen: Screen, view: Dashboard, now_ms: int) -> None:
    from pyjama_metrics.cli.session_lines import limit_lines

    figures, runs, usage, overview = (
        view.metrics.global_,
        view.metrics.runs,
        view.metrics.tokens,
        view.overview,
    )
    by_status = [
        f"{number} {word}"
        for word in ("running", "waiting", "crashed", "finished", "unknown")
        if (number := getattr(overview, word))
    ]
    screen.line(f"agents  {overview.agents}: {', '.join(by_status) or 'none'}")
    outcomes = f"{runs.completed} completed, {runs.failed} failed, {runs.crashed} crashed, {runs.stopped} stopped"
    screen.line(f"runs    {runs.started} started: {outcomes}; success {screen.figure(terminal.rate(runs.success_rate))}")
    screen.line(
        f"tools   {terminal.things(figures.count, 'execution')}, {terminal.things(figures.error, 'error')}{_apart(figures)}; "
        f"success {screen.figure(terminal.rate(figures.success_rate))}, "
        f"average {screen.figure(terminal.duration(figures.avg_duration_ms))}, "
        f"p95 {screen.figure(terminal.duration(figures.p95_ms))}"
    )
    if usage.requests:
        used = f"{tokens(usage.total_tokens, usage)} token{'' if usage.total_tokens == 1 else 's'}"
        screen.line(f"models  {terminal.things(usage.requests, 'call')}, {used}")
        screen.line(f"cost    {cost_words(usage)}")
    for number, told in enumerate(limit_lines(view.limits, now_ms)):
        screen.line(f"{'' if number else 'limits':<8}{screen.draw(Cell(told), max(20, screen.width - 8))}")


def _agents(screen: Screen, view: Dashboard, now_ms: int) -> None:
    if not view.agents:
        return
    screen.line()
    # That all are in Python is not worth a column. Where there is one, what an agent waits for needs the room of two others.
    has_sources = any(agent.source not in (None, "python") for agent in view.agents.values())
    is_narrow = has_sources and screen.width < _NARROW
    rows: list[list[Cell | str]] = [
        [
            Cell(name, "cyan"),
            *([_source(agent, is_narrow)] if has_sources else []),
            screen.status(agent.status),
            terminal.count(agent.runs_started),
            terminal.count(agent.count),
            *(
                []
                if is_narrow
                else [
                    screen.figure(terminal.rate(agent.success_rate)),
                    screen.figure(terminal.duration(agent.avg_duration_ms)),
                ]
            ),
            screen.figure(terminal.ago(agent.last_seen, now_ms)),
            _now(agent),
        ]
        for name, agent in view.agents.items()
    ]
    columns = [column for column in _AGENT_COLUMNS if not (is_narrow and column.title in ("SUCCESS", "AVERAGE"))]
    if has_sources:
        columns.insert(1, Column("SOURCE", names=True))
    screen.table(columns, rows)


def _source(agent: AgentView, is_narrow: bool) -> str:
    from pyjama_metrics.about_sessions import source_words

    words = source_words(agent.source) if agent.source else ""
    return words.partition(" ")[0] if is_narrow else words


def _now(agent: AgentView) -> str:
    """What an agent is at, if it is at anything."""
    if agent.status == "waiting":
        return f"waits: {agent.waiting_reason}" if agent.waiting_reason else ""
    if agent.status != "running":
        return ""
    return agent.current_step or agent.current_tool or ""


def _tools(screen: Screen, view: Dashboard) -> None:
    if not view.metrics.tools:
        return
    screen.line()
    rows = [
        [
            *_tool_cells(screen, name, tool),
            screen.figure(terminal.duration(tool.p50_ms)),
            screen.figure(terminal.duration(tool.p95_ms)),
            screen.figure(terminal.duration(tool.p99_ms)),
        ]
        for name, tool in view.metrics.tools.items()
    ]
    screen.table(_TOOL_COLUMNS, rows)


def _tool_cells(screen: Screen, name: str, tool: ToolView) -> list[Cell | str]:
    return [
        name,
        terminal.count(tool.count),
        Cell(terminal.count(tool.error), "red" if tool.error else ""),
        screen.figure(terminal.rate(tool.success_rate)),
        screen.figure(terminal.duration(tool.avg_duration_ms)),
    ]


def _problems(screen: Screen, view: Dashboard) -> None:
    if view.problems.total:
        screen.line()
        odd = terminal.things(view.problems.total, "event is", "events are")
        told = f"{odd} missing or odd; 'pyjama-metrics doctor' says which."
        screen.line(screen.paint(told, "yellow"))


def _one(state: Mapping[str, Any], name: str, now_ms: int, as_json: bool) -> int:
    from pyjama_metrics.cli.session_lines import agents_below
    from pyjama_metrics.ledger import cost_of_usage, costs_in
    from pyjama_metrics.queries import agent_view
    from pyjama_metrics.shares import share_in
    from pyjama_metrics.storage import config
    from pyjama_metrics.tallies import tool_view
    from pyjama_metrics.views import as_json as plain

    agent, prices = state["agents"][name], config.load().prices
    view = agent_view(agent, cost=cost_of_usage(agent["tokens"], costs_in(agent, prices)))
    usages = {run_id: share_in(run, prices).view() for run_id, run in agent["runs"].items()}
    tools = {tool: tool_view(tally) for tool, tally in agent["tools"].items()}
    tools = dict(sorted(tools.items(), key=lambda item: (-item[1].count, item[0])))
    if as_json:
        from pyjama_metrics.cli.printing import print_json

        runs = {run_id: {**run, **plain(usages[run_id])} for run_id, run in agent["runs"].items()}
        print_json({"agent-id": name, **plain(view), "tools": plain(tools), "runs": runs})
        return 0
    screen = Screen(sys.stdout)
    _facts(screen, name, agent, view, now_ms)
    _runs(screen, agent, usages, now_ms)
    if tools:
        screen.line()
        seen = [screen.figure(terminal.ago(tool.last_seen, now_ms)) for tool in tools.values()]
        rows = [[*_tool_cells(screen, *item), last] for item, last in zip(tools.items(), seen, strict=True)]
        screen.table(_AGENT_TOOL_COLUMNS, rows)
    agents_below(screen, state, name, prices)
    return 0


def _facts(screen: Screen, name: str, agent: Mapping[str, Any], view: AgentView, now_ms: int) -> None:
    """The lines about an agent as a whole; a fact that is not known has no line."""
    from pyjama_metrics.cli.session_lines import about_lines

    width = screen.width - 13
    screen.line(f"{screen.draw(Cell(name, 'cyan'), width)}  {screen.draw(screen.status(view.status), width)}")
    rate, average = terminal.rate(view.success_rate), terminal.duration(view.avg_duration_ms)
    facts = {
        "now": _now(view),
        **about_lines(view, now_ms),
        "last seen": terminal.ago(view.last_seen, now_ms),
        "runs": f"{view.runs_started} started, {view.runs_completed} completed, {view.runs_failed} failed, "
        f"{view.runs_crashed} crashed, {view.runs_stopped} stopped",
        "tools": f"{terminal.things(view.count, 'execution')}, {terminal.things(view.error, 'error')}{_apart(view)}; "
        f"success {screen.figure(rate)}, average {screen.figure(average)}",
        "tokens": tokens(view.tokens, view) if view.tokens else "",
        "cost": cost_words(view) if view.requests else "",
        "parent": view.parent_agent or view.parent or "",
        "labels": _labels(agent, view),
        "where": _where(agent, view),
        "errors": f"{view.errors}, the last: {view.last_error}" if view.errors else "",
    }
    for word, fact in facts.items():
        if fact:
            screen.line(f"  {screen.paint(f'{word:<9}', 'grey')}  {screen.draw(Cell(fact), width)}")


def _labels(agent: Mapping[str, Any], view: AgentView) -> str:
    labels = agent["labels"] if isinstance(agent["labels"], dict) else {}
    told = () if view.about is None else _TOLD_OF_SESSIONS
    return ", ".join(f"{key}={value}" for key, value in labels.items() if key not in told)


def _where(agent: Mapping[str, Any], view: AgentView) -> str:
    parts = [view.host, f"pid {view.pid}" if view.pid else None, agent["cwd"], agent["tmux-pane"]]
    return ", ".join(part for part in parts if part and isinstance(part, str))


def _runs(screen: Screen, agent: Mapping[str, Any], usages: Mapping[str, UsageView], now_ms: int) -> None:
    runs = sorted(agent["runs"].items(), key=lambda item: _time(item[1]["start-time"]) or item[1]["last-seen"], reverse=True)
    if not runs:
        return
    screen.line()
    screen.table(_RUN_COLUMNS, [_run_cells(screen, name, run, usages[name], now_ms) for name, run in runs[:_RUNS_SHOWN]])
    if len(runs) > _RUNS_SHOWN:
        screen.line(screen.paint(f"and {len(runs) - _RUNS_SHOWN} runs before these", "grey"))


def _run_cells(screen: Screen, name: str, run: Mapping[str, Any], usage: UsageView, now_ms: int) -> list[Cell | str]:
    start, end = _time(run["start-time"]), _time(run["end-time"])
    why = run["outcome-error"] or (run["waiting-reason"] if run["status"] == "waiting" else None)
    lasted = None if start is None else (now_ms if end is None else end) - start
    if end is None and run["status"] not in ("running", "waiting"):
        lasted = None  # nobody knows when it ended
    return [
        name,
        screen.status(run["status"]),
        screen.figure(terminal.ago(start, now_ms)),
        screen.figure(terminal.duration(lasted)),
        terminal.count(run["tally"]["count"]),
        terminal.count(run["tally"]["error"]),
        tokens(usage.total_tokens, usage) if usage.requests else screen.figure(None),
        cost(screen, usage),
        why if isinstance(why, str) else "",
    ]


def _time(value: object) -> int | None:
    """A time that a run may have, in ms since the epoch; None where it has none, or a person has put something else there."""
    return value if isinstance(value, int) else None


def _apart(figures: Any) -> str:
    """What is neither a success nor an error."""
    return f", {figures.interrupted:,} interrupted or not run" if figures.interrupted else ""
