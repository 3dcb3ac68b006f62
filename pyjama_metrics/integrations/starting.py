"""Whoever records sees to it that somebody folds: where nobody does, one detached process is started.

Who folds continuously holds the lock of ``folder.lock`` in the hub's folder: a dashboard, or the process that is started here. A
hook tries to take it without waiting. One that gets it hands the locked descriptor over to the process that it starts, so however
many hooks come at once, one process is started; and the kernel frees the lock when that ends, however it ends.
"""

from __future__ import annotations

import os
import sys

from pyjama_metrics.storage import files, names, owners

LOCK_DESCRIPTOR = 10
"""The least number under which the lock is handed over: a process may have been started without its standard streams."""

CODE = """\
import sys
sys.path.extend(sys.argv[2:])
from pyjama_metrics.integrations.folder import main
sys.exit(main(int(sys.argv[1])))
"""

_ENDING = (1, 2, 15)
"""SIGHUP, SIGINT and SIGTERM: a hook leaves them aside while it writes, the process that it starts must not. (Their names are in
a module that takes half an interpreter's start to load.)"""
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "TZ")
_KEPT_PREFIXES = ("LC_", "PYJAMA_", "XDG_")


def ensure_folded(folder: str) -> None:
    """Start a folder process where nobody folds continuously. Never waits. Raises OSError where none can be started."""
    descriptor = try_lock(folder)
    if descriptor is not None:
        try:
            _start(descriptor)
        finally:
            os.close(descriptor)


def try_lock(folder: str) -> int | None:
    """The descriptor of ``folder.lock``, locked by this process; None where another one has it. Raises OSError."""
    path = names.folder_lock_path(folder)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, files.FILE_MODE)
    try:
        if owners.try_lock(descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


class FolderLock:
    """The lock of whoever folds the hub in one folder continuously, taken as soon as it is to be had, and kept.

    Not for several threads at once.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def keep(self) -> bool:
        """Take the lock, or see that it is still the one that others would try; whether it is held. Never waits, never raises."""
        if self._descriptor is not None and not is_in_place(self._folder, self._descriptor):
            self.release()
        if self._descriptor is None:
            try:
                self._descriptor = try_lock(self._folder)
            except OSError:
                return False  # there is no folder, or it may not be written: nobody records there either
        return self._descriptor is not None

    def release(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_in_place(folder: str, lock: int) -> bool:
    """Whether a lock that is held is the one that others would try: the hub's folder may have been removed."""
    try:
        there = os.stat(names.folder_lock_path(folder))
    except OSError:
        return False
    mine = os.fstat(lock)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _start(lock: int) -> None:
    import fcntl

    high = fcntl.fcntl(lock, fcntl.F_DUPFD, LOCK_DESCRIPTOR)  # one that a new program inherits
    try:
        _inherit_only(high)
        nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        # Without site: where our packages are is handed over, and what else a user's environment loads at each start is not ours.
        command = [sys.executable, "-IS", "-c", CODE, str(high), *places()]
        try:
            os.posix_spawn(sys.executable, command, _environment(), file_actions=nothing, setsid=True, setsigdef=_ENDING)
        except NotImplementedError:  # this system cannot: the process itself leaves our session when it begins
            os.posix_spawn(sys.executable, command, _environment(), file_actions=nothing, setsigdef=_ENDING)
    finally:
        os.close(high)


def places() -> list[str]:
    """The folders in which the new process finds this package and those that it needs."""
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [own, *(place for place in sys.path if os.path.isabs(place) and place != own)]


def _inherit_only(lock: int) -> None:
    """A program waits for the end of what it handed to its hook, so nothing of that may live on in a process of ours."""
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except (OSError, ValueError):
        numbers = list(range(3, 256))
    for number in numbers:
        if number > 2 and number != lock:
            try:
                os.set_inheritable(number, False)
            except OSError:
                continue  # it is closed: that of the listing itself was


def _environment() -> dict[str, str]:
    """Of the environment what the folder needs; a program's keys are none of its business, and it may live for days."""
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
