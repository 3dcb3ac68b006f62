"""The journal of an external session: a shell, or a program that runs one short process per event.

The session's owner is another process (the shell), named in the header by pid and start time. Each writer opens the newest
segment, takes a shared lock, appends one write and closes: the lock keeps the segment from being removed in between, and
shared locks do not wait for each other.
"""

from __future__ import annotations

import errno
import os
import time

from pyjama_metrics.storage import descriptors, files, names, owners
from pyjama_metrics.storage.journal import SEGMENT_BYTES, header_line

LONGEST_WAIT = 1.0
"""Seconds that an event waits at most for whoever has locked the journal."""


class SessionJournal:
    """Append to the journal of the session that the process ``pid`` owns.

    Offers what the recorder needs of :class:`pyjama_metrics.storage.journal.Journal`; safe for any number of processes and
    threads at once.
    """

    def __init__(
        self, folder: str, label: str, *, pid: int, fsync: bool, started: int | None = None, longest_wait: float | None = None
    ) -> None:
        """Nothing is made before the first event.

        Args:
            folder: the hub's.
            label: the first part of the journal's name.
            pid: the session's owner.
            fsync: whether each event is forced to the disk.
            started: when the owner started, in clock ticks since boot; looked up where None.
            longest_wait: seconds that an event waits for a lock; ``LONGEST_WAIT`` where None.
        """
        self.folder = names.journal_folder(folder)
        self.pid = pid
        self.started = owners.process_start(pid) if started is None else started
        self.writer = f"{label}-{pid}-{self.started or 0:x}"
        self.fsync = fsync
        self._longest_wait = longest_wait

    def append(self, line: bytes, *, opening: bytes | None = None) -> None:
        """Append whole lines in one write. Raises OSError when the disk did not take all of it.

        Args:
            line: what is to be appended.
            opening: what is appended instead where that begins a segment.
        """
        while not self._appended(line, opening):
            pass

    def _appended(self, line: bytes, opening: bytes | None) -> bool:
        files.make_folder(os.path.dirname(self.folder))
        files.make_folder(self.folder)
        path = self._newest_segment()
        if path is None:
            path, line = self._new_segment(), line if opening is None else opening
        try:
            descriptor = descriptors.open_carrier(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return False  # whoever folds removed it since we looked: the next turn makes a new one
        try:
            if not owners.try_lock(descriptor, shared=True):
                _wait_shared(descriptor, LONGEST_WAIT if self._longest_wait is None else self._longest_wait)
            if os.fstat(descriptor).st_nlink == 0:
                return False
            data = line if files.ends_whole(descriptor) else b"\n" + line
            # One write, or none: another writer of the session may append between two.
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            if self.fsync:
                os.fsync(descriptor)
        finally:
            descriptors.close_carrier(descriptor)
        return True

    def look_after(self) -> None:
        """Nothing to look after: each event opens the file anew."""

    def close(self) -> None:
        """Nothing is open between two events."""

    def _newest_segment(self) -> str | None:
        mine = f"{self.writer}."
        # There may be thousands of journals, and only the names of this writer's are taken apart.
        parts = filter(None, (names.segment_parts(name) for name in os.listdir(self.folder) if name.startswith(mine)))
        number = max((number for writer, number in parts if writer == self.writer), default=None)
        if number is None:
            return None
        path = os.path.join(self.folder, names.segment_name(self.writer, number))
        found = files.signature(path)
        return path if found is not None and found[2] <= SEGMENT_BYTES else None

    def _new_segment(self) -> str:
        # The number is a time, not a count: a removed segment's number must not come again, as its offset may still be kept.
        number = time.time_ns() // 1_000_000
        hidden = os.path.join(self.folder, f".{self.writer}.{number}.{os.getpid()}.new")
        path = os.path.join(self.folder, names.segment_name(self.writer, number))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(hidden, flags, files.FILE_MODE)
        try:
            files.write_all(descriptor, header_line("session", self.writer, number, self.pid, number, started=self.started))
            os.link(hidden, path)
        except FileExistsError:
            pass  # another process of the session made the same one in the same millisecond: that one serves
        finally:
            os.close(descriptor)
            files.remove(hidden)
        return path


def latest_owner(folder: str, label: str) -> tuple[int, int] | None:
    """(pid, start) of the process that owns the newest journal of this label; None where there is none, or nobody can look.

    For an event that comes when its session's process is gone already, so that its own ancestors do not tell of it any more.
    """
    found = []
    try:
        listed = os.listdir(names.journal_folder(folder))
    except OSError:
        return None  # whoever appends finds out what is in the way, and the loss is noted then
    for name in listed:
        parts = names.segment_parts(name) if name.startswith(f"{label}-") else None
        owner = parts[0].removeprefix(f"{label}-").split("-") if parts is not None else []
        if parts is not None and len(owner) == 2 and owner[0].isdigit() and _HEX.issuperset(owner[1]):
            found.append((parts[1], int(owner[0]), int(owner[1], 16)))
    return max(found)[1:] if found else None


_HEX = frozenset("0123456789abcdef")


def _wait_shared(descriptor: int, longest: float) -> None:
    # Only whoever removes or closes the journal holds it exclusively, for some microseconds. Should that be stopped just then,
    # the shell must not be.
    deadline = time.monotonic() + longest
    while not owners.try_lock(descriptor, shared=True):
        if time.monotonic() > deadline:
            raise TimeoutError(errno.EAGAIN, f"the session's journal has been locked for more than {longest:g} s")
        time.sleep(0.001)
