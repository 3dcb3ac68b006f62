"""The server: its port, its life and its end. One server, one hub, loopback only.

The listening socket is bound first and then given to waitress, so a port that was found free stays ours.
The thread of `DashboardServer.run` is the loop: it accepts and reads for waitress, whose threads answer, and pushes to
the streams, which need no thread. It waits until a socket, a signal or another thread wakes it.
"""

from __future__ import annotations

import errno
import gc
import logging
import math
import os
import resource
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]

from pyjama_metrics.dashboard import security
from pyjama_metrics.dashboard.addresses import AddressUnusable, health, loopback_address, url_of
from pyjama_metrics.dashboard.app import create_app
from pyjama_metrics.dashboard.connections import Channel
from pyjama_metrics.dashboard.live import Live
from pyjama_metrics.dashboard.stream import MAX_STREAMS, Streams
from pyjama_metrics.dashboard.waker import Waker
from pyjama_metrics.dashboard.watcher import Watcher

if TYPE_CHECKING:
    from pyjama_metrics.hub import Hub

PORTS_TO_TRY = 50
"""How many ports after the wanted one may be taken instead."""

THREADS = 16
"""Threads that answer requests; streams need none."""

OTHER_CONNECTIONS = 200
"""Connections at a time that are no streams."""

ROOM = 1 / 16
"""The part of all connections that can still be accepted when the first are closed to make room."""

OWN_DESCRIPTORS = 64
"""Descriptors that are left for files while the system's limit is all used for connections."""

LAST_WORDS = 0.3
"""Seconds that answers under way have for ending when the server stops."""

ASK_NEIGHBOUR = 2.0
"""Seconds that whoever holds our port has for saying who it is."""

GARBAGE = (100_000, 20, 100)
"""Thresholds of the collector. A state of 500 agents is some 40,000 objects, none of them garbage before the next state is read;
by the usual thresholds looking through them takes a third of each reading.
"""


class DashboardServer:
    """Serves one hub on one listening socket, from `run` to `stop`."""

    def __init__(self, hub: Hub, listener: socket.socket, max_streams: int = MAX_STREAMS) -> None:
        address, port = listener.getsockname()[:2]
        self.url = url_of(address, port)
        self.live = Live(hub)
        self.streams = Streams(self.live, max_streams)
        self._watcher = Watcher(hub, self.live)
        self._sockets: dict[int, Any] = {}
        self._waker = Waker(self._sockets)
        self.live.on_change = self.streams.on_arrival = self._waker.wake
        self._stopping = False
        self._most = connections_at_a_time(max_streams + OTHER_CONNECTIONS)
        self._server = create_server(
            create_app(self.live, self.streams, security.own_hosts(address, port)),
            map=self._sockets,
            sockets=[listener],
            threads=THREADS,
            ident=None,
            connection_limit=self._most,
            max_request_body_size=security.MAX_BODY,
            max_request_header_size=32 * 1024,
            # Never reached: beyond it a thread would wait for its client. What bounds an answer is said in `connections`.
            outbuf_high_watermark=sys.maxsize,
        )
        self._server.channel_class = Channel

    def run(self) -> None:
        """Serve until `stop`; everything that this server began has ended on return, within a second.

        In the main thread, a signal wakes it whenever it comes.
        """
        self._watcher.start()
        try:
            with self._waker.woken_by_signals():
                while not self._stopping:
                    wasyncore.loop(timeout=self._patience(), use_poll=True, map=self._sockets, count=1)
                    self._let_go_of_unused()
                    self.streams.push(self._sockets)
        finally:
            self._end()

    def stop(self) -> None:
        """Make `run` return. May be called at any time, from any thread and from a signal handler."""
        self._stopping = True
        self._waker.wake()

    def _patience(self) -> float | None:
        """Seconds for which the loop may wait for its sockets alone; None for ever."""
        now = time.time()
        ends = (channel.kept_until() for channel in list(self._server.active_channels.values()))
        waits = [self.streams.seconds_to_next_duty(), *(max(0.0, end - now) for end in ends if end is not None)]
        # The loop counts whole milliseconds, and one that wakes too early would find nothing to do.
        return min((wait + 0.001 for wait in waits if wait is not None), default=None)

    def _let_go_of_unused(self) -> None:
        """Close the connections whose clients ask nothing, or take nothing of what they asked for; and, when there is no room
        for others, those that were of no use for longest: whoever comes next may have something to ask.
        """
        now = time.time()
        unused = [(end, channel) for channel in list(self._server.active_channels.values()) if (end := channel.kept_until())]
        for end, channel in unused:
            if end <= now:
                channel.let_go()
        excess = len(self._sockets) + math.ceil(self._most * ROOM) - self._most
        if excess > 0:
            kept = [channel for end, channel in unused if end > now]
            for channel in sorted(kept, key=Channel.unused_since)[:excess]:
                channel.handle_close()

    def _end(self) -> None:
        self.streams.end(self._sockets)
        self._server.task_dispatcher.shutdown(timeout=LAST_WORDS)
        self.streams.end(self._sockets)
        self._watcher.stop()
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.task_dispatcher.shutdown(timeout=LAST_WORDS)
        wasyncore.close_all(self._sockets)


def serve(
    hub: Hub,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    announce: Callable[[str], object] = print,
    open_browser: bool = False,
) -> int:
    """Serve ``hub`` until SIGINT or SIGTERM, and return an exit code. Must be called in the main thread.

    When ``port`` is taken by a dashboard of the same folder, its address is announced and nothing is
    started; when somebody else has it, the next free one is taken. ``port`` 0 takes any free one. Nobody's
    process is ended.
    """
    try:
        listener = listen(host, port)
        if listener is None and is_our_dashboard(host, port, hub.folder):
            announce(f"The dashboard of {hub.folder} is already up: {url_of(host, port)}")
            open_page(url_of(host, port), open_browser)
            return 0
        listener = listener or listen_nearby(host, port)
    except AddressUnusable as error:
        print(error, file=sys.stderr)
        return 1
    gc.set_threshold(*GARBAGE)
    # Their remarks about clients that leave and watches that end are of no use to whoever reads this terminal.
    for logger in ("waitress", "waitress.queue", "watchdog"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    server = DashboardServer(hub, listener)
    with stopped_by_signals(server.stop):
        if port and listener.getsockname()[1] != port:
            announce(f"Port {port} is in use by a program that does not answer as this dashboard; the next free one is taken.")
        announce(f"The dashboard of {hub.folder} is at {server.url} (Ctrl-C ends it)")
        open_page(server.url, open_browser)
        server.run()
    return 0


def connections_at_a_time(wanted: int) -> int:
    """How many connections may be open: fewer than ``wanted`` where the system gives this process fewer descriptors.

    A connection that cannot be accepted for want of a descriptor would be reported by the system without a pause.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if limit == resource.RLIM_INFINITY else max(1, min(wanted, limit - OWN_DESCRIPTORS))


def listen(host: str, port: int) -> socket.socket | None:
    """A listening socket, or None when the port is taken. Raises AddressUnusable for any other reason."""
    address = loopback_address(host)
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Connections of a server that just ended keep its port for a minute; elsewhere this would share
            # a live one.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            return None
        reason = error.strerror or str(error)
        raise AddressUnusable(f"Cannot listen on {host}:{port}: {reason}. Choose another with --port.") from error
    return listener


def listen_nearby(host: str, port: int) -> socket.socket:
    """A listening socket on the next free port after ``port``.

    Raises AddressUnusable when there is none nearby.
    """
    last = min(port + PORTS_TO_TRY, 65535)
    for candidate in range(port + 1, last + 1):
        listener = listen(host, candidate)
        if listener is not None:
            return listener
    raise AddressUnusable(f"The ports {port} to {last} of {host} are all taken. Choose another with --port, or 0 for any.")


def is_our_dashboard(host: str, port: int, folder: str) -> bool:
    """Whether whoever listens there is a dashboard of the same folder."""
    told = health(host, port, ASK_NEIGHBOUR)
    return told is not None and told.get("folder") == os.path.realpath(folder)


def open_page(url: str, wanted: bool) -> None:
    """Open the page in the user's browser, in a thread: some browsers stay in front until they are closed."""
    if wanted:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call ``stop`` while the block lasts; afterwards they do what they did before."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
