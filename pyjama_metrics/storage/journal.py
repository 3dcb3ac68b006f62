"""The writing side of the journal."""

from __future__ import annotations

import errno
import os
import time

from pyjama_metrics import events
from pyjama_metrics.storage import descriptors, files, names, owners

SEGMENT_BYTES = 8 * 1024 * 1024
"""A segment that has grown beyond this is followed by a new one at the next ``look_after``."""
_HIGH_DESCRIPTOR = 200


class Journal:
    """One process's append-only file of events.

    A line is one JSON object and ends with a newline, which publishes it: a reader ignores a last line without one, as its
    writer was stopped in the middle. One event is one ``os.write`` on a descriptor opened with ``O_APPEND``, so threads
    need no lock. The first line of each segment is a header that says who writes. No fsync unless asked for: a killed
    process loses nothing that it had recorded, a crashed machine may lose its last seconds.

    The file is ``journal/<writer>.<segment>.jsonl``. It is made under another name, locked, given its header, and only then
    renamed: whoever sees a segment may conclude from a free lock that its owner is dead.

    ``descriptor`` may be written to directly by the recorder, as long as ``torn`` is false; its number stays the same over a
    change of segment (``dup2``), so a thread that is just about to write never meets a closed or foreign descriptor.

    A child of ``fork`` finds the descriptor closed and must open a journal of its own.
    """

    def __init__(self, folder: str, writer: str, *, fsync: bool) -> None:
        """Create the first segment of ``writer``, a name that was never used before, in ``<folder>/journal``. Raises OSError."""
        self.folder = names.journal_folder(folder)
        self.writer = writer
        self.fsync = fsync
        self.segment = 0
        self._header_bytes = 0
        self._kept_bytes = 0
        self._identity = (0, 0)
        self.torn = False
        descriptor, self.path = self._new_segment()
        self.descriptor = descriptors.move_up(descriptor, _HIGH_DESCRIPTOR)
        self._remember()

    def append(self, line: bytes) -> None:
        """Write one line (or several), each ending in a newline.

        Raises OSError when the disk took less than all of it. What it took then stays alone: the next write begins with a
        newline, so that the torn line is one malformed line and spoils no other.
        """
        data = b"\n" + line if self.torn else line
        try:
            self._write(data)
        except OSError as error:
            if error.errno != errno.EFBIG or os.fstat(self.descriptor).st_size <= self._header_bytes:
                raise
            # RLIMIT_FSIZE bounds each file, not all of them: a new segment has room again.
            self._next_segment()
            self._write(line)

    def _write(self, data: bytes) -> None:
        written = os.write(self.descriptor, data)
        self.torn = written != len(data)
        if self.torn:
            limited = errno.EFBIG if os.fstat(self.descriptor).st_size >= _size_limit() else errno.ENOSPC
            raise OSError(limited, os.strerror(limited), self.path)
        if self.fsync:
            os.fsync(self.descriptor)

    def look_after(self) -> None:
        """Look after the file; to be called now and then, by one thread at a time. Raises OSError.

        Follows a full segment with a new one; and where the folder was removed or moved under the open file, makes it anew
        and writes again what had been recorded since the last look, because events that were recorded after the removal
        must count. (Those of the moment before it, at most the time between two looks, come back with them.)
        """
        status = self._status_if_ours()
        if status is None:
            # Somebody closed our descriptor, and the number may now belong to a file of theirs: it must not be touched.
            descriptors.forget(self.descriptor)
            self.segment += 1
            descriptor, self.path = self._new_segment()
            self.descriptor = descriptors.move_up(descriptor, _HIGH_DESCRIPTOR)
            self._remember()
        elif not self._is_in_place():
            self._follow(self._kept_bytes if status.st_nlink == 0 else None)
        elif status.st_size > SEGMENT_BYTES:
            self._next_segment()
        else:
            self._kept_bytes = status.st_size

    def close(self) -> None:
        """Let go of the journal: from now on its owner counts as dead."""
        descriptors.close_carrier(self.descriptor)

    def _status_if_ours(self) -> os.stat_result | None:
        try:
            status = os.fstat(self.descriptor)
        except OSError:
            return None
        return status if (status.st_dev, status.st_ino) == self._identity else None

    def _is_in_place(self) -> bool:
        try:
            status = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _next_segment(self) -> None:
        self._follow(None)

    def _follow(self, salvage_from: int | None) -> None:
        self.segment += 1
        descriptor, self.path = self._new_segment()
        before = descriptors.put_in_place(descriptor, self.descriptor)
        try:
            self._remember()
            if salvage_from is not None:
                self._salvage(before, salvage_from)
        finally:
            descriptors.close_carrier(before)

    def _salvage(self, descriptor: int, start: int) -> None:
        size = os.fstat(descriptor).st_size
        data = os.pread(descriptor, size - start, start)
        whole = data[: data.rfind(b"\n") + 1]
        if whole:
            self.append(whole)
            # Not to be written a third time should this folder be removed as well; the next fold takes it.
            self._kept_bytes += len(whole)

    def _new_segment(self) -> tuple[int, str]:
        files.make_folder(os.path.dirname(self.folder))
        files.make_folder(self.folder)
        hidden = os.path.join(self.folder, f".{self.writer}.{self.segment}.new")
        descriptor = descriptors.open_carrier(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        try:
            owners.try_lock(descriptor)
            header = header_line("process", self.writer, self.segment, os.getpid(), time.time_ns() // 1_000_000)
            files.write_all(descriptor, header)
            self._header_bytes = len(header)
            path = os.path.join(self.folder, names.segment_name(self.writer, self.segment))
            os.rename(hidden, path)
        except OSError:
            descriptors.close_carrier(descriptor)
            files.remove(hidden)
            raise
        return descriptor, path

    def _remember(self) -> None:
        status = os.fstat(self.descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._kept_bytes = self._header_bytes
        self.torn = False


def header_line(kind: str, writer: str, segment: int, pid: int, time_ms: int, *, started: int | None = None) -> bytes:
    """The first line of a segment: who writes, and how to find out whether it lives.

    Args:
        kind: ``process`` (the lock tells) or ``session`` (the pid tells).
        writer: the writer's name.
        segment: the segment's number.
        pid: the owner's process id.
        time_ms: now, in milliseconds since the epoch.
        started: when the owner started, in clock ticks since boot, where that is known; looked up where not.
    """
    fields: dict[str, object] = {
        "format": events.FORMAT,
        "writer": writer,
        "segment": segment,
        "kind": kind,
        "pid": pid,
        "process-start": owners.process_start(pid) if started is None else started,
        "host": os.uname().nodename,
        "boot": owners.boot_id(),
        "pid-namespace": owners.pid_namespace(),
    }
    return events.line("writer", time_ms, fields).encode()


def _size_limit() -> int:
    import resource  # only after a short write

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return 2**63 if limit == resource.RLIM_INFINITY else limit
