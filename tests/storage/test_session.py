"""The journal of a session: many short processes, one file, and an owner that is none of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pyjama_metrics.hub import Hub
from pyjama_metrics.storage import files, owners, session
from pyjama_metrics.storage.segments import header, listing
from pyjama_metrics.storage.session import SessionJournal, latest_owner
from tests.journals import counted, event, lines, now_ms, tool
from tests.waiting import run_python, wait_until

LINE = b'{"event":"x"}\n'
CALLS = """
    import os, sys
    from pyjama_metrics.storage.session import SessionJournal
    for number in range(200):
        SessionJournal(os.environ["PYJAMA_HOME"], "shell", pid=int(sys.argv[1]), fsync=False).append(sys.argv[2].encode())
"""


def journal(home: Path, pid: int | None = None) -> SessionJournal:
    """The journal of a session that this process owns, or another one."""
    return SessionJournal(str(home), "shell", pid=os.getpid() if pid is None else pid, fsync=False)


def only(home: Path) -> Path:
    """The one segment of the hub."""
    (segment,) = listing(str(home))
    return Path(segment.path)


def test_nothing_is_made_before_the_first_event(home: Path) -> None:
    """A session that records nothing leaves nothing."""
    journal(home)
    assert not home.exists()


def test_the_header_names_the_owner_and_not_the_writer(home: Path) -> None:
    """By pid and start time."""
    with run_python("input()") as owner:
        journal(home, owner.pid).append(LINE)
        head = header(str(only(home)))
        assert (head["kind"], head["pid"], head["process-start"]) == ("session", owner.pid, owners.process_start(owner.pid))
        assert head["writer"] == f"shell-{owner.pid}-{owners.process_start(owner.pid):x}"


def test_all_calls_of_a_session_share_one_journal(home: Path) -> None:
    """Each finds what the one before it made."""
    for _ in range(3):
        journal(home).append(LINE)
    assert only(home).read_bytes().splitlines()[1:] == [LINE.strip()] * 3


def test_processes_of_one_session_write_at_once_and_lose_nothing(home: Path) -> None:
    """While whoever folds reads and removes what it may."""
    line = lines(tool(now_ms())).decode()
    with (
        run_python("input()") as owner,
        run_python(CALLS, str(owner.pid), line) as one,
        run_python(CALLS, str(owner.pid), line) as two,
    ):
        hub = Hub()
        while one.poll() is None or two.poll() is None:
            hub.fold()
        assert (one.returncode, two.returncode) == (0, 0)
        assert counted(home) == 400


def test_a_torn_line_of_a_killed_call_stays_alone(home: Path) -> None:
    """The next call begins with a newline."""
    journal(home).append(LINE)
    with only(home).open("ab") as file:
        file.write(b'{"eve')
    journal(home).append(LINE)
    assert only(home).read_bytes().splitlines()[1:] == [LINE.strip(), b'{"eve', LINE.strip()]


def test_a_journal_that_is_removed_between_finding_and_locking_is_made_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event goes into the new one, not into a file that is gone."""
    journal(home).append(LINE)
    first = only(home)
    try_lock = owners.try_lock

    def removing(descriptor: int, *, shared: bool = False) -> bool:
        if first.exists():
            first.unlink()
        return try_lock(descriptor, shared=shared)

    monkeypatch.setattr(owners, "try_lock", removing)
    journal(home).append(b'{"event":"y"}\n')
    assert only(home).name != first.name
    assert only(home).read_bytes().splitlines()[1:] == [b'{"event":"y"}']


def test_a_call_waits_for_whoever_is_looking_at_the_journal(home: Path) -> None:
    """That takes microseconds, and the event is not lost."""
    journal(home).append(LINE)
    descriptor = os.open(only(home), os.O_RDWR)
    try:
        assert owners.try_lock(descriptor)
        with run_python(CALLS.replace("range(200)", "range(1)"), str(os.getpid()), LINE.decode()) as call:
            with pytest.raises(subprocess.TimeoutExpired):
                call.wait(0.3)
            os.close(descriptor)
            descriptor = -1
            assert call.wait(10) == 0
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    assert len(only(home).read_bytes().splitlines()) == 3


def test_a_full_segment_is_followed_by_one_with_a_greater_number(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are times, so a removed segment's number does not come again."""
    monkeypatch.setattr(session, "SEGMENT_BYTES", 300)
    # In the same millisecond there is no greater number yet, and the full one serves a moment longer.
    wait_until(lambda: journal(home).append(LINE * 30) or len(listing(str(home))) > 1, what="the next segment")
    first, second = listing(str(home))
    assert second.number > first.number > 1_600_000_000_000


def test_the_journal_of_an_ended_session_is_removed_once_it_is_read(home: Path) -> None:
    """And its open run has crashed."""
    with run_python("input()") as owner:
        one = journal(home, owner.pid)
        one.append(lines(event("start", now_ms(), run=f"{one.writer}.1")))
        assert Hub().read()["agents"]["a"]["status"] == "running"
    journal(home).append(lines(tool(now_ms())))
    for _ in range(3):
        state = Hub().read()
        journal(home).append(lines(tool(now_ms())))
    assert state["agents"]["a"]["status"] == "crashed"
    assert not [segment for segment in listing(str(home)) if segment.writer == one.writer]


def test_a_call_that_cannot_write_raises_and_leaves_no_half_made_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder counts the loss."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_all", full)
    with pytest.raises(OSError, match="No space left"):
        journal(home).append(LINE)
    assert list((home / "journal").iterdir()) == []


def test_a_short_write_between_two_writers_is_a_loss_and_spoils_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes half a line, while another process of the session appends: one event is refused, the other one whole."""
    mine, other, write = journal(home), journal(home), os.write
    mine.append(LINE)

    def half(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        taken = write(descriptor, bytes(data)[:5])
        other.append(lines(tool(now_ms())))
        return taken

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        mine.append(lines(tool(now_ms())))
    assert counted(home) == 1


def test_a_session_does_not_wait_for_ever_for_who_has_locked_its_journal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever folds may be stopped just then; the shell goes on, and is told that the event is not recorded."""
    monkeypatch.setattr(session, "LONGEST_WAIT", 0.05)
    mine = journal(home)
    mine.append(LINE)
    descriptor = os.open(only(home), os.O_RDWR)
    try:
        assert owners.try_lock(descriptor)
        with pytest.raises(TimeoutError, match="has been locked for more than"):
            mine.append(LINE)
    finally:
        os.close(descriptor)
    mine.append(LINE)


def test_the_first_line_of_a_segment_may_be_another_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told once in each segment, so that whoever reads only the newest knows it."""
    for _ in range(2):
        journal(home).append(LINE, opening=b'{"event":"first"}\n')
    assert only(home).read_bytes().splitlines()[1:] == [b'{"event":"first"}', LINE.strip()]


def test_the_owner_of_the_newest_journal_is_found_by_its_label(home: Path) -> None:
    """Nobody else's, and no file that only looks like one."""
    assert session.latest_owner(str(home), "s-1") is None
    (home / "journal").mkdir(parents=True)
    for name in (
        "s-1-7-a.100.jsonl",
        "s-1-8-ff.200.jsonl",
        "s-1-x-9-b.300.jsonl",
        "s-1-9.400.jsonl",
        "s-1-9-zz.500.jsonl",
        "s-12-9-a.600.jsonl",
    ):
        (home / "journal" / name).touch()
    (home / "journal" / ".s-1-9-a.700.1.new").touch()
    assert session.latest_owner(str(home), "s-1") == (8, 255)


def test_an_owner_that_is_gone_is_named_in_the_header_as_it_was(home: Path) -> None:
    """A process that has got its number since is not taken for it."""
    one = SessionJournal(str(home), "s", pid=os.getpid(), fsync=False, started=1)
    one.append(LINE)
    assert (one.writer, header(str(only(home)))["process-start"]) == (f"s-{os.getpid()}-1", 1)


def test_a_call_may_wait_less_long_than_others(home: Path) -> None:
    """A person may be waiting for it."""
    mine = SessionJournal(str(home), "shell", pid=os.getpid(), fsync=False, longest_wait=0.0)
    mine.append(LINE)
    descriptor = os.open(only(home), os.O_RDWR)
    try:
        assert owners.try_lock(descriptor)
        with pytest.raises(TimeoutError, match="more than 0 s"):
            mine.append(LINE)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("what", ["nothing", "a file", "a file for the journals"])
def test_where_nobody_can_look_there_is_no_latest_owner(tmp_path: Path, what: str) -> None:
    """A hook whose program is gone asks, and has to go on to where a loss is noted."""
    home = tmp_path / "hub"
    if what == "a file":
        home.write_text("mine")
    elif what == "a file for the journals":
        home.mkdir()
        (home / "journal").write_text("mine")
    assert latest_owner(str(home), "claude-code-s") is None
