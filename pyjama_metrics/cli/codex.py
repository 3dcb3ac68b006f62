"""``pyjama-metrics codex``: see every Codex session, and stop seeing them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pyjama_metrics.cli import import_sessions
from pyjama_metrics.cli.help_text import HelpFormatter

if TYPE_CHECKING:
    from pyjama_metrics.integrations.programs import Version
    from pyjama_metrics.integrations.settings_files import Change

DESCRIPTION = """\
Show every Codex session of this machine as an agent. install puts hooks into Codex's hooks.json, and a line into its config.toml
where no other program is told when a turn ends; uninstall takes both out again, and files that nobody else has changed are then
what they were, byte for byte. import counts the sessions of the past, from the rollouts that Codex keeps.
"""

EXAMPLES = """\
examples:
  pyjama-metrics codex install --dry-run    what would change, as a diff
  pyjama-metrics codex install
  pyjama-metrics codex status
  pyjama-metrics codex uninstall
  pyjama-metrics codex import
"""

_PROGRAM = "Codex"
_TRUST = "Codex runs a hook only when you have trusted it: start 'codex' and trust these when it asks; after each change anew."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the commands of ``codex`` and their options."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    for name, summary in (
        ("install", "put hooks into Codex's files"),
        ("status", "say what is installed, and whether it works"),
        ("uninstall", "take them out again"),
        ("import", "count the sessions of the past; again, only what is new"),
    ):
        action = commands.add_parser(name, help=summary, description=summary, formatter_class=HelpFormatter, allow_abbrev=False)
        if name == "import":
            import_sessions.configure(action)
            continue
        action.add_argument("--json", action="store_true", help="print JSON instead")
        if name != "status":
            action.add_argument("--dry-run", action="store_true", help="change nothing, and show what would change")
        if name != "uninstall":
            action.add_argument("--codex-version", metavar="V", help="for this version, instead of asking 'codex --version'")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    if arguments.action == "import":
        return import_sessions.run(arguments, "codex")
    if arguments.action == "install":
        return _install(arguments)
    return _uninstall(arguments) if arguments.action == "uninstall" else _status(arguments)


def _install(arguments: argparse.Namespace) -> int:
    from pyjama_metrics.cli import installed
    from pyjama_metrics.integrations import codex_settings, launcher

    version, unknown = _version(arguments.codex_version)
    wanted = codex_settings.handlers(version, launcher.path())
    planned = _put_in(version, dry_run=True)
    if arguments.dry_run and not arguments.json:
        installed.print_difference(installed.screen(), planned)
        return 0
    if not arguments.dry_run:
        installed.make_launchers([launcher.ensure], launcher.path())
        planned = _put_in(version, dry_run=False)
    told_elsewhere = not codex_settings.has_notify((planned[1].after or b"").decode("utf-8"))
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json

        print_json(
            {
                "version": _shown(version),
                "events": list(wanted),
                "launcher": launcher.path(),
                "notify": not told_elsewhere,
                "settings": [installed.change_as_json(change, not arguments.dry_run) for change in planned],
            }
        )
        return 0
    screen = installed.screen()
    installed.tell(screen, "version", f"{_PROGRAM} {_shown(version) or unknown}")
    installed.tell(screen, "events", f"{len(wanted)}: {', '.join(wanted)}")
    installed.tell(screen, "launcher", launcher.path())
    for change, what in zip(planned, ("our hooks are in it", "notify tells our launcher"), strict=True):
        installed.tell_change(screen, change, what)
        installed.tell_backup(screen, change, "is what it was before")
    if told_elsewhere:
        installed.tell(
            screen, "note", "notify in config.toml tells another program: it was left as it is, and the hooks tell enough"
        )
    screen.line()
    screen.line(_TRUST)
    return 0


def _put_in(version: Version | None, *, dry_run: bool) -> list[Change]:
    """Hooks, then notify."""
    from pyjama_metrics.integrations import codex_settings, launcher, settings_files

    hooks = codex_settings.with_hooks(codex_settings.handlers(version, launcher.path()))
    notify = codex_settings.with_notify(launcher.path())
    return [
        settings_files.put_in(codex_settings.hooks_file(), hooks, codex_settings.has_hooks, dry_run=dry_run),
        settings_files.put_in(codex_settings.config_file(), notify, codex_settings.has_notify, dry_run=dry_run),
    ]


def _uninstall(arguments: argparse.Namespace) -> int:
    from pyjama_metrics.cli import installed
    from pyjama_metrics.integrations import claude_settings, codex_settings, settings_files

    dry_run = arguments.dry_run
    changes = [
        settings_files.take_out(
            codex_settings.config_file(),
            codex_settings.without_notify,
            codex_settings.has_notify,
            codex_settings.is_empty_toml,
            dry_run=dry_run,
        ),
        settings_files.take_out(
            codex_settings.hooks_file(),
            codex_settings.without_hooks,
            codex_settings.has_hooks,
            claude_settings.is_empty,
            dry_run=dry_run,
        ),
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
    from pyjama_metrics.integrations import codex_settings, inspection, launcher, settings_files

    version, unknown = _version(arguments.codex_version)
    wanted = codex_settings.handlers(version, launcher.path())
    found = [inspection.hooks_in(codex_settings.hooks_file(), "user", wanted)]
    tried = inspection.try_launcher("codex")
    last_ms = inspection.last_event_ms("codex")
    problems = [problem for each in found for problem in each.problems("codex")]
    if not found[0].events:
        problems.append("No hook is installed: run 'pyjama-metrics codex install'.")
    elif tried.problem is not None:
        problems.append(tried.problem)
    try:
        is_told = codex_settings.has_notify(settings_files.look(codex_settings.config_file()).text)
    except settings_files.SettingsRefused as refused:
        is_told = False
        problems.append(f"{refused.path} cannot be used: {refused.reason}. {refused.remedy}")
    notes = [f"notify in config.toml {'tells our launcher' if is_told else 'does not tell our launcher; the hooks do'}", _TRUST]
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json

        told = installed.status_as_json(_shown(version), found, tried, last_ms, problems)
        print_json({**told, "notify": is_told})
    else:
        notes = [*([] if version is not None else [f"{_PROGRAM} is {unknown}"]), *notes]
        installed.print_status(installed.screen(), _PROGRAM, _shown(version), found, tried, last_ms, problems, notes)
    return 1 if problems else 0


def _version(told: str | None) -> tuple[Version | None, str]:
    """The version of Codex; None and a sentence where it is not known."""
    from pyjama_metrics.cli import installed

    return installed.version_of("codex", told, "0.169.0", "so only the events that are documented")


def _shown(version: Version | None) -> str | None:
    from pyjama_metrics.cli import installed

    return installed.shown(version)
