"""The process behind a hook: reads what a program hands over, appends one line to the journal of its session, and is gone.

A program waits for its hooks, shows what they print, and takes an exit code of 2 for a veto. So this prints nothing, exits with 0
whatever happens, waits for nobody, and imports next to nothing: no ``json``, no ``re``, no third-party package.
"""

from __future__ import annotations

import os
import time

from pyjama_metrics import settings
from pyjama_metrics.events import MAX_LABEL, MAX_WORD, line, text_of
from pyjama_metrics.integrations import ancestors, starting
from pyjama_metrics.integrations.json_members import Members
from pyjama_metrics.integrations.payloads import STATUS_LINE, is_word, told
from pyjama_metrics.storage.session import SessionJournal, latest_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
    from typing import NoReturn
else:
    import _signal as signal  # its C half: the other one makes enums, which takes half an interpreter's start

SOURCES = {"claude": "claude-code", "codex": "codex"}
"""The programs, by the word that is written into their settings."""
LONGEST_WAIT = 0.2
"""Seconds that a hook waits for the lock of a journal."""
LONGEST_LIFE = 5.0
"""Seconds after which a hook is gone, even where nobody ever ends its input."""
LARGEST = 64 * 1024 * 1024
"""Bytes of the largest payload that is looked at; what is larger is read, so that nobody waits for us, and dropped."""

_SHARE = 1 << 20


def main(words: Sequence[str], begin_ns: int | None = None) -> NoReturn:
    """Be the process of one hook. Exits with 0, whatever happens, and without the interpreter's own leave-taking.

    Args:
        words: ``claude`` or ``codex``; and behind it what the program hands over, where it does so as an argument.
        begin_ns: when the process began, in nanoseconds since the epoch; now where None.
    """
    try:
        begin_ns = time.time_ns() if begin_ns is None else begin_ns
        _end_quietly()
        source = SOURCES.get(words[0]) if words else None
        if source is not None:
            data = os.fsencode(words[-1]) if len(words) > 1 else _input()
            _see_it_through()
            record(source, data, begin_ns // 1_000_000)
    except BaseException:  # whatever it was: it must not be seen, and there is nobody to tell
        pass
    finally:
        os._exit(0)


def record(source: str, data: bytes, time_ms: int, *, hook: str | None = None) -> None:
    """Append what a payload tells to the journal of its session, and see to it that somebody folds. Never raises.

    Args:
        source: ``claude-code`` or ``codex``.
        data: the payload, JSON. What is none, or tells no session, is dropped.
        time_ms: when it happened.
        hook: the payload's name where it does not tell one: ``StatusLine``.
    """
    try:
        payload = Members(data.decode("utf-8", "replace").lstrip("\ufeff"))
        fields = told(payload, source, hook=hook, captured=settings.capture())
        if fields is not None:
            folder = settings.home()
            if _append(folder, source, payload, fields, time_ms):
                starting.ensure_folded(folder)
    except Exception:
        return  # a program's hook has nobody to complain to


def _append(folder: str, source: str, payload: Members, fields: dict[str, object], time_ms: int) -> bool:
    label = f"{source}-{session_name(str(fields['session']))}"
    pid, started = ancestors.program(os.getppid()) or latest_owner(folder, label) or (os.getpid(), None)
    journal = SessionJournal(folder, label, pid=pid, fsync=settings.fsync(), started=started, longest_wait=LONGEST_WAIT)
    opening = line("hook", time_ms, fields | {"origin": _origin(source)}).encode()
    usual = opening if fields["hook"] == "SessionStart" else line("hook", time_ms, fields).encode()
    try:
        journal.append(usual, opening=opening)
    except OSError:
        from pyjama_metrics.storage import losses  # where a disk does not take a line, a note of that is worth some time

        losses.add_to_note(folder, journal.writer, 1)
        return False
    return True


def session_name(session: str) -> str:
    """A session's id as a part of a file's name.

    >>> session_name("0a89ce3e-863e-4f1c"), session_name("../../etc/passwd")
    ('0a89ce3e-863e-4f1c', 'xe5e710ea784151b5')
    """
    if is_word(session):
        return session
    from hashlib import blake2b  # no program has such ids

    return "x" + blake2b(session.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _origin(source: str) -> dict[str, object]:
    """Where the session runs, by the environment that the program gives its hooks."""
    get = os.environ.get
    found: dict[str, str | None] = {"tmux": get("TMUX"), "tmux-pane": get("TMUX_PANE")}
    if source == "claude-code":  # in another program's hook they are those of a session around it
        found |= {"entrypoint": get("CLAUDE_CODE_ENTRYPOINT"), "version": _version(get("AI_AGENT"))}
    found |= {"parent": get(settings.RUN), "parent-agent": get(settings.AGENT)}
    return {name: text_of(value, MAX_LABEL) for name, value in found.items() if value}


def _version(agent: str | None) -> str | None:
    """The version in a text such as ``claude-code_2-1-329_harness``; None where there is none."""
    parts = (agent or "").split("_")
    version = parts[1].replace("-", ".") if len(parts) > 1 else ""
    return version if version and len(version) <= MAX_WORD and version.replace(".", "").isalnum() and version.isascii() else None


# -- the process ---------------------------------------------------------------------------------------------------------


def _input() -> bytes:
    """Standard input to its end; nothing from a terminal, where a person would have to type it."""
    if os.isatty(0):
        return b""
    parts: list[bytes] = []
    size = 0
    while part := os.read(0, _SHARE):
        size += len(part)
        if size > LARGEST:
            parts.clear()
        else:
            parts.append(part)
    return b"".join(parts)


def _end_quietly() -> None:
    """Whoever stops us while we read stops us without a trace; so does the end of our time."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _leave)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_LIFE)


def _see_it_through() -> None:
    """What was read takes a millisecond to keep: who ends the program, and with it its hooks, ends a session that is recorded."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: object) -> None:
    os._exit(0)


__all__ = ["LARGEST", "LONGEST_LIFE", "LONGEST_WAIT", "SOURCES", "STATUS_LINE", "main", "record", "session_name"]
