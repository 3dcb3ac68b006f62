"""The log, in a real browser: it follows what happens, and holds still for who reads."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics import flush
from pyjama_metrics.correcting import correct_run
from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import (
    record_agent_activity,
    record_agent_complete,
    record_agent_start,
    record_agent_waiting,
    record_error,
    record_llm_usage,
    record_tool_execution,
)
from tests.dashboard.looking import open_page, see
from tests.dashboard.serving import agent_process, ask, serving
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser


def logged(*messages: str, agent: str = "worker", tool: str | None = None) -> None:
    """Record an entry for each message."""
    for message in messages:
        record_tool_execution(tool or message, agent, "ok", duration_ms=1, log=True)


def open_log(page: Page, server: DashboardServer, entries: int) -> None:
    """Open the page when the server has so many entries, and wait until they are in the log."""
    wait_until(lambda: len(ask(server, "/api/data").json["recent-logs"]) == entries, what=f"{entries} entries")
    open_page(page, server)
    wait_until(lambda: page.locator("#log li").count() == entries, what="the rows")


def tools(page: Page) -> list[str]:
    """The tool of each entry, from top to bottom."""
    found: list[str] = page.evaluate("[...document.querySelectorAll('#log .tool')].map(tool => tool.textContent)")
    return found


def shows(page: Page, *wanted: str) -> None:
    """Wait until the log has exactly the entries of these tools, in this order."""
    wait_until(lambda: tools(page) == list(wanted), 5.0, f"{wanted} where {tools(page)} was before")


def entry(page: Page, tool: str) -> Locator:
    """The entry of a tool."""
    return page.locator("#log li", has=page.get_by_text(tool, exact=True))


def panel(page: Page) -> Locator:
    """The panel."""
    return page.locator(".panel.log")


def scroll_top(page: Page) -> float:
    """How far down the log is scrolled, in px."""
    top: float = page.evaluate("document.querySelector('.log .scroll').scrollTop")
    return top


def test_the_newest_line_is_at_the_top_and_says_who_what_and_when(server: DashboardServer, page: Page) -> None:
    """The agent is a link to its page; the time is local, and exact on hover; the state has a shape and a word."""
    logged("grep")
    open_log(page, server, 1)
    logged("sed")
    shows(page, "sed", "grep")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", entry(page, "sed").locator("time").inner_text())
    entry(page, "sed").locator("time").hover()
    assert "," in (entry(page, "sed").locator("time").get_attribute("title") or "")
    assert entry(page, "sed").locator(".state").inner_text() == "ok"
    entry(page, "sed").get_by_role("link", name="worker").click()
    assert page.url.endswith("#/agents/worker")


def test_each_event_has_its_shape_and_its_word(server: DashboardServer, page: Page) -> None:
    """Nobody needs the colour to tell them apart."""
    record_agent_start("worker")
    record_agent_waiting("worker", "permission to write")
    record_error("worker", "the disk is full")
    record_agent_activity("worker", "think", "cancelled")
    record_agent_complete("worker")
    open_log(page, server, 5)
    read = (
        "rows => rows.map(row => [row.querySelector('use').getAttribute('href').slice(7), row.querySelector('.state').innerText])"
    )
    assert page.locator("#log li").evaluate_all(read) == [
        ["completed", "completed"],
        ["stopped", "cancelled"],
        ["failed", "error"],
        ["waiting", "waits"],
        ["running", "started"],
    ]
    see(page.locator("#log .message"), "permission to write")


def test_a_correction_says_that_it_is_one(server: DashboardServer, page: Page) -> None:
    """Before its reason, which need not say so; and it is found by that word."""
    run = record_agent_start("worker")
    record_llm_usage("worker", "m", 100, 10)
    logged("grep")
    assert flush(10)
    correct_run(run, "as the invoice says", output_tokens=20)
    open_log(page, server, 3)
    messages = page.locator("#log .message")
    assert messages.all_inner_texts() == ["corrected: as the invoice says", "", ""]
    page.get_by_label("Search the log").fill("corrected: as")
    wait_until(lambda: messages.all_inner_texts() == ["corrected: as the invoice says"], what="the correction alone")
    page.goto(f"{server.url}/#/agents/worker")
    see(page.locator("#agent-log li").first, "corrected: as the invoice says")


def test_the_log_pauses_and_follows(server: DashboardServer, page: Page) -> None:
    """By the button or the key; what came meanwhile is counted, and shown by a click without following again."""
    logged("one")
    open_log(page, server, 1)
    panel(page).get_by_role("button", name="Pause").click()
    logged("two", "three")
    see(page.locator("#log-fresh"), "2 new")
    shows(page, "one")
    page.locator("#log-fresh").click()
    shows(page, "three", "two", "one")
    logged("four")
    see(page.locator("#log-fresh"), "1 new")
    page.keyboard.press("p")
    shows(page, "four", "three", "two", "one")
    assert panel(page).get_by_role("button", name="Pause").is_visible()
    assert not page.locator("#log-fresh").is_visible()


def test_typing_a_p_pauses_nothing(server: DashboardServer, page: Page) -> None:
    """A key of the page is a letter where one writes, and belongs to the browser with Control."""
    logged("one")
    open_log(page, server, 1)
    page.get_by_label("Search the log").press("p")
    assert page.get_by_label("Search the log").input_value() == "p"
    page.locator(".log .scroll").press("Alt+p")
    assert panel(page).get_by_role("button", name="Pause").is_visible()


def test_who_reads_further_down_is_not_moved(server: DashboardServer, page: Page) -> None:
    """New entries wait above; a click leads to them, and the log follows again."""
    logged(*(f"line-{number:02}" for number in range(60)))
    open_log(page, server, 60)
    page.locator(".log .scroll").evaluate("box => { box.scrollTop = 300; }")
    place = "document.querySelectorAll('#log li')[20].getBoundingClientRect().top"
    before = (page.evaluate(place), scroll_top(page), tools(page))
    logged(*(f"later-{number:02}" for number in range(14)))
    see(page.locator("#log-fresh"), "14 new")
    assert (page.evaluate(place), scroll_top(page), tools(page)) == before
    page.locator("#log-fresh").click()
    wait_until(lambda: tools(page)[0] == "later-13")
    assert scroll_top(page) == 0
    logged("last")
    wait_until(lambda: tools(page)[0] == "last")


def test_a_line_that_is_used_stays_where_it_is(server: DashboardServer, page: Page) -> None:
    """Its link has the focus, or its text is being selected."""
    logged("one")
    open_log(page, server, 1)
    entry(page, "one").get_by_role("link").focus()
    logged("two")
    see(page.locator("#log-fresh"), "1 new")
    shows(page, "one")
    page.get_by_label("Search the log").focus()
    shows(page, "two", "one")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#log .tool'))")
    logged("three")
    see(page.locator("#log-fresh"), "1 new")
    page.evaluate("getSelection().removeAllRanges()")
    shows(page, "three", "two", "one")


def test_each_filter_chooses_lines_and_all_together_do(server: DashboardServer, page: Page) -> None:
    """By agent, tool, state and any text; what matches nothing says so, and all is one click away."""
    for agent in ("planner", "coder"):
        for tool in ("grep", "edit"):
            logged(tool, agent=agent)
    record_tool_execution("grep", "coder", "error", duration_ms=1, log=True, error="No such FILE")
    record_agent_waiting("planner", "permission")
    wait_until(lambda: len(ask(server, "/api/data").json["recent-logs"]) >= 6)
    entries = len(ask(server, "/api/data").json["recent-logs"])
    open_log(page, server, entries)
    rows = page.locator("#log li")
    wait_until(lambda: page.locator(".log select[name=agent] option").count() == 3)
    page.get_by_label("Agent", exact=True).select_option("planner")
    assert rows.count() == 3
    page.locator(".log").get_by_label("Tool", exact=True).select_option("grep")
    assert (rows.count(), page.locator("#log-total").inner_text()) == (1, f"1 of {entries}")
    page.locator(".log").get_by_label("Status", exact=True).select_option("waiting")
    see(page.locator("#no-such-entry"), "No entry is like that.")
    page.locator("#no-such-entry").get_by_role("button", name="Show all").click()
    assert rows.count() == entries
    page.get_by_label("Search the log").fill("no such file")
    assert {"No such FILE"} == set(page.locator("#log .message").all_inner_texts())
    page.get_by_label("Search the log").fill("waits")
    assert rows.count() == 1
    logged("other")
    wait_until(lambda: page.locator("#log-total").inner_text() == f"1 of {entries + 1}")
    assert rows.count() == 1


def test_what_is_shown_is_copied_as_it_came(server: DashboardServer, page: Page) -> None:
    """JSON, newest first, every field of the data; only the entries that were chosen."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    logged("one", "two", "<b>three</b>")
    open_log(page, server, 3)
    sent = ask(server, "/api/data").json["recent-logs"]
    panel(page).get_by_role("button", name="Copy JSON").click()
    see(page.locator("#log-copy"), "Copied 3")
    copied = "navigator.clipboard.readText()"
    assert json.loads(page.evaluate(copied)) == sent[::-1]
    page.get_by_label("Search the log").fill("<b>")
    page.locator("#log-copy").click()
    see(page.locator("#log-copy"), "Copied 1")
    assert json.loads(page.evaluate(copied)) == [sent[2]]


def test_without_a_clipboard_the_entries_are_shown_to_be_copied(server: DashboardServer, page: Page) -> None:
    """As the commands of the list of needs are: a browser that refuses takes nothing from the reader."""
    logged("one")
    open_log(page, server, 1)
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.locator("#log-copy").click()
    shown = panel(page).get_by_label("Copy this yourself")
    shown.wait_for()
    assert json.loads(shown.input_value()) == ask(server, "/api/data").json["recent-logs"]


def test_no_line_comes_twice_when_the_server_comes_back(home: Path, page: Page) -> None:
    """What happened meanwhile is there, what was there already stays once."""
    with serving(home) as server:
        port = int(server.url.rpartition(":")[2])
        logged("before")
        open_log(page, server, 1)
    logged("meanwhile")
    with serving(home, port=port):
        wait_until(lambda: tools(page) == ["meanwhile", "before"], 15.0, "the entry that came meanwhile")
        assert page.locator("#log-total").inner_text() == "2"


@pytest.mark.parametrize("paused", [False, True])
def test_a_clear_empties_the_log(server: DashboardServer, page: Page, paused: bool) -> None:
    """Also one that is paused: what it showed is gone for good."""
    logged("one", "two")
    open_log(page, server, 2)
    if paused:
        page.keyboard.press("p")
    page.get_by_role("button", name="Clear…").click()
    page.get_by_role("dialog").get_by_role("button", name="Clear", exact=True).click()
    wait_until(lambda: page.locator("#log li").count() == 0, what="an empty log")
    logged("three")
    if paused:
        see(page.locator("#log-fresh"), "1 new")
        page.locator("#log-fresh").click()
    shows(page, "three")


def test_the_page_remembers_more_lines_than_it_shows(server: DashboardServer, page: Page) -> None:
    """A thousand in memory, a hundred in the page, and more of them when they are asked for."""
    logged("first")
    open_log(page, server, 1)
    for number in range(22):
        logged(*(f"line-{number * 50 + each:04}" for each in range(50)))
        wait_until(lambda last=number * 50 + 49: f"line-{last:04}" in tools(page)[:1])  # type: ignore[misc]
    assert (page.locator("#log li").count(), page.locator("#log-total").inner_text()) == (100, "1,000")
    panel(page).get_by_role("button", name="Show 100 more").click()
    wait_until(lambda: page.locator("#log li").count() == 200)
    page.get_by_label("Search the log").fill("line-0101")
    shows(page, "line-0101")
    page.get_by_label("Search the log").fill("first")
    shows(page)


HOSTILE = ["<img src=x onerror=alert(1)>", "__proto__", "x" * 2000, "a\nb\tc\x00d", "\u202eright to left", ""]


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_texts_are_text_in_lines_of_one_height(server: DashboardServer, page: Page, width: int) -> None:
    """As agent, tool, status and message."""
    for text in HOSTILE:
        record_tool_execution(text, text, text or "odd", duration_ms=1, error=text, log=True)
    page.set_viewport_size({"width": width, "height": 800})
    wait_until(lambda: len(ask(server, "/api/data").json["recent-logs"]) >= len(HOSTILE))
    open_page(page, server)
    wait_until(lambda: page.locator("#log li").count() >= len(HOSTILE))
    heights = page.locator("#log li").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert (len(set(heights)), page.evaluate("document.documentElement.scrollWidth") <= width) == (1, True)
    wait_until(lambda: page.locator(".log select[name=tool] option").count() > 1)
    assert page.locator(".panel.log img").count() == 0


def test_screen_readers_are_not_read_every_line(server: DashboardServer, page: Page) -> None:
    """The log is a log that is silent by itself; only what one does oneself is told."""
    logged("one")
    open_log(page, server, 1)
    log = page.get_by_role("log")
    assert log.get_attribute("aria-live") == "off"
    assert page.locator(".log [role=status]").inner_text() == ""


def frames_of(trace: bytes) -> list[float]:
    """What each task that drew a frame cost the page's main thread, in ms of its processor time, cheapest first.

    A clock on the wall would count what else the machine does.
    """
    events = json.loads(trace)["traceEvents"]
    spans = [event for event in events if event.get("ph") == "X" and "tdur" in event]
    frames = [event for event in spans if event["name"] == "FireAnimationFrame"]
    threads = [(event["pid"], event["tid"]) for event in frames]
    page = max(set(threads), key=threads.count)
    tasks = [event for event in spans if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) == page]
    drew = {frame["ts"] for frame in frames if (frame["pid"], frame["tid"]) == page}
    return sorted(task["tdur"] / 1000 for task in tasks if any(task["ts"] <= ts <= task["ts"] + task["dur"] for ts in drew))


@pytest.mark.slow
@pytest.mark.own_tab
def test_a_storm_of_lines_does_not_hold_the_page_up(server: DashboardServer, page: Page, chromium: Browser) -> None:
    """200 entries a second: each is there in the end, rows stay few, and 95 of 100 frames take less than 50 ms."""
    logged("first")
    open_log(page, server, 1)
    chromium.start_tracing(page=page, categories=["devtools.timeline", "disabled-by-default-devtools.timeline", "toplevel"])
    record = "record_tool_execution(f't{number % 40}', f'a{number % 9}', log=True)"
    storm = f"for number in range(800): {record}; time.sleep(0.0048)"
    with agent_process() as agent:
        agent.do(storm)
        wait_until(lambda: page.locator("#log-total").inner_text() == "801", 15.0, "the last entry")
        wait_until(lambda: tools(page)[:1] == ["t39"], 5.0, "the last entry at the top")
    frames = frames_of(chromium.stop_tracing())
    assert page.locator("#log-total").inner_text() == "801"
    assert page.locator("#log li").count() == 100
    assert len(frames) > 10
    assert frames[int(len(frames) * 0.95)] < 50, frames


MADE = """() => {
    window.made = [];
    new MutationObserver((changes) => {
        window.made.push(changes.reduce((rows, change) => rows + change.addedNodes.length, 0));
    }).observe(document.querySelector("#log"), {childList: true});
}"""


def test_no_frame_makes_many_rows(server: DashboardServer, page: Page) -> None:
    """However many entries come at once, or are chosen at once."""
    logged(*(f"line-{number:02}" for number in range(90)))
    open_log(page, server, 90)
    page.get_by_label("Search the log").fill("line-01")
    shows(page, "line-01")
    page.evaluate(MADE)
    page.get_by_label("Search the log").fill("")
    wait_until(lambda: page.locator("#log li").count() == 90)
    made = page.evaluate("window.made")
    assert (sum(made), max(made) <= 40) == (89, True)


def test_lines_of_other_days_say_their_day(server: DashboardServer, page: Page) -> None:
    """A clock alone would be misread."""
    record_tool_execution("old", "worker", duration_ms=1, log=True, time_ms=int(time.time() * 1000) - 3 * 86_400_000)
    logged("new")
    open_log(page, server, 2)
    assert re.search(r"[A-Za-z]", entry(page, "old").locator("time").inner_text())
    assert entry(page, "old").locator("time").evaluate("time => time.scrollWidth <= time.clientWidth")
