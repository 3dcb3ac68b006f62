"""Pictures of the page as it looks on a working day, for looking at it: ``scripts/screenshots`` starts this.

Widths of 360, 1280 and 2560 pixels, light and dark: the overview (what is seen first, and all of it), the tree, an agent, the
dialog, and an empty hub. The folder is left out of git.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.dashboard.conftest import CHROMIUM, QUIET
from tests.dashboard.looking import open_page
from tests.dashboard.scene import staged
from tests.dashboard.serving import Served, dashboard_process

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHECKOUT = Path(__file__).resolve().parents[2]
README_PICTURE = CHECKOUT / "docs" / "images" / "page.png"
SIZES = {360: 800, 1280: 900, 2560: 1440}
THEMES = ("light", "dark")
AGENT = "refactor-auth"


def main(argv: Sequence[str]) -> int:
    """Take the pictures and print where they are."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("--readme", action="store_true", help="only docs/images/page.png, 1280 × 900, light")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "screenshots", help="where they go (screenshots/)")
    parser.add_argument("--width", type=int, choices=SIZES, action="append", help="only this width; may be repeated")
    parser.add_argument("--theme", choices=THEMES, action="append", help="only this theme")
    options = parser.parse_args(argv)
    if not os.path.exists(CHROMIUM):
        print(f"There is no Chromium at {CHROMIUM}; install it, or name another in the variable CHROMIUM.", file=sys.stderr)
        return 1
    with chromium() as browser, tempfile.TemporaryDirectory(prefix="pyjama-") as folder:
        if options.readme:
            with scene(Path(folder)) as server:
                take_readme_picture(browser, server)
            return 0
        options.folder.mkdir(parents=True, exist_ok=True)
        studio = Studio(browser, options.folder, options.width or list(SIZES), options.theme or list(THEMES))
        with dashboard_process(home=Path(folder, "empty", ".pyjama")) as server:
            studio.take(server, EMPTY)
        with scene(Path(folder)) as server:
            studio.take(server, VIEWS)
    return 0


@contextmanager
def chromium() -> Iterator[Browser]:
    """Lend a headless Chromium."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def scene(folder: Path) -> Iterator[Served]:
    """A dashboard, and the staged scene in its hub."""
    home = folder / ".pyjama"
    with dashboard_process(home=home) as server, staged(home):
        yield server


def overview(page: Page, server: Served) -> None:
    """What is seen first."""
    open_page(page, server)
    page.wait_for_selector("#agents tr")


def whole_overview(page: Page, server: Served) -> None:
    """All of it: the charts begin when somebody comes to them."""
    overview(page, server)
    page.locator("[data-chart=cost]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=cost] canvas")
    page.locator(".panel.cost").scroll_into_view_if_needed()
    page.wait_for_selector("#costs tr")
    page.evaluate("scrollTo(0, 0)")


def end_of_overview(page: Page, server: Served) -> None:
    """What is seen last. A picture of the whole lacks the lists that scroll by themselves and are out of view."""
    whole_overview(page, server)
    page.wait_for_selector("#log bdi")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")


def tree(page: Page, server: Served) -> None:
    """The agents as a tree."""
    overview(page, server)
    page.get_by_role("button", name="Tree", exact=True).click()
    page.locator("#agents").scroll_into_view_if_needed()


def agent(page: Page, server: Served) -> None:
    """The page of one agent."""
    open_page(page, server, f"#/agents/{AGENT}")
    page.wait_for_selector("#agent-tools tr")
    page.wait_for_selector("#waterfall .bars > *")
    page.wait_for_selector("#past-runs tr")


def clearing(page: Page, server: Served) -> None:
    """The question before everything is cleared."""
    overview(page, server)
    page.locator("#clear").click()
    page.wait_for_selector("dialog[open]")


def nothing(page: Page, server: Served) -> None:
    """What a newcomer sees."""
    open_page(page, server)
    page.wait_for_selector("#nothing", state="visible")


View = Callable[["Page", Served], None]

VIEWS: dict[str, tuple[View, bool]] = {
    "overview": (overview, False),
    "overview-whole": (whole_overview, True),
    "overview-end": (end_of_overview, False),
    "tree": (tree, False),
    "agent": (agent, True),
    "clear": (clearing, False),
}
"""How each picture comes about, and whether it has the whole page or what is seen of it."""

EMPTY: dict[str, tuple[View, bool]] = {"empty": (nothing, False)}


class Studio:
    """Takes pictures into one folder, in all widths and themes that are asked for."""

    def __init__(self, browser: Browser, folder: Path, widths: Sequence[int], themes: Sequence[str]) -> None:
        self.browser, self.folder, self.widths, self.themes = browser, folder, widths, themes

    def take(self, server: Served, views: dict[str, tuple[View, bool]]) -> None:
        """A picture of each view."""
        for width in self.widths:
            for theme in self.themes:
                for name, (view, is_whole) in views.items():
                    path = self.folder / f"{name}-{width}-{theme}.png"
                    with tab(self.browser, width, SIZES[width], theme) as page:
                        view(page, server)
                        settle(page)
                        page.screenshot(path=path, full_page=is_whole)
                    print(path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path, flush=True)


def take_readme_picture(browser: Browser, server: Served) -> None:
    """The picture at the top of the README."""
    with tab(browser, 1280, 900, "light") as page:
        overview(page, server)
        settle(page)
        page.screenshot(path=README_PICTURE)
    print(README_PICTURE.relative_to(CHECKOUT))


@contextmanager
def tab(browser: Browser, width: int, height: int, theme: str) -> Iterator[Page]:
    """An empty tab of a fresh profile."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def settle(page: Page) -> None:
    """Wait until what has come is on screen: fonts, and two frames."""
    page.evaluate(
        "document.fonts.ready.then(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
