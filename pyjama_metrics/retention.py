"""What leaves the state so that it stays bounded: old finished agents, old runs, seldom-seen tools.

Kept apart from the fold, because forgetting depends on when one looks and the laws of the fold do not bend to that. Nothing is
lost from the totals: ``global``, ``runs``, ``tokens`` keep counting, and ``evicted`` says how much left.
"""

from __future__ import annotations

from typing import Any, cast

from pyjama_metrics import histogram, ledger_rows, origins, roll_ups
from pyjama_metrics.state import Agent, State, new_agent, new_run, new_state, new_tally
from pyjama_metrics.statuses import OPEN

MAX_AGENTS = 500
"""Agents kept. Beyond that those leave that have no open run, the longest unseen first."""
MAX_OPEN_AGENTS = 2_000
"""Agents kept in all; beyond that even those with an open run leave."""
MAX_TOOLS = 500
"""Tools kept in ``tools``."""
MAX_AGENT_TOOLS = 50
"""Tools kept of one agent."""
MAX_AGENT_HISTOGRAMS = 500
"""Histograms kept of the tools of all agents together, those of the tools used last: one has up to 1,000 bytes, the rest of a
tally 200. An emptied one begins anew with the next execution, so it has the latest durations only."""
MAX_RUN_TOOLS = 50
"""Tools told apart of one run; those that were executed least are added up beyond that."""
MAX_RUN_HISTOGRAMS = 300
"""Runs whose durations are kept, those seen last; the tallies of the others tell how many were timed. One that goes on after that
begins anew."""
MAX_RUN_BUCKETS = 6_000
"""Buckets kept in the histograms of all runs together: of a short run there are a few, of a long one a hundred."""
OTHER_TOOLS = "(other tools)"
"""Where those of a run are added up that are too many."""
MAX_MODELS = 200
MAX_AGENT_MODELS = 20
"""Models, and phases, kept of one agent."""
MAX_LEDGER_ROWS = 1_000
"""Rows kept of the ledger of all agents. Beyond that the oldest days are added up, then the smallest rows."""
MAX_AGENT_LEDGER_ROWS = 64
"""The same of one agent."""
MAX_RUN_LEDGER_ROWS = 12
"""The same of one run, of which first phases and tools are added up: most runs call one or two models."""
MAX_ORIGINS = 50
"""Projects, and hosts, kept apart for the runs that left; those of the runs that are in the file are all told."""
MAX_ORIGIN_LEDGER_ROWS = 24
"""Rows kept of each of them."""
MAX_ROLES = 50
"""Roles whose messages are counted, of one agent and of all."""
MAX_FINISHED_RUNS = 5
"""Finished runs kept of one agent; all of its open ones stay, up to ``MAX_OPEN_RUNS``."""
MAX_OPEN_RUNS = 100
MAX_EARLIER_RUNS = 200
"""Finished runs kept of all agents together, besides the latest of each: with hundreds of agents the file would be megabytes."""
MAX_MINUTES_MS = 75 * roll_ups.MINUTE_MS
"""How far back the minutes of the roll-ups go: an hour, and what a reader needs to align it."""
MAX_QUARTERS_MS = 50 * 3600 * 1000
"""How far back the quarters go: today and yesterday, also on the day that has 25 hours."""
MAX_KEPT_SLICES = 250
"""Slices kept of one series should the clock be put back; 50 hours touch 201 quarters, and events may be dated a little ahead."""
MAX_AGE_MS = 7 * 24 * 3600 * 1000
"""A finished agent that was not seen for a week leaves."""


def retain(state: State, now_ms: int) -> bool:
    """Let go of what is beyond the limits, in place; whether anything went that ``evicted`` counts.

    Args:
        state: a state with its statuses worked out.
        now_ms: the time of looking, in milliseconds since the epoch.
    """
    before = sum(state["evicted"].values())
    for agent in state["agents"].values():
        if len(agent["runs"]) > MAX_FINISHED_RUNS:
            _retain_runs(state, agent)
        _drop(agent["tools"], MAX_AGENT_TOOLS)
        _drop(agent["messages"], MAX_ROLES)
        _drop(agent["models"], MAX_AGENT_MODELS)
        _drop(agent["phases"], MAX_AGENT_MODELS)
        agent["ledger-from"] = ledger_rows.bound(agent["ledger"], agent["ledger-from"], MAX_AGENT_LEDGER_ROWS)
        for run in agent["runs"].values():
            if len(run["ledger"]) > MAX_RUN_LEDGER_ROWS:
                run["ledger-from"] = ledger_rows.bound(run["ledger"], run["ledger-from"], MAX_RUN_LEDGER_ROWS, days_last=True)
            if len(run["tools"]) > MAX_RUN_TOOLS:
                _add_up_tools(run["tools"])
            _drop(run["messages"], MAX_ROLES)
    _retain_agents(state, now_ms)
    _retain_earlier_runs(state)
    _retain_histograms(state)
    _retain_run_histograms(state)
    roll_ups.let_go(state["roll-ups"]["minutes"], now_ms - MAX_MINUTES_MS, MAX_KEPT_SLICES)
    roll_ups.let_go(state["roll-ups"]["quarters"], now_ms - MAX_QUARTERS_MS, MAX_KEPT_SLICES)
    state["evicted"]["tools"] += _drop(state["tools"], MAX_TOOLS)
    state["evicted"]["models"] += _drop(state["models"], MAX_MODELS)
    _drop(state["phases"], MAX_MODELS)
    state["ledger-from"] = ledger_rows.bound(state["ledger"], state["ledger-from"], MAX_LEDGER_ROWS)
    origins.bound(state["projects"], origins.OTHER_PROJECTS, MAX_ORIGINS, MAX_ORIGIN_LEDGER_ROWS)
    origins.bound(state["hosts"], origins.OTHER_HOSTS, MAX_ORIGINS, MAX_ORIGIN_LEDGER_ROWS)
    _drop(state["messages"], MAX_ROLES)
    return bool(sum(state["evicted"].values()) > before)


def cleared(state: State) -> State:
    """The figures at zero, and the offsets as they are; of the agents only the open runs stay, begun but with nothing counted."""
    empty = new_state()
    empty["generation"], empty["journals"] = state["generation"], state["journals"]
    for name, agent in state["agents"].items():
        open_runs = {
            run_id: run for run_id, run in agent["runs"].items() if run["status"] in OPEN and run["start-time"] is not None
        }
        if open_runs:
            kept = cast(dict[str, Any], empty["agents"].setdefault(name, new_agent()))
            kept |= {key: value for key, value in agent.items() if key in _IDENTITY}
            kept["runs"] = {run_id: {**new_run(), **run, **_nothing_counted()} for run_id, run in open_runs.items()}
            # So that the runs that end later are some of those that began.
            kept["run-counts"]["started"] = len(open_runs)
            empty["runs"]["started"] += len(open_runs)
    return empty


def _nothing_counted() -> dict[str, Any]:
    return {"tally": new_tally(), "ledger": {}, "ledger-from": 0, "tools": {}, "messages": {}, "histogram": None}


_IDENTITY = frozenset(
    {"status", "start-time", "last-seen", "waiting-reason", "current-step", "latest-run", "parent", "parent-agent"}
    | {"source", "host", "pid", "cwd", "labels", "spec", "tmux-pane"}
)


def _retain_runs(state: State, agent: Agent) -> None:
    by_age = sorted(agent["runs"], key=lambda name: (agent["runs"][name]["last-seen"], name), reverse=True)
    is_open = {name: agent["runs"][name]["outcome"] is None for name in by_age}
    kept = [name for name in by_age if is_open[name]][:MAX_OPEN_RUNS]
    kept += [name for name in by_age if not is_open[name]][:MAX_FINISHED_RUNS]
    for name in set(by_age) - set(kept):
        origins.leave(state, agent["runs"].pop(name))
        state["evicted"]["runs"] += 1


def _retain_earlier_runs(state: State) -> None:
    earlier = []
    for agent_id, agent in state["agents"].items():
        if len(agent["runs"]) > 1:
            finished = [(run["last-seen"], run_id) for run_id, run in agent["runs"].items() if run["outcome"] is not None]
            earlier += [(seen, agent_id, run_id) for seen, run_id in sorted(finished)[:-1]]
    earlier.sort(reverse=True)
    for _, agent_id, run_id in earlier[MAX_EARLIER_RUNS:]:
        origins.leave(state, state["agents"][agent_id]["runs"].pop(run_id))
        state["evicted"]["runs"] += 1


def _retain_histograms(state: State) -> None:
    """Empty the histograms of the tools that their agents used longest ago; the tallies stay, and tell how many were timed."""
    if sum(len(agent["tools"]) for agent in state["agents"].values()) <= MAX_AGENT_HISTOGRAMS:
        return
    held = [
        (tool["last-seen"], agent_id, name)
        for agent_id, agent in state["agents"].items()
        for name, tool in agent["tools"].items()
        if tool["histogram"]["n"]
    ]
    if len(held) > MAX_AGENT_HISTOGRAMS:
        held.sort(reverse=True)
    for _, agent_id, name in held[MAX_AGENT_HISTOGRAMS:]:
        state["agents"][agent_id]["tools"][name]["histogram"] = histogram.empty()


def _add_up_tools(tools: dict[str, list[int]]) -> None:
    by_count = sorted(tools.keys() - {OTHER_TOOLS}, key=lambda name: (sum(tools[name]), name))
    others = tools.pop(OTHER_TOOLS, [0, 0, 0])
    for name in by_count[: len(tools) - MAX_RUN_TOOLS + 1]:
        others = [one + other for one, other in zip(others, tools.pop(name), strict=True)]
    tools[OTHER_TOOLS] = others


def _retain_run_histograms(state: State) -> None:
    held = [
        (run["last-seen"], run_id, run, durations)
        for agent in state["agents"].values()
        for run_id, run in agent["runs"].items()
        if (durations := run["histogram"]) is not None
    ]
    if len(held) <= MAX_RUN_HISTOGRAMS and sum(len(durations["buckets"]) for *_, durations in held) <= MAX_RUN_BUCKETS:
        return
    held.sort(key=lambda each: each[:2], reverse=True)
    buckets = 0
    for place, (*_, run, durations) in enumerate(held):
        buckets += len(durations["buckets"])
        if place >= MAX_RUN_HISTOGRAMS or buckets > MAX_RUN_BUCKETS:
            run["histogram"] = None


def _retain_agents(state: State, now_ms: int) -> None:
    agents = state["agents"]
    finished = {name for name, agent in agents.items() if agent["status"] not in OPEN}
    leaving = {name for name in finished if now_ms - agents[name]["last-seen"] > MAX_AGE_MS}
    excess = len(agents) - MAX_AGENTS
    if excess > 0:
        oldest_first = sorted(agents, key=lambda name: (name not in finished, agents[name]["last-seen"], name))
        leaving |= set(oldest_first[: min(excess, len(finished))])
        leaving |= set(oldest_first[: max(0, len(agents) - MAX_OPEN_AGENTS)])
    for name in leaving:
        state["evicted"]["agents"] += 1
        state["evicted"]["executions"] += agents[name]["count"]
        for run in agents.pop(name)["runs"].values():
            origins.leave(state, run)


def _drop(rows: dict[str, Any], limit: int) -> int:
    """Remove the rows beyond ``limit`` that counted least; how many went."""
    excess = len(rows) - limit
    if excess <= 0:
        return 0

    def weight(name: str) -> tuple[int, int, str]:
        row = rows[name]
        if isinstance(row, int):
            return row, 0, name
        return row.get("last-seen", 0), row["count"] if "count" in row else row.get("requests", 0), name

    for name in sorted(rows, key=weight)[:excess]:
        del rows[name]
    return excess
