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

    def __init__(self, folder: str, label: str, *, pid: int, fsync: bool) -> None:
        """Nothing is made before the first event."""
        self.folder = names.journal_folder(folder)
        self.pid = pid
        self.owner_start = owners.process_start(pid)
        self.writer = f"{label}-{pid}-{self.owner_start or 0:x}"
        self.fsync = fsync

    @classmethod
    def of_writer(cls, folder: str, writer: str, *, fsync: bool) -> SessionJournal:
        """The journal of a session that others began, by its name, ``<label>-<pid>-<process start in hex>``.

        Its owner may be dead by now. Raises ValueError where that is no name of a session's writer.
        """
        label, pid, start = writer.rsplit("-", 2)
        journal = cls(folder, label, pid=int(pid), fsync=fsync)
        journal.writer, journal.owner_start = writer, int(start, 16) or None
        return journal

    def append(self, line: bytes) -> None:
        """Append whole lines in one write. Raises OSError when the disk did not take all of it."""
        while not self._appended(line):
            pass

    def _appended(self, line: bytes) -> bool:
        files.make_folder(os.path.dirname(self.folder))
        files.make_folder(self.folder)
        path = self._newest_segment() or self._new_segment()
        try:
            descriptor = descriptors.open_carrier(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return False  # whoever folds removed it since we looked: the next turn makes a new one
        try:
            if not owners.try_lock(descriptor, shared=True):
                _wait_shared(descriptor)
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
        parts = filter(None, map(names.segment_parts, os.listdir(self.folder)))
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
            files.write_all(descriptor, header_line("session", self.writer, number, self.pid, number, self.owner_start))
            os.link(hidden, path)
        except FileExistsError:
            pass  # another process of the session made the same one in the same millisecond: that one serves
        finally:
            os.close(descriptor)
            files.remove(hidden)
        return path


def _wait_shared(descriptor: int) -> None:
    # Only whoever removes or closes the journal holds it exclusively, for some microseconds. Should that be stopped just then,
    # the shell must not be.
    deadline = time.monotonic() + LONGEST_WAIT
    while not owners.try_lock(descriptor, shared=True):
        if time.monotonic() > deadline:
            raise TimeoutError(errno.EAGAIN, f"the session's journal has been locked for more than {LONGEST_WAIT:g} s")
        time.sleep(0.001)
