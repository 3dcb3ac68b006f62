"""The questions that may be asked about the past over HTTP, each with how it is answered. No web framework."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from pyjama_metrics import history, reports, settings
from pyjama_metrics.dashboard import past_views, questions
from pyjama_metrics.dashboard.questions import Argument, Zone
from pyjama_metrics.dashboard.spans import BadSpan
from pyjama_metrics.pricing import Overrides
from pyjama_metrics.report_files import plain
from pyjama_metrics.time_steps import Step, boundaries, day_of


@dataclass(frozen=True, slots=True)
class Question:
    """A question, checked.

    Attributes:
        key: what it asks; the same for those that have the same answer.
        ask: answers with a view, or None where what is asked for does not exist; it is given the user's prices.
    """

    key: Hashable
    ask: Callable[[Overrides], Any]


def steps(argument: Argument, now_ms: int, folder: str) -> Question:
    """What happened step by step. Raises BadSpan."""
    zone = questions.zone_of(argument)
    begin, end = questions.past_span_of(argument, now_ms, zone)
    step, week_begins = questions.step_of(argument), questions.week_begins_of(argument)
    agent, project, quantiles = argument("agent"), argument("project"), questions.flag_of(argument, "quantiles")
    refuse_many(begin, end, step, zone)

    def ask(overrides: Overrides) -> past_views.HistoryView:
        slices = history.history(
            begin,
            end,
            step,
            agent,
            project=project,
            zone=zone.rules,
            week_begins=week_begins,
            durations=quantiles,
            folder=folder,
            overrides=overrides,
        )
        return past_views.HistoryView(
            from_=slices[0].begin,
            to=slices[-1].end,
            step=step,
            agent=agent,
            project=project,
            timezone=zone.name,
            known_from=history.known_from(folder=folder),
            slices=[past_views.slice_view(each) for each in slices],
        )

    return Question((begin, end, step, agent, project, zone.name, week_begins, quantiles), ask)


def breakdown(argument: Argument, now_ms: int, folder: str) -> Question:
    """A span by agent, model, phase and so on. Raises BadSpan."""
    zone = questions.zone_of(argument)
    begin, end = questions.past_span_of(argument, now_ms, zone)
    by, agent, project = questions.dimension_of(argument), argument("agent"), argument("project")
    if by == "day":
        refuse_many(begin, end, by, zone)

    def parts(overrides: Overrides) -> list[past_views.PastPartView]:
        if by == "day":
            days = history.history(
                begin, end, by, agent, project=project, zone=zone.rules, clipped=True, folder=folder, overrides=overrides
            )
            return [past_views.day_part_view(each, day_of(each.begin, zone.rules)) for each in days]
        found = history.breakdown(begin, end, by, agent=agent, project=project, folder=folder, overrides=overrides)
        return [past_views.part_view(part, by) for part in found]

    def ask(overrides: Overrides) -> past_views.BreakdownView:
        whole = history.whole(begin, end, agent=agent, project=project, folder=folder, overrides=overrides)
        return past_views.BreakdownView(
            from_=whole.begin,
            to=whole.end,
            by=by,
            agent=agent,
            project=project,
            timezone=zone.name,
            known_from=history.known_from(folder=folder),
            executions=past_views.tally_view(whole.executions),
            usage=past_views.usage_view(whole.usage),
            parts=parts(overrides),
        )

    return Question((begin, end, by, agent, project, zone.name), ask)


def runs(argument: Argument, now_ms: int, folder: str) -> Question:
    """The runs that were there in a span. Raises BadSpan."""
    begin, end = questions.past_span_of(argument, now_ms, questions.zone_of(argument))
    limit = questions.limit_of(argument)
    agent, project, outcome = argument("agent"), argument("project"), argument("outcome")

    def ask(overrides: Overrides) -> past_views.PastRunsView:
        found = history.all_executions(
            begin, end, agent=agent, project=project, outcome=outcome, limit=limit, folder=folder, overrides=overrides
        )
        return past_views.PastRunsView(from_=begin, to=end, limit=limit, runs=[past_views.run_view(run) for run in found])

    return Question((begin, end, limit, agent, project, outcome), ask)


def day(text: str, argument: Argument, folder: str) -> Question:
    """A day, by agent and by model. Raises BadSpan."""
    asked, zone = questions.day_of(text), questions.zone_of(argument)

    def ask(overrides: Overrides) -> past_views.DayView:
        found = history.daily_usage(asked, zone=zone.rules, folder=folder, overrides=overrides)
        return past_views.day_view(found, zone.name)

    return Question((asked, zone.name), ask)


def run(name: str, argument: Argument, folder: str) -> Question:
    """One run, with its tools and phases."""
    agent = argument("agent")

    def ask(overrides: Overrides) -> past_views.PastRunView | None:
        found = history.execution_summary(name, agent=agent, folder=folder, overrides=overrides)
        return None if found is None else past_views.run_view(found)

    return Question((name, agent), ask)


def export(argument: Argument, now_ms: int, folder: str) -> Question:
    """All that the history says about a span, in the form of ``pyjama-metrics export``. Raises BadSpan."""
    zone = questions.zone_of(argument)
    begin, end = questions.past_span_of(argument, now_ms, zone)
    told, agent, project = questions.week_begins_of(argument), argument("agent"), argument("project")
    week_begins = settings.week_begins() if told is None else told
    refuse_many(begin, end, "day", zone)

    def ask(overrides: Overrides) -> dict[str, Any]:
        found = reports.export_report(
            begin,
            end,
            made=now_ms,
            zone=zone.rules,
            week_begins=week_begins,
            agent=agent,
            project=project,
            folder=folder,
            overrides=overrides,
        )
        return plain.export(found)

    return Question((begin, end, agent, project, zone.name, week_begins), ask)


def refuse_many(begin: int, end: int, step: Step, zone: Zone) -> None:
    """Raises BadSpan for a span of too many steps, before anybody waits for them."""
    try:
        boundaries(begin, end, step, zone.rules)
    except ValueError as error:
        raise BadSpan(str(error)) from None
