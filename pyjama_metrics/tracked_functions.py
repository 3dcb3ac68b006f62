"""Functions wrapped so that each call of them is recorded: one wrapper for each kind of function there is.

A wrapper is of the same kind as what it wraps, hands over arguments, values and exceptions as they are, and
keeps nothing between two calls.
"""

from __future__ import annotations

from functools import partial, wraps
from time import perf_counter

from pyjama_metrics.events import text_of
from pyjama_metrics.recorder import default_agent, record_tool_execution
from pyjama_metrics.tracked_calls import TOOL_STATUS, outcome_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import Any

    from pyjama_metrics.tracked_calls import Call

# The bits of co_flags that say what calling a function gives; importing `inspect` would cost some 10 ms.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80 | 0x100, 0x200


def wrap(function: Any, start: Callable[[], Call], wrap_plain: Callable[[Any], Any] | None = None) -> Any:
    """``function`` in a wrapper of its own kind, each call of which is a ``start()`` that is finished.

    Args:
        function: a function, coroutine function, generator function, async generator function, or anything
            else that can be called.
        start: makes the call that is recorded; called when the code of ``function`` begins.
        wrap_plain: what wraps a plain function, where there is a shorter way than the general one.
    """
    flags = _flags_of(function)
    if flags & _ASYNC_GENERATOR:
        return _wrap_async_generator(function, start)
    if flags & _COROUTINE:
        return _wrap_coroutine(function, start)
    if flags & _GENERATOR:
        return _wrap_generator(function, start)
    return _wrap_function(function, start) if wrap_plain is None else wrap_plain(function)


def name_of(function: Any) -> str:
    """The name of what is called; of an object that can be called, the name of its class."""
    while isinstance(function, partial):
        function = function.func
    return text_of(getattr(function, "__name__", type(function).__name__))


def _flags_of(function: Any) -> int:
    """The ``co_flags`` of what runs when ``function`` is called; 0 where that is not Python code."""
    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    return flags if isinstance(flags, int) else 0


def wrap_tool(function: Any, tool: str, agent: str | None) -> Any:
    """A plain function as a tool: the same as ``wrap`` with a ``ToolCall``, without an object per call."""

    @wraps(function)
    def tracked(*args: Any, **kwargs: Any) -> Any:
        owner = default_agent() if agent is None else agent
        began = perf_counter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            duration = (perf_counter() - began) * 1000.0
            outcome, text = outcome_of(error)
            record_tool_execution(tool, owner, TOOL_STATUS[outcome], duration, text)
            raise
        record_tool_execution(tool, owner, "ok", (perf_counter() - began) * 1000.0)
        return result

    return tracked


def _wrap_function(function: Any, start: Callable[[], Call]) -> Any:
    @wraps(function)
    def tracked(*args: Any, **kwargs: Any) -> Any:
        call = start()
        call.resume()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            call.suspend()
            call.finish(error)
            raise
        call.suspend()
        call.finish(None)
        return result

    return tracked


def _wrap_coroutine(function: Any, start: Callable[[], Call]) -> Any:
    @wraps(function)
    async def tracked(*args: Any, **kwargs: Any) -> Any:
        call = start()
        call.resume()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            call.suspend()
            call.finish(error)
            raise
        call.suspend()
        call.finish(None)
        return result

    return tracked


# In the two wrappers below `step` and `value` are what the consumer did last: sent a value, or threw an
# exception (closing is throwing GeneratorExit). The inner generator is stepped outside every `except` block:
# an exception that it raises there would else get a __context__ that it does not have without us. And `value`
# lets go of an exception before the next pause: it would keep this frame, and be kept by it.


def _wrap_generator(function: Any, start: Callable[[], Call]) -> Any:
    @wraps(function)
    def tracked(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        source = function(*args, **kwargs)
        call = start()
        step, value, closing = source.send, None, None
        while True:
            call.resume()
            try:
                item = step(value)
            except StopIteration as stop:
                call.suspend()
                call.finish(closing)
                return stop.value
            except BaseException as error:
                call.suspend()
                call.finish(error)
                raise
            finally:
                value = None
            call.suspend()
            try:
                step, value = source.send, (yield item)
            except GeneratorExit as thrown:
                step, value, closing = source.throw, thrown, GeneratorExit()
            except BaseException as thrown:
                step, value = source.throw, thrown

    return tracked


def _wrap_async_generator(function: Any, start: Callable[[], Call]) -> Any:
    @wraps(function)
    async def tracked(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        source = function(*args, **kwargs)
        call = start()
        step, value, closing = source.asend, None, None
        while True:
            call.resume()
            try:
                item = await step(value)
            except StopAsyncIteration:
                call.suspend()
                call.finish(closing)
                return
            except BaseException as error:
                call.suspend()
                call.finish(error)
                raise
            finally:
                value = None
            call.suspend()
            try:
                step, value = source.asend, (yield item)
            except GeneratorExit as thrown:
                step, value, closing = source.athrow, thrown, GeneratorExit()
            except BaseException as thrown:
                step, value = source.athrow, thrown

    return tracked
