"""``pyjama-metrics claude``, as users run it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics.integrations import launcher, statusline_launcher
from pyjama_metrics.storage.session import SessionJournal
from tests.cli.commands import PYJAMA, environment, in_terminal, pyjama

VERSION = ("--claude-version", "2.1.329")


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who works in a folder of his own, and has no claude on his PATH."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return Path(os.environ["HOME"])


def done(*words: str, code: int = 0, env: dict[str, str | None] | None = None) -> str:
    """What the command prints."""
    answer = pyjama("claude", *words, env=env)
    assert (answer.returncode, answer.stderr) == (code, ""), answer.stdout
    return answer.stdout


def told(*words: str, code: int = 0) -> Any:
    """What it says with ``--json``."""
    return json.loads(done(*words, "--json", code=code))


def test_from_install_to_uninstall(user: Path) -> None:
    """The file is what it was, and nothing of ours is left in the home."""
    settings = user / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(
        '{\n  "model": "opus", // dear\n  "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "x"}]}]}\n}\n'
    )
    before = settings.read_text()
    text = done("install", *VERSION)
    assert "version    Claude Code 2.1.329\n" in text
    assert "events     19: SessionStart, UserPromptSubmit, PreToolUse," in text
    assert f"settings   {settings}: our hooks are in it\n" in text
    assert f"backup     {settings}.pyjama-backup is what it was before\n" in text
    assert "'pyjama-metrics-hook'" not in settings.read_text()
    assert settings.read_text().count("pyjama-metrics-hook claude") == 19
    assert f"settings   {settings}: nothing to do\n" in done("install", *VERSION)
    status = done("status", *VERSION)
    assert "All is well." in status
    assert "for an empty event" in status
    assert done("uninstall") == f"settings   {settings}: as it was before, byte for byte\nlauncher   removed\n"
    assert settings.read_text() == before
    assert [path.name for path in user.rglob("*") if path.is_file()] == ["settings.json"]
    assert not (user / ".local" / "share" / "pyjama-metrics").exists()
    assert "nothing to do" in done("uninstall")


def test_nothing_is_there_after_an_install_into_nothing(user: Path) -> None:
    """Neither the file nor its folder, which were made for it."""
    assert told("install", *VERSION)["settings"][0]["exists"]
    assert (user / ".claude" / "settings.json").exists()
    (row,) = told("uninstall")["settings"]
    assert (row["changed"], row["exactly-as-before"], row["exists"]) == (True, True, False)
    assert not (user / ".claude").exists()


def test_a_dry_run_shows_a_difference_and_changes_nothing(user: Path) -> None:
    """Not even a folder is made."""
    settings = user / ".claude" / "settings.json"
    text = done("install", "--dry-run", *VERSION)
    assert text.startswith(f"--- /dev/null\n+++ {settings}\n")
    assert '+            "command": ' in text
    assert told("install", "--dry-run", *VERSION)["settings"][0] == {
        "path": str(settings),
        "changed": False,
        "would-change": True,
        "exactly-as-before": False,
        "exists": True,
        "backup": None,
    }
    assert list(user.iterdir()) == []
    done("install", *VERSION)
    assert f"--- {settings}\n+++ /dev/null\n" in done("uninstall", "--dry-run")
    assert settings.exists()
    assert done("install", "--dry-run", *VERSION) == "Nothing would change.\n"


def test_an_unknown_version_gets_what_all_know_and_it_is_said(user: Path) -> None:
    """Not on the PATH, or an answer that says nothing."""
    assert "events     9: SessionStart," in done("install")
    assert "of unknown version (claude is not on your PATH), so only the events that every version knows" in done("install")
    assert told("install")["version"] is None
    wrong = pyjama("claude", "install", "--claude-version", "new")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "pyjama-metrics: 'new' is not a version: write it as 2.1.329.\n"


def test_claude_code_is_asked_for_its_version(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And after its upgrade an install adds what is new."""
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    for version, events in (("2.0.77", 12), ("2.1.329", 19), ("1.0.128", 9)):
        program.write_text(f"#!/bin/sh\necho '{version} (Claude Code)'\n")
        program.chmod(0o755)
        if version != "2.0.77":
            assert told("status", code=1)["problems"] != []
        answer = told("install")
        assert (answer["version"], len(answer["events"])) == (version, events)
        assert (user / ".claude" / "settings.json").read_text().count("pyjama-metrics-hook") == events
        assert told("status")["ok"]
    assert "uninstall" not in done("uninstall")
    assert not (user / ".claude").exists()


def test_each_scope_has_its_file(user: Path, tmp_path: Path) -> None:
    """And the launcher stays as long as one of them needs it."""
    for scope, path in {
        "user": user / ".claude" / "settings.json",
        "project": tmp_path / "work" / ".claude" / "settings.json",
        "local": tmp_path / "work" / ".claude" / "settings.local.json",
    }.items():
        (row,) = told("install", "--scope", scope, *VERSION)["settings"]
        assert (row["path"], path.exists()) == (str(path), True)
    assert [row["installed"] for row in told("status", *VERSION)["settings"]] == [True, True, True]
    assert told("uninstall", "--scope", "local")["still-installed"] != []
    assert f"note       still installed in {user}/.claude/settings.json\n" in done("uninstall", "--scope", "project")
    assert os.path.exists(launcher.path())
    done("uninstall")
    assert not os.path.exists(launcher.path())


def test_several_folders_of_claude_code_are_all_served(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or none, where one of them is refused."""
    one, two = tmp_path / "one", tmp_path / "two"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{one}, {two},")
    two.mkdir()
    (two / "settings.json").write_text("{]")
    refused = pyjama("claude", "install", *VERSION)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"pyjama-metrics: {two}/settings.json was left as it is: it is not JSON (line 1, column 2: a name in double quotes "
        "is missing). Mend it there in an editor, then try again.\n"
    )
    assert not one.exists()
    (two / "settings.json").write_text("{}")
    assert [row["path"] for row in told("install", *VERSION)["settings"]] == [f"{one}/settings.json", f"{two}/settings.json"]
    done("uninstall")
    assert (one.exists(), (two / "settings.json").read_text()) == (False, "{}")


def test_any_settings_file_can_be_named(user: Path, tmp_path: Path) -> None:
    """Then only that is looked at."""
    file = tmp_path / "mine.json"
    assert told("install", "--settings", str(file), *VERSION)["settings"][0]["path"] == str(file)
    (row,) = told("status", "--settings", str(file), *VERSION)["settings"]
    assert (row["scope"], row["installed"]) == ("file", True)
    assert not (user / ".claude").exists()


def test_status_says_what_is_wrong_and_what_to_do(user: Path) -> None:
    """Nothing installed; an event lost; all hooks off; a launcher that is gone, or that talks; a file that is broken."""
    assert "problem: No hook is installed: run 'pyjama-metrics claude install'.\n" in done("status", *VERSION, code=1)
    done("install", *VERSION)
    settings = user / ".claude" / "settings.json"
    whole = json.loads(settings.read_text())
    changed = {**whole, "disableAllHooks": True, "hooks": {**whole["hooks"], "Notification": whole["hooks"]["Stop"] * 2}}
    del changed["hooks"]["Stop"]
    changed["hooks"]["PreToolUse"].append({"hooks": [{"type": "command", "command": "mine"}]})
    changed["hooks"]["SessionEnd"][0]["hooks"][0]["timeout"] = 600
    settings.write_text(json.dumps(changed))
    found = told("status", *VERSION, code=1)
    row = found["settings"][0]
    assert [row[name] for name in ("missing", "surplus", "outdated", "hooks-off", "hooks-of-others")] == [
        ["Stop"],
        ["Notification"],
        ["SessionEnd"],
        True,
        1,
    ]
    assert found["problems"] == [
        f"{settings} switches all hooks off (disableAllHooks): set that to false, or nothing arrives.",
        f"No hook for Stop in {settings}: run 'pyjama-metrics claude install' again.",
        f"A hook too many for Notification in {settings}: run 'pyjama-metrics claude install' again.",
        f"An older hook for SessionEnd in {settings}: run 'pyjama-metrics claude install' again.",
    ]
    settings.write_text(json.dumps(whole))
    Path(launcher.path()).write_text("#!/bin/sh\necho hello\n")
    assert found["launcher"]["works"]
    assert f"problem: The launcher {launcher.path()} ends with 0, and says something. Run" in done("status", *VERSION, code=1)
    os.unlink(launcher.path())
    assert f"problem: The launcher {launcher.path()} is missing. Run" in done("status", *VERSION, code=1)
    settings.write_text("{")
    assert f"problem: {settings} is not JSON (line 1, column 2: the text ends here, and " in done("status", *VERSION, code=1)


def test_status_says_when_a_session_told_something_last(user: Path, home: Path) -> None:
    """By its journal; those of others do not count."""
    assert told("status", *VERSION, code=1)["last-event"] is None
    SessionJournal(str(home), "codex-s", pid=os.getpid(), fsync=False).append(b'{"event":"hook","time":1}\n')
    assert told("status", *VERSION, code=1)["last-event"] is None
    SessionJournal(str(home), "claude-code-s", pid=os.getpid(), fsync=False).append(b'{"event":"hook","time":1}\n')
    (journal,) = home.glob("journal/claude-code-*")
    assert told("status", *VERSION, code=1)["last-event"] == journal.stat().st_mtime_ns // 1_000_000
    assert "last event  just now" in done("status", *VERSION, code=1).replace("last event   ", "last event  ")


def test_the_status_line_is_installed_only_when_asked_for(user: Path) -> None:
    """And the user's own comes back."""
    settings = user / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"statusLine": {"type": "command", "command": "echo mine"}}')
    done("install", *VERSION)
    assert '"command": "echo mine"' in settings.read_text()
    assert not os.path.exists(statusline_launcher.path())
    done("install", "--statusline", *VERSION)
    command = json.loads(settings.read_text())["statusLine"]["command"]
    assert command == f"{statusline_launcher.path()} --then 'echo mine'"
    shown = subprocess.run(["/bin/sh", "-c", command], input=b"{}", capture_output=True, check=True, env=environment())
    assert shown.stdout == b"mine\n"
    assert told("status", *VERSION)["settings"][0]["status-line"]
    done("install", *VERSION)
    assert json.loads(settings.read_text())["statusLine"]["command"] == command
    done("uninstall")
    assert settings.read_text() == '{"statusLine": {"type": "command", "command": "echo mine"}}'
    assert not os.path.exists(statusline_launcher.path())


def test_the_status_line_can_be_called_by_its_long_name(user: Path) -> None:
    """For people who set it themselves."""
    words = [*PYJAMA, "claude", "statusline"]
    answer = subprocess.run(words, input=b"{}", capture_output=True, check=True, env=environment({"NO_COLOR": "1"}))
    assert answer.stdout.decode() == "– · context – · – session · – today\n"
    answer = subprocess.run([*words, "--then", "cat"], input=b"{}", capture_output=True, check=True, env=environment())
    assert answer.stdout == b"{}"


def test_a_terminal_gets_colour_and_no_control_characters(user: Path) -> None:
    """The settings in a difference may hold anything."""
    settings = user / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{\n  "a": "\u009b31m"\n}\n')
    code, text = in_terminal(*PYJAMA, "claude", "install", "--dry-run", *VERSION)
    assert (code, "\x1b[32m+" in text, "\u009b" in text) == (0, True, False)


def test_a_data_folder_that_cannot_be_used_stops_it_before_anything_is_changed(user: Path) -> None:
    """The settings would call a launcher that is not there."""
    (user / ".local").write_text("a file")
    answer = pyjama("claude", "install", *VERSION)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        f"pyjama-metrics: {launcher.path()} was left as it is: what should be its folder is a file. Move that file away, then "
        "try again.\n"
    )
    assert not (user / ".claude").exists()
