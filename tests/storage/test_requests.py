"""`requests.db` agrees with the snapshot: what a fold that died has written does not count, and what is damaged is set aside."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from pyjama_metrics.errors import SnapshotUnwritable
from pyjama_metrics.storage.requests import KEPT_MS, RequestsFile, newest
from pyjama_metrics.usages import Figures, Owner, Request

NOW = 50 * 86_400_000


def request(output: int, agent: str = "a") -> Request:
    """A request that told so many tokens."""
    return Request(Owner(1, agent, "", "", ""), Figures(1, True, output, output, 0, 0, 0, 0, -1, "m", 0))


@pytest.fixture
def requests(tmp_path: Path) -> RequestsFile:
    """The requests of a hub of which nothing is known."""
    return RequestsFile(str(tmp_path), fsync=False)


def publish(requests: RequestsFile, base: int, now_ms: int = NOW, **put: Request) -> None:
    """One whole fold: from the snapshot of one generation to the next."""
    requests.begin(base)
    for name, each in put.items():
        requests.get(name)
        requests[name] = each
    requests.write(base + 1, now_ms)


def known(requests: RequestsFile, base: int, name: str = "r") -> Request | None:
    """What a fold that begins at a generation knows of a request."""
    requests.begin(base)
    try:
        return requests.get(name)
    finally:
        requests.end()


def test_what_was_put_is_known_from_its_generation_on(requests: RequestsFile) -> None:
    """And at once in the same fold."""
    requests.begin(4)
    assert requests.get("r") is None
    requests["r"] = request(1)
    assert requests.get("r") == request(1)
    requests.write(5, NOW)
    assert (known(requests, 4), known(requests, 5), known(requests, 6)) == (None, request(1), request(1))


def test_the_file_is_private_and_not_made_by_a_hub_without_requests(requests: RequestsFile) -> None:
    """No more than what the snapshot tells should anybody else read."""
    publish(requests, 0)
    assert not os.path.exists(requests.path)
    publish(requests, 1, r=request(1))
    assert stat.S_IMODE(os.stat(requests.path).st_mode) == 0o600


def test_one_generation_back_the_request_before_it_counts(requests: RequestsFile) -> None:
    """That is how far a damaged snapshot is restored."""
    publish(requests, 0, r=request(1))
    publish(requests, 1, r=request(2))
    assert (known(requests, 0), known(requests, 1), known(requests, 2)) == (None, request(1), request(2))


def test_what_a_fold_wrote_that_died_is_taken_back_by_the_next_even_if_it_tells_nothing(requests: RequestsFile) -> None:
    """The next snapshot has the very generation that the dead fold would have had."""
    publish(requests, 0, r=request(1))
    publish(requests, 1, r=request(2), s=request(3))  # it dies before its snapshot
    other = RequestsFile(os.path.dirname(requests.path), fsync=False)
    publish(other, 1)
    assert (known(other, 2), known(other, 2, "s")) == (request(1), None)


def test_a_process_that_saw_nothing_change_looks_again_when_its_state_counts_less(requests: RequestsFile) -> None:
    """Somebody removed the snapshot: the figures are at zero, and nothing is known."""
    publish(requests, 0, r=request(1))
    publish(requests, -1)
    assert known(requests, 7) is None


def test_what_a_dead_fold_wrote_over_is_known_again_when_others_are_written(requests: RequestsFile) -> None:
    """Of the one that the next fold meets, too, what was before the dead one stays the one before."""
    publish(requests, 0, r=request(1), s=request(1))
    publish(requests, 1, r=request(2), s=request(2))
    publish(requests, 1, r=request(3))
    assert (known(requests, 1), known(requests, 2)) == (request(1), request(3))
    assert known(requests, 2, "s") == request(1)


def test_a_clear_forgets_with_its_snapshot_and_not_before(requests: RequestsFile) -> None:
    """Where it dies before that, all is known as it was."""
    publish(requests, 0, r=request(1))
    requests.begin(1)
    requests.write(2, NOW, cleared=True)
    assert (known(requests, 1), known(requests, 2)) == (request(1), None)
    publish(requests, 1, s=request(1))  # the clear has died
    assert known(requests, 2) == request(1)
    requests.begin(2)
    requests.write(3, NOW, cleared=True)
    publish(requests, 3, s=request(5))
    assert (known(requests, 4), known(requests, 4, "s")) == (None, request(5))
    assert newest(os.path.dirname(requests.path), ["r", "s"]) == {"s": request(5)}


def test_what_had_no_news_for_forty_days_is_forgotten(requests: RequestsFile) -> None:
    """Once a day; told again it would count again."""
    publish(requests, 0, r=request(1), s=request(1))
    publish(requests, 1, NOW + KEPT_MS, s=request(2))
    publish(requests, 2, NOW + KEPT_MS + 86_400_000, t=request(1))
    assert (known(requests, 3), known(requests, 3, "s")) == (None, request(2))


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + bytes(4096)])
def test_a_damaged_file_is_set_aside_and_begun_anew(requests: RequestsFile, damage: bytes) -> None:
    """Counting goes on; an empty one is a new one."""
    publish(requests, 0, r=request(1))
    Path(requests.path).write_bytes(damage)
    requests.begin(1)
    assert requests.get("r") is None
    requests["r"] = request(2)
    requests.write(2, NOW)
    aside = list(Path(requests.path).parent.glob("requests.db.corrupt-*"))
    assert (len(aside), requests.set_aside) == ((0, None) if not damage else (1, str(aside[0])))
    assert known(requests, 2) == request(2)


def test_a_file_that_is_damaged_while_a_fold_is_at_work_loses_nothing_of_that_fold(requests: RequestsFile) -> None:
    """What it has read and put goes into the new file."""
    publish(requests, 0, r=request(1))
    requests.begin(1)
    requests["r"] = request(2) if requests.get("r") == request(1) else request(99)
    with open(requests.path, "r+b") as file:
        file.write(bytes(8192))
    requests.write(2, NOW)
    assert requests.set_aside is not None
    assert (known(requests, 1), known(requests, 2)) == (request(1), request(2))


def test_a_database_of_somebody_else_is_set_aside(requests: RequestsFile) -> None:
    """Its tables are not ours."""
    with sqlite3.connect(requests.path) as database:
        database.execute("CREATE TABLE meta (a)")
    database.close()
    publish(requests, 0, r=request(1))
    assert requests.set_aside is not None
    assert known(requests, 1) == request(1)


def test_only_the_newest_damaged_file_is_kept(requests: RequestsFile) -> None:
    """Something may damage it for weeks."""
    for base in range(3):
        publish(requests, base, r=request(base))
        Path(requests.path).write_bytes(b"no database")
    publish(requests, 3, r=request(9))
    assert len(list(Path(requests.path).parent.glob("requests.db.corrupt-*"))) == 1


def test_a_file_that_others_keep_locked_stops_the_fold_and_is_left_alone(
    requests: RequestsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is published without it, and the next fold catches up."""
    monkeypatch.setattr("pyjama_metrics.storage.requests._WAIT", 0.01)
    publish(requests, 0, r=request(1))
    holder = sqlite3.connect(requests.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    requests.begin(1)
    requests["s"] = request(2)
    with pytest.raises(SnapshotUnwritable, match="locked"):
        requests.write(2, NOW)
    holder.close()
    publish(requests, 1, s=request(2))
    assert (requests.set_aside, known(requests, 2), known(requests, 2, "s")) == (None, request(1), request(2))


def test_who_looks_without_a_lock_knows_what_is_not_published_yet(requests: RequestsFile, tmp_path: Path) -> None:
    """A page shows calls before the fold has published them."""
    assert newest(str(tmp_path), ["r"]) == {}
    publish(requests, 0, r=request(1))
    publish(requests, 1, r=request(2))
    assert newest(str(tmp_path), ["r", "none"]) == {"r": request(2)}
    Path(requests.path).write_bytes(b"no database")
    assert newest(str(tmp_path), ["r"]) == {}
