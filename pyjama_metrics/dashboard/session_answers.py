"""``GET /metrics`` and ``GET /metrics/<session or agent>``: what is live and what is past of a session, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyjama_metrics import past_sessions, session_metrics
from pyjama_metrics.dashboard.past import NoHistory, NothingKept, Past, TooBusy
from pyjama_metrics.run_figures import RunFigures, figures_of, runs_of_sessions
from pyjama_metrics.session_metrics import SessionMetrics, as_camel
from pyjama_metrics.statuses import OPEN

if TYPE_CHECKING:
    from pyjama_metrics.pricing import Overrides
    from pyjama_metrics.state import State

Live = dict[str, list[RunFigures]]
"""The runs of the live figures by session."""


class Answers:
    """What may be asked of one moment of a hub."""

    def __init__(self, state: State, past: Past, prices: Overrides, now_ms: int) -> None:
        self._state, self._past, self._prices, self._now = state, past, prices, now_ms
        self._live = runs_of_sessions(state, prices)

    def one(self, name: str) -> SessionMetrics | None:
        """A session, or else an agent; None where there is neither. Raises NoHistory, TooBusy where only the past could tell."""
        runs, note, error = self._runs({name: self._live.get(name, [])})
        if runs[name]:
            return session_metrics.of_session(name, runs[name], self._now, note)
        if name in self._state["agents"]:
            return session_metrics.of_agent(self._state, name, self._now, self._prices)
        if error is not None:
            raise error
        try:
            return self._past.answer(
                ("metrics of", name),
                lambda prices: past_sessions.agent_metrics(name, folder=self._past.folder, overrides=prices),
            )
        except NothingKept:
            return None

    def everything(self) -> dict[str, SessionMetrics]:
        """All sessions that have a run in the live figures, with their runs of the past, and the agents that have no session."""
        runs, note, _ = self._runs(self._live)
        found = {name: session_metrics.of_session(name, own, self._now, note) for name, own in runs.items()}
        with_sessions = {run.agent for own in self._live.values() for run in own}
        for name in self._state["agents"]:
            if name not in with_sessions and name not in found:
                agent = session_metrics.of_agent(self._state, name, self._now, self._prices)
                if agent is not None:
                    found[name] = agent
        return found

    def _runs(self, live: Mapping[str, Sequence[RunFigures]]) -> tuple[Live, str | None, NoHistory | TooBusy | None]:
        """The runs of some sessions, also those that left; what is missing of them, and why."""
        runs = {name: list(own) for name, own in live.items()}
        known = {(run.agent, run.run) for own in self._live.values() for run in own}
        # One without a start left, and something late was told of it: the rest is in the history.
        counted = {
            (agent, run_id)
            for agent, each in self._state["agents"].items()
            for run_id, run in each["runs"].items()
            if run["start-time"] is not None
        }
        names = tuple(sorted(runs))

        def ask(prices: Overrides) -> tuple[past_sessions.PastRun, ...]:
            return past_sessions.runs_of_sessions(names, counted, folder=self._past.folder, overrides=prices)

        try:
            found = self._past.answer(("runs of", names, frozenset(counted)), ask)
        except NothingKept as error:
            has_left = any(self._state["evicted"][what] for what in ("agents", "runs"))
            return runs, f"What left metrics.json is not counted: {error.why}." if has_left else None, None
        except (NoHistory, TooBusy) as error:
            return runs, str(error), error
        for past in found:
            if past.figures is not None:
                runs[past.session].append(past.figures)
            elif past.key not in known:
                # Below a run that left, so that the live figures do not tell of which session it is.
                agent, run = past.key
                table = self._state["agents"][agent]["runs"][run]
                runs[past.session].append(figures_of(agent, run, table, self._prices))
        return runs, None, None


def document(view: SessionMetrics | Mapping[str, SessionMetrics]) -> Any:
    """An answer as JSON."""
    return as_camel(view) if isinstance(view, SessionMetrics) else {"sessions": as_camel(dict(view))}


def without_now(told: Any) -> Any:
    """The same without what changes with time alone: how long something has lasted that is not over."""
    if isinstance(told, list):
        return [without_now(each) for each in told]
    if not isinstance(told, dict):
        return told
    kept = {name: without_now(each) for name, each in told.items()}
    if "duration" in kept and kept.get("status") in OPEN:
        kept["duration"] = None
    return kept
