"""Rollouts of Codex, read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pyjama_metrics.sessions.codex_rollouts import Rollout, matters
from pyjama_metrics.sessions.facts import Fact
from pyjama_metrics.storage import json


class Rollouts:
    """Reads the lines of one rollout: a `pyjama_metrics.sessions.digests.Reader`."""

    def __init__(self, state: Any) -> None:
        """Args:
        state: what `state` answered after the lines before; None for none.
        """
        self._rollout = Rollout(state)

    def begin_anew(self) -> None:
        """What comes next is the first line."""
        self._rollout = Rollout()

    def read(self, buffer: bytearray, begin: int, end: int) -> Iterator[tuple[str, str | None, list[Fact]]]:
        """What whole lines in some memory tell: (session, subagent, facts)."""
        rollout, told = self._rollout, list[Fact]()
        while begin < end:
            stop = buffer.index(b"\n", begin, end)
            if matters(buffer, begin, stop):
                with suppress(ValueError):  # half a line, which a program that was killed left behind
                    told += rollout.facts_of(json.loads(bytes(memoryview(buffer)[begin:stop])))
            begin = stop + 1
        yield rollout.session, rollout.thread if rollout.parent else None, told

    def state(self) -> Any:
        """What is needed to go on, as plain JSON."""
        return self._rollout.state()
