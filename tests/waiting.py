"""Waiting for what other processes and threads do: with a condition and a time limit, where a test would sleep otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.01
"""Seconds between two looks at a condition."""


def wait_until(condition: Callable[[], T], timeout: float = 10.0, what: str = "the condition") -> T:
    """Return the first truthy value of ``condition()``, which is asked every 10 ms.

    Raises AssertionError with ``what`` and the last value after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        out_of_time = time.monotonic() >= deadline
        value = condition()
        if value:
            return value
        if out_of_time:
            raise AssertionError(f"Waited {timeout:g} s for {what}; the last value was {value!r}.")
        time.sleep(PAUSE)


@contextmanager
def run_python(
    code: str, *args: str, env: Mapping[str, str | None] | None = None, cwd: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run ``code`` in a Python process of its own, with ``args`` as ``sys.argv[1:]``, while the block lasts.

    Its streams are pipes of text. ``env`` changes this process's environment; None takes a variable away.
    However the block ends, the child is dead and reaped and its pipes are closed afterwards. One that should
    come to its own end is waited for in the block: ``out, err = child.communicate(timeout=10)``.
    """
    with run_command(sys.executable, "-c", textwrap.dedent(code), *args, env=env, cwd=cwd) as child:
        yield child


@contextmanager
def run_command(
    *command: str, env: Mapping[str, str | None] | None = None, cwd: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run any command as `run_python` runs Python: text pipes, a changed environment, and no survivor."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=changed_environment(env or {}),
        cwd=cwd,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        close_pipes(child)


def changed_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return a copy of this process's environment with ``changes``, where None takes a variable away."""
    kept = {name: value for name, value in os.environ.items() if name not in changes}
    return kept | {name: value for name, value in changes.items() if value is not None}


def close_pipes(child: subprocess.Popen[str]) -> None:
    """Close a dead child's pipes, also when what was written to its standard input could not be delivered."""
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is None:
            continue
        try:
            pipe.close()
        except BrokenPipeError:
            # Closing flushes, and who should have read it is dead. The descriptor is closed all the same.
            continue
