"""Parents and children: which agent started which, and what a parent and its descendants come to together.

An agent's parent is the agent that started its latest run. Names are all that links them, so a parent may be missing (it was let
go, or never recorded), an agent may name itself, and agents may name each other in a circle; the rules below hold for those too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pyjama_metrics.events import TOKENS
from pyjama_metrics.ledger import NOTHING, Cost, cost_of_usage, costs_in
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.state_fields import Table, count, table_of, tables, text, total
from pyjama_metrics.views import SubtreeView

_SUMMED = ("agents", "count", "error", "errors", "tokens")


class Member(NamedTuple):
    """What a family has to know of an agent: the name of its parent, its own figures, and what its model calls cost."""

    parent: str | None
    own: tuple[int, ...]
    cost: Cost


def member(agent: Table, costs: Cost) -> Member:
    """An agent of the state, with the costs in its ledger, as a member of its family."""
    usage = table_of(agent, "tokens")
    own = {
        "agents": 1,
        "count": count(agent, "count"),
        "error": count(agent, "error"),
        "errors": count(agent, "errors"),
        "tokens": total(count(usage, kind) for kind in TOKENS),
    }
    return Member(text(agent, "parent-agent"), tuple(own[name] for name in _SUMMED), cost_of_usage(usage, costs))


def members(state: Table, overrides: Overrides | None = None) -> dict[str, Member]:
    """All agents of the state, by name; ``overrides`` are prices of the user's own."""
    return {name: member(agent, costs_in(agent, overrides)) for name, agent in tables(state, "agents")}


def children_of(state: Table, agent_id: str) -> list[str]:
    """The agents whose latest run ``agent_id`` started, by name; itself is none of them."""
    return sorted(name for name, agent in tables(state, "agents") if text(agent, "parent-agent") == agent_id != name)


def subtrees(agents: Mapping[str, Member]) -> dict[str, SubtreeView]:
    """What each agent that has children comes to with all of its descendants, by the name of the agent.

    Each agent is counted once; of agents on a circle each has the whole circle below it. The time grows with the number of
    agents, however deep the trees are.
    """
    children: dict[str, list[str]] = {}
    for name, (parent, _, _) in agents.items():
        if parent is not None and parent != name and parent in agents:
            children.setdefault(parent, []).append(name)
    sums: dict[str, tuple[tuple[int, ...], Cost]] = {}
    for names in _children_first(agents, children):
        below = {child for name in names for child in children[name]} - set(names)
        parts = [agents[name][1:] for name in names] + [sums.get(child) or agents[child][1:] for child in below]
        added = tuple(map(total, zip(*(own for own, _ in parts), strict=True)))
        sums.update(dict.fromkeys(names, (added, sum((cost for _, cost in parts), NOTHING))))
    return {name: _view(*added) for name, added in sums.items()}


def _children_first(agents: Mapping[str, Member], children: Mapping[str, list[str]]) -> list[list[str]]:
    """Those that have children, each after its descendants; agents on one circle stand together."""
    missing = {name: sum(child in children for child in below) for name, below in children.items()}
    order = [name for name, number in missing.items() if not number]
    for name in order:
        parent = agents[name].parent
        if parent in missing and parent != name:
            missing[parent] -= 1
            if not missing[parent]:
                order.append(parent)
    # An agent has one parent, so whoever is left now is on a circle, and each circle stands alone.
    left = missing.keys() - order
    groups = [[name] for name in order]
    while left:
        circle = [left.pop()]
        while (parent := agents[circle[-1]].parent) in left:
            left.remove(parent)
            circle.append(parent)
        groups.append(circle)
    return groups


def _view(sums: tuple[int, ...], cost: Cost) -> SubtreeView:
    return SubtreeView(**dict(zip(_SUMMED, sums, strict=True)), **cost.as_fields())  # type: ignore[arg-type]
