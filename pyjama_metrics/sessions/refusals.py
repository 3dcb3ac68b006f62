"""Whether a tool call never ran, by what came back for it."""

from __future__ import annotations

import re

from pyjama_metrics.tool_errors import LOOKED_AT

_EXIT_CODE = re.compile(r"(?:Error: )?Exit code:? -?\d{1,10}\b", re.ASCII)
_REFUSED = re.compile(
    r"<tool_use_error>|requires? approval|needs approval|haven't granted|was blocked|doesn't want to (?:proceed|take this action)"
    r"|hook error:|Permission to use|has been denied|denied by (?:the )?user|rejected by (?:the )?user|unsupported call"
)


def was_refused(text: str) -> bool:
    """Whether a failed result says that the tool never ran: refused, blocked by a hook, unknown, or called with a wrong input."""
    text = text[:LOOKED_AT]
    # A command that ran may well print such words: its exit code says that it ran.
    return _EXIT_CODE.match(text) is None and _REFUSED.search(text) is not None
