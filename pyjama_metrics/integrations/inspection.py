"""Whether what was installed into other programs is there, whole and at work. Looking changes nothing."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass

from pyjama_metrics import settings
from pyjama_metrics.integrations import hook_entries, json_text, launcher
from pyjama_metrics.integrations.settings_files import SettingsRefused, look
from pyjama_metrics.storage import names

LONGEST_WAIT = 5.0
"""Seconds that the launcher may take; more would hold up every tool call."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What one settings file has.

    Attributes:
        path: of the file.
        scope: whose settings they are.
        exists: whether there is such a file.
        unreadable: why nothing can be said about it, as a sentence; None where it can.
        events: events with a handler of ours.
        missing: events that the installed version knows and that have none.
        surplus: events that have one and should not: the version does not know them, or has another handler of ours.
        outdated: events whose handler is not what an install would write.
        is_off: whether the file switches all hooks off.
        others: handlers that are not ours.
        statusline: whether our status line is there.
    """

    path: str
    scope: str
    exists: bool
    unreadable: str | None = None
    events: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    is_off: bool = False
    others: int = 0
    statusline: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether anything of ours is in it."""
        return bool(self.events or self.statusline)

    def problems(self, program: str) -> list[str]:
        """What is wrong with it, in sentences."""
        again = f"run 'pyjama-metrics {program} install' again"
        found = [] if self.unreadable is None else [self.unreadable]
        if self.is_off:
            found.append(f"{self.path} switches all hooks off (disableAllHooks): set that to false, or nothing arrives.")
        if not self.events:
            return found
        for what, which in (
            ("No hook for", self.missing),
            ("A hook too many for", self.surplus),
            ("An older hook for", self.outdated),
        ):
            if which:
                found.append(f"{what} {', '.join(which)} in {self.path}: {again}.")
        return found


@dataclass(frozen=True, slots=True)
class Launcher:
    """How the launcher does.

    Attributes:
        path: where it is, or should be.
        exists: whether it is there.
        problem: what is wrong with it, as a sentence; None where nothing is.
        duration_ms: how long it took for a payload of two bytes; None where it did not run.
    """

    path: str
    exists: bool
    problem: str | None
    duration_ms: float | None


def hooks_in(path: str, scope: str, wanted: hook_entries.Handlers) -> Hooks:
    """What a settings file has, compared with what an install would put into it."""
    try:
        found = look(path)
        text = found.text
        if found.data is None or not text.strip("\ufeff \t\r\n"):
            return Hooks(path, scope, found.data is not None)
        root = json_text.parse(text)
    except SettingsRefused as refused:
        return Hooks(path, scope, True, f"{path} cannot be used: {refused.reason}. {refused.remedy}")
    except json_text.JsonBroken as broken:
        return Hooks(path, scope, True, f"{path} is not JSON ({broken}). Mend it there in an editor.")
    handlers: dict[str, list[json_text.Plain]] = {}
    for place in hook_entries.own(root, launcher.NAME):
        if place.event.key is not None:
            handlers.setdefault(place.event.key.value, []).append(json_text.plain(place.handler.value))
    off = root.get("disableAllHooks")
    return Hooks(
        path,
        scope,
        True,
        events=tuple(handlers),
        missing=tuple(event for event in wanted if event not in handlers),
        surplus=tuple(event for event, found_there in handlers.items() if event not in wanted or len(found_there) > 1),
        outdated=tuple(event for event, there in handlers.items() if event in wanted and there[0] != wanted[event]),
        is_off=off is not None and off.value == "true",
        others=hook_entries.others(root, launcher.NAME),
    )


def try_launcher(word: str) -> Launcher:
    """Run the launcher as the program ``word`` would, with an empty payload: it has to end with 0, and to say nothing."""
    path = launcher.path()
    again = f"Run 'pyjama-metrics {word} install' again."
    if not os.path.isfile(path):
        return Launcher(path, False, f"The launcher {path} is missing. {again}", None)
    begun = time.perf_counter()
    try:
        done = subprocess.run([path, word], input=b"{}", capture_output=True, timeout=LONGEST_WAIT, check=False)
    except subprocess.TimeoutExpired:
        return Launcher(path, True, f"The launcher {path} did not end within {LONGEST_WAIT:g} s. {again}", None)
    except OSError as error:
        return Launcher(path, True, f"The launcher {path} cannot be run ({error.strerror}). {again}", None)
    duration = (time.perf_counter() - begun) * 1000
    if done.returncode or done.stdout or done.stderr:
        said = ", and says something" if done.stdout or done.stderr else ""
        return Launcher(path, True, f"The launcher {path} ends with {done.returncode}{said}. {again}", duration)
    return Launcher(path, True, None, duration)


def last_event_ms(source: str) -> int | None:
    """When a session of a program told something last, in ms since the epoch; None where none ever did, as far as is kept."""
    folder, latest = names.journal_folder(settings.home()), None
    try:
        entries = os.listdir(folder)
    except OSError:
        return None
    for entry in entries:
        if entry.startswith(f"{source}-") and names.segment_parts(entry) is not None:
            try:
                time_ms = os.stat(os.path.join(folder, entry)).st_mtime_ns // 1_000_000
            except OSError:
                continue  # whoever folds removed it since we looked
            latest = time_ms if latest is None else max(latest, time_ms)
    return latest
