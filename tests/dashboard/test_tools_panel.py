"""The panel of tools, in a real browser: which are used most, which are slow, which fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import record_agent_start, record_tool_execution
from tests.dashboard.looking import open_page, row, see
from tests.dashboard.serving import ask
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def executed(tool: str, count: int, failed: int = 0, duration_ms: float | None = 10) -> None:
    """Record executions of a tool, and some that failed."""
    for number in range(count + failed):
        record_tool_execution(tool, "worker", "ok" if number < count else "error", duration_ms)


def open_tools(page: Page, server: DashboardServer, tools: int) -> None:
    """Open the page when the server knows so many tools."""
    wait_until(lambda: len(ask(server, "/api/data").json["metrics"]["tools"]) == tools, what=f"{tools} tools")
    open_page(page, server)


def names(page: Page) -> list[str]:
    """The tools, from top to bottom."""
    found: list[str] = page.locator("#tools th").all_inner_texts()
    return found


def order_by(page: Page, name: str) -> list[str]:
    """Press the button of an order, and read the tools."""
    page.locator(".panel.tools").get_by_role("button", name=name).click()
    return names(page)


def bars(page: Page, tool: str) -> list[str]:
    """How long the parts of a tool's bar are: what went well, and what failed."""
    found: list[str] = row(page, "tools", tool).locator(".use i").evaluate_all("parts => parts.map(part => part.style.width)")
    return found


def test_a_bar_is_a_share_of_the_most_used_and_its_end_what_failed(server: DashboardServer, page: Page) -> None:
    """It grows with the figures, in place."""
    executed("read", 8, failed=2)
    executed("grep", 4)
    open_tools(page, server, 2)
    assert (bars(page, "read"), bars(page, "grep")) == (["80%", "20%"], ["40%", "0%"])
    page.evaluate("window.grep = document.querySelectorAll('#tools tr')[1]")
    executed("grep", 4)
    wait_until(lambda: bars(page, "grep") == ["80%", "0%"])
    assert page.evaluate("grep === document.querySelectorAll('#tools tr')[1]") is True


def test_a_row_tells_counts_rates_and_durations(server: DashboardServer, page: Page) -> None:
    """With the words of the data on hover; what nobody measured is a dash."""
    page.set_viewport_size({"width": 1000, "height": 800})
    executed("read", 3, failed=1, duration_ms=20)
    executed("ask", 2, duration_ms=None)
    open_tools(page, server, 2)
    cells = [cell.split("\n")[-1] for cell in row(page, "tools", "read").locator("td").all_inner_texts()]
    assert cells[:5] == ["4", "66.7 %", "1", "75.0 %", "20.0 ms"]
    assert row(page, "tools", "ask").locator("td").all_inner_texts()[4:] == ["–"] * 4
    heads = page.locator(".panel.tools th[scope=col]")
    assert all(head.get_attribute("title") for head in heads.all()[1:])


def test_the_tools_come_in_three_orders(server: DashboardServer, page: Page) -> None:
    """Most used, slowest by their 95th percentile, most failing by rate and then by count."""
    executed("often", 30, duration_ms=1)
    executed("slow", 5, duration_ms=9000)
    executed("broken", 1, failed=3)
    executed("shaky", 36, failed=4)
    executed("unmeasured", 7, duration_ms=None)
    open_tools(page, server, 5)
    assert names(page) == ["shaky", "often", "unmeasured", "slow", "broken"]
    assert order_by(page, "Slowest") == ["slow", "shaky", "broken", "often", "unmeasured"]
    assert order_by(page, "Most failing") == ["broken", "shaky", "often", "unmeasured", "slow"]
    assert page.locator(".panel.tools th[aria-sort]").inner_text() == "Success"
    assert order_by(page, "Most used")[0] == "shaky"


@pytest.mark.own_tab
def test_rows_keep_their_places_while_they_are_read(server: DashboardServer, page: Page) -> None:
    """Figures change under the pointer, the order does not; and by itself it changes every few seconds at most."""
    executed("first", 5)
    executed("second", 4)
    page.clock.install()
    open_tools(page, server, 2)
    row(page, "tools", "second").hover()
    executed("second", 6)
    see(row(page, "tools", "second").locator(".figure"), "10")
    page.clock.run_for(10_000)
    assert names(page) == ["first", "second"]
    page.mouse.move(0, 0)
    page.clock.run_for(2_000)
    wait_until(lambda: names(page) == ["second", "first"])
    executed("first", 9)
    see(row(page, "tools", "first").locator(".figure"), "14")
    assert names(page) == ["second", "first"]
    page.clock.run_for(5_000)
    assert names(page) == ["first", "second"]


def test_many_tools_are_shown_when_they_are_asked_for(server: DashboardServer, page: Page) -> None:
    """A hundred rows; the others are one click, or a few letters, away."""
    for number in range(150):
        executed(f"tool-{number:03}", 1)
    open_tools(page, server, 150)
    rows = page.locator("#tools tr")
    wait_until(lambda: rows.count() == 100)
    page.locator("#more-tools").click()
    assert (rows.count(), page.locator("#more-tools").is_visible()) == (150, False)
    search = page.get_by_label("Search tools by name")
    search.fill("TOOL-14")
    assert (rows.count(), page.locator("#tools-total").inner_text()) == (10, "10 of 150")
    search.fill("no such")
    see(page.locator("#no-such-tool"), "No tool is called that.")
    search.press("Escape")
    assert rows.count() == 150


def test_a_few_tools_need_no_search(server: DashboardServer, page: Page) -> None:
    """Nor does a page on which no tool was executed yet."""
    record_agent_start("worker")
    wait_until(lambda: ask(server, "/api/data").json["agents"])
    open_page(page, server)
    see(page.locator("#no-tools"), "No tool has been executed yet.")
    executed("grep", 1)
    see(row(page, "tools", "grep"), "1")
    assert not page.get_by_label("Search tools by name").is_visible()
    assert not page.locator("#no-tools").is_visible()


HOSTILE = ["<img src=x onerror=alert(1)>", "__proto__", "constructor", "x" * 10_000, "a\nb\x00c", "\u202eright to left", ""]


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_names_of_tools_are_text_in_one_line(server: DashboardServer, page: Page, width: int) -> None:
    """Each is a row like any other."""
    for name in HOSTILE:
        executed(name, 1, failed=1)
    page.set_viewport_size({"width": width, "height": 800})
    open_tools(page, server, len(HOSTILE))
    assert len(names(page)) == len(HOSTILE)
    assert (
        len(
            {
                row["height"]
                for row in page.locator("#tools tr").evaluate_all("rows => rows.map(row => row.getBoundingClientRect().toJSON())")
            }
        )
        == 1
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".panel.tools img").count() == 0
