"""What one run did, in figures that may be added up, wherever they are from: the state, or the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyjama_metrics.about_sessions import Facts, facts_of
from pyjama_metrics.event_fields import label_of, project_of
from pyjama_metrics.histogram import Histogram, empty
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.retention import OTHER_TOOLS
from pyjama_metrics.shares import Share, share_in
from pyjama_metrics.state import RUN_TOOL
from pyjama_metrics.state_fields import Table, count, counts_in, counts_of, lists, positive, table_of, tables, text
from pyjama_metrics.tallies import histogram_of

SUCCESS, ERROR, INTERRUPTED = range(len(RUN_TOOL))
Tools = Mapping[str, tuple[int, int, int]]
"""Executions by tool: those that succeeded, failed, and were stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """One run.

    Attributes:
        agent, run: whose, and which.
        session: the session to which it counts.
        subagent: what kind of subagent it is; None for the session itself, and for what another program started.
        parent: the run that started it.
        status: as of a run of the state.
        started, ended, last_seen: in ms since the epoch; not ended while it is open, or where nobody knows.
        source, project: as its start told.
        waiting_reason: what it waits for.
        tools: its executions.
        timed, total_us: how many of them were timed, and their durations together.
        durations: of all that were timed; None where they are not known one by one.
        messages: by role; None where they were not counted.
        share: its model calls.
        facts: what its session told about itself.
    """

    agent: str
    run: str
    session: str | None
    subagent: str | None
    parent: str | None
    status: str
    started: int | None
    ended: int | None
    last_seen: int | None
    source: str | None
    project: str | None
    waiting_reason: str | None
    tools: Tools
    timed: int
    total_us: int
    durations: Histogram | None
    messages: Mapping[str, int] | None
    share: Share
    facts: Facts


def figures_of(agent_id: str, run_id: str, run: Table, overrides: Overrides | None = None) -> RunFigures:
    """The figures of a run of the state; ``overrides`` are prices of the user's own."""
    origin, tally = table_of(run, "origin"), table_of(run, "tally")
    timed, durations = count(tally, "timed"), histogram_of(table_of(run, "histogram"))
    status = text(run, "status") or "unknown"
    if durations is None and not timed:
        durations = empty()
    return RunFigures(
        agent=agent_id,
        run=run_id,
        session=label_of(origin, "session"),
        subagent=label_of(origin, "subagent"),
        parent=text(origin, "parent"),
        status=status,
        started=positive(run, "start-time"),
        ended=positive(run, "end-time"),
        last_seen=positive(run, "last-seen"),
        source=text(origin, "source"),
        project=project_of(origin) or None,
        waiting_reason=text(run, "waiting-reason") if status == "waiting" else None,
        tools=with_others({name: tuple(counts_of(row, len(RUN_TOOL))) for name, row in lists(run, "tools")}, tally),
        timed=timed,
        total_us=count(tally, "total-us"),
        durations=durations if durations is not None and durations["n"] == timed else None,
        messages=counts_in(table_of(run, "messages")),
        share=share_in(run, overrides),
        facts=facts_of(run),
    )


def with_others(tools: dict[str, Any], tally: Table) -> Tools:
    """Executions by tool, with those of which the tool is not told: an older version did not, and beyond a limit nobody does."""
    missing = [max(0, count(tally, kind) - sum(row[place] for row in tools.values())) for place, kind in enumerate(RUN_TOOL)]
    if any(missing):
        others = tools.get(OTHER_TOOLS, (0,) * len(RUN_TOOL))
        tools = {**tools, OTHER_TOOLS: tuple(map(sum, zip(others, missing, strict=True)))}
    return tools


def runs_of_sessions(state: Table, overrides: Overrides | None = None) -> dict[str, list[RunFigures]]:
    """The runs of the state that belong to a session, by its id.

    A run belongs to the session that its start names, or else to that of the run that started it. One whose parent has left, and
    that names none itself, belongs to none that the state knows.
    """
    runs = [(agent_id, run_id, run) for agent_id, agent in tables(state, "agents") for run_id, run in tables(agent, "runs")]
    origins = {run_id: table_of(run, "origin") for _, run_id, run in runs}
    told = {run_id: session for run_id, origin in origins.items() if (session := label_of(origin, "session")) is not None}
    found: dict[str, list[RunFigures]] = {}
    for agent_id, run_id, run in runs:
        session = label_of(table_of(run, "origin"), "session") or _inherited(run_id, told, origins)
        if session is not None:
            found.setdefault(session, []).append(figures_of(agent_id, run_id, run, overrides))
    return found


def _inherited(run_id: str, told: Mapping[str, str], origins: Mapping[str, Table]) -> str | None:
    passed = set[str]()
    above: str | None = run_id
    while above is not None and above in origins and above not in passed:
        if above in told:
            return told[above]
        passed.add(above)
        above = text(origins[above], "parent")
    return None
