"""``pyjama-metrics claude import`` and ``codex import``, as users run them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics.sessions.reading_apart import processors
from tests.cli.commands import CHECKOUT, environment, figures, in_terminal, pyjama, started
from tests.sessions.test_importing import CAPTURES, answer, write
from tests.waiting import wait_until

DAY = 86_400


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Claude Code without a transcript, and none of Codex."""
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    return tmp_path / "claude"


def put(config: Path, *scenarios: str) -> None:
    """Put the transcripts of captured sessions into a folder of Claude Code."""
    for scenario in scenarios:
        shutil.copytree(CAPTURES / f"claude-code-2.1.329/{scenario}" / "transcripts", config / "projects", dirs_exist_ok=True)


def told(*words: str, code: int = 0) -> Any:
    """What ``claude import --json`` says."""
    answered = pyjama("claude", "import", *words, "--json")
    assert (answered.returncode, answered.stderr) == (code, "")
    return json.loads(answered.stdout)


def test_the_past_is_counted_and_shown(config: Path) -> None:
    """What was found, what to do next; and the figures have it."""
    put(config, "basic", "denied")
    answered = pyjama("claude", "import")
    assert (answered.returncode, answered.stderr) == (0, "")
    assert answered.stdout == (
        "files       3 with something new, 40.8 KiB\n"
        "sessions    2\n"
        "counted     2 prompts, 14 model calls, 11 tool executions\n"
        "\n"
        "What each day cost: pyjama-metrics report daily. By project: pyjama-metrics report projects.\n"
    )
    counted = figures()["metrics"]
    assert (counted["global"]["count"], counted["tokens"]["requests"]) == (10, 14)
    assert pyjama("doctor", "--deep").returncode == 0
    again = pyjama("claude", "import").stdout
    assert again.startswith("files       0 with something new, 0 B; 3 with nothing new\n\nWhat each day cost")


def test_for_programs(config: Path) -> None:
    """All of it as JSON."""
    put(config, "text")
    found = told()
    assert {name: found[name] for name in found if name not in ("oldest", "bytes")} == {
        "folders": [str(config / "projects")],
        "files": {"read": 1, "unchanged": 0, "followed": 0, "other-projects": 0},
        "sessions": 1,
        "prompts": 1,
        "requests": 1,
        "executions": 0,
        "unreadable": [],
        "stopped": False,
    }


def test_nothing_there_is_told_with_where_it_was_looked_for(config: Path, home: Path) -> None:
    """Neither folder nor transcript; and no hub is made for that."""
    other = config.parent / "other"
    answered = pyjama("claude", "import", env={"CLAUDE_CONFIG_DIR": f"{config}, {other}"})
    assert answered.stdout == (
        f"There are no transcripts of Claude Code. Looked into {config}/projects, {other}/projects.\n"
        "If they are elsewhere, name the folder in CLAUDE_CONFIG_DIR.\n"
    )
    assert pyjama("codex", "import").stdout.startswith("There are no rollouts of Codex. Looked into ")
    assert told()["folders"] == [f"{config}/projects"]
    assert not home.exists()


def test_several_folders_and_codex(config: Path) -> None:
    """Each session of each folder, a folder that is named twice once."""
    put(config, "text")
    other = config.parent / "other"
    (other / "projects").mkdir(parents=True)
    put(other, "sigkill")
    answered = pyjama("claude", "import", "--json", env={"CLAUDE_CONFIG_DIR": f"{config},{other},{config}/projects"})
    assert json.loads(answered.stdout)["sessions"] == 2
    shutil.copytree(CAPTURES / "codex-0.169.0" / "text" / "sessions", config.parent / "codex" / "sessions")
    assert "counted     1 prompt, 1 model call, 0 tool executions\n" in pyjama("codex", "import").stdout
    assert figures()["metrics"]["tokens"]["requests"] == 3


def test_since_and_project(config: Path) -> None:
    """Only sessions that went on since, only those of a project; a name that is none's is said."""
    now = time.time()
    write(config, "old.jsonl", answer("m1", 5, session="old"), at=now - 30 * DAY)
    write(config, "new.jsonl", answer("m2", 7, session="new"), at=now)
    write(config, "api.jsonl", answer("m3", 9, session="api", cwd="/home/dev/api"), at=now)
    assert "No session is of the project shop." in pyjama("claude", "import", "--project", "shop").stdout
    assert told("--since", "7d", "--project", "web-shop")["files"] == {
        "read": 1,
        "unchanged": 0,
        "followed": 0,
        "other-projects": 1,
    }
    assert told("--since", "7d")["files"] == {"read": 1, "unchanged": 1, "followed": 0, "other-projects": 0}
    assert told()["requests"] == 1
    big = answer("m4", 5, session="big", cwd="/home/dev/api") + (answer("m5", 5, session="big", note="x" * 900_000) + "\n") * 5
    write(config, "big.jsonl", big, at=now)
    assert told("--project", "web-shop")["files"]["other-projects"] == 1
    assert "that were written to since 2099-01-01" in pyjama("claude", "import", "--since", "2099-01-01").stdout
    refused = pyjama("claude", "import", "--since", "soon")
    assert (refused.returncode, "'soon' is not a time" in refused.stderr) == (2, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_named(config: Path) -> None:
    """A file and a folder, each with the reason."""
    path = write(config, "s1.jsonl", answer("m1", 5))
    path.chmod(0)
    (config / "projects" / "closed").mkdir(mode=0)
    out = pyjama("claude", "import").stdout
    assert f"unreadable  {config}/projects/closed: Permission denied\n" in out
    assert f"unreadable  {path}: Permission denied\n" in out


def test_names_that_mean_something_to_a_terminal(config: Path) -> None:
    """Escapes do not reach it."""
    name = "s\x1b[31m1"
    write(config, "s1.jsonl", answer("m1", 5, cwd=f"/home/dev/{name}"))
    code, shown = in_terminal(sys.executable, "-m", "pyjama_metrics", "claude", "import", "--project", "\x1b[31mred")
    assert (code, "\x1b[31mred" in shown, "\\x1b[31mred" in shown) == (0, False, True)


def test_a_stopped_import_keeps_what_it_read_and_says_so(config: Path, tmp_path: Path) -> None:
    """Ctrl-C: exit code 130, a sentence, and the next one goes on; no traceback of any process."""
    for number in range(40):
        text = "x" * 100_000
        lines = [answer(f"m{number}-{each}", 5, session=f"s{number}", note=text) for each in range(10)]
        write(config, f"s{number}.jsonl", *lines, at=time.time())
    # Whoever follows holds the lock, so that it is stopped for certain before it is done.
    hub = tmp_path / "waiting"
    hub.mkdir()
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pyjama_metrics.storage import names; from pyjama_metrics.storage.lock import FoldLock\n"
        "with FoldLock(names.sessions_lock_path(sys.argv[1])).held(None): print('held', flush=True); sys.stdin.read()"
    )
    with started(sys.executable, "-c", program, str(hub), CHECKOUT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        command = [sys.executable, "-m", "pyjama_metrics", "claude", "import"]
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment({"PYJAMA_HOME": str(hub)})
        )
        try:
            wait_until(lambda: "sessions.lock" in open_files(child.pid), what="it waits for the lock")
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=30)
        finally:
            child.kill()
    assert (child.returncode, err) == (130, "")
    assert out.endswith("\nStopped. What was read by then is kept; 'pyjama-metrics claude import' goes on from there.\n")
    done = pyjama("claude", "import", "--json", env={"PYJAMA_HOME": str(hub)})
    assert json.loads(done.stdout)["requests"] == 400


@pytest.mark.skipif(processors() < 2, reason="with one processor nobody else reads")
def test_ctrl_c_reaches_those_who_read_as_well(config: Path, home: Path) -> None:
    """A terminal tells all of its processes; one of them answers."""
    folder = config / "projects" / "holes"
    folder.mkdir()
    for number in range(6):
        with open(folder / f"hole{number}.jsonl", "wb") as file:
            file.truncate(4 * 1024**3)
    command = [sys.executable, "-m", "pyjama_metrics", "claude", "import"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    child = subprocess.Popen(command, env=environment(), **pipes)
    try:
        readers = Path(f"/proc/{child.pid}/task/{child.pid}/children")
        wait_until(lambda: len(readers.read_text().split()) > 1, what="others read for it")
        started_by_it = [int(pid) for pid in readers.read_text().split()]
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=30)
    finally:
        child.kill()
    assert (child.returncode, err, out.count("Stopped.")) == (130, "", 1)
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in started_by_it), what="those are gone")


def open_files(pid: int) -> str:
    """The names of the files that a process has open."""
    names = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            names.append(os.readlink(entry.path))
        except OSError:
            continue  # closed since it was listed
    return " ".join(names)


def test_a_hub_that_cannot_be_written_is_a_sentence(config: Path) -> None:
    """Nothing is half done."""
    put(config, "text")
    answered = pyjama("claude", "import", env={"PYJAMA_HOME": "/proc/nowhere"})
    assert (answered.returncode, answered.stdout) == (1, "")
    assert answered.stderr.startswith("pyjama-metrics: ")
    assert "Traceback" not in answered.stderr


def test_where_nothing_is_new_little_is_loaded(config: Path) -> None:
    """No page, no reports, no network; processes are forked without a library for them."""
    put(config, "text")
    told()
    program = (
        "import sys; from pyjama_metrics.cli.main import main; code = main(['claude', 'import', '--json'])\n"
        "heavy = {'multiprocessing', 'concurrent', 'asyncio', 'http', 'flask', 'pyjama_metrics.reports'}\n"
        "print(sorted(heavy & set(sys.modules)),"
        " file=sys.stderr)"
    )
    asked = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment({"HOME": str(config)}), check=True
    )
    assert asked.stderr == "[]\n"
