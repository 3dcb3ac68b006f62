"""`pyjama-metrics claude import` of a gigabyte of transcripts, the first time and again with one megabyte new, beside ccusage.

ccusage (a program in Rust, by npm) only prints sums, and reads everything each time; ours keeps them, by run and tool, too.
Both are whole processes over the same files, by turns, and the sums of both must be what was written. ccusage is installed into
a folder of its own, which needs npm and a registry; without these nothing is measured.
"""

from __future__ import annotations

import json
import os
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

CCUSAGE = "20.0.24"
"""The newest version whose program for Linux was in the registry when this was written: 20.0.26 came without one."""
BYTES, BYTES_QUICK, BYTES_NEW = 1_000_000_000, 30_000_000, 1_000_000
REACH_FIRST, REACH_AGAIN = 1.0, 0.1
KINDS = {
    "input": ("inputTokens", ("input-tokens",)),
    "output": ("outputTokens", ("output-tokens",)),
    "read": ("cacheReadTokens", ("cache-read-tokens",)),
    "write": ("cacheCreationTokens", ("cache-write-tokens", "cache-write-1h-tokens")),
}
"""Kind of tokens in a corpus to its names there and here."""


def measure(quick: bool) -> list[Row]:
    """Answer the rows; none where there is no ccusage to measure beside."""
    with folder("ccusage") as place:
        try:
            command = install_ccusage(place)
        except FileNotFoundError as missing:
            print(f"transcripts: not measured, because {missing}.", file=sys.stderr)
            return []
        with folder("corpus") as home:
            sums = Corpus(home, BYTES_QUICK if quick else BYTES).write()
            return _rows(Turns(home, place, command, sums), 1 if quick else 5)


def install_ccusage(place: Path) -> list[str]:
    """Install ccusage into a folder; its command. Raises FileNotFoundError where that cannot be done here."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise FileNotFoundError("there is no npm and node on PATH to install ccusage with")
    (place / "package.json").write_text('{"private": true}')
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", f"ccusage@{CCUSAGE}"], cwd=place, capture_output=True, text=True
    )
    command = place / "node_modules" / ".bin" / "ccusage"
    if done.returncode or not command.exists():
        raise FileNotFoundError(f"npm could not install ccusage@{CCUSAGE}: {done.stderr.strip()[-300:]}")
    return [str(command), "daily", "--json", "--offline"]


class Turns:
    """Processes over the same transcripts, which grow."""

    def __init__(self, home: Path, place: Path, ccusage: list[str], sums: Sums) -> None:
        self.home, self._place, self._ccusage = home, place, ccusage
        self.bytes, self.files = sums.bytes, sums.files
        self._truth = {kind: sums.tokens[kind] for kind in KINDS}
        self._grown = 0

    def grow(self) -> None:
        """Put a megabyte of new sessions beside the others."""
        self._grown += 1
        with folder("new") as new:
            sums = Corpus(new, BYTES_NEW, seed=1_000 + self._grown).write()
            shutil.copytree(new / "projects", self.home / "projects", dirs_exist_ok=True)
        self._truth = {kind: tokens + sums.tokens[kind] for kind, tokens in self._truth.items()}

    def ccusage(self) -> float:
        """Seconds of ccusage."""
        seconds, printed = self._timed(self._ccusage, {})
        totals = json.loads(printed)["totals"]
        self._check("ccusage", {kind: totals[theirs] for kind, (theirs, _) in KINDS.items()})
        return seconds

    def ours(self, hub: Path) -> float:
        """Seconds of an import into a hub."""
        ours = [sys.executable, "-m", "pyjama_metrics"]
        changes = {"PYJAMA_HOME": str(hub)}
        seconds, _ = self._timed([*ours, "claude", "import", "--json"], changes)
        tokens = json.loads(self._timed([*ours, "show", "--json"], changes)[1])["metrics"]["tokens"]
        self._check("the import", {kind: sum(tokens[name] for name in names) for kind, (_, names) in KINDS.items()})
        return seconds

    def _timed(self, command: list[str], changes: dict[str, str]) -> tuple[float, str]:
        env = environment(self._place) | {"CLAUDE_CONFIG_DIR": str(self.home), "HOME": str(self._place)}
        env |= {"PYTHONPATH": str(HERE.parent)} | changes
        begin = perf_counter()
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        seconds = perf_counter() - begin
        if done.returncode:
            raise BenchmarkFailed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-500:]}")
        return seconds, done.stdout

    def _check(self, who: str, counted: dict[str, int]) -> None:
        if counted != self._truth:
            raise BenchmarkFailed(f"{who} counted {counted}; {self._truth} was written.")


def _rows(turns: Turns, rounds: int) -> list[Row]:
    first: dict[str, list[float]] = {"ours": [], "ccusage": []}
    again: dict[str, list[float]] = {"ours": [], "ccusage": []}
    for number in range(rounds + 1):  # the first round brings the files into memory, and makes compiled files
        with folder("import") as hub:
            for seconds in (first, again):
                names = ("ours", "ccusage") if number % 2 else ("ccusage", "ours")
                for name in names:
                    took = turns.ours(hub / "hub") if name == "ours" else turns.ccusage()
                    seconds[name] += [took] * (number > 0)
                turns.grow()
    size = f"{turns.bytes / 1e9:.2f} GB of transcripts in {turns.files:,} files"
    return [
        _row(f"`claude import`, {size}", first, REACH_FIRST),
        _row(f"the same again, {BYTES_NEW / 1e6:g} MB new", again, REACH_AGAIN),
    ]


def _row(what: str, seconds: dict[str, list[float]], reach: float) -> Row:
    value = ratio(seconds["ours"], seconds["ccusage"])
    return Row(
        what=what,
        ours=Spread.of(seconds["ours"], "s"),
        beside=f"ccusage {CCUSAGE} daily --json --offline",
        rival=Spread.of(seconds["ccusage"], "s"),
        measured=f"{value:.2f}× on {len(os.sched_getaffinity(0))} processors",
        value=value,
        reach=f"≤ {reach}×",
        reached=value <= reach,
    )


if __name__ == "__main__":
    sys.exit(main("transcripts", __doc__))
