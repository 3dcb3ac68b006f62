"""What Claude Code's settings are to have of us: which events each version knows, where the files are, and the status line."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable

from pyjama_metrics.integrations import hook_entries, json_edits, json_text, launcher, statusline_launcher
from pyjama_metrics.integrations.hook_entries import WrongShape
from pyjama_metrics.integrations.json_text import Node, Plain
from pyjama_metrics.integrations.programs import Version

SCOPES = ("user", "project", "local")

TIMEOUT = 5
"""Seconds that Claude Code waits for one hook at most; without it, a disk that hangs would hold up every tool call for 600."""

_OLDEST = (
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "Notification",
    "Stop",
    "SubagentStop",
    "PreCompact",
    "SessionEnd",
)
_SINCE_2_0_77 = ("PostToolUseFailure", "SubagentStart", "PermissionRequest")
_SINCE_2_1_197 = (
    "PostToolBatch",
    "PermissionDenied",
    "Elicitation",
    "ElicitationResult",
    "StopFailure",
    "PostCompact",
    "CwdChanged",
)
_KNOWN: tuple[tuple[Version, tuple[str, ...]], ...] = ((2, 0, 77), _SINCE_2_0_77), ((2, 1, 197), _SINCE_2_1_197)
"""From which version on that was looked at an event is known. An unknown one makes versions up to 2.0.x drop all hooks."""

_ASYNC_SINCE: Version = (2, 1, 0)
_ASYNC = {"PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch"}
"""Nobody waits for these. What Claude Code ends with has to be synchronous: it kills what is not done when it leaves."""


def events(version: Version | None) -> tuple[str, ...]:
    """The events to register for a version; the oldest where it is not known."""
    return _OLDEST + tuple(event for since, more in _KNOWN if version is not None and version >= since for event in more)


def handlers(version: Version | None, path: str) -> dict[str, dict[str, Plain]]:
    """The handler for each event; ``path`` is that of the launcher."""
    command = f"{shlex.quote(path)} claude"
    wanted: dict[str, dict[str, Plain]] = {}
    for event in events(version):
        wanted[event] = {"type": "command", "command": command, "timeout": TIMEOUT}
        if event in _ASYNC and version is not None and version >= _ASYNC_SINCE:
            wanted[event]["async"] = True
    return wanted


def files(scope: str) -> list[str]:
    """The settings files of a scope, as absolute paths. They need not exist; those of the user may be several."""
    if scope != "user":
        return [os.path.abspath(os.path.join(".claude", "settings.json" if scope == "project" else "settings.local.json"))]
    folders = [each.strip() for each in os.environ.get("CLAUDE_CONFIG_DIR", "").split(",") if each.strip()]
    return [os.path.abspath(os.path.join(os.path.expanduser(each), "settings.json")) for each in folders or ["~/.claude"]]


def with_ours(wanted: hook_entries.Handlers, *, statusline: bool) -> Callable[[str], str]:
    """What makes the settings with our hooks out of any, and with our status line if asked for; one that is there stays."""

    def make(text: str) -> str:
        if not text.strip("\ufeff \t\r\n"):
            # Nothing to keep but what is there: a byte order mark, the last newline.
            return text[: len(text) - len(text.lstrip("\ufeff"))] + make_out_of("{}\n")
        return make_out_of(text)

    def make_out_of(text: str) -> str:
        after = hook_entries.put_in(text, wanted, launcher.NAME)
        if statusline or _own_statusline(json_text.parse(after)) is not None:
            after = _with_statusline(after, statusline_launcher.path())
        _nothing_else_changed(text, after)
        return after

    return make


def without_ours(text: str, original: str | None) -> str:
    """The settings without anything of ours; the status line is that of before."""
    after = _without_statusline(hook_entries.take_out(text, launcher.NAME, original), original)
    _nothing_else_changed(text, after)
    return after


def is_in(text: str) -> bool:
    """Whether settings have anything of ours; what is no JSON has nothing."""
    try:
        root = json_text.parse(text)
    except json_text.JsonBroken:
        return False
    return any(hook_entries.own(root, launcher.NAME)) or _own_statusline(root) is not None


def is_empty(text: str) -> bool:
    """Whether settings say nothing."""
    try:
        return json_text.plain(json_text.parse(text)) == {} and not set(text) - set("\ufeff{} \t\r\n")
    except json_text.JsonBroken:
        return not text.strip("\ufeff \t\r\n")


def has_statusline(root: Node) -> bool:
    """Whether our status line is in the settings."""
    return _own_statusline(root) is not None


def _own_statusline(root: Node) -> Node | None:
    """Our command as the text in the settings."""
    line = root.get("statusLine")
    command = line.get("command") if line is not None and line.kind == "object" else None
    if command is None or command.kind != "string":
        return None
    return command if hook_entries.calls(command.value, statusline_launcher.NAME) else None


def _with_statusline(text: str, path: str) -> str:
    root = json_text.parse(text)
    looks = json_edits.looks_of(text, root)
    line = root.get("statusLine")
    if line is None:
        ours: Plain = {"type": "command", "command": shlex.quote(path)}
        return json_edits.applied(text, json_edits.put_in(text, root, [("statusLine", ours)], looks))
    command, kind = line.get("command"), line.get("type")
    usable = kind is not None and kind.value == "command" and command is not None and command.kind == "string" and command.value
    if command is None or not usable:
        raise WrongShape(
            '"statusLine" has to be an object with "type": "command" and a "command"', *json_text.place(text, line.start)
        )
    previous = _then(command.value) if hook_entries.calls(command.value, statusline_launcher.NAME) else command.value
    words = [path] if previous is None else [path, "--then", previous]
    wanted = shlex.join(words)
    if command.value == wanted or (previous is None and command.value == shlex.quote(path)):
        return text
    return json_edits.applied(text, [json_edits.put_instead(text, command, wanted, looks)])


def _without_statusline(text: str, original: str | None) -> str:
    root = json_text.parse(text)
    own = _own_statusline(root)
    if own is None:
        return text
    previous = _then(own.value)
    if previous is None:
        member = root.item("statusLine")
        return text if member is None else json_edits.applied(text, json_edits.take_out(text, root, [member]))
    return json_edits.applied(text, [(own.start, own.end, _as_it_was_written(previous, original))])


def _as_it_was_written(command: str, original: str | None) -> str:
    """The text in quotes of the user's command: as he wrote it, where that is known."""
    try:
        line = None if original is None else json_text.parse(original).get("statusLine")
    except json_text.JsonBroken:
        line = None
    before = None if line is None else line.get("command")
    if original is not None and before is not None and before.kind == "string" and before.value == command:
        return original[before.start : before.end]
    return json.dumps(command, ensure_ascii=False)


def _then(command: str) -> str | None:
    try:
        words = shlex.split(command)
    except ValueError:  # somebody has broken the quotes
        return None
    return words[words.index("--then") + 1] if "--then" in words[:-1] else None


def _nothing_else_changed(before: str, after: str) -> None:
    """The last look before anything is written: somebody's settings are not the place to find a mistake of ours."""
    if _others(before) != _others(after):
        raise WrongShape("our entries cannot be put in or taken out without changing others; this is a mistake of ours", 1, 1)


def _others(text: str) -> Plain:
    root = json_text.parse(text)
    left = hook_entries.rest(root, launcher.NAME)
    own = _own_statusline(root)
    if isinstance(left, dict) and own is not None:
        previous = _then(own.value)
        line = left.pop("statusLine")
        if previous is not None and isinstance(line, dict):
            left["statusLine"] = {**line, "command": previous}
    return left
