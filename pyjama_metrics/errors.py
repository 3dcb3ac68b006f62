"""The error tree of pyjama-metrics.

    HubError
    ├── FolderUnusable       the hub's folder cannot be used at all
    ├── SnapshotUnreadable   metrics.json exists but is not one of ours
    ├── SnapshotUnwritable   metrics.json could not be replaced
    ├── HistoryUnusable      history.db could not be written, or cleared
    ├── SessionsUnusable     sessions.db could not be read or written
    ├── ImportRefused        what was imported before is not known any more
    ├── LockTimeout          another process kept the fold lock for too long
    └── RecordingFailed      an event could not be recorded (raised in strict mode only)

Every message is a sentence for people: what, where, why, what to do. The data behind it is kept in attributes, and every
error pickles, so that it may cross processes.
"""

from __future__ import annotations


class HubError(Exception):
    """Anything that pyjama-metrics raises on purpose."""


class FolderUnusable(HubError):
    """The hub's folder cannot be created, entered or written."""

    def __init__(self, folder: str, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(folder, reason)

    def __str__(self) -> str:
        return (
            f"The hub's folder {self.folder} cannot be used: {self.reason}. "
            "Mend it, or point PYJAMA_HOME at a folder that you may write; 'pyjama-metrics doctor' shows more."
        )


class SnapshotUnreadable(HubError):
    """The snapshot exists but is not one of ours."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return (
            f"Cannot read {self.path}: {self.reason}. The next fold sets it aside and restores the figures from the previous "
            "generation and the journals; where that does not come, 'pyjama-metrics doctor --fix' does the same."
        )


class SnapshotUnwritable(HubError):
    """The snapshot could not be written; the one before it is still whole, and nothing recorded is lost."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return (
            f"Cannot write {self.path}: {self.reason}. The figures stay as they were and the journals keep every event; "
            "free some space or mend the permissions, and the next fold catches up."
        )


class HistoryUnusable(HubError):
    """The history cannot be read, or brought up to date; recording and the live figures go on without it."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return (
            f"The history {self.path} cannot be used: {self.reason}. Recording and the live figures go on. The journals keep "
            "what it lacks for a day, up to 64 MiB; mend that before, and it catches up by itself."
        )


class SessionsUnusable(HubError):
    """What is known of the sessions of other programs cannot be read or written; the journals keep what hooks told for a day."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return (
            f"The memory of sessions {self.path} cannot be used: {self.reason}. Sessions of Claude Code and Codex are not "
            "counted until that is mended; their journals keep what they told for a day, their transcripts for longer."
        )


class ImportRefused(HubError):
    """The past cannot be imported; nothing was changed."""

    def __init__(self, path: str, mark: str) -> None:
        self.path, self.mark = path, mark
        super().__init__(path, mark)

    def __str__(self) -> str:
        return (
            f"The past was imported before, and what of it is not known any more: {self.path} was removed, or damaged and set "
            "aside. To import it again would count it twice. Put the file back; or count everything anew: 'pyjama-metrics clear "
            f"--history', remove {self.mark}, and import again."
        )


class CorrectionRefused(HubError):
    """A run cannot be corrected as it was asked; nothing was changed."""

    def __init__(self, run: str, reason: str) -> None:
        self.run, self.reason = run, reason
        super().__init__(run, reason)

    def __str__(self) -> str:
        return f"Run {self.run} was not corrected: {self.reason}"


class LockTimeout(HubError):
    """Another process held the fold lock for longer than the caller would wait."""

    def __init__(self, path: str, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        super().__init__(path, seconds)

    def __str__(self) -> str:
        return (
            f"Another process has held {self.path} for more than {self.seconds:g} s. Nothing is lost; "
            "'pyjama-metrics doctor' names the holder (a stopped process holds its lock until it goes on or ends)."
        )


class RecordingFailed(HubError):
    """An event could not be recorded. Raised only with ``PYJAMA_STRICT=1``; otherwise the loss is counted."""

    def __init__(self, what: str, reason: str) -> None:
        self.what, self.reason = what, reason
        super().__init__(what, reason)

    def __str__(self) -> str:
        return (
            f"A {self.what} event was not recorded: {self.reason}. "
            "Without PYJAMA_STRICT the agent goes on and the loss is counted; 'pyjama-metrics doctor' shows it."
        )
