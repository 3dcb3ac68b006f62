from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from tests.dashboard.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

CHROMIUMS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(os.path.exists, CHROMIUMS), CHROMIUMS[-1])
"""The browser of the tests. The shell without windows opens the page with half of the work, so it comes first."""

VIEWPORT: ViewportSize = {"width": 1280, "height": 800}
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def server(home: Path) -> Iterator[DashboardServer]:
    """A server of this test's hub."""
    with serving(home) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One headless Chromium for all tests; skips them, with the reason, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not os.path.exists(CHROMIUM):
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium, or name another in CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


class Tab:
    """A tab of a profile of its own, and what its console complained of."""

    def __init__(self, chromium: Browser) -> None:
        self.complaints: list[str] = []
        self.context = chromium.new_context(viewport=VIEWPORT)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)


@pytest.fixture(scope="module")
def shared_tab(chromium: Browser) -> Iterator[Tab]:
    """One tab for the tests of a module: half of the work of opening a page is to begin a tab."""
    tab = Tab(chromium)
    yield tab
    tab.context.close()


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty tab; the test fails on any error in its console.

    It is new for a test with the mark ``own_tab``, which may change what a tab never gives back: its clock, its scripts.
    """
    own = request.node.get_closest_marker("own_tab") is not None
    tab = Tab(chromium) if own else request.getfixturevalue("shared_tab")
    tab.complaints.clear()
    yield tab.page
    complaints = [*tab.complaints]
    if own:
        tab.context.close()
    else:
        tab.page.unroute_all()
        tab.context.clear_permissions()
        if tab.page.url.startswith("http"):
            tab.page.evaluate("localStorage.clear(), sessionStorage.clear()")
        tab.page.goto("about:blank")
        tab.page.set_viewport_size(VIEWPORT)
    # What the tests bring about: a server that ends, one that refuses a stream, a policy that is tried.
    expected = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "503", "Trusted")
    assert [complaint for complaint in complaints if not any(word in complaint for word in expected)] == []
