"""What the history knows of sessions, and of agents that left the live figures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from pyjama_metrics import histogram, settings
from pyjama_metrics.history import price_changes
from pyjama_metrics.ledger import cost_of
from pyjama_metrics.ledger_rows import RowKey
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.run_figures import RunFigures
from pyjama_metrics.session_metrics import SessionMetrics, Sum, metrics_of
from pyjama_metrics.shares import NO_SHARE, Share
from pyjama_metrics.storage.history.reading import Reader, TallyRow, UsageRow, Whose, opened

_DAY_MS = 86_400_000
_EVER = 2**62
"""After all times, in ms since the epoch."""
RunKey = tuple[str, str]
"""An agent, and a run of it."""


class PastRun(NamedTuple):
    """A run of a session as the history knows it.

    Attributes:
        session: to which it counts.
        key: which it is.
        figures: None where they were not asked for.
    """

    session: str
    key: RunKey
    figures: RunFigures | None


def runs_of_sessions(
    sessions: Sequence[str], known: Collection[RunKey], *, folder: str | None = None, overrides: Overrides | None = None
) -> tuple[PastRun, ...]:
    """The runs that belong to some sessions. Raises HistoryUnusable.

    Args:
        sessions: their ids.
        known: runs of which the caller has the figures.
        folder: the hub's.
        overrides: prices of one's own.
    """
    with opened(settings.home() if folder is None else folder) as reader:
        if reader is None:
            return ()
        found = []
        for row in reader.runs_of_sessions(sessions):
            key, session = (row[2], row[1]), row[-4]
            found.append(PastRun(session, key, None if key in known else _figures(reader, row, overrides)))
        return tuple(found)


def agent_metrics(agent: str, *, folder: str | None = None, overrides: Overrides | None = None) -> SessionMetrics | None:
    """The answer for an agent from the history alone; None where it does not know the agent. Raises HistoryUnusable."""
    with opened(settings.home() if folder is None else folder) as reader:
        if reader is None:
            return None
        runs, start, seen, user, assistant = reader.runs_counted(agent)
        tools = reader.tallies_by_tool(0, _EVER, agent)
        whose, cuts = Whose(agent), price_changes(reader.models(0, _EVER), 0, _EVER)
        usages = reader.usages_by(0, _EVER, "model", whose, cuts)
        if not (runs or tools or usages):
            return None
        whole = reader.tallies(0, _EVER, _EVER, whose, durations=True)
        latest: tuple[Any, ...] | None = next(iter(reader.latest_runs(0, _EVER, {"agent": agent}, 1)), None)
        end = None if latest is None else latest[11] or latest[14]
        return metrics_of(
            agent,
            Sum(
                _by_tool(tools),
                sum(row.timed for row in whole),
                sum(row.total_us for row in whole),
                _merged(whole),
                None if user is None or assistant is None else {"user": user, "assistant": assistant},
                _share(usages, overrides),
            ),
            facts={},
            source=None if latest is None else latest[5],
            status="unknown" if latest is None else latest[12] or "unknown",
            waiting_reason=None,
            start_time=start,
            last_seen=seen,
            duration=None if start is None or end is None else float(max(0, end - start)),
            agent=agent,
            project=None if latest is None else latest[6],
            runs=runs,
            subagents=[],
            note=None,
        )


def _figures(reader: Reader, row: tuple[Any, ...], overrides: Overrides | None) -> RunFigures:
    number, run, agent, parent, _, source, project, _, _, _, started, ended, outcome, _, last_seen = row[:15]
    session, subagent, user, assistant = row[-4:]
    tools = reader.tools_of(number)
    cuts = price_changes(reader.models_of_run(number), 0, _EVER)
    timed = sum(tool.timed for tool in tools)
    return RunFigures(
        agent=agent,
        run=run,
        session=session,
        subagent=subagent,
        parent=parent,
        status=outcome or "unknown",
        started=started,
        ended=ended,
        last_seen=last_seen,
        source=source,
        project=project,
        waiting_reason=None,
        tools=_by_tool(tools),
        timed=timed,
        total_us=sum(tool.total_us for tool in tools),
        durations=None if timed else histogram.empty(),
        messages=None if user is None or assistant is None else {"user": user, "assistant": assistant},
        share=_share(reader.usages_of_run(number, "phase", cuts), overrides),
        facts={},
    )


def _by_tool(rows: Iterable[TallyRow]) -> dict[str, tuple[int, int, int]]:
    return {row.group: (row.success, row.error, row.interrupted) for row in rows}


def _merged(rows: Iterable[TallyRow]) -> histogram.Histogram:
    whole = histogram.empty()
    for row in rows:
        if row.durations is not None:
            histogram.merge(whole, row.durations)
    return whole


def _share(rows: Sequence[UsageRow], overrides: Overrides | None) -> Share:
    if not rows:
        return NO_SHARE
    priced = [(RowKey(row.begin // _DAY_MS, row.band, row.kind, row.model), row.sums) for row in rows]
    return Share(tuple(map(sum, zip(*(row.sums for row in rows), strict=True))), cost_of(priced, overrides))
