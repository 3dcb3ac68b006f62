"""Threads, tasks, forks, every kind of child, signals and the end of the interpreter: each event counts, for whom it should."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.system.processes import agent, counts, end, figures, hear, kill, run_to_end, tell, wait_for_status


def test_threads_record_all_their_events(home: Path) -> None:
    """Eight threads, for one agent and for one each, from the very first event on."""
    run_to_end("""
    import threading
    begin = threading.Barrier(8)
    def work(number):
        begin.wait()
        p.record_agent_start(f"own-{number}")
        for i in range(2000):
            p.record_tool_execution("t", "shared" if i % 2 else f"own-{number}", "ok", 1.0)
        p.record_agent_complete(f"own-{number}")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    """)
    state = figures(home)
    assert counts(state) == {"shared": 8000, **{f"own-{number}": 1000 for number in range(8)}}
    assert (state["runs"]["started"], state["runs"]["completed"], set(state["problems"].values())) == (8, 8, {0})


def test_tasks_know_whose_they_are(home: Path) -> None:
    """Fifty asyncio agents run interleaved; each tool call belongs to the agent whose task made it."""
    run_to_end("""
    import asyncio
    @p.track_tool("think")
    async def think():
        await asyncio.sleep(0)
    async def work(name):
        async with p.track_agent(name):
            for _ in range(20):
                await think()
            await asyncio.gather(think(), think())
    async def main():
        await asyncio.gather(*(work(f"agent-{number}") for number in range(50)))
    asyncio.run(main())
    """)
    state = figures(home)
    assert counts(state) == {f"agent-{number}": 22 for number in range(50)}
    assert {run["tally"]["count"] for agent in state["agents"].values() for run in agent["runs"].values()} == {22}


def test_children_of_fork_record_for_themselves(home: Path) -> None:
    """Also a child of a child, and one that ends past all finalizers; each writes a journal of its own."""
    run_to_end("""
    p.record_agent_start("parent")
    p.record_tool_execution("t", "parent")
    for number in range(3):
        child = os.fork()
        if not child:
            p.record_agent_start(f"child-{number}")
            for _ in range(100): p.record_tool_execution("t", f"child-{number}")
            grandchild = os.fork()
            if not grandchild:
                p.record_tool_execution("t", "grandchild")
                os._exit(0)
            os.waitpid(grandchild, 0)
            p.record_agent_complete(f"child-{number}")
            os._exit(0)
        p.record_tool_execution("t", "parent")
        assert os.waitpid(child, 0)[1] == 0
    p.record_agent_complete("parent")
    """)
    state = figures(home)
    assert counts(state) == {"parent": 4, "child-0": 100, "child-1": 100, "child-2": 100, "grandchild": 3}
    run = state["agents"]["parent"]["latest-run"]
    assert {state["agents"][f"child-{number}"]["parent"] for number in range(3)} == {run}
    assert (state["runs"]["completed"], state["runs"]["crashed"]) == (4, 0)


def test_a_fork_at_any_moment_of_the_background_threads_start_is_safe(home: Path) -> None:
    """While the thread imports, a child must not wait for ever for what it left half done, nor anybody complain."""
    run_to_end("""
    import time
    def spend(seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until: pass
    for step in range(16):
        middle = os.fork()
        if not middle:
            p.record_tool_execution("t", "a")
            spend(0.04 + step * 0.01)
            child = os.fork()
            if not child:
                signal.alarm(20)  # kills a child that hangs
                p.record_tool_execution("t", "a")
                os._exit(0 if p.flush(10) else 7)
            os._exit(os.waitpid(child, 0)[1] and 1)
        assert os.waitpid(middle, 0)[1] == 0, step
    """)
    assert counts(figures(home)) == {"a": 32}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_are_counted_and_know_their_parent(home: Path, tmp_path: Path, method: str) -> None:
    """However they are started; their last events are there when they have ended, and their runs are over."""
    (tmp_path / "worker.py").write_text(
        "import pyjama_metrics as p\n"
        "def work(name):\n"
        "    p.record_agent_start(name)\n"
        "    for _ in range(50): p.record_tool_execution('t', name, 'ok', 1.0)\n"
    )
    run_to_end(
        """
        import multiprocessing
        sys.path.insert(0, sys.argv[1])
        import worker
        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[2])
            p.record_agent_start("parent")
            children = [context.Process(target=worker.work, args=(f"child-{n}",)) for n in range(4)]
            for child in children: child.start()
            for child in children: child.join()
            assert [child.exitcode for child in children] == [0] * 4
            p.record_agent_complete("parent")
        """,
        tmp_path,
        method,
    )
    state = figures(home)
    children = [state["agents"][f"child-{number}"] for number in range(4)]
    assert {(child["count"], child["status"]) for child in children} == {(50, "stopped")}
    assert {child["parent"] for child in children} == {state["agents"]["parent"]["latest-run"]}


def test_a_pool_of_forked_workers_loses_nothing(home: Path) -> None:
    """A pool ends its workers by SIGTERM; what their calls returned is there."""
    run_to_end("""
    import multiprocessing
    def work(number):
        p.record_tool_execution("t", "worker", "ok", 1.0)
        return number
    p.record_tool_execution("t", "parent")
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert sum(pool.imap_unordered(work, range(500))) == 124750
    """)
    assert counts(figures(home)) == {"parent": 1, "worker": 500}


def test_a_subprocess_is_the_child_of_the_run_that_started_it(home: Path) -> None:
    """Without a line of code, through any number of programs that know nothing of us; and not any more when the run is over."""
    run_to_end("""
    import subprocess
    child = "import sys, pyjama_metrics as p; p.record_agent_start(sys.argv[1]); p.record_tool_execution('t', sys.argv[1])"
    def start(name):
        subprocess.run(["sh", "-c", 'exec "$@"', "sh", sys.executable, "-c", child, name], check=True)
    p.record_agent_start("parent")
    start("child")
    p.record_agent_start("inner", parent="parent")
    start("grandchild")
    p.record_agent_complete("inner")
    start("second child")
    p.record_agent_complete("parent")
    start("stranger")
    """)
    state = figures(home)
    parents = {name: found["parent-agent"] for name, found in state["agents"].items()}
    expected = {"parent": None, "child": "parent", "inner": "parent", "grandchild": "inner", "second child": "parent"}
    assert parents == {**expected, "stranger": None}
    assert state["agents"]["child"]["parent"] == state["agents"]["parent"]["latest-run"]


def test_when_one_of_two_agents_of_a_process_ends_subprocesses_are_the_others(home: Path) -> None:
    """While both run a subprocess could be either's; then it is clear again."""
    run_to_end("""
    import subprocess
    def start(name):
        child = "import sys, pyjama_metrics as p; p.record_agent_start(sys.argv[1])"
        subprocess.run([sys.executable, "-c", child, name], check=True)
    p.record_agent_start("one")
    p.record_agent_start("other")
    start("of either")
    p.record_agent_complete("other")
    start("of one")
    """)
    state = figures(home)
    assert [state["agents"][name]["parent-agent"] for name in ("of either", "of one")] == [None, "one"]


def test_one_process_that_runs_several_agents_says_whose_child_a_subprocess_is(home: Path) -> None:
    """``child_env`` of each."""
    run_to_end("""
    import subprocess
    child = "import sys, pyjama_metrics as p; p.record_agent_start(sys.argv[1])"
    for name in ("left", "right"): p.record_agent_start(name)
    for name in ("left", "right"):
        subprocess.run([sys.executable, "-c", child, f"of {name}"], env=p.child_env(name), check=True)
    """)
    state = figures(home)
    assert {name: state["agents"][f"of {name}"]["parent-agent"] for name in ("left", "right")} == {
        "left": "left",
        "right": "right",
    }


# -- calls in the middle of calls -------------------------------------------------------------------------------------


def test_a_signal_handler_may_record(home: Path) -> None:
    """Signals come all the while, also in the middle of a call; whatever returned is counted."""
    said = run_to_end("""
    handled = 0
    def handler(*_):
        global handled
        p.record_tool_execution("signal", "a", "ok", 1.0)
        p.record_agent_activity("a")
        handled += 1
    p.record_tool_execution, p.record_agent_activity  # a module that is only half loaded cannot be called
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    for i in range(20000):
        p.record_tool_execution("t", "a", "ok", 1.0)
        if i % 10 == 0: p.record_message("a", "user")
    signal.setitimer(signal.ITIMER_REAL, 0)
    say(handled, p.lost_events())
    """)
    handled, lost = map(int, said.split())
    state = figures(home)
    assert (state["tools"]["t"]["count"], state["tools"]["signal"]["count"], lost) == (20000, handled, 0)
    assert handled > 10


NESTED = """
import sys, threading
from pyjama_metrics import recording
p.record_tool_execution, p.record_agent_start, p.record_agent_complete  # load
if {warm}: p.record_message("a", "user")
nested, here = 0, threading.get_ident()

def fold_begins():
    if recording._recording and recording._recording.background:
        recording._recording.background.pending = False  # as the folding thread does at any moment

def trace(frame, event, argument):
    global nested
    if threading.get_ident() != here or "importlib" in frame.f_code.co_filename:
        return None
    if event == "line" and nested < 2000 and lines.setdefault((frame.f_code, frame.f_lineno), 0) < 2:
        lines[frame.f_code, frame.f_lineno] += 1
        nested += 1
        fold_begins()
        p.record_tool_execution("nested", "a", "ok", 1.0)
        fold_begins()
    return trace

lines = {{}}
signal.alarm(30)  # kills a process that waits for itself
sys.settrace(trace)
p.record_agent_start("a")
p.record_tool_execution("t", "a", "ok", 1.0)
p.record_tool_execution("t", "a", "ok", 1.0)
p.record_agent_complete("a")
sys.settrace(None)
say(nested, p.lost_events())
"""


def test_a_call_may_be_interrupted_by_another_one_at_any_line(home: Path) -> None:
    """By a signal's handler, or a ``__del__``: neither waits for the other, and both count."""
    nested, lost = map(int, run_to_end(NESTED.format(warm=True)).split())
    tools = figures(home)["tools"]
    assert (tools["t"]["count"], tools["nested"]["count"], lost) == (2, nested, 0)
    assert nested > 100


def test_the_very_first_call_may_be_interrupted_too(home: Path) -> None:
    """While the journal is being opened another call finds none: it is recorded when there is one."""
    nested, lost = map(int, run_to_end(NESTED.format(warm=False)).split())
    tools = figures(home)["tools"]
    assert (tools["t"]["count"], tools["nested"]["count"], lost) == (2, nested, 0)


def test_objects_may_record_when_the_garbage_collector_ends_them(home: Path) -> None:
    """In the middle of anything, in any thread."""
    run_to_end("""
    import gc, threading
    class Late:
        def __init__(self): self.me = self
        def __del__(self): p.record_tool_execution("late", "a", "ok", 1.0)
    gc.set_threshold(20)
    def work():
        for _ in range(500):
            Late()
            p.record_tool_execution("t", "a", "ok", 1.0)
            p.record_message("a", "user")
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    gc.collect()
    """)
    tools = figures(home)["tools"]
    assert (tools["t"]["count"], tools["late"]["count"]) == (2000, 2000)


def test_objects_that_live_until_the_very_end_may_record(home: Path) -> None:
    """After the recorder's own end, in an interpreter that is being taken apart: the event counts, and nothing hangs."""
    run_to_end("""
    import atexit
    class Late:
        def __init__(self, name): self.name = name
        def __del__(self): p.record_tool_execution(self.name, "a", "ok", 1.0)
    atexit.register(p.record_tool_execution, "before our end", "a")
    in_a_global = Late("global")
    in_a_cycle = Late("cycle")
    in_a_cycle.me = in_a_cycle
    p.record_tool_execution("t", "a")
    del in_a_cycle
    atexit.register(p.record_tool_execution, "first", "a")
    """)
    assert set(figures(home)["tools"]) == {"t", "first", "before our end", "global", "cycle"}


def test_an_object_that_records_after_the_recorders_end_does_not_hold_up_the_interpreters(home: Path) -> None:
    """A thread that is started then would never begin to run: none is started, and none waited for."""
    run_to_end("""
    import gc
    gc.set_threshold(1_000_000)  # the object is found when the interpreter ends, and not before
    class Late:
        def __del__(self): p.record_tool_execution("late", "a", "ok", 1.0)
    late = Late()
    late.me = late
    del late
    p.record_tool_execution("t", "a")
    """)
    assert set(figures(home)["tools"]) == {"t", "late"}


# -- programs that change under us ------------------------------------------------------------------------------------


def test_a_process_that_becomes_another_program_keeps_what_it_recorded(home: Path) -> None:
    """Nothing of ours is open in the program that it executes; what that one records is its own."""
    code = """
    p.record_agent_start("before")
    for _ in range(100): p.record_tool_execution("t", "before")
    after = "import os, pyjama_metrics as p; p.record_tool_execution('t', 'after'); print(*os.listdir('/proc/self/fd'))"
    os.execv(sys.executable, [sys.executable, "-c", after])
    """
    open_in_the_other = {int(name) for name in run_to_end(code).split()}
    wait_for_status(home, "before", "crashed")
    assert counts(figures(home)) == {"before": 100, "after": 1}
    assert len([name for name in open_in_the_other if name >= 200]) == 1  # its own journal, not ours


def test_a_daemon_that_closes_all_descriptors_loses_nothing(home: Path) -> None:
    """Once, twice, in the middle of recording: the next event opens a new segment; no other file is written into."""
    with agent(
        """
    p.record_agent_start("daemon")
    for _ in range(3):
        for _ in range(10): p.record_tool_execution("t", "daemon", "ok", 1.0)
        os.closerange(3, 4096)
    precious = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
    for _ in range(10): p.record_message("daemon", "user")
    say(p.lost_events(), os.fstat(precious).st_size)
    hear()
    """,
        home.with_name("precious"),
    ) as daemon:
        assert hear(daemon) == "0 0"
        state = figures(home)
        assert (counts(state), state["messages"], state["agents"]["daemon"]["status"]) == (
            {"daemon": 30},
            {"user": 10},
            "running",
        )
        tell(daemon)
        end(daemon)
    assert figures(home)["agents"]["daemon"]["status"] == "stopped"


def test_a_program_that_daemonises_records_on(home: Path) -> None:
    """Fork, new session, fork, close everything: the run that the daemon starts is its own, and its death is seen."""
    with agent("""
    p.record_agent_start("launcher")
    reading, writing = os.pipe()
    if not os.fork():
        os.setsid()
        if not os.fork():
            os.closerange(3, writing)
            os.closerange(writing + 1, 4096)
            p.record_agent_start("daemon")
            for _ in range(10): p.record_tool_execution("t", "daemon")
            signal.alarm(60)
            os.write(writing, str(os.getpid()).encode())
            signal.pause()
        os._exit(0)
    os.wait()
    say(os.read(reading, 20).decode())
    """) as launcher:
        daemon = int(hear(launcher))
        try:
            assert launcher.wait(30) == 0  # its streams stay open, as the daemon has them
            state = figures(home)
            assert (counts(state), state["agents"]["daemon"]["status"]) == ({"launcher": 0, "daemon": 10}, "running")
            assert state["agents"]["launcher"]["status"] == "stopped"
        finally:
            os.kill(daemon, signal.SIGKILL)
    wait_for_status(home, "daemon", "crashed")


def started(child: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """The child, when it is ready: the next one then starts later."""
    assert hear(child) == "ready"
    return child


def test_two_processes_may_run_the_same_agent(home: Path) -> None:
    """The agent runs while any of its runs does, and counts the executions of both."""
    code = "p.record_agent_start('a')\nfor _ in range(10): p.record_tool_execution('t', 'a')\nsay('ready'); hear()"
    with ExitStack() as stack:
        one, other = (started(stack.enter_context(agent(code))) for _ in range(2))
        kill(one)
        state = figures(home)
        assert (counts(state), state["agents"]["a"]["status"], len(state["agents"]["a"]["runs"])) == ({"a": 20}, "running", 2)
        tell(other)
        end(other)
    wait_for_status(home, "a", "stopped")
    assert figures(home)["runs"] == {"started": 2, "completed": 0, "failed": 0, "crashed": 1, "stopped": 1}
