"""The newest view of the hub: read once, serialised once, and handed to everybody who looks.

`Live` is the only thing that the watcher, the streams and the pages share. The watcher calls
`Live.refresh`; a stream waits in `Live.wait`; a page takes `Live.newest`. An `Edition` never changes, so
its bytes go to any number of clients.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pyjama_metrics.errors import HubError
from pyjama_metrics.queries import dashboard
from pyjama_metrics.state import new_state
from pyjama_metrics.storage.json import dumps
from pyjama_metrics.views import as_json

if TYPE_CHECKING:
    from pyjama_metrics.hub import Hub
    from pyjama_metrics.state import State
    from pyjama_metrics.storage.files import Signature


@dataclass(frozen=True, slots=True)
class HubView:
    """What a page knows about the hub as a whole."""

    folder: str = field(metadata={"help": "The folder that this dashboard reads."})
    version: str = field(metadata={"help": "Name of this edition of the view; differs after a restart."})
    troubles: tuple[str, ...] = field(metadata={"help": "What keeps the figures from being current, in sentences."})


@dataclass(frozen=True)
class Edition:
    """One version of the view.

    Attributes:
        number: counts up by one from 1 in this process.
        version: the number with the name of this server's life, so that it means nothing to another server.
        body: the JSON document of ``/api/data``.

    """

    number: int
    version: str
    body: bytes

    @cached_property
    def snapshot_frame(self) -> bytes:
        """The event that a stream opens with."""
        return self._frame(b"snapshot")

    @cached_property
    def update_frame(self) -> bytes:
        """The event that tells an open stream of a change."""
        return self._frame(b"metrics_update")

    def _frame(self, event: bytes) -> bytes:
        return b"event: %b\nid: %b\ndata: %b\n\n" % (event, self.version.encode(), self.body)


class Live:
    """The newest edition of one hub's view. Every method may be called from any thread."""

    def __init__(self, hub: Hub, clock: Callable[[], float] = time.time) -> None:
        self.folder = os.path.realpath(hub.folder)
        self._hub = hub
        self._clock = clock
        self._life = secrets.token_hex(4)
        self._reading = threading.RLock()
        self._signature: Signature | None = None
        self._never_read = True
        self._troubles: dict[str, str] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._newest = Edition(0, "", b"")
        self._shown: tuple[bytes, tuple[str, ...]] = (b"", ())
        self._show(self._view_of(new_state()))

    @property
    def newest(self) -> Edition:
        """The newest edition; there is one from the start."""
        return self._newest

    @property
    def troubles(self) -> tuple[str, ...]:
        """What keeps the figures from being current, in sentences."""
        return tuple(self._troubles.copy().values())

    @property
    def closed(self) -> bool:
        """Whether the server is about to end."""
        return self._closed

    def refresh(self) -> None:
        """Read the snapshot if it was replaced since the last time, and publish what is new.

        Costs one `os.stat` when nothing changed. Never raises: what cannot be read leaves the last good
        view in place, says why in `troubles`, and is tried again by the next call.
        """
        with self._reading:
            try:
                # The signature is taken before the reading: a replacement in between is read twice, and never
                # missed.
                signature = self._hub.signature()
                if signature == self._signature and not self._never_read and "reading" not in self._troubles:
                    return
                view = self._view_of(self._hub.read(fresh=False))
            except HubError as error:
                self.report("reading", str(error))
            except Exception as error:
                # The page must outlive anything that a foreign file in our place makes of the reader.
                self.report("reading", f"{self._hub.snapshot_path} could not be shown: {type(error).__name__}: {error}.")
            else:
                self._signature, self._never_read = signature, False
                self._troubles.pop("reading", None)
                self._show(view)

    def report(self, source: str, sentence: str | None) -> None:
        """Show ``sentence`` as the one trouble of ``source``, or take its trouble away with None."""
        with self._reading:
            if self._troubles.get(source) == sentence:
                return
            if sentence is None:
                del self._troubles[source]
            else:
                self._troubles[source] = sentence
            self._show(self._shown[0])

    def clear(self) -> None:
        """Clear the hub; the newest edition shows it on return.

        Raises HubError when the hub cannot be cleared.
        """
        self._hub.clear()
        self.refresh()

    def wait(self, after: int, timeout: float) -> Edition | None:
        """Return an edition newer than number ``after``, or None after ``timeout`` seconds or when closed.

        A caller that comes late gets the newest edition, not every one in between.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._newest.number > after, timeout)
            return self._newest if self._newest.number > after and not self._closed else None

    def close(self) -> None:
        """Wake everyone who waits, for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _show(self, view: bytes) -> None:
        """Publish an edition of ``view`` and the troubles, unless it would say what the newest one says."""
        with self._reading:
            if (view, self.troubles) == self._shown:
                return
            self._shown = (view, self.troubles)
            number = self._newest.number + 1
            version = f"{self._life}-{number}"
            head = {"hub": as_json(HubView(self.folder, version, self.troubles)), "now": self._now()}
            # Two documents become one by joining them at the brace: the view is not serialised again.
            edition = Edition(number, version, dumps(head)[:-1] + b"," + view[1:])
        with self._changed:
            self._newest = edition
            self._changed.notify_all()

    def _view_of(self, state: State) -> bytes:
        """The view of a state as JSON, without the moment at which it was made: only what changed makes an
        edition.
        """
        view = as_json(dashboard(state, self._now()))
        del view["now"]
        return dumps(view)

    def _now(self) -> int:
        return int(self._clock() * 1000)
