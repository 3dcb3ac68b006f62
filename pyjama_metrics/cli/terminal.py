"""What a terminal can show, and figures written for people.

Colour only on a terminal (``NO_COLOR`` and ``TERM=dumb`` are respected), shapes only where the encoding has
them. Names come from other processes and may hold anything: nothing in them reaches the terminal as a
control character.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "grey": "90", "bold": "1"}

# The shape says what the colour says, for people who see no colour and for terminals that have none.
STATUSES = {
    "running": ("●", "*", "green"),
    "waiting": ("◐", "~", "yellow"),
    "completed": ("✓", "+", "green"),
    "success": ("✓", "+", "green"),
    "ok": ("✓", "+", "green"),
    "failed": ("✗", "x", "red"),
    "error": ("✗", "x", "red"),
    "crashed": ("✖", "X", "red"),
    "stopped": ("■", "-", "grey"),
    "interrupted": ("■", "-", "grey"),
    "cancelled": ("■", "-", "grey"),
    "not-executed": ("■", "-", "grey"),
    "canceled": ("■", "-", "grey"),
    "unknown": ("?", "?", "grey"),
}

_WIDTH_OFF_A_TERMINAL = 160
_NARROWEST_NAME = 8
_GAP = "  "
_ZERO_WIDTH_JOINER = "\u200d"


class Screen:
    """A stream that a command prints on.

    Arguments:
        stream: where to print; None (a closed descriptor) swallows everything, as ``print`` does.

    Attributes:
        colour: whether escape sequences for colour are written.
        shapes: whether the encoding has shapes beyond ASCII.
        width: columns to fill at most.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        terminal = is_terminal(stream)
        self.colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.shapes = (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
        self.width = _terminal_width(terminal)

    def line(self, text: str = "") -> None:
        """Print one line."""
        if self._stream is not None:
            self._stream.write(text + "\n")

    def flush(self) -> None:
        """Hand over what was printed: for lines that somebody waits for."""
        if self._stream is not None:
            self._stream.flush()

    def paint(self, text: str, colour: str) -> str:
        """``text`` in a colour of ``COLOURS``, or as it is where there is none."""
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.colour and colour else text

    def status(self, word: str) -> Cell:
        """A status as shape and word."""
        shape, plain, colour = STATUSES.get(word, ("✗", "x", "red"))
        return Cell(f"{shape if self.shapes else plain} {word}", colour)

    def draw(self, cell: Cell, width: int, pad: int = 0) -> str:
        """A cell in its colour: harmless, cut to ``width`` columns and filled up to ``pad`` columns."""
        text = cut(cell.text, width, self.ellipsis)
        return self.paint(text, cell.colour) + " " * (pad - display_width(text))

    def figure(self, text: str | None) -> str:
        """A figure, or a dash where there is none."""
        return text if text is not None else ("–" if self.shapes else "-")

    @property
    def ellipsis(self) -> str:
        """The mark of a name that was cut."""
        return "…" if self.shapes else "~"

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]]) -> None:
        """Print aligned columns; columns of names give way until a line fits the width."""
        cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
        widths = _fit(columns, cells, self.width)
        self.line(_row([Cell(c.title, "grey") for c in columns], columns, widths, self))
        for row in cells:
            self.line(_row(row, columns, widths, self))


@dataclass(frozen=True, slots=True)
class Cell:
    """Text with an optional colour of ``COLOURS``."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, whether figures stand at its right edge, and whether it holds names that may be
    cut.
    """

    title: str
    right: bool = False
    names: bool = False


def _row(cells: Sequence[Cell], columns: Sequence[Column], widths: Sequence[int], screen: Screen) -> str:
    parts = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        text = cut(cell.text, width, screen.ellipsis)
        padding = " " * (width - display_width(text))
        painted = screen.paint(text, cell.colour)
        parts.append(padding + painted if column.right else painted + padding)
    return _GAP.join(parts).rstrip()


def _fit(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], available: int) -> list[int]:
    """The width of each column: its widest cell; the widest columns of names shrink until a line fits."""
    widths = [
        max([display_width(column.title), *(display_width(cut(row[i].text, available)) for row in rows)])
        for i, column in enumerate(columns)
    ]
    names = [i for i, column in enumerate(columns) if column.names]
    while names and sum(widths) + len(_GAP) * (len(widths) - 1) > available:
        widest = max(names, key=lambda i: widths[i])
        if widths[widest] <= _NARROWEST_NAME:
            break
        widths[widest] -= 1
    return widths


def _terminal_width(terminal: bool) -> int:
    if terminal or os.environ.get("COLUMNS", "").isdigit():
        return max(40, shutil.get_terminal_size().columns)
    return _WIDTH_OFF_A_TERMINAL


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person sits at the other end of ``stream``."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def complain(message: str) -> None:
    """One sentence on stderr, after the name of the program; silent where stderr is closed."""
    if sys.stderr is None:
        return  # print(file=None) would write to stdout instead
    try:
        sys.stderr.write(f"pyjama-metrics: {printable(message)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        # There is nobody left to tell; the exit code still says it.
        return


def printable(text: str) -> str:
    """``text`` on one line, with every control character, lone surrogate and the like as its escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == _ZERO_WIDTH_JOINER else c.encode("unicode_escape").decode() for c in text)


def display_width(text: str) -> int:
    """How many columns a terminal needs for ``text``."""
    if text.isascii():
        return len(text)
    return sum(_character_width(c) for c in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or character in (_ZERO_WIDTH_JOINER, "\ufe0f"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """``text`` made printable and at most ``width`` columns wide; what was cut is marked."""
    # A name may be a megabyte long: only the part that could be shown is looked at.
    text = printable(text[: 4 * width + 4])
    if display_width(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += _character_width(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + ellipsis


def count(number: int) -> str:
    """A number of things: exact with separators below a million, then three digits and a unit."""
    for limit, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if abs(number) >= limit:
            return f"{number / limit:,.2f} {unit}"
    return f"{number:,}"


def things(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 error", "2 errors"."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def dollars(micros: int) -> str:
    """An amount in millionths of a dollar, to the last of them that is not 0.

    >>> dollars(1_250_000), dollars(42)
    ('$1.25', '$0.000042')
    """
    whole, rest = divmod(micros, 1_000_000)
    return f"${whole:,}.{f'{rest:06}'.rstrip('0'):0<2}"


def bar(share: float, width: int, shapes: bool) -> str:
    """A share of 1 as a bar of at most so many columns; anything above none is at least a sliver.

    >>> bar(0.5, 4, True), bar(0.3, 4, True), bar(0.5, 4, False), bar(0.001, 4, True), bar(0, 4, True)
    ('██', '█▎', '##', '▏', '')
    """
    share = min(max(share, 0.0), 1.0)
    if not shapes:
        return "#" * max(round(share * width), int(share > 0))
    whole, eighths = divmod(max(round(share * width * 8), int(share > 0)), 8)
    return "█" * whole + ("▏▎▍▌▋▊▉"[eighths - 1] if eighths else "")


def size(number: int) -> str:
    """A number of bytes."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"


def duration(milliseconds: float | None) -> str | None:
    """A length of time, from milliseconds; None stays None."""
    if milliseconds is None:
        return None
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds:.3g} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    return span(seconds)


def span(seconds: float) -> str:
    """A length of time in whole units: "42 s", "5 min 3 s", "2 h 10 min", "3 days"."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400:,} days"


def ago(then_ms: int | None, now_ms: int) -> str | None:
    """How long ago a moment was; both in milliseconds since the epoch."""
    if then_ms is None:
        return None
    seconds = (now_ms - then_ms) / 1000
    if seconds < -2:
        return f"{span(-seconds)} ahead"
    return "just now" if seconds < 2 else f"{span(seconds)} ago"


def rate(share: float | None) -> str | None:
    """A share of 1 as a percentage, as the page writes it: only all is "100 %", and only none is "0 %"."""
    if share is None or share in (0, 1):
        return None if share is None else f"{share:.0%}".replace("%", " %")
    if not 0.0005 <= share <= 0.9995:
        return "<0.1 %" if share < 0.5 else ">99.9 %"
    return f"{share * 100:.1f} %"


def clock(then_ms: int, now_ms: int) -> str:
    """A moment in local time: the time alone today, with its date otherwise."""
    try:
        moment, today = datetime.fromtimestamp(then_ms / 1000), datetime.fromtimestamp(now_ms / 1000).date()
    except (OverflowError, ValueError, OSError):
        return f"{then_ms} ms"  # beyond what a calendar can say: somebody's clock was absurd
    time = moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
    return time if moment.date() == today else f"{moment:%Y-%m-%d} {time}"
