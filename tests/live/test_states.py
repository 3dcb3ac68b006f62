"""What is seen of a real session while it runs, and of how it ended: by itself, by a signal, by a kill."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.live import figures
from tests.live.running import ClaudeMachine
from tests.live.scripts import Tokens, prompt
from tests.live.versions import each_recent_version, each_version
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.timeout(60, func_only=True)]

AGENT = "web-shop"
HELPER = f"{AGENT}/general-purpose"


def seen(hub: Path, **statuses: str) -> None:
    """Wait until agents are told to do that, by whoever folds: the test only reads."""
    wanted = {name.replace("__", "/").replace("_", "-"): status for name, status in statuses.items()}
    wait_until(lambda: wanted.items() <= figures.without_us(hub).statuses.items(), 10, f"{wanted}")


@each_version
def test_it_runs_while_a_tool_runs_and_is_completed_then(claude: ClaudeMachine) -> None:
    """Without anybody who looks: the process that hooks have started folds."""
    with claude.begun(prompt("long")) as (_, child):
        claude.began()
        seen(claude.hub, web_shop="running")
        claude.go_on()
        ended = claude.ended(child)
    assert (ended.code, ended.out) == (0, "At last.\n")
    seen(claude.hub, web_shop="completed")
    wait_until(lambda: figures.without_us(claude.hub).tokens, what="the tokens")
    assert figures.a_minute_later(claude.hub).calls == {"Bash": (1, 0, 0)}


@each_recent_version
def test_a_subagent_runs_beside_its_session(claude: ClaudeMachine) -> None:
    """It is an agent of its own, and a child of the session's run."""
    with claude.begun(prompt("helped")) as (_, child):
        claude.began()
        seen(claude.hub, web_shop="running", web_shop__general_purpose="running")
        claude.go_on()
        assert claude.ended(child).out == "Thanks.\n"
    seen(claude.hub, web_shop="completed", web_shop__general_purpose="completed")
    found = figures.a_minute_later(claude.hub)
    assert found.tokens == claude.model.truth.tokens()
    assert found.calls_of == {AGENT: {"Agent": (1, 0, 0)}, HELPER: {"Bash": (1, 0, 0)}}


@each_version
def test_a_program_that_is_killed_is_crashed_within_five_seconds(claude: ClaudeMachine) -> None:
    """Nobody looks, and no hook tells. What it did until then is counted; the call that it was in was not done."""
    with claude.begun(prompt("long")) as (session, child):
        claude.began()
        seen(claude.hub, web_shop="running")
        child.kill()
        killed = time.monotonic()
        wait_until(lambda: figures.without_us(claude.hub).statuses[AGENT] == "crashed", what="the crash")
        assert time.monotonic() - killed < 5
        child.wait()
    found = figures.a_minute_later(claude.hub)
    assert (found.calls, found.statuses) == ({"Bash": (0, 0, 1)}, {AGENT: "crashed"})
    used = sum(found.sessions[session].values(), Tokens())
    warm_up = Tokens(21, 9) if claude.program.version == "2.0.77" else Tokens()
    assert used == Tokens(81, 83, 85, 87) + warm_up


@each_recent_version
def test_a_killed_session_that_goes_on_runs_again(claude: ClaudeMachine) -> None:
    """As another run of the same agent."""
    with claude.begun(prompt("long")) as (session, child):
        claude.began()
        seen(claude.hub, web_shop="running")
        child.kill()
        seen(claude.hub, web_shop="crashed")
        child.wait()
    assert claude.run(prompt("more"), resumes=session).out == "More words.\n"
    seen(claude.hub, web_shop="completed")
    found = figures.a_minute_later(claude.hub)
    assert (found.runs, found.prompts, list(found.sessions)) == ({AGENT: 2}, 2, [session])


@each_recent_version
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_program_that_is_told_to_leave_was_stopped(claude: ClaudeMachine, number: signal.Signals) -> None:
    """In the middle of a tool."""
    with claude.begun(prompt("long")) as (_, child):
        claude.began()
        seen(claude.hub, web_shop="running")
        child.send_signal(number)
        claude.ended(child)
    found = figures.a_minute_later(claude.hub)
    # One version writes down what came of the command that it ended.
    is_told = claude.program.version == "2.1.329" and number == signal.SIGTERM
    # The other mostly leaves without a word when it is interrupted.
    may_be_silent = claude.program.version == "2.1.197" and number == signal.SIGINT
    assert found.statuses[AGENT] in ("stopped", "crashed" if may_be_silent else "stopped")
    assert (found.calls, found.tokens) == ({"Bash": (0, 1, 0) if is_told else (0, 0, 1)}, claude.model.truth.tokens())
