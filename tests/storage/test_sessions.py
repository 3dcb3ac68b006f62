"""What is known of sessions, in its file: kept, forgotten in time, set aside when damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pyjama_metrics.errors import SessionsUnusable
from pyjama_metrics.sessions.known import Spent
from pyjama_metrics.storage import sessions
from pyjama_metrics.storage.sessions import KEPT_DAYS, SessionsFile

DAY_MS = 86_400_000
TODAY = 20_000


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionsFile:
    """A file that is not there yet, on a day of our choice."""
    monkeypatch.setattr(sessions, "_today", lambda: TODAY)
    return SessionsFile(str(tmp_path), fsync=False)


def spent(day: int, session: str = "s") -> Spent:
    """An answer of that day."""
    return Spent(session, "a", f"{session}.1", day * DAY_MS, "m", (1, 2, 3, 4, 5))


def test_what_is_committed_is_known_and_nothing_else(file: SessionsFile) -> None:
    """Who dies before the commit has told nothing."""
    with file:
        file.answer("c1")
        file.spend("m1", spent(TODAY))
        assert not file.prompted("p1")
        file.commit()
        file.answer("c2")
    with file:
        assert (file.answered("c1"), file.answered("c2"), file.prompted("p1")) == (True, False, True)
        assert file.spent("m1") == spent(TODAY)
        assert file.spent("m2") is None


@pytest.mark.parametrize("all_at_once", [False, True])
def test_what_is_known_is_the_same_when_it_is_learned_at_once(file: SessionsFile, all_at_once: bool) -> None:
    """An import reads it all into memory first."""
    with file:
        file.answer("c1")
        file.spend("m1", spent(TODAY))
        file.commit()
    with file:
        if all_at_once:
            file.learn_all()
        assert (file.answered("c1"), file.answered("c2")) == (True, False)
        assert (file.spent("m1"), file.spent("m2")) == (spent(TODAY), None)


def test_what_is_old_is_forgotten_once_a_day(file: SessionsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that only grows would be as large as all that was ever done."""
    with file:
        file.answer("c1")
        file.set_position("/old", [[1], None])
        file.spend("m1", spent(TODAY, "old"))
        file.copied("new", "m1")
        file.spend("m2", spent(TODAY + KEPT_DAYS, "new"))
        file.let_go()
        file.commit()
        assert file.answered("c1")
    monkeypatch.setattr(sessions, "_today", lambda: TODAY + KEPT_DAYS + 1)
    with file:
        file.answer("c2")
        file.let_go()
        file.commit()
    with file:
        assert (file.answered("c1"), file.answered("c2")) == (False, True)
        assert (file.spent("m1"), file.spent("m2")) == (None, spent(TODAY + KEPT_DAYS, "new"))
        assert file.position("/old") is None
    with sqlite3.connect(file.path) as database:
        assert [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("owners", "copies", "files")] == [
            1,
            0,
            0,
        ]
    database.close()


def test_what_the_program_counted_beyond_its_transcript_is_told_once(file: SessionsFile) -> None:
    """And grows by what is new; what a parent has beyond its own is not told again for a fork."""
    with file:
        file.spend("m1", spent(TODAY, "parent"))
        assert file.unlisted("parent", "m", (11, 2, 3, 4, 5)) == (10, 0, 0, 0, 0)
        assert file.unlisted("parent", "m", (11, 2, 3, 4, 5)) == (0, 0, 0, 0, 0)
        assert file.unlisted("parent", "m", (12, 2, 3, 4, 5)) == (1, 0, 0, 0, 0)
        file.copied("fork", "m1")
        assert file.unlisted("fork", "m", (15, 2, 3, 4, 5)) == (3, 0, 0, 0, 0)


def test_a_damaged_file_is_set_aside_and_begun_anew(file: SessionsFile) -> None:
    """It is kept for whoever wants to look."""
    Path(file.path).write_bytes(b"no database" * 500)
    with file:
        assert file.is_new
        assert file.set_aside is not None
        assert Path(file.set_aside).exists()


@pytest.mark.parametrize("form", [0, 1])
def test_a_file_with_other_tables_is_set_aside_too(file: SessionsFile, form: int) -> None:
    """Whoever made it, it is not ours."""
    with sqlite3.connect(file.path) as database:
        database.execute("CREATE TABLE told (other TEXT)")
        database.execute(f"PRAGMA user_version = {form}")
    database.close()
    for _ in range(2):
        try:
            with file:
                file.answer("c1")
                file.commit()
        except SessionsUnusable:
            assert form == 1, "it shows in use only"
    with file:
        assert file.answered("c1")
    assert file.set_aside is not None


@pytest.mark.parametrize("obstacle", ["folder", "newer", "link"])
def test_a_file_that_cannot_be_used_is_said_in_a_sentence(file: SessionsFile, tmp_path: Path, obstacle: str) -> None:
    """And is left as it is."""
    if obstacle == "folder":
        Path(file.path).mkdir()
    elif obstacle == "link":
        Path(file.path).symlink_to(tmp_path / "nowhere" / "x")
    else:
        with sqlite3.connect(file.path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    with pytest.raises(
        SessionsUnusable, match=r"sessions\.db cannot be used: .+ Sessions of Claude Code and Codex are not counted"
    ):
        file.__enter__()
