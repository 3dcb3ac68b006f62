"""The dashboard: what each figure is out of, what is unknown, and what an older or foreign file still tells."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics import events, retention
from pyjama_metrics.event_fields import MAX_LABELS
from pyjama_metrics.events import MAX_STEPS
from pyjama_metrics.fold import LOG_ENTRIES
from pyjama_metrics.queries import agent_view, dashboard, overview, problems_view
from pyjama_metrics.roll_ups import new_slice
from pyjama_metrics.state import accepted, new_agent, new_run, new_state, new_tool_tally, new_usage
from pyjama_metrics.storage.json import dumps
from pyjama_metrics.views import SparkView, as_json
from tests.states import foreign_states, full_memory, full_state

NOW = 1_706_945_999_000
DOCS = Path(__file__).parent.parent / "docs"


def agents_with(*statuses_and_times: tuple[str, int]) -> dict[str, Any]:
    """A state with an agent for each status and last-seen, called ``status@time``."""
    state: dict[str, Any] = {**new_state()}
    for status, time in statuses_and_times:
        state["agents"][f"{status}@{time}"] = {**new_agent(), "status": status, "last-seen": time}
    return state


def test_an_agents_success_rate_is_that_of_its_tools_and_its_runs_stand_beside_it() -> None:
    """Two rates are never mixed."""
    agent = {
        **new_agent(),
        "count": 4,
        "success": 1,
        "error": 3,
        "run-counts": {"started": 7, "completed": 6, "crashed": 1},
    }
    view = agent_view(agent)
    assert (view.success_rate, view.count) == (0.25, 4)
    assert (
        view.runs_started,
        view.runs_completed,
        view.runs_failed,
        view.runs_crashed,
        view.runs_stopped,
    ) == (7, 6, 0, 1, 0)


def test_an_agents_average_duration_is_out_of_its_timed_executions() -> None:
    """An execution without a duration did not take 0 ms."""
    agent = agent_view({**new_agent(), "count": 10, "success": 10, "timed": 2, "total-duration": 40.0})
    assert agent.avg_duration_ms == 20.0


def test_an_agents_rate_out_of_nothing_is_unknown() -> None:
    """None, not 0 and not 100 percent."""
    assert agent_view(new_agent()).success_rate is None
    assert agent_view(new_agent()).avg_duration_ms is None


def test_an_agents_tokens_are_of_all_kinds_and_its_cost_that_of_the_priced_calls() -> None:
    """Unpriced is not free."""
    usage = {**new_usage(), "requests": 2, "input-tokens": 1, "output-tokens": 20, "cache-read-tokens": 300}
    usage |= {"cache-write-tokens": 4000}
    view = agent_view({**new_agent(), "tokens": usage})
    assert (view.tokens, view.requests, view.priced_requests, view.cost_micros) == (4321, 2, 0, None)
    assert agent_view({**new_agent(), "tokens": {**usage, "priced-requests": 1, "cost-micros": 0}}).cost_micros == 0


def test_an_agent_waits_since_the_first_of_its_runs_does() -> None:
    """While it waits; while another run goes on it does not wait as a whole."""
    runs = {f"w.{since}": {"status": "waiting", "waiting-since": since} for since in (7, 5)}
    assert agent_view({**new_agent(), "status": "waiting", "runs": runs}).waiting_since == 5
    assert agent_view({**new_agent(), "status": "running", "runs": runs}).waiting_since is None
    assert agent_view({**new_agent(), "status": "waiting", "runs": {"w.1": {"status": "waiting"}}}).waiting_since is None


def test_an_agent_ended_when_its_latest_run_did() -> None:
    """An earlier run that ended is not the end of the one that is open."""
    runs = {"w.1": {"status": "completed", "end-time": 9}, "w.2": {"status": "running", "end-time": None}}
    assert agent_view({**new_agent(), "latest-run": "w.1", "runs": runs}).end_time == 9
    assert agent_view({**new_agent(), "latest-run": "w.2", "runs": runs}).end_time is None
    assert agent_view({**new_agent(), "latest-run": "gone", "runs": runs}).end_time is None


def test_the_day_begins_at_the_given_midnight_or_else_at_that_of_utc() -> None:
    """A caller without a place on earth gets a day all the same."""
    day = 24 * 3600 * 1000
    assert dashboard({}, NOW).today.since == NOW - NOW % day
    assert dashboard({}, NOW, today_ms=NOW - 5).today.since == NOW - 5


def test_what_a_memory_knows_is_on_the_dashboard() -> None:
    """The executions of all agents, of each one, and who repeats a failing call; without a memory they are null."""
    view = dashboard(full_state(), NOW, recent=full_memory())
    assert view.recent == SparkView(until=10_000, step=10_000, executions=[5], error=[4])
    assert view.agents["boss"].recent == SparkView(until=10_000, step=10_000, executions=[3], error=[3])
    assert [need.kind for need in view.needs] == ["waiting", "repeating"]
    blind = dashboard(full_state(), NOW)
    assert (blind.recent, {agent.recent for agent in blind.agents.values()}) == (None, {None})


@given(foreign_states())
def test_a_state_with_foreign_values_in_any_place_is_still_shown(state: Any) -> None:
    """An older version, another program or a hand may have written the file; the page does not break."""
    for recent in (None, full_memory()):
        view = as_json(dashboard(state, NOW, recent=recent))
        json.dumps(view, allow_nan=False)
        dumps(view)


def test_open_runs_are_those_that_run_or_wait() -> None:
    """A run of which nobody knows whether it lives is not called open."""
    statuses = ("running", "waiting", "completed", "failed", "crashed", "stopped", "unknown", "running")
    runs = {f"w.{number}": {"status": status} for number, status in enumerate(statuses)}
    assert agent_view({**new_agent(), "runs": runs}).runs_open == 3


def test_agents_that_wait_come_first_and_within_a_status_the_latest() -> None:
    """What needs eyes is on top: waiting, running, then crashed and failed before those that are done."""
    state = agents_with(
        ("completed", 99), ("failed", 5), ("running", 1), ("waiting", 7), ("crashed", 3), ("running", 2),
        ("stopped", 98), ("unknown", 97), ("waiting", 8), ("crashed", 4),
    )  # fmt: skip
    assert list(dashboard(state, NOW).agents) == [
        "waiting@8", "waiting@7", "running@2", "running@1", "crashed@4", "crashed@3", "failed@5",
        "unknown@97", "stopped@98", "completed@99",
    ]  # fmt: skip


def test_logs_stay_in_the_order_of_the_file() -> None:
    """Newest last, also when a clock jumped."""
    logs = [{"timestamp": time, "agent-id": "a", "status": "ok", "id": f"j:{time}"} for time in (3, 1, 2)]
    assert [entry.timestamp for entry in dashboard({"recent-logs": logs}, NOW).recent_logs] == [3, 1, 2]


@given(st.lists(st.sampled_from(["running", "waiting", "crashed", "completed", "failed", "stopped", "unknown", "?", ""])))
def test_each_agent_is_in_one_column_of_the_overview(statuses: list[str]) -> None:
    """The columns add up to the number of agents."""
    view = overview(agent_view({"status": status}).status for status in statuses)
    assert view.agents == view.running + view.waiting + view.crashed + view.finished + view.unknown == len(statuses)
    assert view.finished == sum(status in ("completed", "failed", "stopped") for status in statuses)
    assert (view.running, view.crashed) == (statuses.count("running"), statuses.count("crashed"))


def test_problems_are_summed_with_those_of_a_later_version() -> None:
    """What a newer writer could not count is still seen."""
    problems = {
        "malformed-lines": 1,
        "unknown-events": 2,
        "invalid-values": 4,
        "lost-events": 8,
        "eaten-by-dogs": 16,
    }
    view = problems_view(problems)
    assert (view.malformed_lines, view.unknown_events, view.invalid_values, view.lost_events, view.total) == (
        1,
        2,
        4,
        8,
        31,
    )


def test_an_empty_hub_has_zeros_for_counts_and_nothing_for_the_rest() -> None:
    """Nothing has happened: no division by zero, no invented figure, and no difference to an empty object."""
    view = as_json(dashboard(new_state(), NOW))
    assert view == as_json(dashboard({}, NOW))
    assert (view["needs"], view["recent"], view["today"]["count"], view["today"]["cost-micros"]) == ([], None, 0, None)
    assert (view["agents"], view["recent-logs"], view["updated"], view["now"]) == ({}, [], None, NOW)
    assert set(view["overview"].values()) == set(view["problems"].values()) == {0}
    assert view["metrics"]["global"] == dict.fromkeys(("count", "success", "error", "interrupted"), 0) | {
        "total-duration": 0.0
    } | dict.fromkeys(
        ("success-rate", "error-rate", "avg-duration-ms", "p50-ms", "p95-ms", "p99-ms", "min-ms", "max-ms", "last-seen")
    )


def test_a_status_of_a_later_version_is_shown_as_it_is_and_stands_with_the_unknown() -> None:
    """The page of an older version does not fail on it."""
    view = dashboard(agents_with(("paused", 5), ("completed", 9), ("unknown", 3), ("running", 1)), NOW)
    assert list(view.agents) == ["running@1", "paused@5", "unknown@3", "completed@9"]
    assert (view.agents["paused@5"].status, view.overview.unknown) == ("paused", 2)


def test_a_log_entry_that_is_none_is_passed_over_and_what_is_no_text_is_not_shown() -> None:
    """A field of a view has the type that it says it has, whatever the file has."""
    logs: list[Any] = [
        "text",
        None,
        7,
        [],
        {"agent-id": 5, "tool": ["x"], "timestamp": "now", "status": "ok"},
    ]
    (entry,) = as_json(dashboard({"recent-logs": logs}, NOW))["recent-logs"]
    assert {key for key, value in entry.items() if value is not None} == {"agent-id", "status"}
    assert (entry["agent-id"], entry["status"]) == ("", "ok")


COST_OF_ONE = {"priced-requests": 1, "reported-requests": 1, "reported-micros": 9, "computed-micros": None, "cost-micros": 9}
COST_OF_ONE["estimated-tokens"] = 0


def test_what_the_fold_writes_is_what_the_view_reads() -> None:
    """One journal, folded: each figure arrives under its name."""
    view = as_json(dashboard(full_state(), 2000))
    assert view["agents"]["a"] == {
        "status": "waiting", "start-time": 1000, "end-time": None, "last-seen": 1040, "count": 2, "success": 1, "error": 1,
        "interrupted": 0, "success-rate": 0.5, "avg-duration-ms": 2.0, "current-tool": "read", "current-step": "plan",
        "waiting-reason": "a person", "waiting-since": 1040, "parent": "w-1-x.0", "parent-agent": "boss", "source": "python",
        "host": "h", "pid": 7, "cwd": "/work", "tmux-pane": "%3", "errors": 1, "last-error": "gone", "last-error-time": 1020,
        "tokens": 11, "requests": 1, **COST_OF_ONE, "unpriced-requests": 0, "unpriced-models": [],
        "runs-open": 1, "runs-started": 1,
        "runs-completed": 0, "runs-failed": 0, "runs-crashed": 0, "runs-stopped": 0, "recent": None, "subtree": None,
        "about": {
            "id": None, "project": None, "subagent": None, "branch": "main", "model": "m", "version": None, "entrypoint": None,
            "cwd": "/work", "context-tokens": 50, "context-window": 200, "context-percent": 25.0, "context-time": 1047,
            "limits": [{"source": "python", "name": "five_hour", "percent": 42.5, "resets": 90_000, "time": 1048}],
        },
    }  # fmt: skip
    assert view["agents"]["boss"]["subtree"]["agents"] == 2
    assert (view["overview"]["waiting"], view["problems"]["unknown-events"], view["problems"]["total"]) == (1, 1, 1)
    assert view["today"] == {
        "since": 0, "count": 5, "success": 1, "error": 4, "requests": 2, "tokens": 41, **COST_OF_ONE,
        "unpriced-requests": 1, "unpriced-models": ["free"],
    }  # fmt: skip
    assert [need["kind"] for need in view["needs"]] == ["waiting", "crashed"]
    assert [entry["event"] for entry in view["recent-logs"]] == ["start", "start", "tool", "waiting", "start", "error", "crash"]
    assert view["recent-logs"][2] == {
        "timestamp": 1020, "agent-id": "a", "tool": "read", "status": "failed", "event": "tool",
        "message": "gone", "run": "w-1-x.1", "id": "w-1-x.0.jsonl:5",
    }  # fmt: skip


def test_the_figures_of_all_agents_are_those_of_the_fold() -> None:
    """Tools, runs, model calls, by model and by phase."""
    metrics = as_json(dashboard(full_state(), NOW))["metrics"]
    assert list(metrics["tools"]) == ["psql", "read"]
    assert (metrics["global"]["count"], metrics["global"]["p50-ms"], metrics["global"]["last-seen"]) == (5, 2.0, 1043)
    assert (metrics["runs"]["started"], metrics["runs"]["crashed"]) == (3, 1)
    assert (metrics["tokens"]["total-tokens"], metrics["tokens"]["cost-micros"]) == (41, 9)
    assert [(name, usage["cost-micros"]) for name, usage in metrics["models"].items()] == [("free", None), ("m", 9)]
    assert {name: usage["total-tokens"] for name, usage in metrics["phases"].items()} == {"plan": 30}


def test_the_view_leaves_the_state_alone() -> None:
    """The hub keeps one state in memory and shows it many times."""
    state = full_state()
    before = copy.deepcopy(state)
    dashboard(state, NOW)
    assert state == before


DOCUMENT = (DOCS / "metrics-json.md").read_text(encoding="utf-8")
WHOLE_FILE: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)[-1])
COMMANDS = re.findall(r"```console\n\$ (jq .*?metrics\.json)\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize(("command", "printed"), COMMANDS, ids=range(len(COMMANDS)))
def test_each_documented_command_prints_what_the_document_says(command: str, printed: str, tmp_path: Path) -> None:
    """Run on the file that the document shows."""
    (tmp_path / ".pyjama").mkdir()
    (tmp_path / ".pyjama" / "metrics.json").write_text(json.dumps(WHOLE_FILE))
    shell = ["sh", "-c", command.replace("~", str(tmp_path))]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (printed, "", 0)


def test_the_documented_file_has_the_shape_of_a_state_and_every_key_is_explained() -> None:
    """A key that is added to the state must be described."""
    assert accepted(copy.deepcopy(WHOLE_FILE), thorough=True) == WHOLE_FILE
    agent = WHOLE_FILE["agents"]["release-notes"]
    run = agent["runs"][agent["latest-run"]]
    [minute] = WHOLE_FILE["roll-ups"]["minutes"].values()
    shown = [WHOLE_FILE, agent, run, WHOLE_FILE["global"], WHOLE_FILE["tokens"], WHOLE_FILE["problems"], minute]
    made = [new_state(), new_agent(), new_run(), new_tool_tally(), new_usage(), new_state()["problems"], new_slice()]
    assert [set(part) for part in shown] == [set(part) for part in made]
    keys = {key for part in made for key in part} | set(WHOLE_FILE["global"]["histogram"]) | set(run["steps"][0])
    keys |= {key for entry in WHOLE_FILE["recent-logs"] for key in entry} | set(run["origin"])
    assert {key for key in keys if f"`{key}`" not in DOCUMENT} == set()


def test_the_documented_limits_are_those_of_the_code() -> None:
    """Numbers in prose age; these may not."""
    limits = DOCUMENT.split("## Limits")[1].split("## ")[0]
    days = retention.MAX_AGE_MS // 86_400_000
    assert re.findall(r"\d+", limits) == [
        str(limit)
        for limit in (
            *(retention.MAX_AGENTS, days, retention.MAX_OPEN_AGENTS),
            *(retention.MAX_FINISHED_RUNS, retention.MAX_OPEN_RUNS, retention.MAX_EARLIER_RUNS, MAX_LABELS, MAX_STEPS),
            *(retention.MAX_TOOLS, retention.MAX_AGENT_TOOLS, retention.MAX_MODELS, retention.MAX_AGENT_MODELS),
            *(retention.MAX_LEDGER_ROWS, retention.MAX_AGENT_LEDGER_ROWS, retention.MAX_RUN_LEDGER_ROWS),
            *(retention.MAX_ORIGINS, retention.MAX_ORIGIN_LEDGER_ROWS),
            *(retention.MAX_RUN_TOOLS, retention.MAX_ROLES, retention.MAX_AGENT_HISTOGRAMS),
            *(retention.MAX_RUN_HISTOGRAMS, retention.MAX_RUN_BUCKETS, LOG_ENTRIES),
            *(events.MAX_NAME, events.MAX_TEXT),
        )
    ]
    spans = DOCUMENT.split("## Roll-ups")[1].split("|")[0]
    assert re.findall(r"\d+", spans) == [str(retention.MAX_MINUTES_MS // 60_000), str(retention.MAX_QUARTERS_MS // 3_600_000)]
