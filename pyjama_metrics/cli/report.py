"""``pyjama-metrics report``: what a span of time cost and what was done in it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pyjama_metrics.cli import terminal
from pyjama_metrics.cli.report_options import USUAL, add_filters
from pyjama_metrics.cli.terminal import Cell, Column, Screen

if TYPE_CHECKING:
    from pyjama_metrics.reports import Report, Row

# As in pyjama_metrics.reports, which is loaded only when a report is made; a test compares the two.
KINDS = ("daily", "weekly", "monthly", "sessions", "agents", "models", "phases", "tools", "projects", "hosts")

DESCRIPTION = """\
Print what a span of time cost and what was done in it: day by day, or by agent, model, phase, tool, project, host or run.
Whatever any process has recorded is counted first.
"""

EXAMPLES = """\
examples:
  pyjama-metrics report daily                         the last thirty days
  pyjama-metrics report agents --since yesterday --until yesterday
  pyjama-metrics report phases --since 7d --agent builder
  pyjama-metrics report weekly --since 2026-05-01 --timezone Europe/Berlin
  pyjama-metrics report models --json | jq '.rows[] | {name, cost: .usage["cost-micros"]}'
  pyjama-metrics report sessions --csv > runs.csv

~ before a number: some of its tokens are estimated, not counted. + behind a cost: at least, as some calls have no price.
"""

_BAR = 12


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``report``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--since", metavar="TIME", default=USUAL, help=f"day, today, yesterday, 7d or ISO 8601 ({USUAL})")
    parser.add_argument("--until", metavar="TIME", help="the same; a day is meant with its end (today)")
    add_filters(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead")
    form.add_argument("--csv", action="store_true", help="print CSV instead")


def run(arguments: argparse.Namespace) -> int:
    """Print what was asked for."""
    from pyjama_metrics import reports, settings
    from pyjama_metrics.cli import report_options
    from pyjama_metrics.storage.config import load

    span = report_options.span_of(arguments.since, arguments.until, arguments, report_options.now())
    config = load()
    for problem in config.problems:
        terminal.complain(problem)
    folder = settings.home()
    report_options.bring_up_to_date(folder, thoroughly=arguments.kind == "sessions")
    try:
        found = reports.report(arguments.kind, span, folder=folder, overrides=config.prices)
    except ValueError as error:
        terminal.complain(str(error))
        return 2
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json
        from pyjama_metrics.report_files import plain

        print_json(plain.report(found))
    elif arguments.csv:
        from pyjama_metrics.cli.printing import print_document
        from pyjama_metrics.report_files import sheet

        print_document(sheet.report(found))
    else:
        print_report(Screen(sys.stdout), found, folder)
    return 0


def print_report(screen: Screen, report: Report, folder: str) -> None:
    """Print a report for people."""
    from pyjama_metrics.report_files import wording

    rows = [row for row in report.rows if not row.is_empty]
    span = terminal.printable(wording.span_words(report.span))
    if not rows:
        screen.line(
            f"Nothing happened in this span ({span}), as far as the history in {terminal.printable(folder)} knows. "
            "Name another with --since and --until; 'pyjama-metrics demo' shows how recording looks."
        )
    else:
        screen.line(screen.paint(f"{report.kind}: {span}", "bold"))
        screen.line()
        _table(screen, report, rows)
        screen.line()
        for note in wording.notes(report.total.usage):
            screen.line(_plain(note, screen))
        for note in wording.about_executions(report.kind, report.span):
            screen.line(note)
    for note in wording.limits(report.known_from, report.span):
        screen.line(note)


def _plain(text: str, screen: Screen) -> str:
    return text if screen.shapes else text.replace("–", "-")


class _Shown(NamedTuple):
    """A column, its cell for a row, and when it goes where a line does not fit: the highest number first, 0 never."""

    column: Column
    cell: Callable[[Row], Cell | str]
    goes: int = 0


def _table(screen: Screen, report: Report, rows: Sequence[Row]) -> None:
    shown = [*_names(screen, report), *_figures(screen, report)]
    lines = [[_safe(each.cell(row), screen) for each in shown] for row in (*rows, report.total)]
    lines[-1][0] = Cell("total", "bold")
    for number, each in enumerate(shown[1:], 1):
        if each.column.names:
            lines[-1][number] = Cell("")
    kept = _fitting(shown, lines, screen.width)
    screen.table([shown[number].column for number in kept], [[line[number] for number in kept] for line in lines])


def _safe(cell: Cell | str, screen: Screen) -> Cell:
    cell = cell if isinstance(cell, Cell) else Cell(cell)
    return Cell(_plain(cell.text, screen), cell.colour)


def _fitting(shown: Sequence[_Shown], lines: Sequence[Sequence[Cell]], width: int) -> list[int]:
    """The columns for which there is room, where names keep some."""
    least = 16
    widths = []
    for number, each in enumerate(shown):
        cells = max(terminal.display_width(terminal.cut(line[number].text, 40)) for line in lines)
        widths.append(max(terminal.display_width(each.column.title), min(cells, least) if each.column.names else cells) + 2)
    kept = list(range(len(shown)))
    while sum(widths[number] for number in kept) - 2 > width:
        goes = max(kept, key=lambda number: shown[number].goes)
        if not shown[goes].goes:
            break
        kept.remove(goes)
    return kept


def _names(screen: Screen, report: Report) -> list[_Shown]:
    from pyjama_metrics.report_files import wording
    from pyjama_metrics.reports import TITLES

    if report.kind != "sessions":
        title = TITLES[report.kind].upper()
        is_name = report.kind not in ("daily", "weekly", "monthly")
        return [_Shown(Column(title, names=is_name), lambda row: Cell(wording.name_of(row, report), "cyan"))]

    def started(row: Row) -> str:
        return screen.figure(None) if row.begin is None else f"{wording.moment(row.begin, report.span.zone):%Y-%m-%d %H:%M}"

    def lasted(row: Row) -> str:
        is_over = row.session is not None and row.begin is not None and row.end is not None
        return screen.figure(terminal.duration(row.end - row.begin) if is_over else None)  # type: ignore[operator]

    def outcome(row: Row) -> Cell | str:
        if row.session is None or not row.session.run:
            return ""
        return screen.status(row.session.outcome) if row.session.outcome else screen.figure(None)

    return [
        _Shown(Column("STARTED"), started),
        _Shown(Column("AGENT", names=True), lambda row: Cell(row.session.agent or wording.NONE, "cyan") if row.session else ""),
        _Shown(Column("PROJECT", names=True), lambda row: (row.session.project if row.session else None) or "", 4),
        _Shown(Column("RUN", names=True), lambda row: row.name or wording.NONE, 7),
        _Shown(Column("OUTCOME"), outcome, 2),
        _Shown(Column("LASTED", right=True), lasted, 5),
    ]


def _figures(screen: Screen, report: Report) -> list[_Shown]:
    shown = [*_tokens(screen), *_cost(screen, report)]
    if any(row.executions is not None for row in report.rows):
        shown[:0] = _executions(screen)
    if report.kind == "tools":
        shown.insert(2, _Shown(Column("AVERAGE", right=True), lambda row: screen.figure(_average(row)), 5))
    elif report.kind not in ("sessions", "models", "phases"):
        shown.insert(0, _Shown(Column("RUNS", right=True), lambda row: terminal.count(row.runs or 0), 7))
    return shown


def _executions(screen: Screen) -> list[_Shown]:
    from pyjama_metrics.report_files import plain

    def count(row: Row) -> str:
        return screen.figure(None if row.executions is None else terminal.count(row.executions.count))

    def success(row: Row) -> str:
        return screen.figure(terminal.rate(plain.success_rate(row.executions)))

    return [_Shown(Column("EXECUTIONS", right=True), count, 2), _Shown(Column("SUCCESS", right=True), success, 3)]


def _tokens(screen: Screen) -> list[_Shown]:
    from pyjama_metrics.report_files import wording

    def of(*names: str) -> Callable[[Row], str]:
        def cell(row: Row) -> str:
            number = sum(getattr(row.usage, name) for name in names)
            return screen.figure(wording.tokens(number, row.usage) if row.usage.requests else None)

        return cell

    return [
        _Shown(Column("CALLS", right=True), lambda row: terminal.count(row.usage.requests), 6),
        _Shown(Column("INPUT", right=True), of("input"), 3),
        _Shown(Column("OUTPUT", right=True), of("output"), 3),
        _Shown(Column("CACHE READ", right=True), of("cache_read"), 9),
        _Shown(Column("CACHE WRITE", right=True), of("cache_write", "cache_write_1h"), 10),
    ]


def _cost(screen: Screen, report: Report) -> list[_Shown]:
    from pyjama_metrics.report_files import wording

    total = report.total.usage
    widest = max((wording.share(row.usage, total) or 0.0 for row in report.rows), default=0.0)
    some_are_more = any(
        row.usage.unpriced_requests and row.usage.total_micros is not None for row in (*report.rows, report.total)
    )

    def cost(row: Row) -> Cell | str:
        text = screen.figure(wording.cost(row.usage, total))
        if wording.is_unknown(row.usage):
            return Cell(text, "yellow")
        # So that the points stand below each other.
        return text + (" " if some_are_more and not text.endswith("+") else "")

    def share(row: Row) -> str:
        return screen.figure(wording.percent(wording.share(row.usage, total)))

    def bar(row: Row) -> Cell:
        of_row = None if row is report.total else wording.share(row.usage, total)
        return Cell(terminal.bar((of_row or 0.0) / widest, _BAR, screen.shapes), "blue")

    shown = [_Shown(Column("COST", right=True), cost)]
    if widest:
        shown += [_Shown(Column("SHARE", right=True), share, 1), _Shown(Column(""), bar, 8)]
    return shown


def _average(row: Row) -> str | None:
    tally = row.executions
    return (
        terminal.duration(tally.total_ms / tally.timed)
        if tally is not None and tally.timed and tally.total_ms is not None
        else None
    )
