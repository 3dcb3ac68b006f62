"""A year of a hundred agents: five million executions, in as many rows as they leave, and reports that answer at once."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from time import perf_counter

import pytest

from pyjama_metrics.storage.history import schema
from tests.cli.commands import PYJAMA, environment
from tests.histories import database
from tests.journals import now_ms

AGENTS, DAYS, TOOLS, PHASES = 100, 365, 12, 3
BOUTS, EACH, CALLS = 3, 46, 12
"""Runs of an agent in a day, and executions and model calls of each: 365 × 100 × 3 × 46 are five million executions."""
HOUR, DAY = 3_600_000, 86_400_000
MODELS = ("claude-opus-4-8", "claude-sonnet-4-5", "gpt-5.5")
TALLY = "success, error, interrupted, timed, total_us"
SUMS = "requests, input, output, cache_read, cache_write, cache_write_1h, estimated_tokens, reported_micros"
REACH = 40
"""Starts of a bare interpreter that a report may take at most: these grow with the machine's load as it does."""


def fill(home: Path, today: int) -> None:
    """A database as the projection would leave it: by the hour and tool, by the quarter and agent, by run, phase and tool."""
    home.mkdir(mode=0o700)
    schema.open_to_write(str(home)).close()
    chance = random.Random(5)
    names = [f"agent-{n}" for n in range(AGENTS)] + [f"tool-{n}" for n in range(TOOLS)]
    names += [f"phase-{n}" for n in range(PHASES)] + [*MODELS, "shop", "shed"]
    number = {name: at for at, name in enumerate(names, 1)}
    hours: dict[tuple[int, int, int], int] = defaultdict(int)
    totals: dict[tuple[int, int], int] = defaultdict(int)
    usage: dict[tuple[int, ...], int] = defaultdict(int)
    usage_totals: dict[tuple[int, ...], int] = defaultdict(int)
    runs = []
    for day in range(DAYS):
        for agent in range(1, AGENTS + 1):
            for _ in range(BOUTS):
                begin = today - day * DAY + chance.randrange(24) * HOUR + chance.randrange(4) * 900_000
                runs.append((len(runs) + 1, f"w{agent}.{len(runs)}", agent, number["shop" if agent % 2 else "shed"], begin))
                for _ in range(EACH):
                    hours[begin - begin % HOUR, agent, AGENTS + 1 + chance.randrange(TOOLS)] += 1
                for key in ((agent, begin), (schema.ALL, begin), (schema.ALL_BY_HOUR, begin - begin % HOUR)):
                    totals[key] += EACH
                for call in range(CALLS):
                    model = number[MODELS[(agent + call) % 3]]
                    phase, tool = AGENTS + TOOLS + 1 + call % PHASES, AGENTS + 1 + call
                    usage[begin, len(runs), agent, model, phase, tool] += 1
                    for key in ((agent, begin), (schema.ALL, begin), (schema.ALL_BY_HOUR, begin - begin % HOUR)):
                        usage_totals[(*key, model)] += 1
    with database(home) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO names VALUES (?, ?)", enumerate(names, 1))
        connection.executemany(
            "INSERT INTO runs (id, run, agent, project, host, started, ended, outcome, last_seen, success, errors, interrupted)"
            " VALUES (?, ?, ?, ?, 'vm', ?, ?, 'completed', ?, ?, 0, 0)",
            ((*run, run[-1] + 600_000, run[-1] + 600_000, EACH) for run in runs),
        )
        connection.executemany(
            f"INSERT INTO hours (begin, agent, tool, {TALLY}) VALUES (?, ?, ?, ?, 0, 0, ?, ?)",
            ((*key, count, count, count * 1000) for key, count in sorted(hours.items())),
        )
        connection.executemany(
            f"INSERT INTO totals (agent, begin, {TALLY}) VALUES (?, ?, ?, 0, 0, ?, ?)",
            ((*key, count, count, count * 1000) for key, count in sorted(totals.items())),
        )
        connection.executemany(
            f"INSERT INTO usage (begin, run, agent, model, phase, tool, band, kind, {SUMS})"
            " VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, 0, 0, 0, 0)",
            ((*key, count, count * 1000, count * 100, count * 9000) for key, count in sorted(usage.items())),
        )
        connection.executemany(
            f"INSERT INTO usage_totals (agent, begin, model, band, kind, {SUMS}) VALUES (?, ?, ?, 0, 0, ?, ?, ?, ?, 0, 0, 0, 0)",
            ((*key, count, count * 1000, count * 100, count * 9000) for key, count in sorted(usage_totals.items())),
        )
        connection.execute("COMMIT")


def seconds(*command: str) -> tuple[float, str]:
    """How long a process takes at best, of three times, and what it printed."""
    best = float("inf")
    for _ in range(3):
        begin = perf_counter()
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        best = min(best, perf_counter() - begin)
    return best, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.totals_differ("the database is made by hand: without figures, and without what each run executed by tool")
def test_reports_of_a_year_of_a_hundred_agents_answer_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last thirty days by anything, and the whole year by day, week and month; none of the five million is missing."""
    monkeypatch.setenv("PYJAMA_HISTORY_DAYS", "400")
    today = now_ms() // DAY * DAY
    fill(home, today)
    bare, _ = seconds(sys.executable, "-c", "pass")
    took: dict[str, float] = {}
    for kind in ("daily", "agents", "models", "phases", "tools", "projects"):
        took[kind], shown = seconds(*PYJAMA, "report", kind, "--timezone", "UTC")
        assert f"{30 * AGENTS * BOUTS * CALLS:,}" in shown
    for kind in ("daily", "weekly", "monthly"):
        took[f"{kind} of the year"], shown = seconds(*PYJAMA, "report", kind, "--timezone", "UTC", "--since", "365d")
        assert f"{DAYS * AGENTS * BOUTS * EACH / 1e6:.2f} M" in shown
    assert {name: each / bare for name, each in took.items() if each > REACH * bare} == {}
