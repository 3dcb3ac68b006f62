"""Versions are asked of the program, and an odd answer costs no more than a few events."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyjama_metrics.integrations import claude_settings, codex_settings, programs
from pyjama_metrics.storage import owners
from tests.waiting import wait_until

OLDEST = ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Notification", "Stop", "SubagentStop", "PreCompact"]
OLDEST += ["SessionEnd"]
IN_2_0_77 = [*OLDEST, "PostToolUseFailure", "SubagentStart", "PermissionRequest"]
NEW = ["PostToolBatch", "PermissionDenied", "Elicitation", "ElicitationResult", "StopFailure", "PostCompact", "CwdChanged"]


@pytest.mark.parametrize(
    ("version", "events"),
    [
        (None, OLDEST),
        ((1, 0, 128), OLDEST),
        ((2, 0, 76), OLDEST),
        ((2, 0, 77), IN_2_0_77),
        ((2, 1, 196), IN_2_0_77),
        ((2, 1, 197), IN_2_0_77 + NEW),
        ((2, 1, 329), IN_2_0_77 + NEW),
        ((3, 0, 0), IN_2_0_77 + NEW),
    ],
)
def test_no_version_gets_an_event_that_it_was_not_seen_to_know(version: programs.Version | None, events: list[str]) -> None:
    """One unknown name makes versions up to 2.0.x drop all hooks."""
    assert list(claude_settings.events(version)) == events


def test_tool_events_are_not_waited_for_where_that_is_supported() -> None:
    """All others are, as they come when Claude Code leaves; none may take long; no path needs care."""
    new = claude_settings.handlers((2, 1, 329), "/data/a b/pyjama-metrics-hook")
    old = claude_settings.handlers((2, 0, 77), "/data/pyjama-metrics-hook")
    tools = {"PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch"}
    assert {event for event, handler in new.items() if handler.get("async")} == tools
    assert not any("async" in handler for handler in old.values())
    assert new["Stop"] == {"type": "command", "command": "'/data/a b/pyjama-metrics-hook' claude", "timeout": 5}
    assert "WorktreeCreate" not in new


def test_codex_gets_what_was_seen_of_its_version() -> None:
    """What is documented for all, and two more since 0.169.0."""
    assert len(codex_settings.events(None)) == len(codex_settings.events((0, 168, 9))) == 10
    assert set(codex_settings.events((0, 169, 0))) - set(codex_settings.events(None)) == {"SessionEnd", "PostModelRequest"}
    assert codex_settings.handlers((0, 169, 0), "/d/pyjama-metrics-hook")["SessionEnd"]["timeout"] == 3


@pytest.mark.parametrize(
    ("script", "version", "why"),
    [
        ("echo '2.1.329 (Claude Code)'", (2, 1, 329), ""),
        ("echo 1.0.128; exit 1", (1, 0, 128), ""),
        ("echo v2", None, "'claude --version' answered something else"),
        ("head -c 100000 /dev/zero", None, "'claude --version' answered something else"),
        ("sleep 60 & echo $! > {note}; wait", None, "'claude --version' did not answer within 0.3 s"),
        ("#!/nowhere/sh", None, "cannot be run"),
        (None, None, "claude is not on your PATH"),
    ],
)
def test_the_installed_version_is_what_the_program_says(
    script: str | None, version: programs.Version | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it says, and however long it takes."""
    if script is not None:
        program = tmp_path / "claude"
        script = script.replace("{note}", str(tmp_path / "note"))
        program.write_text(script if script.startswith("#!") else f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "LONGEST_WAIT", 0.3 if script and "sleep" in script else 5.0)
    found, reason = programs.installed_version("claude")
    assert found == version
    assert why in reason
    if (tmp_path / "note").exists():
        wait_until(lambda: not is_running(int((tmp_path / "note").read_text())), what="the end of what it started")


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    fields = owners.process_fields(pid)
    return fields is not None and fields[0] not in ("Z", "X")
