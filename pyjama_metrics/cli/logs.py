"""``pyjama-metrics logs``: the last log entries, and with ``-f`` those that come."""

from __future__ import annotations

import argparse
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pyjama_metrics.cli import argument_types, terminal
from pyjama_metrics.cli.fresh_figures import fresh_state

if TYPE_CHECKING:
    from pyjama_metrics.hub import Hub
    from pyjama_metrics.storage.files import Signature
    from pyjama_metrics.views import LogView

DESCRIPTION = """\
Print the last log entries of all agents, oldest first; with -f, go on with those that come until Ctrl-C.
"""

EXAMPLES = """\
examples:
  pyjama-metrics logs -f                    follow
  pyjama-metrics logs -n 5 --agent builder
  pyjama-metrics logs -f --status error
  pyjama-metrics logs -f --json | jq -r .tool

The shared file keeps the last 100 entries. With --json each entry is one line.
"""

POLL_SECONDS = 0.15
_REMEMBERED = 4096
_NAME_WIDTH = 60
_NAME_PADDED = 18
_MESSAGE_WIDTH = 400

Entry = dict[str, Any]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``logs``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new entries until Ctrl-C")
    entries = argument_types.whole_number(0, 10**6, "a number of entries")
    parser.add_argument("-n", "--lines", type=entries, default=20, metavar="N", help="entries to begin with (20)")
    parser.add_argument("--agent", help="only entries of this agent")
    parser.add_argument("--tool", help="only entries of this tool")
    parser.add_argument("--status", help="only entries with this status: ok, error, …")
    parser.add_argument("--json", action="store_true", help="JSON lines")


def run(arguments: argparse.Namespace) -> int:
    """Print, and follow if asked to."""
    from pyjama_metrics.hub import Hub

    hub = Hub()
    wanted, show = _filter(arguments), _printer(arguments.json)
    seen = Seen()
    entries = [entry for entry in seen.new(fresh_state(hub)["recent-logs"]) if wanted(entry)]
    for entry in entries[max(0, len(entries) - arguments.lines) :]:
        show(entry)
    if arguments.follow:
        sys.stdout.flush()
        for entry in follow(hub, seen):
            if wanted(entry):
                show(entry)
                sys.stdout.flush()
    return 0


class Seen:
    """Which entries have been printed: each is new once."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, int], None] = {}

    def new(self, entries: list[Entry]) -> list[Entry]:
        """Those of ``entries`` that were not given to this method before, in their order."""
        fresh = [entry for entry in entries if _key(entry) not in self._keys]
        self._keys.update(dict.fromkeys(_key(entry) for entry in fresh))
        # The file holds far fewer entries than are remembered here; the rest serves a file restored from
        # its past.
        while len(self._keys) > _REMEMBERED:
            del self._keys[next(iter(self._keys))]
        return fresh


def _key(entry: Entry) -> tuple[str, int]:
    # An id is the entry's line in its journal; a cleared hub may number the lines of a journal anew.
    return entry["id"], entry["timestamp"]


def follow(hub: Hub, seen: Seen, pause: Callable[[float], None] | None = None) -> Iterator[Entry]:
    """Every entry that comes into the shared file from now on, once, for ever.

    Looks at the file by ``stat`` and reads it only when it changed or a journal has more to tell. A file or
    folder that was removed, or cannot be read for now, is waited for: it comes back with the next event.
    """
    from pyjama_metrics.errors import HubError

    pause = pause or _pause_while_read
    last: Signature | None = None
    while True:
        fresh: list[Entry] = []
        try:
            if hub.pending():
                hub.fold()
            current = hub.signature()
            if current is not None and current != last:
                # The signature is older than what is read: a change in between is seen in the next round.
                fresh, last = seen.new(hub.read(fresh=False, thorough=True)["recent-logs"]), current
        except (HubError, OSError):
            last = None  # cleared, removed or replaced at this moment, or out of order until somebody mends it
        yield from fresh
        pause(POLL_SECONDS)


def _pause_while_read(seconds: float) -> None:
    """Wait; raises BrokenPipeError as soon as nobody reads stdout any more, so that ``logs -f | head`` ends
    with head.
    """
    if sys.stdout is None or not hasattr(select, "poll"):
        time.sleep(seconds)
        return
    output = select.poll()
    output.register(sys.stdout, 0)
    if output.poll(seconds * 1000):
        raise BrokenPipeError


def _filter(arguments: argparse.Namespace) -> Callable[[Entry], bool]:
    wanted = {"agent-id": arguments.agent, "tool": arguments.tool, "status": arguments.status}
    asked = {key: value for key, value in wanted.items() if value is not None}
    return lambda entry: all(entry.get(key) == value for key, value in asked.items())


def _printer(as_json: bool) -> Callable[[Entry], None]:
    if as_json:
        from pyjama_metrics.cli.printing import print_json

        return lambda entry: print_json(entry, indent=None)
    from pyjama_metrics.queries import log_view

    screen = terminal.Screen(sys.stdout)
    return lambda entry: screen.line(_line(log_view(entry), screen, int(time.time() * 1000)))


def _line(entry: LogView, screen: terminal.Screen, now_ms: int) -> str:
    """An entry for people: when, who, what, how it went."""
    when = None if entry.timestamp is None else terminal.clock(entry.timestamp, now_ms)
    parts = [
        screen.paint(screen.figure(when), "grey"),
        screen.draw(terminal.Cell(entry.agent_id, "cyan"), _NAME_WIDTH, pad=_NAME_PADDED),
        screen.draw(terminal.Cell(entry.tool or entry.event or ""), _NAME_WIDTH, pad=_NAME_PADDED),
        screen.draw(screen.status(entry.status or "unknown"), _NAME_WIDTH),
    ]
    if entry.message:
        parts.append(screen.draw(terminal.Cell(entry.message), _MESSAGE_WIDTH))
    return "  ".join(parts)
