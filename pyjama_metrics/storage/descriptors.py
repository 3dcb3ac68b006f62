"""Descriptors that carry a lock, and what a fork does to them.

An ``flock`` belongs to the open file, which a forked child shares. A child that lives on would keep its dead parent's journal
locked (the agent would be shown as running) or the fold lock taken (nothing would be folded any more). So every such
descriptor is opened here, and a child closes all of them before it does anything else. It must not unlock them: that
would free the parent's lock.
"""

from __future__ import annotations

import os
from _thread import RLock  # a hook's process cannot wait for all of threading

_carriers: set[int] = set()
_guard = RLock()
"""Held while a descriptor is opened and noted, and over each fork, so that none escapes in between."""


def open_carrier(path: str, flags: int, mode: int = 0o600) -> int:
    """``os.open`` (never through a symbolic link, never inherited over exec) of a file that is to be locked. Raises OSError."""
    with _guard:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        _carriers.add(descriptor)
    return descriptor


def move_up(descriptor: int, lowest: int) -> int:
    """The same open file under a number of at least ``lowest``, or unchanged where the process may not have so many."""
    import fcntl

    with _guard:
        try:
            high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest)
        except OSError:
            return descriptor
        _carriers.add(high)
        close_carrier(descriptor)
    return high


def put_in_place(descriptor: int, place: int) -> int:
    """Let the number ``place`` mean the file of ``descriptor`` from now on, in one step for all threads.

    Returns a new descriptor of the file that ``place`` meant before; both are the caller's to close.
    """
    with _guard:
        before = os.dup(place)
        _carriers.add(before)
        os.dup2(descriptor, place, inheritable=False)
        close_carrier(descriptor)
    return before


def close_carrier(descriptor: int) -> None:
    """Close it; the lock goes with the last descriptor of the open file."""
    with _guard:
        _carriers.discard(descriptor)
        os.close(descriptor)


def forget(descriptor: int) -> None:
    """The number no longer means our file (somebody else closed it): leave it to whoever has it now."""
    with _guard:
        _carriers.discard(descriptor)


def _close_in_child() -> None:
    global _guard
    _guard = RLock()
    for descriptor in _carriers:
        try:
            os.close(descriptor)
        except OSError:  # closed behind our back before the fork; nothing is left to close
            continue
    _carriers.clear()


os.register_at_fork(
    before=lambda: _guard.acquire() and None,
    after_in_parent=lambda: _guard.release(),
    after_in_child=_close_in_child,
)
