from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.programs import end_folders, folders
from tests.live import programs
from tests.live.messages_api import MessagesApi
from tests.live.model import served
from tests.live.responses_api import ResponsesApi
from tests.live.running import ClaudeMachine, CodexMachine
from tests.live.versions import CODEX, NEWEST
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _no_folder_is_left(home: Path) -> Iterator[None]:
    """What a hook has started is gone before the folder of the test is."""
    yield
    if folders(home):
        end_folders(home)
        wait_until(lambda: not folders(home), what="the end of the process that folds")


def installed(name: str, version: str) -> programs.Program:
    """That program; the test is skipped where it cannot be had."""
    try:
        return programs.program(name, version)
    except programs.NotHere as error:
        pytest.skip(str(error))


@pytest.fixture
def bare(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Iterator[ClaudeMachine]:
    """A machine with Claude Code, of the version that the test names, else the newest, and without hooks."""
    program = installed("claude", getattr(request, "param", NEWEST))
    with served(MessagesApi, str(tmp_path / "web-shop")) as model:
        machine = ClaudeMachine(program, model, tmp_path, home)
        yield machine
        machine.go_on()  # a command of a program that was killed waits for the word still


@pytest.fixture
def claude(bare: ClaudeMachine) -> ClaudeMachine:
    """The same after ``pyjama-metrics claude install``."""
    bare.install()
    return bare


@pytest.fixture
def codex(home: Path, tmp_path: Path) -> Iterator[CodexMachine]:
    """A machine with Codex, after ``pyjama-metrics codex install``."""
    program = installed("codex", CODEX)
    with served(ResponsesApi, str(tmp_path / "web-shop")) as model:
        machine = CodexMachine(program, model, tmp_path, home)
        machine.before = {path: path.read_bytes() for path in machine.folder.iterdir()}
        machine.install()
        yield machine
