from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import PYJAMA, agent, environment, figures, in_terminal, pyjama, started
from tests.waiting import wait_until

RUN = (*PYJAMA, "run")
LOOP = "while :; do sleep 0.05; done"


def the_run(name: str) -> tuple[str, str | None]:
    """How the one run of an agent ended, and why."""
    (run,) = agent(name)["runs"].values()
    return run["status"], run["outcome-error"]


@pytest.mark.parametrize(
    ("script", "code", "ended"),
    [
        ("true", 0, ("completed", None)),
        ("exit 3", 3, ("failed", "exit code 3")),
        ("exit 143", 143, ("failed", "exit code 143")),
        ("kill -KILL $$", 137, ("failed", "killed by signal 9 (SIGKILL)")),
        ("kill -SEGV $$", 139, ("failed", "killed by signal 11 (SIGSEGV)")),
        ("kill -TERM $$", 143, ("stopped", "stopped by SIGTERM")),
        ("kill -INT $$", 130, ("stopped", "stopped by SIGINT")),
        ("kill -HUP $$", 129, ("stopped", "stopped by SIGHUP")),
    ],
)
def test_the_exit_code_is_the_commands_and_the_outcome_is_recorded(script: str, code: int, ended: tuple[str, str | None]) -> None:
    """A wrapped command looks to its caller as if it were not wrapped; how it ended is on record."""
    answer = pyjama("run", "--", "sh", "-c", script)
    assert (answer.returncode, answer.stdout, answer.stderr) == (code, "", "")
    assert the_run("sh") == ended


def test_the_agent_is_named_after_the_command_or_as_asked() -> None:
    """The path is no part of the name; labels are kept."""
    true = subprocess.run(["sh", "-c", "command -v true"], capture_output=True, text=True, check=True).stdout.strip()
    assert pyjama("run", "--", true).returncode == 0
    assert pyjama("run", "--agent", "nightly", "--label", "k=v", "--label", "l=m", "true").returncode == 0
    assert figures()["agents"].keys() == {"true", "nightly"}
    (run,) = agent("nightly")["runs"].values()
    assert (run["origin"]["labels"], run["origin"]["source"]) == ({"k": "v", "l": "m"}, "run")


@pytest.mark.parametrize("words", [["--json", "-h"], ["--", "--agent", "x"], ["a b", "*", ""], ["--version"]])
def test_the_arguments_reach_the_command_as_they_are(words: list[str]) -> None:
    """Options after the command are the command's, a second -- too."""
    answer = pyjama("run", "--", sys.executable, "-c", "import sys; print(sys.argv[1:])", *words)
    assert answer.stdout == f"{words}\n"


def test_input_output_and_descriptors_are_the_commands() -> None:
    """stdin, stdout, stderr and any other open descriptor pass through."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as extra:
        answer = subprocess.run(
            [*RUN, "--", "sh", "-c", "cat; echo err >&2; echo extra > $0", f"/dev/fd/{writer}"],
            input="in", capture_output=True, text=True, env=environment(), pass_fds=[writer], timeout=60, check=False,
        )  # fmt: skip
        os.close(writer)
        assert (answer.stdout, answer.stderr, extra.read()) == ("in", "err\n", "extra\n")


def test_the_terminal_is_the_commands() -> None:
    """A program that asks for a terminal finds it."""
    code, shown = in_terminal(*RUN, "--", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo terminal")
    assert (code, shown.strip()) == (0, "terminal")


def test_agents_that_the_command_starts_are_its_children() -> None:
    """PYJAMA_RUN and PYJAMA_AGENT reach the command."""
    inner = f"{shlex.join(RUN)} --agent inner -- true; {shlex.join(PYJAMA)} record tool - t; echo $PYJAMA_RUN"
    answer = pyjama("run", "--agent", "outer", "--", "sh", "-c", inner)
    run_id = answer.stdout.strip()
    assert (agent("inner")["parent"], agent("inner")["parent-agent"]) == (run_id, "outer")
    assert agent("outer")["runs"][run_id]["tally"]["count"] == 1


def test_a_command_is_running_while_it_runs() -> None:
    """The start is on record before the command does anything, and no end."""
    with started(*RUN, "--", "sh", "-c", "echo ready; read line") as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert agent("sh")["status"] == "running"
        child.communicate("\n", timeout=30)
    assert agent("sh")["status"] == "completed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_us_is_handed_on(number: signal.Signals) -> None:
    """Whoever stops the wrapper stops the command, which may clean up."""
    script = f"trap 'echo cleaned; exit {128 + number}' {number.value}; echo ready; {LOOP}"
    with started(*RUN, "--", "sh", "-c", script) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(number)
        assert child.communicate(timeout=30)[0] == "cleaned\n"
        assert child.returncode == 128 + number
    stopped = number != signal.SIGQUIT
    assert the_run("sh") == (("stopped", f"stopped by {number.name}") if stopped else ("failed", "exit code 131"))


def test_ctrl_c_is_the_commands_business() -> None:
    """A command that handles Ctrl-C goes on as it likes; ours waits for it and gives its exit code."""
    with started(*RUN, "--", "sh", "-c", f"trap 'echo saved; exit 7' INT; echo ready; {LOOP}", start_new_session=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.killpg(child.pid, signal.SIGINT)
        assert child.communicate(timeout=30) == ("saved\n", "")
        assert child.returncode == 7


def test_signals_start_as_they_were() -> None:
    """What nohup ignores stays ignored in the command, what was not stays at its default."""
    show = "import signal; print(*[signal.getsignal(n).name for n in (signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE)])"
    code = f"{sys.executable} -S -c {shlex.quote(show)}"
    plain = f"{shlex.join(RUN)} -- sh -c {shlex.quote(code)}"
    with started("sh", "-c", f"{plain}; trap '' HUP; {plain}") as child:
        # Python itself ignores SIGPIPE at its start, in the command as anywhere.
        assert child.communicate(timeout=30)[0] == "SIG_DFL SIG_DFL SIG_IGN\nSIG_IGN SIG_DFL SIG_IGN\n"


def test_the_death_of_the_wrapper_is_a_crash() -> None:
    """kill -9 of ours leaves a crashed run, even while the command lives on."""
    with started(*RUN, "--", "sh", "-c", "echo $$; exec sleep 60") as child:
        assert child.stdout is not None
        command = int(child.stdout.readline())
        try:
            child.kill()
            assert wait_until(lambda: agent("sh")["status"] == "crashed", 5, "the crash")
        finally:
            os.kill(command, signal.SIGKILL)


def executable(path: Path, text: str, mode: int = 0o755) -> str:
    """Make a file that claims to be a program."""
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_command_that_is_not_there_ends_with_127() -> None:
    """As a shell would, with one sentence, and the run has failed."""
    answer = pyjama("run", "--", "no-such-command-here")
    assert (answer.returncode, answer.stdout) == (127, "")
    assert "no-such-command-here: command not found" in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert the_run("no-such-command-here")[0] == "failed"


def test_a_command_that_cannot_be_executed_ends_with_126(tmp_path: Path) -> None:
    """No permission, a folder, a missing interpreter, a text without one: each is told apart."""
    cases = {
        executable(tmp_path / "a", "#!/bin/sh\n", 0o644): "chmod +x",
        str(tmp_path): "cannot be executed",
        executable(tmp_path / "b", "#!/no/such/interpreter\n"): "interpreter",
        executable(tmp_path / "c", "echo hi\n"): "no #! line",
    }
    for command, said in cases.items():
        answer = pyjama("run", "--", command)
        assert (answer.returncode, answer.stderr.count("\n")) == (126, 1)
        assert said in answer.stderr


def test_no_command_is_wrong_usage() -> None:
    """``run`` alone ends with 2 and shows how it is used."""
    for words in (["run"], ["run", "--"], ["run", "--agent", "a"]):
        answer = pyjama(*words)
        assert answer.returncode == 2
        assert "There is no command to run" in answer.stderr


@pytest.mark.parametrize("strict", ["0", "1"])
def test_recording_trouble_does_not_keep_a_command_from_running(strict: str, tmp_path: Path) -> None:
    """With a hub that cannot be used, the command runs and ends as it would alone, and nothing is printed."""
    (tmp_path / "file").write_text("")
    answer = pyjama(
        "run", "--", "sh", "-c", "echo done; exit 5", env={"PYJAMA_HOME": str(tmp_path / "file" / "hub"), "PYJAMA_STRICT": strict}
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (5, "done\n", "")


def test_a_broken_installation_does_not_keep_a_command_from_running(tmp_path: Path) -> None:
    """Whatever the recorder raises, also at its import, the command runs."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['pyjama_metrics.recorder'] = None")
    answer = pyjama("run", "--", "echo", "done", env={"PYTHONPATH": f"{tmp_path}:{os.getcwd()}"})
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "done\n", "")


def test_how_long_it_took_is_on_record() -> None:
    """The run has a start and an end around the command."""
    assert pyjama("run", "--", "sleep", "0.2").returncode == 0
    (run,) = agent("sleep")["runs"].values()
    assert 200 <= run["end-time"] - run["start-time"] < 20_000
    assert figures()["metrics"]["runs"]["completed"] == 1
