"""The view is current, whatever happens to the folder."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver

from pyjama_metrics.dashboard import watcher as watcher_module
from pyjama_metrics.dashboard.live import Live
from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.dashboard.watcher import Watcher
from pyjama_metrics.hub import Hub
from pyjama_metrics.reading import flush
from pyjama_metrics.recorder import close, record_agent_start, record_tool_execution
from pyjama_metrics.storage import losses
from pyjama_metrics.storage.lock import FoldLock
from tests.dashboard.serving import agent_process, ask, shown, wait_for_status
from tests.waiting import run_command, run_python, wait_until


@contextmanager
def watching(home: Path, **options: object) -> Iterator[Live]:
    """A view of the hub in ``home`` that is kept current while the block lasts."""
    hub = Hub(str(home))
    live = Live(hub)
    watcher = Watcher(hub, live, **options)  # type: ignore[arg-type]
    watcher.start()
    try:
        yield live
    finally:
        watcher.stop()


def test_a_killed_agent_is_shown_as_crashed(server: DashboardServer) -> None:
    """Within two seconds, though nobody records any more."""
    with agent_process() as agent:
        agent.do("record_agent_start('victim')")
        wait_for_status(server, "victim", "running")
        agent.kill()
        wait_for_status(server, "victim", "crashed", timeout=2.0)


def test_a_silent_agent_stays_running(server: DashboardServer) -> None:
    """Silence is not death: a second look at the living finds them alive."""
    with agent_process() as silent, agent_process() as victim:
        silent.do("record_agent_start('silent')")
        victim.do("record_agent_start('victim')")
        wait_for_status(server, "silent", "running")
        victim.kill()
        wait_for_status(server, "victim", "crashed")
        assert shown(server, "silent") == "running"


def test_lines_that_no_recorder_folds_are_folded_by_us(home: Path, server: DashboardServer) -> None:
    """A shell or a hook only appends; the dashboard adds it up."""
    record_agent_start("before")
    wait_for_status(server, "before", "running")
    now = int(time.time() * 1000)
    lines = f'{{"event":"writer","time":{now},"format":1,"writer":"sh-1-a","segment":0,"kind":"session"}}\n'
    lines += f'{{"event":"start","time":{now},"agent":"from a shell","run":"sh-1-a.1"}}\n'
    (home / "journal" / "sh-1-a.0.jsonl").write_text(lines, encoding="utf-8")
    wait_until(lambda: shown(server, "from a shell"), 3.0, "the agent of the shell")


def test_a_deleted_folder_is_watched_again_when_it_is_back(home: Path, server: DashboardServer) -> None:
    """rm -rf of the hub under a running dashboard: figures start anew, and move again."""
    record_agent_start("before")
    wait_for_status(server, "before", "running")
    close()
    shutil.rmtree(home)
    wait_until(lambda: shown(server, "before") is None, 3.0, "the old agent to be gone")
    record_agent_start("after")
    wait_for_status(server, "after", "running")
    assert ask(server, "/health").json["status"] == "ok"


def test_a_folder_that_is_back_is_observed_anew(home: Path) -> None:
    """The observer of the old folder would be silent for ever: a new one tells of changes in the new folder."""
    observed: list[list[str]] = []

    def observe(folder: str, tell: Callable[[], None]) -> BaseObserver:
        told: list[str] = []
        observed.append(told)
        return watcher_module.observe(folder, lambda: (told.append("replaced"), tell())[1])

    home.mkdir()
    with watching(home, observe=observe) as live:
        shutil.rmtree(home)
        record_agent_start("in the new folder")
        wait_until(lambda: len(observed) >= 2, 3.0, "a second observer")
        for told in observed:
            told.clear()
        flush()
        record_agent_start("another")
        flush()
        # The last of them: who was in the middle of a fold may have made the folder, and a removal in progress taken it again.
        wait_until(lambda: observed[-1], 3.0, "its events")
        wait_until(lambda: b"another" in live.newest.body, 3.0, "the agent")


def test_without_file_events_the_tick_sees_changes(home: Path) -> None:
    """At the limit of inotify, or on a network mount, the page is half a second late, and says so."""

    def refuse(folder: str, tell: object) -> object:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    with watching(home, observe=refuse) as live:
        wait_until(lambda: any("inotify instance limit reached" in said for said in live.troubles))
        record_agent_start("seen by the tick")
        flush()
        wait_until(lambda: b"seen by the tick" in live.newest.body, 2.0, "the agent")


WATCH = """
    import sys
    from pyjama_metrics.dashboard.live import Live
    from pyjama_metrics.dashboard.watcher import Watcher
    from pyjama_metrics.hub import Hub
    from tests.waiting import run_command, run_python, wait_until
    hub = Hub()
    live = Live(hub)
    watcher = Watcher(hub, live)
    watcher.start()
    print(*live.troubles, flush=True)
    for name in sys.stdin:
        wait_until(lambda: name.strip().encode() in live.newest.body)
        print("shown", flush=True)
    watcher.stop()
"""
"""Says what troubles it has, then of each name on its input when it is shown."""


@contextmanager
def without(limit: str) -> Iterator[subprocess.Popen[str]]:
    """Run WATCH in a process for which the system's ``limit`` is 0; skips where a process cannot be limited so."""
    limited = f'echo 0 > /proc/sys/user/{limit} && exec "$0" -c "$1"'
    with run_command("unshare", "-Ur", "sh", "-c", "true") as trial:
        if trial.wait(10):
            pytest.skip("this system gives a process no limits of its own (unshare -U)")
    with run_command("unshare", "-Ur", "sh", "-c", limited, sys.executable, textwrap.dedent(WATCH)) as child:
        yield child


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare: the limit cannot be reached without harm to others")
@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_at_the_systems_limit_of_watches_the_page_is_late_and_says_so(home: Path, limit: str) -> None:
    """It takes the limit of a real system to know what that one answers."""
    home.mkdir()
    with without(limit) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert "does not report changes" in child.stdout.readline()
        record_agent_start("seen all the same")
        flush()
        print("seen all the same", file=child.stdin, flush=True)
        assert child.stdout.readline() == "shown\n"
        assert child.communicate(timeout=10) == ("", "")


def test_where_no_event_ever_comes_the_tick_sees_changes(home: Path, tmp_path: Path) -> None:
    """On a network mount the observer is alive, has no error, and is silent."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with watching(home, observe=lambda _, tell: watcher_module.observe(str(elsewhere), tell)) as live:
        assert live.troubles == ()
        record_agent_start("seen by the tick")
        flush()
        wait_until(lambda: b"seen by the tick" in live.newest.body, 2.0, "the agent")


def test_a_change_is_seen_by_its_event(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick is only the net below: with a tick of an hour changes still arrive."""
    record_agent_start("first")
    flush()
    monkeypatch.setattr(watcher_module, "TICK", 3600.0)
    with watching(home) as live:
        record_agent_start("seen by its event")
        Hub(str(home)).flush()
        wait_until(lambda: b"seen by its event" in live.newest.body, 3.0, "the agent")


def test_a_storm_of_changes_is_shown_a_few_times_and_to_its_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes that follow each other are shown together; the last one is never left out."""
    monkeypatch.setattr(watcher_module, "COALESCE", 0.4)
    with watching(home) as live:
        hub, began = Hub(str(home)), time.monotonic()
        for number in range(100):
            record_tool_execution(f"tool-{number}", "stormy", duration_ms=1)
            hub.flush()
        wait_until(lambda: b'"tool-99"' in live.newest.body, 3.0, "the last change")
        # One for each pause, one for each tick, and some at the beginning and the end.
        assert live.newest.number < 6 + 2 * (time.monotonic() - began) / watcher_module.COALESCE


REPLACE = """
    import json, os, sys, time
    path, rate, seconds = sys.argv[1], 500, 2
    with open(path) as file:
        state = json.load(file)
    head, tail = json.dumps(state).split(f'"generation": {state["generation"]},')
    began = time.monotonic()
    for number in range(1, rate * seconds + 1):
        with open(path + ".next", "w") as file:
            file.write(f'{head}"generation": {state["generation"] + number},{tail}')
        os.replace(path + ".next", path)
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
    print(state["generation"] + number, number / (time.monotonic() - began))
"""
"""Replaces a snapshot 500 times a second for two seconds; prints the last generation and how many a second it were."""


def test_a_storm_of_500_replacements_a_second_costs_little_and_is_shown_to_its_end(home: Path) -> None:
    """With 100 agents: a few editions a second, at most 60 % of a core, and the last state is on the page."""
    for number in range(100):
        record_tool_execution("grep", f"agent-{number}", duration_ms=1)
    flush()
    with watching(home) as live:
        before, began, used = live.newest.number, time.monotonic(), time.process_time()
        with run_python(REPLACE, str(home / "metrics.json")) as child:
            out, err = child.communicate(timeout=30)
        used, seconds = time.process_time() - used, time.monotonic() - began
        assert err == ""
        generation, rate = int(out.split()[0]), float(out.split()[1])
        wait_until(lambda: json.loads(live.newest.body)["generation"] == generation, 1.0, "the last state")
        assert rate > 300  # else it was no storm
        assert live.newest.number - before < 10 + 1.2 * seconds / watcher_module.COALESCE
        assert used / seconds < 0.6


def test_an_unreadable_snapshot_leaves_the_last_view_and_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is no reason to show nothing."""
    record_agent_start("last seen")
    flush()
    hub = Hub(str(home))
    live = Live(hub)
    live.refresh()
    (home / "metrics.json").write_bytes(b'{"format": 1, "agents": ')
    live.refresh()
    assert b"last seen" in live.newest.body
    assert str(home / "metrics.json") in live.troubles[0]
    hub.flush()
    live.refresh()
    assert live.troubles == ()
    assert b"last seen" in live.newest.body


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, b"[]", b'{"format":1}', b'{"agents": []}'])
def test_a_damaged_snapshot_is_restored_under_a_running_dashboard(home: Path, server: DashboardServer, damage: bytes) -> None:
    """The figures come back, and nothing of the damage stays on the page."""
    record_agent_start("survivor")
    record_tool_execution("grep", "survivor", duration_ms=1)
    wait_until(lambda: ask(server, "/api/data").json["metrics"]["global"]["count"] == 1)
    (home / "metrics.json").write_bytes(damage)
    wait_until(lambda: ask(server, "/health").json["status"] == "ok", 3.0, "the figures to be restored")
    assert shown(server, "survivor") == "running"
    assert ask(server, "/api/data").json["metrics"]["global"]["count"] == 1


def test_a_hub_that_cannot_be_is_said_on_the_page(home: Path) -> None:
    """A folder that is a file: the server is up and says so."""
    home.write_text("not a folder")
    with watching(home) as live:
        assert [str(home) in said for said in live.troubles] == [True], "one trouble, told once"
        home.unlink()
        record_agent_start("better now")
        wait_until(lambda: live.troubles == () and b"better now" in live.newest.body, 3.0, "the trouble to end")


def test_an_unchanged_snapshot_is_not_read_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle page costs a look at a file's times, and makes no new version."""
    record_agent_start("idle")
    flush()
    hub = Hub(str(home))
    live = Live(hub)
    live.refresh()
    version = live.newest.version
    monkeypatch.setattr(hub, "read", lambda **_: pytest.fail("read again"))
    live.refresh()
    assert live.newest.version == version


def test_a_version_means_nothing_to_another_server(home: Path) -> None:
    """A browser that kept an answer of a server before this one is sent a new one."""
    assert Live(Hub(str(home))).newest.version != Live(Hub(str(home))).newest.version


def test_a_replaced_snapshot_is_told_from_the_one_before(home: Path) -> None:
    """It is another file, also with the same size and the same time."""
    home.mkdir()
    assert Hub().signature() is None
    signatures = set()
    for path in (home / "metrics.json", home / "next"):
        path.write_text("same")
        os.utime(path, ns=(1, 1))
        if path.name == "next":
            os.replace(path, home / "metrics.json")
        signatures.add(Hub().signature())
    assert len(signatures) == 2


def test_losses_that_no_journal_could_tell_are_shown(home: Path) -> None:
    """An agent on a full disk can only leave a note; the page says how many events it lost, as long as the note is there."""
    with watching(home) as live:
        losses.write_note(str(home), "agent-1-a", 1234)
        wait_until(lambda: any("1,234 events could not be recorded" in trouble for trouble in live.troubles), what="the losses")
        losses.remove_note(str(home), "agent-1-a")
        wait_until(lambda: not live.troubles, what="no trouble any more")


def test_figures_that_stand_still_because_of_somebody_else_are_said_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds the lock and folds nothing, as one that was stopped does: the page says so, until it lets go."""
    monkeypatch.setattr(watcher_module, "STANDSTILL", 0.2)
    record_tool_execution("t", "a")
    flush(10)
    with watching(home) as live:
        with FoldLock(Hub(str(home)).lock_path).held(5):
            record_tool_execution("t", "a")
            wait_until(lambda: any("has held" in trouble for trouble in live.troubles), what="the standstill")
        wait_until(lambda: not live.troubles, what="no trouble any more")
