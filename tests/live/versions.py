"""The versions that are run: the newest ones, and the oldest of each kind of hooks and transcripts."""

from __future__ import annotations

import pytest

NEWEST = "2.1.329"
RECENT = (NEWEST, "2.1.197")
"""Versions whose hooks tell of prompts, calls and subagents by ids."""
ALL = (*RECENT, "2.0.77", "1.0.128")
CODEX = "0.169.0"

each_version = pytest.mark.parametrize("bare", ALL, indirect=True, ids=str)
each_recent_version = pytest.mark.parametrize("bare", RECENT, indirect=True, ids=str)
