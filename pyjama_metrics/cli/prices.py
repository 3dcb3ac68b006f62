"""``pyjama-metrics prices``: what models cost, who says so, and since when."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyjama_metrics.cli import terminal
from pyjama_metrics.cli.terminal import Cell, Column, Screen

if TYPE_CHECKING:
    from pyjama_metrics.pricing import Found, Price
    from pyjama_metrics.storage.config import Config

DESCRIPTION = """\
Print what models cost, in dollars per million tokens: all of them, or one with its history, its prices for long requests, and who
says so. Prices of your own, in config.toml, win.
"""

EXAMPLES = """\
examples:
  pyjama-metrics prices                     all that are known, as they are today
  pyjama-metrics prices claude-opus-4-8     one, by any of its names
  pyjama-metrics prices | grep openrouter
  pyjama-metrics prices --json | jq '.models | map(select(.overridden))'

A name has to be whole. A model that is not listed has no price: its usage is shown as unpriced, and never as free.
"""

_PRICE_COLUMNS = (
    Column("INPUT", right=True),
    Column("WRITE 5M", right=True),
    Column("WRITE 1H", right=True),
    Column("READ", right=True),
    Column("OUTPUT", right=True),
)
_COLUMNS = (Column("MODEL", names=True), *_PRICE_COLUMNS, Column("SINCE"), Column("LONG"), Column("FROM"))
_HISTORY_COLUMNS = (Column("WHEN"), Column("SINCE"), Column("INPUT TOKENS"), *_PRICE_COLUMNS, Column("SOURCE", names=True))
_NAMES_SHOWN = 12


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``prices``."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument("model", nargs="?", metavar="MODEL", help="only this model, in detail")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(arguments: argparse.Namespace) -> int:
    """Print what was asked for; 1 if there is no price for such a model."""
    from pyjama_metrics.storage.config import load

    config = load()
    for problem in config.problems:
        terminal.complain(problem)
    now_ms = int(time.time() * 1000)
    if arguments.model is None:
        _all(config, now_ms, arguments.json)
        return 0
    return _one(arguments.model, config, now_ms, arguments.json)


def _all(config: Config, now_ms: int, as_json: bool) -> None:
    from pyjama_metrics import price_table, pricing

    found = [one for each in pricing.models() if (one := _now(each[-1], config, now_ms)) is not None]
    shown = {name for one in found for name in (one.model, f"{one.provider}/{one.model}") if one.overridden}
    for model in config.prices.prices:
        own = pricing.find(model, now_ms, config.prices)
        if own is not None and model not in shown:
            found.append(replace(own, model=model, provider=""))
    if as_json:
        from pyjama_metrics.cli.printing import print_json

        print_json({"table": _provenance(), "config": config.path, "models": [_plain(one) for one in found]})
        return
    screen = Screen(sys.stdout)
    screen.table(_COLUMNS, [_row(screen, one) for one in found])
    screen.line()
    screen.line(
        f"{terminal.things(len(found), 'model')}, dollars per million tokens; the table is {price_table.PACKAGE} "
        f"{price_table.VERSION}, made on {price_table.MADE}."
    )


def _now(newest: Found, config: Config, now_ms: int) -> Found | None:
    """The price of a model of the table as it is now; None while it has none yet."""
    from pyjama_metrics import pricing

    return pricing.find(f"{newest.provider}/{newest.model}", now_ms, config.prices)


def _row(screen: Screen, found: Found) -> list[Cell | str]:
    from pyjama_metrics.pricing import shortest_name

    return [
        Cell(shortest_name(found), "cyan"),
        *_price_cells(screen, found.price),
        screen.figure(_day(found.since)),
        _long(screen, found.price),
        Cell("override", "yellow") if found.overridden else "table",
    ]


def _long(screen: Screen, price: Price) -> str:
    """From how many input tokens on requests have other prices."""
    more = f" {screen.ellipsis}" if len(price.tiers) > 1 else ""
    return f">{price.tiers[0].above:,}{more}" if price.tiers else ""


def _price_cells(screen: Screen, price: Price) -> list[Cell | str]:
    return [
        screen.figure(None if each is None else _dollars(each))
        for each in (price.input, price.cache_write_5m, price.cache_write_1h, price.cache_read, price.output)
    ]


def _dollars(micros: int) -> str:
    """Micro-dollars as dollars, with two digits after the point, or as many as it takes."""
    whole, rest = divmod(micros, 1_000_000)
    return f"{whole:,}.{f'{rest:06}'.rstrip('0'):0<2}"


def _day(time_ms: int | None) -> str | None:
    from datetime import UTC, datetime

    return None if time_ms is None else f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d}"


def _one(model: str, config: Config, now_ms: int, as_json: bool) -> int:
    from pyjama_metrics import pricing

    found = pricing.find(model, now_ms, config.prices)
    history = pricing.history(model)
    if found is None and not history:
        terminal.complain(_no_price(model, config))
        return 1
    if as_json:
        from pyjama_metrics.cli.printing import print_json

        print_json(
            {
                "asked": model,
                "now": None if found is None else _plain(found),
                "history": [_plain(each) for each in history],
                "other-names": list(pricing.aliases(model)),
                "table": _provenance(),
                "config": config.path,
            }
        )
        return 0
    _print_one(Screen(sys.stdout), model, found, history)
    return 0


def _print_one(screen: Screen, model: str, found: Found | None, history: tuple[Found, ...]) -> None:
    from pyjama_metrics import price_table, pricing

    # A model has a price now, or it has a first one that begins later.
    shown = found or history[0]
    width = screen.width - 13
    screen.line(f"{screen.draw(Cell(pricing.shortest_name(shown), 'cyan'), width)}  dollars per million tokens")
    names = pricing.aliases(model)
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    facts = {
        "asked": model if model.lower() != shown.model else "",
        "provider": shown.provider,
        "now": "it has no price yet" if found is None else _who_says(found),
        "table": f"{price_table.PACKAGE} {price_table.VERSION}, made on {price_table.MADE}"
        if history
        else "it is not in the table",
        "names": ", ".join(names[:_NAMES_SHOWN]) + more,
    }
    for word, fact in facts.items():
        if fact:
            screen.line(f"  {screen.paint(f'{word:<9}', 'grey')}  {screen.draw(Cell(fact), width)}")
    rows: list[list[Cell | str]] = []
    for each in (*((found,) if found and found.overridden else ()), *reversed(history)):
        when = _when(each, found)
        rows.append([when, *_history_row(screen, each, None)])
        rows += [[when, *_history_row(screen, each, at)] for at in range(len(each.price.tiers))]
    screen.line()
    screen.table(_HISTORY_COLUMNS, rows)


def _who_says(found: Found) -> str:
    if found.overridden:
        return f"your override in {found.source} wins, for all times"
    begun = _day(found.since)
    return f"according to {found.source}" + (f", since {begun}" if begun else "")


def _when(row: Found, now: Found | None) -> Cell | str:
    """Where a price stands to the one that holds."""
    if row == now:
        return Cell("now", "green")
    if now is not None and now.overridden:
        return "not used"
    return "later" if now is None or (row.since or 0) > (now.since or 0) else "before"


def _history_row(screen: Screen, found: Found, at: int | None) -> list[Cell | str]:
    """A price without its tiers, or one of its tiers."""
    tier = None if at is None else found.price.tiers[at]
    return [
        _day(found.since) or "always",
        f"above {tier.above:,}" if tier else "any" if not found.price.tiers else f"up to {found.price.tiers[0].above:,}",
        *_price_cells(screen, tier.price if tier else found.price),
        found.source,
    ]


def _no_price(model: str, config: Config) -> str:
    from difflib import get_close_matches

    from pyjama_metrics import pricing

    name, reason = terminal.cut(model, 60), pricing.why_left_out(model)
    remedy = f'Give it one of your own below [prices."{name}"] in {config.path}.'
    if reason is not None:
        return f"{name} has no price: {reason}. Its usage is unpriced. {remedy}"
    close = get_close_matches(model[:100].lower(), dict.fromkeys([*pricing.names(), *config.prices.prices]), n=3, cutoff=0.7)
    hint = f"Did you mean {' or '.join(close)}?" if close else "'pyjama-metrics prices' lists those that are known."
    return f"There is no price for {name}, so its usage is unpriced. {hint} {remedy}"


def _plain(found: Found) -> dict[str, Any]:
    """A price for programs: micro-dollars per million tokens, which are pico-dollars per token."""
    from pyjama_metrics.pricing import shortest_name

    return {
        "name": shortest_name(found),
        "model": found.model,
        "provider": found.provider,
        **_plain_price(found.price),
        "tiers": [{"above-input-tokens": tier.above, **_plain_price(tier.price)} for tier in found.price.tiers],
        "source": found.source,
        "since": found.since,
        "overridden": found.overridden,
    }


def _plain_price(price: Price) -> dict[str, int | None]:
    return {
        "input": price.input,
        "cache-write-5m": price.cache_write_5m,
        "cache-write-1h": price.cache_write_1h,
        "cache-read": price.cache_read,
        "output": price.output,
    }


def _provenance() -> dict[str, Any]:
    from pyjama_metrics import price_table

    return {
        "package": price_table.PACKAGE,
        "version": price_table.VERSION,
        "made": price_table.MADE,
        "models": price_table.MODELS,
        "unit": "micro-dollars per million tokens",
    }
