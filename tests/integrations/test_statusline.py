"""The status line tells the hub, and shows the user's own line or one of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics import flush, record_llm_usage
from pyjama_metrics.integrations import statusline, statusline_launcher
from tests.waiting import run_command, wait_until

SESSION = "b4fc49c6-d5dd-4645-a226-58bdea31d00b"
NOW = 1_795_290_000.0
PAYLOAD: dict[str, Any] = {
    "session_id": SESSION,
    "session_name": "a private name",
    "prompt_id": "p-1",
    "transcript_path": "/home/dev/.claude/projects/-w/x.jsonl",
    "cwd": "/home/dev/w",
    "version": "2.1.329",
    "model": {"id": "claude-opus-4-8", "display_name": "Opus 4.8"},
    "cost": {"total_cost_usd": 1.234, "total_lines_added": 5},
    "context_window": {
        "context_window_size": 200_000,
        "used_percentage": 42,
        "current_usage": {"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 84_000},
    },
    "rate_limits": {
        "five_hour": {"used_percentage": 42.4, "resets_at": 1_795_291_200},
        "seven_day": {"used_percentage": 91, "resets_at": 1_795_600_000},
    },
}


@pytest.fixture
def launcher() -> str:
    """The file that Claude Code calls."""
    return statusline_launcher.ensure(sys.executable)


def shown(launcher: str, data: bytes, *words: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """What a status line command does with an input."""
    return subprocess.run(
        [launcher, *words], input=data, capture_output=True, timeout=30, check=False, env={**os.environ, "TZ": "UTC", **env}
    )


def lines(home: Path) -> list[dict[str, Any]]:
    """What sessions have told the hub."""
    told = [json.loads(line) for file in home.glob("journal/claude-code-*") for line in file.read_text().splitlines()]
    return [each for each in told if each["event"] == "hook"]


def test_a_line_of_our_own_and_what_is_kept(launcher: str, home: Path) -> None:
    """Figures are kept, a name of somebody's work is not."""
    answer = shown(launcher, json.dumps(PAYLOAD).encode(), NO_COLOR="1")
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert answer.stdout.decode().startswith("Opus 4.8 · context 42 % · $1.23 session · – today · 5h 42 % until ")
    (told,) = lines(home)
    assert abs(told.pop("time") / 1000 - time.time()) < 60
    assert told == {
        "event": "hook",
        "source": "claude-code",
        "hook": "StatusLine",
        "session": SESSION,
        "transcript": "/home/dev/.claude/projects/-w/x.jsonl",
        "cwd": "/home/dev/w",
        "turn": "p-1",
        "model": "claude-opus-4-8",
        "cost-usd": 1.234,
        "context-percent": 42.0,
        "context-tokens": 84_015,
        "context-window": 200_000,
        "limits": {"five_hour": [42.4, 1_795_291_200_000], "seven_day": [91.0, 1_795_600_000_000]},
    }
    assert not [file for file in home.rglob("*") if file.is_file() and b"private name" in file.read_bytes()]


def test_the_line_is_coloured_by_what_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Always, as nobody's terminal is asked; the time of a limit has its day where that is not today."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    assert statusline.line(PAYLOAD, NOW, "$5.60+") == (
        "\x1b[36mOpus 4.8\x1b[0m · context \x1b[32m42 %\x1b[0m · $1.23 \x1b[90msession\x1b[0m · $5.60+ \x1b[90mtoday\x1b[0m · "
        "5h \x1b[32m42 %\x1b[0m \x1b[90muntil 20:00\x1b[0m · 7d \x1b[31m91 %\x1b[0m \x1b[90muntil Wed 09:46\x1b[0m"
    )
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"model": [], "cost": {"total_cost_usd": "1"}, "context_window": 7, "rate_limits": {"five_hour": []}}',
        b'{"cost": {"total_cost_usd": -1}, "context_window": {"used_percentage": NaN}}',
        b'{"cost": {"total_cost_usd": 1e999}, "model": {"id": 7, "display_name": " "}, "session_id": 5}',
        b'{"cost": {"total_cost_usd": true}, "rate_limits": {"": {"used_percentage": 1}}}',
        json.dumps({"x": "y" * (1 << 20)}).encode(),
    ],
)
def test_what_is_not_known_is_a_dash(launcher: str, home: Path, data: bytes) -> None:
    """Never 0, and never an error."""
    answer = shown(launcher, data, NO_COLOR="1")
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert answer.stdout.decode() == "– · context – · – session · – today\n"
    assert lines(home) == []


def test_names_of_models_cannot_take_the_terminal() -> None:
    """Nor fill it."""
    line = statusline.line({"model": {"display_name": "\x1b[31m\n" + "x" * 1000}}, NOW, None)
    assert line.startswith("\x1b[36m?[31m?" + "x" * 33 + "…\x1b[0m · ")


def test_today_is_what_the_hub_says(launcher: str, tmp_path: Path) -> None:
    """By its prices, or the user's own; with a sign where some calls have no price."""
    for number in range(4):
        record_llm_usage("a", "claude-opus-4-8", 100_000, 10_000, request_id=f"r{number}")
    assert flush(10)
    assert b"$3.00 today" in shown(launcher, b"{}", NO_COLOR="1").stdout  # 4 × (0.5 + 0.25)
    record_llm_usage("a", "nobody-knows", 10, 10)
    assert flush(10)
    assert b"$3.00+ today" in shown(launcher, b"{}", NO_COLOR="1").stdout
    prices = tmp_path / "config.toml"
    prices.write_text('[prices."nobody-knows"]\ninput = 100000\noutput = 0\n')
    assert b"$4.00 today" in shown(launcher, b"{}", NO_COLOR="1", PYJAMA_CONFIG=str(prices)).stdout


def test_it_loads_nothing_that_takes_long(launcher: str) -> None:
    """Claude Code waits for it, several times a minute."""
    record_llm_usage("a", "claude-opus-4-8", 100_000, 10_000)
    assert flush(10)
    command = [sys.executable, "-I", "-S", "-X", "importtime", statusline.__file__]
    answer = subprocess.run(command, input=json.dumps(PAYLOAD).encode(), capture_output=True, check=True)
    loaded = {line.rpartition(b"|")[2].strip().decode() for line in answer.stderr.splitlines()}
    assert {"pyjama_metrics.slice_costs", "json"} <= loaded
    heavy = {"orjson", "platformdirs", "argparse", "subprocess", "tomllib", "pathlib", "shutil", "asyncio", "sqlite3", "socket"}
    assert loaded & (heavy | {"pyjama_metrics.hub", "pyjama_metrics.fold", "pyjama_metrics.views"}) == set()


def test_a_figures_file_of_nonsense_is_no_figure(launcher: str, home: Path) -> None:
    """Nor is a folder in its place."""
    home.mkdir()
    for data in ("", "[]", '{"roll-ups": {"quarters": 7}}', "{"):
        (home / "metrics.json").write_text(data)
        assert "– today" in shown(launcher, b"{}", NO_COLOR="1").stdout.decode()
    (home / "metrics.json").unlink()
    (home / "metrics.json").mkdir()
    assert "– today" in shown(launcher, b"{}", NO_COLOR="1").stdout.decode()


def test_the_users_own_command_gets_the_same_and_is_shown_byte_for_byte(launcher: str, home: Path) -> None:
    """With its exit code; the hub is told all the same."""
    data = json.dumps(PAYLOAD).encode() + b"\xff\n"
    answer = shown(launcher, data, "--then", "cat; printf '\\000\\377 no newline'; exit 3")
    assert (answer.returncode, answer.stdout) == (3, data + b"\0\xff no newline")
    shown(launcher, json.dumps(PAYLOAD).encode(), "--then", "true")
    assert len(lines(home)) == 1
    assert shown(launcher, b"x" * 3_000_000, "--then", "exit 0").returncode == 0
    assert shown(launcher, b"", "--then", "kill -9 $$").returncode == 128 + 9
    assert shown(launcher, b"", "--then", "no-such-command-here").returncode == 127


def test_a_hub_that_cannot_be_used_is_nobodys_trouble(launcher: str, home: Path) -> None:
    """Nothing is said about it."""
    home.write_text("a file")
    answer = shown(launcher, json.dumps(PAYLOAD).encode(), NO_COLOR="1")
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert answer.stdout.decode().startswith("Opus 4.8 · ")
    assert shown(launcher, json.dumps(PAYLOAD).encode(), "--then", "echo theirs").stdout == b"theirs\n"


def test_the_users_own_command_goes_on_without_the_package(tmp_path: Path) -> None:
    """Its environment was removed: the launcher is a script of the shell."""
    launcher = statusline_launcher.ensure(str(tmp_path / "gone" / "bin" / "python"))
    assert shown(launcher, b"theirs", "--config", "x", "--then", "cat; exit 4").stdout == b"theirs"
    assert shown(launcher, b"theirs", "--then", "cat; exit 4").returncode == 4
    answer = shown(launcher, b"theirs")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"", b"")


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """What it said until then is shown."""
    note = tmp_path / "pid"
    setting = "from pyjama_metrics.integrations import statusline; statusline.LONGEST_WAIT = 0.5"
    code = f"import sys; {setting}; sys.exit(statusline.main(sys.argv[1:]))"
    command = f"echo first; (sleep 300 & echo $! > {note}; wait)"
    with run_command(sys.executable, "-c", code, "--then", command) as child:
        assert child.communicate("{}", timeout=30) == ("first\n", "")
        assert child.returncode == 124
    wait_until(lambda: not is_running(int(note.read_text())), what="the end of its child")


def test_when_claude_code_ends_us_the_users_command_ends_too(tmp_path: Path) -> None:
    """It does that whenever there is news."""
    note = tmp_path / "pid"
    with run_command(statusline_launcher.ensure(), "--then", f"echo $$ > {note}.new; mv {note}.new {note}; sleep 300") as child:
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
        wait_until(note.exists, what="the start of the command")
        child.terminate()
        assert child.wait(30) == 128 + 15
    wait_until(lambda: not is_running(int(note.read_text())), what="its end")


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
