"""Everybody can use the page: axe-core finds nothing of weight in any view, in either theme, on a desk or in a hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.looking import open_page
from tests.dashboard.scene import staged
from tests.dashboard.serving import Served, dashboard_process, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parents[1] / "vendor" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
WEIGHTY = ("moderate", "serious", "critical")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard of a working day."""
    home = tmp_path_factory.mktemp("scene") / "hub"
    with dashboard_process(home=home) as server, staged(home):
        yield server


@pytest.fixture(params=["light", "dark"])
def tab(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty tab in one of the themes, in which nothing is on its way."""
    context = chromium.new_context(color_scheme=request.param, reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)
    yield page
    context.close()


def violations(page: Page) -> list[str]:
    """What axe finds, but for what it calls minor, each with the element it is in."""
    # Evaluated by the debugger, which neither the content security policy nor Trusted Types have a say in: the page is
    # looked at as it is served.
    page.evaluate(AXE)
    found: Any = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']} ({rule['impact']}) {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in WEIGHTY
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("width", [1280, 360])
def test_the_overview(scene: Served, tab: Page, width: int) -> None:
    """Needs, tiles, agents, charts, cost, tools and log; as a table and as a tree."""
    tab.set_viewport_size({"width": width, "height": 900})
    open_page(tab, scene)
    tab.wait_for_selector("#agents tr")
    tab.locator("[data-chart=cost]").scroll_into_view_if_needed()
    tab.wait_for_selector("[data-chart=cost] canvas")
    tab.locator(".panel.cost").scroll_into_view_if_needed()
    tab.wait_for_selector("#costs tr")
    assert violations(tab) == []
    tab.get_by_role("button", name="Tree", exact=True).click()
    tab.wait_for_selector("#agents .rails i")
    assert violations(tab) == []


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_of_an_agent(scene: Served, tab: Page, width: int) -> None:
    """Workflow, waterfall, histograms; and the tables that say the same."""
    tab.set_viewport_size({"width": width, "height": 900})
    open_page(tab, scene, "#/agents/refactor-auth")
    tab.wait_for_selector("#agent-tools tr")
    tab.wait_for_selector("#waterfall .bars > *")
    tab.locator("#waterfall summary").click()
    tab.wait_for_selector("#waterfall tbody tr")
    tab.locator("#past-runs button").first.click()
    tab.wait_for_selector("#past-run-parts tr")
    tab.locator("#agent-past summary").click()
    assert violations(tab) == []


def test_an_agent_that_waits_and_one_that_nobody_knows(scene: Served, tab: Page) -> None:
    """The states in which something is said that is not there otherwise."""
    open_page(tab, scene, "#/agents/clean-build")
    tab.wait_for_selector("#agent-tools tr")
    assert violations(tab) == []
    open_page(tab, scene, "#/agents/nobody")
    tab.wait_for_selector("#agent-gone", state="visible")
    assert violations(tab) == []


def test_the_question_before_clearing(scene: Served, tab: Page) -> None:
    """The dialog, and what is behind it."""
    open_page(tab, scene)
    tab.locator("#clear").click()
    tab.wait_for_selector("dialog[open]")
    assert violations(tab) == []


@pytest.mark.parametrize("width", [1280, 360])
def test_an_empty_hub(home: Path, tab: Page, width: int) -> None:
    """What a newcomer sees, also where the folder's path is long and the window narrow: it wraps, nothing is out of reach."""
    tab.set_viewport_size({"width": width, "height": 900})
    with serving(home / ("long-name-of-a-folder-" * 7)) as server:
        open_page(tab, server)
        tab.wait_for_selector("#nothing", state="visible")
        assert violations(tab) == []
        texts = tab.locator("#nothing :is(code, pre)")
        assert texts.evaluate_all("texts => texts.filter((text) => text.scrollWidth > text.clientWidth).length") == 0


def test_a_fault_is_found(home: Path, tab: Page) -> None:
    """That axe finds nothing means something: here it finds a picture without words and a text too pale."""
    with serving(home) as server:
        open_page(tab, server)
        tab.evaluate("document.querySelector('h1 img').removeAttribute('alt')")
        tab.evaluate("document.querySelector('#nothing p').style.opacity = 0.4")
        assert {found.split()[0] for found in violations(tab)} == {"image-alt", "color-contrast"}
