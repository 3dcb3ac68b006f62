"""Following the sessions of other programs: from what their hooks wrote and their transcripts hold to events in the journals.

A hook writes a line of the kind ``hook`` into the journal of its session and is gone. Whoever folds for more than a moment (the
dashboard, the folder process that hooks start, a command that shows figures) follows: it reads those lines, reads on in the
transcripts of the sessions that are not over, and appends what follows from both to the same journals, as ordinary events.

One process at a time follows; the lock is not that of the fold, because a transcript may be gigabytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from pyjama_metrics import events, settings
from pyjama_metrics.errors import FolderUnusable, HubError, LockTimeout, SessionsUnusable
from pyjama_metrics.events import MAX_TIME_MS, TOKENS
from pyjama_metrics.sessions import projects
from pyjama_metrics.sessions.facts import Compacted, Fact, Totals
from pyjama_metrics.sessions.known import Spent
from pyjama_metrics.sessions.machine import Session
from pyjama_metrics.sessions.session_state import Out
from pyjama_metrics.sessions.transcripts import Transcripts
from pyjama_metrics.storage import config, names, segments
from pyjama_metrics.storage.lock import FoldLock
from pyjama_metrics.storage.names import source_of
from pyjama_metrics.storage.outbox import events_of, send
from pyjama_metrics.storage.segments import Segment
from pyjama_metrics.storage.sessions import Letter, SessionsFile

READ_BYTES = 8 * 1024 * 1024
"""Bytes of journals and transcripts after which a turn takes no more: some 50 ms."""
LINGER_MS = 5_000
"""How long a session that ended is followed: hooks that are late, and the end of its transcript."""
_LOOK_AGAIN_MS = 1_000
_MOST_TRANSCRIPTS = 500
"""Files of one session that its hooks may name."""
_PAUSE = 5.0
"""Seconds until the next try where a turn failed."""
_LEAST_SHARE = 256 * 1024
_AHEAD_MS = 5 * 60 * 1000
_ORIGIN = ("entrypoint", "version")
_OF_START = ("tmux", "tmux-pane", "parent", "parent-agent")
_OF_HEADER = ("pid", "process-start", "host", "boot")


class Follower:
    """Follows the sessions whose hooks write into the hub in one folder. Not for several threads at once.

    Attributes:
        trouble: why the last turn failed; None where it did not.
        is_busy: whether another process was at it in the last turn.
    """

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        """Args:
        folder: the hub's.
        clock: seconds since the epoch.
        """
        self.trouble: HubError | None = None
        self.is_busy = False
        self._look_at: int | None = None
        self._retry_at = 0.0
        self._folder, self._clock = folder, clock
        self._lock = FoldLock(names.sessions_lock_path(folder))
        self._file = SessionsFile(folder, fsync=settings.fsync())
        self._transcripts = Transcripts()
        self._quiet: tuple[object, ...] | None = None

    def is_due(self) -> bool:
        """Whether a turn may have something to do. Cheap; takes no lock and opens no database."""
        if self._retry_at > time.monotonic():
            return False
        if self._sizes() != self._quiet or self._transcripts.have_grown():
            return True
        return self._look_at is not None and self._clock() * 1000 >= self._look_at

    @property
    def expects_more(self) -> bool:
        """Whether time alone will tell something, as of the last turn."""
        return self._look_at is not None

    def advance(self, budget: int = READ_BYTES) -> bool:
        """Bring the journals closer to what hooks and transcripts tell; whether nothing was left to read. Never raises.

        Args:
            budget: bytes after which to take no more.
        """
        self.is_busy = False
        sizes = self._sizes()
        if not sizes and not os.path.exists(self._file.path):
            self._quiet, self._look_at = sizes, None
            return True
        try:
            with self._lock.held(0.0), self._file:
                caught_up = self._advance(budget)
        except LockTimeout:
            self.is_busy = True
            return False
        except HubError as error:
            return self._failed(error)
        except OSError as error:
            return self._failed(FolderUnusable(self._folder, error.strerror or str(error)))
        except Exception as error:
            # Whatever it is, it must not reach the fold: the other agents' figures do not depend on it.
            return self._failed(SessionsUnusable(self._file.path, f"{type(error).__name__}: {error}"))
        self.trouble, self._retry_at = None, 0.0
        if caught_up:
            self._quiet = sizes
        return caught_up

    def _failed(self, error: HubError) -> bool:
        self.trouble = error
        self._retry_at = time.monotonic() + _PAUSE
        return False

    def _sizes(self) -> tuple[object, ...]:
        try:
            listed = segments.listing(self._folder)
        except OSError:
            return ()
        return tuple((segment.name, segment.size) for segment in listed if source_of(segment.writer) is not None)

    def _advance(self, budget: int) -> bool:
        send(self._file, self._folder, self._file.outbox())
        now = int(self._clock() * 1000)
        listed = [each for each in segments.listing(self._folder) if source_of(each.writer) is not None]
        self._file.forget_journals(segment.name for segment in listed)
        turn = _Turn(self._file, self._transcripts, now, budget)
        if self._file.is_new:
            turn.learn(listed)
        caught_up = min(map(turn.read_journal, listed), default=True)
        caught_up &= turn.read_transcripts()
        turn.settle({segment.writer for segment in listed})
        letters = turn.letters(segments.newest(listed))
        self._file.post(letters)
        self._file.let_go()
        self._file.commit()
        send(self._file, self._folder, letters)
        self._look_at = turn.look_at
        return caught_up


class _Turn:
    """One turn of following: the sessions as they are in memory, and what they tell."""

    def __init__(self, file: SessionsFile, transcripts: Transcripts, now_ms: int, budget: int) -> None:
        self.file, self.transcripts, self.now, self.budget = file, transcripts, now_ms, budget
        self.sessions: dict[str, Session] = {session.writer: session for session in file.unfinished()}
        self.touched: set[str] = set()
        self.over: set[str] = set()
        """Those that are over, and are in memory because another process works on the same session."""
        self.look_at: int | None = None
        """When to look again though nothing is new, in milliseconds since the epoch; None where that is not needed."""

    def session(self, writer: str, name: str) -> Session:
        """The session whose journal that is, made where it is new."""
        found = self.sessions.get(writer)
        if found is None:
            found = self.file.session(writer) or Session(source_of(writer) or "", name, writer, has_hooks=True)
            self.sessions[writer] = found
        self.touched.add(writer)
        return found

    def learn(self, listed: list[Segment]) -> None:
        """Learn from the journals what was told already, because the memory of it is gone."""
        largest = 0
        for segment in listed:
            for event in events_of(segment):
                if type(event.get("n")) is not int:
                    continue
                largest = max(largest, event["n"])
                if isinstance(event.get("call"), str):
                    self.file.answer(event["call"])
                if isinstance(event.get("prompt"), str):
                    self.file.prompted(event["prompt"])
                if isinstance(event.get("turn"), str):
                    self.file.prompted(f"{event.get('session')} {event['turn']}")
                if event.get("event") == "llm":
                    self.learn_spent(event)
        self.file.begin_numbers(largest + 1)

    def learn_spent(self, event: dict[str, Any]) -> None:
        told, session = event.get("request-id"), event.get("session")
        tokens = tuple(event.get(name, 0) for name in TOKENS)
        names = [event.get(name) for name in ("agent", "run", "model")]
        if isinstance(told, str) and isinstance(session, str) and all(isinstance(name, str) for name in names):
            agent, run, model = map(str, names)
            spent = Spent(session, agent, run, _time_of(event) or 0, model, tokens)
            self.file.spend(told.partition(":")[2], spent)

    # -- what the hooks wrote --------------------------------------------------------------------------------------

    def read_journal(self, segment: Segment) -> bool:
        """Read what is new in a session's journal; whether that was all."""
        offset = self.file.offset(segment.name)
        if not 0 <= offset <= segment.size:
            offset = 0
        header: dict[str, Any] | None = None
        while offset < segment.size and self.budget > 0:
            lines, size = segments.read_lines(segment.path, offset, _LEAST_SHARE)
            if not size:
                return True  # half a line
            for event in segments.parse(lines, self.now + _AHEAD_MS):
                if event is None:
                    continue
                if event.get("event") == "hook":
                    header = segments.header(segment.path) if header is None else header
                    self.hook(segment.writer, event, header)
                elif event.get("event") == "crash" and segment.writer in self.sessions:
                    self.touched.add(segment.writer)
                    self.sessions[segment.writer].crashed(_time_of(event) or self.now)
            offset += size
            self.budget -= size
            self.file.set_offset(segment.name, offset)
        return offset >= segment.size

    def hook(self, writer: str, event: dict[str, Any], header: dict[str, Any]) -> None:
        name, time_ms = event.get("session"), _time_of(event)
        if not isinstance(name, str) or not name or time_ms is None or self.is_subagents(writer, name, event):
            return
        session = self.session(writer, events.text_of(name))
        if not session.agent:
            self.name(session, event, header)
        for path in (event.get("transcript"), event.get("agent-transcript")):
            if isinstance(path, str) and path and path not in session.transcripts:
                session.transcripts = [*session.transcripts, path][-_MOST_TRANSCRIPTS:]
        session.hook(event | {"time": time_ms}, self.file)

    def is_subagents(self, writer: str, name: str, event: dict[str, Any]) -> bool:
        """Whether that is the note of a program that a turn of one of its subagents ended, which it names like a session."""
        process = writer.rsplit("-", 2)[1:]
        return event.get("hook") == "notify" and any(
            name in other.subs for other in self.sessions.values() if other.writer.rsplit("-", 2)[1:] == process
        )

    def name(self, session: Session, event: dict[str, Any], header: dict[str, Any]) -> None:
        """Work out whose run the session is."""
        cwd = event.get("cwd")
        project = projects.project_of(cwd if isinstance(cwd, str) else "")
        session.agent = projects.agent_of(project, session.source, config.load().agent_names)
        told = event.get("origin")
        told = told if isinstance(told, dict) else {}
        origin = {key: header[key] for key in _OF_HEADER if header.get(key) is not None}
        origin |= {key: told[key] for key in _OF_START if isinstance(told.get(key), str)}
        origin["labels"] = {"project": project} | {key: told[key] for key in _ORIGIN if isinstance(told.get(key), str)}
        session.origin = origin | ({"cwd": cwd} if isinstance(cwd, str) else {})

    # -- what the transcripts hold ---------------------------------------------------------------------------------

    def read_transcripts(self) -> bool:
        """Read on in the transcripts of the sessions that are not over; whether that was all."""
        self.drop_forgotten_starts()
        caught_up, looked = True, set[str]()
        # What a fork copied has to be told by its parent first.
        for session in sorted(self.sessions.values(), key=_beginning):
            for path in self.transcripts.of(session):
                if path in looked:
                    continue  # an earlier process worked on the same session
                looked.add(path)
                part = self.transcripts.read(session.source, path, self.file.position(path), self.budget)
                if part is None:
                    continue
                processes = self.processes_of(session)
                for sub, fact in part.facts:
                    owner = _owner(processes, sub, fact)
                    self.touched.add(owner.writer)
                    owner.fact(fact, sub, self.file)
                    if isinstance(fact, Totals):
                        for each in processes:  # what the program has counted are the requests of all of them
                            each.compactions = []
                self.file.set_position(path, part.position)
                self.budget -= part.size
                caught_up &= part.is_all
        self.transcripts.forget(looked)
        return caught_up

    def drop_forgotten_starts(self) -> None:
        """A process that was said to resume one session and goes on with another one does not work on the first."""
        for session in self.sessions.values():
            if session.awaiting is not None:
                others = self.file.of_process(session.process) | {each.writer for each in self.sessions.values()}
                if any(self.is_of_process(other, session) for other in others):
                    session.awaiting = None

    def processes_of(self, session: Session) -> list[Session]:
        """The processes that worked on a session, in the order in which they began, also those that are over."""
        for stored in self.file.of_session(session.source, session.session):
            if stored.writer not in self.sessions:
                self.sessions[stored.writer] = stored
                self.over.add(stored.writer)
        key = (session.source, session.session)
        found = [each for each in self.sessions.values() if (each.source, each.session) == key]
        return sorted([each for each in found if each.begun] or found, key=_beginning)

    # -- what follows ----------------------------------------------------------------------------------------------

    def settle(self, there: set[str]) -> None:
        """Tell what time alone tells, and finish what is over."""
        for writer, session in self.sessions.items():
            if writer in self.over and writer not in self.touched:
                continue
            session.tick(self.now, self.file)
            session.show_wait(session.shown_ms)
            is_over = (not session.is_open or writer not in there) and self.now - session.last_ms > LINGER_MS
            if is_over:
                session.finish(session.last_ms, self.file)
            if not is_over and (session.is_restless or not session.is_open):
                self.look_at = self.now + _LOOK_AGAIN_MS
            if writer in self.touched or session.out or is_over:
                self.file.keep(session, is_over=is_over)

    def is_of_process(self, writer: str, session: Session) -> bool:
        """Whether that is another session of a session's process."""
        return writer != session.writer and writer.endswith(f"-{session.process}")

    def letters(self, newest: dict[str, Segment]) -> list[Letter]:
        """What the sessions tell, as lines with numbers."""
        told = [(session.writer, out) for session in self.sessions.values() for out in session.take()]
        first = self.file.next_numbers(len(told)) if told else 0
        letters = []
        for number, (writer, out) in enumerate(told, first):
            segment = newest.get(writer)
            at = ("", 0) if segment is None else (segment.name, segment.size)
            letters.append(Letter(number, writer, *at, _line(out, number)))
        return letters


def _beginning(session: Session) -> tuple[int, str]:
    return session.first_ms or session.last_ms, session.writer


def _owner(processes: list[Session], sub: str | None, fact: Fact) -> Session:
    """Whose fact it is: of the process that knows the subagent, or else of the one that was at work then."""
    for session in processes:
        if sub is not None and (sub in session.subs or sub in session.internal):
            return session
    if not fact.time_ms or isinstance(fact, (Compacted, Totals)):
        return processes[-1]
    return next((session for session in reversed(processes) if session.first_ms <= fact.time_ms), processes[0])


def _line(out: Out, number: int) -> bytes:
    return events.line(out.event, out.time_ms, {"n": number, **out.fields}).encode()


def _time_of(event: dict[str, Any]) -> int | None:
    value = event.get("time")
    if type(value) not in (int, float) or value is None or not 0 <= value <= MAX_TIME_MS:
        return None
    return int(value)
