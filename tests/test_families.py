"""Parents, children and what a subtree comes to, whatever names whom."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.families import children_of, members, subtrees
from pyjama_metrics.state import new_agent, new_usage
from pyjama_metrics.views import SubtreeView
from tests.states import full_state


def family(**parents: str | None) -> dict[str, Any]:
    """A state of agents with those parents; each has one execution, ten tokens, and no price."""
    usage = {**new_usage(), "requests": 1, "input-tokens": 4, "output-tokens": 3, "cache-read-tokens": 2, "cache-write-tokens": 1}
    agents = {name: {**new_agent(), "parent-agent": parent, "count": 1, "tokens": usage} for name, parent in parents.items()}
    return {"agents": agents}


def sizes(**parents: str | None) -> dict[str, int]:
    """How many agents each subtree has."""
    return {name: subtree.agents for name, subtree in subtrees(members(family(**parents))).items()}


def test_a_parent_comes_to_the_sum_of_itself_and_all_below_it() -> None:
    """Children, grandchildren, and nobody else; an agent without children has no subtree."""
    assert sizes(root=None, left="root", right="root", leaf="left", other=None) == {"root": 4, "left": 2}


def test_a_subtree_sums_what_its_agents_count() -> None:
    """One that was priced and one that was not: the cost is that of the priced one, and says of how many calls."""
    below = subtrees(members(full_state()))
    parts = {"priced_requests": 1, "reported_requests": 1, "unpriced_requests": 1, "unpriced_models": ["free"]}
    costs = {"reported_micros": 9, "computed_micros": None, "cost_micros": 9, "estimated_tokens": 0}
    sums = {"agents": 2, "count": 5, "error": 4, "errors": 4, "tokens": 41, "requests": 2}
    assert below == {"boss": SubtreeView(**sums, **parts, **costs)}  # type: ignore[arg-type]


def test_where_nothing_was_priced_a_subtree_has_no_cost() -> None:
    """Unpriced is not free."""
    total = subtrees(members(family(boss=None, helper="boss")))["boss"]
    assert (total.requests, total.tokens, total.priced_requests, total.cost_micros) == (2, 20, 0, None)


def test_a_parent_that_is_missing_has_no_subtree_and_its_child_none_either() -> None:
    """The parent was let go of, or never recorded."""
    assert sizes(orphan="gone") == {}


def test_an_agent_that_names_itself_is_no_child_of_itself() -> None:
    """Two runs of one agent may start each other."""
    assert sizes(selfish="selfish") == {}
    assert sizes(selfish="selfish", child="selfish") == {"selfish": 2}
    assert children_of(family(selfish="selfish", b="selfish", a="selfish", c=None), "selfish") == ["a", "b"]


def test_agents_on_a_circle_each_have_the_whole_of_it_once() -> None:
    """They started each other, in runs of different times."""
    assert sizes(a="c", b="a", c="b", tail="b", leaf="tail", loner=None) == {"a": 5, "b": 5, "c": 5, "tail": 2}


def test_two_circles_do_not_mix() -> None:
    """Each is counted by itself."""
    assert sizes(a="b", b="a", c="d", d="c", e="d") == {"a": 2, "b": 2, "c": 3, "d": 3}


def test_a_chain_of_thousands_is_no_deeper_than_any_other() -> None:
    """No recursion, and no work for each pair of agents."""
    chain: dict[str, str | None] = {f"a{number}": f"a{number - 1}" for number in range(1, 5_000)}
    assert sizes(a0=None, **chain) == {f"a{number}": 5_000 - number for number in range(4_999)}


NAMES = st.sampled_from("abcdefgh")


@given(st.dictionaries(NAMES, st.none() | NAMES | st.just("gone")))
def test_a_subtree_holds_whoever_can_be_reached_from_its_root(parents: dict[str, str | None]) -> None:
    """Compared with walking up from each agent, for any parents at all."""

    def is_below(name: str, root: str) -> bool:
        seen: set[str] = set()
        while name in parents and name not in seen:
            if name == root:
                return True
            seen.add(name)
            name = parents[name] or ""
        return False

    expected = {root: sum(is_below(name, root) for name in parents) for root in parents}
    has_child = {parent for name, parent in parents.items() if parent != name and parent in parents}
    assert sizes(**parents) == {root: size for root, size in expected.items() if root in has_child}
