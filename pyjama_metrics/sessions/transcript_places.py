"""Where Claude Code and Codex keep the files of their sessions, and whose each file is, as far as its name tells."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pyjama_metrics.sessions.foreign_values import count, fields, word
from pyjama_metrics.storage import json
from pyjama_metrics.storage.files import read_whole

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_AGENT = re.compile(r"agent-([A-Za-z0-9_-]{1,64})")
_ROLLOUT = re.compile(r"rollout-(?:\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-)?([A-Za-z0-9_-]{1,64})\.jsonl")
_DEPTH = 8
"""Folders below a place that are looked into: symbolic links to folders may lead in a circle."""
_META_BYTES = 1024 * 1024


Troubles = list[tuple[str, str]]
"""What cannot be read: (path, reason)."""


class Place(NamedTuple):
    """One file of a session."""

    path: str
    source: str
    """``claude-code`` or ``codex``."""
    session: str
    """"" where only the lines tell it: the file of a subagent that lies beside its session (Claude Code 2.0)."""
    agent: str | None
    """The subagent whose file it is; None for the session's own, and for a rollout, whose first line tells it."""
    folder: str
    """The folder of the program's files below which it was found."""
    modified_ns: int
    size: int


class Meta(NamedTuple):
    """What Claude Code tells of a subagent beside its file."""

    agent_type: str
    call: str
    """The id of the tool call that began it."""
    parent: str
    """The subagent that began it; "" for the session itself."""
    depth: int


def claude_candidates(environment: Mapping[str, str]) -> list[str]:
    """The folders in which Claude Code may keep its files: those of ``CLAUDE_CONFIG_DIR`` (with commas), else the usual two."""
    told = [part.strip() for part in environment.get("CLAUDE_CONFIG_DIR", "").split(",")]
    home = environment.get("HOME") or os.path.expanduser("~")
    usual = [
        os.path.join(home, ".claude"),
        os.path.join(environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "claude"),
    ]
    return [_expanded(part, home) for part in told if part] or usual


def claude_folders(environment: Mapping[str, str]) -> list[str]:
    """Those of `claude_candidates` that are there, each once, also where one is a symbolic link to another."""
    return _there(claude_candidates(environment), "projects")


def codex_candidates(environment: Mapping[str, str]) -> list[str]:
    """The folder in which Codex may keep its files."""
    home = environment.get("HOME") or os.path.expanduser("~")
    return [_expanded(environment.get("CODEX_HOME", "").strip() or os.path.join(home, ".codex"), home)]


def codex_folders(environment: Mapping[str, str]) -> list[str]:
    """The folder in which Codex keeps its files, where it is there."""
    return _there(codex_candidates(environment), "")


def claude_transcripts(folders: list[str], troubles: Troubles | None = None) -> list[Place]:
    """All transcripts below Claude Code's folders, those that were written to last at the end.

    Args:
        folders: as `claude_folders` answers them.
        troubles: gets the folders that cannot be listed.
    """
    return _sorted(place for folder in folders for place in _claude_files(folder, troubles))


def codex_rollouts(folders: list[str], troubles: Troubles | None = None) -> list[Place]:
    """All rollouts below Codex' folder, archived ones too, those that were written to last at the end.

    Args:
        folders: as `codex_folders` answers them.
        troubles: gets the folders that cannot be listed.
    """
    return _sorted(place for folder in folders for place in _codex_files(folder, troubles))


def written_since(places: list[Place], since_ns: int) -> list[Place]:
    """The files of those sessions of which any was written to since a time (nanoseconds since the epoch).

    Whole sessions, because what a program has counted for a session is compared with all of its files.
    """
    sessions = {(place.source, place.session) for place in places if place.modified_ns >= since_ns} - {("claude-code", "")}
    return [place for place in places if place.modified_ns >= since_ns or (place.source, place.session) in sessions]


def meta_of(path: str) -> Meta | None:
    """What is told of a subagent beside its transcript; None where nothing is, or nothing of use."""
    try:
        beside = f"{path.removesuffix('.jsonl')}.meta.json"
        if os.path.getsize(beside) > _META_BYTES:
            return None
        told = fields(json.loads(read_whole(beside)))
    except (OSError, ValueError):
        return None
    return Meta(
        word(told.get("agentType")), word(told.get("toolUseId")), word(told.get("parentAgentId")), count(told.get("spawnDepth"))
    )


def _expanded(path: str, home: str) -> str:
    """``~`` means the home of the environment that was asked about."""
    return os.path.join(home, path[2:]) if path.startswith("~/") else home if path == "~" else path


def _there(paths: list[str], below: str) -> list[str]:
    found: dict[str, str] = {}
    for path in paths:
        # A path may name the folder of projects itself: older readers of these files took that.
        path = os.path.dirname(path.rstrip("/")) if below and os.path.basename(path.rstrip("/")) == below else path
        if os.path.isdir(os.path.join(path, below)):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _sorted(places: Iterator[Place]) -> list[Place]:
    return sorted(places, key=lambda place: (place.modified_ns, place.path))


def _claude_files(folder: str, troubles: Troubles | None) -> Iterator[Place]:
    projects = os.path.join(folder, "projects")
    for path, status in _lines_below(projects, troubles):
        *above, name = path[len(projects) :].strip(os.sep).removesuffix(".jsonl").split(os.sep)
        agent = _AGENT.fullmatch(name)
        if agent is None:
            # Only directly in the folder of a project: below a session's folder lie other lists, of workflows for example.
            session = name if len(above) == 1 and _SESSION.fullmatch(name) else None
        else:
            inside = "subagents" in above and above.index("subagents") > 1
            session = above[above.index("subagents") - 1] if inside else ""
        if session is not None:
            owner = None if agent is None else agent[1]
            yield Place(path, "claude-code", session, owner, folder, status.st_mtime_ns, status.st_size)


def _codex_files(folder: str, troubles: Troubles | None) -> Iterator[Place]:
    for below in ("sessions", "archived_sessions"):
        for path, status in _lines_below(os.path.join(folder, below), troubles):
            if name := _ROLLOUT.fullmatch(os.path.basename(path)):
                yield Place(path, "codex", name[1], None, folder, status.st_mtime_ns, status.st_size)


def _lines_below(folder: str, troubles: Troubles | None, depth: int = _DEPTH) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files below a folder whose names end in ``.jsonl``. What cannot be listed is passed over."""
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if troubles is not None:
            troubles.append((folder, error.strerror or str(error)))
        return
    for entry in listed:
        try:
            if entry.name.endswith(".jsonl"):
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    yield entry.path, status
            elif depth > 0 and entry.is_dir():
                yield from _lines_below(entry.path, troubles, depth - 1)
        except OSError:
            continue  # gone since it was listed, or a link to nowhere
