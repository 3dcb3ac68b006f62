"""The panel of the activity, in a real browser: what agents did over time, and what is not known of it."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import record_agent_start, record_llm_usage, record_tool_execution
from tests.dashboard.looking import open_page, see, set_hidden
from tests.dashboard.serving import agent_process, ask, serving
from tests.histories import database
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now() -> int:
    """The time, in ms since the epoch."""
    return int(time.time() * 1000)


def executed(count: int, failed: int = 0, ago: int = 0) -> None:
    """Record executions, and failed ones, some ms ago."""
    for number in range(count + failed):
        status = "ok" if number < count else "error"
        record_tool_execution("grep", "worker", status, duration_ms=1, time_ms=now() - ago)


def is_counted(server: DashboardServer, count: int) -> None:
    """Wait until the server has counted so many executions."""
    wait_until(lambda: ask(server, "/api/data").json["metrics"]["global"]["count"] == count, what=f"{count} executions")


def is_in_history(server: DashboardServer, count: int) -> None:
    """Wait until the history has so many executions."""
    answers = "/metrics/history/breakdown?from=0"
    wait_until(lambda: ask(server, answers).json.get("executions", {}).get("count") == count, what=f"{count} in the history")


def panel(page: Page) -> Locator:
    """The panel, where it is seen."""
    found = page.locator(".panel.activity")
    found.scroll_into_view_if_needed()
    return found


def drawn(page: Page) -> Locator:
    """The panel with its charts."""
    page.wait_for_selector(".activity .uplot", timeout=10_000)
    return panel(page)


def marked(page: Page) -> list[str]:
    """The names of the ranges that are marked as chosen."""
    return panel(page).locator(".ranges [aria-pressed=true]").all_inner_texts()


def choose(page: Page, name: str) -> None:
    """Press the button of a range."""
    panel(page).get_by_role("button", name=name, exact=True).click()


def said(page: Page, part: str) -> str:
    """The text of a part of the panel."""
    return " ".join(page.locator(f".activity {part}").inner_text().split())


def colours(page: Page, chart: str) -> set[str]:
    """The colours that a chart is drawn in, as `rgb(…)`, of all its opaque pixels."""
    found: list[str] = page.evaluate(
        """chart => {
            const canvas = document.querySelector(`[data-chart=${chart}] canvas`);
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const found = new Set();
            for (let place = 0; place < data.length; place += 4) {
                if (data[place + 3] === 255) found.add(`rgb(${data[place]}, ${data[place + 1]}, ${data[place + 2]})`);
            }
            return [...found];
        }""",
        chart,
    )
    return set(found)


def colour_of(page: Page, part: str) -> str:
    """The colour of a part of the panel, as `rgb(…)`."""
    colour: str = page.locator(f".activity {part}").evaluate("part => getComputedStyle(part).color")
    return colour


def read_at(page: Page, share: float) -> str:
    """Point at the charts, at a share of their width, and read the line below."""
    box = page.locator("[data-chart=executions] .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + 40)
    return said(page, ".reading")


def test_what_agents_do_is_drawn_while_they_do_it(server: DashboardServer, page: Page) -> None:
    """Without a reload, no later than the pace of the range: executions, failures in their colour, tokens and cost."""
    record_agent_start("worker")
    open_page(page, server)
    drawn(page)
    see(page.locator(".activity .ok"), "0 ok")
    assert colour_of(page, ".missed") not in colours(page, "executions")
    with agent_process() as agent:
        agent.do("[record_tool_execution('grep', 'worker', status) for status in ('ok', 'ok', 'error')]")
        agent.do("from pyjama_metrics import record_llm_usage; record_llm_usage('worker', 'm', 1200, 34, cost_usd=0.5)")
        see(page.locator(".activity .ok"), "2 ok", timeout=9.0)
    assert said(page, ".missed") == "1 failed"
    assert (said(page, "[data-sum=tokens]"), said(page, "[data-sum=cost]")) == ("1,234", "$0.50")
    assert colour_of(page, ".missed") in colours(page, "executions")


RANGES = {"15 min": 15 * MINUTE, "1 h": HOUR, "24 h": 24 * HOUR, "7 d": 7 * 24 * HOUR, "30 d": 30 * 24 * HOUR}


@pytest.mark.parametrize("name", RANGES)
def test_each_range_shows_what_falls_into_it(server: DashboardServer, page: Page, name: str) -> None:
    """One execution for each range, just within it; the long ones are told by the history, and it is said that they are."""
    for span in RANGES.values():
        executed(1, ago=span - 2 * MINUTE)
    is_counted(server, 5)
    is_in_history(server, 5)
    open_page(page, server)
    drawn(page)
    choose(page, name)
    within = {"15 min": 1, "1 h": 2, "24 h": 3, "7 d": 4, "30 d": 5}[name]
    see(page.locator(".activity .ok"), f"{within} ok")
    assert ("from the history" in said(page, "#activity-known")) == (name in ("7 d", "30 d"))
    assert name == "30 d" or said(page, "#activity-note") == ""


def test_a_range_that_reaches_before_all_that_is_known_says_so(server: DashboardServer, page: Page) -> None:
    """It is hatched, read as not known, and no zero."""
    executed(1, ago=10 * DAY)
    executed(1)
    is_in_history(server, 2)
    open_page(page, server)
    drawn(page)
    choose(page, "30 d")
    see(page.locator("#activity-note"), "What happened before is not known: the history begins then.")
    assert "known since" in said(page, "#activity-known")
    assert read_at(page, 0.3).endswith("nothing is known")
    assert read_at(page, 0.98).endswith("0 tokens · no model calls")


def local(moment: datetime) -> str:
    """A time as one types it into a field."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def test_a_span_of_ones_own_is_shown_and_kept(server: DashboardServer, page: Page) -> None:
    """Typed times are of this place; a reload shows the same."""
    executed(3, ago=5 * HOUR)
    executed(1, ago=2 * HOUR)
    is_counted(server, 4)
    open_page(page, server)
    drawn(page)
    choose(page, "Custom")
    assert marked(page) == ["Custom"]
    choose(page, "Custom")
    assert marked(page) == ["15 min"]
    choose(page, "Custom")
    panel(page).get_by_label("From", exact=True).fill(local(datetime.now() - timedelta(hours=6)))
    panel(page).get_by_label("To", exact=True).fill(local(datetime.now() - timedelta(hours=4)))
    panel(page).get_by_role("button", name="Show", exact=True).click()
    see(page.locator(".activity .ok"), "3 ok")
    assert marked(page) == ["Custom"]
    page.reload()
    drawn(page)
    see(page.locator(".activity .ok"), "3 ok")


def test_times_in_the_wrong_order_are_not_asked_for(server: DashboardServer, page: Page) -> None:
    """A sentence at the fields says what is wrong, also where the server says it."""
    executed(1)
    is_counted(server, 1)
    open_page(page, server)
    drawn(page)
    choose(page, "Custom")
    begin, end = panel(page).get_by_label("From", exact=True), panel(page).get_by_label("To", exact=True)
    begin.fill(local(datetime.now()))
    end.fill(local(datetime.now() - timedelta(hours=1)))
    panel(page).get_by_role("button", name="Show", exact=True).click()
    see(panel(page).get_by_role("alert"), "It ends before it begins.")
    begin.fill("")
    panel(page).get_by_role("button", name="Show", exact=True).click()
    see(panel(page).get_by_role("alert"), "Say when it begins.")
    assert said(page, ".ok") == "1 ok"


def test_at_rest_the_sums_are_those_of_the_tiles(server: DashboardServer, page: Page) -> None:
    """A long range is asked for seldom, but soon after the last event."""
    executed(3)
    is_counted(server, 3)
    open_page(page, server)
    drawn(page)
    choose(page, "30 d")
    page.wait_for_selector(".activity .charts:not([aria-busy])")
    assert said(page, ".ok") == "3 ok"
    executed(4)
    see(page.locator(".activity .ok"), "7 ok", timeout=12.0)


def test_a_span_can_be_drawn_with_the_pointer(server: DashboardServer, page: Page) -> None:
    """From where the button goes down to where it comes up."""
    executed(3, ago=20 * HOUR)
    executed(2, ago=10 * HOUR)
    is_counted(server, 5)
    open_page(page, server)
    drawn(page)
    choose(page, "24 h")
    see(page.locator(".activity .ok"), "5 ok")
    box = page.locator("[data-chart=tokens] .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20)
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 20)
    page.mouse.up()
    see(page.locator(".activity .ok"), "2 ok")
    assert page.locator("#activity-custom").is_visible()


def test_calls_without_a_price_are_unpriced_and_cost_no_nothing(server: DashboardServer, page: Page) -> None:
    """Zero dollars would be a lie."""
    executed(1)
    record_llm_usage("worker", "m", 10, 5)
    is_counted(server, 1)
    open_page(page, server)
    drawn(page)
    see(page.locator(".activity [data-sum=cost]"), "unpriced")
    record_llm_usage("worker", "m", 10, 5, cost_usd=0.25, time_ms=now() - 5 * MINUTE)
    see(page.locator(".activity [data-sum=cost]"), "$0.25 + unpriced calls", timeout=9.0)


def test_the_crosshair_reads_a_bar_exactly_by_pointer_and_by_keys(server: DashboardServer, page: Page) -> None:
    """The line below says which time it is, and every figure of it."""
    executed(1200, failed=34)
    is_counted(server, 1234)
    open_page(page, server)
    drawn(page)
    choose(page, "1 h")
    see(page.locator("#activity-known"), "A bar is 1 min")
    see(page.locator(".activity .ok"), "1,200 ok")
    page.locator(".activity .charts").focus()
    page.keyboard.press("End")
    by_keys = [said(page, ".reading")]
    while "1,200 ok" not in by_keys[-1] and len(by_keys) < 4:
        page.keyboard.press("ArrowLeft")
        by_keys.append(said(page, ".reading"))
    assert re.fullmatch(r"\d\d:\d\d – \d\d:\d\d 1,200 ok · 34 failed · 0 tokens · no model calls", by_keys[-1])
    assert page.locator(".activity .charts").get_attribute("aria-label", timeout=1000) is not None
    page.keyboard.press("Escape")
    assert re.fullmatch(r"\d\d:\d\d – \d\d:\d\d", said(page, ".reading"))
    assert read_at(page, 0.5).endswith("0 ok · 0 failed · 0 tokens · no model calls")


@pytest.mark.own_tab
def test_the_charts_take_the_colours_of_the_theme(server: DashboardServer, page: Page) -> None:
    """By the page's own switch, and by the system's."""
    executed(5, failed=5)
    is_counted(server, 10)
    page.emulate_media(color_scheme="light")
    open_page(page, server)
    drawn(page)
    see(page.locator(".activity .ok"), "5 ok")
    light = colour_of(page, ".missed")
    assert light in colours(page, "executions")
    page.emulate_media(color_scheme="dark")
    wait_until(lambda: light not in colours(page, "executions"), what="the dark colours")
    assert colour_of(page, ".missed") in colours(page, "executions")
    page.get_by_role("radio", name="Light").check(force=True)
    wait_until(lambda: light in colours(page, "executions"), what="the light colours")


def test_the_charts_are_as_wide_as_their_panel(server: DashboardServer, page: Page) -> None:
    """Also after the window became another one."""
    executed(1)
    is_counted(server, 1)
    open_page(page, server)
    drawn(page)
    for width in (360, 2560, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        widths = "['.activity .charts', '[data-chart=cost] .uplot'].map(part => document.querySelector(part).clientWidth)"
        wait_until(lambda widths=widths: len(set(page.evaluate(widths))) == 1, what="the width of the panel")  # type: ignore[misc]
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_table_has_every_figure_of_the_charts(server: DashboardServer, page: Page) -> None:
    """For those who read rather than look; bars in which nothing happened are counted, not listed."""
    executed(7, failed=2, ago=30 * MINUTE)
    record_llm_usage("worker", "m", 10, 5, time_ms=now() - 30 * MINUTE)
    is_counted(server, 9)
    open_page(page, server)
    drawn(page)
    choose(page, "1 h")
    see(page.locator(".activity .ok"), "7 ok")
    page.locator("#activity-table summary").click()
    rows = page.locator("#activity-table tbody tr")
    wait_until(lambda: rows.count() == 1)
    assert rows.first.inner_text().split("\t")[1:] == ["7", "2", "0", "1", "15", "unpriced"]
    assert "other bars nothing happened" in said(page, "#activity-table .rest")


def asked(page: Page) -> list[str]:
    """A list that grows with each request for the activity."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if "/api/activity" in request.url else None)
    return found


@pytest.mark.own_tab
def test_a_live_range_is_asked_for_no_more_often_than_it_may(server: DashboardServer, page: Page) -> None:
    """Every 5 seconds at most, only when something happened, and not at all while nobody looks."""
    page.clock.install()
    requests = asked(page)
    executed(1)
    is_counted(server, 1)
    open_page(page, server)
    drawn(page)
    see(page.locator(".activity .ok"), "1 ok")
    page.clock.run_for(60_000)
    assert len(requests) == 1, "nothing happened"
    executed(1)
    is_counted(server, 2)
    see(page.locator("#executions-tile"), "2")
    page.clock.run_for(20_000)
    see(page.locator(".activity .ok"), "2 ok")
    assert len(requests) == 2, "it happened once"
    set_hidden(page, True)
    executed(1)
    is_counted(server, 3)
    page.clock.run_for(60_000)
    assert len(requests) == 2, "nobody looks"
    set_hidden(page, False)
    page.clock.run_for(2_000)
    see(page.locator(".activity .ok"), "3 ok")


def test_a_clear_empties_the_charts_at_once(server: DashboardServer, page: Page) -> None:
    """However long the pace of the range is."""
    executed(4)
    is_counted(server, 4)
    open_page(page, server)
    drawn(page)
    choose(page, "24 h")
    see(page.locator(".activity .ok"), "4 ok")
    page.get_by_role("button", name="Clear…").click()
    page.get_by_role("dialog").get_by_role("button", name="Clear", exact=True).click()
    record_agent_start("the next one")
    see(page.locator(".activity .ok"), "0 ok")


def test_the_library_is_loaded_when_the_charts_are_looked_at(server: DashboardServer, page: Page) -> None:
    """The first paint does not wait for it, and a page that is elsewhere never asks."""
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url) if "/vendor/" in request.url else None)
    record_agent_start("worker")
    executed(1)
    is_counted(server, 1)
    open_page(page, server, "#/agents/worker")
    see(page.locator("main"), "worker")
    assert loaded == []
    page.goto(f"{server.url}/#/")
    drawn(page)
    assert sorted(url.rpartition("/")[2] for url in loaded) == ["uPlot.iife.min.js", "uPlot.min.css"]


@pytest.mark.own_tab
def test_what_the_server_cannot_answer_is_said(server: DashboardServer, page: Page) -> None:
    """In its own words; and it is asked again by itself."""
    page.clock.install()
    executed(1)
    is_counted(server, 1)
    open_page(page, server)
    drawn(page)
    refusal = '{"ok": false, "error": "The disk is on fire.", "status": 503}'
    page.route("**/api/activity?*", lambda route: route.fulfill(status=503, content_type="application/json", body=refusal))
    choose(page, "24 h")
    see(page.locator("#activity-note"), "The activity could not be loaded: The disk is on fire.")
    drawn_before = said(page, ".reading")
    page.clock.run_for(4_000)
    assert (said(page, "#activity-note")[:12], said(page, ".reading")) == ("The activity", drawn_before)
    page.unroute("**/api/activity?*")
    page.clock.run_for(9_000)
    wait_until(lambda: said(page, "#activity-note") == "", what="no complaint")
    assert said(page, "#activity-known").startswith("A bar is 15 min")


def test_a_history_that_is_switched_off_is_said_and_the_rest_is_shown(
    home: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last 50 hours are in the file."""
    monkeypatch.setenv("PYJAMA_HISTORY", "0")
    with serving(home) as server:
        executed(2, ago=3 * HOUR)
        is_counted(server, 2)
        open_page(page, server)
        drawn(page)
        choose(page, "7 d")
        see(page.locator("#activity-note"), "not known: no history is kept, as PYJAMA_HISTORY says so.")
        assert said(page, ".ok") == "2 ok"


def test_a_history_that_goes_while_one_looks_is_said_and_one_that_comes_is_shown(
    server: DashboardServer, page: Page, home: Path
) -> None:
    """Nothing needs a reload, and what is live goes on."""
    executed(1, ago=5 * DAY)
    executed(1)
    is_in_history(server, 2)
    open_page(page, server)
    drawn(page)
    choose(page, "7 d")
    see(page.locator(".activity .ok"), "2 ok")
    with database(home) as connection:
        (form,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA user_version = 99")
    choose(page, "30 d")
    see(page.locator("#activity-note"), "cannot be read (a newer version of pyjama-metrics made it")
    assert said(page, ".ok") == "1 ok"
    with database(home) as connection:
        connection.execute(f"PRAGMA user_version = {form}")
    choose(page, "7 d")
    see(page.locator(".activity .ok"), "2 ok")
