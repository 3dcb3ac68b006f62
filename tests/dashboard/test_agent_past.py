"""The past of an agent on its page, in a real browser: its days, its runs, and what is left of one that is long gone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from tests.dashboard.looking import open_page, see
from tests.dashboard.serving import Served, ask, serving
from tests.histories import caught_up
from tests.journals import Event, event, leave_journal, tool
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

HOUR = 3_600_000
DAY = 24 * HOUR


def run_of(agent: str, run: str, days_ago: float, *, outcome: str = "completed", **told: Any) -> list[Event]:
    """A run of ten minutes: two executions, of which one fails, and two calls, one of $0.25 and one without a price."""
    begin = int(time.time() * 1000) - int(days_ago * DAY) - HOUR
    return [
        event("start", begin, agent, run=run, **{"source": "python", "host": "laptop", **told}),
        tool(begin + 1000, agent, "grep", run=run, duration_ms=20),
        tool(begin + 2000, agent, "write", run=run, status="error", duration_ms=40),
        event(
            "llm",
            begin + 3000,
            agent,
            run=run,
            model="m",
            input_tokens=900,
            output_tokens=100,
            cost_micros=250_000,
            phase="planning",
        ),
        event("llm", begin + 4000, agent, run=run, model="m", input_tokens=900, output_tokens=100, phase="execution"),
        event("complete", begin + 600_000, agent, run=run, status=outcome, error="no disk" if outcome == "failed" else None),
    ]


def recorded(home: Path, *runs: list[Event]) -> None:
    """Put these runs into the hub and its history."""
    events = [{name: value for name, value in each.items() if value is not None} for run in runs for each in run]
    leave_journal(home, "w-1-a", *events)
    caught_up(home)


def opened(page: Page, server: Served, agent: str) -> None:
    """The page of an agent, with its past."""
    open_page(page, server, f"#/agents/{quote(agent, safe='')}")
    page.wait_for_selector("#agent-past:not([hidden])")


def said(page: Page, part: str) -> str:
    """The text of a part of the past."""
    return " ".join(page.locator(f"#agent-past {part}").inner_text().split())


def runs(page: Page) -> list[list[str]]:
    """The runs of the past, without when they began."""
    rows: list[list[str]] = page.locator("#past-runs tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].slice(1).map(cell => cell.innerText.trim()))"
    )
    return rows


def test_the_page_of_an_agent_has_its_days_and_its_runs(home: Path, page: Page) -> None:
    """With what each cost, and how sure that is; another's are not there."""
    recorded(home, run_of("a", "r1", 20), run_of("a", "r2", 5, outcome="failed"), run_of("a", "r3", 5), run_of("b", "r4", 5))
    with serving(home) as server:
        opened(page, server, "a")
        see(page.locator("#agent-past .sum"), "$0.75+")
        assert said(page, ".sum") == "$0.75+ 6 model calls, 6,000 tokens"
        assert said(page, "#past-parts") == "$0.75 reported; 3 calls unpriced: m"
        assert page.locator("#past-days > span").count() == 30
        assert page.locator("#past-days > span:has(.reported)").count() == 2
        assert "$0.75 in all" in (page.locator("#past-days").get_attribute("aria-label") or "")
        took = ["10:00", "2", "1", "$0.25+"]
        assert sorted(runs(page)) == sorted([["completed", *took], ["failed", *took], ["completed", *took]])
        page.locator("#agent-past summary").click()
        days = page.locator("#agent-past details tbody tr")
        assert [text.split("\t")[1:] for text in days.all_inner_texts()] == [["4", "4", "$0.50+"], ["2", "2", "$0.25+"]]


def test_a_run_of_the_past_is_told_in_full(home: Path, page: Page) -> None:
    """What it was for, how it ended, by phase and by tool; by keyboard as well, and a second time closes it."""
    told = {"labels": {"project": "shop", "task": "mend the session"}}
    recorded(home, run_of("a", "r1", 12, outcome="failed", **told), run_of("a", "r2", 3))
    with serving(home) as server:
        opened(page, server, "a")
        see(page.locator("#past-runs"), "failed")
        page.locator("#past-runs tr", has_text="failed").get_by_role("button").focus()
        page.keyboard.press("Enter")
        see(page.locator("#past-run-title"), "failed after 10:00")
        assert page.evaluate("document.activeElement.id") == "past-run-title"
        assert said(page, "#past-run .origin") == "Run r1 Project shop Task mend the session Source python Host laptop"
        assert said(page, "#past-run [data-message]") == "no disk"
        assert said(page, "#past-run [data-cost-parts]") == "$0.25 reported; 1 call unpriced: m."
        parts = [text.split("\t") for text in page.locator("#past-run-parts tr").all_inner_texts()]
        assert {row[0]: row[1:] for row in parts} == {
            "planning": ["phase", "", "", "1", "$0.25"],
            "execution": ["phase", "", "", "1", "unpriced"],
            "grep": ["1", "0", "20.0 ms", "0", "–"],
            "write": ["1", "1", "40.0 ms", "0", "–"],
        }
        page.locator("#past-runs [data-chosen] button").click()
        page.wait_for_selector("#past-run", state="hidden")


def test_an_agent_that_left_the_live_figures_still_has_its_past(home: Path, page: Page) -> None:
    """It is in no list any more; its address leads to what the history knows."""
    recorded(home, run_of("long gone", "r1", 12), run_of("here", "r2", 0))
    with serving(home) as server:
        assert list(ask(server, "/api/data").json["agents"]) == ["here"]
        opened(page, server, "long gone")
        assert page.locator("#agent-gone").is_visible()
        see(page.locator("#agent-past .sum"), "$0.25")
        page.locator("#past-runs button").first.click()
        see(page.locator("#past-run-title"), "completed after 10:00")


def test_nobody_has_no_past(home: Path, page: Page) -> None:
    """A sentence, and nothing of the agent that was shown before."""
    recorded(home, run_of("a", "r1", 2))
    with serving(home) as server:
        opened(page, server, "a")
        see(page.locator("#agent-past .sum"), "$0.25")
        page.evaluate("location.hash = '#/agents/nobody'")
        see(page.locator("#past-note"), "does not know this agent")
        assert not page.locator("#agent-past .past-grid").is_visible()
        page.evaluate("location.hash = '#/'")
        page.wait_for_selector("#agent-page", state="hidden")


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "__proto__", "a/b?c=d&agent=e#f", "\u202eevil", "x" * 3000])
def test_hostile_names_are_text(home: Path, page: Page, name: str) -> None:
    """Of agents, runs, projects, tasks, hosts, phases and tools."""
    told = {"labels": {"project": name, "task": name}, "host": name}
    hostile = run_of(name, name, 3, **told)
    hostile[1]["tool"] = hostile[3]["phase"] = hostile[3]["model"] = name
    recorded(home, hostile)
    with serving(home) as server:
        (run,) = ask(server, "/metrics/history/runs?from=0").json["runs"]
        opened(page, server, run["agent-id"])
        see(page.locator("#agent-past .sum"), "$0.25")
        page.locator("#past-runs button").first.click()
        see(page.locator("#past-run-title"), "completed")
        assert page.locator("#agent-past img").count() == 0
        assert page.locator("#past-run-parts tr").count() >= 4
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_without_a_history_the_page_of_an_agent_says_so(
    server: DashboardServer, home: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And shows everything else."""
    monkeypatch.setenv("PYJAMA_HISTORY", "0")
    leave_journal(home, "w-1-a", *[{k: v for k, v in each.items() if v is not None} for each in run_of("a", "r1", 0)])
    wait_until(lambda: "a" in ask(server, "/api/data").json["agents"])
    opened(page, server, "a")
    see(page.locator("#past-note"), "no history is kept, as PYJAMA_HISTORY says so")
    see(page.locator("#agent-figures"), "$0.25")


def test_the_run_that_is_open_is_not_over(home: Path, page: Page) -> None:
    """No outcome is made up, and no time that it took."""
    open_run = run_of("a", "r1", 0)[:-1]
    recorded(home, open_run)
    with serving(home) as server:
        opened(page, server, "a")
        see(page.locator("#past-runs"), "not over")
        assert runs(page) == [["not over", "–", "2", "1", "$0.25+"]]
        assert json.loads(ask(server, "/metrics/history/run?id=r1").body)["duration-ms"] is None
