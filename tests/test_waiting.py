"""The tools of the tests keep promises of their own."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.waiting import run_command, run_python, wait_until

CHECKOUT = Path(__file__).parent.parent

LEAKING_TESTS = """
import os, threading
kept, stop = [], threading.Event()

def test_a_descriptor():
    kept.append(os.open(os.devnull, os.O_RDONLY))

def test_a_thread():
    threading.Thread(target=stop.wait, daemon=True, name="forgotten").start()

def test_neither():
    with open(os.devnull):
        thread = threading.Thread(target=stop.wait, args=(0.05,))
        thread.start()
"""


def test_waiting_ends_with_the_first_value_that_is_true() -> None:
    """The value itself is returned, so that a test can go on with what it waited for."""
    values = iter([None, 0, "here", "later"])
    assert wait_until(lambda: next(values)) == "here"


def test_waiting_in_vain_says_for_what_and_what_was_there() -> None:
    """A red test names the condition and its last value."""
    with pytest.raises(AssertionError, match=r"^Waited 0\.05 s for the third run; the last value was 0\.$"):
        wait_until(lambda: 0, timeout=0.05, what="the third run")


def test_a_child_gets_its_arguments_and_a_changed_environment() -> None:
    """None takes a variable away, text sets it, everything else is inherited."""
    code = "import os, sys; print(sys.argv[1:], os.environ.get('PYJAMA_HOME'), os.environ.get('PYJAMA_NEW'))"
    with run_python(code, "a", "b", env={"PYJAMA_HOME": None, "PYJAMA_NEW": "n"}) as child:
        out, err = child.communicate(timeout=10)
    assert (out, err, child.returncode) == ("['a', 'b'] None n\n", "", 0)


def test_a_child_that_would_run_for_ever_is_dead_after_the_block() -> None:
    """Also when an exception leaves the block, and with input in its pipe that nobody read."""
    with suppress(ZeroDivisionError), run_python("import time; time.sleep(1000)") as child:
        child.stdin.write("never read")
        _ = 1 / 0
    assert child.returncode == -9
    assert all(pipe.closed for pipe in (child.stdin, child.stdout, child.stderr))


def test_what_a_test_leaves_behind_makes_it_fail(tmp_path: Path) -> None:
    """A descriptor or a thread that outlives its test is an error of that test, and of no other."""
    shutil.copy(CHECKOUT / "conftest.py", tmp_path)
    (tmp_path / "test_leaks.py").write_text(LEAKING_TESTS)
    pytest_here = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))
    with run_command(*pytest_here, env={"PYTHONPATH": str(CHECKOUT), "COLUMNS": "300"}, cwd=str(tmp_path)) as run:
        out, _ = run.communicate(timeout=60)
    assert "ERROR test_leaks.py::test_a_descriptor - Failed: The test left descriptors behind" in out
    assert "ERROR test_leaks.py::test_a_thread - Failed: The test left threads behind: <Thread(forgotten" in out
    assert "3 passed, 2 errors" in out
