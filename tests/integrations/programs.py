"""Programs whose hooks we are: processes with the name of one, which call the launcher as the real ones do."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pyjama_metrics.hub import Hub
from pyjama_metrics.integrations import launcher, starting
from pyjama_metrics.state import State
from tests.waiting import run_python

CAPTURES = Path(__file__).parents[1] / "captures"

PROGRAM = """
import base64, json, os, subprocess, sys, time
with open("/proc/self/comm", "w") as file:
    file.write(sys.argv[1])
print(os.getpid(), flush=True)
for line in sys.stdin:
    command, data = json.loads(line)
    begin = time.perf_counter()
    done = subprocess.run(command, input=base64.b64decode(data), capture_output=True)
    took = time.perf_counter() - begin
    print(json.dumps([done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"), took]), flush=True)
"""


class Answer(NamedTuple):
    """How a hook ended."""

    code: int
    said: str
    seconds: float

    @property
    def is_quiet(self) -> bool:
        """Whether the program may go on as if there had been nothing."""
        return (self.code, self.said) == (0, "")


class Program:
    """A process called ``claude``, say."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        self._child = child
        self.pid = int(child.stdout.readline())

    def run(self, *command: str, data: bytes = b"") -> Answer:
        """Let it run a command with these bytes on its standard input."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        print(json.dumps([command, base64.b64encode(data).decode()]), file=self._child.stdin, flush=True)
        return Answer(*json.loads(self._child.stdout.readline()))

    def hook(self, data: bytes | dict[str, Any], word: str = "claude") -> Answer:
        """Let it call its hook, by the launcher."""
        return self.run(launcher.ensure(), word, data=data if isinstance(data, bytes) else json.dumps(data).encode())


@contextmanager
def program(name: str = "claude", **env: str | None) -> Iterator[Program]:
    """A running program, with changes to its environment; it is gone after the block."""
    with run_python(PROGRAM, name, env=env) as child:
        yield Program(child)


@contextmanager
def somebody_folds(home: Path) -> Iterator[None]:
    """So hooks start nobody; and nothing but them has written in the hub's folder."""
    home.mkdir(mode=0o700, exist_ok=True)
    lock = starting.try_lock(str(home))
    assert lock is not None
    try:
        yield
    finally:
        os.close(lock)


def raw_lines(home: Path) -> list[dict[str, Any]]:
    """The lines of hooks in all journals, in the order in which they were appended."""
    found = []
    for path in sorted((home / "journal").glob("*.jsonl")):
        found += [event for line in path.read_bytes().splitlines() if (event := json.loads(line))["event"] == "hook"]
    return found


def headers(home: Path) -> list[dict[str, Any]]:
    """The first lines of all journals."""
    return [json.loads(path.read_bytes().splitlines()[0]) for path in sorted((home / "journal").glob("*.jsonl"))]


def payload(hook: str = "PreToolUse", session: str = "0a89ce3e-863e-4f1c", **fields: Any) -> dict[str, Any]:
    """What a hook is told."""
    return {"session_id": session, "cwd": "/home/dev/work", "hook_event_name": hook, **fields}


def state_of(home: Path) -> State:
    """What the hub says of it all."""
    return Hub(str(home)).read()


def folders(home: Path) -> list[int]:
    """The processes that fold this hub because a hook has started them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if b"integrations.folder" in (entry / "cmdline").read_bytes():
                mine = f"PYJAMA_HOME={home}".encode() in (entry / "environ").read_bytes().split(b"\0")
                found += [int(entry.name)] if mine else []
        except (OSError, ValueError):
            continue  # no process, another user's, or gone
    return found


def end_folders(home: Path) -> None:
    """Let them leave: the lock that they hold is no use any more."""
    (home / "folder.lock").unlink(missing_ok=True)
