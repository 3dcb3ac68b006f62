"""The names of the files in a hub's folder."""

from __future__ import annotations

import os

SNAPSHOT = "metrics.json"
REQUESTS = "requests.db"
SESSIONS = "sessions.db"
SESSIONS_LOCK = "sessions.lock"
JOURNAL = "journal"
FOLDER_LOCK = "folder.lock"


FOLLOWED = ("claude-code", "codex")
"""Programs of others whose sessions are followed; the journals of these begin with that, a hyphen and the session."""


def source_of(writer: str) -> str | None:
    """The program whose session's journal a writer's is, or the name of a segment; None for any other journal.

    >>> source_of("claude-code-4f2c-4711-1f"), source_of("analyser-4711-660c0c")
    ('claude-code', None)
    """
    return next((source for source in FOLLOWED if writer.startswith(f"{source}-")), None)


def segment_name(writer: str, number: int) -> str:
    """The file name of a writer's segment.

    >>> segment_name("analyser-4711-660c0c", 0)
    'analyser-4711-660c0c.0.jsonl'
    """
    return f"{writer}.{number}.jsonl"


def segment_parts(name: str) -> tuple[str, int] | None:
    """(writer, number) of a segment's file name; None for any other name.

    >>> segment_parts("analyser-4711-660c0c.0.jsonl"), segment_parts(".analyser-4711-660c0c.1.new")
    (('analyser-4711-660c0c', 0), None)
    """
    writer, _, number = name.removesuffix(".jsonl").rpartition(".")
    usable = name.endswith(".jsonl") and not name.startswith(".") and writer and number.isascii() and number.isdigit()
    return (writer, int(number)) if usable and _is_text(name) else None


def _is_text(name: str) -> bool:
    """Whether a file name is UTF-8; what is not has surrogates in it, and JSON cannot hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def journal_folder(folder: str) -> str:
    """The folder of a hub's journals."""
    return os.path.join(folder, JOURNAL)


def snapshot_path(folder: str) -> str:
    """A hub's shared file."""
    return os.path.join(folder, SNAPSHOT)


def sessions_path(folder: str) -> str:
    """What a hub knows of the sessions of other programs."""
    return os.path.join(folder, SESSIONS)


def folder_lock_path(folder: str) -> str:
    """The file whose lock is held by whoever folds a hub continuously."""
    return os.path.join(folder, FOLDER_LOCK)


def sessions_lock_path(folder: str) -> str:
    """The file whose lock is held by whoever follows sessions, or imports them."""
    return os.path.join(folder, SESSIONS_LOCK)


def imported_path(folder: str) -> str:
    """The empty file that is there when the past was imported: the memory of what was may be lost, and not unnoticed."""
    return os.path.join(folder, "sessions.imported")
