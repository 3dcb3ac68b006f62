"""What a check of the hub can find: one frozen row per problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a hub's folder, in words for people.

    Attributes:
        kind: a stable word for programs, such as ``snapshot-unreadable``.
        where: the path (or the writer) concerned.
        what: what is wrong and why, as a sentence.
        remedy: what to do about it, as a sentence.
        severity: ``error`` where figures are or may become wrong or stale, ``warning`` otherwise.
        fixed: whether this check mended it (``doctor --fix``).
    """

    kind: str
    where: str
    what: str
    remedy: str
    severity: Literal["error", "warning"] = "error"
    fixed: bool = False
