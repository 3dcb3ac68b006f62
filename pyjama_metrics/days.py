"""Where the day begins."""

from __future__ import annotations

import time


def local_midnight(now: float) -> int:
    """The beginning of the day of ``now`` (seconds since the epoch) where this machine is, in ms since the epoch."""
    day = time.localtime(now)
    return int(time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1)) * 1000)
