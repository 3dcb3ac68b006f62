"""What users are shown of a real session: by ``show``, by ``GET /metrics/<session id>``, and with a whole check of the hub."""

from __future__ import annotations

import json

import pytest

from tests.dashboard.serving import ask, serving
from tests.live import figures
from tests.live.running import ClaudeMachine
from tests.live.scripts import prompt
from tests.live.versions import each_version

pytestmark = [pytest.mark.live, pytest.mark.timeout(60, func_only=True)]

AGENT = "web-shop"
OWN_TOKENS = {"2.0.77": 21 + 9}
"""What a version uses for subagents that nobody asked for."""


@each_version
def test_every_door_tells_the_same(claude: ClaudeMachine) -> None:
    """The session with its subagents in one answer, the agents in the table, and nothing that does not agree."""
    session = claude.run(prompt("basic")).session
    figures.a_minute_later(claude.hub)
    shown = json.loads(claude.pyjama("show", "--json"))
    assert shown["agents"][AGENT]["source"] == "claude-code"
    assert {name: (tool["success"], tool["error"], tool["interrupted"]) for name, tool in shown["metrics"]["tools"].items()} == (
        claude.model.truth.calls()
    )
    with serving(claude.hub) as server:
        answer = ask(server, f"/metrics/{session}").json
    own = OWN_TOKENS.get(claude.program.version, 0)
    assert answer["sessionId"] == session
    assert answer["tokens"]["total"] == 987 + 410 + 19345 + 3979 + own
    assert (answer["tokens"]["cacheRead"], answer["tokens"]["cacheWrite"]) == (19345, 3979)
    assert answer["tokens"]["cost"] is not None
    # A file that is missing is bad input for older versions: those calls were not executed.
    reads = 1 if claude.program.version in ("2.0.77", "1.0.128") else 3
    help_tool = "Agent" if claude.program.version.startswith("2.1") else "Task"
    assert answer["toolCounts"] == {"Bash": 3, "Write": 1, "Read": reads, "Edit": 1, help_tool: 1}
    assert (answer["messages"]["user"], answer["status"]) == (1, "completed")
    claude.pyjama("doctor", "--deep")
