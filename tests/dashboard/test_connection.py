"""How the page stays current: one stream for all tabs, and what it does while there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import record_agent_start, record_agent_waiting
from tests.dashboard.looking import ALONE, open_page, row, see, set_hidden
from tests.dashboard.serving import ask, serving, wait_for_status
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser


def streams(server: DashboardServer) -> int:
    """How many streams the server says are open."""
    return int(ask(server, "/health").json["streams"])


def see_state(page: Page, state: str, timeout: float = 5.0) -> None:
    """Wait until the head of the page shows this state of the connection."""
    page.wait_for_selector(f"#connection[data-state={state}]", timeout=timeout * 1000)


def asked(page: Page, server: DashboardServer) -> list[str]:
    """The paths that the page asks for from now on."""
    paths: list[str] = []
    page.on("request", lambda request: paths.append(request.url.removeprefix(server.url)))
    return paths


@pytest.mark.own_tab
def test_tabs_share_one_stream(server: DashboardServer, page: Page) -> None:
    """A browser opens six connections to one server, whatever its tabs; ours take one of them."""
    tabs = [page, *(page.context.new_page() for _ in range(7))]
    for tab in tabs:
        open_page(tab, server)
        see_state(tab, "live")
    record_agent_start("seen by all")
    for tab in tabs:
        see(row(tab, "agents", "seen by all"), "running")
    assert streams(server) == 1


@pytest.mark.own_tab
def test_the_stream_lives_as_long_as_the_last_tab(server: DashboardServer, page: Page) -> None:
    """The tab that began it may be the first to go."""
    open_page(page, server)
    other = page.context.new_page()
    open_page(other, server)
    page.goto("about:blank")
    record_agent_start("later")
    see(row(other, "agents", "later"), "running")
    assert streams(server) == 1
    other.goto("about:blank")
    wait_until(lambda: streams(server) == 0, 5.0, "the stream to be given back")


def test_what_is_recorded_while_the_page_loads_is_not_missed(server: DashboardServer, page: Page) -> None:
    """Between the document and the first event there is no gap."""
    held: list[Route] = []
    page.route("**/api/data", lambda route: held.append(route), times=1)
    page.goto(server.url)
    wait_until(lambda: page.evaluate("1") and held, what="the page to ask for its document")
    answer = held[0].fetch(headers={"Accept-Encoding": "identity"})
    record_agent_start("in between")
    wait_for_status(server, "in between", "running")
    held[0].fulfill(response=answer)
    see(row(page, "agents", "in between"), "running")


@pytest.mark.own_tab
def test_a_tab_that_is_behind_the_shared_stream_loads_again(server: DashboardServer, page: Page) -> None:
    """A second tab that got an older document does not wait for the next event to notice."""
    open_page(page, server)
    old = ask(server, "/api/data").body
    record_agent_start("newer")
    see(row(page, "agents", "newer"), "running")
    other = page.context.new_page()
    other.route("**/api/data", lambda route: route.fulfill(body=old, content_type="application/json"), times=1)
    open_page(other, server)
    see(row(other, "agents", "newer"), "running")


def test_an_update_of_another_version_is_not_applied(server: DashboardServer, page: Page) -> None:
    """A tab that has missed an event loads the document; it never shows a mixture."""
    record_agent_start("agent")
    wait_for_status(server, "agent", "running")
    open_page(page, server)
    foreign = {"from": "0badcafe-1", "to": "0badcafe-2", "set": {"agents": {"ghost": {}}}, "unset": [], "logs": []}
    told = page.evaluate(
        """async event => {
            const main = document.querySelector("script[type=module]").src;
            const store = await import(new URL("store.js", main));
            return [store.update(event), "ghost" in store.data().agents];
        }""",
        foreign,
    )
    assert told == [False, False]


def test_the_page_comes_back_after_the_server_did(home: Path, page: Page) -> None:
    """While the server is away the page says so, and how long; then it goes on by itself."""
    with serving(home) as server:
        port = int(server.url.rpartition(":")[2])
        open_page(page, server)
        see_state(page, "live")
        page.evaluate("window.isTheSamePage = true")
    see_state(page, "reconnecting")
    see_state(page, "offline", timeout=12.0)
    see(page.locator("#connection"), "0:1")
    record_agent_start("meanwhile")
    with serving(home, port=port) as server:
        see(row(page, "agents", "meanwhile"), "running", timeout=10.0)
        see_state(page, "live")
        assert streams(server) == 1
        assert page.evaluate("window.isTheSamePage") is True
        assert not page.locator("#updated").is_visible()


def test_a_restart_with_another_version_of_the_page_is_hinted_at(home: Path, page: Page) -> None:
    """The old page goes on; a sentence says that there is a new one."""
    with serving(home) as server:
        port = int(server.url.rpartition(":")[2])
        open_page(page, server)
        see_state(page, "live")
    new = '<script type="module" src="/static/0123456789abcdef/js/main.js"></script>'
    page.route(f"http://127.0.0.1:{port}/", lambda route: route.fulfill(body=new, content_type="text/html"))
    with serving(home, port=port):
        see_state(page, "live", timeout=10.0)
        see(page.locator("#updated"), "The server was updated")
        page.unroute(f"http://127.0.0.1:{port}/")
        page.get_by_role("button", name="Reload this page").click()
        page.wait_for_selector("body[data-version]")
        assert not page.locator("#updated").is_visible()


def test_a_page_that_is_refused_a_stream_polls(server: DashboardServer, page: Page) -> None:
    """One page too many is slower, and not empty; what it knows already is not sent again."""
    server.streams.limit = 0
    codes: list[int] = []
    page.on("response", lambda answer: codes.append(answer.status) if answer.url.endswith("/api/data") else None)
    open_page(page, server)
    see_state(page, "polling")
    wait_until(lambda: page.evaluate("1") and codes.count(304) > 1, what="two polls that found nothing new")
    record_agent_start("polled")
    see(row(page, "agents", "polled"), "running")


@pytest.mark.own_tab
def test_a_refused_stream_is_asked_for_again(server: DashboardServer, page: Page) -> None:
    """Each 30 s, so that a place that is free again is taken."""
    page.add_init_script(ALONE)
    page.clock.install()
    server.streams.limit = 0
    open_page(page, server)
    see_state(page, "polling")
    server.streams.limit = 8
    page.clock.run_for(20_000)
    assert streams(server) == 0
    page.clock.run_for(15_000)
    see_state(page, "live")
    assert streams(server) == 1


ANSWERED = "path => fetch(path).then(answer => answer.text())"


@pytest.mark.own_tab
def test_the_worker_asks_again_when_somebody_looks(server: DashboardServer, page: Page) -> None:
    """A refused tab that nobody looks at stops polling; looking at it asks for a stream at once."""
    page.clock.install()
    server.streams.limit = 0
    open_page(page, server)
    see_state(page, "polling")
    set_hidden(page, True)
    page.clock.run_for(3500)
    for _ in range(3):
        page.evaluate(ANSWERED, "/api/data")  # and so was the poll that was due
    page.clock.run_for(2000)
    see_state(page, "resting")
    paths = asked(page, server)
    page.clock.run_for(20_000)
    page.evaluate(ANSWERED, "/health")
    assert paths == ["/health"]
    server.streams.limit = 8
    set_hidden(page, False)
    see_state(page, "live")


def test_a_hidden_tab_goes_on_counting_in_its_title(server: DashboardServer, page: Page) -> None:
    """Whoever works in another tab sees who waits; the table is not drawn for nobody."""
    open_page(page, server)
    see_state(page, "live")
    set_hidden(page, True)
    record_agent_start("asks")
    record_agent_start("works")
    record_agent_waiting("asks", "permission")
    wait_until(lambda: page.title() == "1 needs you · 1 running · pyjama-metrics", what="the title to count")
    assert page.locator("#agents tr").count() == 0
    assert str(page.locator("#icon").get_attribute("href")).endswith("/favicons/waiting-1.svg")
    set_hidden(page, False)
    see(row(page, "agents", "asks"), "waiting")


@pytest.mark.own_tab
def test_a_tab_with_a_stream_of_its_own_gives_it_back_while_hidden(server: DashboardServer, page: Page) -> None:
    """Where tabs cannot share, one that nobody looks at leaves its connection to the others, and catches up later."""
    page.add_init_script(ALONE)
    page.clock.install()
    open_page(page, server)
    set_hidden(page, True)
    page.clock.run_for(3000)
    set_hidden(page, False)
    page.clock.run_for(6000)
    see_state(page, "live")
    set_hidden(page, True)
    page.clock.run_for(5500)
    see_state(page, "resting")
    wait_until(lambda: streams(server) == 0, what="the stream to be given back")
    record_agent_start("meanwhile")
    wait_for_status(server, "meanwhile", "running")
    set_hidden(page, False)
    see(row(page, "agents", "meanwhile"), "running")
    assert streams(server) == 1


BROKEN = """
    window.SharedWorker = class extends EventTarget {
        port = {postMessage() {}};
        constructor() { super(); setTimeout(() => this.dispatchEvent(new Event("error")), 50); }
    };
"""


@pytest.mark.own_tab
def test_a_worker_that_does_not_start_is_done_without(server: DashboardServer, page: Page) -> None:
    """The tab then has a stream of its own."""
    page.add_init_script(BROKEN)
    open_page(page, server)
    see_state(page, "live")
    record_agent_start("seen all the same")
    see(row(page, "agents", "seen all the same"), "running")


def test_the_policy_lets_no_other_address_become_a_worker(server: DashboardServer, page: Page) -> None:
    """The page's one exception from the rule against scripts from texts holds for one address."""
    open_page(page, server)
    tried = """() => { try { return String(new SharedWorker("/static/other.js")); } catch (error) { return error.name; } }"""
    assert page.evaluate(tried) == "TypeError"


TOLD_SNAPSHOTS = """;
    const Real = EventSource;
    window.EventSource = class extends Real {
        constructor(...all) { super(...all); this.addEventListener("snapshot", () => console.info("snapshot")); }
    };
"""


@pytest.mark.own_tab
def test_the_first_document_comes_compressed_and_once(server: DashboardServer, page: Page) -> None:
    """The stream begins after it, and does not send it again."""
    for number in range(50):
        record_agent_start(f"agent-{number}")
    wait_for_status(server, "agent-49", "running")
    snapshots: list[str] = []
    page.add_init_script(ALONE + TOLD_SNAPSHOTS)
    page.on("console", lambda said: snapshots.append(said.text) if said.text == "snapshot" else None)
    with page.expect_response("**/api/data") as answer:
        open_page(page, server)
    see_state(page, "live")
    record_agent_start("the next")
    see(row(page, "agents", "the next"), "running")
    assert answer.value.headers["content-encoding"] == "gzip"
    assert json.loads(answer.value.body())["overview"]["agents"] == 50
    assert snapshots == []
