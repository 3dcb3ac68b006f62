"""The colours of the page can be read: each colour of a text on each surface that texts stand on, in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyjama_metrics.dashboard import app as app_module

SHEET = (Path(app_module.__file__).parent / "static" / "base.css").read_text(encoding="utf-8")
TEXTS = ("text", "soft", "accent", "running", "waiting", "repeating", "crashed", "failed", "completed", "stopped", "unknown")
SURFACES = ("ground", "raised", "hover", "alarm", "changed")
LEAST = 4.5
"""The contrast that WCAG 2 asks for texts of this size."""


def colours(theme: str) -> dict[str, str]:
    """The colours of a theme, by their names."""
    start = SHEET.index(":root[data-theme=dark]")
    block = SHEET[start:] if theme == "dark" else SHEET[:start]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """How bright a colour is, from 0 to 1, as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_on_every_surface(theme: str) -> None:
    """At the size of the tables."""
    known = colours(theme)
    pairs = {(text, surface): round(contrast(known[text], known[surface]), 2) for text in TEXTS for surface in SURFACES}
    assert {pair: value for pair, value in pairs.items() if value < LEAST} == {}


def test_both_themes_have_the_same_colours() -> None:
    """None is forgotten in the dark."""
    assert set(colours("light")) == set(colours("dark"))
