"""The state machine of a session of somebody else's agent: what its hooks and its transcript tell becomes events of the journal.

One machine is one process of the program working on one session, which is one run of the agent that is named after the project;
its subagents are child agents with runs of their own. Hooks come while it happens, but late, twice, in another order or not at
all: several of them run at once, and a program that is killed takes them with it. The transcript comes later and is complete. So:

- a tool call is known by its id, and counts once, whoever tells of it first (`Known` remembers);
- a call that was asked for and not answered is in doubt from the next event that proves that nothing runs any more; what stays in
  doubt for longer than hooks and transcript may lag is told as not executed, which is no failure;
- an answer of a model is known by its id in all sessions, because a conversation that is resumed or forked is copied. Whoever
  told it first is charged, the largest figures count.

Nothing here looks at a clock or a file. Whoever feeds it says when it is (`tick`), and keeps `Session.as_json`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple, Protocol

from pyjama_metrics.events import text_of
from pyjama_metrics.sessions import facts
from pyjama_metrics.sessions.facts import Fact

PATIENCE_MS = 3_000
"""How long hooks and transcript may lag: what is in doubt for longer than that is told by what is known of it."""

NEXT_PROMPT = "the next prompt"
_QUESTIONS = {"AskUserQuestion": "an answer to its question", "ExitPlanMode": "approval of its plan"}
"""Tools that ask the person, and for what the session waits meanwhile."""
_BEGINNERS = frozenset({"SessionStart", "UserPromptSubmit"})
"""Hooks that begin a session again which has ended; all others may come late."""
_STATUS = {facts.OK: "ok", facts.ERROR: "error"}
"""The status of an execution by its outcome in a transcript."""
_SUBAGENT_TOOLS = frozenset({"Agent", "Task"})
"""Tools by which a session begins a subagent."""
_MAIN = ""
"""In place of the id of a subagent: the session itself."""
UNLISTED = "(requests that the transcript does not list)"
"""In place of a model, where it is not known: it has no price, so sums say that they are at least what they are."""


class Spent(NamedTuple):
    """What is known of an answer of a model: by which run it was told first, and its largest figures so far."""

    session: str
    agent: str
    run: str
    time_ms: int
    model: str
    tokens: tuple[int, ...]
    """Input, output, cache read, cache write, cache write for an hour."""


class Known(Protocol):
    """What was told already, by all sessions together."""

    def answered(self, call: str, /) -> bool:
        """Whether the outcome of a call was told."""

    def answer(self, call: str, /) -> None:
        """It is told now."""

    def prompted(self, message: str, /) -> bool:
        """Whether a prompt was told. From now on it was."""

    def spent(self, message: str, /) -> Spent | None:
        """What was told of an answer of a model; None where nothing was."""

    def spend(self, message: str, spent: Spent, /) -> None:
        """That is told of it now."""

    def copied(self, session: str, message: str, /) -> None:
        """The transcript of a session has this answer, which another session told first."""

    def unlisted(self, session: str, model: str, total: tuple[int, ...], /) -> tuple[int, ...]:
        """By how much what the program counted for a session exceeds what its transcript lists, its parents' excess and what
        was told of it before left out.
        """


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
class Session:
    """One process of a program, working on one session.

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
    compactions: int = 0
    totals: dict[str, list[int]] = field(default_factory=dict)
    """What the program itself has counted, by model."""
    out: list[Out] = field(default_factory=list)

    # -- keeping it ------------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """Everything but what is to be written, as plain JSON."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self) if each.name != "out"}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Session:
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

    # -- hooks -----------------------------------------------------------------------------------------------------

    def hook(self, line: dict[str, Any], known: Known) -> None:
        """One line of the kind ``hook``, as the hook wrote it."""
        kind, time = line.get("hook"), line["time"]
        rule = _RULES.get(kind) if isinstance(kind, str) else None
        if rule is None:
            return
        self.has_hooks = True
        self.last_ms = max(self.last_ms, time)
        if self.begun == 0 and kind == "SessionStart" and line.get("how") in ("resume", "fork"):
            # Some versions tell a session here in which nothing else will happen, and go on under another id.
            self.awaiting = self.awaiting or line
            return
        self._stop_awaiting(known)
        if not self.is_open and kind != "SessionEnd" and (self.begun == 0 or _begins(line)):
            self._begin(time, line)
        if self.begun:
            rule(self, line, time, known)
            self.show_wait(time)

    def _stop_awaiting(self, known: Known) -> None:
        """The session that was resumed is this one."""
        line, self.awaiting = self.awaiting, None
        if line is not None:
            self._begin(line["time"], line)
            self._on_session_start(line, line["time"], known)
            self.show_wait(line["time"])

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

    def _on_session_start(self, line: dict[str, Any], time: int, known: Known) -> None:
        self._note(line)
        if line.get("how") != "compact":
            self.is_busy = False
            self._touch(time)

    def _on_session_end(self, line: dict[str, Any], time: int, known: Known) -> None:
        if not self.is_open:
            return
        outcome = "stopped" if self.is_busy or self.was_interrupted else "completed"
        for sub in self.subs:
            self._end_sub(sub, time, outcome="stopped")
        self._doubt_all(time)
        if self.failure is not None:
            self._fail(time)
        else:
            self._close(time, outcome, None)
            self.ended_ms = max(time, self.shown_ms)

    def _close(self, time: int, outcome: str, error: str | None) -> None:
        self._tell("complete", max(time, self.shown_ms), agent=self.agent, run=self.run, status=outcome, error=error)
        self.is_open, self.is_busy, self.waits_for = False, False, None
        self.asked.clear()

    def _on_prompt(self, line: dict[str, Any], time: int, known: Known) -> None:
        if line.get("agent-id") is not None:
            self._show_of(self._sub_of(line, time), "activity", time, log=False)
            return  # a session prompts its subagent
        self.is_busy, self.was_interrupted = True, False
        self.failure, self.prompted_ms = None, max(time, self.prompted_ms)
        self.asked.clear()
        self._doubt(time, _MAIN)
        if line.get("automatic"):
            self._touch(time)
            return
        turn = line.get("turn")
        if isinstance(turn, str):
            self.names_turns = True
            if known.prompted(self._turn(turn)):
                self._touch(time)  # the same hook once more, or the transcript was quicker
                return
        if turn is None and self.unhooked:
            self.unhooked = self.unhooked[1:]
        else:
            self.untold_prompts += 1
        self._show("message", time, role="user", session=self.session, turn=turn)

    def _on_call(self, line: dict[str, Any], time: int, known: Known) -> None:
        sub, tool, call = self._sub_of(line, time), _name(line.get("tool")), line.get("call")
        if tool is None:
            return
        if isinstance(call, str) and (known.answered(call) or call in self.calls):
            return
        if isinstance(call, str):
            self.calls[call] = Call(sub, tool, self._run_of(sub), time)
        self._show_of(sub, "activity", time, tool=tool, log=False)
        if tool in _QUESTIONS:
            self.asked[f"question {call}"] = _QUESTIONS[tool]
        if sub == _MAIN:
            self.is_busy = True

    def _on_done(self, line: dict[str, Any], time: int, known: Known) -> None:
        status = "interrupted" if line.get("interrupted") else "error" if line["hook"] == "PostToolUseFailure" else "ok"
        sub, tool, call = self._sub_of(line, time), _name(line.get("tool")), line.get("call")
        if tool is None:
            return
        self.asked.pop(f"permission {sub} {tool}", None)
        self.asked.pop("permission", None)
        self.asked.pop(f"question {call}", None)
        error, duration = line.get("error") if status == "error" else None, line.get("duration-ms")
        if not isinstance(call, str):
            self._done_without_id([time, False, tool, status, duration, error], known)
            return
        if known.answered(call):
            return
        if line.get("background") and tool in _SUBAGENT_TOOLS:
            self.launched += 1
        is_told = call in self.calls and self.calls[call].outcome is not None
        asked = self.calls.setdefault(call, Call(sub, tool, self._run_of(sub), time))
        if self.source == "codex":
            # Its hooks call everything a success; whether it was one is in the transcript, before or after this.
            asked.doubt, asked.tool = time, tool
            if is_told:
                self._settle(call, known)
            else:
                asked.outcome, asked.duration, asked.is_hooks = facts.OK, duration, True
            return
        if status != "interrupted" and self._may_be_a_subagents(line, sub):
            asked.outcome, asked.error = facts.OK if status == "ok" else facts.ERROR, error
            asked.duration, asked.doubt = duration, time
            return
        del self.calls[call]
        known.answer(call)
        self._execution(call, asked.sub, asked.run, tool, status, time, duration, error)

    def _may_be_a_subagents(self, line: dict[str, Any], sub: str) -> bool:
        """Whether a call that is told as the session's own may be that of a subagent; then the transcript knows.

        Older versions, which tell no turn either, do not tell of whom their hooks speak.
        """
        is_old = self.source == "claude-code" and line.get("turn") is None
        return is_old and sub == _MAIN and any(each.is_open for each in self.subs.values())

    def _done_without_id(self, told: list[Any], known: Known) -> None:
        _, _, tool, status, duration, _ = told
        if self.unmatched.get(f"{tool} {status}"):
            self.unmatched[f"{tool} {status}"] -= 1
            return
        for name, call in self.calls.items():
            if call.tool == tool and _STATUS.get(call.outcome or "") == status:
                call.duration = duration
                self._settle(name, known)
                self.unmatched[f"{tool} {status}"] -= 1
                return
        self.nameless = [*self.nameless[-199:], told]

    def _on_batch(self, line: dict[str, Any], time: int, known: Known) -> None:
        sub, calls = self._sub_of(line, time), line.get("calls")
        for key in [key for key in self.asked if key == "permission" or key.startswith(f"permission {sub} ")]:
            del self.asked[key]
        for pair in calls if isinstance(calls, list) else ():
            if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and not known.answered(pair[0]):
                # A tool that does not exist, and an input of no use, are told here only.
                call = self.calls.setdefault(pair[0], Call(sub, _name(pair[1]) or "(unnamed)", self._run_of(sub), time))
                call.doubt = time if call.doubt is None else call.doubt
        self._show_of(sub, "activity", time, log=False)

    def _on_permission(self, line: dict[str, Any], time: int, known: Known) -> None:
        sub, tool = self._sub_of(line, time), _name(line.get("tool"))
        self.asked.pop("permission", None)
        if tool in _QUESTIONS:
            return  # to ask is what it is for
        self.asked[f"permission {sub} {tool}"] = f"permission to use {tool}" if tool else "permission"

    def _on_denied(self, line: dict[str, Any], time: int, known: Known) -> None:
        self.asked.pop(f"permission {self._sub_of(line, time)} {_name(line.get('tool'))}", None)
        self._touch(time)

    def _on_notification(self, line: dict[str, Any], time: int, known: Known) -> None:
        kind = line.get("kind")
        if kind == "idle_prompt":
            self.is_busy = False
        elif kind == "permission_prompt" and not self.asked:
            self.asked["permission"] = "permission"
        elif kind == "elicitation_dialog" and not self.asked:
            self.asked["elicitation"] = "an answer"

    def _on_elicitation(self, line: dict[str, Any], time: int, known: Known) -> None:
        server = _name(line.get("server"))
        self.asked["elicitation"] = f"an answer for {server}" if server else "an answer"

    def _on_elicited(self, line: dict[str, Any], time: int, known: Known) -> None:
        self.asked.pop("elicitation", None)
        self._touch(time)

    def _on_stop(self, line: dict[str, Any], time: int, known: Known) -> None:
        self.asked.clear()
        self._doubt(time, _MAIN)
        self._end_untold_subs(time)
        self.is_busy = self._goes_on(line)
        self._touch(time)

    def _goes_on(self, line: dict[str, Any]) -> bool:
        """Whether agents in the background will wake the session up again. Commands there need not end, so it waits for none."""
        background = line.get("background")
        if isinstance(background, dict):
            return bool(background.get("agents"))
        return any(sub.is_open and sub.is_told for sub in self.subs.values())

    def _end_untold_subs(self, time: int) -> None:
        """Older versions tell of no subagent; those that run at once with the session have ended when it stops."""
        for name, sub in self.subs.items():
            if not sub.is_told:
                self._end_sub(name, time, outcome="completed")

    def _on_stop_failure(self, line: dict[str, Any], time: int, known: Known) -> None:
        self._doubt(time, _MAIN)
        if self.failure is None:
            self.failure = [time, _name(line.get("error")) or "failed", False]
        self._fail(time)

    def _fail(self, time: int) -> None:
        """The program has given up, and its run ends with that.

        A program that leaves does not wait for the hook that tells of it, so the end of its session may be told before that, or
        alone. Of two ends of a run the earlier one holds.
        """
        if self.failure is None:
            return
        since, reason, is_told = self.failure
        if not is_told:
            self.failure[2] = True
            self._tell("error", since, agent=self.agent, run=self.run, message=reason)
        if self.is_open:
            self._close(time, "failed", reason)
        elif self.ended_ms:
            self._tell("complete", self.ended_ms - 1, agent=self.agent, run=self.run, status="failed", error=reason)
            self.ended_ms = 0

    def _on_sub_start(self, line: dict[str, Any], time: int, known: Known) -> None:
        sub, kind = _name(line.get("agent-id")), _name(line.get("agent-type"))
        if sub is None or kind is None or not self.is_open:
            return
        asks = self.launched > 0 or any(call.tool in _SUBAGENT_TOOLS and call.sub == _MAIN for call in self.calls.values())
        self.launched = max(0, self.launched - 1)
        if self.source == "claude-code" and line.get("turn") is None and not asks:
            self.internal = [*self.internal[-99:], sub]  # versions 2.0 warm some up that nobody asked for
        else:
            self._begin_sub(sub, kind, time)

    def _on_sub_stop(self, line: dict[str, Any], time: int, known: Known) -> None:
        sub = _name(line.get("agent-id"))
        if sub is None or (sub not in self.subs and (sub in self.internal or _name(line.get("agent-type")) is None)):
            return  # the program's own, which summarises a conversation, say
        self._sub_of(line, time)
        self._doubt(time, sub)
        self._end_sub(sub, time, outcome="completed")

    def _on_compacted(self, line: dict[str, Any], time: int, known: Known) -> None:
        if line.get("trigger") == "manual":
            self.is_busy = False
        self._touch(time)

    def _on_activity(self, line: dict[str, Any], time: int, known: Known) -> None:
        self._note(line)
        self._touch(time)

    def _on_status_line(self, line: dict[str, Any], time: int, known: Known) -> None:
        names = ("model", "cost-usd", "context-percent", "context-tokens", "context-window", "limits")
        self._about(time, {name: line[name] for name in names if line.get(name) is not None})

    def _on_model(self, line: dict[str, Any], time: int, known: Known) -> None:
        self._note(line)
        tokens = _codex_tokens(line.get("tokens"))
        if tokens is not None and list(tokens) in self.listed:
            self.listed.remove(list(tokens))
        elif tokens is not None:
            self.requests = [*self.requests[-199:], [time, 0, *tokens]]
        self._touch(time)

    # -- the transcript --------------------------------------------------------------------------------------------

    def fact(self, fact: Fact, sub: str | None, known: Known) -> None:
        """One fact of the session's transcript, or of that of one of its subagents.

        Args:
            fact: as it was read.
            sub: the subagent's id; None for the session itself.
            known: what was told already.
        """
        time = getattr(fact, "time_ms", 0) or self.last_ms
        if self.awaiting is not None:
            self._stop_awaiting(known)
        elif not self.begun:
            self._begin(time, {"time": time})
        _FACTS[type(fact)](self, fact, None if sub in self.internal else sub, time, known)

    def _spoke(self, fact: facts.Usage, sub: str | None, time: int, known: Known) -> None:
        self._usage(fact, sub or _MAIN, time, known)

    def _asked_for(self, fact: facts.Call, sub: str | None, time: int, known: Known) -> None:
        if known.answered(fact.call):
            return
        asker = self._known_sub(sub, time)
        asked = self.calls.setdefault(fact.call, Call(asker, fact.tool, self._run_of(asker), time))
        asked.sub, asked.run = asker, self._run_of(asker)

    def _interrupted(self, fact: facts.Interrupted, sub: str | None, time: int, known: Known) -> None:
        if sub is None and time >= self.shown_ms and self.is_open:
            self.is_busy, self.was_interrupted = False, True
            self.asked.clear()
            self._doubt(time, _MAIN)
            self.show_wait(time)

    def _failed(self, fact: facts.Failed, sub: str | None, time: int, known: Known) -> None:
        if not self.has_hooks:
            self._tell("error", time, agent=self._agent_of(sub), run=self._run_of(sub or _MAIN), message=fact.reason)
        elif sub is None and self.failure is None and time >= self.prompted_ms:
            self.failure = [time, fact.reason, False]
            if not self.is_open:
                self._fail(time)

    def _compacted(self, fact: facts.Compacted, sub: str | None, time: int, known: Known) -> None:
        self.compactions += 1

    def _counted(self, fact: facts.Totals, sub: str | None, time: int, known: Known) -> None:
        self.totals = {model: list(tokens) for model, tokens in fact.models.items()}

    def _about_fact(self, fact: facts.About, sub: str | None, time: int, known: Known) -> None:
        if sub is None:
            told = {name: getattr(fact, name) for name in ("branch", "version", "model", "cwd")}
            told |= {"context-tokens": fact.context_tokens, "context-window": fact.context_window, "limits": fact.limits}
            # In a repository at no branch Claude Code tells its HEAD.
            self._about(time, {name: value for name, value in told.items() if value not in (None, "HEAD")})

    def _usage(self, fact: facts.Usage, sub: str, time: int, known: Known) -> None:
        tokens = (fact.input, fact.output, fact.cache_read, fact.cache_write, fact.cache_write_1h)
        if sub == _MAIN:
            self._about(time, {"context-tokens": sum(tokens), "model": fact.model})
        before = known.spent(fact.message)
        if before is None:
            if self._was_told_by_hook(tokens):
                self._show_of(sub, "message", time, role="assistant")
                known.spend(fact.message, Spent(self.session, "", "", time, fact.model, tokens))
                return
            self._known_sub(sub or None, time)
            spent = Spent(self.session, self._agent_of(sub), self._run_of(sub), time, fact.model, tokens)
            self._tell("message", time, agent=spent.agent, run=spent.run, role="assistant")
        else:
            if before.session != self.session:
                known.copied(self.session, fact.message)
            largest = tuple(map(max, before.tokens, tokens))
            if largest == before.tokens or before.run == "":
                return
            spent = before._replace(tokens=largest)
        known.spend(fact.message, spent)
        self._tell_usage(spent, f"{self.source}:{fact.message}")

    def _was_told_by_hook(self, tokens: tuple[int, ...]) -> bool:
        """Whether a hook told of that model call, and that was passed on since; one that was not is forgotten."""
        for place, (_, is_told, *same) in enumerate(self.requests):
            if tuple(same) == tokens:
                del self.requests[place]
                return bool(is_told)
        if self.has_hooks and self.source == "codex":
            self.listed = [*self.listed[-199:], list(tokens)]
        return False

    def _tell_usage(self, spent: Spent, request_id: str) -> None:
        names = ("input-tokens", "output-tokens", "cache-read-tokens", "cache-write-tokens", "cache-write-1h-tokens")
        used = {name: count for name, count in zip(names, spent.tokens, strict=True) if count}
        told = {"agent": spent.agent, "run": spent.run, "session": spent.session, "model": spent.model, "request-id": request_id}
        self._tell("llm", spent.time_ms, **told, **used)

    def _result(self, fact: facts.Result, sub: str | None, time: int, known: Known) -> None:
        if known.answered(fact.call):
            return
        call = self.calls.get(fact.call)
        if call is None:
            if fact.tool is None:
                return  # an answer to a call that nobody told of: the beginning of the file is gone
            call = self.calls[fact.call] = Call(self._known_sub(sub, time), fact.tool, self._run_of(sub or _MAIN), time)
        call.outcome, call.error = fact.outcome, fact.error
        call.duration = call.duration if fact.duration_ms is None else fact.duration_ms
        if call.is_hooks:
            self._settle(fact.call, known)
            return
        told = self._told_without_id(call)
        if told is not None:
            if told[1]:
                del self.calls[fact.call]
                known.answer(fact.call)
                return
            call.duration = call.duration if told[4] is None else told[4]
            self._settle(fact.call, known)
            self.unmatched[f"{told[2]} {told[3]}"] -= 1
            return
        call.doubt = time if call.doubt is None else call.doubt
        if not self.has_hooks:
            self._settle(fact.call, known)

    def _told_without_id(self, call: Call) -> list[Any] | None:
        """What a hook told of the same outcome without the call's id, which is used up by that."""
        status = _STATUS.get(call.outcome or "")
        for place, told in enumerate(self.nameless):
            if told[2:4] == [call.tool, status]:
                del self.nameless[place]
                return told
        return None

    def _prompt(self, fact: facts.Prompt, sub: str | None, time: int, known: Known) -> None:
        if sub is not None or known.prompted(fact.message):
            return
        if fact.turn is not None and known.prompted(self._turn(fact.turn)):
            self.untold_prompts = max(0, self.untold_prompts - 1)
            return
        if self.untold_prompts and not (self.names_turns and fact.turn is not None):
            self.untold_prompts -= 1
            return
        if self.has_hooks and fact.turn is None:
            # An ended session is followed for some seconds more, and another process may go on with it meanwhile: its hooks tell.
            if self.is_open or time <= self.last_ms:
                self.unhooked = [*self.unhooked[-99:], [time, fact.message]]
            return
        self._tell_prompt(time, fact.message, fact.turn)

    def _tell_prompt(self, time: int, message: str, turn: str | None) -> None:
        about = {"agent": self.agent, "run": self.run, "session": self.session}
        self._tell("message", time, **about, role="user", turn=turn, prompt=message)

    def _turn(self, turn: str) -> str:
        return f"{self.session} {turn}"

    # -- time ------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, known: Known) -> None:
        """Tell what has been in doubt for too long by now.

        Args:
            now_ms: the time, in milliseconds since the epoch.
            known: what was told already.
        """
        if self.awaiting is not None and now_ms - self.awaiting["time"] >= PATIENCE_MS:
            self._stop_awaiting(known)
        for name, call in list(self.calls.items()):
            if call.doubt is not None and now_ms - max(call.doubt, call.since) >= PATIENCE_MS:
                self._settle(name, known)
        for told in self.nameless:
            if not told[1] and now_ms - told[0] >= PATIENCE_MS:
                told[1] = True
                self._execution(None, _MAIN, self.run, told[2], told[3], told[0], told[4], told[5])
        self._tell_unhooked(now_ms - PATIENCE_MS)
        for request in self.requests:
            if not request[1] and now_ms - request[0] >= PATIENCE_MS and not self.is_busy:
                request[1] = 1
                self._tell_request(request)

    def _tell_unhooked(self, until: int) -> None:
        """Tell the prompts of which no hook will."""
        for time, message in self.unhooked:
            if time <= until:
                self._tell_prompt(time, message, None)
        self.unhooked = [each for each in self.unhooked if each[0] > until]

    def _tell_request(self, request: list[int]) -> None:
        model = self.told.get("model")
        spent = Spent(
            self.session,
            self.agent,
            self.run,
            request[0],
            model if isinstance(model, str) else UNLISTED,
            tuple(request[2:7]),
        )
        self._tell_usage(spent, f"{self.source}:{self.session}:{request[0]}:{request[2]}:{request[3]}")

    def _settle(self, name: str, known: Known) -> None:
        """Tell the outcome of a call by what is known of it."""
        call = self.calls.pop(name)
        known.answer(name)
        status = _STATUS.get(call.outcome or "", facts.NOT_EXECUTED)
        if self.has_hooks and call.outcome is not None:
            key = f"{call.tool} {status}"
            self.unmatched[key] = self.unmatched.get(key, 0) + 1
        time = call.doubt or call.since
        error = call.error if status == "error" else None
        self._execution(name, call.sub, call.run, call.tool, status, time, call.duration, error)

    def finish(self, time: int, known: Known) -> None:
        """The session is over, and its transcript was read to its end: whatever is open is told as it is.

        Args:
            time: of the last that is known of it.
            known: what was told already.
        """
        for name in list(self.calls):
            self._settle(name, known)
        self._tell_unhooked(max((each[0] for each in self.unhooked), default=0))
        for model, total in self.totals.items():
            excess = known.unlisted(self.session, model, tuple(total))
            if any(excess):
                spent = Spent(self.session, self.agent, self.run, time, model, excess)
                self._tell_usage(spent, f"{self.source}:{self.session}:unlisted:{model}:{sum(self.totals[model])}")
        if not self.totals and self.compactions:
            for number in range(self.compactions):
                spent = Spent(self.session, self.agent, self.run, time, UNLISTED, (0, 0, 0, 0, 0))
                self._tell_usage(spent, f"{self.source}:{self.session}:compaction:{number}")
        if self.is_open and not self.has_hooks:
            for sub in self.subs:
                self._end_sub(sub, time, outcome="completed")
            self._close(time, "completed", None)

    def crashed(self, time: int) -> None:
        """Whoever folds found the program dead and ended its runs."""
        self._doubt_all(time)
        self.is_open, self.is_busy, self.waits_for = False, False, None
        self.asked.clear()
        for sub in self.subs.values():
            sub.is_open = False

    # -- what it consists of ---------------------------------------------------------------------------------------

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
        sub = _name(line.get("agent-id"))
        if sub is None or sub in self.internal:
            return _MAIN
        if sub not in self.subs:
            self._begin_sub(sub, _name(line.get("agent-type")) or "subagent", time)
        return sub

    def _known_sub(self, sub: str | None, time: int) -> str:
        """The subagent of which a transcript tells, begun if no hook told of it."""
        if sub is None or sub == _MAIN or sub in self.internal:
            return _MAIN
        if sub not in self.subs:
            self._begin_sub(sub, "subagent", time)
            self.subs[sub].is_told = False
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
        known = self.subs.get(sub or _MAIN)
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
        if sub == _MAIN and run == self.run:
            self.shown_ms = max(self.shown_ms, time)
        self._tell("tool", time, **told)

    # -- whether it waits ------------------------------------------------------------------------------------------

    def _show(self, event: str, time: int, **told: Any) -> None:
        """An event of the session's own run; it is later than the wait that it ends."""
        time = max(time, self.shown_ms + 1) if self.waits_for is not None else max(time, self.shown_ms)
        self.shown_ms = time
        self._tell(event, time, agent=self.agent, run=self.run, **told)

    def _show_of(self, sub: str, event: str, time: int, **told: Any) -> None:
        if sub == _MAIN:
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


_RULES = {
    "SessionStart": Session._on_session_start,
    "SessionEnd": Session._on_session_end,
    "UserPromptSubmit": Session._on_prompt,
    "PreToolUse": Session._on_call,
    "PostToolUse": Session._on_done,
    "PostToolUseFailure": Session._on_done,
    "PostToolBatch": Session._on_batch,
    "PermissionRequest": Session._on_permission,
    "PermissionDenied": Session._on_denied,
    "Notification": Session._on_notification,
    "Elicitation": Session._on_elicitation,
    "ElicitationResult": Session._on_elicited,
    "Stop": Session._on_stop,
    "StopFailure": Session._on_stop_failure,
    "SubagentStart": Session._on_sub_start,
    "SubagentStop": Session._on_sub_stop,
    "PreCompact": Session._on_activity,
    "PostCompact": Session._on_compacted,
    "CwdChanged": Session._on_activity,
    "StatusLine": Session._on_status_line,
    "PreModelRequest": Session._on_activity,
    "PostModelRequest": Session._on_model,
    "notify": Session._on_stop,
}

_FACTS: dict[type, Callable[..., None]] = {
    facts.Usage: Session._spoke,
    facts.Call: Session._asked_for,
    facts.Result: Session._result,
    facts.Prompt: Session._prompt,
    facts.Interrupted: Session._interrupted,
    facts.Failed: Session._failed,
    facts.Compacted: Session._compacted,
    facts.Totals: Session._counted,
    facts.About: Session._about_fact,
}


def _begins(line: dict[str, Any]) -> bool:
    return bool(line.get("hook") in _BEGINNERS and line.get("how") != "compact")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: asdict(each) if isinstance(each, (Sub, Call)) else each for name, each in value.items()}
    return value


def _name(value: object) -> str | None:
    return text_of(value) if isinstance(value, str) and value else None


def _codex_tokens(told: object) -> tuple[int, int, int, int, int] | None:
    """Codex counts what a cache held as input, too."""
    if not isinstance(told, dict):
        return None
    counts = [told.get(name, 0) for name in ("input", "output", "cached", "cache-write")]
    if not all(type(count) is int and count >= 0 for count in counts):
        return None
    total, output, read, write = counts
    return max(0, total - read - write), output, read, write, 0
