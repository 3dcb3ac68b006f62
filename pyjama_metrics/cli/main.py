"""The command ``pyjama-metrics``: parse, hand over to one command's module, and turn every failure into one
sentence.

Exit codes: 0 fine, 1 failed, 2 wrong usage, 130 after Ctrl-C. A closed pipe (``| head``) ends the output,
not in an error.
Only the module of the chosen command is imported, and each command imports what it needs when it runs:
``record`` in a shell loop must not pay for the dashboard.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from pyjama_metrics.cli.help_text import HelpFormatter
from pyjama_metrics.cli.terminal import complain
from pyjama_metrics.errors import HubError

FINE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its word, which is also its module in this package, and what it does in a line."""

    name: str
    summary: str

    def module(self) -> ModuleType:
        """The module with ``configure(parser)`` and ``run(arguments) -> exit code``."""
        return importlib.import_module(f"pyjama_metrics.cli.{self.name}")


COMMANDS = (
    Command("dashboard", "serve the live page"),
    Command("demo", "start a few real agents and the page, to see it move"),
    Command("show", "print totals, agents and tools"),
    Command("logs", "print the last log entries, or follow them"),
    Command("report", "print what a span of time cost, by day, agent, model, …"),
    Command("export", "write all of it into a file to hand on: JSON, CSV, Markdown or HTML"),
    Command("prices", "print what models cost, and who says so"),
    Command("record", "record one event from a shell"),
    Command("run", "run any command as an agent"),
    Command("claude", "see Claude Code sessions: install, status, uninstall, import"),
    Command("codex", "see Codex sessions: install, status, uninstall, import"),
    Command("correct", "say what a run really used"),
    Command("clear", "start the figures anew"),
    Command("doctor", "look for what is wrong with the hub's folder, and mend it"),
    Command("hook", "what Claude Code and Codex call; not for people"),
)

DESCRIPTION = "See what your AI agents do while they do it. Agents record, one shared file keeps, this command shows."

EPILOG = """\
examples:
  pyjama-metrics demo                       a few agents of its own, and the page
  pyjama-metrics dashboard                  the page: http://127.0.0.1:8080
  pyjama-metrics run -- make test           any command as an agent
  pyjama-metrics logs -f | grep error
  pyjama-metrics show --json | jq .metrics.global
  pyjama-metrics report daily               what each of the last thirty days cost

The figures are in $PYJAMA_HOME (default ~/.pyjama). Exit codes: 0 fine, 1 failed, 2 wrong usage.
'pyjama-metrics COMMAND --help' says more about a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``pyjama-metrics``.

    Arguments:
        argv: the words after the program's name; None means those of this process.

    Returns:
        The exit code. Nothing but a bug raises out of here.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _dispatch(words))


def clear_metrics(argv: Sequence[str] | None = None) -> int:
    """Run ``clear-metrics``: ``pyjama-metrics clear`` under the name that is easy to remember."""
    words = list(sys.argv[1:] if argv is None else argv)

    def clear() -> int:
        from pyjama_metrics.cli import clear as command

        parser = argparse.ArgumentParser(prog="clear-metrics", formatter_class=HelpFormatter)
        command.configure(parser)
        return command.run(parser.parse_args(words))

    return guarded(clear)


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of ``pyjama-metrics``; of the commands, only those named in ``words`` are loaded with
    their options.
    """
    parser = argparse.ArgumentParser(
        prog="pyjama-metrics",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command_name", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        sub = commands.add_parser(
            command.name,
            help=command.summary,
            formatter_class=HelpFormatter,
            allow_abbrev=False,
        )
        if command.name in words:
            command.module().configure(sub)
            sub.set_defaults(execute=command.module().run)
    return parser


def _dispatch(words: list[str]) -> int:
    parser = build_parser(words)
    arguments = parser.parse_args(words)
    if arguments.version:
        from pyjama_metrics.version import __version__

        print(f"pyjama-metrics {__version__}")
        return FINE
    if arguments.command_name is None:
        parser.print_help(sys.stderr)
        return WRONG_USAGE
    code: int = arguments.execute(arguments)
    return code


def guarded(work: Callable[[], int]) -> int:
    """Run ``work`` and turn what it raises into an exit code and, where needed, one sentence on stderr."""
    _accept_any_text()
    try:
        code = _finish(work)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = FINE  # the reader of our output has seen enough
    except HubError as error:
        complain(str(error))
        code = FAILED
    except OSError as error:
        complain(sentence(error))
        code = FAILED
    _discard_unwritten_output()
    return code


def _finish(work: Callable[[], int]) -> int:
    """The exit code of ``work``, with its output handed over; argparse leaves by SystemExit."""
    try:
        code = work()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else FINE if stop.code is None else FAILED
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def sentence(error: OSError) -> str:
    """What an operating system's error means for people: what, where, why, what to do."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return f"There is no room to write: {reason}. Free some space, then try again."
    if error.filename is None:
        return f"The operating system refused: {reason}. Mend that, then try again; 'pyjama-metrics doctor' may show more."
    return (
        f"Cannot use {os.fsdecode(error.filename)}: {reason}. Mend that, or point PYJAMA_HOME at a folder "
        "that you may write; 'pyjama-metrics doctor' shows more."
    )


def _accept_any_text() -> None:
    """Let names that no encoding can hold be printed as escapes instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _discard_unwritten_output() -> None:
    """Flush, and if nobody takes the output, point it at nothing: the interpreter would complain about it
    at its exit.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
