"""The words of the journal: event kinds, statuses, limits, and how anything becomes text that a line can hold.

One event is one JSON object on one line; ``docs/journal.md`` lists the kinds and their fields. This module stands on the
write road: it imports next to nothing, and what it does for each event is a dictionary look-up.
"""

from __future__ import annotations

from _json import encode_basestring_ascii as _quote_ascii

FORMAT = 1

MAX_NAME = 512
"""Characters kept of an agent, tool, step, model or phase name."""
MAX_TEXT = 2_000
"""Characters kept of an error message, a reason or a specification."""
MAX_WORD = 64
"""Characters kept of a status, a role or a source."""
MAX_LABEL = 256
"""Characters kept of a label's value, or of a request id."""
MAX_STEPS = 100
"""Steps kept of one run."""
MAX_DURATION_MS = 1e10
"""A longer duration (115 days) is not a measurement: the execution counts, its duration does not."""
MAX_TIME_MS = 253_402_300_800_000
"""The year 10000 in milliseconds; a time outside 0..MAX_TIME_MS is replaced by the time of recording."""
MAX_COUNT = 10**12
"""Tokens of one model call; more is not a measurement."""
MAX_COST_USD = 1_000_000.0
"""US dollars of one model call; more is not a cost."""

SUCCESS = frozenset({"ok", "success", "completed"})
INTERRUPTED = frozenset({"interrupted", "cancelled", "canceled", "stopped", "not-executed"})
TOKENS = ("input-tokens", "output-tokens", "cache-read-tokens", "cache-write-tokens", "cache-write-1h-tokens")
"""The kinds of tokens that a model call counts, by the field of its event; what a cache held is not in the input."""
OUTCOMES = frozenset({"completed", "failed", "stopped"})
"""What ``record_agent_complete`` may say; ``crashed`` is only ever found out by somebody else."""


def status_class(status: str) -> str:
    """Whether a tool status counts as ``success``, ``error`` or ``interrupted`` (which stands apart from both).

    >>> status_class("ok"), status_class("timeout"), status_class("cancelled")
    ('success', 'error', 'interrupted')
    """
    if status in SUCCESS:
        return "success"
    return "interrupted" if status in INTERRUPTED else "error"


def text_of(value: object, limit: int = MAX_NAME) -> str:
    """Any value as text that every JSON reader takes: at most ``limit`` characters, no lone surrogates.

    ``None`` and the empty string become ``(unnamed)``; a string enum gives its value, another enum its name; a text that is
    cut ends in an ellipsis and a checksum of the whole, so that two long names stay two names. Never raises.

    >>> text_of("write-file"), text_of(7), text_of(None)
    ('write-file', '7', '(unnamed)')
    """
    if type(value) is str and value.isascii() and 0 < len(value) <= limit:
        return value  # as nearly all are
    try:
        if isinstance(value, str):
            text = str.__str__(value)
        elif isinstance(value, bytes):
            text = value.decode("utf-8", "replace")
        elif hasattr(type(value), "__members__"):
            inner = getattr(value, "value", None)
            text = str(inner) if isinstance(inner, str) else str(getattr(value, "name", value))
        else:
            text = "(unnamed)" if value is None else str(value)
    except Exception:  # a user's __str__ may do anything; its type still names it
        text = f"({type(value).__name__})"
    return _clean(text, limit)


def _clean(text: str, limit: int) -> str:
    if len(text) > limit:
        import zlib  # rare, and not worth 0.3 ms in each process that records

        whole = zlib.crc32(text.encode("utf-8", "surrogatepass"))
        text = f"{text[: limit - 10]}…{whole:08x}"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Pairs of surrogates become the character they stand for, lone ones U+FFFD: orjson and jq refuse them.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text or "(unnamed)"


def quote(text: str) -> str:
    """``text`` as a JSON string in plain ASCII, quotes included."""
    return _quote_ascii(text)


def encode(value: object, depth: int = 6) -> str:
    """A plain value as JSON text: dicts, lists and tuples of texts, numbers, booleans and None; anything else as its text.

    This is the slow road for the rare events; it needs neither ``json`` nor ``orjson``. What is nested deeper than
    ``depth`` becomes text, so that a self-containing list ends.
    """
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is int:
        return str(value) if -(2**63) <= value < 2**63 else quote(text_of(value, MAX_TEXT))
    if type(value) is float:
        return repr(value) if value - value == 0.0 else "null"
    if depth > 0 and isinstance(value, dict):
        return "{" + ",".join(f"{quote(text_of(k))}:{encode(v, depth - 1)}" for k, v in value.items()) + "}"
    if depth > 0 and isinstance(value, (list, tuple)):
        return "[" + ",".join(encode(v, depth - 1) for v in value) + "]"
    return quote(text_of(value, MAX_TEXT))


def line(event: str, time_ms: int, fields: dict[str, object]) -> str:
    """One journal line: the event, its time, and those ``fields`` that are not None, with the newline that publishes it."""
    parts = [f'{{"event":{quote(event)},"time":{time_ms}']
    parts += [f"{quote(name)}:{encode(value)}" for name, value in fields.items() if value is not None]
    return ",".join(parts) + "}\n"


def owner_of(run_id: str) -> str:
    """The writer that owns a run: a run id is ``<writer>.<number>``.

    >>> owner_of("analyser-4711-19c2f.3")
    'analyser-4711-19c2f'
    """
    return run_id.rpartition(".")[0]
