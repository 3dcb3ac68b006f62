"""The journal: one write an event, a lock from the first moment, a torn line that stays alone, and a folder that may go away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest

from pyjama_metrics.storage import journal as journal_module
from pyjama_metrics.storage import owners
from pyjama_metrics.storage.journal import Journal
from tests.journals import live_journal
from tests.waiting import run_python


def body(path: Path | str) -> list[bytes]:
    """The lines of a segment after its header."""
    return Path(path).read_bytes().splitlines()[1:]


def is_locked(path: Path | str) -> bool:
    """Whether somebody holds the lock of a file."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not owners.try_lock(descriptor)
    finally:
        os.close(descriptor)


def half_writes(monkeypatch: pytest.MonkeyPatch, descriptor: int, kept: int) -> None:
    """Let the next write to one descriptor take only the first bytes, as a full disk does."""
    write = os.write

    def short(to: int, data: bytes) -> int:
        if to != descriptor:
            return write(to, data)
        monkeypatch.setattr(os, "write", write)
        return write(to, bytes(data)[:kept])

    monkeypatch.setattr(os, "write", short)


def test_the_first_line_says_who_writes(home: Path) -> None:
    """Enough to find out later whether the writer lives."""
    with live_journal(home, "agent-1-a") as journal:
        header = json.loads(Path(journal.path).read_bytes())
    assert header.pop("time") > 1_600_000_000_000
    assert header == {
        "event": "writer",
        "format": 1,
        "writer": "agent-1-a",
        "segment": 0,
        "kind": "process",
        "pid": os.getpid(),
        "process-start": owners.process_start(os.getpid()),
        "host": os.uname().nodename,
        "boot": owners.boot_id(),
        "pid-namespace": owners.pid_namespace(),
    }


def test_one_event_is_one_write(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that threads need no lock, and a kill comes before or after an event, not in it."""
    write, seen = os.write, []
    with live_journal(home) as journal:
        monkeypatch.setattr(os, "write", lambda descriptor, data: seen.append(bytes(data)) or write(descriptor, data))
        journal.append(b'{"event":"x"}\n')
    assert seen == [b'{"event":"x"}\n']


def test_a_segment_is_locked_and_has_its_header_before_it_can_be_seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sees one and finds it free may conclude that its owner is dead."""
    rename, seen = os.rename, []

    def looking(source: str, target: str) -> None:
        seen.append((is_locked(source), Path(source).read_bytes().startswith(b'{"event":"writer"'), os.path.exists(target)))
        rename(source, target)

    monkeypatch.setattr(os, "rename", looking)
    with live_journal(home) as journal:
        journal._next_segment()
    assert seen == [(True, True, False)] * 2


def test_the_lock_is_held_until_the_journal_is_closed(home: Path) -> None:
    """From then on its owner counts as dead."""
    with live_journal(home) as journal:
        assert is_locked(journal.path)
    assert not is_locked(journal.path)


def test_a_killed_writer_leaves_its_events_and_no_lock(home: Path) -> None:
    """What ``append`` returned from survives ``kill -9``."""
    code = """
        import os, signal, sys
        from pyjama_metrics.storage.journal import Journal
        journal = Journal(os.environ["PYJAMA_HOME"], "w-1-a", fsync=False)
        for number in range(500):
            journal.append(b'{"event":"x"}\\n')
        os.kill(os.getpid(), signal.SIGKILL)
    """
    with run_python(code) as child:
        assert child.wait(20) == -signal.SIGKILL
    path = home / "journal" / "w-1-a.0.jsonl"
    assert body(path) == [b'{"event":"x"}'] * 500
    assert not is_locked(path)


def test_lines_of_many_threads_stay_whole(home: Path) -> None:
    """``O_APPEND`` keeps them apart, also while the segment changes under them."""
    with live_journal(home) as journal:
        threads = [
            threading.Thread(target=lambda n=n: [journal.append(b'{"n":%d}\n' % n) for _ in range(500)])  # type: ignore[misc]
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            journal._next_segment()
        for thread in threads:
            thread.join()
    found = [line for path in (home / "journal").iterdir() for line in body(path)]
    assert sorted(found) == sorted([b'{"n":%d}' % n for n in range(4)] * 500)


def test_a_torn_line_stays_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk took half a line: the loss raises, and the next line is whole."""
    with live_journal(home) as journal:
        half_writes(monkeypatch, journal.descriptor, 5)
        with pytest.raises(OSError, match="No space left"):
            journal.append(b'{"event":"lost"}\n')
        assert journal.torn
        journal.append(b'{"event":"kept"}\n')
        assert not journal.torn
        assert body(journal.path) == [b'{"eve', b'{"event":"kept"}']


def test_a_limit_on_the_size_of_files_is_met_with_a_new_segment(home: Path) -> None:
    """RLIMIT_FSIZE bounds each file, not all of them: no event is lost."""
    code = """
        import os, resource, signal
        from pyjama_metrics.storage.journal import Journal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        journal = Journal(os.environ["PYJAMA_HOME"], "w-1-a", fsync=False)
        kept = 0
        for number in range(200):
            try:
                journal.append(b'{"number":%d}\\n' % number)
                kept += 1
            except OSError:
                pass
        print(kept, journal.segment)
    """
    with run_python(code) as child:
        out, complaint = child.communicate(timeout=20)
    assert not complaint
    kept, segment = map(int, out.split())
    found = [line for path in (home / "journal").iterdir() for line in body(path) if line.endswith(b"}")]
    assert (len(found), len(set(found))) == (kept, kept)
    assert segment > 0
    assert kept >= 200 - segment


def test_a_full_segment_is_followed_by_a_new_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptor keeps its number, the old segment its lines but not its lock."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 400)
    with live_journal(home) as journal:
        number, first = journal.descriptor, journal.path
        journal.look_after()
        assert journal.path == first
        journal.append(b'{"event":"%s"}\n' % (b"x" * 400))
        journal.look_after()
        journal.append(b'{"event":"y"}\n')
        assert (journal.descriptor, journal.segment, len(body(first)), body(journal.path)) == (number, 1, 1, [b'{"event":"y"}'])
        assert (is_locked(first), is_locked(journal.path)) == (False, True)


def test_a_removed_folder_is_made_anew_with_what_was_recorded_since_the_last_look(home: Path) -> None:
    """Nothing that was recorded after the removal is lost."""
    with live_journal(home) as journal:
        journal.append(b'{"event":"old"}\n')
        journal.look_after()
        shutil.rmtree(home)
        journal.append(b'{"event":"new"}\n')
        journal.look_after()
        journal.append(b'{"event":"newer"}\n')
        assert body(journal.path) == [b'{"event":"new"}', b'{"event":"newer"}']
        assert is_locked(journal.path)


def test_a_moved_folder_keeps_its_lines_and_gets_no_more(home: Path) -> None:
    """``mv ~/.pyjama elsewhere``: what is there stays there, and is not written twice."""
    with live_journal(home) as journal:
        journal.append(b'{"event":"old"}\n')
        home.rename(home.with_name("moved"))
        journal.look_after()
        journal.append(b'{"event":"new"}\n')
        assert body(journal.path) == [b'{"event":"new"}']
    assert body(home.with_name("moved") / "journal" / "w-1-a.0.jsonl") == [b'{"event":"old"}']


def test_a_descriptor_that_somebody_else_closed_is_not_written_to(home: Path, tmp_path: Path) -> None:
    """A program may close all descriptors above 2; the number may then mean a file of its own."""
    stranger = tmp_path / "stranger"
    with live_journal(home) as journal:
        number = journal.descriptor
        other = os.open(stranger, os.O_WRONLY | os.O_CREAT)
        os.dup2(other, number)
        os.close(other)
        try:
            journal.look_after()
            journal.append(b'{"event":"new"}\n')
            assert stranger.read_bytes() == b""
            assert body(journal.path) == [b'{"event":"new"}']
            os.fstat(number)  # theirs, and still open
        finally:
            os.close(number)


def test_a_descriptor_that_was_closed_is_followed_by_a_new_segment(home: Path) -> None:
    """As a process does that becomes a daemon."""
    with live_journal(home) as journal:
        journal.append(b'{"event":"old"}\n')
        os.close(journal.descriptor)
        journal.look_after()
        journal.append(b'{"event":"new"}\n')
        assert (journal.segment, body(journal.path)) == (1, [b'{"event":"new"}'])


def test_a_name_is_never_used_twice(home: Path) -> None:
    """Where a second writer of that name begins, it fails and leaves the first one's file alone."""
    with live_journal(home, "w-1-a"):
        hidden = home / "journal" / ".w-1-b.0.new"
        hidden.write_bytes(b"another's")
        with pytest.raises(FileExistsError):
            Journal(str(home), "w-1-b", fsync=False)


def test_a_journal_that_cannot_be_made_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half-made file, no open descriptor."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        Journal(str(home), "w-1-a", fsync=False)
    assert list((home / "journal").iterdir()) == []


@pytest.mark.parametrize("fsync", [True, False])
def test_fsync_forces_each_event_to_the_disk_when_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool) -> None:
    """And costs nothing when it is not."""
    forced: list[int] = []
    monkeypatch.setattr(os, "fsync", forced.append)
    journal = Journal(str(home), "w-1-a", fsync=fsync)
    journal.append(b"{}\n")
    journal.close()
    assert forced == ([journal.descriptor] if fsync else [])


def test_the_journal_does_not_follow_a_symbolic_link(home: Path, tmp_path: Path) -> None:
    """A link that somebody laid in the way is not written through."""
    (home / "journal").mkdir(parents=True)
    (home / "journal" / ".w-1-a.0.new").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="exists"):
        Journal(str(home), "w-1-a", fsync=False)
    assert not (tmp_path / "target").exists()
