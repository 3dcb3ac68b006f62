"""The order of steps: exactly once whatever dies when, figures that start anew, journals that stay as long as they are needed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from pyjama_metrics import hub as hub_module
from pyjama_metrics.errors import FolderUnusable, LockTimeout, SnapshotUnreadable, SnapshotUnwritable
from pyjama_metrics.fold import LOG_ENTRIES
from pyjama_metrics.hub import AHEAD_MS, Hub
from pyjama_metrics.state import State, new_state
from pyjama_metrics.storage import json, segments
from tests.journals import counted, event, leave_journal, lines, live_journal, now_ms, on_disk, record, tool
from tests.waiting import run_python

KILLED_AT_A_REPLACE = """
    import os, signal, sys
    from pyjama_metrics.hub import Hub
    target, moment = sys.argv[1:]
    replace = os.replace
    def fatal(source, destination):
        hit = os.path.basename(destination) == target
        if hit and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, destination)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
    os.replace = fatal
    Hub().fold()
"""
DEATHS = [(name, moment) for name in ("offsets.json", "metrics.json.prev", "metrics.json") for moment in ("before", "after")]


def fold_and_die(target: str, moment: str) -> None:
    """A process folds and is killed right before or after it replaces one of the hub's files."""
    with run_python(KILLED_AT_A_REPLACE, target, moment) as child:
        _, complaint = child.communicate(timeout=20)
        assert child.returncode == -signal.SIGKILL, complaint


@pytest.mark.parametrize(("target", "moment"), DEATHS)
def test_a_fold_killed_half_way_is_repeated_and_never_counted_twice(home: Path, target: str, moment: str) -> None:
    """State and offsets move in one replace: a kill between two steps of a fold changes no figure."""
    with live_journal(home) as journal:
        record(journal, 5)
        assert counted(home) == 5
        record(journal, 3)
        fold_and_die(target, moment)
        assert counted(home) == 8


@pytest.mark.parametrize(("target", "moment"), [death for death in DEATHS if "prev" not in death[0]])
def test_the_very_first_fold_killed_half_way_loses_nothing(home: Path, target: str, moment: str) -> None:
    """Where there is no snapshot yet, a dead fold must not look like a snapshot that the user removed."""
    with live_journal(home) as journal:
        record(journal, 5)
        fold_and_die(target, moment)
        assert counted(home) == 5


@pytest.mark.parametrize(("target", "moment"), DEATHS)
def test_a_restoration_killed_half_way_is_repeated(home: Path, target: str, moment: str) -> None:
    """A process that dies while it restores a damaged snapshot does not take the figures with it."""
    with live_journal(home) as journal:
        record(journal, 5)
        assert counted(home) == 5
        record(journal, 3)
        assert counted(home) == 8
        (home / "metrics.json").write_bytes(b"{")
        with run_python(KILLED_AT_A_REPLACE, target, moment) as child:
            child.communicate(timeout=20)
        assert counted(home) == 8


def test_a_fold_that_cannot_replace_raises_changes_nothing_and_is_repeated(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hub goes on from what is in the file, not from what it had in mind."""
    hub = Hub()
    with live_journal(home) as journal:
        record(journal, 2)
        hub.flush()
        record(journal, 3)
        with monkeypatch.context() as broken:
            broken.setattr(os, "replace", _full_disk)
            with pytest.raises(SnapshotUnwritable, match="No space left"):
                hub.fold()
        assert on_disk(home)["global"]["count"] == 2
        assert hub.read()["global"]["count"] == 5


def _full_disk(source: str, target: str) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)


def test_the_offsets_lie_inside_the_snapshot(home: Path) -> None:
    """The offset of a journal is the end of the last line that is counted."""
    with live_journal(home) as journal:
        record(journal, 4)
        Hub().flush()
        at = on_disk(home)["journals"]["w-1-a.0.jsonl"]
        assert at == {"offset": os.path.getsize(journal.path), "lines": 5}


def test_folding_again_changes_nothing_not_even_the_file(home: Path) -> None:
    """Without a new event the file is not replaced, so nobody who watches it is woken."""
    with live_journal(home) as journal:
        record(journal, 4)
        Hub().flush()
        before = os.stat(home / "metrics.json")
        assert Hub().fold().events == 0
        assert os.stat(home / "metrics.json") == before


def test_two_hubs_that_fold_by_turns_count_each_event_once(home: Path) -> None:
    """What a hub remembers of the snapshot is forgotten when another one has replaced it."""
    hubs = [Hub(), Hub()]
    with live_journal(home) as journal:
        for turn in range(6):
            record(journal, turn)
            hubs[turn % 2].flush()
    assert on_disk(home)["global"]["count"] == 15


def test_one_fold_is_bounded_and_says_that_it_has_not_caught_up(home: Path) -> None:
    """One agent is not made to work for all: a long journal takes several folds, each of which is published."""
    with live_journal(home) as journal:
        journal.append(lines(tool(now_ms())) * 5_000)
        hub = Hub()
        report = hub.fold(max_bytes=100_000)
        assert not report.caught_up
        assert 0 < on_disk(home)["global"]["count"] < 5_000
        assert hub.flush(10)
        assert on_disk(home)["global"]["count"] == 5_000


def test_a_fold_gives_each_journal_its_share(home: Path) -> None:
    """A loud agent does not keep a quiet one out of the figures."""
    with live_journal(home, "loud-1-a") as loud, live_journal(home, "quiet-1-a") as quiet:
        loud.append(lines(tool(now_ms())) * 10_000)
        record(quiet, 1, agent="quiet")
        Hub().fold(max_bytes=70_000)
    assert "quiet" in on_disk(home)["agents"]


def test_a_fold_steps_back_while_another_process_folds(home: Path) -> None:
    """Try-lock and skip: the one who holds the lock does the work."""
    code = """
        from pyjama_metrics.hub import Hub
        hub = Hub()
        with hub._lock.held(None):
            print("held", flush=True)
            input()
    """
    with live_journal(home) as journal, run_python(code) as child:
        record(journal, 1)
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert Hub().fold().busy
        assert not Hub().flush(0.05)


def test_the_generation_grows_with_every_fold(home: Path) -> None:
    """Also over a removal, a restoration and a clearing: a reader takes a smaller one for an older state."""
    seen = []
    with live_journal(home) as journal:
        for change in ("fold", "fold", "remove", "corrupt", "clear", "corrupt both"):
            record(journal, 1)
            if change == "remove":
                (home / "metrics.json").unlink()
            if change == "clear":
                Hub().clear()
            if change.startswith("corrupt"):
                (home / "metrics.json").write_bytes(b"")
            if change == "corrupt both":
                (home / "metrics.json.prev").write_bytes(b"")
            seen.append(Hub().read()["generation"])
    assert seen == sorted(set(seen))


# -- damaged, foreign and newer snapshots ------------------------------------------------------------------------------

DAMAGES = [
    pytest.param(b"", id="empty"),
    pytest.param(b'{"format": 1, "agents": {', id="truncated"),
    pytest.param(b"\x00\xff\xfe", id="not text"),
    pytest.param(b"[1, 2]", id="a list"),
    pytest.param(b'{"agents": {}, "global": {"count": 9}, "tools": {}, "recent-logs": []}', id="of the ancestor"),
    pytest.param(b'{"format": "one"}', id="foreign"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_snapshot_is_set_aside_and_the_figures_are_restored_exactly(home: Path, damage: bytes) -> None:
    """From the generation before, whose older offsets make the fold read again what the damaged one had read."""
    with live_journal(home) as journal:
        for _ in range(3):
            record(journal, 4)
            Hub().flush()
        (home / "metrics.json").write_bytes(damage)
        record(journal, 1)
        assert counted(home) == 13
    assert [path.read_bytes() for path in home.glob("metrics.json.corrupt-*")] == [damage]
    assert on_disk(home)["problems"]["restored-snapshots"] == 1


@pytest.mark.parametrize("row", [7, {"count": "many"}, {"count": 4, "tools": 3}])
def test_a_snapshot_with_a_row_of_a_wrong_type_is_restored(home: Path, row: object) -> None:
    """Somebody edited it: the fold that stumbles over it sets it aside, and nothing is lost or counted twice."""
    with live_journal(home) as journal:
        record(journal, 2)
        Hub().flush()
        name = next(iter(on_disk(home)["agents"]))
        record(journal, 2)
        Hub().flush()
        damaged = json.dumps({**on_disk(home), "agents": {name: row}})
        (home / "metrics.json").write_bytes(damaged)
        record(journal, 1)
        assert counted(home) == 5
    assert [path.read_bytes() for path in home.glob("metrics.json.corrupt-*")] == [damaged]


@pytest.mark.parametrize("damage", [{"generation": 2**64 - 1}, {"evicted": {}}, {"recent-logs": [{"timestamp": 1, "id": "x:²"}]}])
def test_a_snapshot_that_no_fold_can_go_on_from_is_made_anew(home: Path, damage: dict[str, object]) -> None:
    """Whatever is wrong with it, the journals that are there say what happened; nothing is counted twice."""
    with live_journal(home) as journal:
        record(journal, 3)
        Hub().flush()
        (home / "metrics.json").write_bytes(json.dumps({**on_disk(home), **damage}))
        record(journal, 1)
        journal.append(lines(event("activity", now_ms())))
        assert counted(home) == 4


def test_a_snapshot_whose_steps_have_odd_times_is_made_anew(home: Path) -> None:
    """Values that may be missing may also be of a wrong type; both generations have them here."""
    with live_journal(home) as journal:
        journal.append(lines(event("start", now_ms(), run="w-1-a.1"), event("step-start", now_ms(), run="w-1-a.1", step="s")))
        Hub().flush()
        state = on_disk(home)
        state["agents"]["a"]["runs"]["w-1-a.1"]["steps"][0]["started"] = "noon"  # type: ignore[typeddict-item]
        for name in ("metrics.json", "metrics.json.prev"):
            (home / name).unlink(missing_ok=True)
            (home / name).write_bytes(json.dumps(state))
        journal.append(lines(event("step-complete", now_ms(), run="w-1-a.1", step="s")))
        Hub().flush()
        assert [step["status"] for step in on_disk(home)["agents"]["a"]["runs"]["w-1-a.1"]["steps"]] == ["completed"]


def test_an_event_dated_far_ahead_does_not_hide_what_comes_after_it(home: Path) -> None:
    """A clock that was a day fast for a moment: log, tool and waiting go on with the clock that is right."""
    day = 86_400_000
    with live_journal(home) as journal:
        journal.append(lines(event("start", now_ms(), run="w-1-a.1")))
        journal.append(
            lines(event("waiting", now_ms() + day, run="w-1-a.1", reason="future"), tool(now_ms() + day, tool="future"))
        )
        Hub().flush()
        later = Hub(clock=lambda: time.time() + 900)
        journal.append(lines(event("activity", now_ms() + 600_000, run="w-1-a.1", tool="present")))
        later.flush()
    agent = on_disk(home)["agents"]["a"]
    assert (agent["status"], agent["current-tool"], on_disk(home)["problems"]["invalid-values"]) == ("running", "present", 2)
    assert on_disk(home)["recent-logs"][-1].get("tool") == "present"


def test_a_clock_set_back_does_not_stop_the_log(home: Path) -> None:
    """A hundred entries of what is the future now keep their order and make room for what happens next."""
    day, now = 86_400_000, now_ms()
    with live_journal(home) as journal:
        journal.append(lines(event("activity", now - 1, run="r", tool="before")))
        journal.append(lines(*(event("activity", now + day + 10 * n, run="r", tool=str(n)) for n in range(LOG_ENTRIES))))
        Hub(clock=lambda: time.time() + day / 1000).flush()
        assert on_disk(home)["recent-logs"][-1]["timestamp"] > now_ms() + AHEAD_MS
        journal.append(lines(event("activity", now + 1_000, run="r", tool="after")))
        Hub().flush()
    logs = on_disk(home)["recent-logs"]
    assert [entry.get("tool") for entry in logs] == [*map(str, range(1, LOG_ENTRIES)), "after"]
    assert logs[-2]["timestamp"] - logs[0]["timestamp"] == 10 * (LOG_ENTRIES - 2)


def test_a_clearing_says_from_when_on_the_figures_are_known(home: Path) -> None:
    """Not in the future, should the clock be set back; and as long as nobody cleared them, from the first event on."""
    with live_journal(home) as journal:
        record(journal, 1)
        Hub().flush()
        assert on_disk(home)["known-from"] == 0
        day_ahead = time.time() + 86_400
        Hub(clock=lambda: day_ahead).clear()
        assert on_disk(home)["known-from"] == int(day_ahead * 1000)
        record(journal, 1)
        Hub().flush()
    assert now_ms() - 60_000 < on_disk(home)["known-from"] <= now_ms()


def test_figures_that_could_not_be_made_fresh_say_so(home: Path) -> None:
    """Somebody holds the lock and does not let go: what is shown is old, and the reader is told."""
    Hub().flush()
    with Hub()._lock.held(0):
        hub = Hub()
        hub.read(timeout=0.05)
        assert isinstance(hub.trouble, LockTimeout)


def test_looking_makes_no_folder(home: Path) -> None:
    """A mistyped PYJAMA_HOME leaves nothing behind."""
    Hub().read()
    assert not home.exists()


def test_a_snapshot_with_a_hole_is_as_damaged_as_any_other(home: Path) -> None:
    """JSON that has the shape of ours at first sight, and lacks what a fold needs, does not stop the folding for ever."""
    with live_journal(home) as journal:
        record(journal, 2)
        Hub().flush()
        record(journal, 2)
        Hub().flush()
        state = on_disk(home)
        state["agents"] = {"a": {}}  # type: ignore[typeddict-item]
        (home / "metrics.json").write_bytes(json.dumps(state))
        record(journal, 1)
        assert counted(home) == 5


def test_a_snapshot_damaged_under_a_hub_that_remembers_it_is_noticed(home: Path) -> None:
    """What is in memory is used only as long as the file is the one that it was read from."""
    hub = Hub()
    with live_journal(home) as journal:
        record(journal, 4)
        hub.flush()
        (home / "metrics.json").write_bytes(b"{}")
        record(journal, 1)
        hub.flush()
    assert on_disk(home)["global"]["count"] == 5
    assert on_disk(home)["problems"]["restored-snapshots"] == 1


def test_where_both_generations_are_damaged_the_journals_are_read_from_their_beginning(home: Path) -> None:
    """What the journals still hold is counted again; it is all that is known."""
    with live_journal(home) as journal:
        record(journal, 4)
        Hub().flush()
        for name in ("metrics.json", "metrics.json.prev"):
            (home / name).write_bytes(b"rubbish")
        record(journal, 1)
        assert counted(home) == 5


def test_the_snapshot_of_a_newer_version_is_left_alone(home: Path) -> None:
    """It is whole: nobody sets it aside, and the error says to upgrade."""
    newer = json.dumps({**new_state(), "format": 2})
    with live_journal(home) as journal:
        record(journal, 1)
        (home / "metrics.json").write_bytes(newer)
        with pytest.raises(SnapshotUnreadable, match="upgrade pyjama-metrics here"):
            Hub().fold()
    assert (home / "metrics.json").read_bytes() == newer
    assert not list(home.glob("*.corrupt-*"))


def test_a_folder_that_is_a_file_is_one_error_with_a_sentence(home: Path) -> None:
    """Whatever is asked of such a hub, the answer says what is wrong."""
    home.write_text("not a folder")
    for question in (Hub().fold, Hub().flush, Hub().read, Hub().clear):
        with pytest.raises(FolderUnusable, match="cannot be used"):
            question()


def test_a_hub_that_does_not_exist_yet_has_no_figures(home: Path) -> None:
    """Looking is allowed before anything was recorded."""
    assert Hub().read(fresh=False) == new_state()
    assert Hub().read()["global"]["count"] == 0


# -- figures that start anew -------------------------------------------------------------------------------------------


def test_a_removed_snapshot_starts_the_figures_at_zero_and_nothing_old_comes_back(home: Path) -> None:
    """``rm metrics.json`` while an agent records: what came before is gone, what comes after is counted."""
    with live_journal(home) as journal:
        record(journal, 7)
        Hub().flush()
        (home / "metrics.json").unlink()
        assert counted(home) == 0
        record(journal, 2)
        assert counted(home) == 2


def test_a_snapshot_removed_while_its_successor_is_written_counts_the_batch_from_zero(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events of that batch may have been recorded after the removal, so they count; nothing older does."""
    hub, link = Hub(), os.link

    def removed_meanwhile(source: str, target: str) -> None:
        if source == hub.snapshot_path and os.path.exists(source) and target.endswith(".prev.tmp"):
            monkeypatch.setattr(os, "link", link)
            os.unlink(source)
        link(source, target)

    with live_journal(home) as journal:
        record(journal, 7)
        hub.flush()
        record(journal, 2)
        monkeypatch.setattr(os, "link", removed_meanwhile)
        hub.flush()
    assert on_disk(home)["global"]["count"] == 2


def test_a_removed_folder_is_made_anew_and_later_events_count(home: Path) -> None:
    """``rm -rf ~/.pyjama`` while an agent records: the journal is made again, and nothing from before comes back."""
    hub = Hub()
    with live_journal(home) as journal:
        record(journal, 7)
        journal.look_after()
        hub.flush()
        shutil.rmtree(home)
        record(journal, 2)
        journal.look_after()
        record(journal, 1)
        assert hub.read()["global"]["count"] == 3
        assert counted(home) == 3


def test_a_folder_removed_during_a_fold_does_not_come_back_with_its_figures(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fold knows that the lock it holds is not there any more, and begins again with what is."""
    retain = hub_module.retain

    def late(state: State, now: int) -> bool:
        monkeypatch.setattr(hub_module, "retain", retain)
        shutil.rmtree(home)
        return retain(state, now)

    with live_journal(home) as journal:
        record(journal, 7)
        monkeypatch.setattr(hub_module, "retain", late)
        Hub().fold()
    assert counted(home) == 0


def test_clearing_a_folder_that_is_removed_meanwhile_is_no_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who clears has what he wanted."""
    cleared = hub_module.cleared

    def late(state: State) -> State:
        monkeypatch.setattr(hub_module, "cleared", cleared)
        shutil.rmtree(home)
        return cleared(state)

    with live_journal(home) as journal:
        record(journal, 7)
        Hub().flush()
        monkeypatch.setattr(hub_module, "cleared", late)
        Hub().clear()
    assert counted(home) == 0


def test_clearing_starts_anew_from_the_next_event(home: Path) -> None:
    """Folded or not: what was recorded before the clearing is gone, what comes after it is counted in full."""
    with live_journal(home) as journal:
        record(journal, 5)
        Hub().flush()
        record(journal, 5)
        Hub().clear()
        assert on_disk(home)["global"]["count"] == 0
        record(journal, 2)
        assert counted(home) == 2


def test_after_clearing_not_even_a_restoration_brings_the_old_figures_back(home: Path) -> None:
    """The snapshot becomes its own predecessor."""
    with live_journal(home) as journal:
        record(journal, 5)
        Hub().flush()
        Hub().clear()
        (home / "metrics.json").write_bytes(b"")
        assert counted(home) == 0


def test_clearing_keeps_open_runs_as_running_with_nothing_counted(home: Path) -> None:
    """A run that goes on is shown, and its end is counted."""
    with live_journal(home, "w-1-a") as journal:
        journal.append(lines(event("start", run="w-1-a.1", pid=7), tool(run="w-1-a.1"), event("start", agent="b", run="w-1-a.2")))
        journal.append(lines(event("complete", agent="b", run="w-1-a.2")))
        Hub().clear()
        state = on_disk(home)
        assert list(state["agents"]) == ["a"]
        assert (state["agents"]["a"]["status"], state["agents"]["a"]["count"], state["agents"]["a"]["pid"]) == ("running", 0, 7)
        journal.append(lines(event("complete", run="w-1-a.1")))
        assert Hub().read()["runs"] == {**new_state()["runs"], "started": 1, "completed": 1}


# -- journals ----------------------------------------------------------------------------------------------------------


def test_a_torn_last_line_waits_for_its_end(home: Path) -> None:
    """Half a line is nobody's event; the rest of it makes it one."""
    with live_journal(home) as journal:
        whole = lines(tool())
        record(journal, 1)
        os.write(journal.descriptor, whole[:20])
        assert counted(home) == 1
        os.write(journal.descriptor, whole[20:])
        assert counted(home) == 2
    assert on_disk(home)["problems"]["malformed-lines"] == 0


def test_garbage_in_the_middle_of_a_journal_is_counted_and_passed_over(home: Path) -> None:
    """One bad line is one problem, and spoils no other line."""
    with live_journal(home) as journal:
        record(journal, 1)
        os.write(journal.descriptor, b'{"event":"tool"\n\x00\xff\n[]\n{"a":1}{"b":2}\n\n')
        record(journal, 1)
        assert counted(home) == 2
    assert on_disk(home)["problems"]["malformed-lines"] == 5


def test_a_truncated_journal_is_read_from_its_beginning(home: Path) -> None:
    """What is in it now is new, as its writer appends."""
    with live_journal(home) as journal:
        record(journal, 5)
        Hub().flush()
        os.truncate(journal.path, 0)
        record(journal, 2)
        assert counted(home) == 7


def test_a_journal_removed_between_listing_and_reading_is_skipped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever folds first removes a finished journal; losing that race is fine."""
    gone = leave_journal(home, "gone-1-a", tool(), host="elsewhere")
    leave_journal(home, "here-1-a", tool(), host="elsewhere")
    read = segments.read_lines

    def late(path: str, offset: int, limit: int) -> bytes:
        gone.unlink(missing_ok=True)
        return read(path, offset, limit)

    monkeypatch.setattr(segments, "read_lines", late)
    assert counted(home) == 1


def test_a_rotated_segment_is_read_to_its_end_and_then_removed_one_generation_late(home: Path) -> None:
    """The generation before must not need it any more either, because figures may be restored from that."""
    with live_journal(home) as journal:
        record(journal, 5)
        first = journal.path
        journal._next_segment()
        record(journal, 1)
        hub = Hub()
        for expected, stays in ((6, True), (7, False)):
            hub.flush()
            assert (on_disk(home)["global"]["count"], os.path.exists(first)) == (expected, stays)
            record(journal, 1)
        assert counted(home) == 8
        assert list(on_disk(home)["journals"]) == [os.path.basename(journal.path)]


def test_after_a_rotation_a_restored_snapshot_still_finds_all_events(home: Path) -> None:
    """At whatever generation the damage happens."""
    with live_journal(home) as journal:
        for generation in range(1, 6):
            record(journal, 2)
            journal._next_segment()
            Hub().flush()
            if generation > 1:  # the first one has none before it
                (home / "metrics.json").write_bytes(b"")
            assert counted(home) == 2 * generation


def test_a_journal_stays_until_every_projection_is_past_it(home: Path) -> None:
    """Another projection, such as a history, reads the same journals at its own pace."""
    read_to = 0
    hub = Hub()
    hub.projections.append(lambda name: read_to)
    with live_journal(home) as journal:
        record(journal, 5)
        first = journal.path
        journal._next_segment()
        for _ in range(4):
            record(journal, 1)
            hub.flush()
        assert os.path.exists(first)
        read_to = 2**40
        record(journal, 1)
        hub.flush()
        assert not os.path.exists(first)


def test_the_journal_of_a_finished_process_is_removed(home: Path) -> None:
    """Its figures stay, its file goes, and so does its place in the snapshot."""
    path = leave_journal(home, "done-1-a", event("start", run="done-1-a.1"), event("complete", run="done-1-a.1"), tool())
    with live_journal(home) as journal:
        for _ in range(3):
            record(journal, 1)
            Hub().flush()
    assert not path.exists()
    assert (on_disk(home)["global"]["count"], list(on_disk(home)["journals"])) == (4, ["w-1-a.0.jsonl"])


@pytest.mark.parametrize("writer", ["a finished process", "a live one that has gone on to a new segment"])
def test_a_journal_that_ends_in_a_torn_line_is_removed_like_any_other(home: Path, writer: str) -> None:
    """A full disk leaves half a line at the end; it was counted as lost when it was written, and no more comes after it."""
    with live_journal(home) as journal:
        record(journal, 1)
        torn = Path(journal.path)
        if writer == "a finished process":
            torn = leave_journal(home, "done-1-a", tool())
        with torn.open("ab") as file:
            file.write(b'{"event":"to')
        journal._next_segment()
        for _ in range(3):
            record(journal, 1)
            Hub().flush()
    assert not torn.exists()


def test_the_journal_of_another_machine_is_never_removed(home: Path) -> None:
    """A free lock proves nothing about a process of another machine: it may write again."""
    path = leave_journal(home, "far-1-a", tool(), host="elsewhere", boot="another")
    with live_journal(home) as journal:
        for _ in range(3):
            record(journal, 1)
            Hub().flush()
    assert path.exists()


def test_pending_says_whether_a_fold_has_something_to_do(home: Path) -> None:
    """Cheaply, so that a dashboard may ask twice a second."""
    hub = Hub()
    assert hub.pending()
    with live_journal(home) as journal:
        hub.flush()
        hub._watch.monotonic = lambda: 0.0  # not yet time to look after owners
        assert not hub.pending()
        record(journal, 1)
        assert hub.pending()
        hub.flush()
        assert not hub.pending()


def test_reading_where_nothing_may_be_written_gives_the_last_figures_and_the_trouble(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or a read-only folder stops the folding, not the looking."""
    hub = Hub()
    with live_journal(home) as journal:
        record(journal, 3)
        hub.flush()
        record(journal, 1)
        monkeypatch.setattr(os, "replace", _full_disk)
        assert hub.read()["global"]["count"] == 3
        assert isinstance(hub.trouble, SnapshotUnwritable)


def test_what_a_hub_makes_is_private(home: Path) -> None:
    """0700 and 0600, whatever the umask is."""
    before = os.umask(0)
    try:
        with live_journal(home) as journal:
            record(journal, 1)
            Hub().flush()
            record(journal, 1)
            Hub().flush()
    finally:
        os.umask(before)
    modes = {path.relative_to(home).as_posix(): path.stat().st_mode & 0o777 for path in [home, *home.rglob("*")]}
    assert {modes.pop("."), modes.pop("journal")} == {0o700}
    assert set(modes.values()) == {0o600}
    assert {"metrics.json", "metrics.json.prev", "metrics.json.lock", "journal/offsets.json"} < set(modes)


def test_writers_are_listed_with_what_is_not_folded_yet(home: Path) -> None:
    """Who writes, whether it lives, how much it wrote, and how much of that is not in the figures."""
    leave_journal(home, "dead-7-a", tool(), pid=7)
    leave_journal(home, "far-8-a", tool(), host="elsewhere", boot="another")
    with live_journal(home) as journal:
        record(journal, 1)
        found = {writer.name: writer for writer in Hub().writers()}
        size = os.path.getsize(journal.path)
    assert {name: writer.alive for name, writer in found.items()} == {"dead-7-a": False, "far-8-a": None, "w-1-a": True}
    assert (found["w-1-a"].pid, found["w-1-a"].size, found["w-1-a"].lag) == (os.getpid(), size, size)


def test_a_fold_with_many_journals_stops_at_its_bound_and_the_next_goes_on(home: Path) -> None:
    """However many journals there are, one agent is not made to fold them all at once, and each has its turn."""
    for number in range(40):
        leave_journal(home, f"w-{number}-a", *[tool(now_ms(), agent=f"a{number}")] * 500)
    hub, folds = Hub(), []
    while not (folds and folds[-1].caught_up):
        folds.append(hub.fold(max_bytes=200_000))
    assert max(report.events for report in folds) < 6_000
    assert (on_disk(home)["global"]["count"], len(folds) >= 4) == (20_000, True)
