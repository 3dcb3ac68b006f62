"""The reading side of the front door."""

from __future__ import annotations

import time

import pytest

from pyjama_metrics import get_dashboard_data, record_tool_execution


def test_today_begins_at_midnight_where_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at that of Greenwich, and what happened before it is not of today."""
    monkeypatch.setenv("TZ", "HERE-5:30")
    time.tzset()
    try:
        record_tool_execution("t", "a")
        record_tool_execution("t", "a", time_ms=int((time.time() - 24 * 3600) * 1000))
        data = get_dashboard_data()
    finally:
        monkeypatch.undo()
        time.tzset()
    day, offset = 24 * 3600 * 1000, int(5.5 * 3600 * 1000)
    assert (data["today"]["since"] + offset) % day == 0
    assert 0 <= data["now"] - data["today"]["since"] < day
    assert (data["today"]["count"], data["metrics"]["global"]["count"]) == (1, 2)
