"""The history as a folder of small files: ``daily/YYYY-MM-DD.json`` and ``executions/<id>.json``, for backups and programs.

A file is written beside its place and renamed, so whoever reads it finds it whole; one whose content stays is left alone. So is
one about a time that the history does not know as a whole, because a part was forgotten, or is from before it was begun or
cleared: the file may know more.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from pyjama_metrics import history
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.report_files import plain
from pyjama_metrics.reports import Kind, Report, Span, export_of, report
from pyjama_metrics.storage import files
from pyjama_metrics.storage.lock import FoldLock
from pyjama_metrics.time_steps import boundaries

LOCK = ".pyjama-metrics.lock"
DAILY, EXECUTIONS = "daily", "executions"
_KINDS: tuple[Kind, ...] = ("daily", "agents", "models", "phases", "tools", "projects", "hosts")
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_KEPT = 60


@dataclass(frozen=True, slots=True)
class Step:
    """How far the work is: files looked at, of how many, and how many of them were written."""

    done: int
    of: int
    written: int


def write(folder: str, span: Span, *, hub: str | None = None, overrides: Overrides | None = None) -> Iterator[Step]:
    """Write the days and the runs of a span into a folder; a step after each file.

    Days are whole ones, also where the span begins or ends within one.

    Raises:
        HistoryUnusable: the history cannot be read.
        LockTimeout: another process writes into this folder.
        OSError: the folder cannot be written; each file is as it was, or as it should be.
        ValueError: the span has too many days.
    """
    for name in ("", DAILY, EXECUTIONS):
        files.make_folder(os.path.join(folder, name))
    with FoldLock(os.path.join(folder, LOCK)).held(0.0):
        runs = [
            run
            for run in history.sessions(
                span.begin, span.end, agent=span.agent, project=span.project, folder=hub, overrides=overrides
            )
            if run.run
        ]
        days = list(pairwise(boundaries(span.begin, span.end, "day", span.zone)))
        complete_from = history.complete_from(folder=hub) or 0
        done = written = 0
        for begin, end in days:
            done += 1
            found = _day(replace(span, begin=begin, end=end), hub, overrides)
            if found is not None:
                written += _put(os.path.join(folder, DAILY, f"{found['day']}.json"), found, is_whole=begin >= complete_from)
            yield Step(done, len(days) + len(runs), written)
        for name, run in zip(_names([(run.run, run.agent) for run in runs]), runs, strict=True):
            done += 1
            whole = history.execution_summary(run.run, agent=run.agent, folder=hub, overrides=overrides)
            if whole is not None:  # forgotten meanwhile
                is_whole = whole.started is None or whole.started >= complete_from
                written += _put(os.path.join(folder, EXECUTIONS, f"{name}.json"), plain.execution(whole, span.zone), is_whole)
            yield Step(done, len(days) + len(runs), written)


def file_name(run: str, agent: str) -> str:
    """A name under which a run can be a file anywhere, whatever it is called: it never leaves its folder.

    >>> file_name("w9-1-a.7", "builder"), file_name("../../etc/passwd", "x")
    ('w9-1-a.7', 'etc-passwd-77b994f41875')
    """
    return run if _SAFE.fullmatch(run) and not run.endswith(".") else _with_checksum(run, agent)


def _with_checksum(run: str, agent: str) -> str:
    checksum = hashlib.blake2b(f"{run}\0{agent}".encode(errors="backslashreplace"), digest_size=6).hexdigest()
    readable = _UNSAFE.sub("-", run)[:_KEPT].strip(".-")
    return f"{readable}-{checksum}" if readable else checksum


def _names(runs: list[tuple[str, str]]) -> Iterator[str]:
    """Names for runs, each another one, also where a file system takes upper and lower case for the same."""
    taken: set[str] = set()
    for run, agent in runs:
        name = file_name(run, agent)
        if name.lower() in taken:
            name = _with_checksum(run, agent)
        taken.add(name.lower())
        yield name


def _day(span: Span, hub: str | None, overrides: Overrides | None) -> dict[str, Any] | None:
    """A day as a document; None for one in which nothing happened."""
    found: dict[Kind, Report] = {}
    for kind in _KINDS:
        found[kind] = report(kind, span, folder=hub, overrides=overrides)
        if kind == "daily" and found[kind].total.is_empty:
            return None
    return plain.day(export_of(span, 0, found))


def _put(path: str, document: dict[str, Any], is_whole: bool) -> bool:
    """Write a document where it is not there already, or where it tells more; whether it was written."""
    data = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")
    try:
        if files.read_whole(path) == data or not is_whole:
            return False
    except FileNotFoundError:
        pass  # it is new
    publish(path, data)
    return True


def publish(path: str, data: bytes) -> None:
    """Put a private file in its place, whole or not at all. Raises OSError."""
    # Named after this process: what stands beside may be somebody's own.
    beside = files.write_beside(path, data, f".pyjama-{os.getpid()}.tmp", fsync=True)
    try:
        os.replace(beside, path)
    except OSError:
        files.remove(beside)
        raise
