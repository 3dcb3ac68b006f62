"""``sessions.db``: what is known of the sessions of other programs, and how far their journals and transcripts are read.

What was read and what is to be written because of it are one transaction: the lines for the journals are put into an outbox with
everything else, and are appended after the commit. Each has a number; a process that dies in between leaves the outbox to the
next one, which appends those lines that are not in their journal yet. So each line is in its journal exactly once.

SQLite is imported when the file is first needed. All of it is to be called under the lock of whoever
follows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from pyjama_metrics.errors import SessionsUnusable
from pyjama_metrics.sessions.known import Spent
from pyjama_metrics.sessions.machine import Session
from pyjama_metrics.storage import files, json, names
from pyjama_metrics.storage.damage import is_damage

if TYPE_CHECKING:
    import sqlite3

KEPT_DAYS = 400
"""Days for which it is known what was told. Claude Code keeps transcripts for 30 days unless it is told otherwise."""
KEPT_OVER_DAYS = 40
"""Days for which a session is known that is over."""
_DAY_MS = 86_400_000
_WAIT = 1.0
_FORM = 1
_TABLES = """
CREATE TABLE offsets (journal TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
    writer TEXT PRIMARY KEY, source TEXT NOT NULL, session TEXT NOT NULL, process TEXT NOT NULL, is_over INTEGER NOT NULL,
    last_ms INTEGER NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX sessions_by_session ON sessions (session);
CREATE INDEX sessions_by_process ON sessions (process);
CREATE TABLE files (path TEXT PRIMARY KEY, position BLOB NOT NULL, day INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX files_by_day ON files (day);
CREATE TABLE told (id TEXT PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE owners (
    id INTEGER PRIMARY KEY, session TEXT NOT NULL, agent TEXT NOT NULL, run TEXT NOT NULL, model TEXT NOT NULL,
    UNIQUE (session, agent, run, model));
CREATE TABLE spent (
    message TEXT PRIMARY KEY, owner INTEGER NOT NULL, time INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX spent_by_owner ON spent (owner);
CREATE TABLE copies (session TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (session, message)) WITHOUT ROWID;
CREATE TABLE excess (
    session TEXT NOT NULL, model TEXT NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL, PRIMARY KEY (session, model)) WITHOUT ROWID;
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY, writer TEXT NOT NULL, segment TEXT NOT NULL, offset INTEGER NOT NULL, line BLOB NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_TOKENS = "input, output, cache_read, cache_write, cache_write_1h"
_SPENT = f"session, agent, run, time, model, {_TOKENS}"
_SUMS = ", ".join(f"COALESCE(SUM({each}), 0)" for each in _TOKENS.split(", "))


class Letter(NamedTuple):
    """A line in the outbox.

    Attributes:
        number: which no other line has.
        writer: of the journal to which it is to be appended.
        segment: the newest segment of that journal when it was put here; "" where there was none.
        offset: the size of that segment then: the line is behind it, if it is there at all.
        line: with its newline.
    """

    number: int
    writer: str
    segment: str
    offset: int
    line: bytes


class SessionsFile:
    """The file, open for one turn of whoever follows the sessions: use it as a context manager, and `commit` in the end.

    It is what `pyjama_metrics.sessions.known.Known` asks for. What is changed and not committed is forgotten.
    """

    def __init__(self, folder: str, *, fsync: bool) -> None:
        self.path = os.path.join(folder, names.SESSIONS)
        self.set_aside: str | None = None
        """Where the damaged file is that was found; None where none was."""
        self.is_new = False
        """Whether it was made by this turn: what was told before is in the journals only."""
        self._synchronous = "FULL" if fsync else "NORMAL"
        self._database: sqlite3.Connection | None = None
        self._told: set[str] = set()
        self._news: set[str] = set()
        self._spent: dict[str, Spent | None] = {}
        self._spent_news: dict[str, Spent] = {}
        self._copies: set[tuple[str, str]] = set()
        self._owners: dict[tuple[str, ...], int] = {}
        self._knows_all = False

    def __enter__(self) -> SessionsFile:
        """Open it, made where there is none. Raises SessionsUnusable."""
        import sqlite3

        try:
            self._database = self._opened()
        except sqlite3.Error as error:
            if not _is_broken(error):
                raise SessionsUnusable(self.path, str(error)) from error
            self.set_aside = self._put_aside()
            try:
                self._database = self._opened()
            except sqlite3.Error as again:
                raise SessionsUnusable(self.path, str(again)) from again
        except OSError as error:
            raise SessionsUnusable(self.path, error.strerror or str(error)) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it. Raises SessionsUnusable in place of what SQLite raised meanwhile."""
        import sqlite3

        try:
            if self._database is not None:
                with suppress(sqlite3.Error):  # what is not committed is gone with the connection
                    if self._database.in_transaction:
                        self._database.execute("ROLLBACK")
                self._database.close()
                self._database = None
        finally:
            for cache in (self._told, self._news, self._spent, self._spent_news, self._copies, self._owners):
                cache.clear()
            self._knows_all = False
        wrong = error if isinstance(error, sqlite3.Error) else getattr(error, "__cause__", None)
        if isinstance(wrong, sqlite3.Error) and _is_broken(wrong):
            # Not all damage shows when it is opened. The next turn begins anew, with what the journals tell.
            with suppress(OSError):
                self.set_aside = self._put_aside()
        if isinstance(error, sqlite3.Error):
            raise SessionsUnusable(self.path, str(error)) from error

    def _opened(self) -> sqlite3.Connection:
        import sqlite3

        files.make_folder(os.path.dirname(self.path))
        if not os.path.exists(self.path):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.FILE_MODE))
        database = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        try:
            form = database.execute("PRAGMA user_version").fetchone()[0]
            if form > _FORM:
                raise SessionsUnusable(self.path, f"a newer version of pyjama-metrics made it (form {form})")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"PRAGMA synchronous = {self._synchronous}")
            database.execute("BEGIN IMMEDIATE")
            self.is_new = form == 0
            if self.is_new:
                for statement in _TABLES.split(";"):
                    if statement.strip():
                        database.execute(statement)
                database.execute(f"PRAGMA user_version = {_FORM}")
        except BaseException:
            database.close()
            raise
        return database

    def _put_aside(self) -> str:
        aside = f"{self.path}.corrupt-{time.time_ns() // 1_000_000}"
        for suffix in ("-wal", "-shm", ""):
            if os.path.exists(self.path + suffix):
                os.replace(self.path + suffix, aside + suffix)
        return aside

    @property
    def _db(self) -> sqlite3.Connection:
        if self._database is None:
            raise SessionsUnusable(self.path, "it is not open")
        return self._database

    # -- what was told already -------------------------------------------------------------------------------------

    def learn_all(self) -> None:
        """Read what was told into memory, because very much is about to be asked for."""
        self._told.update(row[0] for row in self._db.execute("SELECT id FROM told"))
        for message, *row in self._db.execute(f"SELECT message, {_SPENT} FROM spent JOIN owners ON owners.id = owner"):
            self._spent[message] = _spent(row)
        self._knows_all = True

    def answered(self, call: str) -> bool:
        """Whether the outcome of a call was told."""
        return self._is_told(f"c{call}")

    def answer(self, call: str) -> None:
        """It is told now."""
        self._news.add(f"c{call}")

    def prompted(self, message: str) -> bool:
        """Whether a prompt was told. From now on it was."""
        before = self._is_told(f"p{message}")
        if not before:
            self._news.add(f"p{message}")
        return before

    def compacted(self, name: str) -> bool:
        """Whether the request for a summary was told, by session and time. From now on it was."""
        return not self.first_told("k", [name])

    def first_told(self, kind: str, ids: Sequence[str]) -> Sequence[int]:
        """Which of some things, named by their places in a list, were not told yet. From now on they are.

        Args:
            kind: a letter for what they are: c for the outcomes of calls, p for prompts, f for failures, k for compactions.
            ids: their ids.
        """
        told = [f"{kind}{each}" for each in ids]
        names = set(told)
        if self._knows_all and len(names) == len(told) and self._told.isdisjoint(names) and self._news.isdisjoint(names):
            self._news |= names
            return range(len(told))
        first = []
        for place, name in enumerate(told):
            if not self._is_told(name):
                self._news.add(name)
                first.append(place)
        return first

    def _is_told(self, name: str) -> bool:
        if name in self._news or name in self._told:
            return True
        if self._knows_all:
            return False
        found = self._db.execute("SELECT 1 FROM told WHERE id = ?", (name,)).fetchone() is not None
        if found:
            self._told.add(name)
        return found

    def spent(self, message: str) -> Spent | None:
        """What was told of an answer of a model; None where nothing was."""
        if message in self._spent:
            return self._spent[message]
        if self._knows_all:
            return None
        row = self._db.execute(
            f"SELECT {_SPENT} FROM spent JOIN owners ON owners.id = owner WHERE message = ?", (message,)
        ).fetchone()
        found = self._spent[message] = None if row is None else _spent(row)
        return found

    def knows_none_of(self, messages: Iterable[str]) -> bool:
        """Whether surely nothing was told of some answers of models; without asking the database."""
        return self._knows_all and self._spent.keys().isdisjoint(messages)

    def spend(self, message: str, spent: Spent) -> None:
        """That is told of it now."""
        self._spent[message] = self._spent_news[message] = spent

    def copied(self, session: str, message: str) -> None:
        """The transcript of a session has this answer, which another session told first."""
        self._copies.add((session, message))

    def unlisted(self, session: str, model: str, total: tuple[int, ...]) -> tuple[int, ...]:
        """By how much what the program counted for a session exceeds what its transcript lists, and was not told yet."""
        self._flush()
        of_session = self._db.execute(
            f"SELECT {_SUMS} FROM spent WHERE owner IN (SELECT id FROM owners WHERE session = ?2 AND model = ?1) OR"
            " (message IN (SELECT message FROM copies WHERE session = ?2) AND owner IN (SELECT id FROM owners WHERE model = ?1))",
            (model, session),
        ).fetchone()
        of_parents = self._db.execute(
            f"SELECT {_SUMS} FROM excess WHERE model = ?1 AND session <> ?2 AND session IN (SELECT owners.session FROM copies"
            " JOIN spent USING (message) JOIN owners ON owners.id = owner WHERE copies.session = ?2)",
            (model, session),
        ).fetchone()
        excess = tuple(max(0, all_of - own - told) for all_of, own, told in zip(total, of_session, of_parents, strict=True))
        before = self._db.execute(f"SELECT {_TOKENS} FROM excess WHERE session = ? AND model = ?", (session, model)).fetchone()
        told = tuple(map(max, before or (0,) * 5, excess))
        self._db.execute("INSERT OR REPLACE INTO excess VALUES (?,?,?,?,?,?,?)", (session, model, *told))
        return tuple(now - then for now, then in zip(told, before or (0,) * 5, strict=True))

    def has_unlisted(self, session: str, model: str) -> bool:
        """Whether `unlisted` answered something of that session and that model before."""
        found = self._db.execute(f"SELECT {_TOKENS} FROM excess WHERE session = ? AND model = ?", (session, model)).fetchone()
        return found is not None and any(found)

    # -- sessions, files, journals ---------------------------------------------------------------------------------

    def session(self, writer: str) -> Session | None:
        """The session whose journal that is."""
        row = self._db.execute("SELECT state FROM sessions WHERE writer = ?", (writer,)).fetchone()
        return None if row is None else Session.from_json(json.loads(row[0]))

    def of_session(self, source: str, session: str) -> Iterator[Session]:
        """The processes of a program that worked on a session."""
        rows = self._db.execute("SELECT state FROM sessions WHERE session = ? AND source = ? ORDER BY writer", (session, source))
        for (state,) in rows.fetchall():
            yield Session.from_json(json.loads(state))

    def of_process(self, process: str) -> set[str]:
        """The writers of the sessions on which a process worked."""
        return {row[0] for row in self._db.execute("SELECT writer FROM sessions WHERE process = ?", (process,))}

    def unfinished(self) -> Iterator[Session]:
        """The sessions of which more may come, or is to be told."""
        for (state,) in self._db.execute("SELECT state FROM sessions WHERE is_over = 0 ORDER BY writer").fetchall():
            yield Session.from_json(json.loads(state))

    def keep(self, session: Session, *, is_over: bool) -> None:
        """Keep a session as it is now."""
        names_of = session.writer, session.source, session.session, session.process
        row = (*names_of, int(is_over), session.last_ms, json.dumps(session.as_json()))
        self._db.execute("INSERT OR REPLACE INTO sessions VALUES (?,?,?,?,?,?,?)", row)

    def position(self, path: str) -> Any:
        """How far a transcript is read; None where it is not known."""
        row = self._db.execute("SELECT position FROM files WHERE path = ?", (path,)).fetchone()
        return None if row is None else json.loads(row[0])

    def positions(self) -> dict[str, Any]:
        """How far all transcripts are read, by their paths."""
        return {path: json.loads(kept) for path, kept in self._db.execute("SELECT path, position FROM files")}

    def set_position(self, path: str, position: Any) -> None:
        """A transcript is read that far."""
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (path, json.dumps(position), _today()))

    def offset(self, journal: str) -> int:
        """How far a journal is read, in bytes."""
        row = self._db.execute("SELECT offset FROM offsets WHERE journal = ?", (journal,)).fetchone()
        return 0 if row is None else int(row[0])

    def set_offset(self, journal: str, offset: int) -> None:
        """A journal is read that far."""
        self._db.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?)", (journal, offset))

    def forget_journals(self, there: Iterable[str]) -> None:
        """Only these journals are there any more."""
        known = {row[0] for row in self._db.execute("SELECT journal FROM offsets")}
        self._db.executemany("DELETE FROM offsets WHERE journal = ?", [(name,) for name in known - set(there)])

    def let_go(self) -> None:
        """Forget what nobody will ask for again, once a day: what is older than any transcript that is still about."""
        today = _today()
        row = self._db.execute("SELECT value FROM meta WHERE key = 'let-go'").fetchone()
        if row is not None and row[0] == today:
            return
        since = today - KEPT_DAYS
        self._db.execute("DELETE FROM told WHERE day < ?", (since,))
        self._db.execute("DELETE FROM spent WHERE time < ?", (since * _DAY_MS,))
        self._db.execute("DELETE FROM owners WHERE id NOT IN (SELECT owner FROM spent)")
        self._db.execute("DELETE FROM copies WHERE message NOT IN (SELECT message FROM spent)")
        self._db.execute("DELETE FROM excess WHERE session NOT IN (SELECT session FROM owners)")
        for (path,) in self._db.execute("SELECT path FROM files WHERE day < ?", (since,)).fetchall():
            # One that is still there was not written to since; were it read again, all of it would count a second time.
            if os.path.exists(path):
                self._db.execute("UPDATE files SET day = ? WHERE path = ?", (today, path))
            else:
                self._db.execute("DELETE FROM files WHERE path = ?", (path,))
        self._db.execute("DELETE FROM sessions WHERE is_over AND last_ms < ?", ((today - KEPT_OVER_DAYS) * _DAY_MS,))
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('let-go', ?)", (today,))

    # -- what is to be written -------------------------------------------------------------------------------------

    def begin_numbers(self, least: int) -> None:
        """No line gets a smaller number than that."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('next', ?)", (least,))

    def next_numbers(self, count: int) -> int:
        """The first of so many numbers that nothing has yet."""
        row = self._db.execute("SELECT value FROM meta WHERE key = 'next'").fetchone()
        first = 1 if row is None else int(row[0])
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('next', ?)", (first + count,))
        return first

    def is_marked(self, key: str) -> bool:
        """Whether `mark` was called for this file."""
        return self._db.execute("SELECT 1 FROM meta WHERE key = ?", (key,)).fetchone() is not None

    def mark(self, key: str) -> None:
        """Remember something of this file."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, 1)", (key,))

    def post(self, letters: Iterable[Letter]) -> None:
        """Put lines into the outbox."""
        self._db.executemany("INSERT INTO outbox VALUES (?,?,?,?,?)", letters)

    def outbox(self) -> list[Letter]:
        """The lines that are in the outbox, in the order of their numbers."""
        return [
            Letter(*row) for row in self._db.execute("SELECT number, writer, segment, offset, line FROM outbox ORDER BY number")
        ]

    def sent(self, letters: Iterable[Letter]) -> None:
        """These lines are in their journals."""
        self._db.executemany("DELETE FROM outbox WHERE number = ?", [(letter.number,) for letter in letters])

    def _owner(self, *owner: str) -> int:
        number = self._owners.get(owner)
        if number is None:
            self._db.execute("INSERT OR IGNORE INTO owners (session, agent, run, model) VALUES (?,?,?,?)", owner)
            row = self._db.execute(
                "SELECT id FROM owners WHERE session = ? AND agent = ? AND run = ? AND model = ?", owner
            ).fetchone()
            number = self._owners[owner] = int(row[0])
        return number

    def commit(self) -> None:
        """All of it holds from now on; and begin the next transaction. Raises SessionsUnusable: none of it holds."""
        import sqlite3

        try:
            self._flush()
            self._db.execute("COMMIT")
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise SessionsUnusable(self.path, str(error)) from error

    def _flush(self) -> None:
        day = _today()
        # In their order: a tree takes them several times as fast.
        self._db.executemany("INSERT OR IGNORE INTO told VALUES (?, ?)", [(name, day) for name in sorted(self._news)])
        self._told |= self._news
        self._news.clear()
        owner = self._owner
        rows = [
            (message, owner(session, agent, run, model), time_ms, *tokens)
            for message, (session, agent, run, time_ms, model, tokens) in sorted(self._spent_news.items())
        ]
        self._db.executemany("INSERT OR REPLACE INTO spent VALUES (?,?,?,?,?,?,?,?)", rows)
        self._spent_news.clear()
        self._db.executemany("INSERT OR IGNORE INTO copies VALUES (?, ?)", list(self._copies))
        self._copies.clear()


def _spent(row: Sequence[Any]) -> Spent:
    session, agent, run, time_ms, model, *tokens = row
    return Spent(session, agent, run, time_ms, model, tuple(tokens))


def _is_broken(error: sqlite3.Error) -> bool:
    """Whether the file is no use any more: damaged, or with other tables than ours."""
    import sqlite3

    return is_damage(error) or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _today() -> int:
    return int(time.time() * 1000) // _DAY_MS


class Look(NamedTuple):
    """What is in the file, for people.

    Attributes:
        open: sessions that are not over.
        waiting: lines that are in the outbox.
        size: bytes.
    """

    open: int
    waiting: int
    size: int


def look(folder: str) -> Look | None:
    """Look at the file of a hub, without changing anything; None where there is none. Raises SessionsUnusable."""
    import sqlite3

    path = names.sessions_path(folder)
    if not os.path.exists(path):
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=_WAIT)) as database:
            wrong = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if wrong != "ok":
                raise SessionsUnusable(path, f"it is damaged ({wrong})")
            unfinished = database.execute("SELECT count(*) FROM sessions WHERE is_over = 0").fetchone()[0]
            waiting = database.execute("SELECT count(*) FROM outbox").fetchone()[0]
    except (sqlite3.Error, OSError) as error:
        raise SessionsUnusable(path, str(error)) from error
    return Look(unfinished, waiting, os.path.getsize(path))
