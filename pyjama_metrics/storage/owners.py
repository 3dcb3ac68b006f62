"""Who owns a journal, and whether that owner still lives.

A process holds an OS lock (``flock``) on its newest segment from before the segment becomes visible until it ends, however it
ends. Who can take that lock knows that the owner is dead, even where a zombie or a recycled pid says otherwise. An external
session (a shell, a hook's session) has no process that could hold the lock; its header names a process by pid and start
time instead.

``fcntl`` is used directly, not portalocker, because a process takes this lock on the write road, where each import counts;
``flock``, not POSIX ``lockf``, because the latter is lost when any descriptor of the file is closed.
"""

from __future__ import annotations

import fcntl
import os

ALIVE, DEAD, UNKNOWN = "alive", "dead", "unknown"


def boot_id() -> str:
    """An identity of this boot of this machine, or an empty text where the system has none."""
    return _first_line("/proc/sys/kernel/random/boot_id")


def pid_namespace() -> str:
    """The namespace in which this process's pids count (a container has its own), or an empty text."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def process_fields(pid: int) -> list[str] | None:
    """What ``/proc/<pid>/stat`` says after the command's name (proc(5)): [0] the state, [1] the parent, … [19] the start.

    None where there is no such process, or no ``/proc``.
    """
    told = process_name_and_fields(pid)
    return None if told is None else told[1]


def process_name_and_fields(pid: int) -> tuple[str, list[str]] | None:
    """The name of a process, of which the kernel keeps 15 bytes, and what `process_fields` says."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            before, _, after = file.read().rpartition(b")")
    except OSError:
        return None
    fields = after.decode("ascii", "replace").split()
    return (before.partition(b"(")[2].decode("utf-8", "replace"), fields) if len(fields) > 19 else None


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where it is gone, a zombie, or there is no ``/proc``.

    A pid together with it names one process only.
    """
    fields = process_fields(pid)
    return None if fields is None or fields[0] in ("Z", "X") else int(fields[19])


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock of an open file without waiting; whether it was to be had. Raises OSError where locks do not work."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def verdict(header: dict[str, object], *, host: str, boot: str) -> str:
    """Whether the owner of a journal lives, for a caller that has just taken the journal's lock.

    Args:
        header: the first line of the journal.
        host: the caller's host name.
        boot: the caller's ``boot_id()``.

    Returns:
        ``alive``, ``dead``, or ``unknown``: the journal was written on another machine or in another boot, where a free
        lock or a missing pid proves nothing. A process whose lock is free is dead, unless the very process that the header names
        is there: it has closed all its descriptors, as daemons do.
    """
    same_boot = header.get("boot") == boot if boot else header.get("host") == host
    if not same_boot:
        return UNKNOWN
    is_session = header.get("kind") == "session"
    pid = header.get("pid")
    if header.get("pid-namespace", "") != pid_namespace() or not isinstance(pid, int):
        return UNKNOWN if is_session else DEAD
    if not is_session and "process-start" not in header:
        return DEAD
    started = process_start(pid) if os.path.isdir("/proc/self") else _signalled(pid)
    return ALIVE if started is not None and started == header.get("process-start", started) else DEAD


def _signalled(pid: int) -> int | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""
