"""What a session with our hooks must not notice, what we must not keep, and what is left when we are gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.disks import read_only, small_disk
from tests.integrations.programs import end_folders, folders
from tests.live.model import MAIN, SUBAGENT
from tests.live.running import KEY, ClaudeMachine
from tests.live.scripts import SECRET, prompt
from tests.live.versions import each_recent_version, each_version
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.timeout(60, func_only=True)]

PRIVATE = (
    SECRET,
    KEY,
    "Peruse",
    "Wendover",
    "Survey the heath",
    "chalk",
    "cheese",
    "unwell",
    "missing.txt",
    "notes.txt",
    "All is done",
)
"""Of prompts, inputs and outputs of tools, contents of files, answers, and keys."""
SETTINGS = (
    '{\n\t"skipDangerousModePermissionPrompt": true, "env": {"A": "b"},\n\t"permissions": {"allow": ["Read"] , "deny": []}\n}'
)
"""Settings that nobody would write again as they are."""


@each_version
def test_a_session_says_the_same_with_hooks_and_settings_are_then_what_they_were(bare: ClaudeMachine) -> None:
    """The same output, the same exit code, as many requests to the model; and an uninstall leaves nothing."""
    bare.settings.write_text(SETTINGS)
    before = {path for path in bare.user.rglob("*") if not path.is_relative_to(bare.user / ".claude")}
    without = bare.run(prompt("basic"))
    requests = bare.model.truth.answers(MAIN, SUBAGENT)
    (bare.work / "notes.txt").unlink()
    bare.install()
    assert "pyjama-metrics-hook" in bare.settings.read_text()
    with_hooks = bare.run(prompt("basic"))
    assert with_hooks[1:] == without[1:] == (0, "All is done.\n", "")
    assert bare.model.truth.answers(MAIN, SUBAGENT) == 2 * requests == 22
    bare.uninstall()
    assert bare.settings.read_text() == SETTINGS
    assert not list(bare.user.rglob("pyjama*"))
    assert before <= set(bare.user.rglob("*"))


@each_version
def test_nothing_private_is_kept(claude: ClaudeMachine) -> None:
    """In no file that we wrote, in the hub or elsewhere."""
    claude.run(prompt("basic"))
    claude.pyjama("show")
    written = claude.written()
    found = [(path.name, word) for path, data in written.items() for word in PRIVATE if word.encode() in data]
    assert found == []
    assert any(b"Bash" in data for path, data in written.items() if path.suffix == ".jsonl")


def test_the_search_for_private_words_would_find_them(claude: ClaudeMachine) -> None:
    """Where content is asked for it is there, but for what looks like a key; answers of the model are never asked for."""
    claude.run(prompt("basic"), PYJAMA_CAPTURE="all")
    kept = b"\n".join(claude.written().values())
    assert [word for word in PRIVATE if word.encode() not in kept] == [SECRET, KEY, "All is done"]


@contextmanager
def spoiled(hub: Path, how: str) -> Iterator[None]:
    """A hub's folder of no use."""
    if how == "a file":
        hub.write_text("not a folder")
        yield
    elif how == "a link to nowhere":
        hub.symlink_to(hub.parent / "nowhere" / "hub")
        yield
    elif how == "read-only":
        with small_disk(hub, 64), read_only(hub):
            yield
    else:
        with small_disk(hub, 32):
            (hub / "ballast").write_bytes(bytes(28 * 1024))
            yield
            end_folders(hub)
            wait_until(lambda: not folders(hub), what="the end of the process that folds")


@each_recent_version
@pytest.mark.parametrize("how", ["a file", "a link to nowhere", "read-only", "full"])
def test_a_hub_of_no_use_is_not_noticed(claude: ClaudeMachine, how: str) -> None:
    """The session is what it would be."""
    with spoiled(claude.hub, how):
        ended = claude.run(prompt("basic"))
    assert ended[1:] == (0, "All is done.\n", "")
    assert claude.model.truth.answers() == 11


def test_a_package_that_is_gone_is_not_noticed(claude: ClaudeMachine) -> None:
    """Its hooks are still in the settings; the launcher finds nothing to run."""
    (launcher,) = claude.user.rglob("pyjama-metrics-hook")
    text = launcher.read_text()
    launcher.write_text(re.sub(r"extend\(.*\)", "extend([])", text))
    assert claude.run(prompt("basic"))[1:] == (0, "All is done.\n", "")
    launcher.unlink()
    assert claude.run(prompt("text"))[1:3] == (0, "Only words.\n")  # what a shell says of it is shown by some versions
    assert not claude.hub.exists()
