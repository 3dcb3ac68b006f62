"""What a usage of a model costs, exactly: explicit prices, explicit names, whole numbers.

A price is an integer of pico-dollars per token (the same number is micro-dollars per million tokens), so costs are exact, and
the cost of a sum is the sum of the costs. Nothing is guessed: a name that is not listed has no price, a price that nobody
has published is None, and neither ever counts as 0. No cache price is calculated from the price of input, and no model is
priced like its neighbour or its family.

>>> found = find("us.anthropic.claude-opus-4-8[1m]", 1_790_000_000_000)
>>> found.model, found.provider, found.price.cache_read
('regional.anthropic.claude-opus-4-8-v1:0', 'aws', 550000)
>>> micros(cost_pico(Tokens(input=1000, output=200, cache_read=50_000), found.price))
38500
>>> find("claude-opus-48", 1_790_000_000_000) is None
True

Nothing here reads a file or a clock. All times are milliseconds since the epoch, all days are days in UTC. Everything may be
called from any thread.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from types import MappingProxyType
from typing import cast

from pyjama_metrics import price_table

KINDS = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")
"""The five kinds of token, each of which has a price of its own."""

MODES = ("batch", "fast", "flex", "priority")
"""What may follow a name and a colon where requests can be made in another way, at prices of its own."""

DEAREST = 1_000_000
"""The highest price that an override may have, in dollars per million tokens."""

_FINEST = Decimal("0.000001")

_PICOS_IN_A_MICRO = 1_000_000
_DAY_MS = 86_400_000
_FIRST_DAY = date(1970, 1, 1).toordinal()
_LONG_CONTEXT = "[1m]"
_ARN, _ARN_KINDS = "arn:aws:bedrock:", ("foundation-model", "inference-profile")
_NAMES_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Tier:
    """Other prices for a request with more than ``above`` input tokens (cache included); for all of its tokens."""

    above: int
    price: Price


@dataclass(frozen=True, slots=True)
class Price:
    """Pico-dollars per token of each kind; None is a price that is not known.

    Attributes:
        input: a token that was neither read from a cache nor written to one.
        output: a token that the model wrote, reasoning included.
        cache_read: a token that was read from a cache.
        cache_write_5m: a token that was written to a cache for five minutes, or for the provider's usual time.
        cache_write_1h: a token that was written to a cache for an hour.
        tiers: other prices for long requests, lowest threshold first. Those in a tier have none themselves.
    """

    input: int | None
    output: int | None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    tiers: tuple[Tier, ...] = ()

    def in_band(self, band: int) -> Price:
        """The price of requests in one of the bands that `band_of` tells."""
        price = self
        for tier in self.tiers:
            if tier.above > band:
                break
            price = tier.price
        return price


@dataclass(frozen=True, slots=True)
class Tokens:
    """Numbers of tokens, not negative; ``input`` excludes what was read from a cache or written to one."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @property
    def total_input(self) -> int:
        """All tokens that went in, cache included: what tiers go by."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h


@dataclass(frozen=True, slots=True)
class Found:
    """The price of a model at a time, and where it comes from.

    Attributes:
        price: what its tokens cost.
        model: the model's own name at the provider; the name that was asked for where only an override knows it.
        provider: who asks for that price, such as ``anthropic``, ``aws`` or ``openrouter``; "" if only an override knows it.
        source: who said so, such as ``genai-prices 0.2.3``, ``override`` or a path of a file.
        since: when this price began, in milliseconds since the epoch; None for one without a beginning.
        overridden: whether a user's override gave this price.
    """

    price: Price
    model: str
    provider: str
    source: str
    since: int | None
    overridden: bool = False


# ----------------------------------------------------------------------------------------------------------------------
# Costs


def cost_pico(tokens: Tokens, price: Price) -> int | None:
    """The cost of one request in pico-dollars; None when tokens were used whose price is not known."""
    if price.tiers:
        # The same as in_band(band_of(total)), without looking for the band among those of all models.
        total = tokens.total_input
        for tier in price.tiers:
            if total <= tier.above:
                break
            price = tier.price
    return _cost(tokens, price)


def cost_of_sums(sums: Tokens, price: Price, band: int) -> int | None:
    """The cost in pico-dollars of requests that were summed, all of the same model, band and price period.

    It is exactly the sum of their costs by `cost_pico`; None when one of them has none.
    """
    return _cost(sums, price.in_band(band))


def _cost(tokens: Tokens, price: Price) -> int | None:
    # Written out: this runs for each usage, and a loop over names takes four times as long.
    cost = 0
    if count := tokens.input:
        if price.input is None:
            return None
        cost = count * price.input
    if count := tokens.output:
        if price.output is None:
            return None
        cost += count * price.output
    if count := tokens.cache_read:
        if price.cache_read is None:
            return None
        cost += count * price.cache_read
    if count := tokens.cache_write_5m:
        if price.cache_write_5m is None:
            return None
        cost += count * price.cache_write_5m
    if count := tokens.cache_write_1h:
        if price.cache_write_1h is None:
            return None
        cost += count * price.cache_write_1h
    return cost


def micros(pico: int) -> int:
    """Pico-dollars as micro-dollars, rounded half to even.

    >>> micros(1_500_000), micros(2_500_000), micros(2_500_001), micros(-1_500_000)
    (2, 2, 3, -2)
    """
    whole, rest = divmod(pico, _PICOS_IN_A_MICRO)
    twice = 2 * rest
    return whole + (twice > _PICOS_IN_A_MICRO or (twice == _PICOS_IN_A_MICRO and whole % 2 == 1))


CONTEXT_BANDS = tuple(sorted({tier[0] for row in price_table.ROWS for tier in row[8]}))
"""Every number of input tokens above which any model has another price, lowest first."""


def band_of(total_input: int) -> int:
    """The band of a request by its input tokens (cache included): the highest of `CONTEXT_BANDS` below it, or 0.

    Tokens of requests of one model, band and price period may be summed, and still be priced exactly. A band is a number of
    tokens and no index: it keeps its meaning when another version of the table has more bands.

    >>> band_of(200_000) < 200_000, band_of(200_001)
    (True, 200000)
    """
    index = bisect_left(CONTEXT_BANDS, total_input)
    return CONTEXT_BANDS[index - 1] if index else 0


# ----------------------------------------------------------------------------------------------------------------------
# Names


@dataclass(frozen=True, slots=True)
class _Entry:
    """A model of a provider: its prices (newest first), and the names under which an override holds for all its names."""

    provider: str
    model: str
    own_names: tuple[str, ...]
    newest_first: tuple[Found, ...]
    left_out: str | None


@dataclass(frozen=True, slots=True)
class _Index:
    names: Mapping[str, Mapping[str, str]]
    """By provider and any of its names: the model's own name."""

    rows: Mapping[tuple[str, str], tuple[price_table.Row, ...]]
    left_out: Mapping[tuple[str, str], str]
    routes: Mapping[str, tuple[str, ...]]


@cache
def _index() -> _Index:
    """The table, ready for looking up. It is built when the first price is asked for."""
    names: dict[str, dict[str, str]] = {}
    rows: dict[tuple[str, str], tuple[price_table.Row, ...]] = {}
    for row in price_table.ROWS:
        key = row[:2]
        rows[key] = (*rows.get(key, ()), row)
        names.setdefault(row[0], {})[row[1]] = row[1]
    left_out = {(provider, model): price_table.REASONS[reason] for provider, model, reason in price_table.LEFT_OUT}
    for provider, model in left_out:
        names.setdefault(provider, {})[model] = model
    for provider, model, others in price_table.ALIASES:
        names[provider].update(dict.fromkeys(others, model))
    return _Index(names, rows, left_out, dict(price_table.ROUTES))


@cache
def _entry_of(provider: str, model: str) -> _Entry:
    """What the table has for the own name of a model."""
    index = _index()
    full = f"{provider}/{model}"
    own_names = (full, model) if _key(model) == (provider, model) else (full,)
    newest_first = tuple(_found(row) for row in reversed(index.rows.get((provider, model), ())))
    return _Entry(provider, model, own_names, newest_first, index.left_out.get((provider, model)))


def _found(row: price_table.Row) -> Found:
    provider, model, since, *prices, tiers, source = row
    price = _price(prices, tuple(Tier(above, _price(list(five))) for above, five in tiers))
    return Found(price, model, provider, price_table.SOURCES[source], None if since is None else _midnight(since))


def _price(five: list[int | None], tiers: tuple[Tier, ...] = ()) -> Price:
    uncached, write_5m, write_1h, read, output = five
    return Price(uncached, output, read, write_5m, write_1h, tiers)


def date_of(day: int) -> str:
    """The date of a number of days since 1970, such as ``2024-02-03``; of one that no calendar has, the last that it has."""
    return date.fromordinal(min(day + _FIRST_DAY, date.max.toordinal())).isoformat()


def _midnight(day: str) -> int:
    return (date.fromisoformat(day).toordinal() - _FIRST_DAY) * _DAY_MS


@lru_cache(_NAMES_REMEMBERED)
def _entry(name: str) -> _Entry | None:
    """The model that is meant by a name; None for a name that is not listed."""
    key = _key(name.lower())
    return None if key is None else _entry_of(*key)


def _key(name: str) -> tuple[str, str] | None:
    """Provider and model that are meant by a name in lower case.

    What is taken off a name (a route, the mark of a long context, an ARN) is itself one of a list, and what is left has to be
    a listed name of the provider that is meant, letter by letter.
    """
    plain, _, mode = name.rpartition(":")
    if mode in MODES:
        name = f"{plain.removesuffix(_LONG_CONTEXT)}:{mode}"
    name = name.removesuffix(_LONG_CONTEXT)
    if name.startswith(_ARN):
        # arn:aws:bedrock:REGION:ACCOUNT:KIND/NAME, and the name may have colons, too
        kind, _, profile = name.split(":", 5)[-1].partition("/")
        return _of_providers(("aws",), profile) if kind in _ARN_KINDS else None
    route, slash, rest = name.partition("/")
    routed = _of_providers(_index().routes.get(route, ()), rest) if slash else None
    key = routed or _of_providers(price_table.MAKERS, name)
    if key is None and route in price_table.VENDORS and name.rpartition(":")[2] not in MODES:
        return _of_providers(("openrouter",), name)
    return key


def _of_providers(providers: tuple[str, ...], name: str) -> tuple[str, str] | None:
    """The model of the first provider that has this name, or has it in one of the modes that follow a colon."""
    names = _index().names
    plain, _, mode = name.rpartition(":")
    for provider in providers:
        known = names.get(provider, {})
        model = known.get(name)
        if model is None and mode in MODES and plain in known:
            model = known.get(f"{known[plain]}:{mode}")
            if model is None:
                return None  # nobody else's price for this mode is that of this provider
        if model is not None:
            return provider, model
    return None


# ----------------------------------------------------------------------------------------------------------------------
# Finding a price


def find(model: str, time_ms: int, overrides: Overrides | None = None) -> Found | None:
    """The price of a model at a time, or None for a model without a known price: its usage is unpriced, and not free.

    Arguments:
        model: any listed name of the model; letters may be large or small.
        time_ms: when the request was made, in milliseconds since the epoch.
        overrides: such as those of a configuration file. They win over the table, for all times; those that were set by
            `override` in this process win over both.
    """
    entry = _entry(model)
    if overrides is not None or _at_run_time is not None:
        for each in (_at_run_time, overrides):
            if each is not None and (overridden := each.find(model.lower(), entry)) is not None:
                return overridden
    if entry is not None:
        for found in entry.newest_first:
            if found.since is None or found.since <= time_ms:
                return found
    return None


def history(model: str) -> tuple[Found, ...]:
    """All prices of a model in the table, oldest first; none for an unknown model. Overrides are not looked at."""
    entry = _entry(model)
    return () if entry is None else entry.newest_first[::-1]


def periods(model: str) -> tuple[int, ...]:
    """When the prices of a model began, in milliseconds since the epoch, oldest first; one without a beginning is not named.

    Tokens that were used between two of these times, in one band, may be summed.
    """
    return tuple(found.since for found in history(model) if found.since is not None)


def why_left_out(model: str) -> str | None:
    """Why a model that is known by name has no price in the table, as a part of a sentence; None if that is not so."""
    entry = _entry(model)
    return None if entry is None else entry.left_out


def models() -> Iterator[tuple[Found, ...]]:
    """All models of the table, by provider and name: the prices of each, oldest first."""
    for rows in _index().rows.values():
        yield tuple(map(_found, rows))


def aliases(model: str) -> tuple[str, ...]:
    """The other names that the table lists for a model at the same provider, in order."""
    entry = _entry(model)
    if entry is None:
        return ()
    names = _index().names[entry.provider]
    return tuple(sorted(name for name, own in names.items() if own == entry.model != name))


def shortest_name(found: Found) -> str:
    """The shortest name of a model that means it and no other: its own, behind a route where it is not its maker's."""
    return _entry_of(found.provider, found.model).own_names[-1] if found.provider else found.model


def names() -> Iterator[str]:
    """Every name that the table lists, behind the route to its provider, and those of makers without it, too."""
    for provider, known in _index().names.items():
        for name in known:
            yield f"{provider}/{name}"
            if provider in price_table.MAKERS:
                yield name


# ----------------------------------------------------------------------------------------------------------------------
# Overrides


@dataclass(frozen=True, slots=True)
class Overrides:
    """Prices that a user has given, by model. It never changes: each change makes another one.

    An override holds for the very name that it was given. Where that is the model's own name (which ``pyjama-metrics prices``
    shows), it holds for all names of that model at that provider.
    """

    prices: Mapping[str, Price] = field(default_factory=lambda: MappingProxyType({}))
    """By name, in lower case."""

    source: str = "override"

    def __bool__(self) -> bool:
        return bool(self.prices)

    def with_price(self, model: str, price: Price) -> Overrides:
        """The same with one more price, or another one."""
        return Overrides(MappingProxyType({**self.prices, model.lower(): price}), self.source)

    def without(self, model: str) -> Overrides:
        """The same without one price; the same if there is none."""
        kept = {name: price for name, price in self.prices.items() if name != model.lower()}
        return Overrides(MappingProxyType(kept), self.source)

    def find(self, name: str, entry: _Entry | None) -> Found | None:
        """The override for a name in lower case, or else for the model that is meant by it."""
        price = self.prices.get(name)
        if price is None and entry is not None:
            price = next((self.prices[own] for own in entry.own_names if own in self.prices), None)
        if price is None:
            return None
        model, provider = (name, "") if entry is None else (entry.model, entry.provider)
        return Found(price, model, provider, self.source, None, overridden=True)


Amount = Decimal | int | str | float
"""Dollars per million tokens. A float is taken for the shortest decimal number that is written like it: 0.1 is a tenth."""

_changing = threading.Lock()
_at_run_time: Overrides | None = None


def override(
    model: str,
    *,
    input: Amount,
    output: Amount,
    cache_read: Amount | None = None,
    cache_write_5m: Amount | None = None,
    cache_write_1h: Amount | None = None,
) -> None:
    """Set the price of a model in this process, for all times, whatever the table or a file says.

    Arguments:
        model: the name that usages have. The model's own name stands for all its names; see `Overrides`.
        input: dollars per million tokens, as all that follow; at most six digits after the point.
        output: the same for what the model writes.
        cache_read: the same for what is read from a cache. Left out, such a price is not known, and usage of that kind is
            unpriced; give 0 for what costs nothing.
        cache_write_5m: the same for what is written to a cache for five minutes.
        cache_write_1h: the same for what is written to a cache for an hour.

    Raises:
        ValueError: an amount is no number from 0 to 1,000,000, or finer than a millionth; nothing was changed.
    """
    given = {
        "input": input,
        "output": output,
        "cache_read": cache_read,
        "cache_write_5m": cache_write_5m,
        "cache_write_1h": cache_write_1h,
    }
    if not model.strip():
        raise ValueError("A price needs the name of a model, and this one is empty.")
    needed = ("input", "output")
    price = Price(**{kind: _pico(kind, it) for kind, it in given.items() if it is not None or kind in needed})  # type: ignore[arg-type]
    global _at_run_time
    with _changing:
        _at_run_time = (_at_run_time or Overrides()).with_price(model, price)


def overrides_at_run_time() -> Overrides | None:
    """Those that were set by `override` in this process and not removed; None for none. Another object after each change."""
    return _at_run_time


def remove_override(model: str) -> None:
    """Undo `override`; fine where there is none."""
    global _at_run_time
    with _changing:
        _at_run_time = (_at_run_time or Overrides()).without(model) or None


def overrides_of(table: Mapping[str, object], source: str = "config.toml") -> tuple[Overrides, tuple[str, ...]]:
    """The overrides in the section ``prices`` of a configuration file, and a sentence for each thing that is wrong with it.

    An entry that is wrong is left out, and only that one: its model then has the price of the table.

    Arguments:
        table: what the section holds: for each model a table of dollars per million tokens.
        source: the name of the file, for the sentences and for `Found.source`.
    """
    prices: dict[str, Price] = {}
    problems: list[str] = []
    for model, entry in table.items():
        try:
            if not model.strip():
                raise ValueError("it names no model. Put the name of one between the quotes.")
            prices[model.lower()] = _price_of_entry(entry)
        except ValueError as error:
            where = f'[prices."{model}"] in {source}'
            problems.append(f"{where} is left out, and the table's price stays: {error}")
    return Overrides(MappingProxyType(prices), source), tuple(problems)


def _price_of_entry(entry: object) -> Price:
    if not isinstance(entry, Mapping):
        raise ValueError("it is no table. Write input = … and output = … below it, in dollars per million tokens.")
    if unknown := [str(key) for key in entry if key not in KINDS]:
        raise ValueError(f"there is no {unknown[0]!r} in a price. It may have {', '.join(KINDS)}.")
    if missing := [kind for kind in ("input", "output") if kind not in entry]:
        raise ValueError(f"{missing[0]} is missing. Give it in dollars per million tokens, or 0 if it costs nothing.")
    return Price(**{kind: _pico(kind, cast("Amount", amount)) for kind, amount in entry.items()})  # type: ignore[arg-type]


def _pico(kind: str, amount: Amount) -> int:
    """Dollars per million tokens as pico-dollars per token, exactly."""
    hint = "Use a number from 0 to 1000000, in dollars per million tokens, such as 0.25."
    try:
        if isinstance(amount, bool) or not isinstance(amount, (Decimal, int, str, float)):
            raise InvalidOperation
        dollars = Decimal(repr(amount) if isinstance(amount, float) else amount)
        valid = 0 <= dollars <= DEAREST
    except InvalidOperation:  # also what a comparison with NaN raises
        valid = False
    if not valid:
        raise ValueError(f"{kind} is {str(amount)[:40]}, which is no price. {hint}")
    # Comparing is exact for numbers of any length, multiplying is not.
    rounded = dollars.quantize(_FINEST)
    if rounded != dollars:
        raise ValueError(f"{kind} is {str(amount)[:40]}, which is finer than a millionth of a dollar. {hint}")
    return int(rounded / _FINEST)
