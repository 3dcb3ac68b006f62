"""What it costs to push every change to two hundred viewers, and how much is pushed for one change."""

from __future__ import annotations

import selectors
import socket
import sys
import time
from contextlib import ExitStack

from bench import main
from dashboards import dashboard, is_linux, stream
from idle import work_of
from rows import Row, Spread, number
from sandbox import BenchmarkFailed, agents, folder

VIEWERS = 200
REACH_CPU_PERCENT = 20.0
REACH_BYTES = 2048
REACH_SHARE = 1 / 50
SETTLING_SECONDS = 2.0


def measure(quick: bool) -> list[Row]:
    """Answer the rows on processor time, updates and bytes."""
    if not is_linux():
        raise BenchmarkFailed("The benchmark reads /proc, which only Linux has.")
    return [*_many_viewers(windows=4 if quick else 20), *_one_change(changes=20 if quick else 200)]


class Viewers:
    """Streams that are read without looking at what comes; events and bytes are counted."""

    def __init__(self, port: int, count: int, stack: ExitStack) -> None:
        self.received = 0
        self.events: dict[socket.socket, int] = {}
        self._last: dict[socket.socket, bytes] = {}
        self._ready = stack.enter_context(selectors.DefaultSelector())
        for _ in range(count):
            client = stack.enter_context(stream(port))
            client.setblocking(False)
            self.events[client], self._last[client] = 0, b""
            self._ready.register(client, selectors.EVENT_READ)

    def read(self, seconds: float) -> None:
        """Read whatever comes in so many seconds."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            for key, _ in self._ready.select(rest):
                self._take(key.fileobj)  # type: ignore[arg-type]

    def _take(self, client: socket.socket) -> None:
        received = client.recv(1 << 20)
        if not received:
            raise BenchmarkFailed("The dashboard closed an event stream.")
        # The empty line that ends an event may come in two pieces.
        self.events[client] += (self._last[client] + received).count(b"\n\n")
        self._last[client] = received[-1:] if not received.endswith(b"\n\n") else b""
        self.received += len(received)


def _many_viewers(windows: int) -> list[Row]:
    with ExitStack() as stack:
        home = stack.enter_context(folder("fan-out"))
        [recorder] = stack.enter_context(agents(1, "rotate", home, "50", "0.02"))
        process, port = stack.enter_context(dashboard(home))
        viewers = Viewers(port, VIEWERS, stack)
        recorder.say()
        viewers.read(SETTLING_SECONDS)
        if not all(viewers.events.values()):
            raise BenchmarkFailed("The dashboard refused or forgot some of the viewers.")
        before, received = dict(viewers.events), viewers.received
        cpu, began = [work_of(process.pid).cpu_ns], [time.monotonic()]
        for _ in range(windows):
            viewers.read(1.0)
            cpu.append(work_of(process.pid).cpu_ns)
            began.append(time.monotonic())
    seconds = began[-1] - began[0]
    updates = [(count - before[client]) / seconds for client, count in viewers.events.items()]
    percent = (cpu[-1] - cpu[0]) / seconds / 1e7
    parts = [(cpu[place + 1] - cpu[place]) / (began[place + 1] - began[place]) / 1e7 for place in range(windows)]
    return [
        Row(
            what=f"{VIEWERS} viewers: the server's processor",
            ours=Spread.of(parts, "%"),
            beside="-",
            rival=None,
            measured=f"{number(percent)} % of a core",
            value=percent,
            reach=f"≤ {REACH_CPU_PERCENT:.0f} %",
            reached=percent <= REACH_CPU_PERCENT,
        ),
        Row(
            what="  updates that each of them got",
            ours=Spread.of(updates, "/s"),
            beside="-",
            rival=None,
            measured=f"{number((viewers.received - received) / seconds / 1e6)} MB/s to all",
            value=min(updates),
        ),
    ]


def _one_change(changes: int) -> list[Row]:
    """Two hundred agents, of which one changes at a time: the bytes of the event beside those of the first one."""
    sizes: list[int] = []
    with (
        folder("fan-out") as home,
        agents(1, "step", home, "200") as [recorder],
        dashboard(home) as (_, port),
        stream(port) as client,
    ):
        whole, rest = next_event(client, b"")
        for _ in range(changes):
            recorder.say()
            size, rest = next_event(client, rest)
            sizes.append(size)
    spread = Spread.of(sizes, "bytes")
    share = spread.p95 / whole
    return [
        Row(
            what="pushed for one changed agent of 200",
            ours=spread,
            beside="the whole state",
            rival=Spread.of([whole], "bytes"),
            measured=f"p95 1/{1 / share:.0f}",
            value=spread.p95,
            reach=f"≤ {REACH_BYTES:,}, ≤ 1/{1 / REACH_SHARE:.0f}",
            reached=spread.p95 <= REACH_BYTES and share <= REACH_SHARE,
        )
    ]


def next_event(client: socket.socket, received: bytes) -> tuple[int, bytes]:
    """Answer the size of the next event that has data, and what was received after it."""
    while True:
        event, end, rest = received.partition(b"\n\n")
        if end and b"\ndata:" in event:
            return len(event + end), rest
        if end:
            received = rest
        elif more := client.recv(1 << 20):
            received += more
        else:
            raise BenchmarkFailed("The dashboard closed the event stream.")


if __name__ == "__main__":
    sys.exit(main("fan_out", __doc__))
