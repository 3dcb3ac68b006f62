"""What sessions of other programs tell about themselves, in words for people: for ``show``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyjama_metrics.about_sessions import limit_words, source_words
from pyjama_metrics.cli import terminal
from pyjama_metrics.cli.shares_table import cost, tokens
from pyjama_metrics.cli.terminal import Cell, Column, Screen

if TYPE_CHECKING:
    from pyjama_metrics.pricing import Overrides
    from pyjama_metrics.views import AboutView, AgentView, LimitView

_OLD_MS = 10 * 60_000
"""From when on it is said how old a figure is that a session told."""
_DEEPEST = 8
"""Levels of subagents that are told apart."""
_MOST_BELOW = 30
"""Agents below one that are printed."""
_BELOW_COLUMNS = (
    Column("BELOW IT", names=True),
    Column("STATUS"),
    Column("TOOLS", right=True),
    Column("ERRORS", right=True),
    Column("TOKENS", right=True),
    Column("COST", right=True),
    Column("NOW", names=True),
)


def limit_lines(limits: Sequence[LimitView], now_ms: int) -> list[str]:
    """The limits of all plans, a line for each program that has one."""
    by_source: dict[str, list[str]] = {}
    for limit in limits:
        by_source.setdefault(source_words(limit.source), []).append(limit_line(limit, now_ms))
    return [f"{source} {'; '.join(told)}" for source, told in by_source.items()]


def limit_line(limit: LimitView, now_ms: int) -> str:
    """One limit, such as ``5 h: 42 %, resets 14:00``; a figure from before its reset is not told as one of now."""
    name = limit_words(limit.name)
    if limit.resets is not None and limit.resets <= now_ms:
        return f"{name}: began anew {_when(limit.resets, now_ms)}"
    resets = "" if limit.resets is None else f", resets {_when(limit.resets, now_ms)}"
    return f"{name}: {share(limit.percent)}{resets}{_age(limit.time, now_ms)}"


def _when(time_ms: int, now_ms: int) -> str:
    """To the minute: a limit begins anew no more precisely than that."""
    return terminal.clock(time_ms, now_ms).rpartition(":")[0]


def share(percent: float) -> str:
    """A percentage without digits that nobody reads."""
    return f"{percent:.0f} %"


def about_lines(view: AgentView, now_ms: int) -> dict[str, str]:
    """The facts about the session of an agent's latest run; a fact that is not known is empty."""
    about = view.about
    if about is None:
        return {}
    started = ", ".join(part for part in (about.version, about.entrypoint) if part)
    return {
        "source": source_words(view.source) + (f" {started}" if started else ""),
        "session": about.id or "",
        "project": about.project or "",
        "branch": about.branch or "",
        "model": about.model or "",
        "context": context_line(about, now_ms),
        "limits": "; ".join(limit_line(limit, now_ms) for limit in about.limits),
    }


def context_line(about: AboutView, now_ms: int) -> str:
    """How full the context is, as far as that is known, and how old the figure is."""
    used = None if about.context_tokens is None else terminal.count(about.context_tokens)
    window = None if about.context_window is None else terminal.count(about.context_window)
    if about.context_percent is not None:
        of = f" ({used} of {window} tokens)" if used and window else f" of {window} tokens" if window else ""
        return share(about.context_percent) + of + _age(about.context_time, now_ms)
    return f"{used} tokens{_age(about.context_time, now_ms)}" if used else ""


def _age(time_ms: int | None, now_ms: int) -> str:
    return f" (told {terminal.ago(time_ms, now_ms)})" if time_ms is not None and now_ms - time_ms >= _OLD_MS else ""


def agents_below(screen: Screen, state: Mapping[str, Any], name: str, prices: Overrides | None) -> None:
    """Print the agents that one started, and those that these started, as a tree; nothing where there are none."""
    from pyjama_metrics.queries import agent_view
    from pyjama_metrics.shares import whole_of

    below = _below(state, name)
    rows: list[list[Cell | str]] = []
    for child, depth in below[:_MOST_BELOW]:
        agent = state["agents"][child]
        view = agent_view(agent, cost=whole_of(agent, prices).cost)
        rows.append(
            [
                Cell("  " * depth + child, "cyan"),
                screen.status(view.status),
                terminal.count(view.count),
                Cell(terminal.count(view.error), "red" if view.error else ""),
                tokens(view.tokens, view) if view.requests else screen.figure(None),
                cost(screen, view),
                f"waits: {view.waiting_reason}" if view.waiting_reason else view.current_tool or "",
            ]
        )
    if rows:
        screen.line()
        screen.table(_BELOW_COLUMNS, rows)
    if len(below) > _MOST_BELOW:
        screen.line(screen.paint(f"and {len(below) - _MOST_BELOW} more below it", "grey"))


def _below(state: Mapping[str, Any], name: str) -> list[tuple[str, int]]:
    """Those below an agent with how deep they are, each before those below it; agents may name each other as parents."""
    from pyjama_metrics.families import children_of

    found: dict[str, int] = {}
    waiting = [(child, 0) for child in reversed(children_of(state, name))]
    while waiting:
        child, depth = waiting.pop()
        if child not in found and child != name:
            found[child] = depth
            waiting += [(each, min(depth + 1, _DEEPEST)) for each in reversed(children_of(state, child))]
    return list(found.items())
