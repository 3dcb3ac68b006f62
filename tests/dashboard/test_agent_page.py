"""The page of one agent, in a real browser: its runs, workflow, executions over time, tools, tokens, errors and log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import (
    record_agent_activity,
    record_agent_complete,
    record_agent_start,
    record_agent_waiting,
    record_error,
    record_llm_usage,
    record_message,
    record_step_complete,
    record_step_start,
    record_tool_execution,
    record_workflow_info,
)
from tests.dashboard.serving import agent_process, ask
from tests.journals import now_ms
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

SECOND = 1000


def open_agent(page: Page, server: DashboardServer, name: str) -> None:
    """Open the page of an agent by its address, once the server knows the agent."""
    wait_until(lambda: name in ask(server, "/api/data").json["agents"], what=f"agent {name!r}")
    page.goto(f"{server.url}/#/agents/{quote(name, safe='')}")
    page.wait_for_selector("#agent-parts:not([hidden])")


def see(where: Locator, text: str) -> None:
    """Wait until a text is to be seen."""
    where.filter(has_text=text).first.wait_for(timeout=5000)


def text(page: Page, selector: str) -> str:
    """The text of an element, in one line."""
    return re.sub(r"\s+", " ", page.locator(selector).inner_text()).strip()


def detail(server: DashboardServer, name: str) -> Any:
    """What the server says of an agent."""
    return ask(server, f"/api/agents?id={quote(name, safe='')}").json


def execute(name: str, tool: str, start: int, duration: int, status: str = "ok", **options: Any) -> None:
    """Record an execution by its start and duration; the time of its event is its end."""
    record_tool_execution(tool, name, status, duration_ms=duration, time_ms=start + duration, **options)


def test_a_link_leads_to_an_agent_and_back(server: DashboardServer, page: Page) -> None:
    """From the table to the page of the agent, and back to the table."""
    record_agent_start("worker")
    wait_until(lambda: "worker" in ask(server, "/api/data").json["agents"])
    page.goto(server.url)
    page.locator("#agents").get_by_role("link", name="worker").click()
    page.wait_for_selector("#agent-parts:not([hidden])")
    assert page.url.endswith("#/agents/worker")
    assert page.evaluate("document.activeElement.id") == "agent-name"
    page.get_by_role("link", name="All agents").click()
    page.wait_for_selector("#agents tr")
    assert not page.locator("#agent-page").is_visible()


def test_the_head_says_who_it_is(server: DashboardServer, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status with its reason, where it runs, what it is for, its family, and the command that shows its terminal."""
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    monkeypatch.setenv("TMUX_PANE", "%3")
    record_agent_start("mother")
    record_agent_start("worker", parent="mother", spec="Compare versions", labels={"team": "blue"}, source="shell")
    record_agent_start("child", parent="worker")
    record_agent_waiting("worker", "permission to write")
    open_agent(page, server, "worker")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    see(page.locator("#agent-doing"), "waiting")
    see(page.locator("#agent-doing"), "permission to write")
    origin = text(page, "#agent-origin")
    for fact in ("Source Shell", "Parent mother", "Child child", "team=blue", "Task Compare versions"):
        assert fact in origin
    page.get_by_role("button", name="Copy the command").click()
    see(page.locator("#agent-origin"), "copied")
    assert page.evaluate("navigator.clipboard.readText()") == detail(server, "worker")["runs"][0]["command"]
    page.get_by_role("link", name="child").click()
    wait_until(lambda: text(page, "#agent-name") == "child")


def test_the_figures_move_while_the_agent_works(server: DashboardServer, page: Page) -> None:
    """Without a reload, and by an agent in another process."""
    with agent_process() as agent:
        agent.do("record_agent_start('worker')")
        open_agent(page, server, "worker")
        agent.do("record_tool_execution('grep', 'worker', duration_ms=20)")
        agent.do("record_tool_execution('grep', 'worker', 'error', duration_ms=40)")
        see(page.locator("#agent-figures"), "50.0 %")
        see(page.locator("#agent-tools"), "grep")
        wait_until(lambda: page.locator("svg.bars g path").count() == 2)
        agent.kill()
        see(page.locator("#agent-doing"), "crashed")
    see(page.locator("#run-total"), "crashed after")


def test_an_agent_that_is_not_there_is_waited_for(server: DashboardServer, page: Page) -> None:
    """The page says so and links back; when the agent appears, so does its page."""
    page.goto(f"{server.url}/#/agents/nobody")
    see(page.locator("#agent-gone"), "This hub has no agent of this name")
    assert text(page, "#agent-name") == "nobody"
    assert not page.locator("#agent-parts").is_visible()
    assert page.locator("#agent-gone").get_by_role("link").get_attribute("href") == "#/"
    record_agent_start("nobody")
    page.wait_for_selector("#agent-parts:not([hidden])")
    assert not page.locator("#agent-gone").is_visible()


def three_runs() -> None:
    """A run that failed, one that completed, and one at work; with one, two and three executions."""
    now = now_ms()
    for number, (ago, status) in enumerate(((300, "failed"), (200, "completed"), (100, None))):
        start = now - ago * SECOND
        record_agent_start("worker", time_ms=start)
        for place in range(number + 1):
            execute("worker", f"tool-{number}", start + place * SECOND, 500)
        if status:
            error = "no disk" if status == "failed" else None
            record_agent_complete("worker", status, error, time_ms=start + 30 * SECOND)


def test_the_runs_are_listed_and_the_latest_is_followed(server: DashboardServer, page: Page) -> None:
    """Outcome and duration; another run is shown when it is chosen, until the latest is to be followed again."""
    three_runs()
    open_agent(page, server, "worker")
    rows = page.locator("#runs tr")
    wait_until(lambda: [each.split()[1] for each in rows.all_inner_texts()] == ["running", "completed", "failed"])
    assert rows.nth(1).locator("[data-took]").inner_text() == "0:30"
    wait_until(lambda: page.locator("svg.bars g path").count() == 3)
    rows.nth(2).get_by_role("button").press("Enter")
    wait_until(lambda: page.locator("svg.bars g path").count() == 1)
    assert text(page, "#run-note") == "no disk"
    assert rows.nth(2).get_by_role("button").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Follow the latest run").click()
    wait_until(lambda: page.locator("svg.bars g path").count() == 3)
    record_agent_complete("worker")
    record_agent_start("worker")
    wait_until(lambda: rows.count() == 4 and rows.first.get_attribute("data-chosen") is not None)


def test_each_run_shows_what_it_spent_and_how_sure_that_is(server: DashboardServer, page: Page) -> None:
    """A computed cost, one from tokens that are an estimate, calls without a price, and no call: none of them is 0 by mistake."""
    start = now_ms() - 500 * SECOND
    spent: list[dict[str, Any]] = [
        {},
        {"model": "unheard-of", "input_tokens": 300},
        {"model": "claude-opus-4-8", "prompt": 40_000, "answer": 8_000, "estimate": True},
        {"model": "claude-opus-4-8", "input_tokens": 10_000, "output_tokens": 4_000},
    ]
    for number, usage in enumerate(spent):
        record_agent_start("worker", time_ms=start + number * SECOND)
        if usage:
            record_llm_usage("worker", **usage, time_ms=start + number * SECOND)
        record_agent_complete("worker", time_ms=start + number * SECOND)
    open_agent(page, server, "worker")
    costs, tokens = page.locator("#runs [data-cost]"), page.locator("#runs [data-field=tokens]")
    wait_until(lambda: costs.all_inner_texts() == ["$0.15", "~$0.13", "unpriced", "–"], what="the costs of the runs")
    assert tokens.all_text_contents() == ["14.0k", "~13.0k", "300", "0"]
    assert costs.nth(1).get_attribute("title") == (
        "$0.125 for 1 model call: $0.125 computed from prices; 13,000 tokens estimated"
    )
    assert costs.nth(2).get_attribute("title") == "1 model call: 1 call unpriced: unheard-of"
    page.locator("#runs button").nth(1).click()
    see(page.locator("#run-total"), "~13.0k tokens, ~$0.13")
    page.locator("#runs button").nth(2).click()
    see(page.locator("#run-total"), "300 tokens, unpriced")
    assert text(page, ".agent-page .figures [data-field=tokens]") == "~27.3k"
    page.goto(server.url)
    see(page.locator("#agents td.tokens"), "~27.3k")


def test_the_workflow_is_a_diagram_of_its_steps(server: DashboardServer, page: Page) -> None:
    """Each step with its shape, word and time; the list says the same to those who do not see the drawing."""
    start = now_ms() - 100 * SECOND
    record_agent_start("worker", time_ms=start)
    record_workflow_info("worker", ["plan", "search", "build", "publish"], time_ms=start)
    for step, seconds, status in (("plan", 5, "ok"), ("search", 20, "error")):
        record_step_start("worker", step, time_ms=start)
        record_step_complete("worker", step, status, time_ms=start + seconds * SECOND)
    record_step_start("worker", "build", time_ms=start + 30 * SECOND)
    open_agent(page, server, "worker")
    page.wait_for_selector("#steps .station")
    stations = page.evaluate("[...document.querySelectorAll('#steps .station')].map(each => each.dataset.step)")
    assert stations == ["completed", "failed", "running", "pending"]
    said = [re.sub(r"\s+", " ", each) for each in page.locator("#steps li").all_inner_texts()]
    assert said[:2] == ["plan done · 5.00 s", "search failed · 20.0 s"]
    assert re.fullmatch(r"build running · 1:\d\d", said[2])
    assert said[3] == "publish to do"
    label = page.locator("#steps svg[role=img]").get_attribute("aria-label")
    assert label == "Workflow: 1 of 4 steps done, 1 running, 1 failed"
    assert page.locator("#steps li[aria-current=step]").count() == 1


@pytest.mark.parametrize("width", [360, 1280])
def test_a_hundred_steps_wrap(server: DashboardServer, page: Page, width: int) -> None:
    """No more than a hundred are drawn, it says of how many, and none stands on another or outside."""
    record_agent_start("worker")
    record_workflow_info("worker", [f"step {number}" for number in range(100)])
    page.set_viewport_size({"width": width, "height": 800})
    open_agent(page, server, "worker")
    wait_until(lambda: page.locator("#steps .station").count() == 100)
    places = "[...document.querySelectorAll('#steps li')].map(each => each.getBoundingClientRect())"
    boxes = page.evaluate(f"{places}.map(({{ left, right, top }}) => [left, right, top])")
    assert len({(left, top) for left, _, top in boxes}) == 100
    assert all(0 <= left < right <= width for left, right, _ in boxes)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def busy_run() -> None:
    """A run of two tools, which is over: of the five executions one failed and one was interrupted."""
    start = now_ms() - 20 * SECOND
    record_agent_start("worker", time_ms=start)
    execute("worker", "grep", start + 1000, 2000)
    execute("worker", "grep", start + 2000, 2000)  # at the same time as the first
    execute("worker", "bash", start + 5000, 1000, "error", error="exit 1")
    execute("worker", "bash", start + 8000, 500, "interrupted")
    execute("worker", "grep", start + 9000, 0)
    record_agent_complete("worker", time_ms=start + 10_000)


def bars(page: Page) -> list[tuple[str, float, float, float]]:
    """The bars of the waterfall: outcome, left, top and width in px within it."""
    found = page.evaluate(
        """() => {
            const origin = document.querySelector("svg.bars").getBoundingClientRect();
            return [...document.querySelectorAll("svg.bars g path")].map((bar) => {
                const { left, top, width } = bar.getBoundingClientRect();
                return [bar.getAttribute("class"), left - origin.left, top - origin.top, width];
            });
        }"""
    )
    return [tuple(each) for each in found]


def test_executions_stand_where_they_happened(server: DashboardServer, page: Page) -> None:
    """A lane per tool, bars by start and duration; what ran at the same time stands below each other."""
    busy_run()
    open_agent(page, server, "worker")
    wait_until(lambda: len(bars(page)) == 5)
    assert page.locator(".waterfall .lanes li").all_inner_texts() == ["grep\n3", "bash\n2, 1 failed"]
    first, second, point, failed, interrupted = bars(page)
    assert [each[0] for each in (first, second, point, failed, interrupted)] == ["success"] * 3 + ["error", "interrupted"]
    assert second[2] > first[2]
    assert point[2] == first[2]
    assert failed[2] > second[2]
    per_second = first[3] / 2
    assert second[1] - first[1] == pytest.approx(per_second, abs=1)
    assert interrupted[1] - first[1] == pytest.approx(7 * per_second, abs=2)
    assert point[3] == pytest.approx(2, abs=0.1)


def test_an_execution_is_told_by_pointer_and_keyboard(server: DashboardServer, page: Page) -> None:
    """Tool, status, duration, start and error; the keyboard hears it, too."""
    busy_run()
    open_agent(page, server, "worker")
    wait_until(lambda: len(bars(page)) == 5)
    page.locator("svg.bars path.error").hover()
    tip = page.locator(".waterfall .told")
    see(tip, "bash")
    assert re.search(r"error · 1\.00 s · at 5\.000 s \(\d\d:\d\d:\d\d\)", tip.inner_text())
    assert "exit 1" in tip.inner_text()
    page.mouse.move(0, 0)
    tip.wait_for(state="hidden")
    page.locator(".waterfall .stage").focus()
    heard = []
    for key in ("Home", "ArrowRight", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
        heard.append(" ".join(text(page, "[data-spoken]").split()[:2]))
    assert heard == ["grep, ok", "grep, ok", "bash, error", "bash, interrupted"]
    page.keyboard.press("Escape")
    tip.wait_for(state="hidden")


@pytest.mark.own_tab
def test_an_execution_that_is_pointed_at_stays_while_the_run_goes_on(server: DashboardServer, page: Page) -> None:
    """Otherwise the run follows the clock, and bars come closer together."""
    record_agent_start("worker", time_ms=now_ms() - 4000)
    execute("worker", "grep", now_ms() - 3000, 1000)
    page.clock.install()
    open_agent(page, server, "worker")
    wait_until(lambda: page.clock.run_for(100) or len(bars(page)) == 1)
    page.locator("svg.bars g path").hover()
    before = bars(page)
    page.clock.run_for(10_000)
    assert bars(page) == before
    page.mouse.move(0, 0)
    page.clock.run_for(10_000)
    assert bars(page)[0][3] < before[0][3] / 2


def test_the_waterfall_zooms(server: DashboardServer, page: Page) -> None:
    """By dragging over a span, by buttons and by keys; and shows all again."""
    busy_run()
    open_agent(page, server, "worker")
    wait_until(lambda: len(bars(page)) == 5)
    wide = bars(page)[0][3]
    box = page.locator("svg.bars").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20, steps=3)
    page.mouse.up()
    wait_until(lambda: bars(page)[0][3] == pytest.approx(2 * wide, rel=0.1))
    page.get_by_role("button", name="All", exact=True).click()
    wait_until(lambda: len(bars(page)) == 5 and bars(page)[0][3] == pytest.approx(wide, rel=0.1))
    page.get_by_role("button", name="Zoom in").click()
    wait_until(lambda: len(bars(page)) == 3)
    page.get_by_role("button", name="Zoom out").click()
    wait_until(lambda: len(bars(page)) == 5)
    page.locator(".waterfall .stage").press("+")
    wait_until(lambda: len(bars(page)) == 3)
    page.locator(".waterfall .stage").press("0")
    wait_until(lambda: len(bars(page)) == 5)


def test_the_executions_are_a_table_too(server: DashboardServer, page: Page) -> None:
    """For those who do not see the drawing; the newest first."""
    busy_run()
    open_agent(page, server, "worker")
    wait_until(lambda: len(bars(page)) == 5)
    page.locator(".waterfall summary").click()
    wait_until(lambda: page.locator(".waterfall tbody tr").count() == 5)
    rows = [each.split("\t")[1:] for each in page.locator(".waterfall tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == ["grep", "bash", "bash", "grep", "grep"]
    assert [cell.strip() for cell in rows[2][1:]] == ["error", "1.00 s", "exit 1"]


def test_the_page_says_how_many_executions_were_let_go(server: DashboardServer, page: Page) -> None:
    """The newest 500 are drawn."""
    start = now_ms() - 700 * SECOND
    record_agent_start("worker", time_ms=start)
    for number in range(520):
        execute("worker", "grep", start + number * SECOND, 10)
    open_agent(page, server, "worker")
    wait_until(lambda: page.locator("svg.bars g path").count() == 500)
    assert "20 more executions are counted" in text(page, ".waterfall [data-note]")


def test_the_bars_of_a_histogram_sum_to_its_count(server: DashboardServer, page: Page) -> None:
    """Per tool, on one axis; the percentiles are marked in their order."""
    record_agent_start("worker")
    for number in range(60):
        record_tool_execution("quick", "worker", duration_ms=1 + number % 7)
        record_tool_execution("slow", "worker", duration_ms=200 * (1 + number % 11))
    record_tool_execution("slow", "worker", duration_ms=30_000)  # alone in its bar
    record_tool_execution("unmeasured", "worker")
    open_agent(page, server, "worker")
    wait_until(lambda: page.locator("#agent-tools .histogram .bar").count() > 5)
    sums = page.evaluate(
        """Object.fromEntries([...document.querySelectorAll("#agent-tools tr")].map((row) => [
            row.querySelector("bdi").textContent,
            [...row.querySelectorAll(".bar")].reduce((sum, bar) => sum + Number(bar.dataset.count), 0)]))"""
    )
    assert sums == {"quick": 60, "slow": 61, "unmeasured": 0}
    where = "[...document.querySelectorAll('#agent-tools tr:first-child .mark')].map(mark => mark.getBoundingClientRect().x)"
    marks = page.evaluate(where)
    assert len(marks) == 3
    assert marks == sorted(marks)
    assert "durations from 1.00 ms to 7.00 ms" in (page.locator(".histogram").nth(1).get_attribute("aria-label") or "")


def test_tokens_are_shown_by_model_and_phase(server: DashboardServer, page: Page) -> None:
    """The kinds with their figures, the seldom one only where it occurs; a model without prices is unpriced, and says so."""
    record_agent_start("worker")
    record_llm_usage("worker", "big", 1000, 200, cache_read_tokens=700, cache_write_tokens=100, phase="planning", cost_usd=0.5)
    record_llm_usage("worker", "small", 400, cache_write_1h_tokens=100, phase="execution")
    open_agent(page, server, "worker")
    page.wait_for_selector("#models li")
    models = [re.sub(r"\s+", " ", each) for each in page.locator("#models li").all_inner_texts()]
    assert models[0].startswith("big 1 call 2,000 $0.50")
    assert "input 1,000 output 200 cache read 700 cache write 100" in models[0]
    assert "1 h" not in models[0]
    assert models[1].startswith("small 1 call 500 unpriced")
    assert models[1].endswith("cache write 1 h 100")
    costs = page.locator("#models li [data-cost]")
    titles = [costs.nth(place).get_attribute("title") for place in (0, 1)]
    assert titles == ["$0.50 for 1 model call: $0.50 reported", "1 model call: 1 call unpriced: small"]
    assert [each.split()[0] for each in page.locator("#phases li").all_inner_texts()] == ["planning", "execution"]
    widths = page.evaluate("[...document.querySelectorAll('#models li:first-child .stack i')].map(part => part.style.width)")
    assert widths == ["50%", "10%", "35%", "5%", "0%"]


def test_the_same_error_again_and_again_is_one(server: DashboardServer, page: Page) -> None:
    """With how often it came; another one in between parts them."""
    record_agent_start("worker")
    for message in ("no disk", "no disk", "no net", "no disk", "no disk", "no disk"):
        record_error("worker", message)
    open_agent(page, server, "worker")
    wait_until(lambda: page.locator("#errors .message").all_inner_texts() == ["no disk", "no net", "no disk"])
    assert page.locator("#errors [data-times]").all_inner_texts() == ["3 times, the latest", "", "2 times, the latest"]


def test_an_agent_that_did_next_to_nothing(server: DashboardServer, page: Page) -> None:
    """A run of less than a second has its milliseconds, one call is one call, and a table without rows has a head of one line."""
    start = now_ms() - 60 * SECOND
    record_agent_start("quick", time_ms=start)
    record_llm_usage("quick", "m", 10, cost_usd=0.5, time_ms=start)
    record_agent_complete("quick", time_ms=start + 240)
    wait_until(lambda: ask(server, "/api/data").json["agents"].get("quick", {}).get("status") == "completed", what="its end")
    open_agent(page, server, "quick")
    see(page.locator("#no-agent-tools"), "not executed a tool")
    said = text(page, "#agent-figures")
    assert [words for words in ("Latest run 240 ms", "1 model call ", "1 call priced") if words not in said] == []
    assert text(page, "#run-total").endswith("completed after 240 ms")
    head = page.locator(".agent-tools thead").bounding_box()
    assert head is not None
    assert head["height"] < 40
    page.set_viewport_size({"width": 360, "height": 800})
    page.get_by_role("link", name="All agents").first.click()
    word = page.locator("#agents tr [data-field=status]", has_text="completed")
    word.wait_for()
    edges = "cell => [cell, cell.closest('td')].map((each) => each.getBoundingClientRect().right)"
    end, edge = word.evaluate(edges)
    assert end <= edge


def test_a_run_that_waits_says_since_when(server: DashboardServer, page: Page) -> None:
    """It has waited less long than it runs."""
    now = now_ms()
    record_agent_start("worker", time_ms=now - 600 * SECOND)
    record_agent_waiting("worker", "input", time_ms=now - 60 * SECOND)
    open_agent(page, server, "worker")
    total, doing = text(page, "#run-total"), text(page, "#agent-doing")
    most = (now_ms() - now) // SECOND + 1
    told = re.search(r"running for 10:(\d\d), waiting for 1:(\d\d)$", total)
    assert told is not None, total
    running, waiting = (int(seconds) for seconds in told.groups())
    assert running == waiting <= most
    told = re.search(r"^waiting for 1:(\d\d) input$", doing)
    assert told is not None, doing
    assert waiting <= int(told[1]) <= most


def test_messages_errors_and_log_are_those_of_the_agent(server: DashboardServer, page: Page) -> None:
    """Newest first, and nothing of others."""
    for name in ("worker", "other"):
        record_agent_start(name)
        record_message(name, "user")
        record_message(name, "assistant")
        record_error(name, f"first of {name}")
        record_error(name, f"second of {name}")
        record_agent_activity(name, f"tool of {name}")
    open_agent(page, server, "worker")
    wait_until(lambda: page.locator("#errors .message").all_inner_texts() == ["second of worker", "first of worker"])
    assert "1 user, 1 assistant" in text(page, "#agent-figures")
    see(page.locator("#agent-log"), "tool of worker")
    assert "other" not in text(page, "#agent-log")


HOSTILE = [
    "</bdi><script>alert(1)</script>",
    "'\"&quot;><b>",
    "\u202eright to left",
    "a\nb\tc",
    "nul\x00byte",
    "__proto__",
    "a/b?c#d%20&",
    "x" * 10_000,
]


@pytest.mark.parametrize("name", HOSTILE, ids=["script", "quotes", "direction", "lines", "nul", "proto", "address", "long"])
def test_hostile_texts_are_shown_as_they_are(server: DashboardServer, page: Page, name: str) -> None:
    """As name, parent, spec, label, step, tool, error, model, phase, role and reason: text, in its place."""
    record_agent_start("mother")
    record_agent_start(name, parent="mother", spec=name, labels={name[:20]: name}, source=name)
    record_workflow_info(name, [name, "other"])
    record_step_start(name, name)
    record_tool_execution(name, name, "error", duration_ms=5, error=name)
    record_llm_usage(name, name, 10, phase=name)
    record_message(name, name)
    record_error(name, name)
    record_agent_waiting(name, name)
    page.set_viewport_size({"width": 1280, "height": 800})
    wait_until(lambda: len(ask(server, "/api/data").json["agents"]) == 2)
    kept = next(each for each in ask(server, "/api/data").json["agents"] if each != "mother")
    open_agent(page, server, kept)
    wait_until(lambda: page.locator("svg.bars g path").count() == 1)
    page.locator(".waterfall .stage").press("Home")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("main script, main b:not([data-field])").count() == 0
    assert page.evaluate("[...document.querySelectorAll('#agent-page bdi')].every(each => !each.children.length)")
    page.get_by_role("link", name="mother").click()
    wait_until(lambda: text(page, "#agent-name") == "mother")
    page.locator("#agent-origin").get_by_role("link").click()
    wait_until(lambda: page.locator("#agent-parts").is_visible() and text(page, "#agent-name") != "mother")


def test_the_server_is_asked_at_most_a_few_times_a_second(server: DashboardServer, page: Page) -> None:
    """However fast the agent records; and the last state is on the page."""
    with agent_process() as agent:
        agent.do("record_agent_start('agent-0')")
        open_agent(page, server, "agent-0")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/api/agents" in request.url else None)
        agent.do("work(3, agents=1)")
    wait_until(lambda: "150" in text(page, "#agent-figures"))
    assert 2 <= len(asked) <= 14
