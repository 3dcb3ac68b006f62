"""Every setting, in one table, read in one place.

The table is compared with ``docs/settings.md`` by a test. Reading is cheap and light, because it stands on the write road.
"""

from __future__ import annotations

import os


class Setting:
    """One environment variable: its name, its default in words, and what it does."""

    __slots__ = ("default", "help", "name")

    def __init__(self, name: str, default: str, help: str) -> None:
        self.name, self.default, self.help = name, default, help


SETTINGS = (
    Setting("PYJAMA_HOME", "~/.pyjama", "Folder of the hub: the shared file, its lock and the journals."),
    Setting("PYJAMA_FSYNC", "0", "1: every event and every snapshot is forced to the disk (survives power loss; slow)."),
    Setting("PYJAMA_STRICT", "0", "1: what cannot be recorded raises RecordingFailed instead of being counted; for tests."),
    Setting("PYJAMA_CONFIG", "config.toml in the user's configuration folder", "File with your own prices; it need not exist."),
    Setting("PYJAMA_HISTORY", "1", "0: no history is kept; the live figures do not change by that."),
    Setting("PYJAMA_HISTORY_DAYS", "30", "Days of history that are kept."),
    Setting("PYJAMA_HISTORY_MB", "1024", "Size of the history in MiB beyond which the oldest of it goes."),
    Setting("PYJAMA_WEEK_BEGINS", "monday", "sunday: weeks of reports begin on Sunday."),
    Setting(
        "PYJAMA_CAPTURE",
        "nothing",
        "prompt,input,output,error, some of them, or all: the content of other programs' sessions that is kept.",
    ),
    Setting("PYJAMA_RUN", "set by a running agent", "Run id of the agent that started this process: the parent of its runs."),
    Setting("PYJAMA_AGENT", "set by a running agent", "Agent id that belongs to PYJAMA_RUN."),
)

RUN, AGENT = "PYJAMA_RUN", "PYJAMA_AGENT"
"""The two variables by which a process tells its children whose they are."""

CONTENT = frozenset({"prompt", "input", "output", "error"})
"""What of a session's content can be kept, which is kept only where somebody asks for it."""

_ON = frozenset({"1", "true", "yes", "on"})


def home() -> str:
    """The hub's folder as an absolute path: ``$PYJAMA_HOME``, else ``~/.pyjama``. It need not exist."""
    return os.path.abspath(os.path.expanduser(os.environ.get("PYJAMA_HOME") or "~/.pyjama"))


def config() -> str | None:
    """The configuration file that ``$PYJAMA_CONFIG`` names, as an absolute path; None where it names none."""
    named = os.environ.get("PYJAMA_CONFIG")
    return os.path.abspath(os.path.expanduser(named)) if named else None


def fsync() -> bool:
    """Whether events and snapshots are forced to the disk."""
    return os.environ.get("PYJAMA_FSYNC", "").lower() in _ON


def strict() -> bool:
    """Whether an event that cannot be recorded raises."""
    return os.environ.get("PYJAMA_STRICT", "").lower() in _ON


def keeps_history() -> bool:
    """Whether there is to be a history."""
    return os.environ.get("PYJAMA_HISTORY", "1").lower() not in ("0", "false", "no", "off")


def history_days() -> int:
    """How many days of history are kept."""
    return _natural("PYJAMA_HISTORY_DAYS", 30)


def history_bytes() -> int:
    """The size of the history beyond which the oldest of it goes."""
    return _natural("PYJAMA_HISTORY_MB", 1024) * 1024 * 1024


def week_begins() -> int:
    """The day with which weeks begin: 0 for Monday, 6 for Sunday."""
    return 6 if os.environ.get("PYJAMA_WEEK_BEGINS", "").strip().lower() == "sunday" else 0


def capture() -> frozenset[str]:
    """Which content of other programs' sessions is kept: some of ``CONTENT``."""
    told = os.environ.get("PYJAMA_CAPTURE")
    if not told:
        return frozenset()
    words = {word.strip().lower() for word in told.split(",")}
    return CONTENT if "all" in words else CONTENT & words


def _natural(name: str, default: int) -> int:
    told = os.environ.get(name, "").strip()
    return int(told) if told.isascii() and told.isdigit() and 0 < int(told) < 10**6 else default
