"""The recording calls: what agents do, as lines in this process's journal.

Each call costs microseconds, needs no server, waits for nobody and never raises into the agent: what cannot be recorded is
counted, and told in the journal (or, while that is impossible, in a note that ``doctor`` and the page read). Only with
``PYJAMA_STRICT=1`` does it raise :class:`pyjama_metrics.errors.RecordingFailed`.

All of them may be called from any thread, task or signal handler, and in forked children: a child writes to a journal of
its own. When a call returns, its event survives ``kill -9``.

Common arguments: ``agent_id`` and names may be any value, and become text; ``run`` names a run explicitly (otherwise it is the
run of the tracked code that is calling, else the latest one of that agent that this process knows); ``time_ms`` is for
back-filling, in milliseconds since the epoch.
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
from pyjama_metrics.runs import KnownRuns, current_run
from pyjama_metrics.storage.journal import Journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyjama_metrics.storage.session import SessionJournal

__all__ = [
    "child_env",
    "close",
    "current_run",
    "default_agent",
    "look_after_journal",
    "lost_events",
    "record_agent_activity",
    "record_agent_complete",
    "record_agent_start",
    "record_agent_waiting",
    "record_error",
    "record_llm_usage",
    "record_message",
    "record_step_complete",
    "record_step_start",
    "record_tool_execution",
    "record_workflow_info",
    "use_session",
]

_CACHED = 4096
"""Entries of the cache of half-made lines; it is emptied when it is full."""
_RETRY = 0.25
"""Seconds between two tries to open a journal that cannot be opened."""
_EXIT_FOLD = 2.0
"""Seconds that a process spends at most, when it ends, on bringing its last events into ``metrics.json``."""


class _Recording:
    """What one process needs to record. A forked child, and a process after ``close``, has a new one."""

    def __init__(self, known: KnownRuns) -> None:
        self.folder = _home()
        self.fsync, self.strict = settings.fsync(), settings.strict()
        self.writer = f"{_label()}-{os.getpid()}-{time.time_ns() // 1000:x}"
        self.known = known
        self.numbers = itertools.count(1)
        self.journal: Journal | SessionJournal | None = None
        self.background: BackgroundFold | None = None
        self.session_pid: int | None = None
        self.guard = threading.RLock()  # re-entrant: a signal handler may record while its thread does
        self.early: list[bytes] | None = None
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
                journal.keep()
                journal.append(line)
            if self.lost > self.told:
                self.tell_losses()
            self.allow_fast_road()
        background = self.background
        if background is not None and not background.pending:
            background.wake()

    def open(self) -> Journal | SessionJournal:
        if self.journal is None:
            now = time.monotonic()
            if now < self.retry_at:
                raise OSError(0, "the journal could not be opened a moment ago", self.folder)
            self.retry_at = now + _RETRY
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
            return None if sys.is_finalizing() else BackgroundFold(self.folder, self.keep)
        except RuntimeError:  # "can't start new thread": too many of them, or too late. Others fold what we record.
            return None

    def allow_fast_road(self) -> None:
        """Let ``record_tool_execution`` write to the descriptor itself, as long as nothing stands against it."""
        global _descriptor, _background
        journal = self.journal
        fast = isinstance(journal, Journal) and not journal.torn and not self.fsync and self.lost == self.told
        _descriptor = journal.descriptor if fast and isinstance(journal, Journal) else None
        _background = self.background

    def keep(self) -> None:
        """Look after the journal, before each fold."""
        try:
            with self.guard:
                if self.journal is not None:
                    self.journal.keep()
                    self.allow_fast_road()
        except OSError:
            # The folder cannot be made again just now: each event finds that out by itself, and is counted as lost.
            self.give_up_journal()

    def give_up_journal(self) -> None:
        global _descriptor
        _descriptor = None
        with self.guard:
            journal, self.journal = self.journal, None
            background, self.background = self.background, None
            _let_go(journal)
            self.writer = f"{_label()}-{os.getpid()}-{time.time_ns() // 1000:x}"
        if background is not None and threading.current_thread() is not background.thread:
            background.stop(0.0)

    def lose(self, what: str, error: Exception) -> None:
        """An event was not recorded: count it, and leave a note where that can be done."""
        global _descriptor
        _descriptor = None
        self.lost += 1
        # Not for each one: a note costs more than a record may. At the end of the process it is exact.
        if self.lost - self.told >= 2 * self.noted or time.monotonic() - self.noted_at > 1.0:
            self.note_losses()
            _close_at_exit()
        if self.strict:
            raise RecordingFailed(what, str(error)) from error

    def note_losses(self) -> None:
        self.noted_at = time.monotonic()
        try:
            from pyjama_metrics.storage import losses

            untold = self.lost - self.told
            losses.write_note(self.folder, self.writer, untold)
            self.noted = untold
        except Exception:
            return

    def tell_losses(self) -> None:
        """The journal takes lines again: say how many it did not take, and take the note away."""
        count = self.lost - self.told
        if self.journal is not None:
            try:
                self.journal.append(events.line("lost", _now(), {"count": count}).encode())
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


_recording: _Recording | None = None
_descriptor: int | None = None
"""Where the fast road writes; None sends every event by the slow one."""
_background: BackgroundFold | None = None
_middles: dict[tuple[object, object, object, object], str] = {}
_get_current = current_run.get
_time_ns = time.time_ns
_write = os.write
_latest: dict[str, str] = {}
_making = threading.RLock()
_exit_is_registered = False


def _now() -> int:
    return time.time_ns() // 1_000_000


def _home() -> str:
    try:
        return settings.home()
    except OSError:
        # A relative PYJAMA_HOME in a working folder that was removed: each event finds that out by itself and counts as lost.
        return os.environ.get("PYJAMA_HOME", "")


def _label() -> str:
    argv = getattr(sys, "argv", None) or [""]
    name = os.path.basename(os.fsdecode(argv[0])).removesuffix(".py") if isinstance(argv[0], (str, bytes)) else ""
    kept = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)[:24]
    return kept.strip("_") or "python"


def _process() -> _Recording:
    global _recording, _latest
    recording = _recording
    if recording is None:
        with _making:
            if _recording is None:
                made = _Recording(KnownRuns())
                if _recording is None:  # else a signal handler recorded meanwhile, in this very thread
                    _latest = made.known.latest
                    _recording = made
            recording = _recording
    return recording


# -- tools: the hot road --------------------------------------------------------------------------------------------


def record_tool_execution(
    tool_name: object,
    agent_id: object,
    status: object = "ok",
    duration_ms: float | None = None,
    error: object = None,
    *,
    run: str | None = None,
    log: bool = False,
    time_ms: int | None = None,
) -> None:
    """One execution of a tool is over: it counts for the tool, the agent, its run and the global figures.

    Args:
        tool_name: which tool.
        agent_id: whose execution it was.
        status: ``ok`` counts as success, ``interrupted`` and ``cancelled`` stand apart, any other text as error.
        duration_ms: how long it took, in milliseconds; None where that is not known. What is no duration (negative, NaN,
            infinite, more than 115 days) is left out and counted as an invalid value.
        error: what went wrong; kept as the agent's last error, at most 2,000 characters.
        run: run id.
        log: also make a log entry.
        time_ms: when it ended.
    """
    # A line of the common kind is made from a cached middle and the two figures that change, and written here: no function
    # of ours is called, no dictionary built. A tool that is called for the first time goes the slow road and fills the cache.
    descriptor = _descriptor
    if descriptor is not None and error is None and run is None and not log and time_ms is None:
        try:
            current = _get_current()
            run_id = current[1] if current is not None and current[0] == agent_id else _latest.get(agent_id)  # type: ignore[call-overload]
            middle = _middles[tool_name, agent_id, status, run_id]
            if duration_ms is None:
                line = f'{{"event":"tool","time":{_time_ns() // 1_000_000}{middle}}}\n'.encode()
            elif 0.0 <= duration_ms <= 1e10:
                line = f'{{"event":"tool","time":{_time_ns() // 1_000_000}{middle},"duration-ms":{duration_ms:.4f}}}\n'.encode()
            else:
                descriptor = None
        except Exception:  # not in the cache; or an argument's own methods raise, and then the slow road deals with it
            descriptor = None
        if descriptor is not None:
            try:
                written = _write(descriptor, line)
            except OSError as problem:
                _not_written("tool", line, 0, problem)
                return
            if written != len(line):
                _not_written("tool", line, written, OSError("the disk took only a part of the line"))
                return
            background = _background
            if background is not None and not background.pending:
                background.wake()
            return
    _record_tool(tool_name, agent_id, status, duration_ms, error, run, log, time_ms)


def _record_tool(
    tool_name: object,
    agent_id: object,
    status: object,
    duration_ms: object,
    error: object,
    run: str | None,
    log: bool,
    time_ms: int | None,
) -> None:
    duration = _number(duration_ms)
    fields: dict[str, object] = {
        "tool": events.text_of(tool_name),
        "status": events.text_of(status, 64),
        "duration-ms": None if duration is None else round(duration, 4),
        "error": None if error is None else events.text_of(error, events.MAX_TEXT),
        "log": True if log else None,
        "invalid": True if duration is None and duration_ms is not None else None,
    }
    run_id = _record("tool", agent_id, fields, run, time_ms)
    if run is None and type(tool_name) is type(agent_id) is type(status) is str:
        if len(_middles) >= _CACHED:
            _middles.clear()
        pieces = {"agent": events.text_of(agent_id), "run": run_id, "tool": fields["tool"], "status": fields["status"]}
        made = "".join(f",{events.quote(k)}:{events.encode(v)}" for k, v in pieces.items() if v is not None)
        _middles[tool_name, agent_id, status, run_id] = made


def _not_written(what: str, line: bytes, written: int, problem: OSError) -> None:
    """The fast road failed: let the journal mend itself and try once more by the slow one."""
    recording = _process()
    journal = recording.journal
    try:
        if isinstance(journal, Journal):
            journal.torn = journal.torn or written > 0
        recording.append(line)
    except Exception:
        recording.lose(what, problem)


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # a user's __float__ may do anything
        return None
    return number if 0.0 <= number <= events.MAX_DURATION_MS else None


# -- everything else ------------------------------------------------------------------------------------------------


def _record(
    event: str, agent_id: object, fields: dict[str, object], run: str | None = None, time_ms: int | None = None
) -> str | None:
    """Record one event of an agent; the run that it was recorded for."""
    recording = _process()
    try:
        agent = events.text_of(agent_id) if agent_id is not None else default_agent()
        run_id = recording.known.run_of(agent) if run is None else events.text_of(run)
        when = _now() if time_ms is None else _time(time_ms)
        if when is None:
            when, fields["invalid"] = _now(), True
        recording.append(events.line(event, when, {"agent": agent, "run": run_id, **fields}).encode())
    except Exception as problem:
        recording.lose(event, problem)
        return None
    return run_id


def _time(value: object) -> int | None:
    try:
        number = int(value)  # type: ignore[call-overload]
    except Exception:
        return None
    return number if 0 <= number <= events.MAX_TIME_MS else None


def _text(value: object, limit: int = events.MAX_TEXT) -> str | None:
    return None if value is None else events.text_of(value, limit)


def record_agent_start(
    agent_id: object,
    *,
    parent: str | None = None,
    spec: object = None,
    labels: Mapping[str, object] | None = None,
    source: str = "python",
    time_ms: int | None = None,
) -> str:
    """A run of an agent begins.

    Args:
        agent_id: the agent's name; the run gets an id of its own, and several runs of one agent may be open at once.
        parent: run id (or agent id) of the run that started it. Otherwise it is the tracked agent whose code is calling, else the
            run that started this process (``PYJAMA_RUN``).
        spec: what the agent is meant to do, as text or plain data; kept with the run, so leave out what is private.
        labels: names and values to tell runs by.
        source: what kind of program it is.
        time_ms: when it began.

    Returns:
        The run id. Until the run is completed it is also in ``os.environ`` as ``PYJAMA_RUN``, for subprocesses.
    """
    recording = _process()
    agent = events.text_of(agent_id) if agent_id is not None else default_agent()
    run_id = f"{recording.writer}.{_run_number(recording)}"
    try:
        parent_run, parent_agent = recording.known.parent_of_new(None if parent is None else events.text_of(parent))
        fields = {
            "parent": parent_run,
            "parent-agent": parent_agent,
            "spec": _bounded(spec),
            "labels": _bounded(None if labels is None else {str(k): _text(v, 256) for k, v in labels.items()}),
            "source": _text(source, 64),
            "pid": recording.session_pid or os.getpid(),
            "host": os.uname().nodename,
            "cwd": _cwd(),
            "tmux": os.environ.get("TMUX"),
            "tmux-pane": os.environ.get("TMUX_PANE"),
        }
        if recording.session_pid is None:
            recording.known.opened(agent, run_id, parent_run)
        _record("start", agent, fields, run_id, time_ms)
    except RecordingFailed:
        raise
    except Exception as problem:
        recording.lose("start", problem)
    return run_id


def _run_number(recording: _Recording) -> str:
    if recording.session_pid is None:
        return str(next(recording.numbers))
    return f"{time.time_ns() // 1000:x}p{os.getpid()}"  # each call of a session is a process of its own


def _bounded(value: object) -> object:
    return value if value is None or len(events.encode(value)) <= 4 * events.MAX_TEXT else events.text_of(value, events.MAX_TEXT)


def _cwd() -> str | None:
    try:
        return events.text_of(os.getcwd(), 1024)
    except OSError:
        return None


def record_agent_complete(
    agent_id: object,
    status: object = "completed",
    error: object = None,
    *,
    run: str | None = None,
    time_ms: int | None = None,
) -> None:
    """A run ends.

    Args:
        agent_id: whose run.
        status: ``completed``, ``failed`` or ``stopped``; anything else counts as failed.
        error: why, at most 2,000 characters.
        run: run id; otherwise the agent's run, as for every event.
        time_ms: when it ended.
    """
    agent = events.text_of(agent_id) if agent_id is not None else default_agent()
    known = _process().known
    ended = known.run_of(agent) if run is None else events.text_of(run)
    try:
        _record("complete", agent, {"status": _text(status, 64), "error": _text(error)}, ended, time_ms)
    finally:
        # Also where that could not be recorded: the run is over, and what starts now is none of its children.
        if ended is not None:
            known.closed(agent, ended)


def record_agent_activity(
    agent_id: object, tool_name: object = None, status: object = "ok", *, run: str | None = None, time_ms: int | None = None
) -> None:
    """The agent did something: it was seen, and there is a log entry. No figure changes; that is ``record_tool_execution``."""
    _record("activity", agent_id, {"tool": _text(tool_name, events.MAX_NAME), "status": _text(status, 64)}, run, time_ms)


def record_agent_waiting(agent_id: object, reason: object, *, run: str | None = None, time_ms: int | None = None) -> None:
    """The agent waits for a person, and why. Its next event of any other kind ends the wait."""
    _record("waiting", agent_id, {"reason": _text(reason)}, run, time_ms)


def record_workflow_info(agent_id: object, steps: object, *, run: str | None = None, time_ms: int | None = None) -> None:
    """The steps that the run is going to take, in order: a list of names; at most 100 are kept."""
    try:
        names = [events.text_of(step) for step in itertools.islice(steps, 100)]  # type: ignore[call-overload]
    except Exception as problem:
        _process().lose("workflow", problem)
        return
    _record("workflow", agent_id, {"steps": names}, run, time_ms)


def record_step_start(agent_id: object, step_id: object, *, run: str | None = None, time_ms: int | None = None) -> None:
    """A step of the run begins; a step may be begun again."""
    _record("step-start", agent_id, {"step": events.text_of(step_id)}, run, time_ms)


def record_step_complete(
    agent_id: object, step_id: object, status: object = "ok", *, run: str | None = None, time_ms: int | None = None
) -> None:
    """A step of the run ends, with a status as for tools."""
    _record("step-complete", agent_id, {"step": events.text_of(step_id), "status": _text(status, 32)}, run, time_ms)


def record_message(agent_id: object, role: object, *, run: str | None = None, time_ms: int | None = None) -> None:
    """One message of a ``role`` (``user``, ``assistant`` or any other) was exchanged. Its text is not recorded."""
    _record("message", agent_id, {"role": _text(role, 32)}, run, time_ms)


def record_error(agent_id: object, message: object, *, run: str | None = None, time_ms: int | None = None) -> None:
    """Something went wrong that is no tool's failure; counted, kept as the last error, and logged."""
    _record("error", agent_id, {"message": _text(message)}, run, time_ms)


def record_llm_usage(
    agent_id: object,
    model: object,
    input_tokens: int = 0,
    output_tokens: int = 0,
    *,
    cache_read_tokens: int = 0,
    cache_write_tokens: int = 0,
    phase: object = None,
    cost_usd: float | None = None,
    request_id: object = None,
    source: str = "actual",
    run: str | None = None,
    time_ms: int | None = None,
) -> None:
    """One model call.

    Args:
        agent_id: who called.
        model: which model.
        input_tokens: tokens read, without those that the cache served or stored.
        output_tokens: tokens written.
        cache_read_tokens: tokens that the cache served.
        cache_write_tokens: tokens that the cache stored.
        phase: what for, as free text, such as ``planning``.
        cost_usd: what the provider said that it cost, in US dollars.
        request_id: the provider's id of the call.
        source: ``actual`` or ``estimated`` token counts.
        run: run id.
        time_ms: when it ended.

    A count that is no whole number from 0 on becomes 0 and is counted as an invalid value.
    """
    given = {
        "input-tokens": input_tokens,
        "output-tokens": output_tokens,
        "cache-read-tokens": cache_read_tokens,
        "cache-write-tokens": cache_write_tokens,
    }
    counts = {name: _tokens(value) for name, value in given.items()}
    dollars = _number(cost_usd)
    wrong = None in counts.values() or (cost_usd is not None and dollars is None)
    fields: dict[str, object] = {
        "model": events.text_of(model),
        **{name: count or 0 for name, count in counts.items()},
        "phase": _text(phase, events.MAX_NAME),
        "cost-micros": None if dollars is None or dollars > 1e6 else round(dollars * 1_000_000),
        "request-id": _text(request_id, 256),
        "tokens-are": "estimated" if isinstance(source, str) and source == "estimated" else "actual",
        "invalid": True if wrong else None,
    }
    _record("llm", agent_id, fields, run, time_ms)


def _tokens(value: object) -> int | None:
    try:
        count = int(value)  # type: ignore[call-overload]
    except Exception:
        return None
    return count if 0 <= count <= events.MAX_COUNT else None


# -- this process ---------------------------------------------------------------------------------------------------


def default_agent() -> str:
    """The agent of a call that names none: the tracked one whose code is running, else the one that this process belongs to
    (``PYJAMA_AGENT``), else the name of the program.
    """
    current = current_run.get()
    return current[0] if current is not None else os.environ.get("PYJAMA_AGENT") or _label()


def child_env(agent_id: object = None) -> dict[str, str]:
    """A copy of the environment that makes a subprocess a child of this agent's run.

    Only needed where one process runs several agents at once; with one, ``os.environ`` already says it.

    Args:
        agent_id: whose child; None for the tracked agent whose code is calling.
    """
    recording = _process()
    environment = dict(os.environ)
    run_id = recording.known.run_of(default_agent() if agent_id is None else events.text_of(agent_id))
    if run_id is not None and run_id in recording.known.own:
        environment |= recording.known.variables(run_id)
    return environment


def lost_events() -> int:
    """How many events this process could not record so far."""
    return 0 if _recording is None else _recording.lost


def look_after_journal() -> None:
    """Notice now, not at the next background fold, that the folder was removed under this process. Never raises."""
    if _recording is not None:
        _recording.keep()


def use_session(label: str, pid: int | None = None) -> str:
    """Record for an external session from now on: a shell, or a program that runs a short process for each event.

    What this process records goes to the journal of the session, whose owner is another process; that one's end, not ours, is
    the end of its runs. Nothing is folded in the background or at exit.

    Args:
        label: names the kind of session in the journal's name, such as ``shell``.
        pid: the owner; the process that started this one where None.

    Returns:
        The session's writer name.
    """
    from pyjama_metrics.storage.session import SessionJournal

    close()
    recording = _process()
    recording.session_pid = os.getppid() if pid is None else pid
    journal = SessionJournal(recording.folder, label, pid=recording.session_pid, fsync=recording.fsync)
    recording.journal, recording.writer = journal, journal.writer
    return journal.writer


def close() -> None:
    """End recording in this process; a later call begins anew, in the hub that ``PYJAMA_HOME`` then names.

    Runs that are still open are ended as ``stopped`` (as ``failed`` where an unhandled exception is ending the process), the last
    events are folded, and the journal is let go. Called by itself when the process ends.
    """
    global _recording, _descriptor, _background, _latest
    with _making:
        recording = _recording
        if recording is None:
            return
        for run_id, (agent, _) in list(recording.known.own.items()):
            status, why = _why_ending()
            try:
                record_agent_complete(agent, status, why, run=run_id)
            except RecordingFailed:
                continue  # strict mode; it is counted, and there is no caller left to tell
        _recording = _descriptor = _background = None
        _middles.clear()
        _latest = {}
    if recording.lost > recording.told:
        recording.note_losses()
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
    global _recording, _descriptor, _background, _making, _exit_is_registered, _latest
    _making = threading.RLock()
    parent, _recording = _recording, None
    _descriptor = _background = None
    _exit_is_registered = False
    if parent is not None:
        atexit.unregister(close)
        parent.known.after_fork()
        _recording = _Recording(parent.known)
        _latest = parent.known.latest


os.register_at_fork(after_in_child=_after_fork)
