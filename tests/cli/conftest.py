"""Commands that are at hand for all tests here: most are not about how a command starts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli import commands
from tests.cli.commands import ReadyCommands, ready_commands


@pytest.fixture(scope="session", autouse=True)
def _commands_at_hand() -> Iterator[ReadyCommands]:
    with ready_commands() as at_hand:
        commands.ready = at_hand
        yield at_hand
    commands.ready = None


@pytest.fixture
def ready(_commands_at_hand: ReadyCommands) -> ReadyCommands:
    """``pyjama-metrics``, in the environment and the folder that a test has when it calls."""
    return _commands_at_hand
