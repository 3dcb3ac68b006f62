"""The past is imported once, however it is cut into imports, whoever else is at it, and whatever lies about."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyjama_metrics import agreement, events
from pyjama_metrics.errors import ImportRefused, SessionsUnusable
from pyjama_metrics.hub import Hub
from pyjama_metrics.sessions import importing
from pyjama_metrics.sessions.follower import Follower
from pyjama_metrics.sessions.foreign_values import time_ms
from pyjama_metrics.sessions.importing import Import, Imported
from pyjama_metrics.sessions.transcript_places import Place, claude_transcripts, codex_rollouts, written_since
from pyjama_metrics.storage import sessions as stored
from pyjama_metrics.storage.session import SessionJournal
from pyjama_metrics.storage.sessions import SessionsFile
from tests.sessions.test_follower import Died, dying
from tests.waiting import run_python

CAPTURES = Path(__file__).parent.parent / "captures"
NOW = 1_795_262_400.0
"""2026-11-21, 12:00 UTC: ten hours after the captures."""
DAY = 86_400.0
TOKENS = ("requests", "input-tokens", "output-tokens", "cache-read-tokens", "cache-write-tokens", "cache-write-1h-tokens")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The hub's folder; it does not exist yet."""
    return tmp_path / "hub"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A folder of Claude Code without a transcript."""
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    return tmp_path / "claude"


def past(config: Path, *scenarios: str, at: float = NOW - 3600) -> Path:
    """Put the transcripts of captured sessions into a folder of Claude Code."""
    for scenario in scenarios:
        shutil.copytree(CAPTURES / scenario / "transcripts", config / "projects", dirs_exist_ok=True)
    for place in claude_transcripts([str(config)]):
        os.utime(place.path, (at, at))
    return config


def places(config: Path) -> list[Place]:
    """What there is to import."""
    return claude_transcripts([str(config)])


def imported(home: Path, config: Path, *, at: float = NOW, **options: Any) -> Imported:
    """Import what there is."""
    return Import(str(home), lambda: at).run(places(config), **options)


def hub_of(home: Path, at: float = NOW) -> Hub:
    """The hub, up to date, and with figures that agree wherever they are kept."""
    hub = Hub(str(home), clock=lambda: at)
    assert hub.catch_up(20.0)
    differing = [difference for each in agreement.compare(hub) for difference in each.differences]
    assert differing == []
    return hub


def tokens(part: Any) -> tuple[int, ...]:
    """Model calls, and tokens by their kinds."""
    return tuple(part["tokens"][name] for name in TOKENS)


def outcomes(part: Any) -> dict[str, tuple[int, int, int]]:
    """Tool to how many of its executions went well, failed, and were not executed or stopped."""
    return {name: (tool["success"], tool["error"], tool["interrupted"]) for name, tool in sorted(part["tools"].items())}


def figures(home: Path, at: float = NOW) -> dict[str, Any]:
    """Everything that was counted, however it came there."""
    state = hub_of(home, at).read(fresh=False)
    return {
        "all": (tokens(state), outcomes(state), state["messages"], state["errors"], state["runs"]),
        "agents": {
            name: (tokens(agent), outcomes(agent), agent["messages"], agent["errors"], agent["ledger"])
            for name, agent in sorted(state["agents"].items())
        },
        "models": {name: tuple(row[key] for key in TOKENS) for name, row in sorted(state["models"].items())},
        "ledger": state["ledger"],
        "runs": {
            run_id: (run["start-time"], run["tally"]["count"], run["outcome"])
            for agent in state["agents"].values()
            for run_id, run in sorted(agent["runs"].items())
        },
        "quarters": state["roll-ups"]["quarters"],
        # Not those of values: what begins a journal has the time of the machine's clock, and may be ahead of ours.
        "problems": {name: count for name, count in state["problems"].items() if name != "invalid-values"},
    }


def answer(message: str, output: int, *, session: str = "s1", call: str = "", at: str = "02:00:00", **more: Any) -> str:
    """A line with an answer of the model."""
    content: list[Any] = (
        [{"type": "tool_use", "id": call, "name": "Bash", "input": {}}] if call else [{"type": "text", "text": "x"}]
    )
    usage = {"input_tokens": 10, "output_tokens": output, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    told = {"id": message, "model": "claude-opus-4-8", "role": "assistant", "content": content, "usage": usage}
    return line("assistant", session, at, message=told, **more)


def result(call: str, *, session: str = "s1", at: str = "02:00:05", **more: Any) -> str:
    """A line with what a tool answered."""
    content = [{"type": "tool_result", "tool_use_id": call, "content": "done"}]
    return line("user", session, at, message={"role": "user", "content": content}, **more)


def line(kind: str, session: str, at: str, **more: Any) -> str:
    """A line of a transcript."""
    about = {"sessionId": session, "cwd": "/home/dev/web-shop", "version": "2.1.329", "timestamp": f"2026-11-21T{at}.000Z"}
    return json.dumps({"type": kind, "uuid": f"{kind}-{session}-{at}", **about, **more}) + "\n"


def write(config: Path, name: str, *lines: str, at: float = NOW - 3600, project: str = "-home-dev-web-shop") -> Path:
    """Write a transcript."""
    path = config / "projects" / project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))
    os.utime(path, (at, at))
    return path


# -- what is counted -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "counted"),
    [
        ("claude-code-2.1.329/basic", (11, 987, 410, 19345, 3979)),
        ("claude-code-2.1.197/basic", (11, 987, 410, 19345, 3979)),
        ("claude-code-2.1.329/text", (1, 11, 12, 14, 13)),
        ("claude-code-2.1.329/parallel", (7, 197, 231, 299, 265)),
        ("claude-code-2.1.329/bg", (6, 1104, 2208, 4416, 3312)),
        ("claude-code-2.1.329/denied", (3, 222, 225, 231, 228)),
        ("claude-code-2.1.329/sigkill", (1, 80, 81, 83, 82)),
        ("claude-code-2.1.329/resume", (3, 53, 56, 62, 59)),
        ("claude-code-2.1.197/resume", (3, 53, 56, 62, 59)),
    ],
)
def test_a_captured_session_is_what_the_service_was_asked_for(
    home: Path, config: Path, scenario: str, counted: tuple[int, ...]
) -> None:
    """Model calls and tokens of the truth beside each capture; copies in a fork count once."""
    imported(home, past(config, scenario))
    state = hub_of(home).read(fresh=False)
    found = tokens(state)
    assert (*found[:4], found[4] + found[5]) == counted


def test_tools_end_as_they_did(home: Path, config: Path) -> None:
    """By name; a call that a person refused was not executed."""
    imported(home, past(config, "claude-code-2.1.329/basic", "claude-code-2.1.329/denied"))
    state = hub_of(home).read(fresh=False)
    assert outcomes(state) == {"Agent": (1, 0, 0), "Bash": (2, 1, 1), "Edit": (1, 0, 0), "Read": (2, 2, 0), "Write": (1, 0, 0)}


def test_a_request_that_no_transcript_lists_is_counted_by_the_programs_own_figures(home: Path, config: Path) -> None:
    """The request for a summary: 13 answers were given, 12 are written down; all of the tokens are there."""
    imported(home, past(config, "claude-code-2.1.329/compact"))
    truth = json.loads((CAPTURES / "claude-code-2.1.329" / "compact" / "truth.json").read_text())["tokens"]["all"]
    found = tokens(hub_of(home).read(fresh=False))
    assert found[0] == 13
    assert dict(zip(("input_tokens", "output_tokens", "cache_read_input_tokens"), found[1:4], strict=True)) == {
        name: truth[name] for name in ("input_tokens", "output_tokens", "cache_read_input_tokens")
    }


def test_runs_have_the_names_of_their_sessions(home: Path, config: Path) -> None:
    """One run for a session, one for each subagent, of agents that have the names of the project and of the subagent's type."""
    found = imported(home, past(config, "claude-code-2.1.329/basic"))
    state = hub_of(home).read(fresh=False)
    session = "1063cfde-e221-4527-b8a2-e22d3cfcb50a"
    assert (found.files, found.answers, found.prompts, found.sessions) == (2, 11, 1, {session})
    assert {name: list(agent["runs"]) for name, agent in state["agents"].items()} == {
        "work": [f"claude-code-{session}.1"],
        "work/general-purpose": [f"claude-code-{session}.a87879cdbb670b0be"],
    }
    run = state["agents"]["work/general-purpose"]["runs"][f"claude-code-{session}.a87879cdbb670b0be"]
    assert (run["origin"]["parent"], run["origin"]["parent-agent"], run["outcome"]) == (
        f"claude-code-{session}.1",
        "work",
        "completed",
    )


def test_an_answer_in_a_fork_is_charged_to_the_oldest(home: Path, config: Path) -> None:
    """The copy counts nowhere, and a later, larger copy is charged to whom the answer was charged."""
    write(config, "old.jsonl", answer("m1", 5, session="old"), at=NOW - 90)
    write(config, "new.jsonl", answer("m1", 7, session="new"), answer("m2", 1, session="new", at="02:01:00"), at=NOW - 60)
    imported(home, config)
    runs = hub_of(home).read(fresh=False)["agents"]["web-shop"]["runs"]
    spent = {name: [row[:3] for row in run["ledger"].values()] for name, run in runs.items()}
    assert spent == {"claude-code-old.1": [[1, 10, 7]], "claude-code-new.1": [[1, 10, 1]]}


def test_agents_beside_their_session_and_inside_of_it(home: Path, config: Path) -> None:
    """Claude Code 2.0 put subagents beside the session's file, 1.0 into it."""
    write(config, "s1.jsonl", answer("m1", 5), answer("m2", 7, isSidechain=True))
    write(config, "agent-a1.jsonl", answer("m3", 9, isSidechain=True, agentId="a1"))
    imported(home, config)
    agents = hub_of(home).read(fresh=False)["agents"]
    assert {name: (agent["tokens"]["output-tokens"], sorted(agent["runs"])) for name, agent in agents.items()} == {
        "web-shop": (5, ["claude-code-s1.1"]),
        "web-shop/subagent": (16, ["claude-code-s1.a1", "claude-code-s1.sidechain"]),
    }


def test_codex_with_subagents_and_replays(home: Path) -> None:
    """Cached input is no input, a subagent's copy of its parent's history counts nowhere."""
    folder = home.parent / "codex"
    for scenario in ("basic", "text", "sub"):
        shutil.copytree(CAPTURES / "codex-0.169.0" / scenario / "sessions", folder / "sessions", dirs_exist_ok=True)
    found = Import(str(home), lambda: NOW).run(codex_rollouts([str(folder)]))
    agents = hub_of(home).read(fresh=False)["agents"]
    parent, thread = "01a1fbd2-1aaa-7080-b8ac-e46f965db369", "01a1fbd2-1b52-7981-9645-443897788bac"
    assert (found.files, len(found.sessions), found.prompts) == (4, 3, 3)
    assert {name: tokens(agent)[:4] for name, agent in agents.items()} == {
        # 9,145 and 100 with 7,500 and 40 from a cache, 311 and 7 out; and what the session with the subagent used itself.
        "work": (7 + 1 + 3, 1645 + 60 + 503, 311 + 7 + 41, 7500 + 40 + 700),
        "work/subagent": (2, 2102, 42, 2000),
    }
    assert list(agents["work/subagent"]["runs"]) == [f"codex-{parent}.{thread}"]
    assert outcomes(agents["work"])["exec_command"] == (4, 2, 0)


# -- once, in however many imports ---------------------------------------------------------------------------------------


def test_again_nothing_is_read(home: Path, config: Path) -> None:
    """Not a byte, and no figure changes."""
    past(config, "claude-code-2.1.329/basic", "claude-code-2.1.329/resume")
    first = imported(home, config)
    before = figures(home)
    again = imported(home, config)
    assert (first.files, again.files, again.read, again.unchanged) == (4, 0, 0, 4)
    assert figures(home) == before


def test_a_call_is_answered_later(home: Path, config: Path) -> None:
    """A call without an outcome waits for it; nothing says that it was not executed."""
    write(config, "s1.jsonl", answer("m1", 5, call="c1"))
    imported(home, config)
    assert figures(home)["all"][1] == {}
    write(config, "s1.jsonl", answer("m1", 5, call="c1"), result("c1"))
    imported(home, config)
    assert figures(home)["all"][1] == {"Bash": (1, 0, 0)}


def test_a_call_without_an_outcome_was_not_executed_when_its_transcript_rests(home: Path, config: Path) -> None:
    """A day after the last line, also where nothing is new; and it is said once."""
    write(config, "s1.jsonl", answer("m1", 5, call="c1"))
    for at, counted in ((NOW, {}), (NOW + DAY, {"Bash": (0, 0, 1)}), (NOW + 2 * DAY, {"Bash": (0, 0, 1)})):
        imported(home, config, at=at)
        assert figures(home, at)["all"][1] == counted
    assert imported(home, config, at=NOW + 2 * DAY).unchanged == 1


def test_an_answer_that_grew_counts_by_what_it_grew(home: Path, config: Path) -> None:
    """A program was writing while we read."""
    write(config, "s1.jsonl", answer("m1", 5))
    imported(home, config)
    write(config, "s1.jsonl", answer("m1", 5), answer("m1", 30))
    found = imported(home, config)
    assert (found.answers, figures(home)["all"][0]) == (0, (1, 10, 30, 0, 0, 0))
    write(config, "s1.jsonl", answer("m1", 5), answer("m1", 30), answer("m1", 41))
    imported(home, config)
    assert figures(home)["all"][0] == (1, 10, 41, 0, 0, 0)


def test_a_compaction_is_in_the_programs_figures_or_has_no_figure(home: Path, config: Path) -> None:
    """It is a request of its own when nothing counts it, and only when the transcript rests."""
    compacted = line("system", "s1", "02:00:09", subtype="compact_boundary")
    write(config, "s1.jsonl", answer("m1", 5), compacted)
    imported(home, config)
    assert figures(home)["all"][0][0] == 1
    totals = {"claude-opus-4-8": {"inputTokens": 10, "outputTokens": 45}}
    write(config, "s1.jsonl", answer("m1", 5), compacted, line("cost-state", "s1", "02:01:00", modelUsage=totals, totalCostUSD=1))
    imported(home, config, at=NOW + 2 * DAY)
    assert figures(home, NOW + 2 * DAY)["all"][0] == (2, 10, 45, 0, 0, 0)
    write(config, "s2.jsonl", answer("m2", 5, session="s2"), line("system", "s2", "02:00:09", subtype="compact_boundary"))
    imported(home, config, at=NOW + 2 * DAY)
    assert figures(home, NOW + 2 * DAY)["models"]["(requests that the transcript does not list)"] == (1, 0, 0, 0, 0, 0)


def test_what_no_transcript_lists_is_one_request_in_however_many_parts(home: Path, config: Path) -> None:
    """How many they were is not told; their tokens are."""
    lines = [answer("m1", 5)]
    for output in (20, 50):
        totals = {"claude-opus-4-8": {"inputTokens": 10, "outputTokens": output}}
        lines.append(line("cost-state", "s1", "02:01:00", modelUsage=totals, totalCostUSD=1))
        write(config, "s1.jsonl", *lines)
        imported(home, config)
        assert figures(home)["all"][0] == (2, 10, output, 0, 0, 0)


@pytest.mark.parametrize("many", [0, 50], ids=["all in memory", "asked for"])
def test_a_fork_repeats_nothing(home: Path, config: Path, monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    """Prompts, calls, answers and failures that it was begun with, also where much is imported."""
    monkeypatch.setattr(importing, "_MANY_FILES", many)
    failed = {"id": "e1", "model": "<synthetic>", "role": "assistant", "content": [{"type": "text", "text": "API Error"}]}

    def told(session: str) -> list[str]:
        asked = line("user", session, "02:00:00", message={"role": "user", "content": "do"})
        return [
            asked.replace(f"user-{session}", "user"),
            answer("m1", 5, session=session, call="c1"),
            result("c1", session=session),
            line("assistant", session, "02:00:07", message=failed, isApiErrorMessage=True, error="rate_limit"),
        ]

    write(config, "s1.jsonl", *told("s1"), at=NOW - 90)
    write(config, "s2.jsonl", *told("s2"), answer("m2", 6, session="s2", at="02:01:00"))
    imported(home, config)
    write(config, "s3.jsonl", *told("s3"))
    found = imported(home, config)
    counted = figures(home)["all"]
    assert (found.files, found.calls, found.answers, found.prompts) == (1, 0, 0, 0)
    assert counted[:4] == ((2, 20, 11, 0, 0, 0), {"Bash": (1, 0, 0)}, {"user": 1, "assistant": 2}, 1)


def test_one_project_first_and_then_all(home: Path, config: Path, tmp_path: Path) -> None:
    """What was passed over is imported later, and what was imported is not again."""
    past(config, "claude-code-2.1.329/basic", "claude-code-2.1.329/compact")
    write(config, "s1.jsonl", answer("m1", 5, call="c1"), result("c1"))
    found = imported(home, config, wanted=lambda project: project == "web-shop")
    assert (found.files, found.others, sorted(hub_of(home).read(fresh=False)["agents"])) == (1, 4, ["web-shop"])
    assert imported(home, config).files == 4
    imported(tmp_path / "at once", config)
    assert figures(home) == figures(tmp_path / "at once")


def test_since_means_whole_sessions(config: Path) -> None:
    """The program's own figures are compared with all of a session's files, so none of these is left out."""
    past(config, "claude-code-2.1.329/basic", "claude-code-2.1.329/text", at=NOW - DAY)
    (main,) = [place for place in places(config) if place.session.startswith("1063") and place.agent is None]
    os.utime(main.path, (NOW, NOW))
    found = written_since(places(config), int((NOW - 3600) * 1e9))
    assert sorted(place.agent or "" for place in found) == ["", "a87879cdbb670b0be"]


def lines_of(config: Path) -> list[tuple[int, str, bytes]]:
    """All lines of all transcripts in the order in which they were written: (time, file, line)."""
    found = []
    for place in places(config):
        last = 0
        for each in Path(place.path).read_bytes().splitlines(keepends=True):
            last = max(last, time_ms(json.loads(each).get("timestamp")))
            found.append((last, os.path.relpath(place.path, config), each))
    return sorted(found, key=lambda each: each[0])


SCENARIOS = ("basic", "compact", "resume", "sigkill", "denied", "parallel", "bg")


class Whole:
    """All lines of the captured sessions, and the figures when they are imported at once."""

    def __init__(self, lines: list[tuple[int, str, bytes]], figures: dict[str, Any]) -> None:
        self.lines, self.figures = lines, figures


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What the property below compares with."""
    config, home = tmp_path_factory.mktemp("claude"), tmp_path_factory.mktemp("hub")
    past(config, *(f"claude-code-2.1.329/{scenario}" for scenario in SCENARIOS), at=NOW - 3600)
    imported(home, config, at=NOW + 2 * DAY)
    return Whole(lines_of(config), figures(home, NOW + 2 * DAY))


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 400), st.booleans()), min_size=1, max_size=4))
def test_however_the_past_is_cut_into_imports_the_figures_are_the_same(
    whole: Whole,
    tmp_path_factory: pytest.TempPathFactory,
    cuts: Sequence[tuple[int, int, bool]],
) -> None:
    """Sessions that go on between the imports, cut in the middle of a line; with an import that dies half way here and there."""
    lines = whole.lines
    home, config = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("claude")
    for cut, more, dies in [*sorted((cut % len(lines), more, dies) for cut, more, dies in cuts), (len(lines), 0, False)]:
        files: dict[str, list[bytes]] = {}
        for _, name, each in lines[:cut]:
            files.setdefault(name, []).append(each)
        if more:
            files.setdefault(lines[cut][1], []).append(lines[cut][2][:more].rstrip(b"\n"))
        for name, parts in files.items():
            path = config / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(parts))
            os.utime(path, (NOW - 3600, NOW - 3600))
            beside = CAPTURES / "claude-code-2.1.329"
            for meta in beside.glob(f"*/transcripts/{Path(name).relative_to('projects').with_suffix('.meta.json')}"):
                shutil.copy(meta, path.parent)
        at = NOW + 2 * DAY if cut == len(lines) else NOW
        with pytest.MonkeyPatch.context() as broken:
            if dies:
                dying(broken, 1 + more % 6, after=bool(more % 2))
            with suppress(Died):
                imported(home, config, at=at)
    assert figures(home, NOW + 2 * DAY) == whole.figures


@pytest.mark.parametrize("after", [False, True])
def test_wherever_an_import_dies_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Path, after: bool
) -> None:
    """Each place where it can die, one after the other."""
    past(config, "claude-code-2.1.329/basic", "claude-code-2.1.329/compact")
    monkeypatch.setattr(importing, "AT_ONCE", 30_000)
    imported(tmp_path / "whole", config)
    expected, at, deaths = figures(tmp_path / "whole"), 0, 0
    while True:
        at += 1
        home = tmp_path / f"hub-{at}"
        with monkeypatch.context() as broken:
            count = dying(broken, at, after=after)
            try:
                imported(home, config)
            except Died:
                deaths += 1
            if count() < at:
                break
        imported(home, config)
        assert figures(home) == expected, f"died at step {at}"
    assert deaths >= 10


IMPORTING = """
import sys
from pyjama_metrics.sessions import importing, reading_apart
from pyjama_metrics.sessions.transcript_places import claude_transcripts
importing.AT_ONCE, importing._ALONE = 20_000, 0
print("ready", flush=True)
importing.Import(sys.argv[1], lambda: float(sys.argv[3])).run(claude_transcripts([sys.argv[2]]))
print("done", flush=True)
"""


def importing_process(home: Path, config: Path) -> subprocess.Popen[str]:
    """A process that imports, with others that read for it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(events.__file__).parent.parent)}
    program = [sys.executable, "-c", IMPORTING, str(home), str(config), str(NOW)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_imports_that_are_killed_at_any_moment(home: Path, config: Path, tmp_path: Path) -> None:
    """SIGKILL while others read for it, again and again, and then one to its end."""
    past(config, *(f"claude-code-2.1.329/{scenario}" for scenario in SCENARIOS))
    imported(tmp_path / "whole", config)
    for number in range(8):
        process = importing_process(home, config)
        deadline = number * 0.004
        try:
            process.wait(deadline)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    process = importing_process(home, config)
    assert process.communicate()[0] == "done\n"
    assert figures(home) == figures(tmp_path / "whole")


def test_two_imports_at_once(home: Path, config: Path, tmp_path: Path) -> None:
    """One waits for the other, and finds nothing new."""
    past(config, *(f"claude-code-2.1.329/{scenario}" for scenario in SCENARIOS))
    imported(tmp_path / "whole", config)
    processes = [importing_process(home, config) for _ in range(3)]
    assert [process.communicate()[0] for process in processes] == ["done\n"] * 3
    assert figures(home) == figures(tmp_path / "whole")


def test_what_a_reader_that_was_killed_left_undone_is_read_all_the_same(
    home: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory may be left for a process; the others' work and its own are done."""
    past(config, *(f"claude-code-2.1.329/{scenario}" for scenario in SCENARIOS))
    imported(tmp_path / "whole", config)
    monkeypatch.setattr(importing, "_ALONE", 0)
    monkeypatch.setattr(importing, "processors", lambda: 3)
    ours, real = os.getpid(), importing.digest

    def killed(source: str, path: str, *arguments: Any, **options: Any) -> Any:
        if os.getpid() != ours and "subagents" in path:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(source, path, *arguments, **options)

    monkeypatch.setattr(importing, "digest", killed)
    imported(home, config)
    assert figures(home) == figures(tmp_path / "whole")


# -- with hooks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["import", "hooks"])
def test_a_transcript_that_was_imported_and_goes_on_with_hooks(home: Path, config: Path, first: str) -> None:
    """And the other way round: what one of them told, the other does not."""
    path = write(config, "s1.jsonl", answer("m1", 5, call="c1"), result("c1"), answer("m2", 6, call="c2", at="02:01:00"))
    with run_python("import sys; sys.stdin.read()") as process:
        journal = SessionJournal(str(home), "claude-code-s1", pid=process.pid, fsync=False)

        def hook(name: str, at: float, **told: Any) -> None:
            fields = {
                "hook": name,
                "session": "s1",
                "source": "claude-code",
                "cwd": "/home/dev/web-shop",
                "transcript": str(path),
            }
            journal.append(events.line("hook", int(at * 1000), fields | told).encode())

        def follow(at: float) -> None:
            assert Follower(str(home), lambda: at).advance()

        if first == "import":
            imported(home, config)
        hook("SessionStart", NOW, how="resume")
        follow(NOW)
        assert imported(home, config).followed == 1
        with open(path, "a") as file:
            file.write(result("c2", at="02:01:05") + answer("m3", 7, call="c3", at="02:02:00") + result("c3", at="02:02:05"))
        hook("PreToolUse", NOW + 1, tool="Bash", call="c3")
        hook("PostToolUse", NOW + 2, tool="Bash", call="c3")
        hook("SessionEnd", NOW + 3, reason="other")
        follow(NOW + 4)
        follow(NOW + 60)
        with open(path, "a") as file:
            file.write(answer("m4", 8, at="02:03:00"))
        imported(home, config, at=NOW + 61)
        process.kill()
    counted = figures(home, NOW + 62)
    assert (counted["all"][0], counted["all"][1]) == ((4, 40, 26, 0, 0, 0), {"Bash": (3, 0, 0)})


# -- whatever lies about -------------------------------------------------------------------------------------------------


def test_files_that_are_no_transcripts(home: Path, config: Path) -> None:
    """Garbage, half a line, a line of 20 MB, a hole of 2 GB, a pipe, a folder, a file that is gone: the rest is read."""
    write(config, "s1.jsonl", answer("m1", 5))
    folder = config / "projects" / "-home-dev-web-shop"
    (folder / "garbage.jsonl").write_bytes(os.urandom(5_000) + b"\n" + b'{"type": "assistant"}\n[]\nnull\n\xff\n')
    write(config, "half.jsonl", answer("m2", 7, session="half"), answer("m3", 9, session="half")[:-30])
    write(config, "long.jsonl", '{"x": "' + "y" * 20_000_000 + '"}\n', answer("m4", 11, session="long"))
    with open(folder / "hole.jsonl", "wb") as file:
        file.write(answer("m5", 13, session="hole").encode())
        file.truncate(2 * 1024**3)
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "folder.jsonl").mkdir()
    listed = places(config)
    (folder / "gone.jsonl").write_text(answer("m6", 17))
    listed += [place for place in places(config) if place.session == "gone"]
    (folder / "gone.jsonl").unlink()
    found = Import(str(home), lambda: NOW).run(listed)
    assert figures(home)["all"][0] == (4, 40, 36, 0, 0, 0)
    assert found.troubles == [(str(folder / "gone.jsonl"), "No such file or directory")]


def test_a_memory_that_somebody_wrote_into(home: Path, config: Path) -> None:
    """A position that is none is read from the beginning; nothing counts twice."""
    write(config, "s1.jsonl", answer("m1", 5, call="c1"), result("c1"))
    imported(home, config)
    before = figures(home)
    for damage in (
        "7",
        "[]",
        '[[1, 2, 3], null, [["s1", null, {"asked": {"c": 7}}]]]',
        '[null, null, [["s1", null, {"last": "x"}]]]',
    ):
        with SessionsFile(str(home), fsync=False) as file:
            file.set_position(places(config)[0].path, json.loads(damage))
            file.commit()
        imported(home, config)
        assert figures(home) == before


def test_a_transcript_that_stays_for_years_counts_once(home: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told of it is forgotten in the end, and how far it is read is not."""
    write(config, "s1.jsonl", answer("m1", 5, call="c1"), result("c1"))
    imported(home, config)
    later = stored._today() + stored.KEPT_DAYS + 1
    monkeypatch.setattr(stored, "_today", lambda: later)
    for _ in range(2):
        with SessionsFile(str(home), fsync=False) as file:
            file.let_go()
            file.commit()
        assert imported(home, config, at=NOW + 401 * DAY).unchanged == 1


def test_a_memory_that_is_gone_is_noticed(home: Path, config: Path) -> None:
    """Whoever follows makes a new one without that: what was imported would count twice."""
    write(config, "s1.jsonl", answer("m1", 5))
    imported(home, config)
    before = figures(home)
    for name in ("sessions.db", "sessions.db-wal", "sessions.db-shm"):
        (home / name).unlink(missing_ok=True)
    with SessionsFile(str(home), fsync=False) as file:
        file.commit()
    with pytest.raises(ImportRefused, match="would count it twice"):
        imported(home, config)
    assert figures(home) == before


def test_a_database_that_cannot_be_written_is_a_sentence(home: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an error of SQLite."""
    write(config, "s1.jsonl", answer("m1", 5))
    import sqlite3

    def full(self: SessionsFile, letters: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(SessionsFile, "post", full)
        with pytest.raises(SessionsUnusable, match="database or disk is full"):
            imported(home, config)
    imported(home, config)
    assert figures(home)["all"][0] == (1, 10, 5, 0, 0, 0)


def test_sessions_from_before_the_history_are_in_the_totals(home: Path, config: Path) -> None:
    """They are older than what the history keeps, and all sums agree."""
    imported(home, past(config, "claude-code-2.1.329/basic"))
    later = NOW + 40 * DAY
    write(config, "s1.jsonl", answer("m1", 5, call="c1"), result("c1"), at=NOW)
    hub_of(home, later)
    imported(home, config, at=later)
    state = hub_of(home, later).read(fresh=False)
    assert (tokens(state)[0], state["global"]["count"], state["agents"]) == (12, state["global"]["count"], {})


def test_all_is_told_while_it_is_read(home: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much is done, and each time that something is kept."""
    past(config, "claude-code-2.1.329/basic", "claude-code-2.1.329/compact")
    monkeypatch.setattr(importing, "AT_ONCE", 30_000)
    shares: list[float] = []
    kept: list[int] = []
    imported(home, config, tell=shares.append, kept=lambda: kept.append(len(shares)))
    assert (shares == sorted(shares), shares[-1], len(shares)) == (True, 1.0, 4)
    assert len(kept) > 1
