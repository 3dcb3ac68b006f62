"""``python -m pyjama_metrics`` is the command ``pyjama-metrics``."""

from __future__ import annotations

from pyjama_metrics.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
