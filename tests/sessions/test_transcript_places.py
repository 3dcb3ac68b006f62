"""Where the files of sessions lie, and whose they are."""

from __future__ import annotations

import os
from pathlib import Path

from pyjama_metrics.sessions.transcript_places import (
    Meta,
    claude_folders,
    claude_transcripts,
    codex_folders,
    codex_rollouts,
    meta_of,
)
from tests.captured import CAPTURES


def made(path: Path, modified: int = 0) -> Path:
    """A file that was last written at a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"{}\n")
    os.utime(path, (modified, modified))
    return path


def test_the_usual_folders_are_found(tmp_path: Path) -> None:
    """Those that are there, each once; one may be a link to the other."""
    assert claude_folders({"HOME": str(tmp_path)}) == []
    made(tmp_path / ".claude" / "projects" / "-w" / "s.jsonl")
    assert claude_folders({"HOME": str(tmp_path)}) == [str(tmp_path / ".claude")]
    made(tmp_path / ".config" / "claude" / "projects" / "-w" / "s.jsonl")
    both = [str(tmp_path / ".claude"), str(tmp_path / ".config" / "claude")]
    assert claude_folders({"HOME": str(tmp_path)}) == both
    (tmp_path / "same").symlink_to(tmp_path / ".claude")
    told = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": f" ~/.config/claude/projects ,{tmp_path}/none,,~/.claude,{tmp_path}/same"}
    assert claude_folders(told) == both[::-1]


def test_codex_folder_is_where_it_is_told(tmp_path: Path) -> None:
    """CODEX_HOME, or .codex."""
    (tmp_path / ".codex").mkdir()
    (tmp_path / "c").mkdir()
    assert codex_folders({"HOME": str(tmp_path)}) == [str(tmp_path / ".codex")]
    assert codex_folders({"HOME": str(tmp_path), "CODEX_HOME": "~/c"}) == [str(tmp_path / "c")]
    assert codex_folders({"HOME": str(tmp_path), "CODEX_HOME": "~/d"}) == []


def test_transcripts_are_found_oldest_first_with_whose_they_are(tmp_path: Path) -> None:
    """A subagent's file lies in a folder of its session; version 2.0 laid it beside it."""
    project = tmp_path / "projects" / "-home-dev-work"
    made(project / "s-2.jsonl", 30)
    made(project / "s-1.jsonl", 10)
    made(project / "s-1" / "subagents" / "agent-a1.jsonl", 20)
    made(project / "s-1" / "subagents" / "workflows" / "wf_1" / "agent-a3.jsonl", 25)
    made(project / "agent-a2.jsonl", 5)
    for other in ("s-1/tool-results/x.jsonl", "s-1/subagents/journal.jsonl", "notes.txt", "é.jsonl", "x" * 65 + ".jsonl"):
        made(project / other)
    (project / "gone.jsonl").symlink_to(project / "nowhere")
    os.mkfifo(project / "pipe.jsonl")
    (project / "folder.jsonl").mkdir()
    found = claude_transcripts([str(tmp_path)])
    assert [(place.session, place.agent) for place in found] == [
        ("", "a2"),
        ("s-1", None),
        ("s-1", "a1"),
        ("s-1", "a3"),
        ("s-2", None),
    ]
    assert {(place.source, place.folder, place.size) for place in found} == {("claude-code", str(tmp_path), 3)}


def test_a_circle_of_folders_ends(tmp_path: Path) -> None:
    """Two links to the folder above them: without an end there would be a million million ways."""
    made(tmp_path / "projects" / "-w" / "s.jsonl")
    for name in ("again", "and again"):
        (tmp_path / "projects" / "-w" / name).symlink_to(tmp_path / "projects")
    assert [place.session for place in claude_transcripts([str(tmp_path)])] == ["s"]
    assert claude_transcripts([str(tmp_path / "none")]) == []


def test_what_is_told_beside_a_subagent_s_file_is_read() -> None:
    """Its type, and the call that began it."""
    (file,) = (CAPTURES / "claude-code-2.1.329" / "basic").rglob("agent-*.jsonl")
    assert meta_of(str(file)) == Meta("general-purpose", "toolu_fake46aa893b3305a66a0b63", "", 1)


def test_nothing_is_told_by_what_is_missing_or_broken(tmp_path: Path) -> None:
    """No file, no JSON, no object, too much."""
    path = made(tmp_path / "agent-a.jsonl")
    beside = tmp_path / "agent-a.meta.json"
    assert meta_of(str(path)) is None
    beside.write_bytes(b"{")
    assert meta_of(str(path)) is None
    beside.write_bytes(b"[1]")
    assert meta_of(str(path)) == Meta("", "", "", 0)
    beside.write_bytes(b" " * (1024 * 1024 + 1))
    assert meta_of(str(path)) is None
    beside.unlink()
    os.mkfifo(beside)
    assert meta_of(str(path)) is None


def test_rollouts_are_found_with_archived_ones(tmp_path: Path) -> None:
    """By the thread that their names tell."""
    made(tmp_path / "sessions" / "2026" / "11" / "21" / "rollout-2026-11-21T01-53-17-01a1fbce-d0aa.jsonl", 20)
    made(tmp_path / "archived_sessions" / "rollout-2025-01-01T00-00-00-old.jsonl", 10)
    made(tmp_path / "sessions" / "other.jsonl")
    assert [(place.source, place.session, place.agent) for place in codex_rollouts([str(tmp_path)])] == [
        ("codex", "old", None),
        ("codex", "01a1fbce-d0aa", None),
    ]
