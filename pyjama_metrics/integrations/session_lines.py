"""Raw lines in the journal of a session of somebody else's program."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping

from pyjama_metrics import events, settings
from pyjama_metrics.storage import owners
from pyjama_metrics.storage.session import SessionJournal

_WRAPPERS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "env", "timeout", "nice", "nohup"})
_ID = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_TEXTS = {"transcript": "transcript_path", "cwd": "cwd", "turn": "prompt_id"}


def append(source: str, payload: Mapping[str, object], fields: Mapping[str, object], time_ms: int) -> None:
    """Append what one call of a program told. Raises OSError."""
    session = payload.get("session_id")
    if not isinstance(session, str) or not session:
        return
    told = {name: value for name, key in _TEXTS.items() if isinstance(value := payload.get(key), str) and value}
    line = events.line("hook", time_ms, {"source": source, "session": session, **told, **fields})
    journal = SessionJournal(settings.home(), f"{source}-{_label(session)}", pid=_program(), fsync=settings.fsync())
    journal.append(line.encode())


def _label(session: str) -> str:
    """A session's id as a part of a file's name."""
    if len(session) <= 64 and set(session) <= _ID:
        return session
    data = session.encode("utf-8", "surrogatepass")
    return f"x{zlib.crc32(data):08x}{zlib.adler32(data):08x}"


def _program() -> int:
    """The process that called us: the nearest ancestor that is no shell."""
    pid = os.getppid()
    for _ in range(8):
        fields = owners.process_fields(pid)
        if fields is None or _name(pid) not in _WRAPPERS or int(fields[1]) <= 1:
            break
        pid = int(fields[1])
    return pid


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
