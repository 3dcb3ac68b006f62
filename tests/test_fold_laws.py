"""The laws of the fold: in any order, in any pieces, whatever strangers write, and nothing lost or counted twice."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from pyjama_metrics import histogram
from pyjama_metrics.events import TOKENS, status_class
from pyjama_metrics.fold import LOG_ENTRIES, fold
from pyjama_metrics.ledger_rows import COLUMNS
from pyjama_metrics.queries import dashboard
from pyjama_metrics.retention import cleared, retain
from pyjama_metrics.roll_ups import COUNTS, MINUTE_MS, QUARTER_MS
from pyjama_metrics.state import RUN_TOOL, State, new_state
from pyjama_metrics.storage import json
from pyjama_metrics.usages import Request
from tests.journals import Event, event, folded, tool

AGENTS = st.sampled_from(["planner", "coder"])
TOOLS = st.sampled_from(["read", "write"])
TIMES = st.integers(0, 6) | st.sampled_from([59_999, 60_000, 61_000, 899_999, 900_000, 7_200_001])
STATUSES = st.sampled_from(["ok", "error", "cancelled", "timeout"])
DURATIONS = st.one_of(st.none(), st.floats(0, 1e6), st.sampled_from([-1.0, 1e11, 0.0, 5]))
WRITERS = ("w1", "w2", "w3")
RUNS = st.sampled_from([f"{writer}.{number}" for writer in WRITERS for number in (1, 2)])

SHAPES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "tool": {"tool": TOOLS, "status": STATUSES, "duration_ms": DURATIONS, "error": st.sampled_from([None, "e1", "e2"])},
    "activity": {"tool": st.none() | TOOLS, "status": STATUSES},
    "waiting": {"reason": st.sampled_from(["approval", "answer"])},
    "unknown": {},
    "session": {
        "model": st.sampled_from(["m", "n", ""]),
        "branch": st.none() | st.just("main"),
        "context_tokens": st.integers(-1, 3),
        "context_percent": st.sampled_from([0, 1.5, 101.0, True]),
        "limits": st.sampled_from([None, {}, {"5 h": [42, 9]}, {"5 h": [43.0, 9]}, {"week": [1, 2], "5 h": "?"}]),
    },
    "complete": {"status": st.sampled_from(["completed", "failed", "stopped", "?"]), "error": st.none() | st.sampled_from("xy")},
    "crash": {},
    "message": {"role": st.sampled_from(["user", "assistant"]), "count": st.none() | st.integers(0, 3)},
    "executions": {"tool": TOOLS, "status": STATUSES, "times": st.lists(TIMES, max_size=4)},
    "usages": {
        "rows": st.lists(
            st.builds(
                lambda time, is_reported, model, phase, counts, cost: [
                    time,
                    0,
                    "reported" if is_reported else "computed",
                    model,
                    phase,
                    "",
                    [1 + counts[0], *counts[1:], cost if is_reported else 0],
                ],
                TIMES,
                st.booleans(),
                st.sampled_from(["m", "n"]),
                st.sampled_from(["", "plan"]),
                st.lists(st.integers(0, 99), min_size=7, max_size=7),
                st.integers(0, 99),
            ),
            min_size=1,
            max_size=2,
        )
    },
    "error": {"message": st.sampled_from(["m1", "m2"])},
    "llm": {
        "model": st.sampled_from(["m", "n", "a|b\\", "<synthetic>"]),
        "input_tokens": st.integers(0, 99) | st.just(250_000),
        "cache_read_tokens": st.none() | st.integers(0, 99),
        "tokens_are": st.sampled_from([None, "estimated"]),
        "cache_write_1h_tokens": st.none() | st.integers(0, 99),
        "cost_micros": st.none() | st.integers(0, 99),
        "phase": st.none() | st.sampled_from(["plan", "work"]),
        "tool": st.none() | TOOLS,
        "request_id": st.none() | st.sampled_from(["r1", "r2", "r3"]),
    },
    "workflow": {"steps": st.lists(st.sampled_from("xyz"), max_size=3)},
    "step-start": {"step": st.sampled_from("xyz")},
    "step-complete": {"step": st.sampled_from("xyz"), "status": STATUSES},
    "lost": {"count": st.integers(0, 5)},
}


@st.composite
def events(draw: st.DrawFn, runs: st.SearchStrategy[str | None]) -> Event:
    """One event of any kind but ``start``; what it does not say, its line does not have."""
    kind = draw(st.sampled_from(sorted(SHAPES)))
    fields = {name: draw(values) for name, values in SHAPES[kind].items()}
    fields["run"] = draw(runs)
    return event(kind, draw(TIMES), draw(AGENTS), **{name: value for name, value in fields.items() if value is not None})


@st.composite
def journals(draw: st.DrawFn, runs: st.SearchStrategy[str | None] = RUNS) -> dict[str, list[Event]]:
    """What three processes recorded: each starts its own runs, and any of them may tell of the runs of the others."""
    made = {}
    for writer in WRITERS:
        body = draw(st.lists(events(runs), max_size=8))
        for number in (1, 2):
            start = event("start", draw(TIMES), draw(AGENTS), run=f"{writer}.{number}", pid=number, host=writer)
            body.insert(draw(st.integers(0, len(body))), start)
        made[f"{writer}.0.jsonl"] = body
    return made


@dataclasses.dataclass
class Figures:
    """A state, and the requests that it counts."""

    state: State = dataclasses.field(default_factory=new_state)
    requests: dict[str, Request] = dataclasses.field(default_factory=dict)

    def fold(self, journal: str, body: Sequence[Event | None]) -> None:
        """Add the next events of a journal."""
        fold(self.state, journal, body, self.requests)


def times_told(event: Event) -> list[int]:
    """The times of the executions that an event tells of."""
    if event["event"] == "executions" and event.get("run") is not None:
        return list(event["times"])
    return [event["time"]] if event["event"] == "tool" else []


def requests_summed(event: Event) -> int:
    """The model calls whose sums an event tells."""
    is_usable = event["event"] == "usages" and event.get("run") is not None
    return sum(row[6][0] for row in event["rows"]) if is_usable else 0


def in_pieces(figures: Figures, journal: str, body: Sequence[Event | None], cuts: list[int]) -> None:
    """Fold one journal, cut at some places."""
    figures.fold(journal, [])
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        figures.fold(journal, body[start:end])


@given(journals(), st.permutations(sorted(f"{writer}.0.jsonl" for writer in WRITERS)))
def test_the_order_of_journals_does_not_matter(recorded: dict[str, list[Event]], order: list[str]) -> None:
    """Whoever is read first, the state is the same to the last figure."""
    one, other = Figures(), Figures()
    for name in recorded:
        one.fold(name, recorded[name])
    for name in order:
        other.fold(name, recorded[name])
    assert one == other


@given(journals(RUNS | st.none()), st.lists(st.integers(0, 99), max_size=5))
def test_folding_in_any_pieces_gives_the_same_state(recorded: dict[str, list[Event]], cuts: list[int]) -> None:
    """A fold may stop after any line and go on later."""
    whole, pieces = Figures(), Figures()
    for name, body in recorded.items():
        whole.fold(name, body)
        in_pieces(pieces, name, body, cuts)
    assert whole == pieces


@given(st.lists(st.sampled_from(WRITERS), max_size=40), journals())
def test_journals_that_grow_by_turns_give_the_same_state(turns: list[str], recorded: dict[str, list[Event]]) -> None:
    """Reading three journals a line at a time, as three processes write them, is the same as one after the other."""
    whole, woven = Figures(), Figures()
    left = {name: list(body) for name, body in recorded.items()}
    for writer in turns:
        name = f"{writer}.0.jsonl"
        woven.fold(name, [left[name].pop(0)] if left[name] else [])
    for name, body in recorded.items():
        whole.fold(name, body)
        woven.fold(name, left[name])
    assert whole == woven


@given(journals(RUNS | st.none()))
def test_an_event_without_a_run_goes_by_the_order_of_its_own_journal_alone(recorded: dict[str, list[Event]]) -> None:
    """What the others told of this writer's runs may be read before or after it; only their end is the owner's to tell."""
    for name, body in recorded.items():
        others = {"complete", "crash"} if name != "w1.0.jsonl" else set()
        body[:] = [one for one in body if one["event"] not in others]
    recorded["w1.0.jsonl"] = [one for one in recorded["w1.0.jsonl"] if one.get("run", "w1").startswith("w1")]
    one, other = Figures(), Figures()
    for name in recorded:
        one.fold(name, recorded[name])
    for name in reversed(recorded):
        other.fold(name, recorded[name])
    assert one == other


@given(journals(RUNS | st.none()))
def test_folding_an_empty_batch_changes_nothing(recorded: dict[str, list[Event]]) -> None:
    """A fold that finds no new line leaves the state as it is."""
    figures = Figures()
    for name, body in recorded.items():
        figures.fold(name, body)
    before = copy.deepcopy(figures)
    for name in recorded:
        figures.fold(name, [])
    assert figures == before


@given(journals(RUNS | st.none()))
def test_the_totals_equal_a_naive_count(recorded: dict[str, list[Event]]) -> None:
    """Counts by tool and by agent are what somebody would count by hand."""
    figures = Figures()
    state = figures.state
    by_tool: Counter[tuple[str, str]] = Counter()
    by_agent: Counter[tuple[str, str]] = Counter()
    for name, body in recorded.items():
        figures.fold(name, body)
        for one in body:
            by_tool[one.get("tool", ""), status_class(one.get("status", ""))] += len(times_told(one))
            by_agent[one["agent"], status_class(one.get("status", ""))] += len(times_told(one))
    for rows, expected in ((state["tools"], by_tool), (state["agents"], by_agent)):
        found = Counter({(name, kind): row[kind] for name, row in rows.items() for kind in ("success", "error", "interrupted")})
        assert +found == +expected
    assert state["global"]["count"] == sum(n for (_, kind), n in by_tool.items() if kind != "interrupted")
    assert state["global"]["count"] == state["global"]["success"] + state["global"]["error"]


@given(journals(RUNS | st.none()))
def test_the_slices_of_time_add_up_to_the_totals(recorded: dict[str, list[Event]]) -> None:
    """Minutes and quarters alike, while none was let go; and each execution is in the slice of its own time."""
    figures = Figures()
    state = figures.state
    for name, body in recorded.items():
        figures.fold(name, body)
    tokens = sum(count for key, count in state["tokens"].items() if key in TOKENS)
    totals = {key: state["global"][key] for key in ("count", "success", "error", "interrupted")}  # type: ignore[literal-required]
    totals |= {key: state["tokens"][key] for key in ("requests", "priced-requests", "cost-micros")}  # type: ignore[literal-required]
    executions = [time for body in recorded.values() for one in body for time in times_told(one)]
    for name, step in {"minutes": MINUTE_MS, "quarters": QUARTER_MS}.items():
        series = state["roll-ups"][name]  # type: ignore[literal-required]
        summed = sum((Counter({key: each[key] for key in COUNTS}) for each in series.values()), Counter())
        assert summed == +Counter({**totals, "tokens": tokens})
        by_slice = {begin: each["count"] + each["interrupted"] for begin, each in series.items()}
        assert +Counter(by_slice) == Counter(str(time // step * step) for time in executions)


@given(journals(RUNS | st.none()))
def test_the_rows_of_the_ledger_add_up_to_the_totals(recorded: dict[str, list[Event]]) -> None:
    """Those of all, of each agent and of each slice; and each request id counts once."""
    figures = Figures()
    for name, body in recorded.items():
        figures.fold(name, body)
    state = figures.state
    for part in (state, *state["agents"].values()):
        sums = [sum(column) for column in zip(*part["ledger"].values(), strict=True)] or [0] * len(COLUMNS)
        assert sums == [part["tokens"][column] for column in COLUMNS]  # type: ignore[literal-required]
    for each in state["roll-ups"]["minutes"].values():
        assert sum(row[0] for row in each["ledger"].values()) == each["requests"]
    calls = [one for body in recorded.values() for one in body if one["event"] == "llm" and one["model"] != "<synthetic>"]
    ids = [one.get("request-id") for one in calls]
    summed = sum(requests_summed(one) for body in recorded.values() for one in body)
    assert state["tokens"]["requests"] - summed == ids.count(None) + len(set(ids) - {None})
    assert len(set(ids) - {None}) == len(figures.requests)


@given(journals(RUNS | st.none()))
def test_what_the_agents_did_adds_up_to_what_all_did(recorded: dict[str, list[Event]]) -> None:
    """Model calls by model and phase, and the durations of each tool, to the bucket."""
    figures = Figures()
    state = figures.state
    for name, body in recorded.items():
        figures.fold(name, body)
    agents = state["agents"].values()
    for kind in ("models", "phases"):
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for agent in agents:
            for name, usage in agent[kind].items():  # type: ignore[literal-required]
                found[name].update(usage)
        assert found == state[kind]  # type: ignore[literal-required]
    for name, tool_tally in state["tools"].items():
        whole = histogram.empty()
        for agent in agents:
            if name in agent["tools"]:
                histogram.merge(whole, agent["tools"][name]["histogram"])
        assert whole == tool_tally["histogram"]


@given(journals())
def test_what_the_runs_did_adds_up_to_what_their_agents_did(recorded: dict[str, list[Event]]) -> None:
    """Executions by tool, messages by role, and the durations to the bucket, where each event names its run."""
    figures = Figures()
    for name, body in recorded.items():
        figures.fold(name, body)
    for agent in figures.state["agents"].values():
        tools: Counter[tuple[str, str]] = Counter()
        messages: Counter[str] = Counter()
        durations, of_tools = histogram.empty(), histogram.empty()
        for run in agent["runs"].values():
            tools.update({(name, kind): n for name, row in run["tools"].items() for kind, n in zip(RUN_TOOL, row, strict=True)})
            messages.update(run["messages"])
            if run["histogram"] is not None:
                histogram.merge(durations, run["histogram"])
                assert run["histogram"]["n"] == run["tally"]["timed"] > 0
        for tally in agent["tools"].values():
            histogram.merge(of_tools, tally["histogram"])
        assert tools == {(name, kind): row[kind] for name, row in agent["tools"].items() for kind in RUN_TOOL}  # type: ignore[literal-required]
        assert messages == agent["messages"]
        assert durations == of_tools


@given(journals(RUNS | st.none()))
def test_every_end_is_counted_for_one_run_only(recorded: dict[str, list[Event]]) -> None:
    """However often and by however many it is told, a run ends once; and the sums over agents are the global ones."""
    figures = Figures()
    state = figures.state
    for name, body in recorded.items():
        figures.fold(name, body)
    outcomes = Counter(run["outcome"] for agent in state["agents"].values() for run in agent["runs"].values())
    for outcome in ("completed", "failed", "crashed", "stopped"):
        assert state["runs"][outcome] == outcomes[outcome]
        assert state["runs"][outcome] == sum(agent["run-counts"][outcome] for agent in state["agents"].values())
    assert state["runs"]["started"] == 2 * len(WRITERS)


@given(st.lists(st.tuples(TIMES, AGENTS), max_size=250), st.lists(st.integers(0, 250), max_size=4))
def test_the_log_keeps_the_newest_entries_in_the_order_of_time(seen: list[tuple[int, str]], cuts: list[int]) -> None:
    """The last hundred by time and then by line, wherever the batches were cut."""
    body = [event("activity", time, agent) for time, agent in seen]
    figures = Figures()
    state = figures.state
    in_pieces(figures, "w.0.jsonl", body, cuts)
    expected = sorted((time, f"w.0.jsonl:{line}") for line, (time, _) in enumerate(seen, 1))
    expected.sort(key=lambda entry: (entry[0], int(entry[1].rpartition(":")[2])))
    assert [(entry["timestamp"], entry["id"]) for entry in state["recent-logs"]] == expected[-LOG_ENTRIES:]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e300, 1e300) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = sorted({name.replace("_", "-") for shape in SHAPES.values() for name in shape})
FIELDS += ["agent", "time", "run", "parent", "source", "pid", "host", "cwd", "labels", "spec", "log", "invalid", "cost-micros"]
KINDS = [*sorted(SHAPES), "start", "writer", "nonsense"]


@st.composite
def garbage(draw: st.DrawFn) -> Event:
    """An event of a known kind, some of whose fields hold anything that JSON can hold, or are not there."""
    whole = {"agent": "a", "time": 5, "tool": "t", "status": "ok", "run": "w.1", "step": "s", "count": 1, "steps": []}
    spoilt = draw(st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=4))
    gone = draw(st.sets(st.sampled_from(sorted(whole)), max_size=2))
    kept = {name: value for name, value in {**whole, **spoilt}.items() if name not in gone or name in spoilt}
    return {"event": draw(st.sampled_from(KINDS) | JSON_VALUES), **kept}


@given(st.lists(garbage() | st.none(), max_size=8), st.lists(st.integers(0, 8), max_size=2))
@example([{"event": "tool", "agent": "a", "time": 1, "tool": "t", "run": 5}], [])
@example([{"event": "tool", "agent": "a", "time": 1, "tool": "t", "duration-ms": True}, tool(duration_ms=-1)], [1])
@example([{"event": "activity", "agent": 1, "time": 1}, {"event": "activity", "agent": True, "time": 1}], [1])
def test_garbage_never_raises_and_the_state_stays_one_that_can_be_written_and_shown(
    body: list[Event | None], cuts: list[int]
) -> None:
    """Whatever a stranger writes into a journal, the file, the page and clearing go on, and pieces change nothing."""
    whole, pieces = Figures(), Figures()
    whole.fold("w.0.jsonl", body)
    in_pieces(pieces, "w.0.jsonl", body, cuts)
    assert whole == pieces
    assert json.loads(json.dumps(whole.state)) == whole.state
    dashboard(whole.state, 1_000_000)
    retain(whole.state, 1_000_000)
    cleared(whole.state)


@given(st.sampled_from(["agent", "tool", "time", "run", "status"]), JSON_VALUES)
def test_a_tool_execution_counts_as_an_execution_or_as_a_problem(field: str, value: Any) -> None:
    """One line never vanishes: it is one execution, or it is told among the problems."""
    state = folded({"event": "tool", "agent": "a", "time": 5, "tool": "t", "status": "ok", "run": "w.1", field: value})
    executions = state["global"]["count"] + state["global"]["interrupted"]
    assert executions + state["problems"]["invalid-values"] >= 1
    assert executions <= 1


@given(JSON_VALUES)
def test_a_duration_is_measured_or_told_as_invalid(value: Any) -> None:
    """An execution whose duration is none counts, and the duration is told among the problems."""
    state = folded(tool(duration_ms=value))
    assert state["global"]["count"] == 1
    assert state["global"]["timed"] + state["problems"]["invalid-values"] == (0 if value is None else 1)


def test_a_deeply_nested_specification_does_not_make_the_state_unwritable() -> None:
    """orjson reads 1024 levels and writes 254; what a stranger nests deeper must not stop the fold for ever."""
    deep: Any = "bottom"
    for _ in range(1000):
        deep = [deep]
    for field in ("spec", "labels", "parent", "source"):
        json.dumps(folded(event("start", run="w.1", **{field: deep})))
