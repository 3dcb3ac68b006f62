"""A killed agent is shown as crashed within two seconds, and nobody who lives is ever called dead."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pyjama_metrics import events
from pyjama_metrics.hub import Hub
from pyjama_metrics.storage import owners
from tests.system.processes import agent, end, hear, kill, line, status_of, tell, wait_for_status
from tests.waiting import wait_until

AGENT = """
p.record_agent_start("victim")
p.record_tool_execution("t", "victim")
say("recorded")
hear()
"""

OTHER = """
import itertools, select
say("ready")
for number in itertools.count():
    p.record_tool_execution("t", "other")
    if select.select([0], [], [], 0.2)[0]:
        break
"""

LOOKS = 30
"""How many times the hub looks whether the owners live, before a test believes that it never calls one dead."""


def look_often(home: Path, agent_id: str = "victim") -> set[str | None]:
    """The statuses that an agent has while the hub looks ``LOOKS`` times, each time as if the time to look had come."""
    hub, seen = Hub(str(home)), set()
    for _ in range(LOOKS):
        hub._watch._due = 0.0
        seen.add(hub.read()["agents"][agent_id]["status"])
    return seen


def test_a_killed_agent_is_crashed_within_two_seconds_while_another_process_records(home: Path) -> None:
    """Nobody reads, no dashboard is up: the other agent's own folds find out, and the file says so."""
    with agent(OTHER) as other, agent(AGENT) as victim:
        assert (hear(other), hear(victim)) == ("ready", "recorded")
        hub = Hub(str(home))
        wait_until(lambda: "victim" in hub.read(fresh=False)["agents"], what="the victim to be in the file")
        assert hub.read(fresh=False)["agents"]["victim"]["status"] == "running"
        kill(victim)
        wait_until(lambda: hub.read(fresh=False)["agents"]["victim"]["status"] == "crashed", 2.0, "the crash in the file")
        tell(other)
        end(other)


def test_a_killed_agent_is_crashed_within_two_seconds_while_a_hub_is_read(home: Path) -> None:
    """A dashboard alone is enough."""
    with agent(AGENT) as victim:
        assert hear(victim) == "recorded"
        wait_for_status(home, "victim", "running")
        kill(victim)
        wait_for_status(home, "victim", "crashed")
    run = only_run(home)
    assert (run["outcome"], run["tally"]["count"]) == ("crashed", 1)
    assert run["start-time"] <= run["end-time"]


def test_a_killed_agent_is_crashed_though_its_forked_child_lives(home: Path) -> None:
    """A child of fork shares its parent's open files, and must not hold the parent's journal."""
    with agent("""
        p.record_agent_start("victim")
        reading, _ = os.pipe()
        child = os.fork()
        if not child:
            signal.alarm(60)
            say("child", os.getpid())
            os.read(reading, 1)
            os._exit(0)
        hear()
    """) as victim:
        child = int(hear(victim).split()[1])
        try:
            kill(victim)
            wait_for_status(home, "victim", "crashed")
            os.kill(child, 0)  # it does live
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_killed_agent_is_crashed_though_its_subprocess_lives(home: Path) -> None:
    """A subprocess inherits no descriptor of ours."""
    with agent("""
        import subprocess
        p.record_agent_start("victim")
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
        say(child.pid)
        hear()
    """) as victim:
        child = int(hear(victim))
        try:
            kill(victim)
            wait_for_status(home, "victim", "crashed")
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_killed_agent_that_nobody_has_reaped_is_crashed(home: Path) -> None:
    """A zombie still has its pid and its entry in the table of processes."""
    with agent(AGENT) as victim:
        assert hear(victim) == "recorded"
        victim.send_signal(signal.SIGKILL)
        wait_for_status(home, "victim", "crashed")
        assert Path(f"/proc/{victim.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_killed_agent_whose_pid_belongs_to_another_process_now_is_crashed(home: Path) -> None:
    """A journal names a process that lives, but not the one that wrote it: pids come again."""
    mine = os.getpid()
    write_journal(home, "victim-1-1", kind="process", pid=mine, process_start=(owners.process_start(mine) or 0) - 1)
    wait_for_status(home, "victim", "crashed")


def test_an_agent_of_another_boot_is_unknown(home: Path) -> None:
    """Whether it lives cannot be known from here, so no death is made up."""
    write_journal(home, "victim-1-1", kind="process", pid=1, process_start=1, boot="another", host="elsewhere")
    wait_for_status(home, "victim", "unknown")
    assert look_often(home) == {"unknown"}


def write_journal(home: Path, writer: str, *, kind: str, **header: object) -> None:
    """Leave a journal with one running agent, as a process of that header would have left it."""
    folder = home / "journal"
    folder.mkdir(parents=True)
    header = {"host": os.uname().nodename, "boot": owners.boot_id(), **header}
    head = line("writer", format=events.FORMAT, writer=writer, segment=0, kind=kind, **header)
    (folder / f"{writer}.0.jsonl").write_bytes(head + line("start", agent="victim", run=f"{writer}.1"))


def test_an_agent_that_is_silent_but_lives_is_never_called_dead(home: Path) -> None:
    """No heartbeat is needed: it records nothing for as long as it likes, and runs."""
    with agent(AGENT) as silent:
        assert hear(silent) == "recorded"
        assert look_often(home) == {"running"}
        tell(silent)
        end(silent)
    assert status_of(home, "victim") == "stopped"


def test_an_agent_that_is_stopped_like_a_frozen_one_is_never_called_dead(home: Path) -> None:
    """A debugger, a closed laptop lid, Ctrl-Z: a process that does not run still lives."""
    with agent(AGENT) as frozen:
        assert hear(frozen) == "recorded"
        wait_for_status(home, "victim", "running")
        frozen.send_signal(signal.SIGSTOP)
        assert look_often(home) == {"running"}
        frozen.send_signal(signal.SIGCONT)
        tell(frozen)
        end(frozen)


def test_an_agent_whose_child_of_fork_ended_is_not_called_dead(home: Path) -> None:
    """The child closes what it inherited, and by that must not free its parent's lock."""
    with agent("""
        p.record_agent_start("victim")
        for _ in range(5):
            child = os.fork()
            if not child:
                p.record_tool_execution("t", "victim")
                os._exit(0)
            os.waitpid(child, 0)
        say("recorded")
        hear()
    """) as parent:
        assert hear(parent) == "recorded"
        assert look_often(home) == {"running"}
        tell(parent)
        end(parent)
    assert status_of(home, "victim") == "stopped"


def test_a_silent_daemon_that_closed_all_descriptors_is_not_called_dead(home: Path) -> None:
    """Its lock went with its descriptors, but the very process that the journal names still lives."""
    with agent("""
        p.record_agent_start("victim")
        os.closerange(3, 4096)
        say("closed")
        hear()
    """) as daemon:
        assert hear(daemon) == "closed"
        assert look_often(home) == {"running"}
        kill(daemon)
        wait_for_status(home, "victim", "crashed")


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("p.record_agent_complete('victim')", "completed"),
        ("p.record_agent_complete('victim', 'failed', 'no')", "failed"),
        ("sys.exit(0)", "stopped"),
        ("os._exit(0)", "crashed"),
        ("os.abort()", "crashed"),
        ("os.execv('/bin/true', ['true'])", "crashed"),
    ],
)
def test_each_way_to_end_has_its_own_status(home: Path, ending: str, status: str) -> None:
    """Only who could not say how it ended is crashed."""
    with agent(
        f"import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); p.record_agent_start('victim'); {ending}"
    ) as child:
        child.wait(timeout=30)
    wait_for_status(home, "victim", status)


def test_an_agent_that_an_exception_ends_is_failed(home: Path) -> None:
    """And the message is kept; the traceback on stderr is the agent's own."""
    with agent("p.record_agent_start('victim')\nraise ValueError('no such thing')") as child:
        assert "no such thing" in child.communicate(timeout=30)[1]
    wait_for_status(home, "victim", "failed")
    assert only_run(home)["outcome-error"] == "ValueError: no such thing"


def only_run(home: Path) -> dict[str, object]:
    """The one run of the victim."""
    (run,) = Hub(str(home)).read()["agents"]["victim"]["runs"].values()
    return dict(run)


def test_a_crash_is_counted_once_however_many_look(home: Path) -> None:
    """Several hubs look at once, again and again; the run has crashed once, and leaves one log entry."""
    with agent(AGENT) as victim:
        assert hear(victim) == "recorded"
        kill(victim)
    hubs = [Hub(str(home)) for _ in range(3)]
    for _ in range(5):
        for hub in hubs:
            hub._watch._due = 0.0
            hub.fold(None)
    state = hubs[0].read()
    crashes = [entry for entry in state["recent-logs"] if entry["event"] == "crash"]
    assert (state["runs"]["crashed"], len(crashes)) == (1, 1)


def test_a_run_of_a_killed_parent_is_crashed_and_its_childs_goes_on(home: Path) -> None:
    """Each run belongs to the process that started it."""
    with agent("""
        import subprocess
        p.record_agent_start("victim")
        code = "import sys, pyjama_metrics as p; p.record_agent_start('child'); print('up', flush=True); sys.stdin.read()"
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child.stdout.readline()
        say(child.pid)
        hear()
    """) as parent:
        child = int(hear(parent))
        child_descriptor = os.pidfd_open(child)
        try:
            # Its standard input ends with its parent; stopped, it cannot notice.
            os.kill(child, signal.SIGSTOP)
            kill(parent)
            wait_for_status(home, "victim", "crashed")
            assert look_often(home, "child") == {"running"}
        finally:
            signal.pidfd_send_signal(child_descriptor, signal.SIGKILL)
            os.close(child_descriptor)
    wait_for_status(home, "child", "crashed")
