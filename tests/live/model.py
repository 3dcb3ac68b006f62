"""A model on loopback that plays scripts, and remembers what it served and what came back: the truth of a session.

It keeps no conversations: each request holds a whole one, from which follow the script and the place in it. So requests may be
repeated, run side by side, be those of subagents, and sessions may be resumed. The two dialects are in `messages_api` and
`responses_api`.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.live.scripts import MARK, OVER, SCRIPTS, SIDE, SUMMARY, Answer, Call, Tokens

MAIN, SUBAGENT, SUMMARISING, ASIDE = "main", "subagent", "summarising", "aside"
"""Who asks: a session, one of its subagents, or the program itself, to have a conversation summarised or something else."""

_UNDONE = (
    "<tool_use_error>",
    "requested permissions",
    "requires approval",
    "needs approval",
    "doesn't want to proceed",
    "Permission to use",
    "was blocked",
    "[Request interrupted",
)
"""What stands in a result of a call that never ran."""


class Served(NamedTuple):
    """An answer that was given."""

    asker: str
    session: str | None
    model: str
    tokens: Tokens
    calls: dict[str, str]
    """Tool by the id of the call."""


class Result(NamedTuple):
    """What a program told of a call."""

    is_error: bool
    text: str


@dataclass
class Truth:
    """What was served, and what came back."""

    served: list[Served] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)

    def tokens(self, *askers: str) -> dict[str, Tokens]:
        """Sums by model, of all or of those who are named."""
        sums: dict[str, Tokens] = defaultdict(Tokens)
        for each in self.served:
            if not askers or each.asker in askers:
                sums[each.model] += each.tokens
        return dict(sums)

    def calls(self, *askers: str) -> dict[str, tuple[int, int, int]]:
        """(done, failed, not executed) by tool."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for each in self.served:
            for call, tool in each.calls.items():
                if not askers or each.asker in askers:
                    counts[tool][self._outcome(call)] += 1
        return {tool: (each["done"], each["failed"], each["undone"]) for tool, each in counts.items()}

    def answers(self, *askers: str) -> int:
        """How many answers were given."""
        return sum(each.asker in askers or not askers for each in self.served)

    @property
    def sessions(self) -> set[str]:
        """Those of which programs told when they asked."""
        return {each.session for each in self.served if each.session}

    def _outcome(self, call: str) -> str:
        result = self.results.get(call)
        if result is None:
            return "undone"
        if not result.is_error:
            return "done"
        return "undone" if any(words in result.text for words in _UNDONE) else "failed"


class Turn(NamedTuple):
    """What is to be answered to a request."""

    number: int
    asker: str
    answer: Answer


class Model:
    """The scripted model, as programs see it.

    Attributes:
        url: where it listens.
        truth: what happened so far.
        work: the folder in which the program runs.
    """

    def __init__(self, port: int, work: str) -> None:
        self.url, self.work = f"http://127.0.0.1:{port}", work
        self.truth = Truth()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._refused: Counter[tuple[str, int]] = Counter()

    def turn(self, script: str | None, place: int, *, has_tools: bool, summarises: bool) -> Turn | int:
        """What follows at a place of a script, or the code with which the request is refused."""
        with self._lock:
            number = next(self._numbers)
            if summarises:
                return Turn(number, SUMMARISING, SUMMARY)
            if script not in SCRIPTS or not has_tools:
                return Turn(number, ASIDE, SIDE)
            told = SCRIPTS[script]
            answer = told.answers[place] if place < len(told.answers) else OVER
            refused = self._refused[script, place]
            code = answer.refused[refused] if refused < len(answer.refused) else answer.always
            if code is None:
                return Turn(number, SUBAGENT if told.is_subagents else MAIN, answer)
            self._refused[script, place] += 1
            self.truth.refused.append(code)
            return code

    def serve(self, turn: Turn, session: str | None, model: str, calls: dict[str, str]) -> None:
        """An answer is about to be given."""
        with self._lock:
            self.truth.served.append(Served(turn.asker, session, model, turn.answer.tokens, calls))

    def learn(self, call: str, result: Result) -> None:
        """A program tells what came of a call; it does so with each request that follows."""
        with self._lock:
            self.truth.results[call] = result

    def input_of(self, call: Call) -> dict[str, Any]:
        """The input of a call, with the folder in it."""
        filled: dict[str, Any] = json.loads(json.dumps(call.input).replace("{work}", self.work))
        return filled


def marked(texts: Iterator[str]) -> str | None:
    """The script that is named last in some texts."""
    names = [name for text in texts for name in MARK.findall(text)]
    return names[-1] if names else None


class Handler(BaseHTTPRequestHandler):
    """What both dialects need."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    model: Model

    def log_message(self, format: str, *args: Any) -> None:
        """Be silent."""

    def body(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def answer_json(self, code: int, told: object, **headers: str) -> None:
        """Answer with one document."""
        data = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def answer_events(self, events: Iterator[dict[str, Any]]) -> None:
        """Answer with a stream of events, named by their ``type``."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            self._chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def do_GET(self) -> None:
        """Nothing is to be had but answers."""
        self.body()
        self.answer_json(
            404, {"type": "error", "error": {"type": "not_found_error", "message": "There is only a scripted model."}}
        )

    do_HEAD = do_GET


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A program that was ended in the middle of an answer is no error."""

    def process_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(_LONGEST_SILENCE)
        super().process_request(request, client_address)


_LONGEST_SILENCE = 60.0


@contextmanager
def served(handler: type[Handler], work: str) -> Iterator[Model]:
    """A model that answers in one of the dialects while the block lasts."""
    open_connections: set[Any] = set()

    class Ours(handler):  # type: ignore[misc, valid-type]
        def setup(self) -> None:
            super().setup()
            open_connections.add(self.connection)

        def finish(self) -> None:
            open_connections.discard(self.connection)
            super().finish()

    server = _Server(("127.0.0.1", 0), Ours)
    Ours.model = Model(server.server_address[1], work)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Ours.model
    finally:
        server.shutdown()
        for connection in list(open_connections):
            _hang_up(connection)
        server.server_close()
        thread.join()


def _hang_up(connection: Any) -> None:
    import socket

    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the program is gone already
