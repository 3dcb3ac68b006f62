"""What the page shows of sessions: whose they are, how full their context is, what is used of the plans, what they wait for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics import about_sessions
from pyjama_metrics.hub import Hub
from pyjama_metrics.sessions.known import NEXT_PROMPT
from tests.dashboard.looking import open_page, row, see
from tests.dashboard.serving import Served, serving
from tests.dashboard.test_accessibility import violations
from tests.dashboard.test_names import STATIC
from tests.journals import Event, event, lines, live_journal, now_ms, tool

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NOW = now_ms()
HOUR = 3_600_000
WRITER = "claude-code-s1-4711-ab"
HOSTILE = '<img src=x onerror="window.hurt = 1">\u202e\n</bdi></li>'
LIMITS = {"five_hour": [42.4, NOW + HOUR], "seven_day": [91, NOW - 1000], "odd": [80, 0]}


def session(agent: str, number: int, reason: str | None, since: int, source: str = "claude-code", **told: object) -> list[Event]:
    """A session that waits, or is at work."""
    run = f"{WRITER}.{number}"
    labels = {"session": f"s{number}", "project": agent, "version": "2.1.329", "entrypoint": "cli", "team": "web"}
    return [
        event("start", since - HOUR, agent, run=run, source=source, labels=labels),
        event("session", since - 1, agent, run=run, **told),
        *([] if reason is None else [event("waiting", since, agent, run=run, reason=reason)]),
    ]


def everything() -> list[Event]:
    """Two sessions that wait, one whose context is nearly full, one of an evil name, an agent in Python, a subagent."""
    told = {"branch": "main", "model": "claude-opus-4-8", "context_percent": 9.4, "limits": LIMITS}
    evil = {"branch": HOSTILE, "model": HOSTILE, "version": HOSTILE, "limits": {HOSTILE: [999, NOW + HOUR]}}
    return [
        *session("done", 1, NEXT_PROMPT, NOW - 2 * HOUR, **told),
        *session("asks", 2, "permission to use Bash", NOW - 1000),
        *session("full", 3, None, NOW, "codex", context_tokens=95_000, context_window=100_000, limits={"five_hour": [80, 0]}),
        *session(HOSTILE, 4, None, NOW, f"\u202e{HOSTILE}", **evil),
        event("start", NOW, "planner", run=f"{WRITER}.5", source="python"),
        event("start", NOW, "asks/Explore", run=f"{WRITER}.6", source="claude-code", parent=f"{WRITER}.2", parent_agent="asks"),
        tool(NOW, "asks/Explore", "Read", run=f"{WRITER}.6"),
    ]


@contextmanager
def served(home: Path, *events: Event) -> Iterator[Served]:
    """A dashboard of a hub in which these events happened, by a writer that lives."""
    with live_journal(home, WRITER) as journal:
        journal.append(lines(*events))
        Hub(str(home)).flush()
        with serving(home) as server:
            yield server


@pytest.mark.browser
def test_an_agent_is_shown_with_its_program_and_how_full_its_context_is(home: Path, page: Page) -> None:
    """The rest is in the tip; an agent without a session has no gauge."""
    with served(home, *everything()) as server:
        open_page(page, server)
        done, full = row(page, "agents", "done"), row(page, "agents", "full")
        assert done.locator(".source").inner_text() == "Claude"
        assert full.locator(".source").inner_text() == "Codex"
        assert row(page, "agents", "planner").locator(".source").inner_text() == "Python"
        assert done.locator("[data-context]").inner_text() == "9 %"
        assert full.locator("[data-context]").inner_text() == "95 %"
        assert (
            full.locator("td.context").get_attribute("data-level"),
            done.locator("td.context").get_attribute("data-level"),
        ) == (
            "nearly",
            "",
        )
        assert full.locator("td.context").get_attribute("title") == "95 % · 95,000 of 100,000 tokens"
        assert row(page, "agents", "planner").locator(".gauge").is_hidden()
        assert done.locator("a").get_attribute("title") == "Claude Code · done · branch main · claude-opus-4-8"


@pytest.mark.browser
@pytest.mark.parametrize("source", ["constructor", "__proto__", "toString", ""])
def test_a_program_may_have_any_name(home: Path, page: Page, source: str) -> None:
    """Also one that objects of the page have themselves."""
    events = [*session("odd", 1, None, NOW, source, limits={"constructor": [5, 0]}), *session("other", 2, None, NOW)]
    with served(home, *events) as server:
        open_page(page, server)
        assert row(page, "agents", "odd").locator(".source").inner_text() == (source or "(unnamed)")
        assert "constructor 5 %" in re.sub(r"\s+", " ", page.locator("#limits").inner_text())


@pytest.mark.browser
def test_agents_of_one_program_without_a_session_have_no_badge_and_no_column(home: Path, page: Page) -> None:
    """The page is as it was for who records in Python alone."""
    with served(home, event("start", NOW, "planner", run=f"{WRITER}.1", source="python")) as server:
        open_page(page, server)
        assert row(page, "agents", "planner").locator(".source").is_hidden()
        assert page.locator("th.context").is_hidden()
        assert page.locator("#limits").is_hidden()


@pytest.mark.browser
def test_the_limits_of_the_plans_are_shown_once(home: Path, page: Page) -> None:
    """By program; one that began anew since it was told has no percentage any more."""
    with served(home, *everything()[:8]) as server:
        open_page(page, server)
        told = page.locator("#limits li")
        words = [re.sub(r"\s+", " ", text) for text in told.all_inner_texts()]
        assert words[0].startswith("Claude Code 7 days – began anew ")
        assert words[1].startswith("Claude Code 5 h 42 % resets ")
        assert words[2].startswith("Claude Code odd 80 %")
        assert words[3].startswith("Codex 5 h 80 %")
        assert [told.nth(place).get_attribute("data-level") for place in range(4)] == ["", "", "nearly", "nearly"]


@pytest.mark.browser
def test_who_waits_for_a_permission_comes_before_who_waits_for_the_next_prompt(home: Path, page: Page) -> None:
    """Though that one has waited for longer; alone it is no alarm."""
    with served(home, *everything()[:6]) as server:
        open_page(page, server)
        assert page.locator("#needs .name").all_inner_texts() == ["asks", "done"]
        assert page.locator("#needs .reason").all_inner_texts() == ["permission to use Bash", "the next prompt"]
        assert page.locator("#needs-panel").get_attribute("data-urgent") is not None
    with served(home / "other", *session("done", 1, NEXT_PROMPT, NOW)) as server:
        open_page(page, server)
        assert page.locator("#needs .name").all_inner_texts() == ["done"]
        assert page.locator("#needs-panel").get_attribute("data-urgent") is None


@pytest.mark.browser
def test_the_page_of_an_agent_tells_all_that_its_session_told(home: Path, page: Page) -> None:
    """With the labels that have no other place."""
    with served(home, *everything()) as server:
        open_page(page, server, "#/agents/done")
        see(page.locator("#agent-origin"), "Claude Code")
        facts = dict(zip(*(page.locator(f"#agent-origin {part}").all_inner_texts() for part in ("dt", "dd")), strict=True))
        assert facts["Source"] == "Claude Code 2.1.329"
        assert (facts["Project"], facts["Branch"], facts["Model"]) == ("done", "main", "claude-opus-4-8")
        assert (facts["Session"], facts["Started as"]) == ("s1", "cli")
        assert facts["Context"] == "9 % (told 2 h ago)"
        assert "5 h 42 %" in facts["Limits"]
        assert re.sub(r"\s+", "", facts["Labels"]) == "team=web"


@pytest.mark.browser
def test_subagents_stand_below_their_session_in_the_tree(home: Path, page: Page) -> None:
    """With a line that leads to them."""
    with served(home, *everything()) as server:
        open_page(page, server)
        page.get_by_role("button", name="Tree").click()
        below = row(page, "agents", "asks/Explore").locator(".branch")
        below.wait_for()
        assert below.get_attribute("data-depth") == "1"


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 360])
def test_whatever_a_session_tells_is_text(home: Path, page: Page, width: int) -> None:
    """In the table, in the strip, in tips, on the page of the agent; and nothing is wider than the page."""
    page.set_viewport_size({"width": width, "height": 900})
    with served(home, *everything()) as server:
        open_page(page, server)
        see(page.locator("#limits"), "999 %")
        assert "\u202e" not in page.locator("body").inner_text()
        tips = page.evaluate("[...document.querySelectorAll('[title]')].map((each) => each.title).join()")
        assert "\u202e" not in tips
        page.locator("#agents a", has_text="onerror").first.click()
        see(page.locator("#agent-origin"), "onerror")
        assert page.evaluate("window.hurt") is None
        assert page.evaluate("document.querySelector('#agent-origin img, #limits img, #agents img')") is None
        assert "\u202e" not in page.locator("#agent-origin").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sessions_can_be_read_by_everybody(home: Path, chromium: Browser, scheme: str) -> None:
    """In either theme, on a desk and in a hand; on the page of an agent as well."""
    context = chromium.new_context(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    with served(home, *everything()) as server:
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 900})
            open_page(page, server)
            see(page.locator("#limits"), "999 %")
            assert violations(page) == []
        open_page(page, server, "#/agents/done")
        see(page.locator("#agent-origin"), "Claude Code")
        assert violations(page) == []
    context.close()


def test_the_page_has_the_words_of_the_command_line() -> None:
    """For programs, limits, and what a session waits for that is done."""
    text = (STATIC / "js" / "session-words.js").read_text(encoding="utf-8")
    for name, words in (("SOURCES", about_sessions.SOURCES), ("LIMITS", about_sessions.LIMITS)):
        (listed,) = re.findall(rf"^const {name} = \{{(.*?)\}};", text, re.MULTILINE)
        assert dict(re.findall(r'"?([\w-]+)"?: "([^"]*)"', listed)) == words
    assert f'NEXT_PROMPT = "{NEXT_PROMPT}"' in text
