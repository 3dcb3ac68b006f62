"""The stream tells every open page of every change, and costs nobody anything when a page is gone."""

from __future__ import annotations

from pathlib import Path

from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.dashboard.stream import Streams
from tests.dashboard.serving import agent_process, ask, serving, streaming
from tests.waiting import wait_until


def test_a_stream_opens_with_the_whole_view(server: DashboardServer) -> None:
    """A page needs no second request."""
    with streaming(server) as client:
        frame = next(client.frames())
        data = ask(server, "/api/data")
        assert frame.event == "snapshot"
        assert frame.id == data.json["hub"]["version"]
        assert frame.data.keys() == data.json.keys()


def test_what_another_process_records_is_pushed(server: DashboardServer) -> None:
    """An agent's start and its tools arrive as updates, each with a new version."""
    with streaming(server) as client, agent_process() as agent:
        frames = client.frames()
        versions = [next(frames).id]
        agent.do("record_agent_start('pushed')")
        agent.do("record_tool_execution('grep', 'pushed', duration_ms=3)")
        for frame in frames:
            assert frame.event == "metrics_update"
            versions.append(frame.id)
            if frame.data["metrics"]["global"]["count"] == 1:
                break
        assert frame.data["agents"]["pushed"]["status"] == "running"
        assert len(set(versions)) == len(versions)


def test_one_serialisation_serves_every_client(server: DashboardServer) -> None:
    """The bytes of a frame are made once."""
    edition = server.live.newest
    assert edition.snapshot_frame is edition.snapshot_frame
    assert edition.update_frame is edition.update_frame


def test_silence_is_filled_with_heartbeats(home: Path) -> None:
    """A proxy does not take a quiet stream for a dead one."""
    with serving(home, heartbeat=0.1) as server, streaming(server) as client:
        assert next(line for line in client.raw_lines() if line.startswith(":")) == ": still here"


def test_streams_beyond_the_cap_are_refused(home: Path) -> None:
    """The next client is told so, while every other request is still answered; a place that is free again is given."""
    with serving(home, max_streams=2) as server:
        with streaming(server) as first, streaming(server) as second:
            next(first.frames()), next(second.frames())
            full = ask(server, "/api/stream")
            assert (full.refusal, full.headers["Retry-After"]) == (503, "5")
            assert ask(server, "/health").json["streams"] == 2
        wait_until(lambda: server.streams.count == 0, 2.0, "both places to be free")
        with streaming(server) as third:
            assert next(third.frames()).event == "snapshot"


def test_a_client_that_went_away_is_noticed_without_a_change(server: DashboardServer) -> None:
    """Its place is free within two seconds, though nothing was to be sent."""
    with streaming(server) as client:
        next(client.frames())
        assert server.streams.count == 1
    wait_until(lambda: server.streams.count == 0, 2.0, "the place to be free")


def test_a_client_that_leaves_before_its_first_frame_gives_its_place_back(server: DashboardServer) -> None:
    """A body that was never begun is closed all the same."""
    streams = Streams(server.live, limit=1)
    for _ in range(3):
        streams.open(lambda: True).close()
    assert streams.count == 0


def test_a_head_request_takes_no_place(server: DashboardServer) -> None:
    """Who only asks for the headers leaves nothing open."""
    assert ask(server, "/api/stream", "HEAD").status == 200
    wait_until(lambda: server.streams.count == 0, 2.0, "no place to be taken")


def test_stalled_clients_do_not_slow_the_others(server: DashboardServer) -> None:
    """Clients that never read keep their own thread waiting, and nobody else's."""
    with streaming(server), streaming(server), streaming(server) as reader:
        frames = reader.frames()
        next(frames)
        for number in range(60):
            server.live.report("test", f"{number} " + "x" * 200_000)
        assert any("59 x" in "".join(frame.data["hub"]["troubles"]) for frame in frames)
        assert ask(server, "/health").status == 200
