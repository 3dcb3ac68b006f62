"""The price of one usage, beside ``calc_price`` of genai-prices."""

from __future__ import annotations

import datetime
import sys

from bench import main
from genai_prices import Usage, calc_price
from interleave import Subject, Turn, Turns, blocks, interleave, ratio
from rows import Row, Spread

from pyjama_metrics.pricing import Tokens, cost_pico, find

BLOCK, RIVALS_BLOCK = 2_000, 100
REACH = 1 / 50
MODELS = ("claude-opus-4-8", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001", "gpt-5.5", "gemini-2.5-pro")
"""Models that agents use; those of one provider are found sooner than others by whoever looks through lists."""

MOMENT = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
TIME_MS = int(MOMENT.timestamp() * 1000)


def ours(calls: int) -> None:
    """Price usages by name, from numbers of tokens to pico-dollars; nothing is kept from one call to the next but names."""
    for _ in range(calls // len(MODELS)):
        for model in MODELS:
            found = find(model, TIME_MS)
            if found is None or cost_pico(Tokens(1000, 200, 50_000), found.price) is None:
                raise RuntimeError(f"{model} has no price.")


def genai(calls: int) -> None:
    """Price the same usages by genai-prices, in the form of its own examples."""
    for _ in range(calls // len(MODELS)):
        for model in MODELS:
            usage = Usage(input_tokens=51_000, cache_read_tokens=50_000, output_tokens=200)
            calc_price(usage, model, genai_request_timestamp=MOMENT)


def genai_told(calls: int) -> None:
    """The same, told who provides the model, and with the usage made beforehand."""
    for _ in range(calls // len(MODELS)):
        for model in MODELS:
            provider = "anthropic" if model.startswith("claude") else "openai" if model.startswith("gpt") else "google"
            calc_price(USAGE, model, provider_id=provider, genai_request_timestamp=MOMENT)


USAGE = Usage(input_tokens=51_000, cache_read_tokens=50_000, output_tokens=200)


def check() -> None:
    """See that both find the same costs."""
    for model in MODELS:
        found = find(model, TIME_MS)
        theirs = calc_price(USAGE, model, genai_request_timestamp=MOMENT).total_price
        if found is None or cost_pico(Tokens(1000, 200, 50_000), found.price) != theirs * 10**12:
            raise RuntimeError(f"The two do not agree on what {model} costs.")


def measure(quick: bool) -> list[Row]:
    """Answer the rows, from one run in which all take turns in this process."""
    check()
    subjects = [
        Subject("ours", ours, BLOCK, 0.2),
        Subject("genai", genai, RIVALS_BLOCK, 0.2),
        Subject("told", genai_told, RIVALS_BLOCK, 0.2),
    ]
    turns = interleave(subjects, rounds=2 if quick else 20)
    return [
        _row(turns, "genai", "genai-prices, calc_price", REACH),
        _row(turns, "told", "the same, told the provider, with a usage made beforehand", None),
    ]


def _medians(turns: list[Turn]) -> list[float]:
    return [turn.median for turn in turns]


def _row(turns: Turns, rival: str, beside: str, reach: float | None) -> Row:
    value = ratio(_medians(turns["ours"]), _medians(turns[rival]))
    return Row(
        what="pricing one usage",
        ours=Spread.of(blocks(turns["ours"]), "µs"),
        beside=beside,
        rival=Spread.of(blocks(turns[rival]), "µs"),
        measured=f"1/{1 / value:.0f}",
        value=value,
        reach="-" if reach is None else f"≤ 1/{1 / reach:.0f}",
        reached=None if reach is None else value <= reach,
    )


if __name__ == "__main__":
    sys.exit(main("pricing", __doc__))
