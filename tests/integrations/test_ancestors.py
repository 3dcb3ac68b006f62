"""The program is the nearest ancestor that is no shell and no wrapper."""

from __future__ import annotations

import pytest

from pyjama_metrics.integrations import ancestors


def looked_up(*names: str) -> tuple[int, int | None] | None:
    """Who is found where the hook's parent is the first of these, its parent the second, …; the last one has the pid 1."""
    pids = [*range(1000, 1000 + len(names) - 1), 1]
    table = {}
    for at, (pid, name) in enumerate(zip(pids, names, strict=True)):
        parent = pids[at + 1] if at + 1 < len(pids) else 0
        table[pid] = (name, ["S", str(parent), *["0"] * 17, str(pid * 10), "0"])
    return ancestors.program(pids[0], table.get)


@pytest.mark.parametrize(
    ("names", "pid"),
    [
        (("claude", "bash", "systemd"), 1000),
        (("sh", "claude", "bash", "systemd"), 1001),
        (("sh", "bash", "env", "python3.11", "node", "zsh", "tmux: server", "systemd"), 1004),
        (("dash", "my-claude", "node", "systemd"), 1001),
        (("sh", "codex", "sh", "claude", "systemd"), 1001),
        (("sh", "claude"), 1),
        (("node",), 1),
    ],
)
def test_the_program_is_found(names: tuple[str, ...], pid: int) -> None:
    """By where it is, not by what it is called; only the first process of a container is known by its name."""
    assert looked_up(*names) == (pid, pid * 10)


@pytest.mark.parametrize(
    "names", [("systemd",), ("sh", "systemd"), ("sh", "systemd", "systemd"), ("sh", "entrypoint"), ("sh", "tini", "x")]
)
def test_who_was_adopted_has_outlived_the_program(names: tuple[str, ...]) -> None:
    """Whoever adopted it would be a session that never ends."""
    assert looked_up(*names) is None


def test_without_proc_it_is_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is known there."""
    monkeypatch.setattr("os.path.isdir", lambda _: False)
    assert ancestors.program(4711, lambda _: None) == (4711, None)


def test_a_parent_that_has_just_ended_is_no_program() -> None:
    """There is a /proc, and it is not in it."""
    assert ancestors.program(2**22 + 1) is None


def test_a_circle_of_shells_ends() -> None:
    """As nobody has so many, somebody has made it up."""
    assert ancestors.program(7, lambda pid: ("sh", ["S", "7", *["0"] * 18])) == (7, None)
