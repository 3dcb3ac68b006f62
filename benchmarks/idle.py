"""What an idle dashboard and an idle recording process cost: CPU time and wake-ups of all their threads."""

from __future__ import annotations

import itertools
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import main
from dashboards import dashboard, is_linux, stream
from rows import Row, Spread
from sandbox import BenchmarkFailed, agents, folder

REACH_CPU_PERCENT = 0.5
SETTLING_SECONDS = 3.0


@dataclass(frozen=True)
class Work:
    """What a process did so far: nanoseconds on a processor, and how often a thread of it went to sleep."""

    cpu_ns: int
    sleeps: int


def work_of(pid: int) -> Work:
    """Add up the threads of a process (the files of the process itself tell of its first thread only)."""
    cpu_ns = sleeps = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            cpu_ns += int((thread / "schedstat").read_text().split()[0])
            status = (thread / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            # The thread ended between the listing and the reading.
            continue
        line = next(line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))
        sleeps += int(line.split()[1])
    return Work(cpu_ns, sleeps)


def measure(quick: bool) -> list[Row]:
    """Answer two rows for each process; all of them idle side by side for the same seconds."""
    if not is_linux():
        raise BenchmarkFailed("The idle benchmark reads /proc, which only Linux has.")
    with ExitStack() as stack:
        watched = _processes(stack)
        time.sleep(SETTLING_SECONDS)
        samples = _watch(watched, windows=5 if quick else 20, seconds=1.0)
    return [row for what, works in samples.items() for row in _rows(what, works)]


def _processes(stack: ExitStack) -> dict[str, int]:
    """Start the processes, each with a hub folder of its own, and answer their ids."""
    homes = [stack.enter_context(folder("idle")) for _ in range(3)]
    [recorder] = stack.enter_context(agents(1, "idle", homes[0]))
    for home in homes[1:]:
        # A hub that was used: the recorder left its figures there.
        stack.enter_context(agents(1, "idle", home))[0].close()
    alone, _ = stack.enter_context(dashboard(homes[1]))
    viewed, port = stack.enter_context(dashboard(homes[2]))
    stack.enter_context(stream(port))
    return {
        "idle recorder": recorder.pid,
        "idle dashboard": alone.pid,
        "idle dashboard, one viewer": viewed.pid,
    }


Sample = tuple[float, Work]


def _watch(watched: dict[str, int], windows: int, seconds: float) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {what: [] for what in watched}
    for window in range(windows + 1):
        if window:
            time.sleep(seconds)
        for what, pid in watched.items():
            samples[what].append((time.monotonic(), work_of(pid)))
    return samples


def _rows(what: str, samples: list[Sample]) -> list[Row]:
    steps = list(itertools.pairwise(samples))
    (begin, first), (end, last) = samples[0], samples[-1]
    percent = (last.cpu_ns - first.cpu_ns) / (end - begin) / 1e7
    sleeps = last.sleeps - first.sleeps
    cpu = Spread.of([(b.cpu_ns - a.cpu_ns) / (y - x) / 1e7 for (x, a), (y, b) in steps], "%")
    wakes = Spread.of([(b.sleeps - a.sleeps) / (y - x) for (x, a), (y, b) in steps], "/s")
    share = f"{percent:.3f} % of a core"
    count = f"{sleeps} in {end - begin:.0f} s"
    reach, reached = f"≤ {REACH_CPU_PERCENT} %", percent <= REACH_CPU_PERCENT
    return [
        Row(f"{what}: processor", cpu, "-", None, share, percent, reach, reached),
        Row(f"{what}: wake-ups", wakes, "-", None, count, sleeps / (end - begin), "none", sleeps == 0),
    ]


if __name__ == "__main__":
    sys.exit(main("idle", __doc__))
