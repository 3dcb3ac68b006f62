"""A session as it is known, as plain JSON and in events: what the rules of the state machine change, and how they tell of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple, Self

from pyjama_metrics.events import text_of
from pyjama_metrics.sessions.known import NEXT_PROMPT, Spent

MAIN = ""
"""In place of the id of a subagent: the session itself."""


class Out(NamedTuple):
    """One event for the journal."""

    event: str
    time_ms: int
    fields: dict[str, Any]


@dataclass(slots=True)
class Call:
    """A call that was asked for, and whose outcome was not told yet.

    Attributes:
        sub: the subagent that asked; "" for the session itself.
        tool: its name.
        run: to which it counts.
        since: when it was asked for.
        doubt: since when nothing can be running any more; None while it may be.
        outcome, error, duration: what the transcript says, which waits for the hook that knows more.
        is_hooks: whether that is what a hook said, which waits for the transcript that knows more.
    """

    sub: str
    tool: str
    run: str
    since: int
    doubt: int | None = None
    outcome: str | None = None
    error: str | None = None
    duration: float | None = None
    is_hooks: bool = False


@dataclass(slots=True)
class Sub:
    """A subagent: the agent and run that it is, and how often it was begun."""

    agent: str
    run: str
    is_open: bool = True
    begun: int = 1
    is_told: bool = True
    """Whether hooks told of its beginning, and so will of its end."""


@dataclass(slots=True)
class SessionState:
    """What is known of one process of a program working on one session, and how it is told.

    Attributes:
        source: the program, such as ``claude-code``.
        session: the session's id.
        writer: of the journal in which its events are; its runs are named after it.
        agent: the agent whose runs it is; "" until the first event.
        has_hooks: whether hooks tell of it; otherwise its transcript is all there is.
    """

    source: str
    session: str
    writer: str
    has_hooks: bool
    agent: str = ""
    run: str = ""
    is_open: bool = False
    is_busy: bool = False
    begun: int = 0
    first_ms: int = 0
    last_ms: int = 0
    shown_ms: int = 0
    """The latest time of an event of the session's own run, which a wait has to be later than."""
    waits_for: str | None = None
    asked: dict[str, str] = field(default_factory=dict)
    """What it asked the person for, by a key of the question, the oldest first."""
    subs: dict[str, Sub] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    nameless: list[list[Any]] = field(default_factory=list)
    """Outcomes that hooks told without the id of the call, which the transcript tells once more, with it and with the subagent:
    [time, whether it was passed on, tool, status, duration in milliseconds, error]."""
    unmatched: dict[str, int] = field(default_factory=dict)
    """Outcomes that the transcript told before a hook did, by tool and status: a hook that has no id of the call may follow."""
    awaiting: dict[str, Any] | None = None
    """The line that says that a session is resumed, until something happens in it."""
    internal: list[str] = field(default_factory=list)
    """Subagents that the program began for itself: what they use is the session's."""
    names_turns: bool = False
    """Whether its hooks tell prompts by the ids that the transcript has, too."""
    untold_prompts: int = 0
    """Prompts that hooks told and the transcript did not yet."""
    unhooked: list[list[Any]] = field(default_factory=list)
    """Prompts without a turn that the transcript told before a hook did: [time, id]. Older versions write before they call."""
    requests: list[list[int]] = field(default_factory=list)
    """Model calls that hooks told, which have no id there: [time, told yet, tokens…]."""
    listed: list[list[int]] = field(default_factory=list)
    """Tokens of model calls that the transcript told before a hook did: the hook may follow."""
    told: dict[str, Any] = field(default_factory=dict)
    """What is known about the session, as it was told last."""
    origin: dict[str, Any] = field(default_factory=dict)
    transcripts: list[str] = field(default_factory=list)
    """Files that its hooks named."""
    failure: list[Any] | None = None
    """When and why the program gave up asking the model, until it is asked again: [time, reason, whether that was told]."""
    ended_ms: int = 0
    """When its latest run ended, as its program said; 0 where that is open, or was ended by something else."""
    was_interrupted: bool = False
    """Whether the person stopped what was done for the latest prompt."""
    prompted_ms: int = 0
    """When it was prompted last."""
    launched: int = 0
    """Subagents that were sent into the background, and whose beginning no hook told yet."""
    compactions: list[int] = field(default_factory=list)
    """When the conversation was replaced by a summary, where nothing has counted the request for that yet."""
    totals: dict[str, list[int]] = field(default_factory=dict)
    """What the program itself has counted, by model."""
    out: list[Out] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Everything but what is to be written, as plain JSON."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self) if each.name != "out"}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """What `as_json` gave."""
        made = cls(**told)
        made.subs = {name: Sub(**sub) for name, sub in told["subs"].items()}
        made.calls = {name: Call(**call) for name, call in told["calls"].items()}
        return made

    @property
    def process(self) -> str:
        """The process of the program, by its pid and start: the end of the writer's name."""
        return "-".join(self.writer.rsplit("-", 2)[1:])

    def take(self) -> list[Out]:
        """The events since the last call."""
        out, self.out = self.out, []
        return out

    @property
    def is_restless(self) -> bool:
        """Whether time alone may make a difference."""
        waits = self.awaiting is not None or any(
            call.doubt is not None or call.outcome is not None for call in self.calls.values()
        )
        return waits or bool(self.unhooked) or any(not told[1] for told in [*self.requests, *self.nameless])

    def _begin(self, time: int, line: dict[str, Any]) -> None:
        """The session begins, or goes on after an end."""
        self.first_ms = self.first_ms or time
        self.begun, self.run = self.begun + 1, ""
        self._note(line)
        self.run = f"{self.writer}.{self.begun}"
        self.is_open, self.is_busy, self.waits_for = True, False, None
        self.failure, self.was_interrupted, self.ended_ms = None, False, 0
        self.asked.clear()
        labels = {"session": self.session, "project": self.agent, **self.origin.get("labels", {})}
        start = {key: value for key, value in self.origin.items() if key != "labels"}
        self._tell("start", time, agent=self.agent, run=self.run, source=self.source, labels=labels, **start)
        known = {name: value for name, value in self.told.items() if value is not None}
        if known:
            self._tell_about(time, known)

    def _note(self, line: dict[str, Any]) -> None:
        """What a line says about the session by the way."""
        about = {name: text for name in ("cwd", "model") if isinstance(text := line.get(name), str) and text}
        self._about(line["time"], about)

    def _close(self, time: int, outcome: str, error: str | None) -> None:
        self._tell("complete", max(time, self.shown_ms), agent=self.agent, run=self.run, status=outcome, error=error)
        self.is_open, self.is_busy, self.waits_for = False, False, None
        self.asked.clear()

    def _end_untold_subs(self, time: int) -> None:
        """Older versions tell of no subagent; those that run at once with the session have ended when it stops."""
        for name, sub in self.subs.items():
            if not sub.is_told:
                self._end_sub(name, time, outcome="completed")

    def _tell_usage(self, spent: Spent, request_id: str) -> None:
        names = ("input-tokens", "output-tokens", "cache-read-tokens", "cache-write-tokens", "cache-write-1h-tokens")
        used = {name: count for name, count in zip(names, spent.tokens, strict=True) if count}
        told = {"agent": spent.agent, "run": spent.run, "session": spent.session, "model": spent.model, "request-id": request_id}
        self._tell("llm", spent.time_ms, **told, **used)

    def _tell_prompt(self, time: int, message: str, turn: str | None) -> None:
        about = {"agent": self.agent, "run": self.run, "session": self.session}
        self._tell("message", time, **about, role="user", turn=turn, prompt=message)

    def _turn(self, turn: str) -> str:
        return f"{self.session} {turn}"

    def _about(self, time: int, told: dict[str, Any]) -> None:
        """Tell what is news about the session."""
        news = {name: value for name, value in told.items() if self.told.get(name) != value}
        self.told |= news
        if news and self.run:
            self._tell_about(time, news)

    def _tell_about(self, time: int, news: dict[str, Any]) -> None:
        self._tell("session", time, agent=self.agent, run=self.run, **news)

    def _sub_of(self, line: dict[str, Any], time: int) -> str:
        """The subagent of which a hook tells, begun if its beginning was not told; "" for the session itself."""
        sub = name_of(line.get("agent-id"))
        if sub is None or sub in self.internal:
            return MAIN
        if sub not in self.subs:
            self._begin_sub(sub, name_of(line.get("agent-type")) or "subagent", time)
        return sub

    def _known_sub(self, sub: str | None, time: int) -> str:
        """The subagent of which a transcript tells, begun if no hook told of it."""
        if sub is None or sub == MAIN or sub in self.internal:
            return MAIN
        if sub not in self.subs:
            self._begin_sub(sub, "subagent", time)
            self.subs[sub].is_told = False
            if self.has_hooks and not self.is_busy:
                self._end_sub(sub, time, outcome="completed")  # the session has stopped, and so had it
        return sub

    def _begin_sub(self, sub: str, kind: str, time: int) -> None:
        """A subagent begins, or goes on."""
        known = self.subs.get(sub)
        if known is not None and known.is_open:
            return
        agent = text_of(f"{self.agent}/{kind}")
        suffix = "".join(each for each in sub if each.isalnum() or each in "-_")
        begun = 1 if known is None else known.begun + 1
        run = f"{self.writer}.{suffix}" + (f"-{begun}" if begun > 1 else "")
        self.subs[sub] = Sub(agent if known is None else known.agent, run, True, begun)
        labels = {"session": self.session, "project": self.agent, "subagent": kind}
        origin = {key: value for key, value in self.origin.items() if key in ("pid", "process-start", "host", "boot", "cwd")}
        where = {"parent": self.run, "parent-agent": self.agent, "source": self.source, "labels": labels}
        self._tell("start", time, agent=self.subs[sub].agent, run=run, **where, **origin)
        if not self.is_open:
            self._end_sub(sub, time, outcome="completed")  # the news of it is late

    def _end_sub(self, sub: str, time: int, *, outcome: str) -> None:
        known = self.subs[sub]
        if known.is_open:
            known.is_open = False
            self._tell("complete", time, agent=known.agent, run=known.run, status=outcome)

    def _agent_of(self, sub: str | None) -> str:
        known = self.subs.get(sub or MAIN)
        return self.agent if known is None else known.agent

    def _run_of(self, sub: str) -> str:
        known = self.subs.get(sub)
        return self.run if known is None else known.run

    def _doubt(self, time: int, sub: str) -> None:
        """Nothing that a subagent (or the session itself) asked for is running any more."""
        for call in self.calls.values():
            if call.sub == sub and call.doubt is None and call.since <= time:
                call.doubt = time

    def _doubt_all(self, time: int) -> None:
        for call in self.calls.values():
            call.doubt = time if call.doubt is None else call.doubt

    def _execution(
        self, call: str | None, sub: str, run: str, tool: str, status: str, time: int, duration: object, error: object
    ) -> None:
        told = {"agent": self._agent_of(sub), "run": run, "tool": tool, "status": status, "log": True, "call": call}
        told |= {"duration-ms": duration if type(duration) in (int, float) else None, "error": error}
        if sub == MAIN and run == self.run:
            self.shown_ms = max(self.shown_ms, time)
        self._tell("tool", time, **told)

    def _show(self, event: str, time: int, **told: Any) -> None:
        """An event of the session's own run; it is later than the wait that it ends."""
        time = max(time, self.shown_ms + 1) if self.waits_for is not None else max(time, self.shown_ms)
        self.shown_ms = time
        self._tell(event, time, agent=self.agent, run=self.run, **told)

    def _show_of(self, sub: str, event: str, time: int, **told: Any) -> None:
        if sub == MAIN:
            self._show(event, time, **told)
        else:
            self._tell(event, time, agent=self._agent_of(sub), run=self._run_of(sub), **told)

    def _touch(self, time: int) -> None:
        """The session's own run was seen."""
        if self.is_open:
            self._show("activity", time, log=False)

    def show_wait(self, time: int) -> None:
        """Tell for what the session waits, where that changed or was ended by another event of its run."""
        if not self.is_open:
            return
        reason = next(iter(self.asked.values()), None if self.is_busy else NEXT_PROMPT)
        if reason is None:
            if self.waits_for is not None and not self._ended_wait:
                self._show("activity", time, log=False)
            self.waits_for = None
            return
        is_new = reason != self.waits_for
        if is_new or self._ended_wait:
            self.waits_for = reason
            self.shown_ms = max(time, self.shown_ms + int(is_new))
            # That it can be used is news to nobody who has just begun it.
            is_news = is_new and (reason != NEXT_PROMPT or self.prompted_ms > 0)
            self._tell("waiting", self.shown_ms, agent=self.agent, run=self.run, reason=reason, log=is_news)

    @property
    def _ended_wait(self) -> bool:
        """Whether what was told since the last wait ends it in the eyes of whoever folds."""
        for out in reversed(self.out):
            if out.fields.get("run") == self.run and out.event not in ("session", "start"):
                return bool(out.event != "waiting")
        return False

    def _tell(self, event: str, time: int, **told: Any) -> None:
        self.out.append(Out(event, max(0, time), {name: value for name, value in told.items() if value is not None}))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: asdict(each) if isinstance(each, (Sub, Call)) else each for name, each in value.items()}
    return value


def name_of(value: object) -> str | None:
    """A name or an id as a journal can hold it; None for what is none."""
    return text_of(value) if isinstance(value, str) and value else None
