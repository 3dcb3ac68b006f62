"""The typed views that the page, the JSON API and the command line show, and their JSON form.

Each field carries a sentence of help: what it counts, in which unit, and, for a rate, out of what. A figure
that cannot be known is None, never 0. Times are ms since the epoch, durations ms, rates from 0 to 1.
`pyjama_metrics.queries` makes the views from a state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any


def says(text: str) -> dict[str, str]:
    """The metadata of a field: its sentence of help."""
    return {"help": text}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolView:
    """Executions of one tool, or of all tools."""

    count: int = field(metadata=says("Executions with an outcome: success + error"))
    success: int = field(metadata=says("Executions that succeeded"))
    error: int = field(metadata=says("Executions that failed"))
    interrupted: int = field(metadata=says("Executions that somebody stopped; they are not in count"))
    total_duration: float = field(metadata=says("Sum of the measured durations, in ms"))
    success_rate: float | None = field(metadata=says("success / (success + error), from 0 to 1"))
    avg_duration_ms: float | None = field(metadata=says("Mean of the measured durations, in ms"))
    p50_ms: float | None = field(metadata=says("Half of the measured durations were at most this, in ms"))
    p95_ms: float | None = field(metadata=says("95 % of the measured durations were at most this, in ms"))
    p99_ms: float | None = field(metadata=says("99 % of the measured durations were at most this, in ms"))
    min_ms: float | None = field(metadata=says("Shortest measured duration, in ms"))
    max_ms: float | None = field(metadata=says("Longest measured duration, in ms"))
    last_seen: int | None = field(metadata=says("Time of the latest execution, in ms since the epoch"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsView:
    """Runs of all agents, past ones included."""

    started: int = field(metadata=says("Runs that began"))
    completed: int = field(metadata=says("Runs that ended well"))
    failed: int = field(metadata=says("Runs that ended with an error"))
    crashed: int = field(metadata=says("Runs whose process died without a word"))
    stopped: int = field(metadata=says("Runs that somebody stopped; they are not in the success rate"))
    success_rate: float | None = field(metadata=says("completed / (completed + failed + crashed), from 0 to 1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView:
    """Model calls and their tokens."""

    requests: int = field(metadata=says("Model calls"))
    input_tokens: int = field(metadata=says("Tokens sent, without those read from or written to a cache"))
    output_tokens: int = field(metadata=says("Tokens received"))
    cache_read_tokens: int = field(metadata=says("Tokens sent that the provider's cache held"))
    cache_write_tokens: int = field(metadata=says("Tokens sent that went into the provider's cache"))
    total_tokens: int = field(metadata=says("Sum of the four kinds of tokens"))
    estimated_tokens: int = field(metadata=says("How many of the tokens are an estimate, not the provider's count"))
    cost_micros: int | None = field(metadata=says("Reported cost in millionths of a dollar; none if none was reported"))
    priced_requests: int = field(metadata=says("Model calls that reported their cost"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """The figures that belong to no single agent."""

    global_: ToolView = field(metadata=says("Executions of all tools"))
    tools: dict[str, ToolView] = field(metadata=says("Executions by tool, most executions first"))
    runs: RunsView = field(metadata=says("Runs of all agents"))
    tokens: UsageView = field(metadata=says("Model calls of all agents"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """One agent, with all its runs."""

    status: str = field(metadata=says("running, waiting, completed, failed, crashed, stopped or unknown"))
    start_time: int | None = field(metadata=says("Start of the latest run, in ms since the epoch"))
    last_seen: int | None = field(metadata=says("Time of the latest event, in ms since the epoch"))
    count: int = field(metadata=says("Tool executions with an outcome: success + error"))
    success: int = field(metadata=says("Tool executions that succeeded"))
    error: int = field(metadata=says("Tool executions that failed"))
    interrupted: int = field(metadata=says("Tool executions that somebody stopped; they are not in count"))
    success_rate: float | None = field(metadata=says("success / (success + error) of tools, from 0 to 1"))
    avg_duration_ms: float | None = field(metadata=says("Mean of the measured tool durations, in ms"))
    current_tool: str | None = field(metadata=says("Tool at work, or the latest one"))
    current_step: str | None = field(metadata=says("Step of the workflow at work"))
    waiting_reason: str | None = field(metadata=says("What the agent waits for"))
    parent: str | None = field(metadata=says("Run that started the latest run"))
    parent_agent: str | None = field(metadata=says("Agent that started the latest run"))
    source: str | None = field(metadata=says("How the latest run was recorded: python, shell, an integration"))
    host: str | None = field(metadata=says("Machine of the latest run"))
    pid: int | None = field(metadata=says("Process of the latest run, on its machine"))
    errors: int = field(metadata=says("Errors that came with a text: of the agent itself and of its tools"))
    last_error: str | None = field(metadata=says("Text of the latest reported error"))
    last_error_time: int | None = field(metadata=says("Time of the latest reported error, in ms since the epoch"))
    tokens: int = field(metadata=says("Tokens of all kinds"))
    runs_open: int = field(metadata=says("Runs that are running or waiting now"))
    runs_started: int = field(metadata=says("Runs that began"))
    runs_completed: int = field(metadata=says("Runs that ended well"))
    runs_failed: int = field(metadata=says("Runs that ended with an error"))
    runs_crashed: int = field(metadata=says("Runs whose process died without a word"))
    runs_stopped: int = field(metadata=says("Runs that somebody stopped"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """One line of the recent log."""

    timestamp: int | None = field(metadata=says("Time of the event, in ms since the epoch"))
    agent_id: str = field(metadata=says("Agent that the line is about"))
    tool: str | None = field(metadata=says("Tool that the line is about"))
    status: str | None = field(metadata=says("Status in the words of whoever recorded it"))
    event: str | None = field(metadata=says("activity, tool, start, complete, crash, waiting or error"))
    message: str | None = field(metadata=says("Text of the error, or the reason for waiting"))
    run: str | None = field(metadata=says("Run that the line is about"))
    id: str | None = field(metadata=says("Identity of the line, for readers that follow the log"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How many agents there are, by what they do: agents is the sum of the others."""

    agents: int = field(metadata=says("Agents in the file"))
    running: int = field(metadata=says("Agents with a run at work"))
    waiting: int = field(metadata=says("Agents whose open runs all wait for something"))
    crashed: int = field(metadata=says("Agents whose latest run died without a word"))
    finished: int = field(metadata=says("Agents whose latest run completed, failed or was stopped"))
    unknown: int = field(metadata=says("Agents of which nobody can know whether they live"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsView:
    """What could not be counted."""

    malformed_lines: int = field(metadata=says("Journal lines that are not JSON objects, or were cut off"))
    unknown_events: int = field(metadata=says("Events of a kind that this version does not know"))
    invalid_values: int = field(metadata=says("Impossible durations, times and counts that were left out"))
    lost_events: int = field(metadata=says("Events that could not be written, by the count of their recorders"))
    total: int = field(metadata=says("Sum of all problems"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Everything that the first page shows."""

    agents: dict[str, AgentView] = field(metadata=says("Agents: at work, then waiting, then the others"))
    metrics: MetricsView = field(metadata=says("Figures of all agents together"))
    recent_logs: list[LogView] = field(metadata=says("The latest log lines, newest last"))
    overview: Overview = field(metadata=says("Agents by status"))
    problems: ProblemsView = field(metadata=says("What could not be counted"))
    generation: int = field(metadata=says("How often the file was written; it grows with each change"))
    updated: int | None = field(metadata=says("Time of the latest change, in ms since the epoch"))
    now: int = field(metadata=says("Time of this answer, in ms since the epoch, on the clock of the hub"))


def as_json(view: Any) -> Any:
    """A view as plain dictionaries, lists and values: ``avg_duration_ms`` becomes ``avg-duration-ms``.

    An underscore at the end is dropped: ``global`` without it is a word of Python. The keys of dictionaries,
    names of agents and tools, stay as they are.
    """
    if is_dataclass(view):
        return {json_name(each.name): as_json(getattr(view, each.name)) for each in fields(view)}
    if isinstance(view, dict):
        return {key: as_json(value) for key, value in view.items()}
    if isinstance(view, list | tuple):
        return [as_json(value) for value in view]
    return view


def json_name(field_name: str) -> str:
    """The JSON key of a field of a view."""
    return field_name.rstrip("_").replace("_", "-")


def help_texts(view: Any) -> dict[str, str]:
    """The help of each field of a view, or of a class of views, by the name of the field."""
    return {each.name: each.metadata["help"] for each in fields(view)}
