"""Files of other programs that we put something into: changed whole or not at all, and given back as they were.

Before the first change the file is copied beside itself, and a receipt in our data folder says what was there (a checksum, or
that there was nothing) and what we wrote. What we wrote and nobody has touched is replaced by the copy, byte for byte; in what
somebody has changed since, only what is ours is taken out. A file is replaced by a rename, under a lock on its folder, so that a
killed or a second installer leaves the old or the new file and never half of one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyjama_metrics.errors import HubError
from pyjama_metrics.integrations.hook_entries import WrongShape
from pyjama_metrics.integrations.json_text import JsonBroken
from pyjama_metrics.integrations.toml_line import TomlBroken
from pyjama_metrics.storage import files, owners, places

BACKUP = ".pyjama-backup"
"""What the name of the copy ends in."""
_NEW = ".pyjama-new"

LARGEST = 16 * 1024 * 1024
"""Bytes of a settings file at most: a larger one is something else."""

LONGEST_WAIT = 10.0
"""Seconds that one installer waits for another."""
_TRIES = 5


class SettingsRefused(HubError):
    """A file of another program was not changed."""

    def __init__(self, path: str, reason: str, remedy: str) -> None:
        self.path, self.reason, self.remedy = path, reason, remedy
        super().__init__(path, reason, remedy)

    def __str__(self) -> str:
        return f"{self.path} was left as it is: {self.reason}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it is now.

    Attributes:
        path: as it was named.
        real: where it really is, if that name is a link.
        data: what is in it; None where there is none.
        mode, uid, gid: whose it is.
    """

    path: str
    real: str
    data: bytes | None
    mode: int = files.FILE_MODE
    uid: int = -1
    gid: int = -1

    @property
    def text(self) -> str:
        """What is in it as text, and nothing where there is none. Raises SettingsRefused."""
        data = self.data or b""
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
            raise SettingsRefused(
                self.path,
                f"it is not in UTF-8 (line {line}, byte {column})",
                "Save it as UTF-8 in an editor, then try again.",
            ) from None


@dataclass(slots=True)
class Receipt:
    """What is remembered of a file that we put something into."""

    path: str
    backup: str
    before: str | None
    """Checksum of what was there; None where there was no file."""
    written: list[str] = field(default_factory=list)
    """Checksums of what we wrote last and before; none if the file holds changes of others, too."""
    folders: list[str] = field(default_factory=list)
    """Folders that were made for it, the outermost first."""


@dataclass(frozen=True, slots=True)
class Change:
    """What was done with a file, or would be."""

    path: str
    before: bytes | None
    after: bytes | None
    backup: str | None = None
    """Where a copy of the file is, if one is there after the change."""
    exactly: bool = False
    """Whether the file is now what it was before anything was put in."""

    @property
    def is_change(self) -> bool:
        """Whether the file is not what it was."""
        return self.before != self.after


def look(path: str) -> Found:
    """The file. Raises SettingsRefused for what is none that could be changed."""
    real = os.path.realpath(path)
    try:
        status = os.stat(real)
        if stat.S_ISREG(status.st_mode) and status.st_size > LARGEST:
            raise SettingsRefused(
                path, f"it has more than {LARGEST // 1024**2} MiB", "Settings are never that large; look at what it is."
            )
        data = files.read_whole(real)
    except FileNotFoundError:
        return Found(path, real, None)
    except IsADirectoryError:
        raise SettingsRefused(path, "a folder is in its place", "Move that folder away, then try again.") from None
    except files.NotAFile:
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
        raise SettingsRefused(path, f"{kind} is in its place", "Move that away, then try again.") from None
    except OSError as error:
        raise refused_by_system(path, error) from None
    return Found(path, real, data, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def refused_by_system(path: str, error: OSError) -> SettingsRefused:
    """What the operating system said, as a sentence."""
    reasons = {
        errno.ELOOP: ("it is a link that leads to itself", "Mend the link, then try again."),
        errno.EACCES: ("you may not read or write it", "Give yourself the permission, then try again."),
        errno.EPERM: ("you may not change it", "Give yourself the permission, then try again."),
        errno.EROFS: ("it is on a file system that may only be read", "Choose another scope, or make it writable."),
        errno.ENOTDIR: ("what should be its folder is a file", "Move that file away, then try again."),
        errno.ENOSPC: ("the disk is full", "Free some space, then try again."),
    }
    reason, remedy = reasons.get(error.errno or 0, (error.strerror or str(error), "Mend that, then try again."))
    return SettingsRefused(path, reason, remedy)


def put_in(path: str, make: Callable[[str], str], is_in: Callable[[str], bool], *, dry_run: bool = False) -> Change:
    """Put something into a file, which is made where it is missing.

    Args:
        path: of the file.
        make: the new text from that of the file; the same text means that there is nothing to do.
        is_in: whether a text has anything of ours already.
        dry_run: only tell.

    Raises:
        SettingsRefused: nothing was changed.
    """
    if dry_run:
        found = look(path)
        change = Change(path, found.data, _made(found, make), None)
        if change.is_change:
            _may_be_replaced(found)
        return change
    folders: list[str] = []
    for _ in range(_TRIES):
        folders += _make_folders(os.path.dirname(os.path.realpath(path)), path)
        with _translated(path), _locked(path) as is_in_place:
            if not is_in_place:
                continue  # somebody has taken our entries out meanwhile, and the folder with them
            found = look(path)
            after = _made(found, make)
            receipt = read_receipt(found.real)
            if after == found.data:
                return Change(path, found.data, after, receipt.backup if receipt and os.path.exists(receipt.backup) else None)
            _may_be_replaced(found)
            receipt = _keep(found, after, receipt, folders, has_ours=found.data is not None and is_in(found.text))
            if _replace(found, after):
                return Change(path, found.data, after, receipt.backup if receipt.before is not None else None)
    raise _busy(path)


def take_out(
    path: str,
    strip: Callable[[str, str | None], str],
    is_in: Callable[[str], bool],
    is_empty: Callable[[str], bool],
    *,
    dry_run: bool = False,
) -> Change:
    """Take out of a file what was put in: all of the file is as it was, where nobody else has changed it.

    Args:
        path: of the file.
        strip: the text without what is ours, from it and from what it was before anything was put in (None if that is unknown).
        is_in: whether a text has anything of ours.
        is_empty: whether a text has nothing in it; such a file is removed if we had made it.
        dry_run: only tell.

    Raises:
        SettingsRefused: nothing was changed.
    """
    if not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        return Change(path, None, None)
    for _ in range(_TRIES):
        with _translated(path), _locked(path):
            found = look(path)
            receipt = read_receipt(found.real)
            after, exactly = _stripped(found, receipt, strip, is_in, is_empty)
            change = Change(path, found.data, after, None if receipt is None or exactly else receipt.backup, exactly)
            if dry_run:
                return change
            if change.is_change:
                _may_be_replaced(found)
                if not _replace(found, after):
                    continue
            _forget(found, receipt, exactly)
            return change
    raise _busy(path)


def tidy() -> None:
    """Remove our data folder, if there is nothing in it any more."""
    for folder in (os.path.join(places.data_folder(), "installed"), places.data_folder()):
        try:
            os.rmdir(folder)
        except OSError:
            return


def receipts() -> list[Receipt]:
    """All that is remembered of files that have something of ours."""
    folder = os.path.join(places.data_folder(), "installed")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [found for name in names if name.endswith(".json") and (found := _receipt_in(os.path.join(folder, name))) is not None]


def read_receipt(real: str) -> Receipt | None:
    """What is remembered of a file; None where nothing is, or it cannot be read."""
    return _receipt_in(_receipt_path(real))


def _made(found: Found, make: Callable[[str], str]) -> bytes:
    text = found.text
    with _explained(found.path):
        after = make(text)
    try:
        return found.data or b"" if after == text and found.data is not None else after.encode("utf-8")
    except UnicodeEncodeError:
        raise SettingsRefused(
            found.path, "a path to put into it is not UTF-8", "Install into a folder with another name."
        ) from None


def _stripped(
    found: Found,
    receipt: Receipt | None,
    strip: Callable[[str, str | None], str],
    is_in: Callable[[str], bool],
    is_empty: Callable[[str], bool],
) -> tuple[bytes | None, bool]:
    """What the file is to be, and whether that is exactly what it was."""
    original = _original(receipt)
    if found.data is None:
        return None, receipt is not None and receipt.before is None
    if receipt is not None:
        if _sum(found.data) == receipt.before:
            return found.data, True
        if _sum(found.data) in receipt.written and (receipt.before is None or original is not None):
            return original, True
    text = found.text
    with _explained(found.path):
        after = strip(text, None if original is None else original.decode("utf-8", "replace")) if is_in(text) else text
    data = after.encode("utf-8") if after != text else found.data
    if receipt is not None and receipt.before is None and is_empty(after):
        return None, True
    return data, receipt is not None and _sum(data) == receipt.before


def _original(receipt: Receipt | None) -> bytes | None:
    """What the file was before anything was put in, if the copy is still that."""
    if receipt is None or receipt.before is None:
        return None
    try:
        data = files.read_whole(receipt.backup)
    except OSError:
        return None
    return data if _sum(data) == receipt.before else None


def _keep(found: Found, after: bytes, receipt: Receipt | None, folders: list[str], *, has_ours: bool) -> Receipt:
    """Remember what is there, before it is changed."""
    backup = found.path + BACKUP
    if receipt is not None and found.data is not None and _sum(found.data) in receipt.written:
        receipt.written = [_sum(found.data), _sum(after)]
    elif has_ours:
        # Others have changed the file since, or the receipt is lost: what is ours will be taken out of it, and no more.
        if receipt is None:
            receipt = Receipt(found.real, backup, "")
            if not os.path.lexists(backup) and found.data is not None:
                _write(backup, found.data)
        receipt.written = []
    else:
        if found.data is not None:
            _write(backup, found.data)
        receipt = Receipt(found.real, backup, None if found.data is None else _sum(found.data), [_sum(after)], folders)
    files.make_folder(os.path.dirname(_receipt_path(found.real)))
    told = {name: getattr(receipt, name) for name in Receipt.__slots__}
    _write(_receipt_path(found.real), json.dumps(told, indent=1).encode())
    return receipt


def _forget(found: Found, receipt: Receipt | None, exactly: bool) -> None:
    if receipt is None:
        return
    if exactly and receipt.before is not None:
        files.remove(receipt.backup)
    files.remove(_receipt_path(found.real))
    for folder in reversed(receipt.folders if exactly else []):
        try:
            os.rmdir(folder)
        except OSError:
            return  # somebody else has put something into it


def _replace(found: Found, after: bytes | None) -> bool:
    """Put the file in its place; False if somebody has changed it meanwhile."""
    if after is None:
        if look(found.path).data != found.data:
            return False
        files.remove(found.real)
        return True
    beside = files.write_beside(found.real, after, _NEW, fsync=True)
    try:
        if found.data is not None:
            _dress(beside, found)
        if look(found.path).data != found.data:
            return False
        os.replace(beside, found.real)
    finally:
        files.remove(beside)
    return True


def _dress(beside: str, found: Found) -> None:
    """Give the new file the owner, the mode and the attributes of the old one. Raises SettingsRefused."""
    try:
        mine = os.stat(beside)
        if (mine.st_uid, mine.st_gid) != (found.uid, found.gid):
            os.chown(beside, found.uid, found.gid)
    except PermissionError:
        raise SettingsRefused(
            found.path, "it belongs to another user or group", "Run this as its owner, or choose another scope."
        ) from None
    shutil.copystat(found.real, beside)
    os.utime(beside)
    os.chmod(beside, found.mode)


def _may_be_replaced(found: Found) -> None:
    if found.data is not None and not (found.mode & 0o222 and os.access(found.real, os.W_OK)):
        raise SettingsRefused(found.path, "it is not writable", f"Make it so with 'chmod u+w {found.path}', then try again.")


def _write(path: str, data: bytes) -> None:
    os.replace(files.write_beside(path, data, _NEW, fsync=True), path)


def _make_folders(folder: str, path: str) -> list[str]:
    """Make a folder and those above it (0700); those that were made, the outermost first."""
    missing = []
    above = folder
    while not os.path.lexists(above):
        missing.append(above)
        above = os.path.dirname(above)
    made = []
    with _translated(path):
        for each in reversed(missing):
            try:
                os.mkdir(each, files.FOLDER_MODE)
                made.append(each)
            except FileExistsError:
                continue  # another installer was faster
        if not os.path.isdir(folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    return made


@contextmanager
def _locked(path: str) -> Iterator[bool]:
    """Hold the lock that all installers of this file take, that of its folder: nothing is left of it. Says whether the folder is
    still there.
    """
    folder = os.path.dirname(os.path.realpath(path))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + LONGEST_WAIT
        while not _taken(descriptor):
            if time.monotonic() > deadline:
                raise _busy(path)
            time.sleep(0.005)
        there = files.signature(folder)
        yield there is not None and there[0] == os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        return owners.try_lock(descriptor)
    except OSError:
        return True  # a file system without locks: two installers at once are rare, and the rename is still whole


def _busy(path: str) -> SettingsRefused:
    return SettingsRefused(path, "another program keeps changing it", "Let that come to its end, then try again.")


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise refused_by_system(path, error) from None


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except JsonBroken as error:
        raise SettingsRefused(path, f"it is not JSON ({error})", "Mend it there in an editor, then try again.") from None
    except TomlBroken as error:
        raise SettingsRefused(path, f"it is not TOML ({error})", "Mend it there in an editor, then try again.") from None
    except WrongShape as error:
        raise SettingsRefused(path, f"it holds no settings ({error})", "Mend it there in an editor, then try again.") from None


def _receipt_path(real: str) -> str:
    return os.path.join(places.data_folder(), "installed", f"{_sum(os.fsencode(real))[:16]}.json")


def _receipt_in(path: str) -> Receipt | None:
    try:
        told = json.loads(files.read_whole(path))
        receipt = Receipt(**{name: told[name] for name in Receipt.__slots__})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    texts = [receipt.path, receipt.backup, *receipt.written, *receipt.folders, *([receipt.before] if receipt.before else [])]
    return receipt if all(isinstance(each, str) for each in texts) else None


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
