"""Reading journals: which segments there are, whole lines only, and what to make of lines that are none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.hub import Hub
from pyjama_metrics.storage import owners, segments
from pyjama_metrics.storage.segments import MAX_LINE, Claim, Segment, header, listing, newest, parse, read_lines
from tests.journals import counted, event, leave_journal, lines, live_journal, now_ms, on_disk, tool


def only(home: Path) -> Segment:
    """The one segment of a hub."""
    (segment,) = listing(str(home))
    return segment


def test_an_absent_folder_has_no_segments(home: Path) -> None:
    """Looking is allowed before anything was recorded."""
    assert listing(str(home)) == []


def test_segments_are_listed_by_writer_and_in_the_order_of_their_numbers(home: Path) -> None:
    """The tenth comes after the ninth."""
    for writer, number in (("b-1-x", 0), ("a-1-x", 10), ("a-1-x", 9)):
        leave_journal(home, writer, segment=number)
    found = listing(str(home))
    assert [(one.writer, one.number) for one in found] == [("a-1-x", 9), ("a-1-x", 10), ("b-1-x", 0)]
    assert {writer: one.number for writer, one in newest(reversed(found)).items()} == {"a-1-x": 10, "b-1-x": 0}


@pytest.mark.parametrize(
    "name", [".w-1-a.0.new", ".w-1-a.0.jsonl", "offsets.json", "w.jsonl", "w.x.jsonl", ".0.jsonl", "notes.txt"]
)
def test_what_is_no_segment_is_passed_over(home: Path, name: str) -> None:
    """Half-made files, the copy of the offsets, and whatever else somebody laid there."""
    (home / "journal").mkdir(parents=True)
    (home / "journal" / name).write_bytes(b"{}\n")
    assert listing(str(home)) == []


def test_links_and_folders_are_no_segments(home: Path, tmp_path: Path) -> None:
    """A journal is a file of ours, not a way to another one."""
    (tmp_path / "other").write_bytes(b"{}\n")
    (home / "journal" / "b.0.jsonl").mkdir(parents=True)
    (home / "journal" / "a.0.jsonl").symlink_to(tmp_path / "other")
    assert listing(str(home)) == []
    with pytest.raises(OSError, match="symbolic links"):
        read_lines(str(home / "journal" / "a.0.jsonl"), 0, 100)[0]


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=8), st.integers(1, 40))
def test_reading_on_and_on_gives_every_whole_line_once(body: list[bytes], limit: int) -> None:
    """Whatever the limit is; a last line without a newline is left."""
    whole = b"".join(line + b"\n" for line in body)
    path = Path(os.environ["PYJAMA_HOME"]).parent / "segment"
    path.write_bytes(whole + b"torn")
    read = b""
    while piece := read_lines(str(path), len(read), limit)[0]:
        assert piece.endswith(b"\n")
        read += piece
    assert read == whole


def test_a_line_longer_than_the_limit_is_read_whole(tmp_path: Path) -> None:
    """The limit bounds the work, not the length of a line."""
    path = tmp_path / "w.0.jsonl"
    path.write_bytes(b"x" * 1000 + b"\nshort\n")
    read, size = read_lines(str(path), 0, 10)
    assert len(read) == size
    assert read.startswith(b"x" * 1000 + b"\n")
    assert read.endswith(b"\n")


def test_a_line_without_an_end_is_passed_over_when_it_is_too_long_to_be_one(home: Path) -> None:
    """Reading it again at each fold would cost every agent a part of a core; what follows it counts."""
    path = leave_journal(home, "w-1-a", tool(now_ms()))
    hub = Hub(str(home))
    hub.flush()
    with path.open("ab") as file:
        file.write(b"x" * (3 * MAX_LINE + 1000))
    hub.flush()
    assert path.stat().st_size - on_disk(home)["journals"][path.name]["offset"] < MAX_LINE
    with path.open("ab") as file:
        file.write(b"\n" + lines(tool(now_ms())))
    hub.flush()
    assert (on_disk(home)["global"]["count"], on_disk(home)["problems"]["malformed-lines"]) == (2, 1)


@pytest.mark.parametrize("name", ["x.².jsonl", "x.-1.jsonl", b"\xff.1.jsonl", ".x.1.jsonl", "x.1.jsonl.gz"])
def test_a_file_with_a_name_that_is_no_segments_stops_nothing(home: Path, name: str | bytes) -> None:
    """Somebody put it there; what agents record is counted all the same."""
    leave_journal(home, "w-1-a", tool(now_ms()))
    with open(os.path.join(os.fsencode(home / "journal"), os.fsencode(name)), "wb") as file:
        file.write(lines(tool(now_ms())))
    assert counted(home) == 1


def test_a_journal_of_another_user_stops_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that was once started by sudo left one that we may not open: the others count, and its run is not called dead."""
    run = "root-1-a.1"
    leave_journal(home, "root-1-a", event("start", now_ms(), "theirs", run=run))
    hub = Hub(str(home))
    monkeypatch.setattr("pyjama_metrics.deaths.OwnerWatch.look", lambda *_: False)
    hub.flush()
    monkeypatch.undo()
    leave_journal(home, "root-1-a", event("start", now_ms(), "theirs", run=run), tool(now_ms(), "theirs"))
    leave_journal(home, "w-1-a", tool(now_ms()))
    usual = os.open

    def refuse(path: str, *arguments: object, **options: object) -> int:
        if "root-1-a" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return usual(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    hub.flush()
    assert (on_disk(home)["global"]["count"], on_disk(home)["agents"]["theirs"]["status"]) == (1, "running")
    assert [writer.alive for writer in hub.writers()] == [None, False]


def test_each_line_is_an_object_or_none(tmp_path: Path) -> None:
    """One bad line spoils no other, and lines that are JSON only together are none apart."""
    assert parse(b'{"a":1}\n{"b":2}\n') == [{"a": 1}, {"b": 2}]
    assert parse(b'{"a":1}\nnonsense\n\n{"b":2}\n') == [{"a": 1}, None, None, {"b": 2}]
    assert parse(b'{"a":1},{"c":3}\n{"b":2}\n') == [None, {"b": 2}]
    assert parse(b'[]\n7\n"x"\n') == [None, None, None]
    assert parse(b"\xff\n") == [None]


@given(
    st.lists(
        st.sampled_from([b'{"a":1}', b"[", b"]", b"{}", b"", b'{"a":', b"1}", b"{},{}", b'"', b"\x00"]), min_size=1, max_size=6
    )
)
def test_parsing_together_is_parsing_one_by_one(body: list[bytes]) -> None:
    """The fast road gives exactly what the slow one gives."""
    whole = b"".join(line + b"\n" for line in body)
    assert parse(whole) == [segments._parse_line(line) for line in body]


def test_the_header_of_a_journal_without_one_is_empty(home: Path) -> None:
    """Truncated, foreign or gone: nobody is guessed."""
    path = leave_journal(home, "w-1-a", pid=7)
    assert header(str(path))["pid"] == 7
    path.write_bytes(lines(event("tool")))
    assert header(str(path)) == {}
    path.unlink()
    assert header(str(path)) == {}


def test_a_claim_on_a_live_journal_holds_nothing(home: Path) -> None:
    """Its owner has the lock."""
    with live_journal(home), Claim(only(home)) as claim:
        assert (claim.verdict, claim.holds_lock, claim.is_final) == (owners.ALIVE, False, False)


def test_a_claim_on_a_dead_journal_holds_its_lock_and_frees_it(home: Path) -> None:
    """While it is decided and acted upon, nobody else can."""
    leave_journal(home, "w-1-a")
    with Claim(only(home)) as claim:
        assert (claim.verdict, claim.holds_lock, claim.is_final) == (owners.DEAD, True, True)
        with Claim(only(home)) as second:
            assert not second.holds_lock
    with Claim(only(home)) as third:
        assert third.holds_lock


@pytest.mark.parametrize(("host", "final"), [("elsewhere", False), (os.uname().nodename, True)])
def test_only_an_earlier_boot_of_this_machine_is_final(home: Path, host: str, final: bool) -> None:
    """Unknown is its end in both cases; but a process of an earlier boot will not write again."""
    leave_journal(home, "w-1-a", host=host, boot="another")
    with Claim(only(home)) as claim:
        assert (claim.verdict, claim.is_final) == (owners.UNKNOWN, final)


def test_what_was_found_out_is_appended_after_a_torn_line(home: Path) -> None:
    """The torn one stays alone."""
    path = leave_journal(home, "w-1-a")
    with path.open("ab") as file:
        file.write(b'{"eve')
    with Claim(only(home)) as claim:
        claim.append(lines(event("crash")))
    assert [line is None for line in parse(path.read_bytes())] == [False, True, False]


def test_a_claim_knows_what_is_unread_and_whether_the_writer_went_on(home: Path) -> None:
    """Half a line is nothing to read."""
    path = leave_journal(home, "w-1-a")
    segment = only(home)
    with Claim(segment) as claim:
        assert claim.unread(0)
        assert not claim.unread(segment.size)
        with path.open("ab") as file:
            file.write(b'{"eve')
        assert not claim.unread(segment.size)
        assert not claim.was_followed()
        leave_journal(home, "w-1-a", segment=10)
        assert claim.was_followed()


def test_claiming_a_journal_that_is_gone_says_so(home: Path) -> None:
    """Somebody else removed it since it was listed."""
    path = leave_journal(home, "w-1-a")
    segment = only(home)
    path.unlink()
    with pytest.raises(FileNotFoundError), Claim(segment):
        pass
