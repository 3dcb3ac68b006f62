"""A whole session of the real Claude Code with our hooks, beside the same without: nine tool calls, one subagent, some 34 hooks.

The program comes from npm and asks a scripted model on loopback. Sessions of both kinds take turns.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from bench import main
from interleave import ratio
from rows import Row, Spread
from sandbox import BenchmarkFailed, folder

from tests.integrations.programs import end_folders, folders, raw_lines
from tests.live.messages_api import MessagesApi
from tests.live.model import served
from tests.live.programs import NotHere, Program, program
from tests.live.running import ClaudeMachine
from tests.live.scripts import prompt
from tests.live.versions import NEWEST
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

WITHOUT, WITH = "without", "with"
REACH = 1.25
ROUNDS, ROUNDS_QUICK = 20, 2
SCRIPT, ANSWERS = "basic", 11


def measure(quick: bool) -> list[Row]:
    """Answer the row from sessions that take turns."""
    try:
        installed = program("claude", NEWEST)
    except NotHere as reason:
        print(f"session: skipped. {reason}", file=sys.stderr)
        return []
    costs: dict[str, list[float]] = {WITHOUT: [], WITH: []}
    with folder("session") as home, ExitStack() as machines:
        sides = {name: machines.enter_context(machine(home / name, installed)) for name in costs}
        sides[WITH].install()
        for side in sides.values():
            seconds(side)  # the program's files are in memory then
        called = len(raw_lines(sides[WITH].hub))
        for at in range(ROUNDS_QUICK if quick else ROUNDS):
            for name in sorted(costs, reverse=bool(at % 2)):
                costs[name].append(seconds(sides[name]))
    value = ratio(costs[WITH], costs[WITHOUT])
    return [
        Row(
            what=f"a session of Claude Code {NEWEST}, {called} hooks",
            ours=Spread.of(costs[WITH], "s"),
            beside="without hooks",
            rival=Spread.of(costs[WITHOUT], "s"),
            measured=f"{value:.2f}×",
            value=value,
            reach=f"≤ {REACH:g}×",
            reached=value <= REACH,
        )
    ]


@contextmanager
def machine(home: Path, installed: Program) -> Iterator[ClaudeMachine]:
    """A user's machine in a folder, with a model of its own."""
    home.mkdir()
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    with served(MessagesApi, str(home / "work")) as model:
        made = ClaudeMachine(installed, model, home, home / "hub")
        try:
            yield made
        finally:
            if folders(made.hub):
                end_folders(made.hub)
                wait_until(lambda: not folders(made.hub), what="the end of the process that folds")


def seconds(machine: ClaudeMachine) -> float:
    """How long one session takes, from the start of its process to its end."""
    (machine.work / "notes.txt").unlink(missing_ok=True)
    before = machine.model.truth.answers()
    begin = perf_counter()
    ended = machine.run(prompt(SCRIPT))
    cost = perf_counter() - begin
    if ended.code or machine.model.truth.answers() - before != ANSWERS:
        raise BenchmarkFailed(f"The session ended with {ended.code}: {ended.out}{ended.err}")
    return cost


if __name__ == "__main__":
    sys.exit(main("session", __doc__))
