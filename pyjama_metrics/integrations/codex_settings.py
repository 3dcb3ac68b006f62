"""What Codex's files are to have of us: hooks in ``hooks.json``, and ``notify`` in ``config.toml`` where nobody else is told."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable

from pyjama_metrics.integrations import hook_entries, json_text, launcher, toml_line
from pyjama_metrics.integrations.hook_entries import WrongShape
from pyjama_metrics.integrations.json_text import Plain
from pyjama_metrics.integrations.programs import Version

TIMEOUT = 5
_AT_THE_END = 3
"""Seconds for SessionEnd: Codex gives no hook more than that."""

_DOCUMENTED = (
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "PostToolUse",
    "PreCompact",
    "PostCompact",
    "SubagentStart",
    "SubagentStop",
    "Stop",
)
_SEEN_SINCE: Version = (0, 169, 0)
_SEEN = ("SessionEnd", "PostModelRequest")
NOTIFY = "notify"


def events(version: Version | None) -> tuple[str, ...]:
    """The events to register for a version; those that are documented for all where it is not known, or older than any seen."""
    return _DOCUMENTED + (_SEEN if version is not None and version >= _SEEN_SINCE else ())


def handlers(version: Version | None, path: str) -> dict[str, dict[str, Plain]]:
    """The handler for each event; ``path`` is that of the launcher."""
    command = f"{shlex.quote(path)} codex"
    return {
        event: {"type": "command", "command": command, "timeout": _AT_THE_END if event == "SessionEnd" else TIMEOUT}
        for event in events(version)
    }


def folder() -> str:
    """Where Codex has its files."""
    return os.path.abspath(os.path.expanduser(os.environ.get("CODEX_HOME") or "~/.codex"))


def hooks_file() -> str:
    """The file of its hooks; it need not exist."""
    return os.path.join(folder(), "hooks.json")


def config_file() -> str:
    """The file of its settings; it need not exist."""
    return os.path.join(folder(), "config.toml")


def with_hooks(wanted: hook_entries.Handlers) -> Callable[[str], str]:
    """What makes hooks with ours out of any."""

    def make(text: str) -> str:
        if not text.strip("\ufeff \t\r\n"):
            return text[: len(text) - len(text.lstrip("\ufeff"))] + hook_entries.put_in("{}\n", wanted, launcher.NAME)
        after = hook_entries.put_in(text, wanted, launcher.NAME)
        _nothing_else_changed(text, after)
        return after

    return make


def without_hooks(text: str, original: str | None) -> str:
    """The hooks without ours."""
    after = hook_entries.take_out(text, launcher.NAME, original)
    _nothing_else_changed(text, after)
    return after


def has_hooks(text: str) -> bool:
    """Whether there are hooks of ours; what is no JSON has none."""
    try:
        return any(hook_entries.own(json_text.parse(text), launcher.NAME))
    except json_text.JsonBroken:
        return False


def with_notify(path: str) -> Callable[[str], str]:
    """What makes settings that tell our launcher, at ``path``, out of those that tell nobody."""
    words = [path, "codex"]

    def make(text: str) -> str:
        told = toml_line.parse(text).get(NOTIFY)
        if told is None:
            return toml_line.put_in(text, NOTIFY, words)
        if told == words or not is_ours(told):
            return text
        return toml_line.put_in(toml_line.take_out(text, NOTIFY), NOTIFY, words)

    return make


def without_notify(text: str, original: str | None) -> str:
    """The settings without our line; the original is not needed for that."""
    return toml_line.take_out(text, NOTIFY) if has_notify(text) else text


def has_notify(text: str) -> bool:
    """Whether our launcher is told; what is no TOML tells nobody."""
    try:
        return is_ours(toml_line.parse(text).get(NOTIFY))
    except toml_line.TomlBroken:
        return False


def is_ours(told: object) -> bool:
    """Whether ``notify`` is our launcher."""
    return isinstance(told, list) and bool(told) and isinstance(told[0], str) and os.path.basename(told[0]) == launcher.NAME


def is_empty_toml(text: str) -> bool:
    """Whether settings say nothing."""
    return not text.strip("\ufeff \t\r\n")


def _nothing_else_changed(before: str, after: str) -> None:
    left, now = (hook_entries.rest(json_text.parse(text), launcher.NAME) for text in (before, after))
    if left != now:
        raise WrongShape("our hooks cannot be put in or taken out without changing others; this is a mistake of ours", 1, 1)
