"""The runs that this process knows: its own open ones, whose child a new one is, and what subprocesses are told.

On the write road: light, and safe for threads and tasks. Dictionaries are changed by single operations only.
"""

from __future__ import annotations

import os
from contextvars import ContextVar

from pyjama_metrics.settings import AGENT, RUN

current_run: ContextVar[tuple[str, str] | None] = ContextVar("pyjama_metrics_current_run", default=None)
"""(agent id, run id) of the tracked agent whose code is running in this thread or task."""


class KnownRuns:
    """Open runs of one process, and the run that started this process.

    ``os.environ`` always names the run that a subprocess started now should have as its parent: the innermost open run
    where the open ones are nested in each other, otherwise the innermost one around all of them.
    """

    def __init__(self) -> None:
        run, agent = os.environ.get(RUN), os.environ.get(AGENT)
        self._outside = {RUN: run, AGENT: agent}
        self.inherited: tuple[str, str | None] | None = (run, agent or None) if run else None
        """(run id, agent id) of the run that this process belongs to, told by the environment or by a fork."""
        self.latest: dict[str, str] = {}
        """Agent id to its latest open run, as far as this process knows it."""
        self.own: dict[str, tuple[str, str | None]] = {}
        """Run id to (agent id, parent run id) of the open runs that this process started."""
        self.tip: str | None = None
        if run and agent:
            self.latest[agent] = run

    def run_of(self, agent_id: str) -> str | None:
        """The run that an event of this agent belongs to: that of the running code, else the latest known."""
        current = current_run.get()
        if current is not None and current[0] == agent_id:
            return current[1]
        return self.latest.get(agent_id)

    def parent_of_new(self, parent: str | None) -> tuple[str | None, str | None]:
        """(run id, agent id) of a new run's parent; ``parent`` is what the caller gave: a run id, an agent id or None."""
        if parent is None:
            current = current_run.get()
            if current is not None:
                return current[1], current[0]
            return self.inherited if self.inherited is not None else (None, None)
        known = self.own.get(parent)
        if known is not None:
            return parent, known[0]
        run = self.latest.get(parent)
        if run is not None:
            return run, parent
        return (parent, None) if parent.rpartition(".")[2].isalnum() and "." in parent else (None, parent)

    def opened(self, agent_id: str, run_id: str, parent: str | None) -> None:
        """A run of this process begins."""
        self.own[run_id] = (agent_id, parent)
        self.latest[agent_id] = run_id
        if len(self.own) == 1 or parent == self.tip:
            self._point_to(run_id)
        else:
            self._point_to(self._around(self.tip, parent))

    def closed(self, agent_id: str, run_id: str) -> None:
        """A run ends; events that still come for its agent belong to the one before it, if that is open."""
        self.own.pop(run_id, None)
        if self.latest.get(agent_id) == run_id:
            others = [run for run, (agent, _) in list(self.own.items()) if agent == agent_id]
            if others:
                self.latest[agent_id] = others[-1]
            else:
                self.latest.pop(agent_id, None)
        tip = self._innermost()
        if tip != self.tip or tip is None:
            self._point_to(tip)

    def after_fork(self) -> None:
        """In a forked child: the open runs are its parent's, and the innermost of them is the parent of what it starts."""
        tip = self.tip
        if tip is not None and tip in self.own:
            self.inherited = (tip, self.own[tip][0])
            self._outside = dict(self.variables(tip))
        self.own = {}
        self.tip = None

    def _innermost(self) -> str | None:
        """The run that a subprocess started now should have as its parent, worked out from all open runs."""
        common: list[str] | None = None
        longest: list[str] = []
        for run_id in list(self.own):
            chain = self._with_parents(run_id)
            longest = max(longest, chain, key=len)
            common = chain if common is None else [run for run in common if run in chain]
            if not common:
                return None
        return next(iter(longest if len(longest) == len(self.own) else common or ()), None)

    def _with_parents(self, run_id: str | None) -> list[str]:
        """An open run and those open ones that it lies in, innermost first."""
        chain: list[str] = []
        while run_id is not None and run_id not in chain and (known := self.own.get(run_id)) is not None:
            chain.append(run_id)
            run_id = known[1]
        return chain

    def _around(self, one: str | None, other: str | None) -> str | None:
        """The innermost open run that both runs lie in."""
        outer = self._with_parents(one)
        return next((run for run in self._with_parents(other) if run in outer), None)

    def _point_to(self, run_id: str | None) -> None:
        self.tip = run_id
        if run_id is not None:
            os.environ.update(self.variables(run_id))
            return
        for name, value in self._outside.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def variables(self, run_id: str) -> dict[str, str]:
        """The environment variables that make a subprocess a child of an open run of this process."""
        agent = self.own.get(run_id, ("", None))[0].replace("\0", "")  # another thread may be ending it
        try:
            os.fsencode(agent)
        except UnicodeEncodeError:
            agent = ""  # this locale has no such characters; the run id alone says whose child it is
        return {RUN: run_id, AGENT: agent}
