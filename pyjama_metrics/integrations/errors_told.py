"""The class of an error that a program tells in words. The words themselves may hold anything, and are not kept."""

from __future__ import annotations

EXIT_CODE = "exit code "
_READ = 2_000
"""Characters that are looked at."""

_PATTERNS = (
    ("timeout", ("timed out", "timeout", "time limit", "deadline exceeded")),
    ("interrupted", ("interrupted", "aborted", "cancelled", "canceled")),
    ("denied", ("permission", "denied", "not allowed", "rejected", "doesn't want to", "blocked", "forbidden", "unauthorized")),
    ("validation", ("validation", "invalid", "is required", "required parameter", "unexpected parameter", "must be", "schema")),
    ("not found", ("does not exist", "not found", "no such", "doesn't exist", "cannot find", "enoent")),
)
"""Classes, and what tells them; the first that fits."""


def class_of(error: object, *, interrupted: bool = False) -> str:
    r"""What kind of error a text tells.

    Args:
        error: the text.
        interrupted: whether the program says itself that a person stopped it.

    >>> class_of("Exit code 3\nbad"), class_of("File does not exist."), class_of("it broke")
    ('exit code 3', 'not found', 'failed')
    """
    if interrupted:
        return "interrupted"
    if not isinstance(error, str):
        return "failed"
    text = error[:_READ].lower()
    if text.startswith(EXIT_CODE):
        code, _, rest = text.removeprefix(EXIT_CODE).partition("\n")
        if rest.startswith("command timed out"):
            return "timeout"
        code = code.split(" ", 1)[0].strip(".:,")
        if code.isascii() and code.isdigit() and len(code) <= 10:
            return f"{EXIT_CODE}{int(code)}"
    return next((name for name, words in _PATTERNS if any(word in text for word in words)), "failed")
