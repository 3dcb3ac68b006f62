"""The commands as users run them: processes of their own, in a pipe or in a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyjama_metrics
from pyjama_metrics.storage import json
from tests.waiting import changed_environment, close_pipes

PYJAMA = (sys.executable, "-m", "pyjama_metrics")
CHECKOUT = str(Path(pyjama_metrics.__file__).parent.parent)
DEADLINE = 60.0

Environment = Mapping[str, str | None]


def pyjama(*words: str, env: Environment | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``pyjama-metrics`` to its end, with nothing to read on stdin and text pipes for its output."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(
        [*PYJAMA, *words], env=environment(env), text=True, timeout=DEADLINE, errors="surrogateescape", check=False, **options
    )


@contextmanager
def started(*command: str, env: Environment | None = None, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start any command, with pipes; it is dead and reaped after the block."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen(command, env=environment(env), text=True, **{**pipes, **options})
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        close_pipes(child)


def environment(changes: Environment | None = None) -> dict[str, str]:
    """This process's environment with ``changes``: our package is found from any folder, and output is as users have it."""
    plain = {"PYTHONPATH": CHECKOUT, "PYTHONUNBUFFERED": None, "COLUMNS": None, "NO_COLOR": None}
    return changed_environment({**plain, **(changes or {})})


def in_terminal(*command: str, typed: str = "", env: Environment | None = None) -> tuple[int, str]:
    """Run a command in a pseudo-terminal, type something, and return its exit code and all that the terminal showed."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        child = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment({"TERM": "xterm", **(env or {})}),
            start_new_session=True,
        )
        os.close(theirs)
        try:
            terminal.write(typed.encode())
            shown = b"".join(iter(lambda: read_some(terminal.fileno()), b""))
            return child.wait(DEADLINE), shown.decode()
        finally:
            child.kill()
            child.wait()


def read_some(descriptor: int) -> bytes:
    """The next bytes that a terminal shows; nothing when its last process has ended."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""  # Linux says EIO there


def figures(env: Environment | None = None) -> dict[str, Any]:
    """What ``show --json`` says."""
    answer = pyjama("show", "--json", env=env)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout.encode())
    return found


def agent(name: str, env: Environment | None = None) -> dict[str, Any]:
    """What ``show AGENT --json`` says."""
    answer = pyjama("show", name, "--json", env=env)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout.encode())
    return found
