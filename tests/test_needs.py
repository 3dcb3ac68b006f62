"""Who needs a person: in which order, why, since when, and how one gets there."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.needs import KEPT_MS, needs, tmux_command
from pyjama_metrics.recent import Recent
from pyjama_metrics.state import new_agent, new_run
from pyjama_metrics.views import NeedView
from tests.states import RUN, TMUX, full_memory, full_state

NOW = 100 * KEPT_MS


def agent(status: str, *runs: dict[str, Any]) -> dict[str, Any]:
    """An agent with runs called r0, r1, …, in the order in which they started."""
    made = {f"r{number}": {**new_run(), "start-time": number + 1, **run} for number, run in enumerate(runs)}
    return {**new_agent(), "status": status, "runs": made}


def waiting(since: int, reason: str = "a person", **origin: Any) -> dict[str, Any]:
    """A run that has waited since then."""
    return {"status": "waiting", "waiting-since": since, "waiting-reason": reason, "origin": origin}


def ended(status: str, ago_ms: int, error: str | None = None) -> dict[str, Any]:
    """A run that ended so long before `NOW`."""
    return {"status": status, "end-time": NOW - ago_ms, "outcome": status, "outcome-error": error}


def found(recent: Recent | None = None, **agents: dict[str, Any]) -> list[tuple[str, str]]:
    """Kind and agent of each need, in order."""
    return [(need.kind, need.agent_id) for need in needs({"agents": agents}, NOW, recent)]


def test_each_need_says_who_why_since_when_and_where() -> None:
    """As the fold and the memory have it: one waits, one repeats a failing call, one crashed."""
    assert needs(full_state(), 2000, full_memory()) == [
        NeedView(
            agent_id="a", kind="waiting", reason="a person", since=1040, tool=None, error=None, run=RUN,
            tmux_pane="%3", command="tmux switch-client -t '%3'",
        ),
        NeedView(
            agent_id="boss", kind="repeating", reason="refused", since=1041, tool="psql", error=3, run="w-1-x.0",
            tmux_pane=None, command=None,
        ),
        NeedView(
            agent_id="late", kind="crashed", reason=None, since=1046, tool=None, error=None, run="w-1-x.2",
            tmux_pane=None, command=None,
        ),
    ]  # fmt: skip


def test_who_is_held_up_comes_first_and_within_each_the_longest() -> None:
    """A crash of yesterday is no reason to overlook who waits now."""
    agents = {
        "new-crash": agent("crashed", ended("crashed", 5)),
        "old-failure": agent("failed", ended("failed", 9000)),
        "short-wait": agent("waiting", waiting(NOW - 10)),
        "long-wait": agent("waiting", waiting(NOW - 999)),
    }
    order = ["long-wait", "short-wait", "old-failure", "new-crash"]
    assert [name for _, name in found(**agents)] == order


def test_who_runs_completed_or_was_stopped_needs_nobody() -> None:
    """Nor does one of which nobody knows whether it lives."""
    others = {status: agent(status, {"status": status}) for status in ("running", "completed", "stopped", "unknown", "paused")}
    assert found(**others) == []


def test_a_failure_is_listed_for_a_day() -> None:
    """After that it is no news."""
    assert found(a=agent("failed", ended("failed", KEPT_MS - 1)), b=agent("crashed", ended("crashed", KEPT_MS))) == [
        ("failed", "a")
    ]


def test_only_how_the_latest_run_ended_counts() -> None:
    """What failed was done again, and well; a run that began later is the latest, whichever ended first."""
    assert found(a=agent("completed", ended("failed", 9), ended("completed", 5))) == []
    (need,) = needs({"agents": {"a": agent("failed", ended("failed", 1, "first"), ended("failed", 7, "second"))}}, NOW)
    assert (need.run, need.reason, need.since) == ("r1", "second", NOW - 7)


def test_a_run_that_waits_needs_a_person_while_another_run_of_the_agent_goes_on() -> None:
    """The agent as a whole runs; of several that wait the one that has waited longest is told."""
    mixed = agent("running", {"status": "running"}, waiting(700, "later"), waiting(500, "first"))
    (need,) = needs({"agents": {"a": mixed}}, NOW)
    assert (need.kind, need.run, need.reason, need.since) == ("waiting", "r2", "first", 500)


def test_each_session_of_another_program_stands_for_itself() -> None:
    """One that crashed needs a look while another one of the same project goes on; one that was resumed does not."""

    def of(session: str, run: dict[str, Any], **labels: str) -> dict[str, Any]:
        return {**run, "origin": {"labels": {"session": session, **labels}}}

    running, crashed = {"status": "running"}, ended("crashed", 5)
    assert found(a=agent("running", of("s1", crashed), of("s2", running))) == [("crashed", "a")]
    assert found(a=agent("running", of("s1", crashed), of("s1", running))) == []
    assert found(a=agent("waiting", of("s1", waiting(5)), of("s2", waiting(7)))) == [("waiting", "a"), ("waiting", "a")]
    assert found(b=agent("crashed", of("s1", crashed, subagent="Explore"))) == []
    assert found(b=agent("failed", of("s1", ended("failed", 5), subagent="Explore"))) == [("failed", "b")]


def test_a_run_that_is_over_or_waits_does_not_repeat() -> None:
    """The memory may know of a failing call whose run has ended since, or now waits for a person."""
    for status in ("completed", "waiting", "unknown"):
        state = full_state()
        state["agents"]["boss"]["runs"]["w-1-x.0"]["status"] = status
        assert "repeating" not in {need.kind for need in needs(state, 2000, full_memory())}


def test_without_a_memory_nobody_repeats() -> None:
    """The file has no single executions."""
    assert [need.kind for need in needs(full_state(), 2000)] == ["waiting", "crashed"]


def test_what_nobody_knows_is_none() -> None:
    """A wait without a begin comes after those that have one."""
    silent: dict[str, Any] = agent("waiting", {"status": "waiting"})
    known, unknown = needs({"agents": {"silent": silent, "told": agent("waiting", waiting(NOW - 1))}}, NOW)
    assert (known.agent_id, unknown.agent_id) == ("told", "silent")
    assert (unknown.since, unknown.reason, unknown.tmux_pane, unknown.command) == (None, None, None, None)


@pytest.mark.parametrize(
    ("server", "command"),
    [
        (None, "tmux switch-client -t '%12'"),
        ("", "tmux switch-client -t '%12'"),
        ("/tmp/tmux-1000/default,4711,0", "tmux switch-client -t '%12'"),
        ("/private/tmp/tmux-501/default,4711,0", "tmux switch-client -t '%12'"),
        ("/tmp/tmux-1000/work,4711,0", "tmux -S /tmp/tmux-1000/work switch-client -t '%12'"),
        ("/elsewhere/default,4711,0", "tmux -S /elsewhere/default switch-client -t '%12'"),
        ("/tmp/a,b,4711,0", "tmux -S /tmp/a,b switch-client -t '%12'"),
        ("/tmp/it's here,1,0", """tmux -S '/tmp/it'"'"'s here' switch-client -t '%12'"""),
        ("/tmp/$(reboot);`id`,1,0", "tmux -S '/tmp/$(reboot);`id`' switch-client -t '%12'"),
        ("relative,1,0", None),
        ("-S/tmp/x,1,0", None),
        ("/tmp/x\nreboot,1,0", None),
        ("/tmp/\u202egnp,1,0", None),
        ("/" + "x" * 200 + ",1,0", None),
    ],
)
def test_the_command_names_the_server_where_it_is_not_the_usual_one(server: str | None, command: str | None) -> None:
    """Its socket is quoted; of one that is none of any system's nobody can say where the pane is."""
    assert tmux_command("%12", server) == command


UNSEEN = """
    00a0 00ad 034f 115f 1160 17b4 180b 180e 2003 200b 200d 2060 2800 3164 fe0f feff ffa0 1d159 e0041 e0100 00 7f
"""


@pytest.mark.parametrize("unseen", UNSEEN.split())
def test_a_command_holds_nothing_that_cannot_be_seen(unseen: str) -> None:
    """Whoever copies it has read all of it; a path in any script is a path."""
    assert tmux_command("%3", f"/tmp/a{chr(int(unseen, 16))}b,1,0") is None
    assert tmux_command("%3", "/home/Jürgen/δ,1,0") == "tmux -S '/home/Jürgen/δ' switch-client -t '%3'"


@pytest.mark.parametrize("pane", [None, "", "3", "%", "%3 ", "%3\n", "%3;reboot", "%٣", "%-1", "'%3'", "%3%4", "%" + "9" * 99])
def test_what_is_no_pane_gives_no_command(pane: str | None) -> None:
    """The text comes from a file that any program may write."""
    assert tmux_command(pane, TMUX["tmux"]) is None


@given(st.text(), st.text())
def test_a_command_is_one_line_of_tmux_words_whatever_is_recorded(pane: str, socket: str) -> None:
    """No other command, no second line, no option that was not meant."""
    for told in (pane, "%3"):
        command = tmux_command(told, f"/{socket},1,0")
        if command is not None:
            words = shlex.split(command)
            assert (words[0], words[-3:]) == ("tmux", ["switch-client", "-t", told])
            assert words[1:-3] in ([], ["-S", f"/{socket}"])
            assert command.isprintable()
