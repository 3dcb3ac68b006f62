"""Whether the totals agree wherever they are kept: within the figures, within the history, and between the two.

All that is compared are whole numbers of executions, calls, tokens and micro-dollars that sources reported. Computed costs are
worked out row by row from just these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyjama_metrics import ledger_rows
from pyjama_metrics.hub import Hub
from pyjama_metrics.ledger import rows_of
from pyjama_metrics.ledger_rows import COLUMNS, OTHER_MODELS
from pyjama_metrics.retention import MAX_QUARTERS_MS
from pyjama_metrics.state import State
from pyjama_metrics.state_fields import count, tables
from pyjama_metrics.storage.history.cross_sums import CrossSums, Sums, cross_sums

HISTORY = "the history"
"""The place that comparisons between the figures and the history name last."""

_DAY_MS = 86_400_000
_TALLIES = ("success", "error", "interrupted", "timed")
_CALLS = ("requests", "tokens", "cost-micros")


@dataclass(frozen=True, slots=True)
class Difference:
    """Two sums that should be the same and are not.

    Attributes:
        where: of which agent, run, model or time.
        figure: what is counted.
        one, other: the sums, in the order in which the comparison names their places.
    """

    where: str
    figure: str
    one: int
    other: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared with what.

    Attributes:
        what: which sums.
        one, other: the two places.
        compared: how many sums were there to compare.
        differences: those that are not the same.
    """

    what: str
    one: str
    other: str
    compared: int
    differences: tuple[Difference, ...]


def compare(hub: Hub, timeout: float = 30.0) -> tuple[Comparison, ...]:
    """Compare everything that can be compared, as of one moment; agents may record all the while.

    Args:
        hub: the hub.
        timeout: seconds to wait for others.

    Raises:
        LockTimeout, HubError: it cannot be compared.
    """

    def look(state: State) -> tuple[State, CrossSums | None]:
        return state, cross_sums(hub.folder) if hub.history.is_kept else None

    state, past = hub.as_one(look, timeout)
    return (*_within_figures(state), *(() if past is None else (*_within_history(past), *_between(state, past))))


# -- within the figures --------------------------------------------------------------------------------------------------


def _within_figures(state: State) -> Iterator[Comparison]:
    agents = dict(tables(state, "agents"))
    parts: dict[str, Mapping[str, Any]] = {"all agents": state} | {f"agent {name}": agent for name, agent in agents.items()}
    yield _compared(
        "model calls",
        "their totals",
        "the rows of the ledger",
        {name: _calls(part) for name, part in parts.items()},
        # An agent's totals are never less than nothing, which its rows may be: of a call that somebody corrected, and that turned
        # out to be another agent's.
        {name: {figure: max(0, amount) for figure, amount in _rows(part).items()} for name, part in parts.items()},
    )
    runs = [_rows(run) for agent in agents.values() for _, run in tables(agent, "runs")]
    of_runs = {
        f"runs and {kind}": _added([*runs, *(_rows({"ledger": rows}) for _, rows in tables(state, kind))])
        for kind in ("projects", "hosts")
    }
    yield _compared(
        "model calls of runs, and of those that left the file",
        "the ledger of all",
        "the sums of the runs",
        {kind: _rows(state) for kind in of_runs},
        of_runs,
    )
    if not state["evicted"]["agents"]:
        yield _compared(
            "executions and model calls",
            "all agents",
            "the sum of the agents",
            {"all": _tally(state["global"]) | _calls(state)},
            {"all": _added([_tally(agent) | _rows(agent) for agent in agents.values()])},
        )


def _calls(part: Mapping[str, Any]) -> dict[str, int]:
    usage = part["tokens"]
    tokens = sum(count(usage, name) for name in COLUMNS[ledger_rows.ALL_TOKENS])
    return {"requests": count(usage, "requests"), "tokens": tokens, "cost-micros": count(usage, "cost-micros")}


def _rows(part: Mapping[str, Any]) -> dict[str, int]:
    return _added([_amounts(row) for _, row in rows_of(part)])


def _amounts(row: list[int] | tuple[int, ...]) -> dict[str, int]:
    counted = row[ledger_rows.REQUESTS], sum(row[ledger_rows.ALL_TOKENS]), row[ledger_rows.REPORTED_MICROS]
    return dict(zip(_CALLS, counted, strict=True))


def _tally(part: Mapping[str, Any]) -> dict[str, int]:
    return {name: count(part, name) for name in _TALLIES}


def _added(parts: list[dict[str, int]]) -> dict[str, int]:
    result: dict[str, int] = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = result.get(name, 0) + amount
    return result


# -- within the history --------------------------------------------------------------------------------------------------


def _within_history(past: CrossSums) -> Iterator[Comparison]:
    for what, places, names in (("model calls", past.calls, COLUMNS), ("executions", past.executions, _TALLIES)):
        (first, expected), *others = places.items()
        for other, found in others:
            yield _compared(f"{what} in the history", first, other, _named(expected, names), _named(found, names))
    yield Comparison(
        "executions of each run in the history",
        "the run",
        "its tools",
        past.runs,
        tuple(Difference(run, "executions", 1, 0) for run in past.differing_runs),
    )


def _named(sums: Sums, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    return {_words(key): dict(zip(names, amounts, strict=True)) for key, amounts in sums.items()}


def _words(key: tuple[Any, ...]) -> str:
    begin, *rest = key
    return ", ".join([_time(begin), *(str(part) for part in rest if part != "")])


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


# -- between the two -----------------------------------------------------------------------------------------------------


def _between(state: State, past: CrossSums) -> Iterator[Comparison]:
    # What was recorded before a clear is in the history alone; of what happened later both know everything.
    known_from = count(state, "known-from")
    since = max(past.since, known_from)
    # A clear of the figures alone forgets which calls were told: those that are told again count again there.
    with_calls = known_from <= past.began
    yield _quarters(state, past, since, with_calls=with_calls)
    if with_calls:
        yield _days(state, past, since)


def _quarters(state: State, past: CrossSums, since: int, *, with_calls: bool) -> Comparison:
    live = {int(key): each for key, each in tables(state["roll-ups"], "quarters")}
    # Where there are none, what the history has is older than what the figures keep apart, unless it is of the last two days.
    first = min(live, default=state["updated"] - MAX_QUARTERS_MS)

    def is_whole(begin: int) -> bool:
        return begin >= max(since, first)

    names = (*_TALLIES[:3], *_CALLS) if with_calls else _TALLIES[:3]
    figures = {_time(begin): {name: count(each, name) for name in names} for begin, each in live.items() if is_whole(begin)}
    history: dict[str, dict[str, int]] = {}
    for (begin,), amounts in past.executions_of_quarters.items():
        if is_whole(begin):
            history[_time(begin)] = dict(zip(_TALLIES[:3], amounts, strict=False))
    for (begin, *_), amounts in past.calls_of_quarters.items() if with_calls else ():
        if is_whole(begin):
            history[_time(begin)] = _added([history.get(_time(begin), {}), _amounts(amounts)])
    # A slice's counts are never less than nothing, as an agent's are not.
    past_figures = {where: {name: max(0, amount) for name, amount in sums.items()} for where, sums in history.items()}
    return _compared("quarters of an hour", "the figures", HISTORY, figures, past_figures)


def _days(state: State, past: CrossSums, since: int) -> Comparison:
    """Model calls by day, price and model, where the ledger of the figures still tells these apart."""
    first = max(-(-since // _DAY_MS), state["ledger-from"])
    has_all_models = not any(key.model == OTHER_MODELS for key, _ in rows_of(state))
    figures: dict[str, list[dict[str, int]]] = {}
    history: dict[str, list[dict[str, int]]] = {}

    def add(to: dict[str, list[dict[str, int]]], day: int, rest: tuple[Any, ...], row: Sequence[int]) -> None:
        if day >= first:
            where = _words((day * _DAY_MS, *(rest if has_all_models else ())))
            to.setdefault(where, []).append(dict(zip(COLUMNS, row, strict=True)))

    for key, row in rows_of(state):
        add(figures, key.day, (key.band, key.kind, key.model), row)
    for (begin, *rest), amounts in past.calls_of_quarters.items():
        add(history, begin // _DAY_MS, tuple(rest), amounts)
    return _compared(
        "days of model calls",
        "the figures",
        HISTORY,
        {where: _added(rows) for where, rows in figures.items()},
        {where: _added(rows) for where, rows in history.items()},
    )


def _compared(
    what: str, one: str, other: str, ones: Mapping[str, dict[str, int]], others: Mapping[str, dict[str, int]]
) -> Comparison:
    differences, compared = [], 0
    for where in sorted(ones.keys() | others.keys()):
        left, right = ones.get(where, {}), others.get(where, {})
        for figure in sorted(left.keys() | right.keys()):
            compared += 1
            if left.get(figure, 0) != right.get(figure, 0):
                differences.append(Difference(where, figure, left.get(figure, 0), right.get(figure, 0)))
    return Comparison(what, one, other, compared, tuple(differences))
