"""``pyjama-metrics clear`` and ``clear-metrics``: start the figures anew."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from pyjama_metrics.cli import terminal

if TYPE_CHECKING:
    from pyjama_metrics.hub import Hub

DESCRIPTION = """\
Start the figures of this hub anew. All agents, tools, log entries and counts go. Running
agents go on, and what they record from now on is counted. The history stays, unless --history
is given. On a terminal it asks first; elsewhere, and with --yes, it does not.
"""

EXAMPLES = """\
examples:
  clear-metrics                             the same, under a shorter name
  pyjama-metrics clear --yes                without the question
  pyjama-metrics clear --history            the last thirty days as well
  PYJAMA_HOME=/tmp/trial pyjama-metrics clear
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``clear``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument("--history", action="store_true", help="clear the history as well")
    parser.add_argument("--json", action="store_true", help="print what went as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Clear, after a question where a person is there to answer it; 1 if the answer was no."""
    from pyjama_metrics.hub import Hub

    hub = Hub()
    going = _what_goes(hub)
    if (
        not arguments.yes
        and terminal.is_terminal(sys.stdin)
        and terminal.is_terminal(sys.stderr)
        and not _agreed(hub, going, history=arguments.history)
    ):
        terminal.complain("Nothing was cleared.")
        return 1
    hub.clear(history=arguments.history)
    _tell(hub, going, arguments)
    return 0


def _what_goes(hub: Hub) -> dict[str, int] | None:
    """How much there is to lose; None where it cannot be read, which is no reason not to clear it."""
    from pyjama_metrics.errors import HubError

    try:
        state = hub.read(fresh=True, thorough=True)
    except (HubError, OSError):
        return None
    return {
        "agents": len(state["agents"]),
        "tools": len(state["tools"]),
        "executions": state["global"]["count"],
        "log-entries": len(state["recent-logs"]),
    }


def _in_words(going: dict[str, int] | None) -> str:
    if going is None:
        return "figures that cannot be read"
    return ", ".join(
        (
            terminal.things(going["agents"], "agent"),
            terminal.things(going["tools"], "tool"),
            terminal.things(going["executions"], "tool execution"),
            terminal.things(going["log-entries"], "log entry", "log entries"),
        )
    )


def _agreed(hub: Hub, going: dict[str, int] | None, *, history: bool) -> bool:
    also = " and the whole history" if history else ""
    sys.stderr.write(f"This clears {_in_words(going)}{also} from {terminal.printable(hub.folder)}.\n")
    sys.stderr.write("Running agents stay and go on recording. Clear? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell(hub: Hub, going: dict[str, int] | None, arguments: argparse.Namespace) -> None:
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json

        print_json({"folder": hub.folder, "cleared": going, "history": arguments.history})
        return
    also = " and the whole history" if arguments.history else ""
    print(f"Cleared {_in_words(going)}{also} from {terminal.printable(hub.folder)}. Running agents go on recording.")
