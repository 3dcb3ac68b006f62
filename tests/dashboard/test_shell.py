"""The frame of the page: who needs somebody, the tiles, title and theme, views and dialogs, and what the keyboard does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyjama_metrics import pricing
from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.patches import difference, merged_logs
from pyjama_metrics.recorder import (
    record_agent_complete,
    record_agent_start,
    record_agent_waiting,
    record_llm_usage,
    record_tool_execution,
)
from tests.dashboard.looking import open_page, row, see
from tests.dashboard.serving import Agent, agent_process, ask, wait_for_status
from tests.journals import now_ms
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

MINUTE = 60_000


def needs(page: Page) -> Locator:
    """The rows of those that need somebody."""
    return page.locator("#needs li")


def tile(page: Page, name: str) -> Locator:
    """The figure of a tile."""
    return page.locator(f"#{name}-tile .figure")


@contextmanager
def in_tmux(pane: str) -> Iterator[Agent]:
    """An agent whose process runs in this pane."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("TMUX", "/tmp/tmux-1000/default,4711,0")
        patch.setenv("TMUX_PANE", pane)
        agent = stack.enter_context(agent_process())
        patch.undo()
        yield agent


# Who needs somebody.


def test_nobody_needs_somebody(server: DashboardServer, page: Page) -> None:
    """Then it is one calm line, with room for those that will."""
    record_agent_start("at work")
    wait_for_status(server, "at work", "running")
    open_page(page, server)
    see(page.locator("#needs-panel"), "Nobody needs you.")
    assert needs(page).count() == 0


def top_of(where: Locator) -> float:
    """How far from the top of the window something is, in px."""
    box = where.bounding_box()
    assert box is not None
    return box["y"]


def test_the_page_does_not_jump_when_somebody_needs_somebody(server: DashboardServer, page: Page) -> None:
    """There is room for three; a fourth waits behind a button while somebody points below; who has scrolled stays where he is."""

    def ask_for_help(*numbers: int) -> None:
        for number in numbers:
            record_agent_start(f"asks-{number}")
            record_agent_waiting(f"asks-{number}", "permission")

    for number in range(40):
        record_agent_start(f"agent-{number:02}")
    wait_for_status(server, "agent-39", "running")
    open_page(page, server)
    title = page.get_by_role("heading", name="Agents")
    see(row(page, "agents", "agent-05"), "running")
    top = top_of(title)
    for number in range(3):
        ask_for_help(number)
        wait_until(lambda count=number + 1: needs(page).count() == count, what="its row")  # type: ignore[misc]
        assert top_of(title) == top
    row(page, "agents", "agent-05").hover()
    ask_for_help(3)
    see(page.locator("#needs-panel"), "1 more")
    assert (needs(page).count(), top_of(title)) == (3, top)
    page.locator("header h1").hover()
    wait_until(lambda: needs(page).count() == 4, what="the room to grow")
    page.mouse.wheel(0, 200)
    page.mouse.move(4, 400)  # beside the panels
    wait_until(lambda: page.evaluate("scrollY") == 200, what="the page to scroll")
    top = top_of(title)
    ask_for_help(4, 5)
    wait_until(lambda: needs(page).count() == 6, what="their rows")
    wait_until(lambda: top_of(title) == top, 1, "the page to stay where it was")
    assert page.evaluate("scrollY") > 200


def test_those_that_wait_stand_before_those_that_ended_badly(server: DashboardServer, page: Page) -> None:
    """The longest first, with the reason, and how long it has been so."""
    record_agent_start("broken", time_ms=now_ms() - 90 * MINUTE)
    record_agent_complete("broken", "failed", "no disk", time_ms=now_ms() - 60 * MINUTE)
    for name, minutes in (("second", 2), ("first", 5)):
        record_agent_start(name, time_ms=now_ms() - 10 * MINUTE)
        record_agent_waiting(name, f"permission for {name}", time_ms=now_ms() - minutes * MINUTE)
    wait_for_status(server, "first", "waiting")
    open_page(page, server)
    see(needs(page), "no disk")
    told = [text.split("\n") for text in needs(page).all_inner_texts()]
    assert [[line.strip() for line in lines if line.strip()][:3] for lines in told] == [
        ["waiting", "first", "permission for first"],
        ["waiting", "second", "permission for second"],
        ["failed", "broken", "no disk"],
    ]
    assert needs(page).nth(0).locator("time").inner_text().startswith("5:0")
    assert needs(page).nth(0).locator("use").first.get_attribute("href") == "#shape-waiting"


def test_a_repeated_failure_says_which_tool_and_how_often(server: DashboardServer, page: Page) -> None:
    """An agent that burns its tokens on one broken call needs somebody, too."""
    with agent_process() as agent:
        agent.do("record_agent_start('digger')")
        agent.do("[record_tool_execution('psql', 'digger', 'error', 5, 'connection refused') for _ in range(4)]")
        open_page(page, server)
        see(needs(page), "psql failed 4 times")
        see(needs(page), "connection refused")
        assert needs(page).first.get_attribute("data-status") == "repeating"


def test_the_command_that_leads_to_the_agent_is_copied(server: DashboardServer, page: Page) -> None:
    """One click, and it is in the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with in_tmux("%7") as agent:
        agent.do("record_agent_start('asks')")
        agent.do("record_agent_waiting('asks', 'permission')")
        open_page(page, server)
        needs(page).get_by_role("button", name="tmux").click()
        see(needs(page), "copied")
        assert page.evaluate("navigator.clipboard.readText()") == "tmux switch-client -t '%7'"


@pytest.mark.own_tab
def test_a_command_that_cannot_be_copied_is_shown_selected(server: DashboardServer, page: Page) -> None:
    """A browser may keep its clipboard from a page; then the reader copies."""
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    with in_tmux("%7") as agent:
        agent.do("record_agent_start('asks')")
        agent.do("record_agent_waiting('asks', 'permission')")
        open_page(page, server)
        needs(page).get_by_role("button", name="tmux").click()
        assert page.evaluate("getSelection().toString() || document.activeElement.value") == "tmux switch-client -t '%7'"


def test_a_failure_that_was_seen_is_put_aside(server: DashboardServer, page: Page) -> None:
    """For all tabs, and after a reload; it can be taken back. The next run that fails is another matter."""
    record_agent_start("broken")
    record_agent_complete("broken", "failed", "no disk")
    wait_for_status(server, "broken", "failed")
    open_page(page, server)
    needs(page).get_by_role("button", name="Dismiss").click()
    see(page.locator("#needs-panel"), "1 dismissed")
    assert needs(page).count() == 0
    page.reload()
    see(page.locator("#needs-panel"), "1 dismissed")
    see(page.locator("#needs-none"), "Nobody needs you.")
    page.get_by_role("button", name="show", exact=True).click()
    needs(page).get_by_role("button", name="Take back").click()
    see(needs(page), "no disk")
    needs(page).get_by_role("button", name="Dismiss").click()
    record_agent_start("broken")
    record_agent_complete("broken", "failed", "no network")
    see(needs(page), "no network")


def test_what_waits_cannot_be_put_aside(server: DashboardServer, page: Page) -> None:
    """It is blocked until somebody comes."""
    record_agent_start("asks")
    record_agent_waiting("asks", "permission")
    open_page(page, server)
    see(needs(page), "permission")
    assert needs(page).get_by_role("button").count() == 0


def test_many_that_wait_are_counted_and_shown_on_demand(server: DashboardServer, page: Page) -> None:
    """A fleet that waits does not push the page away."""
    for number in range(9):
        record_agent_start(f"agent-{number}")
        record_agent_waiting(f"agent-{number}", "permission")
    wait_for_status(server, "agent-8", "waiting")
    open_page(page, server)
    wait_until(lambda: needs(page).count() == 6, what="six rows")
    page.get_by_role("button", name="3 more").click()
    assert needs(page).count() == 9
    page.get_by_role("button", name="Show fewer").click()
    assert needs(page).count() == 6


HOSTILE = ["<img src=x onerror=alert(1)>", "\u202egnitiaw", "a\nb\x00c", "__proto__", "x" * 400, "</title><script>"]


def test_hostile_names_and_reasons_stay_texts(server: DashboardServer, page: Page) -> None:
    """In the list of needs, in the title of the tab and in the address; a row stays one row."""
    for name in HOSTILE:
        record_agent_start(name)
        record_agent_waiting(name, name)
    wait_for_status(server, HOSTILE[-1], "waiting")
    open_page(page, server)
    wait_until(lambda: needs(page).count() == len(HOSTILE), what="all of them")
    heights = page.evaluate("[...document.querySelectorAll('#needs li')].map(row => row.offsetHeight)")
    assert max(heights) - min(heights) <= 1  # the first has no line above it
    assert page.locator("#needs img, #needs script").count() == 0
    see(needs(page), "<img src=x onerror=alert(1)>")
    needs(page).get_by_role("link", name="</title><script>").click()
    wait_until(lambda: page.title() == "6 need you · </title><script> · pyjama-metrics", what="the title to name the agent")


# The tiles.


def test_a_tile_of_a_state_filters_the_agents(server: DashboardServer, page: Page) -> None:
    """Who sees a number wants to see who that is."""
    for name in ("works", "asks"):
        record_agent_start(name)
    record_agent_waiting("asks", "permission")
    wait_for_status(server, "asks", "waiting")
    open_page(page, server)
    see(row(page, "agents", "works"), "running")
    page.get_by_role("button", name="Waiting 1").click()
    wait_until(lambda: page.locator("#agents tr").count() == 1, what="only those that wait")
    see(row(page, "agents", "asks"), "waiting")


def test_no_figure_of_a_tile_is_cut_off(server: DashboardServer, page: Page) -> None:
    """However narrow the window is: a figure that ends in dots is none."""
    for _ in range(20):
        record_tool_execution("grep", "worker", duration_ms=1)
    record_tool_execution("grep", "worker", "error")
    record_llm_usage("worker", "big", 51_500_000, cost_usd=1129.21)
    record_llm_usage("worker", "small", 100)
    wait_until(lambda: (ask(server, "/api/data").json["today"] or {}).get("requests") == 2, what="the calls")
    open_page(page, server)
    wait_until(lambda: tile(page, "cost").inner_text() == "$1,129+", what="the cost")
    cut = "texts => texts.filter((text) => text.scrollWidth > text.clientWidth).map((text) => text.textContent)"
    for width in (360, 640, 1024, 1100, 1280, 1800, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        assert (width, page.locator(".tile > .figure, .tile > .label").evaluate_all(cut)) == (width, [])


def test_a_rate_says_out_of_what(server: DashboardServer, page: Page) -> None:
    """Beneath it, and in full for the mouse and for the keyboard."""
    for status in ("ok", "ok", "ok", "error"):
        record_tool_execution("grep", "agent", status, duration_ms=1)
    record_tool_execution("grep", "agent", "interrupted", duration_ms=1)
    wait_until(lambda: ask(server, "/api/data").json["metrics"]["global"]["interrupted"] == 1)
    open_page(page, server)
    see(page.locator("#success-tile"), "75.0 %")
    see(page.locator("#success-tile .note"), "3 of 4")
    see(page.locator("#errors-tile"), "25.0 %")
    tip = page.locator("#success-tip")
    assert not tip.is_visible()
    page.locator("#success-tile").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    see(tip, "3 succeeded of 4 with an outcome, which is success + error. 1 was interrupted and is not counted.")


def test_a_failure_among_thousands_is_not_rounded(server: DashboardServer, page: Page) -> None:
    """Neither to nothing nor to more than it is."""
    for _ in range(4000):
        record_tool_execution("grep", "agent", duration_ms=1)
    record_tool_execution("grep", "agent", "error", duration_ms=1)
    wait_until(lambda: ask(server, "/api/data").json["metrics"]["global"]["count"] == 4001)
    open_page(page, server)
    see(page.locator("#success-tile"), ">99.9 %")
    see(page.locator("#errors-tile"), "<0.1 %")


@pytest.mark.parametrize(
    ("costs", "figure", "note", "parts"),
    [
        ([], "–", "", "No model was called since midnight"),
        ([None, None], "unpriced", "2 calls", "the cost of none is known: 2 calls unpriced: some-model"),
        ([1.25, None], "$1.25+", "+ 1 unpriced", "for 2 model calls: $1.25 reported; 1 call unpriced: some-model"),
        ([0.0], "$0.00", "", "$0.00 since midnight for 1 model call: $0.00 reported"),
        ([1.25, "priced"], "$1.26", "", "$1.26 since midnight for 2 model calls: $1.25 reported, $0.01 computed from prices"),
    ],
)
def test_a_cost_that_nobody_knows_is_not_nothing(
    server: DashboardServer, page: Page, costs: list[Any], figure: str, note: str, parts: str
) -> None:
    """Unpriced is a word, partly priced says so, and only what cost nothing is $0.00; the tip says how sure the figure is."""
    record_agent_start("agent")
    pricing.override("priced", input=1000, output=0)
    for cost in costs:
        model, cost = ("priced", None) if cost == "priced" else ("some-model", cost)
        record_llm_usage("agent", model, 10, 5, cost_usd=cost)
    wait_until(lambda: ask(server, "/api/data").json["today"]["requests"] == len(costs), what="the calls")
    wait_for_status(server, "agent", "running")
    open_page(page, server)
    wait_until(lambda: tile(page, "cost").inner_text() == figure, what=figure)
    assert page.locator("#cost-tile .note").inner_text() == note
    assert parts in (page.locator("#cost-tip").text_content() or "")
    pricing.remove_override("priced")
    for width in (360, 1100, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert tile(page, "cost").evaluate("element => element.scrollWidth <= element.clientWidth"), width
    assert tile(page, "tokens").inner_text() == str(15 * len(costs))


@pytest.mark.own_tab
def test_the_throughput_falls_by_itself(server: DashboardServer, page: Page) -> None:
    """No event says that nothing happens any more."""
    page.clock.install()
    for _ in range(30):
        record_tool_execution("grep", "agent", duration_ms=1)
    wait_until(lambda: ask(server, "/api/data").json["recent"], what="the last minutes")
    open_page(page, server)
    wait_until(lambda: tile(page, "throughput").inner_text() == "30 /min", what="thirty a minute")
    page.clock.run_for(75_000)
    assert tile(page, "throughput").inner_text() == "0 /min"


# Title, icon, theme.


def test_title_and_icon_count_those_that_run_and_need_somebody(server: DashboardServer, page: Page) -> None:
    """Seen from another window: who needs somebody comes first, and that is also who failed, until that was put aside."""
    open_page(page, server)
    assert page.title() == "pyjama-metrics"
    for number in range(12):
        record_agent_start(f"agent-{number}")
    wait_until(lambda: page.title() == "12 running · pyjama-metrics", what="the title to count")
    assert str(page.locator("#icon").get_attribute("href")).endswith("/favicons/running-10.svg")
    record_agent_complete("agent-1", "failed")
    wait_until(lambda: page.title() == "1 needs you · 11 running · pyjama-metrics", what="the title to count")
    assert str(page.locator("#icon").get_attribute("href")).endswith("/favicons/trouble.svg")
    record_agent_waiting("agent-3", "permission")
    wait_until(lambda: page.title() == "2 need you · 10 running · pyjama-metrics", what="the title to count")
    assert str(page.locator("#icon").get_attribute("href")).endswith("/favicons/waiting-2.svg")
    page.get_by_role("button", name="Dismiss").click()
    assert page.title() == "1 needs you · 10 running · pyjama-metrics"
    icon = page.evaluate("async () => { const icon = await fetch(document.querySelector('#icon').href); return icon.status; }")
    assert icon == 200


def theme(page: Page) -> str:
    """The theme that the page is shown in."""
    return str(page.evaluate("document.documentElement.dataset.theme"))


@pytest.mark.own_tab
def test_the_theme_follows_the_system_until_one_is_chosen(server: DashboardServer, page: Page) -> None:
    """And the choice is kept."""
    page.emulate_media(color_scheme="dark")
    open_page(page, server)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert theme(page) == "dark"
    page.emulate_media(color_scheme="light")
    wait_until(lambda: theme(page) == "light", what="the theme of the system")
    page.get_by_role("radio", name="Dark").check()
    assert (theme(page), page.evaluate("getComputedStyle(document.body).backgroundColor")) == ("dark", dark)
    page.reload()
    assert theme(page) == "dark"
    page.get_by_role("radio", name="As the system").check()
    assert theme(page) == "light"


@pytest.mark.own_tab
def test_the_theme_is_there_before_the_first_paint(server: DashboardServer, page: Page) -> None:
    """A page that is white for a moment blinds whoever sits in the dark."""
    page.add_init_script("localStorage.setItem('theme', 'dark')")
    page.route("**/js/*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(server.url)
    assert theme(page) == "dark"


# Views.


def test_an_address_leads_to_an_agent_and_back(server: DashboardServer, page: Page) -> None:
    """A deep link opens one agent, focus and title say so; back is where one was."""
    for number in range(40):
        record_agent_start(f"agent-{number:02}")
    wait_for_status(server, "agent-39", "running")
    open_page(page, server)
    see(row(page, "agents", "agent-05"), "running")
    page.evaluate("scrollTo(0, 60)")
    row(page, "agents", "agent-05").get_by_role("link").click()
    see(page.get_by_role("heading", name="agent-05"), "agent-05")
    assert page.title() == "40 running · agent-05 · pyjama-metrics"
    assert not page.locator("#overview").is_visible()
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.get_by_role("link", name="All agents").first.click()
    page.locator("#overview").wait_for()
    assert page.evaluate("scrollY") == 60
    assert page.evaluate("document.activeElement.textContent") == "agent-05"
    assert page.title() == "40 running · pyjama-metrics"


def test_a_deep_link_opens_with_the_page(server: DashboardServer, page: Page) -> None:
    """Whatever the name is."""
    name = "a/b?c#d %41 ü"
    record_agent_start(name)
    wait_for_status(server, name, "running")
    open_page(page, server, f"#/agents/{quote(name, safe='')}")
    see(page.get_by_role("heading", name=name), name)
    assert not page.locator("#overview").is_visible()


def test_who_looks_at_one_agent_learns_that_another_waits(server: DashboardServer, page: Page) -> None:
    """The head of the page has a link to those that need somebody."""
    record_agent_start("works")
    wait_for_status(server, "works", "running")
    open_page(page, server, "#/agents/works")
    record_agent_start("asks")
    record_agent_waiting("asks", "permission")
    page.get_by_role("link", name="1 agent needs you").click()
    see(needs(page), "permission")
    assert not page.locator("#needs-link").is_visible()


# Dialog and keyboard.


def test_clear_asks_first_and_says_what_stays(server: DashboardServer, page: Page) -> None:
    """Nothing is cleared by one click; Escape, Enter and Keep leave everything as it is."""
    record_tool_execution("grep", "worker", duration_ms=1)
    wait_until(lambda: ask(server, "/api/data").json["metrics"]["global"]["count"] == 1)
    open_page(page, server)
    dialog = page.get_by_role("dialog")
    for key in ("Escape", "Enter"):
        page.get_by_role("button", name="Clear…").press("Enter")
        see(dialog, "Stays")
        page.keyboard.press(key)
        dialog.wait_for(state="hidden")
        assert page.evaluate("document.activeElement.id") == "clear"
    assert ask(server, "/api/data").json["metrics"]["global"]["count"] == 1
    page.get_by_role("button", name="Clear…").click()
    dialog.get_by_role("button", name="Clear", exact=True).click()
    dialog.wait_for(state="hidden")
    assert ask(server, "/api/data").json["metrics"]["global"]["count"] == 0
    wait_until(lambda: page.locator("#tools tr").count() == 0, 5.0, "the tool to be gone")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"status": 503, "body": json.dumps({"ok": False, "error": "The hub is locked.", "status": 503})}, "The hub is locked."),
        (None, "The server did not answer."),
    ],
)
def test_a_clear_that_failed_says_so(server: DashboardServer, page: Page, answer: dict[str, Any] | None, sentence: str) -> None:
    """In the dialog, which stays open."""
    record_agent_start("agent")
    open_page(page, server)
    page.route("**/api/clear", lambda route: route.fulfill(**answer) if answer else route.abort("connectionrefused"))
    page.get_by_role("button", name="Clear…").click()
    page.get_by_role("dialog").get_by_role("button", name="Clear", exact=True).click()
    see(page.get_by_role("alert"), sentence)
    assert page.get_by_role("dialog").is_visible()


def test_the_keyboard_reaches_everything_in_order(server: DashboardServer, page: Page) -> None:
    """A link past the head, then the head, who needs somebody, the tiles, the agents."""
    record_agent_start("broken")
    record_agent_complete("broken", "failed", "no disk")
    wait_for_status(server, "broken", "failed")
    open_page(page, server)
    see(needs(page), "no disk")
    focused = "(({id, textContent, name}) => id || textContent.trim() || name)(document.activeElement)"
    passed = []
    for _ in range(8):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(focused))
    assert passed == ["skip", "pyjama metrics", "theme", "clear", "broken", "Dismiss", "running-tile", "waiting-tile"]
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    assert (page.evaluate("document.activeElement.id"), page.evaluate("location.hash")) == ("main", "")


# The twin of patches.py.

KEYS = st.sampled_from(["a", "b", "__proto__", "constructor", "a.b", "", "recent-logs"]) | st.text(max_size=3)
VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1e6, 1e6) | st.text(max_size=2)
DOCUMENTS = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
ENTRIES = st.builds(
    lambda time, journal, line: {"timestamp": time, "id": f"{journal}:{line}"},
    st.integers(0, 5),
    st.sampled_from(["a", "b:c", "\ue000", "\U0001f600"]),
    st.integers(0, 99),
)
LOGS = st.lists(ENTRIES, max_size=60, unique_by=lambda entry: entry["id"])
LOG_PAIRS = LOGS.map(lambda entries: (log_of(entries[::2]), log_of(entries)))


def log_of(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """A document with a log, in its order."""
    return {"recent-logs": merged_logs([], entries)}


APPLY = """async told => {
    const main = document.querySelector("script[type=module]").src;
    const { apply } = await import(new URL("patches.js", main));
    return JSON.parse(told).map(([old, patch]) => JSON.stringify(apply(old, patch)));
}"""


@pytest.fixture
def opened(server: DashboardServer, page: Page) -> Page:
    """The page, open."""
    open_page(page, server)
    return page


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(DOCUMENTS, DOCUMENTS) | LOG_PAIRS, min_size=5, max_size=20))
def test_the_page_patches_documents_as_the_server_does(opened: Page, pairs: list[tuple[Any, Any]]) -> None:
    """In the browser, too, a patch makes the new document of the old."""
    told = json.dumps([[old, difference(old, new)] for old, new in pairs])
    made = [json.loads(text) for text in opened.evaluate(APPLY, told)]
    assert [kinds(document) for document in made] == [kinds(new) for _, new in pairs]


def kinds(document: Any) -> Any:
    """A document in which true differs from 1, as it does in JSON, and 1.0 does not, as in a browser."""
    if isinstance(document, dict):
        return {key: kinds(value) for key, value in document.items()}
    if isinstance(document, list):
        return [kinds(value) for value in document]
    return (type(document) is bool, document)
