"""Reports as CSV (RFC 4180), for spreadsheets and programs: a header, one row a line, machine numbers.

A text that a spreadsheet would take for a formula gets an apostrophe in front: names come from other processes, and opening a
report must not run what they say.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from pyjama_metrics.report_files import plain
from pyjama_metrics.reports import TITLES, Export, Report

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_USAGE = (
    "requests",
    "input-tokens",
    "output-tokens",
    "cache-read-tokens",
    "cache-write-tokens",
    "cache-write-1h-tokens",
    "estimated-tokens",
    "cost-micros",
    "reported-micros",
    "computed-micros",
    "unpriced-requests",
    "unpriced-models",
)
_EXECUTIONS = ("count", "success", "error", "interrupted", "timed", "total-ms")
_SESSION = ("parent", "parent-agent", "source", "project", "label", "task", "host", "started", "ended", "outcome", "error")
_FIGURES = ("runs", *(f"executions-{name}" for name in _EXECUTIONS), *_USAGE)


def report(found: Report) -> str:
    """A report of one kind, and nothing but its rows."""
    if found.kind == "sessions":
        header = ("run", "agent", *_SESSION, *_FIGURES)
    elif found.kind in ("daily", "weekly", "monthly"):
        header = (TITLES[found.kind], "begin", "end", *_FIGURES)
    else:
        header = (TITLES[found.kind], *_FIGURES)
    return _written(header, (_line(plain.row(row, found), found) for row in found.rows))


def export(found: Export) -> str:
    """All of a span in one table: each row begins with what it is a row of, and with its name."""
    lines = []
    for kind, of_kind in found.reports.items():
        for row in of_kind.rows:
            told = plain.row(row, of_kind)
            name = told.get("name", told.get("day", told.get("run")))
            agent, begin, end = told.get("agent"), told.get("begin", told.get("started")), told.get("end", told.get("ended"))
            lines.append([TITLES[kind], name, agent, begin, end, *_figures(told)])
    total = plain.total(found.total)
    lines.append(["total", None, None, found.span.begin, found.span.end, *_figures(total)])
    return _written(("what", "name", "agent", "begin", "end", *_FIGURES), lines)


def harmless(value: object) -> object:
    """A value as it may stand in a cell: a text that looks like a formula behind an apostrophe.

    >>> harmless("=1+1"), harmless("grep"), harmless(-1)
    ("'=1+1", 'grep', -1)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


def _line(told: dict[str, Any], found: Report) -> list[object]:
    if found.kind == "sessions":
        return [told["run"], told["agent"], *(told[name] for name in _SESSION), *_figures(told)]
    if "day" in told:
        return [told["day"], told["begin"], told["end"], *_figures(told)]
    return [told["name"], *_figures(told)]


def _figures(told: dict[str, Any]) -> list[object]:
    executions, usage = told["executions"], told["usage"]
    models = "; ".join(usage["unpriced-models"])
    return [
        told.get("runs", 1 if told.get("run") else 0),
        *(None if executions is None else executions[name] for name in _EXECUTIONS),
        *(usage[name] for name in _USAGE[:-1]),
        models,
    ]


def _written(header: Iterable[str], lines: Iterable[list[object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([harmless(value) for value in line] for line in lines)
    return text.getvalue()
