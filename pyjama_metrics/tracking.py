"""``track_agent`` and ``track_tool``: record a function, or a block, without touching what it does.

Each is a decorator and a context manager in one::

    @track_agent("analyser")            # one call is one run
    def main() -> None: ...

    @track_tool                         # one call is one execution of the tool "read_file"
    def read_file(path: str) -> str: ...

    with track_tool("list-files"):      # `async with` as well
        ...

What is recorded, by the way the code ends:

    ends with                                     tool           run
    a value                                       ok             completed
    ``SystemExit`` with 0 or nothing              ok             completed
    a cancellation, Ctrl-C, a closed generator    interrupted    stopped
    any other exception                           error          failed

The exception itself goes on to the caller as it was. Functions, methods, coroutines, generators and async
generators stay what they are; a generator counts from its first step, its duration is the time spent in its
own code, and its run is the current one only while that code runs. Nothing is shared between calls, so one
decorated function may run in any number of threads and tasks, and call itself.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial

from pyjama_metrics.events import text_of
from pyjama_metrics.tracked_calls import AgentCall, ToolCall
from pyjama_metrics.tracked_functions import name_of, wrap, wrap_tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import Enum
    from os import PathLike
    from types import TracebackType
    from typing import Any, TypeVar, overload

    from pyjama_metrics.tracked_calls import Call

    F = TypeVar("F", bound=Callable[..., Any])
    Name = str | PathLike[str] | Enum | float


class _Tracker:
    """A decorator and a context manager; of all that goes on it keeps only the open blocks."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._open: dict[Call, None] = {}

    def __call__(self, function: F) -> F:
        """Return ``function``, tracked: same kind, same name, same signature."""
        return self._decorated(function)  # type: ignore[no-any-return]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Record how the block ended. An exception passes on."""
        call = self._leave()
        if call is not None:
            call.suspend()
            call.finish(error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """The same for ``async with``."""
        self.__exit__(kind, error, traceback)

    def _decorated(self, function: Any) -> Any:
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(self._decorated(function.__func__))
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"Only functions and methods can be tracked, not {function!r}: decorate a method.")
        return self._wrapped(function, self._name if self._name is not None else name_of(function))

    def _wrapped(self, function: Any, name: str) -> Any:
        """``function``, recorded under ``name``."""
        raise NotImplementedError

    def _enter(self, call: Call) -> None:
        call.resume()
        self._open[call] = None
        # A block that was left from another context could not be taken off this context's list; now it is.
        still_open = tuple(block for block in _blocks.get() if block[1] in block[0]._open)
        _blocks.set((*still_open, (self, call)))

    def _leave(self) -> Call | None:
        """The innermost open block of this object, first of those that this context entered."""
        blocks = _blocks.get()
        for block in reversed(blocks):
            call = block[1]
            if call in self._open:
                del self._open[call]
                _blocks.set(tuple(other for other in blocks if other is not block))
                return call
        # Entered in one task or thread and left in another, as fixtures and thread pools do.
        return self._open.popitem()[0] if self._open else None


_blocks: ContextVar[tuple[tuple[_Tracker, Call], ...]] = ContextVar("pyjama_metrics_blocks", default=())
"""The with-blocks open here, innermost last: one object may be entered again, here and elsewhere at once."""


class ToolTracker(_Tracker):
    """What ``track_tool(...)`` returns. Safe to share between threads, tasks and recursive calls."""

    def __init__(self, name: str | None, agent: str | None) -> None:
        super().__init__(name)
        self._agent = agent

    def __enter__(self) -> None:
        """Start timing a block.

        Raises:
            TypeError: no name was given, and a block has none of its own.
        """
        if self._name is None:
            raise TypeError('A block needs a tool name: write `with track_tool("read-file"):`.')
        self._enter(ToolCall(self._name, self._agent))

    async def __aenter__(self) -> None:
        """The same for ``async with``."""
        self.__enter__()

    def _wrapped(self, function: Any, name: str) -> Any:
        return wrap(
            function,
            start=partial(ToolCall, name, self._agent),
            wrap_plain=partial(wrap_tool, tool=name, agent=self._agent),
        )


class AgentTracker(_Tracker):
    """What ``track_agent(...)`` returns. Safe to share between threads, tasks and recursive calls."""

    def __init__(
        self,
        name: str | None,
        parent: str | None = None,
        spec: object = None,
        labels: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(name)
        self._parent, self._spec, self._labels = parent, spec, labels

    def __enter__(self) -> str:
        """Start a run, make it the current one, and return its id."""
        call = self._start(text_of(self._name))
        self._enter(call)
        return call.run_id

    async def __aenter__(self) -> str:
        """The same for ``async with``."""
        return self.__enter__()

    def _start(self, name: str) -> AgentCall:
        return AgentCall(name, self._parent, self._spec, self._labels)

    def _wrapped(self, function: Any, name: str) -> Any:
        return wrap(function, start=partial(self._start, name))


if TYPE_CHECKING:

    @overload
    def track_tool(name: F, /) -> F: ...
    @overload
    def track_tool(name: Name | None = None, *, agent: Name | None = None) -> ToolTracker: ...


def track_tool(name: Any = None, *, agent: Name | None = None) -> Any:
    """Record each call of a function, or each pass through a block, as one execution of a tool.

    Args:
        name: of the tool; any text. Without one (``@track_tool``) it is the function's name.
        agent: that uses the tool. Without one it is the agent in whose code the call happens, else
            ``default_agent()``.

    Raises:
        TypeError: what is decorated is a class or cannot be called, or a block has no name.

    Nothing else is raised on account of the recording (but see ``PYJAMA_STRICT``).
    """
    tracker = ToolTracker(_given_name(name), None if agent is None else text_of(agent))
    return tracker(name) if _is_decorated(name) else tracker


if TYPE_CHECKING:

    @overload
    def track_agent(name: F, /) -> F: ...
    @overload
    def track_agent(
        name: Name,
        *,
        parent: str | None = None,
        spec: object = None,
        labels: Mapping[str, object] | None = None,
    ) -> AgentTracker: ...


def track_agent(
    name: Any,
    *,
    parent: str | None = None,
    spec: object = None,
    labels: Mapping[str, object] | None = None,
) -> Any:
    """Record each call of a function, or each pass through a block, as one run of an agent.

    While its code runs it is the current run: tools know their agent by it, and runs started there are its
    children. ``with track_agent("analyser") as run_id:`` gives the id of the run.

    Args:
        name: of the agent; any text. As ``@track_agent``, without parentheses, it is the function's name.
        parent: run id of the parent; by default the run in whose code, or in whose process tree, it starts.
        spec: what the agent was asked to do; any plain value.
        labels: texts to find the run by.

    Raises:
        TypeError: what is decorated is a class or cannot be called.

    Nothing else is raised on account of the recording (but see ``PYJAMA_STRICT``).
    """
    tracker = AgentTracker(_given_name(name), parent, spec, labels)
    return tracker(name) if _is_decorated(name) else tracker


def _is_decorated(name: object) -> bool:
    return callable(name) or isinstance(name, (staticmethod, classmethod))


def _given_name(name: object) -> str | None:
    return None if name is None or _is_decorated(name) else text_of(name)
