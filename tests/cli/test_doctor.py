from __future__ import annotations

import json
import os
import re
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics import flush, record_agent_start, record_tool_execution
from pyjama_metrics.cli import examination
from pyjama_metrics.hub import Hub
from pyjama_metrics.recorder import close
from pyjama_metrics.storage import losses
from pyjama_metrics.storage.lock import FoldLock
from tests.cli.commands import PYJAMA, figures, pyjama, started
from tests.waiting import run_python, wait_until


def diagnosis(*words: str) -> dict[str, Any]:
    """What ``doctor --json`` says."""
    found: dict[str, Any] = json.loads(pyjama("doctor", "--json", *words).stdout)
    return found


def record_something() -> None:
    """A run of this process, and three executions."""
    record_agent_start("a")
    for _ in range(3):
        record_tool_execution("t", "a", "ok", 1.0)
    assert flush(10)


def test_a_healthy_hub_is_described_and_found_well(home: Path) -> None:
    """Folder, snapshot, writers, lock and versions are told; the exit code is 0."""
    record_something()
    answer = pyjama("doctor")
    assert (answer.returncode, answer.stderr) == (0, "")
    for expected in (str(home), "mode 0700", "whole, ", "1 agent, 1 tool", "1 alive", str(os.getpid()), "Nothing is wrong."):
        assert expected in answer.stdout


def test_the_history_is_told_whole_how_large_and_since_when(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For people and for programs; one that is not there, not kept any more or broken is told as what it is."""
    assert "history     none yet\n" in pyjama("doctor").stdout
    assert diagnosis()["history"] == {"kept": True, "exists": False}
    hour = (int(time.time()) // 3600 - 30) * 3600
    record_tool_execution("t", "a", "ok", 1.0, time_ms=(hour + 1234) * 1000)
    assert flush(10)
    close()
    assert Hub(str(home)).catch_up(10)
    found = diagnosis()["history"]
    assert (found["kept"], found["exists"], found["known-from"]) == (True, True, hour * 1000)
    assert found["bytes"] == sum(part.stat().st_size for part in (home / "history.db", home / "history.db-wal") if part.exists())
    since = f"since {time.strftime('%Y-%m-%d %H:%M', time.localtime(hour))}"
    assert re.search(rf"^history     whole, [0-9.]+ KiB, {since}$", pyjama("doctor").stdout, re.MULTILINE)
    monkeypatch.setenv("PYJAMA_HISTORY", "0")
    assert f"{since}; not kept any more (PYJAMA_HISTORY)\n" in pyjama("doctor").stdout
    monkeypatch.delenv("PYJAMA_HISTORY")
    (home / "history.db").write_bytes(b"no database" * 1000)
    assert "history     cannot be looked at: " in pyjama("doctor").stdout
    assert "file is not a database" in diagnosis()["history"]["unreadable"]


def test_looking_creates_nothing(home: Path) -> None:
    """A hub that is not there yet is no problem, and is not there afterwards."""
    answer = pyjama("doctor")
    assert answer.returncode == 0
    assert "does not exist yet" in answer.stdout
    assert not home.exists()


def test_the_json_has_every_part() -> None:
    """Programs find facts by part and problems by kind."""
    record_something()
    found = diagnosis()
    assert found["ok"] is True
    assert found["folder"]["mode"] == "0700"
    assert (found["snapshot"]["agents"], found["snapshot"]["format"]) == (1, 1)
    (writer,) = found["writers"]
    assert (writer["pid"], writer["alive"], writer["kind"], writer["lag"]) == (os.getpid(), True, "process", 0)
    assert found["versions"]["python"] == sys.version.split()[0]
    assert found["problems"] == []


def test_warnings_are_told_with_their_remedy_and_mended(home: Path) -> None:
    """A folder that others may enter is a warning, not a failure; --fix closes it."""
    record_something()
    home.chmod(0o755)
    answer = pyjama("doctor")
    assert answer.returncode == 0
    assert "warning: " in answer.stdout
    assert f"chmod 700 {home}" in answer.stdout
    assert "mended: " in pyjama("doctor", "--fix").stdout
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert "Nothing is wrong." in pyjama("doctor").stdout


def test_a_damaged_snapshot_is_an_error_until_it_is_mended(home: Path) -> None:
    """The exit code is 1 while an error is left; --fix restores every figure."""
    record_something()
    close()  # any process that records would restore it first
    (home / "metrics.json").write_bytes(b'{"agents": {')
    broken = pyjama("doctor")
    assert broken.returncode == 1
    assert "error: " in broken.stdout
    mended = pyjama("doctor", "--fix")
    assert mended.returncode == 0
    assert "mended: " in mended.stdout
    assert figures()["metrics"]["tools"]["t"]["count"] == 3


def test_a_snapshot_that_a_person_has_edited_is_not_called_whole(home: Path) -> None:
    """A value of a wrong type is told in a sentence, although the file can be parsed; --fix restores every figure."""
    record_something()
    close()
    edited = {**json.loads((home / "metrics.json").read_bytes()), "problems": {"lost-events": "many"}}
    (home / "metrics.json").write_text(json.dumps(edited))
    broken = pyjama("doctor")
    assert (broken.returncode, broken.stderr) == (1, "")
    assert "snapshot    cannot be looked at: " in broken.stdout
    assert "The shared file cannot be read: " in broken.stdout
    assert pyjama("doctor", "--fix").returncode == 0
    assert figures()["metrics"]["tools"]["t"]["count"] == 3


def test_a_folder_that_is_a_file_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check goes on as far as it can, and the exit code is 1."""
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "hub"):
        monkeypatch.setenv("PYJAMA_HOME", str(place))
        answer = pyjama("doctor")
        assert (answer.returncode, answer.stderr) == (1, "")
        assert "The hub's folder cannot be used" in answer.stdout
        assert diagnosis()["ok"] is False


def test_dead_writers_are_told_from_living_ones() -> None:
    """Who writes, and whether it lives, is seen without asking it."""
    code = (
        "import sys; from pyjama_metrics import record_agent_start; record_agent_start('b'); print(flush=True); sys.stdin.read()"
    )
    with run_python(code) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert [(w["pid"], w["alive"]) for w in diagnosis()["writers"]] == [(child.pid, True)]
        child.kill()
        child.wait()
        assert [(w["pid"], w["alive"]) for w in diagnosis()["writers"]] == [(child.pid, False)]


def test_the_holder_of_the_lock_is_named() -> None:
    """A hub whose figures stand still is explained."""
    record_something()
    with FoldLock(Hub().lock_path).held(5.0):
        lock = diagnosis()["lock"]
        assert lock["held-by"] == os.getpid()
        own = Path("/proc/self/cmdline").read_bytes()[:400].replace(b"\0", b" ").decode().strip()
        assert lock["command"] == own
    assert diagnosis()["lock"]["held-by"] is None


def test_a_stopped_holder_of_the_lock_is_an_error() -> None:
    """Process, reason and the command that helps are told."""
    record_something()
    code = """
    import sys
    from pyjama_metrics.hub import Hub
    from pyjama_metrics.storage.lock import FoldLock
    with FoldLock(Hub().lock_path).held(5.0):
        print(flush=True)
        sys.stdin.read()
    """
    with run_python(code) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        answer = pyjama("doctor")
        assert answer.returncode == 1
        assert f"kill -CONT {child.pid}" in answer.stdout


def test_losses_are_counted_and_told(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that found no room are never lost in silence."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    record_something()
    losses.write_note(str(home), "w-1-1", 12)
    assert diagnosis()["losses"] == {"events": 12, "by-writer": {"w-1-1": 12}}
    assert "12 events noted as lost" in pyjama("doctor").stdout


def test_dashboards_are_found_on_their_ports(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of this hub is told with its address; a port where somebody else answers is not."""
    with started(*PYJAMA, "dashboard", "--port", "0") as child:
        assert child.stdout is not None
        url = next(word for word in child.stdout.readline().split() if word.startswith("http://"))
        port = int(url.rpartition(":")[2])
        monkeypatch.setattr(examination, "DASHBOARD_PORTS", [1, port])
        (found,) = wait_until(lambda: examination.Examination(Hub(), fix=False).facts["dashboards"], what="the dashboard")
        assert (found["url"], found["this-hub"], found["pid"]) == (url, True, child.pid)
        elsewhere = examination.Examination(Hub(str(home / "other")), fix=False).facts["dashboards"]
        assert [each["this-hub"] for each in elsewhere] == [False]


def test_an_unfinished_file_of_a_killed_process_is_a_warning(home: Path) -> None:
    """What the hub's own check finds is told here."""
    record_something()
    leftover = home / "journal" / ".w-1-1.0.new"
    leftover.write_bytes(b"")
    os.utime(leftover, (time.time() - 3600,) * 2)
    assert [problem["kind"] for problem in diagnosis()["problems"]] == ["leftover"]
    assert diagnosis("--fix")["problems"][0]["fixed"] is True
    assert not leftover.exists()
