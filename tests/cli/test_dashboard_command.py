from __future__ import annotations

import json
import signal
import urllib.request

import pytest

from pyjama_metrics import record_agent_start
from tests.cli.commands import PYJAMA, pyjama, started


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_an_address_that_others_reach_is_refused(host: str) -> None:
    """The page has no access control, so it is not served beyond this machine."""
    answer = pyjama("dashboard", "--host", host, "--port", "0")
    assert answer.returncode == 2
    assert "is not a loopback address" in answer.stderr
    assert "ssh -L" in answer.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http", "8080.5", "٣"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    """A wrong number is wrong usage, not a crash of the server."""
    answer = pyjama("dashboard", "--port", port)
    assert answer.returncode == 2
    assert "is not a port" in answer.stderr


def test_the_page_is_served_until_it_is_stopped() -> None:
    """The address is printed at once, also into a pipe, and answers; Ctrl-C ends it in silence."""
    record_agent_start("builder")
    with started(*PYJAMA, "dashboard", "--port", "0") as child:
        assert child.stdout is not None
        url = next(word for word in child.stdout.readline().split() if word.startswith("http://"))
        with urllib.request.urlopen(f"{url}/api/data", timeout=10) as answer:
            assert json.load(answer)["agents"].keys() == {"builder"}
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=10) == ("", "")
        assert child.returncode in (0, 130)
