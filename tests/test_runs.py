"""Which run an event belongs to, whose child a new run is, and what subprocesses are told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyjama_metrics.runs import KnownRuns, current_run


@pytest.fixture(autouse=True)
def _clean(home: Path) -> Iterator[None]:
    """No run around us, and none left in the environment."""
    yield
    for name in ("PYJAMA_RUN", "PYJAMA_AGENT"):
        os.environ.pop(name, None)


@pytest.fixture
def inside() -> Iterator[None]:
    """Inside the code of the tracked agent ``tracked``."""
    token = current_run.set(("tracked", "w.9"))
    yield
    current_run.reset(token)


def told() -> tuple[str | None, str | None]:
    """What a subprocess that is started now would be told."""
    return os.environ.get("PYJAMA_RUN"), os.environ.get("PYJAMA_AGENT")


def opened(*runs: tuple[str, str, str | None]) -> KnownRuns:
    """A process that has opened some runs: agent, run, parent."""
    known = KnownRuns()
    for run in runs:
        known.opened(*run)
    return known


def test_an_event_belongs_to_the_latest_run_of_its_agent() -> None:
    """And to the one before it when that has ended."""
    known = opened(("a", "w.1", None), ("b", "w.2", None), ("a", "w.3", None))
    assert (known.run_of("a"), known.run_of("b"), known.run_of("c")) == ("w.3", "w.2", None)
    known.closed("a", "w.3")
    assert known.run_of("a") == "w.1"
    known.closed("a", "w.1")
    assert known.run_of("a") is None


@pytest.mark.usefixtures("inside")
def test_the_run_of_the_running_code_comes_first() -> None:
    """But only for its own agent."""
    known = opened(("tracked", "w.10", None), ("b", "w.2", None))
    assert (known.run_of("tracked"), known.run_of("b")) == ("w.9", "w.2")


def test_closing_a_run_twice_or_one_that_nobody_opened_is_harmless() -> None:
    """Whoever says so."""
    known = opened(("a", "w.1", None))
    known.closed("a", "w.1")
    known.closed("a", "w.1")
    known.closed("x", "w.7")
    assert known.run_of("a") is None


def test_a_process_inherits_the_run_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the parent of its runs, and its agent's events belong to it."""
    monkeypatch.setenv("PYJAMA_RUN", "outer.1")
    monkeypatch.setenv("PYJAMA_AGENT", "boss")
    known = KnownRuns()
    assert known.parent_of_new(None) == ("outer.1", "boss")
    assert known.run_of("boss") == "outer.1"


def test_a_run_without_its_agent_in_the_environment_is_a_parent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell may have set the one and not the other."""
    monkeypatch.setenv("PYJAMA_RUN", "outer.1")
    assert KnownRuns().parent_of_new(None) == ("outer.1", None)


def test_without_anything_around_it_a_run_has_no_parent() -> None:
    """A run that is merely open in the same process is not its parent."""
    assert opened(("a", "w.1", None)).parent_of_new(None) == (None, None)


@pytest.mark.usefixtures("inside")
def test_the_running_code_is_the_parent_before_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest one around."""
    monkeypatch.setenv("PYJAMA_RUN", "outer.1")
    assert KnownRuns().parent_of_new(None) == ("w.9", "tracked")


@pytest.mark.parametrize(
    ("parent", "expected"),
    [("w.1", ("w.1", "a")), ("a", ("w.1", "a")), ("other-7-x.3", ("other-7-x.3", None)), ("stranger", (None, "stranger"))],
    ids=["a run of ours", "an agent of ours", "a run of another process", "an agent of another process"],
)
def test_a_parent_may_be_named_by_run_or_by_agent(parent: str, expected: tuple[str | None, str | None]) -> None:
    """As far as this process knows it."""
    assert opened(("a", "w.1", None)).parent_of_new(parent) == expected


def test_subprocesses_are_told_the_open_run() -> None:
    """As long as it is open."""
    known = opened(("a", "w.1", None))
    assert told() == ("w.1", "a")
    known.closed("a", "w.1")
    assert told() == (None, None)


def test_subprocesses_are_told_the_innermost_of_nested_runs() -> None:
    """And the outer one when it has ended."""
    known = opened(("a", "w.1", None), ("b", "w.2", "w.1"))
    assert told() == ("w.2", "b")
    known.closed("b", "w.2")
    assert told() == ("w.1", "a")


def test_of_runs_side_by_side_subprocesses_are_told_what_is_around_them() -> None:
    """Nobody can say whose child a subprocess would be: ``child_env`` does."""
    known = opened(("a", "w.1", None), ("b", "w.2", "w.1"), ("c", "w.3", "w.1"))
    assert told() == ("w.1", "a")
    assert known.variables("w.3") == {"PYJAMA_RUN": "w.3", "PYJAMA_AGENT": "c"}
    for run in ("b", "w.2"), ("c", "w.3"), ("a", "w.1"):
        known.closed(*run)
    known.opened("a", "w.4", None)
    known.opened("b", "w.5", None)
    assert told() == (None, None)


def test_when_all_runs_have_ended_the_environment_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started by an agent goes on as its child."""
    monkeypatch.setenv("PYJAMA_RUN", "outer.1")
    monkeypatch.setenv("PYJAMA_AGENT", "boss")
    known = opened(("a", "w.1", "outer.1"), ("b", "w.2", "outer.1"))
    known.closed("a", "w.1")
    known.closed("b", "w.2")
    assert told() == ("outer.1", "boss")


def test_the_runs_of_a_parent_are_not_those_of_its_forked_child() -> None:
    """The innermost of them is the parent of what the child starts, and what it tells when its own have ended."""
    known = opened(("a", "w.1", None), ("b", "w.2", "w.1"))
    known.after_fork()
    assert known.parent_of_new(None) == ("w.2", "b")
    assert known.run_of("b") == "w.2"
    known.opened("c", "v.1", "w.2")
    assert told() == ("v.1", "c")
    known.closed("c", "v.1")
    assert told() == ("w.2", "b")


def test_an_agent_whose_name_no_environment_can_hold_is_no_trouble() -> None:
    """A zero byte ends a variable."""
    opened(("a\0b", "w.1", None))
    assert told() == ("w.1", "ab")
