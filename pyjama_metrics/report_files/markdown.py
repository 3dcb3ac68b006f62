"""An export as Markdown: to paste into an issue, a wiki or a mail, and readable as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pyjama_metrics.cli.terminal import count, cut, rate, things
from pyjama_metrics.report_files import plain, wording
from pyjama_metrics.reports import TITLES, Export, Report, Row

MOST_ROWS = 50
"""Rows of one table; the others are in the exports for programs."""
_NAME = 80
_SPECIAL = frozenset("\\`*_[]<>|#~!&$")


def export(found: Export) -> str:
    """All of a span."""
    return "\n".join(_lines(found)) + "\n"


def escaped(text: str) -> str:
    r"""A name as Markdown shows it: nothing in it is markup, HTML or the end of a cell.

    >>> escaped("a|b <b>_c_</b>")
    'a\\|b \\<b\\>\\_c\\_\\</b\\>'
    """
    return escaped_note(cut(text, _NAME))


def _lines(found: Export) -> Iterator[str]:
    total = found.total
    yield f"# What the agents cost: {escaped(wording.span_words(found.span))}"
    yield ""
    cost = escaped_note(_dash(wording.cost(total.usage, total.usage)))
    yield f"**{cost}** for {things(total.usage.requests, 'model call')}, {_work(total)}."
    yield ""
    for name, amount in wording.cost_parts(total.usage, total.usage):
        yield f"- {name}: {escaped_note(amount)}"
    yield ""
    for kind, report in found.reports.items():
        rows = [row for row in report.rows if not row.is_empty]
        if rows:
            yield f"## By {TITLES[kind]}"
            yield ""
            yield from _table(report, rows)
            yield ""
            if len(rows) > MOST_ROWS:
                yield f"{things(len(rows) - MOST_ROWS, 'more row')} of this table are in the exports as JSON and CSV."
                yield ""
    yield "## How sure these figures are"
    yield ""
    for note in wording.all_notes(found):
        yield f"- {escaped_note(note)}"


def escaped_note(note: str) -> str:
    """A sentence of ours with names of others in it."""
    return "".join(f"\\{each}" if each in _SPECIAL else each for each in note)


def _work(total: Row) -> str:
    runs = things(total.runs or 0, "run")
    if total.executions is None or not total.executions.count:
        return runs
    success = rate(plain.success_rate(total.executions))
    return f"{runs} and {things(total.executions.count, 'execution')} of tools ({success} successful)"


def _dash(text: str | None) -> str:
    return "–" if text is None else text


def _table(report: Report, rows: Sequence[Row]) -> Iterator[str]:
    tells = any(row.executions is not None for row in rows)
    header = [TITLES[report.kind], *(["agent", "outcome"] if report.kind == "sessions" else []), "calls", "input", "output"]
    header += ["cache read", "cache write", *(["executions", "success"] if tells else []), "cost", "share"]
    left = 3 if report.kind == "sessions" else 1
    yield _row(header)
    yield _row([":--"] * left + ["--:"] * (len(header) - left))
    for cells in map(partial(_cells, report=report, tells=tells), rows[:MOST_ROWS]):
        yield _row(cells)
    total = _cells(report.total, report=report, tells=tells)
    yield _row(["**total**", *([""] * (left - 1)), *total[left:]])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row, report: Report, tells: bool) -> list[str]:
    usage, total = row.usage, report.total.usage
    cells = [escaped(wording.name_of(row, report))]
    if report.kind == "sessions":
        run = row.session
        cells += [escaped(run.agent or wording.NONE), run.outcome or "–"] if run is not None else ["", ""]
    tokens = (usage.input, usage.output, usage.cache_read, usage.cache_write + usage.cache_write_1h)
    cells += [count(usage.requests), *(escaped_note(wording.tokens(each, usage)) for each in tokens)]
    if tells:
        executed = None if row.executions is None else count(row.executions.count)
        cells += [_dash(executed), _dash(rate(plain.success_rate(row.executions)))]
    cost = wording.cost(usage, total)
    return [*cells, _dash(None if cost is None else escaped_note(cost)), _dash(wording.percent(wording.share(usage, total)))]
