"""The program whose hook we are: a process among our ancestors, whose end is the end of the session."""

from __future__ import annotations

import os

from pyjama_metrics.storage import owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = frozenset({"claude", "codex", "node", "bun"})
"""Names of the programs. Of another name they are found as well; but only by its name is the first process of a container one."""

_BETWEEN = """
sh bash dash zsh ksh mksh fish ash busybox csh tcsh
env nice nohup setsid stdbuf timeout time xargs sudo doas su perl ruby uv uvx pyenv pipx npx direnv mise asdf
"""
BETWEEN = frozenset(_BETWEEN.split())
"""Shells and wrappers that stand between a program and its hook; Python, by whatever version it is called, is one too."""

_ADOPTERS = "systemd init launchd tini dumb-init docker-init catatonit runit s6-svscan s6-supervise supervisord containerd-shim"
ADOPTERS = frozenset(_ADOPTERS.split())
"""Processes that adopt those whose parents have ended."""

MOST = 32
"""Ancestors that are looked at."""

Told = tuple[str, list[str]]


def program(process: int, look: Callable[[int], Told | None] = owners.process_name_and_fields) -> tuple[int, int | None] | None:
    """(pid, start) of the program that ``process`` was started by, or is: the nearest that is no shell and no wrapper.

    Args:
        process: the parent of the hook's process.
        look: tells the name and the fields of a process (`owners.process_name_and_fields`).

    Returns:
        ``process`` itself, without a start, where nothing can be known. None where the program has ended: somebody else has
        adopted its children.
    """
    pid = process
    for _ in range(MOST):
        told = look(pid)
        if told is None:
            # There is no /proc, or the process has just ended and we are being adopted.
            return None if pid != process or os.path.isdir("/proc/self") else (process, None)
        name, fields = told
        if (pid == 1 or name in ADOPTERS) and name not in PROGRAMS:
            return None
        if not _is_between(name):
            return pid, int(fields[19])
        pid = int(fields[1])
        if pid <= 0:
            return None
    return process, None


def _is_between(name: str) -> bool:
    return name in BETWEEN or name.startswith(("python", "pyjama-metrics"))
