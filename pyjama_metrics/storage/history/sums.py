"""The sums of one transaction, written in groups: executions by minute, agent and tool; usages by what they are charged to."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from pyjama_metrics.corrections import Row, total_of
from pyjama_metrics.histogram import LARGEST_SUM_US
from pyjama_metrics.state_fields import LARGEST
from pyjama_metrics.storage.history.blobs import NS, buckets_of, packed
from pyjama_metrics.storage.history.runs_table import Names, Run, Runs
from pyjama_metrics.storage.history.schema import ALL, ALL_BY_HOUR, HOUR_MS, MINUTE_MS, QUARTER_MS, SUMS
from pyjama_metrics.usages import REPORTED, Figures, Owner, Request, amounts_of, charge_of, join

_HASH_BYTES = 12
"""Of a million requests, two have the same hash once in 10^17 times."""
_HASHES = 400
"""Request ids that are looked for at once."""

TALLY = "success, error, interrupted, timed, total_us, least_ns, most_ns, buckets"
ADD_TALLY = f"""DO UPDATE SET success = success + excluded.success, error = error + excluded.error,
    interrupted = interrupted + excluded.interrupted, timed = timed + excluded.timed,
    total_us = min(total_us + excluded.total_us, {LARGEST_SUM_US}),
    least_ns = coalesce(min(least_ns, excluded.least_ns), least_ns, excluded.least_ns),
    most_ns = coalesce(max(most_ns, excluded.most_ns), most_ns, excluded.most_ns),
    buckets = merged(buckets, excluded.buckets)"""
"""How a row of executions is added to the one that is there."""

_ADD_SUMS = "DO UPDATE SET " + ", ".join(
    f"{name} = max({-LARGEST}, min({LARGEST}, {name} + excluded.{name}))" for name in SUMS.split(", ")
)
_USAGE_KEY = ("begin", "run", "agent", "model", "phase", "tool", "band", "kind")
_TOTALS_KEY = ("begin", "agent", "model", "band", "kind")


def _totals_of(begin: int, agent: int) -> tuple[tuple[int, int], ...]:
    """(begin, agent) of the totals in which something of an agent counts."""
    quarter = begin - begin % QUARTER_MS
    return (quarter, agent), (quarter, ALL), (begin - begin % HOUR_MS, ALL_BY_HOUR)


def _bounded(sums: list[int]) -> list[int]:
    if min(sums) >= -LARGEST and max(sums) <= LARGEST:
        return sums
    return [max(-LARGEST, min(LARGEST, amount)) for amount in sums]


class Cell:
    """Executions of one slice of time."""

    __slots__ = ("buckets", "error", "interrupted", "least", "most", "success", "timed", "total_us")

    def __init__(self) -> None:
        self.success = self.error = self.interrupted = self.timed = self.total_us = 0
        self.least: float | None = None
        self.most: float | None = None
        self.buckets: list[int] = []

    def add(self, kind: str, count: int, durations: list[float]) -> None:
        """Add executions that ended as one kind, and those of their durations that are usable."""
        setattr(self, kind, getattr(self, kind) + count)
        if durations:
            self._add_measured(
                len(durations),
                sum([round(duration * 1000) for duration in durations]),
                min(durations),
                max(durations),
                buckets_of(durations),
            )

    def add_all(self, other: Cell) -> None:
        """Add what another one holds."""
        self.success += other.success
        self.error += other.error
        self.interrupted += other.interrupted
        if other.least is not None and other.most is not None:
            self._add_measured(other.timed, other.total_us, other.least, other.most, other.buckets)

    def _add_measured(self, timed: int, total_us: int, least: float, most: float, buckets: list[int]) -> None:
        self.timed += timed
        self.total_us += total_us
        self.least = least if self.least is None or least < self.least else self.least
        self.most = most if self.most is None or most > self.most else self.most
        self.buckets += buckets

    def row(self) -> tuple[object, ...]:
        """Its columns."""
        return (
            self.success,
            self.error,
            self.interrupted,
            self.timed,
            min(self.total_us, LARGEST_SUM_US),
            None if self.least is None else round(self.least * NS),
            None if self.most is None else round(self.most * NS),
            packed(self.buckets),
        )


class Executions:
    """The executions of one transaction, by minute, agent and tool."""

    def __init__(self, horizon: int) -> None:
        self._horizon = horizon
        self._cells: dict[tuple[int, int, int], Cell] = {}
        self._by_run: dict[tuple[int, int], list[int]] = {}

    def add(self, minute: int, agent: int, tool: int, kind: str, count: int, durations: list[float]) -> None:
        """Add executions that lie in a minute."""
        key = minute * MINUTE_MS, agent, tool
        cell = self._cells.get(key)
        if cell is None:
            if key[0] < self._horizon:
                return
            cell = self._cells[key] = Cell()
        cell.add(kind, count, durations)

    def add_to_run(self, run: int, tool: int, kind: str, count: int, durations: list[float]) -> None:
        """Add executions of a run."""
        sums = self._by_run.setdefault((run, tool), [0, 0, 0, 0, 0])
        sums[("success", "error", "interrupted").index(kind)] += count
        sums[3] += len(durations)
        sums[4] += sum([round(duration * 1000) for duration in durations])

    def save(self, connection: sqlite3.Connection) -> None:
        """Write what was added."""
        totals: dict[tuple[int, int], Cell] = {}
        rows = []
        for (begin, agent, tool), cell in self._cells.items():
            rows.append((begin, agent, tool, *cell.row()))
            for key in _totals_of(begin, agent):
                total = totals.get(key)
                if total is None:
                    total = totals[key] = Cell()
                total.add_all(cell)
        rows.sort()
        connection.executemany(
            f"INSERT INTO minutes (begin, agent, tool, {TALLY}) VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT {ADD_TALLY}", rows
        )
        connection.executemany(
            f"INSERT INTO totals (begin, agent, {TALLY}) VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT {ADD_TALLY}",
            [(*key, *cell.row()) for key, cell in totals.items()],
        )
        connection.executemany(
            "INSERT INTO run_tools (run, tool, success, error, interrupted, timed, total_us) VALUES (?,?,?,?,?,?,?) ON CONFLICT"
            " DO UPDATE SET success = success + excluded.success, error = error + excluded.error,"
            " interrupted = interrupted + excluded.interrupted, timed = timed + excluded.timed,"
            f" total_us = min(total_us + excluded.total_us, {LARGEST_SUM_US})",
            [(*key, *sums) for key, sums in self._by_run.items()],
        )


class Usages:
    """The model calls of one transaction, each with what it is charged to."""

    def __init__(self, connection: sqlite3.Connection, names: Names, runs: Runs, horizon: int) -> None:
        self._connection, self._names, self._runs, self._horizon = connection, names, runs, horizon
        self._sums: dict[tuple[int, ...], list[int]] = {}
        self._told: dict[bytes, Request] = {}
        self._corrections: list[tuple[Any, ...]] = []

    def add(self, told: Request, request_id: str | None) -> None:
        """Add a usage; one with an id counts once, whenever and however often it is told."""
        if request_id is None:
            self._charge(told, 1)
            return
        digest = hashlib.blake2b(request_id.encode(), digest_size=_HASH_BYTES).digest()
        known = self._told.get(digest)
        self._told[digest] = told if known is None else join(known, told)

    def _charge(self, request: Request, sign: int) -> None:
        owner, charge = request.owner, charge_of(request)
        begin = owner.time_ms - owner.time_ms % QUARTER_MS
        if begin < self._horizon:
            return  # it is forgotten already, or about to be
        number = self._names.number
        agent, model = number(charge.agent), number(charge.model)
        run = self._runs.run(owner.agent, owner.run).number if owner.run else 0
        key = (begin, run, agent, model, number(charge.phase), number(charge.tool), charge.band, int(charge.kind == REPORTED))
        sums = self._sums.setdefault(key, [0] * 8)
        for place, value in enumerate(amounts_of(request)):
            sums[place] += sign * value

    def add_row(self, row: Row, agent: str, run: Run) -> None:
        """Add to a row of a run what a correction adds, or the sums of several calls."""
        begin = row.time_ms - row.time_ms % QUARTER_MS
        if begin < self._horizon:
            return
        number = self._names.number
        names = number(row.model), number(row.phase), number(row.tool)
        sums = self._sums.setdefault((begin, run.number, number(agent), *names, row.band, int(row.kind == REPORTED)), [0] * 8)
        for place, value in enumerate(row.amounts):
            sums[place] += value

    def keep_correction(self, time: int, run: Run, reason: str, rows: Sequence[Row]) -> None:
        """Keep what a correction added, by model, with its reason."""
        for model in dict.fromkeys(row.model for row in rows):
            amounts = total_of([row for row in rows if row.model == model]).values()
            self._corrections.append((time, run.number, self._names.number(model), reason, *_bounded(list(amounts))))

    def save(self) -> None:
        """Write what was added. Makes runs and names, so these are saved after it."""
        self._join_with_known()
        totals: dict[tuple[int, ...], list[int]] = {}
        changed = {key: sums for key, sums in self._sums.items() if any(sums)}
        for (begin, _, agent, model, _, _, band, kind), sums in changed.items():
            for at in _totals_of(begin, agent):
                total = totals.setdefault((*at, model, band, kind), [0] * 8)
                for place, value in enumerate(sums):
                    total[place] += value
        self._write("usage", _USAGE_KEY, changed)
        self._write("usage_totals", _TOTALS_KEY, totals)
        self._connection.executemany(
            f"INSERT INTO corrections (time, run, model, reason, {SUMS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", self._corrections
        )

    def _write(self, table: str, key: tuple[str, ...], rows: dict[tuple[int, ...], list[int]]) -> None:
        marks = ",".join("?" * (len(key) + 8))
        self._connection.executemany(
            f"INSERT INTO {table} ({', '.join(key)}, {SUMS}) VALUES ({marks}) ON CONFLICT {_ADD_SUMS}",
            [(*at, *_bounded(sums)) for at, sums in rows.items()],
        )
        emptied = [at for at, sums in rows.items() if sums[0] < 0]
        if emptied:
            same = " AND ".join(f"{name} = ?" for name in key)
            nothing = " AND ".join(f"{name} = 0" for name in SUMS.split(", "))
            self._connection.executemany(f"DELETE FROM {table} WHERE {same} AND {nothing}", emptied)

    def _join_with_known(self) -> None:
        known = self._known(self._told)
        rows = []
        for digest, told in self._told.items():
            before = known.get(digest)
            now = told if before is None else join(before, told)
            if now == before:
                continue
            if before is not None:
                self._charge(before, -1)
            self._charge(now, 1)
            rows.append(self._row(digest, now))
        self._connection.executemany(f"INSERT OR REPLACE INTO requests VALUES ({','.join('?' * 15)})", rows)

    def _row(self, digest: bytes, request: Request) -> tuple[Any, ...]:
        owner, figures = request
        number = self._names.number
        run = self._runs.run(owner.agent, owner.run).number if owner.run else 0
        counts = (figures.input, figures.output, figures.cache_read, figures.cache_write, figures.cache_write_1h)
        charged = (owner.time_ms, number(owner.agent), run, number(owner.phase), number(owner.tool))
        return digest, figures.is_actual, *counts, figures.cost_micros, number(figures.model), figures.band, *charged

    def _known(self, digests: Iterable[bytes]) -> dict[bytes, Request]:
        found: dict[bytes, Request] = {}
        wanted = list(digests)
        for start in range(0, len(wanted), _HASHES):
            part = wanted[start : start + _HASHES]
            rows = self._connection.execute(
                "SELECT hash, is_actual, cost_micros, band, input, output, cache_read, cache_write, cache_write_1h, time,"
                " (SELECT text FROM names WHERE id = model), (SELECT text FROM names WHERE id = agent),"
                " (SELECT run FROM runs WHERE id = requests.run), (SELECT text FROM names WHERE id = phase),"
                f" (SELECT text FROM names WHERE id = tool) FROM requests WHERE hash IN ({','.join('?' * len(part))})",
                part,
            )
            for digest, is_actual, cost, band, *counts, time, model, agent, run, phase, tool in rows:
                uncached, output, read, write, write_1h = counts
                told = sum(counts), output, uncached, read, write, write_1h, cost, model or ""
                figures = Figures(int(is_actual) if cost < 0 else 2, bool(is_actual), *told, band)
                found[digest] = Request(Owner(time, agent or "", run or "", phase or "", tool or ""), figures)
        return found
