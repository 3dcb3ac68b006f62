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

from pyjama_metrics.sessions import facts
from pyjama_metrics.sessions.facts import Fact
from pyjama_metrics.sessions.hook_rules import HookRules
from pyjama_metrics.sessions.known import Known, Spent
from pyjama_metrics.sessions.session_state import MAIN, Call


class Session(HookRules):
    """The whole machine: it hears its hooks (`HookRules.hook`), its transcript (`fact`) and the time (`Settling.tick`)."""

    __slots__ = ()

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
        self._usage(fact, sub or MAIN, time, known)

    def _asked_for(self, fact: facts.Call, sub: str | None, time: int, known: Known) -> None:
        if known.answered(fact.call):
            return
        asker = self._known_sub(sub, time)
        asked = self.calls.setdefault(fact.call, Call(asker, fact.tool, self._run_of(asker), time))
        # Codex' hooks call every command Bash; the tool that the model asked for is in the rollout only.
        asked.sub, asked.run, asked.tool = asker, self._run_of(asker), fact.tool

    def _interrupted(self, fact: facts.Interrupted, sub: str | None, time: int, known: Known) -> None:
        if sub is None and time >= self.shown_ms and self.is_open:
            self.is_busy, self.was_interrupted = False, True
            self.asked.clear()
            self._doubt(time, MAIN)
            self.show_wait(time)

    def _failed(self, fact: facts.Failed, sub: str | None, time: int, known: Known) -> None:
        if not self.has_hooks:
            self._tell("error", time, agent=self._agent_of(sub), run=self._run_of(sub or MAIN), message=fact.reason)
        elif sub is None and self.failure is None and time >= self.prompted_ms:
            self.failure = [time, fact.reason, False]
            if not self.is_open:
                self._fail(time)

    def _compacted(self, fact: facts.Compacted, sub: str | None, time: int, known: Known) -> None:
        self.compactions = [*self.compactions, time]

    def _counted(self, fact: facts.Totals, sub: str | None, time: int, known: Known) -> None:
        self.totals = {model: list(tokens) for model, tokens in fact.models.items()}
        self.compactions = []  # the requests for summaries are in them

    def _about_fact(self, fact: facts.About, sub: str | None, time: int, known: Known) -> None:
        if sub is None:
            told = {name: getattr(fact, name) for name in ("branch", "version", "model", "cwd")}
            told |= {"context-tokens": fact.context_tokens, "context-window": fact.context_window, "limits": fact.limits}
            # In a repository at no branch Claude Code tells its HEAD.
            self._about(time, {name: value for name, value in told.items() if value not in (None, "HEAD")})

    def _usage(self, fact: facts.Usage, sub: str, time: int, known: Known) -> None:
        tokens = (fact.input, fact.output, fact.cache_read, fact.cache_write, fact.cache_write_1h)
        if sub == MAIN:
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

    def _result(self, fact: facts.Result, sub: str | None, time: int, known: Known) -> None:
        if known.answered(fact.call):
            return
        call = self.calls.get(fact.call)
        if call is None:
            if fact.tool is None:
                return  # an answer to a call that nobody told of: the beginning of the file is gone
            call = self.calls[fact.call] = Call(self._known_sub(sub, time), fact.tool, self._run_of(sub or MAIN), time)
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
