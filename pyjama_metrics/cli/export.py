"""``pyjama-metrics export``: a span of the history as a file to hand on, or as a folder of files."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from pyjama_metrics.cli import terminal
from pyjama_metrics.cli.report_options import USUAL, add_filters

if TYPE_CHECKING:
    from pyjama_metrics.pricing import Overrides
    from pyjama_metrics.reports import Export, Kind, Report, Span

DESCRIPTION = """\
Write all that the history knows of a span of time: what it cost and how sure that is, by day, agent, model, phase, tool, project
and host, and each run. As HTML it is one page with charts that opens offline and prints. Whatever any process has recorded is
counted first.
"""

EXAMPLES = """\
examples:
  pyjama-metrics export --output report.html              the last thirty days, to hand on
  pyjama-metrics export --from 2026-05-01 --to 2026-05-31 --format md
  pyjama-metrics export --from yesterday --to yesterday --format json | jq .total.usage
  pyjama-metrics export --per-day ~/backup/agents         one file a day and one a run; those that changed
"""

FORMATS = ("json", "csv", "md", "html")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``export``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--from", dest="since", metavar="TIME", default=USUAL, help=f"day, today, yesterday, 7d or ISO 8601 ({USUAL})"
    )
    parser.add_argument("--to", dest="until", metavar="TIME", help="the same; a day is meant with its end (today)")
    parser.add_argument("--format", choices=FORMATS, help="what to write; as the ending of FILE says, else json")
    parser.add_argument("--output", metavar="FILE", help="where to write it, instead of stdout")
    parser.add_argument("--per-day", metavar="DIR", help="write daily/YYYY-MM-DD.json and executions/ID.json into this folder")
    add_filters(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write what was asked for."""
    from pyjama_metrics import settings
    from pyjama_metrics.cli import report_options
    from pyjama_metrics.storage.config import load

    if arguments.per_day is not None and (arguments.format or arguments.output):
        terminal.complain("--per-day writes files of its own: use it without --format and --output.")
        return 2
    if arguments.per_day is not None and (arguments.agent is not None or arguments.project is not None):
        terminal.complain(
            "--per-day writes whole days, and would replace them by parts of them: use it without --agent and --project, or "
            "write the part as one file with --output."
        )
        return 2
    if arguments.output is not None and not _can_be_written(arguments.output):
        return 1
    now_ms = report_options.now()
    span = report_options.span_of(arguments.since, arguments.until, arguments, now_ms)
    config = load()
    for problem in config.problems:
        terminal.complain(problem)
    folder = settings.home()
    report_options.bring_up_to_date(folder, thoroughly=True)
    try:
        if arguments.per_day is not None:
            return _per_day(arguments.per_day, span, folder, config.prices)
        found = _made(span, now_ms, folder, config.prices)
    except ValueError as error:
        terminal.complain(str(error))
        return 2
    _write(_text(found, _format(arguments)), arguments.output)
    return 0


def _can_be_written(path: str) -> bool:
    """Whether a file may be there; a device or a folder is not to be replaced by one."""
    if not os.path.exists(path) or os.path.isfile(path):
        return True
    terminal.complain(f"Cannot write {terminal.cut(path, 200)}: it is no file. Name a file, or leave --output out for stdout.")
    return False


def _format(arguments: argparse.Namespace) -> str:
    if arguments.format:
        return str(arguments.format)
    ending = os.path.splitext(arguments.output or "")[1].lower().lstrip(".")
    return {"htm": "html", "markdown": "md"}.get(ending, ending if ending in FORMATS else "json")


def _made(span: Span, now_ms: int, folder: str, overrides: Overrides) -> Export:
    from pyjama_metrics.cli.progress import Progress
    from pyjama_metrics.reports import EXPORTED, export_of, exported

    found: dict[Kind, Report] = {}
    with Progress("reading the history") as progress:
        for kind, report in exported(span, folder=folder, overrides=overrides):
            found[kind] = report
            progress.at(len(found) / len(EXPORTED))
    return export_of(span, now_ms, found)


def _text(found: Export, form: str) -> str:
    if form == "csv":
        from pyjama_metrics.report_files import sheet

        return sheet.export(found)
    if form == "md":
        from pyjama_metrics.report_files import markdown

        return markdown.export(found)
    if form == "html":
        from pyjama_metrics.report_files import page

        return page.export(found)
    import json

    from pyjama_metrics.report_files import plain

    return json.dumps(plain.export(found), ensure_ascii=False, indent=2) + "\n"


def _write(text: str, path: str | None) -> None:
    if path is None:
        from pyjama_metrics.cli.printing import print_document

        print_document(text)
        return
    from pyjama_metrics.report_files.per_day import publish

    publish(os.path.realpath(path), text.encode("utf-8", "backslashreplace"))
    terminal.complain(f"Wrote {terminal.printable(path)}.")


def _per_day(directory: str, span: Span, folder: str, overrides: Overrides) -> int:
    from pyjama_metrics.cli.progress import Progress
    from pyjama_metrics.report_files import per_day

    place, step = os.path.abspath(os.path.expanduser(directory)), per_day.Step(0, 1, 0)
    with Progress("writing files") as progress:
        for step in per_day.write(place, span, hub=folder, overrides=overrides):
            progress.at(step.done / step.of)
    written = f"Wrote {terminal.things(step.written, 'file')} in {terminal.printable(place)}"
    terminal.complain(f"{written}; {terminal.things(step.done - step.written, 'other')} had nothing new.")
    return 0
