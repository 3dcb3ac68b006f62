"""The history as the dashboard answers for it: asked once for all pages, and never in the way of what is live.

An answer is kept until the database, or a price, changes: ten open pages cost one query. One question is asked at a time, in
the thread of whoever wants to know first; a few may wait for it, and whoever comes then is told to try again. The streams and
the live figures wait for none of this.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pyjama_metrics import history, settings
from pyjama_metrics.activity import with_past, without_past
from pyjama_metrics.dashboard.past_views import slices_of_activity
from pyjama_metrics.errors import HistoryUnusable, HubError
from pyjama_metrics.pricing import overrides_at_run_time
from pyjama_metrics.storage import config
from pyjama_metrics.storage.files import signature
from pyjama_metrics.storage.history.follower import NAME

if TYPE_CHECKING:
    from pyjama_metrics.pricing import Overrides
    from pyjama_metrics.time_steps import Step
    from pyjama_metrics.views import ActivityView

T = TypeVar("T")

REMEMBERED = 64
"""Answers that are kept."""

WAITING = 8
"""Requests that may wait for one another; the server's other threads are for what is live."""

PATIENCE = 10.0
"""Seconds for which each of them waits."""

SETTLED_NS = 100_000_000
"""Nanoseconds after a change of the database in which an answer is not kept: a second change could bear the same time."""

FAILED_FOR = 3.0
"""Seconds for which a question that failed is not asked again: to a locked database it takes some seconds each time."""

_STEPS: dict[int, Step] = {900_000: "quarter", 3_600_000: "hour", 21_600_000: "6h", 86_400_000: "day"}


class NoHistory(HubError):
    """There is nothing to answer from.

    Attributes:
        why: the end of a sentence.
        advice: a sentence on what to do.
    """

    def __init__(self, why: str, advice: str) -> None:
        self.why, self.advice = why, advice
        super().__init__(why, advice)

    def __str__(self) -> str:
        return f"There is nothing to tell of the past: {self.why}. {self.advice}"


class NothingKept(NoHistory):
    """There is no history at all."""


class TooBusy(Exception):
    """So many wait for answers from the history that no more can."""

    def __str__(self) -> str:
        return "The history is being asked too much at once; ask again in a few seconds. The live figures go on."


class Past:
    """The history of one hub. Every method may be called from any thread."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._path = os.path.join(folder, NAME)
        self._prices = config.PricesNow()
        self._places = threading.BoundedSemaphore(WAITING)
        self._asking = threading.Lock()
        self._stamp: Any = None
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._failure: tuple[float, NoHistory] | None = None

    def answer(self, question: Hashable, ask: Callable[[Overrides], T]) -> T:
        """What ``ask`` answers, with the user's prices, or what it answered to the same question since the last change.

        Raises:
            NoHistory: there is none, or it cannot be read.
            TooBusy: too many others wait.
            ValueError: as ``ask`` does.
        """
        if not self._places.acquire(blocking=False):
            raise TooBusy
        try:
            if not self._asking.acquire(timeout=PATIENCE):
                raise TooBusy
            try:
                return self._answer(question, ask)
            finally:
                self._asking.release()
        finally:
            self._places.release()

    def fill(self, view: ActivityView, seam: int) -> ActivityView:
        """The view of live figures with what the history knows of the time before ``seam``; it never raises for want of one."""
        step = _STEPS[view.step]

        def ask(overrides: Overrides) -> Any:
            slices = history.history(view.from_, seam, step, zone=UTC, folder=self.folder, overrides=overrides)
            return slices_of_activity(slices), history.known_from(folder=self.folder)

        if seam <= view.from_:
            return view
        try:
            past, known_from = self.answer(("activity", view.from_, seam, step), ask)
        except NoHistory as error:
            return without_past(view, f"{error.why}.")
        except TooBusy as error:
            return without_past(view, str(error))
        return with_past(view, past, known_from)

    def _answer(self, question: Hashable, ask: Callable[[Overrides], T]) -> T:
        # The stamp is taken before the question is asked: a change in between is asked for twice, and never missed.
        stamp, is_settled = self._stamp_now()
        if stamp != self._stamp:
            self._stamp, self._failure = stamp, None
            self._answers.clear()
        if self._failure is not None and time.monotonic() < self._failure[0]:
            raise self._failure[1]
        if question in self._answers:
            self._answers.move_to_end(question)
            return cast("T", self._answers[question])
        try:
            found = ask(self._prices())
        except HistoryUnusable as error:
            failure = NoHistory(
                f"the history in {self._path} cannot be read ({error.reason})",
                "The live figures go on; 'pyjama-metrics doctor' says what is wrong and how to mend it.",
            )
            self._failure = time.monotonic() + FAILED_FOR, failure
            raise failure from error
        if is_settled:
            self._answers[question] = found
            if len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        return found

    def _stamp_now(self) -> tuple[Any, bool]:
        """What an answer depends on, and whether the next change of the database will bear another time. Raises NoHistory."""
        if not settings.keeps_history():
            raise NothingKept(
                "no history is kept, as PYJAMA_HISTORY says so", "Start the dashboard and the agents without it to keep one."
            )
        try:
            files = [signature(self._path), signature(f"{self._path}-wal")]
        except OSError as error:
            raise NoHistory(
                f"the history in {self._path} cannot be read ({error.strerror})", "The live figures go on; mend that."
            ) from error
        if files[0] is None:
            raise NothingKept(
                f"there is no history in {self.folder} yet",
                "It begins with the first event that is recorded.",
            )
        # An empty one is what a reader leaves.
        told = [file for file in files if file is not None and file[2] > 0]
        latest = max((file[1] for file in told), default=0)
        return (told, self._prices(), overrides_at_run_time()), abs(time.time_ns() - latest) > SETTLED_NS
