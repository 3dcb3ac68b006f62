"""`pyjama-metrics report daily` over thirty days of fifty agents, beside the start of a bare interpreter.

Both are whole processes, in turns. `--importtime` prints what is imported on the way instead of measuring.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import perf_counter

from bench import main
from history import AGENTS, DAYS, month, write_journals
from interleave import difference, ratio
from rows import Row, Spread
from sandbox import HERE, BenchmarkFailed, environment, folder

from pyjama_metrics.hub import Hub

REACH_MS = 120.0
BARE = ("-c", "pass")
DAILY = ("-m", "pyjama_metrics", "report", "daily")
AGENTS_REPORT = ("-m", "pyjama_metrics", "report", "agents")


def measure(quick: bool) -> list[Row]:
    """Answer the rows from processes that take turns."""
    programs = [BARE, DAILY, AGENTS_REPORT]
    costs: dict[tuple[str, ...], list[float]] = {program: [] for program in programs}
    with folder("report") as home:
        prepare(home, quick)
        for program in programs:
            milliseconds(program, home)  # compiled files are warm
        for at in range(5 if quick else 40):
            shift = at % len(programs)
            for program in programs[shift:] + programs[:shift]:
                costs[program].append(milliseconds(program, home))
    return [
        _row(costs, DAILY, f"`report daily`, {DAYS} days, {AGENTS} agents", REACH_MS),
        _row(costs, AGENTS_REPORT, "`report agents`, the same", None),
    ]


def prepare(home: Path, quick: bool) -> None:
    """Let the month have happened in a hub, with everything counted."""
    write_journals(home, month(50 if quick else 400))
    hub = Hub(str(home))
    if not hub.catch_up(None):
        raise BenchmarkFailed(str(hub.history.trouble))
    for _ in range(400):
        hub.history.advance()  # until what is older than two days is kept by the hour


def milliseconds(program: tuple[str, ...], home: Path) -> float:
    """Answer how long a process that runs ``program`` lives."""
    clean = environment(home) | {"PYTHONPATH": str(HERE.parent)}
    begin = perf_counter()
    done = subprocess.run([sys.executable, *program], env=clean, capture_output=True, text=True, check=False)
    cost = (perf_counter() - begin) * 1000
    if done.returncode or done.stderr or (program != BARE and "total" not in done.stdout):
        raise BenchmarkFailed(f"{' '.join(program)} ended with {done.returncode}: {done.stderr}")
    return cost


def _row(costs: dict[tuple[str, ...], list[float]], program: tuple[str, ...], what: str, reach: float | None) -> Row:
    value = difference(costs[program], costs[BARE])
    return Row(
        what=what,
        ours=Spread.of(costs[program], "ms"),
        beside="bare interpreter start",
        rival=Spread.of(costs[BARE], "ms"),
        measured=f"+{value:.0f} ms ({ratio(costs[program], costs[BARE]):.1f}×)",
        value=value,
        reach="-" if reach is None else f"≤ +{reach:g} ms",
        reached=None if reach is None else value <= reach,
    )


def print_imports() -> int:
    """Print what a report imports and what each module costs (on stderr, by the interpreter)."""
    with folder("report") as home:
        prepare(home, quick=True)
        clean = environment(home) | {"PYTHONPATH": str(HERE.parent)}
        command = [sys.executable, "-X", "importtime", *DAILY]
        return subprocess.run(command, env=clean, stdout=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(print_imports() if "--importtime" in sys.argv[1:] else main("report", __doc__))
