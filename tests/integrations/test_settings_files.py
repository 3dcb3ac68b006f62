"""A file of another program is changed whole or not at all, and given back as it was."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from pyjama_metrics.integrations import claude_settings, hook_entries, settings_files, statusline_launcher
from pyjama_metrics.integrations.settings_files import Change, SettingsRefused
from pyjama_metrics.storage import places
from tests.integrations.documents import documents
from tests.waiting import run_python

WANTED = claude_settings.handlers((2, 1, 329), "/data/pyjama-metrics-hook")
OLDER = claude_settings.handlers((2, 0, 77), "/old/pyjama-metrics-hook")


def install(path: Path, statusline: bool = False) -> Change:
    """Put our entries into a file."""
    return settings_files.put_in(str(path), claude_settings.with_ours(WANTED, statusline=statusline), claude_settings.is_in)


def uninstall(path: Path) -> Change:
    """Take them out again."""
    return settings_files.take_out(str(path), claude_settings.without_ours, claude_settings.is_in, claude_settings.is_empty)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file that is not there yet, in a folder that is."""
    folder = tmp_path / "claude"
    folder.mkdir()
    return folder / "settings.json"


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(documents())
def test_install_and_uninstall_is_the_identity(file: Path, text: str) -> None:
    """To the last byte, whatever the document is and however it is written; and nothing is left beside it."""
    file.write_bytes(text.encode())
    install(file)
    once = file.read_bytes()
    assert not install(file).is_change
    assert file.read_bytes() == once != text.encode()
    assert uninstall(file).exactly
    assert (file.read_bytes(), os.listdir(file.parent)) == (text.encode(), ["settings.json"])
    assert settings_files.receipts() == []


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b" \r\n", b"{}", b"{}\n", b'{\r\n  "a": 1\r\n}\r\n'])
def test_a_file_with_little_in_it_is_given_back(file: Path, data: bytes) -> None:
    """Empty ones, too."""
    file.write_bytes(data)
    install(file)
    assert b"pyjama-metrics-hook" in file.read_bytes()
    assert uninstall(file).exactly
    assert file.read_bytes() == data


def test_a_missing_file_is_made_for_its_owner_alone_and_removed_again(tmp_path: Path) -> None:
    """With the folders above it."""
    file = tmp_path / "one" / "two" / "settings.json"
    assert install(file).backup is None
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    change = uninstall(file)
    assert (change.after, change.exactly, (tmp_path / "one").exists()) == (None, True, False)


def test_a_folder_that_somebody_has_put_something_into_stays(tmp_path: Path) -> None:
    """It is not ours any more."""
    file = tmp_path / "one" / "settings.json"
    install(file)
    (tmp_path / "one" / "CLAUDE.md").write_text("mine")
    uninstall(file)
    assert os.listdir(tmp_path / "one") == ["CLAUDE.md"]


def test_the_copy_is_what_was_there_before_the_first_change(file: Path) -> None:
    """Private, and not written over by later installs."""
    file.write_text('{"a": 1}')
    file.chmod(0o644)
    backup = Path(str(install(file).backup))
    install(file, statusline=True)
    assert (backup.name, backup.read_text()) == ("settings.json.pyjama-backup", '{"a": 1}')
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert uninstall(file).exactly
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode), backup.exists()) == ('{"a": 1}', 0o644, False)


def test_what_others_changed_since_stays(file: Path) -> None:
    """Only what is ours goes, and the copy stays for whoever wants it."""
    file.write_text('{\n  "a": 1\n}\n')
    install(file)
    file.write_text(file.read_text().replace('"a": 1', '"a": 2, "b": 3'))
    install(file, statusline=True)
    change = uninstall(file)
    assert (change.exactly, file.read_text()) == (False, '{\n  "a": 2, "b": 3\n}\n')
    assert Path(str(change.backup)).read_text() == '{\n  "a": 1\n}\n'
    assert settings_files.receipts() == []


def test_a_lost_receipt_or_a_changed_copy_costs_nothing_of_others(file: Path) -> None:
    """What is ours is known by its command."""
    file.write_text('{\n  "a": 1\n}\n')
    backup = Path(str(install(file).backup))
    backup.write_text('{"broken')
    assert uninstall(file).after == b'{\n  "a": 1\n}\n'
    install(file)
    for receipt in Path(places.data_folder(), "installed").iterdir():
        receipt.write_text("[]")
    assert uninstall(file).after == b'{\n  "a": 1\n}\n'


def test_a_file_that_was_made_and_changed_since_stays_with_the_changes(file: Path) -> None:
    """One in which nothing is left is removed."""
    install(file)
    file.write_text(file.read_text().replace("{", '{\n  "model": "opus",', 1))
    assert uninstall(file).after == b'{\n  "model": "opus"\n}\n'
    file.unlink()
    install(file)
    file.write_text(file.read_text() + "\n")
    assert uninstall(file).after is None


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is changed, and the copy is beside the link."""
    real, link = tmp_path / "dotfiles" / "claude.json", tmp_path / "settings.json"
    real.parent.mkdir()
    real.write_text("{}")
    link.symlink_to(real)
    assert install(link).backup == f"{link}.pyjama-backup"
    assert link.is_symlink()
    assert "pyjama-metrics-hook" in real.read_text()
    assert os.listdir(real.parent) == ["claude.json"]
    assert uninstall(link).exactly
    assert (link.is_symlink(), real.read_text()) == (True, "{}")


def test_a_link_to_nothing_gets_what_it_leads_to(tmp_path: Path) -> None:
    """And loses it again."""
    link = tmp_path / "settings.json"
    link.symlink_to(tmp_path / "dotfiles" / "claude.json")
    install(link)
    assert (tmp_path / "dotfiles" / "claude.json").exists()
    uninstall(link)
    assert (link.is_symlink(), (tmp_path / "dotfiles").exists()) == (True, False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{\n  "a": 1\n  "b": 2\n}', 'it is not JSON (line 3, column 3: a "," or "}" is missing). Mend it there'),
        (b"null", "it holds no settings (line 1, column 1: the whole has to be an object"),
        (b"[]", "it holds no settings"),
        (b'{"hooks": []}', 'it holds no settings (line 1, column 11: "hooks" has to be an object'),
        (b'{"hooks": {"Stop": 1}}', '"Stop" in "hooks" has to be a list'),
        (b'{"a":\n "\xff"}', "it is not in UTF-8 (line 2, byte 3)"),
        ("{}".encode("utf-16"), "it is not in UTF-8 (line 1, byte 1)"),
        (b"{}" + b" " * (16 << 20), "it has more than 16 MiB"),
    ],
)
def test_what_cannot_be_used_is_refused_and_untouched(file: Path, data: bytes, reason: str) -> None:
    """With what, where and what to do; nothing is written, not even beside it."""
    file.write_bytes(data)
    before = file.stat()
    with pytest.raises(SettingsRefused) as refused:
        install(file)
    assert reason in str(refused.value)
    assert str(refused.value).startswith(f"{file} was left as it is: ")
    assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) == (data, before.st_mtime_ns, before.st_ino)
    assert os.listdir(file.parent) == ["settings.json"]
    assert settings_files.receipts() == []


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe that nobody writes into, a device, a link to itself, a file where the folder should be."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("")
    for name, reason in {
        "folder": "a folder is in its place",
        "pipe": "a device or a pipe is in its place",
        "device": "a device or a pipe is in its place",
        "loop": "it is a link that leads to itself",
        "file/settings.json": "what should be its folder is a file",
    }.items():
        with pytest.raises(SettingsRefused, match=reason):
            install(tmp_path / name)
    assert sorted(os.listdir(tmp_path / "folder")) == []


def test_a_file_that_may_only_be_read_is_left_alone(file: Path) -> None:
    """A rename would take no notice of its mode: its owner did not mean that."""
    file.write_text("{}")
    file.chmod(0o444)
    for change in (install, lambda path: settings_files.put_in(str(path), lambda text: text + " ", bool, dry_run=True)):
        with pytest.raises(SettingsRefused, match=f"it is not writable. Make it so with 'chmod u\\+w {file}'"):
            change(file)
    assert file.read_text() == "{}"


def test_the_owner_of_a_file_is_kept(file: Path) -> None:
    """Or it is refused, where we may not give it away."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    file.write_text("{}")
    os.chown(file, 12345, 23456)
    install(file)
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)
    uninstall(file)
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)


def test_what_somebody_writes_meanwhile_is_not_lost(file: Path) -> None:
    """The file is looked at again just before it is replaced."""
    file.write_text("{}")
    make, seen = claude_settings.with_ours(WANTED, statusline=False), list[str]()

    def slow(text: str) -> str:
        if not seen:
            file.write_text('{"theirs": 1}')
        seen.append(text)
        return make(text)

    settings_files.put_in(str(file), slow, claude_settings.is_in)
    assert seen == ["{}", '{"theirs": 1}']
    assert '"theirs": 1' in file.read_text()
    assert uninstall(file).after == b'{"theirs": 1}'


INSTALL = """
    import os, signal, sys
    from pyjama_metrics.integrations import claude_settings, hook_entries, settings_files
    path, step = sys.argv[1], sys.argv[2]
    calls = iter(range(1_000))
    write = os.write
    def dying(work):
        def call(*words, **options):
            if next(calls) == int(step):
                if work is write:
                    write(words[0], bytes(words[1])[: len(words[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*words, **options)
        return call
    for name in ("write", "replace", "unlink", "rmdir"):
        setattr(os, name, dying(getattr(os, name)))
    if sys.argv[3] != "uninstall":
        wanted = claude_settings.handlers((2, 1, 329), "/data/pyjama-metrics-hook")
        settings_files.put_in(path, claude_settings.with_ours(wanted, statusline=False), claude_settings.is_in)
    else:
        settings_files.take_out(path, claude_settings.without_ours, claude_settings.is_in, claude_settings.is_empty)
"""


@pytest.mark.parametrize("action", ["install", "refresh", "uninstall"])
def test_a_killed_installer_leaves_the_old_or_the_new_file(file: Path, action: str) -> None:
    """Killed before each rename and removal, and in the middle of each write; whoever comes after it does the whole work."""
    before = b'{\r\n\t"a": 1, // mine\r\n\t"hooks": { }\r\n}'  # taken out as text, its space would be lost
    file.write_bytes(before)
    install(file)
    after = file.read_bytes()
    uninstall(file)
    step = killed = 0
    while True:
        if action == "refresh":
            settings_files.put_in(str(file), claude_settings.with_ours(OLDER, statusline=False), claude_settings.is_in)
        elif action == "uninstall":
            install(file)
        older = file.read_bytes()
        with run_python(INSTALL, str(file), str(step), action) as child:
            _, said = child.communicate(timeout=30)
        assert file.read_bytes() in (older, after, before), said
        if action == "install":
            install(file)
        is_done = file.read_bytes() == before  # and there may be no receipt left
        assert (uninstall(file).exactly or is_done, file.read_bytes()) == (True, before)
        assert os.listdir(file.parent) == ["settings.json"]
        step += 1
        if child.returncode == 0:
            break
        killed += 1
        assert child.returncode == -9, said
    assert killed >= 3


def test_an_installer_waits_for_another_and_not_for_ever(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was stopped in the middle of its work keeps its lock."""
    monkeypatch.setattr(settings_files, "LONGEST_WAIT", 0.1)
    file.write_text("{}")
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        for change in (install, uninstall):
            with pytest.raises(SettingsRefused, match="another program keeps changing it"):
                change(file)
    finally:
        os.close(folder)
    assert file.read_text() == "{}"
    assert install(file).is_change


def test_installers_at_once_install_once(file: Path) -> None:
    """One lock for all of them, whatever their data folders are; each entry is there once, and what was there comes back."""
    text = '{\n  "a": 1\n}\n'
    file.write_text(text)
    script = "; ".join(line.strip() for line in INSTALL.splitlines()[1:3])
    code = f"""{script}
wanted = claude_settings.handlers((2, 1, 329), "/data/pyjama-metrics-hook")
sys.stdin.readline()
settings_files.put_in(sys.argv[1], claude_settings.with_ours(wanted, statusline=False), claude_settings.is_in)
"""
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)
    ]
    try:
        for child in children:
            assert child.stdin is not None
            child.stdin.write(b"\n")
            child.stdin.flush()
        for child in children:
            _, said = child.communicate(timeout=60)
            assert (child.returncode, said) == (0, b"")
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert file.read_text().count("pyjama-metrics-hook") == len(WANTED) == 19
    assert uninstall(file).exactly
    assert file.read_text() == text


def test_a_mistake_of_ours_does_not_get_into_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says without our entries is compared before anything is written."""
    file.write_text('{"a": 1, "b": 2}')
    put_in, take_out = hook_entries.put_in, hook_entries.take_out
    monkeypatch.setattr(hook_entries, "put_in", lambda text, *rest: put_in(text, *rest).replace('"b": 2', '"b": 3'))
    with pytest.raises(SettingsRefused, match="this is a mistake of ours"):
        install(file)
    assert file.read_text() == '{"a": 1, "b": 2}'
    monkeypatch.setattr(hook_entries, "put_in", put_in)
    install(file)
    file.write_text(file.read_text().replace('"a": 1', '"a": 9'))
    monkeypatch.setattr(hook_entries, "take_out", lambda text, *rest: take_out(text, *rest).replace('"b": 2', '"b": 3'))
    with pytest.raises(SettingsRefused, match="this is a mistake of ours"):
        uninstall(file)


THEIRS = '{\n  "statusLine": {"type": "command", "command": "~/bin/li\\u006ee \'a b\' | cut -c1-80", "padding": 0}\n}\n'


def test_a_status_line_of_the_user_is_called_by_ours_and_comes_back_as_he_wrote_it(file: Path) -> None:
    """Also when the file was changed since, and to the letter where the copy is there."""
    file.write_text(THEIRS)
    install(file, statusline=True)
    theirs = "~/bin/line 'a b' | cut -c1-80"
    command = f"{statusline_launcher.path()} --then {shlex.quote(theirs)}"
    line = claude_settings.json_text.parse(file.read_text()).get("statusLine")
    assert line is not None
    assert claude_settings.json_text.plain(line) == {"type": "command", "command": command, "padding": 0}
    once = file.read_text()
    install(file, statusline=True)
    install(file)
    assert file.read_text() == once
    file.write_text(once.replace('"padding": 0', '"padding": 1'))
    assert uninstall(file).after == THEIRS.replace('"padding": 0', '"padding": 1').encode()


def test_a_status_line_that_was_not_there_goes_again(file: Path) -> None:
    """Ours calls no other then."""
    file.write_text('{"a": 1}')
    install(file, statusline=True)
    ours = {"type": "command", "command": statusline_launcher.path()}
    assert f'"statusLine": {json.dumps(ours)}' in file.read_text()
    file.write_text(file.read_text().replace('"a": 1', '"a": 2'))
    assert uninstall(file).after == b'{"a": 2}'


@pytest.mark.parametrize("line", ["null", "[]", '"x"', '{"type": "static"}', '{"type": "command"}', '{"command": "x"}'])
def test_a_status_line_of_another_kind_is_refused(file: Path, line: str) -> None:
    """There is nothing that we could call."""
    file.write_text(f'{{"statusLine": {line}}}')
    if line == "null":
        install(file)
    with pytest.raises(SettingsRefused, match='"statusLine" has to be an object with "type": "command" and a "command"'):
        install(file, statusline=True)
