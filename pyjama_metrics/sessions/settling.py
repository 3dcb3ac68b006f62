"""What becomes of calls and requests that are in doubt, and the ends of a session."""

from __future__ import annotations

from typing import Any

from pyjama_metrics.sessions import facts
from pyjama_metrics.sessions.known import PATIENCE_MS, UNLISTED, Known, Spent
from pyjama_metrics.sessions.session_state import MAIN, Call, SessionState

STATUSES = {facts.OK: "ok", facts.ERROR: "error"}
"""The status of an execution by its outcome in a transcript."""


class Settling(SessionState):
    """A session whose doubts are settled, sooner or later."""

    __slots__ = ()

    def _on_session_start(self, line: dict[str, Any], time: int, known: Known) -> None:
        self._note(line)
        if line.get("how") != "compact":
            self.is_busy = False
            self._touch(time)

    def _stop_awaiting(self, known: Known) -> None:
        """The session that was resumed is this one."""
        line, self.awaiting = self.awaiting, None
        if line is not None:
            self._begin(line["time"], line)
            self._on_session_start(line, line["time"], known)
            self.show_wait(line["time"])

    def _done_without_id(self, told: list[Any], known: Known) -> None:
        _, _, tool, status, duration, _ = told
        if self.unmatched.get(f"{tool} {status}"):
            self.unmatched[f"{tool} {status}"] -= 1
            return
        for name, call in self.calls.items():
            if call.tool == tool and STATUSES.get(call.outcome or "") == status:
                call.duration = duration
                self._settle(name, known)
                self.unmatched[f"{tool} {status}"] -= 1
                return
        self.nameless = [*self.nameless[-199:], told]

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

    def _was_told_by_hook(self, tokens: tuple[int, ...]) -> bool:
        """Whether a hook told of that model call, and that was passed on since; one that was not is forgotten."""
        for place, (_, is_told, *same) in enumerate(self.requests):
            if tuple(same) == tokens:
                del self.requests[place]
                return bool(is_told)
        if self.has_hooks and self.source == "codex":
            self.listed = [*self.listed[-199:], list(tokens)]
        return False

    def _told_without_id(self, call: Call) -> list[Any] | None:
        """What a hook told of the same outcome without the call's id, which is used up by that."""
        status = STATUSES.get(call.outcome or "")
        for place, told in enumerate(self.nameless):
            if told[2:4] == [call.tool, status]:
                del self.nameless[place]
                return told
        return None

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
                self._execution(None, MAIN, self.run, told[2], told[3], told[0], told[4], told[5])
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
        if known.answered(name):
            return  # a copy of the conversation is another session's as well, and that one has told it meanwhile
        known.answer(name)
        status = STATUSES.get(call.outcome or "", facts.NOT_EXECUTED)
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
        for time_ms in self.compactions:
            if not known.compacted(f"{self.session}:{time_ms}"):
                spent = Spent(self.session, self.agent, self.run, time_ms, UNLISTED, (0, 0, 0, 0, 0))
                self._tell_usage(spent, f"{self.source}:{self.session}:compaction:{time_ms}")
        self.compactions = []
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
