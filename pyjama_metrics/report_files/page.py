"""An export as one file of HTML: it opens offline, prints, follows light and dark, and runs no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from pyjama_metrics.cli.terminal import count, cut, duration, rate, things
from pyjama_metrics.report_files import charts, plain, wording
from pyjama_metrics.report_files.charts import Bar
from pyjama_metrics.report_files.page_style import STYLE
from pyjama_metrics.reports import TITLES, Export, Kind, Report, Row
from pyjama_metrics.version import __version__

MOST_ROWS = 50
"""Rows of one table; the others are in the exports for programs."""
_NAME = 120
_FIGURE, _NONE = ' class="figure"', ' class="none"'
_TOKENS = ("Tokens in", "Out", "Cached")
_HEADINGS: dict[Kind, str] = {
    "agents": "Agents",
    "models": "Models",
    "phases": "Phases",
    "tools": "Tools",
    "projects": "Projects",
    "hosts": "Hosts",
    "sessions": "Runs",
}


def export(found: Export) -> str:
    """All of a span, as a whole document."""
    title = f"What the agents cost: {wording.span_words(found.span)}"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            # It needs nothing from anywhere, and so may fetch nothing: not even what a name would smuggle in.
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
            *_head(found),
            *_days(found),
            *(part for kind, heading in _HEADINGS.items() for part in _section(heading, found.reports[kind])),
            *_sureness(found),
            f"<footer>Made by pyjama-metrics {__version__}, {_made(found)}. Times and days are those of "
            f"{_text('the machine that made it' if found.span.zone is None else str(found.span.zone))}.</footer>",
            "</main>\n</body>\n</html>\n",
        ]
    )


def _text(text: str, width: int = 400) -> str:
    """Any text as content or value: on one line, cut where it is very long, and never markup."""
    return escape(cut(text, width))


def _made(found: Export) -> str:
    return f"{wording.moment(found.made, found.span.zone):%Y-%m-%d %H:%M}"


def _head(found: Export) -> Iterator[str]:
    total = found.total
    usage = total.usage
    yield "<header>"
    yield "<h1>What the agents cost</h1>"
    yield f'<p class="span">{_text(wording.span_words(found.span))}</p>'
    yield "</header>"
    yield '<section class="tiles" aria-label="Totals">'
    yield '<div class="tile main">'
    yield f'<span class="label">Cost</span><strong>{_text(wording.cost(usage, usage) or "no model calls")}</strong>'
    yield _parts(found)
    yield "</div>"
    tokens = usage.input + usage.output + usage.cache_read + usage.cache_write + usage.cache_write_1h
    estimated = f", {count(usage.estimated_tokens)} of them estimated" if usage.estimated_tokens else ""
    yield _tile("Model calls", count(usage.requests), f"{things(tokens, 'token')}{estimated}")
    tally = total.executions
    if tally is not None:
        success = rate(plain.success_rate(tally))
        yield _tile("Executions of tools", count(tally.count), "none ended" if success is None else f"{success} successful")
    ended = [row.session.outcome for row in found.reports["sessions"].rows if row.session and row.session.outcome]
    bad = sum(outcome in ("failed", "crashed") for outcome in ended)
    yield _tile("Runs begun", count(total.runs or 0), f"{count(bad)} failed or crashed" if bad else "none failed")
    yield "</section>"


def _tile(label: str, figure: str, below: str) -> str:
    return (
        f'<div class="tile"><span class="label">{_text(label)}</span><strong>{_text(figure)}</strong>'
        f'<span class="below">{_text(below)}</span></div>'
    )


def _parts(found: Export) -> str:
    """The three parts of the cost: a line that shows their shares, and each in words."""
    usage = found.total.usage
    whole = usage.total_micros
    line = ""
    if whole:
        parts = (("reported", usage.reported_micros), ("computed", usage.computed_micros))
        line = "".join(f'<i class="{kind}" style="flex-grow:{micros}"></i>' for kind, micros in parts if micros)
        line = f'<span class="line">{line}</span>'
    words = "".join(f'<li class="{name}"><b>{_text(amount)}</b> {name}</li>' for name, amount in wording.cost_parts(usage, usage))
    return f'{line}<ul class="parts">{words}</ul>'


def _days(found: Export) -> Iterator[str]:
    report = found.reports["daily"]
    rows = report.rows
    usage = found.total.usage
    if usage.total_micros:
        values = [
            Bar(
                _day(row, report),
                f"{wording.name_of(row, report)}: {wording.cost(row.usage, usage) or 'no model calls'}",
                (("reported", row.usage.reported_micros / 1e6), ("computed", row.usage.computed_micros / 1e6)),
            )
            for row in rows
        ]
        highest = max(row.usage.total_micros or 0 for row in rows) / 1e6
        legend = (("reported", "reported by the source"), ("computed", "computed from prices"))
        yield from _chart("Cost by day", values, lambda value: _axis_money(value, highest), legend)
    if found.total.executions is not None and found.total.executions.count:
        values = [_executed(row, report) for row in rows]
        yield from _chart("Executions of tools by day", values, _axis_count, (("success", "success"), ("error", "error")))
    shown = [row for row in rows if not row.is_empty]
    if shown:
        yield "<details><summary>The days as a table</summary>"
        yield from _table(report, shown, len(shown))
        yield "</details>"
    else:
        yield '<p class="empty">Nothing was recorded in this span, as far as the history knows.</p>'


def _executed(row: Row, report: Report) -> Bar:
    tally = row.executions
    success, error = (tally.success, tally.error) if tally is not None else (0, 0)
    title = f"{wording.name_of(row, report)}: {count(success)} successful, {things(error, 'error')}"
    return Bar(_day(row, report), title, (("success", success), ("error", error)))


def _day(row: Row, report: Report) -> str:
    return f"{wording.moment(row.begin or 0, report.span.zone):%m-%d}"


def _axis_money(value: float, highest: float) -> str:
    digits = 0 if highest >= 40 else 2 if highest >= 0.4 else 4
    return f"${value:,.{digits}f}"


def _axis_count(value: float) -> str:
    return count(int(value)) if value == int(value) else f"{value:.1f}"


def _chart(heading: str, values: Sequence[Bar], axis: charts.Axis, legend: Sequence[tuple[str, str]]) -> Iterator[str]:
    keys = "".join(f'<span class="key"><i class="{kind}"></i>{_text(words)}</span>' for kind, words in legend)
    yield f'<section class="chart"><h2>{heading}</h2><p class="legend">{keys}</p>'
    yield charts.bars(values, axis, heading)
    yield "</section>"


def _section(heading: str, report: Report) -> Iterator[str]:
    rows = [row for row in report.rows if not row.is_empty]
    if not rows or all(not row.name for row in rows):
        return  # nobody ever told one: a table of what belongs to none says nothing
    yield f"<section><h2>{heading}</h2>"
    for note in wording.about_executions(report.kind, report.span):
        yield f'<p class="about">{_text(note)}</p>'
    yield from _table(report, rows, MOST_ROWS)
    if len(rows) > MOST_ROWS:
        more = things(len(rows) - MOST_ROWS, f"more {TITLES[report.kind]}", f"more {TITLES[report.kind]}s")
        yield f'<p class="about">{more} not shown here: the exports as JSON and CSV have them all.</p>'
    yield "</section>"


def _table(report: Report, rows: Sequence[Row], most: int) -> Iterator[str]:
    tells = any(row.executions is not None for row in rows)
    is_run = report.kind == "sessions"
    # Of a run its times matter more than its tokens, and both do not fit on paper.
    heads = [TITLES[report.kind].capitalize(), *(["Began", "Lasted", "Outcome", "Calls"] if is_run else ["Calls", *_TOKENS])]
    heads += [*(["Executions", "Success"] if tells else []), "Cost", "Share"]
    left = 4 if is_run else 1
    cells = "".join(f'<th scope="col"{"" if at < left else _FIGURE}>{name}</th>' for at, name in enumerate(heads))
    yield f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>'
    widest = max((wording.share(row.usage, report.total.usage) or 0.0 for row in rows), default=0.0)
    for row in rows[:most]:
        yield f"<tr>{_cells(row, report, tells, widest)}</tr>"
    yield f"</tbody><tfoot><tr>{_cells(report.total, report, tells, 0.0)}</tr></tfoot></table></div>"


def _cells(row: Row, report: Report, tells: bool, widest: float) -> str:
    usage, total = row.usage, report.total.usage
    cells = [_name(row, report)]
    if report.kind == "sessions":
        cells += _times(row, report)
    figures = [count(usage.requests)]
    if report.kind != "sessions":
        tokens = (usage.input, usage.output, usage.cache_read + usage.cache_write + usage.cache_write_1h)
        figures += [wording.tokens(each, usage) for each in tokens]
    if tells:
        executed = None if row.executions is None else count(row.executions.count)
        figures += [executed or "–", rate(plain.success_rate(row.executions)) or "–"]
    cells += [f"<td{_FIGURE}>{_text(figure)}</td>" for figure in figures]
    unknown = " unknown" if wording.is_unknown(usage) else ""
    cells.append(f'<td class="figure cost{unknown}">{_text(wording.cost(usage, total) or "–")}</td>')
    share = wording.share(usage, total)
    wide = 0.0 if share is None or not widest else share / widest * 100
    bar = f'<i class="bar" style="width:{wide:.1f}%"></i>' if wide else ""
    cells.append(f'<td class="figure share"><span>{_text(wording.percent(share) or "–")}</span>{bar}</td>')
    return "".join(cells)


def _name(row: Row, report: Report) -> str:
    if row is report.total:
        return '<th scope="row">Total</th>'
    name = wording.name_of(row, report)
    if row.session is not None:
        run = row.session
        below = " · ".join(filter(None, (row.name, run.project, run.label)))
        return f'<th scope="row">{_text(run.agent or wording.NONE, _NAME)}<small>{_text(below, _NAME)}</small></th>'
    return f'<th scope="row"{"" if row.name or row.begin is not None else _NONE}>{_text(name, _NAME)}</th>'


def _times(row: Row, report: Report) -> list[str]:
    run = row.session
    if run is None:
        return ["<td></td>"] * 3
    began = "–" if run.started is None else f"{wording.moment(run.started, report.span.zone):%Y-%m-%d %H:%M}"
    over = run.started is not None and run.ended is not None
    lasted = duration(run.ended - run.started) if over else None  # type: ignore[operator]
    outcome = run.outcome or ("not ended" if run.run else "–")
    return [
        f"<td>{began}</td>",
        f"<td>{_text(lasted or '–')}</td>",
        f'<td class="outcome {_word(outcome)}">{_text(outcome)}</td>',
    ]


def _word(outcome: str) -> str:
    return outcome if outcome in ("completed", "failed", "crashed", "stopped") else "open"


def _sureness(found: Export) -> Iterator[str]:
    yield '<section class="sure"><h2>How sure these figures are</h2><ul>'
    for note in wording.all_notes(found):
        yield f"<li>{_text(note, 1000)}</li>"
    yield "</ul></section>"
