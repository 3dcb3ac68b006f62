"""The page's static files: kept for ever under their hash, and nothing else is served."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyjama_metrics.dashboard.assets import SHARED_WORKER, STATIC, TYPES, Assets
from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import record_agent_start
from tests.dashboard.looking import open_page
from tests.dashboard.serving import ask

if TYPE_CHECKING:
    from playwright.sync_api import Page


def urls_of(server: DashboardServer) -> list[str]:
    """The addresses of static files that the page names."""
    return re.findall(r'(?:src|href)="(/static/[^"#]+)"', ask(server, "/").body.decode())


def folder_of(tmp_path: Path, **files: str) -> str:
    """A folder of static files; ``main_js`` stands for ``main.js``."""
    folder = tmp_path / "static"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return str(folder)


def test_a_static_file_is_kept_for_ever(server: DashboardServer) -> None:
    """Its address has the hash of all files, so what a browser has under it cannot be out of date."""
    names = urls_of(server)
    assert names
    for name in names:
        answer = ask(server, name)
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        assert answer.body == Path(STATIC, name.split("/", 3)[3]).read_bytes()


def test_static_files_are_compressed_once(server: DashboardServer) -> None:
    """For whoever accepts it; a cache between is told that there are two forms."""
    name = next(name for name in urls_of(server) if name.endswith(".css"))
    plain, small = ask(server, name), ask(server, name, Accept_Encoding="br, gzip")
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) < len(plain.body)
    assert {plain.headers["Vary"], small.headers["Vary"]} == {"Accept-Encoding"}
    assert "Content-Encoding" not in ask(server, name, Accept_Encoding="gzip;q=0").headers
    assets = Assets()
    found = assets.find(assets.version, "base.css")
    assert found is assets.find(assets.version, "base.css")


def test_any_changed_file_changes_every_address(tmp_path: Path) -> None:
    """Scripts import each other by relative addresses: all of them are of one version."""
    versions = {
        Assets(folder_of(tmp_path, **files)).version
        for files in ({"a_js": "1"}, {"a_js": "2"}, {"b_js": ""}, {"a_js": "", "b_js": "2"})
    }
    assert len(versions) == 4


def test_the_same_files_have_the_same_address(tmp_path: Path) -> None:
    """A restart of the server costs nobody a download."""
    folder = folder_of(tmp_path, a_js="1", b_css="2")
    assert Assets(folder).url("a.js") == Assets(folder).url("a.js")


def test_the_files_of_another_version_are_not_served(server: DashboardServer) -> None:
    """A page from before an update would get a script that does not fit it."""
    _, _, version, name = urls_of(server)[0].split("/", 3)
    for other in (version[::-1], version[:-1], version.upper() + "x", "", "x" * 5000):
        assert ask(server, f"/static/{other}/{name}").refusal == 404
    assert ask(server, f"/static/{name}").refusal == 404


@pytest.mark.parametrize(
    "trick",
    [
        "../app.py",
        "../static/base.css",
        "js/../base.css",
        "./base.css",
        "%2e%2e/app.py",
        "..%2fapp.py",
        "..%5capp.py",
        "%252e%252e/app.py",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "base.css%00",
        "base.css%0a",
        "base.css/",
        "js/",
        "js",
        "BASE.CSS",
        "%ff%fe",
        "x" * 10_000,
        "",
    ],
)
def test_no_path_leads_out_of_the_static_files(server: DashboardServer, trick: str) -> None:
    """A name is one of ours to the letter, or there is nothing."""
    root = urls_of(server)[0].split("/")[2]
    assert ask(server, f"/static/{root}/{trick}").refusal == 404


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    """Neither to a file nor to a folder; nor is what begins with a dot a file of the page."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("secret")
    folder = Path(folder_of(tmp_path, a_js="1", _hidden="2"))
    (folder / "file.txt").symlink_to(secret / "key.txt")
    (folder / "folder").symlink_to(secret)
    assets = Assets(str(folder))
    assert assets.find(assets.version, "a.js") is not None
    names = ("file.txt", "folder/key.txt", ".hidden")
    assert [assets.find(assets.version, name) for name in names] == [None, None, None]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a_js", "text/javascript; charset=utf-8"),
        ("a_mjs", "text/javascript; charset=utf-8"),
        ("a_css", "text/css; charset=utf-8"),
        ("a_svg", "image/svg+xml; charset=utf-8"),
        ("a_woff2", "font/woff2"),
        ("a_LICENSE", "application/octet-stream"),
    ],
)
def test_the_type_does_not_depend_on_the_machine(tmp_path: Path, name: str, media_type: str) -> None:
    """A browser that is told not to guess runs no script of another type."""
    assets = Assets(folder_of(tmp_path, **{name: "x"}))
    found = assets.find(assets.version, name.replace("_", "."))
    assert found is not None
    assert found.media_type == media_type


def test_every_file_of_the_page_has_a_type() -> None:
    """A new kind of file has to be entered."""
    endings = {path.suffix for path in Path(STATIC).rglob("*") if path.is_file() and path.suffix}
    assert endings - {".sha256", ".LICENSE"} <= set(TYPES)


def test_what_compressing_does_not_shorten_is_sent_as_it_is(tmp_path: Path) -> None:
    """Three bytes, or a font, would only get longer."""
    assets = Assets(folder_of(tmp_path, a_js="1;", a_woff2="f" * 999))
    for name in ("a.js", "a.woff2"):
        found = assets.find(assets.version, name)
        assert found is not None
        assert found.gzipped is None


def test_a_misspelt_asset_is_found_by_the_first_page() -> None:
    """And not by the user, as a page without its looks."""
    with pytest.raises(LookupError, match=r"base\.css"):
        Assets().url("bose.css")


def test_the_modules_that_the_page_begins_with_can_be_loaded_at_once(tmp_path: Path) -> None:
    """Each that another one imports, once; not what is imported when it is needed."""
    js = tmp_path / "static" / "js"
    js.mkdir(parents=True)
    (js / "main.js").write_text('import "./a.js";\nimport { b, c } from "./b.js";\nimport("./later.js");\nbring("./later.js");\n')
    (js / "a.js").write_text('import * as all from "./b.js";\n')
    (js / "b.js").write_text('import "./main.js";\n// import "./later.js" is only said here\n')
    (js / "later.js").write_text("")
    assets = Assets(str(tmp_path / "static"))
    assert assets.module_urls("js/main.js") == [assets.url(f"js/{name}.js") for name in ("main", "a", "b")]


@pytest.mark.browser
def test_the_page_asks_for_everything_once_and_first_for_what_is_seen_first(server: DashboardServer, page: Page) -> None:
    """What was announced is what is used; panels that are drawn later and the page of an agent do not delay the first look."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(server.url)))
    record_agent_start("worker")
    open_page(page, server)
    assets = Assets()
    modules = [url for url in asked if "/js/" in url and not url.endswith(SHARED_WORKER)]
    first = modules[: modules.index(assets.url("js/later.js"))]
    assert set(first) == set(assets.module_urls("js/main.js"))
    assert asked.count("/api/data") == 1
    assert len(modules) == len(set(modules))
    assert not any("/agent-" in url or url.endswith("agent.css") for url in asked)


def test_the_favicon_is_found_where_browsers_look(server: DashboardServer) -> None:
    """Without the hash, and therefore asked for each time."""
    answer = ask(server, "/favicon.ico")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
