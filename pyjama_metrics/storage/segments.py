"""The reading side of the journals: which segments there are, what is new in them, and when one may go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from pyjama_metrics.events import MAX_TIME_MS
from pyjama_metrics.storage import descriptors, files, json, names, owners

CHUNK = 1 << 20
MAX_LINE = 1 << 20
"""Bytes of the longest line that is waited for; our own are at most some 20,000."""
_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One journal file: ``<writer>.<number>.jsonl``."""

    writer: str
    number: int
    name: str
    path: str
    size: int
    inode: int


def listing(folder: str) -> list[Segment]:
    """The segments in ``<folder>/journal``, each writer's in order. An absent folder has none. Raises OSError."""
    place = names.journal_folder(folder)
    found = []
    try:
        entries = list(os.scandir(place))
    except FileNotFoundError:
        return []
    for entry in entries:
        parts = names.segment_parts(entry.name)
        if parts is None:
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            # A finished writer's journal is removed by whoever folds it first; losing that race is fine.
            continue
        if entry.is_file(follow_symlinks=False):
            found.append(Segment(*parts, entry.name, entry.path, status.st_size, status.st_ino))
    return sorted(found)


def newest(segments: Iterable[Segment]) -> dict[str, Segment]:
    """Each writer's newest segment, the one that its owner keeps locked."""
    return {segment.writer: segment for segment in sorted(segments)}


def read_lines(path: str, offset: int, limit: int) -> tuple[bytes, int]:
    """The whole lines from ``offset`` on, some ``limit`` bytes of them but always to the end of a line.

    A last line without a newline is left for later, unless it is longer than ``MAX_LINE``.

    Returns:
        The lines, and by how many bytes to go on: their length, or that of the beginning of a line which is too long to be
        one. What is left of such a line is then the next line, and malformed.

    Raises:
        FileNotFoundError: the segment is gone.
        PermissionError: it belongs to somebody else.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        data = os.pread(descriptor, limit, offset)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == limit:
            data = os.pread(descriptor, max(limit, MAX_LINE), offset)
            end = data.rfind(b"\n") + 1
        return data[:end], end or (len(data) if len(data) >= MAX_LINE else 0)
    finally:
        os.close(descriptor)


def parse(lines: bytes, latest_ms: int = MAX_TIME_MS) -> list[dict[str, Any] | None]:
    """Each line as an object; None for a line that is not one. Blank lines (they follow a torn line) are malformed too.

    All lines are parsed as one array, which is faster than one by one; only where that does not give an object for each
    line are they parsed alone.

    Args:
        lines: whole lines.
        latest_ms: an event dated later gets this time, and the mark of an invalid value.
    """
    events = _parsed(lines)
    try:
        if max(map(_TIME, events)) <= latest_ms:
            return events
    except (TypeError, KeyError):
        pass  # some line has no time, or none that is a number
    for event in events:
        time = None if event is None else event.get("time")
        if event is not None and type(time) in (int, float) and time > latest_ms:  # type: ignore[operator]
            event |= {"time": latest_ms, "invalid": True}
    return events


_TIME: Callable[[Any], Any] = itemgetter("time")


def _parsed(lines: bytes) -> list[dict[str, Any] | None]:
    count = lines.count(b"\n")
    try:
        events = json.loads(b"[" + lines[:-1].replace(b"\n", b",") + b"]")
        if len(events) == count and set(map(type, events)) == {dict}:
            return events  # type: ignore[no-any-return]
    except ValueError:
        pass  # some line is not JSON; find out which
    return [_parse_line(line) for line in lines[:-1].split(b"\n")]


def _parse_line(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def header(path: str) -> dict[str, Any]:
    """The first line of a segment; empty where there is none that can be read."""
    try:
        with open(path, "rb") as file:
            value = _parse_line(file.readline(_HEADER_BYTES).rstrip(b"\n"))
    except OSError:
        return {}
    return value if value is not None and value.get("event") == "writer" else {}


@dataclass(frozen=True, slots=True)
class WriterInfo:
    """One writer of the journals, for people.

    Attributes:
        name: the writer's name.
        kind: ``process`` or ``session``.
        pid, host: where it runs or ran.
        alive: whether it lives; None where that cannot be known from here.
        size: bytes in its segments.
        lag: bytes of these that are not in the snapshot.
    """

    name: str
    kind: str
    pid: int | None
    host: str
    alive: bool | None
    size: int
    lag: int


def writers(folder: str, offsets: dict[str, int]) -> list[WriterInfo]:
    """The writers of the journals in ``folder``; ``offsets`` says how far each segment is folded. Raises OSError."""
    listed = listing(folder)
    found = []
    for name, segment in newest(listed).items():
        mine = [other for other in listed if other.writer == name]
        lag = sum(max(0, other.size - offsets.get(other.name, 0)) for other in mine)
        try:
            with Claim(segment) as claim:
                verdict, head = claim.verdict, claim.header or header(segment.path)
        except FileNotFoundError:
            continue  # removed since it was listed
        except PermissionError:
            verdict, head = owners.UNKNOWN, {}
        alive = {owners.ALIVE: True, owners.DEAD: False}.get(verdict)
        kind, host = str(head.get("kind", "process")), str(head.get("host", ""))
        found.append(WriterInfo(name, kind, head.get("pid"), host, alive, sum(other.size for other in mine), lag))
    return found


class Claim:
    """The lock of a journal whose owner may be dead, held while that is decided and acted upon.

    Use as a context manager; ``verdict`` is ``alive``, ``dead`` or ``unknown``. The owner of a live journal holds the lock, so
    then there is nothing to hold.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.verdict = owners.ALIVE
        self.header: dict[str, Any] = {}
        self.holds_lock = False
        self._descriptor = -1

    def __enter__(self) -> Claim:
        """Raises FileNotFoundError where the segment is gone, OSError where it may not be opened."""
        self._descriptor = descriptors.open_carrier(self.segment.path, os.O_RDWR | os.O_APPEND)
        try:
            self.holds_lock = owners.try_lock(self._descriptor)
            if self.holds_lock:
                self.header = header(self.segment.path)
                self.verdict = owners.verdict(self.header, host=os.uname().nodename, boot=owners.boot_id())
        except BaseException:
            descriptors.close_carrier(self._descriptor)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        descriptors.close_carrier(self._descriptor)

    @property
    def is_final(self) -> bool:
        """Whether nobody will ever append again: the owner is dead, or was of an earlier boot of this machine."""
        here = self.header.get("host") == os.uname().nodename
        return self.verdict == owners.DEAD or (self.verdict == owners.UNKNOWN and here and self._other_boot())

    def _other_boot(self) -> bool:
        boot = owners.boot_id()
        return bool(boot) and self.header.get("boot") != boot

    def append(self, lines: bytes) -> None:
        """Write what was found out about the owner into its own journal, where every projection reads it. Raises OSError."""
        size = os.fstat(self._descriptor).st_size
        data = lines if files.ends_whole(self._descriptor) else b"\n" + lines
        if os.write(self._descriptor, data) != len(data):
            os.ftruncate(self._descriptor, size)  # all or nothing: the next fold tries again
            raise OSError("the disk did not take the whole line")

    def unread(self, offset: int) -> bool:
        """Whether there are whole lines beyond ``offset``."""
        size = os.fstat(self._descriptor).st_size
        return size > offset and read_lines(self.segment.path, offset, CHUNK)[1] > 0

    def was_followed(self) -> bool:
        """Whether the writer has gone on to a newer segment, and left this one unlocked for that reason."""
        own = f"{self.segment.writer}."
        listed = os.listdir(os.path.dirname(self.segment.path))
        # Each of thousands of journals may be asked, so the names of the others are not taken apart.
        parts = filter(None, (names.segment_parts(name) for name in listed if name.startswith(own)))
        return any(writer == self.segment.writer and number > self.segment.number for writer, number in parts)

    def last_write_ms(self) -> int:
        """When the segment was last written to, in milliseconds since the epoch."""
        return os.fstat(self._descriptor).st_mtime_ns // 1_000_000

    def remove(self) -> None:
        """Remove the segment; whoever waits for its lock finds it unlinked and starts a new one."""
        os.unlink(self.segment.path)
