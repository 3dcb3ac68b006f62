"""What went wrong with a tool call, as one of a few words: worked out from a text that is then forgotten."""

from __future__ import annotations

import re

LOOKED_AT = 400
"""Characters of a text that are looked at. What is said further down is the tool's own output."""

_EXIT_CODE = re.compile(r"(?:Error: )?Exit code:? (-?\d{1,10})\b", re.ASCII)
_TIMEOUT = re.compile(
    r"(?:Error: )?(?:Exit code:? -?\d{1,10}\s+Command timed out after|(?!Exit code)[^\n]{0,80}\btimed out\b)", re.ASCII
)
_INTERRUPTED = re.compile(
    r"\[Request interrupted|(?:Error: )?(?:Interrupted|AbortError|The operation was aborted)\b|aborted by user"
)
_VALIDATION = re.compile(r"InputValidationError|ZodError|(?:Error: )?Invalid (?:input|argument|parameter)s?\b|failed to parse")
_NOT_FOUND = re.compile(r"does not exist|No such (?:file|tool)|\bnot found\b|ENOENT", re.IGNORECASE)
_DENIED = re.compile(r"EACCES|EPERM|permission denied|\bdenied\b", re.IGNORECASE)

_REFUSED = re.compile(
    r"<tool_use_error>|requires? approval|needs approval|haven't granted|was blocked|doesn't want to (?:proceed|take this action)"
    r"|hook error:|Permission to use|has been denied|denied by (?:the )?user|rejected by (?:the )?user|unsupported call"
)


def was_refused(text: str) -> bool:
    """Whether a failed result says that the tool never ran: refused, blocked by a hook, unknown, or called with a wrong input."""
    text = text[:LOOKED_AT]
    # A command that ran may well print such words: its exit code says that it ran.
    return _EXIT_CODE.match(text) is None and _REFUSED.search(text) is not None


def error_class(text: str) -> str:
    r"""The class of an error: ``exit code N``, timeout, interrupted, not found, denied, validation, or failed.

    >>> error_class("Exit code 3\nbad"), error_class("File does not exist."), error_class("")
    ('exit code 3', 'not found', 'failed')
    """
    text = text[:LOOKED_AT]
    if _TIMEOUT.match(text):
        return "timeout"
    if code := _EXIT_CODE.match(text):
        return f"exit code {int(code[1])}"
    if _INTERRUPTED.match(text):
        return "interrupted"
    for pattern, name in ((_VALIDATION, "validation"), (_NOT_FOUND, "not found"), (_DENIED, "denied")):
        if pattern.search(text):
            return name
    return "failed"
