"""Who owns a journal, and whether that owner lives: alive, dead, or unknown, never a guess."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pyjama_metrics.storage import owners
from pyjama_metrics.storage.owners import ALIVE, DEAD, UNKNOWN, process_start, try_lock
from tests.waiting import run_python, wait_until


def verdict(*, boot: str = "b", **changes: Any) -> str:
    """About a session of this process, with some fields of the header changed; None takes one away."""
    usual = {"kind": "session", "boot": "b", "host": "h", "pid": os.getpid(), "process-start": process_start(os.getpid())}
    usual |= {"pid-namespace": owners.pid_namespace()}
    header = usual | {name.replace("_", "-"): value for name, value in changes.items()}
    return owners.verdict({name: value for name, value in header.items() if value is not None}, host="h", boot=boot)


def test_a_process_whose_lock_is_free_is_dead() -> None:
    """Whether its pid is gone, belongs to another process, or cannot be compared."""
    assert verdict(kind="process", pid=2**22 + 1) == DEAD
    assert verdict(kind="process", process_start=1) == DEAD
    assert verdict(kind="process", process_start=None) == DEAD
    assert verdict(kind="process", pid="x") == DEAD
    assert verdict(kind="process", pid_namespace="pid:[1]") == DEAD
    assert verdict(kind=None, pid=None) == DEAD


def test_a_process_that_gave_its_lock_away_and_lives_is_alive() -> None:
    """As a daemon does that closes all its descriptors."""
    assert verdict(kind="process") == ALIVE


def test_a_session_lives_as_long_as_its_process() -> None:
    """The pid together with the start time names one process only."""
    assert verdict() == ALIVE
    assert verdict(process_start=1) == DEAD
    assert verdict(pid=2**22 + 1) == DEAD


def test_a_session_whose_start_was_not_to_be_found_out_goes_by_the_pid_alone() -> None:
    """As on systems without /proc."""
    assert verdict(process_start=None) == ALIVE
    assert verdict(process_start=None, pid=2**22 + 1) == DEAD


@pytest.mark.parametrize("kind", ["process", "session"])
def test_another_boot_is_unknown(kind: str) -> None:
    """Also on this machine: the file may lie on a disk that two machines share."""
    assert verdict(kind=kind, boot="other") == UNKNOWN


def test_without_boot_ids_the_host_must_be_the_same() -> None:
    """Some systems have none."""
    assert verdict(boot="", kind="process", process_start=1) == DEAD
    assert verdict(boot="", kind="process", host="elsewhere") == UNKNOWN


@pytest.mark.parametrize("pid", ["7", None, 1.5, [], {}])
def test_a_session_without_a_usable_pid_is_unknown(pid: object) -> None:
    """A foreign header is not believed."""
    assert verdict(pid=pid) == UNKNOWN


def test_a_session_of_another_container_is_unknown() -> None:
    """Its pids are not ours."""
    assert verdict(pid_namespace="pid:[1]") == UNKNOWN


def test_an_empty_header_is_unknown() -> None:
    """A journal that was truncated says nothing about its owner."""
    assert owners.verdict({}, host="h", boot="b") == UNKNOWN


def test_a_process_has_a_start_until_it_is_a_zombie() -> None:
    """A zombie is dead, though its pid is still there."""
    with run_python("input()") as child:
        assert process_start(child.pid) == process_start(child.pid) is not None
        child.kill()
        wait_until(lambda: process_start(child.pid) is None, what="the zombie")
        assert os.path.exists(f"/proc/{child.pid}")
    assert process_start(child.pid) is None


def test_a_process_with_any_name_has_a_start() -> None:
    """The second field of /proc/<pid>/stat may hold spaces and brackets."""
    code = """
        open("/proc/self/comm", "w").write("a) S 1 (b")
        print("named", flush=True)
        input()
    """
    with run_python(code) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "named\n"
        assert abs((process_start(child.pid) or 0) - (process_start(os.getpid()) or 0)) < 10**9
        assert (process_start(child.pid) or 0) > (process_start(os.getpid()) or 0)


def test_a_lock_is_exclusive_unless_shared(tmp_path: Any) -> None:
    """And belongs to the open file, not to the process."""
    one, two = (os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        assert try_lock(one, shared=True)
        assert try_lock(two, shared=True)
        assert not try_lock(two)
    finally:
        os.close(one)
        os.close(two)
