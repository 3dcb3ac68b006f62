"""Each change makes one edition, which is compared, serialised and compressed once, whoever looks."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics import patches
from pyjama_metrics.dashboard import live as live_module
from pyjama_metrics.dashboard.live import Edition, Live, Update, local_midnight
from pyjama_metrics.hub import Hub
from pyjama_metrics.reading import flush
from pyjama_metrics.recorder import close, record_agent_activity, record_agent_start, record_tool_execution
from pyjama_metrics.tail import Tail
from tests.waiting import run_command

DOCS = Path(__file__).parents[2] / "docs" / "http.md"


def event_of(frame: bytes) -> tuple[str, str, Any]:
    """The event, the id and the data of one frame."""
    found = re.fullmatch(rb"event: (.*)\nid: (.*)\ndata: (.*)\n\n", frame)
    assert found is not None
    return found[1].decode(), found[2].decode(), json.loads(found[3])


def document_of(edition: Edition) -> Any:
    """The document of an edition."""
    return json.loads(edition.body)


def live_of(home: Path) -> Live:
    """A view of the hub in ``home`` in which nothing has been recorded."""
    return Live(Hub(str(home)))


def record_and_show(live: Live, tool: str = "grep", agent: str = "worker") -> Edition:
    """Record one execution; the edition that shows it."""
    record_tool_execution(tool, agent, duration_ms=1)
    flush()
    live.refresh()
    return live.newest


def caught_up(document: Any, updates: list[Update]) -> Any:
    """What a client has that began with ``document`` and got ``updates``."""
    for update in updates:
        event, version, told = event_of(update.update_frame)
        assert (event, version, told["from"]) == ("metrics_update", told["to"], document["hub"]["version"])
        document = patches.apply(document, told)
    return document


def test_updates_lead_from_the_first_edition_to_the_newest(home: Path) -> None:
    """Whoever applies them has the document, to the last key: troubles, version and moment included."""
    live = live_of(home)
    first = document_of(live.newest)
    for number in range(5):
        record_and_show(live, f"tool-{number % 3}", f"agent-{number}")
    live.report("test", "Something is wrong.")
    live.clear()
    updates = live.after(1)
    assert updates is not None
    assert len(updates) >= 7
    assert caught_up(first, list(updates)) == document_of(live.newest)


def test_an_update_says_what_changed_and_little_else(home: Path) -> None:
    """Of 200 agents one did something: under 2 KB, under a fiftieth of the whole."""
    live = live_of(home)
    for number in range(200):
        record_tool_execution("grep", f"agent-{number}", duration_ms=1)
    record_and_show(live)
    record_agent_activity("worker", "grep")
    edition = record_and_show(live)
    told = event_of(edition.update_frame)[2]
    assert list(told["set"]["agents"]) == ["worker"]
    assert (len(told["logs"]), told["unset"]) == (1, [])
    assert len(edition.update_frame) < min(2048, len(edition.body) / 50)


def test_a_snapshot_has_the_document_of_the_edition(home: Path) -> None:
    """A client that knows nothing needs no second request."""
    edition = record_and_show(live_of(home))
    assert event_of(edition.snapshot_frame) == ("snapshot", edition.version, document_of(edition))


def test_the_first_edition_updates_nobody(home: Path) -> None:
    """There is none before it."""
    assert live_of(home).newest.update_frame == b""


def test_each_form_of_an_edition_is_made_once_by_whichever_thread(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only when somebody asks."""
    made: list[object] = []
    second = threading.Event()

    def dumps(value: object) -> bytes:
        made.append(value)
        if len(made) > 1:
            second.set()
        second.wait(0.2)  # long enough for another thread to begin the same
        return b"{}"

    monkeypatch.setattr(live_module, "dumps", dumps)
    edition = Edition(2, "x-2", b"", {"a": 1})
    assert made == []
    threads = [threading.Thread(target=lambda: (edition.snapshot_frame, edition.gzipped)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [{"a": 1}]
    assert edition.gzipped is edition.gzipped
    assert edition.snapshot_frame is edition.snapshot_frame
    assert gzip.decompress(edition.gzipped) == edition.body


def test_who_missed_updates_gets_those_and_no_others(home: Path) -> None:
    """In their order; none where nothing was missed."""
    live = live_of(home)
    editions = [record_and_show(live) for _ in range(4)]
    missed = live.after(editions[1].number)
    assert missed is not None
    assert [update.update_frame for update in missed] == [edition.update_frame for edition in editions[2:]]
    assert live.after(live.newest.number) == []


@pytest.mark.parametrize("number", [-1, 0, 99])
def test_nothing_leads_from_an_edition_that_there_never_was(home: Path, number: int) -> None:
    """Its client gets a snapshot."""
    live = live_of(home)
    record_and_show(live)
    assert live.after(number) is None


def test_the_number_of_remembered_updates_is_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes back too late gets a snapshot."""
    monkeypatch.setattr(live_module, "REMEMBERED", 3)
    live = live_of(home)
    for number in range(10):
        live.report("test", str(number))
    assert [live.after(number) is not None for number in range(5, 12)] == [False, False, False, True, True, True, True]


def test_the_bytes_of_remembered_updates_are_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a single one is too large to be remembered at all."""
    monkeypatch.setattr(live_module, "REMEMBERED_BYTES", 10_000)
    live = live_of(home)
    for number in range(20):
        live.report("test", f"{number} " + "x" * 3000)
    remembered = live.after(live.newest.number - 2)
    assert remembered is not None
    assert live.after(live.newest.number - 4) is None
    live.report("test", "y" * 20_000)
    assert live.after(live.newest.number - 1) is None
    live.report("test", "z")
    assert live.after(live.newest.number - 1) is not None


def test_at_least_256_updates_are_remembered(home: Path) -> None:
    """A laptop that slept for a moment, or a tab that reconnects, goes on where it was."""
    live = live_of(home)
    for number in range(300):
        live.report("test", str(number))
    assert live.after(live.newest.number - 256) is not None


def test_a_version_names_one_edition_of_one_life(home: Path) -> None:
    """Anything else that a client may send names none."""
    live, other = live_of(home), live_of(home)
    edition = record_and_show(live)
    life = edition.version.rpartition("-")[0]
    assert live.number_of(edition.version) == edition.number
    assert live.number_of(other.newest.version) is None
    strange = ["", "-", life, f"{life}-", f"{life}-0", f"{life}-99", f"{life}--1", f"{life}-1e3", f"{life}-٢", f"{life}-2 "]
    assert [live.number_of(text) for text in [*strange, f"{life}-" + "9" * 10_000, "\x00", "1"]] == [None] * 13


def test_whoever_pushes_is_told_of_each_publication(home: Path) -> None:
    """After it: the edition can be taken at once."""
    live = live_of(home)
    told: list[int] = []
    live.on_change = lambda: told.append(live.newest.number)
    record_and_show(live)
    live.report("test", "Something is wrong.")
    live.report("test", "Something is wrong.")
    live.refresh()
    assert told == [2, 3]


def test_time_alone_makes_no_edition(home: Path) -> None:
    """A page that nothing happens on is sent nothing, however late it is."""
    now = [1_700_000_000.0]
    live = Live(Hub(str(home)), clock=lambda: now[0])
    record_and_show(live)
    version = live.newest.version
    now[0] += 3600.0
    live.refresh()
    live.report("test", None)
    assert live.newest.version == version


def test_a_new_day_begins_without_an_event(home: Path) -> None:
    """At local midnight the figures of today are those of the new day."""
    now = [local_midnight(1_700_000_000.0) / 1000 + 24 * 3600 - 1]
    live = Live(Hub(str(home)), clock=lambda: now[0])
    record_and_show(live)
    before = live.newest
    now[0] += 2.0
    live.refresh()
    assert live.newest.number == before.number + 1
    assert document_of(live.newest)["today"]["since"] == local_midnight(now[0]) > document_of(before)["today"]["since"]
    assert event_of(live.newest.update_frame)[2]["set"].keys() == {"today", "hub", "now"}


def test_a_day_begins_at_midnight_where_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on the days of 23 and of 25 hours."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for midnight, hours in ((1774738800, 23), (1792879200, 25), (1795129200, 24)):
            seconds = (midnight, midnight + hours * 3600 - 1, midnight + hours * 3600)
            assert [local_midnight(second) for second in seconds] == [
                midnight * 1000,
                midnight * 1000,
                (midnight + hours * 3600) * 1000,
            ]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_replacement_that_says_the_same_makes_no_edition(home: Path) -> None:
    """The file is another one, the figures are not."""
    live = live_of(home)
    version = record_and_show(live).version
    shutil.copy(home / "metrics.json", home / "copy")
    (home / "copy").replace(home / "metrics.json")
    live.refresh()
    assert live.newest.version == version


@pytest.mark.parametrize("by", ["this page", "another process", "rm -rf"])
def test_a_clear_clears_what_only_the_page_remembers(home: Path, by: str) -> None:
    """The last minutes, the errors and the slices of seconds are figures too; what comes after is there."""
    live = live_of(home)
    record_agent_start("worker")
    record_tool_execution("grep", "worker", "error", error="no such file")
    assert document_of(record_and_show(live))["recent"]["executions"] == [2]
    if by == "this page":
        live.clear()
    elif by == "another process":
        Hub(str(home)).clear()
    else:
        close()
        shutil.rmtree(home)
    live.refresh()
    assert document_of(live.newest)["recent"] is None
    now = live.now_ms()
    assert not any(live.activity(now - 60_000, now + 60_000).success)
    after = document_of(record_and_show(live))
    assert (after["recent"]["executions"], after["recent"]["error"]) == ([1], [0])


def test_what_is_left_of_the_journals_is_read_by_the_next_looks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that starts in a full folder reads it in shares; the snapshot need not change for that."""
    for _ in range(183):
        record_tool_execution("grep", "worker", "error", error="x" * 2000)
    flush()
    live = live_of(home)
    read = Tail.advance
    monkeypatch.setattr(Tail, "advance", lambda tail, most=1: read(tail, most))
    seen = []
    while not seen or seen[-1] < 183:
        live.refresh()
        seen.append(sum(document_of(live.newest)["recent"]["executions"]))
        assert len(seen) < 20
    assert len(seen) > 2
    version = live.newest.version
    live.refresh()
    live.refresh()
    assert live.newest.version == version


def test_what_was_published_does_not_change(home: Path) -> None:
    """A client may still be reading an edition when the next one is there."""
    live = live_of(home)
    before = record_and_show(live)
    document = document_of(before)
    record_and_show(live, agent="another")
    assert json.loads(before.snapshot_frame.split(b"data: ")[1]) == document


def test_a_view_that_cannot_be_shown_leaves_the_last_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says why, and goes on when it can."""
    live = live_of(home)
    record_and_show(live)
    with monkeypatch.context() as broken:
        broken.setattr(live, "_view_of", lambda state, today_ms: 1 / 0)
        edition = record_and_show(live)
    assert "division" in live.troubles[0]
    assert document_of(edition)["metrics"]["global"]["count"] == 1
    live.refresh()
    assert live.troubles == ()
    assert document_of(live.newest)["metrics"]["global"]["count"] == 2


def test_a_removed_folder_is_a_change_like_any_other(home: Path) -> None:
    """Its agents are taken away by name."""
    live = live_of(home)
    record_agent_start("gone")
    before = record_and_show(live)
    close()
    shutil.rmtree(home)
    live.refresh()
    assert ["agents", "gone"] in event_of(live.newest.update_frame)[2]["unset"]
    updates = live.after(before.number)
    assert updates is not None
    assert caught_up(document_of(before), list(updates)) == document_of(live.newest)


def test_the_events_are_described(home: Path) -> None:
    """docs/http.md has the names of the events and of the parts of an update, and the bounds of what is remembered."""
    edition = record_and_show(live_of(home))
    described = DOCS.read_text(encoding="utf-8")
    event, _, told = event_of(edition.update_frame)
    for name in (event, event_of(edition.snapshot_frame)[0], *told):
        assert f"`{name}`" in described
    assert f"the last {live_module.REMEMBERED:,}, or {live_module.REMEMBERED_BYTES // 2**20} MiB of them" in described


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_described_program_follows_the_stream(home: Path) -> None:
    """The one in docs/http.md, run by jq as it stands there, has the newest document in the end."""
    program = re.search(r"```jq\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert program is not None
    live = live_of(home)
    frames = [live.newest.snapshot_frame]
    for number in range(3):
        record_agent_activity(f"agent-{number}", "grep")
        frames.append(record_and_show(live).update_frame)
    live.clear()
    frames.append(live.newest.update_frame)
    lines = b"".join(frame.split(b"data: ")[1] for frame in frames).decode()
    with run_command("jq", "-nc", program[1]) as jq:
        out, err = jq.communicate(lines, timeout=20)
    assert err == ""
    assert json.loads(out.splitlines()[-1]) == document_of(live.newest)
