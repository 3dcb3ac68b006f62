"""The commands as users run them: processes of their own, in a pipe or in a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyjama_metrics
from pyjama_metrics.storage import json
from tests.waiting import changed_environment, close_pipes

PYJAMA = (sys.executable, "-m", "pyjama_metrics")
CHECKOUT = str(Path(pyjama_metrics.__file__).parent.parent)
DEADLINE = 60.0

Environment = Mapping[str, str | None]


ready: ReadyCommands | None = None
"""Where commands are at hand, for tests that are not about how they start."""


def pyjama(*words: str, env: Environment | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``pyjama-metrics`` to its end, with nothing to read: forked from a process that is ready, where there is one."""
    return pyjama_process(*words, env=env) if ready is None else ready.run(*words, env=env)


def pyjama_process(*words: str, env: Environment | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``pyjama-metrics`` to its end as a user does, with nothing to read on stdin and text pipes for its output."""
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


READY = """
    import importlib, json, os, sys, time
    from pyjama_metrics.cli.main import COMMANDS, main
    from pyjama_metrics import hub, recorder
    for command in COMMANDS:
        if command.name not in ("dashboard", "demo"):
            command.module()
    for line in sys.stdin:
        words, answers, folder, environment = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.clear()
            os.environ.update(environment)
            time.tzset()
            os.chdir(folder)
            for descriptor, name in enumerate((os.devnull, *answers)):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
            sys.exit(main(words))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)
"""


class ReadyCommands:
    """``pyjama-metrics`` in processes of their own that are forked from one which has imported everything."""

    def __init__(self, child: subprocess.Popen[str], folder: str) -> None:
        self.child = child
        self.answers = [os.path.join(folder, name) for name in ("out", "err")]

    def run(self, *words: str, env: Environment | None = None) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, with nothing to read, as `pyjama` does: in a tenth of the time.

        Its environment and folder are those of this process now; its parent is the one that has imported everything.
        """
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        wanted = json.dumps([list(words), self.answers, os.getcwd(), environment(env)]).decode()
        print(wanted, file=self.child.stdin, flush=True)
        code = int(self.child.stdout.readline())
        out, err = (Path(name).read_text(errors="surrogateescape") for name in self.answers)
        return subprocess.CompletedProcess(list(words), code, out, err)


@contextmanager
def ready_commands() -> Iterator[ReadyCommands]:
    """Commands for tests that run dozens of them and are not about how they start."""
    with TemporaryDirectory() as folder, started(sys.executable, "-c", textwrap.dedent(READY)) as child:
        yield ReadyCommands(child, folder)


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
