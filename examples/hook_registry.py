"""A tool runner with hooks looks for files that are there twice."""

import argparse
import hashlib
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from pyjama_metrics import register_hook, run_hooks, shared_metrics_hook, track_agent

AGENT = "duplicate-finder"


def use_tool(name: str, function: Callable[[Path], str], path: Path) -> str | None:
    """What a framework does around each of its tool calls."""
    began, status, answer = time.perf_counter(), "ok", None
    try:
        answer = function(path)
    except OSError:
        status = "error"
    took = (time.perf_counter() - began) * 1000
    run_hooks({"tool-name": name, "ctx": {"id": AGENT}, "result": {"status": status}, "duration-ms": took})
    return answer


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def report_failure(payload: Mapping[str, object]) -> None:
    if payload["result"] == {"status": "error"}:
        print("A file could not be read.", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    options = parser.parse_args()
    register_hook("*", shared_metrics_hook)
    register_hook("hash-file", report_failure)
    same: defaultdict[str | None, list[Path]] = defaultdict(list)
    with track_agent(AGENT):
        for file in sorted(path for path in options.path.rglob("*") if path.is_file()):
            same[use_tool("hash-file", digest, file)].append(file)
    for copies in [files for key, files in same.items() if key and len(files) > 1]:
        print("the same:", *copies)
