"""The real Claude Code on a terminal, used by a person: questions, refusals, an interruption, a new conversation, the end."""

from __future__ import annotations

import time

import pytest

from tests.live import figures
from tests.live.model import MAIN
from tests.live.running import ClaudeMachine
from tests.live.screens import ENTER, ESCAPE, Screen, on_a_screen
from tests.live.scripts import Tokens, prompt
from tests.live.versions import each_recent_version
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.timeout(60, func_only=True)]

AGENT = "web-shop"


def enter(screen: Screen, text: str) -> None:
    """Type a line; what is typed at once with Enter behind it would be taken for something pasted."""
    screen.forget()
    screen.type(text)
    screen.wait_for(text)
    screen.type(ENTER)


def allow(claude: ClaudeMachine, screen: Screen) -> None:
    """Say yes until it was heard: a question that has just come up does not listen yet."""
    said = [0.0]

    def is_heard() -> bool:
        if time.monotonic() - said[0] > 1:
            said[0] = time.monotonic()
            screen.type(ENTER)
        return (claude.work / "begun").exists()

    wait_until(is_heard, what="the tool")


def told(claude: ClaudeMachine, status: str) -> None:
    """Wait until this is what whoever folds tells of the session."""
    wait_until(lambda: figures.without_us(claude.hub).statuses == {AGENT: status}, what=status)


@each_recent_version
def test_a_person_at_the_terminal(claude: ClaudeMachine) -> None:
    """Each state is told while it is so, and what the person refused was not executed."""
    command = [claude.bin / "claude", "--permission-mode", "default"]
    with on_a_screen(command, claude.environment, claude.work) as (screen, _):
        screen.wait_for("? for shortcuts", "/effort")
        told(claude, "waiting: the next prompt")
        enter(screen, prompt("refused"))
        screen.wait_for("Do you want to proceed?")
        told(claude, "waiting: permission to use Bash")
        screen.type(ESCAPE)
        told(claude, "waiting: the next prompt")
        enter(screen, prompt("text"))
        screen.wait_for("Only words.")
        told(claude, "waiting: the next prompt")
        before = figures.a_minute_later(claude.hub)
        enter(screen, "/clear")
        wait_until(lambda: figures.now(claude.hub).runs == {AGENT: 2}, what="the new conversation")
        enter(screen, prompt("long"))
        screen.wait_for("Do you want to proceed?")
        told(claude, "waiting: permission to use Bash")
        allow(claude, screen)
        # That a permission was given is told by nothing until the tool has ended.
        told(claude, "waiting: permission to use Bash")
        screen.type(ESCAPE)
        told(claude, "waiting: the next prompt")
        enter(screen, "/exit")
        told(claude, "stopped")
    found = figures.a_minute_later(claude.hub)
    truth = claude.model.truth
    assert (before.prompts, before.calls) == (2, {"Bash": (0, 0, 1)})
    assert (found.prompts, found.calls, found.runs) == (3, {"Bash": (0, 0, 2)}, {AGENT: 2})
    by_session = [sum(used.values(), Tokens()) for used in found.sessions.values()]
    assert sorted(by_session) == [Tokens(81, 83, 85, 87), Tokens(71 + 11, 73 + 13, 75 + 17, 77 + 19)]
    assert found.tokens == truth.tokens(MAIN)  # one version also asks for a title, and writes that nowhere
