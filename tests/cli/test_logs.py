from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyjama_metrics import (
    clear_metrics,
    correct_run,
    flush,
    record_agent_activity,
    record_agent_start,
    record_error,
    record_llm_usage,
)
from pyjama_metrics.cli.logs import Seen, follow
from pyjama_metrics.hub import Hub
from pyjama_metrics.recorder import close
from tests.cli.commands import PYJAMA, pyjama, started
from tests.waiting import wait_until


class Lines:
    """The lines that a following process has printed so far."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.seen: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(child,), daemon=True)
        self._thread.start()

    def _read(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self.seen.append(line.rstrip("\n"))

    def join(self) -> None:
        self._thread.join(10)

    def tools(self) -> list[str]:
        return [tool for line in list(self.seen) if (tool := json.loads(line).get("tool"))]


@contextmanager
def following(*words: str) -> Iterator[Lines]:
    """The lines of ``logs -f --json``, from the moment at which it follows."""
    record_agent_activity("first", "begun")
    assert flush(10)
    with started(*PYJAMA, "logs", "-f", "--json", *words) as child:
        lines = Lines(child)
        try:
            wait_until(lambda: lines.seen, what="the first entry")
            yield lines
        finally:
            child.kill()
            lines.join()


def test_the_last_entries_are_printed_oldest_first() -> None:
    """-n says how many; each has its time, agent, tool and status."""
    for number in range(30):
        record_agent_activity("a", f"tool-{number:02}")
    assert flush(10)
    assert [line.split()[2] for line in pyjama("logs", "-n", "3").stdout.splitlines()] == ["tool-27", "tool-28", "tool-29"]
    assert len(pyjama("logs").stdout.splitlines()) == 20
    assert pyjama("logs", "-n", "0").stdout == ""


def test_entries_are_chosen_by_agent_tool_and_status() -> None:
    """The filters count before -n does."""
    for number in range(40):
        record_agent_activity(f"agent-{number % 2}", f"tool-{number % 4}", "error" if number == 1 else "ok")
    assert flush(10)
    chosen = pyjama("logs", "--agent", "agent-1", "--tool", "tool-1", "--status", "error", "-n", "1", "--json").stdout
    assert [json.loads(line)["tool"] for line in chosen.splitlines()] == ["tool-1"]


def test_messages_are_shown() -> None:
    """An error is printed with its text, on one line."""
    record_error("a", "two\nlines")
    assert flush(10)
    assert "two\\nlines" in pyjama("logs").stdout


def test_a_correction_says_that_it_is_one() -> None:
    """Before its reason, which need not say so."""
    run = record_agent_start("a")
    record_llm_usage("a", "m", 100, 10)
    assert flush(10)
    correct_run(run, "as the invoice says", output_tokens=20)
    assert pyjama("logs", "-n", "1").stdout.split()[1:] == ["a", "correction", "✓", "ok", "as", "the", "invoice", "says"]


def test_following_prints_each_entry_once_as_it_comes() -> None:
    """No entry twice, none missed, in their order, however they fall into the folds."""
    with following() as lines:
        expected = ["begun"]
        for burst in range(6):
            for number in range(15):
                expected.append(f"tool-{burst}-{number}")
                record_agent_activity("a", expected[-1])
            assert flush(10)
            wait_until(lambda: len(lines.tools()) >= len(expected), what="the burst")
        assert lines.tools() == expected


def test_following_sees_what_nobody_else_folds() -> None:
    """With no dashboard and no agent alive, a recorded event still appears."""
    with following() as lines:
        assert pyjama("record", "activity", "a", "--tool", "late").returncode == 0
        wait_until(lambda: "late" in lines.tools(), what="the entry")


def test_following_survives_clearing_and_the_removal_of_the_folder(home: Path) -> None:
    """Old entries do not come again, and later ones do come."""
    with following() as lines:
        clear_metrics()
        record_agent_activity("a", "after-clear")
        wait_until(lambda: "after-clear" in lines.tools(), what="the entry after the clear")
        shutil.rmtree(home)
        assert pyjama("record", "activity", "b", "--tool", "after-removal").returncode == 0
        wait_until(lambda: "after-removal" in lines.tools(), what="the entry after the removal")
        assert sorted(set(lines.tools())) == sorted(lines.tools())


def test_following_sees_a_crash(home: Path) -> None:
    """A session whose shell is gone is found dead by the follower itself."""
    with following() as lines:
        with started("sleep", "60") as owner:
            assert pyjama("record", "start", "doomed", "--pid", str(owner.pid)).returncode == 0
        wait_until(lambda: any('"crash"' in line for line in lines.seen), timeout=5, what="the crash")


def test_a_follower_whose_reader_left_ends_without_another_entry() -> None:
    """``logs -f | head -1`` comes back to the prompt at once."""
    record_agent_start("a")
    assert flush(10)
    with started(*PYJAMA, "logs", "-f") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert (child.wait(10), child.stderr.read()) == (0, "")


def test_following_reads_the_file_only_when_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet hub costs a stat and a look at the journals, not a parse of the file."""
    record_agent_activity("a", "t")
    assert flush(10)
    hub, reads, rounds = Hub(), [], iter(range(20))
    read = hub.read
    monkeypatch.setattr(hub, "read", lambda **how: reads.append(how) or read(**how))

    def pause(seconds: float) -> None:
        if next(rounds) == 19:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(follow(hub, Seen(), pause))
    assert len(reads) <= 2


def test_following_outlives_a_hub_that_cannot_be_read_for_a_while(home: Path) -> None:
    """A folder moved away and back, with a file in its place meanwhile, costs no entry."""
    record_agent_activity("a", "before")
    assert flush(10)
    aside = home.with_name("aside")

    def put_a_file_in_its_place() -> None:
        home.rename(aside)
        home.write_text("")

    def put_it_back() -> None:
        home.unlink()
        aside.rename(home)
        record_agent_activity("a", "after")
        assert flush(10)

    rounds = iter([put_a_file_in_its_place, put_it_back, lambda: None])
    entries = follow(Hub(), Seen(), lambda seconds: next(rounds)())
    assert [next(entries)["tool"], next(entries)["tool"]] == ["before", "after"]


def test_following_waits_while_the_entries_are_none(home: Path) -> None:
    """A person has edited the shared file; the follower goes on when it is what it was."""
    record_agent_activity("a", "before")
    assert flush(10)
    close()
    whole = (home / "metrics.json").read_bytes()

    def edit() -> None:
        (home / "metrics.json").write_text(json.dumps({**json.loads(whole), "recent-logs": [5]}))

    def put_it_back() -> None:
        (home / "metrics.json").write_bytes(whole)
        record_agent_activity("a", "after")
        assert flush(10)

    rounds = iter([edit, lambda: None, put_it_back, lambda: None])
    entries = follow(Hub(), Seen(), lambda seconds: next(rounds)())
    assert [next(entries)["tool"], next(entries)["tool"]] == ["before", "after"]


def test_a_line_number_used_again_after_a_clear_is_a_new_entry() -> None:
    """Entries are told apart by id and time together."""
    seen = Seen()
    assert len(seen.new([{"id": "j:1", "timestamp": 1}, {"id": "j:2", "timestamp": 1}])) == 2
    assert seen.new([{"id": "j:1", "timestamp": 1}, {"id": "j:1", "timestamp": 9}]) == [{"id": "j:1", "timestamp": 9}]


def test_following_waits_for_a_folder_that_is_not_there_yet(home: Path) -> None:
    """A follower may be started before the first agent."""
    assert not os.path.exists(home)
    with started(*PYJAMA, "logs", "-f", "--json") as child:
        lines = Lines(child)
        try:
            assert pyjama("record", "activity", "a", "--tool", "first").returncode == 0
            wait_until(lambda: lines.tools() == ["first"], what="the first entry")
        finally:
            child.kill()
            lines.join()
