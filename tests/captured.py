"""What real programs wrote, and the truth beside it: see tests/captures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).parent / "captures"
CLAUDE = tuple(sorted(folder.parent for folder in CAPTURES.glob("claude-code-*/*/transcripts")))
CODEX = tuple(sorted(folder.parent for folder in CAPTURES.glob("codex-*/*/sessions")))


def name_of(folder: Path) -> str:
    """The name of a case: program, version and scenario."""
    return f"{folder.parent.name}/{folder.name}"


def files_of(folder: Path) -> list[Path]:
    """The transcripts or rollouts of a scenario, those of subagents after those of their sessions."""
    return sorted(folder.rglob("*.jsonl"), key=lambda path: ("subagents" in path.parts, path))


def lines_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of all transcripts of a scenario."""
    for file in files_of(folder):
        yield from map(json.loads, file.read_text().splitlines())


def as_printed(line: object) -> bytes:
    """A line as the programs print it; the captures have blanks, as their texts were replaced."""
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def truth_of(folder: Path) -> dict[str, Any]:
    """What the model served, and what came back."""
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return truth
