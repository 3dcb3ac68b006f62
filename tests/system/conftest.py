"""Each test's own processes note what they lost in its own runtime folder, and its own process reads them there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyjama_metrics.storage import places


@pytest.fixture(autouse=True)
def _own_runtime_folder(home: Path) -> None:
    """What this process knows about the runtime folder was that of the test before."""
    forget = getattr(places.runtime_folder, "cache_clear", None)
    if forget is not None:
        forget()
