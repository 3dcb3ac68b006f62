"""Descriptors that carry a lock: a forked child closes them at once, and unlocks nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pyjama_metrics.storage import descriptors, owners

FLAGS = os.O_RDWR | os.O_CREAT


def in_child(question: str, **names: object) -> bool:
    """The answer of a forked child to a question in Python."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if eval(question, {"os": os, "is_open": is_open, **names}) else 1)
        finally:
            os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, 1)
    return status == 0


def is_open(descriptor: int) -> bool:
    """Whether a descriptor leads anywhere."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a file."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not owners.try_lock(descriptor)
    finally:
        os.close(descriptor)


def test_a_forked_child_has_the_carriers_closed_and_the_parent_keeps_its_lock(tmp_path: Path) -> None:
    """An flock belongs to the open file that both share: unlocking would free the parent's."""
    carrier = descriptors.open_carrier(str(tmp_path / "file"), FLAGS)
    try:
        assert owners.try_lock(carrier)
        assert in_child("not is_open(carrier)", carrier=carrier)
        assert is_open(carrier)
        assert is_locked(tmp_path / "file")
    finally:
        descriptors.close_carrier(carrier)
    assert not is_locked(tmp_path / "file")


def test_a_moved_carrier_keeps_its_lock_and_is_closed_in_a_child_too(tmp_path: Path) -> None:
    """Under its new number; the old one is free again."""
    low = descriptors.open_carrier(str(tmp_path / "file"), FLAGS)
    assert owners.try_lock(low)
    high = descriptors.move_up(low, 300)
    try:
        assert high >= 300
        assert not is_open(low)
        assert is_locked(tmp_path / "file")
        assert in_child("not is_open(high)", high=high)
    finally:
        descriptors.close_carrier(high)


def test_where_high_numbers_are_not_allowed_the_carrier_stays_where_it_is(tmp_path: Path) -> None:
    """A low limit on open files is no reason to fail."""
    carrier = descriptors.open_carrier(str(tmp_path / "file"), FLAGS)
    try:
        assert descriptors.move_up(carrier, 2**30) == carrier
    finally:
        descriptors.close_carrier(carrier)


def test_a_number_changes_its_file_in_one_step(tmp_path: Path) -> None:
    """The former file comes back under another number, with its lock."""
    one = descriptors.open_carrier(str(tmp_path / "one"), FLAGS)
    two = descriptors.open_carrier(str(tmp_path / "two"), FLAGS)
    assert owners.try_lock(one)
    former = descriptors.put_in_place(two, one)
    try:
        os.write(one, b"new")
        os.write(former, b"former")
        assert ((tmp_path / "two").read_bytes(), (tmp_path / "one").read_bytes()) == (b"new", b"former")
        assert is_locked(tmp_path / "one")
        assert in_child("not is_open(one) and not is_open(former)", one=one, former=former)
    finally:
        descriptors.close_carrier(one)
        descriptors.close_carrier(former)


def test_a_forgotten_number_is_left_to_its_new_owner_also_in_a_child(tmp_path: Path) -> None:
    """Somebody closed ours, and opened a file of theirs."""
    carrier = descriptors.open_carrier(str(tmp_path / "file"), FLAGS)
    descriptors.forget(carrier)
    try:
        assert in_child("is_open(carrier)", carrier=carrier)
    finally:
        os.close(carrier)


def test_carriers_are_not_inherited_over_exec_and_follow_no_link(tmp_path: Path) -> None:
    """A program that an agent starts must not keep its lock."""
    carrier = descriptors.open_carrier(str(tmp_path / "file"), FLAGS)
    try:
        assert not os.get_inheritable(carrier)
    finally:
        descriptors.close_carrier(carrier)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="symbolic links"):
        descriptors.open_carrier(str(tmp_path / "link"), FLAGS)


def test_a_fork_at_any_moment_finds_every_carrier(tmp_path: Path) -> None:
    """Also one that another thread is just opening: none is open and not yet noted."""
    stop = threading.Event()

    def open_and_close() -> None:
        while not stop.is_set():
            descriptors.close_carrier(descriptors.open_carrier(str(tmp_path / "busy"), FLAGS))

    thread = threading.Thread(target=open_and_close)
    thread.start()
    try:
        question = "not any(os.path.realpath(f'/proc/self/fd/{name}') == busy for name in os.listdir('/proc/self/fd'))"
        assert all(in_child(question, busy=str(tmp_path / "busy")) for _ in range(50))
    finally:
        stop.set()
        thread.join()


def test_a_child_of_a_child_opens_and_forks_again(tmp_path: Path) -> None:
    """The guard over each fork is free in the child."""
    pid = os.fork()
    if pid == 0:
        try:
            carrier = descriptors.open_carrier(str(tmp_path / "file"), FLAGS)
            os._exit(0 if in_child("not is_open(carrier)", carrier=carrier) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
