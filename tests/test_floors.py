"""Imports go down only, and each third-party package has one room: read from the package's own source."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.test_write_road import TOO_HEAVY

PACKAGE = "pyjama_metrics"
ROOT = Path(__file__).parent.parent / PACKAGE

FLOORS = (
    ("words", ("version", "errors", "events", "problems", "settings", "price_table", "pricing", "estimates")),
    (
        "pure",
        (
            "histogram",
            "state",
            "statuses",
            "event_fields",
            "retention",
            "fold",
            "views",
            "queries",
            "patches",
            "roll_ups",
            "state_fields",
            "tallies",
            "families",
            "needs",
            "recent",
            "executions",
            "sparks",
            "repeats",
            "agent_details",
            "about_sessions",
            "run_figures",
            "session_metrics",
            "activity",
            "usages",
            "ledger_rows",
            "ledger",
            "corrections",
            "origins",
            "shares",
            "slice_costs",
            "sessions",
            "sessions.facts",
            "sessions.machine",
            "sessions.known",
            "sessions.session_state",
            "sessions.settling",
            "sessions.hook_rules",
            "sessions.foreign_values",
            "sessions.refusals",
            "tool_errors",
            "sessions.claude_transcripts",
            "sessions.claude_skimming",
            "sessions.codex_rollouts",
        ),
    ),
    ("storage", ("storage", "storage.*")),
    (
        "hub",
        (
            "days",
            "time_steps",
            "answers",
            "history",
            "past_sessions",
            "reports",
            "agreement",
            "correcting",
            "deaths",
            "tail",
            "hub",
            "checks",
            "background",
            "runs",
            "recording",
            "recorder",
            "tracked_calls",
            "tracked_functions",
            "tracking",
            "hooks",
            "reading",
            "sessions.*",
        ),
    ),
    (
        "edges",
        (
            "",
            "__main__",
            "cli",
            "cli.*",
            "dashboard",
            "dashboard.*",
            "report_files",
            "report_files.*",
            "integrations",
            "integrations.*",
        ),
    ),
)
"""From the ground up; names are below the package. "" is the front door, which only edges may use."""

ROOMS = {
    "portalocker": ("storage.lock",),
    "orjson": ("storage.json",),
    "platformdirs": ("storage.places",),
    "watchdog": ("dashboard.watcher",),
    "waitress": ("dashboard.server", "dashboard.connections", "dashboard.arrivals"),
    "flask": ("dashboard.app",),
    "werkzeug": ("dashboard.app",),
}

NOT_PURE = {
    "asyncio",
    "datetime",
    "fcntl",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}
"""What the pure floor does not import: files, clocks, processes, chance."""

WRITERS = ("recorder", "tracking", "hooks", "integrations.hook")
"""Where the write road begins: what an agent imports to record, and the process of a hook."""


def name_of(file: Path) -> str:
    """Return the name below the package: "storage.lock", "storage" for its __init__, "" for the package's."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in sorted(ROOT.rglob("*.py"))}


def absolute(node: ast.ImportFrom, module: str, is_folder: bool) -> str:
    """Return the full dotted name that ``from … import`` starts from, as seen in ``module``."""
    if not node.level:
        return node.module or ""
    here = f"{PACKAGE}.{module}".rstrip(".").split(".")
    upward = node.level - 1 if is_folder else node.level
    return ".".join([*here[: len(here) - upward], *([node.module] if node.module else [])])


def imports_in(tree: ast.AST, module: str, is_folder: bool = False) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of each import in ``tree``, also those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = absolute(node, module, is_folder)
            for alias in node.names:
                longer = f"{start}.{alias.name}"
                yield node.lineno, longer if below_package(longer) in MODULES else start


def below_package(dotted: str) -> str | None:
    """Return a dotted name without the package's; None when it belongs to somebody else."""
    return dotted[len(PACKAGE) + 1 :] if f"{dotted}.".startswith(f"{PACKAGE}.") else None


class AtRunTime(ast.NodeTransformer):
    """Takes out of a source what only type checkers see."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return node.orelse
        return self.generic_visit(node)


class OnLoading(AtRunTime):
    """Takes out what runs later, too: the inside of functions."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        return None

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        return None


def imports_of(module: str, seen: ast.NodeTransformer | None = None) -> list[tuple[int, str]]:
    """Return line and full name of what a module of the package imports: of everything, or of what is ``seen``."""
    file = MODULES[module]
    tree = ast.parse(file.read_text())
    return list(imports_in(seen.visit(tree) if seen else tree, module, file.name == "__init__.py"))


def floor_of(module: str) -> int | None:
    """Return the number of a module's floor, None where no floor names it."""
    for number, (_, patterns) in enumerate(FLOORS):
        if any(fnmatchcase(module, pattern) for pattern in patterns):
            return number
    return None


def wrong_import(module: str, imported: str) -> str | None:
    """Return what is wrong with one import as a sentence; None when nothing is."""
    target, top = below_package(imported), imported.partition(".")[0]
    here = floor_of(module) or 0
    if target is not None:
        there = floor_of(target)
        if there is None or there > here:
            return f"{imported} is on a higher floor, or on none."
    elif top in sys.stdlib_module_names:
        if here <= 1 and top in NOT_PURE and FLOORS[here][0] == "pure":
            return f"{imported} has no place on the pure floor: no files, no clock, no chance."
    elif not any(fnmatchcase(module, room) for room in ROOMS.get(top, ())):
        return f"{imported} belongs in {' or '.join(ROOMS.get(top, ())) or 'no module of this package'}."
    return None


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_floor_and_imports_only_downwards_and_in_its_room(module: str) -> None:
    """What stands lower knows nothing of what stands higher; each third-party package has one place."""
    assert floor_of(module) is not None, f"{PACKAGE}.{module} is on no floor; give it one in FLOORS."
    wrong = [(line, problem) for line, name in imports_of(module) if (problem := wrong_import(module, name))]
    assert wrong == []


def test_no_module_imports_itself_through_others() -> None:
    """Modules of one floor may import each other, never in a circle: imports inside functions count, those for types do not."""
    graph = {
        module: {target for _, name in imports_of(module, AtRunTime()) if (target := below_package(name)) not in (None, module)}
        for module in MODULES
    }
    graph.pop("", None)  # the front door names everybody, and nobody below the edges names it
    graphlib.TopologicalSorter(graph).prepare()


def loaded_with(*modules: str) -> set[str]:
    """Return the modules of the package that are loaded when ``modules`` are, themselves included."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            parents = [module.rpartition(".")[0]] if module else []
            waiting += parents + [
                name for _, full in imports_of(module, OnLoading()) if (name := below_package(full)) is not None
            ]
    return found


def test_every_room_is_a_module_of_the_package() -> None:
    """A room that was moved or misspelt keeps nobody in."""
    assert {room for rooms in ROOMS.values() for room in rooms} <= set(MODULES)


def test_the_write_road_is_found_from_where_it_begins() -> None:
    """It leads through the process's recording to its journal, and neither to the fold nor to the hub."""
    road = loaded_with(*WRITERS)
    assert road >= {"", "recorder", "recording", "runs", "background", "storage", "storage.journal", "tracked_calls", "hooks"}
    assert road & {"hub", "fold", "state", "queries", "storage.json", "storage.lock", "storage.config", "pricing"} == set()


@pytest.mark.parametrize("module", sorted(loaded_with(*WRITERS)))
def test_a_module_of_the_write_road_loads_nothing_heavy(module: str) -> None:
    """Recording starts in every agent and every hook: what it loads, each of them pays for."""
    names = {name for _, name in imports_of(module, OnLoading())}
    too_much = TOO_HEAVY | set(ROOMS)
    assert {name for name in names if too_much & {name, name.partition(".")[0]}} == set()


@pytest.mark.parametrize(
    ("module", "imported", "complaint"),
    [
        ("storage.journal", "pyjama_metrics.recorder", "higher floor"),
        ("hub", "pyjama_metrics", "higher floor"),
        ("cli.show", "pyjama_metrics.utils", "on none"),
        ("fold", "time", "pure floor"),
        ("fold", "orjson", "belongs in storage.json"),
        ("dashboard.watcher", "flask", "belongs in dashboard.app"),
        ("cli.show", "rich.table", "no module of this package"),
    ],
)
def test_an_import_that_goes_up_or_leaves_its_room_is_noticed(module: str, imported: str, complaint: str) -> None:
    """The rules can be broken, one by one."""
    assert complaint in (wrong_import(module, imported) or "")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from .lock import X", "pyjama_metrics.storage.lock"),
        ("from . import journal", "pyjama_metrics.storage"),
        ("from ..hub import Hub", "pyjama_metrics.hub"),
        ("def f():\n    import flask.json", "flask.json"),
    ],
)
def test_an_import_is_found_in_each_of_its_forms(source: str, name: str) -> None:
    """Relative, and hidden in a function."""
    found = {found for _, found in imports_in(ast.parse(source), "storage.places")}
    assert {name} == found or f"{name}.journal" in found
