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

import itertools
import os
import time

from pyjama_metrics import events, recording, settings
from pyjama_metrics.errors import RecordingFailed
from pyjama_metrics.recording import close, label, look_after_journal, lost_events, now, road, use_session
from pyjama_metrics.runs import current_run
from pyjama_metrics.storage import owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyjama_metrics.recording import Recording

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
_get_current = current_run.get
_time_ns = time.time_ns
_write = os.write


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
    descriptor = road.descriptor
    if descriptor is not None and error is None and run is None and not log and time_ms is None:
        try:
            current = _get_current()
            run_id = current[1] if current is not None and current[0] == agent_id else road.latest.get(agent_id)  # type: ignore[call-overload]
            middle = road.middles[tool_name, agent_id, status, run_id]
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
            background = road.background
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
    duration = _number(duration_ms, events.MAX_DURATION_MS)
    fields: dict[str, object] = {
        "tool": events.text_of(tool_name),
        "status": events.text_of(status, events.MAX_WORD),
        "duration-ms": None if duration is None else round(duration, 4),
        "error": None if error is None else events.text_of(error, events.MAX_TEXT),
        "log": True if log else None,
        "invalid": True if duration is None and duration_ms is not None else None,
    }
    run_id = _record("tool", agent_id, fields, run, time_ms)
    if run is None and type(tool_name) is type(agent_id) is type(status) is str:
        if len(road.middles) >= _CACHED:
            road.middles.clear()
        pieces = {"agent": events.text_of(agent_id), "run": run_id, "tool": fields["tool"], "status": fields["status"]}
        made = "".join(f",{events.quote(k)}:{events.encode(v)}" for k, v in pieces.items() if v is not None)
        road.middles[tool_name, agent_id, status, run_id] = made


def _not_written(what: str, line: bytes, written: int, problem: OSError) -> None:
    """The fast road failed: let the journal mend itself and try once more by the slow one."""
    process = recording.current()
    try:
        process.mend(line, written)
    except Exception:  # whatever it is, the agent must not see it
        process.lose(what, problem)


def _number(value: object, most: float) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # a user's __float__ may do anything
        return None
    return number if 0.0 <= number <= most else None


# -- everything else ------------------------------------------------------------------------------------------------


def _record(
    event: str, agent_id: object, fields: dict[str, object], run: str | None = None, time_ms: int | None = None
) -> str | None:
    """Record one event of an agent; the run that it was recorded for."""
    process = recording.current()
    try:
        agent = events.text_of(agent_id) if agent_id is not None else default_agent()
        run_id = process.known.run_of(agent) if run is None else events.text_of(run)
        when = now() if time_ms is None else _time(time_ms)
        if when is None:
            when, fields["invalid"] = now(), True
        process.append(events.line(event, when, {"agent": agent, "run": run_id, **fields}).encode())
    except Exception as problem:  # the recording API never raises into the agent; the loss is counted
        process.lose(event, problem)
        return None
    return run_id


def _time(value: object) -> int | None:
    try:
        number = int(value)  # type: ignore[call-overload]
    except Exception:  # a user's __int__ may do anything
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
    process = recording.current()
    agent = events.text_of(agent_id) if agent_id is not None else default_agent()
    run_id = f"{process.writer}.{_run_number(process)}"
    invalid = None
    try:
        spec_kept, labels_kept = _bounded(spec), None if labels is None else _bounded(_texts(labels))
    except Exception:  # the caller's own types may do anything; the run begins all the same
        spec_kept, labels_kept, invalid = None, None, True
    try:
        pid = process.session_pid or os.getpid()
        parent_run, parent_agent = process.known.parent_of_new(None if parent is None else events.text_of(parent))
        fields = {
            "parent": parent_run,
            "parent-agent": parent_agent,
            "spec": spec_kept,
            "labels": labels_kept,
            "source": _text(source, events.MAX_WORD),
            "pid": pid,
            "process-start": owners.process_start(pid),
            "host": os.uname().nodename,
            "boot": owners.boot_id() or None,
            "cwd": _cwd(),
            "tmux": os.environ.get("TMUX"),
            "tmux-pane": os.environ.get("TMUX_PANE"),
            "invalid": invalid,
        }
        if process.session_pid is None:
            process.known.opened(agent, run_id, parent_run)
        _record("start", agent, fields, run_id, time_ms)
    except RecordingFailed:
        raise
    except Exception as problem:  # the recording API never raises into the agent; the loss is counted
        process.lose("start", problem)
    return run_id


def _run_number(process: Recording) -> str:
    if process.session_pid is None:
        return str(next(process.numbers))
    return f"{time.time_ns() // 1000:x}p{os.getpid()}"  # each call of a session is a process of its own


def _bounded(value: object) -> object:
    return value if value is None or len(events.encode(value)) <= 4 * events.MAX_TEXT else events.text_of(value, events.MAX_TEXT)


def _texts(labels: Mapping[str, object]) -> dict[str, object]:
    return {events.text_of(name): events.text_of(value, events.MAX_LABEL) for name, value in labels.items()}


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
    known = recording.current().known
    ended = known.run_of(agent) if run is None else events.text_of(run)
    try:
        _record("complete", agent, {"status": _text(status, events.MAX_WORD), "error": _text(error)}, ended, time_ms)
    finally:
        # Also where that could not be recorded: the run is over, and what starts now is none of its children.
        if ended is not None:
            known.closed(agent, ended)


def record_agent_activity(
    agent_id: object, tool_name: object = None, status: object = "ok", *, run: str | None = None, time_ms: int | None = None
) -> None:
    """The agent did something: it was seen, and there is a log entry. No figure changes; that is ``record_tool_execution``."""
    _record(
        "activity", agent_id, {"tool": _text(tool_name, events.MAX_NAME), "status": _text(status, events.MAX_WORD)}, run, time_ms
    )


def record_agent_waiting(agent_id: object, reason: object, *, run: str | None = None, time_ms: int | None = None) -> None:
    """The agent waits for a person, and why. Its next event of any other kind ends the wait."""
    _record("waiting", agent_id, {"reason": _text(reason)}, run, time_ms)


def record_workflow_info(agent_id: object, steps: object, *, run: str | None = None, time_ms: int | None = None) -> None:
    """The steps that the run is going to take, in order: a list of names; at most 100 are kept."""
    try:
        names = [events.text_of(step) for step in itertools.islice(steps, events.MAX_STEPS)]  # type: ignore[call-overload]
    except Exception:  # not a list, or an iterable of the caller's that raises
        _record("workflow", agent_id, {"steps": [], "invalid": True}, run, time_ms)
        return
    _record("workflow", agent_id, {"steps": names}, run, time_ms)


def record_step_start(agent_id: object, step_id: object, *, run: str | None = None, time_ms: int | None = None) -> None:
    """A step of the run begins; a step may be begun again."""
    _record("step-start", agent_id, {"step": events.text_of(step_id)}, run, time_ms)


def record_step_complete(
    agent_id: object, step_id: object, status: object = "ok", *, run: str | None = None, time_ms: int | None = None
) -> None:
    """A step of the run ends, with a status as for tools."""
    _record("step-complete", agent_id, {"step": events.text_of(step_id), "status": _text(status, events.MAX_WORD)}, run, time_ms)


def record_message(agent_id: object, role: object, *, run: str | None = None, time_ms: int | None = None) -> None:
    """One message of a ``role`` (``user``, ``assistant`` or any other) was exchanged. Its text is not recorded."""
    _record("message", agent_id, {"role": _text(role, events.MAX_WORD)}, run, time_ms)


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
    cache_write_1h_tokens: int = 0,
    phase: object = None,
    tool: object = None,
    cost_usd: float | None = None,
    request_id: object = None,
    source: str = "actual",
    prompt: str | int | None = None,
    answer: str | int | None = None,
    estimate: bool = False,
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
        cache_write_tokens: tokens that the cache stored, for five minutes or the provider's usual time.
        cache_write_1h_tokens: tokens that the cache stored for an hour.
        phase: what for, as free text, such as ``planning``.
        tool: the tool on whose behalf the model was called, where there is one.
        cost_usd: what the provider said that it cost, in US dollars.
        request_id: the provider's id of the call. Calls of one id count once, whoever records them and however often: the best
            figures that anybody recorded, for whoever recorded the call first.
        source: ``actual`` or ``estimated`` token counts.
        prompt: what was sent, whole, as a text or as its number of characters; only looked at with ``estimate``.
        answer: what came back, in the same way.
        estimate: where no input tokens, cached ones included, are given, estimate them from the prompt (four characters a token);
            where no output tokens are given, from the answer (the same, times 1.5). The texts are not kept. What was estimated is
            told as ``estimated``, and a call of the same ``request_id`` with counted tokens is better.
        run: run id.
        time_ms: when it ended.

    A count that is no whole number from 0 on becomes 0 and is counted as an invalid value.
    """
    given = {
        "input-tokens": input_tokens,
        "output-tokens": output_tokens,
        "cache-read-tokens": cache_read_tokens,
        "cache-write-tokens": cache_write_tokens,
        "cache-write-1h-tokens": cache_write_1h_tokens,
    }
    counts = {name: _tokens(value) for name, value in given.items()}
    dollars = _number(cost_usd, events.MAX_COST_USD)
    wrong = None in counts.values() or (cost_usd is not None and dollars is None)
    estimated = _estimates(counts, prompt, answer) if estimate is True else {}
    counts |= estimated
    fields: dict[str, object] = {
        "model": events.text_of(model),
        **{name: count or 0 for name, count in counts.items()},
        "phase": _text(phase, events.MAX_NAME),
        "tool": _text(tool, events.MAX_NAME),
        "cost-micros": None if dollars is None else round(dollars * 1_000_000),
        "request-id": _text(request_id, events.MAX_LABEL),
        "tokens-are": "estimated" if estimated or (isinstance(source, str) and source == "estimated") else "actual",
        "invalid": True if wrong or None in estimated.values() else None,
    }
    _record("llm", agent_id, fields, run, time_ms)


def _estimates(counts: dict[str, int | None], prompt: object, answer: object) -> dict[str, int | None]:
    """Estimates of the tokens of which no count tells; None for what cannot be estimated."""
    from pyjama_metrics import estimates  # asked for by few

    made: dict[str, int | None] = {}
    if prompt is not None and not any(count for name, count in counts.items() if name != "output-tokens"):
        characters = estimates.characters_of(prompt)
        made["input-tokens"] = None if characters is None else estimates.input_tokens(characters)
    if answer is not None and not counts["output-tokens"]:
        characters = estimates.characters_of(answer)
        made["output-tokens"] = None if characters is None else estimates.output_tokens(characters)
    return made


def _tokens(value: object) -> int | None:
    try:
        count = int(value)  # type: ignore[call-overload]
    except Exception:  # a user's __int__ may do anything; the caller marks the value as invalid
        return None
    return count if 0 <= count <= events.MAX_COUNT else None


# -- this process ---------------------------------------------------------------------------------------------------


def default_agent() -> str:
    """The agent of a call that names none: the tracked one whose code is running, else the one that this process belongs to
    (``PYJAMA_AGENT``), else the name of the program.
    """
    current = current_run.get()
    return current[0] if current is not None else os.environ.get(settings.AGENT) or label()


def child_env(agent_id: object = None) -> dict[str, str]:
    """A copy of the environment that makes a subprocess a child of this agent's run.

    Only needed where one process runs several agents at once; with one, ``os.environ`` already says it.

    Args:
        agent_id: whose child; None for the tracked agent whose code is calling.
    """
    process = recording.current()
    environment = dict(os.environ)
    run_id = process.known.run_of(default_agent() if agent_id is None else events.text_of(agent_id))
    if run_id is not None and run_id in process.known.own:
        environment |= process.known.variables(run_id)
    return environment
