"""The examples do what they say, and the figures are what they really did. So are the answers in the documentation."""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pyjama_metrics
from pyjama_metrics import flush, read_metrics
from tests.waiting import changed_environment

CHECKOUT = Path(__file__).parent.parent
EXAMPLES = CHECKOUT / "examples"
PROGRAMS = sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh"))


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program on this checkout's package until it ends."""
    changed = changed_environment({"PYTHONPATH": str(CHECKOUT)} | environment)
    return subprocess.run(command, env=changed, capture_output=True, text=True, timeout=60, check=False)


def example(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run an example in Python."""
    return run(sys.executable, EXAMPLES / name, *arguments)


def outcomes(agent: dict[str, Any]) -> dict[str, dict[str, int]]:
    """What ``metrics.json`` says of an agent's tools, in the words of the analyser's report."""
    return {name: {"success": figures["success"], "error": figures["error"]} for name, figures in agent["tools"].items()}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with two projects: 4 folders to list, 5 files to read, of which 2 are no text."""
    root = tmp_path / "tree"
    for folder in ("one/inner", "two", "two/.hidden", "two/__pycache__"):
        (root / folder).mkdir(parents=True)
    (root / "one/setup.cfg").write_text("[metadata]\nname = one\nversion = 1.2.3\n")
    (root / "one/inner/code.py").write_text('"""Code."""\n__version__ = "4.5.6rc1"\ndef long():\n    a = 1\n    return a\n')
    (root / "two/package.json").write_text('{\n  "version": "7.8.9"\n}\n')
    (root / "two/broken.py").write_bytes(b"def caf\xe9(): pass\n")
    (root / "two/picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    (root / "two/.hidden/secret.py").write_text("version = '0.0.1'\n")
    return root


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_an_example_is_ten_to_forty_lines_and_described(program: Path) -> None:
    """Short enough to be read at once, and named in the README of the folder."""
    lines = [line for line in program.read_text().splitlines() if line.strip()]
    assert 10 <= len(lines) <= 40
    assert program.name in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("program", [path for path in PROGRAMS if path.suffix == ".py"], ids=lambda path: path.name)
def test_an_example_without_its_path_says_how_it_is_used(program: Path) -> None:
    """A sentence, and no traceback."""
    done = example(program.name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")
    assert "Traceback" not in done.stderr


def test_the_analyser_reports_what_is_there_and_is_recorded_as_it_reports(tree: Path) -> None:
    """Lines, versions, and each tool's successes and failures: in the report, in the shared file and in the tree alike."""
    done = example("codebase_analyser.py", tree, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["versions"] == {"one/setup.cfg": "1.2.3", "one/inner/code.py": "4.5.6rc1", "two/package.json": "7.8.9"}
    assert report["lines"] == 3 + 5 + 3
    assert report["tools"] == {
        "list-files": {"success": 4, "error": 0},
        "read-file": {"success": 3, "error": 2},
        "find-versions": {"success": 3, "error": 0},
    }

    agent = read_metrics()["agents"]["codebase-analyser"]
    assert outcomes(agent) == report["tools"]
    assert (agent["status"], agent["run-counts"]["completed"], agent["count"], agent["error"]) == ("completed", 1, 12, 2)
    assert all(0 < tool["total-duration"] < 60_000 for tool in agent["tools"].values())
    assert "UnicodeDecodeError" in agent["last-error"]["message"]


def test_the_analyser_of_this_package_is_recorded_as_it_reports() -> None:
    """The same on a tree that nobody made for a test, with a name of its own."""
    package = CHECKOUT / "pyjama_metrics"
    report = json.loads(example("codebase_analyser.py", package, "--agent", "software-versions-v2", "--json").stdout)
    assert report["versions"]["version.py"] == pyjama_metrics.__version__
    assert report["tools"]["read-file"]["success"] > 20
    assert outcomes(read_metrics()["agents"]["software-versions-v2"]) == report["tools"]


def test_the_analyser_says_in_words_what_it_found(tree: Path) -> None:
    """Without ``--json`` it is one line for people."""
    assert example("codebase_analyser.py", tree / "one").stdout == (
        "8 lines, versions {'setup.cfg': '1.2.3', 'inner/code.py': '4.5.6rc1'}\n"
    )


def test_an_analysis_of_what_is_not_there_is_a_failed_run(tmp_path: Path) -> None:
    """The tool fails, the run fails, the program fails."""
    assert example("codebase_analyser.py", tmp_path / "nowhere").returncode == 1
    agent = read_metrics()["agents"]["codebase-analyser"]
    assert (agent["status"], outcomes(agent)) == ("failed", {"list-files": {"success": 0, "error": 1}})


def test_the_orchestrator_has_the_agents_that_it_starts_as_children(tree: Path) -> None:
    """Their processes find their parent by themselves, and each did what it told the orchestrator."""
    done = example("orchestrator.py", tree, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    reports = {report["agent"]: report for report in json.loads(done.stdout)}
    agents = read_metrics()["agents"]
    assert set(reports) == {"analyse-one", "analyse-two"}
    (run_id,) = agents["orchestrator"]["runs"]
    for name, report in reports.items():
        assert outcomes(agents[name]) == report["tools"]
        assert (agents[name]["parent"], agents[name]["parent-agent"]) == (run_id, "orchestrator")
        assert agents[name]["pid"] != agents["orchestrator"]["pid"]
    assert agents["orchestrator"]["status"] == "completed"
    assert outcomes(agents["orchestrator"]) == {
        "start-agent": {"success": 2, "error": 0},
        "await-agent": {"success": 2, "error": 0},
    }


def test_an_agent_that_fails_is_a_failure_of_the_orchestrators_tool_and_stops_no_other(tree: Path, tmp_path: Path) -> None:
    """The failure is said and counted; the reports of the others arrive."""
    shutil.copy(EXAMPLES / "orchestrator.py", tmp_path)
    (tmp_path / "codebase_analyser.py").write_text(
        'import sys\nif sys.argv[1].endswith(\'one\'): sys.exit(3)\nprint(\'{"agent": "two", "lines": 1, "versions": {}}\')\n'
    )
    done = run(sys.executable, tmp_path / "orchestrator.py", tree)
    assert (done.returncode, done.stdout) == (0, "two: 1 lines, versions {}\n")
    assert "returned non-zero exit status 3" in done.stderr
    assert outcomes(read_metrics()["agents"]["orchestrator"])["await-agent"] == {"success": 1, "error": 1}


def test_the_asyncio_agent_counts_what_it_parsed_and_what_it_could_not(tree: Path) -> None:
    """A file with a mistake is a failed tool; its stream of results is one execution; all belong to the one run."""
    done = example("asyncio_agent.py", tree)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "1 functions; the longest:")
    assert "    3 lines" in done.stdout
    assert "left out: " in done.stderr
    agent = read_metrics()["agents"]["asyncio-agent"]
    assert outcomes(agent) == {"parse-file": {"success": 2, "error": 1}, "find-functions": {"success": 1, "error": 0}}
    assert (agent["status"], agent["run-counts"]["started"]) == ("completed", 1)


def test_the_hook_example_finds_the_copies_and_logs_each_call(tree: Path) -> None:
    """Its hooks record one execution and one log entry for each file."""
    shutil.copy(tree / "one/setup.cfg", tree / "two/copy.cfg")
    (tree / "two/gone").symlink_to(tree / "nowhere")
    done = example("hook_registry.py", tree)
    assert done.stdout == f"the same: {tree / 'one/setup.cfg'} {tree / 'two/copy.cfg'}\n"
    metrics = read_metrics()
    assert outcomes(metrics["agents"]["duplicate-finder"]) == {"hash-file": {"success": 7, "error": 0}}
    assert len([entry for entry in metrics["recent-logs"] if entry.get("tool") == "hash-file"]) == 7


def newest_bash() -> bool:
    """Whether there is a bash with a clock in it."""
    bash = shutil.which("bash")
    return bash is not None and run(bash, "-c", "[[ -n ${EPOCHREALTIME:-} ]]").returncode == 0


@pytest.mark.skipif(not newest_bash(), reason="the shell example needs bash 5")
def test_the_shell_agent_records_its_checks_and_a_command_as_its_child(tree: Path, tmp_path: Path) -> None:
    """Two good scripts and a broken one, then a command that becomes a child agent."""
    (tree / "one/good.sh").write_text("echo fine\n")
    (tree / "two/good too.sh").write_text("echo fine\n")
    (tree / "two/bad.sh").write_text("if true; then\n")
    command = tmp_path / "pyjama-metrics"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pyjama_metrics "$@"\n')
    command.chmod(0o755)
    done = run(EXAMPLES / "shell_agent.sh", tree, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 broken")
    assert flush(10)
    agents = read_metrics()["agents"]
    shell = agents["shell-agent"]
    assert (shell["status"], outcomes(shell)) == ("completed", {"check-syntax": {"success": 2, "error": 1}})
    assert shell["total-duration"] > 0
    (run_id,) = shell["runs"]
    assert (agents["find"]["status"], agents["find"]["parent"]) == ("completed", run_id)


# --- the documentation of the Python API

DOCUMENT = CHECKOUT / "docs/python-api.md"


def test_what_the_python_documentation_shows_is_what_happens() -> None:
    """Every ``>>>`` in it is run, and answers as printed."""
    failed, tried = doctest.testfile(str(DOCUMENT), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert (failed, tried > 40) == (0, True)


@pytest.mark.parametrize("name", sorted(set(pyjama_metrics.__all__) - {"__version__"}))
def test_every_public_name_has_a_place_in_the_python_documentation(name: str) -> None:
    """It stands at the beginning of a signature, with all its arguments."""
    function = getattr(pyjama_metrics, name)
    text = DOCUMENT.read_text()
    signature = re.search(rf"^{name}\((.*?)\)( -> .*)?$", text, re.MULTILINE | re.DOTALL)
    assert signature is not None
    code = getattr(function, "__code__", None)
    documented = re.findall(r"(\w+)(?==|,|$)", re.sub(r"=[^,]*", "=", signature.group(1)))
    assert documented == list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
