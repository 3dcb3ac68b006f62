"""One hook process, from its start to its end, beside the bare interpreter that it is made of.

`--importtime` prints what is imported on the way instead of measuring.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from bench import main
from interleave import difference, ratio
from rows import Row, Spread
from sandbox import BenchmarkFailed, environment, folder

from pyjama_metrics.hub import Hub
from pyjama_metrics.integrations import launcher, starting

if TYPE_CHECKING:
    from collections.abc import Iterator

BARE, SMALL, LARGE, STARTING = "bare", "1 KB", "200 KB", "starts the folder"
SIZES = {SMALL: 1_000, LARGE: 200_000}
REACHES = {SMALL: 1.8, LARGE: 2.2}
REACH_STARTING_MS = 3.0


def measure(quick: bool) -> list[Row]:
    """Answer the rows from rounds of processes, in an order that turns."""
    Path("/proc/self/comm").write_text("claude")  # whose hook they are
    costs: dict[str, list[float]] = {name: [] for name in (BARE, *SIZES, STARTING)}
    with folder("hook") as home:
        programs = Programs(home)
        for name in costs:
            programs.run(name)
        for at in range(10 if quick else 100):
            names = list(costs)
            shift = at % len(names)
            for name in names[shift:] + names[:shift]:
                costs[name].append(programs.run(name))
    rows = [_row(costs, name) for name in SIZES]
    value = difference(costs[STARTING], costs[SMALL])
    rows.append(
        Row(
            what="one hook process that starts the folder",
            ours=Spread.of(costs[STARTING], "ms"),
            beside="one that does not",
            rival=Spread.of(costs[SMALL], "ms"),
            measured=f"+{value:.1f} ms",
            value=value,
            reach=f"≤ +{REACH_STARTING_MS:g} ms",
            reached=value <= REACH_STARTING_MS,
        )
    )
    return rows


class Programs:
    """The processes that take turns."""

    def __init__(self, home: Path) -> None:
        self.hub = Hub(str(home / "hub"))
        os.mkdir(self.hub.folder, 0o700)
        self.python = sys._base_executable  # type: ignore[attr-defined]
        self.environment = environment(home / "hub", XDG_DATA_HOME=str(home / "data"))
        os.environ["XDG_DATA_HOME"] = str(home / "data")
        self.launcher = launcher.ensure()
        self.payloads: dict[str, Path] = {}
        for name, size in SIZES.items():
            self.payloads[name] = home / f"{size}.json"
            self.payloads[name].write_text(payload(size))

    def run(self, name: str) -> float:
        """Run one of them to its end; how long it took, in milliseconds."""
        if name == BARE:
            return self.timed([self.python, "-I", "-S", "-c", "pass"], Path(os.devnull))
        command = [self.launcher, "claude"]
        if name == STARTING:
            cost = self.timed(command, self.payloads[SMALL])
            self.wait_for_the_folder()
            return cost
        with self.folding():
            return self.timed(command, self.payloads[name])

    def timed(self, command: list[str], stdin: Path) -> float:
        """Run a command to its end."""
        actions = [(os.POSIX_SPAWN_OPEN, 0, str(stdin), os.O_RDONLY, 0)]
        begin = perf_counter()
        pid = os.posix_spawn(command[0], command, self.environment, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        cost = (perf_counter() - begin) * 1000
        if status:
            raise BenchmarkFailed(f"The command {command} ended with status {status}.")
        return cost

    @contextmanager
    def folding(self) -> Iterator[None]:
        """Be who folds, as far as a hook can see."""
        lock = starting.try_lock(self.hub.folder)
        if lock is None:
            raise BenchmarkFailed("Somebody else holds the lock of those who fold.")
        try:
            yield
        finally:
            os.close(lock)

    def wait_for_the_folder(self) -> None:
        """Wait for the end of the process that a hook has started; it leaves as soon as its lock is no use any more."""
        lock = Path(self.hub.folder, "folder.lock")
        with lock.open("rb") as file:
            lock.unlink()
            fcntl.flock(file, fcntl.LOCK_EX)


def payload(size: int) -> str:
    """What a PostToolUse tells of a tool whose answer is so long."""
    told = {
        "session_id": "1063cfde-e221-4527-b8a2-e22d3cfcb50a",
        "transcript_path": "/home/dev/.claude/projects/-home-dev-work/1063cfde-e221-4527-b8a2-e22d3cfcb50a.jsonl",
        "cwd": "/home/dev/work",
        "prompt_id": "0a89ce3e-863e-4f1c-9deb-bfe885741283",
        "permission_mode": "default",
        "effort": {"level": "medium"},
        "hook_event_name": "PostToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "make test", "description": "Run the tests"},
        "tool_response": {"stdout": "", "stderr": "", "interrupted": False, "isImage": False},
        "tool_use_id": "toolu_01AbCdEfGhIjKlMnOpQrStUv",
        "duration_ms": 1234,
    }
    line = "tests/test_floors.py::test_a_module_has_a_floor PASSED [ 12%]\n"
    missing = size - len(json.dumps(told))
    told["tool_response"]["stdout"] = (line * (missing // len(line) + 1))[:missing]  # type: ignore[index]
    return json.dumps(told)


def _row(costs: dict[str, list[float]], name: str) -> Row:
    value, reach = ratio(costs[name], costs[BARE]), REACHES[name]
    return Row(
        what=f"one hook process, {name}",
        ours=Spread.of(costs[name], "ms"),
        beside="python -I -S -c pass",
        rival=Spread.of(costs[BARE], "ms"),
        measured=f"{value:.2f}×",
        value=value,
        reach=f"≤ {reach}×",
        reached=value <= reach,
    )


def print_imports() -> int:
    """Print what a hook imports and what each module costs (on stderr, by the interpreter)."""
    with folder("hook") as home:
        programs = Programs(home)
        with programs.payloads[SMALL].open() as stdin:
            command = [programs.python, "-X", "importtime", "-IS", programs.launcher, "claude"]
            return subprocess.run(command, env=programs.environment, stdin=stdin, check=False).returncode


if __name__ == "__main__":
    sys.exit(print_imports() if "--importtime" in sys.argv[1:] else main("hook", __doc__))
