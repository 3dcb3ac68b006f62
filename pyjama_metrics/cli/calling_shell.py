"""Which process a short-lived command speaks for: the shell that called it."""

from __future__ import annotations

import os

from pyjama_metrics.storage.owners import process_fields

SHELLS = frozenset({"bash", "sh", "dash", "zsh", "ksh", "mksh", "yash", "fish", "ash", "busybox"})
WRAPPERS = frozenset({"timeout", "time", "sudo", "doas", "uv", "uvx", "xargs", "find", "strace"})
"""Programs that run others and wait for them: gone as soon as we are."""

_PARENT, _STACK = 1, 25
"""Of `process_fields`: the parent, and where the stack begins."""


def owner() -> int:
    """The process id of the shell that called us.

    That is our parent, with two exceptions, for processes that are gone a moment later: a wrapper such as
    ``timeout``, and a subshell, which a pipe, ``$(…)`` or ``( … )`` makes; there it is the shell from which
    that was forked. A forked copy that has executed nothing since has its stack at the same random place as
    the original. Where the system does not tell, it is the parent.
    """
    pid = os.getppid()
    while (fields := process_fields(pid)) and int(fields[_PARENT]) > 1:
        above = int(fields[_PARENT])
        if _program(pid) not in WRAPPERS and not _is_subshell(pid, fields, process_fields(above)):
            break
        pid = above
    return pid


def _is_subshell(pid: int, fields: list[str], above: list[str] | None) -> bool:
    if _program(pid) not in SHELLS or not above:
        return False
    # A place of 0 or 1 is that of a process which we may not look into.
    return fields[_STACK] not in ("0", "1") and fields[_STACK] == above[_STACK]


def _program(pid: int) -> str:
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""
