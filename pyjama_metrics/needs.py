"""Who needs a person: agents that wait, that repeat a failing call, that failed or crashed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyjama_metrics.sessions.known import NEXT_PROMPT
from pyjama_metrics.state_fields import Table, positive, table_of, tables, text
from pyjama_metrics.statuses import OPEN
from pyjama_metrics.views import NeedView

if TYPE_CHECKING:
    from pyjama_metrics.recent import Recent
    from pyjama_metrics.repeats import Failing

ENDED_BADLY = frozenset({"failed", "crashed"})
"""Statuses of an agent whose latest run wants to be looked at."""

KEPT_MS = 24 * 3600 * 1000
"""How long one that failed or crashed is listed, in milliseconds: after a day it is no news."""


def needs(state: Table, now_ms: int, recent: Recent | None = None) -> list[NeedView]:
    """The agents that need a person.

    Those that are held up come first (waiting, or repeating a call that fails), then those that failed or crashed in the last 24
    hours, then those that only wait for the next prompt; within each the longest first, because that one has been left alone for
    longest.

    Args:
        state: a parsed ``metrics.json``.
        now_ms: the time of looking, in ms since the epoch.
        recent: what a tail of the journals remembers; repeated failures are known from it alone.
    """
    found = [needs_of(name, agent, failing_of(name, agent, recent)) for name, agent in tables(state, "agents")]
    return in_order((need for needs in found for need in needs), now_ms)


def in_order(found: Iterable[NeedView], now_ms: int) -> list[NeedView]:
    """What `needs_of` found for all agents, in the order of `needs`, without those that ended too long ago."""
    fresh = [need for need in found if need.kind not in ENDED_BADLY or (need.since or 0) > now_ms - KEPT_MS]
    return sorted(fresh, key=lambda need: (_group(need), need.since or now_ms, need.agent_id))


def _group(need: NeedView) -> int:
    # A session that is done with its work waits, too; it may do so for days, and nothing is held up by it.
    return 2 if need.reason == NEXT_PROMPT and need.kind == "waiting" else int(need.kind in ENDED_BADLY)


def failing_of(name: str, agent: Table, recent: Recent | None) -> Failing | None:
    """The call that an agent at work repeats although it fails; None where there is none, or nobody remembers."""
    return recent.failing(name) if recent is not None and text(agent, "status") in OPEN else None


def needs_of(name: str, agent: Table, failing: Failing | None) -> list[NeedView]:
    """What one agent needs a person for, however long ago it ended.

    A run that waits needs one also while other runs of the agent go on.

    Args:
        name: of the agent.
        agent: its part of the state.
        failing: the call that fails again and again in one of its runs, where it is known.
    """
    runs = dict(tables(agent, "runs"))
    found = []
    waiting = [(positive(run, "waiting-since") or 0, run_id) for run_id, run in runs.items() if text(run, "status") == "waiting"]
    for since, run_id in sorted(waiting):
        # Sessions are several people's business, or several of one's own; runs of an agent wait for the same.
        if _session(runs[run_id]) is not None or (since, run_id) == min(waiting):
            found.append(_need(name, "waiting", run_id, runs[run_id], since, text(runs[run_id], "waiting-reason")))
    if failing is not None and text(runs.get(failing.run_id, {}), "status") in OPEN - {"waiting"}:
        run = runs[failing.run_id]
        found.append(
            _need(name, "repeating", failing.run_id, run, failing.since_ms, failing.message, failing.tool, failing.times)
        )
    for run_id in _ended_badly(agent, runs):
        end, message = positive(runs[run_id], "end-time"), text(runs[run_id], "outcome-error")
        found.append(_need(name, text(runs[run_id], "status") or "", run_id, runs[run_id], end or 0, message))
    return found


def _ended_badly(agent: Table, runs: dict[str, Table]) -> list[str]:
    """The runs that ended badly and nobody went on with: the latest of an agent, or of each session of another program."""
    latest: dict[str, tuple[int, str]] = {}
    for run_id, run in runs.items():
        session = _session(run)
        if session is not None:
            latest[session] = max(latest.get(session, (-1, "")), (_start(run), run_id))
    if latest:
        return [run_id for _, run_id in sorted(latest.values()) if text(runs[run_id], "status") in ENDED_BADLY]
    status = text(agent, "status")
    ended = [(_start(run), run_id) for run_id, run in runs.items() if text(run, "status") == status]
    if not ended or status not in ENDED_BADLY:
        return []
    run_id = max(ended)[1]
    # What ended a subagent with its session is told of the session.
    return [] if status == "crashed" and _label(runs[run_id], "subagent") is not None else [run_id]


def _session(run: Table) -> str | None:
    """The session of another program that a run is, other than for one of its subagents."""
    return _label(run, "session") if _label(run, "subagent") is None else None


def _label(run: Table, name: str) -> str | None:
    return text(table_of(table_of(run, "origin"), "labels"), name)


def _start(run: Table) -> int:
    """By what the latest run is told; one without a start was seen for the first time when it ended."""
    return positive(run, "start-time") or positive(run, "last-seen") or 0


def _need(
    name: str,
    kind: str,
    run_id: str,
    run: Table,
    since: int,
    reason: str | None,
    tool: str | None = None,
    error: int | None = None,
) -> NeedView:
    origin = table_of(run, "origin")
    return NeedView(
        agent_id=name,
        kind=kind,
        reason=reason,
        since=since or None,
        tool=tool,
        error=error,
        run=run_id,
        tmux_pane=text(origin, "tmux-pane"),
        command=tmux_command(text(origin, "tmux-pane"), text(origin, "tmux")),
    )


def tmux_command(pane: str | None, server: str | None) -> str | None:
    """The shell command that brings one to a pane, or None where nobody can say which pane it is.

    Args:
        pane: ``$TMUX_PANE`` of the run, such as ``%3``.
        server: ``$TMUX`` of the run: path of the server's socket, its pid, the session, with commas between.

    Both came out of a file that any program may write: what is not a pane gives no command, and the path is quoted. A path with
    characters that cannot be seen gives none either, because they could hide what the command does.

    >>> tmux_command("%3", "/tmp/tmux-1000/default,4711,0")
    "tmux switch-client -t '%3'"
    >>> tmux_command("%3", "/tmp/tmux-1000/my work,4711,0")
    "tmux -S '/tmp/tmux-1000/my work' switch-client -t '%3'"
    """
    if pane is None or not re.fullmatch("%[0-9]{1,9}", pane):
        return None
    if not server:
        return f"tmux switch-client -t '{pane}'"
    socket = server.rsplit(",", 2)[0]
    if re.fullmatch("(/private)?/tmp/tmux-[0-9]+/default", socket):
        return f"tmux switch-client -t '{pane}'"
    if not (socket.startswith("/") and socket.isprintable() and len(socket) <= _LONGEST_SOCKET) or _UNSEEN.search(socket):
        return None
    return f"tmux -S {shlex.quote(socket)} switch-client -t '{pane}'"


_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U00013441\U00013442\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)
"""Characters that count as printable and show nothing: fillers, blanks, selectors of a variation."""

_LONGEST_SOCKET = 108
"""No system takes a longer path of a socket."""
