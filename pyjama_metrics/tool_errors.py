"""What went wrong with a tool call, as one of a few words: worked out from a text that is then forgotten.

A hook asks as well, in a process that lives for milliseconds: no regular expressions.
"""

from __future__ import annotations

LOOKED_AT = 400
"""Characters of a text that are looked at. What is said further down is the tool's own output."""

_EXIT_CODE = "exit code"
_CLASSES = (
    ("timeout", ("timed out", "timeout", "time limit", "deadline exceeded")),
    ("interrupted", ("[request interrupted", "interrupted", "aborterror", "operation was aborted", "aborted by", "cancelled by")),
    ("validation", ("validation", "zoderror", "invalid ", "failed to parse", "is required", "required parameter", "must be ")),
    ("not found", ("does not exist", "doesn't exist", "not found", "no such", "cannot find", "enoent")),
    ("denied", ("permission", "denied", "not allowed", "rejected", "doesn't want to", "blocked", "forbidden", "eacces", "eperm")),
)
"""Classes, and what tells them; the first that fits."""


def error_class(error: object, *, interrupted: bool = False) -> str:
    r"""The class of an error: ``exit code N``, timeout, interrupted, validation, not found, denied, or failed.

    Args:
        error: the text.
        interrupted: whether the program says itself that a person stopped it.

    >>> error_class("Exit code 3\nbad"), error_class("File does not exist."), error_class("it broke")
    ('exit code 3', 'not found', 'failed')
    """
    if interrupted:
        return "interrupted"
    if not isinstance(error, str):
        return "failed"
    text = error[:LOOKED_AT].lower().removeprefix("error: ")
    if text.startswith(_EXIT_CODE):
        code, _, rest = text.removeprefix(_EXIT_CODE).lstrip(": ").partition("\n")
        if rest.lstrip().startswith("command timed out"):
            return "timeout"
        number = code.split(" ", 1)[0].rstrip(".:,")
        if number.isascii() and number.removeprefix("-").isdigit() and len(number) <= 11:
            return f"{_EXIT_CODE} {int(number)}"
    return next((name for name, words in _CLASSES if any(word in text for word in words)), "failed")
