"""Recorded sessions of the real programs, through the real hook and the follower: the figures are those of the model's side."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics import events
from pyjama_metrics.agreement import compare
from pyjama_metrics.hub import Hub
from pyjama_metrics.integrations.json_members import Members
from pyjama_metrics.integrations.payloads import told
from pyjama_metrics.sessions.known import UNLISTED
from pyjama_metrics.state import State
from pyjama_metrics.storage.session import SessionJournal
from tests.integrations.programs import CAPTURES, Program, program, somebody_folds

SCENARIOS = [
    pytest.param(version, scenario, id=f"{version}-{scenario}")
    for version in ("claude-code-2.1.197", "claude-code-2.1.329")
    for scenario in sorted(path.name for path in (CAPTURES / version).iterdir() if (path / "truth.json").exists())
]
MINUTE = 60.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a hub that hooks find."""
    monkeypatch.setenv("PYJAMA_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "hub"


def replayed(home: Path, capture: Path, *, transcripts: str) -> State:
    """The figures after a recorded session, each of its processes a real one.

    Args:
        home: the hub's folder.
        capture: the recording.
        transcripts: whether these are there ``before`` the hooks, ``after`` them, or grow ``meanwhile``. In the first case hooks
            are called as the program calls them; otherwise what they write is appended by this process, which is quicker.
    """
    place = home.parent / "projects"
    lines = [json.loads(line) for line in (capture / "hooks.jsonl").read_text().splitlines()]
    if transcripts == "before":
        shutil.copytree(capture / "transcripts", place)
    with somebody_folds(home), ExitStack() as running:
        claude, begun, begin = None, set[str](), time.time()
        for number, line in enumerate(lines):
            if line["hook_event_name"] == "SessionStart" and line["source"] != "compact":
                claude = running.enter_context(program("claude"))
            assert isinstance(claude, Program)
            for name in ("transcript_path", "agent_transcript_path"):
                if name in line:
                    line[name] = str(place / Path(line[name]).relative_to("/home/dev/.claude/projects"))
            begun.add(line["session_id"])
            if transcripts == "before":
                assert claude.hook(line).is_quiet
            else:
                append(home, claude.pid, line)
            if transcripts == "meanwhile":
                grow(capture / "transcripts", place, (number + 1) / len(lines), begun)
                # No session is over meanwhile, however slow this machine is: its transcript is not whole yet.
                Hub(str(home), clock=lambda: begin).read()
    if transcripts == "after":
        shutil.copytree(capture / "transcripts", place)
    hub = Hub(str(home))
    hub.read()
    later = Hub(str(home), clock=lambda: time.time() + MINUTE)
    for _ in range(3):  # a program's death is found, then told to whoever follows, then counted
        state = later.read()
    assert later.follower is not None
    assert later.follower.trouble is None, str(later.follower.trouble)
    assert [each for each in compare(later) if each.differences] == []
    return state


def private_texts(capture: Path) -> set[str]:
    """What people and models said, what tools were given and what they answered, in the hooks and in the transcripts."""
    found: set[str] = set()

    def look(value: Any, name: str) -> None:
        if isinstance(value, str) and len(value) >= 8 and name in PRIVATE:
            found.add(value)
        for key, each in value.items() if isinstance(value, dict) else ():
            look(each, name if name in ("tool_input", "input", "toolUseResult", "tool_response") and key in CONTENTS else key)
        for each in value if isinstance(value, list) else ():
            look(each, name)

    for path in [capture / "hooks.jsonl", *capture.rglob("*.jsonl")]:
        for line in path.read_text().splitlines():
            look(json.loads(line), "")
    return found


PRIVATE = {"prompt", "text", "thinking", "content", "command", "description", "stdout", "stderr", "old_string", "new_string"}
PRIVATE |= {"last_assistant_message", "error", "lastPrompt", "delta", "compact_summary"}
CONTENTS = {"prompt", "content"}


def append(home: Path, pid: int, payload: dict[str, Any]) -> None:
    """What the hook of a program's process appends."""
    fields = told(Members(json.dumps(payload)), "claude-code")
    assert fields is not None
    journal = SessionJournal(str(home), f"claude-code-{payload['session_id']}", pid=pid, fsync=False)
    journal.append(events.line("hook", time.time_ns() // 1_000_000, fields).encode())


def grow(recorded: Path, place: Path, share: float, begun: set[str]) -> None:
    """Let the transcripts of the sessions that have begun have a share of their bytes, wherever that cuts a line."""
    for path in (path for path in recorded.rglob("*.jsonl") if begun & {path.stem, *path.parts}):
        target = place / path.relative_to(recorded)
        target.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        written = target.stat().st_size if target.exists() else 0
        with target.open("ab") as file:
            file.write(data[written : int(len(data) * share)])


def outcomes(state: State) -> dict[str, Counter[str]]:
    """Tool calls of the session itself and of its subagents, by tool."""
    found: dict[str, Counter[str]] = {"main": Counter(), "subagent": Counter()}
    for name, agent in state["agents"].items():
        kind = "main" if name == "work" else "subagent"
        for tool, tally in agent["tools"].items():
            found[kind][tool] += tally["count"] + tally["interrupted"]
    return {kind: calls for kind, calls in found.items() if calls}


@pytest.mark.parametrize("transcripts", ["before", "meanwhile", "after"])
@pytest.mark.parametrize(("version", "scenario"), SCENARIOS)
def test_the_figures_equal_the_truth(home: Path, version: str, scenario: str, transcripts: str) -> None:
    """Calls by name and by whom, failures, what was not executed, subagents, prompts, sessions, tokens by kind, ends."""
    capture = CAPTURES / version / scenario
    truth: dict[str, Any] = json.loads((capture / "truth.json").read_text())
    state = replayed(home, capture, transcripts=transcripts)
    failed = truth["tool_failures_total"]
    ended = truth.get("tool_outcomes", {"failed": failed, "ok": truth["tool_calls_total"] - failed})
    assert outcomes(state) == {kind: Counter(calls) for kind, calls in truth["tool_calls_by_kind"].items() if calls}
    assert state["global"]["success"] == ended.get("ok", 0)
    assert state["global"]["error"] == ended.get("failed", 0)
    assert state["global"]["interrupted"] == ended.get("not_executed", 0) + ended.get("unanswered", 0)
    subagents = [run for name, agent in state["agents"].items() if name != "work" for run in agent["runs"].values()]
    assert len(subagents) == truth["subagents"]
    assert {run["origin"]["labels"]["session"] for agent in state["agents"].values() for run in agent["runs"].values()} == set(
        truth["sessions"]
    )
    # The hooks do not fire for /compact, and the transcript has it as a command.
    commands = sum(run["prompt"].startswith("/") for run in truth["runs"])
    assert state["messages"].get("user", 0) == truth["prompts"] - commands
    tokens = state["tokens"]
    assert {
        "input_tokens": tokens["input-tokens"],
        "output_tokens": tokens["output-tokens"],
        "cache_creation_input_tokens": tokens["cache-write-tokens"] + tokens["cache-write-1h-tokens"],
        "cache_read_input_tokens": tokens["cache-read-tokens"],
    } == truth["tokens"]["all"]
    assert set(state["models"]) == set(truth["tokens_by_model"])
    assert UNLISTED not in state["models"]
    written = b"\n".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    texts = private_texts(capture)
    assert len(texts) > 1
    assert [text for text in texts if text.encode() in written or json.dumps(text)[1:-1].encode() in written] == []
    ends = Counter(run["status"] for agent in state["agents"].values() for run in agent["runs"].values())
    if scenario == "sigkill":
        assert ends == {"crashed": 1}, "it was killed, and nobody could say so"
    else:
        assert set(ends) == {"completed"}
        assert state["runs"]["started"] == state["runs"]["completed"]


@pytest.mark.parametrize("rollouts", ["before", "after"])
@pytest.mark.parametrize("scenario", ["basic", "text"])
def test_the_figures_of_codex_equal_the_truth(home: Path, scenario: str, rollouts: str) -> None:
    """Calls by the names that the model gave, failures by exit code, tokens without what was cached, one prompt, one session."""
    capture = CAPTURES / "codex-0.169.0" / scenario
    truth: dict[str, Any] = json.loads((capture / "truth.json").read_text())
    place = home.parent / "sessions"
    if rollouts == "before":
        shutil.copytree(capture / "sessions", place)
    with somebody_folds(home), program("codex") as codex:
        for line in map(json.loads, (capture / "hooks.jsonl").read_text().splitlines()):
            line["transcript_path"] = str(place / Path(line["transcript_path"]).relative_to("/home/dev/.codex/sessions"))
            assert codex.hook(line, "codex").is_quiet
    if rollouts == "after":
        shutil.copytree(capture / "sessions", place)
    Hub(str(home)).read()
    later = Hub(str(home), clock=lambda: time.time() + MINUTE)
    for _ in range(3):
        state = later.read()
    assert later.follower is not None
    assert later.follower.trouble is None, str(later.follower.trouble)
    tokens, told = state["tokens"], truth["tokens"]["all"]
    assert (tokens["input-tokens"], tokens["cache-read-tokens"]) == (
        told["input_tokens"] - told["cached_input_tokens"],
        told["cached_input_tokens"],
    )
    assert (tokens["output-tokens"], tokens["requests"]) == (told["output_tokens"], sum(truth["api_replies"].values()))
    tools = {name: tally["count"] + tally["interrupted"] for name, tally in state["tools"].items()}
    assert tools == truth["tool_calls"]
    codes = [call["result"].partition("exited with code ")[2][:1] for call in truth.get("tools", [])]
    assert state["global"]["error"] == len([code for code in codes if code not in ("", "0")])
    assert (state["messages"]["user"], state["runs"]["completed"]) == (len(truth["runs"]), 1)
    assert {run["origin"]["labels"]["session"] for run in state["agents"]["work"]["runs"].values()} == set(truth["sessions"])
