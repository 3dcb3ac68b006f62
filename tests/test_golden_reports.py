"""Every kind of report in every form, compared with files that were read and checked by a person.

``GOLDEN=write pytest tests/test_golden_reports.py`` writes them anew; look at the difference before you keep it.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from pyjama_metrics import reports
from pyjama_metrics.cli.report import KINDS, print_report
from pyjama_metrics.cli.terminal import Screen
from pyjama_metrics.report_files import markdown, page, per_day, plain, sheet
from pyjama_metrics.reports import Export, Kind
from pyjama_metrics.version import __version__
from tests import a_week

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def _week(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_week.lived(home, tmp_path, monkeypatch)


def compare(name: str, text: str) -> None:
    """Compare with the file of that name; or write it, where a person asked for that."""
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text, encoding="utf-8", newline="")
    with path.open(encoding="utf-8", newline="") as file:
        assert text == file.read()


def table(report: reports.Report, width: int, encoding: str = "utf-8") -> str:
    """A report as a terminal without colours shows it."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    screen = Screen(stream)
    screen.width = width
    print_report(screen, report, "/hub")
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def exported() -> Export:
    """The whole week."""
    return reports.export_report(a_week.BEGIN, a_week.END, made=a_week.NOW, zone=a_week.BERLIN, overrides=a_week.prices())


@pytest.mark.parametrize("kind", reports.KINDS)
def test_a_report_in_its_three_forms(kind: Kind) -> None:
    """As a table, as JSON and as CSV."""
    report = reports.report(kind, a_week.WEEK, overrides=a_week.prices())
    compare(f"{kind}.txt", table(report, 120))
    compare(f"{kind}.json", json.dumps(plain.report(report), ensure_ascii=False, indent=1) + "\n")
    compare(f"{kind}.csv", sheet.report(report))


def test_a_narrow_terminal_without_shapes() -> None:
    """Eighty columns of ASCII: what matters least goes, what is left is whole."""
    found = [reports.report(kind, a_week.WEEK, overrides=a_week.prices()) for kind in ("daily", "tools", "sessions")]
    text = "\n".join(table(report, 80, "ascii") for report in found)
    compare("narrow.txt", text)
    tables = [line for part in text.split("\n\n")[1::3] for line in part.splitlines()]
    assert max(map(len, tables)) <= 80
    assert text.isascii()


def test_an_export_in_its_four_forms() -> None:
    """JSON, CSV, Markdown and the page."""
    found = exported()
    compare("export.json", json.dumps(plain.export(found), ensure_ascii=False, indent=1) + "\n")
    compare("export.csv", sheet.export(found))
    compare("export.md", markdown.export(found))
    compare("export.html", page.export(found).replace(__version__, "VERSION"))


def test_a_day_and_a_run_of_the_folder(tmp_path: Path) -> None:
    """The files that backups get."""
    list(per_day.write(str(tmp_path / "out"), a_week.WEEK, overrides=a_week.prices()))
    compare("per-day.json", (tmp_path / "out/daily/2025-10-25.json").read_text())
    compare("per-execution.json", (tmp_path / "out/executions/w-1-a.1.json").read_text())


def test_the_command_knows_the_kinds_that_there_are() -> None:
    """It does not load the reports to say so."""
    assert KINDS == reports.KINDS
