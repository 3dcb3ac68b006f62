"""How durations are kept in the database: the buckets of `pyjama_metrics.histogram` as a few bytes that can be added up.

A blob is the width of its counts (1, 2, 4 or 8 bytes), the bucket numbers as 16-bit integers, and their counts, little-endian.
No blob at all (NULL) stands for no durations. Durations of 0 are counted in a bucket of their own, `ZERO`.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from math import frexp

from pyjama_metrics.histogram import OCTAVE, SCALE, SMALLEST_MS, Histogram

NS = 1_000_000
"""Nanoseconds in a millisecond: the least and the greatest duration of a row are whole numbers of these, which take less room."""
ZERO = -(2**15)
"""The bucket of durations that are 0; no other is that low."""

_WIDTHS = ((1, "B", 2**8), (2, "H", 2**16), (4, "I", 2**32), (8, "Q", 2**64))
_CODES = {width: code for width, code, _ in _WIDTHS}
_PER_OCTAVE = 1 << SCALE


def buckets_of(durations: list[float]) -> list[int]:
    """The bucket of each of some valid durations in milliseconds, in no particular order."""
    if not durations:
        return []
    zeros: list[int] = []
    if min(durations) < SMALLEST_MS:
        zeros = [ZERO] * durations.count(0)
        durations = [duration if duration > SMALLEST_MS else SMALLEST_MS for duration in durations if duration]
    # histogram.bucket_of() written out: a call for each duration would take longer than all the rest.
    octave, search = OCTAVE, bisect_left
    return zeros + [(exponent - 1) * _PER_OCTAVE + search(octave, mantissa) for mantissa, exponent in map(frexp, durations)]


def packed(buckets: list[int]) -> bytes | None:
    """Bucket numbers, one for each duration, as a blob."""
    return _packed(Counter(buckets)) if buckets else None


def _packed(counts: Mapping[int, int]) -> bytes:
    most = max(counts.values())
    width, code = next((width, code) for width, code, bound in _WIDTHS if most < bound)
    return struct.pack(f"<B{len(counts)}h{len(counts)}{code}", width, *counts, *counts.values())


def unpacked(blob: bytes | None) -> dict[int, int]:
    """The counts by their buckets. Raises ValueError for what is no blob of ours."""
    if not blob:
        return {}
    width = blob[0]
    if width not in _CODES or (len(blob) - 1) % (2 + width):
        raise ValueError("these are no buckets")
    count = (len(blob) - 1) // (2 + width)
    values = struct.unpack(f"<B{count}h{count}{_CODES[width]}", blob)
    return dict(zip(values[1 : count + 1], values[count + 1 :], strict=True))


def merged(one: bytes | None, other: bytes | None) -> bytes | None:
    """Two blobs added up; called by the database where a row is there already."""
    if not one or not other:
        return one or other
    counts = unpacked(one)
    for bucket, count in unpacked(other).items():
        counts[bucket] = counts.get(bucket, 0) + count
    return _packed(counts)


class Merge:
    """The sum of many blobs, as an aggregate of the database."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def step(self, blob: bytes | None) -> None:
        """Add one more."""
        counts = self._counts
        for bucket, count in unpacked(blob).items():
            counts[bucket] = counts.get(bucket, 0) + count

    def finalize(self) -> bytes | None:
        """What they add up to."""
        return _packed(self._counts) if self._counts else None


def histogram_of(timed: int, total_us: int, least_ns: int | None, most_ns: int | None, blob: bytes | None) -> Histogram:
    """What a row of the database says about durations, as everything else here understands it."""
    counts = unpacked(blob)
    zero = counts.pop(ZERO, 0)
    return {
        "n": timed,
        "zero": zero,
        "sum-us": total_us,
        "min-ms": None if least_ns is None else least_ns / NS,
        "max-ms": None if most_ns is None else most_ns / NS,
        "buckets": {str(bucket): count for bucket, count in counts.items()},
    }
