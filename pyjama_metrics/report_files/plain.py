"""Reports as plain values for JSON; ``docs/reports.md`` describes them.

Keys are in kebab-case, times in milliseconds since the epoch with their local form beside them, money in whole micro-dollars. An
unknown cost is null, never 0. Within a schema's number keys are only ever added.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from pyjama_metrics.history import ExecutionSummary, Tally, Usage
from pyjama_metrics.reports import DIMENSIONS, Export, Report, Row, Span

REPORT_SCHEMA = "pyjama-metrics/report/1"
EXPORT_SCHEMA = "pyjama-metrics/export/1"
DAY_SCHEMA = "pyjama-metrics/day/1"
EXECUTION_SCHEMA = "pyjama-metrics/execution/1"


def report(found: Report) -> dict[str, Any]:
    """A report of one kind."""
    return {
        "schema": REPORT_SCHEMA,
        "kind": found.kind,
        "span": span(found.span),
        "known-from": found.known_from,
        "rows": [row(each, found) for each in found.rows],
        "total": total(found.total),
    }


def export(found: Export) -> dict[str, Any]:
    """All of a span."""
    return {
        "schema": EXPORT_SCHEMA,
        "made": found.made,
        "span": span(found.span),
        "known-from": found.known_from,
        "total": total(found.total),
        **{kind: [row(each, of_kind) for each in of_kind.rows] for kind, of_kind in found.reports.items()},
    }


def span(found: Span) -> dict[str, Any]:
    """What a report is about."""
    return {
        "begin": found.begin,
        "end": found.end,
        "from": local(found.begin, found.zone),
        "to": local(found.end, found.zone),
        "timezone": zone_name(found.zone),
        "week-begins": "sunday" if found.week_begins == 6 else "monday",
        "agent": found.agent,
        "project": found.project,
    }


def total(found: Row) -> dict[str, Any]:
    """What everything adds up to."""
    return {"runs": found.runs, "executions": executions(found.executions), "usage": usage(found.usage)}


def row(found: Row, of: Report) -> dict[str, Any]:
    """One row, by what it is a row of."""
    if found.session is not None:
        return session(found.session, of.span.zone)
    named: dict[str, Any]
    if found.begin is not None and found.end is not None:
        day = local(found.begin, of.span.zone)[:10]
        named = {"day": day, "begin": found.begin, "end": found.end}
    else:
        named = {"name": found.name}
    return {**named, **total(found)}


def session(run: ExecutionSummary, zone: tzinfo | None) -> dict[str, Any]:
    """A run, with its model calls of the span and with all its executions."""
    return {
        "run": run.run,
        "agent": run.agent,
        "parent": run.parent,
        "parent-agent": run.parent_agent,
        "source": run.source,
        "project": run.project,
        "label": run.label,
        "task": run.task,
        "host": run.host,
        "started": run.started,
        "ended": run.ended,
        "from": None if run.started is None else local(run.started, zone),
        "outcome": run.outcome,
        "error": run.error,
        "last-seen": run.last_seen,
        "executions": executions(run.executions),
        "usage": usage(run.usage),
    }


def day(found: Export) -> dict[str, Any]:
    """One day, which is the span of the export; without the time of now, so that the same day is the same document."""
    dimensions = {kind: of for kind, of in found.reports.items() if kind in DIMENSIONS}
    parts: dict[str, Any] = {kind: [row(each, of) for each in of.rows] for kind, of in dimensions.items()}
    return {
        "schema": DAY_SCHEMA,
        "day": local(found.span.begin, found.span.zone)[:10],
        "span": span(found.span),
        "total": total(found.total),
        **parts,
    }


def execution(run: ExecutionSummary, zone: tzinfo | None) -> dict[str, Any]:
    """A whole run, with all its model calls, by phase and by tool."""
    return {
        "schema": EXECUTION_SCHEMA,
        **session(run, zone),
        "phases": [{"name": part.name, "usage": usage(part.usage)} for part in run.phases],
        "tools": [
            {"name": part.name, "executions": executions(part.executions), "usage": usage(part.usage)} for part in run.tools
        ],
        "corrections": [
            {"time": local(each.time, zone), "model": each.model, "reason": each.reason, "added": dict(each.added)}
            for each in run.corrections
        ],
    }


def executions(tally: Tally | None) -> dict[str, Any] | None:
    """Executions of tools; None where nobody knows them."""
    if tally is None:
        return None
    return {
        "count": tally.count,
        "success": tally.success,
        "error": tally.error,
        "interrupted": tally.interrupted,
        "success-rate": success_rate(tally),
        "timed": tally.timed,
        "total-ms": tally.total_ms,
    }


def success_rate(tally: Tally | None) -> float | None:
    """The share of executions that succeeded, of those that came to an end of their own; None where there are none."""
    return tally.success / tally.count if tally is not None and tally.count else None


def usage(found: Usage) -> dict[str, Any]:
    """Model calls, with the three parts of their cost; a part is None where no call has one, as 0 would be a claim."""
    cost = found.cost
    return {
        "requests": found.requests,
        "input-tokens": found.input,
        "output-tokens": found.output,
        "cache-read-tokens": found.cache_read,
        "cache-write-tokens": found.cache_write,
        "cache-write-1h-tokens": found.cache_write_1h,
        "estimated-tokens": found.estimated_tokens,
        "cost-micros": found.total_micros,
        "reported-micros": cost.reported_micros if cost.reported_requests else None,
        "computed-micros": cost.computed_micros if cost.computed_requests else None,
        "unpriced-requests": found.unpriced_requests,
        "unpriced-models": list(found.unpriced_models),
    }


def local(time_ms: int, zone: tzinfo | None) -> str:
    """A time as people write it where the days are counted, with its distance from UTC."""
    moment = datetime.fromtimestamp(time_ms / 1000, zone)
    return (moment if zone is not None else moment.astimezone()).isoformat(timespec="seconds")


def zone_name(zone: tzinfo | None) -> str:
    """The name of a time zone; "local" for that of the machine."""
    return "local" if zone is None else str(zone)
