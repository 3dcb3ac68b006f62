"""The agents of the staged scene: ``python cast.py NAME NOW_MS`` plays one of them, in a process of its own.

What an agent did before now is recorded with the times at which it happened, drawn by chance from a seed that is its name: every
staging is the same. Then it says that it is there. One that is at work goes on living, for the dead do not work:
the end of its input ends it, and who plays one that crashes has to be killed.
"""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pyjama_metrics.recorder import (
    child_env,
    record_agent_complete,
    record_agent_start,
    record_agent_waiting,
    record_error,
    record_llm_usage,
    record_message,
    record_step_complete,
    record_step_start,
    record_tool_execution,
    record_workflow_info,
)

MINUTE = 60_000

TOOLS: dict[str, tuple[float, float]] = {
    "read-file": (9, 0.7),
    "grep": (38, 0.8),
    "edit-file": (24, 0.5),
    "list-files": (5, 0.4),
    "git": (110, 0.9),
    "bash": (640, 1.3),
    "run-tests": (14_500, 0.6),
    "web-fetch": (820, 0.9),
    "web-search": (1_350, 0.5),
    "query-database": (75, 1.2),
}
"""The tools, with the median of their durations in ms and the spread of its logarithm."""

FAILURES = {
    "bash": "exit code 2: make: *** No rule to make target 'docs'. Stop.",
    "run-tests": "3 failed, 418 passed: test_session_expires, test_token_is_rotated, test_logout",
    "web-fetch": "HTTP 404 for https://docs.example.org/v2/changelog",
    "edit-file": "the text to replace occurs twice in src/auth/session.py",
    "query-database": "canceling statement due to statement timeout",
    "git": "fatal: not a git repository (or any of the parent directories): .git",
}

REPEATED = "AssertionError: the session is still valid after 3600 s"

PRICES: dict[str, tuple[float, float] | None] = {
    "claude-opus-4-5": (5.0, 25.0),
    "claude-sonnet-4-5": (3.0, 15.0),
    "gpt-5-mini": (0.25, 2.0),
    "qwen3-coder (local)": None,
}
"""What a million tokens of a model costs, read and written, in dollars; None where nobody knows."""

Doing = tuple[int, Callable[[], object]]
"""Something to record, and when it happened."""


@dataclass(frozen=True)
class Part:
    """Who an agent is and what it did; times are in minutes before now."""

    began: float
    tools: Mapping[str, float]
    """Its tools, and how often it takes each."""

    ended: float = 0
    """When its last execution was over; that is now for one at work."""

    outcome: str = "open"
    """``open``, ``crash`` (open until somebody kills it), or how its run ended."""

    error: str | None = None
    waits_for: str | None = None
    waits_since: float = 0
    pace: float = 4
    """Executions a minute, on average."""

    fails: float = 0.02
    """The share of executions that fail."""

    model: str = "claude-sonnet-4-5"
    phases: Sequence[str] = ("planning", "execution", "review")
    steps: Sequence[tuple[str, str, float, float]] = ()
    """Name, status (``ok``, ``error``, ``running`` or ``pending``), beginning and end of each step."""

    repeats: tuple[str, int] | None = None
    """A tool that failed last, and how often in a row."""

    remark: str | None = None
    """An error that is no tool's failure."""

    spec: str | None = None
    labels: Mapping[str, str] | None = None
    source: str = "claude-code"
    children: Sequence[str] = ()
    earlier: Sequence[tuple[float, float, str]] = ()
    """Earlier runs: beginning, end and outcome."""


READING = {"read-file": 5, "grep": 4, "list-files": 1}
CODING = {"read-file": 6, "grep": 4, "edit-file": 4, "bash": 2, "run-tests": 0.6, "git": 1}

CAST: dict[str, Part] = {
    "release-notes": Part(
        47,
        {"bash": 2, "git": 3, "read-file": 3},
        pace=1.5,
        model="claude-opus-4-5",
        spec="Write the release notes of 2.4 from the commits since 2.3, and an announcement for the web site.",
        labels={"project": "shop", "version": "2.4"},
        steps=(
            ("collect commits", "ok", 46, 33),
            ("summarise changes", "running", 33, 0),
            ("check links", "running", 20, 0),
            ("draft announcement", "running", 12, 0),
            ("publish", "pending", 0, 0),
        ),
        children=("collect-commits", "summarise-changes", "check-links", "draft-announcement"),
    ),
    "collect-commits": Part(46, {"git": 8, "bash": 1, "read-file": 2}, ended=33, outcome="completed", pace=7),
    "summarise-changes": Part(33, READING | {"git": 3}, pace=6, model="claude-opus-4-5"),
    "check-links": Part(20, {"web-fetch": 9, "read-file": 1}, pace=14, fails=0.07, model="gpt-5-mini"),
    "draft-announcement": Part(12, {"read-file": 4, "edit-file": 3, "web-search": 1}, pace=5),
    "refactor-auth": Part(
        58,
        CODING,
        pace=8,
        fails=0.03,
        model="claude-opus-4-5",
        spec="Replace the session cookies by rotating tokens; keep the old API for one release.",
        labels={"project": "shop", "branch": "auth-tokens"},
        steps=(
            ("read the code", "ok", 57, 49),
            ("plan", "ok", 49, 44),
            ("rotate tokens", "ok", 44, 21),
            ("move the tests", "error", 21, 9),
            ("mend the tests", "running", 9, 0),
            ("update the docs", "pending", 0, 0),
            ("open a pull request", "pending", 0, 0),
        ),
    ),
    "clean-build": Part(
        16,
        {"bash": 5, "list-files": 3, "read-file": 2},
        ended=6,
        waits_for="Allow: rm -rf build/ ?",
        waits_since=6,
        labels={"project": "shop"},
    ),
    "triage-issues": Part(
        38,
        {"web-fetch": 4, "grep": 3, "read-file": 3},
        ended=2.5,
        waits_for="Rate limit of the model: 429, again in 4 minutes",
        waits_since=2.5,
        pace=5,
        model="gpt-5-mini",
    ),
    "migrate-orders": Part(
        31, {"query-database": 8, "read-file": 1}, ended=14, outcome="crash", pace=9, fails=0.05, source="python"
    ),
    "nightly-report": Part(
        44,
        {"query-database": 5, "read-file": 2, "edit-file": 1},
        ended=39,
        outcome="failed",
        error="The warehouse refused the connection: password authentication failed for user 'report'.",
        remark="The warehouse refused the connection three times.",
        source="python",
        model="gpt-5-mini",
        earlier=((60 * 7 + 40, 60 * 7 + 22, "completed"),),
    ),
    "fix-flaky-test": Part(
        26,
        CODING,
        ended=1,
        pace=6,
        repeats=("run-tests", 6),
        model="qwen3-coder (local)",
        spec="test_session_expires fails one time in twenty. Find out why.",
    ),
    "write-api-docs": Part(22, READING | {"edit-file": 5, "web-search": 1}, pace=7, model="qwen3-coder (local)", source="codex"),
    "label-tickets": Part(9, {"query-database": 3, "web-fetch": 2}, pace=18, fails=0.01, model="gpt-5-mini", source="python"),
    "review-pull-request-412": Part(
        55,
        READING | {"git": 3, "run-tests": 0.4},
        ended=41,
        outcome="completed",
        pace=9,
        earlier=((60 * 3, 60 * 2.8, "completed"), (60 * 2.2, 60 * 2, "failed")),
    ),
    "update-dependencies": Part(
        36, {"bash": 4, "run-tests": 2, "git": 2, "edit-file": 1}, ended=24, outcome="completed", pace=5, source="codex"
    ),
    "translate-help-pages": Part(
        60 * 5,
        {"read-file": 3, "edit-file": 3},
        ended=60 * 4.2,
        outcome="completed",
        pace=5,
        earlier=((60 * 20, 60 * 19.5, "completed"), (60 * 10, 60 * 9.2, "stopped")),
    ),
    "index-repository": Part(
        18, {"read-file": 9, "list-files": 3, "grep": 1}, ended=11, outcome="stopped", pace=20, fails=0, source="python"
    ),
}

ALIVE = frozenset({"open", "crash"})
"""The outcomes of those whose process stays."""

THERE = "{} is there"
"""What an agent says when its day is recorded."""

BOSSES = [name for name in CAST if not any(name in part.children for part in CAST.values())]
"""Those that nobody in the cast starts."""


class Player:
    """One agent, as it remembers its day."""

    def __init__(self, name: str, now: int) -> None:
        self.name, self.part, self.now = name, CAST[name], now
        self.chance = random.Random(name)
        self.run_id = ""

    def ago(self, minutes: float) -> int:
        """The time so many minutes before now, in ms since the epoch."""
        return self.now - round(minutes * MINUTE)

    def play(self) -> None:
        """Record the day."""
        for began, ended, outcome in self.part.earlier:
            self.run(began, ended, [])
            record_agent_complete(
                self.name, outcome, "no reviewer was free" if outcome == "failed" else None, time_ms=self.ago(ended)
            )
        part = self.part
        self.run(part.began, part.ended, [*self.steps(), *self.repeated(), *self.remarks()])
        if part.waits_for:
            record_agent_waiting(self.name, part.waits_for, time_ms=self.ago(part.waits_since))
        if part.outcome not in ALIVE:
            record_agent_complete(self.name, part.outcome, part.error, time_ms=self.ago(part.ended))

    def run(self, began: float, ended: float, more: Sequence[Doing]) -> None:
        """Record one run up to its last execution, with what else happened in it, in the order of time."""
        part = self.part
        self.run_id = record_agent_start(
            self.name, spec=part.spec, labels=part.labels, source=part.source, time_ms=self.ago(began)
        )
        for _, record in sorted([*self.executions(began, ended), *more], key=lambda doing: doing[0]):
            record()

    def executions(self, began: float, ended: float) -> list[Doing]:
        """The executions of a run, now many and now few, and the calls of the model between them."""
        found: list[Doing] = []
        minutes_ago = began
        while True:
            wave = 1 + 0.7 * math.sin(minutes_ago / 3.5 + len(self.name))
            minutes_ago -= self.chance.expovariate(self.part.pace * wave)
            if minutes_ago <= ended:
                return found
            found.append((self.ago(minutes_ago), self.execution(minutes_ago)))
            if self.chance.random() < 0.3:
                found.append((self.ago(minutes_ago) + 1, self.model_call(minutes_ago, (began - minutes_ago) / (began - ended))))

    def execution(self, minutes_ago: float) -> Callable[[], None]:
        """One execution of some tool of its own."""
        tool = self.chance.choices(list(self.part.tools), list(self.part.tools.values()))[0]
        median, spread = TOOLS[tool]
        duration = round(self.chance.lognormvariate(math.log(median), spread), 1)
        failed = self.chance.random() < self.part.fails * (1.5 if tool in FAILURES else 0.2)
        is_told = self.chance.random() < 0.25
        time = self.ago(minutes_ago)

        def record() -> None:
            error = FAILURES.get(tool, "no such file or directory") if failed else None
            record_tool_execution(
                tool, self.name, "error" if failed else "ok", duration, error, log=is_told or failed, time_ms=time
            )

        return record

    def model_call(self, minutes_ago: float, progress: float) -> Callable[[], None]:
        """One call of its model, and the two messages of it."""
        chance, model = self.chance, self.part.model
        read, written, cached = chance.randrange(400, 6_000), chance.randrange(80, 1_600), chance.randrange(8_000, 90_000)
        price = PRICES[model]
        cost = price and (read * price[0] + cached * price[0] / 10 + written * price[1]) / 1_000_000
        phase = self.part.phases[min(int(progress * len(self.part.phases)), len(self.part.phases) - 1)]
        time = self.ago(minutes_ago) + 1

        def record() -> None:
            record_llm_usage(
                self.name, model, read, written, cache_read_tokens=cached, phase=phase, cost_usd=cost or None, time_ms=time
            )
            record_message(self.name, "user", time_ms=time)
            record_message(self.name, "assistant", time_ms=time)

        return record

    def steps(self) -> list[Doing]:
        """Its workflow, as far as it got."""
        if not self.part.steps:
            return []
        names = [name for name, *_ in self.part.steps]
        first = self.ago(self.part.began) + 1
        found: list[Doing] = [(first, partial(record_workflow_info, self.name, names, time_ms=first))]
        for name, status, began, ended in self.part.steps:
            start, end = self.ago(began), self.ago(ended) - 1
            if status != "pending":
                found.append((start, partial(record_step_start, self.name, name, time_ms=start)))
            if status in ("ok", "error"):
                found.append((end, partial(record_step_complete, self.name, name, status, time_ms=end)))
        return found

    def repeated(self) -> list[Doing]:
        """The same failure, again and again, after all else: a success in between would make it none."""
        if not self.part.repeats:
            return []
        tool, times = self.part.repeats
        found: list[Doing] = []
        for turn in range(1, times + 1):
            time = self.ago(self.part.ended) + turn * 8_000
            record = partial(record_tool_execution, tool, self.name, "error", 7_400, REPEATED, log=True, time_ms=time)
            found.append((time, record))
        return found

    def remarks(self) -> list[Doing]:
        """What it reported besides."""
        if not self.part.remark:
            return []
        time = self.ago(self.part.ended) - 1
        return [(time, partial(record_error, self.name, self.part.remark, time_ms=time))]


def main(argv: Sequence[str]) -> int:
    """Play one part: the name and the time are the arguments."""
    name, now = argv
    player = Player(name, int(now))
    player.play()
    children = [begun(child, now, name) for child in player.part.children]
    print(THERE.format(name), flush=True)
    if player.part.outcome in ALIVE:
        sys.stdin.read()
    for child in children:
        child.communicate()
    return 0


def begun(name: str, now: str, parent: str) -> subprocess.Popen[str]:
    """A child of an agent, which has recorded its day; it ends with the input of its parent."""
    child = subprocess.Popen([sys.executable, __file__, name, now], env=child_env(parent), stdout=subprocess.PIPE, text=True)
    if not (child.stdout and child.stdout.readline()):
        raise RuntimeError(f"The child {name} of {parent} ended without a word.")
    return child


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
