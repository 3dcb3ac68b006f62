"""``requests.db``: what is known of each model call that has a request id, so that it counts once.

It has to agree with the snapshot wherever a process dies, and the two are two files. So each row says of which generation of
the snapshot it is, and keeps what was known before: a row of a generation that the snapshot does not have yet is of a fold that
died (or is about to publish), and what was before it counts. Rows are therefore written before the snapshot, in one
transaction, which first takes back what a fold that died has left. To the generation before (``metrics.json.prev``) one can
go back in the same way, but no further.

A clear is a row of its own: requests of generations before it are forgotten as soon as the snapshot has that generation.

A file that is damaged is set aside and begun anew: then calls that are told again count again, and nothing else is wrong.

SQLite is imported when a request is first asked for, and the file is open only during a fold. All functions but `newest` must be
called under the fold lock.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyjama_metrics.errors import SnapshotUnwritable
from pyjama_metrics.storage import files, json, names
from pyjama_metrics.usages import Figures, Owner, Request

if TYPE_CHECKING:
    import sqlite3

    from pyjama_metrics.storage.files import Signature

KEPT_MS = 40 * 24 * 3600 * 1000
"""How long a request is known after the last news of it, which is longer than Claude Code usually keeps a transcript. What is
told again after that counts again.
"""
_DAY_MS = 24 * 3600 * 1000
_NOTHING = -1
"""A generation before all others: a state that counts nothing."""
_WAIT = 5.0
_WHOLE = ("database is locked", "database or disk is full", "attempt to write a readonly", "unable to open", "disk I/O error")
"""How SQLite begins to say that it is not the file that is wrong."""

_TABLES = """
CREATE TABLE requests (
    id BLOB PRIMARY KEY, generation INTEGER NOT NULL, request BLOB NOT NULL,
    before_generation INTEGER, before BLOB, time_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

Known = tuple[int, Request]
"""A request, and the generation as of which it is that."""


class RequestsFile:
    """The requests of the hub in ``folder``, for one fold after the other: `begin`, `get` and set, then `write` or not."""

    def __init__(self, folder: str, *, fsync: bool) -> None:
        self.path = os.path.join(folder, names.REQUESTS)
        self.set_aside: str | None = None
        """Where the damaged file is that this fold met; None where it met none."""
        self._synchronous = "FULL" if fsync else "OFF"
        self._base = _NOTHING
        self._database: sqlite3.Connection | None = None
        self._is_there: bool | None = None
        """Whether there is a file; None where this fold has not asked."""
        self._known: dict[str, Known | None] = {}
        self._put: dict[str, Request] = {}
        self._cleared = _NOTHING
        self._settled: tuple[Signature | None, int] | None = None
        """The file as of our own last writing, and its generation: nobody wrote into it since, so nobody died over it."""

    def begin(self, generation: int) -> None:
        """Begin a fold.

        Args:
            generation: the newest of what the state counts; -1 where it counts nothing.
        """
        self.end()
        self._base, self.set_aside, self._is_there = generation, None, None

    def end(self) -> None:
        """Forget what was put, and close the file."""
        self._known.clear()
        self._put.clear()
        self._close()

    def get(self, request_id: str) -> Request | None:
        """What the state counts of a call, with what was put since `begin`. Raises OSError."""
        found = self._put.get(request_id)
        if found is not None:
            return found
        known = self._known_at_base(request_id)
        return None if known is None else known[1]

    def __setitem__(self, request_id: str, request: Request) -> None:
        """Know that of a call from now on."""
        self._put[request_id] = request

    def write(self, generation: int, now_ms: int, *, cleared: bool = False) -> None:
        """Write what was put, for the snapshot of that generation, which is to be published next.

        Args:
            generation: of that snapshot.
            now_ms: what is older than ``KEPT_MS`` then is forgotten.
            cleared: whether that snapshot counts nothing; then whatever was known is forgotten with it.

        Raises SnapshotUnwritable: neither may be published.
        """
        try:
            there = files.signature(self.path)
            if there is None and not self._put:
                return
            is_settled = self._settled is not None and self._settled[0] == there and self._settled[1] <= self._base
            if is_settled and not self._put and not cleared:
                return
            for _ in range(2):  # a second time into a new file, where this one turns out to be damaged
                with self._mending():
                    self._write(generation, now_ms, cleared)
                    self.end()
                    break
            self._settled = files.signature(self.path), generation
        except OSError as error:
            raise SnapshotUnwritable(self.path, error.strerror or str(error)) from error

    def _write(self, generation: int, now_ms: int, cleared: bool) -> None:
        database = self._opened()
        if not self._put and not cleared and self._meta(database, "generation") <= self._base:
            return
        database.execute("BEGIN IMMEDIATE")
        self._take_back(database)
        if _NOTHING < self._cleared <= self._base:
            # The snapshot of that clear is published, so nobody goes back to before it.
            database.execute("DELETE FROM requests WHERE generation < ?", (self._cleared,))
            database.execute("DELETE FROM meta WHERE key = 'cleared'")
        rows = []
        for request_id, request in () if cleared else self._put.items():
            before = self._known_at_base(request_id)
            rows.append(
                (
                    _key(request_id),
                    generation,
                    _packed(request),
                    None if before is None else before[0],
                    None if before is None else _packed(before[1]),
                    now_ms,
                )
            )
        database.executemany("INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?)", rows)
        meta = {"generation": generation}
        if cleared:
            meta["cleared"] = generation
        day = now_ms // _DAY_MS
        if self._meta(database, "pruned") != day:
            database.execute("DELETE FROM requests WHERE time_ms < ?", (now_ms - KEPT_MS,))
            meta["pruned"] = day
        database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())
        database.execute("COMMIT")

    def _take_back(self, database: sqlite3.Connection) -> None:
        """Take back what folds have written whose snapshot was never published, or is lost."""
        if self._meta(database, "generation") <= self._base:
            return
        base = (self._base,)
        database.execute("DELETE FROM requests WHERE generation > ?1 AND coalesce(before_generation, ?1 + 1) > ?1", base)
        undo = "UPDATE requests SET generation = before_generation, request = before, before_generation = NULL, before = NULL"
        database.execute(f"{undo} WHERE generation > ?", base)
        database.execute("DELETE FROM meta WHERE key = 'cleared' AND value > ?", base)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _known_at_base(self, request_id: str) -> Known | None:
        if request_id not in self._known:
            with self._mending():
                self._known[request_id] = None
                if self._is_there is None:
                    self._is_there = os.path.exists(self.path)
                if self._is_there:
                    self._known[request_id] = self._looked_up(self._opened(), request_id)
        return self._known[request_id]

    def _looked_up(self, database: sqlite3.Connection, request_id: str) -> Known | None:
        row = _row(database, request_id)
        if row is None:
            return None
        after = self._cleared if self._cleared <= self._base else _NOTHING
        for generation, packed in (row[:2], row[2:]):
            if generation is not None and after <= generation <= self._base:
                return generation, _unpacked(packed)
        return None

    def _meta(self, database: sqlite3.Connection, key: str) -> int:
        row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return _NOTHING if row is None else int(row[0])

    # -- the file --------------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            database = _connected(self.path)
            try:
                # A journal of its own beside the file, so that a killed writer is undone by the next to open it; and the
                # file's own times tell whether anybody wrote.
                database.execute("PRAGMA journal_mode = TRUNCATE")
                database.execute(f"PRAGMA synchronous = {self._synchronous}")
                if not database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]:
                    database.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
                self._cleared = self._meta(database, "cleared")
            except BaseException:
                database.close()
                raise
            self._database = database
        return self._database

    @contextmanager
    def _mending(self) -> Iterator[None]:
        """Set the file aside where it turns out to be damaged, and do without what was in it. Raises OSError."""
        import sqlite3

        try:
            yield
        except (sqlite3.Error, ValueError, TypeError, LookupError) as error:
            self._close()
            if isinstance(error, sqlite3.OperationalError) and str(error).startswith(_WHOLE):
                raise OSError(None, str(error)) from error
            # What was looked up before stays known: it is counted, and goes into the new file where it is told again.
            self._set_aside()

    def _set_aside(self) -> None:
        folder, name = os.path.split(self.path)
        for each in os.listdir(folder):
            if each.startswith(f"{name}.corrupt-"):
                files.remove(os.path.join(folder, each))  # one is enough for people to look at
        self._is_there = False
        self.set_aside, self._settled = f"{self.path}.corrupt-{time.time_ns() // 1_000_000}", None
        os.rename(self.path, self.set_aside)
        files.remove(f"{self.path}-journal")

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


def newest(folder: str, request_ids: list[str]) -> dict[str, Request]:
    """What is known of some calls, in whatever state a fold is that is at work: for whoever shows what is not published yet.

    Never raises; of what cannot be read nothing is known.
    """
    path = os.path.join(folder, names.REQUESTS)
    if not os.path.exists(path):
        return {}
    import sqlite3

    found: dict[str, Request] = {}
    try:
        database = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=0.2, isolation_level=None)
        try:
            row = database.execute("SELECT value FROM meta WHERE key = 'cleared'").fetchone()
            cleared = _NOTHING if row is None else row[0]
            for request_id in request_ids:
                row = _row(database, request_id)
                if row is not None and row[0] >= cleared:
                    found[request_id] = _unpacked(row[1])
        finally:
            database.close()
    except (sqlite3.Error, ValueError, TypeError, LookupError):
        return found  # whoever folds sets it aside, and says so
    return found


def _connected(path: str) -> sqlite3.Connection:
    """The file, made private from its first moment. Raises OSError, sqlite3.Error."""
    import sqlite3

    files.make_folder(os.path.dirname(path))
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.FILE_MODE))
    return sqlite3.connect(path, timeout=_WAIT, isolation_level=None)


def _row(database: sqlite3.Connection, request_id: str) -> tuple[Any, ...] | None:
    query = "SELECT generation, request, before_generation, before FROM requests WHERE id = ?"
    row: tuple[Any, ...] | None = database.execute(query, (_key(request_id),)).fetchone()
    return row


def _key(request_id: str) -> bytes:
    return hashlib.blake2b(request_id.encode(), digest_size=16).digest()


def _packed(request: Request) -> bytes:
    return json.dumps([list(request.owner), list(request.figures)])


def _unpacked(data: bytes) -> Request:
    """Raises ValueError, TypeError: it is none."""
    owner, figures = json.loads(data)
    return Request(Owner(*owner), Figures(*figures))


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.path.abspath(path))
