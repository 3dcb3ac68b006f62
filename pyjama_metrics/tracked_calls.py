"""What is recorded of one tracked call: how long it took, whose it is, and how it ended.

A call is resumed when its code starts or goes on, suspended when that code pauses or has ended, and finished
once.
"""

from __future__ import annotations

from os import getpid
from time import perf_counter

from pyjama_metrics.recorder import (
    current_run,
    default_agent,
    record_agent_complete,
    record_agent_start,
    record_tool_execution,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from typing import Protocol

    class Call(Protocol):
        """One execution that is being recorded."""

        def resume(self) -> None:
            """The tracked code starts, or goes on."""

        def suspend(self) -> None:
            """The tracked code pauses, or has ended."""

        def finish(self, error: BaseException | None) -> None:
            """The tracked code has ended, with ``error`` or without; called once, after ``suspend``."""


MAX_ERROR_TEXT = 500
"""Characters kept of an exception: its class and its message."""

TOOL_STATUS = {"completed": "ok", "failed": "error", "stopped": "interrupted"}


def outcome_of(error: BaseException | None) -> tuple[str, str | None]:
    """How a run that ended with ``error`` ended, and the text that is kept of it."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "completed", None
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)) or _is_cancellation(error):
        return "stopped", None
    return "failed", _describe(error)


def _is_cancellation(error: BaseException) -> bool:
    # Known by name: importing asyncio for its CancelledError would cost more than all the rest, and trio has
    # one of its own. One that is an Exception (there is one in concurrent.futures) is an ordinary failure.
    if isinstance(error, Exception):
        return False
    return any(kind.__name__ in ("CancelledError", "Cancelled") for kind in type(error).__mro__)


def _describe(error: BaseException) -> str:
    name = type(error).__name__
    try:
        message = str(error)
    except Exception:  # a user's __str__ may do anything; the class still says what happened
        message = "(its message cannot be shown)"
    return (f"{name}: {message}" if message else name)[:MAX_ERROR_TEXT]


class ToolCall:
    """One execution of a tool; its duration is the time between ``resume`` and ``suspend``."""

    __slots__ = ("_agent", "_began", "_busy", "_here", "_tool")

    def __init__(self, tool: str, agent: str | None) -> None:
        self._tool, self._busy, self._began = tool, 0.0, 0.0
        self._agent = default_agent() if agent is None else agent
        self._here = current_run.get()

    def resume(self) -> None:
        """Start the clock."""
        self._began = perf_counter()

    def suspend(self) -> None:
        """Stop the clock."""
        self._busy += perf_counter() - self._began

    def finish(self, error: BaseException | None) -> None:
        """Record the execution, for the run in whose code it began."""
        outcome, text = outcome_of(error)
        run, here = None, self._here
        if here is not None and here[0] == self._agent and current_run.get() is not here:
            run = here[1]  # a generator ends where its consumer is; only then is the slower road needed
        record_tool_execution(self._tool, self._agent, TOOL_STATUS[outcome], self._busy * 1000.0, text, run=run)


class AgentCall:
    """One run of an agent; it is the current run between ``resume`` and ``suspend``."""

    __slots__ = ("_agent", "_inside", "_pid", "_token", "run_id")

    def __init__(self, agent: str, parent: str | None, spec: object, labels: Mapping[str, object] | None) -> None:
        self._agent, self._pid = agent, getpid()
        self.run_id = record_agent_start(agent, parent=parent, spec=spec, labels=labels)
        self._inside: tuple[str, str] | None = (agent, self.run_id)
        self._token: Token[tuple[str, str] | None] | None = None

    def resume(self) -> None:
        """Make this run the current one."""
        self._token = current_run.set(self._inside)

    def suspend(self) -> None:
        """Give the current run back to whoever had it before."""
        # A generator may pause inside a `with track_agent(...)` of its own: that run is current again when
        # the generator goes on.
        self._inside = current_run.get()
        token, self._token = self._token, None
        try:
            if token is not None:
                current_run.reset(token)
        except ValueError:
            # Closed from another context (a garbage-collected coroutine, a fixture's other task): the current
            # run of that context was never ours to change.
            pass

    def finish(self, error: BaseException | None) -> None:
        """Record the end of the run."""
        if getpid() != self._pid:
            return  # a forked child unwinds through its parent's code; the run is still the parent's
        outcome, text = outcome_of(error)
        record_agent_complete(self._agent, outcome, text, run=self.run_id)
