"""`track_tool` around an empty function, beside the bare call."""

from __future__ import annotations

import sys

from bench import main
from interleave import Subject, Turn, Turns, blocks, difference, interleave
from rows import Row, Spread
from sandbox import PATIENCE

from pyjama_metrics import flush, track_agent, track_tool

BLOCK = 2_000
REACH_US = 8.0


def empty() -> None:
    """Do nothing."""


tracked = track_tool("empty")(empty)


def bare_calls(calls: int) -> None:
    """Call the function itself."""
    for _ in range(calls):
        empty()


def decorated_calls(calls: int) -> None:
    """Call the decorated function; its agent is the one around it."""
    for _ in range(calls):
        tracked()


def managed_calls(calls: int) -> None:
    """Call the function inside the context manager."""
    for _ in range(calls):
        with track_tool("empty"):
            empty()


def settle() -> None:
    """Fold what was recorded, so that the bare call's turn does not pay for it."""
    flush(PATIENCE)


def measure(quick: bool) -> list[Row]:
    """Answer the rows, from one run in which all take turns in this process."""
    subjects = [
        Subject("bare", bare_calls, BLOCK, 0.2),
        # Ours last longer, so that the folder thread gets its turns in them: it folds every 100 ms.
        Subject("decorated", decorated_calls, BLOCK, 1.2, settle),
        Subject("managed", managed_calls, BLOCK, 1.2, settle),
    ]
    with track_agent("agent"):
        turns = interleave(subjects, rounds=2 if quick else 16)
    return [
        _row(turns, "decorated", "@track_tool around an empty function", REACH_US),
        _row(turns, "managed", "with track_tool(...) around it", None),
    ]


def _medians(turns: list[Turn]) -> list[float]:
    return [turn.median for turn in turns]


def _row(turns: Turns, name: str, what: str, reach: float | None) -> Row:
    value = difference(_medians(turns[name]), _medians(turns["bare"]))
    return Row(
        what=what,
        ours=Spread.of(blocks(turns[name]), "µs"),
        beside="the bare call",
        rival=Spread.of(blocks(turns["bare"]), "µs"),
        measured=f"+{value:.2f} µs",
        value=value,
        reach="-" if reach is None else f"≤ +{reach:g} µs",
        reached=None if reach is None else value <= reach,
    )


if __name__ == "__main__":
    sys.exit(main("tracking", __doc__))
