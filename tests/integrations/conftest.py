from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.programs import end_folders, folders
from tests.waiting import wait_until

if not os.path.isdir("/proc/self"):
    collect_ignore_glob = ["test_hook*.py", "test_folder*.py", "test_launcher.py"]  # programs are told apart by /proc


@pytest.fixture(autouse=True)
def _no_folder_is_left(home: Path) -> Iterator[None]:
    """What a hook has started is gone before the folder of the test is."""
    yield
    if folders(home):
        end_folders(home)
        wait_until(lambda: not folders(home), what="the end of the process that folds")
