from __future__ import annotations

import os
import shlex
import signal

import pytest

from pyjama_metrics import flush, record_agent_start, record_tool_execution
from pyjama_metrics.cli.main import COMMANDS
from pyjama_metrics.version import __version__
from tests.cli.commands import PYJAMA, in_terminal, pyjama, pyjama_process, started
from tests.waiting import run_python, wait_until

HEAVY = ("flask", "waitress", "watchdog", "werkzeug", "sqlite3", "asyncio")


def test_the_version_is_told() -> None:
    """--version is one line on stdout."""
    assert pyjama("--version").stdout == f"pyjama-metrics {__version__}\n"


def test_without_a_command_the_help_is_shown_and_the_usage_is_wrong() -> None:
    """Scripts that forget the command notice it; people read what there is."""
    answer = pyjama()
    assert (answer.returncode, answer.stdout) == (2, "")
    assert all(command.name in answer.stderr for command in COMMANDS)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_the_help_of_each_command_has_examples(command: str) -> None:
    """Nobody has to guess how a command is used."""
    answer = pyjama(command, "--help")
    assert answer.returncode == 0
    assert "examples:\n" in answer.stdout


@pytest.mark.parametrize("words", [["frobnicate"], ["show", "--frob"], ["logs", "-n", "-1"], ["record"], ["record", "tool", "a"]])
def test_wrong_usage_ends_with_2_and_says_why(words: list[str]) -> None:
    """Wrong usage is told apart from a failure."""
    answer = pyjama(*words)
    assert answer.returncode == 2
    assert "error: " in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("words", [["--version"], ["record", "start", "a"], ["show"], ["logs"]])
def test_a_quick_command_loads_nothing_heavy(words: list[str]) -> None:
    """A shell loop that records does not pay for the dashboard."""
    code = f"""
    import sys
    from pyjama_metrics.cli.main import main
    assert main(sys.argv[1:]) == 0
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, loaded
    """
    with run_python(code, *words) as child:
        assert child.communicate(timeout=30)[1] == ""
        assert child.returncode == 0


def test_a_closed_pipe_ends_the_output_in_silence() -> None:
    """``pyjama-metrics … | head`` is no error."""
    record_tool_execution("t", "a")
    assert flush(10)
    for words in (["--help"], ["show"], ["show", "--json"], ["logs", "-f"], ["doctor"], ["record", "start", "a"]):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as nobody:
            answer = pyjama_process(*words, stdout=nobody)
        assert (words, answer.returncode, answer.stderr) == (words, 0, "")


def test_closed_streams_are_no_error() -> None:
    """Started with stdout and stderr closed, a command still does its work and gives its exit code."""
    command = shlex.join(PYJAMA)
    shell = f"{command} show >&- 2>&-; echo $?; {command} show x >&- 2>&-; echo $?"
    with started("sh", "-c", shell) as child:
        assert child.communicate(timeout=30) == ("0\n1\n", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_a_failure_in_one_sentence() -> None:
    """A full disk under ``> file`` is not taken for success."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        answer = pyjama_process("show", stdout=full)
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert "No space left on device" in answer.stderr


def test_ctrl_c_ends_a_command_with_130_and_in_silence() -> None:
    """An interrupted command leaves no traceback."""
    record_agent_start("a")
    assert flush(10)
    with started(*PYJAMA, "logs", "-f") as child:
        assert child.stdout is not None
        child.stdout.readline()  # it is at work
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=30) == ("", "")
        assert child.returncode == 130


def test_names_that_no_encoding_holds_are_printed_as_escapes() -> None:
    """Lone surrogates and foreign letters never raise, whatever the locale is."""
    record_tool_execution("wërk\udcff-日本", "agent\nx")
    assert flush(10)
    for env in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C.UTF-8"}):
        for words in (["show"], ["show", "--json"], ["logs"]):
            answer = pyjama_process(*words, env=env)
            assert (answer.returncode, answer.stderr) == (0, "")


def test_colour_is_written_to_a_terminal_only() -> None:
    """A pipe gets plain text, a terminal colour unless NO_COLOR is set."""
    record_tool_execution("t", "a")
    assert flush(10)
    assert "\x1b[" not in pyjama("show").stdout
    assert "\x1b[" in in_terminal(*PYJAMA, "show")[1]
    assert "\x1b[" not in in_terminal(*PYJAMA, "show", env={"NO_COLOR": "1"})[1]


def test_the_console_script_for_clearing_is_the_clear_command() -> None:
    """``clear-metrics`` takes the options of ``pyjama-metrics clear``."""
    record_tool_execution("t", "a")
    assert flush(10)
    with run_python(
        "import sys; from pyjama_metrics.cli.main import clear_metrics; sys.exit(clear_metrics())", "--json"
    ) as child:
        assert '"executions": 1' in child.communicate(timeout=30)[0]
    wait_until(lambda: "Nothing is recorded" in pyjama("show").stdout, what="an empty hub")
