"""What the package carries of others is pinned: byte for byte what their packages have, each with its licence."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
VENDOR = Path("pyjama_metrics/dashboard/static/vendor")
VENDOR_OF_TESTS = Path("tests/vendor")
FILES = {"LICENSE": b"Do as you like.\n", "dist/thing.js": b"export default 1;\r\n"}
NPM = """#!/bin/sh
[ "$1" = pack ] && [ "$2" = thing@$VERSION ] || { echo "no such package: $2" >&2; exit 1; }
cp "$ARCHIVE" "$4/thing.tgz"
"""


def vendor(root: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a checkout."""
    command = [sys.executable, str(root / "scripts" / "vendor"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ) | env)


def archive(files: dict[str, bytes]) -> bytes:
    """A package as npm packs it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as members:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    return packed.getvalue()


class Checkout:
    """A checkout that carries the package ``thing``, and an npm that has one archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / VENDOR
        self.packed = root / "thing.tgz"
        self.packed.write_bytes(archive(FILES))
        (root / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "vendor", root / "scripts")
        (root / "bin").mkdir()
        (root / "bin" / "npm").write_text(NPM)
        (root / "bin" / "npm").chmod(0o755)
        digest = base64.b64encode(hashlib.sha512(self.packed.read_bytes()).digest()).decode()
        files = {
            f"thing/{Path(name).name}": {"from": name, "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in FILES.items()
        }
        package = {"name": "thing", "version": "1.0.0", "licence": "any", "integrity": f"sha512-{digest}", "files": files}
        self.folder.mkdir(parents=True)
        (root / VENDOR_OF_TESTS).mkdir(parents=True)
        (root / VENDOR_OF_TESTS / "manifest.json").write_text('{"packages": []}')
        (self.folder / "manifest.json").write_text(json.dumps({"packages": [package]}))
        for name, content in FILES.items():
            path = self.folder / "thing" / Path(name).name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)

    def run(self, *arguments: str, version: str = "1.0.0") -> subprocess.CompletedProcess[str]:
        """Run its script; its npm knows one version."""
        path = f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return vendor(self.root, *arguments, PATH=path, VERSION=version, ARCHIVE=str(self.packed))

    def contents(self) -> dict[str, bytes]:
        """All its files, the manifest included."""
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    @property
    def package(self) -> Any:
        """What the manifest says of the package."""
        return json.loads((self.folder / "manifest.json").read_text())["packages"][0]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout in which everything is as it should be."""
    root = tmp_path / "checkout"
    root.mkdir()
    return Checkout(root)


def test_the_files_are_the_ones_that_were_reviewed() -> None:
    """No file of others was changed, added or lost."""
    done = vendor(ROOT, "--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("folder", "words"), [(VENDOR, {"MIT": "MIT"}), (VENDOR_OF_TESTS, {"MPL-2.0": "Mozilla Public License, version 2.0"})]
)
def test_each_package_has_its_licence_beside_it(folder: Path, words: dict[str, str]) -> None:
    """Whoever passes the package on passes the licences on."""
    for package in json.loads((ROOT / folder / "manifest.json").read_text())["packages"]:
        licences = [name for name, each in package["files"].items() if each["from"] == "LICENSE"]
        texts = [(ROOT / folder / name).read_text(encoding="utf-8") for name in licences]
        assert any(words[package["licence"]] in text and "copyright" in text.lower() for text in texts), package["name"]


def test_the_check_names_what_was_changed_lost_and_added(checkout: Checkout) -> None:
    """One sentence for each difference; and all is well again afterwards, by the script's own hand."""
    assert checkout.run("--check").returncode == 0
    (checkout.folder / "thing" / "thing.js").write_bytes(b"export default 1;\n")
    (checkout.folder / "thing" / "LICENSE").unlink()
    (checkout.folder / "thing" / "more.js").write_bytes(b"")
    done = checkout.run("--check")
    assert done.returncode == 1
    for said in ("thing.js is not the file", "LICENSE is missing", "more.js is in no package"):
        assert said in done.stderr


def test_the_script_brings_back_what_is_pinned(checkout: Checkout) -> None:
    """Byte for byte, line ends included."""
    before = checkout.contents()
    (checkout.folder / "thing" / "thing.js").write_bytes(b"changed")
    (checkout.folder / "thing" / "LICENSE").unlink()
    assert checkout.run().returncode == 0
    assert checkout.contents() == before


def test_an_archive_that_was_not_reviewed_changes_nothing(checkout: Checkout) -> None:
    """The registry may say what it likes."""
    before = checkout.contents()
    checkout.packed.write_bytes(archive(FILES | {"dist/thing.js": b"steal()"}))
    done = checkout.run()
    assert (done.returncode, checkout.contents()) == (1, before)
    assert "nothing was changed" in done.stderr


def test_another_version_is_pinned_with_its_checksums(checkout: Checkout) -> None:
    """Then the check holds for the new files, and the old archive is refused."""
    old = checkout.packed.read_bytes()
    checkout.packed.write_bytes(archive(FILES | {"dist/thing.js": b"export default 2;"}))
    assert checkout.run("thing@1.1.0", version="1.1.0").returncode == 0
    assert checkout.package["version"] == "1.1.0"
    assert (checkout.folder / "thing" / "thing.js").read_bytes() == b"export default 2;"
    assert checkout.run("--check").returncode == 0
    checkout.packed.write_bytes(old)
    assert checkout.run(version="1.1.0").returncode == 1


def test_what_npm_cannot_get_is_said_in_a_sentence(checkout: Checkout) -> None:
    """A version that nobody has, a package that is not carried, an archive without the file, no npm at all."""
    before = checkout.contents()
    assert "npm could not get thing@9.9.9" in checkout.run("thing@9.9.9").stderr
    assert "there is thing" in checkout.run("other@1.0.0").stderr
    checkout.packed.write_bytes(archive({"LICENSE": b""}))
    assert "has no file dist/thing.js" in checkout.run("thing@1.0.0").stderr
    assert "npm was not found" in vendor(checkout.root, PATH=str(checkout.root)).stderr
    assert checkout.contents() == before
