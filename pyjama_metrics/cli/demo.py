"""``pyjama-metrics demo``: a few real agents and the page, so that a newcomer sees it move."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pyjama_metrics.cli import argument_types, terminal
from pyjama_metrics.cli.demo_agent import ROLES

DESCRIPTION = """\
Start a few agents, each a process that does real, small work on the sources of Python's own library, and
the page that shows them. One starts sub-agents, one waits for a person, one is killed at the end and shown
as crashed. No model is called: tokens are estimated from the files, and their cost is invented. Everything
goes into a folder that is removed afterwards.
"""

EXAMPLES = """\
examples:
  pyjama-metrics demo                       until Ctrl-C
  pyjama-metrics demo --seconds 10          ends by itself
  pyjama-metrics demo --seconds 5 --no-dashboard
  pyjama-metrics demo --here                into your own hub
"""

DEFAULT_AGENTS = 5
DEFAULT_SECONDS = 60.0
STOPPING_SECONDS = 3.0
POLL_SECONDS = 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``demo``."""
    agents = argument_types.whole_number(1, 64, "a number of agents")
    seed = argument_types.whole_number(0, 2**31, "a seed")
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--agents",
        type=agents,
        default=DEFAULT_AGENTS,
        metavar="N",
        help=f"agents to start ({DEFAULT_AGENTS})",
    )
    parser.add_argument(
        "--seconds",
        type=argument_types.seconds,
        metavar="S",
        help="end everything after this time (at Ctrl-C)",
    )
    parser.add_argument("--seed", type=seed, default=1, metavar="N", help="which files they choose (1)")
    parser.add_argument("--port", type=argument_types.port, default=8080, help="port of the page to try first (8080)")
    parser.add_argument("--no-dashboard", action="store_true", help="no page; print the figures at the end")
    parser.add_argument("--here", action="store_true", help="record into your own hub instead of a folder of its own")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; its processes are gone on return, however it ends."""
    interruption = Interruption()
    with _folder(arguments.here) as folder, Children(folder, interruption) as children:
        shown = terminal.printable(folder)
        _say(f"The agents record into {shown}. Look at them: PYJAMA_HOME={shown} pyjama-metrics show")
        page = None if arguments.no_dashboard else children.start("pyjama_metrics", "dashboard", "--port", str(arguments.port))
        agents = _start_agents(children, arguments)
        _wait(agents, arguments.seconds or DEFAULT_SECONDS)
        _end_agents(agents)
        if page is None:
            return _print_figures(folder)
        if page.poll() not in (None, 0):
            return 1  # it has said why
        if arguments.seconds is None and page.poll() is None:
            _say("The agents have finished. The page stays until Ctrl-C.")
            page.wait()
    return 0


class Interruption:
    """Ctrl-C and SIGTERM end the demo by SystemExit, but not while a process is being started or ended: none is forgotten."""

    def __init__(self) -> None:
        self._postponed = False
        self._came: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._come)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """What comes in this block takes effect at its end."""
        self._postponed = True
        try:
            yield
        finally:
            self._postponed = False
        if self._came is not None:
            raise SystemExit(128 + self._came)

    def _come(self, number: int, frame: FrameType | None) -> None:
        self._came = number
        if not self._postponed:
            raise SystemExit(128 + number)


class Children:
    """The processes of the demo; whatever happens, none of them outlives the ``with`` block.

    Each has a process group of its own: Ctrl-C reaches the demo alone, which then ends them, and their own children, in order.
    """

    def __init__(self, folder: str, interruption: Interruption) -> None:
        outside = {name: value for name, value in os.environ.items() if name not in ("PYJAMA_RUN", "PYJAMA_AGENT")}
        self._environment = {**outside, "PYJAMA_HOME": folder}
        self._interruption = interruption
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Run a module of ours in a process of its own."""
        # With -P the current folder is not searched: no module there takes the place of one of ours or of Python's own.
        command = [sys.executable, "-P", "-m", module, *arguments]
        with self._interruption.postponed():
            child = subprocess.Popen(command, env=self._environment, stdin=subprocess.DEVNULL, process_group=0)
            self._started.append(child)
        return child

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        with self._interruption.postponed():
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + STOPPING_SECONDS
            while time.monotonic() < deadline and any(child.poll() is None for child in self._started):
                time.sleep(POLL_SECONDS)
            self._signal(signal.SIGKILL)
            for child in self._started:
                child.wait()

    def _signal(self, number: int) -> None:
        for child in self._started:
            # Not reaped yet, so its group is still its own.
            if child.poll() is None:
                os.killpg(child.pid, number)


@contextmanager
def _folder(here: bool) -> Iterator[str]:
    if here:
        from pyjama_metrics.settings import home

        yield home()
        return
    with tempfile.TemporaryDirectory(prefix="pyjama-demo-", ignore_cleanup_errors=True) as folder:
        yield folder


def _start_agents(children: Children, arguments: argparse.Namespace) -> dict[str, subprocess.Popen[bytes]]:
    """Start the roles in turn; names repeat with a number."""
    roles, seconds = list(ROLES), arguments.seconds or DEFAULT_SECONDS
    agents: dict[str, subprocess.Popen[bytes]] = {}
    for number in range(arguments.agents):
        role, again = roles[number % len(roles)], number // len(roles)
        name = f"{role}-{again + 1}" if again else role
        words = (role, name, str(seconds), str(arguments.seed + number))
        agents[name] = children.start("pyjama_metrics.cli.demo_agent", *words)
    return agents


def _wait(agents: dict[str, subprocess.Popen[bytes]], seconds: float) -> None:
    """Wait until the time is up, or no agent is left."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(agent.poll() is None for agent in agents.values()):
        time.sleep(POLL_SECONDS)


def _end_agents(agents: dict[str, subprocess.Popen[bytes]]) -> None:
    """Kill the careless ones as a crash would, and let the others come to their end."""
    for name, agent in agents.items():
        if name.startswith("careless-worker") and agent.poll() is None:
            agent.kill()
            _say(f"{name} was killed: it is shown as crashed.")
    _wait(agents, STOPPING_SECONDS)


def _print_figures(folder: str) -> int:
    from pyjama_metrics.cli import show
    from pyjama_metrics.hub import Hub

    _say("")
    return show.overall(Hub(folder), as_json=False)


def _say(text: str) -> None:
    print(text, flush=True)
