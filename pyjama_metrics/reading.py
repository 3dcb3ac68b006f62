"""The reading side of the front door: fresh figures as plain dictionaries."""

from __future__ import annotations

from typing import Any

from pyjama_metrics import queries, recorder, views
from pyjama_metrics.days import local_midnight
from pyjama_metrics.hub import Hub
from pyjama_metrics.state import State


def flush(timeout: float | None = None) -> bool:
    """Bring everything recorded so far, by any process, into ``metrics.json``.

    Args:
        timeout: seconds to try; None tries until it is done.

    Returns:
        Whether it is done.

    Raises:
        FolderUnusable, SnapshotUnwritable, SnapshotUnreadable: it cannot be done; nothing is lost.
    """
    recorder.look_after_journal()
    return Hub().flush(timeout)


def read_metrics() -> State:
    """The whole of ``metrics.json``, fresh, as plain dictionaries of the caller's own (``docs/metrics-json.md``).

    Raises:
        FolderUnusable, SnapshotUnreadable: there is nothing that could be read.
    """
    recorder.look_after_journal()
    return Hub().read()


def get_dashboard_data() -> dict[str, Any]:
    """What the page shows, fresh: ``{"agents", "metrics", "recent-logs", …}`` (``docs/http.md``). Raises as `read_metrics`."""
    from pyjama_metrics.storage import config  # who only records and flushes has no use for it

    recorder.look_after_journal()
    hub = Hub()
    state, now = hub.read(), hub.clock()
    prices = config.load().prices
    view = queries.dashboard(state, int(now * 1000), today_ms=local_midnight(now), overrides=prices)
    data: dict[str, Any] = views.as_json(view)
    return data


def clear_metrics() -> None:
    """Start the figures anew, for all processes; open runs stay as running, with nothing counted. Settings stay.

    Raises:
        LockTimeout, FolderUnusable, SnapshotUnwritable: nothing was cleared.
    """
    recorder.look_after_journal()
    Hub().clear()
