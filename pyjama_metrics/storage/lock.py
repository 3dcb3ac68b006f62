"""The fold lock: who holds it may read the journals on and replace ``metrics.json``.

The lock lies on a sidecar, ``metrics.json.lock``, that is never replaced, truncated or unlinked by us: ``metrics.json`` itself is
replaced by every fold, so a lock on it would sit on a dead inode. The kernel frees it when the holder ends, however it ends.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import portalocker
except FileNotFoundError:
    # Its import asks for the folder of temporary files, and there is none that takes a byte: every disk is full, or the process
    # may not write. It needs none for what we use, and reading has to work then, too.
    tempfile.tempdir = os.sep
    import portalocker

    tempfile.tempdir = None

from portalocker.portalocker import FlockLocker

from pyjama_metrics.errors import FolderUnusable, LockTimeout
from pyjama_metrics.storage import descriptors, files

_EXCLUSIVE = portalocker.LockFlags.EXCLUSIVE
_AT_ONCE = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING
# Named explicitly: the module-wide default may be changed to lockf by the program that we live in.
_LOCKER = FlockLocker()


class FoldLock:
    """The lock of one hub. Every ``held`` opens the file anew, so threads of one process exclude each other too."""

    def __init__(self, path: str) -> None:
        self.path = path

    @contextmanager
    def held(self, wait: float | None) -> Iterator[HeldLock]:
        """Hold the lock for the length of the block.

        Args:
            wait: seconds to wait for it; 0 tries once, None waits in the kernel's queue for as long as it takes.

        Raises:
            LockTimeout: it was not to be had in time.
            FolderUnusable: the lock file cannot be opened or locked.
        """
        deadline = None if wait is None else time.monotonic() + wait
        while True:
            descriptor = self._open()
            try:
                self._lock(descriptor, deadline, wait)
                held = HeldLock(self.path, descriptor)
                if held.is_in_place():
                    try:
                        yield held
                    finally:
                        held.release()
                    return
                # The folder was removed while we waited: this lock excludes nobody any more, so start over.
                held.release()
            finally:
                descriptors.close_carrier(descriptor)

    def _open(self) -> int:
        try:
            files.make_folder(os.path.dirname(self.path))
            return descriptors.open_carrier(self.path, os.O_RDWR | os.O_CREAT, files.FILE_MODE)
        except OSError as error:
            raise FolderUnusable(os.path.dirname(self.path), error.strerror or str(error)) from error

    def _lock(self, descriptor: int, deadline: float | None, wait: float | None) -> None:
        pause = 0.001
        while True:
            try:
                _LOCKER.lock(descriptor, _EXCLUSIVE if deadline is None else _AT_ONCE)
                return
            except portalocker.AlreadyLocked:
                left = 0.0 if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    raise LockTimeout(self.path, wait or 0.0) from None
                # flock has no bounded wait. A poll that starts at 1 ms gets its turn between two folds; portalocker's own
                # of 250 ms starves when many wait.
                time.sleep(min(pause, left))
                pause = min(pause * 1.5, 0.02)
            except portalocker.LockException as error:
                raise FolderUnusable(os.path.dirname(self.path), f"locks do not work there ({error})") from error


class HeldLock:
    """The lock while it is held."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor

    @property
    def identity(self) -> int:
        """What tells this lock from that of another folder of the same name."""
        return os.fstat(self.descriptor).st_ino

    def is_in_place(self) -> bool:
        """Whether the locked file is still the one that others would lock: the folder may have been removed."""
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        mine = os.fstat(self.descriptor)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def release(self) -> None:
        """Free the lock, also where a process that is just being started still shares the open file for a moment."""
        _LOCKER.unlock(self.descriptor)


def holder(path: str) -> int | None:
    """The pid that holds the lock right now, as ``/proc/locks`` tells it (proc(5)); None where nobody does or nobody knows."""
    try:
        status = os.stat(path)
        with open("/proc/locks", encoding="ascii") as file:
            rows = [line.split() for line in file]
    except OSError:
        return None
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    pids = [int(row[4]) for row in rows if len(row) >= 6 and row[1] == "FLOCK" and row[5] == place]
    return pids[0] if pids else None
