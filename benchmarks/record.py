"""`record_tool_execution` from return to return, beside prometheus_client, a rewritten file and SQLite."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from pathlib import Path
from time import perf_counter_ns

import orjson
from bench import main
from interleave import Subject, Turn, Turns, blocks, interleave, ratio
from rivals import EventTable, RewrittenFile, prometheus
from rows import Row, Spread, number, percentile
from sandbox import PATIENCE, folder

from pyjama_metrics import flush, record_tool_execution
from pyjama_metrics.settings import home

BLOCK = 2_000


def ours(calls: int) -> None:
    """Record ``calls`` tool executions; the folder thread of this process runs meanwhile, as in any agent."""
    for _ in range(calls):
        record_tool_execution("write-file", "agent", "ok", 12.5)


class Settling:
    """Ends our turns, and counts the folds that ran in them: a turn without folds would measure half of the truth."""

    def __init__(self) -> None:
        self.folds = 0
        self._before: int | None = None

    def __call__(self) -> None:
        """Fold what was recorded, so that the rival's turn does not pay for it."""
        if self._before is not None:
            self.folds += self._generation() - self._before
        flush(PATIENCE)
        self._before = self._generation()

    def _generation(self) -> int:
        """Answer how often the snapshot was replaced."""
        generation: int = orjson.loads(Path(home(), "metrics.json").read_bytes())["generation"]
        return generation


def measure(quick: bool) -> list[Row]:
    """Answer the rows, from one run in which all take turns in this process."""
    settling = Settling()
    with ExitStack() as stack:
        turns = interleave(_subjects(stack, settling), rounds=2 if quick else 16)
    return [
        _row(turns, "prometheus", "prometheus_client, labels in each call", 0.5),
        _row(turns, "rewrite", "lock + read + change + replace, 16 KB", 0.01),
        _row(turns, "sqlite", "sqlite3 WAL, one insert a transaction", 0.25),
        _row(turns, "children", "prometheus_client, kept children", None),
        _whole_turns(turns, settling.folds),
        _single_calls(1.0 if quick else 10.0),
    ]


def _subjects(stack: ExitStack, settling: Settling) -> list[Subject]:
    place = Path(stack.enter_context(folder("rivals")))
    (place / "prometheus").mkdir()
    with_labels, with_children = prometheus(place / "prometheus")
    rewritten = stack.enter_context(closing(RewrittenFile(place)))
    rewritten.create()
    events = stack.enter_context(closing(EventTable(place)))
    return [
        # Ours lasts longer, so that the folder thread gets its turns in it: it folds every 100 ms.
        Subject("ours", ours, BLOCK, 1.2, settling),
        Subject("prometheus", with_labels, BLOCK, 0.4),
        Subject("rewrite", rewritten.block, 50, 0.4),
        Subject("sqlite", events.block, 500, 0.4),
        Subject("children", with_children, BLOCK, 0.4),
    ]


def _medians(turns: list[Turn]) -> list[float]:
    return [turn.median for turn in turns]


def _row(turns: Turns, rival: str, beside: str, reach: float | None) -> Row:
    value = ratio(_medians(turns["ours"]), _medians(turns[rival]))
    return Row(
        what="record_tool_execution, blocks",
        ours=Spread.of(blocks(turns["ours"]), "µs"),
        beside=beside,
        rival=Spread.of(blocks(turns[rival]), "µs"),
        measured=f"{value:.4f}×" if value < 0.05 else f"{value:.2f}×",
        value=value,
        reach="-" if reach is None else f"≤ {reach}×",
        reached=None if reach is None else value <= reach,
    )


def _whole_turns(turns: Turns, folds: int) -> Row:
    """Compare means of whole turns: they contain the folds that ran meanwhile, which a median can hide."""
    means = {name: [turn.mean for turn in turns[name]] for name in ("ours", "prometheus")}
    value = ratio(means["ours"], means["prometheus"])
    return Row(
        what="the same, mean of whole turns at full speed",
        ours=Spread.of(means["ours"], "µs"),
        beside="prometheus_client, labels in each call",
        rival=Spread.of(means["prometheus"], "µs"),
        measured=f"{value:.2f}× ({folds} folds meanwhile)",
        value=value,
    )


def _single_calls(seconds: float) -> Row:
    """Time each call by itself: what one caller may meet while the folder thread holds the interpreter."""
    costs: list[float] = []
    now = perf_counter_ns()
    end = now + int(seconds * 1e9)
    while now < end:
        before = perf_counter_ns()
        record_tool_execution("write-file", "agent", "ok", 12.5)
        now = perf_counter_ns()
        costs.append((now - before) / 1000)
    flush(PATIENCE)
    value = percentile(costs, 0.999)
    measured = f"p99 {number(percentile(costs, 0.99))}, p99.9 {number(value)}, worst {number(max(costs))} µs"
    return Row("the same, each call by itself", Spread.of(costs, "µs"), "-", None, measured, value)


if __name__ == "__main__":
    sys.exit(main("record", __doc__))
