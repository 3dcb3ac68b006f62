"""The real hook command, as a process, with what the real programs told and with everything else."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics.hub import Hub
from pyjama_metrics.integrations import launcher
from pyjama_metrics.storage import losses, owners
from tests.integrations.programs import (
    CAPTURES,
    Program,
    folders,
    headers,
    payload,
    program,
    raw_lines,
    somebody_folds,
    state_of,
)
from tests.system.test_faults import small_disk
from tests.waiting import changed_environment, run_command, wait_until

SCENARIOS = sorted(str(path.parent.relative_to(CAPTURES)) for path in CAPTURES.glob("*/*/hooks.jsonl"))
SAMPLES = CAPTURES / "claude-code-2.1.329" / "hook-events"
KEY = "sk-ant-swordfish-0123456789"


def payloads(scenario: str) -> list[dict[str, Any]]:
    """What a scenario's hooks were told, in order."""
    return [json.loads(line) for line in (CAPTURES / scenario / "hooks.jsonl").read_bytes().splitlines()]


def word_of(scenario: str) -> str:
    """How the program is called in the hook's command."""
    return "codex" if scenario.startswith("codex") else "claude"


@pytest.fixture
def claude(home: Path) -> Iterator[Program]:
    """A running program with a key in its environment, in a hub that somebody folds."""
    with somebody_folds(home), program("claude", ANTHROPIC_API_KEY=KEY) as running:
        yield running


# -- what the real programs told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_recorded_session_becomes_one_line_for_each_hook_and_changes_no_figure(home: Path, scenario: str) -> None:
    """In the journal of its session, in order, with the program as its owner; and the program hears nothing."""
    told = payloads(scenario)
    source = {"claude": "claude-code", "codex": "codex"}[word_of(scenario)]
    with somebody_folds(home), program(word_of(scenario), ANTHROPIC_API_KEY=KEY) as running:
        assert [one for one in told if not running.hook(one, word_of(scenario)).is_quiet] == []
        start = owners.process_start(running.pid)
    for session in {one["session_id"] for one in told}:
        expected = [one["hook_event_name"] for one in told if one["session_id"] == session]
        assert [line["hook"] for line in raw_lines(home) if line["session"] == session] == expected
    assert {line["source"] for line in raw_lines(home)} == {source}
    assert {(head["writer"], head["kind"], head["pid"], head["process-start"]) for head in headers(home)} == {
        (f"{source}-{one['session_id']}-{running.pid}-{start:x}", "session", running.pid, start) for one in told
    }
    state = state_of(home)
    assert (state["agents"], state["recent-logs"], set(state["problems"].values())) == ({}, [], {0})
    assert_private(home, told)


def test_the_basic_scenario_line_by_line(claude: Program, home: Path) -> None:
    """Literally, but for the times and what all lines share."""
    for one in payloads("claude-code-2.1.329/basic"):
        claude.hook(one)
    shared = {"event", "time", "source", "session", "transcript", "cwd", "turn", "bytes", "duration-ms", "call"}
    lines = [{name: value for name, value in line.items() if name not in shared} for line in raw_lines(home)]
    agent = {"agent-id": "a87879cdbb670b0be", "agent-type": "general-purpose"}
    none_left = {"background": {"agents": 0, "commands": 0}}
    assert [line for line in lines if line["hook"] not in ("MessageDisplay", "PostToolBatch", "FileChanged")] == [
        {"hook": "SessionStart", "how": "startup", "origin": {}},
        {"hook": "UserPromptSubmit"},
        {"hook": "PreToolUse", "tool": "Bash"},
        {"hook": "PostToolUse", "tool": "Bash"},
        {"hook": "PreToolUse", "tool": "Write"},
        {"hook": "PostToolUse", "tool": "Write"},
        {"hook": "PreToolUse", "tool": "Read"},
        {"hook": "PostToolUse", "tool": "Read"},
        {"hook": "PreToolUse", "tool": "Edit"},
        {"hook": "PostToolUse", "tool": "Edit"},
        {"hook": "PreToolUse", "tool": "Read"},
        {"hook": "PostToolUseFailure", "tool": "Read", "error": "not found"},
        {"hook": "PreToolUse", "tool": "Bash"},
        {"hook": "PostToolUseFailure", "tool": "Bash", "error": "exit code 3"},
        {"hook": "PreToolUse", "tool": "Agent"},
        {"hook": "SubagentStart", **agent},
        {"hook": "PreToolUse", "tool": "Bash", **agent},
        {"hook": "PostToolUse", "tool": "Bash", **agent},
        {"hook": "PreToolUse", "tool": "Read", **agent},
        {"hook": "PostToolUseFailure", "tool": "Read", "error": "not found", **agent},
        {
            "hook": "SubagentStop",
            **agent,
            **none_left,
            "agent-transcript": "/home/dev/.claude/projects/-home-dev-work/1063cfde-e221-4527-b8a2-e22d3cfcb50a/subagents/"
            "agent-a87879cdbb670b0be.jsonl",
        },
        {"hook": "PostToolUse", "tool": "Agent"},
        {"hook": "Stop", **none_left},
        {"hook": "SessionEnd", "reason": "other"},
    ]
    assert [(line["call"], line["bytes"], line["duration-ms"]) for line in raw_lines(home) if line["hook"] == "PostToolUse"][
        :1
    ] == [("toolu_fake4c545151f989396c164b", 97, 20)]


@pytest.mark.parametrize("scenario", ["basic", "text"])
def test_codex_notifies_by_an_argument(home: Path, scenario: str) -> None:
    """And its standard input is not waited for."""
    (file,) = (CAPTURES / "codex-0.169.0" / scenario / "notify").iterdir()
    told = json.loads(file.read_bytes())["payload"]
    with somebody_folds(home), program("codex") as running:
        assert running.run(launcher.ensure(), "codex", json.dumps(told)).is_quiet
    (line,) = raw_lines(home)
    assert (line["hook"], line["session"], line["turn"], line["cwd"]) == (
        "notify",
        told["thread-id"],
        told["turn-id"],
        "/home/dev/work",
    )
    assert_private(home, [told])


@pytest.mark.parametrize("sample", sorted(path.stem for path in SAMPLES.glob("*.json")))
def test_each_kind_of_event_of_the_real_program_is_kept_without_its_content(claude: Program, home: Path, sample: str) -> None:
    """Also of those that happen rarely."""
    told = [one["payload"] for one in json.loads((SAMPLES / f"{sample}.json").read_bytes())]
    for one in told:
        assert claude.hook(one).is_quiet
    assert [line["hook"] for line in raw_lines(home)] == [sample] * len(told)
    assert_private(home, told)


# -- privacy -------------------------------------------------------------------------------------------------------------

KEPT = {"session_id", "transcript_path", "cwd", "new_cwd", "old_cwd", "prompt_id", "turn_id", "hook_event_name", "tool_name"}
KEPT |= {"tool_use_id", "agent_id", "agent_type", "source", "reason", "trigger", "model", "notification_type"}
KEPT |= {"agent_transcript_path", "mcp_server_name", "status", "thread-id", "turn-id", "type", "background_tasks"}

OURS = {"completed", "session", "unknown"}
"""Words of our own files, and of the reasons that are kept."""


def texts(value: object) -> Iterator[str]:
    """All texts in a payload."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def private_texts(told: list[dict[str, Any]]) -> set[str]:
    """What of some payloads must not be found: every text but names, ids and places, line by line."""
    kept = {text for one in told for name in KEPT & one.keys() for text in texts(one[name])}
    kept |= {call["tool_use_id"] for one in told for call in one.get("tool_calls", [])} | OURS
    private = {part for one in told for name in one.keys() - KEPT for text in texts(one[name]) for part in text.splitlines()}
    return {text for text in private if len(text) > 5 and not any(text in known for known in kept)}


def assert_private(home: Path, told: list[dict[str, Any]]) -> None:
    """No file of the hub, nor any other that we wrote, has a private text or a key in it."""
    places = [home, Path(os.environ["HOME"]), Path(os.environ["XDG_RUNTIME_DIR"])]
    written = b"\n".join(path.read_bytes() for place in places for path in place.rglob("*") if path.is_file())
    assert [text for text in private_texts(told) if text.encode() in written or json.dumps(text)[1:-1].encode() in written] == []
    assert b"swordfish" not in written


def test_the_search_for_private_texts_would_find_them(home: Path) -> None:
    """Where they are asked for they are there, redacted; the same search finds them."""
    told = payloads("claude-code-2.1.329/basic")
    assert len(private_texts(told)) > 10
    with somebody_folds(home), program(PYJAMA_CAPTURE="prompt,input,output,error") as running:
        assert running.hook(payload("UserPromptSubmit", prompt=f"use {KEY}")).is_quiet
        for one in told:
            running.hook(one)
    assert raw_lines(home)[0]["prompt"] == "use [redacted]"
    with pytest.raises(AssertionError, match="Left contains"):
        assert_private(home, told)


def test_all_that_is_written_is_the_users_alone(claude: Program, home: Path) -> None:
    """Folders 0700, files 0600."""
    claude.hook(payload())
    modes = {path.stat().st_mode & 0o777 for path in home.rglob("*")} | {home.stat().st_mode & 0o777}
    assert modes == {0o700, 0o600}


# -- whose session -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["exec {}", "{}; true", "env A=b {}; true", "sh -c '{}; true'; true", "timeout 9 {}; true"])
def test_the_program_is_found_behind_shells(claude: Program, home: Path, script: str) -> None:
    """However the command is written in its settings."""
    command = script.format(f"{launcher.ensure()} claude")
    assert claude.run("/bin/sh", "-c", command, data=json.dumps(payload()).encode()).is_quiet
    assert [head["pid"] for head in headers(home)] == [claude.pid]


def test_a_hook_that_outlives_its_program_writes_into_the_sessions_journal(home: Path) -> None:
    """Nobody among its ancestors tells of the session any more; a journal of its own would be a run that nobody ends."""
    late = """
        import os, subprocess, sys
        parent = os.getpid()
        if os.fork() == 0:
            sys.stdin.read()  # until the program and its pipe are gone
            while os.getppid() == parent:
                pass
            subprocess.run([sys.argv[1], "claude"], input=sys.argv[2].encode())
            os._exit(0)
        open("/proc/self/comm", "w").write("claude")
        subprocess.run([sys.argv[1], "claude"], input=sys.argv[2].encode())
        os._exit(0)
    """
    with somebody_folds(home):
        wanted = json.dumps(payload())
        with run_command(sys.executable, "-c", textwrap.dedent(late), launcher.ensure(), wanted) as child:
            child.wait(10)
            assert child.stdin is not None
            child.stdin.close()
            wait_until(lambda: len(raw_lines(home)) == 2, what="the late hook")
        (head,) = headers(home)
        assert head["pid"] == child.pid


def test_the_origin_is_in_the_first_line_of_a_segment_and_in_each_start(home: Path) -> None:
    """By the environment that the program gives its hooks; nothing else of it."""
    environment = {
        "CLAUDE_CODE_ENTRYPOINT": "cli",
        "AI_AGENT": "claude-code_2-1-329_harness",
        "TMUX": "/tmp/tmux-0/default,1,0",
        "TMUX_PANE": "%3",
        "PYJAMA_RUN": "w-1-a.1",
        "PYJAMA_AGENT": "nightly",
    }
    with somebody_folds(home), program(**environment) as running:
        for hook in ("PreToolUse", "PostToolUse", "SessionStart"):
            running.hook(payload(hook))
    origin = {"tmux": "/tmp/tmux-0/default,1,0", "tmux-pane": "%3", "entrypoint": "cli", "version": "2.1.329"}
    origin |= {"parent": "w-1-a.1", "parent-agent": "nightly"}
    assert [line.get("origin") for line in raw_lines(home)] == [origin, None, origin]


@pytest.mark.parametrize("session", ["../../x", "a" * 65, "ü", "a\0b", "\ud800", "."])
def test_a_session_with_an_odd_name_has_a_journal_of_a_plain_one(claude: Program, home: Path, session: str) -> None:
    """No name of a file is made of what a program says."""
    claude.hook(payload(session=session))
    (head,) = headers(home)
    kind, named, pid, _ = head["writer"].rsplit("-", 3)
    assert (kind, pid, named[0], len(named)) == ("claude-code", str(claude.pid), "x", 17)
    assert len(raw_lines(home)) == 1


# -- whatever stdin holds ------------------------------------------------------------------------------------------------

START = b'{"session_id": "s", "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": '
GARBAGE = {
    "nothing": b"",
    "blanks": b" \n",
    "null": b"null",
    "a list": b"[1, 2]",
    "no JSON": b"<html>",
    "half an object": START + b'{"command": "l',
    "half a character": START + b'"\xc3',
    "binary": bytes(range(256)) * 100,
    "zeros": bytes(100_000),
    "UTF-16": json.dumps(payload()).encode("utf-16"),
    "brackets": b"[" * 1_000_000,
    "no session": b'{"hook_event_name": "Stop"}',
    "a session that is a number": b'{"session_id": 7, "hook_event_name": "Stop"}',
}
ODD = {
    "1 MB": START + b'"' + b"x" * 1_000_000 + b'"}',
    "deep": START + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep objects": START + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "no numbers": START + b"[NaN, Infinity, -Infinity, 1e999, -1e999, " + b"9" * 5000 + b"]}",
    "a lone surrogate": START + b'"\\ud800 \\udfff"}',
    "invalid UTF-8": START + b'"\xff\xfe"}',
    "a mark in front": b"\xef\xbb\xbf" + START + b"1}",
    "control characters": START + b'"a\tb\x01"}',
    "something behind": START + b"1}\n\n{}",
    "a member twice": START + b'1, "tool_name": "Bash"}',
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_dropped_without_a_word(claude: Program, home: Path, what: str) -> None:
    """And no file is made for it."""
    assert claude.hook(GARBAGE[what]).is_quiet
    assert not (home / "journal").exists()


@pytest.mark.parametrize("what", ODD)
def test_odd_payloads_lose_no_event(claude: Program, home: Path, what: str) -> None:
    """What can be known of them is kept."""
    assert claude.hook(ODD[what]).is_quiet
    assert [(line["hook"], line["tool"]) for line in raw_lines(home)] == [("PreToolUse", "Bash")]
    assert set(state_of(home)["problems"].values()) == {0}


@pytest.mark.parametrize("words", [[], ["gemini"], ["--help"], [""], ["codex", "no JSON"], ["claude", "{}", "{}"]])
def test_wrong_words_are_no_veto(claude: Program, words: list[str]) -> None:
    """A program takes the exit code 2 for one."""
    assert claude.run(launcher.ensure(), *words, data=b"{}").is_quiet


@pytest.mark.parametrize("closed", [(0,), (0, 1, 2), (1, 2)])
def test_closed_streams_are_no_trouble(home: Path, closed: tuple[int, ...]) -> None:
    """No file of ours gets the number of one."""
    command = f"exec {launcher.ensure()} claude " + " ".join(f"{number}>&-" for number in closed)
    data = json.dumps(payload())
    done = subprocess.run(["sh", "-c", command], input=data, capture_output=True, text=True, check=False, timeout=10)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    if 0 not in closed:
        assert len(raw_lines(home)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE])
def test_a_signal_while_it_reads_leaves_no_trace(home: Path, number: int) -> None:
    """Programs end their hooks as they like."""
    with run_command(launcher.ensure(), "claude") as child:
        wait_until_reading(child.pid)
        child.send_signal(number)
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
        assert (child.wait(10), child.communicate()) == (0, ("", ""))


def test_a_hook_whose_input_never_ends_is_gone_after_five_seconds(home: Path) -> None:
    """Nobody would ever end it."""
    with run_command(launcher.ensure(), "claude") as child:
        begin = time.monotonic()
        assert child.wait(10) == 0
        assert 4 < time.monotonic() - begin < 8


def test_a_terminal_is_not_waited_for(home: Path) -> None:
    """A person who tries the command would not know what to type."""
    leader, follower = os.openpty()
    try:
        done = subprocess.run([launcher.ensure(), "claude"], stdin=follower, capture_output=True, check=False, timeout=4)
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")
    finally:
        os.close(leader)
        os.close(follower)


def wait_until_reading(pid: int) -> None:
    """Until the hook has taken its precautions."""

    def handles_alarm() -> bool:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGALRM - 1) & 1)

    wait_until(handles_alarm, what="the hook to read")


# -- whatever the disk does ----------------------------------------------------------------------------------------------


def quiet_hook(home: Path, **options: Any) -> bool:
    """Whether a hook for the hub in ``home`` ends as it should."""
    environment = changed_environment({"PYJAMA_HOME": str(home)})
    done = subprocess.run(
        [launcher.ensure(), "claude"],
        input=json.dumps(payload()).encode(),
        env=environment,
        capture_output=True,
        check=False,
        timeout=10,
        **options,
    )
    return (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_hub_that_is_not_there_is_made(home: Path) -> None:
    """With the folders above it."""
    with somebody_folds(home):
        assert quiet_hook(home)
    assert len(raw_lines(home)) == 1


def in_the_way(tmp_path: Path, what: str) -> Path:
    """A hub's folder that cannot be one."""
    home = tmp_path / "odd"
    if what == "a file":
        home.write_text("mine")
    elif what == "a dangling link":
        home.symlink_to(tmp_path / "nowhere" / "at all")
    elif what == "a pipe for a journal":
        home.mkdir(0o700)
        os.mkfifo(home / "journal")
    elif what == "a file for the journals":
        home.mkdir(0o700)
        (home / "journal").write_text("mine")
    else:
        home = Path("/proc/1/nothing/hub")
    return home


@pytest.mark.parametrize(
    "what", ["a file", "a dangling link", "a pipe for a journal", "a file for the journals", "a place that cannot be"]
)
def test_what_is_in_the_way_is_no_trouble_and_the_loss_is_noted(tmp_path: Path, what: str) -> None:
    """The program hears nothing; 'doctor' does."""
    home = in_the_way(tmp_path, what)
    assert quiet_hook(home)
    assert quiet_hook(home)
    assert sum(losses.notes(str(home)).values()) == 2


def fill(ballast: Path) -> None:
    """Take all the room that a disk has left."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))


def test_a_full_disk_is_no_trouble_and_each_event_is_kept_or_counted_as_lost(tmp_path: Path) -> None:
    """And once there is room again, what comes is kept whole."""
    with small_disk(tmp_path / "disk", 64) as disk:
        home, ballast = disk / "hub", disk / "ballast"
        with somebody_folds(home):
            assert quiet_hook(home)
            fill(ballast)
            assert all(quiet_hook(home) for _ in range(40))
            ballast.unlink()
            assert quiet_hook(home)
        lost = sum(losses.notes(str(home)).values())
        written = [line for path in (home / "journal").glob("*.jsonl") for line in path.read_bytes().splitlines()]
        kept = [json.loads(line) for line in written if whole(line)]
        assert lost > 0
        assert sum(one["event"] == "hook" for one in kept) + lost == 42


def test_a_read_only_disk_is_no_trouble(tmp_path: Path) -> None:
    """Nobody is started to fold there either."""
    with small_disk(tmp_path / "disk", 64) as disk:
        home = disk / "hub"
        with somebody_folds(home):
            assert quiet_hook(home)
        for mode, number in (("ro", 3), ("rw", 0)):
            subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)
            assert all(quiet_hook(home) for _ in range(number))
        assert (len(raw_lines(home)), sum(losses.notes(str(home)).values()), folders(home)) == (1, 3, [])


def whole(line: bytes) -> bool:
    """Whether a line of a journal is one; a full disk may have taken half of it."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_a_limit_on_the_size_of_files_is_no_trouble(home: Path) -> None:
    """The signal that comes with it neither."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    launcher.ensure()
    assert quiet_hook(home, preexec_fn=limit)
    assert quiet_hook(home)
    assert len(raw_lines(home)) == 1


def test_a_journal_that_somebody_locks_is_waited_for_no_longer_than_a_fifth_of_a_second(claude: Program, home: Path) -> None:
    """Whoever folds may be stopped just then; the program must not be."""
    claude.hook(payload())
    (path,) = (home / "journal").iterdir()
    descriptor = os.open(path, os.O_RDWR)
    try:
        assert owners.try_lock(descriptor)
        answer = claude.hook(payload())
    finally:
        os.close(descriptor)
    assert answer.is_quiet
    assert 0.2 < answer.seconds < 1.0
    assert (len(raw_lines(home)), sum(losses.notes(str(home)).values())) == (1, 1)


def test_64_hooks_at_once_lose_nothing(home: Path) -> None:
    """As in a batch of parallel tool calls."""
    command = [launcher.ensure(), "claude"]
    with somebody_folds(home):
        children = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(64)
        ]
        for number, child in enumerate(children):
            assert child.stdin is not None
            child.stdin.write(
                json.dumps(payload(tool_name="Bash", tool_use_id=f"call-{number}", tool_input="x" * number * 500)).encode()
            )
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
            child.stdin = None
        assert [(child.communicate(timeout=30)[0], child.returncode) for child in children] == [(b"", 0)] * 64
    assert {(line["call"], line["bytes"]) for line in raw_lines(home)} == {(f"call-{n}", n * 500 + 2) for n in range(64)}
    assert set(state_of(home)["problems"].values()) == {0}


# -- without the launcher ------------------------------------------------------------------------------------------------


def test_the_command_does_the_same(home: Path) -> None:
    """For people who call it themselves."""
    with somebody_folds(home), program() as running:
        command = (sys.executable, "-m", "pyjama_metrics", "hook")
        assert running.run(*command, "claude", data=json.dumps(payload()).encode()).is_quiet
        answer = running.run(*command, "claud", data=b"{}")
    assert [head["pid"] for head in headers(home)] == [running.pid]
    assert len(raw_lines(home)) == 1
    assert (answer.code, answer.said) == (
        1,
        "pyjama-metrics: Say whose hook it is: pyjama-metrics hook claude, or pyjama-metrics hook codex.\n",
    )


@pytest.mark.parametrize("data", [b"", b"garbage", b"[" * 100_000])
def test_the_command_is_as_quiet_as_the_launcher(home: Path, data: bytes) -> None:
    """Also where there is no standard input at all."""
    command = f"{sys.executable} -m pyjama_metrics hook claude" + ("" if data else " 0<&-")
    done = subprocess.run(["sh", "-c", command], input=data, capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_raw_lines_change_no_figure_and_no_history(claude: Program, home: Path) -> None:
    """Raw lines are nobody's last sign of life, and are in no history."""
    for hook in ("SessionStart", "PreToolUse", "PostToolUse", "SessionEnd"):
        claude.hook(payload(hook))
    hub = Hub(str(home))
    before = hub.read()
    assert hub.catch_up(10)
    assert (before["agents"], before["tools"], before["global"]["count"], before["recent-logs"]) == ({}, {}, 0, [])
