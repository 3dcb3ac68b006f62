"""The fold lock: one holder among processes and threads, freed by any end, never on a file that is not there any more."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import portalocker
import portalocker.exceptions
import pytest

from pyjama_metrics.errors import FolderUnusable, LockTimeout
from pyjama_metrics.storage import lock
from pyjama_metrics.storage.lock import FoldLock, holder
from tests.waiting import run_python, wait_until

HOLDER = """
    import os, sys
    from pyjama_metrics.storage.lock import FoldLock
    with FoldLock(sys.argv[1]).held(None):
        {more}
        print("held", flush=True)
        input()
"""


def at(home: Path) -> str:
    """Where the lock of a hub lies."""
    return str(home / "metrics.json.lock")


def opened(path: str) -> int:
    """How many descriptors of this process lead to a file."""
    return [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")].count(path)


def is_free(home: Path) -> bool:
    """Whether the lock can be had at once."""
    try:
        with FoldLock(at(home)).held(0.0):
            return True
    except LockTimeout:
        return False


@pytest.mark.parametrize("more", ["pass", "os.fork() or os.read(0, 1) or os._exit(0)"], ids=["alone", "with a forked child"])
def test_a_killed_holder_frees_the_lock(home: Path, more: str) -> None:
    """Also where a child that it forked while holding it lives on."""
    with run_python(HOLDER.format(more=more), at(home)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert not is_free(home)
        assert holder(at(home)) == child.pid
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        wait_until(lambda: is_free(home), 2, "the lock")
    assert holder(at(home)) is None


def test_threads_of_one_process_exclude_each_other(home: Path) -> None:
    """Each holder opens the file anew."""
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with FoldLock(at(home)).held(10.0):
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == 1


@pytest.mark.parametrize("wait", [0.0, 0.05])
def test_who_does_not_get_it_in_time_is_told_for_how_long_it_waited(home: Path, wait: float) -> None:
    """In a sentence that says what to do."""
    with (
        FoldLock(at(home)).held(None),
        pytest.raises(LockTimeout, match=f"for more than {wait:g} s"),
        FoldLock(at(home)).held(wait),
    ):
        pass


def test_a_waiter_gets_it_as_soon_as_it_is_free(home: Path) -> None:
    """With a deadline and without one."""
    for wait in (10.0, None):
        got = threading.Event()

        def waiter(wait: float | None = wait, got: threading.Event = got) -> None:
            with FoldLock(at(home)).held(wait):
                got.set()

        thread = threading.Thread(target=waiter)
        with FoldLock(at(home)).held(0.0):
            thread.start()
            assert not got.wait(0.02)
        assert got.wait(1.0)
        thread.join()


def test_a_lock_on_a_removed_file_is_not_taken_for_one(home: Path) -> None:
    """The folder was removed while somebody waited: the waiter locks the new file, not the dead one."""
    entered = threading.Event()

    def waiter() -> None:
        with FoldLock(at(home)).held(None) as held:
            assert held.is_in_place()
            entered.set()

    thread = threading.Thread(target=waiter)
    with FoldLock(at(home)).held(0.0) as held:
        thread.start()
        wait_until(lambda: opened(at(home)) == 2, what="the waiter")
        shutil.rmtree(home)
        assert not held.is_in_place()
    assert entered.wait(2.0)
    thread.join()


def test_the_lock_file_is_never_replaced_or_removed(home: Path) -> None:
    """Its inode stays, so everybody locks the same file."""
    inodes = set()
    for _ in range(3):
        with FoldLock(at(home)).held(0.0):
            inodes.add(os.stat(at(home)).st_ino)
    assert len(inodes) == 1


def test_an_exception_in_the_block_frees_the_lock(home: Path) -> None:
    """And passes on unchanged."""
    with pytest.raises(ZeroDivisionError), FoldLock(at(home)).held(0.0):
        1 / 0  # noqa: B018
    assert is_free(home)


def test_a_place_where_nothing_can_be_made_is_unusable(home: Path) -> None:
    """The error names the folder and the reason."""
    home.write_text("a file")
    with pytest.raises(FolderUnusable, match=str(home)), FoldLock(at(home)).held(0.0):
        pass


def test_nobody_holds_a_lock_that_is_not_there(home: Path) -> None:
    """Asking is no error."""
    assert holder(at(home)) is None


MAPPED = {
    "AlreadyLocked": LockTimeout,
    "LockException": FolderUnusable,
    "LockLostError": FolderUnusable,
    "FileToLarge": None,  # raised by portalocker.Lock only, which we do not use
    "BaseLockException": None,  # the root of the tree; nothing raises it itself
}


def test_every_exception_of_portalocker_is_translated() -> None:
    """A new version may bring one that nobody thought of: decide what it becomes, and add it here."""
    theirs = {
        name
        for name, value in vars(portalocker.exceptions).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == portalocker.exceptions.__name__
    }
    assert theirs == set(MAPPED)


@pytest.mark.parametrize("name", [name for name, ours in MAPPED.items() if ours])
def test_no_exception_of_portalocker_leaves_the_room(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Callers know the error tree of ours alone."""
    error, ours = getattr(portalocker.exceptions, name), MAPPED[name]
    assert ours is not None

    class Refusing:
        def lock(self, *_: object) -> None:
            raise error("refused")

    monkeypatch.setattr(lock, "_LOCKER", Refusing())
    with pytest.raises(ours), FoldLock(at(home)).held(0.0):
        pass


def test_the_lock_is_a_flock_whatever_the_program_around_us_prefers(home: Path) -> None:
    """POSIX record locks would be lost with any close of the file in the same process."""
    with FoldLock(at(home)).held(0.0):
        with contextlib.suppress(OSError):
            os.close(os.open(at(home), os.O_RDWR))
        assert not is_free(home)
        assert holder(at(home)) == os.getpid()
