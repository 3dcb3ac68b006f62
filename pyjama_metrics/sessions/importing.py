"""Importing the past: all transcripts that lie about become runs, executions and model calls of their days.

What was read is remembered file by file, so an import can be stopped, begun again, and repeated: only what is new is read. A
session that hooks tell of is left to whoever follows it while it goes on. An answer of a model and a tool call count once, by
their ids, whatever file they were copied into; whoever wrote them first is charged, so the oldest files come first.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pyjama_metrics import events, settings
from pyjama_metrics.corrections import MAX_ROWS
from pyjama_metrics.event_fields import MAX_TIMES
from pyjama_metrics.sessions import projects
from pyjama_metrics.sessions.digests import Digest, Told, digest
from pyjama_metrics.sessions.facts import ERROR, OK
from pyjama_metrics.sessions.machine import UNLISTED, Spent
from pyjama_metrics.sessions.transcript_places import Place, meta_of
from pyjama_metrics.storage import json, names, segments
from pyjama_metrics.storage.lock import FoldLock
from pyjama_metrics.storage.outbox import send
from pyjama_metrics.storage.owners import process_start
from pyjama_metrics.storage.sessions import Letter, SessionsFile
from pyjama_metrics.usages import COMPUTED, band_of_input

AT_ONCE = 64 * 1024 * 1024
"""Bytes of transcripts after which what they told is kept: an import that is stopped goes on behind that."""
_ALONE = 16 * 1024 * 1024
"""Bytes for which no further process is worth starting."""
_MOST_PROCESSES = 8
_MANY_FILES = 50
"""Files from which on it is quicker to have everything in memory that was told before."""
_MINUTE_MS, _QUARTER_MS = 60_000, 900_000
_RECENT_MS = 2 * 3600 * 1000
"""How long ago figures by the minute may be asked for."""

_Amounts = dict[tuple[int, int, str], list[int]]
"""(time, band, model) to amounts as in a row of the ledger."""


@dataclass(slots=True)
class Imported:
    """What an import found.

    Attributes:
        files: transcripts with something new; ``unchanged`` had nothing, ``followed`` are left to whoever follows them.
        read: bytes that were new.
        sessions: sessions of which something is new.
        calls, answers, prompts: what was counted.
        troubles: files that could not be read: (path, reason).
    """

    files: int = 0
    unchanged: int = 0
    followed: int = 0
    read: int = 0
    calls: int = 0
    answers: int = 0
    prompts: int = 0
    sessions: set[str] = field(default_factory=set)
    troubles: list[tuple[str, str]] = field(default_factory=list)


class Import:
    """An import into the hub in one folder. One process at a time imports; others wait."""

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        """Args:
        folder: the hub's.
        clock: seconds since the epoch.
        """
        self._folder, self._clock = folder, clock
        # That of whoever follows: a session that goes on has to wait for some seconds.
        self._lock = FoldLock(names.sessions_lock_path(folder))
        self._file = SessionsFile(folder, fsync=settings.fsync())
        self._writer = f"import-{os.getpid()}-{process_start(os.getpid()) or 0:x}"

    def run(
        self,
        places: Iterable[Place],
        *,
        wanted: Callable[[str], bool] = lambda project: True,
        tell: Callable[[float], object] = lambda share: None,
    ) -> Imported:
        """Import what is new in some transcripts.

        Args:
            places: the files, the oldest first.
            wanted: whether a project is; sessions of others are passed over, and may be imported later.
            tell: is told how much is done, from 0 to 1.

        Raises:
            FolderUnusable, SessionsUnusable: what was kept by then is counted, and another import goes on from there.
        """
        found = Imported()
        with self._lock.held(None), self._file:
            send(self._file, self._folder, self._file.outbox())
            tasks = self._tasks(places, found)
            if len(tasks) > _MANY_FILES:
                self._file.learn_all()
            size = sum(place.size for place, _ in tasks)
            batch, kept = list[tuple[Place, Digest]](), 0
            with _readers(size) as read:
                for place, told in zip((place for place, _ in tasks), read(tasks), strict=True):
                    batch.append((place, told))
                    found.read += told.size
                    tell(found.read / max(1, size))
                    if found.read - kept >= AT_ONCE:
                        self._keep(batch, found, wanted)
                        batch, kept = [], found.read
            self._keep(batch, found, wanted)
        return found

    def _tasks(self, places: Iterable[Place], found: Imported) -> list[tuple[Place, Any]]:
        """The files that may have something new, each with the position up to which it is read."""
        positions, followed = self._file.positions(), {session.session for session in self._file.unfinished()}
        tasks = []
        for place in places:
            kept = positions.get(place.path)
            if place.session in followed:
                found.followed += 1
            elif kept is not None and _is_read(place, kept):
                found.unchanged += 1
            else:
                tasks.append((place, kept))
        return tasks

    def _keep(self, batch: list[tuple[Place, Digest]], found: Imported, wanted: Callable[[str], bool]) -> None:
        """Count what some files told, and remember that they are read."""
        counting = _Counting(self._file, int(self._clock() * 1000), found)
        for place, told in batch:
            if told.trouble is not None:
                found.troubles.append((place.path, told.trouble))
            elif counting.add(place, told, wanted):
                found.files += told.size > 0
                self._file.set_position(place.path, told.position)
        letters = self._letters(counting.lines())
        self._file.post(letters)
        self._file.commit()
        send(self._file, self._folder, letters)

    def _letters(self, lines: list[tuple[str, int, dict[str, Any]]]) -> list[Letter]:
        newest = segments.newest(segments.listing(self._folder)).get(self._writer)
        at = ("", 0) if newest is None else (newest.name, newest.size)
        first = self._file.next_numbers(len(lines)) if lines else 0
        return [
            Letter(number, self._writer, *at, _line(event, time, {"n": number, **fields}))
            for number, (event, time, fields) in enumerate(lines, first)
        ]


@dataclass(slots=True)
class _Run:
    """What a batch tells of one run."""

    agent: str
    start: dict[str, Any]
    first: int
    last: int
    executions: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    amounts: _Amounts = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[int, str]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)


class _Counting:
    """Adds up what the digests of a batch tell, each answer and each call once."""

    def __init__(self, file: SessionsFile, now_ms: int, found: Imported) -> None:
        self._file, self._now, self._found = file, now_ms, found
        self._runs: dict[str, _Run] = {}
        self._totals: list[tuple[str, str, int, dict[str, tuple[int, ...]]]] = []
        self._host = os.uname().nodename

    def add(self, place: Place, read: Digest, wanted: Callable[[str], bool]) -> bool:
        """Add what one file tells; False where its project is not wanted, and it was passed over."""
        for (told_session, told_agent), told in read.told.items():
            session, sub = place.session or told_session, place.agent or told_agent
            if place.source == "codex":
                session = told_session or place.session
            if not session or not told.first_ms:
                continue
            cwd = told.about.get("cwd") or ""
            project = _project_of(cwd)
            if not wanted(project):
                return False
            self._found.sessions.add(session)
            run_id, run = self._run(place, session, sub, told, project, cwd)
            self._add_usages(session, run_id, run, told)
            self._add_calls(run, told)
            if sub is None:
                prompts = sum(not self._file.prompted(message) for message, _ in told.prompts)
                run.messages["user"] = run.messages.get("user", 0) + prompts
                self._found.prompts += prompts
                if told.totals or told.compactions:
                    self._totals.append((session, run_id, told.compactions, told.totals))
            run.failures += told.failures
        return True

    def _run(self, place: Place, session: str, sub: str | None, told: Told, project: str, cwd: str) -> tuple[str, _Run]:
        agent, main = projects.agent_of(project, place.source), f"{place.source}-{session}.1"
        labels = {"session": session, "project": project}
        labels |= {"version": told.about["version"]} if told.about.get("version") else {}
        start: dict[str, Any] = {"source": place.source, "cwd": cwd or None, "host": self._host, "labels": labels}
        run_id = main
        if sub is not None:
            meta = meta_of(place.path)
            kind = (meta.agent_type if meta is not None else None) or told.about.get("agent_type") or "subagent"
            start |= {"parent": main, "parent-agent": agent}
            labels["subagent"] = kind
            agent, run_id = events.text_of(f"{agent}/{kind}"), f"{place.source}-{session}.{sub}"
        run = self._runs.get(run_id)
        if run is None:
            run = self._runs[run_id] = _Run(agent, start, told.first_ms, told.last_ms)
        run.first, run.last = min(run.first, told.first_ms), max(run.last, told.last_ms)
        told_as = {"branch": "branch", "model": "model", "version": "version", "context_window": "context-window"}
        run.about |= {name: told.about[key] for key, name in told_as.items() if told.about.get(key)}
        return run_id, run

    def _add_usages(self, session: str, run_id: str, run: _Run, told: Told) -> None:
        file, amounts, answers = self._file, run.amounts, 0
        for message, time_ms, model, tokens in told.usages:
            before = file.spent(message)
            if before is None:
                more = tokens
                answers += 1
                file.spend(message, Spent(session, run.agent, run_id, time_ms, model, tokens))
            else:
                if before.session != session:
                    file.copied(session, message)
                largest = tuple(map(max, before.tokens, tokens))
                if largest == before.tokens or not before.run:
                    continue
                # It had grown since it was counted. Only who was charged can be charged for more of it.
                more = tuple(now - then for now, then in zip(largest, before.tokens, strict=True))
                file.spend(message, before._replace(tokens=largest))
            self._charge(amounts, time_ms, model, more, int(before is None))
            run.about["model"] = model
        run.messages["assistant"] = run.messages.get("assistant", 0) + answers
        self._found.answers += answers

    def _charge(self, amounts: _Amounts, time_ms: int, model: str, tokens: tuple[int, ...], requests: int) -> None:
        step = _MINUTE_MS if self._now - time_ms < _RECENT_MS else _QUARTER_MS
        uncached, output, read, write, write_1h = tokens
        key = (time_ms - time_ms % step, band_of_input(uncached + read + write + write_1h), model)
        row = amounts.get(key)
        if row is None:
            row = amounts[key] = [0] * 8
        row[0] += requests
        row[1] += uncached
        row[2] += output
        row[3] += read
        row[4] += write
        row[5] += write_1h

    def _add_calls(self, run: _Run, told: Told) -> None:
        file, executions, counted = self._file, run.executions, 0
        for call, tool, outcome, time_ms in told.calls:
            if file.answered(call):
                continue
            file.answer(call)
            counted += 1
            times = executions.get((tool, outcome))
            if times is None:
                executions[tool, outcome] = [time_ms]
            else:
                times.append(time_ms)
        self._found.calls += counted

    def lines(self) -> list[tuple[str, int, dict[str, Any]]]:
        """The events that follow: (kind, time, fields)."""
        self._add_excess()
        return [line for run_id, run in self._runs.items() for line in _lines_of(run_id, run)]

    def _add_excess(self) -> None:
        """Requests that no transcript lists: the program itself has counted them, or it is known that there was one."""
        for session, run_id, compactions, totals in self._totals:
            run = self._runs[run_id]
            for model, total in totals.items():
                excess = self._file.unlisted(session, model, total)
                if any(excess):
                    self._charge(run.amounts, run.last, model, excess, 1)
            if not totals:
                self._charge(run.amounts, run.last, UNLISTED, (0, 0, 0, 0, 0), compactions)


def _line(event: str, time_ms: int, fields: dict[str, Any]) -> bytes:
    told = {name: value for name, value in fields.items() if value is not None}
    try:
        return json.dumps({"event": event, "time": time_ms, **told}) + b"\n"
    except ValueError:
        return events.line(event, time_ms, told).encode()  # half a character, say


def _lines_of(run_id: str, run: _Run) -> Iterator[tuple[str, int, dict[str, Any]]]:
    base = {"agent": run.agent, "run": run_id}
    yield "start", run.first, base | run.start
    if run.about:
        yield "session", run.last, base | run.about
    for (tool, outcome), times in run.executions.items():
        status = {OK: "ok", ERROR: "error"}.get(outcome, outcome)
        for begin in range(0, len(times), MAX_TIMES):
            yield "executions", run.last, base | {"tool": tool, "status": status, "times": times[begin : begin + MAX_TIMES]}
    rows = [[time, band, COMPUTED, model, None, None, row] for (time, band, model), row in run.amounts.items() if any(row)]
    for begin in range(0, len(rows), MAX_ROWS):
        yield "usages", run.last, base | {"rows": rows[begin : begin + MAX_ROWS]}
    for role, count in run.messages.items():
        if count:
            yield "message", run.last, base | {"role": role, "count": count}
    for time_ms, reason in run.failures:
        yield "error", time_ms, base | {"message": reason}
    yield "complete", run.last, base | {"status": "completed"}


@lru_cache(4096)
def _project_of(cwd: str) -> str:
    return projects.project_of(cwd)


def _is_read(place: Place, kept: Any) -> bool:
    """Whether a file is read to its end, as far as its size tells."""
    try:
        return bool(kept[0][2] == place.size)
    except (TypeError, IndexError, KeyError):
        return False


@contextmanager
def _readers(size: int) -> Iterator[Callable[[list[tuple[Place, Any]]], Iterable[Digest]]]:
    """Whoever reads so many bytes of transcripts: this process, or several."""
    processes = min(_MOST_PROCESSES, os.cpu_count() or 1) if size > _ALONE else 1
    if processes == 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield lambda tasks: map(_digested, tasks)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield lambda tasks: pool.imap(_digested, tasks, chunksize=4)


def _digested(task: tuple[Place, Any]) -> Digest:
    place, kept = task
    return digest(place.source, place.path, kept)
