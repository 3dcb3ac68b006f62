"""Notes of events that could not be recorded, kept where the journal could not.

A full or read-only disk loses events and the place to say so at once. So a process that loses events writes their number to a
small file in the runtime folder (on Linux usually in memory), one file per process and hub; ``doctor`` and the page read
them. Once recording works again the number goes into the journal and the note goes away.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import zlib

from pyjama_metrics.storage import files, owners, places

LONGEST_WAIT = 0.1
"""Seconds that a process waits for the note that it shares with others; they hold it for microseconds."""


def _prefix(folder: str) -> str:
    return f"lost-{zlib.crc32(os.path.realpath(folder).encode('utf-8', 'surrogateescape')):08x}-"


def _note_path(folder: str, writer: str) -> str:
    return os.path.join(places.runtime_folder(), _prefix(folder) + writer)


def write_note(folder: str, writer: str, count: int) -> None:
    """Note that ``writer`` has lost ``count`` events of the hub in ``folder`` so far. Raises OSError."""
    path = _note_path(folder, writer)
    files.make_folder(os.path.dirname(path))
    if not _is_private(os.path.dirname(path)):
        raise PermissionError(f"{os.path.dirname(path)} belongs to somebody else")
    os.replace(files.write_beside(path, str(count).encode()), path)


def add_to_note(folder: str, writer: str, count: int) -> None:
    """Note that ``writer``, which is many processes, has lost ``count`` more events. Raises OSError."""
    path = _note_path(folder, writer)
    files.make_folder(os.path.dirname(path))
    if not _is_private(os.path.dirname(path)):
        raise PermissionError(f"{os.path.dirname(path)} belongs to somebody else")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, files.FILE_MODE)
    try:
        deadline = time.monotonic() + LONGEST_WAIT
        while not owners.try_lock(descriptor):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)
            time.sleep(0.001)
        before = os.read(descriptor, 20)
        total = str((int(before) if before.isdigit() else 0) + count).encode()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, total, 0)
    finally:
        os.close(descriptor)


def remove_note(folder: str, writer: str) -> None:
    """The loss is told in the journal now. Raises OSError."""
    files.remove(_note_path(folder, writer))


def notes(folder: str) -> dict[str, int]:
    """How many events each writer noted as lost for this hub. Never raises: no readable note, no row."""
    place, prefix = places.runtime_folder(), _prefix(folder)
    found: dict[str, int] = {}
    if not _is_private(place):
        return found
    for name in os.listdir(place):
        if name.startswith(prefix) and not name.endswith(".tmp"):
            count = _count(os.path.join(place, name))
            if count:
                found[name.removeprefix(prefix)] = count
    return found


def clear_notes(folder: str) -> None:
    """Forget the losses of this hub. Raises OSError."""
    for writer in notes(folder):
        remove_note(folder, writer)


def _count(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return int(file.read(20))
    except (OSError, ValueError):
        return 0


def _is_private(place: str) -> bool:
    """Whether the folder is ours alone to write: the runtime folder may have fallen back to one that all share."""
    try:
        status = os.stat(place)
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
