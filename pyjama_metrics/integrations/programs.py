"""Which version of a program of others is installed: asked of the program itself."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess

Version = tuple[int, int, int]

LONGEST_WAIT = 10.0
"""Seconds for ``--version``: some of these programs need one to start, and five on a busy machine."""
_NUMBERS = re.compile(r"(?<![0-9.])([0-9]{1,5})\.([0-9]{1,5})\.([0-9]{1,5})(?![0-9])")


def version_in(text: str) -> Version | None:
    """The first version in a text.

    >>> version_in("2.1.329 (Claude Code)"), version_in("codex-cli 0.169.0"), version_in("no such command")
    ((2, 1, 329), (0, 169, 0), None)
    """
    found = _NUMBERS.search(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def shown(version: Version) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))


def installed_version(name: str) -> tuple[Version | None, str]:
    """The version that a program says it has, or None and why not, as the end of a sentence."""
    path = shutil.which(name)
    if path is None:
        return None, f"{name} is not on your PATH"
    try:
        # In a group of its own: what a wrapper starts has to end with it.
        child = subprocess.Popen(
            [path, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
        )
    except OSError as error:
        return None, f"{path} cannot be run ({error.strerror})"
    with child:
        try:
            out, _ = child.communicate(timeout=LONGEST_WAIT)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return None, f"'{name} --version' did not answer within {LONGEST_WAIT:g} s"
    version = version_in(out[:4096].decode("utf-8", "replace"))
    return (version, "") if version is not None else (None, f"'{name} --version' answered something else")
