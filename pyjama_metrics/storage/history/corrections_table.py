"""What the history counts of one run's model calls, row by row, and how people corrected that."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from pyjama_metrics.corrections import Row
from pyjama_metrics.errors import HistoryUnusable
from pyjama_metrics.ledger_rows import CORRECTIONS
from pyjama_metrics.storage.history import schema
from pyjama_metrics.storage.history.schema import SUMS
from pyjama_metrics.usages import COMPUTED, REPORTED


class KnownRun(NamedTuple):
    """A run, and what its calls are counted as."""

    agent: str
    last_seen: int
    rows: tuple[Row, ...]


def known_runs(folder: str, run: str) -> list[KnownRun]:
    """The runs of that name, one for each agent that has used it. Raises HistoryUnusable."""
    try:
        connection = schema.open_to_read(folder)
        if connection is None:
            return []
        try:
            connection.execute("BEGIN")
            found = connection.execute(
                "SELECT runs.id, text, last_seen FROM runs JOIN names ON names.id = agent WHERE run = ? ORDER BY text", (run,)
            ).fetchall()
            return [KnownRun(agent, last_seen, _rows(connection, number)) for number, agent, last_seen in found]
        finally:
            connection.close()
    except (sqlite3.Error, schema.TooNew) as error:
        raise HistoryUnusable(schema.path_of(folder), str(error)) from error


def _rows(connection: sqlite3.Connection, run: int) -> tuple[Row, ...]:
    text = "coalesce((SELECT text FROM names WHERE id = {}), '')"
    names = ", ".join(text.format(column) for column in ("model", "phase", "tool"))
    found = connection.execute(f"SELECT begin, band, kind, {names}, {SUMS} FROM usage WHERE run = ?", (run,))
    kinds = COMPUTED, REPORTED
    # What was corrected before is a part of what is counted now.
    return tuple(
        Row(begin, band % CORRECTIONS, kinds[kind], model, phase, tool, tuple(sums))
        for begin, band, kind, model, phase, tool, *sums in found
    )


class CorrectionRow(NamedTuple):
    """What a correction added to the calls of one model; amounts in the order of `pyjama_metrics.ledger_rows.COLUMNS`."""

    time: int
    model: str
    reason: str
    amounts: list[int]


def corrections_of(connection: sqlite3.Connection, run: int) -> list[CorrectionRow]:
    """A run's corrections, by model, the first one first."""
    rows = connection.execute(
        f"SELECT time, coalesce((SELECT text FROM names WHERE id = model), ''), reason, {SUMS} FROM corrections WHERE run = ?"
        " ORDER BY time, id",
        (run,),
    )
    return [CorrectionRow(time, model, reason, amounts) for time, model, reason, *amounts in rows]
