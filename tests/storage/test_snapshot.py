"""``metrics.json``: whole at any moment, private, with a generation before it that survives what damages it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pyjama_metrics.errors import FolderUnusable, SnapshotUnreadable, SnapshotUnwritable
from pyjama_metrics.state import State, new_agent, new_run, new_state, new_tool_tally
from pyjama_metrics.storage import files, json
from pyjama_metrics.storage.snapshot import Removed, SnapshotFile, SnapshotTooNew
from tests.waiting import run_python

READER = """
    import json, sys
    last, seen = 0, 0
    print("reading", flush=True)
    while last < int(sys.argv[2]):
        with open(sys.argv[1], "rb") as file:
            state = json.loads(file.read())
        assert state["generation"] >= last, (last, state["generation"])
        last, seen = state["generation"], seen + 1
    print(seen)
"""


class Lock:
    """A fold lock that nobody takes away."""

    identity = 7

    def is_in_place(self) -> bool:
        """It is."""
        return True


HELD = Lock()


@pytest.fixture
def snapshot(home: Path) -> SnapshotFile:
    """The snapshot of a hub whose folder is there."""
    home.mkdir()
    return SnapshotFile(str(home), fsync=False)


def generation(number: int, **journals: int) -> State:
    """A state of that generation, with how far each journal is read."""
    state = new_state()
    state["generation"] = number
    state["journals"] = {name: {"offset": offset, "lines": 1} for name, offset in journals.items()}
    return state


def test_what_is_written_is_read_again(snapshot: SnapshotFile) -> None:
    """And where nothing was written there is nothing."""
    assert snapshot.read() is None
    assert snapshot.signature() is None
    assert snapshot.write(generation(1), HELD, replaces=False) == snapshot.signature()
    assert snapshot.read() == generation(1)


def test_a_reader_in_a_tight_loop_sees_whole_documents_in_their_order(snapshot: SnapshotFile) -> None:
    """Without a lock, at any moment, and never an older state after a newer one."""
    state = generation(1)
    state["agents"] = {f"agent {number}": new_agent() for number in range(100)}
    snapshot.write(state, HELD, replaces=False)
    with run_python(READER, snapshot.path, "300") as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        for number in range(2, 301):
            state["generation"] = number
            snapshot.write(state, HELD, replaces=True)
        out, complaint = reader.communicate(timeout=20)
    assert not complaint
    assert int(out) > 1


def test_the_generation_before_is_kept(snapshot: SnapshotFile) -> None:
    """As a file of its own name, whole as it was."""
    for number in (1, 2, 3):
        snapshot.write(generation(number), HELD, replaces=number > 1)
    assert snapshot._read(snapshot.previous, thorough=True) == generation(2)
    assert sorted(os.listdir(os.path.dirname(snapshot.path))) == ["journal", "metrics.json", "metrics.json.prev"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": "1"}', b"null", b"\xff"])
def test_a_damaged_snapshot_says_what_is_wrong_and_stays(snapshot: SnapshotFile, damage: bytes) -> None:
    """Reading never changes it."""
    Path(snapshot.path).write_bytes(damage)
    with pytest.raises(SnapshotUnreadable, match="doctor --fix"):
        snapshot.read()
    assert Path(snapshot.path).read_bytes() == damage


def test_a_folder_in_its_place_is_unreadable_and_set_aside(snapshot: SnapshotFile) -> None:
    """Whoever made it; what is in it is kept."""
    Path(snapshot.path, "inside").mkdir(parents=True)
    with pytest.raises(SnapshotUnreadable, match="it is no file"):
        snapshot.read()
    snapshot.restore()
    assert snapshot.read() is None
    assert snapshot.restored is not None
    assert os.path.isdir(os.path.join(snapshot.restored, "inside"))


def test_a_newer_format_is_neither_read_nor_damaged(snapshot: SnapshotFile) -> None:
    """An error of its own, as it must not be set aside."""
    Path(snapshot.path).write_bytes(b'{"format": 2}')
    with pytest.raises(SnapshotTooNew, match="format 2"):
        snapshot.read()


def test_what_an_older_version_did_not_know_is_filled_in(snapshot: SnapshotFile) -> None:
    """A row without some keys has them empty."""
    state = generation(1)
    state["agents"] = {"a": {"status": "running", "runs": {"w.1": {}}}}  # type: ignore[typeddict-item]
    state["tools"] = {"t": {}}  # type: ignore[typeddict-item]
    Path(snapshot.path).write_bytes(json.dumps(state))
    read = snapshot.read(thorough=True)
    assert read is not None
    assert read["agents"]["a"] == {**new_agent(), "status": "running", "runs": {"w.1": new_run()}}
    assert read["tools"]["t"] == new_tool_tally()


@pytest.mark.parametrize(
    "agents", [{"a": 7}, {"a": {"runs": []}}, {"a": {"runs": {"w.1": 7}}}, {"a": {"runs": {"w.1": {"tally": 7}}}}]
)
def test_what_is_no_row_makes_the_snapshot_unreadable(snapshot: SnapshotFile, agents: object) -> None:
    """Somebody edited it by hand."""
    Path(snapshot.path).write_bytes(json.dumps({**new_state(), "agents": agents}))
    with pytest.raises(SnapshotUnreadable):
        snapshot.read(thorough=True)


def test_restoring_goes_on_from_the_generation_before(snapshot: SnapshotFile) -> None:
    """With its older offsets, and a generation number that is not used yet."""
    for number in (1, 2, 3):
        snapshot.write(generation(number, w=100 * number), HELD, replaces=number > 1)
    Path(snapshot.path).write_bytes(b"damaged")
    state, counts = snapshot.restore()
    assert (state["journals"]["w"]["offset"], state["generation"], state["problems"]["restored-snapshots"]) == (200, 3, 1)
    assert counts == 2
    assert snapshot.restored is not None
    assert Path(snapshot.restored).read_bytes() == b"damaged"


def test_damage_in_place_does_not_reach_the_generation_before(snapshot: SnapshotFile) -> None:
    """They share no file, not even after a clearing or a restoration, when they say the same."""
    snapshot.write(generation(1), HELD, replaces=False)
    snapshot.become_own_previous()
    Path(snapshot.path).write_bytes(b"")
    assert snapshot.restore()[0]["generation"] == 1
    Path(snapshot.path).write_bytes(b"")
    assert snapshot._read(snapshot.previous, thorough=True) == generation(1)


def test_where_nothing_can_be_restored_the_journals_are_read_from_their_beginning(snapshot: SnapshotFile) -> None:
    """The offsets are forgotten with the figures, the generation is not."""
    snapshot.write(generation(1, w=100), HELD, replaces=False)
    snapshot.write(generation(2, w=200), HELD, replaces=True)
    for path in (snapshot.path, snapshot.previous):
        Path(path).write_bytes(b"damaged")
    state, _ = snapshot.restore()
    assert (state["journals"], state["generation"]) == ({}, 2)
    assert snapshot.emptied()["journals"] == {}


def test_a_restoration_for_which_there_is_no_space_leaves_nothing_behind(
    snapshot: SnapshotFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It will be tried again ten times a second, and must not fill the folder."""
    snapshot.write(generation(1), HELD, replaces=False)
    snapshot.write(generation(2), HELD, replaces=True)
    Path(snapshot.path).write_bytes(b"damaged")
    before = sorted(os.listdir(os.path.dirname(snapshot.path)))
    monkeypatch.setattr(files, "write_all", _full)
    with pytest.raises(FolderUnusable, match="No space left"):
        snapshot.restore()
    assert sorted(os.listdir(os.path.dirname(snapshot.path))) == before


def _full(descriptor: int, data: bytes) -> None:
    os.write(descriptor, data[:3])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_of_what_was_set_aside_the_newest_few_stay(snapshot: SnapshotFile) -> None:
    """Something that damages the file for weeks fills no disk; whatever else lies there stays, also what looks like it."""
    home, aside = Path(snapshot.path).parent, "metrics.json.corrupt-"
    others = {f"{aside}mine", f"{aside}9.txt", "metrics.json.corrupt", f"x{aside}1", f"{aside}5"}
    for name in (f"{aside}{number}" for number in (1, 20, 3, 10, 4, 7)):
        (home / name).write_text("damaged before")
    for name in others:
        (home / name).mkdir() if name.endswith("5") else (home / name).write_text("somebody's")
    snapshot.write(generation(1), HELD, replaces=False)
    Path(snapshot.path).write_bytes(b"damaged now")
    snapshot.restore()
    assert snapshot.restored is not None
    assert Path(snapshot.restored).read_bytes() == b"damaged now"
    kept = {Path(snapshot.restored).name, *(f"{aside}{number}" for number in (20, 10, 7, 4))}
    assert {path.name for path in home.iterdir() if "corrupt" in path.name} == kept | others


def test_a_snapshot_for_which_there_is_no_space_leaves_the_one_that_is_there(
    snapshot: SnapshotFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, and no half-made file beside it."""
    snapshot.write(generation(1), HELD, replaces=False)
    monkeypatch.setattr(files, "write_all", _full)
    with pytest.raises(SnapshotUnwritable, match="No space left"):
        snapshot.write(generation(2), HELD, replaces=True)
    assert snapshot.read() == generation(1)
    assert not list(Path(snapshot.path).parent.rglob("*.tmp"))


def test_a_removed_snapshot_is_noticed_when_it_is_replaced(snapshot: SnapshotFile) -> None:
    """Its figures must not come back."""
    snapshot.write(generation(1), HELD, replaces=False)
    os.unlink(snapshot.path)
    with pytest.raises(Removed):
        snapshot.write(generation(2), HELD, replaces=True)
    assert snapshot.read() is None


def test_after_a_removal_the_offsets_and_the_generation_go_on(snapshot: SnapshotFile) -> None:
    """The figures are at zero, and nothing that was read comes back."""
    snapshot.write(generation(6), HELD, replaces=False)
    snapshot.write(generation(7, w=70), HELD, replaces=True)
    os.unlink(snapshot.path)
    assert snapshot.emptied() == generation(7, w=70)


@pytest.mark.parametrize("copy", [b"", b"[]", b"7", b'{"generation": "x"}', b'{"generation": 1, "journals": {"w": 3}}', None])
def test_without_a_usable_copy_of_the_offsets_everything_is_read_again(snapshot: SnapshotFile, copy: bytes | None) -> None:
    """That shows more than was asked for, but loses nothing."""
    if copy is not None:
        snapshot.keep_offsets(1, {})
        Path(snapshot.offsets).write_bytes(copy)
    assert snapshot.emptied()["journals"] == {}


def test_while_there_is_no_snapshot_the_copy_of_the_offsets_never_leads(
    snapshot: SnapshotFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fold goes by the copy then: whoever dies before the first snapshot is there must not have moved it."""
    leading = []
    replace = os.replace

    def looking(source: str, target: str) -> None:
        leading.append(target == snapshot.offsets and not os.path.exists(snapshot.path))
        replace(source, target)

    monkeypatch.setattr(os, "replace", looking)
    snapshot.write(generation(1, w=10), HELD, replaces=False)
    assert leading == [False, False]


def test_a_snapshot_is_forced_to_the_disk_when_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYJAMA_FSYNC=1 closes the gap that a power loss leaves."""
    home.mkdir()
    forced: list[int] = []
    monkeypatch.setattr(os, "fsync", forced.append)
    SnapshotFile(str(home), fsync=False).write(generation(1), HELD, replaces=False)
    assert not forced
    SnapshotFile(str(home), fsync=True).write(generation(2), HELD, replaces=True)
    assert forced


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_is_unreadable_and_nobody_waits_for_it(snapshot: SnapshotFile, kind: str) -> None:
    """Opening a pipe would wait for its other end for ever, under the lock."""
    for path in (snapshot.path, snapshot.offsets):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        else:
            os.mkdir(path)
    with pytest.raises(SnapshotUnreadable, match="it is no file"):
        snapshot.read()
    assert snapshot.emptied() == new_state()
    if kind == "pipe":
        os.mkfifo(snapshot.path + ".7.tmp")
        snapshot.restore()
        snapshot.write(generation(3), HELD, replaces=False)
        assert snapshot.read() == generation(3)


@pytest.mark.parametrize("damage", [{"generation": 1e300}, {"journals": {"w": {"offset": -5, "lines": 0}}}, {"generation": True}])
def test_a_damaged_copy_of_the_offsets_is_as_good_as_none(snapshot: SnapshotFile, damage: dict[str, object]) -> None:
    """Figures start from the journals that are there, instead of standing still for good."""
    Path(snapshot.offsets).parent.mkdir(parents=True)
    Path(snapshot.offsets).write_bytes(json.dumps({"generation": 3, "journals": {}, **damage}))
    assert snapshot.emptied() == new_state()


def test_a_folder_removed_during_a_write_gets_nothing_of_the_old(snapshot: SnapshotFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is looked at again when all is written, right before the file takes its place."""
    monkeypatch.setattr(Lock, "is_in_place", lambda self: False)
    with pytest.raises(Removed):
        snapshot.write(generation(1), HELD, replaces=False)
    assert [path.name for path in Path(snapshot.path).parent.iterdir() if path.is_file()] == []
