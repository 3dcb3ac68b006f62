"""What a benchmark says: spreads (median, p95), rows of the report, and the aligned table of rows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """Answer the value at ``share`` (0…1) of the sorted values, by nearest rank.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("A percentile of no values was asked for: the benchmark measured nothing.")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile of ``samples`` measurements, all in ``unit``."""

    median: float
    p95: float
    unit: str
    samples: int

    @classmethod
    def of(cls, values: Sequence[float], unit: str) -> Spread:
        """Reduce the measured values, which are in ``unit``."""
        return cls(statistics.median(values), percentile(values, 0.95), unit, len(values))

    def __str__(self) -> str:
        return f"{number(self.median)} / {number(self.p95)} {self.unit}"


@dataclass(frozen=True)
class Row:
    """One line of the report.

    ``measured`` says in words what is compared with ``reach``, ``value`` is its figure; ``reached`` is None
    where no reach is set.
    """

    what: str
    ours: Spread
    beside: str
    rival: Spread | None
    measured: str
    value: float
    reach: str = "-"
    reached: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Answer the row as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Row:
        """Rebuild a row from what `as_dict` answered."""
        rival = Spread(**data["rival"]) if data["rival"] else None
        return cls(**{**data, "ours": Spread(**data["ours"]), "rival": rival})


def number(value: float) -> str:
    """Write a figure with three significant digits and no exponent.

    >>> number(0.01234), number(3.14159), number(271.8), number(123456.7)
    ('0.0123', '3.14', '272', '123,457')
    """
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 or size == 0 else f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """Lay the rows out in aligned columns."""
    head = ("what", "ours median / p95", "beside", "rival median / p95", "measured", "reach", "reached")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(_join(line, widths) for line in (head, rule, *lines[1:]))


def _cells(row: Row) -> tuple[str, ...]:
    reached = {True: "yes", False: "NO", None: "-"}[row.reached]
    rival = str(row.rival) if row.rival else "-"
    return (row.what, str(row.ours), row.beside, rival, row.measured, row.reach, reached)


def _join(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
