"""Following sessions: what hooks and transcripts tell is in the journals exactly once, whoever dies and whenever."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics import events
from pyjama_metrics.hub import Hub
from pyjama_metrics.sessions.follower import Follower
from pyjama_metrics.sessions.known import UNLISTED
from pyjama_metrics.storage import sessions as stored
from pyjama_metrics.storage.lock import FoldLock
from pyjama_metrics.storage.owners import process_start
from pyjama_metrics.storage.session import SessionJournal
from tests.waiting import run_python, wait_until

SESSION = "5a5a"


class Claude:
    """A program whose hooks are told by hand; its process is a real one."""

    def __init__(self, home: Path, process: subprocess.Popen[Any], session: str = SESSION) -> None:
        self.home, self.process, self.session = home, process, session
        self.transcript = home.parent / f"{session}.jsonl"
        self.journal = SessionJournal(str(home), f"claude-code-{session}", pid=process.pid, fsync=False)
        self.messages = 0

    def hook(self, name: str, **told: Any) -> Claude:
        """One hook fires."""
        fields = {"hook": name, "session": self.session, "source": "claude-code", "cwd": "/home/dev/web-shop"}
        fields |= {"transcript": str(self.transcript)} | {key.replace("_", "-"): value for key, value in told.items()}
        self.journal.append(events.line("hook", time.time_ns() // 1_000_000, fields).encode())
        return self

    def says(self, message: str, output: int, *, call: str | None = None, raw: bool = False) -> str | Claude:
        """The transcript gets an answer of the model."""
        content: list[dict[str, Any]] = [{"type": "text", "text": "a secret plan"}]
        if call:
            content = [{"type": "tool_use", "id": call, "name": "Bash", "input": {"command": "cat /etc/secret"}}]
        usage = {"input_tokens": 10, "output_tokens": output, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4}
        line = {
            "type": "assistant",
            "uuid": f"u-{message}",
            "sessionId": self.session,
            "timestamp": "2026-11-21T02:02:14.430Z",
            "message": {"id": message, "model": "claude-opus-5-5", "role": "assistant", "content": content, "usage": usage},
        }
        text = json.dumps(line) + "\n"
        if raw:
            return text
        with self.transcript.open("a") as file:
            file.write(text)
        return self

    def die(self) -> None:
        """It is killed."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a hub."""
    return tmp_path / "hub"


@pytest.fixture
def claude(home: Path) -> Iterator[Claude]:
    """A program at its first prompt."""
    with run_python("import sys; sys.stdin.read()") as process:
        assert process_start(process.pid)
        yield Claude(home, process).hook("SessionStart", how="startup").hook("UserPromptSubmit", turn="t1")
        process.kill()


def agent_of(home: Path, name: str = "web-shop") -> dict[str, Any]:
    """An agent of the fresh figures."""
    hub = Hub(str(home))
    found: dict[str, Any] = dict(hub.read()["agents"].get(name, {}))
    assert hub.follower is None or hub.follower.trouble is None, str(hub.follower and hub.follower.trouble)
    return found


def test_a_reader_sees_the_session(home: Path, claude: Claude) -> None:
    """Whoever asks for fresh figures follows first."""
    claude.hook("PreToolUse", tool="Bash", call="c1").hook("PostToolUse", tool="Bash", call="c1", duration_ms=12)
    claude.says("m1", 20)
    agent = agent_of(home)
    assert (agent["status"], agent["pid"], agent["source"]) == ("running", claude.process.pid, "claude-code")
    assert (agent["tools"]["Bash"]["success"], agent["tokens"]["output-tokens"]) == (1, 20)


def test_what_was_read_is_not_read_again(home: Path, claude: Claude) -> None:
    """Only what is new is taken, whoever asks."""
    claude.hook("PostToolUse", tool="Bash", call="c1").says("m1", 20)
    agent_of(home)
    claude.hook("PostToolUse", tool="Bash", call="c2").says("m1", 25).says("m2", 1)
    for _ in range(3):
        agent = agent_of(home)
    assert (agent["tools"]["Bash"]["success"], agent["tokens"]["output-tokens"], agent["tokens"]["requests"]) == (2, 26, 2)


def test_a_program_that_is_killed_is_crashed_within_five_seconds(home: Path, claude: Claude) -> None:
    """Its process is gone, and no hook said that the session ended."""
    assert agent_of(home)["status"] == "running"
    claude.die()
    died = time.monotonic()
    wait_until(lambda: agent_of(home)["status"] == "crashed", what="the crash")
    assert time.monotonic() - died < 5


def test_a_program_that_said_goodbye_is_not_crashed(home: Path, claude: Claude) -> None:
    """Also where it is gone before anybody has read its last words."""
    agent_of(home)
    claude.hook("Stop").hook("SessionEnd", reason="other").die()
    hub = Hub(str(home))
    hub.fold()  # one that only folds, as the thread of an agent does
    assert hub.read(fresh=False)["agents"]["web-shop"]["status"] == "running"
    assert agent_of(home)["status"] == "completed"


def test_a_program_that_said_goodbye_is_not_crashed_while_an_import_keeps_everybody_waiting(home: Path, claude: Claude) -> None:
    """However long that takes, up to a minute; a program that said nothing is."""
    agent_of(home)
    claude.hook("Stop").hook("SessionEnd", reason="other").die()
    with FoldLock(str(home / "sessions.lock")).held(0.0):
        hub = Hub(str(home), clock=lambda: time.time() + 30)
        hub.fold()
        assert hub.read(fresh=False)["agents"]["web-shop"]["status"] != "crashed"
    assert agent_of(home)["status"] == "completed"


def test_a_resumed_session_runs_again(home: Path, claude: Claude) -> None:
    """Another process goes on with the same session and the same transcript."""
    claude.says("m1", 20)
    agent_of(home)
    claude.die()
    wait_until(lambda: agent_of(home)["status"] == "crashed", what="the crash")
    with run_python("import sys; sys.stdin.read()") as process:
        again = Claude(home, process).hook("SessionStart", how="resume").hook("UserPromptSubmit", turn="t2")
        again.says("m2", 5)
        agent = agent_of(home)
        assert (agent["status"], agent["run-counts"]["started"], agent["tokens"]["output-tokens"]) == ("running", 2, 25)
        process.kill()


@pytest.mark.parametrize("damage", ["half a line", "half a character", "gone", "shrunk", "a folder", "a pipe"])
def test_a_transcript_that_is_not_whole(home: Path, claude: Claude, damage: str) -> None:
    """Nothing counts twice, nothing waits, and what comes later counts."""
    claude.says("m1", 20)
    agent_of(home)
    text = claude.says("m2", 5, raw=True)
    assert isinstance(text, str)
    if damage == "half a line":
        with claude.transcript.open("a") as file:
            file.write(text[:40])
    elif damage == "half a character":
        with claude.transcript.open("ab") as binary:
            binary.write('{"type":"ä'.encode()[:-1])
    else:
        claude.transcript.unlink()
        if damage == "shrunk":
            claude.transcript.write_text("\n")
        elif damage == "a folder":
            claude.transcript.mkdir()
        elif damage == "a pipe":
            os.mkfifo(claude.transcript)
    assert agent_of(home)["tokens"]["output-tokens"] == 20
    if damage == "half a line":
        with claude.transcript.open("a") as file:
            file.write(text[40:])
    else:
        if damage == "half a character":
            with claude.transcript.open("a") as file:
                file.write("\n")
        elif claude.transcript.is_dir():
            claude.transcript.rmdir()
        elif claude.transcript.exists():
            claude.transcript.unlink()
        claude.says("m1", 20)
        claude.says("m2", 5)
    assert agent_of(home)["tokens"]["output-tokens"] == 25


def test_a_folder_that_is_removed_under_a_session(home: Path, claude: Claude) -> None:
    """The next hook makes it anew, and the session is there again."""
    agent_of(home)
    subprocess.run(["rm", "-rf", str(home)], check=True)
    claude.hook("PostToolUse", tool="Bash", call="c1")
    assert agent_of(home)["tools"]["Bash"]["success"] == 1


def test_a_damaged_memory_is_set_aside_and_said(home: Path, claude: Claude) -> None:
    """The figures go on; the damaged file is kept."""
    claude.hook("PostToolUse", tool="Bash", call="c1").says("m1", 20)
    agent_of(home)
    (home / "sessions.db").write_bytes(b"no database" * 1000)
    for suffix in ("-wal", "-shm"):
        (home / f"sessions.db{suffix}").unlink(missing_ok=True)
    claude.hook("PostToolUse", tool="Bash", call="c2").says("m2", 5)
    agent = agent_of(home)
    assert agent["tools"]["Bash"]["success"] == 2, "what was told before is learned from the journal"
    assert (agent["messages"], agent["tokens"]["output-tokens"]) == ({"user": 1, "assistant": 2}, 25)
    assert list(home.glob("sessions.db.corrupt-*"))


def test_a_memory_whose_damage_shows_only_in_use_is_set_aside_too(home: Path, claude: Claude) -> None:
    """And what is wrong meanwhile is said by whoever shows figures."""
    claude.hook("PostToolUse", tool="Bash", call="c1").says("m1", 20)
    agent_of(home)
    with sqlite3.connect(home / "sessions.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'told'").fetchone()[0]
        size = database.execute("PRAGMA page_size").fetchone()[0]
    database.close()
    with (home / "sessions.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    claude.hook("PostToolUse", tool="Bash", call="c2").says("m2", 5)
    hub = Hub(str(home))
    hub.read()
    assert "malformed" in str(hub.follower and hub.follower.trouble)
    agent = agent_of(home)
    assert (agent["tools"]["Bash"]["success"], agent["tokens"]["output-tokens"]) == (2, 25)
    assert list(home.glob("sessions.db.corrupt-*"))


def test_a_session_that_is_over_is_not_told_again_when_it_is_resumed(home: Path, claude: Claude) -> None:
    """Each process had its conversation summarised once, and nothing counts the requests for that: there were two of them."""
    summary = '{"type":"system","subtype":"compact_boundary","uuid":"%s","sessionId":"5a5a","timestamp":"%s"}\n'
    claude.says("m1", 20)
    with claude.transcript.open("a") as file:
        file.write(summary % ("u1", "2026-11-21T02:03:00.000Z"))
    claude.hook("Stop").hook("SessionEnd", reason="other").die()
    later = Hub(str(home), clock=lambda: time.time() + 60)
    for _ in range(3):
        later.read()
    with run_python("import sys; sys.stdin.read()") as process:
        again = Claude(home, process).hook("SessionStart", how="resume").hook("UserPromptSubmit", turn="t2")
        for number in range(3):
            again.says(f"n{number}", 1)
            later.read()
        with claude.transcript.open("a") as file:
            file.write(summary % ("u2", "2026-11-21T02:04:00.000Z"))
        again.hook("Stop").hook("SessionEnd", reason="other")
        process.kill()
    latest = Hub(str(home), clock=lambda: time.time() + 120)
    for _ in range(3):
        state = latest.read()
    assert state["models"][UNLISTED]["requests"] == 2
    written = b"".join(path.read_bytes() for path in (home / "journal").glob("*.jsonl"))
    assert written.count(UNLISTED.encode()) <= 2


def test_a_memory_that_cannot_be_used_leaves_the_other_agents_alone(home: Path, claude: Claude) -> None:
    """What is wrong is told, and nothing raises."""
    (home / "sessions.db").mkdir()
    hub = Hub(str(home))
    assert hub.read()["agents"] == {}
    assert "sessions.db cannot be used" in str(hub.follower and hub.follower.trouble)


# -- whoever dies, and whenever ------------------------------------------------------------------------------------------


class Died(BaseException):
    """The process is gone; nothing catches it."""


def steps() -> list[tuple[Any, str]]:
    """Where a process may die: before and after each of these."""
    return [
        (stored.SessionsFile, "commit"),
        (stored.SessionsFile, "post"),
        (SessionJournal, "append"),
        (stored.SessionsFile, "sent"),
    ]


def dying(monkeypatch: pytest.MonkeyPatch, at: int, *, after: bool) -> Callable[[], int]:
    """Die at the step of that number; returns how many steps there were."""
    count = 0
    for owner, name in steps():
        real = getattr(owner, name)

        def step(*arguments: Any, real: Any = real, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == at and not after:
                raise Died
            answer = real(*arguments, **named)
            if count == at:
                raise Died
            return answer

        monkeypatch.setattr(owner, name, step)
    return lambda: count


@pytest.mark.parametrize("after", [False, True])
def test_wherever_a_follower_dies_nothing_is_lost_or_told_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Each place where it can die, one after the other; the next one goes on."""
    at, deaths = 0, 0
    with run_python("import sys; sys.stdin.read()") as process:
        while True:
            at += 1
            home = tmp_path / f"hub-{at}"
            claude = Claude(home, process, f"s{at}").hook("SessionStart").hook("UserPromptSubmit", turn="t1")
            claude.hook("PostToolUse", tool="Bash", call="c1").says("m1", 20)
            with monkeypatch.context() as broken:
                count = dying(broken, at, after=after)
                try:
                    Follower(str(home)).advance()
                except Died:
                    deaths += 1
                if count() < at:
                    break
            claude.hook("PostToolUse", tool="Bash", call="c2").says("m2", 5)
            agent = agent_of(home)
            assert agent["tools"]["Bash"]["success"] == 2, f"died at step {at}"
            assert (agent["tokens"]["output-tokens"], agent["messages"]) == (25, {"user": 1, "assistant": 2})
            assert agent["run-counts"]["started"] == 1
        process.kill()
    assert deaths >= 5


FOLLOWING = """
import sys
from pyjama_metrics.hub import Hub
hub = Hub(sys.argv[1])
print("ready", flush=True)
while True:
    hub.follow()
    hub.fold()
"""


def test_followers_that_are_killed_at_any_moment(home: Path, claude: Claude) -> None:
    """Two processes follow and fold all the time, and are killed again and again while hooks tell and the transcript grows."""
    chance = random.Random(5)
    followers = [start_following(home) for _ in range(2)]
    try:
        for number in range(150):
            claude.hook("PreToolUse", tool="Bash", call=f"c{number}").hook("PostToolUse", tool="Bash", call=f"c{number}")
            claude.says(f"m{number}", 7)
            if number % 10 == 5:
                victim = chance.randrange(2)
                followers[victim].send_signal(signal.SIGKILL)
                followers[victim].wait()
                followers[victim] = start_following(home)
    finally:
        for follower in followers:
            follower.kill()
            follower.wait()
    agent = agent_of(home)
    assert (agent["tools"]["Bash"]["success"], agent["tools"]["Bash"]["interrupted"]) == (150, 0)
    assert (agent["tokens"]["requests"], agent["tokens"]["output-tokens"]) == (150, 1050)


def start_following(home: Path) -> subprocess.Popen[str]:
    """A process that follows and folds until it is killed."""
    root = str(Path(events.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    program = [sys.executable, "-c", FOLLOWING, str(home)]
    follower = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True)
    assert follower.stdout is not None
    assert follower.stdout.readline() == "ready\n"
    follower.stdout.close()
    return follower
