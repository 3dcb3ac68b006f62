"""The page, in a real browser: what other processes do is on it while they do it, and nothing else happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import (
    record_agent_activity,
    record_agent_start,
    record_error,
    record_tool_execution,
)
from tests.dashboard.looking import open_page, row, see
from tests.dashboard.serving import agent_process, wait_for_status
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_agents_of_other_processes_appear_and_move(server: DashboardServer, page: Page) -> None:
    """Without a reload: start, figures, waiting, end, and the death of one that is killed."""
    open_page(page, server)
    page.evaluate("window.isTheSamePage = true")
    with agent_process() as first, agent_process() as second:
        first.do("record_agent_start('first')")
        second.do("record_agent_start('second')")
        see(row(page, "agents", "first"), "running")
        see(row(page, "agents", "second"), "running")
        first.do("record_tool_execution('grep', 'first', duration_ms=20)")
        first.do("record_tool_execution('grep', 'first', 'error', duration_ms=40)")
        see(row(page, "agents", "first"), "50.0 %")
        see(row(page, "tools", "grep"), "30.0 ms")
        first.do("record_agent_waiting('first', 'permission to write')")
        see(row(page, "agents", "first"), "permission to write")
        first.do("record_agent_complete('first')")
        see(row(page, "agents", "first"), "completed")
        second.kill()
        see(row(page, "agents", "second"), "crashed", timeout=2.5)
        see(page.locator("#log"), "crashed")
    assert page.evaluate("window.isTheSamePage") is True


def test_rows_are_patched_in_place(server: DashboardServer, page: Page) -> None:
    """The row of an agent stays the same element, in the same place, while its figures change."""
    for name in ("alpha", "beta", "gamma"):
        record_agent_start(name)
    open_page(page, server)
    see(row(page, "agents", "gamma"), "running")
    page.evaluate("window.rows = [...document.querySelectorAll('#agents tr')]")
    record_tool_execution("grep", "gamma", duration_ms=1)
    see(row(page, "agents", "gamma"), "100 %")
    still = "rows.every((row, place) => row === document.querySelectorAll('#agents tr')[place])"
    assert page.evaluate(still) is True


def test_what_could_not_be_loaded_is_loaded_with_the_next_figures(server: DashboardServer, page: Page) -> None:
    """The server was gone for a moment when somebody went to an agent."""
    record_agent_start("worker")
    page.route("**/js/agent.js", lambda route: route.abort("connectionrefused"))
    open_page(page, server, "#/agents/worker")
    assert not page.locator("#agent-name").is_visible()
    page.unroute("**/js/agent.js")
    record_agent_activity("worker", "grep")
    see(page.locator("#agent-name"), "worker")


@pytest.mark.parametrize("width", [360, 1280, 2560])
def test_long_names_do_not_break_the_layout(server: DashboardServer, page: Page, width: int) -> None:
    """10,000 characters, line breaks and null bytes stay in one line of their column."""
    for name in ("x" * 10_000, "a\nb\n\nc\td", "nul\x00byte", "\u202eright to left"):
        record_agent_start(name)
        record_tool_execution(name, name, duration_ms=1, error=name, status="error")
        record_error(name, name)
    page.set_viewport_size({"width": width, "height": 800})
    open_page(page, server)
    wait_until(lambda: page.locator("#agents tr").count() == 4)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    heights = page.evaluate("[...document.querySelectorAll('#agents tr')].map(row => row.offsetHeight)")
    assert max(heights) == min(heights)


def test_the_policy_stops_what_would_get_in(server: DashboardServer, page: Page) -> None:
    """Even if a text became HTML one day, the browser would not run it."""
    open_page(page, server)
    told = page.evaluate("() => { try { document.body.innerHTML = '<b>'; } catch (error) { return error.name; } }")
    assert told == "TypeError"


def test_a_newcomer_is_told_what_to_type(server: DashboardServer, page: Page, home: Path) -> None:
    """An empty hub is no empty page; the first event takes its place."""
    open_page(page, server)
    see(page.get_by_role("main"), "pyjama-metrics demo")
    see(page.locator("#nothing"), str(home))
    record_agent_start("first of all")
    see(row(page, "agents", "first of all"), "running")
    assert not page.locator("#nothing").is_visible()


def test_losses_are_said_in_a_sentence(server: DashboardServer, page: Page, home: Path) -> None:
    """What could not be counted is not hidden."""
    record_agent_start("clean")
    wait_for_status(server, "clean", "running")
    (journal,) = (home / "journal").glob("*.jsonl")
    with journal.open("a", encoding="utf-8") as file:
        file.write('not json\n{"event":"lost","time":1,"count":12}\n')
    open_page(page, server)
    see(page.get_by_role("region", name="Problems"), "12 events could not be written")
    see(page.locator("#troubles"), "1 line of the journals could not be read")


def test_states_differ_by_shape_and_word_too(server: DashboardServer, page: Page) -> None:
    """Who cannot tell the colours apart can tell the states apart."""
    with agent_process() as agent:
        agent.do("record_agent_start('works')")
        agent.do("record_agent_start('done'); record_agent_complete('done')")
        agent.do("record_agent_start('broken'); record_agent_complete('broken', 'failed', 'no disk')")
        open_page(page, server)
        words = {"works": "running", "done": "completed", "broken": "failed"}
        for name, word in words.items():
            see(row(page, "agents", name), word)
            shape = row(page, "agents", name).locator("use").get_attribute("href")
            assert shape == f"#shape-{word}"
            assert page.locator(f"symbol{shape}").count() == 1
