"""Eight processes record until all is in `metrics.json`, beside eight that rewrite a shared file of 16 KB."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from time import perf_counter

import orjson
from bench import main
from interleave import ratio
from rivals import RewrittenFile
from rows import Row, Spread
from sandbox import PATIENCE, BenchmarkFailed, agents, folder

from pyjama_metrics.hub import Hub

PROCESSES = 8
REACH = 100.0


def measure(quick: bool) -> list[Row]:
    """Answer one row, from pairs of runs: ours, the rival, the rival, ours, …"""
    # As many as each does in about two seconds; ours begins cold: its folder threads have imported nothing yet.
    our_events, rival_events, pairs = (10_000, 100, 2) if quick else (50_000, 500, 8)
    ours: list[float] = []
    rival: list[float] = []
    for pair in range(pairs):
        if pair % 2:
            rival.append(rewriting(rival_events))
        ours.append(recording(our_events))
        if not pair % 2:
            rival.append(rewriting(rival_events))
    value = ratio(ours, rival)
    return [
        Row(
            what=f"{PROCESSES} processes, recorded and in metrics.json",
            ours=Spread.of(ours, "events/s"),
            beside="the same by lock + read + change + replace, 16 KB",
            rival=Spread.of(rival, "events/s"),
            measured=f"{value:.0f}×",
            value=value,
            reach=f"≥ {REACH:.0f}×",
            reached=value >= REACH,
        )
    ]


def recording(events: int) -> float:
    """Answer the events per second from the first call of eight processes until all are in `metrics.json`."""
    with folder("recording") as home, agents(PROCESSES, "record", home, str(events)) as children:
        begin = perf_counter()
        for child in children:
            child.say()
        for child in children:
            child.hear()
        Hub(str(home)).flush(PATIENCE)
        seconds = perf_counter() - begin
        counted = orjson.loads((home / "metrics.json").read_bytes())["global"]["count"]
    _check(counted, PROCESSES * events, home)
    return PROCESSES * events / seconds


def rewriting(events: int) -> float:
    """Answer the events per second of eight processes that rewrite one file."""
    with folder("rewriting") as home, closing(RewrittenFile(home)) as shared:
        shared.create()
        with agents(PROCESSES, "rewrite", home, str(home), str(events)) as children:
            begin = perf_counter()
            for child in children:
                child.say()
            for child in children:
                child.hear()
            seconds = perf_counter() - begin
        counted = shared.read()["global"]["count"]
    _check(counted, PROCESSES * events, home)
    return PROCESSES * events / seconds


def _check(counted: int, expected: int, home: Path) -> None:
    if counted != expected:
        raise BenchmarkFailed(f"{expected} events were recorded in {home}, but {counted} were counted.")


if __name__ == "__main__":
    sys.exit(main("throughput", __doc__))
