"""Sums out of the database, for the questions of `pyjama_metrics.history`. Nothing here writes, or waits for who does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from pyjama_metrics.errors import HistoryUnusable
from pyjama_metrics.histogram import Histogram
from pyjama_metrics.storage.history import THE_BEGINNING, schema, upkeep
from pyjama_metrics.storage.history.blobs import histogram_of
from pyjama_metrics.storage.history.corrections_table import CorrectionRow, corrections_of
from pyjama_metrics.storage.history.schema import SUMS as USAGE
from pyjama_metrics.usages import COMPUTED, REPORTED

_TALLIES = "sum(success), sum(error), sum(interrupted), sum(timed), sum(total_us), min(least_ns), max(most_ns)"
_USAGES = ", ".join(f"sum({name})" for name in USAGE.split(", "))
_WITH_RUNS = "usage LEFT JOIN runs ON runs.id = usage.run"
_AGENTS = "SELECT id FROM names"
"""Among these are all agents: their rows are found by number, as an index by time would take more room than it saves."""
_RUN = (
    "runs.id, run, who.text, parent, parent_agent, source, what.text, label, task, host, started, ended, outcome, error,"
    " last_seen, success, errors, interrupted"
)
_RUNS = f"SELECT {_RUN} FROM runs JOIN names who ON who.id = runs.agent LEFT JOIN names what ON what.id = runs.project"


_SESSION_RUNS = (
    f"SELECT {_RUN}, session, subagent, user_messages, assistant_messages FROM runs JOIN names who ON who.id = runs.agent"
    " LEFT JOIN names what ON what.id = runs.project"
)
_MOST_VALUES = 500
"""In one query; SQLite takes some more."""


_BY = {
    "agent": "usage.agent",
    "model": "usage.model",
    "phase": "usage.phase",
    "tool": "usage.tool",
    "run": "usage.run",
    "project": "coalesce(runs.project, 0)",
    "host": "coalesce(runs.host, '')",
}
"""What model calls are grouped by."""
_RUN_TALLIES = (
    "sum(run_tools.success), sum(run_tools.error), sum(run_tools.interrupted), sum(timed), sum(total_us), NULL, NULL, NULL"
)
_RUNS_WITH_TOOLS = "run_tools JOIN runs ON runs.id = run_tools.run"


class Whose(NamedTuple):
    """Whose sums are asked for; None stands for everybody's. The empty project is that of runs without one."""

    agent: str | None = None
    project: str | None = None


ANYBODY = Whose()


class TallyRow(NamedTuple):
    """Executions of one group; the histogram is None where it was not asked for."""

    group: Any
    success: int
    error: int
    interrupted: int
    timed: int
    total_us: int
    durations: Histogram | None


class UsageRow(NamedTuple):
    """Model calls of one group that have one price: of one model, band, kind and time."""

    group: Any
    begin: int
    model: str
    band: int
    kind: str
    sums: list[int]
    """In the order of `pyjama_metrics.ledger_rows.COLUMNS`."""


@contextmanager
def opened(folder: str) -> Iterator[Reader | None]:
    """The history of the hub in a folder; None where there is none. All answers are of one moment. Raises HistoryUnusable."""
    try:
        connection = schema.open_to_read(folder)
        if connection is None:
            yield None
            return
        try:
            connection.execute("BEGIN")
            yield Reader(connection)
        finally:
            connection.close()
    except (sqlite3.Error, schema.TooNew) as error:
        raise HistoryUnusable(schema.path_of(folder), str(error)) from error


class Reader:
    """The answers of the database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def number(self, text: str) -> int:
        """The number of an agent's name; one that no row has where it is not known."""
        row = self._connection.execute("SELECT id FROM names WHERE text = ?", (text,)).fetchone()
        return -2 if row is None else int(row[0])

    def first(self) -> int | None:
        """The hour in which the first of what is kept happened; None where nothing is."""
        first = [
            self._connection.execute(f"SELECT min(begin) FROM {table} WHERE agent = ?", (schema.ALL_BY_HOUR,)).fetchone()[0]
            for table in ("totals", "usage_totals")
        ]
        return min((begin for begin in first if begin is not None), default=None)

    def _whose(self, agent: str | None, since: int, step: int) -> int:
        if agent is not None:
            return self.number(agent)
        return schema.ALL if since % schema.HOUR_MS or step % schema.HOUR_MS else schema.ALL_BY_HOUR

    def _runs_of(self, whose: Whose) -> tuple[str, tuple[int, ...]]:
        """A condition on runs, and its values."""
        conditions, values = "", list[int]()
        if whose.agent is not None:
            conditions += " AND runs.agent = ?"
            values.append(self.number(whose.agent))
        if whose.project is not None:
            conditions += " AND coalesce(runs.project, 0) = ?"
            values.append(self.number(whose.project) if whose.project else 0)
        return conditions, tuple(values)

    def tallies(self, since: int, until: int, step: int, whose: Whose, *, durations: bool) -> list[TallyRow]:
        """Executions in steps of equal length from ``since`` on; the group is the number of the step.

        Those of one project are known by run only: they count, without quantiles, where their run began.
        """
        if whose.project is not None:
            conditions, values = self._runs_of(whose)
            return _tally_rows(
                self._connection.execute(
                    f"SELECT (started - ?) / ?, {_RUN_TALLIES} FROM {_RUNS_WITH_TOOLS} WHERE started >= ? AND started < ?"
                    f"{conditions} GROUP BY 1",
                    (since, step, since, until, *values),
                ),
                False,
            )
        agent = whose.agent
        merge = "merge(buckets)" if durations else "NULL"
        rows = self._connection.execute(
            f"SELECT (begin - ?) / ?, {_TALLIES}, {merge} FROM totals WHERE agent = ? AND begin >= ? AND begin < ? GROUP BY 1",
            (since, step, self._whose(agent, since, step), since, until),
        )
        return _tally_rows(rows, durations)

    def tallies_by_agent(self, since: int, until: int, agent: str | None) -> list[TallyRow]:
        """Executions of a span by the name of their agent."""
        agents, values = (_AGENTS, ()) if agent is None else ("?", (self.number(agent),))
        rows = self._connection.execute(
            f"SELECT text, {_TALLIES}, NULL FROM totals JOIN names ON names.id = agent"
            f" WHERE agent IN ({agents}) AND begin >= ? AND begin < ? GROUP BY agent",
            (*values, since, until),
        )
        return _tally_rows(rows, False)

    def tallies_by_tool(self, since: int, until: int, agent: str | None) -> list[TallyRow]:
        """Executions of a span by the name of their tool; an hour of those that are kept by the hour counts where it begins."""
        whose, values = ("", ()) if agent is None else (" AND agent = ?", (self.number(agent),))
        columns = "tool, success, error, interrupted, timed, total_us, least_ns, most_ns"
        where = f"begin >= ? AND begin < ?{whose}"
        slices = f"SELECT {columns} FROM minutes WHERE {where} UNION ALL SELECT {columns} FROM hours WHERE {where}"
        # The names of the few sums, and not of the many rows.
        rows = self._connection.execute(
            f"SELECT (SELECT text FROM names WHERE id = tool), {_TALLIES}, NULL FROM ({slices}) GROUP BY tool",
            (since, until, *values) * 2,
        )
        return _tally_rows(rows, False)

    def tallies_of_runs(self, since: int, until: int, by: str, whose: Whose) -> list[TallyRow]:
        """Executions of the runs that began in a span, by ``agent``, ``tool``, ``project`` or ``host``."""
        conditions, values = self._runs_of(whose)
        column = {"tool": "run_tools.tool", "agent": "runs.agent"}.get(by) or _BY[by]
        rows = self._connection.execute(
            f"SELECT {_named(by, column)}, {_RUN_TALLIES} FROM {_RUNS_WITH_TOOLS} WHERE started >= ? AND started < ?"
            f"{conditions} GROUP BY {column}",
            (since, until, *values),
        )
        return _tally_rows(rows, False)

    def tools_of(self, run: int) -> list[TallyRow]:
        """Executions of a run by tool."""
        rows = self._connection.execute(
            "SELECT text, success, error, interrupted, timed, total_us, NULL, NULL, NULL FROM run_tools"
            " JOIN names ON names.id = tool WHERE run = ? ORDER BY text",
            (run,),
        )
        return _tally_rows(rows, False)

    def offsets(self) -> dict[str, int]:
        """How far each journal is in the database, in bytes."""
        return dict(self._connection.execute("SELECT journal, offset FROM offsets"))

    def complete_from(self) -> int:
        """From when on everything is known: the rest was forgotten, or is from before the history began; 0 where that is all."""
        horizon, began = upkeep.meta(self._connection, "horizon"), upkeep.meta(self._connection, "began")
        return max(horizon, 0 if began == THE_BEGINNING else began)

    def models(self, since: int, until: int) -> list[str]:
        """The models that were used in a span."""
        return self._texts("usage_totals WHERE agent = 0 AND begin >= ? AND begin < ?", "model", (since, until))

    def corrections(self, run: int) -> list[CorrectionRow]:
        """How people corrected what a run is counted as having used."""
        return corrections_of(self._connection, run)

    def models_of_run(self, run: int) -> list[str]:
        """The models that a run used."""
        return self._texts("usage WHERE run = ?", "model", (run,))

    def _texts(self, source: str, column: str, values: tuple[int, ...]) -> list[str]:
        rows = self._connection.execute(f"SELECT text FROM names WHERE id IN (SELECT DISTINCT {column} FROM {source})", values)
        return [text for (text,) in rows]

    def usages(self, since: int, until: int, step: int, whose: Whose) -> list[UsageRow]:
        """Model calls in steps of equal length from ``since`` on; the group is the number of the step."""
        at = f"(begin - {since}) / {step}"
        if whose.project is not None:
            conditions, values = self._runs_of_usage(whose)
            return self._usages(_WITH_RUNS, at, at, f"begin >= ? AND begin < ?{conditions}", (since, until, *values))
        agent = self._whose(whose.agent, since, step)
        return self._usages("usage_totals usage", at, at, "agent = ? AND begin >= ? AND begin < ?", (agent, since, until))

    def _runs_of_usage(self, whose: Whose) -> tuple[str, tuple[int, ...]]:
        conditions, values = self._runs_of(whose)
        return conditions.replace("runs.agent", "usage.agent"), values

    def usages_by(self, since: int, until: int, by: str, whose: Whose, cuts: Sequence[int]) -> list[UsageRow]:
        """Model calls of a span by one thing, and by the times at which prices change.

        The group is a name, "" where there is none; for ``run`` it is the run's number, 0 where there is none.
        """
        column, span = _BY[by], "begin >= ? AND begin < ?"
        group, keys = _named(by, column), f"{column}, {_period(cuts)}"
        if whose.project is None and by in ("agent", "model"):
            # What is kept by agent and model is a fraction of what is kept by run, phase and tool as well.
            agents, values = _AGENTS, tuple[int, ...]()
            if whose.agent is not None:
                agents, values = "?", (self.number(whose.agent),)
            elif by == "model":
                agents, values = "?", (self._whose(None, since, until - since),)
            return self._usages("usage_totals usage", group, keys, f"agent IN ({agents}) AND {span}", (*values, since, until))
        conditions, values = self._runs_of_usage(whose)
        return self._usages(_WITH_RUNS, group, keys, f"{span}{conditions}", (since, until, *values))

    def usages_of_run(self, run: int, by: str, cuts: Sequence[int]) -> list[UsageRow]:
        """Model calls of a run by ``phase`` or ``tool``, and by the times at which prices change."""
        what = f"(SELECT text FROM names WHERE id = {by})"
        return self._usages("usage", what, f"{by}, {_period(cuts)}", "run = ?", (run,))

    def _usages(self, table: str, group: str, by: str, where: str, values: Sequence[int]) -> list[UsageRow]:
        rows = self._connection.execute(
            f"SELECT part.*, text FROM (SELECT {group}, min(begin), usage.model, band, kind, {_USAGES} FROM {table} WHERE {where}"
            f" GROUP BY {by}, usage.model, band, kind) part JOIN names ON names.id = part.model",
            values,
        )
        kinds = COMPUTED, REPORTED
        return [UsageRow(what, begin, text, band, kinds[kind], sums) for what, begin, _, band, kind, *sums, text in rows]

    def runs(self, name: str) -> list[tuple[Any, ...]]:
        """The runs of that name; more than one only where two agents have used it."""
        return self._connection.execute(f"{_RUNS} WHERE run = ?", (name,)).fetchall()

    def runs_of_sessions(self, sessions: Sequence[str]) -> list[tuple[Any, ...]]:
        """The runs of some sessions and those below them, however deep: a run as from `runs`, with what else is known of it.

        That is the session to which it counts, its own label of a subagent, and its messages of users and of assistants (None
        where nobody counted them). A run of another session is not below, and neither is anything below that.
        """
        found = {}
        for chunk in _chunks(sessions):
            rows = self._connection.execute(f"{_SESSION_RUNS} WHERE session IN ({_places(chunk)})", chunk).fetchall()
            found.update({row[0]: row for row in rows})
        fresh = {row[1]: row[-4] for row in found.values()}
        while fresh:
            below = {}
            for chunk in _chunks(list(fresh)):
                query = f"{_SESSION_RUNS} WHERE session IS NULL AND parent IN ({_places(chunk)})"
                for row in self._connection.execute(query, chunk).fetchall():
                    if row[0] not in found:
                        found[row[0]] = (*row[:-4], fresh[row[3]], *row[-3:])
                        below[row[1]] = fresh[row[3]]
            fresh = below
        return list(found.values())

    def runs_counted(self, agent: str) -> tuple[Any, ...]:
        """Of the runs of an agent: how many, the first start, the latest event, messages of users and of assistants (None where
        those of one of them were not counted).
        """
        query = (
            "SELECT count(*), min(started), max(last_seen),"
            " CASE WHEN count(user_messages) = count(*) THEN sum(user_messages) END,"
            " CASE WHEN count(assistant_messages) = count(*) THEN sum(assistant_messages) END FROM runs WHERE agent = ?"
        )
        return tuple(self._connection.execute(query, (self.number(agent),)).fetchone())

    def latest_runs(self, since: int, until: int, filters: dict[str, str], limit: int) -> list[tuple[Any, ...]]:
        """The runs that were there in a span, the latest first; by agent, project ("": of none) or outcome where asked for."""
        columns = {"agent": "who.text", "project": "coalesce(what.text, '')", "outcome": "outcome"}
        more = "".join(f" AND {columns[key]} = ?" for key in filters)
        return self._connection.execute(
            f"{_RUNS} WHERE last_seen >= ? AND coalesce(started, last_seen) < ?{more}"
            " ORDER BY coalesce(started, last_seen) DESC LIMIT ?",
            (since, until, *filters.values(), limit),
        ).fetchall()

    def runs_by(self, since: int, until: int, by: str, whose: Whose) -> dict[str, int]:
        """How many runs began in a span, by ``agent``, ``project`` or ``host``."""
        conditions, values = self._runs_of(whose)
        column = "runs.agent" if by == "agent" else _BY[by]
        return dict(
            self._connection.execute(
                f"SELECT {_named(by, column)}, count(*) FROM runs WHERE started >= ? AND started < ?{conditions}"
                f" GROUP BY {column}",
                (since, until, *values),
            )
        )

    def runs_begun(self, since: int, until: int, step: int, whose: Whose) -> dict[int, int]:
        """How many runs began in steps of equal length from ``since`` on, by the number of the step."""
        conditions, values = self._runs_of(whose)
        return dict(
            self._connection.execute(
                f"SELECT (started - ?) / ?, count(*) FROM runs WHERE started >= ? AND started < ?{conditions} GROUP BY 1",
                (since, step, since, until, *values),
            )
        )

    def runs_there(self, since: int, until: int, whose: Whose) -> list[tuple[Any, ...]]:
        """The runs that were there in a span or to which a model call in it is charged, the latest first."""
        conditions, values = self._runs_of(whose)
        charged = "SELECT run FROM usage WHERE begin >= ? AND begin < ?"
        return self._connection.execute(
            f"{_RUNS} WHERE (last_seen >= ? AND coalesce(started, last_seen) < ? OR runs.id IN ({charged})){conditions}"
            " ORDER BY coalesce(started, last_seen) DESC, runs.id DESC",
            (since, until, since, until, *values),
        ).fetchall()


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + _MOST_VALUES] for start in range(0, len(values), _MOST_VALUES))


def _places(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _named(by: str, column: str) -> str:
    """An expression for the name of what a column has as a number."""
    if by in ("run", "host"):
        return column
    return f"coalesce((SELECT text FROM names WHERE id = {column}), '')"


def _period(cuts: Sequence[int]) -> str:
    """An expression that tells times between which a price changed."""
    return " + ".join(f"(begin >= {cut})" for cut in cuts) or "1 + 0"


def _tally_rows(rows: sqlite3.Cursor, durations: bool) -> list[TallyRow]:
    found = []
    for group, success, error, interrupted, timed, total_us, least, most, blob in rows:
        measured = histogram_of(timed, total_us, least, most, blob) if durations else None
        found.append(TallyRow(group, success, error, interrupted, timed, total_us, measured))
    return found
