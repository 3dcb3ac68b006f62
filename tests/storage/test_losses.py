"""Notes of lost events: kept apart from the disk that lost them, one for each process and hub."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyjama_metrics.hub import Hub
from pyjama_metrics.storage import losses, owners, places
from tests.waiting import run_python


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the notes, for this test alone. It does not exist yet."""
    folder = tmp_path / "runtime"
    monkeypatch.setattr(places, "runtime_folder", lambda: str(folder))
    return folder


def test_a_note_says_how_many_each_writer_lost(home: Path) -> None:
    """The latest count of a writer replaces the one before."""
    for writer, count in (("w-1-a", 3), ("w-2-b", 1), ("w-1-a", 5)):
        losses.write_note(str(home), writer, count)
    assert losses.notes(str(home)) == {"w-1-a": 5, "w-2-b": 1}
    assert Hub(str(home)).lost_elsewhere() == 6


def test_each_hub_has_notes_of_its_own(home: Path, tmp_path: Path) -> None:
    """By whichever path it is reached."""
    home.mkdir()
    (tmp_path / "way").symlink_to(home)
    losses.write_note(str(home), "w-1-a", 3)
    assert losses.notes(str(tmp_path / "other")) == {}
    assert losses.notes(str(tmp_path / "way")) == {"w-1-a": 3}


def test_a_loss_that_was_told_leaves_no_note(home: Path) -> None:
    """Removing what is not there is no error."""
    losses.write_note(str(home), "w-1-a", 3)
    for _ in range(2):
        losses.remove_note(str(home), "w-1-a")
    assert losses.notes(str(home)) == {}


def test_clearing_forgets_the_notes_of_this_hub_only(home: Path, tmp_path: Path) -> None:
    """As ``clear-metrics`` starts its figures anew."""
    losses.write_note(str(home), "w-1-a", 3)
    losses.write_note(str(tmp_path / "other"), "w-1-a", 4)
    Hub(str(home)).clear()
    assert losses.notes(str(home)) == {}
    assert losses.notes(str(tmp_path / "other")) == {"w-1-a": 4}


@pytest.mark.parametrize("content", [b"", b"many", b"-", b"\xff"])
def test_a_note_that_cannot_be_read_is_no_row(home: Path, runtime: Path, content: bytes) -> None:
    """And no error."""
    losses.write_note(str(home), "w-1-a", 3)
    (note,) = runtime.iterdir()
    note.write_bytes(content)
    assert losses.notes(str(home)) == {}


def test_a_half_made_note_is_no_row(home: Path, runtime: Path) -> None:
    """Its writer was killed in the middle."""
    losses.write_note(str(home), "w-1-a", 3)
    (note,) = runtime.iterdir()
    note.rename(f"{note}.tmp")
    assert losses.notes(str(home)) == {}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_the_notes_of_others_are_not_believed(home: Path, runtime: Path) -> None:
    """The runtime folder may have fallen back to one that all users share."""
    losses.write_note(str(home), "w-1-a", 3)
    os.chown(runtime, 12345, -1)
    assert losses.notes(str(home)) == {}
    with pytest.raises(PermissionError, match="somebody else"):
        losses.write_note(str(home), "w-1-a", 4)


def test_a_folder_that_others_may_write_is_not_believed(home: Path, runtime: Path) -> None:
    """They might write a note."""
    losses.write_note(str(home), "w-1-a", 3)
    runtime.chmod(0o777)
    assert losses.notes(str(home)) == {}


def test_notes_are_private(home: Path, runtime: Path) -> None:
    """0700 and 0600."""
    losses.write_note(str(home), "w-1-a", 3)
    (note,) = runtime.iterdir()
    assert (runtime.stat().st_mode & 0o777, note.stat().st_mode & 0o777) == (0o700, 0o600)


def test_processes_of_one_session_add_up_what_each_of_them_lost(home: Path) -> None:
    """None of them lives long enough to keep count, and they may come at once."""
    code = """
        import os, sys
        from pyjama_metrics.storage import losses, places
        places.runtime_folder = lambda: sys.argv[1]
        for _ in range(50):
            losses.add_to_note(os.environ["PYJAMA_HOME"], "s-1-a", 2)
    """
    with run_python(code, places.runtime_folder()) as one, run_python(code, places.runtime_folder()) as two:
        assert (one.wait(20), two.wait(20)) == (0, 0)
    assert losses.notes(str(home)) == {"s-1-a": 200}


def test_a_note_that_is_none_counts_anew(home: Path) -> None:
    """Somebody has written into it."""
    losses.write_note(str(home), "s-1-a", 1)
    (note,) = Path(places.runtime_folder()).iterdir()
    note.write_text("what?")
    losses.add_to_note(str(home), "s-1-a", 1)
    assert losses.notes(str(home)) == {"s-1-a": 1}


def test_a_note_that_somebody_holds_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person may be waiting for the process."""
    monkeypatch.setattr(losses, "LONGEST_WAIT", 0.0)
    losses.write_note(str(home), "s-1-a", 1)
    (note,) = Path(places.runtime_folder()).iterdir()
    with note.open("rb") as file:
        assert owners.try_lock(file.fileno())
        with pytest.raises(TimeoutError):
            losses.add_to_note(str(home), "s-1-a", 1)
