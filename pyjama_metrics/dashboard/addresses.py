"""Where a dashboard may listen, and who answers there: for the server, and for commands that only look for one.

Light to import: no web framework, and what speaks HTTP is loaded when somebody is asked.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

SERVICE = "pyjama-metrics"
"""How ``/health`` tells that it is one of ours."""

MAX_ANSWER = 64 * 1024
"""Bytes that are read of what a stranger answers."""


class AddressUnusable(Exception):
    """No socket may, or can, be bound there; its text is a sentence for people."""


def loopback_address(host: str) -> str:
    """The address to bind.

    Raises AddressUnusable for one that other machines reach: the page asks nobody who they are.
    """
    address = "127.0.0.1" if host == "localhost" else host
    try:
        is_loopback = ip_address(address).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise AddressUnusable(
            f"{host!r} is not a loopback address. The page has no access control, so it is served to this machine only: "
            "use 127.0.0.1 and, from elsewhere, an SSH tunnel (ssh -L 8080:127.0.0.1:8080 HOST)."
        )
    return address


def url_of(host: str, port: int) -> str:
    """The address to open in a browser."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def health(host: str, port: int, timeout: float) -> dict[str, Any] | None:
    """What the dashboard that listens there, of whichever hub, tells about itself (``GET /health``).

    Args:
        host: a loopback address, or ``localhost``. Raises AddressUnusable for any other.
        port: where it may listen.
        timeout: seconds that each of its steps may take.

    Returns:
        None where nobody listens, or somebody else does: a stranger that speaks no HTTP, answers something
        else, or does not answer.
    """
    import http.client
    import json

    connection = http.client.HTTPConnection(loopback_address(host), port, timeout=timeout)
    try:
        connection.request("GET", "/health")
        told = json.loads(connection.getresponse().read(MAX_ANSWER))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None
    finally:
        connection.close()
    return told if isinstance(told, dict) and told.get("service") == SERVICE else None
