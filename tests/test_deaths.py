"""Nobody stays running after death, and nobody who lives is called dead."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pyjama_metrics.deaths import LOOK_EVERY, OwnerWatch
from pyjama_metrics.hub import Hub
from pyjama_metrics.state import Run
from pyjama_metrics.storage import owners
from tests.journals import event, leave_journal, lines, live_journal, now_ms, on_disk
from tests.waiting import run_python, wait_until

IN_TIME = 2.0
"""Seconds within which a death is to be seen."""
AGENT = """
    import os, subprocess, sys
    from pyjama_metrics import record_agent_start
    record_agent_start("a")
    {more}
    print("started", flush=True)
    input()
"""
LEGACIES = {
    "nothing": "pass",
    "a forked child": "if os.fork() == 0: os.read(0, 1); os._exit(0)",
    "a forked child that records": "if os.fork() == 0: record_agent_start('b'); os.read(0, 1); os._exit(0)",
    "a subprocess": "subprocess.Popen(['cat'], close_fds=False)",
}


def status(hub: Hub, agent: str = "a") -> str:
    """The status of an agent in fresh figures."""
    return hub.read()["agents"][agent]["status"]


def only_run(home: Path) -> Run:
    """The one run in ``metrics.json``."""
    (run,) = on_disk(home)["agents"]["a"]["runs"].values()
    return run


def started(writer: str, time: int = 0) -> dict[str, object]:
    """The start of a writer's run."""
    return event("start", time or now_ms(), run=f"{writer}.1")


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("legacy", LEGACIES)
def test_a_killed_agent_is_crashed_in_time(home: Path, legacy: str) -> None:
    """Also where a child that it forked or started lives on."""
    hub = Hub()
    with run_python(AGENT.format(more=LEGACIES[legacy])) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        assert status(hub) == "running"
        child.kill()
        child.wait()
        wait_until(lambda: status(hub) == "crashed", IN_TIME, "the death to be seen")
        if "records" in legacy:
            assert status(hub, "b") == "running"
    assert on_disk(home)["runs"]["crashed"] == 1


def test_a_zombie_is_dead(home: Path) -> None:
    """Its pid is still there, its lock is not."""
    hub = Hub()
    with run_python(AGENT.format(more="pass")) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        assert status(hub) == "running"
        child.kill()
        wait_until(lambda: owners.process_start(child.pid) is None, what="the zombie")
        assert os.path.exists(f"/proc/{child.pid}")
        wait_until(lambda: status(hub) == "crashed", IN_TIME, "the death to be seen")


def test_a_recycled_pid_does_not_revive_its_former_owner(home: Path) -> None:
    """The process that a journal's header names by pid lives, but it is another one: it started at another time."""
    began = owners.process_start(os.getpid())
    assert began is not None
    leave_journal(home, "w-1-a", started("w-1-a"), pid=os.getpid(), process_start=began - 1)
    assert status(Hub()) == "crashed"


def test_a_process_that_closed_all_its_descriptors_is_alive_until_it_ends(home: Path) -> None:
    """Its lock went with them, but the very process that the journal names is there."""
    hub = Hub()
    with run_python(AGENT.format(more="os.closerange(3, 4096)")) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        for _ in range(2):
            hub._watch = OwnerWatch()
            assert status(hub) == "running"
        child.kill()
        child.wait()
        wait_until(lambda: status(hub) == "crashed", IN_TIME, "the death to be seen")


def test_a_session_whose_pid_was_recycled_is_dead(home: Path) -> None:
    """A session's owner holds no lock: the pid counts only together with the start time."""
    began = owners.process_start(os.getpid())
    assert began is not None
    leave_journal(home, "s-1-a", started("s-1-a"), kind="session", pid=os.getpid(), process_start=began - 1)
    assert status(Hub()) == "crashed"


def test_a_session_whose_owner_lives_is_running_and_crashes_with_it(home: Path) -> None:
    """Though nobody holds the lock of its journal."""
    hub = Hub()
    with run_python("input()") as owner:
        leave_journal(
            home, "s-1-a", started("s-1-a"), kind="session", pid=owner.pid, process_start=owners.process_start(owner.pid)
        )
        assert status(hub) == "running"
        owner.kill()
        wait_until(lambda: status(hub) == "crashed", IN_TIME, "the death to be seen")


@pytest.mark.parametrize(
    "place",
    [
        {"host": "elsewhere", "boot": "another"},
        {"boot": "another"},
        {"kind": "session", "pid_namespace": "pid:[1]"},
        {"kind": "session", "pid": "x"},
    ],
    ids=["another host", "another boot", "another container", "no pid"],
)
def test_where_death_cannot_be_known_the_status_is_unknown(home: Path, place: dict[str, object]) -> None:
    """Never a guess: a free lock or a missing pid proves nothing about another machine."""
    leave_journal(home, "w-1-a", started("w-1-a"), **place)
    assert status(Hub()) == "unknown"
    assert on_disk(home)["runs"]["crashed"] == 0


def test_what_is_unknown_is_told_once(home: Path) -> None:
    """Looking again adds no line and no generation."""
    path = leave_journal(home, "w-1-a", started("w-1-a"), host="elsewhere", boot="another")
    assert status(Hub()) == "unknown"
    size, generation = path.stat().st_size, on_disk(home)["generation"]
    assert status(Hub()) == "unknown"
    assert (path.stat().st_size, on_disk(home)["generation"]) == (size, generation)


def test_an_unknown_run_that_writes_again_is_running(home: Path) -> None:
    """The other machine was only silent."""
    path = leave_journal(home, "w-1-a", started("w-1-a"), host="elsewhere", boot="another")
    assert status(Hub()) == "unknown"
    hub = Hub()
    hub._watch.monotonic = lambda: -1.0  # not yet time to look again
    with path.open("ab") as file:
        file.write(lines(event("activity", now_ms() + 1000, run="w-1-a.1")))
    assert status(hub) == "running"


def test_a_run_whose_journal_is_gone_is_unknown(home: Path) -> None:
    """Nobody can tell any more; a later event of the run undoes that."""
    path = leave_journal(home, "w-1-a", started("w-1-a"), host="elsewhere", boot="another")
    assert status(Hub()) == "unknown"
    state = on_disk(home)
    state["agents"]["a"]["runs"]["w-1-a.1"]["unknown-since"] = None
    state["agents"]["a"]["runs"]["w-1-a.1"]["status"] = state["agents"]["a"]["status"] = "running"
    path.unlink()
    watch = OwnerWatch()
    assert watch.look(state, str(home), now_ms())
    assert state["agents"]["a"]["status"] == "unknown"
    assert not OwnerWatch().look(state, str(home), now_ms())


def test_a_silent_owner_that_lives_is_never_dead(home: Path) -> None:
    """However long it says nothing, and whoever looks."""
    clock = Clock()
    hub = Hub(clock=clock)
    with live_journal(home) as journal:
        journal.append(lines(started("w-1-a", 1_000_000_000)))
        for _ in range(5):
            clock.seconds += 24 * 3600
            hub._watch = OwnerWatch(monotonic=clock)
            hub.fold()
            assert status(Hub(clock=clock)) == "running"


def test_an_owner_that_has_gone_on_to_a_new_segment_is_not_dead(home: Path) -> None:
    """It keeps only its newest segment locked."""
    with live_journal(home) as journal:
        journal.append(lines(started("w-1-a")))
        journal._next_segment()
        assert status(Hub()) == "running"
        assert status(Hub()) == "running"


def test_an_owner_that_moves_to_a_new_segment_during_the_look_is_not_dead(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its old segment is free from the moment in which the new one is there: the folder is read again before anything is said."""
    with live_journal(home) as journal:
        journal.append(lines(started("w-1-a")))
        hub = Hub()
        hub._watch.monotonic = lambda: -1.0
        assert status(hub) == "running"
        state = on_disk(home)
        try_lock = owners.try_lock

        def moving(descriptor: int, *, shared: bool = False) -> bool:
            monkeypatch.setattr(owners, "try_lock", try_lock)
            journal._next_segment()
            return try_lock(descriptor, shared=shared)

        monkeypatch.setattr(owners, "try_lock", moving)
        assert not OwnerWatch().look(state, str(home), now_ms())


def test_a_death_is_told_once_whoever_looks_next(home: Path) -> None:
    """One line in the dead owner's own journal: one crash in every projection."""
    path = leave_journal(home, "w-1-a", started("w-1-a"), event("start", now_ms(), "b", run="w-1-a.2"))
    for _ in range(3):
        Hub().fold()
    assert on_disk(home)["runs"] | {"started": 0} == {"started": 0, "completed": 0, "failed": 0, "crashed": 2, "stopped": 0}
    assert not path.exists() or path.read_bytes().count(b'"crash"') == 2


def test_an_agent_that_completed_before_its_end_has_not_crashed(home: Path) -> None:
    """What it said itself stands."""
    leave_journal(home, "w-1-a", started("w-1-a"), event("complete", now_ms(), run="w-1-a.1"))
    assert status(Hub()) == "completed"


def test_nothing_is_concluded_from_a_journal_that_is_not_read_to_its_end(home: Path) -> None:
    """The completion may be in what is not read yet."""
    path = leave_journal(home, "w-1-a", started("w-1-a"))
    with path.open("ab") as file:
        file.write(lines(event("activity", now_ms(), run="w-1-a.1")) * 2_000 + lines(event("complete", now_ms(), run="w-1-a.1")))
    hub = Hub()
    hub.fold(max_bytes=1000)
    assert b'"crash"' not in path.read_bytes()
    assert status(hub) == "completed"


def test_a_death_found_long_after_is_dated_by_the_last_line(home: Path) -> None:
    """The last thing that the owner wrote is the best that is known about its end."""
    path = leave_journal(home, "w-1-a", started("w-1-a", now_ms() - 60_000))
    last = now_ms() - 30_000
    os.utime(path, (last / 1000, last / 1000))
    Hub().fold()
    assert abs((only_run(home)["end-time"] or 0) - last) < 5


def test_a_death_under_the_eyes_of_a_hub_is_dated_by_the_finding(home: Path) -> None:
    """It was seen alive a moment ago, though it had been silent for an hour."""
    hub = Hub()
    with run_python(AGENT.format(more="pass")) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        assert status(hub) == "running"
        (path,) = home.glob("journal/*.jsonl")
        os.utime(path, (time.time() - 3600, time.time() - 3600))
        child.kill()
        child.wait()
        wait_until(lambda: status(hub) == "crashed", IN_TIME, "the death to be seen")
    assert now_ms() - (only_run(home)["end-time"] or 0) < 10_000


def test_looking_costs_little_however_many_look(home: Path) -> None:
    """A hub looks at most five times a second, and pays with a longer pause for a look that takes long."""
    clock = Clock()
    watch = OwnerWatch(monotonic=clock)
    home.mkdir()
    watch.look(Hub().read(fresh=False), str(home), now_ms())
    assert not watch.is_due
    clock.seconds += LOOK_EVERY
    assert watch.is_due


def test_a_crash_that_the_disk_does_not_take_is_tried_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the line or nothing: no torn line in a dead owner's journal."""
    path = leave_journal(home, "w-1-a", started("w-1-a"))
    hub = Hub()
    hub._watch.monotonic = lambda: -1.0
    assert status(hub) == "running"
    size, write = path.stat().st_size, os.write
    state = on_disk(home)
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
        with pytest.raises(OSError, match="did not take the whole line"):
            OwnerWatch().look(state, str(home), now_ms())
    assert path.stat().st_size == size
    assert status(Hub()) == "crashed"
