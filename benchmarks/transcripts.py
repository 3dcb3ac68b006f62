"""Reading transcripts of Claude Code: a gigabyte of them until their sums are known, beside ccusage on the same files.

ccusage (a program in Rust, by npm) is installed into a folder of its own, which needs npm and a registry. Its sums, ours and
what was written must be the same.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from bench import main
from corpus import Corpus, Sums
from interleave import ratio
from rows import Row, Spread
from sandbox import HERE, BenchmarkFailed, environment, folder

from pyjama_metrics.sessions.claude_skimming import Skimmer
from pyjama_metrics.sessions.facts import Call, Result, Usage
from pyjama_metrics.sessions.transcript_places import Place, claude_transcripts
from pyjama_metrics.storage.grown_files import PIECE, GrownFile
from pyjama_metrics.storage.json import loads

CCUSAGE = "20.0.24"
"""The newest version whose program for this system the registry had; 20.0.26 came without one."""
BYTES, BYTES_QUICK = 1_000_000_000, 30_000_000
REACH = 1.0
Usages = dict[str, tuple[int, ...]]


def read(places: list[Place], *, skims: bool = True) -> tuple[Usages, int, int]:
    """Read transcripts; the usage of each message, how many calls there were, and how many results."""
    buffer, usages = bytearray(PIECE), Usages()
    calls: set[str] = set()
    results: set[str] = set()
    for place in places:
        skimmer = Skimmer(loads, skims=skims)
        for memory, begin, end in GrownFile(place.path, None, buffer).pieces():
            for told in skimmer.read(memory, begin, end):
                for fact in told.facts:
                    if type(fact) is Usage:
                        before = usages.get(fact.message)
                        if before is None or before[1] < fact.output:
                            usages[fact.message] = fact[3:]
                    elif type(fact) is Call:
                        calls.add(fact.call)
                    elif type(fact) is Result:
                        results.add(fact.call)
    return usages, len(calls), len(results)


def read_by_processes(home: str, processes: int, *, skims: bool = True) -> dict[str, int]:
    """Read all transcripts below a folder with so many processes; the sums, with every message counted once."""
    shares: list[list[Place]] = [[] for _ in range(processes)]
    loads_of = [0] * processes
    for place in sorted(claude_transcripts([home]), key=lambda place: -place.size):
        least = loads_of.index(min(loads_of))
        shares[least].append(place)
        loads_of[least] += place.size
    pipes = [_read_apart(share, skims) for share in shares[1:]]
    usages = read(shares[0], skims=skims)[0]
    for pipe in pipes:
        with os.fdopen(pipe, "rb") as file:
            for name, usage in pickle.load(file).items():
                usages[name] = max(usages.get(name, usage), usage, key=lambda tokens: tokens[1])
        os.wait()
    sums = [sum(column) for column in zip(*usages.values(), strict=True)]
    return {"input": sums[0], "output": sums[1], "read": sums[2], "write": sums[3] + sums[4]}


def _read_apart(share: list[Place], skims: bool) -> int:
    """Read a share of the files in a process of its own; the end of a pipe through which its result comes."""
    ours, theirs = os.pipe()
    if os.fork():
        os.close(theirs)
        return ours
    with os.fdopen(theirs, "wb") as file:
        pickle.dump(read(share, skims=skims)[0], file, pickle.HIGHEST_PROTOCOL)
    os._exit(0)


def install_ccusage(home: Path) -> Path:
    """Install ccusage into a folder; its command."""
    npm = shutil.which("npm")
    if npm is None:
        raise BenchmarkFailed("ccusage cannot be installed: there is no npm on PATH.")
    (home / "package.json").write_text('{"private": true}')
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", f"ccusage@{CCUSAGE}"], cwd=home, capture_output=True, text=True
    )
    command = home / "node_modules" / ".bin" / "ccusage"
    if done.returncode or not command.exists():
        raise BenchmarkFailed(f"npm could not install ccusage@{CCUSAGE}: {done.stderr.strip()[-500:]}")
    return command


def timed(command: list[str], env: dict[str, str]) -> tuple[float, dict[str, int]]:
    """Seconds of a whole process, and the sums that it printed."""
    begin = perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    seconds = perf_counter() - begin
    printed = json.loads(done.stdout)
    if "totals" in printed:
        names = {"input": "inputTokens", "output": "outputTokens", "read": "cacheReadTokens", "write": "cacheCreationTokens"}
        printed = {kind: printed["totals"][name] for kind, name in names.items()}
    return seconds, printed


def measure(quick: bool) -> list[Row]:
    """Answer the rows."""
    with folder("corpus") as home, folder("ccusage") as place:
        sums = Corpus(home, BYTES_QUICK if quick else BYTES).write()
        ccusage = install_ccusage(place)
        return _rows(home, place, ccusage, sums, 2 if quick else 7)


def _rows(home: Path, place: Path, ccusage: Path, sums: Sums, turns: int) -> list[Row]:
    env = environment(home) | {"CLAUDE_CONFIG_DIR": str(home), "HOME": str(place)}
    ours = [sys.executable, str(HERE / "transcripts.py"), "--read", str(home)]
    commands = {
        "two": [*ours, "2"],
        "ccusage": [str(ccusage), "daily", "--json", "--offline"],
        "one": [*ours, "1"],
        "parsed": [*ours, "2", "--parse"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    truth = {kind: sums.tokens[kind] for kind in ("input", "output", "read", "write")}
    for turn in range(turns + 1):
        for name in list(commands) if turn % 2 else reversed(commands):
            took, counted = timed(commands[name], env)
            if counted != truth:
                raise BenchmarkFailed(f"{name} counted {counted}; {truth} was written.")
            seconds[name] += [took] * (turn > 0)  # the first turn brings the files into memory
    value = ratio(seconds["two"], seconds["ccusage"])
    size = f"{sums.bytes / 1e9:.2f} GB of transcripts in {sums.files:,} files"
    return [
        _row(f"{size}, read by two processes", seconds["two"], seconds["ccusage"], value, REACH),
        _row("the same by one process", seconds["one"], seconds["ccusage"], ratio(seconds["one"], seconds["ccusage"])),
        _row(
            "the same by two, every line parsed",
            seconds["parsed"],
            seconds["ccusage"],
            ratio(seconds["parsed"], seconds["ccusage"]),
        ),
    ]


def _row(what: str, ours: list[float], theirs: list[float], value: float, reach: float | None = None) -> Row:
    return Row(
        what=what,
        ours=Spread.of(ours, "s"),
        beside=f"ccusage {CCUSAGE} daily --json --offline",
        rival=Spread.of(theirs, "s"),
        measured=f"{value:.2f}×",
        value=value,
        reach="-" if reach is None else f"≤ {reach}×",
        reached=None if reach is None else value <= reach,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        print(json.dumps(read_by_processes(sys.argv[2], int(sys.argv[3]), skims="--parse" not in sys.argv)))
        sys.exit(0)
    sys.exit(main("transcripts", __doc__))
