"""``PYJAMA_STRICT=1``: what cannot be recorded raises, so that a test of an agent can rely on its figures."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import pyjama_metrics as p
from pyjama_metrics.errors import HubError, RecordingFailed
from tests.system.processes import counts, figures, run_to_end

CALLS: dict[str, Callable[[], object]] = {
    "start": lambda: p.record_agent_start("a"),
    "complete": lambda: p.record_agent_complete("a"),
    "activity": lambda: p.record_agent_activity("a"),
    "waiting": lambda: p.record_agent_waiting("a", "why"),
    "tool": lambda: p.record_tool_execution("t", "a", "ok", 1.0),
    "workflow": lambda: p.record_workflow_info("a", ["s"]),
    "step-start": lambda: p.record_step_start("a", "s"),
    "step-complete": lambda: p.record_step_complete("a", "s"),
    "message": lambda: p.record_message("a", "user"),
    "error": lambda: p.record_error("a", "oh"),
    "llm": lambda: p.record_llm_usage("a", "m", 1, 1),
}
every_call = pytest.mark.parametrize(("kind", "call"), CALLS.items(), ids=CALLS)


@pytest.fixture
def no_home(home: Path) -> Path:
    """A hub that cannot be: there is a file in its place."""
    home.write_text("mine")
    return home


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict mode for this process and its children."""
    monkeypatch.setenv("PYJAMA_STRICT", "1")


@every_call
@pytest.mark.usefixtures("strict")
def test_each_call_raises_where_it_cannot_record(no_home: Path, kind: str, call: Callable[[], object]) -> None:
    """One error, whose sentence says what was not recorded and why, and which is a HubError."""
    with pytest.raises(RecordingFailed, match=rf"^A {kind} event was not recorded: .*{no_home.name}.*\.$") as caught:
        call()
    assert isinstance(caught.value, HubError)
    assert isinstance(caught.value.__cause__, OSError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.usefixtures("no_home")
def test_no_call_raises_otherwise(call: Callable[[], object]) -> None:
    """Without it the loss is counted, and that is all."""
    call()
    assert p.lost_events() == 1


@pytest.mark.usefixtures("strict")
def test_what_can_be_recorded_raises_nothing(home: Path) -> None:
    """Odd values too are recorded, as what they are."""
    for call in CALLS.values():
        call()
    p.record_tool_execution(None, "\ud800", "?", float("nan"))
    assert counts(figures(home)) == {"a": 1, "\ufffd": 1}


@pytest.mark.usefixtures("strict")
def test_a_disk_that_fills_up_raises_on_the_fast_road(home: Path) -> None:
    """A tool's second and later executions go another way; they raise as the first one does, and nothing is counted twice."""
    said = run_to_end("""
    import resource
    from pyjama_metrics.errors import RecordingFailed
    p.record_tool_execution("t", "a", "ok", 1.0)
    p.record_tool_execution("t", "a", "ok", 1.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        p.record_tool_execution("t", "a", "ok", 1.0)
    except RecordingFailed as error:
        say(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    """)
    assert said.startswith("A tool event was not recorded: ")
    assert counts(figures(home)) == {"a": 2}


@pytest.mark.usefixtures("strict", "no_home")
def test_the_end_of_a_strict_process_is_quiet() -> None:
    """What was raised to the caller is not raised once more where nobody catches it."""
    run_to_end("""
    try:
        p.record_agent_start("a")
    except Exception:
        say("caught")
    """)


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
@pytest.mark.usefixtures("no_home")
def test_it_is_switched_on_by_the_usual_words(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """And by no others."""
    monkeypatch.setenv("PYJAMA_STRICT", value)
    with pytest.raises(RecordingFailed):
        p.record_message("a", "user")


@pytest.mark.parametrize("value", ["", "0", "false", "no", "off"])
@pytest.mark.usefixtures("no_home")
def test_it_is_off_by_the_usual_words(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """As without the variable."""
    monkeypatch.setenv("PYJAMA_STRICT", value)
    p.record_message("a", "user")
    assert p.lost_events() == 1
