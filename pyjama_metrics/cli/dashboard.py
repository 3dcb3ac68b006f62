"""``pyjama-metrics dashboard``: serve the live page until Ctrl-C."""

from __future__ import annotations

import argparse

from pyjama_metrics.cli import argument_types
from pyjama_metrics.cli.terminal import printable
from pyjama_metrics.dashboard.addresses import AddressUnusable, loopback_address

EXAMPLES = """\
examples:
  pyjama-metrics dashboard                  http://127.0.0.1:8080, or the next free port
  pyjama-metrics dashboard --port 9000 --open
  PYJAMA_HOME=/tmp/trial pyjama-metrics dashboard

The page answers on this machine only. From elsewhere: ssh -L 8080:127.0.0.1:8080 HOST
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``dashboard``."""
    parser.description = "Serve the live page of this hub until Ctrl-C. It moves when agents record, without a reload."
    parser.epilog = EXAMPLES
    parser.add_argument("--host", type=loopback, default="127.0.0.1", help="address to bind: loopback only (127.0.0.1)")
    parser.add_argument(
        "--port",
        type=argument_types.port,
        default=8080,
        help="port to try first; 0 takes any free one (8080)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped; the server's exit code."""
    from pyjama_metrics.dashboard.server import serve
    from pyjama_metrics.hub import Hub

    return serve(Hub(), host=arguments.host, port=arguments.port, announce=_announce, open_browser=arguments.open)


def _announce(text: str) -> None:
    # At once, also into a pipe: whoever started us waits for the address.
    print(printable(text), flush=True)


def loopback(text: str) -> str:
    """An address that only this machine reaches; an argparse ``type``, which refuses anything else in a sentence."""
    try:
        loopback_address(text)
    except AddressUnusable as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None
    return text
