"""Correcting by hand what a run is counted as having used: for people who know better than whoever recorded it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pyjama_metrics import events, recording
from pyjama_metrics.corrections import MAX_ROWS, Row, differences, total_of
from pyjama_metrics.errors import CorrectionRefused, LockTimeout, RecordingFailed
from pyjama_metrics.hub import Hub
from pyjama_metrics.storage.history.corrections_table import KnownRun, known_runs
from pyjama_metrics.storage.lock import FoldLock

LOCK = "corrections.lock"
WAIT = 30.0
"""Seconds for which others may keep the history from being up to date."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction that was made.

    Attributes:
        run, agent, model: what was corrected.
        reason: why.
        before, after: its calls, tokens and reported micro-dollars, by the names of `pyjama_metrics.ledger_rows.COLUMNS`.
    """

    run: str
    agent: str
    model: str
    reason: str
    before: Mapping[str, int]
    after: Mapping[str, int]


def correct_run(
    run: str,
    reason: str,
    *,
    agent: str | None = None,
    model: str | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cache_read_tokens: int | None = None,
    cache_write_tokens: int | None = None,
    cache_write_1h_tokens: int | None = None,
    requests: int | None = None,
    cost_usd: float | None = None,
) -> Correction:
    """Say what a run's calls of a model really used. What is not told stays as it is.

    It is kept as a correction, with its reason, beside what was recorded: nothing is overwritten. It counts in the figures, in
    the history and in all reports, at the time of the calls, once and as a whole, and may be corrected again. Agents may record
    all the while; what they record later comes on top.

    Args:
        run: the run's id.
        reason: why, for whoever asks later; not empty.
        agent: whose run, where several agents have used that id.
        model: of which model's calls; needed where the run has called several, or none.
        input_tokens: tokens that all these calls read, without those that a cache served or stored. Tokens that are told here
            are no estimates any more.
        output_tokens: tokens that they wrote.
        cache_read_tokens: tokens that a cache served.
        cache_write_tokens: tokens that a cache stored, for five minutes or the provider's usual time.
        cache_write_1h_tokens: tokens that a cache stored for an hour.
        requests: the right number of calls.
        cost_usd: what all these calls cost, in US dollars; it counts as reported then.

    Raises:
        CorrectionRefused: there is no such run, or it cannot be told what is meant; nothing was changed.
        HubError: the history cannot be used, or the correction could not be written, and nothing was changed; or it was written
            and cannot be counted yet.
    """
    if cost_usd is not None and not 0 <= cost_usd <= events.MAX_COST_USD:
        raise CorrectionRefused(run, f"{cost_usd!r} is no cost in US dollars: a number from 0 to {events.MAX_COST_USD:,.0f} is.")
    told = _told(
        run,
        {
            "requests": requests,
            "input-tokens": input_tokens,
            "output-tokens": output_tokens,
            "cache-read-tokens": cache_read_tokens,
            "cache-write-tokens": cache_write_tokens,
            "cache-write-1h-tokens": cache_write_1h_tokens,
            "cost-micros": None if cost_usd is None else round(cost_usd * 1_000_000),
        },
    )
    if not reason.strip():
        raise CorrectionRefused(run, "a correction needs a reason, for whoever asks later.")
    hub = Hub()
    # One at a time: of two that start from the same sums, each would add the whole difference.
    with FoldLock(os.path.join(hub.folder, LOCK)).held(WAIT):
        return _corrected(hub, run, reason, agent, model, told)


def _corrected(hub: Hub, run: str, reason: str, agent: str | None, model: str | None, told: dict[str, int]) -> Correction:
    _catch_up(hub, run)
    known = _known(hub, run, agent)
    model = _model(run, known, model)
    rows = [row for row in known.rows if row.model == model]
    change = differences(rows, told, model, known.last_seen)
    after = total_of([*rows, *change])
    if not after["requests"] and any(after.values()):
        raise CorrectionRefused(run, "calls that were none have no tokens and no cost. Say how many there were.")
    if len(change) > MAX_ROWS:
        raise CorrectionRefused(run, f"its calls are in {len(change):,} rows of the history; {MAX_ROWS:,} are the most.")
    if change:
        _record(known.agent, run, reason, change)
        _catch_up(hub, run)
    return Correction(run, known.agent, model, reason, total_of(rows), after)


def _told(run: str, values: Mapping[str, int | None]) -> dict[str, int]:
    told = {name: value for name, value in values.items() if value is not None}
    if not told:
        raise CorrectionRefused(run, "nothing was said about what it used. Give tokens, calls or a cost.")
    for name, value in told.items():
        if type(value) is not int or not 0 <= value <= events.MAX_COUNT:
            raise CorrectionRefused(run, f"{value!r} is no value of {name}: a whole number from 0 to {events.MAX_COUNT:,} is.")
    return told


def _catch_up(hub: Hub, run: str) -> None:
    if not hub.history.is_kept:
        raise CorrectionRefused(run, "no history is kept here (PYJAMA_HISTORY), and it alone knows what each run used.")
    if not hub.catch_up(WAIT):
        raise hub.history.trouble or LockTimeout(hub.history.path, WAIT)


def _known(hub: Hub, run: str, agent: str | None) -> KnownRun:
    found = known_runs(hub.folder, run)
    if not found:
        raise CorrectionRefused(
            run, "the history does not know it. 'pyjama-metrics report sessions --csv' lists the runs of thirty days."
        )
    if agent is not None:
        found = [each for each in found if each.agent == agent]
        if not found:
            raise CorrectionRefused(run, f"agent {agent!r} has no such run.")
    if len(found) > 1:
        raise CorrectionRefused(
            run, f"several agents have one of that name: {_listed([each.agent for each in found])}. Say whose."
        )
    return found[0]


def _model(run: str, known: KnownRun, model: str | None) -> str:
    models = sorted({row.model for row in known.rows})
    if model is not None:
        return events.text_of(model)
    if len(models) != 1:
        called = f"it has called several models: {_listed(models)}" if models else "it has called no model yet"
        raise CorrectionRefused(run, f"{called}. Say of which one these are.")
    return models[0]


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _record(agent: str, run: str, reason: str, change: tuple[Row, ...]) -> None:
    fields: dict[str, object] = {
        "agent": agent,
        "run": run,
        "reason": events.text_of(reason, events.MAX_TEXT),
        "rows": [
            [row.time_ms, row.band, row.kind, row.model or None, row.phase or None, row.tool or None, list(row.amounts)]
            for row in change
        ],
    }
    try:
        recording.current().append(events.line("correction", recording.now(), fields).encode())
    except OSError as error:
        raise RecordingFailed("correction", error.strerror or str(error)) from error
