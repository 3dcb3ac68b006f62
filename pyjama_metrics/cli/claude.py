"""``pyjama-metrics claude``: see every Claude Code session, and stop seeing them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pyjama_metrics.cli import import_sessions
from pyjama_metrics.cli.help_text import HelpFormatter

if TYPE_CHECKING:
    from pyjama_metrics.integrations.inspection import Hooks
    from pyjama_metrics.integrations.programs import Version
    from pyjama_metrics.integrations.settings_files import Change

DESCRIPTION = """\
Show every Claude Code session of this machine as an agent. install puts hooks into Claude Code's settings and changes nothing
else in them; uninstall takes them out again, and where nobody else has changed the file, it is then what it was, byte for byte.
import counts the sessions of the past, from the transcripts that Claude Code keeps.
"""

EXAMPLES = """\
examples:
  pyjama-metrics claude install --dry-run   what would change, as a diff
  pyjama-metrics claude install
  pyjama-metrics claude install --statusline
  pyjama-metrics claude status
  pyjama-metrics claude uninstall
  pyjama-metrics claude import
  pyjama-metrics claude import --since 7d --project web-shop
"""

_PROGRAM = "Claude Code"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the commands of ``claude`` and their options."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=summary, description=summary, formatter_class=HelpFormatter, allow_abbrev=False)

    install = action("install", "put hooks into Claude Code's settings")
    status = action("status", "say what is installed, and whether it works")
    uninstall = action("uninstall", "take them out again")
    past = action("import", "count the sessions of the past; again, only what is new")
    statusline = action("statusline", "be Claude Code's status line: for its settings, not for people")
    for each in (install, status, uninstall):
        each.add_argument(
            "--scope",
            choices=("user", "project", "local"),
            default=None if each is status else "user",
            help="whose settings: yours, those of the project in this folder, or yours for it"
            + (" (all)" if each is status else " (user)"),
        )
        each.add_argument("--settings", metavar="FILE", help="this settings file instead")
        each.add_argument("--json", action="store_true", help="print JSON instead")
    for each in (install, uninstall):
        each.add_argument("--dry-run", action="store_true", help="change nothing, and show what would change")
    for each in (install, status):
        each.add_argument("--claude-version", metavar="V", help="for this version, instead of asking 'claude --version'")
    install.add_argument("--statusline", action="store_true", help="be its status line, too; yours goes on and is shown")
    import_sessions.configure(past)
    statusline.add_argument("--then", metavar="COMMAND", help="the status line command whose line is shown instead of ours")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    if arguments.action == "import":
        return import_sessions.run(arguments, "claude-code")
    if arguments.action == "statusline":
        from pyjama_metrics.integrations import statusline
        from pyjama_metrics.storage import config

        return statusline.main(["--config", config.path(), *(["--then", arguments.then] if arguments.then else [])])
    if arguments.action == "install":
        return _install(arguments)
    return _uninstall(arguments) if arguments.action == "uninstall" else _status(arguments)


def _install(arguments: argparse.Namespace) -> int:
    from pyjama_metrics.cli import installed
    from pyjama_metrics.integrations import claude_settings, launcher, settings_files, statusline_launcher

    version, unknown = _version(arguments.claude_version)
    wanted = claude_settings.handlers(version, launcher.path())
    make = claude_settings.with_ours(wanted, statusline=arguments.statusline)
    paths = _paths(arguments)
    # All are tried before the first is changed: what is refused is refused as a whole.
    planned = [settings_files.put_in(path, make, claude_settings.is_in, dry_run=True) for path in paths]
    if arguments.dry_run and not arguments.json:
        installed.print_difference(installed.screen(), planned)
        return 0
    if not arguments.dry_run:
        installed.make_launchers(
            [launcher.ensure, *([statusline_launcher.ensure] if _has_statusline(planned) else [])], launcher.path()
        )
        planned = [settings_files.put_in(path, make, claude_settings.is_in) for path in paths]
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json

        changes = [installed.change_as_json(change, not arguments.dry_run) for change in planned]
        print_json({"version": _shown(version), "events": list(wanted), "launcher": launcher.path(), "settings": changes})
        return 0
    screen = installed.screen()
    installed.tell(screen, "version", f"{_PROGRAM} {_shown(version) or unknown}")
    installed.tell(screen, "events", f"{len(wanted)}: {', '.join(wanted)}")
    installed.tell(screen, "launcher", launcher.path())
    for change in planned:
        installed.tell_change(screen, change, "our hooks are in it")
        installed.tell_backup(screen, change, "is what it was before")
    screen.line()
    screen.line(f"Start {_PROGRAM} anywhere: it is on the page. Sessions that run already are seen from their next start on.")
    return 0


def _uninstall(arguments: argparse.Namespace) -> int:
    from pyjama_metrics.cli import installed
    from pyjama_metrics.integrations import claude_settings, settings_files

    dry_run = arguments.dry_run
    changes = [
        settings_files.take_out(
            path, claude_settings.without_ours, claude_settings.is_in, claude_settings.is_empty, dry_run=dry_run
        )
        for path in _paths(arguments)
    ]
    elsewhere = [] if dry_run else installed.remove_launchers()
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json

        rows = [installed.change_as_json(change, not dry_run) for change in changes]
        print_json({"settings": rows, "still-installed": elsewhere})
        return 0
    screen = installed.screen()
    if dry_run:
        installed.print_difference(screen, changes)
        return 0
    installed.tell_removed(screen, changes, elsewhere)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from pyjama_metrics.cli import installed
    from pyjama_metrics.integrations import claude_settings, inspection, launcher

    version, unknown = _version(arguments.claude_version)
    wanted = claude_settings.handlers(version, launcher.path())
    scopes = [arguments.scope] if arguments.scope else list(claude_settings.SCOPES)
    named = [("file", _paths(arguments)[0])] if arguments.settings else []
    places = named or [(scope, path) for scope in scopes for path in claude_settings.files(scope)]
    # In the home folder the project's settings are the user's.
    once = {path: scope for scope, path in reversed(places)}
    found = [_with_statusline(inspection.hooks_in(path, scope, wanted)) for path, scope in reversed(once.items())]
    tried = inspection.try_launcher("claude")
    last_ms = inspection.last_event_ms("claude-code")
    problems = [problem for each in found for problem in each.problems("claude")]
    if not any(each.events for each in found):
        problems.append("No hook is installed: run 'pyjama-metrics claude install'.")
    elif tried.problem is not None:
        problems.append(tried.problem)
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json

        print_json(installed.status_as_json(_shown(version), found, tried, last_ms, problems))
    else:
        notes = [] if version is not None else [f"{_PROGRAM} is {unknown}"]
        installed.print_status(installed.screen(), _PROGRAM, _shown(version), found, tried, last_ms, problems, notes)
    return 1 if problems else 0


def _version(told: str | None) -> tuple[Version | None, str]:
    """The version of Claude Code; None and a sentence where it is not known."""
    from pyjama_metrics.cli import installed

    return installed.version_of("claude", told, "2.1.329", "so only the events that every version knows")


def _shown(version: Version | None) -> str | None:
    from pyjama_metrics.cli import installed

    return installed.shown(version)


def _paths(arguments: argparse.Namespace) -> list[str]:
    import os

    from pyjama_metrics.integrations import claude_settings

    if arguments.settings is not None:
        return [os.path.abspath(os.path.expanduser(arguments.settings))]
    return claude_settings.files(arguments.scope or "user")


def _has_statusline(changes: list[Change]) -> bool:
    from pyjama_metrics.integrations import claude_settings, json_text

    texts = [change.after.decode("utf-8") for change in changes if change.after is not None]
    return any(claude_settings.has_statusline(json_text.parse(text)) for text in texts)


def _with_statusline(found: Hooks) -> Hooks:
    """The same with whether our status line is there."""
    from dataclasses import replace

    from pyjama_metrics.integrations import claude_settings, json_text
    from pyjama_metrics.integrations.settings_files import look

    if found.unreadable is not None or not found.exists:
        return found
    text = look(found.path).text
    has = bool(text.strip("\ufeff \t\r\n")) and claude_settings.has_statusline(json_text.parse(text))
    return replace(found, statusline=has)
