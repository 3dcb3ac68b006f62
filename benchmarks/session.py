"""A whole session of the real Claude Code with our hooks, beside the same without: nine tool calls, one subagent, some 34 hooks.

The program comes from npm and asks a scripted model on loopback, one that answers at once, then one that takes 50 ms: while the
program waits for an answer the hooks of tools cost it nothing. Sessions of both kinds take turns.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter, sleep
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
THINKS = 0.05
"""Seconds that the unhurried model takes for an answer."""
ROUNDS, ROUNDS_QUICK = 14, 2
SCRIPT, ANSWERS = "basic", 11


def measure(quick: bool) -> list[Row]:
    """Answer the rows from sessions that take turns."""
    try:
        installed = program("claude", NEWEST)
    except NotHere as reason:
        print(f"session: skipped. {reason}", file=sys.stderr)
        return []
    return [_row(installed, quick, MessagesApi, "at once"), _row(installed, quick, Unhurried, f"after {THINKS * 1000:.0f} ms")]


class Unhurried(MessagesApi):
    """A model that takes some time for each answer, if far less than a real one."""

    def do_POST(self) -> None:
        """Answer, a little later."""
        sleep(THINKS)
        super().do_POST()


def _row(installed: Program, quick: bool, model: type[MessagesApi], when: str) -> Row:
    costs: dict[str, list[float]] = {WITHOUT: [], WITH: []}
    with folder("session") as home, ExitStack() as machines:
        sides = {name: machines.enter_context(machine(home / name, installed, model)) for name in costs}
        sides[WITH].install()
        for side in sides.values():
            seconds(side)  # the program's files are in memory then
        called = len(raw_lines(sides[WITH].hub))
        for at in range(ROUNDS_QUICK if quick else ROUNDS):
            for name in sorted(costs, reverse=bool(at % 2)):
                costs[name].append(seconds(sides[name]))
    value = ratio(costs[WITH], costs[WITHOUT])
    return Row(
        what=f"a session of Claude Code {NEWEST}, {called} hooks, a model that answers {when}",
        ours=Spread.of(costs[WITH], "s"),
        beside="without hooks",
        rival=Spread.of(costs[WITHOUT], "s"),
        measured=f"{value:.2f}×",
        value=value,
        reach=f"≤ {REACH:g}×",
        reached=value <= REACH,
    )


@contextmanager
def machine(home: Path, installed: Program, api: type[MessagesApi]) -> Iterator[ClaudeMachine]:
    """A user's machine in a folder, with a model of its own."""
    home.mkdir()
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    with served(api, str(home / "work")) as model:
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
