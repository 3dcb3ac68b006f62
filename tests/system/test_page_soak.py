"""The page under a full load for long: 500 agents, 200 events a second, one real browser.

PYJAMA_SOAK_SECONDS says how long; 600 is the whole of it.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.conftest import CHROMIUM, QUIET
from tests.dashboard.looking import open_page
from tests.dashboard.serving import Served, ask, dashboard_process
from tests.system.processes import agent, end, figures, hear, tell
from tests.waiting import wait_until

if TYPE_CHECKING:
    import subprocess

    from playwright.sync_api import CDPSession, Page

SECONDS = float(os.environ.get("PYJAMA_SOAK_SECONDS", "60"))

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(2 * SECONDS + 240)]

PROCESSES = 4
AGENTS = 500
EVENTS_A_SECOND = 200
LOOKS = 12
"""How often heap and document are measured: four times in each third."""

WATCHED_SECONDS = 2.0
"""How long each look at the page's tasks is."""

LONG_TASK_MS = 50.0
SHORT_TASK_MS = 1.0
"""A task below this is not counted: nine of ten are, and a percentile of all would tell nothing."""

GROWTH = 1.15
"""What the last third of the time may have of the heap, and of the document, of those before."""

RECORDER = """
import json, random, threading, time
me, agents, pace = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
names = [f"agent-{me}-{number:03}" for number in range(agents)]
chance = random.Random(me)
for name in names:
    p.record_agent_start(name, labels={"process": me})
stop = threading.Event()
threading.Thread(target=lambda: (hear(), stop.set()), daemon=True).start()
say("ready")
counts, events, due = dict.fromkeys(names, 0), 0, time.monotonic()
while not stop.is_set():
    name = chance.choice(names)
    kind = chance.random()
    if kind < 0.8:
        status = "ok" if chance.random() < 0.95 else "error"
        p.record_tool_execution(f"tool-{chance.randrange(20)}", name, status, chance.lognormvariate(3, 1), log=kind < 0.3)
        counts[name] += 1
    elif kind < 0.9:
        p.record_llm_usage(name, f"model-{chance.randrange(5)}", 900, 120, phase="execution", cost_usd=0.002)
    elif kind < 0.94:
        p.record_agent_waiting(name, "permission to go on")
    elif kind < 0.97:
        p.record_error(name, "something went wrong")
    else:
        p.record_agent_activity(name, "read-file")
    events += 1
    due += pace
    stop.wait(max(0.0, due - time.monotonic()))
p.flush(30)
say(json.dumps([events, counts]))
sys.stdin.readline()
"""

WATCH = """
    window.longTasks = [];
    new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) longTasks.push(duration);
    }).observe({ type: "longtask", buffered: true });
"""

SCREENFUL = """async (number) => {
    const scroll = document.querySelector(".agents .scroll");
    scroll.scrollTop = number * (scroll.clientHeight - 80);
    for (let frame = 0; frame < 4; frame += 1) await new Promise(requestAnimationFrame);
    const { top, bottom } = scroll.getBoundingClientRect();
    const isSeen = (row) => row.getBoundingClientRect().top < bottom && row.getBoundingClientRect().bottom > top;
    return [...scroll.querySelectorAll("#agents tr")].filter(isSeen).map((row) => [
        row.querySelector("[data-name]").textContent, row.querySelector("[data-field=count]").textContent,
    ]);
}"""
SCREENFULS = 4


@dataclass
class Soak:
    """What was seen of the page while it ran."""

    heaps: list[float] = field(default_factory=list)
    """MB after a collection of garbage."""

    nodes: list[int] = field(default_factory=list)
    """Of the whole renderer, those that are in no document included."""

    tasks: list[float] = field(default_factory=list)
    """The time that its tasks took of the processor, in ms. By the clock, a busy machine would count against the page."""

    def look(self, page: Page, session: CDPSession) -> None:
        """Measure heap and document once, and the tasks for a while."""
        session.send("HeapProfiler.collectGarbage")
        metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
        self.heaps.append(metrics["JSHeapUsedSize"] / 1e6)
        self.nodes.append(int(metrics["Nodes"]))
        browser = page.context.browser
        assert browser is not None
        browser.start_tracing(page=page, categories=["toplevel"])
        page.wait_for_timeout(1000 * WATCHED_SECONDS)
        self.tasks += tasks_of_the_page(json.loads(browser.stop_tracing())["traceEvents"])


def tasks_of_the_page(trace: list[dict[str, Any]]) -> list[float]:
    """The processor time of each task of the main thread that was busiest, in ms."""
    main = {(each["pid"], each["tid"]) for each in trace if each.get("args", {}).get("name") == "CrRendererMain"}
    tasks: dict[tuple[int, int], list[float]] = {thread: [] for thread in main}
    for each in trace:
        if each["name"] == "ThreadControllerImpl::RunTask" and (each["pid"], each["tid"]) in main:
            tasks[each["pid"], each["tid"]].append(each.get("tdur", 0) / 1000)
    return [task for task in max(tasks.values(), key=sum) if task >= SHORT_TASK_MS]


@contextmanager
def recorders() -> Iterator[list[subprocess.Popen[str]]]:
    """The processes that record, each for its own share of the agents."""
    with ExitStack() as stack:
        pace = PROCESSES / EVENTS_A_SECOND
        children = [stack.enter_context(agent(RECORDER, me, AGENTS // PROCESSES, pace)) for me in range(PROCESSES)]
        for child in children:
            assert hear(child) == "ready"
        yield children


@contextmanager
def browser_page() -> Iterator[tuple[Page, CDPSession]]:
    """A page of a real browser, and the debugger's line to it; fails on any error in its console."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not os.path.exists(CHROMIUM):
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium, or name another in CHROMIUM")
    complaints: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.add_init_script(WATCH)
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable")
            yield page, session
        finally:
            browser.close()
    assert complaints == []


def stopped(children: list[subprocess.Popen[str]]) -> tuple[int, Counter[str]]:
    """Let all end; how many events they recorded, and how many executions of each agent."""
    for child in children:
        tell(child)
    events, counts = 0, Counter[str]()
    for child in children:
        number, own = json.loads(hear(child))
        events += number
        counts.update(own)
    return events, counts


def wait_for_the_last(page: Page, server: Served) -> None:
    """Wait until the page shows what the server has last."""

    def is_last() -> bool:
        version = ask(server, "/api/data").json["hub"]["version"]
        return bool(page.evaluate("document.body.dataset.version") == version)

    wait_until(is_last, 30, "the last version on the page")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_the_page_keeps_up_and_stays_small(home: Path) -> None:
    """At the end it shows what the file has; it never blocks for long, and neither heap nor document grows without bound."""
    soak = Soak()
    with dashboard_process(home=home) as server, recorders() as children, browser_page() as (page, session):
        open_page(page, server)
        page.wait_for_function("document.querySelectorAll('#agents tr').length > 20")
        began = time.monotonic()
        for number in range(1, LOOKS + 1):
            page.wait_for_timeout(max(0.0, 1000 * (began + SECONDS * number / LOOKS - time.monotonic())))
            soak.look(page, session)
        long_tasks = page.evaluate("longTasks")
        elapsed = time.monotonic() - began
        events, counts = stopped(children)
        state = figures(home)
        wait_for_the_last(page, server)
        told = {name: count for number in range(SCREENFULS) for name, count in page.evaluate(SCREENFUL, number)}
        figure = page.locator("#executions-tile .figure")
        total = figure.get_attribute("title") or figure.inner_text()  # the tooltip has the whole of what was made short
        for child in children:
            tell(child)
            end(child)
    late = statistics.quantiles(soak.tasks, n=20)[-1]
    print(
        f"\n{events:,} events in {elapsed:.0f} s."
        f"\nTasks of 1 ms or more, {len(soak.tasks)} watched: p95 {late:.0f} ms, most {max(soak.tasks):.0f} ms of the processor."
        f"\nLong tasks by the clock: {len(long_tasks)}, most {max(long_tasks, default=0):.0f} ms."
        f"\nHeap {[round(heap, 1) for heap in soak.heaps]} MB, nodes {soak.nodes}."
    )
    assert {name: each["count"] for name, each in state["agents"].items()} == dict(counts), "the file has not what was recorded"
    assert len(told) > 20
    assert told == {name: f"{counts[name]:,}" for name in told}, "the page shows not what the file has"
    assert total == f"{counts.total():,}"
    assert late <= LONG_TASK_MS
    for sizes in (soak.heaps, soak.nodes):
        first, middle, last = (statistics.median(sizes[place : place + LOOKS // 3]) for place in range(0, LOOKS, LOOKS // 3))
        assert last <= GROWTH * max(first, middle), (first, middle, last)
