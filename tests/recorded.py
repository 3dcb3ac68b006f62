"""What this test's processes have recorded, read from their journals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def recorded(home: Path, *kinds: str) -> list[dict[str, Any]]:
    """The events in the journals of ``home``, in the order of each writer; of all kinds, or of those named.

    The headers of the journals are left out.
    """
    found = []
    for journal in sorted(home.glob("journal/*.jsonl")):
        for line in journal.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["event"] != "writer" and (not kinds or event["event"] in kinds):
                found.append(event)
    return found


def only(home: Path, kind: str) -> dict[str, Any]:
    """The one event of a kind; fails if there is none, or more than one."""
    (event,) = recorded(home, kind)
    return event
