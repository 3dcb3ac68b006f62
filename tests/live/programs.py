"""The real programs, in fixed versions, from npm: installed once into a folder that all tests share.

Nothing that a package would like to run at its installation is run. Where something is missing (npm, a network, a build for this
platform), `program` raises `NotHere`, which says what.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# Tests change HOME and PATH for themselves; the programs are those of whoever runs the tests.
_ENVIRONMENT = dict(os.environ)
_LONGEST = 240
"""Seconds that one installation may take."""

_PACKAGES = {"claude": "@anthropic-ai/claude-code", "codex": "@openai/codex"}
_NATIVE = {"claude": "*/claude-code-*/claude", "codex": "*/codex-*/vendor/*/bin/codex"}
_SCRIPTS = {"claude": "@anthropic-ai/claude-code/cli.js"}
"""Older versions are scripts for Node.js."""


class NotHere(Exception):
    """A program cannot be had on this machine, for the reason given."""


class Program(NamedTuple):
    """A program that is installed."""

    name: str
    """What users type."""
    version: str
    path: Path

    @property
    def is_native(self) -> bool:
        """Whether its process is called as itself; otherwise it is Node.js that runs."""
        return self.path.suffix != ".js"


def folder() -> Path:
    """Where the programs are kept."""
    told = _ENVIRONMENT.get("PYJAMA_TEST_PROGRAMS")
    if told:
        return Path(told).absolute()
    cache_folder = _ENVIRONMENT.get("XDG_CACHE_HOME") or str(Path(_ENVIRONMENT.get("HOME", "/"), ".cache"))
    return Path(cache_folder, "pyjama-metrics", "test-programs")


@cache
def program(name: str, version: str) -> Program:
    """The program of that name and version, installed where it was not. Raises `NotHere`."""
    place = folder() / f"{name}-{version}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with _alone(place):
            return Program(name, version, _found(place, name) or _installed(place, name, version))
    except OSError as error:
        raise NotHere(f"The folder {place} for {name} {version} cannot be used: {error.strerror or error}.") from error


def node() -> str | None:
    """The folder of Node.js, in which older versions run."""
    found = shutil.which("node", path=_ENVIRONMENT.get("PATH"))
    return found and os.path.dirname(found)


def _found(place: Path, name: str) -> Path | None:
    modules = place / "node_modules"
    # Builds for two C libraries may lie side by side; that for the usual one runs where both do.
    native = sorted(modules.glob(_NATIVE[name]), key=lambda path: ("musl" in str(path), path))
    for path in native:
        if os.access(path, os.X_OK) and _starts(path):
            return path
    script = modules / _SCRIPTS[name] if name in _SCRIPTS else None
    if script is None or not script.is_file():
        return None
    if node() is None:
        raise NotHere(f"Node.js is not installed, and {name} in {place} needs it.")
    return script


@cache
def _starts(path: Path) -> bool:
    """Whether that is a program for this machine."""
    try:
        return subprocess.run([path, "--version"], env=_bare(path.parents[1]), capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _bare(home: Path) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "DISABLE_AUTOUPDATER": "1"}


def _installed(place: Path, name: str, version: str) -> Path:
    npm = shutil.which("npm", path=_ENVIRONMENT.get("PATH"))
    if npm is None:
        raise NotHere(f"npm is not installed, and {name} {version} is not in {place}.")
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", f"--prefix={place}"]
    try:
        done = subprocess.run(
            [npm, "install", *options, f"{_PACKAGES[name]}@{version}"],
            cwd=place,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
        )
    except subprocess.TimeoutExpired as error:
        raise NotHere(f"npm did not install {name} {version} within {_LONGEST} s.") from error
    if done.returncode:
        raise NotHere(f"npm cannot install {name} {version}: {_first_line(done.stderr)}")
    found = _found(place, name)
    if found is None:
        raise NotHere(f"{name} {version} has no build that runs on this machine.")
    return found


def _first_line(text: str) -> str:
    said = [line for line in text.splitlines() if line.strip()]
    return said[0] if said else "it did not say why."


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Keep other processes of the same tests from installing the same."""
    with (place / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
