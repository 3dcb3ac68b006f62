"""How figures of a report are written for people, and the sentences that say how sure they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from pyjama_metrics.cli.terminal import count, printable, things
from pyjama_metrics.history import TELL_EXECUTIONS, Usage
from pyjama_metrics.reports import DIMENSIONS, Export, Kind, Report, Row, Span

NONE = "(none)"
"""The name of what belongs to none."""
_MODELS_NAMED = 5
_MICRO = 1_000_000
_MINUTE_MS = 60_000


def is_unknown(usage: Usage) -> bool:
    """Whether there were calls, and nobody knows what any of them cost."""
    return usage.requests > 0 and usage.total_micros is None


def money(micros: int, total: int) -> str:
    """An amount in dollars: to the cent where the whole report comes to a dollar or more, else to a hundredth of one.

    >>> money(1_234_567, 2_000_000), money(1_234_567_890, 2_000_000_000), money(1, 2_000_000), money(1_250, 5_000), money(1, 5)
    ('$1.23', '$1,234.57', '<$0.01', '$0.0012', '<$0.0001')
    """
    digits = _digits(total)
    return _written(micros, _rounded(micros, digits), digits)


def computed_money(usage: Usage, total: int) -> str:
    """The computed part of a cost as `money` writes it, so that the parts add up to the whole as it is written.

    The rest that rounding leaves goes here, as a reported cost is what somebody can look up.
    """
    digits = _digits(total)
    left = _rounded(usage.total_micros or 0, digits) - _rounded(usage.reported_micros, digits)
    return _written(usage.computed_micros, left, digits)


def _digits(total: int) -> int:
    return 2 if total >= _MICRO else 4


def _rounded(micros: int, digits: int) -> int:
    # Whole numbers only: a float has no cents.
    unit: int = 10 ** (6 - digits)
    whole, rest = divmod(micros, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))


def _written(micros: int, units: int, digits: int) -> str:
    if micros and micros < _MICRO // 10**digits:
        return f"<${10**-digits:.{digits}f}"
    dollars, cents = divmod(units, 10**digits)
    return f"${dollars:,}.{cents:0{digits}}"


def cost(usage: Usage, total: Usage) -> str | None:
    """What calls cost: with ``~`` where it was computed from estimated tokens, with ``+`` where it is at least that.

    None where there were no calls.
    """
    if not usage.requests:
        return None
    if usage.total_micros is None:
        return "unpriced"
    known = money(usage.total_micros, total.total_micros or 0)
    return _mark(usage) + known + ("+" if usage.unpriced_requests else "")


def _mark(usage: Usage) -> str:
    return "~" if usage.computed_micros and usage.estimated_tokens else ""


def tokens(number: int, usage: Usage) -> str:
    """A number of tokens, with ``~`` where some of the usage was estimated."""
    return ("~" if usage.estimated_tokens and number else "") + count(number)


def share(usage: Usage, total: Usage) -> float | None:
    """The share of a row in the known cost; None where there is no known cost."""
    whole = total.total_micros
    if not whole or not usage.requests or usage.total_micros is None:
        return None
    return usage.total_micros / whole


def percent(value: float | None) -> str | None:
    """A share of a report, in whole per cents."""
    if value is None:
        return None
    return "<1 %" if 0 < value < 0.005 else f"{value * 100:.0f} %"


def name_of(row: Row, report: Report) -> str:
    """What a row is called: a name, or a step of time where the days are counted."""
    if row.session is None and row.begin is not None:
        return step_name(row.begin, row.end or row.begin, report.kind, report.span)
    return row.name or NONE


def step_name(begin: int, end: int, kind: Kind, span: Span) -> str:
    """A day with its weekday, a week by its first and its last day, or a month; where the span cuts one, what is left of it."""
    first, last = moment(begin, span.zone), moment(end - 1, span.zone)
    if kind == "daily":
        return f"{first:%Y-%m-%d} {_WEEKDAYS[first.weekday()]}"
    if kind == "monthly" and first.day == 1 and moment(end, span.zone).day == 1:
        return f"{first:%Y-%m}"
    return f"{first:%Y-%m-%d} – {last:%m-%d}"


# Not strftime's, which are those of the user's language: a report is handed on.
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def moment(time_ms: int, zone: tzinfo | None) -> datetime:
    """A time where the days are counted."""
    return datetime.fromtimestamp(time_ms / 1000, zone)


def span_words(span: Span) -> str:
    """From when to when, and whose: "2026-05-01 to 2026-05-07, Europe/Berlin, agent builder"."""
    begin, end = moment(span.begin, span.zone), moment(span.end, span.zone)
    whole = begin.hour == begin.minute == end.hour == end.minute == 0
    last = moment(span.end - 1, span.zone)
    if whole and (begin.date() == last.date()):
        words = f"{begin:%Y-%m-%d}"
    elif whole:
        words = f"{begin:%Y-%m-%d} to {last:%Y-%m-%d}"
    else:
        words = f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    parts = [words, "local time" if span.zone is None else str(span.zone)]
    if span.agent is not None:
        parts.append(f"agent {span.agent}")
    if span.project is not None:
        parts.append(f"project {span.project}" if span.project else "runs of no project")
    return ", ".join(parts)


def cost_parts(usage: Usage, total: Usage) -> Iterator[tuple[str, str]]:
    """The parts of a cost by name: what was reported, what was computed, and what nobody knows.

    A part of no call is left out, as $0.00 would be a claim.
    """
    whole = total.total_micros or 0
    if usage.cost.reported_requests:
        yield "reported", money(usage.reported_micros, whole)
    if usage.cost.computed_requests:
        yield "computed", _mark(usage) + computed_money(usage, whole)
    yield "unpriced", things(usage.unpriced_requests, "call")


def notes(usage: Usage) -> Iterator[str]:
    """Sentences that say how sure the cost of a report is."""
    if usage.requests:
        if usage.total_micros is None:
            yield "What the model calls cost is not known."
        elif usage.cost.computed_requests and usage.cost.reported_requests:
            yield (
                f"Of the cost, {money(usage.reported_micros, usage.total_micros)} was reported by the sources and "
                f"{computed_money(usage, usage.total_micros)} computed from prices."
            )
        elif usage.cost.computed_requests:
            yield "The cost is computed from prices; no source reported it."
        else:
            yield "The cost is what the sources reported."
    if usage.unpriced_requests:
        yield _unpriced(usage)
    if usage.estimated_tokens:
        yield f"{things(usage.estimated_tokens, 'token')} are estimated, not counted, and so is what was computed from them (~)."


def _unpriced(usage: Usage) -> str:
    models = [printable(model[:80]) for model in usage.unpriced_models]
    named = ", ".join(models[:_MODELS_NAMED])
    more = f" and {len(models) - _MODELS_NAMED} more models" if len(models) > _MODELS_NAMED else ""
    one = usage.unpriced_requests == 1
    sums = "" if usage.total_micros is None else " and not in the sums (+)"
    return (
        f"{things(usage.unpriced_requests, 'call')} of {named}{more} {'has' if one else 'have'} no price: "
        f"{'its' if one else 'their'} cost is not known{sums}. 'pyjama-metrics prices MODEL' says why."
    )


def limits(known_from: int | None, span: Span) -> Iterator[str]:
    """A sentence for a span that begins before the history knows everything."""
    if known_from is not None:
        # A minute that is known in part is not complete.
        complete_from = -(-known_from // _MINUTE_MS) * _MINUTE_MS
        yield (
            f"This is complete from {moment(complete_from, span.zone):%Y-%m-%d %H:%M} on. What happened before may be missing: "
            "the history forgets after a while (PYJAMA_HISTORY_DAYS), or was begun, cleared or set aside then."
        )


def about_executions(kind: Kind, span: Span) -> Iterator[str]:
    """A sentence where executions are not simply those of the span."""
    dimension = DIMENSIONS.get(kind)
    if dimension is not None and dimension not in TELL_EXECUTIONS:
        return
    if kind == "sessions":
        yield "A run that lies only partly in the span has the tokens and the cost of the span, and all its executions."
    elif kind in ("projects", "hosts") or span.project is not None:
        yield "Executions are those of the runs that began in the span."


def all_notes(export: Export) -> Iterator[str]:
    """All that is to be said about the figures of an export."""
    yield from notes(export.total.usage)
    yield from limits(export.known_from, export.span)
    if export.span.project is None:
        yield "Executions of projects and hosts are those of the runs that began in the span."
    else:
        yield "Executions are those of the runs that began in the span."
    yield from about_executions("sessions", export.span)
    yield "What was used under no name (a call in no phase, say) stands as (none), so each table adds up to the same cost."
