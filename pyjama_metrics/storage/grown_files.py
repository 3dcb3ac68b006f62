"""Files of lines that another program appends to: read from where the last reading ended, whole lines only.

Such a file is somebody else's. It may grow, shrink, be replaced or vanish at any time, end in the middle of a line or of a
character, hold a line of a gigabyte, be a symbolic link, or no file at all. A `Position` says how far it was read, and keeps a
checksum of what stood there, so that another content under the same name, or in the same inode, is noticed and read anew.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from pyjama_metrics.storage.files import NotAFile

PIECE = 1024 * 1024
"""Bytes that are read at once: what a processor's cache still holds is read several times as fast."""
LONGEST = 16 * 1024 * 1024
"""Bytes of a line beyond which it is passed over."""
_CHECKED = 256
"""Bytes before the position that its checksum covers."""


class Position(NamedTuple):
    """How far a file is read. A list of its fields is JSON, and `Position.of` takes it back."""

    device: int
    inode: int
    offset: int
    check: int
    """Checksum of the last bytes before the offset."""
    is_inside: int
    """1 where the offset is within a line that is too long: what is left of it is passed over, too."""

    @classmethod
    def of(cls, kept: object) -> Position | None:
        """The position that was kept as a list; None for what is none: the file is read from its beginning then."""
        if not isinstance(kept, (list, tuple)) or len(kept) != len(cls._fields):
            return None
        return cls(*kept) if all(type(field) is int and field >= 0 for field in kept) else None


class GrownFile:
    """One reading of one file: `pieces` yields what is new in it.

    Attributes:
        position: behind the last piece that was dealt with (a piece is, when the next one is asked for).
        began_anew: whether it is another file than the position was of, or another content, and was read from its beginning.
        passed_over: bytes of lines that were too long.
    """

    def __init__(self, path: str, position: Position | None = None, buffer: bytearray | None = None) -> None:
        """Args:
        path: the file; a symbolic link to one is followed.
        position: where an earlier reading ended; None for none.
        buffer: memory to read into, for whoever reads many files; it is made longer for a long line, and stays so.
        """
        self.position = position
        self.began_anew = position is None
        self.passed_over = 0
        self._path = path
        self._buffer = bytearray(PIECE) if buffer is None else buffer

    def pieces(self) -> Iterator[tuple[bytearray, int, int]]:
        """Yield memory and the range in it that holds whole lines, each with its newline; valid until the next piece.

        A last line without a newline is left for another time. What is appended meanwhile is read as well.

        Raises:
            OSError: the file cannot be read, with the reason; NotAFile where a folder, a pipe or a device is in its place,
                which is never opened. FileNotFoundError where it is gone.
        """
        descriptor = _open(self._path)
        try:
            status = os.fstat(descriptor)
            if self.position is None or not _is_still(descriptor, status, self.position):
                self.began_anew = True
                self.position = Position(status.st_dev, status.st_ino, 0, 0, 0)
            yield from self._read(descriptor)
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> Iterator[tuple[bytearray, int, int]]:
        buffer, held = self._buffer, 0  # held: bytes of a line that is not whole yet, at the beginning of the buffer
        while self.position is not None:
            if held == len(buffer):
                if held >= LONGEST:
                    self._go_on(descriptor, held, is_inside=True)
                    held = 0
                else:
                    buffer.extend(bytes(min(held, LONGEST - held)))
            with memoryview(buffer) as view, view[held:] as room:
                got = os.preadv(descriptor, [room], self.position.offset + held)
            if not got:
                if self.position.is_inside and held:
                    self._go_on(descriptor, held, is_inside=True)
                return
            end = held + got
            begin = 0
            if self.position.is_inside:
                begin = buffer.find(b"\n", held, end) + 1
                self._go_on(descriptor, begin or end, is_inside=not begin)
                if not begin:
                    held = 0
                    continue
            whole = buffer.rfind(b"\n", max(held, begin), end) + 1
            if whole:
                yield buffer, begin, whole
                self._advance(descriptor, whole - begin)
            else:
                whole = begin
            held = end - whole
            buffer[:held] = buffer[whole:end]

    def _go_on(self, descriptor: int, count: int, *, is_inside: bool) -> None:
        """Pass over bytes of a line that is too long."""
        self.passed_over += count
        self._advance(descriptor, count, is_inside)

    def _advance(self, descriptor: int, count: int, is_inside: bool = False) -> None:
        if self.position is not None:
            device, inode, offset, _, _ = self.position
            offset += count
            self.position = Position(device, inode, offset, _checksum(descriptor, offset), int(is_inside))


def _open(path: str) -> int:
    """A descriptor of a regular file. Raises OSError, NotAFile."""
    # Looked at before it is opened: opening a device may move a tape, and after it: somebody may have put one there.
    if stat.S_ISREG(os.stat(path).st_mode):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    raise NotAFile(errno.EINVAL, "it is no file", path)


def _is_still(descriptor: int, status: os.stat_result, position: Position) -> bool:
    """Whether the file begins with what was read of it."""
    is_same = (status.st_dev, status.st_ino) == (position.device, position.inode)
    return is_same and _checksum(descriptor, position.offset) == position.check


def _checksum(descriptor: int, offset: int) -> int:
    begin = max(0, offset - _CHECKED)
    return zlib.crc32(os.pread(descriptor, offset - begin, begin))
