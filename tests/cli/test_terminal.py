from __future__ import annotations

import io

import pytest

from pyjama_metrics.cli import terminal
from pyjama_metrics.cli.terminal import Cell, Column, Screen


class Stream(io.StringIO):
    def __init__(self, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wish about colour or width from outside."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize(
    ("is_terminal", "changes", "coloured"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour_needs_a_terminal_that_wants_it(
    is_terminal: bool, changes: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colour is for terminals; NO_COLOR (unless empty) and TERM=dumb turn it off."""
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    assert Screen(Stream(is_terminal)).colour is coloured


def test_a_status_has_a_shape_beside_its_word() -> None:
    """What the colour says is said without colour too, in ASCII where the encoding has no more."""
    assert Screen(Stream()).status("crashed").text == "✖ crashed"
    assert Screen(Stream(encoding="ascii")).status("crashed").text == "X crashed"


def test_columns_are_aligned_and_names_are_cut_to_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures end in one column, wide characters count twice, and no line is longer than the terminal."""
    monkeypatch.setenv("COLUMNS", "40")
    stream = Stream()
    rows = [["a" * 300, "1"], ["日本語", "23"], [Cell("b"), "456"]]
    Screen(stream).table([Column("NAME", names=True), Column("COUNT", right=True)], rows)
    lines = stream.getvalue().splitlines()
    assert [terminal.display_width(line) for line in lines] == [40, 40, 40, 40]
    assert lines[1].startswith("a" * 32 + "…")
    assert [line[-3:] for line in lines[1:]] == ["  1", " 23", "456"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\nb", "a\\nb"), ("\x1b[2Jx", "\\x1b[2Jx"), ("\udc80", "\\udc80"), ("\u202egnp", "\\u202egnp"), ("🧑‍💻", "🧑‍💻")],
)
def test_a_name_cannot_steer_the_terminal(name: str, shown: str) -> None:
    """Newlines, escape sequences, text direction and lone surrogates appear as escapes; emoji stay."""
    assert terminal.printable(name) == shown
    assert terminal.cut(name, 60) == shown


def test_a_name_of_a_megabyte_is_cut_at_once() -> None:
    """Only the part that can be shown is looked at."""
    assert terminal.cut("é" * 1_000_000, 10) == "é" * 9 + "…"


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (terminal.count(999_999), "999,999"),
        (terminal.count(1_234_567), "1.23 M"),
        (terminal.count(5_000_000_000), "5.00 G"),
        (terminal.size(1536), "1.5 KiB"),
        (terminal.duration(0.4567), "0.457 ms"),
        (terminal.duration(45.2), "45 ms"),
        (terminal.duration(1520), "1.52 s"),
        (terminal.duration(61_000), "1 min 1 s"),
        (terminal.duration(None), None),
        (terminal.span(90_000), "25 h 0 min"),
        (terminal.rate(0.999_96), ">99.9 %"),
        (terminal.rate(0.000_04), "<0.1 %"),
        (terminal.rate(1.0), "100 %"),
        (terminal.rate(0.29), "29.0 %"),
        (terminal.rate(None), None),
        (terminal.ago(1_000, 1_500), "just now"),
        (terminal.ago(0, 65_000), "1 min 5 s ago"),
        (terminal.ago(60_000, 0), "1 min 0 s ahead"),
        (terminal.things(1, "error"), "1 error"),
        (terminal.things(0, "entry", "entries"), "0 entries"),
        (terminal.clock(10**17, 0), "100000000000000000 ms"),
    ],
)
def test_figures_are_written_for_people(figure: str | None, text: str | None) -> None:
    """Short, with a unit, and never rounded up to perfection."""
    assert figure == text
