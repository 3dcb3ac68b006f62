"""From the beginning of a `record_*` call until a reader of `metrics.json` has the event in its hands."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
from bench import main
from rows import Row, Spread, number, percentile
from sandbox import BenchmarkFailed, agents, folder

REACH_P50_MS = 110.0
REACH_P99_MS = 250.0
POLL_SECONDS = 0.001
Sighting = tuple[int, int]
"""When a state was seen (monotonic ns), and the executions it counts."""


def measure(quick: bool) -> list[Row]:
    """Answer one row: another process records at random intervals, this one looks at the file each ms."""
    with folder("latency") as home:
        waits = trickled(home, 30 if quick else 240, lambda ended: watch_file(home / "metrics.json", ended))
    middle, last = percentile(waits, 0.5), percentile(waits, 0.99)
    return [
        Row(
            what="event → readable in metrics.json",
            ours=Spread.of(waits, "ms"),
            beside="-",
            rival=None,
            measured=f"p50 {number(middle)}, p99 {number(last)} ms",
            value=last,
            reach=f"p50 ≤ {REACH_P50_MS:.0f}, p99 ≤ {REACH_P99_MS:.0f} ms",
            reached=middle <= REACH_P50_MS and last <= REACH_P99_MS,
        )
    ]


def trickled(home: Path, events: int, watch: Callable[[threading.Event], list[Sighting]]) -> list[float]:
    """Let a child record ``events`` at random intervals while ``watch`` looks; answer the waits in ms."""
    ended = threading.Event()
    began: list[int] = []
    with agents(1, "trickle", home, str(events), "1") as [child]:

        def listen() -> None:
            try:
                began.extend(json.loads(child.hear()))
                # The last event, too, has to be seen before the child may exit: its exit folds.
                time.sleep(1.0)
            finally:
                ended.set()

        listener = threading.Thread(target=listen, daemon=True)
        child.say()
        listener.start()
        sightings = watch(ended)
        listener.join()
    if len(began) != events:
        raise BenchmarkFailed("The recording process ended before it had recorded everything.")
    return waits_of(began, sightings)


def waits_of(began: Sequence[int], sightings: Sequence[Sighting]) -> list[float]:
    """Answer, in ms, how long after its call began each event was first seen counted.

    Raises:
        BenchmarkFailed: an event was never seen.

    >>> waits_of([1_000_000, 2_000_000], [(500_000, 0), (4_000_000, 1), (9_000_000, 2)])
    [3.0, 7.0]
    """
    waits, sighting = [], iter(sightings)
    seen, count = next(sighting, (0, 0))
    for number_of_event, begin in enumerate(began, start=1):
        while count < number_of_event:
            try:
                seen, count = next(sighting)
            except StopIteration:
                raise BenchmarkFailed(f"Event {number_of_event} of {len(began)} was never seen.") from None
        waits.append((seen - begin) / 1e6)
    return waits


def watch_file(path: Path, ended: threading.Event) -> list[Sighting]:
    """Look at the file every millisecond until ``ended``; read it when it was replaced."""
    sightings: list[Sighting] = []
    last: tuple[int, int] | None = None
    while not ended.is_set():
        time.sleep(POLL_SECONDS)
        try:
            status = os.stat(path)
            if (status.st_ino, status.st_mtime_ns) == last:
                continue
            count = orjson.loads(path.read_bytes())["global"]["count"]
        except FileNotFoundError:
            # Nothing was folded yet.
            continue
        last = (status.st_ino, status.st_mtime_ns)
        sightings.append((time.monotonic_ns(), count))
    return sightings


if __name__ == "__main__":
    sys.exit(main("latency", __doc__))
