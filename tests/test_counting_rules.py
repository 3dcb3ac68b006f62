"""The rules of counting model calls that other tools broke, each recorded, folded and shown, to the micro-dollar.

The figures of the two sessions are those of transcripts that Claude Code 2.1.197 wrote. The prices are those of
claude-opus-4-8 in millionths of a dollar a token: input 5, output 25, read from a cache 0.5, written to one 6.25 for five minutes
and 10 for an hour.
The expected costs were worked out by hand from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

import pyjama_metrics as p
from pyjama_metrics.agent_details import agent_detail
from pyjama_metrics.hub import Hub
from tests.journals import event, header, lines, now_ms

OPUS = "claude-opus-4-8"
START = now_ms() - 60_000


class Line(NamedTuple):
    """What one line of a transcript tells of an answer: whose file it is in, the id of the answer, when, and its figures."""

    session: str
    id: str | None
    at: int
    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    model: str = OPUS
    more: dict[str, Any] | None = None


SESSION = [
    # One answer, three blocks, three lines.
    Line("main", "msg_01", 1, 101, 31, 0, 2003),
    Line("main", "msg_01", 2, 101, 31, 0, 2003),
    Line("main", "msg_01", 3, 101, 31, 0, 2003),
    Line("main", "msg_02", 4, 103, 37, 2003, 211),
    Line("main", "msg_03", 5, 107, 41, 2214, 223),
    Line("main", "msg_04", 6, 109, 43, 2437, 227),
    Line("main", "msg_05", 7, 113, 47, 2664, 229),
    Line("main", "msg_06", 8, 127, 53, 2893, 233),
    Line("main", "msg_07", 9, 131, 59, 3126, 239),
    Line("helper", "msg_08", 10, 17, 11, 0, 307),
    Line("helper", "msg_08", 11, 17, 11, 0, 307),
    Line("helper", "msg_09", 12, 19, 13, 307, 29),
    Line("helper", "msg_10", 13, 23, 14, 336, 37),
    Line("main", "msg_11", 14, 137, 61, 3365, 241),
]
"""A session with a subagent: 11 answers in 14 lines."""

FIRST = [Line("first", "msg_01", 1, 11, 12, 14, 13), Line("first", "msg_02", 2, 21, 22, 24, 23)]
COPIES = [line._replace(session="resumed") for line in FIRST]
"""A session that was resumed has the lines of the first in a file of its own, with their times: where these are equal the names
decide to whom a call is charged, so that it is the same in any order."""

RULES: dict[str, tuple[list[Line], dict[str, int | None], int | None]] = {
    # main: 928 × 5 + 372 × 25 + 18,702 × 0.5 + 3,606 × 6.25 = 45,828.5; the helper: 59 × 5 + 38 × 25 + 643 × 0.5 + 373 × 6.25
    # = 3,897.75. Rounded once each, halves to even; together they are 49,726.25.
    "one answer in several lines, and a subagent in a file of its own": (SESSION, {"main": 45_828, "helper": 3_898}, 49_726),
    # first: 32 × 5 + 34 × 25 + 38 × 0.5 + 36 × 6.25 = 1,254; resumed: 21 × 5 + 22 × 25 + 24 × 0.5 + 23 × 6.25 = 810.75.
    "a resumed session copies the lines of the first into its own file": (
        [*COPIES, Line("resumed", "msg_03", 9, 21, 22, 24, 23), *FIRST],
        {"first": 1_254, "resumed": 811},
        2_065,
    ),
    "an id may be missing: each line is a call then": (
        [Line("main", None, 1, 11, 12, 14, 13), Line("main", None, 2, 11, 12, 14, 13)],
        {"main": 886},  # 2 × (55 + 300 + 7 + 81.25) = 886.5
        886,
    ),
    "an answer grows while it streams, and lines come late": (
        [Line("main", "m", 1, 11, 1), Line("main", "m", 3, 11, 12), Line("main", "m", 2, 11, 5), Line("main", "m", 1, 11, 1)],
        {"main": 355},
        355,
    ),
    "an answer that no model gave costs nothing and is no call": (
        [Line("main", "m", 1, 11, 12), Line("main", "n", 2, 999, 999, model="<synthetic>")],
        {"main": 355},
        355,
    ),
    "input excludes what the cache held": ([Line("main", "m", 1, 1, 0, 1_000_000)], {"main": 500_005}, 500_005),
    "cache writes for five minutes and for an hour have prices of their own": (
        [Line("main", "m", 1, 0, 0, 0, 1_000, 0), Line("main", "n", 2, 0, 0, 0, 0, 1_000)],
        {"main": 16_250},
        16_250,
    ),
    "telemetry tells the cost of an answer whose tokens the transcript tells": (
        [Line("main", "m", 1, 11, 12), Line("main", "m", 2, 11, 12, more={"cost_usd": 0.000_360})],
        {"main": 360},
        360,
    ),
    "an estimate of a call that is counted later": (
        [Line("main", "m", 1, 0, 0, more={"prompt": 4_000, "answer": 4_000, "estimate": True}), Line("main", "m", 2, 11, 12)],
        {"main": 355},
        355,
    ),
    "an estimate that nobody betters": (
        [Line("main", "m", 1, 0, 0, more={"prompt": 4_000, "answer": 4_000, "estimate": True})],
        {"main": 42_500},  # 1,000 × 5 + 1,500 × 25
        42_500,
    ),
    "a model without a price is unpriced and not free": (
        [Line("main", "m", 1, 11, 12, model="claude-opus-48")],
        {"main": None},
        None,
    ),
}


def tell(line: Line, runs: dict[str, str]) -> None:
    """Record what a line tells, for the session in whose file it is."""
    if line.session not in runs:
        labels = {"project": f"project of {line.session}"}
        runs[line.session] = p.record_agent_start(line.session, labels=labels, time_ms=START - 1)
    p.record_llm_usage(
        line.session,
        line.model,
        line.input,
        line.output,
        cache_read_tokens=line.cache_read,
        cache_write_tokens=line.cache_write,
        cache_write_1h_tokens=line.cache_write_1h,
        request_id=line.id,
        run=runs[line.session],
        time_ms=START + line.at,
        **(line.more or {}),
    )


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_holds_from_the_recording_to_the_view(rule: str, backwards: bool) -> None:
    """By agent, run, project, machine and day, folded in the middle, and the same in any order."""
    told, by_agent, whole = RULES[rule]
    runs: dict[str, str] = {}
    for number, line in enumerate(reversed(told) if backwards else told):
        tell(line, runs)
        if number == len(told) // 2:
            p.flush(10)
    shown = p.get_dashboard_data()
    metrics = shown["metrics"]
    assert {name: agent["cost-micros"] for name, agent in shown["agents"].items()} == by_agent
    projects = {f"project of {name}": cost for name, cost in by_agent.items()}
    assert {name: usage["cost-micros"] for name, usage in metrics["projects"].items()} == projects
    assert [usage["cost-micros"] for usage in metrics["hosts"].values()] == [whole]
    assert sum(usage["requests"] for usage in metrics["days"].values()) == metrics["tokens"]["requests"]
    assert metrics["tokens"]["cost-micros"] == whole
    for name, cost in by_agent.items():
        view = agent_detail(p.read_metrics(), name, now_ms())
        assert view is not None
        assert [(run.id, run.cost_micros) for run in view.runs] == [(runs[name], cost)]


def test_a_line_that_is_half_written_is_read_when_it_is_whole(home: Path) -> None:
    """And once, by whoever folds before and after."""
    body = lines(header("w-1-a"), event("llm", START, "main", model=OPUS, input_tokens=11, output_tokens=12))
    path = home / "journal" / "w-1-a.0.jsonl"
    path.parent.mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    path.write_bytes(body[:-20])
    assert Hub(str(home)).read()["tokens"]["requests"] == 0
    with path.open("ab") as journal:
        journal.write(body[-20:])
    for _ in range(2):
        assert Hub(str(home)).read()["tokens"]["output-tokens"] == 12
