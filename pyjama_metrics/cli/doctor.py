"""``pyjama-metrics doctor``: what is there, who writes, what is wrong, and how to mend it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyjama_metrics.cli import terminal
from pyjama_metrics.cli.terminal import Cell, Column, Screen

if TYPE_CHECKING:
    from pyjama_metrics.cli.examination import Examination, Facts

DESCRIPTION = """\
Look at the hub's folder: the file system, the shared file, the journals and who writes them, the lock,
losses, versions and dashboards. Each problem comes with its remedy. Looking changes nothing; --fix mends
what can be mended. The exit code is 1 if an error is left, 0 otherwise; warnings are no errors.

--deep brings the figures and the history up to date, and compares whatever is counted in several places:
the totals of model calls with the rows of their ledger, agents with all, runs with days and models, the
figures with the history. They must be the same to the last token and micro-dollar.
"""

EXAMPLES = """\
examples:
  pyjama-metrics doctor
  pyjama-metrics doctor --fix
  pyjama-metrics doctor --deep
  pyjama-metrics doctor --json | jq '.problems[].what'
"""

_WRITERS_SHOWN = 12
_WRITER_COLUMNS = (
    Column("WRITER", names=True),
    Column("KIND"),
    Column("PID", right=True),
    Column("HOST", names=True),
    Column("ALIVE"),
    Column("SIZE", right=True),
    Column("NOT COUNTED YET", right=True),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``doctor``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument("--fix", action="store_true", help="mend what can be mended; nothing that was counted is thrown away")
    parser.add_argument("--deep", action="store_true", help="compare all sums that are kept in several places, too")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(arguments: argparse.Namespace) -> int:
    """Examine and tell; 1 if an error is left."""
    from pyjama_metrics.cli.examination import Examination
    from pyjama_metrics.hub import Hub

    examination = Examination(Hub(), fix=arguments.fix, deep=arguments.deep)
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json

        print_json(examination.as_json())
    else:
        _tell(Screen(sys.stdout), examination, int(time.time() * 1000))
    return 0 if examination.is_well else 1


def _tell(screen: Screen, examination: Examination, now_ms: int) -> None:
    facts = examination.facts
    describe: dict[str, Callable[[Any], str]] = {
        "folder": _folder,
        "snapshot": lambda found: _snapshot(found, now_ms),
        "writers": _journals,
        "lock": _lock,
        "losses": lambda found: f"{terminal.things(found['events'], 'event')} noted as lost" if found["events"] else "none noted",
        "history": _history,
        "sessions": _sessions,
        "dashboards": _dashboards,
        "versions": lambda found: ", ".join(f"{name} {version or 'is missing'}" for name, version in found.items()),
    }
    if "agreement" in facts:
        describe["agreement"] = _agreement
    for word, in_words in describe.items():
        found = facts[word]
        unreadable = isinstance(found, dict) and "unreadable" in found
        line = f"cannot be looked at: {found['unreadable']}" if unreadable else in_words(found)
        screen.line(f"{screen.paint(f'{word:<10}', 'grey')}  {terminal.printable(line)}")
    if isinstance(facts["writers"], list):
        _writers(screen, facts["writers"])
    _problems(screen, examination)


def _folder(facts: Facts) -> str:
    place = {True: "local", False: "on the network", None: "local or not is unknown"}[facts["local"]]
    where = f"{facts['file-system'] or 'unknown file system'}, {place}, {terminal.size(facts['free-bytes'])} free"
    if not facts["exists"]:
        return f"{facts['path']} does not exist yet: nothing was recorded there ({where})"
    return f"{facts['path']} of {facts['owner']}, mode {facts['mode']} ({where})"


def _snapshot(facts: Facts, now_ms: int) -> str:
    if not facts["exists"]:
        return "none yet"
    age = terminal.ago(facts["updated"], now_ms) if facts["updated"] else "never"
    return (
        f"whole, {terminal.size(facts['bytes'])}, generation {facts['generation']} of format {facts['format']}, written {age}; "
        f"{terminal.things(facts['agents'], 'agent')}, {terminal.things(facts['tools'], 'tool')}"
    )


def _journals(writers: list[Facts]) -> str:
    alive = sum(writer["alive"] is True for writer in writers)
    size, lag = sum(writer["size"] for writer in writers), sum(writer["lag"] for writer in writers)
    behind = f"{terminal.size(lag)} not counted yet" if lag else "all counted"
    return f"{len(writers)}, {alive} alive; {terminal.size(size)} of journals, {behind}" if writers else "none"


def _lock(facts: Facts) -> str:
    if facts["held-by"] is None:
        return "free"
    return f"held by process {facts['held-by']}" + (f": {facts['command']}" if facts["command"] else "")


def _history(facts: Facts) -> str:
    if not facts["exists"]:
        return "none yet" if facts["kept"] else "none is kept (PYJAMA_HISTORY)"
    from pyjama_metrics.report_files.wording import moment

    known_from = facts["known-from"]
    reach = "nothing in it yet" if known_from is None else f"since {moment(known_from, None):%Y-%m-%d %H:%M}"
    return f"whole, {terminal.size(facts['bytes'])}, {reach}" + ("" if facts["kept"] else "; not kept any more (PYJAMA_HISTORY)")


def _sessions(facts: Facts) -> str:
    if not facts["exists"]:
        return "none of other programs yet"
    waiting = f", {terminal.things(facts['waiting'], 'event')} on their way into the journals" if facts["waiting"] else ""
    return f"whole, {terminal.size(facts['size'])}, {terminal.things(facts['open'], 'session')} followed{waiting}"


def _dashboards(found: list[Facts]) -> str:
    shown = [each["url"] + ("" if each["this-hub"] else f" (of {each['folder']})") for each in found]
    from pyjama_metrics.cli.examination import DASHBOARD_PORTS

    return ", ".join(shown) or f"none on the ports {DASHBOARD_PORTS.start} to {DASHBOARD_PORTS.stop - 1}"


def _agreement(found: list[Facts]) -> str:
    sums = sum(each["compared"] for each in found)
    different = sum(len(each["differences"]) for each in found)
    if not sums:
        return "nothing to compare yet"
    return f"{terminal.things(sums, 'sum')} compared, " + (f"{different:,} differ" if different else "all agree")


def _writers(screen: Screen, writers: list[Facts]) -> None:
    if not writers:
        return
    screen.line()
    shown = sorted(writers, key=lambda writer: (writer["alive"] is not True, -writer["lag"], writer["name"]))[:_WRITERS_SHOWN]
    words = {True: Cell("yes", "green"), False: Cell("no", "grey"), None: Cell("unknown", "yellow")}
    rows: list[list[Cell | str]] = [
        [
            writer["name"],
            writer["kind"],
            screen.figure(None if writer["pid"] is None else str(writer["pid"])),
            writer["host"],
            words[writer["alive"]],
            terminal.size(writer["size"]),
            terminal.size(writer["lag"]),
        ]
        for writer in shown
    ]
    screen.table(_WRITER_COLUMNS, rows)
    if len(writers) > len(shown):
        screen.line(screen.paint(f"and {len(writers) - len(shown)} more", "grey"))


def _problems(screen: Screen, examination: Examination) -> None:
    screen.line()
    if not examination.problems:
        screen.line(screen.paint("Nothing is wrong.", "green"))
    for problem in examination.problems:
        word, colour = ("mended", "green") if problem.fixed else (problem.severity, _COLOURS[problem.severity])
        told = f"{terminal.printable(problem.where)}: {terminal.printable(problem.what)}"
        screen.line(f"{screen.paint(word, colour)}: {told}")
        screen.line(f"  {terminal.printable(problem.remedy)}")


_COLOURS = {"error": "red", "warning": "yellow"}
