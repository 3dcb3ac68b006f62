"""A bar on stderr for what takes longer than a second; on a terminal only, and gone when it is done."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from pyjama_metrics.cli.terminal import Screen, bar, is_terminal

_AFTER = 1.0
_WIDTH = 24


class Progress:
    """How far some work is. Use it as a context manager; it draws nothing in the first second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = time.monotonic()
        self._is_shown = is_terminal(sys.stderr)
        self._is_drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._is_drawn:
            self._write("\r\x1b[K")

    def at(self, share: float) -> None:
        """Say how much is done, from 0 to 1."""
        if not self._is_shown or time.monotonic() - self._begun < _AFTER:
            return
        screen = Screen(sys.stderr)
        full = bar(share, _WIDTH, screen.shapes)
        rest = ("░" if screen.shapes else ".") * (_WIDTH - len(full))
        self._is_drawn = True
        self._write(f"\r\x1b[K{self._what} {full}{rest} {share:4.0%}")

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            self._is_shown = False  # nobody looks any more; the work goes on
