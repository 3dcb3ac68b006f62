"""The page of ``pyjama-metrics export`` in a real browser: alone, offline, in both themes, on a laptop and on half of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics import reports
from pyjama_metrics.report_files import page as exported_page
from tests import a_week
from tests.journals import leave_journal

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

WIDER = """() => {
    const places = document.querySelectorAll("main, section:not(:has(.scroll)), .tile, svg");
    return [...places].filter(place => place.scrollWidth > place.clientWidth + 1).length }"""
CONTRAST = """() => {
    const linear = part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
    const light = colour => {
        const [red, green, blue] = colour.match(/[0-9.]+/g).map(value => linear(value / 255));
        return .2126 * red + .7152 * green + .0722 * blue };
    const behind = element => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : colour };
    const texts = document.querySelectorAll("h1, h2, p, td, th, small, strong, li, .label, .below, footer");
    return Math.min(...[...texts].map(text => {
        const [one, other] = [light(getComputedStyle(text).color), light(behind(text))].sort((x, y) => y - x);
        return (one + .05) / (other + .05) })) }"""


@pytest.fixture
def file(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The exported page of `a_week`, with names that want to be more than names."""
    hostile = ["<img src=x onerror=alert(1)>", "W" * 400, "</title><script>alert(2)</script>"]
    leave_journal(home, "w-2-b", *[a_week.call(a_week.at(28, 9), name, 1000, 0, phase=name, tool=name) for name in hostile])
    a_week.lived(home, tmp_path, monkeypatch)
    found = reports.export_report(
        a_week.BEGIN, a_week.END, made=a_week.NOW, zone=a_week.BERLIN, overrides=a_week.prices(), agent=None
    )
    path = tmp_path / "week.html"
    path.write_text(exported_page.export(found), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 800, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_alone_and_offline(chromium: Browser, file: Path, width: int, scheme: str) -> None:
    """No complaint, no request but for itself, nothing wider than its place, every text readable; and it prints."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    try:
        tab = context.new_page()
        complaints: list[str] = []
        asked: list[str] = []
        tab.on("console", lambda said: complaints.append(said.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(file.as_uri())
        assert (complaints, asked) == ([], [file.as_uri()])
        assert tab.title() == "What the agents cost: 2025-10-25 to 2025-10-28, Europe/Berlin"
        assert tab.locator("svg g").count() == 8
        assert tab.locator("h2").all_inner_texts()[:4] == ["Cost by day", "Executions of tools by day", "Agents", "Models"]
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate(WIDER) == 0
        assert tab.evaluate(CONTRAST) >= 4.5
        tab.emulate_media(media="print")
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert tab.pdf(format="A4").startswith(b"%PDF")
    finally:
        context.close()
