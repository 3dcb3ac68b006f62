"""The table beside genai-prices, model by model: what differs is listed here with its reason."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, types
from genai_prices.data import providers

from pyjama_metrics import price_table, pricing
from pyjama_metrics.pricing import Price, Tokens

SCRIPT = Path(__file__).parent.parent / "scripts" / "update-prices"

FINER = "genai-prices has digits below a millionth of a dollar, left over from a division; it is rounded to a millionth"
BY_HAND = "scripts/prices.toml has a better known price, with its source"

DIFFERENT = {
    "anthropic/claude-sonnet-5-5": BY_HAND,
    "anthropic/claude-sonnet-4-0": BY_HAND,
    "huggingface_together/qwen/qwen3-vl-8b-instruct": FINER,
    "huggingface_together/deepseek-ai/deepseek-v4-flash-0731": FINER,
    "huggingface_together/meta-llama/llama-3.3-70b-instruct": FINER,
    "openrouter/~google/gemini-flash-latest": FINER,
    "openrouter/google/gemini-2.5-flash": FINER,
    "openrouter/google/gemini-2.5-flash:batch": FINER,
    "openrouter/google/gemini-2.5-flash-image": FINER,
    "openrouter/google/gemini-2.5-flash-lite": FINER,
    "openrouter/google/gemini-2.5-flash-lite:batch": FINER,
    "openrouter/google/gemini-3-flash-preview": FINER,
    "openrouter/google/gemini-3-flash-preview:batch": FINER,
    "openrouter/google/gemini-3.1-flash-lite": FINER,
    "openrouter/google/gemini-3.1-flash-lite:batch": FINER,
    "openrouter/google/gemini-3.5-flash": FINER,
    "openrouter/google/gemini-3.5-flash:batch": FINER,
    "openrouter/google/gemini-3.5-flash-lite": FINER,
    "openrouter/google/gemini-3.5-flash-lite:batch": FINER,
    "openrouter/google/gemini-3.6-flash": FINER,
    "openrouter/google/gemini-3.6-flash:batch": FINER,
    "openrouter/google/gemini-3.7-flash": FINER,
    "openrouter/google/gemini-3.7-flash:batch": FINER,
    "openrouter/google/gemini-3.8-flash": FINER,
    "openrouter/google/gemini-3.8-flash:batch": FINER,
}
"""Models whose price differs, and why."""

WITHOUT_A_PRICE = {
    "its price depends on the hour of the day": {
        "deepseek/deepseek-chat",
        "deepseek/deepseek-flash",
        "deepseek/deepseek-reasoner",
        "deepseek/deepseek-v4-flash",
        "deepseek/deepseek-v4-pro",
    },
    "each request costs something too, which tokens do not tell": {
        "perplexity/sonar",
        "perplexity/sonar-pro",
        "perplexity/sonar-reasoning",
        "perplexity/sonar-reasoning-pro",
    },
    "a part of its output (reasoning, citations) has another price, and its tokens are not told apart": {
        "openrouter/perplexity/sonar-deep-research",
        "perplexity/sonar-deep-research",
    },
    "its weights are open, and the price is that of whoever runs it; name the provider too, such as groq/gpt-oss-120b": {
        "openai/gpt-oss-120b",
        "openai/gpt-oss-20b",
        "openai/gpt-oss-safeguard-20b",
    },
}
"""Models of genai-prices that have no price here though it has one for their tokens, by the reason."""

ONLY_HERE = {"anthropic/claude-mythos-5", "anthropic/claude-mythos-5-1", "claude-code/<synthetic>"}
"""Models that genai-prices does not have."""

MODELS = {f"{provider.id}/{model.id.lower()}": (provider, model) for provider in providers for model in provider.models}

KEYS = {
    "input": "input_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "cache_read": "cache_read_mtok",
    "output": "output_mtok",
}


def moments(model: types.ModelInfo) -> list[datetime]:
    """A moment long ago, and the last and first ones around each day on which a price begins."""
    prices = model.prices if isinstance(model.prices, list) else []
    starts = [each.constraint.start_date for each in prices if isinstance(each.constraint, types.StartDateConstraint)]
    days = [date(2020, 1, 1), *(start + timedelta(days=shift) for start in starts for shift in (-1, 0)), date(2030, 1, 1)]
    return [datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC) for day in days]


def theirs(price: Any, total_input: int) -> Decimal | None:
    """One of genai-prices' prices for a request of this length."""
    if not isinstance(price, types.TieredPrices):
        return price  # type: ignore[no-any-return]
    reached = [tier.price for tier in price.tiers if total_input > tier.start]
    return reached[-1] if reached else price.base


def differences(name: str) -> list[tuple[datetime, int, str, Decimal | None, int | None]]:
    """Where our prices of a model are not those of genai-prices: moment, input tokens, kind, theirs, ours."""
    found = []
    _, model = MODELS[name]
    for moment in moments(model):
        ours = pricing.find(name, int(moment.timestamp() * 1000))
        prices = model.get_prices(moment)
        for total in (0, *(edge + more for edge in pricing.CONTEXT_BANDS for more in (0, 1))):
            mine = ours.price.in_band(pricing.band_of(total)) if ours else Price(None, None)
            for kind, key in KEYS.items():
                their, our = theirs(getattr(prices, key), total), getattr(mine, kind)
                if (None if their is None else their * 10**6) != our:
                    found.append((moment, total, kind, their, our))
    return found


@pytest.mark.parametrize("provider", sorted({name.partition("/")[0] for name in MODELS}))
def test_each_model_has_the_prices_of_genai_prices_or_a_reason(provider: str) -> None:
    """All five, at all times and lengths; a difference is in the list above, and what is in the list differs."""
    left_out = {name for names in WITHOUT_A_PRICE.values() for name in names}
    mine = {name for name in MODELS if name.partition("/")[0] == provider}
    different = {name for name in mine if differences(name)}
    assert different == mine & (set(DIFFERENT) | left_out)


@pytest.mark.parametrize("name", [name for name, reason in DIFFERENT.items() if reason == FINER])
def test_a_price_with_too_many_digits_is_rounded_and_no_more(name: str) -> None:
    """Less than half a millionth of a dollar for a million tokens."""
    for *_, their, our in differences(name):
        assert their is not None
        assert our is not None
        assert abs(their * 10**6 - our) <= Decimal("0.5")


def test_what_is_left_out_has_a_reason() -> None:
    """The table says why, and leaves out no model that has a usable price."""
    reasons = {f"{provider}/{model}": price_table.REASONS[reason] for provider, model, reason in price_table.LEFT_OUT}
    for reason, names in WITHOUT_A_PRICE.items():
        assert {name for name, told in reasons.items() if told == reason} == names
    known = {name for names in WITHOUT_A_PRICE.values() for name in names}
    for name in set(reasons) - known:
        assert all(
            getattr(MODELS[name][1].get_prices(when), key) is None for when in moments(MODELS[name][1]) for key in KEYS.values()
        )


def test_the_table_has_the_models_of_genai_prices_their_modes_and_the_supplement() -> None:
    """Nothing is missing, and nothing else is there."""
    table = {f"{each[-1].provider}/{each[-1].model}" for each in pricing.models()}
    left_out = {f"{provider}/{model}" for provider, model, _ in price_table.LEFT_OUT}
    modes = {name for name in table - set(MODELS) if name.rpartition(":")[0] in MODELS}
    assert (set(MODELS) - table, table - set(MODELS) - modes) == (left_out, ONLY_HERE)
    assert {name.rpartition(":")[2] for name in modes} == {"batch", "fast", "flex", "priority"}
    assert len(table) == price_table.MODELS


def test_a_mode_has_the_prices_of_its_variant_and_no_others() -> None:
    """What a variant does not say is not known; the price without the mode is not taken for it."""
    conditions = {
        "batch": [{"processing": "batch"}],
        "fast": [{"speed": "fast"}, {"service_tier": "fast"}],
        "flex": [{"service_tier": "flex"}],
        "priority": [{"service_tier": "priority"}],
    }
    compared = 0
    for name, (_, model) in MODELS.items():
        for mode, when in conditions.items():
            if f"{name}:{mode}" in MODELS:
                continue  # a model of its own, which was compared above
            variants = [v for v in model.price_variants or () if v.when in when]
            starts = [v.constraint.start_date for v in variants if v.constraint]
            for day in (date(2020, 1, 1), *starts, date(2030, 1, 1)):
                holding = [v.prices for v in variants if v.constraint is None or v.constraint.start_date <= day]
                moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
                found = pricing.find(f"{name}:{mode}", int(moment.timestamp() * 1000))
                for kind, price_key in KEYS.items():
                    their = theirs(getattr(holding[0], price_key), 0) if holding else None
                    if found is not None or their is not None:
                        our = getattr(found.price, kind) if found else None
                        assert (None if their is None else their * 10**6) == our, (name, mode, kind)
                        compared += 1
    assert compared > 1000


def test_an_alias_means_the_same_model_to_genai_prices() -> None:
    """No name was put beside a model that genai-prices would not have found by it."""
    by_provider = {provider.id: provider for provider in providers}
    wrong = []
    for provider, model, names in price_table.ALIASES:
        for name in names:
            theirs_ = by_provider[provider].find_model(name)
            if theirs_ is None or theirs_.id.lower() != model:
                wrong.append((provider, name))
    assert wrong == []


@pytest.mark.parametrize("tokens", [Tokens(1000, 200, 50_000, 3000, 0), Tokens(150_000, 10, 60_000), Tokens(7, 11)])
@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-opus-4-6", "claude-sonnet-4-5", "claude-haiku-5-5", "gpt-5.6-sol"])
def test_a_usage_costs_what_genai_prices_calculates(model: str, tokens: Tokens) -> None:
    """The whole way from a name and numbers of tokens to money, beside theirs."""
    from genai_prices import calc_price

    moment = datetime(2026, 2, 1, tzinfo=UTC)
    writes = tokens.cache_write_5m
    usage = Usage(
        input_tokens=tokens.total_input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=writes,
    )
    found = pricing.find(model, int(moment.timestamp() * 1000))
    assert found is not None
    assert pricing.cost_pico(tokens, found.price) == calc_price(usage, model, genai_request_timestamp=moment).total_price * 10**12


def test_the_table_is_what_the_script_makes_of_the_pinned_version() -> None:
    """Nobody has changed it by hand, and nobody has forgotten to make it."""
    made = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert (made.returncode, made.stderr) == (0, "")


def test_nothing_is_free_but_what_no_model_wrote() -> None:
    """A price of 0 is a claim; genai-prices has none, and an empty price of it is not taken for one."""
    free = {
        pricing.shortest_name(each)
        for history in pricing.models()
        for each in history
        if 0 in (each.price.input, each.price.cache_write_5m, each.price.cache_write_1h, each.price.cache_read)
    }
    assert free == {"<synthetic>"}
