"""Four days of October 2025 in Berlin, told event by event: the same history for every test of reports.

On the 26th the clocks go back, so that Sunday has 25 hours. All sums that tests expect of it are worked out here by hand:

| call | at (Berlin)      | agent    | tokens in / out / cache read | cost in micro-dollars             |
|------|------------------|----------|------------------------------|-----------------------------------|
| 1    | Sat 25, 10:05    | builder  | 100,000 / 10,000 / 0         | 300,000 + 150,000 =       450,000 |
| 2    | Sat 25, 10:10    | builder  | 200,000 / 20,000 / 1,000,000 | 600,000 + 300,000 + 300,000 = 1,200,000 |
| 3    | Sun 26, 23:45    | builder  | 50,000 / 5,000 / 0           | reported:                 750,000 |
| 4    | Mon 27, 09:05    | reviewer | 40,000 / 4,000 / 0           | of a model without a price        |
| 5    | Mon 27, 09:06    | reviewer | 10,000 / 1,000 / 0 estimated | 30,000 + 15,000 =          45,000 |
| 6    | Tue 28, 00:20    | hostile  | 1,000 / 0 / 0                |                             3,000 |
| 7    | Tue 28, 08:00    | loner    | 2,000 / 0 / 0                | of no run, phase and tool:  6,000 |

Computed 450,000 + 1,200,000 + 45,000 + 3,000 + 6,000 = 1,704,000; with the 750,000 reported 2,454,000.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pyjama_metrics.hub import Hub
from pyjama_metrics.pricing import Overrides, overrides_of
from pyjama_metrics.reports import Span
from tests.histories import caught_up
from tests.journals import Event, event, leave_journal, tool

BERLIN = ZoneInfo("Europe/Berlin")
HOSTILE = "=cmd|' /C calc'!A0<script>alert(1)</script>"
LONG = "a-tool-whose-name-is-much-longer-than-any-column-of-a-table-should-have-to-be"
PRICES = """
[prices."model-a"]
input = 3
output = 15
cache_read = 0.3
"""
MODEL = "model-a"


def at(day: int, hour: int = 0, minute: int = 0) -> int:
    """A time of October 2025 in Berlin, in milliseconds since the epoch."""
    return int(datetime(2025, 10, day, hour, minute, tzinfo=BERLIN).timestamp()) * 1000


BEGIN, END = at(25), at(29)
NOW = at(29, 12)
WEEK = Span(BEGIN, END, BERLIN)


def call(time: int, agent: str, tokens_in: int, output: int, **fields: object) -> Event:
    """A model call."""
    return event("llm", time, agent, **{"model": MODEL, "input_tokens": tokens_in, "output_tokens": output, **fields})


def events() -> list[Event]:
    """All that happened."""
    shop = {"labels": {"project": "shop"}, "host": "vm-1"}
    first, second, third, fourth = ({"run": f"w-1-a.{number}"} for number in range(1, 5))
    return [
        event("start", at(25, 10), "builder", **first, **shop),
        call(at(25, 10, 5), "builder", 100_000, 10_000, phase="planning", tool="grep", **first),
        call(at(25, 10, 10), "builder", 200_000, 20_000, cache_read_tokens=1_000_000, phase="execution", tool=LONG, **first),
        *(tool(at(25, 10, 6), "builder", "grep", duration_ms=100, **first) for _ in range(3)),
        tool(at(25, 10, 7), "builder", "bash", status="error", duration_ms=250, **first),
        event("complete", at(25, 10, 30), "builder", **first),
        event("start", at(26, 23, 30), "builder", **second, **shop),
        call(at(26, 23, 45), "builder", 50_000, 5_000, model="model-b", cost_micros=750_000, phase="execution", **second),
        tool(at(26, 2, 30), "builder", "grep", duration_ms=40),
        event("complete", at(27, 0, 10), "builder", status="failed", error="no luck", **second),
        event("start", at(27, 9), "reviewer", host="vm-2", **third),
        call(at(27, 9, 5), "reviewer", 40_000, 4_000, model="house-model", phase="micro", **third),
        call(at(27, 9, 6), "reviewer", 10_000, 1_000, tokens_are="estimated", phase="micro", **third),
        event("crash", at(27, 9, 30), "reviewer", **third),
        event("start", at(28, 0, 15), HOSTILE, labels={"project": "-2+3"}, **fourth),
        call(at(28, 0, 20), HOSTILE, 1_000, 0, **fourth),
        *(tool(at(28, 0, 21), HOSTILE, "@SUM(A1)", **fourth) for _ in range(2)),
        event("complete", at(28, 0, 30), HOSTILE, **fourth),
        call(at(28, 8), "loner", 2_000, 0),
    ]


def prices() -> Overrides:
    """The prices that the table above is worked out with."""
    found, problems = overrides_of({MODEL: {"input": 3, "output": 15, "cache_read": 0.3}})
    assert problems == ()
    return found


def lived(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it have happened in a hub, and set the prices for whoever reads them from the configuration file."""
    monkeypatch.setenv("PYJAMA_HISTORY_DAYS", "100000")
    monkeypatch.setenv("PYJAMA_CONFIG", str(tmp_path / "prices.toml"))
    (tmp_path / "prices.toml").write_text(PRICES)
    leave_journal(home, "w-1-a", *events())
    caught_up(home, Hub(str(home), clock=lambda: NOW / 1000))
