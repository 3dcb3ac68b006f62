"""Where nobody folds, a hook starts one process that does; it harms nobody, and leaves by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyjama_metrics.integrations import folder, launcher, starting
from pyjama_metrics.storage import owners
from pyjama_metrics.storage.session import SessionJournal
from tests.integrations.programs import end_folders, folders, payload, program, raw_lines, somebody_folds
from tests.journals import lines, now_ms, on_disk, tool
from tests.waiting import wait_until


def folded_lines(home: Path) -> int:
    """Lines of journals that ``metrics.json`` has."""
    try:
        return sum(at["lines"] for at in on_disk(home)["journals"].values())
    except FileNotFoundError:
        return 0


def test_64_hooks_at_once_start_one_process_and_all_is_folded(home: Path) -> None:
    """It stays while the session is open, leaves some seconds after its end, and the next hook starts another."""
    command = [launcher.ensure(), "claude"]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(64)]
    seen: set[int] = set()
    for number, child in enumerate(children):
        child.communicate(json.dumps(payload(tool_use_id=str(number))).encode(), timeout=30)
        seen |= set(folders(home))
    assert len(seen) == 1
    segments = len(list((home / "journal").glob("*.jsonl")))
    wait_until(lambda: folded_lines(home) >= 64 + segments, what="the fold")
    subprocess.run(command, input=json.dumps(payload("SessionEnd", reason="other")).encode(), check=True)
    begin = time.monotonic()
    wait_until(lambda: not folders(home), 30, what="its end")
    assert time.monotonic() - begin < 15
    with program() as running:
        # The kernel may still be taking the lock from the one that left.
        wait_until(lambda: running.hook(payload()).is_quiet and folders(home), what="another one")
    assert seen & set(folders(home)) == set()


def test_who_folds_keeps_hooks_from_starting_anybody(home: Path) -> None:
    """A dashboard holds the same lock."""
    with somebody_folds(home), program() as running:
        assert running.hook(payload()).is_quiet
        assert folders(home) == []


def test_garbage_starts_nobody(home: Path) -> None:
    """There is nothing to fold."""
    with program() as running:
        assert running.hook(b"garbage").is_quiet
    assert (folders(home), home.exists()) == ([], False)


def test_the_process_has_nothing_of_the_program(home: Path) -> None:
    """Not its session, folder, streams, pipes or keys; and is there to be looked at, because a test waits for none of it."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    secrets = {"ANTHROPIC_API_KEY": "sk-swordfish", "AWS_PROFILE": "x", "LC_ALL": "C.UTF-8", "PYJAMA_HISTORY": "0"}
    command = [launcher.ensure(), "claude"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | secrets, pass_fds=(writing,), cwd=home.parent
    ) as child:
        os.close(writing)
        out, _ = child.communicate(json.dumps(payload()).encode(), timeout=10)  # until nobody has the pipe any more
    assert (out, os.read(reading, 1)) == (b"", b"")
    os.close(reading)
    (pid,) = folders(home)
    place = Path(f"/proc/{pid}")
    wait_until(lambda: (place / "cwd").readlink() == Path("/"), what="the process to begin")
    fields = owners.process_fields(pid)
    assert fields is not None
    assert (fields[3], os.getsid(pid), os.getpgid(pid)) == (str(pid), pid, pid)
    # What it opens itself comes and goes: a listing of its own folder, the hub's files.
    foreign = {target for each in (place / "fd").iterdir() if (target := link(each)) is not None and str(home) not in target}
    assert foreign == {"/dev/null"}
    assert link(place / "fd" / "10") == str(home / "folder.lock")
    names = {one.partition(b"=")[0].decode() for one in (place / "environ").read_bytes().split(b"\0") if one}
    assert {"HOME", "PATH", "LC_ALL", "PYJAMA_HOME", "PYJAMA_HISTORY"} <= names
    assert {name for name in names if not name.startswith(("PYJAMA_", "XDG_", "LC_"))} <= {"PATH", "HOME", "LANG", "TMPDIR", "TZ"}


def link(path: Path) -> str | None:
    """Where a descriptor leads; None where it was closed since."""
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return None


def test_the_process_leaves_when_the_hub_is_removed(home: Path) -> None:
    """Its lock keeps nobody away any more, and a hook that comes now starts another."""
    with program() as running:
        running.hook(payload())
    wait_until(lambda: folded_lines(home) >= 2, what="the fold")
    home.rename(home.with_name("removed"))
    wait_until(lambda: not folders(home), 1.5, what="its end")


def test_an_event_between_the_last_look_and_the_end_is_folded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hook finds the lock taken and starts nobody; so the lock is given up before the last look."""
    home.mkdir(0o700)
    monkeypatch.setattr(folder, "QUIET", 0.0)
    monkeypatch.setattr(folder, "PAUSE", 0.0)
    monkeypatch.setattr(folder, "_detach", lambda: None)
    fold_while, journal = folder._fold_while_there_is_news, SessionJournal(str(home), "s", pid=os.getpid(), fsync=False)
    recorded = []

    def fold_and_then_somebody_records(*arguments: object) -> None:
        fold_while(*arguments)  # type: ignore[arg-type]
        if not recorded:
            journal.append(lines(tool(now_ms())))
            recorded.append(starting.try_lock(str(home)))

    monkeypatch.setattr(folder, "_fold_while_there_is_news", fold_and_then_somebody_records)
    assert folder.main() == 0
    assert recorded == [None]
    assert on_disk(home)["global"]["count"] == 1


def test_a_second_process_leaves_at_once(home: Path) -> None:
    """Somebody else may have started one by hand."""
    home.mkdir(0o700)
    with somebody_folds(home):
        done = subprocess.run([sys.executable, "-m", "pyjama_metrics.integrations.folder"], timeout=10, check=False)
    assert (done.returncode, (home / "metrics.json").exists()) == (0, False)


def test_a_hub_that_cannot_be_written_does_not_stop_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not folded now waits in the journals."""
    home.mkdir(0o700)
    (home / "metrics.json.lock").mkdir()
    monkeypatch.setattr(folder, "LONGEST_QUIET", 0.0)
    monkeypatch.setattr(folder, "PAUSE", 0.0)
    monkeypatch.setattr(folder, "_detach", lambda: None)
    assert folder.main() == 0


def test_nobody_is_started_where_none_can_be(home: Path) -> None:
    """A link for the lock leads nobody anywhere; the event is kept."""
    home.mkdir(0o700)
    (home / "folder.lock").symlink_to(home / "metrics.json")
    with program() as running:
        assert running.hook(payload()).is_quiet
    assert (len(raw_lines(home)), folders(home), (home / "metrics.json").exists()) == (1, [], False)
    end_folders(home)


def test_the_process_can_be_ended_like_any_other(home: Path) -> None:
    """Who logs out, or stops a container, does not have to wait for it."""
    with program() as running:
        running.hook(payload())
        wait_until(lambda: folded_lines(home) >= 2, what="the fold")
        (pid,) = folders(home)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not folders(home), what="its end")
