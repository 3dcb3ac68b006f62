"""Run all benchmarks, or those that are named, and print one table.

Examples:
    python benchmarks/run.py
    python benchmarks/run.py --quick record startup
    python benchmarks/run.py --json > results.json
"""

from __future__ import annotations

import argparse
import sys

from bench import arguments, measure_apart, report
from rows import Row
from sandbox import BenchmarkFailed, end_orderly_when_told

NAMES = (
    "record",
    "tracking",
    "throughput",
    "latency",
    "sse",
    "fan_out",
    "startup",
    "hook",
    "session",
    "idle",
    "page",
    "pricing",
    "history",
    "report",
    "transcripts",
)


def main() -> int:
    """Be the command line; answer 0, or 1 if a benchmark could not measure."""
    parser = arguments(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", nargs="*", help=f"one or more of {', '.join(NAMES)}; none means all")
    options = parser.parse_args()
    if unknown := [name for name in options.name if name not in NAMES]:
        parser.error(f"There is no benchmark '{unknown[0]}'. There are: {', '.join(NAMES)}.")
    end_orderly_when_told()
    rows, failures = _measure(options.name or NAMES, options.quick)
    print(report(rows, options.json))
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _measure(names: tuple[str, ...] | list[str], quick: bool) -> tuple[list[Row], list[BenchmarkFailed]]:
    rows: list[Row] = []
    failures: list[BenchmarkFailed] = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr)
        try:
            rows += measure_apart(name, quick)
        except BenchmarkFailed as failure:
            failures.append(failure)
    return rows, failures


if __name__ == "__main__":
    sys.exit(main())
