"""``pyjama-metrics show --by``: the model calls told apart, by model, phase, tool, project, host, day, run or agent."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyjama_metrics.cli import terminal
from pyjama_metrics.cli.terminal import Cell, Column, Screen

if TYPE_CHECKING:
    from pyjama_metrics.shares import Portion
    from pyjama_metrics.views import CostView

NONE = {
    "model": "(model not known)",
    "phase": "(no phase)",
    "tool": "(no tool)",
    "project": "(no project)",
    "host": "(host not known)",
    "day": "(earlier days)",
    "run": "(no run, or let go)",
    "agent": "(agents let go)",
}
"""By what calls are told apart, and what those are called of which it is not known."""

_FIGURES = (
    Column("CALLS", right=True),
    Column("TOKENS", right=True),
    Column("COST", right=True),
    Column("REPORTED", right=True),
    Column("COMPUTED", right=True),
    Column("UNPRICED", names=True),
)


def show_shares(state: Mapping[str, Any], kind: str, agent_id: str | None, *, as_json: bool) -> int:
    """Print the model calls of all agents, or of one, by a kind; the exit code."""
    from pyjama_metrics.shares import portions, whole_of
    from pyjama_metrics.storage import config
    from pyjama_metrics.views import as_json as plain

    prices = config.load().prices
    found = portions(state, kind, prices, agent_id)
    whole = whole_of(state if agent_id is None else state["agents"][agent_id], prices).view()
    if as_json:
        from pyjama_metrics.cli.printing import print_json

        rows = [{**_names(each), **plain(each.share.view())} for each in found]
        print_json({"by": kind, "agent-id": agent_id, "rows": rows, "total": plain(whole)})
        return 0
    screen = Screen(sys.stdout)
    if not whole.requests:
        whose = "" if agent_id is None else f" of {terminal.cut(agent_id, 60)}"
        screen.line(f"No model call{whose} is recorded yet. 'pyjama-metrics record llm --help' says how one is.")
        return 0
    of_runs = kind == "run" and agent_id is None
    names = [Column(kind.upper(), names=True), *([Column("AGENT", names=True)] if of_runs else [])]
    screen.table((*names, *_FIGURES), [[*_name_cells(each, kind, of_runs), *_figures(screen, each)] for each in found])
    screen.line()
    screen.line(f"{terminal.things(whole.requests, 'call')}, {tokens(whole.total_tokens, whole)} tokens, {cost_words(whole)}")
    return 0


def _names(portion: Portion) -> dict[str, str]:
    return {"name": portion.name} | ({} if portion.agent is None else {"agent-id": portion.agent})


def _name_cells(portion: Portion, kind: str, of_runs: bool) -> list[Cell]:
    name = Cell(portion.name, "cyan") if portion.name else Cell(NONE[kind], "grey")
    return [name, Cell(portion.agent or "")] if of_runs else [name]


def _figures(screen: Screen, portion: Portion) -> list[Cell | str]:
    view = portion.share.view()
    unpriced = terminal.things(view.unpriced_requests, "call") if view.unpriced_requests else ""
    return [
        terminal.count(view.requests),
        tokens(view.total_tokens, view),
        cost(screen, view),
        screen.figure(None if view.reported_micros is None else terminal.dollars(view.reported_micros)),
        screen.figure(None if view.computed_micros is None else _about(view) + terminal.dollars(view.computed_micros)),
        Cell(f"{unpriced}: {', '.join(view.unpriced_models)}" if unpriced else "", "yellow"),
    ]


def tokens(number: int, view: CostView) -> str:
    """A number of tokens, with a ``~`` where some of them are an estimate."""
    return ("~" if view.estimated_tokens else "") + terminal.count(number)


def cost(screen: Screen, view: CostView) -> Cell:
    """What model calls cost, or that it is not known: never 0 for that."""
    if view.cost_micros is None:
        return Cell("unpriced", "yellow") if view.unpriced_requests else Cell(screen.figure(None))
    more = "+" if view.unpriced_requests else ""
    return Cell(f"{_about(view)}{terminal.dollars(view.cost_micros)}{more}")


def _about(view: CostView) -> str:
    return "~" if view.estimated_tokens and view.computed_micros is not None else ""


def cost_words(view: CostView) -> str:
    """What model calls cost and how sure that is, in one line."""
    unpriced = f"{terminal.things(view.unpriced_requests, 'call')} unpriced" if view.unpriced_requests else ""
    if unpriced and view.unpriced_models:
        unpriced += f" ({', '.join(map(terminal.printable, view.unpriced_models))})"
    if view.cost_micros is None:
        return f"not known: {unpriced}"
    parts = [
        f"{terminal.dollars(view.reported_micros)} reported" if view.reported_micros is not None else "",
        f"{_about(view)}{terminal.dollars(view.computed_micros)} computed" if view.computed_micros is not None else "",
        unpriced,
    ]
    return f"{_about(view)}{terminal.dollars(view.cost_micros)}: {', '.join(filter(None, parts))}"
