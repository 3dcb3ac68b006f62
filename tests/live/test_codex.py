"""Sessions of the real Codex, with what ``codex install`` puts in: our figures are those of the model's side."""

from __future__ import annotations

import pytest

from tests.live import figures
from tests.live.running import KEY, CodexMachine
from tests.live.scripts import SECRET, Tokens, prompt

pytestmark = [pytest.mark.live, pytest.mark.timeout(60, func_only=True)]

AGENT = "web-shop"
MODEL = "gpt-5.2-codex"


def test_a_session_is_counted_exactly(codex: CodexMachine) -> None:
    """Tokens without what the cache held, failures by their exit codes, prompts by their turns."""
    ended = codex.run(prompt("codex-basic"))
    assert ended.code == 0
    found = figures.a_minute_later(codex.hub)
    assert found.tokens == {MODEL: Tokens(1320, 152, 3300, 0)} == codex.model.truth.tokens()
    assert sum(map(sum, found.calls.values())) == 4
    assert found.calls == {"exec_command": (2, 1, 0), "update_plan": (0, 0, 1)}  # which this model is not offered
    assert (found.prompts, found.runs, found.statuses) == (1, {AGENT: 1}, {AGENT: "completed"})
    assert (list(found.sessions), found.errors) == ([ended.session], ["exit code 3"])


def test_a_session_that_goes_on(codex: CodexMachine) -> None:
    """Its rollout tells totals; each answer is charged once."""
    first = codex.run(prompt("text"))
    again = codex.run(prompt("more"), resumes=first.session)
    assert (first.code, again.code, again.session) == (0, 0, first.session)
    found = figures.a_minute_later(codex.hub)
    assert found.tokens == {MODEL: Tokens(34, 42, 48, 0)}
    assert (found.prompts, found.runs, list(found.sessions)) == (2, {AGENT: 2}, [first.session])


def test_a_subagent_is_a_child(codex: CodexMachine) -> None:
    """It has a rollout of its own, which begins with a copy of its parent's."""
    ended = codex.run(prompt("codex-helped"))
    found = figures.a_minute_later(codex.hub)
    assert ended.code == 0
    assert found.tokens == codex.model.truth.tokens() == {MODEL: Tokens(2615, 83, 2700, 0)}
    assert found.calls == {"spawn_agent": (1, 0, 0), "wait_agent": (1, 0, 0), "exec_command": (1, 0, 0)}
    assert (found.prompts, found.runs) == (1, {AGENT: 1, f"{AGENT}/default": 1})
    assert set(found.statuses.values()) == {"completed"}
    assert list(found.sessions) == [ended.session]


def test_a_request_that_is_refused(codex: CodexMachine) -> None:
    """Nothing is charged."""
    ended = codex.run(prompt("given-up"))
    found = figures.a_minute_later(codex.hub)
    assert ended.code == 1
    assert (found.tokens, found.calls, found.prompts) == ({}, {}, 1)


def test_nothing_private_is_kept_and_nothing_is_left(codex: CodexMachine) -> None:
    """In no file that we wrote; and an uninstall gives every file back."""
    codex.run(prompt("codex-basic"))
    written = codex.written()
    private = (SECRET, KEY, "Peruse", "Wendover", "unwell", "All is done")
    assert [(path.name, word) for path, data in written.items() for word in private if word.encode() in data] == []
    codex.uninstall()
    assert {path: path.read_bytes() for path in codex.before} == codex.before
    assert not (codex.folder / "hooks.json").exists()
