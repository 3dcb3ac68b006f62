"""Every recorded event is counted exactly once, whoever is killed and whenever."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics.hub import Hub
from tests.journals import now_ms
from tests.system.processes import (
    PATIENCE,
    agent,
    counts,
    end,
    figures,
    hear,
    journal,
    journal_of_the_dead,
    kill,
    line,
    tell,
    tool_line,
)
from tests.waiting import wait_until

TOOLS = 7
DURATION_MS = 1.5

WRITER = """
acknowledged = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
name, events = sys.argv[2], int(sys.argv[3])
say("ready")
hear()
p.record_agent_start(name)
for number in range(events):
    p.record_tool_execution(f"tool-{number % 7}", name, "ok" if number % 10 else "error", 1.5)
    os.write(acknowledged, b".")
p.record_agent_complete(name)
"""

READER = """
import json, select
path, generations, wrong = sys.argv[1], [], []
say("ready")
while not select.select([0], [], [], 0)[0]:
    try:
        with open(path, "rb") as file:
            generations.append(json.loads(file.read())["generation"])
    except FileNotFoundError:
        if generations:
            wrong.append("it was not there")
    except ValueError as error:
        wrong.append(str(error))
steps = [later - earlier for earlier, later in zip(generations, generations[1:])]
say(json.dumps({"reads": len(generations), "wrong": wrong[:5], "back": sum(step < 0 for step in steps)}))
"""

FOLDER = """
import random, select
from pyjama_metrics.hub import Hub
chance, killed = random.Random(int(sys.argv[2])), 0
say("ready")
while not select.select([0], [], [], 0)[0]:
    child = os.fork()
    if not child:
        hub = Hub(sys.argv[1])
        while True:
            hub.fold(None, max_bytes=100_000)
    select.select([0], [], [], chance.uniform(0.001, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    killed += 1
say(killed)
"""


def test_every_event_is_counted_exactly_once_under_kills(home: Path, tmp_path: Path) -> None:
    """Of 12 processes a third is killed at random moments, folding ones too; at most the call in flight counts beyond."""
    storm(home, tmp_path, writers=12, events=600, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(5))
def test_every_event_of_64_000_is_counted_exactly_once_under_kills(home: Path, tmp_path: Path, seed: int) -> None:
    """The same with 32 processes of 2,000 events each."""
    storm(home, tmp_path, writers=32, events=2_000, seed=seed)


def storm(home: Path, tmp_path: Path, *, writers: int, events: int, seed: int) -> None:
    """Let ``writers`` processes record while some of them and many folding ones are killed; then compare every sum."""
    chance = random.Random(seed)
    names = [f"agent-{number}" for number in range(writers)]
    # A victim has no last event: it records until it is killed.
    victims = {name: chance.randrange(1, events) for name in chance.sample(names, writers // 3)}
    to_kill = set(victims)
    files = {name: tmp_path / f"{name}.acknowledged" for name in names}
    with ExitStack() as stack:
        started = {
            name: stack.enter_context(agent(WRITER, files[name], name, 10**9 if name in victims else events)) for name in names
        }
        reader = stack.enter_context(agent(READER, home / "metrics.json"))
        folders = [stack.enter_context(agent(FOLDER, home, number)) for number in range(2)]
        for child in (*started.values(), reader, *folders):
            assert hear(child) == "ready"
        for child in started.values():
            tell(child)
        wait_until(lambda: not strike(started, files, victims), 120.0, "the victims to be killed")
        for child in started.values():
            child.wait(timeout=120)
        assert_a_good_reader(reader)
        for child in folders:
            tell(child)
            assert int(hear(child)) > 0
            end(child)
    returned = {name: files[name].stat().st_size for name in names}
    assert_exact(figures(home), returned, to_kill)


def strike(children: dict[str, subprocess.Popen[str]], files: dict[str, Path], victims: dict[str, int]) -> dict[str, int]:
    """Kill those victims that have come as far as they may; the ones that are left."""
    for name, at in list(victims.items()):
        if children[name].poll() is not None or (files[name].exists() and files[name].stat().st_size >= at):
            kill(children[name])
            del victims[name]
    return victims


def assert_a_good_reader(reader: subprocess.Popen[str]) -> None:
    """What was read in a tight loop, without a lock, was whole each time, and never older than before."""
    tell(reader)
    seen = json.loads(hear(reader))
    assert (seen["wrong"], seen["back"]) == ([], 0)
    assert seen["reads"] > 100


def assert_exact(state: dict[str, Any], returned: dict[str, int], killed: set[str]) -> None:
    """Compare each agent with what its calls returned, and the sums over tools and over all with the agents."""
    counted = {name: state["agents"].get(name, {"count": 0})["count"] for name in returned}
    beyond = {name: counted[name] - returned[name] for name in returned}
    assert {name: n for name, n in beyond.items() if not 0 <= n <= (name in killed)} == {}
    for name, count in counted.items():
        if count:
            assert tallies_of(state["agents"][name]["tools"]) == tallies_of_first(count)
    total = sum(counted.values())
    overall = state["global"]
    errors = sum(len(range(0, count, 10)) for count in counted.values())
    assert (overall["count"], overall["error"], overall["success"]) == (total, errors, total - errors)
    assert (overall["total-duration"], overall["histogram"]["n"]) == (total * DURATION_MS, total)
    assert {tool: tally["count"] for tool, tally in state["tools"].items()} == {
        f"tool-{tool}": sum(len(range(tool, count, TOOLS)) for count in counted.values()) for tool in range(TOOLS)
    }
    runs = state["runs"]
    assert (runs["completed"], runs["crashed"]) == (len(returned) - len(killed), len(killed))
    # A line that crosses a page may be torn by the kill; nothing else is ever malformed.
    malformed = state["problems"].pop("malformed-lines")
    assert malformed <= len(killed)
    assert set(state["problems"].values()) == {0}


def tallies_of(tools: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """(count, errors) of each tool."""
    return {name: (tally["count"], tally["error"]) for name, tally in tools.items()}


def tallies_of_first(count: int) -> dict[str, tuple[int, int]]:
    """(count, errors) of each tool after the first ``count`` calls of a writer: what is counted has no gap."""
    expected: dict[str, tuple[int, int]] = {}
    for number in range(count):
        calls, errors = expected.get(f"tool-{number % TOOLS}", (0, 0))
        expected[f"tool-{number % TOOLS}"] = calls + 1, errors + (number % 10 == 0)
    return expected


# -- a fold that dies at each of its steps ------------------------------------------------------------------------------

STEPS = ("write", "replace", "link", "unlink", "rename", "fsync", "ftruncate")
"""The calls by which a fold changes files; a statement of its database is one, too."""


@contextmanager
def dying_at(step: int) -> Iterator[None]:
    """In this process, die by SIGKILL at the n-th call that changes files: a write half way, anything else just before.

    Before each statement of a database, too: between any two of them, and before the last, which makes them count.
    """
    left = step

    def deadly(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                if name == "write":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return call

    def connected(*args: Any, **options: Any) -> sqlite3.Connection:
        database = connect(*args, **options)
        database.set_trace_callback(deadly("statement", lambda _: None))
        return database

    connect = sqlite3.connect
    sqlite3.connect = connected  # type: ignore[assignment]
    for name in STEPS:
        setattr(os, name, deadly(name, getattr(os, name)))
    yield


def fold_dying_at(home: Path, step: int, act: Callable[[Hub], object] = Hub.fold) -> bool:
    """Fold in a forked process that is killed at its n-th step; whether it came to its end before.

    The figures alone: `test_history_exactly_once` walks through both projections.
    """
    child = os.fork()
    if not child:
        try:
            os.environ["PYJAMA_HISTORY"] = "0"
            with dying_at(step):
                act(Hub(str(home)))
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status == 0


def test_a_first_fold_killed_at_any_of_its_steps_loses_nothing(home: Path, tmp_path: Path) -> None:
    """Where there is no snapshot yet, a fold that dies half way is repeated by the next one, from the beginning."""
    for step in range(50):
        hub = tmp_path / f"hub-{step}"
        with journal(hub) as written:
            written.append(tool_line() * 3)
            survived = fold_dying_at(hub, step)
            assert (step, figures(hub)["global"]["count"]) == (step, 3)
        if survived:
            break
    assert survived
    assert step > 3


def test_a_later_fold_killed_at_any_of_its_steps_loses_and_doubles_nothing(home: Path) -> None:
    """State and offsets move together, so what a killed fold had read is read again, or was counted."""
    with journal(home) as written:
        written.append(tool_line())
        assert figures(home)["global"]["count"] == 1
        for step in range(50):
            written.append(tool_line())
            survived = fold_dying_at(home, step)
            assert (step, figures(home)["global"]["count"]) == (step, step + 2)
            if survived:
                break
    assert survived
    assert step > 3


def test_a_fold_killed_while_it_tells_a_death_tells_it_once_in_the_end(home: Path, tmp_path: Path) -> None:
    """The crash line is written by halves, or not at all, or its fold dies after it: one crash, and no figure is off."""
    for step in range(50):
        hub = tmp_path / f"hub-{step}"
        journal_of_the_dead(hub, "dead-1-1", line("start", agent="a", run="dead-1-1.1") + tool_line(run="dead-1-1.1"))
        survived = fold_dying_at(hub, step)
        state = figures(hub)
        assert (step, state["runs"]["crashed"], counts(state)) == (step, 1, {"a": 1})
        if survived:
            break
    assert survived
    assert step > 3


def test_a_clear_killed_at_any_of_its_steps_clears_or_does_not(home: Path, tmp_path: Path) -> None:
    """After it the figures are the old ones or none; what is recorded later comes on top, once."""
    for step in range(50):
        hub = tmp_path / f"hub-{step}"
        with journal(hub) as written:
            written.append(tool_line() * 3)
            figures(hub)
            survived = fold_dying_at(hub, step, Hub.clear)
            before = figures(hub)["global"]["count"]
            written.append(tool_line() * 2)
            assert (step, figures(hub)["global"]["count"]) == (step, before + 2)
            assert before in (0, 3)
        if survived:
            break
    assert survived
    assert before == 0


def llm_line(agent: str, request: str, output: int) -> bytes:
    """One telling of a model call, of just now; it is charged to the first of the agents by name."""
    fields = {"model": "claude-opus-4-8", "request-id": request, "input-tokens": 1000, "output-tokens": output}
    return line("llm", agent=agent, time=LLM_TIME_MS, **fields)


LLM_TIME_MS = now_ms()


def calls(state: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """(calls, output tokens) of each agent, and of all; by the sums and by the ledger, which are the same."""
    found = {}
    for name, part in [("all", state), *state["agents"].items()]:
        rows = [sum(column) for column in zip(*part["ledger"].values(), strict=True)] or [0] * 8
        assert (rows[0], rows[2]) == (part["tokens"]["requests"], part["tokens"]["output-tokens"])
        found[name] = rows[0], rows[2]
    return found


def test_a_call_told_many_times_counts_once_wherever_a_fold_is_killed(home: Path, tmp_path: Path) -> None:
    """Its answer grows, and a copy of it is charged to its first owner; the dead fold had read some of it, or all."""
    for step in range(100):
        hub = tmp_path / f"hub-{step}"
        with journal(hub) as written:
            written.append(llm_line("b", "r1", 5) + llm_line("b", "r2", 7))
            assert calls(figures(hub))["b"] == (2, 12)
            written.append(llm_line("b", "r1", 9) + llm_line("a", "r2", 7) + llm_line("b", "r3", 1))
            survived = fold_dying_at(hub, step)
            # What comes before the next fold, and is read with what the dead one had read.
            written.append(llm_line("b", "r1", 11) + llm_line("c", "r3", 1))
            assert (step, calls(figures(hub))) == (step, {"all": (3, 19), "a": (1, 7), "b": (2, 12), "c": (0, 0)})
            written.append(llm_line("b", "r1", 2) + llm_line("b", "r2", 8) + llm_line("b", "r3", 1))
            assert (step, calls(figures(hub))) == (step, {"all": (3, 20), "a": (1, 8), "b": (2, 12), "c": (0, 0)})
        if survived:
            break
    assert survived
    assert step > 12


def test_a_call_counts_once_when_the_fold_after_a_dead_one_takes_other_events(home: Path, tmp_path: Path) -> None:
    """A fold has a budget: the one after may publish the dead one's generation before it meets the call."""
    for step in range(100):
        hub = tmp_path / f"hub-{step}"
        with journal(hub) as written:
            written.append(tool_line())
            figures(hub)
            written.append(llm_line("a", "r1", 5))
            survived = fold_dying_at(hub, step)
            with journal(hub, "aa-0-0") as before:
                before.append(tool_line() * 600)
                other = Hub(str(hub))
                assert not (report := other.fold(max_bytes=1)).busy
                assert report.events > 0
            assert (step, calls(figures(hub))["all"]) == (step, (1, 5))
        if survived:
            break
    assert survived


def test_a_snapshot_that_is_damaged_after_a_call_was_counted_counts_it_once_again(home: Path) -> None:
    """The generation before has not counted it, and neither have its requests."""
    with journal(home) as written:
        for number, output in enumerate((3, 5, 9)):
            written.append(llm_line("a", "r1", output) + llm_line("a", f"s{number}", 1))
            figures(home)
        (home / "metrics.json").write_bytes(b"damaged")
        assert calls(figures(home))["all"] == (4, 12)
        written.append(llm_line("a", "r1", 10) + llm_line("a", "s2", 2))
        assert calls(figures(home))["all"] == (4, 14)


def test_calls_count_anew_after_the_shared_file_was_removed(home: Path) -> None:
    """The figures are at zero then, so nothing is counted."""
    with journal(home) as written:
        written.append(llm_line("a", "r1", 3))
        figures(home)
        (home / "metrics.json").unlink()
        written.append(llm_line("a", "r1", 5))
        assert calls(figures(home))["all"] == (1, 5)
        written.append(llm_line("a", "r1", 6))
        assert calls(figures(home))["all"] == (1, 6)


def test_a_clear_killed_at_any_of_its_steps_forgets_calls_with_their_figures(home: Path, tmp_path: Path) -> None:
    """What was cleared counts when it is told again, and what was not does not."""
    for step in range(100):
        hub = tmp_path / f"hub-{step}"
        with journal(hub) as written:
            written.append(llm_line("a", "r1", 3) + llm_line("a", "r2", 4))
            figures(hub)
            survived = fold_dying_at(hub, step, Hub.clear)
            before = calls(figures(hub))["all"]
            assert before in ((2, 7), (0, 0))
            written.append(llm_line("a", "r1", 5))
            assert (step, calls(figures(hub))["all"]) == (step, (2, 9) if before[0] else (1, 5))
        if survived:
            break
    assert survived
    assert before == (0, 0)


def test_two_hubs_that_fold_the_same_journals_at_once_count_each_event_once(home: Path) -> None:
    """The fold lock keeps processes apart: four of them fold as fast as they can while one records."""
    folding = """
    import select
    from pyjama_metrics.hub import Hub
    hub = Hub()
    say("ready")
    while not select.select([0], [], [], 0)[0]:
        hub.fold(None)
    """
    with ExitStack() as stack:
        children = [stack.enter_context(agent(folding)) for _ in range(4)]
        for child in children:
            assert hear(child) == "ready"
        with journal(home) as written:
            for _ in range(2_000):
                written.append(tool_line())
            wait_until(lambda: Hub(str(home)).read(fresh=False)["global"]["count"] >= 2_000, PATIENCE, "all to be folded")
        for child in children:
            tell(child)
            end(child)
    assert figures(home)["global"]["count"] == 2_000
