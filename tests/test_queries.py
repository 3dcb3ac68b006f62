"""The views: what each figure is out of, what is unknown, and what an older or foreign file still tells."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics import events, retention, views
from pyjama_metrics.event_fields import MAX_LABELS
from pyjama_metrics.events import MAX_STEPS
from pyjama_metrics.fold import LOG_ENTRIES, fold
from pyjama_metrics.histogram import add_many
from pyjama_metrics.queries import (
    agent_view,
    dashboard,
    log_view,
    metrics_view,
    overview,
    problems_view,
    runs_view,
    tool_view,
    usage_view,
)
from pyjama_metrics.state import accepted, new_agent, new_run, new_state, new_tool_tally, new_usage
from pyjama_metrics.views import as_json, help_texts, json_name

NOW = 1_706_945_999_000
DOCS = Path(__file__).parent.parent / "docs"
ANSWERS = (DOCS / "http-data.md").read_text(encoding="utf-8")
VIEWS = [view for view in vars(views).values() if is_dataclass(view) and view.__module__ == views.__name__]


def tally(durations: list[float] | None = None, **counts: Any) -> dict[str, Any]:
    """The figures of a tool as the fold keeps them."""
    made: dict[str, Any] = {**new_tool_tally(), **counts}
    add_many(made["histogram"], durations or [])
    made["timed"] = made["histogram"]["n"]
    made["total-duration"] = made["histogram"]["sum-us"] / 1000
    return made


def agents_with(*statuses_and_times: tuple[str, int]) -> dict[str, Any]:
    """A state with an agent for each status and last-seen, called ``status@time``."""
    state: dict[str, Any] = {**new_state()}
    for status, time in statuses_and_times:
        state["agents"][f"{status}@{time}"] = {**new_agent(), "status": status, "last-seen": time}
    return state


def test_the_success_rate_of_tools_is_out_of_successes_and_errors() -> None:
    """Interrupted executions stand apart: three of four went well, whatever somebody stopped."""
    view = tool_view(tally(count=4, success=3, error=1, interrupted=96))
    assert (view.count, view.success, view.error, view.interrupted, view.success_rate) == (4, 3, 1, 96, 0.75)


def test_the_success_rate_of_runs_is_out_of_completed_failed_and_crashed() -> None:
    """A crash is no success; running and stopped runs stand apart."""
    view = runs_view({"started": 100, "completed": 2, "failed": 1, "crashed": 1, "stopped": 50})
    assert (view.started, view.completed, view.failed, view.crashed, view.stopped) == (100, 2, 1, 1, 50)
    assert view.success_rate == 0.5


def test_the_average_duration_is_out_of_the_timed_executions() -> None:
    """An execution without a duration did not take 0 ms."""
    view = tool_view(tally([10.0, 30.0], count=10, success=10))
    assert (view.total_duration, view.avg_duration_ms) == (40.0, 20.0)
    agent = agent_view({**new_agent(), "count": 10, "success": 10, "timed": 2, "total-duration": 40.0})
    assert agent.avg_duration_ms == 20.0


def test_a_file_that_does_not_count_timed_executions_is_averaged_over_all() -> None:
    """The figures of the documented example, written before there were histograms."""
    view = tool_view({"count": 156, "success": 152, "error": 4, "total-duration": 7013.5})
    assert view.avg_duration_ms == pytest.approx(7013.5 / 156)
    assert (view.p50_ms, view.min_ms, view.last_seen) == (None, None, None)


def test_percentiles_are_those_of_the_measured_durations() -> None:
    """Within 1.1 percent; the extremes exactly."""
    view = tool_view(tally([float(ms) for ms in range(1, 1001)]))
    assert (view.p50_ms, view.p95_ms, view.p99_ms) == pytest.approx((500, 950, 990), rel=0.011)
    assert (view.min_ms, view.max_ms) == (1.0, 1000.0)


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


def test_a_rate_out_of_nothing_is_unknown() -> None:
    """None, not 0 and not 100 percent, also where interrupted and stopped ones are."""
    assert tool_view(tally(interrupted=3)).success_rate is None
    assert tool_view(tally(count=3, success=3)).avg_duration_ms is None
    assert runs_view({"started": 5, "stopped": 5}).success_rate is None
    assert agent_view(new_agent()).success_rate is None
    assert agent_view(new_agent()).avg_duration_ms is None


def test_open_runs_are_those_that_run_or_wait() -> None:
    """A run of which nobody knows whether it lives is not called open."""
    statuses = ("running", "waiting", "completed", "failed", "crashed", "stopped", "unknown", "running")
    runs = {f"w.{number}": {"status": status} for number, status in enumerate(statuses)}
    assert agent_view({**new_agent(), "runs": runs}).runs_open == 3


def test_tokens_are_summed_over_the_four_kinds_and_a_cost_is_shown_only_where_one_was_reported() -> None:
    """Unpriced is not free."""
    usage = {**new_usage(), "requests": 2, "input-tokens": 1, "output-tokens": 20, "cache-read-tokens": 300}
    usage |= {"cache-write-tokens": 4000, "estimated-tokens": 21}
    view = usage_view(usage)
    assert (view.total_tokens, view.estimated_tokens, view.cost_micros) == (4321, 21, None)
    assert usage_view({**usage, "priced-requests": 1, "cost-micros": 0}).cost_micros == 0
    assert agent_view({**new_agent(), "tokens": usage}).tokens == 4321


def test_agents_at_work_come_first_and_within_a_status_the_latest() -> None:
    """What needs eyes is on top: running, waiting, then crashed and failed before those that are done."""
    state = agents_with(
        ("completed", 99), ("failed", 5), ("running", 1), ("waiting", 7), ("crashed", 3), ("running", 2),
        ("stopped", 98), ("unknown", 97), ("waiting", 8), ("crashed", 4),
    )  # fmt: skip
    assert list(dashboard(state, NOW).agents) == [
        "running@2", "running@1", "waiting@8", "waiting@7", "crashed@4", "crashed@3", "failed@5",
        "unknown@97", "stopped@98", "completed@99",
    ]  # fmt: skip


def test_tools_come_by_count_and_then_by_name() -> None:
    """A stable order: rows of the page do not swap places without a reason."""
    tools = {"c": tally(count=1), "b": tally(count=9), "a": tally(count=1)}
    assert list(metrics_view({"tools": tools}).tools) == ["b", "a", "c"]


def test_logs_stay_in_the_order_of_the_file() -> None:
    """Newest last, also when a clock jumped."""
    logs = [{"timestamp": time, "agent-id": "a", "status": "ok", "id": f"j:{time}"} for time in (3, 1, 2)]
    assert [entry.timestamp for entry in dashboard({"recent-logs": logs}, NOW).recent_logs] == [3, 1, 2]


@given(st.lists(st.sampled_from(["running", "waiting", "crashed", "completed", "failed", "stopped", "unknown", "?", ""])))
def test_each_agent_is_in_one_column_of_the_overview(statuses: list[str]) -> None:
    """The columns add up to the number of agents."""
    view = overview({str(i): agent_view({"status": status}) for i, status in enumerate(statuses)})
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
    assert (view["agents"], view["recent-logs"], view["updated"], view["now"]) == ({}, [], None, NOW)
    assert set(view["overview"].values()) == set(view["problems"].values()) == {0}
    assert view["metrics"]["global"] == dict.fromkeys(("count", "success", "error", "interrupted"), 0) | {
        "total-duration": 0.0
    } | dict.fromkeys(("success-rate", "avg-duration-ms", "p50-ms", "p95-ms", "p99-ms", "min-ms", "max-ms", "last-seen"))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_a_state_with_foreign_values_in_any_place_is_still_shown(data: st.DataObject) -> None:
    """An older version, another program or a hand may have written the file; the page does not break."""
    state = json.loads(json.dumps(full_state()))
    for _ in range(data.draw(st.integers(1, 4))):
        place = state
        while True:
            key = data.draw(st.sampled_from(sorted(place)))
            if not isinstance(place[key], dict) or not place[key] or data.draw(st.booleans()):
                break
            place = place[key]
        if data.draw(st.booleans()):
            del place[key]
        else:
            place[key] = data.draw(ANYTHING)
        if not place:
            break
    json.dumps(as_json(dashboard(state, NOW)), allow_nan=False)


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


@pytest.mark.parametrize("key", ["999999999", "-999999999", "--3", "1.5", "", "٣x", "NaN"])
def test_a_bucket_that_no_duration_has_is_passed_over(key: str) -> None:
    """Its bound would be no number at all."""
    made = tally([10.0, 20.0, 30.0])
    made["histogram"]["buckets"][key] = 5
    assert tool_view(made) == tool_view(tally([10.0, 20.0, 30.0]))


def test_a_number_without_end_is_no_number() -> None:
    """Some JSON readers make an infinity of 1e999."""
    assert tool_view({"count": float("inf"), "total-duration": float("nan")}).count == 0


def full_state() -> dict[str, Any]:
    """A state in which everything has happened once, as the fold writes it."""
    state = new_state()
    about: dict[str, Any] = {"agent": "a", "run": "w-1-x.1"}
    origin = {"source": "python", "host": "h", "pid": 7, "parent": "p-2-y.1", "parent-agent": "boss"}
    events: list[dict[str, Any]] = [
        {"event": "start", "time": 1000, **about, **origin},
        {"event": "tool", "time": 1010, **about, "tool": "read", "status": "ok", "duration-ms": 2.0},
        {
            "event": "tool",
            "time": 1020,
            **about,
            "tool": "read",
            "status": "failed",
            "error": "gone",
            "log": True,
        },
        {
            "event": "llm",
            "time": 1030,
            **about,
            "model": "m",
            "input-tokens": 5,
            "output-tokens": 6,
            "cost-micros": 9,
        },
        {"event": "step-start", "time": 1035, **about, "step": "plan"},
        {"event": "waiting", "time": 1040, **about, "reason": "a person"},
        {"event": "nonsense", "time": 1050},
    ]
    fold(state, "w-1-x.0.jsonl", events)
    return {**state, "generation": 3, "updated": 1060}


def test_what_the_fold_writes_is_what_the_view_reads() -> None:
    """One journal, folded: each figure arrives under its name."""
    view = as_json(dashboard(full_state(), NOW))
    assert view["agents"] == {
        "a": {
            "status": "waiting", "start-time": 1000, "last-seen": 1040, "count": 2, "success": 1, "error": 1,
            "interrupted": 0, "success-rate": 0.5, "avg-duration-ms": 2.0, "current-tool": "read",
            "current-step": "plan", "waiting-reason": "a person", "parent": "p-2-y.1", "parent-agent": "boss",
            "source": "python", "host": "h", "pid": 7, "errors": 1, "last-error": "gone",
            "last-error-time": 1020, "tokens": 11, "runs-open": 1, "runs-started": 1, "runs-completed": 0,
            "runs-failed": 0, "runs-crashed": 0, "runs-stopped": 0,
        }
    }  # fmt: skip
    metrics = view["metrics"]
    assert metrics["tools"] == {"read": metrics["global"]}
    assert (metrics["global"]["count"], metrics["global"]["p50-ms"], metrics["global"]["last-seen"]) == (
        2,
        2.0,
        1020,
    )
    assert (
        metrics["runs"]["started"],
        metrics["tokens"]["total-tokens"],
        metrics["tokens"]["cost-micros"],
    ) == (1, 11, 9)
    assert (view["overview"]["waiting"], view["problems"]["unknown-events"], view["problems"]["total"]) == (
        1,
        1,
        1,
    )
    assert [entry["event"] for entry in view["recent-logs"]] == ["start", "tool", "waiting"]
    assert view["recent-logs"][1] == {
        "timestamp": 1020, "agent-id": "a", "tool": "read", "status": "failed", "event": "tool",
        "message": "gone", "run": "w-1-x.1", "id": "w-1-x.0.jsonl:3",
    }  # fmt: skip


def test_the_view_leaves_the_state_alone() -> None:
    """The hub keeps one state in memory and shows it many times."""
    state = full_state()
    before = copy.deepcopy(state)
    dashboard(state, NOW)
    assert state == before


def test_names_in_json_are_kebab_case_and_names_that_users_gave_stay() -> None:
    """``global_`` is ``global``; a tool called ``read_file`` is not renamed."""
    assert [json_name(name) for name in ("avg_duration_ms", "global_", "p95_ms")] == [
        "avg-duration-ms",
        "global",
        "p95-ms",
    ]
    state = {"agents": {"my_agent_": {"status": "running"}}, "tools": {"read_file": tally(count=1)}}
    view = as_json(dashboard(state, NOW))
    assert (list(view["agents"]), list(view["metrics"]["tools"])) == (["my_agent_"], ["read_file"])
    assert set(view) == {
        "agents",
        "metrics",
        "recent-logs",
        "overview",
        "problems",
        "generation",
        "updated",
        "now",
    }
    assert set(view["metrics"]) == {"global", "tools", "runs", "tokens"}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_each_field_of_each_view_says_what_it_is(view: type) -> None:
    """The page and the document show the sentence; a rate also says out of what."""
    help_of = help_texts(view)
    assert list(help_of) == [each.name for each in fields(view)]
    assert all(f"| `{json_name(name)}` | {text} |\n" in ANSWERS for name, text in help_of.items())
    assert all(text and not text.endswith(".") for text in help_of.values())
    assert all("/" in text and "0 to 1" in text for name, text in help_of.items() if name.endswith("_rate"))
    assert all("ms" in text for name, text in help_of.items() if name.endswith(("_ms", "_time", "duration", "last_seen")))


def test_a_view_cannot_be_changed_or_misspelt() -> None:
    """Whoever gets it may keep it and share it between threads."""
    entry = log_view({"agent-id": "a"})
    with pytest.raises(FrozenInstanceError):
        entry.status = "ok"  # type: ignore[misc]
    assert not hasattr(entry, "__dict__")


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
    shown = [WHOLE_FILE, agent, run, WHOLE_FILE["global"], WHOLE_FILE["tokens"], WHOLE_FILE["problems"]]
    made = [new_state(), new_agent(), new_run(), new_tool_tally(), new_usage(), new_state()["problems"]]
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
            *(retention.MAX_TOOLS, retention.MAX_AGENT_TOOLS, retention.MAX_MODELS, LOG_ENTRIES),
            *(events.MAX_NAME, events.MAX_TEXT),
        )
    ]
