"""Whatever is wrong with the disk under the history: the figures go on, it can be read as far as it goes, and it catches up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pyjama_metrics import agreement, history
from pyjama_metrics.checks import check
from pyjama_metrics.storage.history import follower
from tests.histories import caught_up, executions, usages
from tests.journals import event, leave_journal, lines, live_journal, now_ms, tool
from tests.system.processes import agent, figures, hear, kill
from tests.system.test_faults import small_disk


def in_the_history(home: Path) -> int:
    """How many executions it answers with."""
    now = now_ms()
    return sum(each.executions.count for each in history.history(now - 3_600_000, now + 3_600_000, "hour", folder=str(home)))


def remount(disk: Path, how: str) -> None:
    """Let nobody (``ro``) or everybody (``rw``) write to a disk."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


def test_a_disk_that_fills_up_stops_the_history_and_not_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it could not take waits in the journals, the finished ones too; with room again nothing is missing or double."""
    monkeypatch.setattr(follower, "_PAUSES", (0.0, 0.0))
    with small_disk(tmp_path / "disk", 4096) as disk:
        home, ballast = disk / "hub", disk / "ballast"
        with live_journal(home) as written:
            hub = caught_up(home)
            # Each in a row of its own in the history: there it takes more room than in the journal.
            calls = [event("llm", now_ms(), model=f"model {number}", input_tokens=1) for number in range(3000)]
            old = leave_journal(home, "old-1-a", *calls, tool(now_ms()))
            free = os.statvfs(disk)
            ballast.write_bytes(bytes(free.f_bavail * free.f_frsize - 500 * 1024))
            assert figures(home)["tokens"]["requests"] == 3000
            assert not hub.catch_up(10.0)
            assert "full" in str(hub.history.trouble)
            written.append(lines(tool(now_ms())))
            assert figures(home)["global"]["count"] == 2
            assert old.exists()
            ballast.unlink()
            caught_up(home, hub)
            assert (executions(home)[0], usages(home)[0]) == (2, 3000)
            for _ in range(2):  # whoever folds next removes what both are past
                written.append(lines(tool(now_ms())))
                assert hub.flush()
            assert not old.exists()
        assert [each for each in agreement.compare(hub) if each.differences] == []


def test_the_history_on_a_read_only_disk_is_read_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can write it, and what it holds is still answered; it goes on when the disk may be written."""
    monkeypatch.setattr(follower, "_PAUSES", (0.0, 0.0))
    with small_disk(tmp_path / "disk", 4096) as disk:
        home = disk / "hub"
        leave_journal(home, "w-1-a", tool(now_ms()), tool(now_ms()))
        hub = caught_up(home)
        assert not (home / "history.db-wal").exists()
        leave_journal(home, "w-2-a", tool(now_ms()))
        remount(disk, "ro")
        assert in_the_history(home) == 2
        assert not hub.history.advance()
        assert hub.history.trouble is not None
        assert [problem.what for problem in check(hub) if problem.kind == "history-unusable"] == []
        remount(disk, "rw")
        caught_up(home, hub)
        assert in_the_history(home) == 3


def test_a_history_whose_writer_was_killed_is_read_on_a_read_only_disk(tmp_path: Path) -> None:
    """What SQLite keeps beside the database stays behind then, and holds what was written last."""
    code = """
    import sqlite3
    from pyjama_metrics.hub import Hub
    reader = sqlite3.connect(sys.argv[1] + "/history.db")
    reader.execute("SELECT * FROM sqlite_master").fetchone()
    p.record_tool_execution("t", "a")
    while not Hub(sys.argv[1]).catch_up(5.0):
        pass
    say("ready")
    hear()
    """
    with small_disk(tmp_path / "disk", 4096) as disk:
        home = disk / "hub"
        leave_journal(home, "w-1-a", tool(now_ms()), event("llm", now_ms(), model="m", input_tokens=1))
        caught_up(home)
        with agent(code, home, env={"PYJAMA_HOME": str(home)}) as child:
            assert hear(child) == "ready"
            kill(child)
        assert (home / "history.db-wal").exists()
        remount(disk, "ro")
        assert in_the_history(home) == 2
        remount(disk, "rw")
        assert (executions(home)[0], usages(home)[0]) == (2, 1)
