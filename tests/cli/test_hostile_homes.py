from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics import flush, record_agent_start, record_tool_execution
from pyjama_metrics.recorder import close
from tests.cli.commands import PYJAMA, ReadyCommands, pyjama, started

COMMANDS = (
    ["show"],
    ["show", "a"],
    ["show", "--json"],
    ["logs"],
    ["logs", "--json"],
    ["clear"],
    ["clear", "--json"],
    ["doctor"],
    ["doctor", "--json"],
    ["doctor", "--fix"],
    ["record", "start", "a"],
    ["record", "tool", "a", "t"],
    ["run", "--", "true"],
)


def a_file(home: Path) -> None:
    """Where the folder should be is a file."""
    home.write_text("not a folder")


def a_dangling_link(home: Path) -> None:
    """A link that leads nowhere."""
    home.symlink_to(home.parent / "nowhere")


def a_link_to_itself(home: Path) -> None:
    """A link that leads in a circle."""
    home.symlink_to(home)


def a_truncated_snapshot(home: Path) -> None:
    """The shared file ends in its middle."""
    record_tool_execution("t", "a")
    assert flush(10)
    data = (home / "metrics.json").read_bytes()
    (home / "metrics.json").write_bytes(data[: len(data) // 2])


def an_empty_snapshot(home: Path) -> None:
    """The shared file has no byte."""
    home.mkdir()
    (home / "metrics.json").write_bytes(b"")


def a_foreign_snapshot(home: Path) -> None:
    """The shared file is JSON of somebody else."""
    home.mkdir()
    (home / "metrics.json").write_bytes(b'{"agents": [1, 2], "who": "somebody else"}')


def a_newer_snapshot(home: Path) -> None:
    """The shared file is that of a later version."""
    home.mkdir()
    (home / "metrics.json").write_bytes(b'{"format": 999}')


def a_folder_as_snapshot(home: Path) -> None:
    """Where the shared file should be is a folder."""
    (home / "metrics.json" / "inner").mkdir(parents=True)


def a_folder_as_lock(home: Path) -> None:
    """Where the lock should be is a folder."""
    (home / "metrics.json.lock").mkdir(parents=True)


def a_file_as_journal_folder(home: Path) -> None:
    """Where the journals should be is a file."""
    home.mkdir()
    (home / "journal").write_text("")


def garbage_in_a_journal(home: Path) -> None:
    """A journal with everything that is no event."""
    (home / "journal").mkdir(parents=True)
    (home / "journal" / "w-1-1.0.jsonl").write_bytes(b"\x00\xff\n[1]\n{}\n" + b'{"event":"start"}\n' * 3 + b'{"event":')


EDITED: dict[str, dict[str, Any]] = {
    "a problem that is no number": {"problems": {"lost-events": "many"}},
    "a journal that is no row": {"journals": {"x": 1}},
    "a log entry that is a number": {"recent-logs": [5]},
    "a log entry without most": {"recent-logs": [{"id": "x:1", "timestamp": 1}]},
    "a log entry of wrong types": {"recent-logs": [{"id": "x:1", "timestamp": 1, "agent-id": 5, "tool": [], "status": {}}]},
    "labels that are a list": {"agents": {"a": {"labels": [1], "cwd": 5, "parent": {}, "last-error": "x", "tmux-pane": [1]}}},
    "a run of wrong types": {"agents": {"a": {"runs": {"r": {"start-time": "x", "waiting-since": [1], "unknown-since": {}}}}}},
    "an agent that is a list": {"agents": {"a": []}},
    "a tool that is a number": {"tools": {"t": 5}},
}
"""What a person may make of the shared file: parts of it, by what is wrong in them."""


def rows_of_wrong_types(home: Path, part: dict[str, Any]) -> None:
    """A shared file of ours, in which a person has changed a part."""
    shutil.rmtree(home, ignore_errors=True)
    record_tool_execution("t", "a")
    record_agent_start("a")
    close()  # it folds what was recorded, and does not restore the file any more
    state = json.loads((home / "metrics.json").read_bytes())
    (home / "metrics.json").write_text(json.dumps(merged(state, part)))


def merged(old: Any, new: Any) -> Any:
    """``old`` with what ``new`` says; objects are merged key by key."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}


HOSTILE = (
    a_file,
    a_dangling_link,
    a_link_to_itself,
    a_truncated_snapshot,
    an_empty_snapshot,
    a_foreign_snapshot,
    a_newer_snapshot,
    a_folder_as_snapshot,
    a_folder_as_lock,
    a_file_as_journal_folder,
    garbage_in_a_journal,
)


def assert_in_words(answer: subprocess.CompletedProcess[str], words: list[str]) -> None:
    """The command worked, or said what is wrong in one line; never a traceback."""
    assert answer.returncode in (0, 1), (words, answer)
    assert "Traceback" not in answer.stderr, (words, answer.stderr)
    assert answer.stderr.count("\n") <= 1, (words, answer.stderr)
    if answer.returncode and words[0] != "doctor":
        assert answer.stderr.startswith("pyjama-metrics: "), (words, answer)


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_every_command_meets_a_hostile_folder_with_a_sentence(
    make: Callable[[Path], None], home: Path, ready: ReadyCommands
) -> None:
    """Whatever is found where the hub should be, the answer is the work or one sentence."""
    make(home)
    for words in COMMANDS:
        assert_in_words(ready.run(*words), words)


@pytest.mark.parametrize("what", EDITED)
def test_every_command_meets_rows_of_wrong_types_with_a_sentence(what: str, home: Path, ready: ReadyCommands) -> None:
    """A shared file that a person has edited is shown as far as it goes, or told to be unreadable; each command finds it."""
    for words in COMMANDS:
        rows_of_wrong_types(home, EDITED[what])
        assert_in_words(ready.run(*words), words)


def test_an_agent_whose_runs_are_of_wrong_types_is_shown_as_far_as_it_goes(home: Path) -> None:
    """Times and reasons that are none are left out."""
    wrong = {"start-time": "x", "end-time": [1], "outcome-error": 5}
    rows_of_wrong_types(home, {"agents": {"b": {"last-seen": 2**42, "runs": {"run-1": wrong, "run-2": wrong}}}})
    for words in (["show", "b"], ["show", "b", "--json"]):
        answer = pyjama(*words)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert "run-2" in answer.stdout


def test_a_command_run_in_a_hostile_folder_is_not_hurt(home: Path) -> None:
    """``run`` gives the command's own output and exit code in silence."""
    a_file(home)
    answer = pyjama("run", "--", "sh", "-c", "echo fine; exit 4")
    assert (answer.returncode, answer.stdout, answer.stderr) == (4, "fine\n", "")


def test_a_home_that_does_not_exist_is_made(tmp_path: Path) -> None:
    """Without PYJAMA_HOME the hub is in the user's home, which need not be there yet."""
    env = {"PYJAMA_HOME": None, "HOME": str(tmp_path / "not" / "yet")}
    assert pyjama("record", "tool", "a", "t", env=env).returncode == 0
    assert "1 execution" in pyjama("show", env=env).stdout
    assert (tmp_path / "not" / "yet" / ".pyjama" / "metrics.json").exists()


def test_a_home_that_cannot_be_made_is_said_so(tmp_path: Path, ready: ReadyCommands) -> None:
    """A home below a file cannot exist: one sentence names the place and PYJAMA_HOME."""
    (tmp_path / "file").write_text("")
    env = {"PYJAMA_HOME": None, "HOME": str(tmp_path / "file" / "user")}
    for words in COMMANDS:
        assert_in_words(ready.run(*words, env=env), words)
    answer = pyjama("show", env=env)
    assert answer.returncode == 1
    assert str(tmp_path / "file" / "user") in answer.stderr
    assert "PYJAMA_HOME" in answer.stderr


def test_a_disk_that_takes_no_byte_is_said_so() -> None:
    """A file size limit of zero, like a full disk: every command works or fails in one sentence."""
    record_tool_execution("t", "a")
    assert flush(10)
    for words in COMMANDS:
        with started("sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *PYJAMA, *words, stdin=subprocess.DEVNULL) as child:
            out, err = child.communicate(timeout=60)
            assert_in_words(subprocess.CompletedProcess(words, child.returncode, out, err), words)
            if words[:2] == ["record", "tool"]:
                assert child.returncode == 1
                assert "The event was not recorded" in err
            if words == ["show"]:
                # portalocker cannot be imported as usual where no folder for temporary files takes a byte.
                assert (child.returncode, "1 execution, 0 errors" in out) == (0, True)


def read_only(folder: Path, *command: str) -> list[str]:
    """``command``, to be run where ``folder`` is mounted for reading only; not even root may write there."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    return ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", mount, str(folder), *command]


def test_a_folder_that_may_only_be_read_is_shown_with_a_warning(home: Path) -> None:
    """Figures are shown as they were at the last fold; recording, clearing and mending fail in a sentence."""
    record_tool_execution("t", "a")
    assert flush(10)
    try:
        subprocess.run(read_only(home, "true"), check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets us make no mount of our own (unshare --mount --user)")
    for words in COMMANDS:
        with started(*read_only(home, *PYJAMA, *words), stdin=subprocess.DEVNULL) as child:
            out, err = child.communicate(timeout=60)
        assert_in_words(subprocess.CompletedProcess(words, child.returncode, out, err), words)
        if words == ["show"]:
            assert "1 execution, 0 errors" in out
            assert "These figures are not up to date." in err
        failing = words[0] in ("clear", "doctor", "record")
        assert child.returncode == (1 if failing else 0), (words, out, err)
