"""The documents are compared with the code, so that neither moves alone."""

from __future__ import annotations

import re
from pathlib import Path

import pyjama_metrics
from pyjama_metrics import fold
from pyjama_metrics.settings import SETTINGS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_every_setting_is_in_the_settings_page_with_its_default() -> None:
    """A setting that nobody can find is no setting."""
    rows = dict(re.findall(r"^\| `(PYJAMA_\w+)` \| (.+?) \|", (DOCS / "settings.md").read_text(), re.M))
    assert {name: default.strip("`") for name, default in rows.items()} == {s.name: s.default for s in SETTINGS}


def test_every_environment_variable_of_the_package_is_a_setting() -> None:
    """No module reads a variable of ours that is not in the table."""
    used = {name for path in ROOT.glob("pyjama_metrics/**/*.py") for name in re.findall(r'"(PYJAMA_[A-Z]+)"', path.read_text())}
    assert used <= {setting.name for setting in SETTINGS}


def test_every_kind_of_event_is_in_the_journal_page() -> None:
    """A journal can be written from another language by reading one page."""
    table = (DOCS / "journal.md").read_text().partition("## Events")[2]
    told = {kind for row in re.findall(r"^\| (`[^|]+) \|", table, re.M) for kind in re.findall(r"`([a-z-]+)`", row)}
    assert told - {"event"} == set(fold.RULES) - {"writer"} | {"tool"}


def test_every_public_name_is_in_the_page_of_the_python_api() -> None:
    """What the front door offers is described."""
    page = (DOCS / "python-api.md").read_text()
    assert [name for name in pyjama_metrics.__all__ if not name.startswith("_") and f"{name}" not in page] == []


def test_every_link_of_the_documents_leads_somewhere() -> None:
    """Links between the pages, and to pictures, are not broken."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("**/*.md"), ROOT / "examples/README.md"]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
