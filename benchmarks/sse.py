"""From the beginning of a `record_*` call until a client of the dashboard's event stream has received it."""

from __future__ import annotations

import select
import socket
import sys
import threading
import time
from typing import Any

from bench import main
from dashboards import dashboard, frames, stream
from latency import Sighting, trickled
from rows import Row, Spread, number
from sandbox import BenchmarkFailed, folder

REACH_P95_MS = 300.0


def measure(quick: bool) -> list[Row]:
    """Answer one row: a process records at random intervals, a dashboard pushes, this process listens."""
    with folder("sse") as home, dashboard(home) as (_, port), stream(port) as client:
        waits = trickled(home, 30 if quick else 240, lambda ended: listen(client, ended))
    spread = Spread.of(waits, "ms")
    return [
        Row(
            what="event → received by an SSE client",
            ours=spread,
            beside="-",
            rival=None,
            measured=f"p95 {number(spread.p95)} ms",
            value=spread.p95,
            reach=f"p95 ≤ {REACH_P95_MS:.0f} ms",
            reached=spread.p95 <= REACH_P95_MS,
        )
    ]


def listen(client: socket.socket, ended: threading.Event) -> list[Sighting]:
    """Read the stream until ``ended``; a sighting is taken when the last byte of its event is here."""
    sightings: list[Sighting] = []
    rest = b""
    while not ended.is_set():
        if not select.select([client], [], [], 0.2)[0]:
            continue
        received = client.recv(1 << 20)
        now = time.monotonic_ns()
        if not received:
            raise BenchmarkFailed("The dashboard closed the event stream.")
        events, rest = frames(rest + received)
        sightings += [(now, count) for event in events if (count := _count(event)) is not None]
    return sightings


def _count(event: Any) -> int | None:
    """Answer the tool executions that an event counts: a snapshot always, an update where it sets them."""
    metrics = event.get("set", event).get("metrics", {})
    return metrics.get("global", {}).get("count")


if __name__ == "__main__":
    sys.exit(main("sse", __doc__))
