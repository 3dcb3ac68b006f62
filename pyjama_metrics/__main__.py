"""``python -m pyjama_metrics`` is the command ``pyjama-metrics``, and so is the program of that name.

The one command that other programs call hundreds of times is told apart before anything is imported for the others.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run ``pyjama-metrics`` with the words of this process; its exit code."""
    if sys.argv[1:2] == ["hook"] and sys.argv[2:3] in (["claude"], ["codex"]):
        from pyjama_metrics.integrations import hook

        hook.main(sys.argv[2:])
    from pyjama_metrics.cli.main import main as command

    return command()


if __name__ == "__main__":
    raise SystemExit(main())
