"""Importing the past: all transcripts that lie about become runs, executions and model calls of their days.

What was read is remembered file by file, so an import can be stopped, begun again, and repeated: only what is new is read. A
session that hooks tell of is left to whoever follows it while it goes on. An answer of a model and a tool call count once, by
their ids, whatever file they were copied into; whoever wrote them first is charged, so the oldest files come first.

In however many imports the past is read, the sums are the same. So what the end of a transcript leaves open (a call without an
outcome, a compaction that nothing counts) is told only when the transcript has rested, and what the program itself has counted is
compared with its transcripts only when all of these are read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pyjama_metrics import events, settings
from pyjama_metrics.corrections import MAX_ROWS
from pyjama_metrics.errors import ImportRefused
from pyjama_metrics.event_fields import MAX_TIMES
from pyjama_metrics.pricing import band_of
from pyjama_metrics.sessions import projects
from pyjama_metrics.sessions.digests import Digest, Kept, Told, Used, digest
from pyjama_metrics.sessions.facts import ERROR, OK
from pyjama_metrics.sessions.known import UNLISTED, Spent
from pyjama_metrics.sessions.reading_apart import processors, results
from pyjama_metrics.sessions.transcript_places import Place, meta_of
from pyjama_metrics.storage import config, files, json, names, segments
from pyjama_metrics.storage.lock import FoldLock
from pyjama_metrics.storage.outbox import send
from pyjama_metrics.storage.owners import process_start
from pyjama_metrics.storage.sessions import Letter, SessionsFile
from pyjama_metrics.usages import COMPUTED

AT_ONCE = 128 * 1024 * 1024
"""Bytes of transcripts after which what they told is kept: an import that is stopped goes on behind that."""
TURN = 4 * 1024 * 1024 * 1024
"""Bytes of transcripts after which others have their turn: while an import reads, nobody follows the sessions that go on."""
REST_MS = 24 * 3600 * 1000
"""How long a transcript was not written to when it rests: the program is gone, or waits for a person."""
_ALONE = 16 * 1024 * 1024
"""Bytes for which no further process is worth starting."""
_MOST_PROCESSES = 8
_MANY_FILES = 50
"""Files from which on it is quicker to have everything in memory that was told before."""
_MINUTE_MS, _QUARTER_MS = 60_000, 900_000
_RECENT_MS = 2 * 3600 * 1000
"""How long ago figures by the minute may be asked for."""
_MARK = "imported"
_KINDS = {"branch": "branch", "model": "model", "version": "version", "context_window": "context-window"}
"""What is known of a session to the name under which it is told."""

_Amounts = dict[tuple[int, int, str], list[int]]
"""(time, band, model) to amounts as in a row of the ledger."""
_Task = tuple[Place, Any, bool]
"""A transcript, what was kept of it, and whether it rests."""


@dataclass(slots=True)
class Imported:
    """What an import found.

    Attributes:
        files: transcripts with something new; ``unchanged`` had nothing, ``followed`` are left to whoever follows them, and
            ``others`` are of projects that were not wanted.
        read: bytes that were new.
        sessions: sessions of which something is new.
        calls, answers, prompts: what was counted.
        oldest_ms: when the oldest of that was; 0 for nothing.
        troubles: files that could not be read: (path, reason).
    """

    files: int = 0
    unchanged: int = 0
    followed: int = 0
    others: int = 0
    read: int = 0
    calls: int = 0
    answers: int = 0
    prompts: int = 0
    oldest_ms: int = 0
    sessions: set[str] = field(default_factory=set)
    troubles: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Imported) -> None:
        """Add what was found besides."""
        for name in ("files", "unchanged", "followed", "others", "read", "calls", "answers", "prompts"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        oldest = [each for each in (self.oldest_ms, other.oldest_ms) if each]
        self.oldest_ms = min(oldest, default=0)
        self.sessions |= other.sessions
        self.troubles += other.troubles


class Import:
    """An import into the hub in one folder. One process at a time imports; others wait."""

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        """Args:
        folder: the hub's.
        clock: seconds since the epoch.
        """
        self.found = Imported()
        """What was found so far; of an import that is stopped, what is kept."""
        self._folder, self._clock = folder, clock
        # That of whoever follows: a session that goes on has to wait for some seconds.
        self._lock = FoldLock(names.sessions_lock_path(folder))
        self._file = SessionsFile(folder, fsync=settings.fsync())
        self._writer = f"import-{os.getpid()}-{process_start(os.getpid()) or 0:x}"

    def run(
        self,
        places: Iterable[Place],
        *,
        wanted: Callable[[str], bool] | None = None,
        tell: Callable[[float], object] = lambda share: None,
        kept: Callable[[], object] = lambda: None,
    ) -> Imported:
        """Import what is new in some transcripts.

        Args:
            places: the files, the oldest first.
            wanted: whether a project is; sessions of others are passed over, and may be imported later. None for all.
            tell: is told how much is done, from 0 to 1.
            kept: is called when something was written into the journals, and more is being read meanwhile.

        Raises:
            ImportRefused: what was imported before is not known any more.
            FolderUnusable, SessionsUnusable: what was kept by then is counted, and another import goes on from there.
        """
        turns, size = _in_turns(places)
        done = 0
        for turn in turns:
            with self._lock.held(None), self._file:
                self._remember()
                send(self._file, self._folder, self._file.outbox())
                tasks = self._tasks(turn)
                if len(tasks) > _MANY_FILES:
                    self._file.learn_all()
                for share in self._read(tasks, wanted, kept):
                    tell((done + share) / max(1, size))
                self._compare(tasks)
            done += sum(place.size for place in turn)
        return self.found

    def _remember(self) -> None:
        """Leave a mark outside of the memory, so that its loss is noticed: everything would count a second time."""
        mark = names.imported_path(self._folder)
        if not self._file.is_marked(_MARK):
            if os.path.exists(mark):
                raise ImportRefused(self._file.path, mark)
            self._file.mark(_MARK)
            self._file.commit()
        if not os.path.exists(mark):
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.FILE_MODE))

    def _read(self, tasks: list[_Task], wanted: Callable[[str], bool] | None, kept: Callable[[], object]) -> Iterator[int]:
        """Read the new parts of some transcripts and keep what they tell; yield how many of their bytes are done."""
        is_wanted = None if wanted is None else lambda cwd: wanted(_project_of(cwd))
        size = sum(place.size for place, _, _ in tasks)
        processes = min(_MOST_PROCESSES, processors()) if size > _ALONE else 1
        batch, done, read, is_last = list[tuple[Place, Digest]](), 0, 0, len(tasks)
        with closing(results(lambda task: _digested(task, is_wanted), tasks, lambda task: task[0].size, processes)) as digests:
            for number, ((place, _, _), told) in enumerate(zip(tasks, digests, strict=True), 1):
                done += place.size
                yield done
                if told is None:
                    self.found.others += 1
                else:
                    batch.append((place, told))
                    read += told.size
                if read >= AT_ONCE or number == is_last:
                    self._keep(batch)
                    batch, read = [], 0
                    kept()

    def _tasks(self, places: Iterable[Place]) -> list[_Task]:
        """The files that may have something new, each with what was kept of it."""
        positions, now = self._file.positions(), int(self._clock() * 1000)
        self._followed = {session.session for session in self._file.unfinished()}
        tasks = []
        for place in places:
            kept, rests = positions.get(place.path), now - place.modified_ns // 1_000_000 > REST_MS
            if place.session in self._followed:
                self.found.followed += 1
            elif kept is not None and _is_read(place, Kept.of(kept), rests):
                self.found.unchanged += 1
            else:
                tasks.append((place, kept, rests))
        return tasks

    def _keep(self, batch: list[tuple[Place, Digest]]) -> None:
        """Count what some files told, and remember that they are read."""
        found = Imported()
        counting = _Counting(self._file, int(self._clock() * 1000), found)
        for place, told in batch:
            if told.trouble is not None:
                found.troubles.append((place.path, told.trouble))
            elif any((place.session or session) in self._followed or session in self._followed for session, _ in told.told):
                found.followed += 1
            else:
                counting.add(place, told)
                found.files += told.size > 0
                found.read += told.size
                self._file.set_position(place.path, told.kept)
        self._write(counting)
        self.found.add(found)

    def _compare(self, tasks: list[_Task]) -> None:
        """Compare what the program itself has counted with its transcripts, which are all read now."""
        counting = _Counting(self._file, int(self._clock() * 1000), Imported())
        for place, _, _ in tasks:
            kept = Kept.of(self._file.position(place.path))
            if kept.has_totals:
                counting.compare(place, kept)
                self._file.set_position(place.path, kept.compared())
        self._write(counting)

    def _write(self, counting: _Counting) -> None:
        letters = self._letters(list(counting.lines()))
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
        self._file, self._recent, self._found = file, now_ms - _RECENT_MS, found
        self._runs: dict[str, _Run] = {}
        self._grown: dict[tuple[str, str], _Amounts] = {}
        self._host = os.uname().nodename
        self._agent_names = config.load().agent_names

    def add(self, place: Place, read: Digest) -> None:
        """Add what one file tells."""
        for (told_session, told_agent), told in read.told.items():
            session, sub = _whose(place, told_session, told_agent)
            if not session or not told.first_ms:
                continue
            found = self._found
            found.sessions.add(session)
            found.oldest_ms = min(found.oldest_ms or told.first_ms, told.first_ms)
            run_id, run = self._run(place.source, session, sub, told)
            self._add_usages(session, run_id, run, told.usages)
            self._add_calls(run, told)
            if sub is None:
                prompts = len(self._file.first_told("p", [message for message, _ in told.prompts]))
                run.messages["user"] = run.messages.get("user", 0) + prompts
                found.prompts += prompts
                # The transcript tells of a request that it does not list.
                for place_of in self._file.first_told("k", [f"{session}:{time}" for time in told.compactions]):
                    self._charge(run.amounts, told.compactions[place_of], UNLISTED, (0, 0, 0, 0, 0))
            # A fork copies them, too, and they have no ids: nothing else failed in the same millisecond for the same reason.
            names = [f"{time}:{reason}" for time, reason in told.failures]
            run.failures += [told.failures[each] for each in self._file.first_told("f", names)]

    def compare(self, place: Place, kept: Kept) -> None:
        """Add the requests that no transcript lists, where the program itself has counted them."""
        for told_session, told_agent, waiting in kept.waiting:
            session, sub = _whose(place, told_session, told_agent)
            last = int(waiting.get("last", 0))
            if sub is not None or not session or not last:
                continue
            told = Told(last, last, [], {}, [], [], [], {"cwd": waiting.get("cwd")}, {})
            for model, total in waiting.get("totals", {}).items():
                # How many requests they were is not told: they count as one, in however many parts their tokens are told.
                is_known = self._file.has_unlisted(session, model)
                excess = self._file.unlisted(session, model, tuple(total))
                if any(excess):
                    _, run = self._run(place.source, session, sub, told)
                    self._charge(run.amounts, last, model, excess, int(not is_known))

    def _run(self, source: str, session: str, sub: str | None, told: Told) -> tuple[str, _Run]:
        cwd = told.about.get("cwd") or ""
        project = _project_of(cwd)
        agent, main = projects.agent_of(project, source, self._agent_names), f"{source}-{session}.1"
        run_id = main if sub is None else f"{source}-{session}.{sub}"
        kind = told.about.get("agent_type") or "subagent"
        if sub is not None:
            agent, parent = events.text_of(f"{agent}/{kind}"), agent
        run = self._runs.get(run_id)
        if run is None:
            labels = {"session": session, "project": project}
            labels |= {"version": told.about["version"]} if told.about.get("version") else {}
            start: dict[str, Any] = {"source": source, "cwd": cwd or None, "host": self._host, "labels": labels}
            if sub is not None:
                labels["subagent"] = kind
                start |= {"parent": main, "parent-agent": parent}
            run = self._runs[run_id] = _Run(agent, start, told.first_ms, told.last_ms)
        run.first, run.last = min(run.first, told.first_ms), max(run.last, told.last_ms)
        run.about |= {_KINDS[key]: value for key, value in told.about.items() if value and key in _KINDS}
        return run_id, run

    def _add_usages(self, session: str, run_id: str, run: _Run, usages: list[Used]) -> None:
        if not usages:
            return
        file, charge, agent, amounts, answers = self._file, self._charge, run.agent, run.amounts, 0
        is_new = file.knows_none_of([usage[0] for usage in usages])
        for message, time_ms, model, tokens in usages:
            before = None if is_new else file.spent(message)
            if before is None:
                answers += 1
                file.spend(message, Spent(session, agent, run_id, time_ms, model, tokens))
                charge(amounts, time_ms, model, tokens)
            else:
                self._add_growth(session, message, before, tokens)
        run.about["model"] = usages[-1][2]
        run.messages["assistant"] = run.messages.get("assistant", 0) + answers
        self._found.answers += answers

    def _add_growth(self, session: str, message: str, before: Spent, tokens: tuple[int, ...]) -> None:
        """An answer that was counted is told again: where it had not been whole, who was charged is charged for the rest."""
        if before.session != session:
            self._file.copied(session, message)
        largest = tuple(map(max, before.tokens, tokens))
        if largest != before.tokens and before.run:
            more = tuple(now - then for now, then in zip(largest, before.tokens, strict=True))
            self._file.spend(message, before._replace(tokens=largest))
            amounts = self._grown.setdefault((before.agent, before.run), {})
            self._charge(amounts, before.time_ms, before.model, more, 0, largest)

    def _charge(
        self,
        amounts: _Amounts,
        time_ms: int,
        model: str,
        tokens: tuple[int, ...],
        requests: int = 1,
        whole: tuple[int, ...] | None = None,
    ) -> None:
        """Add the tokens of a request.

        Args:
            amounts: to which they are added.
            time_ms: when it was.
            model: which was asked.
            tokens: what is to be added.
            requests: 1, or 0 where the request itself was counted before.
            whole: all its tokens, on which its price depends, where these are not all.
        """
        into, output, read, write, write_1h = tokens
        size = into + read + write + write_1h if whole is None else whole[0] + whole[2] + whole[3] + whole[4]
        key = (time_ms - time_ms % (_MINUTE_MS if time_ms > self._recent else _QUARTER_MS), band_of(size), model)
        row = amounts.get(key)
        if row is None:
            row = amounts[key] = [0] * 8
        row[0] += requests
        row[1] += into
        row[2] += output
        row[3] += read
        row[4] += write
        row[5] += write_1h

    def _add_calls(self, run: _Run, told: Told) -> None:
        for key, (calls, times) in told.calls.items():
            first = self._file.first_told("c", calls)
            if first:
                run.executions.setdefault(key, []).extend(times if len(first) == len(times) else [times[each] for each in first])
                self._found.calls += len(first)

    def lines(self) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """The events that follow: (kind, time, fields)."""
        for run_id, run in self._runs.items():
            yield from _lines_of(run_id, run)
        for (agent, run_id), amounts in self._grown.items():
            yield from _usages_of({"agent": agent, "run": run_id}, max(time for time, _, _ in amounts), amounts)


def _whose(place: Place, session: str, agent: str | None) -> tuple[str, str | None]:
    """Session and subagent of what a file tells: Claude Code's names the session, Codex' names the thread."""
    if place.source == "codex":
        return session or place.session, agent
    return place.session or session, place.agent or agent


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
    yield from _usages_of(base, run.last, run.amounts)
    for role, count in run.messages.items():
        if count:
            yield "message", run.last, base | {"role": role, "count": count}
    for time_ms, reason in run.failures:
        yield "error", time_ms, base | {"message": reason}
    yield "complete", run.last, base | {"status": "completed"}


def _usages_of(base: dict[str, Any], time_ms: int, amounts: _Amounts) -> Iterator[tuple[str, int, dict[str, Any]]]:
    rows = [[time, band, COMPUTED, model, None, None, row] for (time, band, model), row in amounts.items() if any(row)]
    for begin in range(0, len(rows), MAX_ROWS):
        yield "usages", time_ms, base | {"rows": rows[begin : begin + MAX_ROWS]}


@lru_cache(4096)
def _project_of(cwd: str) -> str:
    return projects.project_of(cwd)


def _is_read(place: Place, kept: Kept, rests: bool) -> bool:
    """Whether a file is read to its end, as far as its size tells, and nothing of it is still to be told."""
    try:
        is_all = bool(kept.position[2] == place.size)
    except (TypeError, IndexError, KeyError):
        return False
    return is_all and not kept.has_totals and not (rests and kept.expects_more)


def _in_turns(places: Iterable[Place]) -> tuple[list[list[Place]], int]:
    """The files in their order, in lists that are read at one go, and their bytes."""
    turns, size, whole = [list[Place]()], 0, 0
    for place in places:
        if size > TURN:
            turns.append([])
            size = 0
        turns[-1].append(place)
        size += place.size
        whole += place.size
    return turns, whole


def _digested(task: _Task, wanted: Callable[[str], bool] | None) -> Digest | None:
    place, kept, rests = task
    found = digest(place.source, place.path, kept, rests=rests, wanted=wanted)
    if found is not None and place.agent is not None and (meta := meta_of(place.path)) is not None:
        for told in found.told.values():
            told.about["agent_type"] = meta.agent_type or told.about["agent_type"]
    return found
