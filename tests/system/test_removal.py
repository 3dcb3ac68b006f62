"""The figures may be thrown away at any moment, in any way, under whoever records: they start anew, and count what comes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

import pyjama_metrics
from pyjama_metrics.hub import Hub
from tests.system.processes import agent, counts, end, figures, hear, journal, tell, tool_line
from tests.waiting import run_command, wait_until

ON_DEMAND = """
p.record_agent_start("a")
while number := hear():
    for _ in range(int(number)):
        p.record_tool_execution("t", "a")
    p.flush()
    say("done")
"""
"""Records as many executions as it is told to; idle in between."""

WITHOUT_END = """
import select
acknowledged = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
name = sys.argv[2]
say("ready")
while not select.select([0], [], [], 0.0003)[0]:
    p.record_tool_execution("t", name)
    os.write(acknowledged, b".")
hear()
say("stopped")
for _ in range(int(hear())):
    p.record_tool_execution("t", name)
"""
"""Records, and acknowledges each call, until it is told to stop; then, once more, as many as it is told."""


def remove_the_file(home: Path) -> None:
    """``rm metrics.json``: the documented way."""
    (home / "metrics.json").unlink(missing_ok=True)


def remove_all_files(home: Path) -> None:
    """``rm ~/.pyjama/*``: the lock goes too, the journals stay."""
    for path in home.iterdir():
        if path.is_file():
            path.unlink(missing_ok=True)


def remove_the_folder(home: Path) -> None:
    """``rm -rf``, as often as it takes while somebody else is making files in there."""

    def is_gone() -> bool:
        with run_command("rm", "-rf", str(home)) as child:
            child.communicate(timeout=30)
        return child.returncode == 0

    wait_until(is_gone, what="rm -rf to find a moment without new files")


def clear(home: Path) -> None:
    """``clear_metrics()``, from a process that does not record."""
    assert str(home) == Hub().folder
    pyjama_metrics.clear_metrics()


WAYS = (remove_the_file, remove_all_files, remove_the_folder, clear)
every_way = pytest.mark.parametrize("remove", WAYS)


@every_way
def test_figures_start_anew_and_count_what_comes_later(home: Path, remove: Callable[[Path], None]) -> None:
    """Around an agent that is idle at that moment the count is exact: nothing old, everything new, each time."""
    with agent(ON_DEMAND) as child:
        for number in (5, 3, 7, 1):
            tell(child, str(number))
            assert hear(child) == "done"
            assert counts(figures(home)) == {"a": number}
            remove(home)
        tell(child, "2")
        assert hear(child) == "done"
        tell(child, "")
        end(child)
    state = figures(home)
    assert (counts(state), state["global"]["count"], state["tools"]["t"]["count"]) == ({"a": 2}, 2, 2)
    assert set(state["problems"].values()) == {0}


@every_way
def test_nothing_old_comes_back_when_nobody_records(home: Path, remove: Callable[[Path], None]) -> None:
    """All agents have ended; however often it is folded afterwards, there is nothing."""
    with journal(home) as written:
        written.append(tool_line() * 100)
        figures(home)
    remove(home)
    for _ in range(3):
        state = figures(home)
        assert (state["global"]["count"], state["agents"], state["recent-logs"]) == (0, {}, [])


@every_way
def test_an_agent_that_is_running_stays_so(home: Path, remove: Callable[[Path], None]) -> None:
    """Its next event shows it as running, though its start is not told any more."""
    with agent(ON_DEMAND) as child:
        tell(child, "1")
        assert hear(child) == "done"
        remove(home)
        tell(child, "1")
        assert hear(child) == "done"
        assert figures(home)["agents"]["a"]["status"] == "running"
        tell(child, "")
        end(child)
    assert figures(home)["agents"]["a"]["status"] == "stopped"


@every_way
def test_no_event_of_a_busy_agent_is_missing_after_it(home: Path, tmp_path: Path, remove: Callable[[Path], None]) -> None:
    """What returned after the removal is counted; what was in the file some folds before it never comes back."""
    acknowledged = tmp_path / "acknowledged"
    with agent(WITHOUT_END, acknowledged, "a") as child:
        assert hear(child) == "ready"
        hub = Hub(str(home))

        def folded() -> int:
            return hub.read(fresh=False)["global"]["count"]

        for _ in range(4):
            wait_until(folded, what="the first fold")
            generation, old = hub.read(fresh=False)["generation"], folded()
            wait_until(lambda then=generation: hub.read(fresh=False)["generation"] >= then + 3, what="three more folds")
            remove(home)
            removed_at = size(acknowledged)
        tell(child)
        assert hear(child) == "stopped"
        returned = size(acknowledged)
        tell(child, "0")
        end(child)
    count = figures(home)["global"]["count"]
    assert returned - removed_at <= count <= returned - old


def size(path: Path) -> int:
    """How many calls have returned."""
    return path.stat().st_size


def test_agents_go_on_quietly_through_removals_of_every_kind(home: Path, tmp_path: Path) -> None:
    """Three of them record while the figures are thrown away twelve times; none says a word, none loses its later events."""
    names = ["a", "b", "c"]
    with ExitStack() as stack:
        children = {name: stack.enter_context(agent(WITHOUT_END, tmp_path / name, name)) for name in names}
        for child in children.values():
            assert hear(child) == "ready"
        hub = Hub(str(home))
        for remove in WAYS * 3:
            wait_until(lambda: set(names) <= hub.read()["agents"].keys(), what="all agents to be there again")
            remove(home)
        for child in children.values():
            tell(child)
            assert hear(child) == "stopped"
        figures(home)
        clear(home)
        for number, child in enumerate(children.values(), 1):
            tell(child, str(number))
            end(child)
    assert counts(figures(home)) == {"a": 1, "b": 2, "c": 3}


def test_a_folder_removed_while_it_is_folded_is_folded_anew(home: Path) -> None:
    """What the fold has read belongs to the removed folder, and must not appear in the new one."""
    with journal(home) as written:
        written.append(tool_line() * 3)
        fold_with(home, lambda: shutil.rmtree(home))
        assert figures(home)["global"]["count"] == 0
        written.append(tool_line() * 2)
        written.look_after()
        assert figures(home)["global"]["count"] == 2 + 3  # written since the last look, so they may have come after it


def test_a_file_removed_while_it_is_folded_stays_away(home: Path) -> None:
    """The fold that was under way starts from nothing, and so do the figures."""
    with journal(home) as written:
        written.append(tool_line() * 3)
        figures(home)
        written.append(tool_line() * 2)
        fold_with(home, (home / "metrics.json").unlink)
        assert figures(home)["global"]["count"] == 2


def test_a_folder_removed_while_it_is_cleared_is_cleared(home: Path) -> None:
    """Who clears while somebody removes the folder has what he wanted, and sees no error."""
    with journal(home) as written:
        written.append(tool_line() * 3)
        figures(home)
        fold_with(home, lambda: shutil.rmtree(home), Hub.clear)
    assert figures(home)["global"]["count"] == 0


def fold_with(home: Path, meanwhile: Callable[[], object], act: Callable[[Hub], object] = Hub.fold) -> None:
    """Fold; ``meanwhile`` happens once, when it has read the journals and asks for the time to publish."""
    happened = []

    def clock() -> float:
        if not happened and Path(home, "metrics.json.lock").exists():
            happened.append(True)
            meanwhile()
        return 1_800_000_000.0

    act(Hub(str(home), clock=clock))
    assert happened


def test_the_shell_command_clears_under_a_busy_agent(home: Path, tmp_path: Path) -> None:
    """``clear-metrics`` in another process is the same as ``clear_metrics()``."""
    acknowledged = tmp_path / "acknowledged"
    with agent(WITHOUT_END, acknowledged, "a") as child:
        assert hear(child) == "ready"
        hub = Hub(str(home))
        wait_until(lambda: hub.read()["global"]["count"] > 50, what="some events")
        before = size(acknowledged)
        command = "import sys; from pyjama_metrics.cli.main import clear_metrics; sys.exit(clear_metrics())"
        with agent(command) as clearing:
            assert subprocess.Popen.wait(clearing, 30) == 0
        after = size(acknowledged)
        tell(child)
        assert hear(child) == "stopped"
        returned = size(acknowledged)
        tell(child, "0")
        end(child)
    assert returned - after <= figures(home)["global"]["count"] <= returned - before


@pytest.mark.parametrize("attempt", range(5))
def test_the_last_event_before_the_end_counts_although_the_folder_was_removed(home: Path, attempt: int) -> None:
    """Nobody looked between the removal and the end: what was recorded at the very end is there all the same."""
    with agent('p.record_agent_start("a"); p.flush(); say("begun"); hear(); p.record_tool_execution("t", "a")') as child:
        assert hear(child) == "begun"
        shutil.rmtree(home)
        tell(child)
        assert child.wait(30) == 0
    assert pyjama_metrics.read_metrics()["tools"]["t"]["count"] == 1
