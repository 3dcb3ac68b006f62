"""The file that Claude Code calls for its status line: a small shell script in the user's data folder.

It is a script of the shell so that the user's own status line goes on when the package is gone, or the environment it was in.
"""

from __future__ import annotations

import os
import shlex
import sys

from pyjama_metrics.storage import config, files, places

NAME = "pyjama-metrics-statusline"

_SCRIPT = """\
#!/bin/sh
# Made by 'pyjama-metrics claude install --statusline'; 'pyjama-metrics claude uninstall' removes it.
if [ -x {python} ] && [ -f {script} ]; then
    exec {python} -I -S {script} --config {config} "$@"
fi
while [ $# -gt 1 ]; do
    [ "$1" = --then ] && exec /bin/sh -c "$2"
    shift
done
exit 0
"""


def path() -> str:
    """Where the launcher is, or would be."""
    return os.path.join(places.data_folder(), NAME)


def ensure(executable: str = sys.executable) -> str:
    """Make the launcher, or bring it up to date; its absolute path. Raises OSError."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "statusline.py")
    parts = {"python": executable, "script": script, "config": config.path()}
    text = _SCRIPT.format(**{name: shlex.quote(part) for name, part in parts.items()})
    files.make_folder(places.data_folder())
    beside = files.write_beside(path(), text.encode("utf-8", "surrogateescape"), f".{os.getpid()}.new")
    os.chmod(beside, 0o700)
    os.replace(beside, path())
    return path()


def remove() -> None:
    """Remove the launcher; it may be gone already. Raises OSError."""
    files.remove(path())
