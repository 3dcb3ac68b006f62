"""The launcher: a file in the user's data folder that runs the hook, whatever becomes of the environment that installed it."""

from __future__ import annotations

import os
import shlex
import sys

from pyjama_metrics.storage import files, places

NAME = "pyjama-metrics-hook"


def path() -> str:
    """Where the launcher is, or would be."""
    return os.path.join(places.data_folder(), NAME)


def ensure(executable: str = sys.executable) -> str:
    """Make the launcher, or bring it up to date; its absolute path. Raises OSError."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = (
        f"import sys; sys.path.insert(0, {root!r})\n"
        "try:\n    from pyjama_metrics.integrations.hook import main\nexcept ImportError:\n    sys.exit(0)\nmain(sys.argv[1:])"
    )
    text = (
        f"#!/bin/sh\n[ -x {shlex.quote(executable)} ] || exit 0\n"
        f'exec {shlex.quote(executable)} -I -S -c {shlex.quote(code)} "$@" 2>/dev/null\n'
    )
    files.make_folder(places.data_folder())
    beside = files.write_beside(path(), text.encode(), f".{os.getpid()}.new")
    os.chmod(beside, 0o700)
    os.replace(beside, path())
    return path()


def remove() -> None:
    """Remove the launcher; it may be gone already. Raises OSError."""
    files.remove(path())
