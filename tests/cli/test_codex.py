"""``pyjama-metrics codex``, as users run it."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics.integrations import launcher
from tests.cli.commands import pyjama

VERSION = ("--codex-version", "0.169.0")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Codex; it does not exist yet."""
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path / "codex"


def done(*words: str, code: int = 0) -> str:
    """What the command prints."""
    answer = pyjama("codex", *words)
    assert (answer.returncode, answer.stderr) == (code, ""), answer.stdout
    return answer.stdout


def told(*words: str, code: int = 0) -> Any:
    """What it says with ``--json``."""
    return json.loads(done(*words, "--json", code=code))


def test_from_install_to_uninstall(folder: Path) -> None:
    """Both files are what they were."""
    folder.mkdir()
    config, hooks = '# mine\nmodel = "gpt-5.2-codex"\n\n[tui]\ntheme = "x"\n', '{"hooks": {"Stop": []}, "x": 1}\n'
    (folder / "config.toml").write_text(config)
    (folder / "hooks.json").write_text(hooks)
    text = done("install", *VERSION)
    assert "events     12: SessionStart, UserPromptSubmit," in text
    assert f"settings   {folder}/config.toml: notify tells our launcher\n" in text
    assert "Codex runs a hook only when you have trusted it" in text
    assert tomllib.loads((folder / "config.toml").read_text())["notify"] == [launcher.path(), "codex"]
    handler = json.loads((folder / "hooks.json").read_text())["hooks"]["PostModelRequest"][0]["hooks"][0]
    assert handler == {"type": "command", "command": f"{launcher.path()} codex", "timeout": 5}
    assert done("install", *VERSION).count("nothing to do") == 2
    found = told("status", *VERSION)
    assert (found["ok"], found["notify"], found["problems"]) == (True, True, [])
    assert done("uninstall").count("as it was before, byte for byte") == 2
    assert ((folder / "config.toml").read_text(), (folder / "hooks.json").read_text()) == (config, hooks)
    assert sorted(os.listdir(folder)) == ["config.toml", "hooks.json"]


def test_a_trust_that_codex_wrote_stays(folder: Path) -> None:
    """Codex keeps in config.toml which hooks one trusts, so that file is not what it was: only our line goes."""
    folder.mkdir()
    (folder / "config.toml").write_text('model = "x"\n')
    done("install", *VERSION)
    trusted = (folder / "config.toml").read_text() + '\n[hooks.state."a"]\ntrusted_hash = "sha256:1"\n'
    (folder / "config.toml").write_text(trusted)
    done("uninstall")
    assert (folder / "config.toml").read_text() == 'model = "x"\n\n[hooks.state."a"]\ntrusted_hash = "sha256:1"\n'
    assert not (folder / "hooks.json").exists()


def test_a_program_that_is_told_already_goes_on_being_told(folder: Path) -> None:
    """There can be one only."""
    folder.mkdir()
    (folder / "config.toml").write_text('notify = ["mine"]\n')
    text = done("install", *VERSION)
    assert "note       notify in config.toml tells another program: it was left as it is" in text
    assert (folder / "config.toml").read_text() == 'notify = ["mine"]\n'
    assert told("install", *VERSION)["notify"] is False
    assert told("status", *VERSION)["ok"]
    done("uninstall")
    assert os.listdir(folder) == ["config.toml"]


def test_nothing_is_there_after_an_install_into_nothing(folder: Path) -> None:
    """Neither the files nor their folder."""
    assert [row["exists"] for row in told("install")["settings"]] == [True, True]
    assert told("install")["version"] is None
    assert "Codex of unknown version (codex is not on your PATH), so only the events that are documented" in done("install")
    done("uninstall")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("config.toml", "model = \n", "it is not TOML (Invalid value (at line 1, column 9))"),
        ("config.toml", "[notify]\n", ""),
        ("hooks.json", '{"hooks": }', "it is not JSON (line 1, column 11: a value is missing)"),
        ("hooks.json", "[]", "it holds no settings (line 1, column 1: the whole has to be an object"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_changed(folder: Path, name: str, text: str, reason: str) -> None:
    """Neither of the two files is touched."""
    folder.mkdir()
    (folder / name).write_text(text)
    answer = pyjama("codex", "install", *VERSION)
    assert (folder / name).read_text() == text
    if not reason:
        assert answer.returncode == 0  # a notify that is not ours, whatever it is
        return
    assert answer.returncode == 1
    assert f"{folder / name} was left as it is: {reason}" in answer.stderr
    assert os.listdir(folder) == [name]
    assert told("status", *VERSION, code=1)["problems"] != []


def test_a_dry_run_changes_nothing(folder: Path) -> None:
    """And shows both files."""
    text = done("install", "--dry-run", *VERSION)
    assert f"+++ {folder}/hooks.json" in text
    assert f"+++ {folder}/config.toml" in text
    assert not folder.exists()
