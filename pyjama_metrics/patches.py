"""Patches: what turns one JSON document into the next, so that a change is sent and not the whole.

A patch is a JSON object::

    {"set": {"agents": {"analyser": {"count": 8}}}, "unset": [["agents", "gone"]], "logs": [{…}]}

``unset`` names keys that go, each by the path that leads to it. ``set`` holds what is new or differs: an object is
merged into the object that is there, key by key and at any depth; every other value replaces the one that is there.
``logs`` are new entries of ``recent-logs``: they are put in by time and the last `LOG_ENTRIES` stay. Applied in this
order, to the very document it was made from, a patch gives the new one: ``apply(old, difference(old, new)) == new``.

The order of an object's keys is no part of a document. Keys may be any text, also ``__proto__``.
"""

from __future__ import annotations

from typing import Any, TypedDict

from pyjama_metrics.fold import LOG_ENTRIES

LOGS = "recent-logs"
"""The key of the list that grows at its end and is cut at its beginning."""


class Patch(TypedDict):
    """What to do to a document; see above."""

    set: Any
    unset: list[list[str]]
    logs: list[dict[str, Any]]


def difference(old: Any, new: Any) -> Patch:
    """The patch that turns ``old`` into ``new``, two JSON documents.

    Parts of ``new`` that are the same objects as in ``old`` cost nothing. The patch holds parts of ``new``, not copies.

    >>> difference({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 2, "d": 4}})
    {'set': {'b': {'d': 4}}, 'unset': [['a']], 'logs': []}
    """
    patch: Patch = {"set": {}, "unset": [], "logs": []}
    if not (isinstance(old, dict) and isinstance(new, dict)):
        patch["set"] = new
        return patch
    logs = _new_logs(old.get(LOGS), new.get(LOGS))
    patch["logs"] = logs or []
    patch["set"] = _changes(old, new, patch["unset"], [], LOGS if logs else None)
    return patch


def apply(document: Any, patch: Patch) -> Any:
    """The document that a patch makes of ``document``, which stays as it is; the two share what did not change.

    Raises LookupError or TypeError where the patch was made from a document of another shape.

    >>> apply({"a": 1, "b": {"c": 2}}, {"set": {"b": {"d": 3}}, "unset": [["a"]], "logs": []})
    {'b': {'c': 2, 'd': 3}}
    """
    for path in patch["unset"]:
        document = _without(document, path)
    document = _merged(document, patch["set"])
    if patch["logs"]:
        document = {**document, LOGS: merged_logs(document[LOGS], patch["logs"])}
    return document


def merged_logs(logs: list[dict[str, Any]], entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log entries in their order, by (timestamp, journal, line), and of these the last `LOG_ENTRIES`."""
    return sorted([*logs, *entries], key=_place_in_log)[-LOG_ENTRIES:]


def is_empty(patch: Patch) -> bool:
    """Whether a patch between two objects changes nothing."""
    return patch == {"set": {}, "unset": [], "logs": []}


def _changes(
    old: dict[str, Any], new: dict[str, Any], unset: list[list[str]], path: list[str], but: str | None = None
) -> dict[str, Any]:
    """What is new or differs in ``new``, at any depth, ``but`` for one key; the paths of what went are put into ``unset``."""
    unset += [[*path, key] for key in old if key not in new]
    changes: dict[str, Any] = {}
    for key, value in new.items():
        if key == but or (key in old and old[key] is value):
            continue
        before = old.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            inner = _changes(before, value, unset, [*path, key])
            if inner:
                changes[key] = inner
        elif key not in old or not _same(before, value):
            changes[key] = value
    return changes


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: to Python 1, 1.0 and true are equal, in JSON they are not."""
    if one is other:
        return True
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, list):
        return all(map(_same, one, other))
    if isinstance(one, dict):
        return all(_same(value, other[key]) for key, value in one.items())
    return True


def _without(document: Any, path: list[str]) -> Any:
    key, *rest = path
    if rest:
        return {**document, key: _without(document[key], rest)}
    return {name: value for name, value in document.items() if name != key}


def _merged(document: Any, changes: Any) -> Any:
    if not (isinstance(document, dict) and isinstance(changes, dict)):
        return changes
    return {**document, **{key: _merged(document.get(key), value) for key, value in changes.items()}}


def _new_logs(old: Any, new: Any) -> list[dict[str, Any]] | None:
    """The entries that ``new`` has more than ``old``; None where putting them in would not give ``new``."""
    if not (_are_logs(old) and _are_logs(new)):
        return None
    known = {entry["id"] for entry in old}
    entries = [entry for entry in new if entry["id"] not in known]
    return entries if entries and _same(merged_logs(old, entries), new) else None


def _are_logs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("id"), str)
        and isinstance(entry.get("timestamp"), int)
        and _line_of(entry["id"]) is not None
        for entry in value
    )


def _place_in_log(entry: dict[str, Any]) -> tuple[int, bytes, int]:
    # UTF-16 is the order in which a browser compares texts; it has to come to the same list.
    journal = entry["id"].rpartition(":")[0]
    return entry["timestamp"], journal.encode("utf-16-be", "surrogatepass"), _line_of(entry["id"]) or 0


def _line_of(identity: str) -> int | None:
    """The line number at the end of ``<journal>:<line>``; 15 digits are exact in every language."""
    digits = identity.rpartition(":")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else None
