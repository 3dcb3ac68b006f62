"""What is declared about the project agrees with what is there."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from pyjama_metrics.version import __version__

CHECKOUT = Path(__file__).parent.parent
PACKAGE = CHECKOUT / "pyjama_metrics"
SCRIPTS = ("scripts/test", "scripts/screenshots", ".ci/run", "test-shared-metrics.sh")


def declared() -> configparser.ConfigParser:
    """Return setup.cfg as setuptools reads it."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(CHECKOUT / "setup.cfg")
    return parser


def lines_of(text: str) -> list[str]:
    """Return the entries of a setting that has one on each line."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_version_is_the_newest_of_the_changelog() -> None:
    """Neither is raised without the other."""
    versions = re.findall(r"^## \[(.+?)\]", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == __version__


def test_the_core_needs_six_packages_and_no_seventh() -> None:
    """Each of them was chosen by trial; another one is a decision to write down."""
    needed = lines_of(declared()["options"]["install_requires"])
    assert [re.split(r"[<>=!~;\[ ]", one)[0] for one in needed] == [
        "flask",
        "orjson",
        "platformdirs",
        "portalocker",
        "waitress",
        "watchdog",
    ]


def test_each_console_script_leads_to_a_function() -> None:
    """What an installed command would call is there and can be called."""
    scripts = dict(line.split(" = ") for line in lines_of(declared()["options.entry_points"]["console_scripts"]))
    assert set(scripts) == {"pyjama-metrics", "clear-metrics"}
    for target in scripts.values():
        module, function = target.split(":")
        assert callable(getattr(import_module(module), function))


def test_every_file_of_the_package_is_in_the_wheel() -> None:
    """A template or a script that no pattern names would be missing in an installation only."""
    patterns = lines_of(declared()["options.package_data"]["pyjama_metrics"])
    packed = {file for pattern in patterns for file in PACKAGE.glob(pattern)}
    data = {Path(folder, name) for folder, _, names in os.walk(PACKAGE) for name in names}
    left_by_tools = re.compile(r"\.pyc$|/\.[a-z]+_cache/")
    missing = {str(file) for file in data - packed if file.suffix != ".py"}
    assert {name for name in missing if not left_by_tools.search(name)} == set()
    assert [pattern for pattern in patterns if not any(PACKAGE.glob(pattern))] == []


def test_every_folder_with_modules_is_a_package() -> None:
    """One without ``__init__.py`` would be left out of the wheel."""
    folders = {file.parent for file in PACKAGE.rglob("*.py")}
    assert [folder.name for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_setup_cfg_holds_the_metadata_and_pyproject_the_rest() -> None:
    """One place for each fact: a ``[project]`` table would silently win over setup.cfg."""
    pyproject = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert set(pyproject) == {"build-system", "tool"}
    assert set(pyproject["tool"]) == {"ruff"}


def test_the_readme_and_the_full_run_name_the_same_two_commands() -> None:
    """What a newcomer is told to run is what has to pass."""
    readme, full_run = (CHECKOUT / "README.md").read_text(), (CHECKOUT / ".ci/run").read_text()
    for command in ("./test-shared-metrics.sh", "scripts/test"):
        assert re.search(rf"^(\$ )?{re.escape(command)}\b", readme, re.MULTILINE), f"README.md does not give {command}"
        assert re.search(rf'^step ".*" {re.escape(command)}( --once)?$', full_run, re.MULTILINE)


@pytest.mark.parametrize("script", [*SCRIPTS, "scripts/smoke-test", "scripts/update-prices"])
def test_a_script_can_be_run(script: str) -> None:
    """It is there, and executable."""
    assert os.access(CHECKOUT / script, os.X_OK)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_shell_script_passes_shellcheck(script: str) -> None:
    """No unquoted name, no failure that goes unseen."""
    checked = subprocess.run(
        ["shellcheck", "--external-sources", script], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.stdout == ""
