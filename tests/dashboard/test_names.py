"""The names that the page uses are the names that the data has."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pyjama_metrics import statuses, views
from pyjama_metrics.dashboard import app as app_module
from pyjama_metrics.dashboard import past_views
from pyjama_metrics.dashboard.app import VIEWS
from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.events import OUTCOMES
from pyjama_metrics.fold import LOG_ENTRIES
from pyjama_metrics.needs import ENDED_BADLY
from tests.dashboard.serving import ask

FOLDER = Path(app_module.__file__).parent
STATIC = FOLDER / "static"
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
VARIABLES = {
    "agent": views.AgentView,
    "agentA": views.AgentView,
    "agentB": views.AgentView,
    "tool": views.ToolView,
    "toolA": views.ToolView,
    "toolB": views.ToolView,
    "entry": views.LogView,
    "need": views.NeedView,
    "recent": views.SparkView,
    "subtree": views.SubtreeView,
    "today": views.TodayView,
    "activity": views.ActivityView,
    "breakdown": past_views.BreakdownView,
    "portion": past_views.PastPartView,
    "pastRun": past_views.PastRunView,
    "execution": views.ExecutionView,
    "run": views.RunView,
    "usage": views.UsageView,
    "detail": views.AgentDetail,
    "runDetail": views.RunDetail,
    "agentTool": views.AgentToolView,
    "bucket": views.BucketView,
    "step": views.StepView,
    "error": views.ErrorView,
    "overview": views.Overview,
    "problems": views.ProblemsView,
    "metrics": views.MetricsView,
    "about": views.AboutView,
    "limit": views.LimitView,
    "hub": app_module.HubView,
    "data": views.Dashboard,
}
"""What the scripts call a view by; a name stands for the same view in all of them."""


def names_of(view: type) -> set[str]:
    """The keys of a view in JSON."""
    return {views.json_name(each.name) for each in dataclasses.fields(view)}


class Fields(HTMLParser):
    """Collects each data-field with the data-view around it, and each data-format."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str | None] = []
        self.used: set[tuple[str, str]] = set()
        self.formats: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        view = found.get("data-view") or (self.open[-1] if self.open else None)
        if tag not in ("meta", "link", "img", "use", "path", "input", "br"):
            self.open.append(view)
        if field := found.get("data-field"):
            assert view, f"{field} belongs to no view"
            self.used.add((view, field))
        if form := found.get("data-format"):
            self.formats.add(form)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing inside it, and no field on it."""

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()


def fields_of(page: bytes) -> Fields:
    """Parse a page."""
    found = Fields()
    found.feed(page.decode())
    return found


def test_every_field_of_the_page_is_a_field_of_its_view(server: DashboardServer) -> None:
    """A renamed field cannot leave an empty column behind."""
    known = {view.__name__: names_of(view) for view in VIEWS}
    used = fields_of(ask(server, "/").body).used
    assert len(used) > 20
    assert {(view, field) for view, field in used if field not in known[view]} == set()


def test_every_format_of_the_page_is_known_to_the_scripts(server: DashboardServer) -> None:
    """A figure is never shown raw because its format was misspelt."""
    writers = (FOLDER / "static" / "js" / "fields.js").read_text(encoding="utf-8")
    table = writers[writers.index("WRITERS = {") : writers.index("};")]
    assert fields_of(ask(server, "/").body).formats <= set(re.findall(r"^ {2}(\w+)[:,]", table, re.MULTILINE))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_field_in_a_script_is_a_field_of_its_view(script: Path) -> None:
    """The scripts read what the views have."""
    text = script.read_text(encoding="utf-8")
    variables = "|".join(VARIABLES)
    found = re.findall(rf'\b(?<![./#-])({variables})(?:\(\))?(?:\??\.(\w+)|(?:\?\.)?\["([\w-]+)"\])', text)
    for names, variable in re.findall(rf"const {{([^{{}}]*)}} = ({variables})(?:\(\))?;", text):
        found += [(variable, name.split(":")[0].strip(), "") for name in names.split(",")]
    extra = {"data": {"hub", "now"}, "metrics": {"json"}}  # of which the last is the name of the file
    unknown = {
        (variable, dotted or quoted)
        for variable, dotted, quoted in found
        if (dotted or quoted) not in names_of(VARIABLES[variable]) | extra.get(variable, set())
    }
    assert unknown == set()


def test_every_column_says_what_it_counts(server: DashboardServer) -> None:
    """The help of a view's field is the tooltip of its column."""
    page = ask(server, "/").body.decode()
    helps = views.help_texts(views.ToolView)
    for field in ("count", "success_rate", "avg_duration_ms", "p95_ms"):
        assert f'title="{helps[field]}"' in page


def test_the_page_holds_no_inline_script_and_no_foreign_address(server: DashboardServer) -> None:
    """Nothing is loaded from elsewhere, and nothing runs that the policy would have to allow."""
    page = ask(server, "/").body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style|javascript:", page)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


def test_every_static_file_is_served(server: DashboardServer) -> None:
    """What the page and its scripts ask for is in the package."""
    page = ask(server, "/").body.decode()
    wanted = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    (folder,) = {address.rpartition("js/main.js")[0] for address in wanted if address.endswith("js/main.js")}
    wanted |= {folder + path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}
    assert {path: ask(server, path).status for path in wanted} == dict.fromkeys(wanted, 200)


def words_of(script: str, name: str) -> list[str]:
    """The words of a list or set that a script exports under a name."""
    text = (STATIC / "js" / script).read_text(encoding="utf-8")
    (listed,) = re.findall(rf"^export const {name} = (?:new Set\()?\[(.*?)\]", text, re.MULTILINE)
    return re.findall(r'"([\w-]+)"', listed)


def test_the_page_orders_and_groups_statuses_as_the_data_do() -> None:
    """Agents stand in one order in the page, in the data and on the command line."""
    assert words_of("statuses.js", "STATUSES") == list(statuses.URGENCY)
    assert set(words_of("statuses.js", "OPEN")) == statuses.OPEN
    assert set(words_of("statuses.js", "FINISHED")) == OUTCOMES
    assert set(words_of("statuses.js", "ENDED_BADLY")) == ENDED_BADLY


def test_the_page_keeps_as_many_entries_of_the_log_as_the_file() -> None:
    """An update that says which entries are new would otherwise lead to another document than the server's."""
    (most,) = re.findall(r"^export const LOG_ENTRIES = (\d+);", (STATIC / "js" / "patches.js").read_text("utf-8"), re.MULTILINE)
    assert int(most) == LOG_ENTRIES


def test_every_export_is_used_by_others() -> None:
    """What no other script and no test uses of a script is its own affair."""
    readers = [file.read_text(encoding="utf-8") for file in [*SCRIPTS, *Path(__file__).parent.glob("test_*.py")]]
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        users = " ".join(reader for reader in readers if reader != text and re.search(rf'"(?:\./)?{script.name}"', reader))
        exported = re.findall(r"^export (?:async )?(?:function|const|let|class) (\w+)", text, re.MULTILINE)
        assert [name for name in exported if not re.search(rf"\b{name}\b", users)] == [], script.name


def test_every_script_is_used() -> None:
    """No script is left over."""
    imports = {name for script in SCRIPTS for name in re.findall(r'"\./([\w-]+\.js)"', script.read_text(encoding="utf-8"))}
    assert imports | {"main.js"} == {script.name for script in SCRIPTS}


def test_every_sheet_is_used(server: DashboardServer) -> None:
    """No style sheet is left over."""
    linked = set(re.findall(r'href="/static/\w+/(\w+\.css)"', ask(server, "/").body.decode()))
    loaded = {
        name for script in SCRIPTS for name in re.findall(r'loadStyles\("\.\./(\w+\.css)"\)', script.read_text(encoding="utf-8"))
    }
    assert linked | loaded == {sheet.name for sheet in STATIC.glob("*.css")}
