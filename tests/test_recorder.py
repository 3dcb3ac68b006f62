"""What the recording calls make of odd arguments and of losses, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pyjama_metrics as p
from pyjama_metrics import recorder, recording
from pyjama_metrics.storage import losses
from tests.recorded import only


class Rude:
    """Raises whatever one asks of it."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    def __iter__(self) -> Any:
        raise RuntimeError("no")


def problems() -> dict[str, int]:
    """The problems that were counted."""
    return {kind: count for kind, count in p.read_metrics()["problems"].items() if count}


@pytest.mark.parametrize("labels", [[1], 7, "red"])
def test_labels_that_are_none_do_not_cost_the_run(home: Path, labels: Any) -> None:
    """The run whose id was returned is there, without labels, and the value is counted."""
    run = p.record_agent_start("x", labels=labels)
    state = p.read_metrics()
    assert state["agents"]["x"]["runs"][run]["origin"].get("labels") is None
    assert (problems(), p.lost_events()) == ({"invalid-values": 1}, 0)


def test_a_label_of_any_type_becomes_text(home: Path) -> None:
    """Names and values, whatever their own __str__ does."""
    p.record_agent_start("x", labels={7: 8, Rude(): Rude()})  # type: ignore[dict-item]
    assert p.read_metrics()["agents"]["x"]["labels"] == {"7": "8", "(Rude)": "(Rude)"}
    assert problems() == {}


@pytest.mark.parametrize("steps", [5, Rude()])
def test_steps_that_are_none_are_an_invalid_value(home: Path, steps: Any) -> None:
    """Something is wrong with the call, so it is counted; nothing is wrong with the disk, so no event is lost."""
    p.record_agent_start("x")
    p.record_workflow_info("x", steps)
    assert (problems(), p.lost_events()) == ({"invalid-values": 1}, 0)


@pytest.mark.parametrize("cost", [1_000_001.0, -1.0, float("nan"), "a lot"])
def test_what_is_no_cost_is_an_invalid_value(home: Path, cost: Any) -> None:
    """The tokens count, the cost does not, and that is told."""
    p.record_llm_usage("x", "m", 10, 5, cost_usd=cost)
    usage = p.read_metrics()["tokens"]
    assert (usage["input-tokens"], usage["priced-requests"], problems()) == (10, 0, {"invalid-values": 1})


ESTIMATES: dict[str, tuple[dict[str, Any], tuple[int, int, int], str]] = {
    "of texts": ({"prompt": "x" * 1001, "answer": "y" * 9, "estimate": True}, (251, 4, 255), "estimated"),
    "of numbers of characters": ({"prompt": 1001, "answer": 9, "estimate": True}, (251, 4, 255), "estimated"),
    "of nothing": ({"prompt": "", "answer": 0, "estimate": True}, (0, 0, 0), "estimated"),
    "only when asked for": ({"prompt": "x" * 1001, "answer": "y" * 9}, (0, 0, 0), "actual"),
    "not for what is told": (
        {"input_tokens": 7, "output_tokens": 5, "prompt": 1001, "answer": 9, "estimate": True},
        (7, 5, 0),
        "actual",
    ),
    "not for what the cache held": ({"cache_read_tokens": 90, "prompt": 1001, "estimate": True}, (0, 0, 0), "actual"),
    "beside what is told": ({"input_tokens": 7, "prompt": 1001, "answer": 9, "estimate": True}, (7, 4, 11), "estimated"),
}
"""What is given; the input, the output and the estimated tokens that come of it, and what the event says they are."""


@pytest.mark.parametrize("given", ESTIMATES)
def test_tokens_are_estimated(given: str, home: Path) -> None:
    """A quarter of the characters, of an answer three eighths, rounded up; the call says that it is an estimate."""
    arguments, expected, told = ESTIMATES[given]
    p.record_llm_usage("x", "m", **arguments)
    usage = p.read_metrics()["tokens"]
    assert (usage["input-tokens"], usage["output-tokens"], usage["estimated-tokens"]) == expected
    assert (usage["requests"], problems()) == (1, {})
    assert only(home, "llm")["tokens-are"] == told


def test_an_estimate_gives_way_to_counted_tokens_of_the_same_call(home: Path) -> None:
    """However many there are, and in any order."""
    p.record_llm_usage("x", "m", prompt="x" * 4000, answer="y" * 4000, estimate=True, request_id="r")
    assert p.read_metrics()["tokens"]["estimated-tokens"] == 2500
    p.record_llm_usage("x", "m", 3, 2, request_id="r")
    p.record_llm_usage("x", "m", prompt="x" * 8000, estimate=True, request_id="r")
    usage = p.read_metrics()["tokens"]
    assert (usage["requests"], usage["input-tokens"], usage["output-tokens"], usage["estimated-tokens"]) == (1, 3, 2, 0)


@pytest.mark.parametrize("prompt", [-1, True, 1.5, b"text", ["text"], 10**13, Rude()])
def test_what_has_no_characters_is_an_invalid_value(home: Path, prompt: Any) -> None:
    """The call counts, without tokens of that kind."""
    p.record_llm_usage("x", "m", prompt=prompt, answer=8, estimate=True)
    usage = p.read_metrics()["tokens"]
    assert (usage["requests"], usage["input-tokens"], usage["output-tokens"]) == (1, 0, 3)
    assert (problems(), p.lost_events()) == ({"invalid-values": 1}, 0)


def test_texts_that_are_estimated_are_in_no_file(home: Path) -> None:
    """Neither the journal nor the figures have them."""
    p.record_llm_usage("x", "m", prompt="a secret prompt", answer="a secret answer", estimate=True, request_id="r")
    p.read_metrics()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not [path for path in files if b"secret" in path.read_bytes()]


def test_losses_are_told_in_the_journal_at_the_end_where_it_takes_them(home: Path) -> None:
    """A note outside the folder would say for ever that the journal could not be told."""
    p.record_tool_execution("t", "x")
    recording.current().lose("tool", OSError("for a moment"))
    recorder.close()
    assert (losses.notes(str(home)), problems()) == ({}, {"lost-events": 1})


def test_a_run_tells_by_what_it_can_be_recognised(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Process, machine, boot, folder and terminal pane, for whoever looks for it later."""
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,7,0")
    monkeypatch.setenv("TMUX_PANE", "%3")
    run = p.record_agent_start("x")
    origin = p.read_metrics()["agents"]["x"]["runs"][run]["origin"]
    assert {"pid", "process-start", "host", "boot", "cwd", "tmux", "tmux-pane", "source"} <= origin.keys()


def test_a_recording_that_has_ended_opens_no_fast_road_to_its_closed_journal(home: Path) -> None:
    """The folding thread may be looking after the journal just then; the descriptor's number may be another file's soon."""
    p.record_tool_execution("t", "x")
    ended = recording.current()
    recorder.close()
    ended.allow_fast_road()
    assert recording.road.descriptor is None
