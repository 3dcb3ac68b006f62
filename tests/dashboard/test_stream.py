"""The stream tells every open page of every change, and costs nobody anything when a page is gone."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path

import pytest
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import WSGITask

from pyjama_metrics.dashboard import connections, stream
from pyjama_metrics.dashboard.live import Edition
from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.dashboard.stream import Streams
from pyjama_metrics.storage.json import dumps
from tests.dashboard.serving import StreamClient, agent_process, ask, serving, streaming
from tests.waiting import wait_until

SMALL = 4096
"""Bytes that the system is asked to keep for a client that does not read."""


def address_of(server: DashboardServer) -> tuple[str, int]:
    """Host and port."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    return host, int(port)


def request_for(server: DashboardServer) -> str:
    """What a client sends to open a stream."""
    return f"GET /api/stream HTTP/1.1\r\nHost: {server.url.removeprefix('http://')}\r\n\r\n"


def publish(server: DashboardServer, sentences: int, length: int) -> None:
    """Let there be new editions that differ by one sentence of about ``length`` characters each."""
    for number in range(sentences):
        server.live.report("test", f"{number} " + "x" * length)


def test_a_stream_opens_with_the_whole_view(server: DashboardServer) -> None:
    """A page needs no second request."""
    with streaming(server) as client:
        frame = next(client.frames())
        data = ask(server, "/api/data")
        assert frame.event == "snapshot"
        assert frame.id == data.json["hub"]["version"]
        assert frame.data == data.json


def test_what_another_process_records_is_pushed(server: DashboardServer) -> None:
    """An agent's start and its tools arrive as updates, which build what the server shows."""
    with streaming(server) as client, agent_process() as agent:
        documents = client.documents()
        next(documents)
        agent.do("record_agent_start('pushed')")
        agent.do("record_tool_execution('grep', 'pushed', duration_ms=3)")
        document = next(one for one in documents if one["metrics"]["global"]["count"] == 1)
        assert document["agents"]["pushed"]["status"] == "running"
        assert document == ask(server, "/api/data").json


def test_an_update_holds_what_changed(server: DashboardServer) -> None:
    """It names the version before and its own, and leaves out what stayed."""
    with streaming(server) as client:
        frames = client.frames()
        before = next(frames).id
        publish(server, 1, 10)
        frame = next(frames)
        assert (frame.event, frame.data["from"], frame.data["to"]) == ("metrics_update", before, frame.id)
        assert "agents" not in frame.data["set"]


def test_a_client_without_chunks_gets_bare_frames(server: DashboardServer) -> None:
    """HTTP/1.0 knows no chunks; the end of the connection is the end of the body."""
    with streaming(server, version="1.0") as client:
        assert client.file.readline() == b"retry: 1000\n"
        assert client.file.readline() == b"\n"
        assert client.file.readline() == b"event: snapshot\n"
        server.stop()
        assert client.file.read().endswith(b"}\n\n")


@pytest.mark.parametrize("how", ["header", "address"])
def test_a_client_that_comes_back_gets_what_it_missed(server: DashboardServer, how: str) -> None:
    """The updates since the version that it names, and no snapshot."""
    with streaming(server) as client:
        seen = next(client.frames()).id
    publish(server, 3, 10)
    back = {"Last_Event_ID": seen} if how == "header" else {"path": f"/api/stream?after={seen}"}
    with streaming(server, **back) as client:
        frames = list(islice(client.frames(), 3))
        assert [frame.event for frame in frames] == ["metrics_update"] * 3
        assert frames[0].data["from"] == seen
        assert frames[-1].id == server.live.newest.version


@pytest.mark.parametrize("version", ["", "0", "x" * 5000, "12345678-1", "%F0%9F%A6%86", "-1"])
def test_a_version_that_means_nothing_gets_a_snapshot(server: DashboardServer, version: str) -> None:
    """Of another server, of another life, or of nobody."""
    with streaming(server, path=f"/api/stream?after={version}") as client:
        assert next(client.frames()).event == "snapshot"


def test_a_restarted_server_opens_with_a_snapshot(home: Path) -> None:
    """A version of the life before is not taken for one of this life."""
    with serving(home) as server, streaming(server) as client:
        seen = next(client.frames()).id
    with serving(home) as server, streaming(server, Last_Event_ID=seen) as client:
        assert next(client.frames()).event == "snapshot"


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


@pytest.mark.parametrize("farewell", ["end", "reset"])
def test_clients_that_went_away_are_noticed_without_a_change(home: Path, farewell: str) -> None:
    """Their places are free within two seconds, though nothing was to be sent."""
    with serving(home, max_streams=50) as server, ExitStack() as stack:
        clients = [stack.enter_context(streaming(server)) for _ in range(50)]
        assert server.streams.count == 50
        for client in clients:
            client.reset() if farewell == "reset" else client.close()
        wait_until(lambda: server.streams.count == 0, 2.0, "the places to be free")


def test_a_client_that_leaves_before_its_first_frame_gives_its_place_back(server: DashboardServer) -> None:
    """A body that was never begun, or never ended, is closed all the same."""
    streams = Streams(server.live, limit=1)
    for _ in range(3):
        opening = streams.open({stream.HAND_OVER: lambda _: None})
        next(opening)
        opening.close()
    assert streams.count == 0


def test_clients_that_leave_at_once_give_their_places_back(server: DashboardServer) -> None:
    """Whether they are seen to leave before, while or after the connection is handed over."""
    for _ in range(100):
        with socket.create_connection(address_of(server)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(request_for(server).encode())
    wait_until(lambda: server.streams.count == 0, 2.0, "the places to be free")


def test_a_head_request_takes_no_place(server: DashboardServer) -> None:
    """Who only asks for the headers leaves nothing open."""
    assert ask(server, "/api/stream", "HEAD").status == 200
    wait_until(lambda: server.streams.count == 0, 2.0, "no place to be taken")


def test_what_a_client_sends_after_its_request_is_ignored(server: DashboardServer) -> None:
    """A second request on the same connection is never answered, and does no harm, however it is cut."""
    host = server.url.removeprefix("http://")
    request = f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\nGET /hea"
    with streaming(server, X=f"y\r\n\r\n{request}") as client:
        frames = client.frames()
        next(frames)
        client.socket.sendall(b"lth HTTP/1.1\r\n\r\n\0nonsense")
        publish(server, 1, 10)
        assert next(frames).event == "metrics_update"
        assert server.streams.count == 1


@contextmanager
def hand_over_held_back(server: DashboardServer) -> Iterator[None]:
    """Let a stream's connection wait between its thread and the loop while the block lasts."""
    arrive, gate = server.streams.arrive, threading.Event()
    server.streams.arrive = lambda opening, connection: (gate.wait(10), arrive(opening, connection))  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        gate.set()


def test_a_request_that_comes_during_the_handing_over_is_ignored(server: DashboardServer) -> None:
    """It is not answered into the stream, though its connection is still waitress's."""
    with hand_over_held_back(server):
        client = StreamClient(server)
        client.socket.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for _ in range(3):
            assert ask(server, "/health").json["streams"] == 1
    with closing(client):
        assert next(client.frames()).event == "snapshot"


def test_a_connection_that_was_asked_for_something_else_before_is_handed_over_once(server: DashboardServer) -> None:
    """The thread of the request before may not be gone when another has answered the stream's."""
    for _ in range(100):
        with streaming(server, path="/health", X=f"y\r\n\r\n{request_for(server)}") as client:
            body, _, _ = client.file.readline().partition(b"HTTP/1.1 200")
            assert json.loads(body)["service"] == "pyjama-metrics"
            while client.file.readline().strip():
                pass
            assert next(client.frames()).event == "snapshot"
            assert server.streams.count == 1
        wait_until(lambda: server.streams.count == 0, 2.0, "the place to be free")


def test_what_was_not_taken_before_the_handing_over_is_sent_first(home: Path) -> None:
    """An answer that was asked for on the same connection arrives whole, and then the stream."""
    with serving(home, send_buffer=SMALL) as server:
        server.live.report("test", "x" * 900_000)
        with streaming(server, path="/api/data", receive_buffer=SMALL, X=f"y\r\n\r\n{request_for(server)}") as client:
            assert len(json.loads(client.file.readline().partition(b"HTTP/1.1 200")[0])["hub"]["troubles"][0]) == 900_000
            while client.file.readline().strip():
                pass
            assert next(client.frames()).event == "snapshot"


def test_the_head_alone_is_answered_without_a_stream(server: DashboardServer) -> None:
    """`curl -I` gets what the stream would begin with, takes no place, and may ask for more on the same connection."""
    with closing(socket.create_connection(address_of(server), timeout=5)) as client:
        head = request_for(server).replace("GET", "HEAD", 1)
        client.sendall((head + head.replace("HEAD /api/stream", "HEAD /health")).encode())
        told = b""
        while told.count(b"\r\n\r\n") < 2:
            told += client.recv(4096)
    stream, health, body = told.split(b"\r\n\r\n")
    assert b"Content-Type: text/event-stream" in stream
    assert b"Content-Type: application/json" in health
    assert body == b""
    assert server.streams.count == 0


def test_a_client_that_leaves_during_the_handing_over_gives_its_place_back(home: Path) -> None:
    """Whoever notices it: here the loop, which cannot send what is new."""
    with serving(home) as server:
        with hand_over_held_back(server):
            client = StreamClient(server)
            assert server.streams.count == 1
            client.reset()
            ask(server, "/health")
        wait_until(lambda: server.streams.count == 0, 2.0, "the place to be free")


def test_a_client_that_goes_on_sending_is_let_go(server: DashboardServer) -> None:
    """Nobody keeps the loop busy with what it ignores."""
    with streaming(server) as client:
        next(client.frames())
        client.socket.sendall(b"x" * (stream.MAX_UNASKED + 1))
        wait_until(lambda: server.streams.count == 0, 2.0, "the place to be free")


def test_a_client_that_was_left_behind_gets_every_update_that_it_missed(home: Path) -> None:
    """None is left out, though more was published than its connection takes."""
    with serving(home, send_buffer=SMALL) as server, agent_process() as agent:
        agent.do("[record_agent_start(f'agent-{number}') for number in range(200)]")
        wait_until(lambda: len(ask(server, "/api/data").json["agents"]) == 200, what="a long snapshot")
        with streaming(server, receive_buffer=SMALL) as client:
            documents = client.documents()
            next(documents)
            publish(server, 40, 1000)
            frames = [next(documents) for _ in range(40)]
            assert frames[-1] == ask(server, "/api/data").json


def test_a_client_that_missed_more_than_a_snapshot_gets_a_snapshot(home: Path) -> None:
    """It is not made to read its way through what is out of date."""
    with serving(home, send_buffer=SMALL) as server, streaming(server, receive_buffer=SMALL) as client:
        frames = client.frames()
        next(frames)
        publish(server, 300, 20_000)
        read = []
        while not read or read[-1].id != server.live.newest.version:
            read.append(next(frames))
        assert read[-1].event == "snapshot"
        assert len(read) < 100


def test_a_client_that_takes_nothing_is_let_go(home: Path) -> None:
    """What waits for it is not kept for ever."""
    with serving(home, send_buffer=SMALL) as server:
        server.streams.stalled = 0.2
        with streaming(server, receive_buffer=SMALL):
            publish(server, 100, 20_000)
            wait_until(lambda: server.streams.count == 0, 2.0, "the place to be free")


def test_a_client_that_takes_a_little_is_kept(home: Path) -> None:
    """Slow is not stalled."""
    with serving(home, send_buffer=SMALL) as server:
        server.streams.stalled = 0.3
        with streaming(server, receive_buffer=SMALL) as client:
            publish(server, 2, 1_000_000)
            began = time.monotonic()
            for turn in range(20):
                wait_until(lambda due=began + turn * 0.05: time.monotonic() > due)
                assert client.socket.recv(20_000)
            assert server.streams.count == 1


def test_a_view_that_cannot_be_written_ends_its_streams_alone(server: DashboardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server goes on, and so do the streams that need no snapshot."""
    with streaming(server) as client:
        frames = client.frames()
        next(frames)
        with monkeypatch.context() as broken:
            broken.setattr(Edition, "snapshot_frame", property(lambda _: dumps({"folder": "\udcff"})))
            with streaming(server) as other:
                assert other.file.read() == b"D\r\nretry: 1000\n\n\r\n"
        publish(server, 1, 10)
        assert next(frames).event == "metrics_update"


def test_the_attributes_of_waitress_that_are_relied_on_are_there(server: DashboardServer) -> None:
    """A version of waitress that renames one of them is noticed here, and not by a stream that hangs."""
    with closing(socket.create_connection(address_of(server))):
        channels = server._server.active_channels
        channel = wait_until(lambda: next(iter(channels.values()), None))
        task = WSGITask(channel, channel.parser_class(channel.adj))
        for name, theirs, thing in (
            ("channel", HTTPChannel, channel),
            ("task", WSGITask, task),
            ("server", TcpWSGIServer, server._server),
        ):
            relied_on = connections.RELIED_ON[name]
            assert [one for one in relied_on if not (hasattr(theirs, one) or one in vars(thing))] == []
