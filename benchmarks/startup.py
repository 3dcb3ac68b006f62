"""`import pyjama_metrics` and one record, up to its return, beside the start of a bare interpreter.

Both are whole processes that end with `os._exit`, in pairs; what `site` and `.pth` files cost is in both.
`--importtime` prints what is imported on the way instead of measuring.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from bench import main
from interleave import difference, ratio
from rows import Row, Spread
from sandbox import BenchmarkFailed, environment, folder

from pyjama_metrics.hub import Hub

REACH_MS = 30.0
BARE = "import os; os._exit(0)"
IMPORT = "import os, pyjama_metrics; os._exit(0)"
RECORD = """\
import os, pyjama_metrics
pyjama_metrics.record_tool_execution("write-file", "agent", "ok", 12.5)
os._exit(0)
"""


def measure(quick: bool) -> list[Row]:
    """Answer the rows from triples of processes, in an order that turns."""
    programs = [BARE, IMPORT, RECORD]
    costs: dict[str, list[float]] = {program: [] for program in programs}
    with folder("startup") as home:
        hub = Hub(str(home))
        for program in programs:
            milliseconds(program, home)
        for at in range(8 if quick else 60):
            shift = at % len(programs)
            for program in programs[shift:] + programs[:shift]:
                costs[program].append(milliseconds(program, home))
            # The hub stays as an agent finds it: folded, without hundreds of journals of ended processes.
            hub.flush()
    return [
        _row(costs, RECORD, "import and one record, up to its return", REACH_MS),
        _row(costs, IMPORT, "import alone", None),
    ]


def milliseconds(program: str, home: Path) -> float:
    """Answer how long a process that runs ``program`` lives."""
    command = [sys.executable, "-c", program]
    clean = environment(home)
    begin = perf_counter()
    pid = os.posix_spawn(sys.executable, command, clean)
    _, status = os.waitpid(pid, 0)
    cost = (perf_counter() - begin) * 1000
    if status:
        raise BenchmarkFailed(f"The program {program!r} ended with status {status}.")
    return cost


def _row(costs: dict[str, list[float]], program: str, what: str, reach: float | None) -> Row:
    value = difference(costs[program], costs[BARE])
    return Row(
        what=what,
        ours=Spread.of(costs[program], "ms"),
        beside="bare interpreter start",
        rival=Spread.of(costs[BARE], "ms"),
        measured=f"+{value:.1f} ms ({ratio(costs[program], costs[BARE]):.2f}×)",
        value=value,
        reach="-" if reach is None else f"≤ +{reach:g} ms",
        reached=None if reach is None else value <= reach,
    )


def print_imports() -> int:
    """Print what the recording program imports and what each module costs (on stderr, by the interpreter)."""
    with folder("startup") as home:
        command = [sys.executable, "-X", "importtime", "-c", RECORD]
        return subprocess.run(command, env=environment(home), check=False).returncode


if __name__ == "__main__":
    sys.exit(print_imports() if "--importtime" in sys.argv[1:] else main("startup", __doc__))
