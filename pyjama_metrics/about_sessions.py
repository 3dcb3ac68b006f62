"""What a session of another program told about itself: where it works, with which model, how full its context is, what is left of
the user's plan.

Each of these was told at some time, and says nothing about later. So a figure comes with that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pyjama_metrics.event_fields import label_of, project_of, session_fields
from pyjama_metrics.state_fields import LARGEST, Table, lists, table_of, tables, text
from pyjama_metrics.views import AboutView, LimitView

MAX_LIMITS = 16
"""Limits of plans that are shown, those told last."""


SOURCES = {"claude-code": "Claude Code", "codex": "Codex", "python": "Python", "shell": "Shell", "run": "Command"}
"""How a source is called where people read."""
LIMITS = {"five_hour": "5 h", "seven_day": "7 days", "seven_day_opus": "7 days Opus", "seven_day_sonnet": "7 days Sonnet"}
"""How the limits of a plan are called."""


def source_words(source: str | None) -> str:
    """The name of a source for people; that which it has itself where we have none."""
    return SOURCES.get(source or "", source or "unknown")


def limit_words(name: str) -> str:
    """The name of a limit for people; that which its program has for it where we have none."""
    return LIMITS.get(name, name)


class Told(NamedTuple):
    """A value, and when it was told."""

    time_ms: int
    value: Any


Facts = Mapping[str, Told]


def facts_of(run: Table) -> dict[str, Told]:
    """What the session of a run told, by the names of the event ``session``; what is no use is left out."""
    found = {}
    for name, pair in lists(run, "session"):
        if len(pair) == 2 and type(pair[0]) is int and 0 <= pair[0] <= LARGEST:
            value = dict(session_fields({name: pair[1]})).get(name)
            if value is not None:
                found[name] = Told(pair[0], value)
    return found


def latest_of(parts: Iterable[Facts]) -> dict[str, Told]:
    """Of each fact that some runs told, the latest."""
    found: dict[str, Told] = {}
    for facts in parts:
        for name, told in facts.items():
            if name not in found or told.time_ms > found[name].time_ms:
                found[name] = told
    return found


def about_view(run: Table) -> AboutView | None:
    """What is known about the session of a run; None where it told nothing and has none."""
    origin, facts = table_of(run, "origin"), facts_of(run)
    session = label_of(origin, "session")
    if session is None and not facts:
        return None
    percent, context_time = context_of(facts)
    return AboutView(
        id=session,
        project=project_of(origin) or None,
        subagent=label_of(origin, "subagent"),
        branch=value_of(facts, "branch"),
        model=value_of(facts, "model"),
        version=value_of(facts, "version") or label_of(origin, "version"),
        entrypoint=label_of(origin, "entrypoint"),
        cwd=value_of(facts, "cwd") or text(origin, "cwd"),
        context_tokens=value_of(facts, "context-tokens"),
        context_window=value_of(facts, "context-window"),
        context_percent=percent,
        context_time=context_time,
        limits=limit_views(text(origin, "source"), facts),
    )


def value_of(facts: Facts, name: str) -> Any:
    """A fact, whenever it was told; None where it was not."""
    told = facts.get(name)
    return None if told is None else told.value


def context_of(facts: Facts) -> tuple[float | None, int | None]:
    """How full the context is, in per cent, and when that was told.

    A program may tell its tokens more often than the share of its context: the newer of the two holds, where the share of the
    tokens can be worked out.
    """
    percent, tokens, window = (facts.get(name) for name in ("context-percent", "context-tokens", "context-window"))
    if tokens is not None and window is not None and window.value and (percent is None or percent.time_ms < tokens.time_ms):
        return min(100.0, 100 * tokens.value / window.value), tokens.time_ms
    if percent is not None:
        return percent.value, percent.time_ms
    return None, None if tokens is None else tokens.time_ms


def limit_views(source: str | None, facts: Facts) -> list[LimitView]:
    """The limits of the user's plan that a session told, by name."""
    told = facts.get("limits")
    if told is None:
        return []
    return [
        LimitView(source=source, name=name, percent=percent, resets=resets or None, time=told.time_ms)
        for name, (percent, resets) in sorted(told.value.items())
    ]


def latest_limits(views: Iterable[LimitView]) -> list[LimitView]:
    """Of each limit of each program, what was told last; by program and name."""
    found: dict[tuple[str, str], LimitView] = {}
    for view in views:
        key = view.source or "", view.name
        known = found.get(key)
        if known is None or _order(view) > _order(known):
            found[key] = view
    kept = sorted(found.values(), key=lambda view: (-(view.time or 0), view.source or "", view.name))[:MAX_LIMITS]
    return sorted(kept, key=lambda view: (view.source or "", view.resets or LARGEST, view.name))


def limits_in(agent: Table) -> list[LimitView]:
    """The limits that the runs of one agent of the state told."""
    runs = [run for _, run in tables(agent, "runs") if run.get("session")]
    return latest_limits(view for run in runs for view in limit_views(text(table_of(run, "origin"), "source"), facts_of(run)))


def _order(view: LimitView) -> tuple[int, float, int]:
    return view.time or 0, view.percent, view.resets or 0
