"""Hooks: functions that hear of each tool call, by the name of the tool or by ``"*"`` for every tool.

A framework that already tells somebody about its tool calls needs two lines::

    register_hook("*", shared_metrics_hook)
    run_hooks({"tool-name": "grep", "ctx": {"id": "a"}, "result": {"status": "ok"}, "duration-ms": 45.2})

The registry belongs to the process and may be used from any thread. Hooks run in the thread that calls
``run_hooks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from pyjama_metrics.events import text_of
from pyjama_metrics.recorder import record_error, record_tool_execution
from pyjama_metrics.settings import strict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Hook = Callable[[Mapping[str, object]], object]

EVERY_TOOL = "*"

_registered: dict[str, tuple[Hook, ...]] = {}
# Tuples are replaced, never changed: readers need no lock, and a hook may register or unregister hooks.
_changing = Lock()


def register_hook(tool_name: object, function: Hook) -> None:
    """Call ``function`` with the payload of each call of a tool from now on.

    Args:
        tool_name: of the tool; ``"*"`` means every tool.
        function: takes the payload; what it returns is ignored. Registered twice, it still runs once.

    Raises:
        TypeError: ``function`` cannot be called.
    """
    if not callable(function):
        raise TypeError(f"A hook must be a function that takes the payload, not {function!r}.")
    name = text_of(tool_name)
    with _changing:
        hooks = _registered.get(name, ())
        if function not in hooks:
            _registered[name] = (*hooks, function)


def unregister_hook(tool_name: object, function: Hook | None = None) -> bool:
    """Forget a hook of a tool, or all of them.

    Args:
        tool_name: as it was registered; ``"*"`` is a name of its own here, and touches no other.
        function: the hook; without it, every hook of that name.

    Returns:
        Whether there was something to forget.
    """
    name = text_of(tool_name)
    with _changing:
        hooks = _registered.pop(name, ())
        kept = () if function is None else tuple(hook for hook in hooks if hook != function)
        if kept:
            _registered[name] = kept
    return len(kept) < len(hooks)


def get_hooks(tool_name: object) -> list[Hook]:
    """The hooks that a call of the tool runs, each once: its own first, then those of every tool.

    >>> get_hooks("write-file")
    []
    """
    named, every = _registered.get(text_of(tool_name), ()), _registered.get(EVERY_TOOL, ())
    return [*named, *(hook for hook in every if hook not in named)]


def run_hooks(payload: Mapping[str, object]) -> None:
    """Give the payload of one tool call to each hook of that tool.

    A hook that raises stops neither the others nor the caller: it is recorded as an error of the payload's
    agent.

    Args:
        payload: ``{"tool-name", "ctx": {"id"}, "result": {"status"}, "duration-ms"}``; what is missing or odd
            never raises here.

    Raises:
        ExceptionGroup: with ``PYJAMA_STRICT=1`` only, after all hooks have run; it holds what they raised.
    """
    tool = _tool_of(payload)
    failures: list[tuple[Hook, Exception]] = []
    for hook in get_hooks(tool):
        try:
            hook(payload)
        except Exception as error:
            failures.append((hook, error))
    for hook, failure in failures:
        reason = f"{type(failure).__name__}: {text_of(failure)}"
        record_error(_agent_of(payload), f"The hook {_name_of(hook)} failed for the tool {tool}: {reason}")
    if failures and strict():
        raise ExceptionGroup(f"Hooks failed for the tool {tool}", [failure for _, failure in failures])


def shared_metrics_hook(payload: Mapping[str, object]) -> None:
    """Record the tool call of a payload: one execution, with its log entry.

    What is missing is filled in: the tool is ``(unnamed)``, the agent is the one in whose code this happens
    or else ``default_agent()``, the status is ``ok`` (or ``error`` where the result holds an ``"error"``),
    and without a usable ``duration-ms`` the execution is untimed. ``result`` may also be the status itself,
    ``ctx`` the id itself.

    Args:
        payload: as for ``run_hooks``; the duration in milliseconds.
    """
    status, error = _status_of(_field(payload, "result"))
    duration = _duration_of(_field(payload, "duration-ms"))
    record_tool_execution(_tool_of(payload), _agent_of(payload), status, duration, error, log=True)


def _field(payload: object, name: str) -> object:
    return payload.get(name) if isinstance(payload, Mapping) else None


def _tool_of(payload: object) -> str:
    return text_of(_field(payload, "tool-name"))


def _agent_of(payload: object) -> str | None:
    """The payload's agent; None, for which the recorder takes ``default_agent()``, where it names none."""
    context = _field(payload, "ctx")
    name = _field(context, "id") if isinstance(context, Mapping) else context
    return None if name is None or name == "" else text_of(name)


def _status_of(result: object) -> tuple[str, str | None]:
    """The status that a result states or implies, and the text of its error."""
    error = _field(result, "error")
    stated = result if isinstance(result, (str, bool)) else _field(result, "status")
    text = None if error is None or error is False else text_of(error, limit=500)
    if stated is None or stated == "":
        return ("ok" if text is None else "error"), text
    if isinstance(stated, bool):
        return ("ok" if stated else "error"), text
    return text_of(stated), text


def _duration_of(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _name_of(hook: object) -> str:
    return text_of(getattr(hook, "__qualname__", type(hook).__name__))
