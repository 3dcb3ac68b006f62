"""What can be wrong with a hub: each problem is found, told in a sentence, and mended where that loses nothing."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import namedtuple
from pathlib import Path

import pytest

from pyjama_metrics import checks
from pyjama_metrics.checks import check
from pyjama_metrics.hub import Hub
from pyjama_metrics.recorder import close, record_tool_execution
from pyjama_metrics.state import new_state
from pyjama_metrics.storage import json, losses, owners, places
from tests.journals import counted, event, lines, live_journal, now_ms, on_disk, record, tool
from tests.waiting import run_python, wait_until

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _no_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes of lost events lie in a folder of this test."""
    monkeypatch.setattr(places, "runtime_folder", lambda: str(tmp_path / "runtime"))


def kinds(home: Path) -> list[str]:
    """The problems of a hub, worst first."""
    return [problem.kind for problem in check(Hub(str(home)))]


def mended(home: Path) -> list[tuple[str, bool]]:
    """The problems of a hub after mending what can be mended."""
    return [(problem.kind, problem.fixed) for problem in check(Hub(str(home)), fix=True)]


def test_a_hub_in_use_has_no_problem(home: Path) -> None:
    """Nor has one that does not exist yet."""
    assert kinds(home) == []
    with live_journal(home) as journal:
        for _ in range(2):
            record(journal, 3)
            Hub().flush()
        assert kinds(home) == []


def test_looking_makes_and_changes_nothing(home: Path) -> None:
    """Only mending does."""
    kinds(home)
    assert not home.exists()
    with live_journal(home) as journal:
        record(journal, 3)
        before = {path: path.stat() for path in home.rglob("*")}
        assert kinds(home) == []
        assert {path: path.stat() for path in home.rglob("*")} == before


def test_each_problem_is_told_in_sentences(home: Path) -> None:
    """What is wrong and what to do: each ends as a sentence does, and names a place."""
    home.mkdir(mode=0o755)
    (home / "metrics.json").write_bytes(b"{")
    for problem in check(Hub()):
        assert problem.what.endswith(".")
        assert problem.remedy.endswith(".")
        assert problem.where


def test_the_worst_problems_come_first(home: Path) -> None:
    """An error before a warning."""
    home.mkdir(mode=0o755)
    (home / "metrics.json").write_bytes(b"{")
    assert [problem.severity for problem in check(Hub())] == ["error", "warning"]


@pytest.mark.parametrize("place", ["file", "under a file"])
def test_a_folder_that_is_a_file_cannot_be_used(home: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Nor one in such a folder."""
    home.write_text("a file")
    (problem,) = check(Hub(str(home if place == "file" else home / "hub")))
    assert (problem.kind, problem.severity) == ("folder-unusable", "error")


def test_a_folder_that_may_not_be_written_cannot_be_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that cannot be made cannot either."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert kinds(home) == ["folder-unusable"]
    home.mkdir(mode=0o700)
    assert kinds(home) == ["folder-unusable"]


def test_a_folder_that_others_may_look_into_is_closed(home: Path) -> None:
    """With ``--fix``; so are files."""
    with live_journal(home) as journal:
        record(journal, 1)
        Hub().flush()
        home.chmod(0o755)
        (home / "metrics.json").chmod(0o644)
        assert kinds(home) == ["folder-mode", "file-mode"]
        assert mended(home) == [("folder-mode", True), ("file-mode", True)]
        assert kinds(home) == []


def test_a_damaged_file_of_known_calls_is_told_once_it_was_set_aside(home: Path) -> None:
    """Counting goes on without it; what was told before may count again, so the check says so."""
    call = event("llm", now_ms(), model="m", input_tokens=1, request_id="r1")
    with live_journal(home) as journal:
        journal.append(lines(call))
        Hub().flush()
        (home / "requests.db").write_bytes(b"no database")
        journal.append(lines(call))
        Hub().flush()
        assert set(kinds(home)) == {"damaged-requests", "set-aside"}
        assert Hub().read()["tokens"]["requests"] == 2


def test_an_unreadable_snapshot_is_mended_with_all_its_figures(home: Path) -> None:
    """Afterwards only the file that was set aside is left to tell of."""
    with live_journal(home) as journal:
        for _ in range(3):
            record(journal, 1)
            Hub().flush()
        (home / "metrics.json").write_bytes(b"{")
        assert kinds(home) == ["snapshot-unreadable"]
        assert mended(home)[0] == ("snapshot-unreadable", True)
        assert set(kinds(home)) == {"restored-snapshots", "set-aside"}
        assert counted(home) == 3


def test_a_newer_snapshot_is_told_and_left(home: Path) -> None:
    """Mending it would lose it."""
    home.mkdir(mode=0o700)
    newer = json.dumps({**new_state(), "format": 2})
    (home / "metrics.json").write_bytes(newer)
    assert mended(home) == [("snapshot-too-new", False)]
    assert (home / "metrics.json").read_bytes() == newer


def test_what_was_counted_as_a_problem_is_told_with_its_number(home: Path) -> None:
    """Malformed lines, unknown events, values that are none, lost events."""
    with live_journal(home) as journal:
        journal.append(b"nonsense\n" + lines(event("dance"), tool(now_ms(), duration_ms=-1), event("lost", count=1234)))
        Hub().flush()
        told = {problem.kind: problem.what for problem in check(Hub())}
    assert set(told) == {"malformed-lines", "unknown-events", "invalid-values", "lost-events"}
    assert told["lost-events"].startswith("1,234 events")


def test_losses_that_no_journal_tells_are_told(home: Path) -> None:
    """From the notes."""
    home.mkdir(mode=0o700)
    losses.write_note(str(home), "w-1-a", 7)
    (problem,) = check(Hub())
    assert (problem.kind, problem.where, problem.what[:8]) == ("lost-events", "w-1-a", "7 events")


def test_a_stopped_process_that_holds_the_lock_is_named(home: Path) -> None:
    """Nobody can fold until it goes on or ends; one that works is no problem."""
    code = """
        from pyjama_metrics.hub import Hub
        with Hub()._lock.held(None):
            print("held", flush=True)
            input()
    """
    with run_python(code) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert kinds(home) == []
        child.send_signal(signal.SIGSTOP)
        wait_until(lambda: (owners.process_fields(child.pid) or "?")[0] == "T", what="the stop")
        (problem,) = check(Hub())
        assert problem.kind == "lock-held"
        assert f"kill -CONT {child.pid}" in problem.remedy


def test_journals_that_nobody_folds_are_told_and_folded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--fix`` brings them into the shared file."""
    monkeypatch.setattr(checks, "LAG", 1000)
    with live_journal(home) as journal:
        Hub().flush()
        record(journal, 100)
        assert kinds(home) == ["lag"]
        assert mended(home) == [("lag", True)]
        assert on_disk(home)["global"]["count"] == 100
        assert kinds(home) == []


def test_half_made_files_of_killed_processes_are_removed(home: Path) -> None:
    """Old ones only: a young one may be in the making."""
    place = home / "journal"
    place.mkdir(parents=True)
    home.chmod(0o700)
    for name in (".old.0.new", ".young.0.new"):
        (place / name).write_bytes(b"")
    long_ago = time.time() - checks.STALE_LEFTOVER - 1
    os.utime(place / ".old.0.new", (long_ago, long_ago))
    assert mended(home) == [("leftover", True)]
    assert [path.name for path in place.iterdir()] == [".young.0.new"]


def test_a_disk_that_is_nearly_full_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before events are lost."""
    home.mkdir(mode=0o700)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, checks.LITTLE_SPACE - 1))
    assert kinds(home) == ["little-space"]


def test_a_network_file_system_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks and change events may not work across machines."""
    home.mkdir(mode=0o700)
    monkeypatch.setattr(checks, "file_system", lambda _: "nfs4")
    assert kinds(home) == ["network-file-system"]


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="needs /proc")
def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount() -> None:
    """As /proc/self/mountinfo tells it."""
    assert checks.file_system("/proc/self") == "proc"
    assert checks.file_system("/") not in ("", "proc")


def test_mending_that_fails_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem stays one, with the reason."""
    home.mkdir(mode=0o755)
    monkeypatch.setattr(os, "chmod", _refuse)
    (problem,) = check(Hub(), fix=True)
    assert not problem.fixed
    assert "Mending it failed" in problem.what
    assert "not permitted" in problem.what


def _refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_journals_that_cannot_be_listed_are_told(home: Path) -> None:
    """A file where their folder should be."""
    home.mkdir(mode=0o700)
    (home / "journal").write_text("a file")
    assert kinds(home) == ["journals-unreadable"]


def test_a_file_that_cannot_be_looked_at_is_a_problem_itself(home: Path) -> None:
    """A link in a circle where the generation before should be; the rest is looked at all the same."""
    with live_journal(home) as journal:
        record(journal, 1)
        Hub().flush()
        (home / "metrics.json.prev").symlink_to(home / "metrics.json.prev")
        (home / "metrics.json.corrupt-1").write_bytes(b"")
        (problem, odd, aside) = check(Hub())
    assert (odd.kind, odd.where) == ("not-our-file", problem.where)
    assert (problem.kind, problem.where) == ("modes-unreadable", str(home / "metrics.json.prev"))
    assert problem.what.endswith(".")
    assert aside.kind == "set-aside"


@pytest.mark.parametrize(
    ("module", "call", "kind"),
    [
        (shutil, "disk_usage", "space-unreadable"),
        (os, "statvfs", "folder-unreadable"),
        (losses, "notes", "losses-unreadable"),
        (checks, "_set_aside", "files-unreadable"),
        (checks.lock, "holder", "lock-unreadable"),
    ],
)
def test_each_part_that_the_system_refuses_is_a_problem(
    home: Path, monkeypatch: pytest.MonkeyPatch, module: object, call: str, kind: str
) -> None:
    """Nothing that is looked at makes the check raise, and none of it keeps the others from being looked at."""
    with live_journal(home) as journal:
        record(journal, 1)
        Hub().flush()
        leftover = home / "journal" / ".old.0.new"
        leftover.write_bytes(b"")
        os.utime(leftover, (1, 1))
        monkeypatch.setattr(module, call, _refuse)
        assert {kind, "leftover"} <= set(kinds(home))


ROWS_OF_WRONG_TYPES = [
    ("problems", {"lost-events": "many"}),
    ("journals", {"x": 1}),
    ("recent-logs", [5]),
    ("recent-logs", [{"id": 1, "timestamp": "x"}]),
]


@pytest.mark.parametrize(("part", "value"), ROWS_OF_WRONG_TYPES)
def test_a_snapshot_whose_rows_are_of_wrong_types_is_told_and_mended(home: Path, part: str, value: object) -> None:
    """As a damaged one: it is set aside, every figure is restored, and the generation goes on."""
    with live_journal(home) as journal:
        for _ in range(3):
            record(journal, 1)
            Hub().flush()
        state = on_disk(home)
        (home / "metrics.json").write_bytes(json.dumps({**state, part: value}))
        assert kinds(home) == ["snapshot-unreadable"]
        assert mended(home)[0] == ("snapshot-unreadable", True)
        assert set(kinds(home)) == {"restored-snapshots", "set-aside"}
        restored = on_disk(home)
        assert restored[part] != value
        assert restored["generation"] > state["generation"]
        assert counted(home) == 3


def test_what_is_restored_is_a_new_generation_from_its_first_moment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers take what has the generation that they know for what they know."""
    with live_journal(home) as journal:
        for _ in range(3):
            record(journal, 1)
            Hub().flush()
        before = on_disk(home)["generation"]
        (home / "metrics.json").write_bytes(b"{")
        monkeypatch.setattr(Hub, "flush", lambda *_: True)
        assert mended(home)[0] == ("snapshot-unreadable", True)
        assert on_disk(home)["generation"] == before + 1


@pytest.mark.parametrize(
    "name", ["metrics.json.prev", "metrics.json.prev.tmp", "journal/offsets.json", "metrics.json.lock", "requests.db"]
)
def test_what_is_no_file_in_a_place_of_ours_is_told_and_mended(home: Path, name: str) -> None:
    """A folder there stops every fold; nobody would guess it from figures that stand still."""
    record_tool_execution("t", "a")
    close()
    (home / name).unlink(missing_ok=True)
    (home / name).mkdir(parents=True)
    assert "not-our-file" in {problem.kind for problem in check(Hub())}
    assert all(problem.fixed for problem in check(Hub(), fix=True) if problem.kind == "not-our-file")
    record_tool_execution("t", "a")
    assert Hub().flush(5)
    assert Hub().read()["global"]["count"] == 2
