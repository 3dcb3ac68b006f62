"""What ``pyjama-metrics doctor`` finds out about a hub, as plain data. Looking changes nothing and creates nothing.

What is wrong is the business of `pyjama_metrics.checks`; this adds what is there.
"""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import stat
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pyjama_metrics import agreement, checks, history
from pyjama_metrics.dashboard.addresses import health, url_of
from pyjama_metrics.errors import HistoryUnusable, HubError
from pyjama_metrics.storage import sessions

if TYPE_CHECKING:
    from pyjama_metrics.hub import Hub
    from pyjama_metrics.problems import Problem

PACKAGES = ("flask", "waitress", "watchdog", "orjson", "portalocker", "platformdirs")
HOST, DASHBOARD_PORTS = "127.0.0.1", range(8080, 8090)
ASK_SECONDS = 0.3

Facts = dict[str, Any]


class Examination:
    """One look at a hub.

    Attributes:
        problems: what is wrong, errors first.
        facts: by part (folder, snapshot, writers, lock, losses, history, sessions, dashboards, versions; agreement if that was
            looked for), ready for JSON. A part that cannot be looked at says so under ``unreadable``.
    """

    def __init__(self, hub: Hub, *, fix: bool, deep: bool = False) -> None:
        """Look; with ``fix``, mend first what can be mended; with ``deep``, compare all sums."""
        self.problems: list[Problem] = checks.check(hub, fix=fix, deep=deep)
        parts = {**_PARTS, "agreement": _agreement} if deep else _PARTS
        self.facts: Facts = {name: _looked_at(look, hub) for name, look in parts.items()}

    @property
    def is_well(self) -> bool:
        """Whether no error is left; warnings are no errors."""
        return not any(problem.severity == "error" and not problem.fixed for problem in self.problems)

    def as_json(self) -> Facts:
        """Everything, for programs."""
        return {"ok": self.is_well, **self.facts, "problems": [asdict(problem) for problem in self.problems]}


def _looked_at(look: Callable[[Hub], object], hub: Hub) -> object:
    try:
        return look(hub)
    except HubError as error:
        return {"unreadable": str(error)}
    except OSError as error:
        return {"unreadable": error.strerror or str(error)}


def _folder(hub: Hub) -> Facts:
    from pyjama_metrics.checks import NETWORK_FILE_SYSTEMS, file_system

    place = hub.folder
    while not os.path.exists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    kind = file_system(place)
    facts: Facts = {"path": hub.folder, "exists": os.path.lexists(hub.folder), "owner": None, "mode": None}
    if facts["exists"]:
        found = os.stat(hub.folder)
        facts |= {"owner": _user(found.st_uid), "mode": f"{stat.S_IMODE(found.st_mode):04o}"}
    return facts | {
        "file-system": kind or None,
        "local": kind not in NETWORK_FILE_SYSTEMS if kind else None,
        "free-bytes": shutil.disk_usage(place).free,
    }


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _snapshot(hub: Hub) -> Facts:
    if not os.path.lexists(hub.snapshot_path):
        return {"exists": False}
    state = hub.read(fresh=False, thorough=True)
    return {
        "exists": True,
        "bytes": os.stat(hub.snapshot_path).st_size,
        "format": state["format"],
        "generation": state["generation"],
        "updated": state["updated"],
        "agents": len(state["agents"]),
        "tools": len(state["tools"]),
        "evicted": dict(state["evicted"]),
        "problems": dict(state["problems"]),
    }


def _writers(hub: Hub) -> list[Facts]:
    return [asdict(writer) for writer in hub.writers()]


def _lock(hub: Hub) -> Facts:
    from pyjama_metrics.storage.lock import holder

    pid = holder(hub.lock_path)
    return {"held-by": pid, "command": None if pid is None else _command(pid)}


def _command(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(400).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return None  # gone, or not ours to see


def _losses(hub: Hub) -> Facts:
    from pyjama_metrics.storage import losses

    noted = losses.notes(hub.folder)
    return {"events": sum(noted.values()), "by-writer": noted}


def _sessions(hub: Hub) -> Facts:
    found = sessions.look(hub.folder)
    return {"exists": found is not None, **({} if found is None else found._asdict())}


def _history(hub: Hub) -> Facts:
    kept, path = hub.history.is_kept, hub.history.path
    if not os.path.lexists(path):
        return {"kept": kept, "exists": False}
    wrong = hub.history.examine()
    if wrong is not None:
        raise HistoryUnusable(path, wrong)
    size = sum(os.stat(part).st_size for part in (path, f"{path}-wal") if os.path.exists(part))
    return {"kept": kept, "exists": True, "bytes": size, "known-from": history.known_from(folder=hub.folder)}


def _dashboards(hub: Hub) -> list[Facts]:
    """Dashboards, of any hub, on the usual ports of this machine."""
    found = []
    for port in DASHBOARD_PORTS:
        told = health(HOST, port, ASK_SECONDS)
        if told is not None:
            mine = told.get("folder") == os.path.realpath(hub.folder)
            found.append({"url": url_of(HOST, port), "folder": told.get("folder"), "this-hub": mine, "pid": told.get("pid")})
    return found


def _versions(hub: Hub) -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    from pyjama_metrics.version import __version__

    found: dict[str, str | None] = {"pyjama-metrics": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _agreement(hub: Hub) -> object:
    return [asdict(each) for each in agreement.compare(hub)] if os.path.isdir(hub.folder) else []


_PARTS: dict[str, Callable[[Hub], object]] = {
    "folder": _folder,
    "snapshot": _snapshot,
    "writers": _writers,
    "lock": _lock,
    "losses": _losses,
    "history": _history,
    "sessions": _sessions,
    "dashboards": _dashboards,
    "versions": _versions,
}
