"""Say on what was measured: machine, kernel, file system, Python, versions, date and load."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PACKAGES = ("orjson", "portalocker", "watchdog", "waitress", "flask", "prometheus_client", "genai-prices")


def describe() -> dict[str, str]:
    """Answer the facts by name."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "folder": f"{tempfile.gettempdir()} on {_file_system(Path(tempfile.gettempdir()))}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)",
    }


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return f"{int(line.split()[1]) / 1024 / 1024:.1f} GiB"
    return "unknown"


def _file_system(path: Path) -> str:
    """Answer the type of the file system that holds ``path``: that of the longest mount point above it."""
    mounts = [line.split()[1:3] for line in _lines("/proc/mounts")]
    above = [(len(point), kind) for point, kind in mounts if path.resolve().is_relative_to(point)]
    return max(above)[1] if above else "an unknown file system"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        # Not Linux: the fact is reported as unknown.
        return []


if __name__ == "__main__":
    print("\n".join(f"{name + ':':<12} {text}" for name, text in describe().items()))
    sys.exit(0)
