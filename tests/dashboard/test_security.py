"""Pages of other sites can neither read the hub nor change it."""

from __future__ import annotations

import pytest

from pyjama_metrics.dashboard.security import own_hosts, refusal
from pyjama_metrics.dashboard.server import DashboardServer
from tests.dashboard.serving import ask, post_json

READABLE = ["/", "/api/data", "/api/stream", "/health", "/static/base.css"]


@pytest.mark.parametrize("path", READABLE)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "", None])
def test_a_foreign_host_is_refused(server: DashboardServer, path: str, host: str | None) -> None:
    """DNS rebinding: a name that is not ours reads nothing, wherever it leads."""
    asked = host.format(port=server.url.rpartition(":")[2]) if host is not None else None
    assert ask(server, path, Host=asked).refusal == 403


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_every_own_name_is_answered(server: DashboardServer, name: str) -> None:
    """localhost, 127.0.0.1 and [::1] are this server, with its port."""
    assert ask(server, "/health", Host=f"{name}:{server.url.rpartition(':')[2]}").status == 200


@pytest.mark.parametrize("path", READABLE)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", ""])
def test_a_foreign_origin_is_refused(server: DashboardServer, path: str, origin: str) -> None:
    """A request of another page's script is not answered, not even for reading."""
    assert ask(server, path, Origin=origin).refusal == 403


def test_our_own_origin_is_answered(server: DashboardServer) -> None:
    """Our page may say where it comes from."""
    assert ask(server, "/api/data", Origin=server.url).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_data_is_not_for_other_sites(server: DashboardServer, site: str) -> None:
    """A browser that says that another site asks gets no data, also where it sends no Origin; a link still works."""
    assert ask(server, "/api/stream", Sec_Fetch_Site=site).refusal == 403
    assert ask(server, "/", Sec_Fetch_Site=site).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_form_changes_nothing(server: DashboardServer, kind: str | None) -> None:
    """What a form of another page can send is no change: only JSON is."""
    assert post_json(server, "/api/clear", Content_Type=kind).refusal == 415


def test_every_change_needs_json_whatever_its_address_does() -> None:
    """The check does not rely on the address reading its body."""
    headers = {"Host": "localhost:1", "Content-Type": "text/plain"}
    refused = refusal("POST", "/api/later", headers.get, own_hosts("127.0.0.1", 1))
    assert refused is not None
    assert refused.status == 415


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}],
    ids=str,
)
def test_a_foreign_change_is_refused(server: DashboardServer, headers: dict[str, str]) -> None:
    """The right type alone does not make a change ours."""
    before = ask(server, "/api/data").json["hub"]["version"]
    assert post_json(server, "/api/clear", **headers).refusal == 403
    assert ask(server, "/api/data").json["hub"]["version"] == before


@pytest.mark.parametrize("path", ["/", "/api/data", "/health", "/static/js/main.js", "/nothing", "/static/../app.py"])
def test_every_answer_carries_the_protecting_headers(server: DashboardServer, path: str) -> None:
    """Nothing inline runs, nobody frames us, nothing is sniffed or kept; errors included."""
    headers = ask(server, path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] in ("no-store", "no-cache")
    assert "Server" not in headers


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fhub.py", "/static//etc/passwd"]
)
def test_path_tricks_lead_nowhere(server: DashboardServer, path: str) -> None:
    """Only what is in the folder of static files is served."""
    assert ask(server, path).refusal == 404


def test_only_loopback_is_bound(server: DashboardServer) -> None:
    """Nobody else on the network reaches the page."""
    assert server.url.startswith("http://127.0.0.1:")
