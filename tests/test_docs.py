"""The documents are compared with the code, so that neither moves alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyjama_metrics
from pyjama_metrics import fold
from pyjama_metrics.settings import SETTINGS
from pyjama_metrics.state import new_state

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


class Watched(dict[str, Any]):
    """An event that remembers which of its fields were read."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)


OF_A_TYPE = {"steps": ["one"], "labels": {"k": "v"}, "count": 1, "duration-ms": 1.0, "log": True, "pid": 1, "process-start": 1}
OF_A_TYPE |= {"times": [1], "context-window": 1, "context-percent": 1.0, "cost-usd": 1.0, "limits": {"five-hour": [42.0, 1]}}
OF_A_TYPE |= {"rows": [[1, 0, "reported", "m", None, None, [1] * 8]]}
KEPT_FOR_OTHERS = {"detected"}
"""Fields that are in the journal for whoever else reads it; the fold has no use for them."""


def fields_read(kind: str, names: set[str]) -> set[str]:
    """The fields that the fold reads of an event which has all of ``names``, each of its type."""
    values = {name: OF_A_TYPE.get(name, 1 if name.endswith(("-tokens", "-micros")) else "text") for name in names}
    event, state = Watched({"event": kind, "time": 1, "agent": "a", "run": "w.1", **values}), new_state()
    fold.fold(state, "w.0.jsonl", [event], {})
    assert state["problems"].pop("lost-events") == (kind == "lost")
    assert not any(state["problems"].values()), (kind, state["problems"])
    return event.read


def test_the_fields_in_the_journal_page_are_those_that_the_fold_reads() -> None:
    """Each row names all that its kinds of event may have, and nothing else; what every event may have is in the text."""
    events = (DOCS / "journal.md").read_text().partition("## Events")[2]
    of_every_event = {"event", "time", "agent", "run", "invalid"}
    assert [name for name in of_every_event if f"`{name}`" not in events] == []
    rows = re.findall(r"^\| (`[^|]+) \|([^|]*)\|", events, re.M)[1:]
    for kinds, fields in rows:
        named = set(re.findall(r"`([a-z0-9-]+)`", re.sub(r"\(.*?\)", "", fields)))
        read = set().union(*(fields_read(kind, named) for kind in re.findall(r"`([a-z-]+)`", kinds)))
        assert (kinds, read - of_every_event) == (kinds, named - KEPT_FOR_OTHERS)


def test_every_public_name_is_in_the_page_of_the_python_api() -> None:
    """What the front door offers is described."""
    page = (DOCS / "python-api.md").read_text()
    calls = [name for name in pyjama_metrics.__all__ if not name.startswith("_")]
    assert [name for name in calls if not re.search(rf"\b{name}\(", page)] == []


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
