"""Sessions of the real Claude Code, with the hooks that ``claude install`` puts in: our figures are those of the model's side.

What a program asks by the way (titles, warnings) is in no source of some versions; each test says which of that is expected.
"""

from __future__ import annotations

import pytest

from tests.live import figures
from tests.live.model import MAIN, SUBAGENT, SUMMARISING
from tests.live.running import ClaudeMachine
from tests.live.scripts import Tokens, prompt
from tests.live.versions import each_recent_version, each_version

pytestmark = [pytest.mark.live, pytest.mark.timeout(60, func_only=True)]

AGENT = "web-shop"
KINDS = {"general-purpose": f"{AGENT}/general-purpose", "Explore": f"{AGENT}/Explore"}
WARM_UP = {
    "2.0.77": {"claude-sonnet-4-5-20250929": Tokens(14, 6), "claude-haiku-4-5-20251001": Tokens(7, 3)},
}
"""What a version uses at each start for subagents that nobody asked for. It is in files of their own, and the session's."""
WARM_UPS_ANSWERS = {"2.0.77": 3}


def expected_tokens(claude: ClaudeMachine, starts: int = 1) -> dict[str, Tokens]:
    """What sessions and subagents used, with what a version uses at each of its starts."""
    expected = claude.model.truth.tokens(MAIN, SUBAGENT)
    for model, tokens in WARM_UP.get(claude.program.version, {}).items():
        for _ in range(starts):
            expected[model] = expected.get(model, Tokens()) + tokens
    return expected


def assert_exact(claude: ClaudeMachine, found: figures.Figures, *, prompts: int = 1, starts: int = 1) -> None:
    """Tokens by kind and model, tool calls by name and outcome, prompts and answers are those of the model's side."""
    truth = claude.model.truth
    warm_ups = starts * WARM_UPS_ANSWERS.get(claude.program.version, 0)
    assert found.tokens == expected_tokens(claude, starts)
    assert found.calls == truth.calls()
    assert (found.prompts, found.answers) == (prompts, truth.answers(MAIN, SUBAGENT) + warm_ups)


def subagents(claude: ClaudeMachine, *kinds: str) -> dict[str, int]:
    """How many runs each agent has after one session with subagents of these kinds."""
    if claude.program.version == "1.0.128" and kinds:
        return {AGENT: 1, f"{AGENT}/subagent": 1}  # their lines stand in the session's file, without a name
    return {AGENT: 1} | {f"{AGENT}/{kind}": kinds.count(kind) for kind in kinds}


# -- what happened -------------------------------------------------------------------------------------------------------


def test_the_truth_is_what_the_script_says(claude: ClaudeMachine) -> None:
    """The sums by hand: all other tests compare with what the model wrote down."""
    claude.run(prompt("basic"))
    found = figures.a_minute_later(claude.hub)
    assert list(found.tokens.values()) == [Tokens(987, 410, 19345, 3979)]
    assert found.calls == {
        "Bash": (2, 1, 0),
        "Write": (1, 0, 0),
        "Read": (1, 2, 0),
        "Edit": (1, 0, 0),
        "Agent": (1, 0, 0),
    }
    assert (found.prompts, found.answers) == (1, 11)
    assert list(found.tokens.values()) == list(claude.model.truth.tokens().values())
    assert found.calls == claude.model.truth.calls()


@each_version
@pytest.mark.parametrize(
    ("script", "kinds", "says"),
    [
        ("text", (), "Only words.\n"),
        ("basic", ("general-purpose",), "All is done.\n"),
        ("parallel", ("general-purpose", "Explore"), "Both are done.\n"),
        ("refused", (), "One call was refused.\n"),
        ("overloaded", (), "At the third try.\n"),
    ],
)
def test_a_session_is_counted_exactly(claude: ClaudeMachine, script: str, kinds: tuple[str, ...], says: str) -> None:
    """Whatever happens in it: calls that fail, three at once, refused ones, subagents, and requests that are tried again."""
    ended = claude.run(prompt(script), asks=script == "refused")
    assert (ended.code, ended.out) == (0, says)
    found = figures.a_minute_later(claude.hub)
    assert_exact(claude, found)
    assert found.runs == subagents(claude, *kinds)
    assert set(found.statuses.values()) == {"completed"}
    assert found.sessions == {ended.session: expected_tokens(claude)}


@each_version
def test_what_is_sent_into_the_background_is_counted(claude: ClaudeMachine) -> None:
    """A subagent and a command."""
    ended = claude.run(prompt("background"))
    # Version 2.0.77 leaves with an error here, with hooks and without.
    assert ended.code == (1 if claude.program.version == "2.0.77" else 0)
    found = figures.a_minute_later(claude.hub)
    assert_exact(claude, found)
    assert found.runs == subagents(claude, "general-purpose")
    assert set(found.statuses.values()) == {"completed"}


@each_recent_version
def test_sixty_four_calls_at_once_are_counted(claude: ClaudeMachine) -> None:
    """Each with two hooks, all at the same time."""
    assert claude.run(prompt("crowd")).out == "All.\n"
    found = figures.a_minute_later(claude.hub)
    assert_exact(claude, found)
    assert found.calls == {"Bash": (64, 0, 0)}


@each_version
def test_a_session_that_goes_on_and_one_that_forks_off(claude: ClaudeMachine) -> None:
    """A resumed one stays itself; a fork is another, and what it copied from its parent is charged once."""
    first = claude.run(prompt("text"))
    again = claude.run(prompt("more"), resumes=first.session)
    fork = claude.run(prompt("more"), resumes=first.session, forks=True)
    assert (first.out, again.out, fork.out) == ("Only words.\n", "More words.\n", "More words.\n")
    found = figures.a_minute_later(claude.hub)
    assert_exact(claude, found, prompts=3, starts=3)
    if claude.program.version == "2.0.77":
        return  # which begins with an id of its own, under which it may tell of what it warms up
    assert found.runs == {AGENT: 3}
    by_session = {session: sum(used.values(), Tokens()) for session, used in found.sessions.items()}
    warm_up = sum(WARM_UP.get(claude.program.version, {}).values(), Tokens())
    others = {session: tokens for session, tokens in by_session.items() if session != first.session}
    assert by_session[first.session] == Tokens(11 + 23, 13 + 29, 17 + 31, 19 + 37) + warm_up + warm_up
    assert list(others.values()) == [Tokens(23, 29, 31, 37) + warm_up]


@each_recent_version
def test_a_conversation_that_is_summarised(claude: ClaudeMachine) -> None:
    """The request for it is in no transcript. One version writes down its totals; of the other it is told that one is missing."""
    first = claude.run(prompt("basic"))
    claude.run("/compact", resumes=first.session)
    claude.run(prompt("more"), resumes=first.session)
    found = figures.a_minute_later(claude.hub)
    truth = claude.model.truth
    assert truth.answers(SUMMARISING) == 1
    assert (found.prompts, found.runs) == (2, {AGENT: 3, f"{AGENT}/general-purpose": 1})
    assert found.calls == truth.calls()
    unlisted = found.tokens.pop("(requests that the transcript does not list)", None)
    if claude.program.version == "2.1.329":
        assert (found.tokens, unlisted) == (truth.tokens(), None)
    else:
        assert (found.tokens, unlisted) == (truth.tokens(MAIN, SUBAGENT), Tokens())


@each_version
@pytest.mark.parametrize(("script", "reason"), [("locked-out", "authentication_failed"), ("given-up", "unknown")])
def test_a_program_that_gives_up_has_failed(claude: ClaudeMachine, script: str, reason: str) -> None:
    """With the reason that it gives. It leaves without waiting for its own hooks."""
    ended = claude.run(prompt(script))
    found = figures.a_minute_later(claude.hub)
    expected = "failed" if claude.program.version == "1.0.128" else reason  # it does not say why
    assert (ended.code, found.statuses, found.errors) == (1, {AGENT: "failed"}, [expected])
    assert_exact(claude, found)
