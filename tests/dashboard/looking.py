"""A page in a real browser, as its tests look at it: opened, waited for, hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.dashboard.serving import Served

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ALONE = "delete window.SharedWorker"
"""A script that takes from a page what tabs share a stream by."""


def open_page(page: Page, server: Served, route: str = "") -> None:
    """Open the page, or with ``route`` one of its views, and wait for its first data."""
    page.goto(f"{server.url}/{route}")
    page.wait_for_selector("body[data-version]")


def row(page: Page, table: str, name: str) -> Locator:
    """The row of an agent or a tool, by its exact name."""
    return page.locator(f"#{table} tr", has=page.get_by_role("rowheader", name=name, exact=True))


def see(where: Locator, text: str, timeout: float = 5.0) -> None:
    """Wait until a text is to be seen."""
    where.filter(has_text=text).first.wait_for(timeout=timeout * 1000)


def set_hidden(page: Page, hidden: bool) -> None:
    """Tell the page that its tab is hidden, or looked at again: headless Chromium calls no tab hidden."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
            Object.defineProperty(document, "visibilityState", {configurable: true, get: () => hidden ? "hidden" : "visible"});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
