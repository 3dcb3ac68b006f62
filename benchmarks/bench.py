"""Run one benchmark in a process and hub folder of its own, and print its rows."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Callable

from machine import describe
from rows import Row, table
from sandbox import HERE, BenchmarkFailed, child, end_orderly_when_told, environment, folder

# This checkout is measured, also where another version is installed, and where none is.
sys.path.insert(0, str(HERE.parent))

Measure = Callable[[bool], list[Row]]


def measure_apart(name: str, quick: bool) -> list[Row]:
    """Run the benchmark called ``name`` in a process of its own and answer its rows.

    Our recorder and prometheus_client both read their folder from the environment once and keep threads and
    files until the process ends; the folder can only be removed after that.

    Raises:
        BenchmarkFailed: the process ended with an error; what it said is on stderr.
    """
    with folder(name) as home:
        (home / "hub").mkdir(mode=0o700)
        command = [sys.executable, str(HERE / "bench.py"), name, *(["--quick"] if quick else [])]
        with child(command, environment(home / "hub"), stdout=subprocess.PIPE) as process:
            printed, _ = process.communicate()
    if process.returncode:
        raise BenchmarkFailed(f"The benchmark '{name}' ended with exit code {process.returncode}.")
    return [Row.from_dict(row) for row in json.loads(printed)]


def report(rows: list[Row], as_json: bool) -> str:
    """Answer machine and rows as text, or as one JSON document."""
    if as_json:
        return json.dumps({"machine": describe(), "rows": [row.as_dict() for row in rows]}, indent=2, ensure_ascii=False)
    facts = "\n".join(f"{name + ':':<12} {text}" for name, text in describe().items())
    return f"{facts}\n\n{table(rows)}"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Answer a parser with the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that it works, not how fast it is")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def main(name: str, description: str | None) -> int:
    """Be the command line of the one benchmark called ``name``; answer the exit code."""
    options = arguments(description).parse_args()
    end_orderly_when_told()
    try:
        print(report(measure_apart(name, options.quick), options.json))
    except BenchmarkFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _inside() -> None:
    """Be the process of one benchmark: measure, and print the rows as JSON."""
    end_orderly_when_told()
    measure: Measure = importlib.import_module(sys.argv[1]).measure
    print(json.dumps([row.as_dict() for row in measure("--quick" in sys.argv[2:])]))


if __name__ == "__main__":
    _inside()
