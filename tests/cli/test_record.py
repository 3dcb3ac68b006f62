from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from pyjama_metrics import read_metrics
from tests.cli.commands import agent, figures, pyjama, started
from tests.recorded import only, recorded
from tests.waiting import wait_until

RECORD = f"{shlex.quote(sys.executable)} -m pyjama_metrics record"


def shell(script: str, *, program: str = "bash", **env: str | None) -> str:
    """Run a script in which ``record`` is the command; what it printed."""
    with started(program, "-c", f'record() {{ {RECORD} "$@"; }}\n{script}', env=env) as child:
        out, err = child.communicate(timeout=60)
        assert (child.returncode, err) == (0, "")
        return out


def test_a_run_recorded_from_a_shell_is_a_run_of_that_shell() -> None:
    """Start, tools and end of one shell belong to one run; its id is printed, its owner is the shell."""
    out = shell("""
        run=$(record start nightly --label k=v --spec work)
        record tool nightly backup --duration-ms 15.5
        record tool nightly upload --status error --error "no route"
        record complete nightly
        echo $run $$
    """)
    run, pid = out.split()
    detail = agent("nightly")
    assert (detail["status"], detail["count"], detail["error"], detail["pid"]) == ("completed", 2, 1, int(pid))
    assert detail["runs"].keys() == {run}
    assert detail["runs"][run]["tally"]["count"] == 2
    origin = detail["runs"][run]["origin"]
    assert (origin["labels"], origin["spec"], origin["source"]) == ({"k": "v"}, "work", "shell")


@pytest.mark.parametrize(
    "way",
    [
        "{0}",
        "x=$({0}; true)",
        "echo | while read -r line; do {0}; done",
        "( true; {0} )",
        "( ( true; {0} ); true )",
        "true | {0} | cat",
        "timeout 50 {1}",
        "echo | xargs {1}",
    ],
)
def test_subshells_and_wrappers_count_as_the_shell_itself(way: str) -> None:
    """A pipe, ``$(…)``, ``( … )``, ``timeout`` and ``xargs`` do not make the run end with them."""
    record = "start a"
    out = shell(way.format(f"record {record}", f"{RECORD} {record}") + "\necho\necho $$")
    assert agent("a")["pid"] == int(out.split()[-1])


def test_an_execution_is_in_the_log_if_that_is_asked_for() -> None:
    """Otherwise it is only counted."""
    shell(
        "record start nightly > /dev/null; record tool nightly fetch; record tool nightly load --status error --error full --log"
    )
    (line,) = (entry for entry in read_metrics()["recent-logs"] if entry["event"] == "tool")
    assert (line["tool"], line["status"], line["message"]) == ("load", "error", "full")


def test_to_wait_without_a_run_is_said_to_be_seen_by_nobody() -> None:
    """The event is recorded; a sentence says what is missing, and there is none where the run waits."""
    answer = pyjama("record", "waiting", "nightly", "for a person")
    assert (answer.returncode, answer.stdout) == (0, "")
    assert "not shown as waiting" in answer.stderr
    assert "record start nightly" in answer.stderr
    shell("record start nightly > /dev/null; record waiting nightly 'for a person'; record complete nightly")
    assert "not shown as waiting" in pyjama("record", "waiting", "nightly", "for a person").stderr


def test_a_shell_that_ends_without_complete_has_crashed() -> None:
    """Nobody stays running after the death of the shell."""
    shell("record start nightly > /dev/null")
    assert wait_until(lambda: agent("nightly")["status"] == "crashed", 5, "the crash")


def test_a_run_lives_as_long_as_the_process_given_with_pid() -> None:
    """--pid names the owner: the run is running while that lives, and crashed after."""
    with started("sleep", "60") as owner:
        assert pyjama("record", "start", "a", "--pid", str(owner.pid)).returncode == 0
        assert agent("a")["status"] == "running"
    assert wait_until(lambda: agent("a")["status"] == "crashed", 5, "the crash")


EVENTS = [
    (["activity", "a", "--tool", "t", "--status", "busy"], {"event": "activity", "tool": "t", "status": "busy"}),
    (["tool", "a", "t", "--duration-ms", "1.5"], {"event": "tool", "tool": "t", "duration-ms": 1.5}),
    (["complete", "a", "--status", "failed", "--error", "e"], {"event": "complete", "status": "failed", "error": "e"}),
    (["waiting", "a", "for a yes"], {"event": "waiting", "reason": "for a yes"}),
    (["step-start", "a", "s"], {"event": "step-start", "step": "s"}),
    (["step-complete", "a", "s", "--status", "error"], {"event": "step-complete", "step": "s", "status": "error"}),
    (["workflow", "a", "s1", "s2"], {"event": "workflow", "steps": ["s1", "s2"]}),
    (["message", "a", "user"], {"event": "message", "role": "user"}),
    (["error", "a", "it broke"], {"event": "error", "message": "it broke"}),
    (
        ["llm", "a", "m", "--input-tokens", "7", "--cache-read-tokens", "5", "--phase", "p", "--cost-usd", "0.5", "--estimated"],
        {"event": "llm", "model": "m", "input-tokens": 7, "cache-read-tokens": 5, "phase": "p", "cost-micros": 500_000,
         "tokens-are": "estimated"},
    ),
    (
        ["llm", "a", "m", "--cache-write-1h-tokens", "3", "--tool", "t", "--request-id", "r"],
        {"event": "llm", "cache-write-1h-tokens": 3, "tool": "t", "request-id": "r"},
    ),
    (
        ["llm", "a", "m", "--estimate-prompt-characters", "1001", "--estimate-answer-characters", "9"],
        {"event": "llm", "input-tokens": 251, "output-tokens": 4, "tokens-are": "estimated"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "expected"), EVENTS, ids=[words[0] for words, _ in EVENTS])
def test_every_kind_of_event_reaches_the_journal(words: list[str], expected: dict[str, object], home: Path) -> None:
    """Each word writes its own event with its own fields, for the run and the time given."""
    answer = pyjama("record", *words, "--run", "r-1-1.1", "--time", "1706945873123", "--pid", str(os.getpid()))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    event = only(home, str(expected["event"]))
    assert event | expected == event
    assert (event["agent"], event["run"], event["time"]) == ("a", "r-1-1.1", 1706945873123)


def test_an_event_is_counted_at_once(home: Path) -> None:
    """The shared file has it when the command returns, though nobody else folds."""
    assert pyjama("record", "tool", "a", "t").returncode == 0
    assert json.loads((home / "metrics.json").read_text())["tools"]["t"]["count"] == 1


@pytest.mark.parametrize("time", ["1706945873123", "2024-02-03T07:37:53.123Z", "2024-02-03 08:37:53.123+01:00"])
def test_times_are_milliseconds_or_iso_8601(time: str, home: Path) -> None:
    """Back-filled events carry the time that was meant."""
    assert pyjama("record", "activity", "a", "--time", time).returncode == 0
    assert only(home, "activity")["time"] == 1706945873123


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tool", "a", "t", "--duration-ms", "nan"], "duration"),
        (["tool", "a", "t", "--duration-ms", "-1"], "duration"),
        (["tool", "a", "t", "--duration-ms", "inf"], "duration"),
        (["tool", "", "t"], "empty"),
        (["activity", "a", "--time", "yesterday"], "is not a time"),
        (["activity", "a", "--time", "-5"], "is not a time"),
        (["activity", "a", "--time", "1706945873"], "looks like seconds"),
        (["activity", "a", "--time", "9" * 30], "is not a time"),
        (["llm", "a", "m", "--input-tokens", "-3"], "number of tokens"),
        (["llm", "a", "m", "--cost-usd", "cheap"], "dollars"),
        (["llm", "a", "m", "--estimate-prompt", "/nowhere/prompt.txt"], "'/nowhere/prompt.txt' cannot be read (No such file"),
        (["llm", "a", "m", "--estimate-answer", "/"], "'/' cannot be read (Is a directory)"),
        (["llm", "a", "m", "--estimate-answer-characters", "many"], "number of characters"),
        (["complete", "a", "--status", "great"], "invalid choice"),
        (["start", "a", "--label", "novalue"], "key=value"),
        (["start", "a", "--pid", "0"], "process id"),
        (["start", "a", "--pid", "4194304999"], "process id"),
        (["tool", "-", "t"], "PYJAMA_AGENT is not set"),
    ],
)
def test_bad_values_are_refused_and_nothing_is_written(words: list[str], said: str, home: Path) -> None:
    """A wrong value ends with 2 and a sentence about it; no event, not even a folder, comes of it."""
    answer = pyjama("record", *words)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert not home.exists()


def test_tokens_are_estimated_from_files_whose_texts_are_not_kept(home: Path, tmp_path: Path) -> None:
    """By characters, not bytes; tokens that are given win."""
    prompt, answer = tmp_path / "prompt.txt", tmp_path / "answer.txt"
    prompt.write_bytes("größte\r\n".encode() + b"\xff" + b"x" * 100_000)
    answer.write_text("secret.")
    assert pyjama("record", "llm", "a", "m", "--estimate-prompt", str(prompt), "--estimate-answer", str(answer)).returncode == 0
    event = only(home, "llm")
    assert (event["input-tokens"], event["output-tokens"], event["tokens-are"]) == (25_003, 3, "estimated")
    assert not [path for path in home.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
    given = ["--output-tokens", "2", "--input-tokens", "1", "--estimate-prompt", str(prompt), "--estimate-answer", str(answer)]
    assert pyjama("record", "llm", "given", "m", *given).returncode == 0
    last = recorded(home, "llm")[-1]
    assert (last["agent"], last["input-tokens"], last["output-tokens"], last["tokens-are"]) == ("given", 1, 2, "actual")


def test_a_process_that_does_not_live_cannot_own_a_run(home: Path) -> None:
    """A misspelt --pid would make a run that is crashed from its start."""
    with started("true") as gone:
        gone.wait(10)
    answer = pyjama("record", "start", "a", "--pid", str(gone.pid))
    assert answer.returncode == 2
    assert "There is no process" in answer.stderr
    assert recorded(home) == []


def test_the_agent_that_started_the_shell_is_called_dash(home: Path) -> None:
    """PYJAMA_RUN and PYJAMA_AGENT are the target of events and the parent of runs."""
    inherited = {"PYJAMA_RUN": "w-1-1.7", "PYJAMA_AGENT": "boss"}
    assert pyjama("record", "tool", "-", "t", env=inherited).returncode == 0
    assert pyjama("record", "start", "helper", env=inherited).returncode == 0
    tool, start = only(home, "tool"), only(home, "start")  # the session is ours, and lives
    assert (tool["agent"], tool["run"]) == ("boss", "w-1-1.7")
    assert (start["agent"], start["parent"]) == ("helper", "w-1-1.7")


def test_json_says_what_was_recorded() -> None:
    """Programs read the run id from an object on one line."""
    told = json.loads(pyjama("record", "start", "a", "--json", "--pid", str(os.getpid())).stdout)
    assert (told["event"], told["agent"], told["pid"]) == ("start", "a", os.getpid())
    assert told["run"] in agent("a")["runs"]


def test_many_shells_at_once_lose_nothing() -> None:
    """Processes of one session that append at the same moment are all counted."""
    shell("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do record tool a t & done; wait")
    assert figures()["metrics"]["tools"]["t"]["count"] == 12


def test_what_cannot_be_recorded_is_a_failure_in_one_sentence(tmp_path: Path) -> None:
    """A script learns that its event was not taken, and what to do."""
    (tmp_path / "file").write_text("")
    answer = pyjama("record", "start", "a", env={"PYJAMA_HOME": str(tmp_path / "file" / "hub")})
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "The event was not recorded" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_completing_what_was_never_begun_is_refused() -> None:
    """A success that nobody began would make the runs not add up; one sentence says what to do."""
    answer = pyjama("record", "complete", "ghost")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "No run of ghost is open" in answer.stderr
    assert read_metrics()["runs"]["completed"] == 0


def test_a_run_is_completed_from_another_shell_without_its_id() -> None:
    """The one open run of the agent is meant; of several, one has to be named."""
    with started("sleep", "60") as one, started("sleep", "60") as other:
        pyjama("record", "start", "nightly", "--pid", str(one.pid))
        assert pyjama("record", "complete", "nightly", "--pid", str(other.pid)).returncode == 0
        counts = read_metrics()["runs"]
        assert (counts["started"], counts["completed"]) == (1, 1)
        for shell in (one, other):
            pyjama("record", "start", "nightly", "--pid", str(shell.pid))
        answer = pyjama("record", "complete", "nightly")
    assert (answer.returncode, "2 runs of nightly are open. Say which with --run" in answer.stderr) == (1, True)
