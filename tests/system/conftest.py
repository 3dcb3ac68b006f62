"""Each test's own processes note what they lost in its own runtime folder, and its own process reads them there; after it, all
totals agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyjama_metrics import agreement
from pyjama_metrics.hub import Hub
from pyjama_metrics.storage import places


@pytest.fixture(autouse=True)
def _own_runtime_folder(home: Path) -> None:
    """What this process knows about the runtime folder was that of the test before."""
    forget = getattr(places.runtime_folder, "cache_clear", None)
    if forget is not None:
        forget()


@pytest.fixture(autouse=True)
def _totals_agree(home: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """After every scenario all totals are the same wherever they are kept."""
    yield
    if home.is_dir() and request.node.get_closest_marker("totals_differ") is None:
        assert [each for each in agreement.compare(Hub(str(home))) if each.differences] == []
