"""The transcripts of the sessions that are followed: where they are, and what is new in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pyjama_metrics.sessions.digests import Kept, reader_of
from pyjama_metrics.sessions.facts import Fact
from pyjama_metrics.sessions.machine import Session
from pyjama_metrics.storage.grown_files import PIECE, GrownFile, Position

ENDING = ".jsonl"
_SUBAGENTS = "subagents"


class Part(NamedTuple):
    """What was new in a transcript.

    Attributes:
        facts: (subagent, fact), in their order; None in place of a subagent is the session itself.
        position: how far it is read, as plain JSON.
        size: bytes that were read.
        is_all: whether nothing whole was left.
    """

    facts: list[tuple[str | None, Fact]]
    position: Any
    size: int
    is_all: bool


class Transcripts:
    """Reads on in transcripts, and remembers how large each was: it need not be opened to see that nothing is new."""

    def __init__(self) -> None:
        self._buffer = bytearray(PIECE)
        self._looked: dict[str, tuple[int, int] | None] = {}

    def of(self, session: Session) -> list[str]:
        """The files that belong to a session: those that its hooks named, and those of its subagents beside them."""
        found = dict.fromkeys(path for path in session.transcripts if path.endswith(ENDING))
        for path in list(found):
            beside = os.path.join(path.removesuffix(ENDING), _SUBAGENTS)
            try:
                names = sorted(os.listdir(beside))
            except OSError:
                continue  # it has none
            found |= dict.fromkeys(os.path.join(beside, name) for name in names if name.endswith(ENDING))
        if session.source == "claude-code":
            # Versions 2.0 put them beside the session's own.
            folders = {os.path.dirname(path) for path in session.transcripts}
            beside_it = [os.path.join(folder, f"agent-{sub}{ENDING}") for folder in folders for sub in session.subs]
            found |= dict.fromkeys(filter(os.path.exists, beside_it))
        if session.source == "codex" and session.subs:
            found |= dict.fromkeys(_threads_beside(list(found), session.subs))
        return list(found)

    def have_grown(self) -> bool:
        """Whether one of the files that were looked at lately is another one, or has another size. Opens none."""
        return any(_look(path) != seen for path, seen in self._looked.items())

    def forget(self, kept: set[str]) -> None:
        """Only these files are looked at any more."""
        for path in self._looked.keys() - kept:
            del self._looked[path]

    def read(self, source: str, path: str, kept: Any, budget: int) -> Part | None:
        """What is new in a file; None where nothing is, or where it cannot be read (it may have been removed).

        Args:
            source: the program that writes it.
            path: the file.
            kept: the position of an earlier part; None for none.
            budget: bytes after which to take no more; the last piece may go beyond.
        """
        seen = _look(path)
        if budget <= 0:
            return Part([], kept, 0, False) if seen is not None and self._looked.get(path) != seen else None
        if seen is None or (self._looked.get(path) == seen and kept is not None):
            self._looked[path] = seen
            return None
        before = Kept.of(kept)
        reading = GrownFile(path, Position.of(before.position), self._buffer)
        reader = reader_of(source, before.state)
        facts: list[tuple[str | None, Fact]] = []
        size, is_all = 0, True
        try:
            for buffer, begin, end in reading.pieces():
                if size >= budget:
                    is_all = False
                    break
                if reading.began_anew and not size:
                    reader.begin_anew()
                elif not size:
                    facts += before.facts()  # an import has read the beginning
                facts += ((agent, fact) for _, agent, told in reader.read(buffer, begin, end) for fact in told)
                size += end - begin
        except OSError:
            if reading.position is None:
                return None
        if is_all:
            self._looked[path] = seen
        if not size and kept is not None:
            return None
        return Part(facts, [list(reading.position or ()), reader.state()], size, is_all)


def _threads_beside(paths: list[str], threads: Iterable[str]) -> Iterator[str]:
    """The rollouts of some threads, which lie beside that of the thread that began them."""
    endings = tuple(f"-{thread}{ENDING}" for thread in threads)
    for folder in {os.path.dirname(path) for path in paths}:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        yield from (os.path.join(folder, name) for name in names if name.endswith(endings))


def _look(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size
