"""Who may ask for what: the checks of every request, and the headers of every answer. No web framework.

The page has no access control: whoever can open a connection to loopback is a user of this machine. What
must be kept out is the *web*: pages of other sites that make the user's own browser send requests here.

- A foreign name that resolves to 127.0.0.1 (DNS rebinding) shows in ``Host``.
- A foreign page's request shows in ``Origin`` and ``Sec-Fetch-Site``.
- A form can be sent anywhere without asking, but never as ``application/json``; so every change needs that
  type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_BODY = 64 * 1024
"""Bytes of the largest request body that is read."""

DATA = ("/api/", "/metrics")
"""How the paths begin under which there is data."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'; trusted-types pyjama-scripts"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""What every answer carries, errors included, but for the parts of the page."""

PART_HEADERS = {name: HEADERS[name] for name in ("X-Content-Type-Options", "Cross-Origin-Resource-Policy")}
"""What scripts and style sheets of the page carry: they are no documents, and the other headers say something of documents."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered: an HTTP status and a sentence."""

    status: int
    error: str


def own_hosts(address: str, port: int) -> frozenset[str]:
    """The ``Host`` headers under which this server may be asked, in lower case."""
    names = {"localhost", "127.0.0.1", "[::1]", f"[{address}]" if ":" in address else address}
    with_port = {f"{name}:{port}" for name in names}
    return frozenset(with_port | names if port == 80 else with_port)


Header = Callable[[str], str | None]
"""Answers with the value of a header, or None."""


def refusal(method: str, path: str, header: Header, hosts: frozenset[str]) -> Refusal | None:
    """Why this request must not be answered, or None."""
    host = (header("Host") or "").lower()
    if host not in hosts:
        asked = f"not {host[:200]!r}" if host else "not to be asked without a name"
        return Refusal(403, f"This server is {asked}; open it as http://{min(hosts)}/.")
    return _foreign_page(method, path, header, host) or _wrong_type(method, header)


def _foreign_page(method: str, path: str, header: Header, host: str) -> Refusal | None:
    origin = header("Origin")
    if origin is not None and origin.lower() != f"http://{host}":
        return Refusal(403, f"Requests from pages of {origin[:200]} are not answered.")
    # A link on another page may lead to ours, but nothing of another page may read the data or change it.
    guarded = path.startswith(DATA) or method not in READING
    if guarded and header("Sec-Fetch-Site") not in (None, "same-origin", "none"):
        return Refusal(403, "Requests from pages of other sites are not answered.")
    return None


def _wrong_type(method: str, header: Header) -> Refusal | None:
    if method in READING:
        return None
    media_type = (header("Content-Type") or "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        return None
    return Refusal(415, "A change needs a body of the type application/json; send {} at least.")
