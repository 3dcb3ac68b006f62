"""Settings that are more than a text."""

from __future__ import annotations

import pytest

from pyjama_metrics import settings


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (None, set()),
        ("", set()),
        ("0", set()),
        ("nothing", set()),
        ("prompt", {"prompt"}),
        (" Prompt , error,,what", {"prompt", "error"}),
        ("input,output", {"input", "output"}),
        ("all", {"prompt", "input", "output", "error"}),
    ],
)
def test_content_is_kept_only_where_its_name_is_told(monkeypatch: pytest.MonkeyPatch, told: str | None, kept: set[str]) -> None:
    """A word that is none of the four asks for nothing."""
    monkeypatch.delenv("PYJAMA_CAPTURE", raising=False)
    if told is not None:
        monkeypatch.setenv("PYJAMA_CAPTURE", told)
    assert settings.capture() == kept
