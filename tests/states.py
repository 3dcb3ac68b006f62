"""States for the tests of the views: one in which everything happened, and ones that no version of ours wrote."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from pyjama_metrics.fold import fold
from pyjama_metrics.recent import Recent
from pyjama_metrics.state import new_state

RUN = "w-1-x.1"
TMUX = {"tmux": "/tmp/tmux-7/default,1,0", "tmux-pane": "%3"}
ORIGIN = {"source": "python", "host": "h", "pid": 7, "cwd": "/work", "labels": {"branch": "main"}, "spec": {"goal": 1}, **TMUX}


def events_of_everything() -> list[dict[str, Any]]:
    """Everything that happens to agents, once: a waits, its parent boss runs and repeats a failing call, late crashed."""
    about: dict[str, Any] = {"agent": "a", "run": RUN}
    boss: dict[str, Any] = {"agent": "boss", "run": "w-1-x.0"}
    failed = {"event": "tool", **boss, "tool": "psql", "status": "error", "error": "refused"}
    return [
        {"event": "start", "time": 900, **boss},
        {"event": "start", "time": 1000, **about, **ORIGIN, "parent": "w-1-x.0", "parent-agent": "boss"},
        {"event": "workflow", "time": 1005, **about, "steps": ["plan", "build"]},
        {"event": "tool", "time": 1010, **about, "tool": "read", "status": "ok", "duration-ms": 2.0},
        {"event": "tool", "time": 1020, **about, "tool": "read", "status": "failed", "error": "gone", "log": True},
        {"event": "llm", "time": 1030, **about, "model": "m", "input-tokens": 5, "output-tokens": 6, "cost-micros": 9},
        {"event": "llm", "time": 1031, **boss, "model": "free", "phase": "plan", "input-tokens": 30},
        {"event": "message", "time": 1032, **about, "role": "user"},
        {"event": "step-start", "time": 1035, **about, "step": "plan"},
        {"event": "waiting", "time": 1040, **about, "reason": "a person"},
        *[{**failed, "time": time} for time in (1041, 1042, 1043)],
        {"event": "start", "time": 1044, "agent": "late", "run": "w-1-x.2", "labels": {"session": "s1"}},
        {"event": "error", "time": 1045, "agent": "late", "run": "w-1-x.2", "message": "out of memory"},
        {"event": "crash", "time": 1046, "agent": "late", "run": "w-1-x.2"},
        {"event": "session", "time": 1047, **about, "model": "m", "branch": "main", "context-tokens": 50, "context-window": 200},
        {"event": "session", "time": 1048, **about, "limits": {"five_hour": [42.5, 90_000]}},
        {"event": "nonsense", "time": 1050},
    ]


def full_state() -> dict[str, Any]:
    """A state in which everything happened once, as the fold writes it and a reader parses it."""
    state = new_state()
    fold(state, "w-1-x.0.jsonl", events_of_everything(), {})
    parsed: dict[str, Any] = json.loads(json.dumps({**state, "generation": 3, "updated": 1060}))
    return parsed


def full_memory() -> Recent:
    """What a dashboard remembers of `full_state`."""
    recent = Recent()
    recent.since_ms = 0
    recent.add("w-1-x.0.jsonl", events_of_everything())
    return recent


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([10**400, -(2**70), 2**53]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON, and what some readers make of it: NaN, infinities, integers without bounds."""


@st.composite
def foreign_states(draw: st.DrawFn) -> Any:
    """States with something missing, or with anything in the place of something, at any depth."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.dictionaries(st.sampled_from(sorted(new_state())), ANYTHING))
    state = full_state()
    for _ in range(draw(st.integers(1, 5))):
        place: Any = state
        key: Any = draw(st.sampled_from(sorted(place)))
        while isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 4)):
            place = place[key]
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if draw(st.booleans()):
            del place[key]
        else:
            place[key] = draw(ANYTHING)
        if not state:
            break
    return state
