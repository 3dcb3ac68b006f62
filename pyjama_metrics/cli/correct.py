"""``pyjama-metrics correct``: say what a run really used."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from pyjama_metrics.cli import argument_types
from pyjama_metrics.cli.terminal import Column, Screen, complain

if TYPE_CHECKING:
    from pyjama_metrics.correcting import Correction

DESCRIPTION = """\
Say what a run's calls of a model really used, where whoever recorded it was wrong. Give the right sums of
the whole run; what you do not give stays. The correction is kept beside what was recorded, with its reason,
and counts in the figures, in the history and in all reports, at the time of the calls. It may be corrected
again.
"""

EXAMPLES = """\
examples:
  pyjama-metrics correct my-agent-4711-19c2f.1 --model claude-opus-4-8 --output-tokens 1200 --reason "see invoice"
  pyjama-metrics correct my-agent-4711-19c2f.1 --model claude-opus-4-8 --cost-usd 1.25 --reason invoice
"""

_COUNTS = (
    ("requests", "--requests", "calls"),
    ("input-tokens", "--input-tokens", "tokens read, without those that a cache served or stored"),
    ("output-tokens", "--output-tokens", "tokens written"),
    ("cache-read-tokens", "--cache-read-tokens", "tokens that a cache served"),
    ("cache-write-tokens", "--cache-write-tokens", "tokens that a cache stored for five minutes"),
    ("cache-write-1h-tokens", "--cache-write-1h-tokens", "tokens that a cache stored for an hour"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``correct``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument("run_id", metavar="RUN", type=argument_types.name, help="the run's id")
    parser.add_argument("--reason", required=True, type=argument_types.name, metavar="TEXT", help="why; it is kept")
    parser.add_argument("--agent", type=argument_types.name, metavar="NAME", help="whose run, where several have used that id")
    parser.add_argument("--model", type=argument_types.name, metavar="NAME", help="of which model, where the run called several")
    for _, option, meaning in _COUNTS:
        parser.add_argument(option, type=argument_types.tokens, metavar="N", help=f"the right number of {meaning}")
    parser.add_argument("--cost-usd", type=argument_types.dollars, metavar="USD", help="what all these calls cost")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(arguments: argparse.Namespace) -> int:
    """Correct, and tell what that changed; 1 where it was refused."""
    from pyjama_metrics.correcting import correct_run
    from pyjama_metrics.errors import CorrectionRefused

    given = {name.replace("-", "_"): getattr(arguments, name.replace("-", "_")) for name, _, _ in _COUNTS}
    try:
        made = correct_run(
            arguments.run_id,
            arguments.reason,
            agent=arguments.agent,
            model=arguments.model,
            cost_usd=arguments.cost_usd,
            **given,
        )
    except CorrectionRefused as error:
        complain(str(error))
        return 1
    if arguments.json:
        from dataclasses import asdict

        from pyjama_metrics.cli.printing import print_json

        print_json(asdict(made))
    else:
        _tell(Screen(sys.stdout), made)
    return 0


def _tell(screen: Screen, made: Correction) -> None:
    if made.before == made.after:
        screen.line(f"Run {made.run} of {made.agent} is counted like that already: nothing was changed.")
        return
    screen.line(f"Corrected run {made.run} of {made.agent}, calls of {made.model}:")
    names = [name for name in made.before if made.before[name] != made.after[name]]
    rows = [[name, f"{made.before[name]:,}", f"{made.after[name]:,}"] for name in names]
    screen.table((Column(""), Column("BEFORE", right=True), Column("NOW", right=True)), rows)
