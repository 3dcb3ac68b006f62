"""What a usage costs: explicit prices and names, exact sums, overrides that win."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics import price_table, pricing
from pyjama_metrics.pricing import (
    CONTEXT_BANDS,
    Found,
    Overrides,
    Price,
    Tokens,
    band_of,
    cost_of_sums,
    cost_pico,
    find,
    micros,
    overrides_of,
)


def at(day: str) -> int:
    """A moment, in milliseconds since the epoch."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


NOW = at("2026-11-21T12:00:00")


@pytest.fixture(autouse=True)
def _no_overrides_are_left() -> Iterator[None]:
    yield
    for model in dict(pricing._at_run_time.prices if pricing._at_run_time else {}):
        pricing.remove_override(model)


def found(model: str, time_ms: int = NOW) -> Found:
    """The price of a model that is known."""
    price = find(model, time_ms)
    assert price is not None, model
    return price


def five(model: str, time_ms: int = NOW) -> tuple[int | None, ...]:
    """Input, 5-minute write, 1-hour write, read and output, in micro-dollars per million tokens."""
    price = found(model, time_ms).price
    return price.input, price.cache_write_5m, price.cache_write_1h, price.cache_read, price.output


# --- Costs


@pytest.mark.parametrize(
    ("model", "tokens", "day", "expected"),
    [
        # 1000 x 5 + 200 x 25 + 50000 x 0.5 + 2000 x 6.25 + 100 x 10 micro-dollars
        ("claude-opus-4-8", Tokens(1000, 200, 50_000, 2000, 100), "2026-11-21", 48_500),
        ("us.anthropic.claude-opus-4-8", Tokens(1000, 200, 50_000, 2000, 100), "2026-11-21", 53_350),
        ("claude-haiku-4-5-20251001", Tokens(3, 7, 11, 13, 17), "2026-11-21", 89),  # 3 + 35 + 1.1 + 16.25 + 34 = 89.35
        ("claude-fable-5-1", Tokens(cache_read=1_000_000), "2026-11-21", 250_000),
        ("claude-mythos-5", Tokens(cache_read=1_000_000), "2026-11-21", 1_000_000),
        ("claude-sonnet-5-5", Tokens(cache_read=1_000_000), "2026-10-06", 200_000),
        ("claude-sonnet-5-5", Tokens(cache_read=1_000_000), "2026-10-07", 100_000),
        ("claude-sonnet-4-5-20250929", Tokens(100_000, 1000, 100_000), "2026-11-21", 345_000),
        ("claude-sonnet-4-5-20250929", Tokens(100_000, 1000, 100_001), "2026-11-21", 682_501),  # 600000 + 60000.6 + 22500
        ("claude-opus-4-6", Tokens(300_000, 1000), "2026-03-12", 3_037_500),
        ("claude-opus-4-6", Tokens(300_000, 1000), "2026-03-13", 1_525_000),
        ("gpt-4o", Tokens(1_000_000), "2026-11-21", 2_500_000),
        ("gpt-4o-2024-05-13", Tokens(1_000_000), "2026-11-21", 5_000_000),
        ("<synthetic>", Tokens(5, 5, 5, 5, 5), "2026-11-21", 0),
    ],
)
def test_a_usage_costs_what_the_price_list_says(model: str, tokens: Tokens, day: str, expected: int) -> None:
    """To the micro-dollar, each kind of token at its own price, at the price of that day and of a request of that length."""
    price = found(model, at(day)).price
    cost = cost_pico(tokens, price)
    assert cost is not None
    assert micros(cost) == expected


def test_a_tier_holds_for_all_tokens_of_a_request_above_it() -> None:
    """What went in decides, cache included; one token more than the threshold, not the threshold itself."""
    price = found("claude-haiku-5-5").price
    assert cost_pico(Tokens(input=100_000, output=1), price) == 100_000 * 100_000 + 500_000
    assert cost_pico(Tokens(input=100_001, output=1), price) == 100_001 * 500_000 + 2_500_000
    caches = 50_000 * 50_000 + 25_000 * 625_000 + 25_000 * 1_000_000
    assert cost_pico(Tokens(1, 1, 50_000, 25_000, 25_000), price) == 500_000 + 2_500_000 + caches


def test_tokens_without_a_price_make_a_usage_unpriced_and_not_cheap() -> None:
    """None where a kind of token was used whose price nobody has published; no matter where none was used."""
    price = found("openrouter/anthropic/claude-opus-4.8").price
    assert price.cache_write_1h is None
    assert cost_pico(Tokens(1, 1, 1, 1, 1), price) is None
    assert cost_pico(Tokens(1, 1, 1, 1, 0), price) == 5_000_000 + 25_000_000 + 500_000 + 6_250_000


@pytest.mark.parametrize("kind", pricing.KINDS)
def test_each_kind_of_token_has_its_own_price(kind: str) -> None:
    """No kind is counted as another, and none is free because its price is not known."""
    prices = dict(zip(pricing.KINDS, (2, 3, 5, 7, 11), strict=True))
    assert cost_pico(Tokens(**{kind: 10}), Price(**prices)) == 10 * prices[kind]  # type: ignore[arg-type]
    assert cost_pico(Tokens(**{kind: 10}), Price(**{**prices, kind: None})) is None  # type: ignore[arg-type]
    assert cost_pico(Tokens(), Price(None, None)) == 0


COUNTS = st.one_of(st.integers(0, 20), st.sampled_from(CONTEXT_BANDS), st.integers(0, 700_000))
USAGES = st.builds(Tokens, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
SOME_MODELS = (
    "claude-opus-4-6",
    "claude-sonnet-4-5",
    "claude-sonnet-4-0",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "gpt-5.6-luna",
    "gemini-2.5-pro",
    "gemini-4-argon",
    "openrouter/qwen/qwen3-coder",
    "mistral-large-4",
)


@given(st.lists(st.tuples(st.sampled_from(SOME_MODELS), st.integers(at("2026-01-01"), at("2027-02-01")), USAGES), max_size=30))
def test_sums_by_model_band_and_period_cost_what_their_usages_cost(usages: list[tuple[str, int, Tokens]]) -> None:
    """Usages may be summed, and be priced afterwards: not a pico-dollar is lost, and what is unpriced stays so."""
    sums: dict[tuple[str, int, int | None], list[int]] = defaultdict(lambda: [0] * 5)
    costs: dict[tuple[str, int, int | None], list[int | None]] = defaultdict(list)
    prices: dict[tuple[str, int, int | None], Price] = {}
    for model, time_ms, tokens in usages:
        price = found(model, time_ms)
        begun = max((start for start in pricing.periods(model) if start <= time_ms), default=None)
        assert begun == price.since
        key = (model, band_of(tokens.total_input), begun)
        counts = (tokens.input, tokens.output, tokens.cache_read, tokens.cache_write_5m, tokens.cache_write_1h)
        sums[key] = [before + more for before, more in zip(sums[key], counts, strict=True)]
        costs[key].append(cost_pico(tokens, price.price))
        prices[key] = price.price
    for key, counted in sums.items():
        each = costs[key]
        expected = None if None in each else sum(cost for cost in each if cost is not None)
        assert cost_of_sums(Tokens(*counted), prices[key], key[1]) == expected


@given(st.one_of(st.integers(-(10**15), 10**15), st.integers(-999, 999).map(lambda halves: halves * 500_000)))
def test_micros_round_half_to_even(pico: int) -> None:
    """As Python rounds a fraction, without ever being a float."""
    assert micros(pico) == round(Fraction(pico, 10**6))


@given(COUNTS)
def test_a_band_is_the_highest_threshold_below(total: int) -> None:
    """Every model's tier is decided by the band alone."""
    band = band_of(total)
    assert [total > threshold for threshold in CONTEXT_BANDS] == [band >= threshold for threshold in CONTEXT_BANDS]
    assert band in (0, *CONTEXT_BANDS)


def test_bands_are_the_thresholds_of_all_tiers() -> None:
    """Sorted, each once, and none that no model has."""
    assert list(CONTEXT_BANDS) == sorted({tier.above for each in pricing.models() for one in each for tier in one.price.tiers})
    assert {100_000, 200_000, 272_000} <= set(CONTEXT_BANDS)


# --- Names


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("claude-opus-4-8", "anthropic", "claude-opus-4-8"),
        ("Claude-Opus-4-8", "anthropic", "claude-opus-4-8"),
        ("claude-opus-4-8[1m]", "anthropic", "claude-opus-4-8"),
        ("claude-opus-4.8", "anthropic", "claude-opus-4-8"),
        ("anthropic/claude-opus-4-8", "anthropic", "claude-opus-4-8"),
        ("anthropic/claude-opus-4.8", "anthropic", "claude-opus-4-8"),
        ("claude-opus-4-8:fast", "anthropic", "claude-opus-4-8:fast"),
        ("claude-opus-4-8[1m]:fast", "anthropic", "claude-opus-4-8:fast"),
        ("anthropic/claude-opus-4.8:fast", "anthropic", "claude-opus-4-8:fast"),
        ("claude-sonnet-4-20250514", "anthropic", "claude-sonnet-4-0"),
        ("claude-haiku-4-5-20251001", "anthropic", "claude-haiku-4-5"),
        ("claude-sonnet-4-5@20250929", "google", "claude-sonnet-4-5"),
        ("vertex_ai/claude-sonnet-4-5@20250929", "google", "claude-sonnet-4-5"),
        ("vertex_ai/claude-sonnet-5", "anthropic", "claude-sonnet-5"),
        ("azure/gpt-4o", "openai", "gpt-4o"),
        ("anthropic.claude-opus-4-8-v1:0", "aws", "regional.anthropic.claude-opus-4-8-v1:0"),
        ("us.anthropic.claude-opus-4-8-v1:0", "aws", "regional.anthropic.claude-opus-4-8-v1:0"),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws", "regional.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("global.anthropic.claude-opus-4-5-20251101-v1:0", "aws", "global.anthropic.claude-opus-4-5-v1:0"),
        ("us.anthropic.claude-opus-4-8[1m]", "aws", "regional.anthropic.claude-opus-4-8-v1:0"),
        ("bedrock/claude-opus-5", "aws", "regional.anthropic.claude-opus-5"),
        ("openrouter/anthropic/claude-opus-4.8", "openrouter", "anthropic/claude-opus-4.8"),
        ("openrouter/anthropic/claude-opus-4.8:batch", "openrouter", "anthropic/claude-opus-4.8:batch"),
        ("anthropic/claude-opus-5-20260723", "openrouter", "anthropic/claude-opus-5"),
        ("github-copilot/claude-opus-4.8", "github-copilot", "claude-opus-4.8"),
        ("gemini/gemini-2.5-pro", "google", "gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "google", "gemini-2.5-pro"),
        ("gpt-4o-2024-08-06", "openai", "gpt-4o"),
        ("gpt-4o-2024-05-13", "openai", "gpt-4o-2024-05-13"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-8-v1:0",
            "aws",
            "regional.anthropic.claude-opus-4-8-v1:0",
        ),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
            "aws",
            "regional.anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
        ("<synthetic>", "claude-code", "<synthetic>"),
    ],
)
def test_a_listed_name_means_one_model_of_one_provider(name: str, provider: str, model: str) -> None:
    """Routes, regions, versions and dates are understood, and a route with a price of its own has that price."""
    price = found(name)
    assert (price.provider, price.model) == (provider, model)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "claude",
        "claude-opus",
        "claude-opus-4-8-20260401",
        "claude-opus-4-80",
        "claude-opus-4-8-v2:0",
        "claude-opus-4-8:fastest",
        "my-claude-opus-4-8",
        "claude-opus-6",
        "gpt-4o-2024-05-14",
        "azure/o1:batch",
        "gpt-4o-2024",
        "somewhere/claude-opus-4-8",
        "anthropic/anthropic/claude-opus-4-8",
        "openrouter/claude-opus-4-8",
        "groq/claude-opus-4-8",
        "us.us.anthropic.claude-opus-4-8",
        "mars.anthropic.claude-opus-4-8",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
        "arn:aws:bedrock:us-east-1:1:application-inference-profile/us.anthropic.claude-opus-4-8-v1:0",
        "arn:aws:bedrock:us-east-1:1:inference-profile/claude",
        "arn:aws:bedrock:us-east-1:1:inference-profile",
        "llama3.3:70b",
        "gpt-oss-120b",
        "openai/gpt-oss-120b",
        "deepseek-chat",
        "deepseek/deepseek-chat",
        "synthetic",
        "x" * 100_000,
        "claude-opus-4-8 ",
        "claude-opus-4-8[2m]",
    ],
)
def test_a_name_that_is_not_listed_has_no_price(name: str) -> None:
    """Neither that of its family, nor that of the longest name it begins with, nor 0."""
    assert find(name, NOW) is None
    assert find("claude-opus-4", NOW) is not None
    assert find("gpt-4", NOW) is not None


def test_models_that_are_left_out_say_why() -> None:
    """A known model without a price is told from a misspelt one."""
    assert pricing.why_left_out("deepseek/deepseek-chat") == "its price depends on the hour of the day"
    assert "weights are open" in (pricing.why_left_out("gpt-oss-120b") or "")
    assert pricing.why_left_out("claude-opus-4-8") is None
    assert pricing.why_left_out("nobody-knows") is None


def test_every_name_of_the_table_is_found_as_it_is_listed() -> None:
    """Each model under its shortest name, and each alias behind its provider, means that model and no other."""
    for each in pricing.models():
        newest = each[-1]
        assert find(pricing.shortest_name(newest), at("2030-01-01")) == newest
    for provider, model, others in price_table.ALIASES:
        for other in others:
            assert pricing.history(f"{provider}/{other}") == pricing.history(f"{provider}/{model}")


# --- Dates


def test_a_price_holds_from_its_first_millisecond_in_utc() -> None:
    """The day of a price begins at midnight in UTC, and not at that of whoever runs this."""
    begun = at("2026-10-07")
    assert (found("claude-sonnet-5-5", begun - 1).price.cache_read, found("claude-sonnet-5-5", begun).price.cache_read) == (
        200_000,
        100_000,
    )
    assert (found("claude-sonnet-5-5", begun).since, found("claude-sonnet-5-5", begun - 1).since) == (begun, None)
    assert pricing.periods("claude-sonnet-5-5") == (begun,)
    assert pricing.periods("claude-opus-4-8") == pricing.periods("nobody-knows") == ()


def test_before_its_first_price_a_model_has_none() -> None:
    """A price that is known from a day on is not that of the time before it."""
    assert find("claude-opus-4-8:batch", at("2026-10-13")) is None
    assert found("claude-opus-4-8:batch", at("2026-10-14")).price.input == 2_500_000


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-fable-5", (10, 12.5, 20, 1, 50)),
        ("claude-mythos-5", (10, 12.5, 20, 1, 50)),
        ("claude-fable-5-1", (10, 12.5, 20, 0.25, 50)),
        ("claude-mythos-5-1", (10, 12.5, 20, 0.25, 50)),
        ("claude-opus-5", (5, 6.25, 10, 0.5, 25)),
        ("claude-opus-4-8", (5, 6.25, 10, 0.5, 25)),
        ("claude-opus-4-7", (5, 6.25, 10, 0.5, 25)),
        ("claude-opus-4-6", (5, 6.25, 10, 0.5, 25)),
        ("claude-opus-4-5", (5, 6.25, 10, 0.5, 25)),
        ("claude-opus-5-5", (4, 5, 8, 0.2, 20)),
        ("claude-opus-4-1", (15, 18.75, 30, 1.5, 75)),
        ("claude-opus-4", (15, 18.75, 30, 1.5, 75)),
        ("claude-sonnet-5", (2, 2.5, 4, 0.2, 10)),
        ("claude-sonnet-4-6", (3, 3.75, 6, 0.3, 15)),
        ("claude-sonnet-4-5", (3, 3.75, 6, 0.3, 15)),
        ("claude-sonnet-4", (3, 3.75, 6, 0.3, 15)),
        ("claude-haiku-4-5", (1, 1.25, 2, 0.1, 5)),
        ("claude-3-5-haiku", (0.8, 1, 1.6, 0.08, 4)),
    ],
)
def test_anthropics_prices_are_those_that_were_written_down_by_hand(model: str, expected: tuple[float, ...]) -> None:
    """All five of each, from notes of August and September 2026; the one-hour write of Opus 5.5, which they lack, is 8."""
    assert five(model, at("2026-09-15")) == tuple(int(Decimal(str(dollars)) * 10**6) for dollars in expected)


# --- Overrides


def test_an_override_wins_for_all_times_and_names_and_can_be_undone() -> None:
    """Set for the model's own name, it holds for each of its names at that provider, and for nobody else's model."""
    before = five("claude-opus-4-8")
    pricing.override("claude-opus-4-8", input=1, output="2.5", cache_read=Decimal("0.000001"), cache_write_5m=0.1)
    for name in ("claude-opus-4-8", "claude-opus-4-8[1m]", "anthropic/claude-opus-4.8", "CLAUDE-OPUS-4-8"):
        assert five(name, 0) == five(name) == (1_000_000, 100_000, None, 1, 2_500_000)
        assert (found(name).overridden, found(name).source, found(name).provider) == (True, "override", "anthropic")
    assert not found("us.anthropic.claude-opus-4-8").overridden
    assert not found("claude-opus-4-8:fast").overridden
    pricing.remove_override("Claude-Opus-4-8")
    pricing.remove_override("nobody-knows")
    assert (five("claude-opus-4-8"), pricing._at_run_time) == (before, None)


def test_an_override_of_an_alias_is_only_of_that_name() -> None:
    """Who prices one route prices no other."""
    pricing.override("openrouter/anthropic/claude-opus-4.8:beta", input=1, output=1)
    pricing.override("claude-opus-4-8[1m]", input=2, output=2)
    assert found("openrouter/anthropic/claude-opus-4.8:beta").price.input == 1_000_000
    assert not found("openrouter/anthropic/claude-opus-4.8").overridden
    assert (found("claude-opus-4-8[1m]").price.input, found("claude-opus-4-8").price.input) == (2_000_000, 5_000_000)


def test_an_unknown_model_can_be_given_a_price() -> None:
    """A model of one's own, or one that the table leaves out."""
    pricing.override("llama3.3:70b", input=0, output=0)
    pricing.override("deepseek/deepseek-chat", input="0.27", output="1.1")
    assert (found("llama3.3:70b").provider, found("llama3.3:70b").model) == ("", "llama3.3:70b")
    assert cost_pico(Tokens(5, 5), found("llama3.3:70b").price) == 0
    assert found("deepseek-chat").price.input == 270_000


def test_what_is_set_at_run_time_wins_over_a_file_and_both_over_the_table() -> None:
    """The nearest word is the last one."""
    file, problems = overrides_of({"claude-opus-4-8": {"input": 7, "output": 7}}, "config.toml")
    assert problems == ()
    price = find("claude-opus-4-8", NOW, file)
    assert price is not None
    assert (found("claude-opus-4-8").price.input, price.price.input, price.source) == (5 * 10**6, 7 * 10**6, "config.toml")
    pricing.override("claude-opus-4-8", input=9, output=9)
    price = find("claude-opus-4-8", NOW, file)
    assert price is not None
    assert (price.price.input, price.source) == (9_000_000, "override")


@pytest.mark.parametrize(
    "amount", [-1, "-0.1", "a lot", "", float("nan"), float("inf"), True, 1_000_001, "1e400", None, [], "0.0000001", "1e-999999"]
)
def test_an_amount_that_is_no_price_is_refused(amount: object) -> None:
    """Nothing is rounded, guessed or half accepted."""
    with pytest.raises(ValueError, match=r"^input is .* Use a number from 0 to 1000000"):
        pricing.override("m", input=amount, output=1)  # type: ignore[arg-type]
    assert find("m", NOW) is None


@given(st.integers(0, 10**12))
def test_an_amount_is_taken_exactly_in_each_of_its_forms(micros_per_million: int) -> None:
    """Text and decimals to the last digit; a float as it is written."""
    dollars = Decimal(micros_per_million) / 10**6
    for amount in (dollars, str(dollars), float(dollars)):
        assert pricing._pico("input", amount) == micros_per_million


def test_a_wrong_entry_of_a_file_costs_no_other() -> None:
    """Each is told in a sentence that says where, why and what to do; the others hold, and the table where one is wrong."""
    overrides, problems = overrides_of(
        {
            "good": {"input": Decimal("0.1"), "output": 1, "cache_read": "0.01", "cache_write_5m": 1, "cache_write_1h": 2},
            "claude-opus-4-8": {"input": -1, "output": 1},
            "half": {"input": 1},
            "misspelt": {"input": 1, "output": 1, "cached_read": 1},
            "flat": 3,
            " ": {"input": 1, "output": 1},
        },
        "/some/config.toml",
    )
    assert dict(overrides.prices) == {"good": Price(100_000, 10**6, 10_000, 10**6, 2 * 10**6)}
    assert found("claude-opus-4-8") == find("claude-opus-4-8", NOW, overrides)
    assert problems == (
        '[prices."claude-opus-4-8"] in /some/config.toml is left out, and the table\'s price stays: input is -1, which is no '
        "price. Use a number from 0 to 1000000, in dollars per million tokens, such as 0.25.",
        '[prices."half"] in /some/config.toml is left out, and the table\'s price stays: output is missing. Give it in dollars '
        "per million tokens, or 0 if it costs nothing.",
        "[prices.\"misspelt\"] in /some/config.toml is left out, and the table's price stays: there is no 'cached_read' in a "
        "price. It may have input, cache_write_5m, cache_write_1h, cache_read, output.",
        '[prices."flat"] in /some/config.toml is left out, and the table\'s price stays: it is no table. Write input = … and '
        "output = … below it, in dollars per million tokens.",
        '[prices." "] in /some/config.toml is left out, and the table\'s price stays: it names no model. Put the name of one '
        "between the quotes.",
    )


def test_overrides_never_change() -> None:
    """Each change makes another one, so that whoever reads sees one state or the other."""
    first = Overrides()
    second = first.with_price("M", Price(1, 1))
    assert (bool(first), dict(second.prices), dict(second.without("m").prices)) == (False, {"m": Price(1, 1)}, {})
    with pytest.raises(TypeError):
        second.prices["m"] = Price(2, 2)  # type: ignore[index]


def test_threads_that_override_at_once_lose_nothing() -> None:
    """Every change of every thread is there afterwards."""

    def change(thread: int) -> None:
        for number in range(200):
            pricing.override(f"{thread}-{number}", input=thread, output=number)
            if number % 2:
                pricing.remove_override(f"{thread}-{number}")

    threads = [threading.Thread(target=change, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pricing._at_run_time is not None
    left = {f"{thread}-{number}" for thread in range(4) for number in range(0, 200, 2)}
    assert set(pricing._at_run_time.prices) == left
