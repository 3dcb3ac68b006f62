"""The figures as they are now, as well as they can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyjama_metrics.cli.terminal import complain

if TYPE_CHECKING:
    from pyjama_metrics.hub import Hub
    from pyjama_metrics.state import State


def fresh_state(hub: Hub) -> State:
    """The state with everything counted that was recorded; where that fails, the state of the last fold,
    after a warning. Raises SnapshotUnreadable where a row of the shared file is not what it should be.
    """
    state = hub.read(fresh=True, thorough=True)
    if hub.trouble is not None:
        complain(f"These figures are not up to date. {hub.trouble}")
    if hub.follower is not None and hub.follower.trouble is not None:
        complain(str(hub.follower.trouble))
    return state
