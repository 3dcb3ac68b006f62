"""What one process needs to record: its journal, its folding thread, its runs, and the count of what it lost.

The recording calls themselves are in `pyjama_metrics.recorder`. A forked child, and a process after ``close``, begins anew.
"""

from __future__ import annotations

import atexit
import errno
import itertools
import os
import sys
import threading
import time

from pyjama_metrics import events, settings
from pyjama_metrics.background import BackgroundFold
from pyjama_metrics.errors import RecordingFailed
from pyjama_metrics.runs import KnownRuns
from pyjama_metrics.storage.journal import Journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyjama_metrics.storage.session import SessionJournal

_RETRY = 0.25
"""Seconds between two tries to open a journal that cannot be opened."""
_EXIT_FOLD = 2.0
"""Seconds that a process spends at most, when it ends, on bringing its last events into ``metrics.json``."""


class Road:
    """The fast road of ``record_tool_execution``: what it needs to write a line without calling a function of ours.

    Attributes:
        descriptor: where to write; None sends every event by the slow road.
        background: the folding thread to wake.
        latest: agent id to its latest open run.
        middles: (tool, agent, status, run) to the part of the line that they make.
    """

    __slots__ = ("background", "descriptor", "latest", "middles")

    def __init__(self) -> None:
        self.lead_nowhere()

    def lead_nowhere(self) -> None:
        """There is no journal; the slow road makes one."""
        self.descriptor: int | None = None
        self.background: BackgroundFold | None = None
        self.latest: dict[str, str] = {}
        self.middles: dict[tuple[object, object, object, object], str] = {}


road = Road()


class Recording:
    """What one process needs to record. A forked child, and a process after ``close``, has a new one."""

    def __init__(self, known: KnownRuns) -> None:
        self.folder = _home()
        self.fsync, self.strict = settings.fsync(), settings.strict()
        self.writer = f"{label()}-{os.getpid()}-{time.time_ns() // 1000:x}"
        self.known = known
        self.numbers = itertools.count(1)
        self.journal: Journal | SessionJournal | None = None
        self.background: BackgroundFold | None = None
        self.session_pid: int | None = None
        self.guard = threading.RLock()  # re-entrant: a signal handler may record while its thread does
        self.early: list[bytes] | None = None
        self.ended = False
        self.lost = 0
        self.told = 0
        self.noted_at = 0.0
        self.noted = 0
        self.retry_at = 0.0

    def append(self, line: bytes) -> None:
        """Write one line by the slow road. Raises OSError."""
        with self.guard:
            if self.early is not None:
                # A signal handler, or a __del__, records in the middle of this very thread's opening of the journal.
                self.early.append(line)
                return
            journal = self.open()
            try:
                journal.append(line)
            except OSError as error:
                if error.errno != errno.EBADF:
                    raise
                # All descriptors of the process were closed, as a daemon does. That makes a new segment; nothing was written.
                journal.look_after()
                journal.append(line)
            if self.lost > self.told:
                self.tell_losses()
            self.allow_fast_road()
        background = self.background
        if background is not None and not background.pending:
            background.wake()

    def mend(self, line: bytes, written: int) -> None:
        """The fast road wrote ``written`` bytes of a line and no more: write it again by the slow one. Raises OSError."""
        if isinstance(self.journal, Journal):
            self.journal.torn = self.journal.torn or written > 0
        self.append(line)

    def open(self) -> Journal | SessionJournal:
        """The journal, made if there is none, with the folding thread and the call of ``close`` at exit. Raises OSError."""
        if self.journal is None:
            moment = time.monotonic()
            if moment < self.retry_at:
                raise OSError(0, "the journal could not be opened a moment ago", self.folder)
            self.retry_at = moment + _RETRY
            early: list[bytes] = []
            self.early = early
            try:
                self.journal = Journal(self.folder, self.writer, fsync=self.fsync)
            except OSError:
                self.lost += len(early)
                raise
            finally:
                self.early = None
            self.retry_at = 0.0
            self.background = self.start_background()
            _close_at_exit()
            try:
                self.journal.append(b"".join(early))
            except OSError:
                self.lost += len(early)
        return self.journal

    def start_background(self) -> BackgroundFold | None:
        """The folding thread; None in an interpreter that is about to end, where a thread would not come to life any more."""
        try:
            return None if sys.is_finalizing() else BackgroundFold(self.folder, self.look_after)
        except RuntimeError:  # "can't start new thread": too many of them, or too late. Others fold what we record.
            return None

    def allow_fast_road(self) -> None:
        """Let ``record_tool_execution`` write to the descriptor itself, as long as nothing stands against it."""
        if self.ended:
            return
        journal = self.journal
        fast = isinstance(journal, Journal) and not journal.torn and not self.fsync and self.lost == self.told
        road.descriptor = journal.descriptor if fast and isinstance(journal, Journal) else None
        road.background = self.background

    def look_after(self) -> None:
        """Look after the journal, before each fold."""
        try:
            with self.guard:
                if self.journal is not None:
                    self.journal.look_after()
                    self.allow_fast_road()
        except OSError:
            # The folder cannot be made again just now: each event finds that out by itself, and is counted as lost.
            self.give_up_journal()

    def give_up_journal(self) -> None:
        """Begin with a new journal, under a new name, as soon as one can be made."""
        road.descriptor = None
        with self.guard:
            journal, self.journal = self.journal, None
            background, self.background = self.background, None
            _let_go(journal)
            self.writer = f"{label()}-{os.getpid()}-{time.time_ns() // 1000:x}"
        if background is not None and threading.current_thread() is not background.thread:
            background.stop(0.0)

    def end(self) -> None:
        """Look after the journal a last time, because nobody will notice later that its folder was removed."""
        self.look_after()
        with self.guard:
            self.ended = True  # the folding thread may be looking after it, too, and must not open the fast road again

    def end_open_runs(self) -> None:
        """This process ends, or ends recording: so do its runs."""
        status, why = _why_ending()
        for run_id, (agent, _) in list(self.known.own.items()):
            try:
                fields: dict[str, object] = {"agent": agent, "run": run_id, "status": status, "error": why}
                self.append(events.line("complete", now(), fields).encode())
            except OSError:
                self.lost += 1
            self.known.closed(agent, run_id)

    def lose(self, what: str, error: Exception) -> None:
        """An event was not recorded: count it, and leave a note where that can be done."""
        road.descriptor = None
        self.lost += 1
        # Not for each one: a note costs more than a record may. At the end of the process it is exact.
        if self.lost - self.told >= 2 * self.noted or time.monotonic() - self.noted_at > 1.0:
            self.note_losses()
            _close_at_exit()
        if self.strict:
            raise RecordingFailed(what, str(error)) from error

    def tell_or_note_losses(self) -> None:
        """At the end: say in the journal how many events it did not take; where it does not even take that, leave a note."""
        if self.journal is not None:
            self.tell_losses()
        if self.lost > self.told:
            self.note_losses()

    def note_losses(self) -> None:
        """Leave a note of how many events no journal tells of; where not even that can be done, the count stays here."""
        self.noted_at = time.monotonic()
        try:
            from pyjama_metrics.storage import losses

            untold = self.lost - self.told
            losses.write_note(self.folder, self.writer, untold)
            self.noted = untold
        except Exception:
            # There is nowhere to say it. The count stays in this process, and the agent must not suffer.
            return

    def tell_losses(self) -> None:
        """The journal takes lines again: say how many it did not take, and take the note away."""
        count = self.lost - self.told
        if self.journal is not None:
            try:
                self.journal.append(events.line("lost", now(), {"count": count}).encode())
            except OSError:
                return  # the event before it was recorded all the same; the next one tries again to tell
        self.told += count
        if self.noted:
            from pyjama_metrics.storage import losses

            losses.remove_note(self.folder, self.writer)
            self.noted = 0


def _let_go(journal: Journal | SessionJournal | None) -> None:
    if journal is not None:
        try:
            journal.close()
        except OSError:
            # Somebody closed all descriptors of the process before us, and the lock went with that.
            return


_recording: Recording | None = None
_making = threading.RLock()
_exit_is_registered = False


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def _home() -> str:
    try:
        return settings.home()
    except OSError:
        # A relative PYJAMA_HOME in a working folder that was removed: each event finds that out by itself and counts as lost.
        return os.environ.get("PYJAMA_HOME", "")


def label() -> str:
    """The name of the program, as a part of file names: at most 24 ASCII letters, digits and underscores."""
    argv = getattr(sys, "argv", None) or [""]
    name = os.path.basename(os.fsdecode(argv[0])).removesuffix(".py") if isinstance(argv[0], (str, bytes)) else ""
    kept = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)[:24]
    return kept.strip("_") or "python"


def current() -> Recording:
    """This process's recording, made when it is first asked for."""
    global _recording
    recording = _recording
    if recording is None:
        with _making:
            if _recording is None:
                made = Recording(KnownRuns())
                if _recording is None:  # else a signal handler recorded meanwhile, in this very thread
                    road.latest = made.known.latest
                    _recording = made
            recording = _recording
    return recording


def lost_events() -> int:
    """How many events this process could not record so far."""
    return 0 if _recording is None else _recording.lost


def look_after_journal() -> None:
    """Notice now, not at the next background fold, that the folder was removed under this process. Never raises."""
    if _recording is not None:
        _recording.look_after()


def use_session(label: str, pid: int | None = None, *, strict: bool = False) -> str:
    """Record for an external session from now on: a shell, or a program that runs a short process for each event.

    What this process records goes to the journal of the session, whose owner is another process; that one's end, not ours, is
    the end of its runs. Nothing is folded in the background or at exit.

    Args:
        label: names the kind of session in the journal's name, such as ``shell``.
        pid: the owner; the process that started this one where None.
        strict: raise RecordingFailed for what cannot be recorded, as ``PYJAMA_STRICT=1`` does.

    Returns:
        The session's writer name.
    """
    from pyjama_metrics.storage.session import SessionJournal

    close()
    recording = current()
    recording.session_pid = os.getppid() if pid is None else pid
    recording.strict = recording.strict or strict
    journal = SessionJournal(recording.folder, label, pid=recording.session_pid, fsync=recording.fsync)
    recording.journal, recording.writer = journal, journal.writer
    return journal.writer


def close() -> None:
    """End recording in this process; a later call begins anew, in the hub that ``PYJAMA_HOME`` then names.

    Runs that are still open are ended as ``stopped`` (as ``failed`` where an unhandled exception is ending the process), the last
    events are folded, and the journal is let go. Called by itself when the process ends.
    """
    global _recording
    with _making:
        recording = _recording
        if recording is None:
            return
        recording.end_open_runs()
        recording.end()
        _recording = None
        road.lead_nowhere()
    if recording.lost > recording.told:
        recording.tell_or_note_losses()
    if recording.background is not None:
        recording.background.stop(_EXIT_FOLD)
        recording.background.last_fold(_EXIT_FOLD)
    _let_go(recording.journal)


def _why_ending() -> tuple[str, str]:
    error = getattr(sys, "last_value", None)
    if error is None or isinstance(error, KeyboardInterrupt):
        return "stopped", "the process ended without completing the run"
    return "failed", f"{type(error).__name__}: {events.text_of(error, 500)}"


def _close_at_exit() -> None:
    """Have ``close`` called when this process ends, in the main process and in a child of multiprocessing."""
    global _exit_is_registered
    if _exit_is_registered:
        return
    _exit_is_registered = True
    atexit.register(close)
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        # Such a child ends by os._exit, past atexit; its own finalizers do run.
        util.Finalize(None, close, exitpriority=1)


def _after_fork() -> None:
    """In the child: the journal is closed (see storage.descriptors), the thread is gone, the open runs are the parent's."""
    global _recording, _making, _exit_is_registered
    _making = threading.RLock()
    parent, _recording = _recording, None
    road.lead_nowhere()
    _exit_is_registered = False
    if parent is not None:
        atexit.unregister(close)
        parent.known.after_fork()
        _recording = Recording(parent.known)
        road.latest = parent.known.latest


os.register_at_fork(after_in_child=_after_fork)
