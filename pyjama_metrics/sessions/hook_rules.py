"""The rules by which hooks change a session."""

from __future__ import annotations

from typing import Any

from pyjama_metrics.sessions import facts
from pyjama_metrics.sessions.known import Known
from pyjama_metrics.sessions.session_state import MAIN, Call, name_of
from pyjama_metrics.sessions.settling import Settling

_QUESTIONS = {"AskUserQuestion": "an answer to its question", "ExitPlanMode": "approval of its plan"}
"""Tools that ask the person, and for what the session waits meanwhile."""
_BEGINNERS = frozenset({"SessionStart", "UserPromptSubmit"})
"""Hooks that begin a session again which has ended; all others may come late."""
_SUBAGENT_TOOLS = frozenset({"Agent", "Task"})
"""Tools by which a session begins a subagent."""


class HookRules(Settling):
    """A session that hears what its hooks tell."""

    __slots__ = ()

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

    def _on_prompt(self, line: dict[str, Any], time: int, known: Known) -> None:
        if line.get("agent-id") is not None:
            self._show_of(self._sub_of(line, time), "activity", time, log=False)
            return  # a session prompts its subagent
        self.is_busy, self.was_interrupted = True, False
        self.failure, self.prompted_ms = None, max(time, self.prompted_ms)
        self.asked.clear()
        self._doubt(time, MAIN)
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
        sub, tool, call = self._sub_of(line, time), name_of(line.get("tool")), line.get("call")
        if tool is None:
            return
        if isinstance(call, str) and (known.answered(call) or call in self.calls):
            return
        if isinstance(call, str):
            self.calls[call] = Call(sub, tool, self._run_of(sub), time)
        self._show_of(sub, "activity", time, tool=tool, log=False)
        if tool in _QUESTIONS:
            self.asked[f"question {call}"] = _QUESTIONS[tool]
        if sub == MAIN:
            self.is_busy = True

    def _on_done(self, line: dict[str, Any], time: int, known: Known) -> None:
        status = "interrupted" if line.get("interrupted") else "error" if line["hook"] == "PostToolUseFailure" else "ok"
        sub, tool, call = self._sub_of(line, time), name_of(line.get("tool")), line.get("call")
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
            asked.doubt = time
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
        return is_old and sub == MAIN and any(each.is_open for each in self.subs.values())

    def _on_batch(self, line: dict[str, Any], time: int, known: Known) -> None:
        sub, calls = self._sub_of(line, time), line.get("calls")
        for key in [key for key in self.asked if key == "permission" or key.startswith(f"permission {sub} ")]:
            del self.asked[key]
        for pair in calls if isinstance(calls, list) else ():
            if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and not known.answered(pair[0]):
                # A tool that does not exist, and an input of no use, are told here only.
                call = self.calls.setdefault(pair[0], Call(sub, name_of(pair[1]) or "(unnamed)", self._run_of(sub), time))
                call.doubt = time if call.doubt is None else call.doubt
        self._show_of(sub, "activity", time, log=False)

    def _on_permission(self, line: dict[str, Any], time: int, known: Known) -> None:
        sub, tool = self._sub_of(line, time), name_of(line.get("tool"))
        self.asked.pop("permission", None)
        if tool in _QUESTIONS:
            return  # to ask is what it is for
        self.asked[f"permission {sub} {tool}"] = f"permission to use {tool}" if tool else "permission"

    def _on_denied(self, line: dict[str, Any], time: int, known: Known) -> None:
        self.asked.pop(f"permission {self._sub_of(line, time)} {name_of(line.get('tool'))}", None)
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
        server = name_of(line.get("server"))
        self.asked["elicitation"] = f"an answer for {server}" if server else "an answer"

    def _on_elicited(self, line: dict[str, Any], time: int, known: Known) -> None:
        self.asked.pop("elicitation", None)
        self._touch(time)

    def _on_stop(self, line: dict[str, Any], time: int, known: Known) -> None:
        self.asked.clear()
        self._doubt(time, MAIN)
        self._end_untold_subs(time)
        self.is_busy = self._goes_on(line)
        self._touch(time)

    def _goes_on(self, line: dict[str, Any]) -> bool:
        """Whether agents in the background will wake the session up again. Commands there need not end, so it waits for none."""
        background = line.get("background")
        if isinstance(background, dict):
            return bool(background.get("agents"))
        return any(sub.is_open and sub.is_told for sub in self.subs.values())

    def _on_stop_failure(self, line: dict[str, Any], time: int, known: Known) -> None:
        self._doubt(time, MAIN)
        if self.failure is None:
            self.failure = [time, name_of(line.get("error")) or "failed", False]
        self._fail(time)

    def _on_sub_start(self, line: dict[str, Any], time: int, known: Known) -> None:
        sub, kind = name_of(line.get("agent-id")), name_of(line.get("agent-type"))
        if sub is None or kind is None or not self.is_open:
            return
        asks = self.launched > 0 or any(call.tool in _SUBAGENT_TOOLS and call.sub == MAIN for call in self.calls.values())
        self.launched = max(0, self.launched - 1)
        if self.source == "claude-code" and line.get("turn") is None and not asks:
            self.internal = [*self.internal[-99:], sub]  # versions 2.0 warm some up that nobody asked for
        else:
            self._begin_sub(sub, kind, time)

    def _on_sub_stop(self, line: dict[str, Any], time: int, known: Known) -> None:
        sub = name_of(line.get("agent-id"))
        if sub is None or (sub not in self.subs and (sub in self.internal or name_of(line.get("agent-type")) is None)):
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


_RULES = {
    "SessionStart": HookRules._on_session_start,
    "SessionEnd": HookRules._on_session_end,
    "UserPromptSubmit": HookRules._on_prompt,
    "PreToolUse": HookRules._on_call,
    "PostToolUse": HookRules._on_done,
    "PostToolUseFailure": HookRules._on_done,
    "PostToolBatch": HookRules._on_batch,
    "PermissionRequest": HookRules._on_permission,
    "PermissionDenied": HookRules._on_denied,
    "Notification": HookRules._on_notification,
    "Elicitation": HookRules._on_elicitation,
    "ElicitationResult": HookRules._on_elicited,
    "Stop": HookRules._on_stop,
    "StopFailure": HookRules._on_stop_failure,
    "SubagentStart": HookRules._on_sub_start,
    "SubagentStop": HookRules._on_sub_stop,
    "PreCompact": HookRules._on_activity,
    "PostCompact": HookRules._on_compacted,
    "CwdChanged": HookRules._on_activity,
    "StatusLine": HookRules._on_status_line,
    "PreModelRequest": HookRules._on_activity,
    "PostModelRequest": HookRules._on_model,
    "notify": HookRules._on_stop,
}


def _begins(line: dict[str, Any]) -> bool:
    return bool(line.get("hook") in _BEGINNERS and line.get("how") != "compact")


def _codex_tokens(told: object) -> tuple[int, int, int, int, int] | None:
    """Codex counts what a cache held as input, too."""
    if not isinstance(told, dict):
        return None
    counts = [told.get(name, 0) for name in ("input", "output", "cached", "cache-write")]
    if not all(type(count) is int and count >= 0 for count in counts):
        return None
    total, output, read, write = counts
    return max(0, total - read - write), output, read, write, 0
