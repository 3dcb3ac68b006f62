"""``metrics.json``: read whole, replaced whole, restored from the generation before it when it is damaged.

Beside it lie ``metrics.json.prev`` (a hard link to the generation before) and ``journal/offsets.json``, a small copy of the
journal offsets. The offsets that count are inside the snapshot, so one ``os.replace`` moves state and offsets together, and
a fold that dies half way is repeated, never counted twice. The copy serves only where the user removed the snapshot: the figures
then start at zero, but from where the journals were read to, so that nothing old comes back. It is written before the
snapshot, because a copy that lags would bring old events back; but after the first snapshot, because until there is one a fold
goes by the copy, and would pass over what a fold that died in between had read.

All functions of :class:`SnapshotFile` that change something must be called under the fold lock.
"""

from __future__ import annotations

import os
import re
import time
from typing import Protocol

from pyjama_metrics import events
from pyjama_metrics.errors import FolderUnusable, SnapshotUnreadable, SnapshotUnwritable
from pyjama_metrics.state import State, accepted, new_state
from pyjama_metrics.storage import files, json, names
from pyjama_metrics.storage.files import Signature

KEPT_ASIDE = 5
"""Damaged snapshots that are kept for people to look at, the newest. Something may damage the file for weeks."""

_ASIDE = re.compile(re.escape(names.SNAPSHOT) + r"\.corrupt-([0-9]+)")


class Held(Protocol):
    """The fold lock while it is held."""

    @property
    def identity(self) -> int:
        """What tells this lock from that of another folder of the same name."""

    def is_in_place(self) -> bool:
        """Whether the locked file is still the one that others would lock."""


class Removed(Exception):
    """The snapshot was removed while its successor was in the making; the caller starts from empty figures."""


class SnapshotFile:
    """The snapshot of the hub in ``folder``. Reading needs no lock, at any moment, in any process."""

    def __init__(self, folder: str, *, fsync: bool) -> None:
        self.path = names.snapshot_path(folder)
        self.previous = self.path + ".prev"
        self.offsets = os.path.join(names.journal_folder(folder), "offsets.json")
        self.fsync = fsync
        self.restored: str | None = None

    def signature(self) -> Signature | None:
        """What tells this generation of the file from every other; None where there is none. Raises FolderUnusable."""
        try:
            return files.signature(self.path)
        except OSError as error:
            raise FolderUnusable(os.path.dirname(self.path), error.strerror or str(error)) from error

    def read(self, *, thorough: bool = False) -> State | None:
        """The state in the file; None where there is no file.

        Args:
            thorough: look at each row, fill in what it lacks and refuse what is of the wrong type.

        Raises:
            SnapshotUnreadable: what is there is not a snapshot of this version.
            FolderUnusable: the operating system does not let us read it.
        """
        return self._read(self.path, thorough)

    def _read(self, path: str, thorough: bool) -> State | None:
        try:
            data = files.read_whole(path)
        except FileNotFoundError:
            return None
        except files.NotAFile as error:
            raise SnapshotUnreadable(path, "it is no file") from error
        except OSError as error:
            raise FolderUnusable(os.path.dirname(path), error.strerror or str(error)) from error
        return _state_in(path, data, thorough)

    def emptied(self) -> State:
        """Empty figures that go on where the journals were read to when the snapshot was removed."""
        state = new_state()
        try:
            kept = json.loads(files.read_whole(self.offsets))
            generation = _natural(kept["generation"])
            journals = {name: {key: _natural(at[key]) for key in ("offset", "lines")} for name, at in kept["journals"].items()}
            state["generation"], state["journals"] = generation, journals
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            # No copy, or a damaged one: the journals that are still there are read from their beginning, which shows more
            # than was asked for, but loses nothing.
            pass
        return state

    def restore(self, *, trust_previous: bool = True) -> tuple[State, int]:
        """Set an unreadable snapshot aside and return the state to go on from, and the generation that it counts: -1 for none.

        That is the generation before, whose older offsets make the next fold read again what the damaged one had read; where
        that is unreadable too, empty figures and the journals from their beginning. Whoever dies on the way leaves a folder
        from which the next one restores the same.

        Args:
            trust_previous: False where the generation before turned out to be no better.

        Raises FolderUnusable.
        """
        # The generation still only grows: readers take a smaller one for an older state.
        generation = self.emptied()["generation"]
        try:
            before = self._read(self.previous, thorough=True) if trust_previous else None
        except SnapshotUnreadable:
            before = None
        try:
            self._put_in_place(before, generation)
        except OSError as error:
            raise FolderUnusable(os.path.dirname(self.path), error.strerror or str(error)) from error
        before, counts = (new_state(), -1) if before is None else (before, before["generation"])
        before["generation"] = max(before["generation"], generation)
        before["problems"]["restored-snapshots"] = before["problems"].get("restored-snapshots", 0) + 1
        return before, counts

    def _put_in_place(self, before: State | None, generation: int) -> None:
        aside = f"{self.path}.corrupt-{time.time_ns() // 1_000_000}"
        # First what may fail for want of space: a try that fails leaves nothing set aside. A copy, not a link of the generation
        # before: what damages a file in place must not damage both.
        beside = None if before is None else files.write_beside(self.path, json.dumps(before), fsync=self.fsync)
        if beside is None:
            self.keep_offsets(generation, {})
        if beside is None or os.path.isdir(self.path):
            os.rename(self.path, aside)
        else:
            os.link(self.path, aside)
        if beside is not None:
            os.replace(beside, self.path)
        self.restored = aside
        _remove_older_than(aside)

    def write(self, state: State, held: Held, *, replaces: bool) -> Signature:
        """Publish ``state`` as the next generation.

        Args:
            state: its ``generation`` is what readers see.
            held: the fold lock. What belongs to a folder that was removed meanwhile must not land in the one after it.
            replaces: whether it was made from the snapshot that is there; then that one becomes the generation before.

        Raises:
            Removed: somebody removed the folder meanwhile or, where it ``replaces``, the file.
            SnapshotUnwritable: the disk is full, or we may not write; the snapshot there is whole.
            ValueError: the state holds what JSON cannot.
        """
        data = json.dumps(state)
        try:
            if replaces:
                self.keep_offsets(state["generation"], state["journals"])
            # A name of this lock's own: whoever holds the one of a removed folder must not write into the file of another.
            beside = files.write_beside(self.path, data, f".{held.identity}.tmp", fsync=self.fsync)
            if not held.is_in_place():
                files.remove(beside)
                raise Removed
            if replaces:
                self._link_previous()
            os.replace(beside, self.path)
            if not replaces:
                self.keep_offsets(state["generation"], state["journals"])
        except OSError as error:
            raise SnapshotUnwritable(self.path, error.strerror or str(error)) from error
        written = self.signature()
        if written is None:
            raise Removed
        return written

    def keep_offsets(self, generation: int, journals: dict[str, dict[str, int]]) -> None:
        """Write the copy of the offsets from which to go on should the snapshot be removed. Raises OSError."""
        files.make_folder(os.path.dirname(self.offsets))
        data = json.dumps({"generation": generation, "journals": journals})
        os.replace(files.write_beside(self.offsets, data), self.offsets)

    def become_own_previous(self) -> None:
        """Make the snapshot its own predecessor: after a clear nothing older may come back. Raises OSError."""
        os.replace(files.write_beside(self.previous, files.read_whole(self.path), fsync=self.fsync), self.previous)

    def _link_previous(self) -> None:
        link = self.previous + ".tmp"
        files.remove(link)
        try:
            os.link(self.path, link)
        except FileNotFoundError:
            raise Removed from None
        os.replace(link, self.previous)


def _remove_older_than(aside: str) -> None:
    """Remove what was set aside before the newest, and nothing that is named otherwise; what cannot be removed stays."""
    folder, newest = os.path.split(aside)
    try:
        with os.scandir(folder) as entries:
            files_aside = {entry.name: found for entry in entries if entry.is_file() and (found := _ASIDE.fullmatch(entry.name))}
        files_aside.pop(newest, None)
        for name in sorted(files_aside, key=lambda name: int(files_aside[name][1]), reverse=True)[KEPT_ASIDE - 1 :]:
            os.unlink(os.path.join(folder, name))
    except OSError:
        # The figures are restored; a file too many is no reason to say otherwise.
        return


def _natural(value: object) -> int:
    if type(value) is not int or not 0 <= value <= 2**53:
        raise ValueError(f"{value!r} is no count")
    return value


def _state_in(path: str, data: bytes, thorough: bool) -> State:
    try:
        value = json.loads(data)
    except ValueError as error:
        reason = "it is empty" if not data else f"it is not JSON ({error})"
        raise SnapshotUnreadable(path, reason) from error
    if isinstance(value, dict) and isinstance(value.get("format"), int) and value["format"] > events.FORMAT:
        raise SnapshotTooNew(path, f"a newer version of pyjama-metrics wrote it (format {value['format']})")
    state = accepted(value, thorough=thorough)
    if state is None:
        raise SnapshotUnreadable(path, "it is JSON, but not a snapshot of pyjama-metrics")
    return state


class SnapshotTooNew(SnapshotUnreadable):
    """A newer version wrote the snapshot: it is whole, and must not be set aside."""

    def __str__(self) -> str:
        return f"Cannot read {self.path}: {self.reason}. It was left as it is; upgrade pyjama-metrics here."
