"""The fields of journal events as the fold may use them: of their types, within their bounds.

Any program may write a journal, so nothing is taken for granted. What is no use raises :class:`Invalid`, or is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pyjama_metrics import histogram
from pyjama_metrics.events import MAX_COST_USD, MAX_COUNT, MAX_TEXT, MAX_TIME_MS, MAX_WORD, encode, owner_of, text_of

MAX_LABELS = 50
"""Labels kept of one run."""
MAX_TIMES = 10_000
"""Executions that one event may tell of."""
MAX_DEPTH = 8
"""Levels to which a run's specification may be nested; it is kept as text beyond that."""

Event = dict[str, Any]
_ORIGIN_TEXTS = ("parent", "parent-agent", "source", "host", "boot", "cwd", "tmux", "tmux-pane")
_ORIGIN_NUMBERS = ("pid", "process-start")
ORIGIN = ("parent", "parent-agent", "source", "host", "cwd", "tmux-pane", "pid", "labels", "spec")
"""What an agent shows of that which a start event tells about its run."""


class Invalid(ValueError):
    """A field of an event has no usable value. Caught by the fold, which counts the event as a problem."""


def usable_durations(durations: list[float]) -> list[float]:
    """Those of the ``duration-ms`` of some events that are measurements, in milliseconds."""
    # A foreign writer may have put anything there, such as true, which Python takes for the number 1.
    are_numbers = _NUMBERS.issuperset(map(type, durations))
    if not durations or (are_numbers and min(durations) >= 0 and max(durations) <= histogram.LARGEST_MS):
        return durations
    return [d for d in durations if histogram.valid_duration(d)]


_NUMBERS = frozenset({float, int})


def are_names(agent_id: object, run_id: object, tool: object, status: object) -> bool:
    """Whether what a tool event is grouped by are texts. Numbers would not do: 1, 1.0 and true are one key, and three names."""
    has_run = run_id is None or (isinstance(run_id, str) and run_id != "")
    return has_run and isinstance(agent_id, str) and isinstance(tool, str) and isinstance(status, str)


def origin_of(event: Event) -> dict[str, Any]:
    """What a start event told about the run, bounded, each field of its type: a foreign writer may have put anything there."""
    told: dict[str, Any] = {key: text_of(event[key], MAX_TEXT) for key in _ORIGIN_TEXTS if event.get(key) is not None}
    told |= {key: event[key] for key in _ORIGIN_NUMBERS if type(event.get(key)) is int}
    if isinstance(event.get("labels"), dict):
        told["labels"] = {text_of(name): text_of(value) for name, value in islice(event["labels"].items(), MAX_LABELS)}
    if event.get("spec") is not None:
        told["spec"] = _bounded(event["spec"])
    return told


_SESSION_TEXTS = ("model", "branch", "version", "cwd")
_SESSION_COUNTS = ("context-tokens", "context-window")
_SESSION_NUMBERS = {"context-percent": 100.0, "cost-usd": MAX_COST_USD}
_MAX_LIMITS = 8


def session_fields(event: Event) -> Iterator[tuple[str, Any]]:
    """What a ``session`` event tells, each of its type and within its bounds; what is no use is left out.

    The limits of a plan are named texts, each with the per cent that are used and the time of its reset in milliseconds since the
    epoch (0 where that is not known).
    """
    for name in _SESSION_TEXTS:
        if isinstance(event.get(name), str) and event[name]:
            yield name, text_of(event[name])
    for name in _SESSION_COUNTS:
        if type(event.get(name)) is int and 0 <= event[name] <= MAX_COUNT:
            yield name, event[name]
    for name, largest in _SESSION_NUMBERS.items():
        if type(event.get(name)) in _NUMBERS and 0 <= event[name] <= largest:
            yield name, float(event[name])
    if isinstance(event.get("limits"), dict):
        told = islice(event["limits"].items(), _MAX_LIMITS)
        limits = {text_of(name, MAX_WORD): [float(each[0]), int(each[1])] for name, each in told if _is_limit(each)}
        if limits:
            yield "limits", limits


def _is_limit(value: object) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not {type(each) for each in value} <= _NUMBERS:
        return False
    return bool(0 <= value[0] <= 1000 and 0 <= value[1] <= MAX_TIME_MS)


def told_of(origin: Mapping[str, Any], name: str) -> str | None:
    """What a run's start told under a name of the user's own: a label, or else a field of its specification.

    Args:
        origin: as `origin_of` makes it, or as somebody made a state of it.
        name: such as ``project``, ``label`` or ``task``.
    """
    labels, spec = origin.get("labels"), origin.get("spec")
    value = labels.get(name) if isinstance(labels, dict) else None
    if value is None and isinstance(spec, dict):
        value = spec.get(name)
    return None if value is None or isinstance(value, (dict, list)) else text_of(value)


def label_of(origin: Mapping[str, Any], name: str) -> str | None:
    """A label that a run's start told; None where it told none of that name, or an empty one."""
    labels = origin.get("labels")
    value = labels.get(name) if isinstance(labels, dict) else None
    return value if isinstance(value, str) and value else None


def project_of(origin: Mapping[str, Any]) -> str:
    """The project of a run, by what its start told; "" where it told none."""
    return told_of(origin, "project") or ""


def host_of(origin: Mapping[str, Any]) -> str:
    """The machine of a run, by what its start told; "" where it told none."""
    host = origin.get("host")
    return host if isinstance(host, str) else ""


def _bounded(value: Any) -> Any:
    """A plain value, or its text where it is too large. What is nested too deeply becomes text too: not all that can be read can
    be written, and one such value in the state would stop every fold.
    """
    plain = _plain(value, MAX_DEPTH)
    return plain if len(encode(plain, MAX_DEPTH)) <= 4 * MAX_TEXT else text_of(plain, MAX_TEXT)


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, dict) and depth:
        return {text_of(name): _plain(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list) and depth:
        return [_plain(item, depth - 1) for item in value]
    return text_of(value, MAX_TEXT) if isinstance(value, (dict, list)) or (isinstance(value, str) and value) else value


def count_of(value: object) -> int:
    """A count of tokens, events or micro-dollars. Raises Invalid."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise Invalid(f"count {value!r}")
    return value


def times_of(value: object) -> list[int]:
    """The times of some executions, in milliseconds since the epoch. Raises Invalid: none of them counts then."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_TIMES or not _NUMBERS.issuperset(map(type, value)):
        raise Invalid(f"times {value!r:.80}")
    if min(value) < 0 or max(value) > MAX_TIME_MS:
        raise Invalid("a time outside of all years")
    return value


def time_of(value: object) -> int:
    """A time in milliseconds since the epoch. Raises Invalid."""
    # Not every writer has integers: jq and awk print a time of milliseconds as a float.
    if type(value) not in _NUMBERS or not 0 <= value <= MAX_TIME_MS:  # type: ignore[operator]
        raise Invalid(f"time {value!r}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def run_told_by(run_id: object, writer: str, started: Iterable[tuple[int | None, str]]) -> str | None:
    """The run that an event names; without a name, its writer's latest open run of the agent. Raises Invalid.

    Args:
        run_id: the event's own.
        writer: of the journal in which the event is.
        started: the agent's open runs with their starts; one whose start nobody told of does not count.

    Returns:
        None where there is no such run.
    """
    if run_id is not None:
        return run_name(run_id)
    mine = [(start, name) for start, name in started if start is not None and owner_of(name) == writer]
    return max(mine)[1] if mine else None


def run_name(value: object) -> str:
    """A run id. Raises Invalid."""
    if not isinstance(value, str) or not value:
        raise Invalid(f"run {value!r}")
    return text_of(value)
