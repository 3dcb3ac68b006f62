"""What the page costs in a real Chromium: until a change is on screen, until it is useful, and while nothing happens."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import main
from dashboards import dashboard, is_linux
from idle import work_of
from latency import POLL_SECONDS
from rows import Row, Spread, number, percentile
from sandbox import BenchmarkFailed, agents, folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
REACH_DOM_P50_MS, REACH_DOM_P95_MS = 60.0, 200.0
REACH_PAINT_MS = 600.0
REACH_TRANSFERRED_KB = 150.0
REACH_LONG_SHARE = 0.05
REACH_IDLE_PERCENT = 0.5
SETTLING_SECONDS = 3.0
TIDYING_SECONDS = 15.0
"""After which a browser has collected and compressed what the loading left."""

SIZE: Any = {"width": 1280, "height": 900}

WATCH_COUNT = """() => {
  const element = document.querySelector("#executions-tile [data-figure]");
  window.seen = [];
  const note = () => window.seen.push([performance.timeOrigin + performance.now(), element.textContent]);
  new MutationObserver(note).observe(element, { childList: true, characterData: true, subtree: true });
}"""
WAIT_FOR_ROWS = """
  addEventListener("DOMContentLoaded", () => {
    const watcher = new MutationObserver(() => {
      watcher.disconnect();
      // The frame that the rows came with is on screen when the one after it begins.
      requestAnimationFrame(() => { window.useful = performance.now(); });
    });
    watcher.observe(document.querySelector("#agents"), { childList: true });
  });
"""
WATCH_TASKS = """() => {
  window.long = [];
  window.updates = 0;
  new PerformanceObserver((list) => long.push(...list.getEntries().map((each) => each.duration))).observe({ type: "longtask" });
  new MutationObserver(() => { updates += 1; }).observe(document.body, { attributeFilter: ["data-version"] });
}"""


def measure(quick: bool) -> list[Row]:
    """Answer the rows on the way to the screen, the first paint, and idling."""
    if not is_linux():
        raise BenchmarkFailed("The benchmark reads /proc, which only Linux has.")
    with chromium() as browser:
        return [
            _until_on_screen(browser, 30 if quick else 240),
            *_first_paint(browser, 3 if quick else 15),
            _long_tasks(browser, 5 if quick else 30),
            *_idle(browser, 5 if quick else 20),
        ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Lend a headless Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise BenchmarkFailed("Playwright is not installed; the extra [test] brings it.") from error
    if not os.path.exists(CHROMIUM):
        raise BenchmarkFailed(f"There is no Chromium at {CHROMIUM}; name another in the variable CHROMIUM.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def _until_on_screen(browser: Browser, events: int) -> Row:
    """A process records at random intervals: from the replacement of the file until the tile in the page shows its figure."""
    with folder("page") as home, agents(1, "trickle", home, str(events), "1") as [recorder], dashboard(home) as (_, port):
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("[data-state=live]")
        page.evaluate(WATCH_COUNT)
        ended = threading.Event()
        replaced: list[tuple[float, int]] = []
        watcher = threading.Thread(target=watch_file, args=(home / "metrics.json", ended, replaced))
        watcher.start()
        try:
            recorder.say()
            recorder.hear()
            page.get_by_text(str(events), exact=True).first.wait_for()
        finally:
            ended.set()
            watcher.join()
        seen = [(float(moment), int(text)) for moment, text in page.evaluate("window.seen")]
        page.close()
    waits = waits_until_seen(replaced, seen)
    middle, late = percentile(waits, 0.5), percentile(waits, 0.95)
    return Row(
        what="file replaced → changed in Chromium",
        ours=Spread.of(waits, "ms"),
        beside="-",
        rival=None,
        measured=f"p50 {number(middle)}, p95 {number(late)} ms",
        value=late,
        reach=f"p50 ≤ {REACH_DOM_P50_MS:.0f}, p95 ≤ {REACH_DOM_P95_MS:.0f} ms",
        reached=middle <= REACH_DOM_P50_MS and late <= REACH_DOM_P95_MS,
    )


def watch_file(path: Path, ended: threading.Event, replaced: list[tuple[float, int]]) -> None:
    """Collect when each generation of the file was written (ms since the epoch) and how many executions it counts."""
    last = None
    while not ended.is_set():
        time.sleep(POLL_SECONDS)
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if (status.st_ino, status.st_mtime_ns) == last:
                    continue
                last = (status.st_ino, status.st_mtime_ns)
                replaced.append((status.st_mtime_ns / 1e6, json.load(file)["global"]["count"]))
        except FileNotFoundError:
            # Nothing was folded yet.
            continue


def waits_until_seen(replaced: Sequence[tuple[float, int]], seen: Sequence[tuple[float, int]]) -> list[float]:
    """Answer, in ms, how long after each generation its count, or a later one, was on screen.

    Raises:
        BenchmarkFailed: the last count was never seen.

    >>> waits_until_seen([(10.0, 1), (20.0, 2), (25.0, 3)], [(14.0, 1), (29.0, 3)])
    [4.0, 9.0, 4.0]
    """
    counts = [count for _, count in seen]
    # Before the first count that was seen change, the page showed what it was opened with.
    new = [(moment, count) for moment, count in replaced if counts and count >= counts[0]]
    if not new or new[-1][1] > counts[-1]:
        raise BenchmarkFailed("The page never showed the last figure.")
    return [seen[bisect_left(counts, count)][0] - moment for moment, count in new]


def _first_paint(browser: Browser, rounds: int) -> list[Row]:
    """Open the page of a hub with 500 agents, each time with an empty cache."""
    paints: list[float] = []
    transferred: list[float] = []
    with folder("page") as home, agents(1, "step", home, "500"), dashboard(home) as (_, port):
        for _ in range(rounds):
            page = browser.new_context(viewport=SIZE).new_page()
            received = _bytes_received(page)
            page.add_init_script(WAIT_FOR_ROWS)
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector("#agents tr")
            while not (useful := page.evaluate("window.useful")):
                page.wait_for_timeout(10)
            paints.append(useful)
            page.wait_for_timeout(1000)  # what is loaded after the paint is transferred, too
            transferred.append(sum(received) / 1000)
            page.context.close()
    paint, size = percentile(paints, 0.5), max(transferred)
    return [
        Row(
            what="first paint with 500 agents",
            ours=Spread.of(paints, "ms"),
            beside="-",
            rival=None,
            measured=f"{number(paint)} ms",
            value=paint,
            reach=f"≤ {REACH_PAINT_MS:.0f} ms",
            reached=paint <= REACH_PAINT_MS,
        ),
        Row(
            what="  transferred, cache empty",
            ours=Spread.of(transferred, "kB"),
            beside="-",
            rival=None,
            measured=f"{number(size)} kB",
            value=size,
            reach=f"≤ {REACH_TRANSFERRED_KB:.0f} kB",
            reached=size <= REACH_TRANSFERRED_KB,
        ),
    ]


def _bytes_received(page: Page) -> list[int]:
    """A list that grows by what each answer to the page took on the wire, in bytes: its headers and its body, compressed."""
    received: list[int] = []
    session: Any = page.context.new_cdp_session(page)
    session.on("Network.loadingFinished", lambda answer: received.append(answer["encodedDataLength"]))
    session.send("Network.enable")
    return received


def _long_tasks(browser: Browser, seconds: int) -> Row:
    """500 agents record 200 events a second, one after the other."""
    with folder("page") as home, agents(1, "rotate", home, "500", "0.005") as [recorder], dashboard(home) as (_, port):
        page = browser.new_page(viewport=SIZE)
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("body[data-version]")
        recorder.say()
        page.wait_for_timeout(1000 * SETTLING_SECONDS)
        page.evaluate(WATCH_TASKS)
        page.wait_for_timeout(1000 * seconds)
        long, updates = page.evaluate("[long, updates]")
        page.close()
    if not updates:
        raise BenchmarkFailed("The page was not updated while agents recorded.")
    share = len(long) / updates
    return Row(
        what="tasks over 50 ms, 500 agents, 200 events/s",
        ours=Spread.of(long or [0.0], "ms"),
        beside="-",
        rival=None,
        measured=f"{len(long)} for {updates} updates in {seconds} s",
        value=share,
        reach=f"≤ {REACH_LONG_SHARE:.0%} of the updates",
        reached=share <= REACH_LONG_SHARE,
    )


def _idle(browser: Browser, seconds: int) -> list[Row]:
    """Twenty agents that say nothing: two hours after they began nothing moves, but when they are young seconds go by."""
    return [
        _idle_row(browser, seconds, "idle page and server: processor", ago=7200, reach=REACH_IDLE_PERCENT),
        _idle_row(browser, seconds, "  the same, with clocks that show seconds", ago=0, reach=None),
    ]


def _idle_row(browser: Browser, seconds: int, what: str, ago: int, reach: float | None) -> Row:
    """A hub in which nothing happens, in a page that is looked at, beside an empty page of the same browser."""
    with folder("page") as home, agents(1, "step", home, "20", str(ago)), dashboard(home) as (server, port):
        page = browser.new_page(viewport=SIZE)
        page.goto("about:blank")
        empty = _watch(browser, page, server.pid, seconds)
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("[data-state=live]")
        ours = _watch(browser, page, server.pid, seconds)
        page.close()
    percent, empty_percent = (sum(each) / len(each) for each in (ours, empty))
    return Row(
        what=what,
        ours=Spread.of(ours, "%"),
        beside="empty page and server",
        rival=Spread.of(empty, "%"),
        measured=f"{number(percent)} % of a core (empty page: {number(empty_percent)})",
        value=percent,
        reach="-" if reach is None else f"≤ {reach} %",
        reached=None if reach is None else percent <= reach,
    )


def _watch(browser: Browser, page: Page, server: int, seconds: int) -> list[float]:
    """Answer, for each second, what server and browser together took, in percent of a core."""
    session: Any = browser.new_browser_cdp_session()
    page.wait_for_timeout(1000 * TIDYING_SECONDS)

    def spent() -> float:
        told = session.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(work_of(process["id"]).cpu_ns for process in told if os.path.exists(f"/proc/{process['id']}")) / 1e9

    percents, before, moment = [], spent() + work_of(server).cpu_ns / 1e9, time.monotonic()
    for _ in range(seconds):
        page.wait_for_timeout(1000)
        now, later = spent() + work_of(server).cpu_ns / 1e9, time.monotonic()
        percents.append((now - before) / (later - moment) * 100)
        before, moment = now, later
    return percents


if __name__ == "__main__":
    sys.exit(main("page", __doc__))
