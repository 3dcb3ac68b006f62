"""The static files of the page: read once, named by the hash of all of them, served from memory.

A browser keeps what it has for a year, because another version of any file is at another address; and since the hash is
one for all, the scripts that import each other by relative addresses are always of one version. What is asked for is
looked up among the names that were found at the start, never in a file system: no path leads anywhere else.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")

CACHED = "public, max-age=31536000, immutable"
"""The ``Cache-Control`` of a static file under its hash."""

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Ours, and not those of the machine's tables: a script of the wrong type would not run."""

UNKNOWN_TYPE = "application/octet-stream"

PARTS = frozenset({"text/css", "text/javascript"})
"""Media types that a browser never makes a document of."""

COMPRESSED_ALREADY = frozenset({".ico", ".png", ".woff2"})

SHARED_WORKER = "js/shared-stream.js"
"""Loaded by the browser as a program of its own, and never by a page."""

IMPORT = re.compile(rb'^import\b[^"\n]*"\./([^"\n]+)";$', re.MULTILINE)
"""An import that a module cannot begin without."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file.

    Attributes:
        body: its bytes.
        gzipped: the same compressed; None where that saves nothing.
        media_type: its ``Content-Type``.
        is_part: whether it can be a part of a page and nothing else: no document, and no program of its own.

    """

    body: bytes
    gzipped: bytes | None
    media_type: str
    is_part: bool


class Assets:
    """The static files below one folder, as they were when this was made. Nothing changes them."""

    def __init__(self, folder: str = STATIC) -> None:
        self._files = {name: _asset(name, body) for name, body in sorted(_files_below(folder))}
        digest = hashlib.sha256()
        for name, asset in self._files.items():
            digest.update(b"%d %d\n" % (len(os.fsencode(name)), len(asset.body)) + os.fsencode(name) + asset.body)
        self.version = digest.hexdigest()[:16]
        """One hash over the names and the contents of all files."""

    def url(self, name: str) -> str:
        """The address of a file, such as ``js/main.js``. Raises LookupError where there is no such file."""
        if name not in self._files:
            raise LookupError(f"There is no static file {name!r}; there are {', '.join(self._files)}.")
        return f"/static/{self.version}/{name}"

    def find(self, version: str, name: str) -> Asset | None:
        """The file that an address names; None for another version's, and for a name that is none of ours."""
        return self._files.get(name) if version == self.version else None

    def module_urls(self, name: str) -> list[str]:
        """The addresses of a module and of all those that must be there before it runs, for ``<link rel=modulepreload>``: one
        wait and not one for each import. What it imports later, by ``import()``, is left out.
        """
        found = [name]
        for each in found:
            imports = IMPORT.findall(self._files[each].body)
            found += [other for other in (f"js/{file.decode()}" for file in dict.fromkeys(imports)) if other not in found]
        return [self.url(each) for each in found]


def _files_below(folder: str) -> Iterator[tuple[str, bytes]]:
    """The name and the content of each file; a link could lead out of the folder, so none is followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        for name in names:
            path = os.path.join(place, name)
            if not name.startswith(".") and os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    yield os.path.relpath(path, folder).replace(os.sep, "/"), file.read()


def _asset(name: str, body: bytes) -> Asset:
    ending = os.path.splitext(name)[1].lower()
    gzipped = None if ending in COMPRESSED_ALREADY else gzip.compress(body, 9, mtime=0)
    if gzipped is not None and len(gzipped) >= len(body):
        gzipped = None
    media_type = TYPES.get(ending, UNKNOWN_TYPE)
    is_part = media_type.partition(";")[0] in PARTS and name != SHARED_WORKER
    return Asset(body, gzipped, media_type, is_part)
