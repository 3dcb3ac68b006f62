"""What is recorded is the user's alone: nobody else may read it, and no prompt, argument or output is in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pyjama_metrics.checks import check
from pyjama_metrics.hub import Hub
from tests.system.processes import agent, end, figures, hear, run_to_end, tell

SECRET = "swordfish"

BUSY = """
os.umask({umask})
p.record_agent_start("a")
p.record_tool_execution("t", "a")
p.flush()
p.record_tool_execution("t", "a")
p.flush()
say(p.lost_events())
hear()
"""


@pytest.mark.parametrize("umask", ["0o000", "0o022", "0o077"])
def test_all_is_private_whatever_the_umask(home: Path, runtime: Path, umask: str) -> None:
    """Folders 0700, files 0600, while it is recorded and afterwards; the notes of losses too."""
    with agent(BUSY.format(umask=umask)) as child:
        assert hear(child) == "0"
        assert_private(home)
        tell(child)
        end(child)
    figures(home)
    assert_private(home)
    losing = f"os.umask({umask}); p.record_tool_execution('t', 'a')"
    run_to_end(losing, env={"PYJAMA_HOME": str(home / "metrics.json")})
    assert list(runtime.rglob("lost-*"))
    assert_private(runtime / "pyjama-metrics")


@pytest.fixture
def runtime() -> Path:
    """Where losses are noted."""
    return Path(os.environ["XDG_RUNTIME_DIR"])


def assert_private(folder: Path) -> None:
    """Only the owner may open, read or list anything in there."""
    paths = [folder, *folder.rglob("*")]
    assert len(paths) > 1
    assert {str(path) for path in paths if stat.S_IMODE(path.lstat().st_mode) != (0o700 if path.is_dir() else 0o600)} == set()


def test_the_default_home_is_private_too() -> None:
    """Without PYJAMA_HOME it is ``~/.pyjama``, and its mode is the same."""
    run_to_end(BUSY.format(umask="0o000").replace("hear()", ""), env={"PYJAMA_HOME": None})
    assert_private(Path(os.environ["HOME"]) / ".pyjama")


def test_a_file_that_is_put_aside_is_private(home: Path) -> None:
    """As is whatever takes its place."""
    run_to_end(BUSY.format(umask="0o000").replace("hear()", ""))
    (home / "metrics.json").write_text("spoilt")
    (home / "metrics.json").chmod(0o600)
    figures(home)
    assert_private(home)


def test_a_folder_that_others_may_read_is_reported_and_closed_on_demand(home: Path) -> None:
    """A folder that somebody made by hand is not changed in silence."""
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    run_to_end(BUSY.format(umask="0o022").replace("hear()", ""))
    assert "folder-mode" in {problem.kind for problem in check(Hub(str(home)))}
    check(Hub(str(home)), fix=True)
    assert_private(home)


@pytest.mark.parametrize("name", ["metrics.json.tmp", "journal/offsets.json.tmp"])
def test_a_link_in_the_place_of_our_files_is_not_followed(home: Path, tmp_path: Path, name: str) -> None:
    """Who can plant a link in a shared folder does not make us write into a file of the user's."""
    target = tmp_path / "precious"
    target.write_text("mine")
    (home / "journal").mkdir(parents=True)
    (home / name).symlink_to(target)
    run_to_end("p.record_tool_execution('t', 'a')")
    assert target.read_text() == "mine"


def test_no_argument_no_output_and_no_prompt_is_stored(home: Path, runtime: Path) -> None:
    """Of tracked functions, of hooks, of the program itself and its environment: only names, times and outcomes."""
    code = f"""
    secret = {SECRET!r}
    @p.track_agent("agent")
    def work(prompt, *, key):
        return tool(prompt, key=key)
    @p.track_tool("tool")
    def tool(prompt, *, key):
        return prompt + key
    @p.track_tool()
    def generate(prompt):
        yield prompt
    work(secret, key=secret)
    list(generate(secret))
    payload = {{"tool-name": "hooked", "ctx": {{"id": "agent", "prompt": secret}}, "duration-ms": 1.0, "args": [secret],
               "result": {{"status": "ok", "content": secret}}, "input": {{"command": secret}}}}
    p.run_hooks(payload)
    p.shared_metrics_hook(payload)
    p.record_message("agent", "user")
    p.flush()
    """
    run_to_end(code, SECRET, env={"API_KEY": SECRET})
    assert set(figures(home)["tools"]) >= {"tool", "hooked"}
    files = [path for folder in (home, runtime) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 2
    assert [path.name for path in files if SECRET.encode() in path.read_bytes()] == []
