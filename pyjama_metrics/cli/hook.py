"""``pyjama-metrics hook``: what other programs call as their hook; the launcher does the same, faster."""

from __future__ import annotations

import argparse

from pyjama_metrics.cli import terminal
from pyjama_metrics.integrations import hook

DESCRIPTION = """\
Keep what a program tells: one JSON object on stdin, or as the last word. Programs call this, not people: it prints nothing and
exits with 0, whatever happens, so that no session is disturbed. What is kept: names, sizes, outcomes and times; no prompt and no
output, unless PYJAMA_CAPTURE asks for it.
"""

EXAMPLES = """\
examples:
  {"type": "command", "command": "pyjama-metrics hook claude"}    in the settings of Claude Code
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words of ``hook``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.usage = "pyjama-metrics hook [-h] {claude,codex} [JSON]"
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="PROGRAM", help="claude or codex; then the JSON, if not on stdin"
    )


def run(arguments: argparse.Namespace) -> int:
    """Be the hook, and end this process with it. A wrong word is told, with the exit code that no program takes for a veto."""
    words: list[str] = arguments.words
    if not words or words[0] not in hook.SOURCES:
        terminal.complain("Say whose hook it is: pyjama-metrics hook claude, or pyjama-metrics hook codex.")
        return 1
    hook.main(words)
