"""What follows from the recorded facts: the status of a run, a step and an agent."""

from __future__ import annotations

from pyjama_metrics.events import MAX_STEPS, MAX_TIME_MS, status_class
from pyjama_metrics.state import Agent, Run, Step

OPEN = frozenset({"running", "waiting"})
"""The statuses of what is not over."""

URGENCY = ("waiting", "running", "crashed", "failed", "unknown", "stopped", "completed")
"""All statuses of agents and runs, in the order in which agents are listed: who waits for somebody first, who is done last."""


def settle(agent: Agent) -> None:
    """Work out what follows from an agent's runs: each run's status and steps, the agent's status and current step."""
    best: tuple[int, int, str] | None = None
    for run_id, run in agent["runs"].items():
        run["status"] = _run_status(run)
        for step in run["steps"]:
            step["status"] = _step_status(step["started"], step["ended"], step["outcome"])
        run["steps"].sort(key=_step_order)
        rank = (_STATUS_RANK.get(run["status"], 0), run["start-time"] or run["last-seen"], run_id)
        if best is None or rank > best:
            best = rank
    shown = agent["runs"][best[2]] if best is not None else None
    agent["status"] = "unknown" if shown is None else shown["status"]
    agent["waiting-reason"] = shown["waiting-reason"] if shown is not None and shown["status"] == "waiting" else None
    running = [(step["started"] or 0, step["id"]) for step in shown["steps"] if step["status"] == "running"] if shown else []
    agent["current-step"] = max(running)[1] if running else None


_STATUS_RANK = {"running": 3, "waiting": 2, "unknown": 1}
"""An agent runs while any of its runs does; where none is open, the latest run speaks."""


def _run_status(run: Run) -> str:
    if run["outcome"] is not None:
        return run["outcome"]
    if run["unknown-since"] is not None and run["unknown-since"] > run["last-seen"]:
        return "unknown"
    if run["waiting-since"] is not None and run["waiting-since"] >= run["last-seen"]:
        return "waiting"
    return "running"


def _step_status(started: int | None, ended: int | None, outcome: str | None) -> str:
    if ended is not None and ended >= (started or 0):
        return {"success": "completed", "error": "failed"}.get(status_class(outcome or "ok"), "stopped")
    return "pending" if started is None else "running"


def _step_order(step: Step) -> tuple[int, int, str]:
    """The workflow's order; steps that no workflow named come after it, in the order of their start."""
    return MAX_STEPS if step["index"] is None else step["index"], step["started"] or MAX_TIME_MS, step["id"]


def end_order(outcome: str, time: int, message: str | None) -> tuple[bool, int, str, str]:
    """Of several ends that are told of one run the least one holds: what the agent said beats what others concluded; a run ends
    once, so otherwise the earlier one does.
    """
    return outcome == "crashed", time, outcome, message or ""
