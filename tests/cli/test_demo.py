from __future__ import annotations

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyjama_metrics.cli.demo import Children, Interruption
from pyjama_metrics.storage.owners import process_start
from tests.cli.commands import PYJAMA, agent, figures, pyjama, started
from tests.waiting import wait_until


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo makes its folder: empty before, and empty after."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def processes_below(folder: Path) -> list[int]:
    """Processes whose environment names something in ``folder``."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.fsencode(f"PYJAMA_HOME={folder}/") in Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
        except OSError:
            continue  # it has ended, or is not ours
    return found


def test_the_demo_shows_every_kind_of_agent_and_leaves_nothing(scratch: Path, home: Path) -> None:
    """Failures, sub-agents and a crash are real; the user's own hub is not touched; no process or file is left."""
    answer = pyjama("demo", "--seconds", "5", "--no-dashboard")
    assert (answer.returncode, answer.stderr) == (0, "")
    for expected in ("careless-worker was killed", "1 crashed", "orchestrator", "count-json", "parse-source", "reviewer"):
        assert expected in answer.stdout
    assert not home.exists()
    assert list(scratch.iterdir()) == []
    assert processes_below(scratch) == []


def test_sub_agents_are_children_of_the_orchestrator(home: Path) -> None:
    """With --here everything goes into the user's own hub, with parents; a missing package is a failed run."""
    with started(*PYJAMA, "demo", "--no-dashboard", "--here", "--agents", "1") as child:
        wait_until(lambda: {"count-json", "count-no-such-package"} <= ended().keys(), 30, "two sub-agents")
        child.terminate()
        assert child.wait(20) == 143
    assert (ended()["count-json"], ended()["count-no-such-package"]) == ("completed", "failed")
    assert figures()["agents"]["count-json"]["parent-agent"] == "orchestrator"


def test_the_demo_shows_tokens_and_what_is_known_of_their_cost(home: Path) -> None:
    """One model reports its cost and another none, which is shown as unpriced and not as nothing."""
    answer = pyjama("demo", "--seconds", "1.5", "--no-dashboard", "--here")
    assert (answer.returncode, answer.stderr) == (0, "")
    reader, archivist = agent("code-reader"), agent("archivist")
    assert min(reader["tokens"], archivist["tokens"]) > 0
    assert reader["priced-requests"] == reader["requests"]
    assert reader["cost-micros"] > 0
    assert (archivist["priced-requests"], archivist["cost-micros"]) == (0, None)


def test_the_demo_imports_nothing_from_the_current_folder(home: Path, tmp_path: Path) -> None:
    """A file that is called like a module of Python's own changes nothing, neither for agents nor for their children."""
    (tmp_path / "sysconfig.py").write_text("raise SystemExit('imported from the current folder')")
    command = (
        sys.executable,
        "-P",
        "-m",
        "pyjama_metrics",
        "demo",
        "--seconds",
        "2",
        "--no-dashboard",
        "--here",
        "--agents",
        "1",
    )
    with started(*command, cwd=tmp_path) as child:
        assert (child.communicate(timeout=20)[1], child.returncode) == ("", 0)
    assert figures()["agents"]["count-json"]["count"] > 0


def ended() -> dict[str, str]:
    """The agents that came to an end, and how."""
    agents = figures()["agents"]
    return {name: agent["status"] for name, agent in agents.items() if agent["status"] in ("completed", "failed")}


def test_an_interrupted_demo_is_gone_without_a_trace(scratch: Path) -> None:
    """The page moves while it runs; Ctrl-C ends page, agents and sub-agents in silence."""
    with started(*PYJAMA, "demo", "--port", "0", start_new_session=True) as child:
        assert child.stdout is not None
        lines = iter(child.stdout.readline, "")
        url = next(word for line in lines for word in line.split() if word.startswith("http://"))

        def running() -> set[str]:
            with urllib.request.urlopen(f"{url}/api/data", timeout=10) as answer:
                return {name for name, agent in json.load(answer)["agents"].items() if agent["status"] == "running"}

        wait_until(lambda: {"orchestrator", "code-reader", "careless-worker"} <= running(), 20, "agents on the page")
        os.killpg(child.pid, signal.SIGINT)
        assert child.communicate(timeout=20)[1] == ""
        assert child.returncode == 130
        wait_until(lambda: not processes_below(scratch), what="the end of every process")
        assert list(scratch.iterdir()) == []


def test_a_terminated_demo_takes_its_processes_with_it(scratch: Path) -> None:
    """SIGTERM to the demo alone ends its agents too, and no others."""
    with started(*PYJAMA, "demo", "--no-dashboard") as child, started("sleep", "60") as bystander:
        wait_until(lambda: len(processes_below(scratch)) >= 5, 20, "the agents")
        child.terminate()
        assert child.wait(20) == 143
        wait_until(lambda: not processes_below(scratch), what="the end of every process")
        assert bystander.poll() is None


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    """The demo's handling of signals, for the length of a test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Interruption()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_process_is_being_started_waits_for_it(number: signal.Signals, interruption: Interruption) -> None:
    """A process that was started is known to whoever ends it, whenever the signal came."""
    known = []

    def start() -> None:
        with interruption.postponed():
            signal.raise_signal(number)
            known.append("child")

    with pytest.raises(SystemExit) as stopped:
        start()
    assert (stopped.value.code, known) == (128 + number, ["child"])
    with pytest.raises(SystemExit):
        signal.raise_signal(number)


def test_children_of_children_end_too(interruption: Interruption, home: Path) -> None:
    """A sub-agent that its parent did not end does not outlive the demo."""
    home.mkdir()
    with Children(str(home), interruption) as children:
        children.start("pyjama_metrics", "run", "--", "sh", "-c", 'sleep 60 & echo $! > "$PYJAMA_HOME/pid"; wait')
        pid = int(wait_until(lambda: (home / "pid").exists() and (home / "pid").read_text(), what="the sub-agent"))
        assert process_start(pid) is not None
    wait_until(lambda: process_start(pid) is None, what="the end of the sub-agent")
