"""Which project a session is about, and the agent that is named after it."""

from __future__ import annotations

import os

from pyjama_metrics.events import text_of

_MOST_LEVELS = 40


def project_of(cwd: str) -> str:
    """The name of the project to which a folder belongs: that of the repository around it, or of the folder itself.

    A linked worktree of a repository belongs to that repository. Nothing is started for that, and what cannot be read is no
    repository.

    Args:
        cwd: an absolute path; it need not exist any more.
    """
    folder = os.path.normpath(cwd) if cwd else ""
    place = folder
    for _ in range(_MOST_LEVELS):
        if not place or place == os.sep:
            break
        mark = os.path.join(place, ".git")
        if os.path.isdir(mark):
            return text_of(os.path.basename(place))
        if os.path.isfile(mark):
            return text_of(os.path.basename(_main_folder(mark) or place))
        place = os.path.dirname(place)
    return text_of(os.path.basename(folder) or folder)


def agent_of(project: str, source: str, form: str) -> str:
    """The name of the agent that works on a project.

    Args:
        project: its name.
        source: the program that works on it, such as ``claude-code``.
        form: how such agents are named, with ``{project}`` and ``{source}`` in it.
    """
    return text_of(form.replace("{project}", project).replace("{source}", source))


def _main_folder(mark: str) -> str | None:
    """The folder of the repository of which a linked worktree says, in its file ``.git``, where it is kept."""
    try:
        with open(mark, encoding="utf-8", errors="replace") as file:
            kept = file.readline(4096).removeprefix("gitdir:").strip()
    except OSError:
        return None
    before, found, _ = kept.partition(f"{os.sep}.git{os.sep}worktrees{os.sep}")
    return before if found else None
