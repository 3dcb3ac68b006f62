"""What an agent pays before its first record returns: the imports of a fresh interpreter, one by one."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from tests.waiting import run_command

CHECKOUT = Path(__file__).parent.parent

TOO_HEAVY = {
    "asyncio",
    "dataclasses",
    "enum",
    "importlib.metadata",
    "inspect",
    "json",
    "logging",
    "pathlib",
    "re",
    "sqlite3",
    "subprocess",
    "typing",
}

WATCHED = """
import _thread, sys

class Watch:
    def __init__(self):
        self.asked, self.thread = [], _thread.get_ident()

    def find_spec(self, name, path=None, target=None):
        # Only this thread: the folding one, which the record wakes, may load what it likes, and may be quick.
        if _thread.get_ident() == self.thread:
            self.asked.append(name)

sys.path[:0] = sys.argv[1:]
watch = Watch()
sys.meta_path.insert(0, watch)
{code}
print(*watch.asked)
"""

ONE_RECORD = """
import pyjama_metrics
pyjama_metrics.record_tool_execution("write-file", "agent", duration_ms=1.5)
"""


def asked_for_by(code: str) -> set[str]:
    """Return the modules that ``code`` asks for in an interpreter without site and its .pth files."""
    packages = sysconfig.get_path("purelib")
    bare = (sys.executable, "-I", "-S", "-c", WATCHED.format(code=code), str(CHECKOUT), packages)
    with run_command(*bare) as child:
        out, err = child.communicate(timeout=30)
    assert (err, child.returncode) == ("", 0)
    return set(out.split())


def heavy_or_foreign(names: set[str]) -> set[str]:
    """Return those of ``names`` that a record must not load: heavy ones, and those of third parties."""
    ours = sys.stdlib_module_names | {"pyjama_metrics"}
    return {name for name in names if name in TOO_HEAVY or name.partition(".")[0] not in ours}


def test_a_first_record_loads_nothing_heavy_and_nothing_foreign(home: Path) -> None:
    """A hook lives for 30 ms: json and typing are too much for it, and so is any third-party package."""
    asked = asked_for_by(ONE_RECORD)
    assert heavy_or_foreign(asked) == set()
    assert any(b"write-file" in file.read_bytes() for file in (home / "journal").iterdir())


def test_the_front_door_alone_loads_next_to_nothing() -> None:
    """Importing the package opens its own file and the version; each call is loaded when it is first used."""
    assert asked_for_by("import pyjama_metrics") <= {"__future__", "pyjama_metrics", "pyjama_metrics.version"}


@pytest.mark.parametrize("name", ["json", "typing", "importlib.metadata", "orjson", "portalocker", "flask"])
def test_the_watch_sees_a_module_that_is_too_much(name: str) -> None:
    """It would notice: the same interpreter has them all within reach."""
    assert name in heavy_or_foreign(asked_for_by(f"import {name}"))


ONE_HOOK = """
import os
from pyjama_metrics.integrations import hook
hook.record("claude-code", b'{"session_id": "s", "hook_event_name": "Stop", "session_crons": [1.5]}', 1)
"""


def test_a_hook_loads_nothing_heavy_nothing_foreign_and_little_at_all(home: Path) -> None:
    """It is a process for each event: of ours it loads what one line needs, and of the library next to nothing."""
    asked = asked_for_by(ONE_HOOK)
    assert heavy_or_foreign(asked) == set()
    library = {name for name in asked if not name.startswith("pyjama_metrics")}
    started_with = {"os", "stat", "_stat", "posixpath", "genericpath", "_collections_abc"}
    assert library <= {"__future__", "_json", "errno", "fcntl", "encodings.ascii"} | started_with
    assert len(asked) - len(library) <= 20
    assert any(b'"Stop"' in file.read_bytes() for file in (home / "journal").iterdir())
