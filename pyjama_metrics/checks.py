"""What can be wrong with a hub: the checks behind ``pyjama-metrics doctor``."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

from pyjama_metrics import agreement
from pyjama_metrics.errors import HubError, SessionsUnusable, SnapshotUnreadable
from pyjama_metrics.hub import Hub
from pyjama_metrics.problems import Problem
from pyjama_metrics.state import State
from pyjama_metrics.storage import files, lock, losses, names, owners, segments, sessions
from pyjama_metrics.storage.snapshot import SnapshotTooNew

LITTLE_SPACE = 50 * 1024 * 1024
"""Bytes left on the disk under which it is a problem."""
LAG = 16 * 1024 * 1024
"""Unfolded journal bytes that say that nobody folds, or nobody can."""
STALE_LEFTOVER = 60.0
"""Seconds after which a half-made file has no owner any more."""
RESTORE_WAIT = 60.0
"""Seconds that restoring the shared file may wait for another fold."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "afs"}
)

Mend = Callable[[], object]
Finding = tuple[Problem, Mend | None]
Part = Callable[[Hub], Iterator[Finding]]


def check(hub: Hub, *, fix: bool = False, deep: bool = False) -> list[Problem]:
    """Everything that is wrong with the hub, worst first.

    Args:
        hub: the hub; its folder need not exist.
        fix: also mend what can be mended without losing anything; a mended problem is reported with ``fixed`` set.
        deep: also bring the figures and the history up to date, and compare all sums that are kept in several places.

    Never raises for what it looks at; what cannot be looked at is a problem itself.
    """
    found = []
    for problem, mend in _findings(hub, deep):
        if fix and mend is not None:
            try:
                mend()
                problem = replace(problem, fixed=True)
            except (OSError, HubError) as error:
                problem = replace(problem, what=f"{problem.what} Mending it failed: {error}")
        found.append(problem)
    return sorted(found, key=lambda problem: (problem.severity != "error", problem.fixed))


def _findings(hub: Hub, deep: bool) -> Iterator[Finding]:
    yield from _looked_at("folder", _place, hub)
    if os.path.isdir(hub.folder):
        for name, part in _PARTS_OF_FOLDER.items():
            yield from _looked_at(name, part, hub)
        if deep:
            yield from _looked_at("agreement", _agreement, hub)
    yield from _looked_at("losses", _losses, hub)


def _looked_at(name: str, part: Part, hub: Hub) -> Iterator[Finding]:
    """The findings of one part; that it cannot be looked at is one too, and keeps nobody from looking at the others."""
    try:
        yield from part(hub)
    except HubError as error:
        yield Problem(f"{name}-unreadable", hub.folder, str(error), "Mend that, then look again."), None
    except OSError as error:
        place = os.fsdecode(error.filename or hub.folder)
        what = f"The {name} of the hub cannot be looked at: {error.strerror or error}."
        yield Problem(f"{name}-unreadable", place, what, "Mend the permissions there, or what stands in its place."), None


def _place(hub: Hub) -> Iterator[Finding]:
    try:
        status = os.stat(hub.folder)
    except FileNotFoundError:
        yield from _missing_folder(hub.folder)
        return
    except OSError as error:
        yield _unusable(hub.folder, error.strerror or str(error)), None
        return
    if not stat.S_ISDIR(status.st_mode):
        yield _unusable(hub.folder, "it is a file, not a folder"), None


def _missing_folder(folder: str) -> Iterator[Finding]:
    if os.path.islink(folder):
        yield _unusable(folder, f"it is a link to {os.readlink(folder)}, and there is nothing"), None
        return
    above = os.path.dirname(folder)
    while above != os.path.dirname(above) and not os.path.exists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        yield _unusable(folder, f"{above} is not a folder"), None
    elif not os.access(above, os.W_OK | os.X_OK):
        yield _unusable(folder, f"it does not exist and {above} may not be written"), None


def _unusable(folder: str, reason: str) -> Problem:
    return Problem(
        "folder-unusable",
        folder,
        f"The hub's folder cannot be used: {reason}. Agents cannot record; their own work goes on.",
        "Mend the folder, or set PYJAMA_HOME to one that you may write.",
    )


def _access(hub: Hub) -> Iterator[Finding]:
    folder = hub.folder
    mode = stat.S_IMODE(os.stat(folder).st_mode)
    if not os.access(folder, os.W_OK | os.X_OK) or os.statvfs(folder).f_flag & os.ST_RDONLY:
        yield _unusable(folder, "you may not write to it"), None
    if mode & 0o077:
        what = f"Other users may look into the folder (mode {mode:04o})."
        remedy = f"chmod 700 {folder}, or 'pyjama-metrics doctor --fix'."
        yield Problem("folder-mode", folder, what, remedy, "warning"), lambda: os.chmod(folder, files.FOLDER_MODE)


def _file_system(hub: Hub) -> Iterator[Finding]:
    kind = file_system(hub.folder)
    if kind in NETWORK_FILE_SYSTEMS:
        what = f"The folder lies on a network file system ({kind}): locks and change events may not work across machines."
        yield Problem("network-file-system", hub.folder, what, "Point PYJAMA_HOME at a folder on a local disk."), None


def _space(hub: Hub) -> Iterator[Finding]:
    free = shutil.disk_usage(hub.folder).free
    if free < LITTLE_SPACE:
        what = f"Only {free // 1024} KiB are left on the disk; when it is full, events are lost."
        yield Problem("little-space", hub.folder, what, "Free some space on that disk."), None


def file_system(folder: str) -> str:
    """The type of the file system that ``folder`` lies on, as ``/proc/self/mountinfo`` (proc(5)) names it; empty if unknown."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            rows = [line.split(" - ") for line in file]
    except OSError:
        return ""
    path = os.path.realpath(folder)
    best, kind = "", ""
    for row in rows:
        if len(row) < 2:
            continue
        point = row[0].split()[4].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, row[-1].split()[0]
    return kind


def _snapshot(hub: Hub) -> Iterator[Finding]:
    path = hub.snapshot_path
    try:
        state = hub.read(fresh=False, thorough=True)
    except SnapshotTooNew as error:
        yield Problem("snapshot-too-new", path, str(error), "Upgrade pyjama-metrics here."), None
        return
    except SnapshotUnreadable as error:
        what = f"The shared file cannot be read: {error.reason}."
        remedy = "'pyjama-metrics doctor --fix' (or the next fold that stumbles over it) sets it aside and restores the figures."
        yield Problem("snapshot-unreadable", path, what, remedy), lambda: _restore(hub)
        return
    yield from _counted(path, state)
    yield from _looked_at("modes", _modes, hub)
    yield from _looked_at("files", _set_aside, hub)


def _restore(hub: Hub) -> None:
    """Set an unreadable shared file aside and publish what can be restored. Raises HubError."""
    hub.fold(RESTORE_WAIT, thorough=True)
    hub.flush(RESTORE_WAIT)


def _set_aside(hub: Hub) -> Iterator[Finding]:
    for name in sorted(os.listdir(hub.folder)):
        if name.startswith(f"{names.SNAPSHOT}.corrupt-"):
            aside = os.path.join(hub.folder, name)
            what = "A damaged shared file was set aside here, and the figures were restored."
            yield Problem("set-aside", aside, what, "Remove it when you do not need it any more.", "warning"), None
        if name.startswith(f"{names.SESSIONS}.corrupt-") and not name.endswith(("-wal", "-shm")):
            aside = os.path.join(hub.folder, name)
            what = "A damaged memory of sessions was set aside here, and begun anew with what the journals tell."
            yield Problem("set-aside", aside, what, "Remove it when you do not need it any more.", "warning"), None
        if name.startswith(f"{names.REQUESTS}.corrupt-"):
            aside = os.path.join(hub.folder, name)
            what = "A damaged file of known model calls was set aside here, and begun anew."
            yield Problem("set-aside", aside, what, "Remove it when you do not need it any more.", "warning"), None


def _modes(hub: Hub) -> Iterator[Finding]:
    kept = (hub.snapshot_path, hub.snapshot_path + ".prev", os.path.join(hub.folder, names.REQUESTS))
    databases = (hub.history.path, names.sessions_path(hub.folder))
    for path in (*kept, *(database + suffix for database in databases for suffix in ("", "-wal", "-shm"))):
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
        except FileNotFoundError:
            continue  # not written yet
        if mode & 0o077:
            what = f"Other users may read the file (mode {mode:04o})."
            problem = Problem("file-mode", path, what, f"chmod 600 {path}, or 'pyjama-metrics doctor --fix'.", "warning")
            yield problem, lambda path=path: os.chmod(path, files.FILE_MODE)  # type: ignore[misc]


_COUNTED = {
    "malformed-lines": (
        "journal line could not be read and was passed over",
        "journal lines could not be read and were passed over",
        "Look at what else writes to the journal folder.",
    ),
    "unknown-events": (
        "event is of a kind that this version does not know",
        "events are of a kind that this version does not know",
        "Upgrade pyjama-metrics where you read.",
    ),
    "invalid-values": (
        "value was no measurement (a negative or infinite duration, say)",
        "values were no measurement (a negative or infinite duration, say)",
        "Look at the agents that record it.",
    ),
    "lost-events": (
        "event could not be recorded at the time",
        "events could not be recorded at the time",
        "Free disk space, or mend the folder's permissions.",
    ),
    "damaged-requests": (
        "time the file of known model calls was damaged; calls that were told before it and again after it may count twice",
        "times the file of known model calls was damaged; calls that were told before it and again after it may count twice",
        "Look at what else writes to requests.db.",
    ),
    "restored-snapshots": (
        "time the shared file was damaged and restored",
        "times the shared file was damaged and restored",
        "Look at what else writes to metrics.json.",
    ),
}


def _counted(path: str, state: State) -> Iterator[Finding]:
    for kind, (one, several, remedy) in _COUNTED.items():
        count = state["problems"].get(kind, 0)
        if count:
            what = f"{count:,} {one if count == 1 else several}."
            yield Problem(kind, path, what, f"{remedy} 'clear-metrics' resets the count.", "warning"), None


def _places(hub: Hub) -> Iterator[Finding]:
    """The names that a fold writes to: what is no file there stops every fold."""
    offsets = os.path.join(names.journal_folder(hub.folder), "offsets.json")
    previous, requests = hub.snapshot_path + ".prev", os.path.join(hub.folder, names.REQUESTS)
    for path in (previous, previous + ".tmp", offsets, offsets + ".tmp", hub.lock_path, requests):
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue  # not written yet; what stands in the journals' place is told with the journals
        if not stat.S_ISREG(status.st_mode):
            what = "This is no file, and the hub keeps a file under that name: nothing can be folded."
        elif not os.access(path, os.W_OK):
            what = "You may not write to this file: nothing can be folded."
        else:
            continue
        aside = f"{path}.odd-{time.time_ns() // 1_000_000}"
        remedy = "'pyjama-metrics doctor --fix' puts it aside, where you may do that; or remove it."
        yield Problem("not-our-file", path, what, remedy), functools.partial(os.rename, path, aside)


def _strange_journals(hub: Hub) -> Iterator[Finding]:
    for segment in segments.listing(hub.folder):
        if not os.access(segment.path, os.R_OK | os.W_OK):
            what = "You may not open this journal, so its events are not counted and its owner's end is not seen."
            remedy = "Make it yours (sudo chown $USER), or remove it."
            yield Problem("journal-unreadable", segment.path, what, remedy), None


def _lock(hub: Hub) -> Iterator[Finding]:
    pid = lock.holder(hub.lock_path)
    fields = None if pid is None else owners.process_fields(pid)
    if fields is None or fields[0] != "T":
        return
    what = f"Process {pid} holds the lock and is stopped, so nobody can fold. Recording goes on; the figures stand still."
    yield Problem("lock-held", hub.lock_path, what, f"Let it go on (kill -CONT {pid}) or end it."), None


def _journals(hub: Hub) -> Iterator[Finding]:
    lag = sum(writer.lag for writer in hub.writers())
    if lag > LAG:
        what = f"{lag // 1024:,} KiB of the journals are not in the shared file yet."
        problem = Problem("lag", hub.snapshot_path, what, "'pyjama-metrics doctor --fix' folds them now.", "warning")
        yield problem, lambda: hub.flush(60.0)
    for path in _half_made(names.journal_folder(hub.folder)):
        problem = Problem("leftover", path, "A killed process left this half-made file.", "Remove it.", "warning")
        yield problem, lambda path=path: files.remove(path)  # type: ignore[misc]
    yield from _strange_journals(hub)


def _half_made(place: str) -> Iterator[str]:
    for name in os.listdir(place) if os.path.isdir(place) else []:
        path = os.path.join(place, name)
        try:
            if name.endswith(".new") and time.time() - os.stat(path).st_mtime > STALE_LEFTOVER:
                yield path
        except FileNotFoundError:
            continue  # finished meanwhile


def _losses(hub: Hub) -> Iterator[Finding]:
    for writer, count in losses.notes(hub.folder).items():
        what = f"{count:,} events could not be recorded, and could not be told in the journal either."
        remedy = "Free disk space or mend the folder; 'clear-metrics' resets the count."
        yield Problem("lost-events", writer, what, remedy, "warning"), None


def _history(hub: Hub) -> Iterator[Finding]:
    if not hub.history.is_kept:
        return
    path = hub.history.path
    wrong = hub.history.examine()
    if wrong is not None:
        what = f"The history cannot be used: {wrong}. Recording and the live figures go on without it."
        remedy = "Mend that; a damaged one is set aside by the next fold, and begun anew from the journals that are left."
        yield Problem("history-unusable", path, what, remedy), None
    journals, size = hub.history.let_go()
    if journals:
        what = f"{journals:,} journals ({size:,} bytes) went before the history had read them, because it could not be written."
        yield (
            Problem("history-incomplete", path, what, "Nothing brings them back; 'clear --history' resets this.", "warning"),
            None,
        )
    for aside in hub.history.damaged():
        what = "A damaged history was set aside here, and a new one begun from the journals that were left."
        yield Problem("history-set-aside", aside, what, "Remove it when you do not need it any more.", "warning"), None


def _sessions(hub: Hub) -> Iterator[Finding]:
    try:
        sessions.look(hub.folder)
    except SessionsUnusable as error:
        remedy = "Mend it, or remove it: what the journals still hold is learned from them."
        yield Problem("sessions-unusable", error.path, str(error), remedy), None


def _agreement(hub: Hub) -> Iterator[Finding]:
    state = hub.read(fresh=False)
    is_misdated = state["problems"].get("invalid-values", 0) > 0
    for each in agreement.compare(hub):
        if not each.differences:
            continue
        first = each.differences[0]
        what = (
            f"{len(each.differences):,} of {each.compared:,} sums of {each.what} differ between {each.one} and {each.other}; the"
            f" first is {first.figure} of {first.where}: {first.one:,} and {first.other:,}."
        )
        remedy = "Look at what else writes to these files; 'pyjama-metrics doctor --deep --json' has all of them, for a report."
        severity: Literal["error", "warning"] = "error"
        if is_misdated and each.other == agreement.HISTORY:
            # What is dated ahead of the clock counts at the time at which it is read, and the two read it one after the other.
            remedy = "Events dated in the future explain it: the two may count them at different times. Nothing is lost."
            severity = "warning"
        yield Problem("sums-differ", hub.folder, what, remedy, severity), None


_PARTS_OF_FOLDER: dict[str, Part] = {
    "folder": _access,
    "file-system": _file_system,
    "space": _space,
    "snapshot": _snapshot,
    "places": _places,
    "lock": _lock,
    "journals": _journals,
    "history": _history,
    "sessions": _sessions,
}
