"""Temporary hub folders, clean environments, and child processes that are always reaped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE = 60.0


class BenchmarkFailed(Exception):
    """A benchmark could not measure, or what it measured was wrong (events lost, a child that died)."""


@contextmanager
def folder(label: str) -> Iterator[Path]:
    """Lend a new, empty folder (mode 0700) and remove it with all that is in it afterwards."""
    path = Path(tempfile.mkdtemp(prefix=f"pyjama-bench-{label}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Answer a child's environment: this checkout, this hub folder, nothing that changes what is measured."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PYJAMA_", "PYTHON", "PROMETHEUS_"))}
    paths = os.pathsep.join((str(HERE.parent), str(HERE)))
    return {**kept, "PYTHONPATH": paths, "PYJAMA_HOME": str(home), **more}


def end_orderly_when_told() -> None:
    """Let SIGTERM and Ctrl-C end this process as SystemExit, so that folders and children are cleaned up on the way."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(received: int, _: object) -> None:
    # Ctrl-C reaches the whole group, and the parent then asks its child to end: the second must not break the cleaning up.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _go_on)
    sys.exit(128 + received)


def _go_on(_: int, __: object) -> None:
    """Take a signal without effect; unlike SIG_IGN, no child inherits it."""


@contextmanager
def child(command: list[str], env: dict[str, str], stdout: int) -> Iterator[subprocess.Popen[bytes]]:
    """Lend a process that is ended afterwards: asked first, and given time to end its own children."""
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=stdout)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


class Agent:
    """A child process of `agents.py`, spoken to by lines: it says ``ready``, and goes on when it is told to.

    It ends when its standard input ends, so it never outlives the benchmark.
    """

    def __init__(self, role: str, home: Path, *arguments: str) -> None:
        command = [sys.executable, str(HERE / "agents.py"), role, *arguments]
        self.role = role
        self.process = subprocess.Popen(
            command,
            env=environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    @property
    def pid(self) -> int:
        """Answer the process id."""
        return self.process.pid

    def say(self, line: str = "go") -> None:
        """Send one line to the child."""
        if self.process.stdin:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def hear(self) -> str:
        """Wait for the next line of the child.

        Raises:
            BenchmarkFailed: the child ended without saying anything.
        """
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise BenchmarkFailed(f"The child process '{self.role}' ended early, with exit code {self.process.wait()}.")
        return line.rstrip("\n")

    def close(self) -> None:
        """End the child by ending its input; kill it if it does not go."""
        try:
            if self.process.stdin:
                self.process.stdin.close()
            self.process.wait(PATIENCE)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        finally:
            if self.process.stdout:
                self.process.stdout.close()


@contextmanager
def agents(count: int, role: str, home: Path, *arguments: str) -> Iterator[list[Agent]]:
    """Start ``count`` children, wait until all are ready, and end them all afterwards."""
    with ExitStack() as stack:
        started: list[Agent] = []
        for _ in range(count):
            started.append(Agent(role, home, *arguments))
            stack.callback(started[-1].close)
        for agent in started:
            if agent.hear() != "ready":
                raise BenchmarkFailed(f"The child process '{role}' did not say that it is ready.")
        yield started
