"""What is known about the past, as typed results: runs, executions, model calls and what they cost, by name and by time.

`pyjama_metrics.history` answers with them, and is where everybody gets them from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from pyjama_metrics.ledger import NOTHING, Cost


@dataclass(frozen=True, slots=True)
class Tally:
    """Executions of tools.

    Attributes:
        success, error, interrupted: how they ended.
        timed: those whose duration is known.
        total_ms: their durations together; None where there were executions, and none was timed.
        p50_ms, p95_ms, p99_ms: of their durations; None where there are none, or where that was not asked for.
    """

    success: int = 0
    error: int = 0
    interrupted: int = 0
    timed: int = 0
    total_ms: float | None = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None

    @property
    def count(self) -> int:
        """Those that came to an end of their own."""
        return self.success + self.error


@dataclass(frozen=True, slots=True)
class Usage:
    """Model calls, their tokens, and what they cost as far as that is known.

    Attributes:
        input, output, cache_read, cache_write, cache_write_1h: tokens; what a cache held is not in the input.
        cost: how many calls, and their cost in its three parts.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    cost: Cost = NOTHING

    @property
    def requests(self) -> int:
        """How many calls."""
        return self.cost.requests

    @property
    def tokens(self) -> int:
        """All of their tokens."""
        return self.input + self.output + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def estimated_tokens(self) -> int:
        """Those tokens that were estimated."""
        return self.cost.estimated_tokens

    @property
    def reported_micros(self) -> int:
        """The part of the cost that the sources told, in micro-dollars."""
        return self.cost.reported_micros

    @property
    def computed_micros(self) -> int:
        """The part that was worked out from prices, in micro-dollars."""
        return self.cost.computed_micros

    @property
    def unpriced_requests(self) -> int:
        """Calls whose cost nobody knows."""
        return self.cost.unpriced_requests

    @property
    def unpriced_models(self) -> tuple[str, ...]:
        """The models of those."""
        return self.cost.unpriced_models

    @property
    def total_micros(self) -> int | None:
        """The known cost in micro-dollars; None where no call has a known cost: 0 would be a claim."""
        return self.cost.total_micros


@dataclass(frozen=True, slots=True)
class Part:
    """A name and what belongs to it: an agent, a model, a phase, a tool, a run, a project or a host.

    The empty name stands for what belongs to none: a model call in no phase, say. ``runs`` are those that began in the span.
    """

    name: str
    executions: Tally = field(default_factory=Tally)
    usage: Usage = field(default_factory=Usage)
    runs: int = 0


@dataclass(frozen=True, slots=True)
class RunCorrection:
    """What a person said that a run really used: the difference to what was counted before.

    Attributes:
        time: when, in milliseconds since the epoch.
        model: of which model's calls.
        reason: why.
        added: calls, tokens and reported micro-dollars by the names of `pyjama_metrics.ledger_rows.COLUMNS`; less than nothing
            where it takes away.
    """

    time: int
    model: str
    reason: str
    added: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """One run of an agent. What was not told is None; ``outcome`` is None while it runs, or where its end is not known."""

    run: str
    agent: str
    parent: str | None
    parent_agent: str | None
    source: str | None
    project: str | None
    label: str | None
    task: str | None
    host: str | None
    started: int | None
    ended: int | None
    outcome: str | None
    error: str | None
    last_seen: int
    executions: Tally
    usage: Usage
    phases: tuple[Part, ...] = ()
    tools: tuple[Part, ...] = ()
    corrections: tuple[RunCorrection, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """What happened in a step of time; ``runs`` are those that began in it."""

    begin: int
    end: int
    executions: Tally
    usage: Usage
    runs: int = 0


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """What happened in a day, from its midnight to the next."""

    day: date
    begin: int
    end: int
    executions: Tally
    usage: Usage
    agents: tuple[Part, ...]
    models: tuple[Part, ...]
