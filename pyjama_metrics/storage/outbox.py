"""The way from the outbox of ``sessions.db`` into the journals: each line once, whoever dies on the way.

A line has a number that no other has. What is in the outbox may be in its journal already, where a process died after it had
appended and before it had said so; then the number is there, behind the place at which the journal ended when the outbox was
filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pyjama_metrics import settings
from pyjama_metrics.storage import segments
from pyjama_metrics.storage.segments import Segment
from pyjama_metrics.storage.session import SessionJournal
from pyjama_metrics.storage.sessions import Letter, SessionsFile

_AT_ONCE = 1 << 20


def send(file: SessionsFile, folder: str, letters: Sequence[Letter]) -> None:
    """Append lines to their journals, except for those that are there already, and take them out of the outbox.

    Args:
        file: whose outbox holds them.
        folder: the hub's.
        letters: the lines, those of one journal in their order.

    Raises OSError, SessionsUnusable: what is left stays in the outbox.
    """
    by_writer: dict[str, list[Letter]] = {}
    for letter in letters:
        by_writer.setdefault(letter.writer, []).append(letter)
    for writer, mine in by_writer.items():
        there = _numbers_there(folder, mine[0])
        journal = _journal(folder, writer)
        share, size = list[bytes](), 0
        for letter in mine:
            if letter.number in there:
                continue
            share.append(letter.line)
            size += len(letter.line)
            if size > _AT_ONCE:
                journal.append(b"".join(share))
                share, size = [], 0
        if share:
            journal.append(b"".join(share))
    if letters:
        file.sent(letters)
        file.commit()


def events_of(segment: Segment, offset: int = 0) -> Iterator[dict[str, Any]]:
    """The events of a segment, from an offset in bytes on. Raises OSError."""
    while True:
        lines, size = segments.read_lines(segment.path, offset, segments.CHUNK)
        if not size:
            return
        offset += size
        yield from filter(None, segments.parse(lines))


def _numbers_there(folder: str, first: Letter) -> set[int]:
    """The numbers of the lines that are in a writer's journal, from where its outbox began."""
    found: set[int] = set()
    for segment in segments.listing(folder):
        if segment.writer == first.writer and (not first.segment or segment.name >= first.segment):
            offset = first.offset if segment.name == first.segment else 0
            found.update(number for event in events_of(segment, offset) if type(number := event.get("n")) is int)
    return found


def _journal(folder: str, writer: str) -> SessionJournal:
    """The journal of a writer, whose process may be gone by now."""
    label, pid, started = writer.rsplit("-", 2)
    return SessionJournal(folder, label, pid=int(pid), started=int(started, 16), fsync=settings.fsync())
