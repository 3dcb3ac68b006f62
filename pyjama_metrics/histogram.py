"""Latency histograms that merge exactly: plain dicts, ready for JSON.

A histogram is ``{"n", "zero", "sum-us", "min-ms", "max-ms", "buckets": {"k": count}}``. Values are durations
in milliseconds; bucket ``k`` (a decimal string, as JSON wants keys) counts the values in
``(2**((k-1)/32), 2**(k/32)]``, ``zero`` counts the values that are 0, and ``n`` counts all of them. These are
the bounds of a Prometheus native histogram of schema 5, where the index is ``k``, and of an OTLP exponential
histogram of scale 5, where it is ``k - 1`` because OTLP numbers a bucket by its lower bound.

All sums are sums of integers, so values may be added in any order and in any pieces: the dict is the same.
Nothing here knows files or clocks, and nothing is safe against threads: a histogram belongs to whoever folds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from math import ceil, frexp, isqrt, ldexp
from typing import TypedDict, TypeGuard

SCALE = 5
"""Each power of two is divided into ``2**SCALE`` buckets, as OTLP and Prometheus call it."""

SMALLEST_MS = 1e-6
"""Shorter durations (but not 0) are counted in the bucket of this one: a picosecond is no measurement."""

LARGEST_MS = 1e10
"""Longest duration that is believed, in milliseconds: about 115 days."""

LARGEST_SUM_US = 2**53 - 1
"""Where ``sum-us`` stops: the largest integer that every JSON reader, JavaScript too, holds exactly."""

Histogram = TypedDict(
    "Histogram",
    {
        "n": int,
        "zero": int,
        "sum-us": int,
        "min-ms": float | None,
        "max-ms": float | None,
        "buckets": dict[str, int],
    },
)
"""The JSON form; ``min-ms`` and ``max-ms`` are None while ``n`` is 0."""

_PER_OCTAVE = 1 << SCALE


def _octave_bound(step: int) -> float:
    """The largest float that is not above ``2**(step/32 - 1)``, for ``step`` in 0 … 31.

    Integer square roots round down exactly, and five of them make a 32nd root. A logarithm or a power would
    be off by a bit at some of the bounds, and differently on another machine.
    """
    mantissa = 1 << (52 * _PER_OCTAVE + step)
    for _ in range(SCALE):
        mantissa = isqrt(mantissa)
    return ldexp(mantissa, -53)


# frexp() divides a float into a mantissa in [0.5, 1) and a power of two without rounding, so comparing the
# mantissa with these 32 numbers is exact for each float: a power of two lands in the bucket that it closes.
OCTAVE = tuple(_octave_bound(step) for step in range(_PER_OCTAVE))


def empty() -> Histogram:
    """A histogram of no values."""
    return {"n": 0, "zero": 0, "sum-us": 0, "min-ms": None, "max-ms": None, "buckets": {}}


def valid_duration(ms: object) -> TypeGuard[float]:
    """Whether ``ms`` may be added: a finite number (not a bool) from 0 to ``LARGEST_MS``."""
    # NaN fails both comparisons, the infinities fail one of them.
    return type(ms) in (float, int) and 0 <= ms <= LARGEST_MS  # type: ignore[operator]


def bucket_of(ms: float) -> int:
    """The bucket of a valid duration above 0: the smallest ``k`` with ``ms <= 2**(k/32)``."""
    mantissa, exponent = frexp(max(ms, SMALLEST_MS))
    return (exponent - 1) * _PER_OCTAVE + bisect_left(OCTAVE, mantissa)


def bounds(k: int) -> tuple[float, float]:
    """The bounds of bucket ``k`` in milliseconds: the lower one is outside, the upper one inside."""
    return _upper_bound(k - 1), _upper_bound(k)


def _upper_bound(k: int) -> float:
    octave, step = divmod(k, _PER_OCTAVE)
    return ldexp(OCTAVE[step], octave + 1)


def add_many(histogram: Histogram, values: list[float]) -> None:
    """Add durations in milliseconds, each of which must pass `valid_duration`; the list is not changed."""
    if not values:
        return
    low, high = min(values), max(values)
    zero = 0 if low else values.count(0.0)
    microseconds = sum([round(value * 1000) for value in values])
    _add(histogram, len(values), zero, microseconds, low, high)
    if low < SMALLEST_MS:
        values = [value if value > SMALLEST_MS else SMALLEST_MS for value in values if value]
    # bucket_of() written out, its subtraction left for the few different keys at the end: a call for each
    # value would take longer than all the rest.
    octave, search = OCTAVE, bisect_left
    found = Counter([(exponent << SCALE) + search(octave, mantissa) for mantissa, exponent in map(frexp, values)])
    buckets = histogram["buckets"]
    for k, count in found.items():
        key = str(k - _PER_OCTAVE)
        buckets[key] = buckets.get(key, 0) + count


def merge(into: Histogram, other: Histogram) -> None:
    """Add everything that ``other`` holds to ``into``; ``other`` is not changed."""
    low, high = other["min-ms"], other["max-ms"]
    if low is None or high is None:
        return
    _add(into, other["n"], other["zero"], other["sum-us"], low, high)
    buckets = into["buckets"]
    for key, count in other["buckets"].items():
        buckets[key] = buckets.get(key, 0) + count


def _add(histogram: Histogram, n: int, zero: int, microseconds: int, low: float, high: float) -> None:
    histogram["n"] += n
    histogram["zero"] += zero
    # Once at the limit it stays there, whatever comes in which order.
    histogram["sum-us"] = min(histogram["sum-us"] + microseconds, LARGEST_SUM_US)
    # "+ 0.0" makes a float of an int and 0.0 of -0.0: the same figures are then the same bytes in the file.
    low_so_far, high_so_far = histogram["min-ms"], histogram["max-ms"]
    histogram["min-ms"] = low + 0.0 if low_so_far is None else min(low_so_far, low + 0.0)
    histogram["max-ms"] = high + 0.0 if high_so_far is None else max(high_so_far, high + 0.0)


def quantile(histogram: Histogram, q: float) -> float | None:
    """The nearest-rank quantile in milliseconds (``q=0.95``: p95), or None when there are no values.

    It is at most 1.1 % away from the true one (for durations from `SMALLEST_MS`); the first and the last rank
    are the true minimum and maximum. Raises ValueError for a ``q`` outside 0 … 1.
    """
    return quantiles(histogram, (q,))[0]


def quantiles(histogram: Histogram, wanted: Iterable[float]) -> list[float | None]:
    """`quantile` for several ``q``, in their order, sorting the buckets once."""
    ordered = sorted((int(key), count) for key, count in histogram["buckets"].items())
    return [_nearest_rank(histogram, ordered, q) for q in wanted]


def _nearest_rank(histogram: Histogram, ordered: list[tuple[int, int]], q: float) -> float | None:
    if not 0 <= q <= 1:
        raise ValueError(f"A quantile is asked for as a number from 0 to 1 (p95 is 0.95), not {q!r}.")
    n, low, high = histogram["n"], histogram["min-ms"], histogram["max-ms"]
    if low is None or high is None:
        return None
    # 0.07 * 100 is 7.000000000000001, but the 7th value is meant.
    rank = ceil(round(q * n, 6))
    if rank <= 1:
        return low
    if rank >= n:
        return high
    passed = histogram["zero"]
    if rank <= passed:
        return 0.0
    for k, count in ordered:
        passed += count
        if rank <= passed:
            # The geometric middle is equally far, as a ratio, from both bounds: 2**(1/64), that is 1.1 %.
            return float(min(max(2.0 ** ((k - 0.5) / _PER_OCTAVE), low), high))
    return high
