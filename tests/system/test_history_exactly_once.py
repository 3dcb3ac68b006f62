"""Every recorded event is in the history exactly once, whoever is killed and whenever."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from pyjama_metrics import agreement
from pyjama_metrics.hub import Hub
from pyjama_metrics.storage.history import follower
from tests.histories import caught_up, contents, executions, rows, usages
from tests.system.processes import agent, end, figures, hear, journal, journal_of_the_dead, kill, line, tell, tool_line
from tests.system.test_exactly_once import dying_at


def dies_at(step: int, act: Callable[[], object]) -> bool:
    """Do something in a forked process that is killed at its n-th step, be it a change of a file or a statement of the
    database's; whether it came to its end before.
    """
    child = os.fork()
    if not child:
        try:
            with dying_at(step):
                act()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status == 0


def request_line(number: int, **fields: object) -> bytes:
    """A model call with a request id."""
    return line("llm", agent="a", model="m", input_tokens=1, cost_micros=1, request_id=f"r-{number}", **fields)


def test_a_first_fold_killed_at_any_step_of_either_projection_loses_nothing(home: Path, tmp_path: Path) -> None:
    """The database is made, its tables, its rows: wherever that ends, the next one finds out what is still to be done."""
    dead = line("start", agent="a", run="dead-1-1.1") + tool_line(run="dead-1-1.1") * 3 + request_line(1) * 2
    for step in range(0, 1000, 3):
        hub = tmp_path / f"hub-{step}"
        journal_of_the_dead(hub, "dead-1-1", dead)
        survived = dies_at(step, lambda hub=hub: Hub(str(hub)).catch_up(5.0))
        assert (step, figures(hub)["global"]["count"]) == (step, 3)
        caught_up(hub)
        assert (step, executions(hub), usages(hub)[0]) == (step, (3, 0, 0), 1)
        assert rows(hub, "SELECT outcome, success FROM runs") == [("crashed", 3)]
        if survived:
            break
    assert survived
    assert step > 60


def test_later_folds_killed_at_any_step_of_either_projection_lose_and_double_nothing(home: Path) -> None:
    """Rows and offsets move together; journals go only when both projections are past them. Told again, a request counts once."""
    with journal(home) as written:
        written.append(tool_line() + request_line(0))
        caught_up(home)
        for step in range(500):
            written.append(tool_line() + request_line(step + 1) + request_line(step))
            if step % 7 == 0:
                written._next_segment()
            survived = dies_at(step, lambda: Hub(str(home)).catch_up(5.0))
            if step % 5 == 0 or survived:
                caught_up(home)
                assert (step, executions(home)[0], usages(home)[0]) == (step, step + 2, step + 2)
                assert figures(home)["global"]["count"] == step + 2
            if survived:
                break
        assert survived
        assert step > 30
        assert usages(home)[-1] == step + 2
        for _ in range(2):
            written.append(tool_line())
            caught_up(home)
        assert len(list((home / "journal").iterdir())) <= 2


def test_clearing_both_killed_at_any_step_leaves_nothing_half_done(home: Path, tmp_path: Path) -> None:
    """The figures are there or not, the history is there or not; what is recorded later comes on top, once, in both."""
    for step in range(0, 300, 2):
        hub = tmp_path / f"hub-{step}"
        with journal(hub) as written:
            written.append(tool_line() * 3)
            caught_up(hub)
            survived = dies_at(step, lambda hub=hub: Hub(str(hub)).clear(history=True))
            caught_up(hub)
            live, past = figures(hub)["global"]["count"], executions(hub)[0]
            assert (live, past) in ((3, 3), (3, 0), (0, 0))
            written.append(tool_line() * 2)
            caught_up(hub)
            assert (step, figures(hub)["global"]["count"], executions(hub)[0]) == (step, live + 2, past + 2)
        if survived:
            break
    assert survived
    assert (live, past) == (0, 0)


FOLDING = """
import os, random, select, signal
from pyjama_metrics.hub import Hub
chance, killed = random.Random(int(sys.argv[2])), 0
say("ready")
while not select.select([0], [], [], 0)[0]:
    child = os.fork()
    if not child:
        hub = Hub(sys.argv[1])
        while True:
            hub.fold(None, max_bytes=100_000)
            hub.history.advance(100_000)
    select.select([0], [], [], chance.uniform(0.005, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    killed += 1
say(killed)
"""

RECORDING = """
name, events = sys.argv[1], int(sys.argv[2])
p.record_agent_start(name)
say("ready")
hear()
for number in range(events):
    p.record_tool_execution(f"tool-{number % 7}", name, "ok" if number % 10 else "error", 1.5)
    if number % 20 == 0:
        p.record_llm_usage("claude-sonnet-4-5", name, input_tokens=3, output_tokens=1, cost_usd=0.000001, request_id=f"r{number}")
p.record_agent_complete(name)
"""


def test_a_storm_of_kills_leaves_history_and_figures_alike(home: Path) -> None:
    """Four processes record, three others project and are killed at random: what the figures count, the history holds."""
    with ExitStack() as stack:
        writers = [stack.enter_context(agent(RECORDING, f"agent-{number}", 3000)) for number in range(4)]
        folding = [stack.enter_context(agent(FOLDING, home, number)) for number in range(3)]
        for child in (*writers, *folding):
            assert hear(child) == "ready"
        for child in writers:
            tell(child)
        for child in writers:
            end(child)
        for child in folding:
            tell(child)
            assert int(hear(child)) > 0
            end(child)
    state = figures(home)
    caught_up(home)
    assert executions(home) == (4 * 2700, 4 * 300, 0)
    assert executions(home)[0] == state["global"]["success"]
    # All four tell of the same requests; the history counts each once.
    assert usages(home)[0] == 150
    assert rows(home, "SELECT outcome, success, errors FROM runs") == [("completed", 2700, 300)] * 4


def test_the_history_does_not_stop_a_fold_while_another_process_holds_it(home: Path) -> None:
    """A process that was stopped in the middle of projecting: the figures go on at once, and after it has ended so does it."""
    holding = """
    from pyjama_metrics.storage.lock import FoldLock
    with FoldLock(sys.argv[1] + "/history.db.lock").held(0):
        say("ready")
        hear()
    """
    with journal(home) as written:
        written.append(tool_line())
        caught_up(home)
        with agent(holding, home) as child:
            assert hear(child) == "ready"
            written.append(tool_line())
            assert figures(home)["global"]["count"] == 2
            assert not Hub(str(home)).catch_up(0.0)
            assert executions(home)[0] == 1
            kill(child)
        caught_up(home)
        assert executions(home)[0] == 2


def test_who_records_projects_as_well(home: Path) -> None:
    """Nobody has to run a dashboard for there to be a history."""
    with agent(RECORDING, "a", 50) as child:
        assert hear(child) == "ready"
        tell(child)
        end(child)
    assert (home / "history.db").exists()
    assert rows(home, "SELECT count(*) FROM offsets")[0][0] >= 1
    assert contents(caught_up(home).folder and home)["runs"][0][4:5] == ("completed",)
    assert follower.PACE >= 1.0


@pytest.mark.parametrize("number", [0, 1])
def test_two_processes_that_project_at_once_write_each_event_once(home: Path, number: int) -> None:
    """One of them does it, the other lets it."""
    folding = """
    import select
    from pyjama_metrics.hub import Hub
    hub = Hub()
    say("ready")
    while not select.select([0], [], [], 0)[0]:
        hub.fold(None)
        hub.history.advance()
    """
    with ExitStack() as stack:
        children = [stack.enter_context(agent(folding)) for _ in range(3)]
        for child in children:
            assert hear(child) == "ready"
        with journal(home) as written:
            for _ in range(1000):
                written.append(tool_line())
            for child in children:
                tell(child)
                end(child)
            caught_up(home)
    assert executions(home)[0] == 1000


def test_totals_are_compared_as_of_one_moment_while_agents_record(home: Path) -> None:
    """Neither has to stand still: both are looked at as of the same lines of the same journals."""
    recording = """
    import select
    p.record_agent_start("a")
    say("ready")
    while not select.select([0], [], [], 0.001)[0]:
        for _ in range(20):
            p.record_tool_execution("t", "a", "ok", 1.5)
        p.record_llm_usage("claude-opus-4-8", "a", input_tokens=3)
    say("done")
    """
    with ExitStack() as stack:
        children = [stack.enter_context(agent(recording)) for _ in range(2)]
        for child in children:
            assert hear(child) == "ready"
        for _ in range(3):
            compared = agreement.compare(Hub(str(home)), 10.0)
            assert [each for each in compared if each.differences] == []
        for child in children:
            tell(child)
            assert hear(child) == "done"
            end(child)
