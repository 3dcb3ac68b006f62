"""The newest view of the hub: read once, compared once, serialised once, and handed to everybody who looks.

`Live` is the only thing that the watcher, the streams and the pages share. The watcher calls `Live.refresh`; whoever
pushes is told by `Live.on_change` and takes `Live.after`; a page takes `Live.newest`. What was published never changes,
so its bytes go to any number of clients.
"""

from __future__ import annotations

import gzip
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyjama_metrics import agent_details, patches, queries
from pyjama_metrics.activity import activity, seam
from pyjama_metrics.dashboard.past import Past
from pyjama_metrics.dashboard.session_answers import Answers
from pyjama_metrics.days import local_midnight
from pyjama_metrics.errors import HubError
from pyjama_metrics.pricing import overrides_at_run_time
from pyjama_metrics.state import new_state
from pyjama_metrics.storage import config
from pyjama_metrics.storage.json import dumps
from pyjama_metrics.tail import Tail
from pyjama_metrics.views import as_json

if TYPE_CHECKING:
    from pyjama_metrics.hub import Hub
    from pyjama_metrics.pricing import Overrides
    from pyjama_metrics.state import State
    from pyjama_metrics.storage.files import Signature
    from pyjama_metrics.views import ActivityView, AgentDetail, RunDetail

REMEMBERED = 1024
"""Updates that are remembered for clients that come back: more than a minute of the busiest hub."""

REMEMBERED_BYTES = 8 * 1024 * 1024
"""Bytes of updates after which the oldest are forgotten, however few there are."""

GZIP_LEVEL = 5
"""Half a megabyte in some 10 ms; a higher level saves little more."""


@dataclass(frozen=True, slots=True)
class HubView:
    """What a page knows about the hub as a whole."""

    folder: str = field(metadata={"help": "The folder that this dashboard reads."})
    version: str = field(metadata={"help": "Name of this edition of the view; differs after a restart."})
    troubles: tuple[str, ...] = field(metadata={"help": "What keeps the figures from being current, in sentences."})


class Update:
    """How one edition differs from the one before. Nobody changes it.

    Attributes:
        number: of the edition; counts up by one from 1 in this process.
        version: the number with the name of this server's life, so that it means nothing to another server.
        update_frame: the event that brings an open stream from the edition before to this one; empty for the first.

    """

    def __init__(self, number: int, version: str, update_frame: bytes) -> None:
        self.number, self.version, self.update_frame = number, version, update_frame


class Edition(Update):
    """One version of the view, as a whole and as an update.

    Its whole forms are made when they are first asked for, and once, whichever threads ask.
    """

    def __init__(self, number: int, version: str, update_frame: bytes, document: dict[str, Any]) -> None:
        super().__init__(number, version, update_frame)
        self._document = document
        self._making = threading.RLock()
        self._made: dict[str, bytes] = {}

    @property
    def body(self) -> bytes:
        """The JSON document of ``/api/data``."""
        return self._once("body", lambda: dumps(self._document))

    @property
    def gzipped(self) -> bytes:
        """The same, compressed with gzip."""
        return self._once("gzipped", lambda: gzip.compress(self.body, GZIP_LEVEL, mtime=0))

    @property
    def snapshot_frame(self) -> bytes:
        """The event that brings a stream to this edition from nowhere."""
        return self._once("snapshot", lambda: frame(b"snapshot", self.version, self.body))

    def _once(self, form: str, make: Callable[[], bytes]) -> bytes:
        with self._making:
            if form not in self._made:
                self._made[form] = make()
            return self._made[form]


def frame(event: bytes, version: str, data: bytes) -> bytes:
    """One server-sent event; JSON has no line ends of its own."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (event, version.encode(), data)


def _is_smaller(state: State, before: State) -> bool:
    """Whether executions were taken back, which only a clear does."""
    counts = [each["global"]["count"] + each["global"]["interrupted"] for each in (state, before)]
    return counts[0] < counts[1]


class Live:
    """The newest edition of one hub's view, and the updates that led to it. Every method may be called from any thread.

    Attributes:
        folder: of the hub, with its symbolic links resolved.
        past: the history of the hub.
        on_change: called after each publication, by whichever thread published; must return at once.

    """

    def __init__(self, hub: Hub, clock: Callable[[], float] = time.time) -> None:
        self.folder = os.path.realpath(hub.folder)
        self.past = Past(self.folder)
        self.on_change: Callable[[], None] = lambda: None
        self._hub = hub
        self._clock = clock
        self._life = secrets.token_hex(4)
        self._reading = threading.RLock()
        self._read: tuple[Signature | None, int, Overrides, Overrides | None] | None = None
        self._state: State = new_state()
        self._tail = Tail(hub.folder, clock)
        # So that this process, when it folds, removes no journal that the memory has not read.
        hub.projections.append(self._tail.read_to)
        self._may_be_behind = False
        self._prices = config.PricesNow()
        self._rows = queries.DashboardRows()
        self._troubles: dict[str, str] = {}
        self._publishing = threading.Lock()
        self._updates: deque[Update] = deque()
        self._updates_bytes = 0
        self._view: dict[str, Any] = {}
        self._content: dict[str, Any] = {}
        self._newest = Edition(0, "", b"", {})
        self._show(self._view_of(self._state, local_midnight(clock())))

    @property
    def newest(self) -> Edition:
        """The newest edition; there is one from the start."""
        return self._newest

    @property
    def troubles(self) -> tuple[str, ...]:
        """What keeps the figures from being current, in sentences; once what several have met."""
        return tuple(dict.fromkeys(self._troubles.copy().values()))

    def after(self, number: int) -> Sequence[Update] | None:
        """The updates that lead from edition ``number`` to the newest, in order; None when one of them was forgotten."""
        with self._publishing:
            missed = self._newest.number - number
            if number < 1 or not 0 <= missed <= len(self._updates):
                return None
            return [self._updates[place] for place in range(len(self._updates) - missed, len(self._updates))]

    def number_of(self, version: str) -> int | None:
        """The number of an edition that this server has published; None for any other text."""
        life, _, digits = version.partition("-")
        if life != self._life or not (digits.isascii() and digits.isdigit() and len(digits) < 16):
            return None
        number = int(digits)
        return number if 1 <= number <= self._newest.number else None

    def refresh(self) -> None:
        """Read the snapshot if it was replaced since the last time, and publish what is new.

        Costs two `os.stat` when nothing changed, after one look for what the journals got since. A new day is a change:
        the figures of today begin anew.

        Never raises: what cannot be read leaves the last good view in place, says why in `troubles`, and is tried
        again by the next call.
        """
        with self._reading:
            try:
                # The signature is taken before the reading: a replacement in between is read twice, and never
                # missed.
                prices = self._prices(), overrides_at_run_time()
                reading = self._hub.signature(), local_midnight(self._clock()), *prices
                is_known = reading == self._read and "reading" not in self._troubles
                if is_known and not self._may_be_behind:
                    return
                state = self._state if is_known else self._hub.read(fresh=False)
                # After the reading, so that the memory knows of every execution that the figures count.
                self._may_be_behind = self._tail.advance() > 0
                if is_known and not self._may_be_behind:
                    return
                if _is_smaller(state, self._state):
                    self._tail.forget()  # somebody else cleared the figures, or removed the file
                view = self._view_of(state, reading[1])
            except HubError as error:
                self.report("reading", str(error))
            except Exception as error:
                # The page must outlive anything that a foreign file in our place makes of the reader.
                self.report("reading", f"{self._hub.snapshot_path} could not be shown: {type(error).__name__}: {error}.")
            else:
                self._read, self._state = reading, state
                self._troubles.pop("reading", None)
                self._show(view)

    def now_ms(self) -> int:
        """The time on the clock of the hub, in ms since the epoch."""
        return int(self._clock() * 1000)

    def agent(self, agent_id: str) -> AgentDetail | None:
        """Everything about one agent, of the newest edition; None where there is no such agent."""
        with self._reading:
            return agent_details.agent_detail(self._state, agent_id, self.now_ms(), self._tail.recent, self._prices())

    def run(self, run_id: str) -> RunDetail | None:
        """Everything about one run, of the newest edition; None where there is no such run."""
        with self._reading:
            return agent_details.run_detail(self._state, run_id, self.now_ms(), self._tail.recent, self._prices())

    def sessions(self) -> Answers:
        """What may be asked of the sessions of the newest edition."""
        with self._reading:
            # Nobody changes a state that was read: the next one is another object.
            state, prices = self._state, self._prices()
        return Answers(state, self.past, prices, self.now_ms())

    def activity(self, since_ms: int, until_ms: int) -> ActivityView:
        """What all agents did from ``since_ms`` to ``until_ms``, as far as the newest edition knows it, or else the history."""
        with self._reading:
            view = activity(self._state, since_ms, until_ms, self._tail.recent, self._prices())
            until = seam(self._state, view)
        # Without the lock: whatever the history takes, what is live goes on.
        return view if until is None else self.past.fill(view, until)

    def report(self, source: str, sentence: str | None) -> None:
        """Show ``sentence`` as the one trouble of ``source``, or take its trouble away with None."""
        with self._reading:
            if self._troubles.get(source) == sentence:
                return
            if sentence is None:
                del self._troubles[source]
            else:
                self._troubles[source] = sentence
            self._show(self._view)

    def clear(self) -> None:
        """Clear the hub; the newest edition shows it on return.

        Raises HubError when the hub cannot be cleared.
        """
        self._hub.clear()
        with self._reading:
            self._tail.forget()
            self._read = None
            self.refresh()

    def _show(self, view: dict[str, Any]) -> None:
        """Publish an edition of ``view`` and the troubles, unless it would say what the newest one says."""
        with self._reading:
            content = {"hub": {"folder": self.folder, "troubles": list(self.troubles)}, **view}
            patch = patches.difference(self._content, content)
            if patches.is_empty(patch):
                return
            edition = self._edition_of(content, patch)
            self._view, self._content = view, content
            with self._publishing:
                self._remember(edition)
                self._newest = edition
            self.on_change()

    def _edition_of(self, content: dict[str, Any], patch: patches.Patch) -> Edition:
        """The next edition: what was compared, and the version and the moment, which alone make none."""
        before, now = self._newest.version, self.now_ms()
        number = self._newest.number + 1
        version = f"{self._life}-{number}"
        document = {**content, "hub": as_json(HubView(self.folder, version, self.troubles)), "now": now}
        update = b""
        if before:
            hub = {**patch["set"].get("hub", {}), "version": version}
            told = {"from": before, "to": version, **patch, "set": {**patch["set"], "hub": hub, "now": now}}
            update = frame(b"metrics_update", version, dumps(told))
        return Edition(number, version, update, document)

    def _remember(self, edition: Edition) -> None:
        """Keep the update, without the whole view that led to it, and forget the oldest beyond the bounds."""
        if not edition.update_frame:
            return
        self._updates.append(Update(edition.number, edition.version, edition.update_frame))
        self._updates_bytes += len(edition.update_frame)
        while len(self._updates) > REMEMBERED or self._updates_bytes > REMEMBERED_BYTES:
            self._updates_bytes -= len(self._updates.popleft().update_frame)

    def _view_of(self, state: State, today_ms: int) -> dict[str, Any]:
        """The view of a state as JSON, without the moment at which it was made: only what changed makes an edition."""
        recent, prices = self._tail.recent, self._prices()
        view = self._rows.document(state, self.now_ms(), today_ms=today_ms, recent=recent, overrides=prices)
        del view["now"]
        return view
