"""What the history keeps of sessions: whose a run is, what is below it, and how many messages there were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics.storage.history import schema
from pyjama_metrics.storage.history.reading import opened
from tests.histories import caught_up, database, rows
from tests.journals import Event, event, leave_journal, lines, live_journal, now_ms, tool

NOW = now_ms()
KEPT = "SELECT run, session, subagent, user_messages, assistant_messages FROM runs ORDER BY run"


def start(run: str, agent: str = "shop", parent: str | None = None, **labels: str) -> Event:
    """A run begins."""
    return event("start", NOW, agent, run=run, labels=labels, **({} if parent is None else {"parent": parent}))


def said(role: str, **fields: Any) -> Event:
    """A message."""
    return event("message", NOW + 1, "shop", role=role, **fields)


def of_sessions(home: Path, *sessions: str) -> set[tuple[str, str, str | None]]:
    """(run, the session to which it counts, its label of a subagent)."""
    with opened(str(home)) as reader:
        assert reader is not None
        return {(row[1], row[-4], row[-3]) for row in reader.runs_of_sessions(sessions)}


def test_a_run_keeps_its_session_and_its_messages(home: Path) -> None:
    """Those of users and of assistants, however many one event tells; a role of another kind is no message of either."""
    spoken = [said("user", run="w-1-a.1"), said("assistant", run="w-1-a.1", count=5), said("system", run="w-1-a.1")]
    leave_journal(home, "w-1-a", start("w-1-a.1", session="s1", subagent="Explore"), *spoken, start("w-1-a.2"))
    caught_up(home)
    assert rows(home, KEPT) == [("w-1-a.1", "s1", "Explore", 1, 5), ("w-1-a.2", None, None, 0, 0)]


def test_the_runs_of_a_session_are_those_below_it_too(home: Path) -> None:
    """However deep, whichever agent they are of; a session that one started is another, and so is what that started."""
    leave_journal(
        home,
        "w-1-a",
        start("w-1-a.1", session="s1"),
        start("w-1-a.2", "shop/Explore", "w-1-a.1", session="s1", subagent="Explore"),
        start("w-1-a.3", "script", "w-1-a.1"),
        start("w-1-a.4", "helper", "w-1-a.3"),
        start("w-1-a.5", "other", "w-1-a.4", session="s2"),
        start("w-1-a.6", "helper", "w-1-a.5"),
        start("w-1-a.7", "round", "w-1-a.8"),
        start("w-1-a.8", "round", "w-1-a.7"),
    )
    caught_up(home)
    first = {
        ("w-1-a.1", "s1", None),
        ("w-1-a.2", "s1", "Explore"),
        ("w-1-a.3", "s1", None),
        ("w-1-a.4", "s1", None),
    }
    second = {("w-1-a.5", "s2", None), ("w-1-a.6", "s2", None)}
    assert of_sessions(home, "s1") == first
    assert of_sessions(home, "s2", "nobody", *(f"n{number}" for number in range(1200)), "s1") == first | second
    assert of_sessions(home) == of_sessions(home, "%", "s_") == set()


def test_a_database_of_the_form_before_is_brought_forward_and_tells_what_it_does_not_know(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that it had nobody knows the messages, whatever comes after; a new one counts from nothing."""
    leave_journal(home, "w-1-a", start("w-1-a.1"), tool(NOW, "shop", run="w-1-a.1"), host="elsewhere")
    caught_up(home)
    with database(home) as connection:
        connection.execute("DROP INDEX runs_by_session")
        connection.execute("DROP INDEX runs_by_parent")
        for column in ("session", "subagent", "user_messages", "assistant_messages"):
            connection.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        connection.execute("DELETE FROM migrations WHERE name = 'sessions'")
        connection.execute("PRAGMA user_version = 1")
    assert [name for name, _ in schema.MIGRATIONS] == ["begin", "sessions"]
    leave_journal(home, "w-2-b", said("user", run="w-1-a.1"), start("w-2-b.1", session="s"), said("user", run="w-2-b.1"))
    caught_up(home)
    assert rows(home, KEPT) == [("w-1-a.1", None, None, None, None), ("w-2-b.1", "s", None, 1, 0)]
    assert rows(home, "SELECT success FROM runs WHERE run = 'w-1-a.1'") == [(1,)]


def test_an_open_run_loses_its_messages_when_the_figures_are_cleared(home: Path) -> None:
    """As it loses its executions."""
    with live_journal(home) as journal:
        journal.append(lines(start("w-1-a.1", session="s"), said("user", run="w-1-a.1")))
        hub = caught_up(home)
        assert rows(home, KEPT) == [("w-1-a.1", "s", None, 1, 0)]
        hub.clear(history=True)
        assert rows(home, KEPT) == [("w-1-a.1", "s", None, 0, 0)]
