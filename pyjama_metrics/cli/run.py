"""``pyjama-metrics run -- COMMAND``: any command becomes an agent, and does not notice."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from pyjama_metrics.cli import argument_types, terminal
from pyjama_metrics.cli.labels import add_labels

DESCRIPTION = """\
Run a command as an agent: its start, its end, how long it took and how it ended are recorded, and agents
that it starts are its children. The command keeps its terminal, its input and output, and its signals. The
exit code is the command's; 128+N if signal N ended it, 127 if there is no such command, 126 if it cannot be
executed.
"""

EXAMPLES = """\
examples:
  pyjama-metrics run -- make -j4 test
  pyjama-metrics run --agent nightly --label host=blue -- ./backup.sh
  pyjama-metrics run -- sh -c 'pyjama-metrics record tool - compile'
"""

NOT_FOUND, NOT_EXECUTABLE, BY_SIGNAL = 127, 126, 128

T = TypeVar("T")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``run``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.usage = "pyjama-metrics run [-h] [--agent NAME] [--label K=V] -- COMMAND [ARGUMENT ...]"
    parser.add_argument("--agent", metavar="NAME", type=argument_types.name, help="name of the agent (the command's own)")
    add_labels(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    command: list[str] = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        terminal.complain("There is no command to run. Write it after --, as in: pyjama-metrics run -- make test")
        return 2
    agent = arguments.agent or os.path.basename(command[0]) or command[0]
    environment = _begin(agent, dict(arguments.label))
    signals = Signals()
    with signals:
        try:
            child = _start(command, environment)
        except OSError as error:
            code, why = _not_started(command[0], error)
            terminal.complain(why)
            _end(agent, "failed", why)
            return code
        status = signals.wait(child)
    _end(agent, *outcome(status, signals.seen))
    return status if status >= 0 else BY_SIGNAL - status


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the command with our own descriptors, all of them: make's job server, for one, is at number 3."""
    return subprocess.Popen(command, env=environment, close_fds=False)


class Signals:
    """Our signals while the command runs.

    Ctrl-C reaches the command without us: it is in the same foreground group. What was sent to us alone is
    handed on. A signal that is ignored here (``nohup``, a shell's background job) stays ignored, here and
    in the command.

    Attributes:
        seen: the signals that came.
    """

    FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self._child: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []

    def __enter__(self) -> Signals:
        # A handler, not SIG_IGN: the command starts with the default action for what is handled, not for
        # what is ignored.
        self._before = {
            number: signal.signal(number, self._came)
            for number in (signal.SIGINT, *self.FORWARDED)
            if signal.getsignal(number) != signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        """Hand on what came and what comes, until ``child`` ends; its return code, negative for a signal."""
        self._child = child
        while self._waiting:
            child.send_signal(self._waiting.pop(0))
        return child.wait()

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.seen.add(number)
        if number not in self.FORWARDED:
            return
        if self._child is None:
            self._waiting.append(number)  # the command is only just being started
        else:
            self._child.send_signal(number)


def outcome(status: int, seen: set[int]) -> tuple[str, str | None]:
    """How the run ended, and why.

    Arguments:
        status: the return code of the command, negative for a signal.
        seen: signals that came to us meanwhile: a command that handles one and exits with 128+N was stopped
            by it too.
    """
    if status == 0:
        return "completed", None
    stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    number = -status if status < 0 else status - BY_SIGNAL
    if number in stopping and (status < 0 or number in seen):
        return "stopped", f"stopped by {signal.Signals(number).name}"
    if status < 0:
        return "failed", f"killed by signal {number} ({_signal_name(number)})"
    return "failed", f"exit code {status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"


def _not_started(program: str, error: OSError) -> tuple[int, str]:
    """The exit code that a shell would give, and the sentence."""
    shown = terminal.printable(program)
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError) and shutil.which(program) is None and not os.path.exists(program):
        return NOT_FOUND, f"{shown}: command not found. Look at its spelling and at PATH."
    if isinstance(error, FileNotFoundError):
        return (
            NOT_EXECUTABLE,
            f"{shown} cannot be executed: the interpreter that its first line names does not exist.",
        )
    if error.errno == errno.ENOEXEC:
        return (
            NOT_EXECUTABLE,
            f"{shown} cannot be executed: it is no program and has no #! line. Try: sh {shown}",
        )
    if isinstance(error, PermissionError):
        return (
            NOT_EXECUTABLE,
            f"{shown} cannot be executed: {reason}. Is it a program? chmod +x makes it one.",
        )
    return NOT_EXECUTABLE, f"{shown} cannot be executed: {reason}."


def _begin(agent: str, labels: dict[str, str]) -> dict[str, str]:
    """Record the start; the environment in which the command's own agents become children of this run."""

    def begin() -> dict[str, str]:
        from pyjama_metrics import recorder

        recorder.record_agent_start(agent, labels=labels or None, source="run")
        return recorder.child_env(agent)

    return _harmlessly(begin, dict(os.environ))


def _end(agent: str, status: str, error: str | None) -> None:
    def end() -> None:
        from pyjama_metrics import recorder

        recorder.record_agent_complete(agent, status, error)

    _harmlessly(end, None)


def _harmlessly(work: Callable[[], T], otherwise: T) -> T:
    """Do what belongs to recording, and go on with ``otherwise`` where it fails."""
    try:
        return work()
    except Exception:
        # Whatever is broken there, a package or a disk: it must not keep the command from running or change
        # how it ends, and the terminal is the command's. 'pyjama-metrics doctor' tells what is wrong.
        return otherwise
