"""What was told of sessions already: what is known of an answer of a model, and what the memory of it all has to offer."""

from __future__ import annotations

from typing import NamedTuple, Protocol

PATIENCE_MS = 3_000
"""How long hooks and transcript may lag: what is in doubt for longer than that is told by what is known of it."""
NEXT_PROMPT = "the next prompt"
"""For what a session waits that has done what it was asked for."""
UNLISTED = "(requests that the transcript does not list)"
"""In place of a model, where it is not known: it has no price, so sums say that they are at least what they are."""


class Spent(NamedTuple):
    """What is known of an answer of a model: by which run it was told first, and its largest figures so far."""

    session: str
    agent: str
    run: str
    time_ms: int
    model: str
    tokens: tuple[int, ...]
    """Input, output, cache read, cache write, cache write for an hour."""


class Known(Protocol):
    """What was told already, by all sessions together."""

    def answered(self, call: str, /) -> bool:
        """Whether the outcome of a call was told."""

    def answer(self, call: str, /) -> None:
        """It is told now."""

    def prompted(self, message: str, /) -> bool:
        """Whether a prompt was told. From now on it was."""

    def compacted(self, name: str, /) -> bool:
        """Whether the request for a summary was told, by session and time. From now on it was."""

    def spent(self, message: str, /) -> Spent | None:
        """What was told of an answer of a model; None where nothing was."""

    def spend(self, message: str, spent: Spent, /) -> None:
        """That is told of it now."""

    def copied(self, session: str, message: str, /) -> None:
        """The transcript of a session has this answer, which another session told first."""

    def unlisted(self, session: str, model: str, total: tuple[int, ...], /) -> tuple[int, ...]:
        """By how much what the program counted for a session exceeds what its transcript lists, its parents' excess and what
        was told of it before left out.
        """
