"""Model calls by what they have in common: the tool, the day, the project, the host, the run.

A share is told like all model calls, in tokens and in the three parts of the cost. The shares of one kind add up to all calls:
those of which the tool, or the project, is not known are the share with the empty name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from pyjama_metrics.event_fields import host_of, project_of
from pyjama_metrics.ledger import NOTHING, Cost, PricedRow, cost_of_usage, costs_in, priced_rows
from pyjama_metrics.ledger_rows import ALL_TOKENS, COLUMNS, RowKey
from pyjama_metrics.pricing import Overrides, date_of
from pyjama_metrics.state_fields import LARGEST, Table, count, table_of, tables, total
from pyjama_metrics.views import UsageView


class Share(NamedTuple):
    """Some model calls, counted and priced. Shares may be added up."""

    counts: tuple[int, ...]
    """In the order of `pyjama_metrics.ledger_rows.COLUMNS`."""
    cost: Cost

    def plus(self, other: Share) -> Share:
        """Both together."""
        return together((self, other))

    def without(self, other: Share) -> Share:
        """What is left of it; of an older version's figures, or of those that a person edited, not all may be in the other."""
        cost, less = self.cost, other.cost
        requests = max(0, cost.requests - less.requests)
        reported = min(requests, max(0, cost.reported_requests - less.reported_requests))
        computed = min(requests - reported, max(0, cost.computed_requests - less.computed_requests))
        left = Cost(
            requests,
            reported,
            max(0, cost.reported_micros - less.reported_micros) if reported else 0,
            computed,
            max(0, cost.computed_pico - less.computed_pico) if computed else 0,
            cost.unpriced if requests > reported + computed else frozenset(),
            max(0, cost.estimated_tokens - less.estimated_tokens),
        )
        return Share(tuple(max(0, one - taken) for one, taken in zip(self.counts, other.counts, strict=True)), left)

    def view(self) -> UsageView:
        """The view of its calls."""
        uncached, output, read, write, write_1h = (min(tokens, LARGEST) for tokens in self.counts[ALL_TOKENS])
        return UsageView(
            input_tokens=uncached,
            output_tokens=output,
            cache_read_tokens=read,
            cache_write_tokens=write,
            cache_write_1h_tokens=write_1h,
            total_tokens=total(self.counts[ALL_TOKENS]),
            **self.cost.as_fields(),
        )


def together(shares: Sequence[Share]) -> Share:
    """All of some shares; there has to be one."""
    costs = [share.cost for share in shares]
    cost = Cost(
        sum([cost.requests for cost in costs]),
        sum([cost.reported_requests for cost in costs]),
        sum([cost.reported_micros for cost in costs]),
        sum([cost.computed_requests for cost in costs]),
        sum([cost.computed_pico for cost in costs]),
        frozenset[str]().union(*[cost.unpriced for cost in costs]),
        sum([cost.estimated_tokens for cost in costs]),
    )
    return Share(tuple(map(sum, zip(*[share.counts for share in shares], strict=True))), cost)


Shares = dict[str, Share]
NO_SHARE = Share((0,) * len(COLUMNS), NOTHING)


def by(rows: Iterable[PricedRow], name: Callable[[RowKey], str]) -> Shares:
    """The shares of rows, by a name that each has."""
    shares: Shares = {}
    for key, counts, cost in rows:
        add(shares, name(key), Share(tuple(counts), cost))
    return shares


def tool_of(key: RowKey) -> str:
    """The tool on whose behalf the calls of a row were made."""
    return key.tool


def day_of(key: RowKey) -> str:
    """The day of the calls of a row."""
    return date_of(key.day) if key.day else ""


_ROW_NAMES: dict[str, Callable[[RowKey], str]] = {
    "model": lambda key: key.model,
    "phase": lambda key: key.phase,
    "tool": tool_of,
    "day": day_of,
}


def share_in(table: Table, overrides: Overrides | None = None) -> Share:
    """All of the ``ledger`` in a part of a state."""
    return by(priced_rows(table, overrides), lambda _: "").get("", NO_SHARE)


def whole_of(part: Table, overrides: Overrides | None = None) -> Share:
    """All model calls that a state, or an agent of one, counts: also those of an older version, of which there are no rows."""
    usage = table_of(part, "tokens")
    return Share(tuple(count(usage, column) for column in COLUMNS), cost_of_usage(usage, costs_in(part, overrides)))


class Origins(NamedTuple):
    """The same calls by project, and by host."""

    projects: Shares
    hosts: Shares


NO_ORIGINS = Origins({}, {})


def origins_of_runs(agent: Table, overrides: Overrides | None = None) -> Origins:
    """The calls of the runs that an agent of the state has."""
    found = Origins({}, {})
    for _, run in tables(agent, "runs"):
        share = share_in(run, overrides)
        if share != NO_SHARE:
            origin = table_of(run, "origin")
            add(found.projects, project_of(origin), share)
            add(found.hosts, host_of(origin), share)
    return found


def origins_of_others(state: Table, overrides: Overrides | None = None) -> Origins:
    """The calls that belong to no run of the state."""

    def shares(key: str) -> Shares:
        return {name: share for name, rows in tables(state, key) if (share := share_in({"ledger": rows}, overrides)) != NO_SHARE}

    return Origins(shares("projects"), shares("hosts"))


def summed(parts: Iterable[Origins]) -> Origins:
    """Parts of the calls together."""
    by_project: dict[str, list[Share]] = {}
    by_host: dict[str, list[Share]] = {}
    for part in parts:
        for gathered, shares in ((by_project, part.projects), (by_host, part.hosts)):
            for name, share in shares.items():
                gathered.setdefault(name, []).append(share)
    # Gathered first, because five hundred agents mostly share a few projects: to add each to the next takes ten times as long.
    return Origins(*({name: together(shares) for name, shares in gathered.items()} for gathered in (by_project, by_host)))


def origins_in(state: Table, overrides: Overrides | None = None) -> Origins:
    """All calls of a state."""
    return summed(
        [*(origins_of_runs(agent, overrides) for _, agent in tables(state, "agents")), origins_of_others(state, overrides)]
    )


class Portion(NamedTuple):
    """One share of a kind, with its name."""

    name: str
    """"" for the calls that belong to no other portion."""
    agent: str | None
    """Whose run it is, where the portions are runs."""
    share: Share


KINDS = ("model", "phase", "tool", "project", "host", "day", "run", "agent")
"""By what model calls may be told apart."""


def portions(state: Table, kind: str, overrides: Overrides | None = None, agent_id: str | None = None) -> list[Portion]:
    """The model calls of a state, or of one of its agents, told apart by a kind of `KINDS`; together they are all.

    Days are in their order, the latest first; of the others those with most tokens are first, and those of none are last.
    """
    agents = [(name, agent) for name, agent in tables(state, "agents") if agent_id in (None, name)]
    part = state if agent_id is None else dict(agents).get(agent_id, {})
    found: list[Portion] = []
    if kind == "run":
        runs = ((run_id, name, share_in(run, overrides)) for name, agent in agents for run_id, run in tables(agent, "runs"))
        found += [Portion(*each) for each in runs if each[2] != NO_SHARE]
    elif kind == "agent":
        wholes = ((name, whole_of(agent, overrides)) for name, agent in agents)
        found += [Portion(name, None, share) for name, share in wholes if share != NO_SHARE]
    elif kind in _ROW_NAMES:
        found += [Portion(name, None, share) for name, share in by(priced_rows(part, overrides), _ROW_NAMES[kind]).items()]
    else:
        origins = summed(origins_of_runs(agent, overrides) for _, agent in agents)
        found += [
            Portion(name, None, share) for name, share in (origins.projects if kind == "project" else origins.hosts).items()
        ]
        if agent_id is None:
            others = origins_of_others(state, overrides)
            found = _merged(found, others.projects if kind == "project" else others.hosts)
    left = whole_of(part, overrides)
    for portion in found:
        left = left.without(portion.share)
    if any(left.counts):
        found = _merged(found, {"": left})
    if kind == "day":
        return sorted(found, key=lambda portion: portion.name, reverse=True)
    return sorted(found, key=lambda each: (not each.name, -sum(each.share.counts[ALL_TOKENS]), each.name, each.agent or ""))


def _merged(found: list[Portion], others: Shares) -> list[Portion]:
    shares = {portion.name: portion.share for portion in found if portion.agent is None}
    for name, share in others.items():
        add(shares, name, share)
    return [portion for portion in found if portion.agent is not None] + [
        Portion(name, None, each) for name, each in shares.items()
    ]


def add(shares: Shares, name: str, share: Share) -> None:
    """Add to one of the shares, in place."""
    known = shares.get(name)
    shares[name] = share if known is None else known.plus(share)


def most_tokens_first(shares: Shares) -> dict[str, UsageView]:
    """The views of shares."""
    return dict(sorted(_views(shares), key=lambda item: (-item[1].total_tokens, item[0])))


def latest_first(shares: Shares) -> dict[str, UsageView]:
    """The views of shares by day; the days before are the last."""
    return dict(sorted(_views(shares), reverse=True))


def _views(shares: Shares) -> Iterator[tuple[str, UsageView]]:
    return ((name, share.view()) for name, share in shares.items())
