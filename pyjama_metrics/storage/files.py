"""Folders and files of the hub: private from their first moment, replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import stat

FOLDER_MODE = 0o700
FILE_MODE = 0o600

Signature = tuple[int, int, int]
"""(inode, modification time in ns, size): as long as it is the same, so is the file's content."""


def make_folder(path: str) -> None:
    """Create ``path`` (0700) and, where missing, the folders above it. Raises OSError."""
    if not os.path.isdir(path):
        # makedirs gives its mode to the last folder only, so the folders above keep the user's usual mode.
        try:
            os.makedirs(path, FOLDER_MODE, exist_ok=True)
        except FileExistsError:
            # What is in the way, and in the words in which whoever only reads is told.
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None


def signature(path: str) -> Signature | None:
    """The file's signature, or None where there is no such file. Raises OSError for anything else."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, however many calls it takes. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class NotAFile(OSError):
    """A folder, a pipe or a device is where a file should be."""


def read_whole(path: str) -> bytes:
    """What is in a file. Never waits, not even for the other end of a pipe. Raises OSError; NotAFile for what is none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFile(errno.EINVAL, "it is no file", path)
    with open(descriptor, "rb") as file:
        return file.read()


def write_beside(path: str, data: bytes, suffix: str = ".tmp", *, fsync: bool = False) -> str:
    """Write ``data`` to a new private file ``<path><suffix>`` and return that name; ``os.replace`` then publishes it.

    The name is fixed, so that a killed writer leaves at most one such file: call it under the lock that guards ``path``.
    Raises OSError, after removing what was half written.
    """
    beside = path + suffix
    remove(beside)  # what a killed writer left; or a pipe, say, on which a write would wait
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        write_all(descriptor, data)
        if fsync:
            os.fsync(descriptor)
    except OSError:
        remove(beside)  # the folder may be gone as well, and the first error is the one to tell
        raise
    finally:
        os.close(descriptor)
    return beside


def ends_whole(descriptor: int) -> bool:
    """Whether a file of lines ends with a newline, or is empty. Raises OSError."""
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def remove(path: str) -> bool:
    """Remove a file; False where somebody else was faster, which is fine for every caller."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
