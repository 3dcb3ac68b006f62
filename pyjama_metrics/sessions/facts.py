"""Facts: what a transcript tells about a session, whichever program wrote it.

A program that is not ours tells of a session twice: its hooks while it happens, its transcript a little later and more fully.
What the hooks tell is a journal line of the kind ``hook`` (docs/journal.md); what a transcript tells is one of the facts below.
Both go into `pyjama_metrics.sessions.machine`, which makes events of them.

All times are milliseconds since the epoch; 0 where a line has none. Names and ids are texts that a journal can hold
(`pyjama_metrics.events.text_of`), never empty.
"""

from __future__ import annotations

from typing import NamedTuple

OK, ERROR, NOT_EXECUTED = "ok", "error", "not-executed"
"""How a tool call ended: it was done; it failed; or it never ran, as it was refused, unknown, or its input was of no use."""


class Usage(NamedTuple):
    """One answer of a model, as far as it is written by now. The same answer may come again, with larger figures."""

    message: str
    """The id of the answer, the same in every copy of it."""
    time_ms: int
    model: str
    input: int
    """Tokens, without what a cache held."""
    output: int
    cache_read: int
    cache_write: int
    """Tokens written to a cache for five minutes (or for as long as the program's provider keeps them)."""
    cache_write_1h: int


class Call(NamedTuple):
    """The model asks for a tool."""

    call: str
    """The id of the call."""
    time_ms: int
    tool: str


class Result(NamedTuple):
    """What came of a call."""

    call: str
    time_ms: int
    outcome: str
    """``ok``, ``error`` or ``not-executed``."""
    error: str | None
    """The class of an error, such as ``exit code 3``; never its text, which may hold anything."""
    duration_ms: float | None
    """Where the transcript tells it."""
    tool: str | None
    """Where the transcript tells it again."""


class Prompt(NamedTuple):
    """A person's message (not one that the program sent to itself)."""

    message: str
    """An id, the same in every copy of it."""
    time_ms: int
    turn: str | None = None
    """The id by which hooks name the same prompt, where the transcript has it."""


class Interrupted(NamedTuple):
    """A person stopped the model in the middle of its work."""

    time_ms: int


class Failed(NamedTuple):
    """The program gave up a request to the model."""

    time_ms: int
    reason: str
    """A word or two of the program's own, such as ``rate_limit``; never the text of an answer."""


class Compacted(NamedTuple):
    """The conversation was replaced by a summary of it."""

    time_ms: int


class About(NamedTuple):
    """What a line tells by the way; None for what it does not tell."""

    time_ms: int
    cwd: str | None = None
    branch: str | None = None
    version: str | None = None
    model: str | None = None
    title: str | None = None
    context_tokens: int | None = None
    """Tokens that the conversation has now."""
    context_window: int | None = None
    """Tokens that the model can hold."""
    limits: dict[str, tuple[float, int]] | None = None
    """Name of a limit of the user's plan to (per cent used, time of its reset in milliseconds since the epoch, 0 if unknown)."""
    parent: str | None = None
    """The session that began this one, where it is that of a subagent."""
    agent_type: str | None = None


class Totals(NamedTuple):
    """What the program itself has counted for the session until now, requests that it writes nowhere else included."""

    time_ms: int
    models: dict[str, tuple[int, int, int, int, int]]
    """Model to tokens: input, output, cache read, cache write, cache write for an hour."""
    cost_usd: float | None


Fact = Usage | Call | Result | Prompt | Interrupted | Failed | Compacted | About | Totals
