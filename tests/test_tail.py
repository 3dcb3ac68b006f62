"""The tail of the journals: it misses nothing that it could have read, and says since when that is so."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from pyjama_metrics import tail as tails
from pyjama_metrics.events import MAX_TIME_MS
from pyjama_metrics.hub import AHEAD_MS, Hub
from pyjama_metrics.sparks import SLOT_MS
from pyjama_metrics.storage import segments
from pyjama_metrics.tail import Tail
from tests.journals import Event, event, leave_journal, lines, live_journal, now_ms, record, tool
from tests.system.processes import agent, end, hear, kill, tell
from tests.waiting import wait_until

ON_DEMAND = """
run = p.record_agent_start("a")
say(run)
while number := hear():
    for _ in range(int(number)):
        p.record_tool_execution("t", "a", "error", error="no such file")
    say("done")
"""
"""Records as many failures as it is told to; idle in between."""

AS_FAST_AS_IT_CAN = """
say("ready")
while True:
    for _ in range(500):
        p.record_tool_execution("t", "a", duration_ms=1.5)
    p.record_error("b", "still here")
"""


class Clock:
    """Seconds that pass when they are told to; it begins in the future, where no file was changed yet."""

    def __init__(self) -> None:
        self.seconds = float(now_ms() // 1000 + 60)

    def __call__(self) -> float:
        self.seconds += 1
        return self.seconds

    @property
    def ms(self) -> int:
        """The time, without letting any pass."""
        return int(self.seconds * 1000)


def executions(tail: Tail) -> int:
    """How many executions the slices of a memory hold."""
    return sum(each["count"] for each in tail.recent.slices(0, MAX_TIME_MS).values())


def times_of(tail: Tail, run: str) -> list[int]:
    """When the remembered executions of a run ended, none of which took any time."""
    found = tail.recent.executions(run)
    return [row.start_ms for row in found.rows] if found else []


def read_all(tail: Tail, **options: int) -> int:
    """Advance until nothing is left, as many calls as it takes; the lines that were read."""
    count = tail.advance(**options)
    while tail.is_behind:
        count += tail.advance(**options)
    return count


def numbered(count: int, run: str = "w-1-a.1", first: int = 0) -> list[Event]:
    """Executions whose times are numbers that go on from a recent moment."""
    return [tool(SOON + first + number, run=run) for number in range(count)]


SOON = now_ms()


def tell_and_hear(child: object, number: int) -> None:
    """Have an agent record, and wait until it has."""
    tell(child, str(number))  # type: ignore[arg-type]
    assert hear(child) == "done"  # type: ignore[arg-type]


# -- reading ---------------------------------------------------------------------------------------------------------


def test_the_first_call_reads_what_is_on_disk_and_each_later_one_what_is_new(home: Path) -> None:
    """The header is a line, too."""
    tail = Tail(str(home))
    with live_journal(home) as journal:
        record(journal, 3)
        assert (tail.advance(), executions(tail)) == (4, 3)
        record(journal, 2)
        assert (tail.advance(), executions(tail)) == (2, 5)
        assert (tail.advance(), executions(tail)) == (0, 5)


def test_what_other_processes_record_is_remembered(home: Path) -> None:
    """Each execution of each of them, by its run."""
    tail = Tail(str(home))
    with agent(ON_DEMAND) as one, agent(ON_DEMAND) as other:
        runs = hear(one), hear(other)
        tell_and_hear(one, 40)
        tail.advance()
        tell_and_hear(other, 30)
        tell_and_hear(one, 2)
        read_all(tail)
        assert [len(times_of(tail, run)) for run in runs] == [42, 30]
        assert tail.recent.failing("a").times == 42  # type: ignore[union-attr]


def test_a_killed_agent_leaves_its_executions_and_repeats_nothing_any_more(home: Path) -> None:
    """What it had recorded until then was read, and the crash is read as soon as somebody has found it out."""
    tail = Tail(str(home))
    with agent(ON_DEMAND) as child:
        run = hear(child)
        tell_and_hear(child, 7)
        kill(child)
        tail.advance()
        assert (len(times_of(tail, run)), tail.recent.failing("a").times) == (7, 7)  # type: ignore[union-attr]
        hub = Hub()
        wait_until(lambda: hub.fold() and tail.advance() is not None and not tail.recent.failing("a"), what="the crash")
        assert len(times_of(tail, run)) == 7


def test_the_executions_of_a_journal_that_the_folds_removed_stay(home: Path) -> None:
    """Nothing is missing, and nothing is said to be."""
    tail = Tail(str(home))
    with agent(ON_DEMAND) as child:
        run = hear(child)
        tell_and_hear(child, 5)
        tail.advance()
        since = tail.recent.since_ms
        end(child)
    path, hub = home / "journal" / f"{run.rpartition('.')[0]}.0.jsonl", Hub()
    with live_journal(home) as journal:

        def is_removed() -> bool:
            record(journal, 1)  # without news a fold removes nothing
            tail.advance()
            hub.flush()
            return not path.exists()

        wait_until(is_removed, what="the folds to remove the journal")
    tail.advance()
    assert len(times_of(tail, run)) == 5
    assert (tail.recent.since_ms, tail.let_go) == (since, 0)


def test_a_hub_of_which_it_is_a_projection_keeps_what_is_unread(home: Path) -> None:
    """Without it this hub removes the journal of a dead process once it has folded it twice."""
    leave_journal(home, "w-1-a", *numbered(3), pid=2**22 + 1)
    hub, tail = Hub(), Tail(str(home))
    hub.projections.append(tail.read_to)
    for _ in range(5):
        hub.flush()
        hub._watch._due = 0.0
        leave_journal(home, "other-1-a", tool(now_ms()))
    assert (home / "journal" / "w-1-a.0.jsonl").exists()
    tail.advance()
    assert len(times_of(tail, "w-1-a.1")) == 3


def test_a_line_is_read_once_it_has_its_newline(home: Path) -> None:
    """Half of one, which a killed process may leave for good, is waited for without reading it again and again."""
    path, tail = leave_journal(home, "w-1-a"), Tail(str(home))
    whole = lines(*numbered(1))
    with open(path, "ab", buffering=0) as file:
        file.write(whole[:20])
        assert (tail.advance(), tail.advance(), tail.let_go) == (1, 0, 0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(segments, "read_lines", None)
            assert tail.advance() == 0
        file.write(whole[20:])
    assert (tail.advance(), executions(tail)) == (1, 1)


def test_without_news_no_journal_is_opened(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle page costs a listing."""
    tail = Tail(str(home))
    for number in range(20):
        leave_journal(home, f"w-{number}-a", *numbered(2))
    tail.advance()
    monkeypatch.setattr(os, "open", None)
    assert tail.advance() == 0


def test_the_segments_of_a_writer_are_read_in_order(home: Path) -> None:
    """The run that began in the first one has the executions of the last, also where a call reads little."""
    leave_journal(home, "w-1-a", event("start", SOON, run="w-1-a.1"), *(tool(SOON) for _ in range(3_000)))
    for number in (1, 2, 10):
        leave_journal(home, "w-1-a", *(tool(SOON + number) for _ in range(100)), segment=number)
    tail = Tail(str(home))
    assert read_all(tail, max_bytes=1_000) == 3_305
    assert times_of(tail, "w-1-a.1")[-300:] == [SOON + number for number in (1, 2, 10) for _ in range(100)]


def test_one_call_reads_no_more_than_it_may_and_each_journal_has_its_turn(home: Path) -> None:
    """The one who asks has other things to do; and nobody starves behind a journal that never ends."""
    for number in range(10):
        leave_journal(home, f"w-{number}-a", *numbered(2_000, f"w-{number}-a.1"))
    tail, calls, bound = Tail(str(home)), 0, 100_000
    while tail.is_behind or not calls:
        assert tail.advance(bound) <= (bound + tails._LEAST_SHARE) // len(lines(*numbered(1)))
        calls += 1
        if calls == 10:
            assert all(times_of(tail, f"w-{number}-a.1") for number in range(10))
    assert calls > 10
    assert executions(tail) == 20_000


def test_lines_that_are_none_are_passed_over(home: Path) -> None:
    """Nonsense, a line of megabytes, an event of the year 9999, one of the last century."""
    path = leave_journal(home, "w-1-a")
    path.write_bytes(b"nonsense\n" + b"x" * 3_000_000 + b"\n\n" + lines(tool(MAX_TIME_MS), tool(-5), *numbered(2)))
    clock = Clock()
    tail = Tail(str(home), clock)
    read_all(tail)
    assert executions(tail) == 3
    assert tail.recent.spark(None).until_ms <= clock.ms + AHEAD_MS + 10_000  # type: ignore[union-attr]
    assert len(times_of(tail, "w-1-a.1")) == 2


def test_a_clock_set_back_does_not_stop_the_memory(home: Path) -> None:
    """What happened before is as far from now as it was, what happens now is the newest, and nothing is dated in the future."""
    noon = SOON - SOON % SLOT_MS
    clock = [noon + 2 * AHEAD_MS]
    tail = Tail(str(home), lambda: clock[0] / 1000)
    failed = [tool(clock[0] - ago, run="w-1-a.1", status="error") for ago in (30_000, 10_000, 0)]
    path = leave_journal(home, "w-1-a", event("start", clock[0] - 30_000, run="w-1-a.1"), *failed)
    read_all(tail)
    before = tail.recent.failing("a")
    assert before is not None
    assert before.since_ms == clock[0] - 30_000

    clock[0] = noon + 2 * SLOT_MS
    path.write_bytes(path.read_bytes() + lines(tool(clock[0], run="w-1-a.1", status="error")))
    read_all(tail)
    failing, spark = tail.recent.failing("a"), tail.recent.spark("a")
    assert failing is not None
    assert (failing.times, failing.since_ms) == (4, clock[0] - 30_000)
    assert spark is not None
    assert spark == tail.recent.spark(None)
    assert (spark.executions[0], sum(spark.executions), len(spark.executions)) == (1, 4, 4)
    assert clock[0] < spark.until_ms <= clock[0] + SLOT_MS
    assert times_of(tail, "w-1-a.1") == [clock[0] - ago for ago in (30_000, 10_000, 0, 0)]
    assert executions(tail) == 4
    assert max(tail.recent.slices(0, MAX_TIME_MS)) <= clock[0]
    assert tail.recent.since_ms is not None
    assert tail.recent.since_ms <= clock[0]


# -- what happens to files -------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_yet_is_waited_for(home: Path) -> None:
    """What appears in it is then read from its beginning."""
    tail = Tail(str(home))
    assert (tail.advance(), tail.recent.since_ms is not None) == (0, True)
    leave_journal(home, "w-1-a", *numbered(2))
    assert (tail.advance(), executions(tail)) == (3, 2)


def test_a_journal_that_vanished_before_it_was_read_is_admitted(home: Path) -> None:
    """Its bytes are counted, and from then on the memory dates anew."""
    clock = Clock()
    path, tail = leave_journal(home, "w-1-a", *numbered(1)), Tail(str(home), clock)
    tail.advance()
    with open(path, "ab") as file:
        file.write(lines(*numbered(3)))
    tail.advance(0)
    path.unlink()
    before = clock.ms
    tail.advance()
    assert tail.let_go == len(lines(*numbered(3)))
    assert tail.recent.since_ms > before  # type: ignore[operator]
    assert executions(tail) == 1


def test_a_journal_that_vanishes_between_listing_and_reading_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are read, and the next call admits it."""
    gone, _ = leave_journal(home, "w-1-a", *numbered(1)), leave_journal(home, "w-2-a", *numbered(1))
    tail, usual = Tail(str(home)), segments.read_lines

    def too_late(path: str, offset: int, limit: int) -> tuple[bytes, int]:
        gone.unlink(missing_ok=True)
        return usual(path, offset, limit)

    monkeypatch.setattr(segments, "read_lines", too_late)
    assert (tail.advance(), executions(tail), tail.let_go) == (2, 1, 0)
    tail.advance()
    assert tail.let_go > 0


def test_a_truncated_journal_is_read_from_its_beginning(home: Path) -> None:
    """What is in it now is new."""
    path, tail = leave_journal(home, "w-1-a", *numbered(9)), Tail(str(home))
    tail.advance()
    os.truncate(path, 0)
    path.write_bytes(lines(*numbered(2, "w-1-a.2")))
    tail.advance()
    assert len(times_of(tail, "w-1-a.2")) == 2


def test_another_file_of_the_same_name_is_read_from_its_beginning(home: Path) -> None:
    """Also where it is longer than the one before."""
    path, tail = leave_journal(home, "w-1-a", *numbered(2)), Tail(str(home))
    tail.advance()
    other = leave_journal(home, "w-2-a", *numbered(5, "w-1-a.2"))
    other.replace(path)
    tail.advance()
    assert len(times_of(tail, "w-1-a.2")) == 5


def test_with_a_folder_that_was_removed_its_past_is_forgotten(home: Path) -> None:
    """The figures of a folder that was made anew know nothing of it either; who goes on recording is read on."""
    tail = Tail(str(home))
    with live_journal(home) as journal:
        record(journal, 5)
        journal.look_after()
        assert (tail.advance(), executions(tail)) == (6, 5)
        shutil.rmtree(home)
        tail.advance()
        assert (executions(tail), tail.recent.since_ms is not None) == (0, True)
        record(journal, 2)
        journal.look_after()
        assert (tail.advance(), executions(tail)) == (3, 2)


def test_a_folder_that_was_made_anew_between_two_calls_is_read_from_its_beginning(home: Path) -> None:
    """The journals in it may have the names of the old ones."""
    leave_journal(home, "w-1-a", *numbered(2))
    tail = Tail(str(home))
    tail.advance()
    leave_journal(home, "w-2-a", *numbered(2))
    tail.advance(0)
    home.rename(home.parent / "elsewhere")
    leave_journal(home, "w-1-a", *numbered(5, "w-1-a.2"))
    tail.advance()
    assert (times_of(tail, "w-1-a.1"), len(times_of(tail, "w-1-a.2")), executions(tail)) == ([], 5, 5)
    assert tail.let_go == 0


def test_a_journal_of_another_user_stops_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked for again before it has grown; the others are read."""
    leave_journal(home, "root-1-a", *numbered(3))
    leave_journal(home, "w-1-a", *numbered(1))
    usual, asked = segments.read_lines, []

    def refuse(path: str, offset: int, limit: int) -> tuple[bytes, int]:
        if "root-1-a" in path:
            asked.append(path)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return usual(path, offset, limit)

    monkeypatch.setattr(segments, "read_lines", refuse)
    tail = Tail(str(home))
    tail.advance()
    tail.advance()
    assert (executions(tail), len(asked), tail.is_behind) == (1, 1, False)


def test_journals_that_cannot_be_listed_are_tried_again(home: Path) -> None:
    """A file where the folder should be is for the fold to report."""
    home.mkdir()
    (home / "journal").write_text("a file")
    tail = Tail(str(home))
    assert tail.advance() == 0
    (home / "journal").unlink()
    leave_journal(home, "w-1-a", *numbered(1))
    tail.advance()
    assert executions(tail) == 1


# -- too much to read ------------------------------------------------------------------------------------------------


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tail that is too far behind with a hundred thousand bytes."""
    monkeypatch.setattr(tails, "MAX_BEHIND", 100_000)
    monkeypatch.setattr(tails, "KEPT_BEHIND", 20_000)


@pytest.mark.usefixtures("_small")
def test_far_behind_it_goes_on_near_the_end_with_a_whole_line(home: Path) -> None:
    """What it passed over is counted, and nothing before is said to be known."""
    body = numbered(2_000)
    path = leave_journal(home, "w-1-a", *body)
    clock = Clock()
    tail, before = Tail(str(home), clock), clock.ms
    read_all(tail)
    seen = times_of(tail, "w-1-a.1")
    assert seen == [one["time"] for one in body[-len(seen) :]]
    assert 20_000 // len(lines(body[0])) - 1 <= len(seen) <= 20_000 // len(lines(body[0])) + 1
    assert tail.let_go == os.path.getsize(path) - 20_000
    assert tail.recent.since_ms > before  # type: ignore[operator]


@pytest.mark.usefixtures("_small")
def test_journals_that_have_little_are_read_in_full_beside_one_that_has_too_much(home: Path) -> None:
    """The flood of one agent does not hide another."""
    leave_journal(home, "flood-1-a", *numbered(3_000, "flood-1-a.1"))
    for name in ("quiet-1-a", "quiet-2-a"):
        leave_journal(home, name, event("start", SOON, run=f"{name}.1"), *(tool(SOON) for _ in range(20)))
    everything = sum(path.stat().st_size for path in home.glob("journal/*"))
    tail = Tail(str(home))
    read_all(tail)
    assert [len(times_of(tail, f"quiet-{number}-a.1")) for number in (1, 2)] == [20, 20]
    assert tail.let_go == everything - 20_000


@pytest.mark.usefixtures("_small")
def test_it_never_stays_behind_however_much_is_recorded(home: Path) -> None:
    """Between two calls comes more than a call reads, on and on: what is unread stays bounded."""
    tail, first = Tail(str(home)), 0
    with live_journal(home) as journal:
        for _ in range(20):
            journal.append(lines(*numbered(1_000, first=first)))
            first += 1_000
            tail.advance(30_000)
            unread = os.path.getsize(journal.path) - tail.read_to(os.path.basename(journal.path))
            assert unread <= 100_000
        read_all(tail)
    assert times_of(tail, "w-1-a.1")[-1] == SOON + first - 1
    assert tail.let_go > 100_000


def test_it_follows_a_process_that_records_as_fast_as_it_can(home: Path) -> None:
    """Again and again it comes to what was recorded after it was asked."""
    tail = Tail(str(home))
    with agent(AS_FAST_AS_IT_CAN) as child:
        assert hear(child) == "ready"
        for _ in range(3):
            asked = now_ms()
            wait_until(lambda asked=asked: tail.advance() and latest(tail) > asked, what="what was recorded since")  # type: ignore[misc]
        kill(child)


def latest(tail: Tail) -> int:
    """The time of the latest error of agent b, in milliseconds since the epoch."""
    return max((error.time_ms for error in tail.recent.errors("b")), default=0)


# -- since when ------------------------------------------------------------------------------------------------------


def test_at_first_it_knows_what_was_dated_after_the_last_journal_was_removed(home: Path) -> None:
    """Those that are there hold everything since; before that somebody may have recorded who left no trace."""
    path = leave_journal(home, "w-1-a", *numbered(1))
    leave_journal(home, "w-2-a")
    path.unlink()
    removed = os.stat(home / "journal").st_mtime_ns // 1_000_000
    tail = Tail(str(home), Clock())
    tail.advance()
    assert removed <= tail.recent.since_ms <= removed + 1_000  # type: ignore[operator]


def test_while_it_reads_what_is_on_disk_it_does_not_say_since_when_it_knows(home: Path) -> None:
    """Only once all of it was read."""
    leave_journal(home, "w-1-a", *numbered(3_000))
    tail = Tail(str(home))
    tail.advance(1_000)
    assert (tail.is_behind, tail.recent.since_ms) == (True, None)
    read_all(tail)
    assert tail.recent.since_ms is not None


def test_what_is_recorded_meanwhile_does_not_put_off_the_date(home: Path) -> None:
    """A tail that is always a bit behind has read what was there when it began."""
    tail, began = Tail(str(home)), now_ms()
    with live_journal(home) as journal:
        for first in range(0, 20_000, 1_000):
            journal.append(lines(*numbered(1_000, first=first)))
            tail.advance(1_000)
    assert (tail.is_behind, tail.let_go) == (True, 0)
    assert tail.recent.since_ms is not None
    assert tail.recent.since_ms - began < 1_000


def test_reading_on_leaves_the_date_as_it_is(home: Path) -> None:
    """New journals, and those that were read and removed, take nothing away from what is known."""
    tail = Tail(str(home))
    path = leave_journal(home, "w-1-a", *numbered(1))
    tail.advance()
    since = tail.recent.since_ms
    leave_journal(home, "w-2-a", *numbered(1))
    tail.advance()
    path.unlink()
    tail.advance()
    assert tail.recent.since_ms == since


def test_after_forgetting_it_knows_what_comes_and_the_runs_that_are_open(home: Path) -> None:
    """What was recorded before and not yet read is forgotten as well."""
    clock = Clock()
    tail = Tail(str(home), clock)
    with live_journal(home) as journal:
        journal.append(lines(event("start", now_ms(), run="w-1-a.1"), tool(now_ms())))
        before = clock.ms
        tail.forget()
        assert (executions(tail), tail.recent.since_ms > before) == (0, True)  # type: ignore[operator]
        record(journal, 2)
        tail.advance()
    assert len(times_of(tail, "w-1-a.1")) == executions(tail) == 2


def test_a_memory_that_somebody_else_had_forget_is_dated_from_then(home: Path) -> None:
    """It would say otherwise that it knows what it was told to forget."""
    clock = Clock()
    tail = Tail(str(home), clock)
    leave_journal(home, "w-1-a", *numbered(1))
    tail.advance()
    before = clock.ms
    tail.recent.forget()
    tail.advance()
    assert tail.recent.since_ms > before  # type: ignore[operator]


def test_a_copy_of_a_call_that_was_counted_long_ago_is_in_no_slice(home: Path) -> None:
    """The journal of the call is gone; what the fold knows of it tells. A call that is new is in its slice, once."""
    now = now_ms()
    leave_journal(home, "old-1-a", event("llm", now - 7_200_000, model="m", input_tokens=5, request_id="r1"), host="elsewhere")
    Hub(str(home)).fold()
    (home / "journal" / "old-1-a.0.jsonl").unlink()
    tail = Tail(str(home))
    tail.advance()
    with live_journal(home) as journal:
        journal.append(lines(event("llm", now, model="m", input_tokens=5, request_id="r1")))
        for output in (1, 4, 4):
            journal.append(lines(event("llm", now, model="m", output_tokens=output, request_id="r2")))
            tail.advance()
        slices = tail.recent.slices(now - 600_000, now + 600_000).values()
        assert [(each["requests"], each["tokens"]) for each in slices] == [(1, 4)]
        state = Hub(str(home)).read()
    assert (state["tokens"]["requests"], state["tokens"]["input-tokens"], state["tokens"]["output-tokens"]) == (2, 5, 4)
