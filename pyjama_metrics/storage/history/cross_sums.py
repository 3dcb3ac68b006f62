"""The same sums from each of the places where the history has them, for whoever checks that they agree."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyjama_metrics.errors import HistoryUnusable
from pyjama_metrics.storage.history import schema
from pyjama_metrics.storage.history.schema import ALL, ALL_BY_HOUR, HOUR_MS, QUARTER_MS, SUMS
from pyjama_metrics.storage.history.upkeep import meta
from pyjama_metrics.usages import COMPUTED, REPORTED

Sums = dict[tuple[Any, ...], tuple[int, ...]]
"""Counts by what they have in common, of which the first is the begin of a slice of time in ms since the epoch."""

_USAGES = ", ".join(f"sum({name})" for name in SUMS.split(", "))
_TALLIES = "sum(success), sum(error), sum(interrupted), sum(timed)"
_KINDS = COMPUTED, REPORTED


@dataclass(frozen=True, slots=True)
class CrossSums:
    """What the history holds, of one moment.

    Attributes:
        since: what happened before, in ms since the epoch, is not whole: it was forgotten, or the history did not exist yet.
        began: when the history was begun or cleared, in ms since the epoch; 1 where it began with the hub.
        calls: model calls by (hour, band, kind, model), in the order of `pyjama_metrics.ledger_rows.COLUMNS`: run by run, by
            agent, of all, and of all by the hour.
        calls_of_quarters: those of all by (quarter of an hour, band, kind, model).
        executions: success, error, interrupted and timed by (hour,): tool by tool, by agent, of all, and of all by the hour.
        executions_of_quarters: those of all by (quarter of an hour,).
        differing_runs: the runs whose executions are not those of their tools.
        runs: how many were looked at.
    """

    since: int
    began: int
    calls: dict[str, Sums]
    calls_of_quarters: Sums
    executions: dict[str, Sums]
    executions_of_quarters: Sums
    differing_runs: tuple[str, ...]
    runs: int


def cross_sums(folder: str) -> CrossSums | None:
    """What the history of the hub in a folder holds; None where there is none. Raises HistoryUnusable."""
    try:
        connection = schema.open_to_read(folder)
        if connection is None:
            return None
        try:
            connection.execute("BEGIN")
            return _of(connection)
        finally:
            connection.close()
    except (sqlite3.Error, schema.TooNew) as error:
        raise HistoryUnusable(schema.path_of(folder), str(error)) from error


def _of(connection: sqlite3.Connection) -> CrossSums:
    # What is older may be half forgotten: that is done step by step.
    horizon = meta(connection, "horizon")

    def calls(table: str, where: str = "1", step: int = HOUR_MS) -> Sums:
        rows = connection.execute(
            f"SELECT begin - begin % {step}, band, kind, (SELECT text FROM names WHERE id = model), {_USAGES} FROM {table}"
            f" WHERE begin >= ? AND {where} GROUP BY 1, 2, 3, 4",
            (horizon,),
        )
        return {(begin, band, _KINDS[kind], model or ""): tuple(sums) for begin, band, kind, model, *sums in rows if any(sums)}

    def executions(table: str, where: str = "1", step: int = HOUR_MS) -> Sums:
        rows = connection.execute(
            f"SELECT begin - begin % {step}, {_TALLIES} FROM {table} WHERE begin >= ? AND {where} GROUP BY 1", (horizon,)
        )
        return {(begin,): tuple(sums) for begin, *sums in rows if any(sums)}

    slices = "(SELECT * FROM minutes UNION ALL SELECT * FROM hours)"
    return CrossSums(
        since=max(horizon, meta(connection, "began")),
        began=meta(connection, "began"),
        calls={
            "run by run": calls("usage"),
            "by agent": calls("usage_totals", "agent > 0"),
            "of all": calls("usage_totals", f"agent = {ALL}"),
            "of all by the hour": calls("usage_totals", f"agent = {ALL_BY_HOUR}"),
        },
        calls_of_quarters=calls("usage_totals", f"agent = {ALL}", QUARTER_MS),
        executions={
            "tool by tool": executions(slices),
            "by agent": executions("totals", "agent > 0"),
            "of all": executions("totals", f"agent = {ALL}"),
            "of all by the hour": executions("totals", f"agent = {ALL_BY_HOUR}"),
        },
        executions_of_quarters=executions("totals", f"agent = {ALL}", QUARTER_MS),
        differing_runs=tuple(_differing(connection)),
        runs=connection.execute("SELECT count(*) FROM runs").fetchone()[0],
    )


def _differing(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        "SELECT run FROM runs LEFT JOIN (SELECT run AS id, sum(success) AS s, sum(error) AS e, sum(interrupted) AS i"
        " FROM run_tools GROUP BY run) USING (id)"
        " WHERE (success, errors, interrupted) IS NOT (coalesce(s, 0), coalesce(e, 0), coalesce(i, 0))"
    )
    for (run,) in rows:
        yield run
