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
    interrupted: int = field(metadata=says("Executions that were interrupted or never ran; they are not in count"))
    total_duration: float = field(metadata=says("Sum of the measured durations, in ms"))
    success_rate: float | None = field(metadata=says("success / (success + error), from 0 to 1"))
    error_rate: float | None = field(metadata=says("error / (success + error), from 0 to 1"))
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
class CostView:
    """Model calls and what they cost: in parts, because not all costs are known equally well."""

    requests: int = field(metadata=says("Model calls"))
    priced_requests: int = field(metadata=says("Model calls whose cost is known: reported or computed"))
    reported_requests: int = field(metadata=says("Model calls whose source told the cost"))
    unpriced_requests: int = field(metadata=says("Model calls whose cost is not known: it is not in any sum"))
    unpriced_models: list[str] = field(metadata=says("Models of the calls whose cost is not known"))
    estimated_tokens: int = field(metadata=says("How many of the tokens are an estimate, not the provider's count"))
    reported_micros: int | None = field(
        metadata=says("Cost that the sources told, in millionths of a dollar; none if none told any")
    )
    computed_micros: int | None = field(
        metadata=says("Cost computed from the prices of the models, in millionths of a dollar; none if none was computed")
    )
    cost_micros: int | None = field(
        metadata=says("Reported and computed cost in millionths of a dollar; none if no call has a known cost")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView(CostView):
    """Model calls, their tokens and their cost."""

    input_tokens: int = field(metadata=says("Tokens sent, without those read from or written to a cache"))
    output_tokens: int = field(metadata=says("Tokens received"))
    cache_read_tokens: int = field(metadata=says("Tokens sent that the provider's cache held"))
    cache_write_tokens: int = field(metadata=says("Tokens sent that went into the provider's cache for its usual time"))
    cache_write_1h_tokens: int = field(metadata=says("Tokens sent that went into the provider's cache for an hour"))
    total_tokens: int = field(metadata=says("Sum of the five kinds of tokens"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """The figures that belong to no single agent."""

    global_: ToolView = field(metadata=says("Executions of all tools"))
    tools: dict[str, ToolView] = field(metadata=says("Executions by tool, most executions first"))
    runs: RunsView = field(metadata=says("Runs of all agents"))
    tokens: UsageView = field(metadata=says("Model calls of all agents"))
    models: dict[str, UsageView] = field(metadata=says("Model calls by model, most tokens first"))
    phases: dict[str, UsageView] = field(metadata=says("Model calls by phase of the work, most tokens first"))
    tool_usage: dict[str, UsageView] = field(
        metadata=says(
            "Model calls by the tool on whose behalf they were made, most tokens first; those of none under an empty name"
        )
    )
    projects: dict[str, UsageView] = field(
        metadata=says("Model calls by the project of their run, most tokens first; those of none under an empty name")
    )
    hosts: dict[str, UsageView] = field(
        metadata=says(
            "Model calls by the machine of their run, most tokens first; those of which it is not known under an empty name"
        )
    )
    days: dict[str, UsageView] = field(
        metadata=says(
            "Model calls by day in UTC, such as 2024-02-03, latest first; those of days no longer told apart under an empty name"
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkView:
    """Executions of the last five minutes in which there were any. It says the same until the next execution: who
    shows it later shifts it.
    """

    until: int = field(metadata=says("End of the last slot, in ms since the epoch"))
    step: int = field(metadata=says("Length of a slot, in ms"))
    executions: list[int] = field(
        metadata=says("Executions of each slot, oldest first, interrupted ones too; none before the first")
    )
    error: list[int] = field(metadata=says("Executions of each slot that failed"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtreeView(CostView):
    """An agent and all its descendants, added up."""

    agents: int = field(metadata=says("Agents in the subtree, the parent too"))
    count: int = field(metadata=says("Tool executions with an outcome: success + error"))
    error: int = field(metadata=says("Tool executions that failed"))
    errors: int = field(metadata=says("Errors that came with a text: of the agents themselves and of their tools"))
    tokens: int = field(metadata=says("Tokens of all kinds"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitView:
    """How much of a limit of the user's plan is used, as a session told it."""

    source: str | None = field(metadata=says("The program whose plan it is, such as claude-code"))
    name: str = field(metadata=says("The limit, in the words of that program, such as five_hour"))
    percent: float = field(metadata=says("How much of it was used then, in per cent; it may be more than 100"))
    resets: int | None = field(metadata=says("When it begins anew, in ms since the epoch; after that the percentage is no news"))
    time: int | None = field(metadata=says("When that was told, in ms since the epoch"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutView:
    """What a session of another program told about itself."""

    id: str | None = field(metadata=says("Id of the session; its resumed runs and its subagents have the same"))
    project: str | None = field(metadata=says("Project, by the name of its folder"))
    subagent: str | None = field(metadata=says("Type of the subagent; none for the session itself"))
    branch: str | None = field(metadata=says("git branch"))
    model: str | None = field(metadata=says("Model at work"))
    version: str | None = field(metadata=says("Version of the program"))
    entrypoint: str | None = field(metadata=says("How the program was started, such as cli or sdk-py"))
    cwd: str | None = field(metadata=says("Folder in which it works now"))
    context_tokens: int | None = field(metadata=says("Tokens in the context of the model"))
    context_window: int | None = field(metadata=says("How many of them fit in"))
    context_percent: float | None = field(metadata=says("How full the context is, in per cent"))
    context_time: int | None = field(metadata=says("When the session told of its context last, in ms since the epoch"))
    limits: list[LimitView] = field(metadata=says("Limits of the user's plan, as this session told them last"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView(CostView):
    """One agent, with all its runs."""

    status: str = field(metadata=says("running, waiting, completed, failed, crashed, stopped or unknown"))
    start_time: int | None = field(metadata=says("Start of the latest run, in ms since the epoch"))
    end_time: int | None = field(metadata=says("End of the latest run, in ms since the epoch; none while it is open"))
    last_seen: int | None = field(metadata=says("Time of the latest event, in ms since the epoch"))
    count: int = field(metadata=says("Tool executions with an outcome: success + error"))
    success: int = field(metadata=says("Tool executions that succeeded"))
    error: int = field(metadata=says("Tool executions that failed"))
    interrupted: int = field(metadata=says("Tool executions that were interrupted or never ran; they are not in count"))
    success_rate: float | None = field(metadata=says("success / (success + error) of tools, from 0 to 1"))
    avg_duration_ms: float | None = field(metadata=says("Mean of the measured tool durations, in ms"))
    current_tool: str | None = field(metadata=says("Tool at work, or the latest one"))
    current_step: str | None = field(metadata=says("Step of the workflow at work"))
    waiting_reason: str | None = field(metadata=says("What the agent waits for"))
    waiting_since: int | None = field(metadata=says("Since when the agent waits, in ms since the epoch"))
    parent: str | None = field(metadata=says("Run that started the latest run"))
    parent_agent: str | None = field(metadata=says("Agent that started the latest run"))
    source: str | None = field(metadata=says("How the latest run was recorded: python, shell, an integration"))
    host: str | None = field(metadata=says("Machine of the latest run"))
    pid: int | None = field(metadata=says("Process of the latest run, on its machine"))
    cwd: str | None = field(metadata=says("Folder in which the latest run began"))
    tmux_pane: str | None = field(metadata=says("tmux pane of the latest run, such as %3"))
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
    about: AboutView | None = field(metadata=says("What the session of the latest run told about itself; none where it has none"))
    recent: SparkView | None = field(metadata=says("Executions of the last minutes; none where nobody watched or nothing ran"))
    subtree: SubtreeView | None = field(metadata=says("The agent with its descendants; none where it has no children"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """One entry of the log."""

    timestamp: int | None = field(metadata=says("Time of the event, in ms since the epoch"))
    agent_id: str = field(metadata=says("Agent that the entry is about"))
    tool: str | None = field(metadata=says("Tool that the entry is about"))
    status: str | None = field(metadata=says("Status in the words of whoever recorded it"))
    event: str | None = field(metadata=says("activity, tool, start, complete, crash, waiting or error"))
    message: str | None = field(metadata=says("Text of the error, or the reason for waiting"))
    run: str | None = field(metadata=says("Run that the entry is about"))
    id: str | None = field(metadata=says("Identity of the entry, for readers that follow the log"))


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
class NeedView:
    """An agent that needs a person."""

    agent_id: str = field(metadata=says("The agent"))
    kind: str = field(metadata=says("waiting, repeating, failed or crashed"))
    reason: str | None = field(metadata=says("What it waits for, or what went wrong, in the words of whoever recorded it"))
    since: int | None = field(metadata=says("Since when, in ms since the epoch"))
    tool: str | None = field(metadata=says("The tool whose calls fail again and again; none for the other kinds"))
    error: int | None = field(metadata=says("How many of them failed since anything succeeded; none for the other kinds"))
    run: str | None = field(metadata=says("The run"))
    tmux_pane: str | None = field(metadata=says("tmux pane of the run, such as %3"))
    command: str | None = field(metadata=says("Shell command that brings one to that pane"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TodayView(CostView):
    """What happened since midnight, by the quarters of an hour in the file."""

    since: int = field(metadata=says("Midnight where the hub is, in ms since the epoch"))
    count: int = field(metadata=says("Tool executions with an outcome: success + error"))
    success: int = field(metadata=says("Tool executions that succeeded"))
    error: int = field(metadata=says("Tool executions that failed"))
    tokens: int = field(metadata=says("Tokens of all kinds"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Everything that the first page shows."""

    agents: dict[str, AgentView] = field(metadata=says("Agents: those that wait, then those at work, then the others"))
    metrics: MetricsView = field(metadata=says("Figures of all agents together"))
    recent_logs: list[LogView] = field(metadata=says("The latest log entries, newest last"))
    overview: Overview = field(metadata=says("Agents by status"))
    limits: list[LimitView] = field(
        metadata=says("Limits of the user's plans, of each what any session told last; one that began anew since is no news")
    )
    needs: list[NeedView] = field(
        metadata=says(
            "Agents that need a person: those held up, then those that ended badly, then those that wait for the next prompt"
        )
    )
    today: TodayView = field(metadata=says("Figures since midnight"))
    recent: SparkView | None = field(metadata=says("Executions of all agents in the last minutes; none where nobody watched"))
    problems: ProblemsView = field(metadata=says("What could not be counted"))
    generation: int = field(metadata=says("How often the file was written; it grows with each change"))
    updated: int | None = field(metadata=says("Time of the latest change, in ms since the epoch"))
    now: int = field(metadata=says("Time of this answer, in ms since the epoch, on the clock of the hub"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step of a run's workflow."""

    id: str = field(metadata=says("Name of the step"))
    status: str = field(metadata=says("pending, running, completed, failed or stopped"))
    started: int | None = field(metadata=says("Latest start, in ms since the epoch"))
    ended: int | None = field(metadata=says("Latest end, in ms since the epoch; none while it runs"))
    duration_ms: float | None = field(metadata=says("From the latest start to its end, in ms; none while it runs"))
    attempts: int = field(metadata=says("How often the step began"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView(CostView):
    """One run of an agent."""

    id: str = field(metadata=says("Name of the run"))
    agent_id: str = field(metadata=says("The agent that ran"))
    status: str = field(metadata=says("running, waiting, completed, failed, crashed, stopped or unknown"))
    start_time: int | None = field(metadata=says("Start, in ms since the epoch"))
    end_time: int | None = field(metadata=says("End, in ms since the epoch; none while it is open"))
    last_seen: int | None = field(metadata=says("Time of the latest event, in ms since the epoch"))
    duration_ms: float | None = field(metadata=says("From start to end, in ms; none while it is open"))
    message: str | None = field(metadata=says("Text of the error that ended it"))
    waiting_reason: str | None = field(metadata=says("What it waits for"))
    waiting_since: int | None = field(metadata=says("Since when it waits, in ms since the epoch"))
    count: int = field(metadata=says("Tool executions with an outcome: success + error"))
    success: int = field(metadata=says("Tool executions that succeeded"))
    error: int = field(metadata=says("Tool executions that failed"))
    interrupted: int = field(metadata=says("Tool executions that were interrupted or never ran; they are not in count"))
    success_rate: float | None = field(metadata=says("success / (success + error) of tools, from 0 to 1"))
    tokens: int = field(metadata=says("Tokens of all kinds"))
    steps: list[StepView] = field(metadata=says("Steps of the workflow, in its order"))
    parent: str | None = field(metadata=says("Run that started this one"))
    source: str | None = field(metadata=says("How it was recorded: python, shell, an integration"))
    project: str | None = field(metadata=says("Project, as a label or the task of its start tells it"))
    host: str | None = field(metadata=says("Machine"))
    pid: int | None = field(metadata=says("Process, on its machine"))
    cwd: str | None = field(metadata=says("Folder in which it began"))
    labels: dict[str, str] = field(metadata=says("Labels that its start was given"))
    tmux_pane: str | None = field(metadata=says("tmux pane, such as %3"))
    command: str | None = field(metadata=says("Shell command that brings one to that pane"))
    messages: dict[str, int] = field(metadata=says("Messages by role"))
    about: AboutView | None = field(metadata=says("What its session told about itself; none where it has none"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketView:
    """One bar of a histogram."""

    from_ms: float = field(metadata=says("The durations are longer than this, in ms"))
    to_ms: float = field(metadata=says("The durations are at most this, in ms"))
    count: int = field(metadata=says("How many durations"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentToolView(ToolView):
    """Executions of one tool by one agent."""

    histogram: list[BucketView] = field(metadata=says("The measured durations, as bars side by side"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """One error that came with a text."""

    time: int | None = field(metadata=says("When, in ms since the epoch"))
    message: str = field(metadata=says("The text"))
    tool: str | None = field(metadata=says("The tool that failed; none for an error of the agent itself"))
    run: str | None = field(metadata=says("The run"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDetail:
    """Everything about one agent."""

    agent_id: str = field(metadata=says("The agent"))
    agent: AgentView = field(metadata=says("Its figures"))
    runs: list[RunView] = field(metadata=says("Its runs that the file holds, newest first"))
    tools: dict[str, AgentToolView] = field(metadata=says("Its executions by tool, most executions first"))
    models: dict[str, UsageView] = field(metadata=says("Its model calls by model, most tokens first"))
    phases: dict[str, UsageView] = field(metadata=says("Its model calls by phase of the work, most tokens first"))
    messages: dict[str, int] = field(metadata=says("Messages by role"))
    errors: list[ErrorView] = field(metadata=says("Its latest errors, newest first"))
    recent_logs: list[LogView] = field(metadata=says("Its entries among the latest of the log, newest last"))
    parent_agent: str | None = field(metadata=says("Agent that started the latest run"))
    children: list[str] = field(metadata=says("Agents whose latest run it started"))
    labels: dict[str, str] = field(metadata=says("Labels of the latest run"))
    spec: Any = field(metadata=says("What the latest run's start told about its task; none if nothing"))
    now: int = field(metadata=says("Time of this answer, in ms since the epoch, on the clock of the hub"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionView:
    """One tool execution."""

    start: int = field(metadata=says("When it began, in ms since the epoch; its end where no duration is known"))
    duration_ms: float | None = field(metadata=says("How long it took, in ms"))
    tool: str = field(metadata=says("The tool"))
    status: str = field(metadata=says("Status in the words of whoever recorded it"))
    outcome: str = field(metadata=says("success, error or interrupted"))
    message: str | None = field(metadata=says("Text of the error"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """One run with its single tool executions, as far as the dashboard saw them."""

    run: RunView = field(metadata=says("The run"))
    executions: list[ExecutionView] = field(metadata=says("Its latest executions, by their start"))
    let_go: int = field(metadata=says("How many further executions were counted that are not in the list"))
    seen_since: int | None = field(metadata=says("From when on the dashboard saw single executions, in ms since the epoch"))
    now: int = field(metadata=says("Time of this answer, in ms since the epoch, on the clock of the hub"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityView:
    """What all agents did in the slices of a span of time. Nothing is known before known_from: there it is null."""

    from_: int = field(metadata=says("Begin of the first slice, in ms since the epoch"))
    to: int = field(metadata=says("End of the span, in ms since the epoch; the last slice may end later"))
    step: int = field(metadata=says("Length of a slice, in ms"))
    source: str = field(metadata=says("memory, file, history (before what the file has) or none: where the figures are from"))
    known_from: int | None = field(metadata=says("From when on there are figures, in ms since the epoch"))
    note: str | None = field(metadata=says("What is not known, in a sentence"))
    times: list[int] = field(metadata=says("Begin of each slice, in ms since the epoch"))
    success: list[int | None] = field(metadata=says("Tool executions that succeeded, by slice"))
    error: list[int | None] = field(metadata=says("Tool executions that failed, by slice"))
    interrupted: list[int | None] = field(metadata=says("Tool executions that were interrupted or never ran, by slice"))
    requests: list[int | None] = field(metadata=says("Model calls, by slice"))
    tokens: list[int | None] = field(metadata=says("Tokens of all kinds, by slice"))
    cost_micros: list[int | None] = field(
        metadata=says("Reported and computed cost in millionths of a dollar, by slice; null where no cost is known")
    )
    unpriced_requests: list[int | None] = field(metadata=says("Model calls whose cost is not known, by slice"))
    unpriced_models: list[str] = field(metadata=says("Models of the calls whose cost is not known, of all slices"))


def as_json(view: Any) -> Any:
    """A view as plain dictionaries, lists and values: ``avg_duration_ms`` becomes ``avg-duration-ms``.

    An underscore at the end is dropped: ``global`` without it is a word of Python. The keys of dictionaries,
    names of agents and tools, stay as they are. A field that may hold anything is JSON as it is, and not copied.
    """
    kind = type(view)
    if kind is dict:
        return {key: value if type(value) in _VALUES else as_json(value) for key, value in view.items()}
    if kind is list:
        return [value if type(value) in _VALUES else as_json(value) for value in view]
    columns = _COLUMNS.get(kind)
    if columns is None:
        if not is_dataclass(view):
            return view
        columns = _COLUMNS[kind] = [(each.name, json_name(each.name), each.type == "Any") for each in fields(view)]
    return {
        key: value if type(value := getattr(view, name)) in _VALUES or is_anything else as_json(value)
        for name, key, is_anything in columns
    }


_VALUES = frozenset({str, int, float, bool, type(None)})

_COLUMNS: dict[type, list[tuple[str, str, bool]]] = {}
"""The fields of the classes of views that were seen: to ask a class each time takes longer than all the rest."""


def json_name(field_name: str) -> str:
    """The JSON key of a field of a view."""
    return field_name.rstrip("_").replace("_", "-")


def help_texts(view: Any) -> dict[str, str]:
    """The help of each field of a view, or of a class of views, by the name of the field."""
    return {each.name: each.metadata["help"] for each in fields(view)}
