"""Every test and every doctest has a hub folder and a clean environment of its own, and leaves nothing.

This file is at the top of the checkout because the package's doctests need it as much as ``tests/`` does.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.waiting import wait_until

# How long an example takes says nothing about the law, and much about who else uses the machine.
hypothesis.settings.register_profile("without deadline", deadline=None)
hypothesis.settings.load_profile("without deadline")

OPEN_DESCRIPTORS = next((folder for folder in ("/proc/self/fd", "/dev/fd") if os.path.isdir(folder)), None)
"""The folder in which this system lists a process's descriptors."""

TIME_TO_END = 2.0
"""Seconds that threads and descriptors of a test have for going away after it."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub folder of this test, PYJAMA_HOME for it and its children. It does not exist yet."""
    for name in list(os.environ):
        if name.startswith(("PYJAMA_", "TMUX")):
            monkeypatch.delenv(name)
    # A test that leaves PYJAMA_HOME out, or asks for the configuration folder, must not find the user's own.
    users_home = tmp_path / "user"
    users_home.mkdir()
    monkeypatch.setenv("HOME", str(users_home))
    for kind in ("CONFIG", "CACHE", "STATE", "DATA"):
        monkeypatch.delenv(f"XDG_{kind}_HOME", raising=False)
    runtime_folder = tmp_path / "runtime"
    runtime_folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_folder))
    places = sys.modules.get("pyjama_metrics.storage.places")
    if places is not None:
        places.runtime_folder.cache_clear()
    folder = tmp_path / "hub"
    monkeypatch.setenv("PYJAMA_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _own_hub_and_nothing_left(home: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """Close this process's journal after the test, then check that its threads and descriptors are gone.

    Fixtures of a wider scope, such as a browser, are set up before this one and not held against a test.
    """
    close_recorder()
    threads_before, descriptors_before = set(threading.enumerate()), descriptors()
    yield
    close_recorder()
    wait_for_none(lambda: sorted(set(threading.enumerate()) - threads_before, key=str), "threads")
    if request.node.get_closest_marker("browser") is None:  # its driver opens and closes pipes when it likes
        wait_for_none(lambda: sorted(descriptors() - descriptors_before), "descriptors")


def close_recorder() -> None:
    """End this process's journal, if it has one; the next record opens another in its own folder."""
    recorder = sys.modules.get("pyjama_metrics.recorder")
    if recorder is not None:
        recorder.close()


def descriptors() -> set[str]:
    """What the open descriptors of this process lead to, as far as this system tells."""
    found = set()
    for name in os.listdir(OPEN_DESCRIPTORS) if OPEN_DESCRIPTORS else ():
        try:
            found.add(f"{name} -> {os.readlink(f'{OPEN_DESCRIPTORS}/{name}')}")
        except FileNotFoundError:
            # The descriptor of this very listing, or one that a thread closed meanwhile.
            continue
        except OSError:
            found.add(name)  # macOS lists numbers that are no links
    return found


def wait_for_none(leftovers: Callable[[], list[object]], what: str) -> None:
    """Fail with the list of leftovers when some are there after a moment's patience."""
    if not leftovers():
        return
    gc.collect()  # what only a reference cycle holds is not left over
    try:
        wait_until(lambda: not leftovers(), TIME_TO_END, f"the end of {what}")
    except AssertionError:
        pytest.fail(f"The test left {what} behind: {', '.join(map(str, leftovers()))}", pytrace=False)
