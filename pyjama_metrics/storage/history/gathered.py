"""Events of one journal, gathered for the database: executions in groups, everything else one by one, both in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyjama_metrics.event_fields import Event, Invalid, are_names, run_name, times_of

Group = tuple[list[Any], list[Any]]
"""The times of some executions, and their durations in the same order; None for one that was not measured."""
Groups = dict[tuple[Any, Any, Any, Any], Group]
"""Executions by (agent, run, tool, status), as the events have these: nothing is looked at yet."""


class Single(NamedTuple):
    """An event that is looked at by itself, and its line in the journal, counted from the first of its batch (1)."""

    line: int
    event: Event


class Batch(NamedTuple):
    """What some lines of a journal are for the database.

    Attributes:
        offset: where in the journal they begin, in bytes.
        size: their bytes.
        lines: how many they are.
        items: what is in them.
    """

    offset: int
    size: int
    lines: int
    items: list[Groups | Single]


_CHANGES_RUNS = frozenset({"start", "complete", "crash"})


def gather(offset: int, size: int, events: Sequence[Event | None]) -> Batch:
    """Gather the parsed lines of a journal that begin at ``offset``. Nothing of the events is kept but what is rare."""
    items: list[Groups | Single] = []
    groups: Groups = {}
    for line, event in enumerate(events, 1):
        if event is None or event.get("event") == "hook":
            continue  # what a hook told changes nothing, and there may be many
        if event.get("event") == "tool":
            try:
                key = event["agent"], event.get("run"), event["tool"], event.get("status", "ok")
                group = groups.get(key)
                if group is None:
                    group = groups[key] = ([], [])
                group[0].append(event["time"])
                group[1].append(event.get("duration-ms"))
            except (KeyError, TypeError):
                continue  # a field is missing or unhashable; the fold counts it as a problem
            if not event.get("log"):
                continue
        elif event.get("event") == "executions":
            try:
                key = event["agent"], run_name(event["run"]), event["tool"], event.get("status", "ok")
                times = times_of(event["times"])
                if not are_names(*key):
                    continue
            except (Invalid, KeyError, TypeError):
                continue
            group = groups.setdefault(key, ([], []))
            group[0].extend(times)
            group[1].extend([None] * len(times))
            continue
        elif groups and event.get("event") in _CHANGES_RUNS:
            # What this journal recorded before belongs to the run that was open then.
            items.append(groups)
            groups = {}
        items.append(Single(line, event))
    if groups:
        items.append(groups)
    return Batch(offset, size, len(events), items)
