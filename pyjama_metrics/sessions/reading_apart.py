"""Work for several processes: a list of tasks, each of which is some reading, and their results in the order of the tasks.

The processes are forked and do nothing else, so nothing has to be imported or handed over before they begin. What a process that
was killed leaves undone is done here.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import select
import signal
import struct
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_LENGTH = struct.Struct("<Q")
_PIPE_BYTES = 1 << 20
"""How far a process may be ahead of whoever takes its results."""
_AT_ONCE = 1 << 18


def processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def results(
    work: Callable[[Task], Result], tasks: Sequence[Task], weigh: Callable[[Task], int], processes: int
) -> Generator[Result, None, None]:
    """Yield the result of each task, in their order. Close it to stop the processes, if it is not to be exhausted.

    Args:
        work: does a task; it is called in other processes, and here for what they leave undone. It must not raise.
        tasks: what is to be done.
        weigh: how much work a task is, compared with others.
        processes: how many to start; with fewer than two all is done here.
    """
    if processes > 1:
        with closing(_Crew(work, tasks, weigh, processes)) as crew:
            yield from crew.results()
    else:
        yield from map(work, tasks)


class _Crew:
    """Some processes at work."""

    def __init__(self, work: Callable[[Any], Any], tasks: Sequence[Any], weigh: Callable[[Any], int], processes: int) -> None:
        self._work, self._tasks = work, tasks
        self._members: dict[int, _Member] = {}
        self._whose: list[int] = []
        shares: list[list[int]] = [[] for _ in range(processes)]
        loads = [0] * processes
        for number, task in enumerate(tasks):
            least = loads.index(min(loads))
            shares[least].append(number)
            loads[least] += weigh(task) + 1
            self._whose.append(least)
        try:
            for place, share in enumerate(shares):
                with suppress(OSError):  # there may be no room for another process: its share is done here
                    self._members[place] = _Member(work, tasks, share)
        except BaseException:
            self.close()
            raise

    def results(self) -> Iterator[Any]:
        waiting: dict[int, Any] = {}
        for number, task in enumerate(self._tasks):
            while number not in waiting and self._whose[number] in self._members:
                self._receive(waiting)
            yield waiting.pop(number) if number in waiting else self._work(task)

    def _receive(self, waiting: dict[int, Any]) -> None:
        by_pipe = {member.pipe: place for place, member in self._members.items()}
        for pipe in select.select(list(by_pipe), [], [])[0]:
            member = self._members[by_pipe[pipe]]
            if not member.receive(waiting):
                del self._members[by_pipe[pipe]]
                member.end()

    def close(self) -> None:
        """End the processes that are left."""
        for member in self._members.values():
            member.end()
        self._members.clear()


class _Member:
    """One process, and the end of the pipe through which its results come."""

    def __init__(self, work: Callable[[Any], Any], tasks: Sequence[Any], share: list[int]) -> None:
        self.pipe, theirs = os.pipe()
        with suppress(OSError, AttributeError):
            fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        # Who started it ends it: were it stopped by Ctrl-C before it knows what it is, it would go on as if it were us.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process = os.fork()
            if not self._process:
                _work_off(work, tasks, share, theirs)
        except OSError:
            os.close(self.pipe)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(theirs)
        self._received = bytearray()

    def receive(self, waiting: dict[int, Any]) -> bool:
        """Take what there is; whether more may come."""
        got = os.read(self.pipe, _AT_ONCE)
        self._received += got
        begin = 0
        while begin + _LENGTH.size <= len(self._received):
            end = begin + _LENGTH.size + _LENGTH.unpack_from(self._received, begin)[0]
            if end > len(self._received):
                break
            number, result = pickle.loads(memoryview(self._received)[begin + _LENGTH.size : end])
            waiting[number] = result
            begin = end
        del self._received[:begin]
        return bool(got)

    def end(self) -> None:
        os.close(self.pipe)
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)


def _work_off(work: Callable[[Any], Any], tasks: Sequence[Any], share: list[int], pipe: int) -> None:
    """Be such a process. Does not return."""
    try:
        for number in share:
            data = pickle.dumps((number, work(tasks[number])), pickle.HIGHEST_PROTOCOL)
            view = memoryview(_LENGTH.pack(len(data)) + data)
            while view:
                view = view[os.write(pipe, view) :]
    finally:
        # Whatever happened, nothing of the other process may be run a second time here, and nothing is to be said.
        os._exit(0)
