"""The history: a fold with it beside one without, a chart of thirty days, and the size of the database."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from bench import main
from interleave import ratio
from rows import Row, Spread
from sandbox import BenchmarkFailed, folder

from pyjama_metrics import history
from pyjama_metrics.hub import Hub

AGENTS, TOOLS, DAYS = 50, 12, 30
MINUTE_MS, DAY_MS = 60_000, 86_400_000
NOW_MS = time.time_ns() // 1_000_000
REACH_FOLD, REACH_SPEED, REACH_CHART, REACH_SIZE = 2.5, 120_000, 20.0, 1 / 3
MODELS = ("claude-opus-4-8", "claude-sonnet-4-5", "gpt-5.5")


def executed(agent: int, time_ms: int, chance: random.Random) -> bytes:
    """Answer the line of one execution, as `record_tool_execution` writes it."""
    status = "ok" if chance.random() < 0.95 else "error"
    tool, duration = f"tool-{chance.randrange(TOOLS)}", round(chance.lognormvariate(3, 1), 3)
    return (
        f'{{"event":"tool","time":{time_ms},"tool":"{tool}","agent":"agent-{agent}","status":"{status}",'
        f'"run":"w{agent}-1-a.1","duration-ms":{duration}}}\n'
    ).encode()


def called(agent: int, time_ms: int, chance: random.Random) -> bytes:
    """Answer the line of one model call."""
    return (
        f'{{"event":"llm","time":{time_ms},"agent":"agent-{agent}","run":"w{agent}-1-a.1","model":"{chance.choice(MODELS)}",'
        f'"input-tokens":{chance.randrange(9000)},"output-tokens":{chance.randrange(900)},'
        f'"cache-read-tokens":{chance.randrange(90_000)},"request-id":"req_{chance.getrandbits(96):024x}"}}\n'
    ).encode()


def write_journals(home: Path, lines: Iterator[tuple[int, bytes]]) -> int:
    """Write lines into the journals of their agents; answer their bytes."""
    place = home / "journal"
    place.mkdir(mode=0o700, exist_ok=True)
    parts: dict[int, list[bytes]] = {}
    for agent, line in lines:
        parts.setdefault(agent, []).append(line)
    for agent, of_agent in parts.items():
        with (place / f"w{agent}-1-a.0.jsonl").open("ab") as file:
            file.write(b"".join(of_agent))
    return sum(path.stat().st_size for path in place.iterdir())


def busy(events: int) -> Iterator[tuple[int, bytes]]:
    """Yield executions of eight agents at work, a few thousand in a minute."""
    chance = random.Random(1)
    for number in range(events):
        yield number % 8, executed(number % 8, NOW_MS - MINUTE_MS + number * MINUTE_MS // events, chance)


def month(per_day: int) -> Iterator[tuple[int, bytes]]:
    """Yield thirty days of fifty agents: executions in bouts, as agents work, and a model call for every fourth of them."""
    chance = random.Random(2)
    for day in range(DAYS):
        for agent in range(AGENTS):
            for _ in range(per_day // 50):
                at = NOW_MS - (day + 1) * DAY_MS + chance.randrange(DAY_MS - 10 * MINUTE_MS)
                for number in range(50):
                    time_ms = at + number * 2_000 + chance.randrange(2_000)
                    yield agent, executed(agent, time_ms, chance)
                    if not number % 4:
                        yield agent, called(agent, time_ms, chance)


def folded(master: Path, events: int, *, kept: bool) -> float:
    """Answer the microseconds per event of folding a copy of the journals, with a history or without."""
    os.environ["PYJAMA_HISTORY"] = str(int(kept))
    with folder("history") as home:
        shutil.copytree(master / "journal", home / "journal")
        hub = Hub(str(home))
        begin = perf_counter()
        hub.catch_up(None)
        seconds = perf_counter() - begin
        counted = hub.read(fresh=False)["global"]["count"]
        if counted != events or hub.history.trouble is not None:
            raise BenchmarkFailed(f"{events} events were written and {counted} folded; {hub.history.trouble}")
    return seconds / events * 1e6


def measure(quick: bool) -> list[Row]:
    """Answer the rows."""
    return [*_folding(quick), *_reading(quick)]


def _folding(quick: bool) -> list[Row]:
    events = 30_000 if quick else 150_000
    ours: list[float] = []
    without: list[float] = []
    with folder("journals") as master:
        write_journals(master, busy(events))
        folded(master, events, kept=True)  # what is only loaded once is not what is compared
        for turn in range(3 if quick else 9):
            for kept in (True, False) if turn % 2 else (False, True):
                (ours if kept else without).append(folded(master, events, kept=kept))
    value, spread = ratio(ours, without), Spread.of(ours, "µs")
    speed = 1e6 / spread.median
    return [
        Row(
            what="fold with history, per event",
            ours=spread,
            beside="fold without",
            rival=Spread.of(without, "µs"),
            measured=f"{value:.2f}×",
            value=value,
            reach=f"≤ {REACH_FOLD}×",
            reached=value <= REACH_FOLD,
        ),
        Row(
            what="fold with history",
            ours=Spread.of([1e6 / each for each in ours], "events/s"),
            beside="-",
            rival=None,
            measured=f"{speed:,.0f}",
            value=speed,
            reach=f"≥ {REACH_SPEED:,}",
            reached=speed >= REACH_SPEED,
        ),
    ]


def _reading(quick: bool) -> list[Row]:
    os.environ["PYJAMA_HISTORY"] = "1"
    with folder("month") as home:
        raw = write_journals(home, month(50 if quick else 400))
        hub = Hub(str(home))
        if not hub.catch_up(None):
            raise BenchmarkFailed(str(hub.history.trouble))
        for _ in range(400):
            hub.history.advance()  # until what is older than two days is kept by the hour
        size = sum(path.stat().st_size for path in home.glob("history.db*"))
        charts = [_timed(home, durations=False) for _ in range(5 if quick else 50)]
        with_durations = [_timed(home, durations=True) for _ in range(5 if quick else 50)]
    share = size / raw
    return [
        Row(
            what=f"chart query, {DAYS} days in steps of 6 h, as on the page, {AGENTS} agents",
            ours=Spread.of(charts, "ms"),
            beside="-",
            rival=None,
            measured=f"{Spread.of(charts, 'ms').median:.1f} ms",
            value=Spread.of(charts, "ms").median,
            reach=f"≤ {REACH_CHART:.0f} ms",
            reached=Spread.of(charts, "ms").median <= REACH_CHART,
        ),
        Row(
            what="the same with quantiles of the durations",
            ours=Spread.of(with_durations, "ms"),
            beside="-",
            rival=None,
            measured=f"{Spread.of(with_durations, 'ms').median:.1f} ms",
            value=Spread.of(with_durations, "ms").median,
        ),
        Row(
            what="size of the database",
            ours=Spread.of([size / 1e6], "MB"),
            beside="the journals of the same events",
            rival=Spread.of([raw / 1e6], "MB"),
            measured=f"1/{1 / share:.1f}",
            value=share,
            reach="≤ 1/3",
            reached=share <= REACH_SIZE,
        ),
    ]


def _timed(home: Path, *, durations: bool) -> float:
    begin = perf_counter()
    found = history.history(NOW_MS - DAYS * DAY_MS, NOW_MS, "6h", durations=durations, folder=str(home))
    seconds = perf_counter() - begin
    if not sum(each.executions.count for each in found):
        raise BenchmarkFailed("The chart is empty.")
    return seconds * 1000


if __name__ == "__main__":
    sys.exit(main("history", __doc__))
