"""The panel of the cost, in a real browser: what some days cost, how sure that is, and for whom and for what it was spent."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import record_agent_start, record_llm_usage, record_tool_execution
from tests.dashboard.looking import open_page, see
from tests.dashboard.serving import Served, ask, serving
from tests.histories import database
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

DAY = 86_400_000


def noon(days_ago: int) -> int:
    """Noon of a day, in ms since the epoch; of today a moment that is over."""
    day = datetime.combine(date.today() - timedelta(days=days_ago), datetime.min.time())
    return int(time.time() * 1000) if days_ago == 0 else int((day + timedelta(hours=12)).timestamp() * 1000)


def called(days_ago: int = 0, agent: str = "worker", model: str = "gpt-4o", **fields: object) -> None:
    """Record a call of 1,000 tokens and 100 more: $0.0035 with gpt-4o."""
    record_llm_usage(agent, model, 1000, 100, time_ms=noon(days_ago), **fields)  # type: ignore[arg-type]


def in_history(server: Served, calls: int) -> None:
    """Wait until the history has so many model calls."""
    address = "/metrics/history/breakdown?from=0"
    wait_until(lambda: ask(server, address).json.get("usage", {}).get("requests") == calls, what=f"{calls} calls in the history")


def opened(page: Page, server: Served) -> Locator:
    """The page, with the panel in view and its first answer there."""
    open_page(page, server)
    page.locator(".panel.cost").scroll_into_view_if_needed()
    page.wait_for_selector(".panel.cost:not([data-unloaded])")
    page.wait_for_selector(".cost .spent:not([hidden]), #cost-note:not(:empty)")
    return page.locator(".panel.cost")


def choose(panel: Locator, name: str) -> None:
    """Press one of its buttons, and wait for what it brings."""
    panel.get_by_role("button", name=name, exact=True).click()
    panel.page.wait_for_selector(".cost .spent:not([aria-busy])", state="attached")


def said(page: Page, part: str) -> str:
    """The text of a part of the panel."""
    return " ".join(page.locator(f".cost {part}").inner_text().split())


def rows(page: Page) -> dict[str, list[str]]:
    """The cells of each row, by its name."""
    cells = page.locator("#costs tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))")
    return {name: rest for name, *rest in cells}


def test_what_yesterday_cost_by_whom_in_which_phase_and_how_sure_that_is(server: DashboardServer, page: Page) -> None:
    """The question that the panel is for, by four buttons."""
    called(1, phase="planning", cost_usd=0.5)
    called(1, phase="execution")
    called(1, "other", "no-such-model")
    called(0, phase="execution")
    called(3)
    in_history(server, 5)
    panel = opened(page, server)
    see(page.locator(".cost .sum"), "today, for 1 model call")
    choose(panel, "Yesterday")
    see(page.locator(".cost .sum"), "yesterday, for 3 model calls")
    assert said(page, ".sum .figure") == "$0.50+"
    assert page.locator(".cost .sum .figure").get_attribute("title") == (
        "$0.5035 for 3 model calls: $0.50 reported, $0.0035 computed from prices; 1 call unpriced: no-such-model"
    )
    assert said(page, "[data-part=reported]") == "Reported $0.50 told by the sources"
    assert said(page, "[data-part=computed]") == "Computed $0.0035 from prices"
    assert said(page, "[data-part=unpriced]") == "Unpriced 1 call no-such-model"
    assert rows(page) == {"worker": ["$0.50", "100 %", "2", "2,200"], "other": ["unpriced", "", "1", "1,100"]}
    choose(panel, "Phase")
    see(page.locator("#costs"), "planning")
    assert {name: cells[0] for name, cells in rows(page).items()} == {
        "planning": "$0.50",
        "execution": "$0.0035",
        "(no phase told)": "unpriced",
    }
    choose(panel, "7 d")
    see(page.locator(".cost .sum"), "the last 7 days, for 5 model calls")
    choose(panel, "Day")
    see(page.locator(".cost thead"), "Day")
    assert [cells[0] for cells in rows(page).values()] == ["$0.0035", "$0.50+", "–", "$0.0035", "–", "–", "–"]


def test_what_is_estimated_and_what_is_at_least_that_has_its_mark(server: DashboardServer, page: Page) -> None:
    """The sum, the rows, and what a screen reader hears: ~ before an estimate, + behind what lacks calls without a price."""
    record_llm_usage("worker", "gpt-4o", prompt=4000, answer=400, estimate=True)
    called(0, "worker", "no-such-model")
    called(0, "other")
    in_history(server, 3)
    opened(page, server)
    see(page.locator(".cost .sum"), "today, for 3 model calls")
    assert said(page, ".sum") == "~$0.0075+ today, for 3 model calls, ~3,350 tokens"
    # Estimated are 1,000 tokens at $2.50 and 150 at $10 for a million.
    assert rows(page) == {"worker": ["~$0.0040+", "53.3 %", "2", "~2,250"], "other": ["$0.0035", "46.7 %", "1", "1,100"]}
    assert page.locator("#cost-said").inner_text() == (
        "Cost today, by agent: ~$0.0075+; $0.0075 computed from prices; 1 call unpriced: no-such-model; 1,150 tokens estimated."
    )
    assert page.locator(".cost .sum .figure").get_attribute("title") == (
        "$0.0075 for 3 model calls: $0.0075 computed from prices; 1 call unpriced: no-such-model; 1,150 tokens estimated"
    )


def test_calls_without_a_price_say_what_to_do(server: DashboardServer, page: Page) -> None:
    """And cost nothing that could be taken for 0."""
    called(0, model="llama-70b")
    called(0, model="evil; rm -rf ~")
    in_history(server, 2)
    panel = opened(page, server)
    see(page.locator(".cost .sum"), "unpriced")
    assert (said(page, "[data-part=reported] dd:not(.fine)"), said(page, "[data-part=computed] dd:not(.fine)")) == ("–", "–")
    assert said(page, ".advice code") == "pyjama-metrics prices", "what is no name of a model is nothing to copy into a shell"
    assert "2 calls are not in this sum" in said(page, ".advice")
    choose(panel, "Model")
    see(page.locator("#costs"), "llama-70b")
    assert {cells[0] for cells in rows(page).values()} == {"unpriced"}


def test_the_panel_follows_what_happens(server: DashboardServer, page: Page) -> None:
    """Without a reload, soon after the last call."""
    called(0, cost_usd=1)
    in_history(server, 1)
    opened(page, server)
    see(page.locator(".cost .sum"), "$1.00")
    called(0, cost_usd=2)
    see(page.locator(".cost .sum"), "$3.00", timeout=15.0)


def test_what_the_history_did_not_have_yet_is_asked_for_again(server: DashboardServer, page: Page) -> None:
    """It may be a second behind the live figures: the answer of that moment does not stay."""
    record_tool_execution("grep", "worker")
    in_history(server, 0)
    stale = ask(server, "/metrics/history/breakdown?from=0").body
    called(0)
    in_history(server, 1)
    page.route(
        "**/metrics/history/breakdown?*", lambda route: route.fulfill(content_type="application/json", body=stale), times=1
    )
    opened(page, server)
    see(page.locator("#cost-note"), "No model was called today")
    see(page.locator(".cost .sum"), "$0.0035", timeout=9.0)


def test_the_choice_lasts_and_is_made_by_keys(server: DashboardServer, page: Page) -> None:
    """Each button says whether it is chosen; a reload shows the same."""
    called(1)
    in_history(server, 1)
    panel = opened(page, server)
    panel.get_by_role("button", name="Today", exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    see(page.locator(".cost .sum"), "yesterday")
    panel.get_by_role("button", name="Model", exact=True).focus()
    page.keyboard.press("Space")
    see(page.locator("#costs"), "gpt-4o")
    chosen = ["Yesterday", "Model"]
    assert panel.locator("[aria-pressed=true]").all_inner_texts() == chosen
    assert page.locator("#cost-said").inner_text() == "Cost yesterday, by model: $0.0035; $0.0035 computed from prices."
    page.reload()
    opened(page, server)
    see(page.locator("#costs"), "gpt-4o")
    assert panel.locator("[aria-pressed=true]").all_inner_texts() == chosen


def test_days_without_a_call_say_so_and_what_counts_as_one(server: DashboardServer, page: Page) -> None:
    """Nothing is no cost of $0.00."""
    record_agent_start("worker")
    record_tool_execution("grep", "worker")
    called(3)
    in_history(server, 1)
    panel = opened(page, server)
    see(page.locator("#cost-note"), "No model was called today, in 1 execution of tools.")
    assert not page.locator(".cost .spent").is_visible()
    choose(panel, "7 d")
    see(page.locator(".cost .sum"), "$0.0035")
    assert said(page, "#cost-note") == ""


def test_hostile_names_are_text_and_agents_lead_to_their_pages(server: DashboardServer, page: Page) -> None:
    """Markup, directions, nothing at all, and no end."""
    names = ["<img src=x onerror=alert(1)>", "__proto__", "\u202eevil", "x" * 5000, "a/b?c#d"]
    for place, name in enumerate(names):
        called(0, name, cost_usd=place + 1, phase=name)
    in_history(server, len(names))
    panel = opened(page, server)
    see(page.locator(".cost .sum"), "$15.00")
    assert page.locator("#costs tr").count() == len(names)
    assert page.locator(".cost img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    choose(panel, "Phase")
    see(page.locator("#costs"), "\\u202eevil")
    assert page.locator("#costs tr").count() == len(names)
    choose(panel, "Agent")
    page.locator("#costs a", has_text="a/b?c#d").click()
    see(page.locator("#agent-name"), "a/b?c#d")


def test_many_parts_come_a_few_at_a_time(server: DashboardServer, page: Page) -> None:
    """The dearest first; the rest is there for who wants it."""
    for number in range(40):
        called(0, f"agent-{number:02}", cost_usd=number + 1)
    in_history(server, 40)
    opened(page, server)
    see(page.locator("#more-costs"), "Show 28 more")
    assert list(rows(page))[:2] == ["agent-39", "agent-38"]
    page.locator("#more-costs").click()
    wait_until(lambda: page.locator("#costs tr").count() == 40, what="all of them")
    assert not page.locator("#more-costs").is_visible()


def test_a_history_that_goes_is_said_and_what_was_there_stays(server: DashboardServer, page: Page, home: Path) -> None:
    """In the server's words; the live page goes on, and so does the panel when the history is back."""
    called(0, cost_usd=1)
    in_history(server, 1)
    panel = opened(page, server)
    see(page.locator(".cost .sum"), "$1.00")
    with database(home) as connection:
        (form,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA user_version = 99")
    choose(panel, "7 d")
    see(page.locator("#cost-note"), "cannot be read (a newer version of pyjama-metrics made it")
    assert said(page, "#cost-note").endswith("What is here is what it said last.")
    assert said(page, ".sum .figure") == "$1.00"
    record_tool_execution("grep", "worker")
    see(page.locator("#executions-tile"), "1")
    with database(home) as connection:
        connection.execute(f"PRAGMA user_version = {form}")
    see(page.locator(".cost .sum"), "the last 7 days", timeout=15.0)
    wait_until(lambda: said(page, "#cost-note") == "", what="no complaint")


def test_without_a_history_a_sentence_says_why(home: Path, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off by a setting: its name is told."""
    monkeypatch.setenv("PYJAMA_HISTORY", "0")
    with serving(home) as server:
        called(0)
        wait_until(lambda: ask(server, "/api/data").json["today"]["requests"] == 1)
        opened(page, server)
        see(page.locator("#cost-note"), "There is nothing to tell of the past: no history is kept, as PYJAMA_HISTORY says so.")
        assert not page.locator(".cost .spent").is_visible()
        see(page.locator("#cost-tile"), "$0.0035")


def test_the_panel_is_loaded_when_somebody_comes_to_it(server: DashboardServer, page: Page) -> None:
    """The first look at the page does not wait for it, and asks the history nothing."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "cost" in request.url or "/metrics/" in request.url else None)
    for number in range(30):
        record_agent_start(f"agent-{number}")
    called(0)
    in_history(server, 1)
    open_page(page, server)
    see(page.locator("#agents-total"), "3")
    before = [url.rpartition("/")[2] for url in asked]
    assert set(before) <= {"cost-later.js", "cost-words.js"}
    opened(page, server)
    see(page.locator(".cost .sum"), "$0.0035")
    assert any(url.endswith("/cost.css") for url in asked)


ZONES = {
    # zone, moment → hours of today, hours of yesterday, hours of the 7 days
    ("Europe/Berlin", "2025-03-30T15:00:00Z"): (23, 24, 167),
    ("Europe/Berlin", "2025-03-31T15:00:00Z"): (24, 23, 167),
    ("Europe/Berlin", "2025-10-26T15:00:00Z"): (25, 24, 169),
    ("Asia/Kolkata", "2025-06-02T20:00:00Z"): (24, 24, 168),
    ("Australia/Lord_Howe", "2025-10-05T10:00:00Z"): (23.5, 24, 167.5),
}


@pytest.mark.parametrize(("zone", "moment"), ZONES, ids=lambda value: value)
def test_days_are_those_of_the_reader(server: DashboardServer, chromium: Browser, zone: str, moment: str) -> None:
    """Whatever the clocks do there; each begins with a quarter of an hour."""
    record_agent_start("worker")
    context = chromium.new_context(timezone_id=zone)
    try:
        page = context.new_page()
        page.goto(server.url)
        script = page.locator("script[type=module]").first.get_attribute("src") or ""
        spans = page.evaluate(
            """async ([url, moment]) => {
                const { spanOf, timeZone } = await import(url);
                return [timeZone(), ...["today", "yesterday", "7d"].map(days => spanOf(days, Date.parse(moment)))];
            }""",
            [script.replace("main.js", "cost-days.js"), moment],
        )
    finally:
        context.close()
    assert spans[0] in (zone, zone.replace("Kolkata", "Calcutta"))
    assert tuple((span["to"] - span["from"]) / 3_600_000 for span in spans[1:]) == ZONES[zone, moment]
    assert all(span[end] % 900_000 == 0 for span in spans[1:] for end in ("from", "to"))
    assert spans[2]["to"] == spans[1]["from"]


def test_a_reader_in_another_zone_has_other_days(server: DashboardServer, chromium: Browser) -> None:
    """The server divides into days as the reader's calendar does: where a day begins at 18:30 UTC as well."""
    midnight = datetime.combine(date.today() - timedelta(days=2), datetime.min.time())
    half_past_six = int((midnight + timedelta(hours=18, minutes=30)).timestamp() * 1000) + time.localtime().tm_gmtoff * 1000
    record_llm_usage("worker", "gpt-4o", 1000, 100, time_ms=half_past_six - 1)
    record_llm_usage("worker", "gpt-4o", 1000, 100, cost_usd=1, time_ms=half_past_six)
    in_history(server, 2)
    context = chromium.new_context(timezone_id="Asia/Kolkata", viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        panel = opened(page, server)
        choose(panel, "7 d")
        see(page.locator(".cost .sum"), "for 2 model calls")
        choose(panel, "Day")
        see(page.locator(".cost thead"), "Day")
        costs = [cells[0] for cells in rows(page).values() if cells[0] != "–"]
        assert costs == ["$1.00", "$0.0035"]
    finally:
        context.close()


def test_the_panel_fits_every_window(server: DashboardServer, page: Page) -> None:
    """From a phone to a wall, nothing is wider than the window."""
    called(0, "a-name-of-some-length-that-is-cut", "no-such-model-with-a-long-name")
    called(0, cost_usd=12_345.67)
    in_history(server, 2)
    opened(page, server)
    see(page.locator(".cost .sum"), "$12,346")
    for width in (360, 768, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = page.locator(".panel.cost").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
