"""The panel of agents, in a real browser: search, filters, order and tree, and rows that stay where they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import (
    record_agent_complete,
    record_agent_start,
    record_agent_waiting,
    record_error,
    record_llm_usage,
    record_tool_execution,
)
from tests.dashboard.serving import agent_process, ask, wait_for_status
from tests.journals import event, leave_journal, now_ms
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

SECOND = 1000
MINUTE = 60_000


def open_page(page: Page, server: DashboardServer, agents: int) -> None:
    """Open the page when the server knows ``agents`` agents, and wait for its first data."""
    wait_until(lambda: len(ask(server, "/api/data").json["agents"]) == agents, what=f"{agents} agents")
    page.goto(server.url)
    page.wait_for_selector("body[data-version]")


def names(page: Page) -> list[str]:
    """The agents in the table, from top to bottom."""
    found: list[str] = page.evaluate("[...document.querySelectorAll('#agents th bdi')].map(name => name.textContent)")
    return found


def shows(page: Page, *wanted: str) -> None:
    """Wait until the table has exactly these agents in this order."""
    wait_until(lambda: names(page) == list(wanted) or None, 5.0, f"{wanted} where {names(page)} was before")


def row(page: Page, name: str) -> Locator:
    """The row of an agent."""
    return page.locator("#agents tr", has=page.get_by_text(name, exact=True))


def column_of(page: Page, header: str) -> Locator:
    """The head of a column."""
    return page.locator(".agents").get_by_role("columnheader", name=header, exact=True)


def filter_by(page: Page, field: str) -> Locator:
    """The filter of the panel by a field."""
    return page.locator(f".agents select[name={field}]")


def total(page: Page) -> str:
    """What the heading says of how many there are."""
    return page.locator("#agents-total").inner_text()


def begin(name: str, ago_ms: int = 0, **options: Any) -> None:
    """Start an agent that began some time ago."""
    record_agent_start(name, time_ms=now_ms() - ago_ms, **options)


def finish(name: str, status: str, ago_ms: int = 0) -> None:
    """Start an agent and end it."""
    begin(name, ago_ms + 1)
    record_agent_complete(name, status, time_ms=now_ms() - ago_ms)


def one_of_each() -> None:
    """Agents that wait, run, failed, were stopped and are done, recorded in no particular order."""
    finish("done", "completed")
    begin("old worker", 5 * MINUTE)
    finish("halted", "stopped")
    begin("new worker", MINUTE)
    begin("asks", 3 * MINUTE)
    record_agent_waiting("asks", "permission to write")
    finish("broken", "failed")


def test_what_needs_somebody_comes_first(server: DashboardServer, page: Page) -> None:
    """Waiting, running with the newest first, failed, stopped, completed."""
    one_of_each()
    open_page(page, server, 6)
    shows(page, "asks", "new worker", "old worker", "broken", "halted", "done")
    assert total(page) == "6"
    assert "permission to write" in row(page, "asks").inner_text()


def test_a_new_agent_appears_and_the_others_stay(server: DashboardServer, page: Page) -> None:
    """Figures change in their rows; no row changes its place or becomes another element."""
    for number, name in enumerate(("alpha", "beta", "gamma"), start=1):
        begin(name, number * MINUTE)
    open_page(page, server, 3)
    shows(page, "alpha", "beta", "gamma")
    page.evaluate("window.rows = [...document.querySelectorAll('#agents tr')]")
    for _ in range(5):
        record_tool_execution("grep", "gamma", duration_ms=1)
    wait_until(lambda: row(page, "gamma").locator(".count").inner_text() == "5")
    begin("newcomer")
    shows(page, "newcomer", "alpha", "beta", "gamma")
    still = "rows.every((row, place) => row === document.querySelectorAll('#agents tr')[place + 1])"
    assert page.evaluate(still) is True


def test_no_row_moves_while_it_is_pointed_at(server: DashboardServer, page: Page) -> None:
    """An agent that begins to wait belongs at the top, and goes there when the pointer has left, or when it is told to."""
    for name, ago in (("alpha", 1), ("beta", 2), ("gamma", 3)):
        begin(name, ago * MINUTE)
    open_page(page, server, 3)
    shows(page, "alpha", "beta", "gamma")
    row(page, "beta").hover()
    record_agent_waiting("gamma", "input")
    wait_until(lambda: "input" in row(page, "gamma").inner_text())
    assert names(page) == ["alpha", "beta", "gamma"]
    page.get_by_role("button", name="Sort again").click()
    shows(page, "gamma", "alpha", "beta")


def test_the_row_with_the_focus_stays(server: DashboardServer, page: Page) -> None:
    """New agents come in between; whoever reads by keyboard is not thrown out."""
    begin("alpha", MINUTE)
    begin("beta", 2 * MINUTE)
    open_page(page, server, 2)
    row(page, "beta").get_by_role("link").focus()
    record_agent_waiting("beta", "input")
    begin("newcomer")
    shows(page, "alpha", "beta", "newcomer")
    assert page.evaluate("document.activeElement.textContent") == "beta"


SORTS: list[tuple[str, list[str]]] = [
    ("Agent", ["ant", "bee", "cat"]),
    ("Elapsed", ["cat", "ant", "bee"]),
    ("Executions", ["bee", "cat", "ant"]),
    ("Failed", ["cat", "bee", "ant"]),
    ("Success", ["cat", "bee", "ant"]),
    ("Tokens", ["ant", "cat", "bee"]),
    ("Cost", ["cat", "ant", "bee"]),
    ("Seen", ["cat", "bee", "ant"]),
]


def three_to_sort() -> None:
    """Three agents that stand in another order by each figure."""
    for name, ago in (("ant", 2), ("bee", 1), ("cat", 3)):
        begin(name, ago * MINUTE)
    for name, succeeded, failed in (("ant", 1, 0), ("bee", 5, 1), ("cat", 2, 2)):
        for number in range(succeeded + failed):
            record_tool_execution("grep", name, "ok" if number < succeeded else "error", duration_ms=1, time_ms=now_ms() - 9000)
    record_llm_usage("ant", "m", 9000, cost_usd=0.5, time_ms=now_ms() - 8000)
    record_llm_usage("bee", "m", 10, time_ms=now_ms() - 7000)
    record_llm_usage("cat", "m", 500, cost_usd=2.0, time_ms=now_ms() - 6000)


def test_a_header_sorts_and_sorts_back(server: DashboardServer, page: Page) -> None:
    """Whatever was sorted before. The header says which way; the other way round, what is not known is still last."""
    three_to_sort()
    open_page(page, server, 3)
    for header, first in SORTS:
        column = column_of(page, header)
        column.get_by_role("button").click()
        shows(page, *first)
        way = column.get_attribute("aria-sort")
        column.get_by_role("button").click()
        unpriced_last = ["ant", "cat", "bee"] if header == "Cost" else list(reversed(first))
        shows(page, *unpriced_last)
        assert {way, column.get_attribute("aria-sort")} == {"ascending", "descending"}


@pytest.mark.own_tab
def test_an_order_by_a_figure_is_not_made_anew_with_each_event(server: DashboardServer, page: Page) -> None:
    """Every few seconds is often enough for a reader."""
    begin("ant", MINUTE)
    begin("bee", 2 * MINUTE)
    record_tool_execution("grep", "ant", duration_ms=1)
    open_page(page, server, 2)
    page.clock.install()
    column_of(page, "Executions").get_by_role("button").click()
    shows(page, "ant", "bee")
    for _ in range(3):
        record_tool_execution("grep", "bee", duration_ms=1)
    wait_until(lambda: page.clock.run_for(50) or row(page, "bee").locator(".count").inner_text() == "3")
    assert names(page) == ["ant", "bee"]
    page.clock.run_for(3000)
    record_tool_execution("grep", "bee", duration_ms=1)
    wait_until(lambda: page.clock.run_for(50) or names(page) == ["bee", "ant"])


def test_what_was_chosen_survives_a_reload(server: DashboardServer, page: Page) -> None:
    """Order, filters and tree are those of this tab."""
    one_of_each()
    open_page(page, server, 6)
    column_of(page, "Agent").get_by_role("button").click()
    page.get_by_label("Hide finished").check()
    page.get_by_role("button", name="Tree").click()
    shows(page, "asks", "new worker", "old worker")
    page.reload()
    shows(page, "asks", "new worker", "old worker")
    assert page.get_by_role("button", name="Tree").get_attribute("aria-pressed") == "true"
    assert column_of(page, "Agent").get_attribute("aria-sort") == "ascending"


def test_search_is_one_key_away(server: DashboardServer, page: Page) -> None:
    """A slash goes there, letters of either case find, Escape shows all again."""
    one_of_each()
    open_page(page, server, 6)
    page.keyboard.press("/")
    page.keyboard.type("WORK")
    shows(page, "new worker", "old worker")
    assert total(page) == "2 of 6"
    page.keyboard.type(" nobody")
    shows(page)
    assert page.get_by_text("No agent is like that.").is_visible()
    page.keyboard.press("Escape")
    wait_until(lambda: len(names(page)) == 6)


def test_the_filters_offer_what_occurs(server: DashboardServer, page: Page, home: Path) -> None:
    """By status, source and host; each with the number of its agents."""
    begin("snake", source="python")
    begin("shell one", source="shell")
    leave_journal(home, "far-1-a", event("start", now_ms(), "far away", run="r", source="shell", host="moon", pid=7))
    open_page(page, server, 3)
    filter_by(page, "source").select_option("shell")
    wait_until(lambda: sorted(names(page)) == ["far away", "shell one"])
    filter_by(page, "host").select_option("moon")
    shows(page, "far away")
    assert total(page) == "1 of 3"
    page.get_by_role("button", name="Show all").first.click()
    wait_until(lambda: len(names(page)) == 3)
    statuses = filter_by(page, "status")
    assert statuses.locator("option").all_inner_texts()[:2] == ["Any status", "running 2"]
    statuses.select_option("running")
    wait_until(lambda: sorted(names(page)) == ["shell one", "snake"])


def test_a_filter_with_nothing_to_choose_is_not_there(server: DashboardServer, page: Page) -> None:
    """One source, one host: no filter by them."""
    begin("alone")
    open_page(page, server, 1)
    shows(page, "alone")
    assert filter_by(page, "status").is_visible()
    assert not filter_by(page, "source").is_visible()
    assert not filter_by(page, "host").is_visible()


def test_other_parts_of_the_page_can_ask_for_a_status(server: DashboardServer, page: Page) -> None:
    """The event filter-agents sets the filter; a status that finished agents have shows them although they are hidden."""
    one_of_each()
    open_page(page, server, 6)
    page.get_by_label("Hide finished").check()
    shows(page, "asks", "new worker", "old worker")
    page.evaluate("document.dispatchEvent(new CustomEvent('filter-agents', {detail: {status: 'failed'}}))")
    shows(page, "broken")
    assert filter_by(page, "status").input_value() == "failed"


def family() -> None:
    """A parent with two children, one of which has a child of its own, and an agent that belongs to nobody."""
    begin("parent", 4 * MINUTE)
    for number, (name, parent) in enumerate((("older", "parent"), ("younger", "parent"), ("grandchild", "younger"))):
        begin(name, (3 - number) * MINUTE, parent=parent)
        record_tool_execution("grep", name, "error", duration_ms=1)
        record_llm_usage(name, "m", 1000, cost_usd=0.25)
    begin("stranger", 5 * MINUTE)


def test_the_tree_shows_who_started_whom(server: DashboardServer, page: Page) -> None:
    """Children below their parent, with lines; a parent has the sums of all below it."""
    family()
    open_page(page, server, 5)
    page.get_by_role("button", name="Tree").click()
    shows(page, "parent", "younger", "grandchild", "older", "stranger")
    rails = (
        "[...document.querySelectorAll('#agents .rails')].map(rails => [...rails.children].map(rail => rail.className).join(' '))"
    )
    assert page.evaluate(rails) == ["", "tee", "pass elbow", "elbow", ""]
    kinds = ("count", "error", "success-rate", "tokens", "cost")
    cells = [row(page, "parent").locator(f"td.{kind}").inner_text() for kind in kinds]
    assert cells == ["3", "3", "0 %", "3,000", "$0.75"]
    assert row(page, "parent").locator("td.tokens").get_attribute("title") == "with the agents below it: 4 in all"


def test_the_tree_is_walked_by_arrow_keys(server: DashboardServer, page: Page) -> None:
    """Left closes and goes up, right opens and goes down; the focus is never lost."""
    family()
    open_page(page, server, 5)
    page.get_by_role("button", name="Tree").click()
    shows(page, "parent", "younger", "grandchild", "older", "stranger")
    row(page, "parent").get_by_role("link").focus()
    focused = "document.activeElement.closest('tr').querySelector('bdi').textContent"
    seen = []
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
        seen.append((page.evaluate(focused), len(names(page))))
    assert seen == [
        ("younger", 5),
        ("grandchild", 5),
        ("younger", 5),
        ("younger", 4),  # closed
        ("parent", 4),
        ("parent", 2),  # closed
        ("parent", 4),
        ("younger", 4),
    ]


def test_a_button_folds_a_part_of_the_tree(server: DashboardServer, page: Page) -> None:
    """It says whether it is open, and stays folded while figures change."""
    family()
    open_page(page, server, 5)
    page.get_by_role("button", name="Tree").click()
    fold = page.get_by_role("button", name="agents below younger")
    assert fold.get_attribute("aria-expanded") == "true"
    fold.click()
    shows(page, "parent", "younger", "older", "stranger")
    assert fold.get_attribute("aria-expanded") == "false"
    record_tool_execution("grep", "grandchild", "error", duration_ms=1)
    wait_until(lambda: row(page, "younger").locator("td.error").inner_text() == "3")
    assert len(names(page)) == 4


def test_a_match_in_the_tree_keeps_its_parents(server: DashboardServer, page: Page) -> None:
    """They are paler, and are not counted."""
    family()
    open_page(page, server, 5)
    page.get_by_role("button", name="Tree").click()
    page.get_by_label("Search agents by name").fill("grand")
    shows(page, "parent", "younger", "grandchild")
    aside = page.evaluate("[...document.querySelectorAll('#agents tr')].map(row => row.hasAttribute('data-aside'))")
    assert (aside, total(page)) == ([True, True, False], "1 of 5")


def test_agents_that_are_each_others_parents_are_all_there(server: DashboardServer, page: Page) -> None:
    """Whatever the data say, each agent has one row."""
    begin("alone")
    open_page(page, server, 1)
    ids = page.evaluate(
        """async () => {
            const main = document.querySelector("script[src$='main.js']").src;
            const { forest, rowsOf } = await import(new URL("tree.js", main));
            const parents = { self: "self", a: "b", b: "a", c: "a", lost: "nobody", child: "lost", top: null };
            const rows = rowsOf(forest(Object.keys(parents), (id) => parents[id] ?? null), () => false);
            return rows.map(({ id, depth }) => `${depth} ${id}`);
        }"""
    )
    assert ids == ["0 self", "0 lost", "1 child", "0 top", "0 a", "1 b", "1 c"]


def test_a_cost_without_a_price_is_not_nothing(server: DashboardServer, page: Page) -> None:
    """Unpriced, free and unused are three things."""
    for name in ("unpriced", "free", "unused"):
        begin(name)
    record_llm_usage("unpriced", "m", 10)
    record_llm_usage("free", "m", 10, cost_usd=0.0)
    open_page(page, server, 3)
    costs = {name: row(page, name).locator(".cost").inner_text() for name in ("unpriced", "free", "unused")}
    assert costs == {"unpriced": "unpriced", "free": "$0.00", "unused": "–"}


def test_the_last_minutes_are_a_sparkline(server: DashboardServer, page: Page) -> None:
    """A bar per ten seconds that had executions, and one below the line where some failed."""
    begin("busy", 4 * MINUTE)
    begin("idle", 4 * MINUTE)
    open_page(page, server, 2)
    for ago in (1000, 31_000, 61_000):
        record_tool_execution("grep", "busy", "error" if ago == 61_000 else "ok", duration_ms=1, time_ms=now_ms() - ago)
    spark = row(page, "busy").locator(".spark")
    wait_until(lambda: spark.get_attribute("aria-label") == "3 executions in the last 5 minutes, 1 failed")
    bars = [spark.locator(f".{kind}").get_attribute("d").count("z") for kind in ("executed", "missed")]  # type: ignore[union-attr]
    assert bars == [3, 1]
    idle = row(page, "idle").locator(".spark").get_attribute("aria-label")
    assert idle == "no execution in the last 5 minutes"


@pytest.mark.own_tab
def test_a_sparkline_moves_with_time(server: DashboardServer, page: Page) -> None:
    """A bar goes to the left, three pixels every ten seconds, and leaves after five minutes."""
    page.clock.install()
    begin("busy", MINUTE)
    open_page(page, server, 1)
    record_tool_execution("grep", "busy", duration_ms=1)
    bar = row(page, "busy").locator(".spark .executed")
    wait_until(lambda: page.clock.run_for(20) or bar.get_attribute("d"))
    places = []
    for _ in range(3):
        places.append(int((bar.get_attribute("d") or "M0 ")[1:].split()[0]))
        page.clock.run_for(60 * SECOND)
    assert [before - after for before, after in pairwise(places)] == [18, 18]
    page.clock.run_for(180 * SECOND)
    assert bar.get_attribute("d") == ""


@pytest.mark.own_tab
def test_time_goes_on_without_events(server: DashboardServer, page: Page) -> None:
    """The age of an open run grows once a second; that of a finished one does not."""
    page.clock.install()
    begin("open", 65_000)
    finish("over", "completed")
    open_page(page, server, 2)
    before = row(page, "over").locator(".elapsed").inner_text()
    page.clock.run_for(5000)
    shown = row(page, "open").locator(".elapsed").inner_text()
    assert shown in {"1:10", "1:11", "1:12", "1:13"}
    assert row(page, "over").locator(".elapsed").inner_text() == before


HOSTILE = [
    "</td><script>alert(1)</script>",
    "'\"&quot;><b>",
    "\u202eright to left",
    "a\nb\n\nc\td",
    "nul\x00byte",
    "__proto__",
    "a/b?c#d%20",
    "",
]


def test_hostile_names_lead_to_their_own_page(server: DashboardServer, page: Page) -> None:
    """A name is text in its row, and its link leads to the page of just this name."""
    for name in (*HOSTILE, "x" * 10_000):
        record_agent_start(name)
        record_error(name, name)
    open_page(page, server, len(HOSTILE) + 1)
    asked = "performance.getEntriesByType('resource').findLast(each => each.name.includes('/api/agents?'))?.name ?? ''"
    for name in [*ask(server, "/api/data").json["agents"]]:
        page.locator("#agents a").nth(shown_ids(page).index(name)).click()
        page.wait_for_selector("#agent-parts:not([hidden])")
        wanted = f"{server.url}/api/agents?id={name}"
        wait_until(lambda wanted=wanted: unquote(page.evaluate(asked)) == wanted, 5.0, wanted[:100])
        page.go_back()
        page.wait_for_selector("#agents tr")
    assert page.locator("main script, main b").count() == 0


def shown_ids(page: Page) -> list[str]:
    """The ids behind the links of the rows."""
    ids = "[...document.querySelectorAll('#agents a')].map(a => decodeURIComponent(a.hash.slice('#/agents/'.length)))"
    found: list[str] = page.evaluate(ids)
    return found


@pytest.mark.parametrize("arrangement", ["Table", "Tree"])
def test_hostile_names_do_not_break_the_layout(server: DashboardServer, page: Page, arrangement: str) -> None:
    """10,000 characters, line breaks and null bytes stay in their line; nothing scrolls sideways."""
    names_of_all = ("x" * 10_000, "a\nb\n\nc\td", "nul\x00byte", "\u202eright to left")
    for name in names_of_all:
        record_agent_start(name, parent="a\nb\n\nc\td")
        record_error(name, name)
        record_agent_waiting(name, name)
    open_page(page, server, 4)
    page.get_by_role("button", name=arrangement, exact=True).click()
    wait_until(lambda: page.locator("#agents tr").count() == 4)
    for width in (360, 760, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('.agents .scroll'))")
        heights = page.evaluate("[...document.querySelectorAll('#agents tr')].map(row => row.offsetHeight)")
        assert max(heights) == min(heights)
        assert max(heights) < 60


def test_fifty_rows_are_enough_at_first(server: DashboardServer, page: Page) -> None:
    """The others are one click away, fifty at a time."""
    for number in range(120):
        record_agent_start(f"agent-{number:03}")
    open_page(page, server, 120)
    wait_until(lambda: page.locator("#agents tr").count() == 50)
    page.get_by_role("button", name="Show 50 more").click()
    wait_until(lambda: page.locator("#agents tr").count() == 100)
    page.get_by_role("button", name="Show 20 more").click()
    wait_until(lambda: page.locator("#agents tr").count() == 120)
    assert not page.locator("#more-agents").is_visible()


def tasks_ms(page: Page, work: Callable[[], None]) -> list[float]:
    """The tasks of the page's main thread while ``work()`` is done, in ms of the processor's time, the longest last.

    Not in ms of the clock, as PerformanceObserver counts: on a machine that has other things to do, each task is long by that.
    """
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "disabled-by-default-devtools.timeline"])
    work()
    events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = {(each["pid"], each["tid"]): each["args"]["name"] for each in events if each.get("name") == "thread_name"}
    tasks = [each for each in events if each.get("name") == "RunTask" and "tdur" in each]
    return sorted(each["tdur"] / 1000 for each in tasks if threads.get((each["pid"], each["tid"])) == "CrRendererMain")


@pytest.mark.slow
@pytest.mark.parametrize("arrangement", ["Table", "Tree"])
@pytest.mark.own_tab
def test_five_hundred_agents_do_not_hold_the_page_up(server: DashboardServer, page: Page, arrangement: str) -> None:
    """While those that are in view record by turns, at most one task in a hundred takes more than 50 ms."""
    for number in range(500):
        begin(f"agent-{number}", number * SECOND, parent=f"agent-{number // 10}" if number >= 10 else None)
    open_page(page, server, 500)
    page.get_by_role("button", name=arrangement, exact=True).click()
    wait_until(lambda: page.locator("#agents tr").count() == 50)
    with agent_process() as agent:
        tasks = tasks_ms(page, lambda: agent.do("work(5, agents=100)"))
    assert len(tasks) > 100
    assert tasks[int(len(tasks) * 0.99)] <= 50, f"the longest tasks, ms: {tasks[-10:]}"


def test_the_last_state_of_a_burst_is_on_the_page(server: DashboardServer, page: Page) -> None:
    """However many updates were drawn together: in the end each row says what the server says."""
    for number in range(50):
        record_agent_start(f"agent-{number}")
    open_page(page, server, 50)
    with agent_process() as agent:
        agent.do("work(2, agents=50)")
    wait_until(lambda: ask(server, "/api/data").json["metrics"]["global"]["count"] == 100)
    counts = "[...document.querySelectorAll('#agents td.count')].map(cell => cell.textContent)"
    wait_until(lambda: page.evaluate(counts) == ["2"] * 50)


WATCH_ROWS = """() => {
    window.touched = new Set();
    const ticking = ".elapsed, .last-seen, .recent";
    new MutationObserver((records) => {
        for (const { target } of records) {
            const element = target.closest ? target : target.parentElement;
            if (!element.closest(ticking)) touched.add(element.closest("tr")?.querySelector("bdi").textContent);
        }
    }).observe(document.querySelector("#agents"), { subtree: true, childList: true, attributes: true, characterData: true });
}"""


def test_nothing_is_touched_but_the_rows_of_changed_agents(server: DashboardServer, page: Page) -> None:
    """One event of one agent changes one row."""
    for number, name in enumerate(("alpha", "beta", "gamma"), start=1):
        begin(name, number * MINUTE)
    open_page(page, server, 3)
    shows(page, "alpha", "beta", "gamma")
    page.evaluate(WATCH_ROWS)
    record_tool_execution("grep", "beta", duration_ms=1)
    wait_until(lambda: row(page, "beta").locator(".count").inner_text() == "1")
    assert page.evaluate("[...touched]") == ["beta"]


def test_the_status_of_a_killed_agent_is_its_rows_status(server: DashboardServer, page: Page) -> None:
    """Its shape, word and last figures stay; it is no longer counted as running."""
    with agent_process() as agent:
        agent.do("record_agent_start('victim')")
        open_page(page, server, 1)
        agent.kill()
        wait_for_status(server, "victim", "crashed")
    wait_until(lambda: "crashed" in row(page, "victim").inner_text())
    assert row(page, "victim").locator("use").first.get_attribute("href") == "#shape-crashed"
