"""What the state says: typed views for the page, the JSON API and the command line.

`dashboard` turns a state (the parsed ``metrics.json``) into the frozen dataclasses of `pyjama_metrics.views`,
which `pyjama_metrics.views.as_json` turns into plain dictionaries with kebab-case keys. `DashboardRows` makes that JSON
for one state after the other, and takes what did not change from the last one.

Nothing here knows files or clocks. A state of an older version, with keys missing or of another type, is read
as far as it goes: missing counts are 0, everything else that is missing is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from pyjama_metrics import shares
from pyjama_metrics.about_sessions import about_view, latest_limits, limits_in
from pyjama_metrics.activity import today_view
from pyjama_metrics.events import OUTCOMES, TOKENS
from pyjama_metrics.families import Member, member, members, subtrees
from pyjama_metrics.ledger import Cost, PricedRow, cost_of_usage, costs_in, costs_of, priced_rows
from pyjama_metrics.needs import failing_of, in_order, needs, needs_of
from pyjama_metrics.pricing import Overrides, overrides_at_run_time
from pyjama_metrics.shares import Origins
from pyjama_metrics.state import new_agent
from pyjama_metrics.state_fields import Table, count, list_of, positive, ratio, table_of, tables, text, total
from pyjama_metrics.statuses import OPEN, URGENCY
from pyjama_metrics.tallies import average_ms, metrics_view, model_views, phase_views, runs_view, tool_view, usage_view
from pyjama_metrics.views import (
    AgentView,
    Dashboard,
    LimitView,
    LogView,
    NeedView,
    Overview,
    ProblemsView,
    SparkView,
    SubtreeView,
    as_json,
)

if TYPE_CHECKING:
    from pyjama_metrics.recent import Recent
    from pyjama_metrics.repeats import Failing
    from pyjama_metrics.sparks import Spark

_RANKS = {status: rank for rank, status in enumerate(URGENCY)}
_DAY_MS = 24 * 3600 * 1000


def dashboard(
    state: Table,
    now_ms: int,
    *,
    today_ms: int | None = None,
    recent: Recent | None = None,
    overrides: Overrides | None = None,
) -> Dashboard:
    """The view of a whole state.

    Args:
        state: a parsed ``metrics.json``.
        now_ms: the time of looking, in ms since the epoch.
        today_ms: local midnight, in ms since the epoch; that of UTC where None.
        recent: what a tail of the journals remembers, where somebody keeps one.
        overrides: prices of the user's own, such as those in a configuration file.
    """
    family = members(state, overrides)
    families = subtrees(family)
    agents = {
        name: agent_view(agent, recent.spark(name) if recent else None, families.get(name), cost=family[name].cost)
        for name, agent in tables(state, "agents")
    }
    return Dashboard(
        agents=dict(sorted(agents.items(), key=lambda item: _urgency(item[0], item[1].status, item[1].last_seen))),
        metrics=metrics_view(state, list(priced_rows(state, overrides)), shares.origins_in(state, overrides)),
        recent_logs=[log_view(entry) for entry in list_of(state, "recent-logs") if isinstance(entry, dict)],
        overview=overview(agent.status for agent in agents.values()),
        limits=latest_limits(view for _, agent in tables(state, "agents") for view in limits_in(agent)),
        needs=needs(state, now_ms, recent),
        today=today_view(state, now_ms - now_ms % _DAY_MS if today_ms is None else today_ms, overrides),
        recent=spark_view(recent.spark(None) if recent else None),
        problems=problems_view(table_of(state, "problems")),
        generation=count(state, "generation"),
        updated=positive(state, "updated"),
        now=now_ms,
    )


class DashboardRows:
    """Makes the JSON of `dashboard` for one state after the other, for whoever looks many times a second.

    What is made from parts of the state that are equal to those of the last time is the very same object as in the last document:
    whoever compares the two may skip it, and nobody may change it. The states must not be changed after they were given either;
    parse each anew. With 500 agents of which one changed a document takes a fraction of the time that the first one takes.

    An instance is for one thread at a time.
    """

    def __init__(self) -> None:
        self._agents: dict[str, _KeptAgent] = {}
        self._rows: dict[str, dict[str, tuple[Any, Any]]] = {}
        self._parts: dict[str, tuple[Any, Any]] = {}
        self._ledger: tuple[Any, list[PricedRow], Cost] | None = None
        self._origins: tuple[Any, Origins] | None = None
        self._prices: tuple[Overrides | None, Overrides | None] = None, None

    def document(
        self,
        state: Table,
        now_ms: int,
        *,
        today_ms: int,
        recent: Recent | None = None,
        overrides: Overrides | None = None,
    ) -> dict[str, Any]:
        """What ``as_json(dashboard(…))`` of the same arguments is."""
        prices = overrides, overrides_at_run_time()
        if prices != self._prices:
            self._prices = prices
            self._agents, self._rows, self._parts, self._ledger, self._origins = {}, {}, {}, None, None
        agents = self._agents = self._renewed_agents(state, recent, overrides)
        rows = {name: agent.row for name, agent in agents.items()}
        tools = self._renewed_rows("tools", tables(state, "tools"), tool_view)
        logs = [(text(entry, "id") or "", entry) for entry in list_of(state, "recent-logs") if isinstance(entry, dict)]
        quarters = table_of(state, "roll-ups").get("quarters")
        ledger = state.get("ledger")
        if self._ledger is None or self._ledger[0] != ledger:
            found = list(priced_rows(state, overrides))
            self._ledger = ledger, found, costs_of(found)
        _, priced, costs = self._ledger
        origins = self._renewed_origins(state, overrides)
        return {
            "agents": dict(sorted(rows.items(), key=lambda item: _urgency(item[0], item[1]["status"], item[1]["last-seen"]))),
            "metrics": {
                "global": self._part("global", state.get("global"), lambda: tool_view(table_of(state, "global"))),
                "tools": dict(sorted(tools, key=lambda item: (-item[1]["count"], item[0]))),
                "runs": self._part("runs", state.get("runs"), lambda: runs_view(table_of(state, "runs"))),
                "tokens": self._part(
                    "tokens", (state.get("tokens"), ledger), lambda: usage_view(table_of(state, "tokens"), costs)
                ),
                "models": self._part("models", (state.get("models"), ledger), lambda: model_views(state, costs)),
                "phases": self._part("phases", (state.get("phases"), ledger), lambda: phase_views(state, costs)),
                "tool-usage": self._part(
                    "tool-usage", ledger, lambda: shares.most_tokens_first(shares.by(priced, shares.tool_of))
                ),
                "projects": self._part("projects", origins.projects, lambda: shares.most_tokens_first(origins.projects)),
                "hosts": self._part("hosts", origins.hosts, lambda: shares.most_tokens_first(origins.hosts)),
                "days": self._part("days", ledger, lambda: shares.latest_first(shares.by(priced, shares.day_of))),
            },
            "recent-logs": [row for _, row in self._renewed_rows("logs", logs, log_view)],
            "overview": as_json(overview(row["status"] for row in rows.values())),
            "limits": as_json(latest_limits(view for agent in agents.values() for view in agent.limits)),
            "needs": as_json(in_order((need for agent in agents.values() for need in agent.needs), now_ms)),
            "today": self._part("today", (today_ms, quarters), lambda: today_view(state, today_ms, overrides)),
            "recent": as_json(spark_view(recent.spark(None) if recent else None)),
            "problems": self._part("problems", state.get("problems"), lambda: problems_view(table_of(state, "problems"))),
            "generation": count(state, "generation"),
            "updated": positive(state, "updated"),
            "now": now_ms,
        }

    def _renewed_agents(self, state: Table, recent: Recent | None, overrides: Overrides | None) -> dict[str, _KeptAgent]:
        found = tables(state, "agents")
        kept = {}
        for name, agent in found:
            known, source, failing = self._agents.get(name), _source_of(agent), failing_of(name, agent, recent)
            if known is None or known.source != source or known.failing != failing:
                costs, origins = costs_in(agent, overrides), shares.origins_of_runs(agent, overrides)
                wants, limits = needs_of(name, agent, failing), limits_in(agent)
                known = _KeptAgent(source, failing, member(agent, costs), origins, wants, limits, None, None, {})
            kept[name] = known
        families = subtrees({name: agent.member for name, agent in kept.items()})
        for name, agent in found:
            known, spark, subtree = kept[name], recent.spark(name) if recent else None, families.get(name)
            if not known.row or known.spark != spark or known.subtree != subtree:
                row = as_json(agent_view(agent, spark, subtree, cost=known.member.cost))
                kept[name] = known._replace(spark=spark, subtree=subtree, row=row)
        return kept

    def _renewed_origins(self, state: Table, overrides: Overrides | None) -> Origins:
        parts = [agent.origins for agent in self._agents.values()]
        source = parts, state.get("projects"), state.get("hosts")
        # Most parts are the very objects of the last time, so that this comparison is fast; to add five hundred up is not.
        if self._origins is None or self._origins[0] != source:
            self._origins = source, shares.summed([*parts, shares.origins_of_others(state, overrides)])
        return self._origins[1]

    def _renewed_rows(
        self, what: str, sources: Sequence[tuple[str, Table]], view: Callable[[Table], Any]
    ) -> list[tuple[str, Any]]:
        before = self._rows.get(what, {})
        after = self._rows[what] = {}
        rows = []
        for name, source in sources:
            known = before.get(name)
            if known is None or known[0] != source:
                known = (source, as_json(view(source)))
            after[name] = known
            rows.append((name, known[1]))
        return rows

    def _part(self, name: str, source: object, view: Callable[[], Any]) -> Any:
        known = self._parts.get(name)
        if known is None or known[0] != source:
            known = self._parts[name] = source, as_json(view())
        return known[1]


class _KeptAgent(NamedTuple):
    """What was made of an agent, and of what."""

    source: tuple[Any, ...]
    failing: Failing | None
    member: Member
    origins: Origins
    needs: list[NeedView]
    limits: list[LimitView]
    spark: Spark | None
    subtree: SubtreeView | None
    row: dict[str, Any]


_NOT_IN_A_ROW = {"tools", "models", "phases", "messages", "labels", "spec", "total-us", "current-tool-time"}
"""Of these neither a row nor a need tells anything, and they are the bulk of an agent: to compare them too would take four times
as long.
"""
_SOURCE_KEYS = tuple(key for key in new_agent() if key not in _NOT_IN_A_ROW)
_source: Callable[[Table], tuple[Any, ...]] = itemgetter(*_SOURCE_KEYS)


def _source_of(agent: Table) -> tuple[Any, ...]:
    """Everything of an agent that its row and its needs are made of."""
    try:
        return _source(agent)
    except KeyError:
        return tuple(agent.get(key, _SOURCE_KEYS) for key in _SOURCE_KEYS)  # the last of these stands for a key that is missing


def agent_view(
    agent: Table, spark: Spark | None = None, subtree: SubtreeView | None = None, *, cost: Cost | None = None
) -> AgentView:
    """The view of one agent.

    Args:
        agent: its part of the state.
        spark: its executions of the last minutes, where somebody watched.
        subtree: the agent with its descendants, where it has any.
        cost: what its model calls cost; by the prices of the table where None.
    """
    usage = table_of(agent, "tokens")
    cost = cost_of_usage(usage, costs_in(agent)) if cost is None else cost
    last_error = table_of(agent, "last-error")
    runs = dict(tables(agent, "runs"))
    latest = runs.get(text(agent, "latest-run") or "", {})
    waiting = [positive(run, "waiting-since") for run in runs.values() if text(run, "status") == "waiting"]
    is_waiting = text(agent, "status") == "waiting"
    counts = table_of(agent, "run-counts")
    success, error = count(agent, "success"), count(agent, "error")
    return AgentView(
        status=text(agent, "status") or "unknown",
        start_time=positive(agent, "start-time"),
        end_time=positive(latest, "end-time"),
        last_seen=positive(agent, "last-seen"),
        count=count(agent, "count"),
        success=success,
        error=error,
        interrupted=count(agent, "interrupted"),
        success_rate=ratio(success, success + error),
        avg_duration_ms=average_ms(agent),
        current_tool=text(agent, "current-tool"),
        current_step=text(agent, "current-step"),
        waiting_reason=text(agent, "waiting-reason"),
        waiting_since=min((since for since in waiting if since), default=None) if is_waiting else None,
        parent=text(agent, "parent"),
        parent_agent=text(agent, "parent-agent"),
        source=text(agent, "source"),
        host=text(agent, "host"),
        pid=positive(agent, "pid"),
        cwd=text(agent, "cwd"),
        tmux_pane=text(agent, "tmux-pane"),
        errors=count(agent, "errors"),
        last_error=text(last_error, "message"),
        last_error_time=positive(last_error, "time"),
        tokens=total(count(usage, kind) for kind in TOKENS),
        runs_open=sum(text(run, "status") in OPEN for run in runs.values()),
        runs_started=count(counts, "started"),
        runs_completed=count(counts, "completed"),
        runs_failed=count(counts, "failed"),
        runs_crashed=count(counts, "crashed"),
        runs_stopped=count(counts, "stopped"),
        about=about_view(latest),
        recent=spark_view(spark),
        subtree=subtree,
        **cost.as_fields(),
    )


def spark_view(spark: Spark | None) -> SparkView | None:
    """The view of the executions of the last minutes."""
    if spark is None:
        return None
    return SparkView(until=spark.until_ms, step=spark.step_ms, executions=list(spark.executions), error=list(spark.error))


def log_view(entry: Table) -> LogView:
    """The view of one entry of ``recent-logs``."""
    return LogView(
        timestamp=positive(entry, "timestamp"),
        agent_id=text(entry, "agent-id") or "",
        tool=text(entry, "tool"),
        status=text(entry, "status"),
        event=text(entry, "event"),
        message=text(entry, "message"),
        run=text(entry, "run"),
        id=text(entry, "id"),
    )


def overview(agent_statuses: Iterable[str]) -> Overview:
    """The agents counted by status; a status that is none of ours counts as unknown."""
    statuses = list(agent_statuses)
    running, waiting, crashed = (statuses.count(status) for status in ("running", "waiting", "crashed"))
    finished = sum(status in OUTCOMES for status in statuses)
    return Overview(
        agents=len(statuses),
        running=running,
        waiting=waiting,
        crashed=crashed,
        finished=finished,
        unknown=len(statuses) - running - waiting - crashed - finished,
    )


def problems_view(problems: Table) -> ProblemsView:
    """The view of the problem counts; kinds that this version does not know are in the total."""
    return ProblemsView(
        malformed_lines=count(problems, "malformed-lines"),
        unknown_events=count(problems, "unknown-events"),
        invalid_values=count(problems, "invalid-values"),
        lost_events=count(problems, "lost-events"),
        total=total(count(problems, kind) for kind in problems),
    )


def _urgency(name: str, status: str, last_seen: int | None) -> tuple[int, int, str]:
    return _RANKS.get(status, _RANKS["unknown"]), -(last_seen or 0), name
