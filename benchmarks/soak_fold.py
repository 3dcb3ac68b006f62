"""After 10,000 agent names and 5,000,000 events: is the state bounded, and what does a fold cost then?

A session writer's journal is filled with runs of five events (start, three tool executions, completion), six runs
of an agent in a row, 10,000 names in turn, and folded all the while. The hub folder is copied when 50,000 events are
in it. At the end the young copy and the old folder fold the same new batches by turns, so that a drift of the machine
falls on both.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

from bench import arguments
from interleave import ratio
from machine import describe
from rows import Spread, number
from sandbox import BenchmarkFailed, end_orderly_when_told, folder

from pyjama_metrics.hub import Hub
from pyjama_metrics.storage.session import SessionJournal

NAMES = 10_000
RUN_EVENTS = 5
RUNS_IN_A_ROW = 6
YOUNG = 50_000
OLD = 5_000_000
BATCH_RUNS = 200
# The runs fill half an hour that is just over: not old enough to leave the state for their age.
BEGIN_MS = time.time_ns() // 1_000_000 - 3_000_000
RUN_MS = 2


def journal_of(home: Path) -> SessionJournal:
    """Open the journal of an external session that this process owns: alive, as far as any fold can see."""
    return SessionJournal(str(home), "soak", pid=os.getpid(), fsync=False)


def runs(writer: str, first: int) -> Iterator[bytes]:
    """Yield the lines of one run after the other, for ever, beginning with run number ``first``."""
    for at in itertools.count(first):
        now, agent, tool = BEGIN_MS + at * RUN_MS, f"agent-{at // RUNS_IN_A_ROW % NAMES:05}", f"tool-{at % 37}"
        about = f'"agent":"{agent}","run":"{writer}.{at}"'
        executed = [_executed(now + step // 2, about, tool, at * 3 + step) for step in (1, 2, 3)]
        start = f'{{"event":"start","time":{now},{about},"source":"session","host":"soak","cwd":"/"}}\n'
        status = "failed" if at % 31 == 0 else "completed"
        complete = f'{{"event":"complete","time":{now + 2},{about},"status":"{status}"}}\n'
        yield "".join((start, *executed, complete)).encode()


def _executed(now: int, about: str, tool: str, chance: int) -> str:
    status = "error" if chance % 29 == 0 else "ok"
    what = f'"tool":"{tool}","status":"{status}","duration-ms":{1 + chance * 7 % 900}.5'
    return f'{{"event":"tool","time":{now},{about},{what}}}\n'


@dataclass(frozen=True)
class Stage:
    """A hub folder at a number of events: what its state holds and how fast it was filled."""

    home: Path
    events: int
    state_bytes: int
    folder_bytes: int
    agents: int
    runs: int
    seconds: float


def grow(hub: Hub, events: int, begin: int, journal: SessionJournal) -> float:
    """Write and fold from event ``begin`` until ``events`` are counted; answer the seconds of the folds."""
    source = runs(journal.writer, begin // RUN_EVENTS)
    folding = 0.0
    while begin < events:
        piece = min(50_000, events - begin)
        journal.append(b"".join(itertools.islice(source, piece // RUN_EVENTS)))
        begin += piece
        before = perf_counter()
        fold_all(hub)
        folding += perf_counter() - before
    return folding


def fold_all(hub: Hub) -> None:
    """Fold until nothing is left."""
    while not hub.fold(wait=None).caught_up:
        pass


def stage(home: Path, events: int, seconds: float) -> Stage:
    """Look at a hub folder, and check that it counted what was written.

    Raises:
        BenchmarkFailed: the figures are not those of the events written.
    """
    path = home / "metrics.json"
    state: dict[str, Any] = json.loads(path.read_bytes())
    counted, begun = state["global"]["count"], state["runs"]["started"]
    if (counted, begun) != (events * 3 // RUN_EVENTS, events // RUN_EVENTS):
        raise BenchmarkFailed(f"After {events} events {path} counts {counted} executions and {begun} runs.")
    held = sum(len(agent["runs"]) for agent in state["agents"].values())
    size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
    return Stage(home, events, path.stat().st_size, size, len(state["agents"]), held, seconds)


def compare(young: Stage, old: Stage, turns: int) -> tuple[list[float], list[float]]:
    """Let both folders fold the same new batches by turns; answer the milliseconds of each fold."""
    hubs = {at: Hub(str(at.home)) for at in (young, old)}
    journals = {at: journal_of(at.home) for at in (young, old)}
    source = runs(journals[old].writer, old.events // RUN_EVENTS)
    costs: dict[Stage, list[float]] = {young: [], old: []}
    for turn in range(turns + 2):
        lines = b"".join(itertools.islice(source, BATCH_RUNS))
        for at in (young, old) if turn % 2 else (old, young):
            journals[at].append(lines)
            begin = perf_counter_ns()
            fold_all(hubs[at])
            cost = (perf_counter_ns() - begin) / 1e6
            if turn >= 2:
                # The first two turns fill caches.
                costs[at].append(cost)
    return costs[young], costs[old]


def soak(home: Path, young_events: int, old_events: int, turns: int) -> dict[str, Any]:
    """Run the whole soak in ``home`` and answer what was seen."""
    (home / "old").mkdir(mode=0o700)
    journal, hub = journal_of(home / "old"), Hub(str(home / "old"))
    seconds = grow(hub, young_events, 0, journal)
    shutil.copytree(home / "old", home / "young")
    young = stage(home / "young", young_events, seconds)
    seconds += grow(hub, old_events, young_events, journal)
    old = stage(home / "old", old_events, seconds)
    young_costs, old_costs = compare(young, old, turns)
    return {
        "young": seen(young, young_costs),
        "old": seen(old, old_costs),
        "fold-ratio": ratio(old_costs, young_costs),
        "size-ratio": old.state_bytes / young.state_bytes,
        "batch-events": BATCH_RUNS * RUN_EVENTS,
    }


def seen(at: Stage, costs: list[float]) -> dict[str, Any]:
    """Answer the figures of one stage as plain data."""
    fold = Spread.of(costs, "ms")
    return {
        "events": at.events,
        "names": min(NAMES, -(-at.events // RUN_EVENTS // RUNS_IN_A_ROW)),
        "agents-held": at.agents,
        "runs-held": at.runs,
        "metrics.json-bytes": at.state_bytes,
        "folder-bytes": at.folder_bytes,
        "fold-ms-median": fold.median,
        "fold-ms-p95": fold.p95,
        "us-per-event-all-folds": at.seconds / at.events * 1e6,
    }


def lines_of(result: dict[str, Any]) -> str:
    """Lay the result out for people."""
    young, old = result["young"], result["old"]
    rows = [f"{name:<24} {number(young[name]):>12} {number(old[name]):>12}" for name in young]
    ratios = f"a fold of the same {result['batch-events']} new events: {result['fold-ratio']:.2f}×"
    return "\n".join([*rows, "", f"{ratios}; size of metrics.json: {result['size-ratio']:.2f}×"])


def main() -> int:
    """Be the command line; answer 0, or 1 if events were counted wrongly."""
    options = arguments(__doc__).parse_args()
    end_orderly_when_told()
    begin = time.monotonic()
    try:
        with folder("soak") as home:
            result = soak(home, YOUNG, OLD // 20 if options.quick else OLD, 10 if options.quick else 60)
    except BenchmarkFailed as error:
        print(error, file=sys.stderr)
        return 1
    result = {"machine": describe(), **result, "seconds": time.monotonic() - begin}
    print(json.dumps(result, indent=2) if options.json else lines_of(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
