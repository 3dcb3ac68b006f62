"""The hook registry: who is called, in which order, and that no hook harms another or its caller."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyjama_metrics import hooks
from pyjama_metrics.hooks import get_hooks, register_hook, run_hooks, shared_metrics_hook, unregister_hook
from pyjama_metrics.tracking import track_agent
from tests.recorded import only, recorded

PAYLOAD = {
    "tool-name": "write-file",
    "ctx": {"id": "writer"},
    "result": {"status": "ok"},
    "duration-ms": 45.5,
}


@pytest.fixture(autouse=True)
def _empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry belongs to the process; each test has one of its own."""
    monkeypatch.setattr(hooks, "_registered", {})


class Tool(Enum):
    """A tool's name as an enumeration, as frameworks have it."""

    WRITE = "write-file"


class Listener:
    """A hook that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def __call__(self, payload: Mapping[str, object]) -> None:
        self.heard.append(payload)

    def hear(self, payload: Mapping[str, object]) -> None:
        self.heard.append(payload)


def test_a_hook_hears_of_its_own_tool_and_a_star_hook_of_every_tool() -> None:
    """The payload arrives as the very object that was given."""
    own, every = Listener(), Listener()
    register_hook("write-file", own)
    register_hook("*", every)
    other: dict[str, object] = {"tool-name": "read-file"}
    run_hooks(PAYLOAD)
    run_hooks(other)
    assert [own.heard, every.heard] == [[PAYLOAD], [PAYLOAD, other]]
    assert own.heard[0] is PAYLOAD


def test_hooks_are_listed_in_the_order_they_run() -> None:
    """Those of the tool first, then those of every tool, each as registered; the list is the caller's own."""
    first, second, every = Listener(), Listener(), Listener()
    register_hook("*", every)
    register_hook("write-file", first)
    register_hook("write-file", second)
    assert get_hooks("write-file") == [first, second, every]
    get_hooks("write-file").clear()
    assert get_hooks("write-file") == [first, second, every]
    assert get_hooks("read-file") == [every]
    assert get_hooks("*") == [every]


def test_a_function_registered_twice_runs_once() -> None:
    """Under one name, under its name and the star, and as a bound method, which is a new object each time."""
    listener = Listener()
    for name in ("write-file", "write-file", "*"):
        register_hook(name, listener.hear)
    run_hooks(PAYLOAD)
    assert listener.heard == [PAYLOAD]


def test_unregistering_says_whether_there_was_something() -> None:
    """One hook, all hooks of a name, and what is not there; other names are left alone."""
    one, two = Listener(), Listener()
    for hook in (one, two):
        register_hook("write-file", hook)
    register_hook("*", one)
    assert unregister_hook("write-file", one) is True
    assert unregister_hook("write-file", one) is False
    assert get_hooks("write-file") == [two, one]
    assert unregister_hook("write-file") is True
    assert unregister_hook("write-file") is False
    assert get_hooks("write-file") == [one]


def test_a_tool_may_be_named_by_a_path_or_an_enumeration() -> None:
    """Names are turned into text in the registry as they are in the journal."""
    listener = Listener()
    register_hook(Tool.WRITE, listener)
    register_hook(Path("write-file"), listener)
    run_hooks({"tool-name": Tool.WRITE})
    assert len(listener.heard) == 1


def test_what_cannot_be_called_is_refused() -> None:
    """At once, where the mistake is, and not at the first tool call."""
    with pytest.raises(TypeError, match="A hook must be a function that takes the payload, not 'log'"):
        register_hook("*", "log")  # type: ignore[arg-type]


def failing_hook(payload: Mapping[str, object]) -> None:
    """Fail, always."""
    raise ValueError("boom")


def test_a_hook_that_raises_stops_neither_the_others_nor_the_caller(home: Path) -> None:
    """It is recorded as one error of the agent, each time."""
    before, after = Listener(), Listener()
    for hook in (before, failing_hook, after):
        register_hook("write-file", hook)
    run_hooks(PAYLOAD)
    run_hooks(PAYLOAD)
    assert [len(before.heard), len(after.heard)] == [2, 2]
    assert [(event["agent"], event["message"]) for event in recorded(home, "error")] == [
        ("writer", "The hook failing_hook failed for the tool write-file: ValueError: boom")
    ] * 2


def test_in_strict_mode_what_the_hooks_raised_is_raised_after_all_have_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of a user see the failure of each hook, with its traceback."""
    monkeypatch.setenv("PYJAMA_STRICT", "1")
    listener = Listener()
    register_hook("*", failing_hook)
    register_hook("*", lambda payload: payload["missing"])
    register_hook("*", listener)
    with pytest.raises(ExceptionGroup, match="Hooks failed for the tool write-file") as caught:
        run_hooks(PAYLOAD)
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]
    assert listener.heard == [PAYLOAD]
    assert len(recorded(home, "error")) == 2


def test_ctrl_c_in_a_hook_is_not_held_back() -> None:
    """What ends a program is no failure of a hook."""

    def interrupted(payload: Mapping[str, object]) -> None:
        raise KeyboardInterrupt

    register_hook("*", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_hooks(PAYLOAD)


def test_a_hook_may_change_the_registry_while_it_runs() -> None:
    """What it adds or removes counts from the next call on."""
    listener = Listener()

    def once(payload: Mapping[str, object]) -> None:
        unregister_hook("write-file", once)
        register_hook("write-file", listener)

    register_hook("write-file", once)
    run_hooks(PAYLOAD)
    assert listener.heard == []
    run_hooks(PAYLOAD)
    assert [listener.heard, get_hooks("write-file")] == [[PAYLOAD], [listener]]


def test_twenty_threads_register_and_unregister_without_losing_a_hook() -> None:
    """What each thread leaves registered is there afterwards, once."""
    together = threading.Barrier(20)
    kept = [Listener() for _ in range(20)]

    def work(hook: Listener) -> None:
        together.wait(20)
        for _ in range(200):
            passing = Listener()
            register_hook("write-file", passing)
            register_hook("write-file", hook)
            unregister_hook("write-file", passing)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, kept))
    assert sorted(map(id, get_hooks("write-file"))) == sorted(map(id, kept))


def test_the_shared_hook_records_one_execution_with_its_log_entry(home: Path) -> None:
    """Tool, agent, status and duration of the payload, and the mark that asks for a log entry."""
    shared_metrics_hook(PAYLOAD)
    event = only(home, "tool")
    assert (event["tool"], event["agent"], event["status"]) == ("write-file", "writer", "ok")
    assert (event["duration-ms"], event["log"]) == (45.5, True)
    assert len(recorded(home)) == 1


def test_the_shared_hook_finds_the_run_it_is_called_in(home: Path) -> None:
    """The execution belongs to the current run if that is the payload's agent's, and to no run of another agent."""
    with track_agent("writer") as run:
        shared_metrics_hook(PAYLOAD)
        shared_metrics_hook({"tool-name": "write-file"})
        shared_metrics_hook({"tool-name": "write-file", "ctx": {"id": "reader"}})
    told = [(event["agent"], event.get("run")) for event in recorded(home, "tool")]
    assert told[:2] == [("writer", run), ("writer", run)]
    assert told[2][0] == "reader"
    assert told[2][1] != run


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, ("(unnamed)", "outsider", "ok", None, None)),
        (None, ("(unnamed)", "outsider", "ok", None, None)),
        (["write-file"], ("(unnamed)", "outsider", "ok", None, None)),
        (PAYLOAD | {"ctx": None, "result": None}, ("write-file", "outsider", "ok", 45.5, None)),
        (PAYLOAD | {"ctx": "reader", "result": "timeout"}, ("write-file", "reader", "timeout", 45.5, None)),
        (PAYLOAD | {"ctx": {"id": 7}, "result": False}, ("write-file", "7", "error", 45.5, None)),
        (PAYLOAD | {"result": {"status": True}}, ("write-file", "writer", "ok", 45.5, None)),
        (PAYLOAD | {"result": {"error": "disk"}}, ("write-file", "writer", "error", 45.5, "disk")),
        (PAYLOAD | {"result": {"status": "ok", "error": None}}, ("write-file", "writer", "ok", 45.5, None)),
        (
            PAYLOAD | {"result": {"status": "bad", "error": 5}},
            ("write-file", "writer", "bad", 45.5, "5"),
        ),
        (PAYLOAD | {"result": ["a", "list"]}, ("write-file", "writer", "ok", 45.5, None)),
        (PAYLOAD | {"duration-ms": "12.5"}, ("write-file", "writer", "ok", 12.5, None)),
        (PAYLOAD | {"duration-ms": "soon"}, ("write-file", "writer", "ok", None, None)),
        (PAYLOAD | {"duration-ms": True}, ("write-file", "writer", "ok", None, None)),
        (PAYLOAD | {"duration-ms": 10**400}, ("write-file", "writer", "ok", None, None)),
    ],
)
def test_missing_and_odd_fields_of_a_payload_are_filled_in(
    home: Path, monkeypatch: pytest.MonkeyPatch, payload: Any, expected: tuple[object, ...]
) -> None:
    """The execution counts with what can be made of it."""
    monkeypatch.setenv("PYJAMA_AGENT", "outsider")
    shared_metrics_hook(payload)
    event = only(home, "tool")
    fields = ("tool", "agent", "status", "duration-ms", "error")
    assert tuple(event.get(field) for field in fields) == expected


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "tool-name": ANYTHING,
        "ctx": ANYTHING | st.fixed_dictionaries({"id": ANYTHING}),
        "result": ANYTHING | st.fixed_dictionaries({}, optional={"status": ANYTHING, "error": ANYTHING}),
        "duration-ms": ANYTHING,
    },
)


@given(FIELDS | ANYTHING)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_payload_makes_the_hooks_raise(payload: Any) -> None:
    """Whatever a framework puts in: run_hooks returns, and the shared hook did not fail."""
    hooks._registered.clear()
    failures: list[Exception] = []

    def watched(payload: Mapping[str, object]) -> None:
        try:
            shared_metrics_hook(payload)
        except Exception as error:
            failures.append(error)

    register_hook("*", watched)
    run_hooks(payload)
    assert failures == []
