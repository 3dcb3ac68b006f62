"""The views as such: each field explains itself, in the page, in JSON and in the document; nobody changes one."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import pytest

from pyjama_metrics import views
from pyjama_metrics.dashboard import past_views
from pyjama_metrics.queries import dashboard, log_view
from pyjama_metrics.views import ErrorView, as_json, help_texts, json_name

ANSWERS = (Path(__file__).parent.parent / "docs" / "http-data.md").read_text(encoding="utf-8")
MODULES = (views, past_views)
VIEWS = [
    view for module in MODULES for view in vars(module).values() if is_dataclass(view) and view.__module__ == module.__name__
]


def test_names_in_json_are_kebab_case_and_names_that_users_gave_stay() -> None:
    """``global_`` is ``global``; a tool called ``read_file`` is not renamed."""
    assert [json_name(name) for name in ("avg_duration_ms", "global_", "p95_ms")] == [
        "avg-duration-ms",
        "global",
        "p95-ms",
    ]
    state = {"agents": {"my_agent_": {"status": "running"}}, "tools": {"read_file": {"count": 1}}}
    view = as_json(dashboard(state, 5))
    assert (list(view["agents"]), list(view["metrics"]["tools"])) == (["my_agent_"], ["read_file"])
    assert set(view) == {
        "agents",
        "metrics",
        "recent-logs",
        "overview",
        "limits",
        "needs",
        "today",
        "recent",
        "problems",
        "generation",
        "updated",
        "now",
    }
    metrics = {"global", "tools", "runs", "tokens", "models", "phases", "tool-usage", "projects", "hosts", "days"}
    assert set(view["metrics"]) == metrics


def test_an_error_is_a_number_and_a_message_its_text() -> None:
    """One word for one thing in all views: no `error` here that is a text where it is a count there."""
    types = {(each.name, each.type) for view in VIEWS for each in fields(view)}
    assert {kind for name, kind in types if name == "error"} == {"int", "int | None", "list[int]", "list[int | None]"}
    assert {kind for name, kind in types if name == "message"} == {"str", "str | None"}
    assert {name for name, _ in types if name.startswith("error")} == {"error", "error_rate", "errors"}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_each_field_of_each_view_says_what_it_is(view: type) -> None:
    """The page and the document show the sentence; a rate also says out of what."""
    help_of = help_texts(view)
    assert list(help_of) == [each.name for each in fields(view)]
    assert all(f"| `{json_name(name)}` | {text} |\n" in ANSWERS for name, text in help_of.items())
    assert all(text and not text.endswith(".") for text in help_of.values())
    assert all("/" in text and "0 to 1" in text for name, text in help_of.items() if name.endswith("_rate"))
    assert all("ms" in text for name, text in help_of.items() if name.endswith(("_ms", "_time", "duration", "last_seen")))


def test_a_view_cannot_be_changed_or_misspelt() -> None:
    """Whoever gets it may keep it and share it between threads."""
    entry = log_view({"agent-id": "a"})
    with pytest.raises(FrozenInstanceError):
        entry.status = "ok"  # type: ignore[misc]
    assert not hasattr(entry, "__dict__")


def test_a_list_of_views_is_a_list_of_objects() -> None:
    """As the answers have them, in their order."""
    error = ErrorView(time=5, message="gone", tool=None, run="w.1")
    assert as_json({"errors": [error, 7, None]}) == {
        "errors": [{"time": 5, "message": "gone", "tool": None, "run": "w.1"}, 7, None]
    }
