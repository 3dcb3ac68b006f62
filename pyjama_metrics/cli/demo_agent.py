"""One agent of ``pyjama-metrics demo``: a process that does real, small work on the sources of Python's own
library.

    python -m pyjama_metrics.cli.demo_agent ROLE NAME SECONDS SEED

Durations are those of the work, and failures are those of files that cannot be parsed, because they hold no
source, and of packages that do not exist. Only the models are made up: none is called, and what is recorded
as a call is the size of the file that an agent would have sent, at a price of ours or, as with models of one's
own, at none.
"""

from __future__ import annotations

import ast
import glob
import hashlib
import os
import random
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence

from pyjama_metrics.recorder import (
    child_env,
    record_agent_activity,
    record_agent_waiting,
    record_llm_usage,
    record_step_complete,
    record_step_start,
    record_workflow_info,
)
from pyjama_metrics.tracking import track_agent, track_tool

LIBRARY = sysconfig.get_paths()["stdlib"]
PACKAGES = ("json", "no-such-package", "email", "asyncio", "unittest", "importlib", "logging")
WAITING_SECONDS = 2.0
READS_BETWEEN_WAITS = 8
BEGUN_AGAIN = 20
CARELESS_SECONDS = 30.0
BINARY_ONE_IN = 9

BYTES_OF_A_TOKEN = 4
LARGEST_ANSWER = 1200  # tokens
DOLLARS_OF_A_TOKEN: dict[str, float | None] = {"demo-large": 5e-6, "demo-small": 5e-7, "demo-local": None}
"""The models of the demo; of None it is not known what it costs."""


@track_tool("read-file")
def read_file(path: str) -> bytes:
    """The bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


@track_tool("parse-source")
def parse_source(data: bytes) -> int:
    """How many statements a source has; raises where it is none."""
    return len(ast.parse(data.decode("utf-8")).body)


@track_tool("count-lines")
def count_lines(data: bytes) -> int:
    """How many lines a file has."""
    return data.count(b"\n")


@track_tool("checksum")
def checksum(data: bytes) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(data).hexdigest()


@track_tool("compress")
def compress(data: bytes) -> bytes:
    """A file, smaller."""
    return zlib.compress(data, 9)


@track_tool("write-file")
def write_file(path: str, data: bytes) -> None:
    """Write a file."""
    with open(path, "wb") as file:
        file.write(data)


@track_tool("list-files")
def list_files(folder: str) -> list[str]:
    """The sources in a folder of the library; raises where there is no such folder."""
    return sorted(name for name in os.listdir(folder) if name.endswith(".py"))


class Work:
    """What an agent needs: its name, when to end, and what to do next."""

    def __init__(self, name: str, seconds: float, seed: int) -> None:
        self.name = name
        self.ends = time.monotonic() + seconds
        self.choice = random.Random(seed)
        self.sources = sorted(glob.glob(os.path.join(LIBRARY, "*.py")))
        # Compiled files among the sources: whoever takes one for a source fails, as agents do.
        self.binaries = sorted(glob.glob(os.path.join(LIBRARY, "__pycache__", "*.pyc"))) or self.sources

    def goes_on(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self.ends

    def pause(self, low: float = 0.05, high: float = 0.35) -> None:
        """Take a breath between two tasks, as an agent that waits for its model would."""
        time.sleep(max(0.0, min(self.choice.uniform(low, high), self.ends - time.monotonic())))

    def think(self, data: bytes, model: str, phase: str) -> None:
        """Record the model call that an agent would have made about a file."""
        read, written = len(data) // BYTES_OF_A_TOKEN, self.choice.randrange(1, LARGEST_ANSWER)
        price = DOLLARS_OF_A_TOKEN[model]
        cost = None if price is None else price * (read + 5 * written)
        record_llm_usage(self.name, model, read, written, phase=phase, cost_usd=cost, source="estimated")

    def next_file(self) -> str:
        """Some file of the library."""
        return self.choice.choice(self.binaries if self.choice.randrange(BINARY_ONE_IN) == 0 else self.sources)


def read_code(work: Work) -> None:
    """Read and parse sources until the time is up; some are none."""
    while work.goes_on():
        path = work.next_file()
        data = read_file(path)
        count_lines(data)
        work.think(data, "demo-large", "reading")
        try:
            parse_source(data)
        except (UnicodeDecodeError, SyntaxError, ValueError):
            record_agent_activity(work.name, "parse-source", "error")
        work.pause()


def archive(work: Work) -> None:
    """Compress sources into a folder of its own until the time is up."""
    with tempfile.TemporaryDirectory() as folder:
        while work.goes_on():
            path = work.next_file()
            data = read_file(path)
            checksum(data)
            write_file(os.path.join(folder, os.path.basename(path) + ".z"), compress(data))
            work.think(data, "demo-local", "summary")
            record_agent_activity(work.name, "write-file")
            work.pause()


def review(work: Work) -> None:
    """Read a little, then wait for a person, until the time is up."""
    while work.goes_on():
        for _ in range(READS_BETWEEN_WAITS):
            if work.goes_on():
                data = read_file(work.next_file())
                count_lines(data)
                work.think(data, "demo-large", "review")
                work.pause()
        record_agent_waiting(work.name, "for a person to approve the changes")
        work.pause(WAITING_SECONDS, 2 * WAITING_SECONDS)


def work_carelessly(work: Work) -> None:
    """Go on beyond the time given, until killed, without a word at the end."""
    work.ends += CARELESS_SECONDS
    read_code(work)


def orchestrate(work: Work) -> None:
    """Start a sub-agent for one package after the other, each a process of its own, until the time is up."""
    record_workflow_info(work.name, [f"count {package}" for package in PACKAGES])
    for turn in range(BEGUN_AGAIN * len(PACKAGES)):
        if not work.goes_on():
            return
        package = PACKAGES[turn % len(PACKAGES)]
        record_step_start(work.name, f"count {package}")
        code = _sub_agent(work, package)
        record_step_complete(work.name, f"count {package}", "ok" if code == 0 else "error")
        work.pause()


def _sub_agent(work: Work, package: str) -> int:
    command = [sys.executable, "-P", "-m", "pyjama_metrics.cli.demo_agent", "counter", package, "10", "0"]
    with track_tool("start-agent"):
        child = subprocess.Popen(command, env=child_env(work.name))
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def count_package(work: Work) -> None:
    """Count the lines of one package; fails where there is no such package."""
    folder = os.path.join(LIBRARY, work.name.removeprefix("count-"))
    for name in list_files(folder):
        data = read_file(os.path.join(folder, name))
        count_lines(data)
        work.think(data, "demo-small", "counting")
        work.pause(0.02, 0.1)


ROLES: dict[str, Callable[[Work], None]] = {
    "orchestrator": orchestrate,
    "code-reader": read_code,
    "careless-worker": work_carelessly,
    "reviewer": review,
    "archivist": archive,
}
"""What ``demo`` starts, in this order."""


def main(argv: Sequence[str]) -> int:
    """Be one agent: role, name, seconds and seed are the arguments."""
    role, name, seconds, seed = argv
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if role == "counter":
        name = f"count-{name}"
    try:
        work = Work(name, float(seconds), int(seed))
        with track_agent(name):
            {**ROLES, "counter": count_package}[role](work)
    except KeyboardInterrupt:
        return 130
    except OSError:
        return 1  # recorded with its text as the run's failure
    finally:
        # A second Ctrl-C, or the demo's own SIGTERM after one, must not cut off the last words.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
