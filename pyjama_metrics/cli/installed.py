"""What ``claude`` and ``codex`` print alike: what an install did, what is there, what is wrong."""

from __future__ import annotations

import difflib
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pyjama_metrics.cli import terminal
from pyjama_metrics.cli.terminal import Cell, Column, Screen

if TYPE_CHECKING:
    from pyjama_metrics.integrations.inspection import Hooks, Launcher
    from pyjama_metrics.integrations.programs import Version
    from pyjama_metrics.integrations.settings_files import Change

_WIDTH = 9
_COLUMNS = (Column("SCOPE"), Column("SETTINGS", names=True), Column("HOOKS"), Column("STATUS LINE"), Column("OTHERS", right=True))


def tell(screen: Screen, word: str, text: str) -> None:
    """One fact behind its word."""
    screen.line(f"{screen.paint(f'{word:<{_WIDTH}}', 'grey')}  {terminal.printable(text)}")


def tell_change(screen: Screen, change: Change, done: str) -> None:
    """What became of a file."""
    what = done if change.is_change else "nothing to do"
    if change.is_change and change.after is None:
        what = "removed: it was made for this"
    elif change.exactly:
        what = "as it was before, byte for byte" if change.is_change else "nothing to do"
    tell(screen, "settings", f"{change.path}: {what}")


def tell_backup(screen: Screen, change: Change, why: str) -> None:
    """Where the copy of a file is, if there is one."""
    if change.backup is not None:
        tell(screen, "backup", f"{change.backup} {why}")


def print_difference(screen: Screen, changes: Iterable[Change]) -> None:
    """What a change would do, as a diff."""
    for change in changes:
        before, after = (
            (data or b"").decode("utf-8", "backslashreplace").splitlines(keepends=True) for data in (change.before, change.after)
        )
        names = [change.path if data is not None else "/dev/null" for data in (change.before, change.after)]
        for line in difflib.unified_diff(before, after, names[0], names[1]):
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[0], "") if not line.startswith(("+++", "---")) else "bold"
            screen.line(screen.paint(terminal.printable(line.rstrip("\r\n")), colour))
    if not any(change.is_change for change in changes):
        screen.line("Nothing would change.")


def change_as_json(change: Change, done: bool) -> dict[str, Any]:
    """The same for programs."""
    return {
        "path": change.path,
        "changed": change.is_change and done,
        "would-change": change.is_change,
        "exactly-as-before": change.exactly,
        "exists": change.after is not None,
        "backup": change.backup,
    }


def print_status(
    screen: Screen,
    title: str,
    version: str | None,
    found: Sequence[Hooks],
    launcher: Launcher,
    last_ms: int | None,
    problems: Sequence[str],
    notes: Sequence[str] = (),
) -> None:
    """What is there, and what is wrong."""
    tell(screen, "program", f"{title} {version or '(version unknown)'}")
    took = terminal.duration(launcher.duration_ms)
    tell(screen, "launcher", f"{launcher.path}{f', {took} for an empty event' if took else ''}")
    now_ms = int(time.time() * 1000)
    tell(screen, "last event", terminal.ago(last_ms, now_ms) or "none is kept")
    for note in notes:
        tell(screen, "note", note)
    screen.line()
    screen.table(_COLUMNS, [_row(screen, each) for each in found])
    screen.line()
    if not problems:
        screen.line(screen.paint("All is well.", "green"))
    for problem in problems:
        screen.line(f"{screen.paint('problem', 'red')}: {terminal.printable(problem)}")


def status_as_json(
    version: str | None, found: Sequence[Hooks], launcher: Launcher, last_ms: int | None, problems: Sequence[str]
) -> dict[str, Any]:
    """The same for programs."""
    return {
        "ok": not problems,
        "version": version,
        "settings": [
            {
                "path": each.path,
                "scope": each.scope,
                "exists": each.exists,
                "installed": each.is_installed,
                "events": list(each.events),
                "missing": list(each.missing) if each.events else [],
                "surplus": list(each.surplus),
                "outdated": list(each.outdated),
                "hooks-off": each.is_off,
                "hooks-of-others": each.others,
                "status-line": each.statusline,
            }
            for each in found
        ],
        "launcher": {
            "path": launcher.path,
            "exists": launcher.exists,
            "works": not launcher.problem,
            "duration-ms": launcher.duration_ms,
        },
        "last-event": last_ms,
        "problems": list(problems),
    }


def screen() -> Screen:
    """Where it is printed."""
    return Screen(sys.stdout)


def _row(screen: Screen, found: Hooks) -> list[Cell | str]:
    if found.unreadable is not None:
        hooks = Cell("cannot be read", "red")
    elif found.events:
        odd = found.missing or found.surplus or found.outdated or found.is_off
        hooks = Cell(terminal.things(len(found.events), "event"), "yellow" if odd else "green")
    else:
        hooks = Cell("none" if found.exists else "no such file", "grey")
    return [found.scope, found.path, hooks, "ours" if found.statusline else screen.figure(None), str(found.others)]


def make_launchers(makers: Iterable[Callable[[], str]], path: str) -> None:
    """Make the files that the other program will call. Raises SettingsRefused where they cannot be made."""
    from pyjama_metrics.integrations.settings_files import refused_by_system

    try:
        for make in makers:
            make()
    except OSError as error:
        raise refused_by_system(path, error) from None


def remove_launchers() -> list[str]:
    """Remove those files, if nothing calls them any more; else the settings that do."""
    from pyjama_metrics.integrations import launcher, statusline_launcher
    from pyjama_metrics.integrations.settings_files import receipts, refused_by_system, tidy

    elsewhere = [receipt.path for receipt in receipts() if os.path.exists(receipt.path)]
    if not elsewhere:
        try:
            launcher.remove()
            statusline_launcher.remove()
            tidy()
        except OSError as error:
            raise refused_by_system(launcher.path(), error) from None
    return elsewhere


def tell_removed(screen: Screen, changes: Sequence[Change], elsewhere: Sequence[str]) -> None:
    """What an uninstall did."""
    for change in changes:
        tell_change(screen, change, "our entries are out; others had changed it, and that stays")
        tell_backup(screen, change, "is what it was before the install; remove it when you like")
    tell(screen, "launcher", "stays" if elsewhere else "removed")
    for path in elsewhere:
        tell(screen, "note", f"still installed in {path}")


def version_of(program: str, told: str | None, example: str, consequence: str) -> tuple[Version | None, str]:
    """The version of a program, as a person told it or as it says itself; None and why not, where it is not known."""
    from pyjama_metrics.integrations import programs

    if told is None:
        version, why = programs.installed_version(program)
        return version, f"of unknown version ({why}), {consequence}"
    version = programs.version_in(told)
    if version is None:
        terminal.complain(f"{told[:60]!r} is not a version: write it as {example}.")
        raise SystemExit(2)
    return version, ""


def shown(version: Version | None) -> str | None:
    """A version as people write it."""
    from pyjama_metrics.integrations import programs

    return None if version is None else programs.shown(version)
