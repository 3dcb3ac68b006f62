from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyjama_metrics.cli.main import COMMANDS, Command
from pyjama_metrics.cli.record import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every option of a parser and of its own commands, but for --help."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from options_of(sub)
        elif action.dest != "help":
            yield from action.option_strings


def test_the_page_has_a_section_for_each_command_and_no_other() -> None:
    """What the page describes is what there is."""
    assert list(SECTIONS) == [command.name for command in COMMANDS]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_option_is_on_the_page_and_the_page_names_no_other(command: Command) -> None:
    """The section of a command and its options are the same."""
    parser = argparse.ArgumentParser()
    command.module().configure(parser)
    options = set(options_of(parser))
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", " ".join(re.findall(r"`([^`\n]+)`", SECTIONS[command.name]))))
    assert options <= named
    assert {option for option in named - options if option.startswith("--")} == set()


def test_every_kind_of_event_is_on_the_page() -> None:
    """The table of `record` lists each event."""
    assert re.findall(r"^\| `(\S+)` \|", SECTIONS["record"], re.MULTILINE) == [kind.name for kind in KINDS]
