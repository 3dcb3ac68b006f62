"""Files of an older version, and files that somebody edited, go on with the next fold: nothing is lost or counted twice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics.hub import Hub
from pyjama_metrics.roll_ups import new_slice
from pyjama_metrics.state import State, accepted, new_state, new_usage
from pyjama_metrics.storage import json
from tests.journals import Event, event, folded, leave_journal, live_journal, now_ms, on_disk, record, tool

OLDER = Path(__file__).parent / "older" / "before-roll-ups.json"
"""Two executions and one model call of the agent ``planner``, as a version wrote them that knew no roll-ups."""
SOON_MS = 1706945875000


def folded_onto_older(home: Path, *events: Event) -> State:
    """What ``metrics.json`` holds after a journal was folded onto the older file, a second or two after it was written."""
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "metrics.json").write_bytes(OLDER.read_bytes())
    leave_journal(home, "coder-8-2b", *events, host="elsewhere")
    Hub(str(home), clock=lambda: SOON_MS / 1000).flush()
    assert list(home.glob("metrics.json.corrupt-*")) == []
    return on_disk(home)


def test_an_older_file_goes_on_where_it_was(home: Path) -> None:
    """The totals have both; a histogram that was not kept has what came since, and shows that it is a part."""
    state = folded_onto_older(home, tool(SOON_MS, "planner", "read", duration_ms=2.0))
    row = state["agents"]["planner"]["tools"]["read"]
    assert (state["global"]["count"], row["count"], row["timed"], row["histogram"]["n"]) == (3, 3, 3, 1)
    assert [each["count"] for each in state["roll-ups"]["minutes"].values()] == [1]
    assert state["problems"] == new_state()["problems"]


def test_model_calls_go_on_in_an_older_file_and_none_is_taken_for_a_fault(home: Path) -> None:
    """Though its agents had no models and phases of their own."""
    calls = [event("llm", SOON_MS, "planner", model="small-1", phase="planning", input_tokens=4) for _ in range(2)]
    state = folded_onto_older(home, *calls)
    own = {**new_usage(), "requests": 2, "input-tokens": 8}
    assert state["agents"]["planner"]["models"] == {"small-1": own}
    assert state["agents"]["planner"]["phases"] == {"planning": own}
    assert (state["tokens"]["requests"], state["models"]["small-1"]["requests"]) == (3, 3)
    assert state["problems"]["invalid-values"] == 0


def test_an_older_file_is_a_state_with_nothing_in_what_it_did_not_know() -> None:
    """Each key that it lacks is filled in, and no figure is changed."""
    older = json.loads(OLDER.read_bytes())
    state: Any = accepted(copy.deepcopy(older), thorough=True)
    assert (state.pop("roll-ups"), state.pop("known-from")) == ({"minutes": {}, "quarters": {}}, 0)
    agent = state["agents"]["planner"]
    assert (agent.pop("models"), agent.pop("phases"), agent["tools"]["read"].pop("histogram")["n"]) == ({}, {}, 0)
    assert (state.pop("ledger"), state.pop("ledger-from"), agent.pop("ledger"), agent.pop("ledger-from")) == ({}, 0, {}, 0)
    assert (state.pop("projects"), state.pop("hosts")) == ({}, {})
    assert [(run.pop("ledger"), run.pop("ledger-from")) for run in agent["runs"].values()] == [({}, 0)] * len(agent["runs"])
    unknown_then = ("session", "tools", "messages", "histogram")
    assert [[run.pop(key) for key in unknown_then] for run in agent["runs"].values()] == [[{}, {}, {}, None]] * len(agent["runs"])
    sums = [agent["tokens"], state["tokens"], *state["models"].values(), *state["phases"].values()]
    assert {usage.pop("cache-write-1h-tokens") for usage in sums} == {0}
    assert state == older


def test_an_older_file_is_cleared_like_any_other(home: Path) -> None:
    """Without a fold before."""
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "metrics.json").write_bytes(OLDER.read_bytes())
    Hub(str(home)).clear()
    assert (on_disk(home)["global"]["count"], on_disk(home)["roll-ups"]) == (0, {"minutes": {}, "quarters": {}})


def edited(path: str, value: object) -> Callable[[Any], None]:
    """An edit of the object at a path of keys; * is the first key there."""
    *way, last = path.split("/")

    def edit(state: Any) -> None:
        for key in way:
            state = state[next(iter(state)) if key == "*" else key]
        state[next(iter(state)) if last == "*" else last] = value

    return edit


EDITS = [
    ("roll-ups", 5),
    ("roll-ups", {"minutes": []}),
    ("roll-ups/minutes/*", 5),
    ("roll-ups/minutes/*/count", "many"),
    ("roll-ups/quarters/*/tokens", None),
    ("roll-ups/minutes/noon", new_slice()),
    ("agents/a/models", 5),
    ("agents/a/models/*", 5),
    ("agents/a/phases/*/requests", "many"),
    ("models/*", 5),
    ("agents/a/tools/*/histogram", 5),
    ("agents/a/tools/*/histogram/buckets", []),
]


@pytest.mark.parametrize(("path", "value"), EDITS, ids=[f"{path}={type(value).__name__}" for path, value in EDITS])
def test_a_value_of_a_wrong_type_is_set_aside_and_nothing_is_lost_or_counted_twice(home: Path, path: str, value: object) -> None:
    """The next events of the same agent, model and minute make the fold stumble over it, and it looks at each row."""
    moment = now_ms() // 900_000 * 900_000
    events = [tool(moment, duration_ms=1.0), event("llm", moment, model="m", phase="plan", input_tokens=1)]
    for number in (1, 2):
        leave_journal(home, "w-1-a", *events * number, host="elsewhere")
        Hub(str(home)).flush()
    state = on_disk(home)
    edited(path, value)(state)
    assert accepted(copy.deepcopy(state), thorough=True) is None
    (home / "metrics.json").write_bytes(json.dumps(state))
    leave_journal(home, "w-1-a", *events * 3, host="elsewhere")
    Hub(str(home)).flush()
    after = on_disk(home)
    assert (after["global"]["count"], after["tokens"]["requests"], after["agents"]["a"]["models"]["m"]["requests"]) == (3, 3, 3)
    assert [(each["count"], each["tokens"]) for each in after["roll-ups"]["minutes"].values()] == [(3, 3)]
    assert after["problems"]["invalid-values"] == 0
    assert len(list(home.glob("metrics.json.corrupt-*"))) == 1


RUN_EDITS = [
    ("tools", []),
    ("tools/t", 5),
    ("tools/t", [1, 2]),
    ("tools/t", [1, 0, "many"]),
    ("messages", []),
    ("messages/user", "many"),
    ("histogram", 5),
    ("histogram/n", None),
    ("histogram/buckets/*", "many"),
]


@pytest.mark.parametrize(("path", "value"), RUN_EDITS, ids=[f"{path}={value}" for path, value in RUN_EDITS])
def test_a_run_with_a_value_of_a_wrong_type_makes_no_state(path: str, value: object) -> None:
    """The next events of the run would make the fold stumble over it."""
    state: Any = folded(tool(run="w.1", duration_ms=1.0), event("message", role="user", run="w.1"))
    assert accepted(copy.deepcopy(state), thorough=True) == state
    edited(f"agents/a/runs/w.1/{path}", value)(state)
    assert accepted(state, thorough=True) is None


def test_a_key_that_somebody_took_out_is_filled_in(home: Path) -> None:
    """One slice, one histogram: only what it held is gone."""
    with live_journal(home) as journal:
        record(journal, 2, duration_ms=1.0)
        Hub().flush()
        state: Any = on_disk(home)
        del state["roll-ups"]["quarters"], state["agents"]["a"]["tools"]["t"]["histogram"]
        (home / "metrics.json").write_bytes(json.dumps(state))
        record(journal, 1, duration_ms=1.0)
        Hub().flush()
    after = on_disk(home)
    assert (after["global"]["count"], after["agents"]["a"]["tools"]["t"]["histogram"]["n"]) == (3, 1)
    assert sum(each["count"] for each in after["roll-ups"]["quarters"].values()) == 1
