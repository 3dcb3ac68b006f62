"""``pyjama-metrics claude import`` and ``codex import``: the sessions of the past, from what the programs wrote down themselves.

Nothing is imported at the top that is not needed to say that nothing is new.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from pyjama_metrics.cli import argument_types, terminal
from pyjama_metrics.cli.progress import Progress

if TYPE_CHECKING:
    from pyjama_metrics.hub import Hub
    from pyjama_metrics.sessions.importing import Imported
    from pyjama_metrics.sessions.transcript_places import Place, Troubles

PROGRAMS = {"claude-code": ("Claude Code", "transcripts"), "codex": ("Codex", "rollouts")}
_WORD = 10
_TROUBLES_SHOWN = 10
_FOLD_BYTES = 1 << 30
_STEP = 0.25
_LONGEST = 600.0
"""Seconds after which the figures are left to whoever counts next."""
_DAY_MS = 86_400_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``import``."""
    parser.add_argument(
        "--since", metavar="TIME", help="only files that were written to since then: day, today, yesterday, 7d or ISO 8601"
    )
    parser.add_argument("--project", metavar="NAME", type=argument_types.name, help="only sessions of this project")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(arguments: argparse.Namespace, source: str) -> int:
    """Import what is new, and tell what it was; 130 where somebody stopped it.

    Args:
        arguments: as parsed.
        source: whose sessions.
    """
    _make_light_of_memory()
    looked_at, places, troubles = _found(source)
    if arguments.since is not None:
        places = _since(places, arguments.since)
    if not places:
        _tell_nothing(arguments, source, looked_at, troubles)
        return 0
    from pyjama_metrics.hub import Hub

    hub = Hub()
    found, is_stopped = _imported(hub, places, arguments.project)
    found.troubles[:0] = troubles
    if not is_stopped:
        is_stopped = _is_stopped_while(hub, found)
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json

        print_json(_as_json(found, looked_at, is_stopped))
    else:
        _tell(source, found, is_stopped, arguments.project)
    return 130 if is_stopped else 0


def _make_light_of_memory() -> None:
    # Much is made that stays until the end, and nothing in circles: to look for those took a sixth of the time.
    import gc

    gc.disable()


def _found(source: str) -> tuple[list[str], list[Place], Troubles]:
    """The folders that were looked into, and the files that are there."""
    from pyjama_metrics.sessions import transcript_places as there

    troubles: Troubles = []
    if source == "codex":
        looked_at = [os.path.join(each, "sessions") for each in there.codex_candidates(os.environ)]
        return looked_at, there.codex_rollouts(there.codex_folders(os.environ), troubles), troubles
    looked_at = [os.path.join(each, "projects") for each in there.claude_candidates(os.environ)]
    return looked_at, there.claude_transcripts(there.claude_folders(os.environ), troubles), troubles


def _since(places: list[Place], text: str) -> list[Place]:
    from pyjama_metrics.cli.report_options import beginning
    from pyjama_metrics.sessions.transcript_places import written_since

    return written_since(places, beginning(text) * 1_000_000)


def _imported(hub: Hub, places: list[Place], project: str | None) -> tuple[Imported, bool]:
    """What an import found, and whether somebody stopped it."""
    from pyjama_metrics.errors import HubError
    from pyjama_metrics.sessions.importing import Import

    def count() -> None:
        # While others read on. What stands in the way of it is told in the end, by whoever counts the rest.
        try:
            hub.fold(max_bytes=_FOLD_BYTES)
        except (HubError, OSError):
            return

    importing = Import(hub.folder)
    with Progress(f"reading {terminal.things(len(places), 'file')}") as progress:
        try:
            importing.run(
                places, wanted=None if project is None else (lambda each: each == project), tell=progress.at, kept=count
            )
        except KeyboardInterrupt:
            return importing.found, True
    return importing.found, False


def _is_stopped_while(hub: Hub, found: Imported) -> bool:
    """Bring figures and history up to date; whether somebody stopped that."""
    if not found.files and not hub.pending():
        return False
    try:
        _count(hub)
    except KeyboardInterrupt:
        return True
    return False


def _count(hub: Hub) -> None:
    from pyjama_metrics.errors import HubError
    from pyjama_metrics.storage import segments

    deadline, most = time.monotonic() + _LONGEST, 1
    try:
        with Progress("counting") as progress:
            while not hub.catch_up(_STEP):
                if hub.history.trouble is not None or time.monotonic() > deadline:
                    reason = hub.history.trouble or "Counting takes long; whoever shows figures next goes on with it."
                    terminal.complain(f"What was read is kept, and not all of it is counted yet. {reason}")
                    return
                left = hub.history.waiting(segments.listing(hub.folder))
                most = max(most, left)
                progress.at(1 - left / most)
    except (HubError, OSError) as error:
        terminal.complain(f"What was read is kept, and not all of it is counted yet. {error}")


# -- what is told --------------------------------------------------------------------------------------------------------


def _tell_nothing(arguments: argparse.Namespace, source: str, looked_at: list[str], troubles: Troubles) -> None:
    program, files = PROGRAMS[source]
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json
        from pyjama_metrics.sessions.importing import Imported

        print_json(_as_json(Imported(troubles=troubles), looked_at, False))
        return
    screen = terminal.Screen(sys.stdout)
    when = "" if arguments.since is None else f" that were written to since {terminal.cut(arguments.since, 60)}"
    where = ", ".join(terminal.printable(each) for each in looked_at)
    screen.line(f"There are no {files} of {program}{when}. Looked into {where}.")
    variable = "CODEX_HOME" if source == "codex" else "CLAUDE_CONFIG_DIR"
    if not arguments.since:
        screen.line(f"If they are elsewhere, name the folder in {variable}.")
    _tell_troubles(screen, troubles)


def _tell(source: str, found: Imported, is_stopped: bool, project: str | None) -> None:
    screen = terminal.Screen(sys.stdout)
    things = terminal.things

    def tell(word: str, text: str) -> None:
        screen.line(f"{screen.paint(f'{word:<{_WORD}}', 'grey')}  {text}")

    left = [
        (found.unchanged, "with nothing new"),
        (found.followed, "of sessions that are followed while they go on"),
        (found.others, "of other projects"),
    ]
    rest = "".join(f"; {count:,} {what}" for count, what in left if count)
    tell("files", f"{found.files:,} with something new, {terminal.size(found.read)}{rest}")
    if found.files:
        tell("sessions", f"{len(found.sessions):,}")
        counted = [
            things(found.prompts, "prompt"),
            things(found.answers, "model call"),
            things(found.calls, "tool execution"),
        ]
        tell("counted", ", ".join(counted))
    _tell_troubles(screen, found.troubles)
    _tell_horizon(tell, found)
    screen.line()
    if is_stopped:
        command = "codex" if source == "codex" else "claude"
        screen.line(f"Stopped. What was read by then is kept; 'pyjama-metrics {command} import' goes on from there.")
    elif project is not None and found.others and not (found.files or found.unchanged):
        screen.line(
            f"No session is of the project {terminal.printable(project)}. It has the name of the folder of its repository."
        )
    else:
        screen.line("What each day cost: pyjama-metrics report daily. By project: pyjama-metrics report projects.")


def _tell_troubles(screen: terminal.Screen, troubles: Troubles) -> None:
    for path, reason in troubles[:_TROUBLES_SHOWN]:
        screen.line(f"{screen.paint('unreadable', 'yellow')}  {terminal.printable(path)}: {terminal.printable(reason)}")
    if len(troubles) > _TROUBLES_SHOWN:
        screen.line(f"{screen.paint('unreadable', 'yellow')}  and {len(troubles) - _TROUBLES_SHOWN:,} more (--json names all)")


def _tell_horizon(tell: Any, found: Imported) -> None:
    from pyjama_metrics import settings

    days = settings.history_days()
    if found.oldest_ms and settings.keeps_history() and time.time() * 1000 - found.oldest_ms > days * _DAY_MS:
        older = "what is older is in the totals only: pyjama-metrics show --by project"
        tell("note", f"reports go back {days} days (PYJAMA_HISTORY_DAYS); {older}")


def _as_json(found: Imported, looked_at: list[str], is_stopped: bool) -> dict[str, Any]:
    return {
        "folders": looked_at,
        "files": {"read": found.files, "unchanged": found.unchanged, "followed": found.followed, "other-projects": found.others},
        "bytes": found.read,
        "sessions": len(found.sessions),
        "prompts": found.prompts,
        "requests": found.answers,
        "executions": found.calls,
        "oldest": found.oldest_ms or None,
        "unreadable": [{"path": path, "reason": reason} for path, reason in found.troubles],
        "stopped": is_stopped,
    }
