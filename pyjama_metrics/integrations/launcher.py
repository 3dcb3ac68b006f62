"""The launcher: a small program at a fixed place that is written into other programs' settings as their hook.

It starts an interpreter without ``site`` and finds this package by its absolute path, so neither a virtual environment nor PATH
nor a package manager's shim has a part in it. It lies in the user's data folder: ``~/.pyjama`` is what users remove. Where the
package is gone it does nothing, says nothing and exits with 0: a hook that is left behind harms nobody.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.util import find_spec

from pyjama_metrics.storage import files, places

NAME = "pyjama-metrics-hook"
MODE = 0o700
LONGEST_SHEBANG = 120
"""Bytes of the first line that every kernel reads to its end."""
NEEDED = ("orjson", "portalocker", "platformdirs")
"""What whoever folds needs, and where it is has to be written down as well."""


def path() -> str:
    """Where the launcher is, or would be."""
    return os.path.join(os.path.abspath(places.data_folder()), NAME)


def ensure(executable: str = sys.executable) -> str:
    """Make the launcher, or make it anew where it is not what it should be, and return its path. Raises OSError.

    Args:
        executable: the interpreter. That of a virtual environment is replaced by the one from which the environment was made: the
            launcher does without the environment, and then goes on working silently when somebody removes it.
    """
    target, program = path(), os.fsencode(text(executable))
    if _is(target, program):
        return target
    files.make_folder(os.path.dirname(target))
    beside = files.write_beside(target, program, f".{os.getpid()}.tmp")
    try:
        os.chmod(beside, MODE)
        os.replace(beside, target)
    except OSError:
        files.remove(beside)
        raise
    return target


def remove() -> bool:
    """Remove the launcher; whether there was one. Raises OSError."""
    removed = files.remove(path())
    with suppress(OSError):  # it is not empty, or not there
        os.rmdir(places.data_folder())
    return removed


def text(executable: str) -> str:
    """What is in the launcher for this interpreter."""
    base = getattr(sys, "_base_executable", None) if executable == sys.executable else None
    python = os.path.abspath(base or executable)
    code = f"""\
try:
    import sys, time
    begin = time.time_ns()
    sys.path.extend({package_folders()!a})
    from pyjama_metrics.integrations.hook import main
    main(sys.argv[1:], begin)
except BaseException:
    pass
"""
    shebang = f"#!{python} -IS"
    about = (
        "# Made by pyjama-metrics: what other programs call as their hook. Remove it with 'pyjama-metrics claude uninstall'.\n"
    )
    if len(os.fsencode(shebang)) <= LONGEST_SHEBANG and not any(mark.isspace() for mark in python):
        return f"{shebang}\n{about}{code}"
    return f"""\
#!/bin/sh
{about}python={_quoted(python)}
[ -x "$python" ] && exec "$python" -IS -c {_quoted(code)} "$@" 2>/dev/null
exit 0
"""


def package_folders() -> list[str]:
    """The folders in which this package is, and those that it needs: an editable installation has them in different ones."""
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found = [own]
    for name in NEEDED:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None and spec.submodule_search_locations:
            folder = os.path.dirname(os.path.dirname(os.path.abspath(spec.origin)))
            if folder not in found:
                found.append(folder)
    return found


def _is(target: str, program: bytes) -> bool:
    try:
        there = files.read_whole(target)
        return there == program and os.lstat(target).st_mode & 0o7777 == MODE
    except OSError:
        return False


def _quoted(word: str) -> str:
    """One word of a shell's command."""
    return "'" + word.replace("'", "'\"'\"'") + "'"
