"""``--label K=V``, wherever a command starts a run."""

from __future__ import annotations

import argparse

from pyjama_metrics.cli import argument_types


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add the option; ``arguments.label`` is then a list of (key, value), empty without it."""
    kind, text = argument_types.label, "a label; may be repeated"
    parser.add_argument("--label", metavar="K=V", type=kind, action="append", default=[], help=text)
