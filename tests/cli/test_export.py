from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pyjama_metrics.hub import Hub
from pyjama_metrics.report_files import per_day
from pyjama_metrics.storage.lock import FoldLock
from pyjama_metrics.version import __version__
from tests import a_week
from tests.cli.commands import ReadyCommands, pyjama
from tests.histories import database
from tests.journals import event, leave_journal

WEEK = ("--from", "2025-10-25", "--to", "2025-10-28", "--timezone", "Europe/Berlin")
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def week(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The four days of `a_week`."""
    a_week.lived(home, tmp_path, monkeypatch)
    return home


@pytest.fixture
def ready(week: Path, ready: ReadyCommands) -> ReadyCommands:
    """Commands in that hub that start at once."""
    return ready


def undated(text: str) -> str:
    """An export without what differs from one minute and one version to the next."""
    text = re.sub(r'"made": ?\d+', '"made":0', text.replace(__version__, "VERSION"))
    return re.sub(r"VERSION, \d{4}-\d\d-\d\d \d\d:\d\d\.", "VERSION, then.", text)


@pytest.mark.parametrize("form", ["json", "csv", "md", "html"])
def test_an_export_is_what_is_in_the_golden_file(ready: ReadyCommands, tmp_path: Path, form: str) -> None:
    """On stdout by its name, in a file by its ending; the file is private."""
    golden = (GOLDEN / f"export.{form}").read_bytes().decode()
    answer = ready.run("export", *WEEK, "--format", form)
    assert (answer.returncode, answer.stderr) == (0, "")
    path = tmp_path / f"week.{form}"
    assert ready.run("export", *WEEK, "--output", str(path)).returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.read_bytes().decode()
    if form == "json":
        told = json.loads(golden) | {"made": 0}
        assert json.loads(written) | {"made": 0} == json.loads(answer.stdout) | {"made": 0} == told
    else:
        assert undated(written) == undated(golden)
        assert list(csv.reader(io.StringIO(written, newline="")))
    assert [each.name for each in tmp_path.iterdir() if "tmp" in each.name] == []


def test_a_file_is_replaced_whole_or_not_at_all(ready: ReadyCommands, tmp_path: Path) -> None:
    """Also through a link; and what is no file is left alone."""
    path, link = tmp_path / "week.md", tmp_path / "link.md"
    path.write_text("before")
    link.symlink_to(path)
    assert ready.run("export", *WEEK, "--output", str(link)).returncode == 0
    assert link.is_symlink()
    assert path.read_text().startswith("# What the agents cost")
    for wrong in ("/dev/null", str(tmp_path)):
        answer = ready.run("export", *WEEK, "--output", wrong)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "it is no file" in answer.stderr
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    answer = ready.run("export", *WEEK, "--output", str(tmp_path / "missing" / "week.md"))
    assert answer.returncode == 1
    assert "missing" in answer.stderr
    assert not (tmp_path / "missing").exists()


def test_an_export_of_nothing_is_an_export(home: Path) -> None:
    """In each form, with a word that nothing was recorded; nothing is made."""
    assert json.loads(pyjama("export").stdout)["total"]["usage"]["requests"] == 0
    assert "no model calls" in pyjama("export", "--format", "html").stdout
    assert pyjama("export", "--format", "md").stdout.startswith("# What the agents cost")
    assert pyjama("export", "--format", "csv").stdout.count("\n") == 32  # a header, thirty days and their total
    assert not home.exists()


# -- the page ------------------------------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """What is in a page: its elements, their attributes, its text; and whether it closes what it opens."""

    VOID = frozenset({"meta", "line", "rect", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_needs_nothing_and_runs_nothing(ready: ReadyCommands) -> None:
    """No script, no address, nothing to fetch; names of others are text, whatever they say."""
    hostile = [
        "<img src=x onerror=alert(1)>",
        '"><svg onload=alert(1)>',
        "{{7*7}}",
        "a\u202eb",
        "'); drop",
        "\x00\x1b[31m",
        "x" * 500,
    ]
    events = [a_week.call(a_week.at(28, 9), name, 1000, 0, phase=name, tool=name, model=name) for name in hostile]
    leave_journal(Path(os.environ["PYJAMA_HOME"]), "w-2-b", *events)
    page = ready.run("export", *WEEK, "--format", "html").stdout
    seen = Seen(page)
    assert seen.elements & {"script", "img", "link", "iframe", "object", "base", "form", "a"} == set()
    assert {name for name, _ in seen.attributes if name.startswith("on") or name in ("src", "href", "srcset")} == set()
    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page
    assert "url(" not in page
    text = "".join(seen.text)
    assert "<img src=x onerror=alert(1)>" in text
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_the_page_says_what_it_cost_and_how_sure_that_is(ready: ReadyCommands) -> None:
    """The sum, its three parts, and sentences; worked out by hand in `a_week`."""
    text = " ".join("".join(Seen(ready.run("export", *WEEK, "--format", "html").stdout).text).split())
    for words in ("~$2.45+", "$0.75 reported", "~$1.70 computed", "1 call unpriced", "1 call of house-model has no price"):
        assert words in text
    assert "11,000 tokens are estimated" in text


# -- a folder of files -----------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The files below a folder: when they were written, and what is in them."""
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*.json")}


def test_a_folder_gets_a_file_a_day_and_a_file_a_run(ready: ReadyCommands, tmp_path: Path) -> None:
    """Private, and written again only where something changed."""
    folder = tmp_path / "backup"
    answer = ready.run("export", *WEEK, "--per-day", str(folder))
    assert (answer.returncode, answer.stderr) == (0, f"pyjama-metrics: Wrote 8 files in {folder}; 0 others had nothing new.\n")
    before = contents(folder)
    days = {f"daily/2025-10-{day}.json" for day in (25, 26, 27, 28)}
    assert set(before) == days | {f"executions/w-1-a.{number}.json" for number in (1, 2, 3, 4)}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*.json")} == {0o600}
    day = json.loads(before["daily/2025-10-26.json"][1])
    assert (day["schema"], day["day"], day["total"]["usage"]["cost-micros"]) == ("pyjama-metrics/day/1", "2025-10-26", 750_000)
    run = json.loads(before["executions/w-1-a.1.json"][1])
    assert [(part["name"], part["usage"]["cost-micros"]) for part in run["phases"]] == [
        ("execution", 1_200_000),
        ("planning", 450_000),
    ]
    assert ready.run("export", *WEEK, "--per-day", str(folder)).stderr.endswith(
        "Wrote 0 files in " + f"{folder}; 8 others had nothing new.\n"
    )
    assert contents(folder) == before
    leave_journal(Path(os.environ["PYJAMA_HOME"]), "w-2-b", a_week.call(a_week.at(27, 5), "loner", 1_000, 0))
    ready.run("export", *WEEK, "--per-day", str(folder))
    after = contents(folder)
    assert [name for name in after if after[name] != before[name]] == ["daily/2025-10-27.json"]


def test_what_the_history_forgets_stays_in_the_folder(ready: ReadyCommands, week: Path, tmp_path: Path) -> None:
    """Also a day of which it still knows a half."""
    folder = tmp_path / "backup"
    ready.run("export", *WEEK, "--per-day", str(folder))
    before = contents(folder)
    noon = a_week.at(26, 12)
    with database(week) as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('horizon', ?)", (noon,))
        for table in ("minutes", "hours", "totals", "usage", "usage_totals"):
            connection.execute(f"DELETE FROM {table} WHERE begin < ?", (noon,))
    assert "Wrote 0 files" in ready.run("export", *WEEK, "--per-day", str(folder)).stderr
    assert contents(folder) == before
    assert ready.run("export", *WEEK, "--per-day", str(tmp_path / "another")).returncode == 0
    assert "daily/2025-10-26.json" in contents(tmp_path / "another")


def test_what_was_cleared_stays_in_the_folder(ready: ReadyCommands, week: Path, tmp_path: Path) -> None:
    """Also the day of the clearing, of which the history knows the rest; the days after it are brought up to date."""
    folder, span = tmp_path / "backup", ("--from", "2025-10-25", "--to", "2025-10-29", "--timezone", "Europe/Berlin")
    ready.run("export", *span, "--per-day", str(folder))
    before = contents(folder)
    Hub(str(week), clock=lambda: a_week.at(28, 12) / 1000).clear(history=True)
    leave_journal(
        week, "w-2-b", a_week.call(a_week.at(28, 15), "loner", 1_000, 0), a_week.call(a_week.at(29, 5), "loner", 1_000, 0)
    )
    assert "Wrote 1 file " in ready.run("export", *span, "--per-day", str(folder)).stderr
    assert contents(folder) == before | {"daily/2025-10-29.json": contents(folder)["daily/2025-10-29.json"]}
    leave_journal(
        week, "w-3-c", a_week.call(a_week.at(28, 16), "loner", 1_000, 0), a_week.call(a_week.at(29, 6), "loner", 1_000, 0)
    )
    assert "Wrote 1 file " in ready.run("export", *span, "--per-day", str(folder)).stderr
    after = contents(folder)
    assert json.loads(after.pop("daily/2025-10-29.json")[1])["total"]["usage"]["requests"] == 2
    assert after == before


def test_no_name_of_a_run_leaves_the_folder(ready: ReadyCommands, tmp_path: Path) -> None:
    """Nor do two of them meet in one file."""
    ids = [
        "../../evil",
        "/etc/passwd",
        "..",
        ".hidden",
        "a/b",
        "a\\b",
        "UPPER",
        "upper",
        "CON",
        "x" * 300,
        "ünïcode",
        "a b",
        "end.",
    ]
    leave_journal(
        Path(os.environ["PYJAMA_HOME"]),
        "w-2-b",
        *(event("start", a_week.at(28, 1), "x", run=run) for run in ids),
        *(event("complete", a_week.at(28, 2), "x", run=run) for run in ids),
    )
    folder = tmp_path / "backup"
    assert ready.run("export", *WEEK, "--per-day", str(folder)).returncode == 0
    names = [path.name for path in (folder / "executions").iterdir()]
    assert len(names) == len({name.lower() for name in names}) == len(ids) + 4
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,105}\.json", name) for name in names)
    told = {json.loads((folder / "executions" / name).read_bytes())["run"] for name in names}
    assert {"../../evil", "/etc/passwd", "..", "UPPER", "upper"} <= told
    assert {path.name for path in tmp_path.iterdir()} >= {"backup"}
    assert not (tmp_path / "evil.json").exists()


def test_two_exports_do_not_write_into_one_folder_at_once(ready: ReadyCommands, tmp_path: Path) -> None:
    """The second says so, and writes nothing."""
    folder = tmp_path / "backup"
    folder.mkdir()
    with FoldLock(str(folder / per_day.LOCK)).held(0.0):
        answer = ready.run("export", *WEEK, "--per-day", str(folder))
    assert answer.returncode == 1
    assert per_day.LOCK in answer.stderr
    assert contents(folder) == {}


@pytest.mark.parametrize("part", [("--agent", "builder"), ("--project", "shop"), ("--project", "")])
def test_whole_days_are_not_replaced_by_parts_of_them(ready: ReadyCommands, tmp_path: Path, part: tuple[str, str]) -> None:
    """The file of a day is of all agents and projects; nothing is written, not even the folder."""
    answer = ready.run("export", *WEEK, "--per-day", str(tmp_path / "backup"), *part)
    assert answer.returncode == 2
    assert "--per-day" in answer.stderr
    assert part[0] in answer.stderr
    assert not (tmp_path / "backup").exists()


def test_a_folder_that_cannot_be_one_is_told(ready: ReadyCommands, tmp_path: Path) -> None:
    """A file is in the way; and the ways to write exclude each other."""
    (tmp_path / "file").write_text("")
    answer = ready.run("export", *WEEK, "--per-day", str(tmp_path / "file"))
    assert answer.returncode == 1
    assert str(tmp_path / "file") in answer.stderr
    answer = ready.run("export", "--per-day", str(tmp_path), "--format", "json")
    assert answer.returncode == 2
    assert "--per-day" in answer.stderr
