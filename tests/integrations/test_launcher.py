"""The launcher: wherever it lies, and whatever goes away behind its back."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import pyjama_metrics
from pyjama_metrics.integrations import launcher
from tests.integrations.programs import payload, program, raw_lines, somebody_folds
from tests.waiting import run_python

PACKAGE = Path(pyjama_metrics.__file__).parent
PYTHON = Path(sys._base_executable)  # type: ignore[attr-defined]


def works(home: Path, path: str) -> bool:
    """Whether a hook by this launcher is kept, without a word."""
    before = len(raw_lines(home))
    with somebody_folds(home), program() as running:
        answer = running.run(path, "claude", data=b'{"session_id": "s", "hook_event_name": "Stop"}')
    return answer.is_quiet and len(raw_lines(home)) == before + 1


def test_it_is_the_users_alone_and_lies_apart_from_the_figures(home: Path) -> None:
    """Whoever removes the hub's folder keeps it."""
    path = Path(launcher.ensure())
    assert path == Path(os.environ["HOME"]) / ".local" / "share" / "pyjama-metrics" / "pyjama-metrics-hook"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o700, 0o700]
    assert path.read_bytes().startswith(b"#!" + os.fsencode(PYTHON) + b" -IS\n")
    assert works(home, str(path))


def test_it_is_made_anew_only_where_it_is_not_what_it_should_be(home: Path) -> None:
    """An older version's, one that somebody has changed, one that may not be executed, a link."""
    path = Path(launcher.ensure())
    first = path.stat().st_ino
    launcher.ensure()
    assert path.stat().st_ino == first
    wanted = path.read_bytes()
    path.write_text("#!/bin/sh\necho old\n")
    launcher.ensure()
    assert path.read_bytes() == wanted
    path.chmod(0o600)
    launcher.ensure()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)
    launcher.ensure()
    assert (path.is_symlink(), other.read_bytes() == wanted) == (False, True)
    assert sorted(each.name for each in path.parent.iterdir()) == ["other", "pyjama-metrics-hook"]


def test_it_is_removed_with_its_folder(home: Path) -> None:
    """And only once."""
    path = Path(launcher.ensure())
    assert (launcher.remove(), launcher.remove(), path.parent.exists(), path.parent.parent.exists()) == (True, False, False, True)


def test_what_is_in_its_way_is_told_and_nothing_half_made_is_left(home: Path) -> None:
    """Whoever installs gets a sentence of it."""
    path = Path(launcher.path())
    (path / "something").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        launcher.ensure()
    assert [each.name for each in path.parent.iterdir()] == ["pyjama-metrics-hook"]


@pytest.mark.parametrize("folder", ["with blanks", "with 'quotes' and $HOME", 'a"b`c\\d', "ünïcode", "x" * 120])
def test_any_path_of_launcher_and_interpreter_will_do(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """A first line holds no blanks, and is no longer than the kernel reads; then it is a shell's."""
    place = tmp_path / folder
    place.mkdir()
    python = place / "python"
    python.symlink_to(PYTHON)
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    path = launcher.ensure(str(python))
    assert Path(path).parent.parent == place
    assert Path(path).read_bytes().startswith(b"#!/bin/sh\n") == (folder != "ünïcode" and 'a"' not in folder)
    assert works(home, path)


def test_a_package_whose_path_has_blanks_is_found_and_its_end_is_silent(home: Path, tmp_path: Path) -> None:
    """An upgrade in its place goes on; where it is removed, the hook does nothing, says nothing and exits with 0."""
    folder = tmp_path / "a copy 'here' ü"
    shutil.copytree(PACKAGE, folder / "pyjama_metrics", ignore=shutil.ignore_patterns("__pycache__", "static"))
    with run_python(
        "from pyjama_metrics.integrations import launcher; print(launcher.__file__); print(launcher.ensure())",
        env={"PYTHONPATH": str(folder)},
        cwd="/",
    ) as child:
        used, path = child.communicate(timeout=30)[0].splitlines()
    assert used.startswith(str(folder))
    assert works(home, path)
    version = folder / "pyjama_metrics" / "version.py"
    version.write_text(version.read_text().replace('"0.', '"7.'))
    assert works(home, path)
    shutil.rmtree(folder)
    with program() as running:
        assert running.hook(payload()).is_quiet
        assert running.run(path, "claude", data=b"{}").is_quiet
        assert running.run(path, "codex", "{}").is_quiet


def test_a_package_that_is_spoilt_is_silent(home: Path, tmp_path: Path) -> None:
    """Half an upgrade, say."""
    folder = tmp_path / "spoilt"
    (folder / "pyjama_metrics" / "integrations").mkdir(parents=True)
    path = Path(launcher.ensure())
    own = str(PACKAGE.parent)
    assert own in path.read_text()
    path.write_text(path.read_text().replace(own, str(folder)))
    for text in ("def main(:", "raise SystemExit(2)", "import nothing_like_that", "def main(*_): raise KeyboardInterrupt"):
        (folder / "pyjama_metrics" / "integrations" / "hook.py").write_text(text)
        with program() as running:
            assert running.run(str(path), "claude", data=b"{}").is_quiet


def test_an_interpreter_that_is_gone_is_silent_where_a_shell_looks_for_it(home: Path, tmp_path: Path) -> None:
    """The kernel's own complaint about a first line cannot be kept from anybody, so that names the lasting interpreter."""
    place = tmp_path / "with blanks"
    place.mkdir()
    python = place / "python"
    python.symlink_to(PYTHON)
    path = launcher.ensure(str(python))
    python.unlink()
    with program() as running:
        assert running.run(path, "claude", data=b"{}").is_quiet


def test_the_removal_of_a_virtual_environment_is_silent(home: Path, tmp_path: Path) -> None:
    """The launcher names the interpreter from which the environment was made."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (library,) = environment.glob("lib/python*/site-packages")
    shutil.copytree(PACKAGE, library / "pyjama_metrics", ignore=shutil.ignore_patterns("__pycache__", "static"))
    needed = [place for place in launcher.package_folders() if place != str(PACKAGE.parent)]
    (library / "needed.pth").write_text("\n".join(needed))
    code = "from pyjama_metrics.integrations import launcher; print(launcher.ensure())"
    done = subprocess.run([environment / "bin" / "python", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    path = done.stdout.strip()
    assert str(library) in Path(path).read_text()
    assert works(home, path)
    shutil.rmtree(environment)
    with program() as running:
        assert running.run(path, "claude", data=b"{}").is_quiet


def test_two_who_make_it_at_once_both_have_it(home: Path) -> None:
    """Each of them writes a file of its own, and the last one stays."""
    code = "import sys; from pyjama_metrics.integrations import launcher; sys.stdin.read(); print(launcher.ensure())"
    with run_python(code) as one, run_python(code) as two:
        outputs = [child.communicate(timeout=30) for child in (one, two)]
    assert {out.strip() for out, _ in outputs} == {launcher.path()}
    assert works(home, launcher.path())
