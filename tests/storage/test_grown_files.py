"""Files that somebody else appends to: whole lines, each once, whatever happens to the file."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyjama_metrics.storage import grown_files
from pyjama_metrics.storage.files import NotAFile
from pyjama_metrics.storage.grown_files import GrownFile, Position


def read(path: Path, position: Position | None = None, buffer: bytearray | None = None) -> tuple[bytes, Position, GrownFile]:
    """All that is new, and where it ends."""
    file = GrownFile(str(path), position, buffer)
    got = b"".join(bytes(memory[begin:end]) for memory, begin, end in file.pieces())
    assert file.position is not None
    return got, file.position, file


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A file with two whole lines and the beginning of a third."""
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"one\ntwo\nthr")
    return path


def append(path: Path, data: bytes) -> None:
    """What the other program does."""
    with path.open("ab") as file:
        file.write(data)


def test_whole_lines_are_read_and_what_is_new_the_next_time(lines: Path) -> None:
    """The rest of a line waits until it is whole."""
    got, position, file = read(lines)
    assert (got, position.offset, file.began_anew) == (b"one\ntwo\n", 8, True)
    assert read(lines, position)[0] == b""
    append(lines, b"ee\nfour\n\xe2\x82")
    got, position, file = read(lines, position)
    assert (got, position.offset, file.began_anew) == (b"three\nfour\n", 19, False)


def test_a_position_survives_being_json(lines: Path) -> None:
    """It is kept in a database; whatever is found there in its place is no position."""
    _, position, _ = read(lines)
    assert Position.of(json.loads(json.dumps(position))) == position
    for kept in (None, [], "x", [1, 2, 3, 4], [1, 2, 3, 4, "5"], [1, 2, -3, 4, 0], [1, 2, 3.0, 4, 0], [True] * 5):
        assert Position.of(kept) is None


def test_a_file_that_shrank_is_read_anew(lines: Path) -> None:
    """Its old lines are gone; what is there now is new."""
    _, position, _ = read(lines)
    lines.write_bytes(b"1\n")
    got, _, file = read(lines, position)
    assert (got, file.began_anew) == (b"1\n", True)


def test_another_file_of_the_same_name_is_read_anew(lines: Path) -> None:
    """Also where it begins alike."""
    _, position, _ = read(lines)
    beside = lines.with_suffix(".new")
    beside.write_bytes(b"one\ntwo\nthree\n")
    os.replace(beside, lines)
    got, _, file = read(lines, position)
    assert (got, file.began_anew) == (b"one\ntwo\nthree\n", True)


def test_a_file_that_was_written_anew_in_place_is_noticed(lines: Path) -> None:
    """The same inode, and longer than it was."""
    _, position, _ = read(lines)
    inode = lines.stat().st_ino
    lines.write_bytes(b"One\nTwo\nThree\n")
    assert lines.stat().st_ino == inode
    got, _, file = read(lines, position)
    assert (got, file.began_anew) == (b"One\nTwo\nThree\n", True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(1, 24))
def test_whatever_is_appended_every_whole_line_is_read_once(tmp_path: Path, parts: list[bytes], room: int) -> None:
    """However small the memory is, and wherever a reading ended."""
    path = tmp_path / "grows"
    path.write_bytes(b"")
    position, got = None, b""
    for part in parts:
        append(path, part)
        more, position, _ = read(path, position, bytearray(room))
        got += more
    whole = b"".join(parts)
    assert got == whole[: whole.rfind(b"\n") + 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 30) | st.just(0), max_size=10), st.integers(1, 16), st.booleans())
def test_lines_that_are_too_long_are_passed_over_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lengths: list[int], room: int, in_steps: bool
) -> None:
    """Lines of up to sixteen bytes here; in one reading or in steps of seven bytes."""
    monkeypatch.setattr(grown_files, "LONGEST", 16)
    path = tmp_path / "long"
    whole = b"".join(bytes([97 + number % 26]) * length + b"\n" for number, length in enumerate(lengths))
    path.write_bytes(b"")
    position, got, passed = None, b"", 0
    for begin in range(0, len(whole), 7) if in_steps else (0,):
        append(path, whole[begin : begin + 7] if in_steps else whole)
        more, position, file = read(path, position, bytearray(room))
        got, passed = got + more, passed + file.passed_over
    # The newline counts: a line of sixteen bytes has one more.
    kept = [part for part in whole.splitlines(keepends=True) if len(part) <= 16]
    assert got == b"".join(kept)
    assert passed == len(whole) - len(got)


def test_a_position_moves_on_when_a_piece_was_dealt_with(lines: Path) -> None:
    """Whoever stops in the middle of a piece gets it again."""
    file = GrownFile(str(lines), None, bytearray(4))
    pieces = file.pieces()
    next(pieces)
    assert (file.position or Position(0, 0, -1, 0, 0)).offset == 0
    next(pieces)
    assert file.position is not None
    assert file.position.offset == 4
    pieces.close()
    assert read(lines, file.position)[0] == b"two\n"


def test_a_file_that_is_deleted_or_cut_while_it_is_read_ends_there(tmp_path: Path) -> None:
    """What was read of it stands."""
    path = tmp_path / "goes"
    path.write_bytes(b"12345\n" * 10)
    pieces = GrownFile(str(path), None, bytearray(12)).pieces()
    next(pieces)
    path.unlink()
    assert len(list(pieces)) == 4
    path.write_bytes(b"12345\n" * 10)
    pieces = GrownFile(str(path), None, bytearray(12)).pieces()
    next(pieces)
    os.truncate(path, 3)
    assert list(pieces) == []
    with pytest.raises(FileNotFoundError):
        list(GrownFile(str(tmp_path / "never")).pieces())


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    """A pipe would make us wait for its other end; a link to a device is a device."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "device", "folder"):
        with pytest.raises(NotAFile, match="no file"):
            list(GrownFile(str(tmp_path / name)).pieces())


def test_a_device_is_not_even_opened(tmp_path: Path) -> None:
    """Opening one may rewind a tape."""
    (tmp_path / "device").symlink_to("/dev/zero")
    script = (
        "import os, sys\n"
        "from pyjama_metrics.storage.grown_files import GrownFile\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, told: opened.append(told[0]) if event == 'open' else None)\n"
        "try:\n"
        "    list(GrownFile(sys.argv[1]).pieces())\n"
        "except OSError as error:\n"
        "    print(error.strerror, opened)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "device")], capture_output=True, text=True, check=True)
    assert done.stdout == "it is no file []\n"


def test_a_link_to_a_file_is_followed(tmp_path: Path, lines: Path) -> None:
    """People keep these folders elsewhere."""
    (tmp_path / "link").symlink_to(lines)
    assert read(tmp_path / "link")[0] == b"one\ntwo\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(lines: Path) -> None:
    """With the reason of the system."""
    lines.chmod(0)
    with pytest.raises(PermissionError):
        list(GrownFile(str(lines)).pieces())


def test_two_gigabytes_without_a_line_need_little_memory_and_are_read_once(tmp_path: Path) -> None:
    """A hole in a file; the lines behind it are read."""
    path = tmp_path / "hole"
    path.write_bytes(b"first\n")
    os.truncate(path, 2 * 1024**3)
    script = (
        "import resource, sys\n"
        "from pyjama_metrics.storage.grown_files import GrownFile\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "file = GrownFile(sys.argv[1])\n"
        "got = [bytes(memory[begin:end]) for memory, begin, end in file.pieces()]\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(got, file.passed_over, file.position.offset, list(file.position), (after - before) // 1024 < 40)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[b'first\\n'] 2147483642 2147483648 [")
    assert done.stdout.endswith(", 1] True\n")
    position = Position.of(json.loads(done.stdout[done.stdout.rindex("[") : done.stdout.rindex("]") + 1]))
    append(path, b"rest of the hole\nlast\n")
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    got, _, file = read(path, position)
    assert (got, file.passed_over, file.began_anew) == (b"last\n", 17, False)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - begun < 0.5
