"""Transcripts of Claude Code by the gigabyte: the same facts as `claude_transcripts` finds, for less.

Nearly all of a transcript's bytes are texts that tell nothing here: what tools printed, what the model thought. A line in the
shape in which the present program prints it is read without parsing it: patterns take its beginning, and a search leads behind
the text. That cannot be fooled by what the text says, as each search is for a quotation mark that begins or ends a text of the
line, and inside a text every quotation mark has a backslash before it. Whatever is not in that shape is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pyjama_metrics.sessions.claude_transcripts import SYNTHETIC, agent_of, facts_of, matters, session_of
from pyjama_metrics.sessions.facts import OK, About, Call, Fact, Result, Usage
from pyjama_metrics.sessions.foreign_values import time_ms

_ID = rb'"((?:[!#-\[\]-~]){1,200})"'  # printable ASCII without quotation marks and backslashes: it means what it says
_UUID = rb'"[0-9a-f-]{1,64}"'
_HEAD = (
    rb'\{"parentUuid":(?:null|' + _UUID + rb'),"isSidechain":(?:false,|true,(?="(?:promptId":' + _UUID + rb',")?agentId"))'
    rb'(?:"promptId":' + _UUID + rb',)?(?:"agentId":' + _ID + rb",)?"
)
_ANSWER = re.compile(
    _HEAD + rb'"message":\{(?:"model":' + _ID + rb',)?"id":' + _ID + rb',"type":"message","role":"assistant",'
    rb'(?:"model":' + _ID + rb',)?"content":\[\{"type":"(?:thinking"|text"|tool_use","id":' + _ID + rb',"name":' + _ID + rb")"
)
_RESULT = re.compile(
    _HEAD + rb'"type":"user","message":\{"role":"user","content":\[\{"tool_use_id":' + _ID + rb',"type":"tool_result","content":"'
)
_NUMBER = rb"(0|[1-9][0-9]{0,11})"
_USAGE = re.compile(
    rb'(?:null|"[a-z_]{1,32}"),"stop_sequence":null,(?:"stop_details":null,)?"usage":\{"input_tokens":' + _NUMBER + rb","
    rb'"cache_creation_input_tokens":' + _NUMBER + rb',"cache_read_input_tokens":' + _NUMBER + rb","
    rb'"output_tokens":' + _NUMBER + rb',(?:"output_tokens_details":\{[^{}]{0,200}\},)?(?:"server_tool_use":\{[^{}]{0,200}\},)?'
    rb'(?:"service_tier":(?:null|"[a-z_]{1,32}"),)?"cache_creation":\{'
    rb'"ephemeral_1h_input_tokens":' + _NUMBER + rb',"ephemeral_5m_input_tokens":' + _NUMBER + rb"\}"
)
_STOPPED = b'}],"stop_reason":'
_SECOND_CALL = b'"type":"tool_use"'
_TIMESTAMP = b'"timestamp":'
_TIME = re.compile(rb'"(\d{4}-\d\d-\d\dT\d\d:\d\d:)([0-5]\d)\.(\d{3})Z"')
_ANSWERED = b'}]},"uuid":'
_NOT_FAILED = b'","is_error":false'
_SECOND_RESULT = b'"tool_use_id":'
_AFTER_RESULT = re.compile(
    _UUID + rb',"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:)([0-5]\d)\.(\d{3})Z",'
    rb'"toolUseResult":(?:(\{"stdout":")|\{"filePath":"|\{"type":"(?:text|create|update)",|"|\[)'
)
_FINISHED = b'"interrupted":false,'
_TAIL = re.compile(
    rb',"userType":"[^"\\]*"(?:,"(?:entrypoint|slug|teamName)":"[^"\\]*")*,"cwd":"[^"\\]*","sessionId":"[^"\\]+","version":"[^"\\]+"'
    rb'(?:,"gitBranch":"[^"\\]*")?(?:,"(?:entrypoint|slug|teamName)":"[^"\\]*")*\}'
)
_SECONDS = {b"%02d" % second: second * 1_000 for second in range(60)}
_FRACTIONS = {b"%03d" % fraction: fraction for fraction in range(1_000)}
_LONGEST_TAIL = 1_500
_SYNTHETIC = SYNTHETIC.encode()
_NO_ANSWER = b"", b"", b""


class Told(NamedTuple):
    """What some lines in a row told of one agent of one session."""

    session: str
    agent: str | None
    """None for the session's main conversation."""
    facts: list[Fact]


class Skimmer:
    """Reads the lines of one transcript, in order.

    A message's usage and what a line tells by the way (`About`) are left out where the line before them told the same.

    Attributes:
        unreadable: lines that were no JSON.
    """

    def __init__(self, parse: Callable[[bytes], object], *, skims: bool = True) -> None:
        """Args:
        parse: makes a value of a line. Raises ValueError.
        skims: False to parse every line, for a comparison.
        """
        self.unreadable = 0
        self._parse, self._skims = parse, skims
        self._session = ""
        self._agent: str | None = None
        self._agent_bytes: bytes | None = None
        self._tail = b""
        self._usage: Usage | None = None
        self._answer: tuple[bytes, bytes, bytes] = _NO_ANSWER
        self._about: dict[tuple[str, str | None], tuple[object, ...]] = {}
        self._minute, self._minute_ms = b"", 0

    def read(self, buffer: bytearray | bytes, begin: int, end: int) -> Iterator[Told]:
        """Yield what whole lines tell that are in a range of some memory."""
        facts: list[Fact] = []
        find, skim, skims = buffer.find, self._skim, self._skims
        while begin < end:
            stop = find(b"\n", begin, end)
            if stop < 0:
                stop = end
            if not (skims and skim(buffer, begin, stop, facts)) and (not skims or matters(buffer, begin, stop)):
                session, agent = self._session, self._agent
                told = self._read_parsed(bytes(memoryview(buffer)[begin:stop]))
                if facts and (session, agent) != (self._session, self._agent):
                    yield Told(session, agent, facts)
                    facts = []
                facts += told
            begin = stop + 1
        if facts:
            yield Told(self._session, self._agent, facts)

    def _read_parsed(self, raw: bytes) -> list[Fact]:
        if not raw or raw.isspace():
            return []
        try:
            line = self._parse(raw)
        except ValueError:
            try:
                # Half a character, which a program that was killed in between left behind: the figures of the line still stand.
                line = self._parse(raw.decode("utf-8", "replace").encode())
            except ValueError:
                self.unreadable += 1
                return []
        if not isinstance(line, dict):
            return []
        session = session_of(line)
        if session and ("uuid" in line or not self._session):
            self._session, self._agent = session, agent_of(line)
            self._learn(raw)
        return [fact for fact in facts_of(line) if not self._is_known(fact)]

    def _learn(self, raw: bytes) -> None:
        """Remember how lines of this agent end, from where they tell of it: a line that ends like that tells nothing new."""
        self._agent_bytes = None if self._agent is None else self._agent.encode()
        if self._tail and raw.endswith(self._tail):
            return
        begin = raw.rfind(b',"userType":"', max(0, len(raw) - _LONGEST_TAIL))
        tail = raw[begin:] if begin > 0 else b""
        self._tail = tail if _TAIL.fullmatch(tail) else b""

    def _is_known(self, fact: Fact) -> bool:
        if type(fact) is Usage:
            if self._usage is not None and fact[0] == self._usage[0] and fact[2:] == self._usage[2:]:
                return True
            self._usage, self._answer = fact, _NO_ANSWER
        elif type(fact) is About:
            told, place = fact[1:], (self._session, self._agent)
            if self._about.get(place) == told:
                return True
            self._about[place] = told
        return False

    def _skim(self, buffer: bytearray | bytes, begin: int, end: int, facts: list[Fact]) -> bool:
        """Whether a line is in the shape that needs no parsing; then what it tells is added to ``facts``."""
        tail = self._tail
        if not tail or not buffer.endswith(tail, begin, end):
            return False
        end -= len(tail)
        match = _ANSWER.match(buffer, begin, end)
        if match is not None:
            return self._skim_answer(buffer, match, end, facts)
        match = _RESULT.match(buffer, begin, end)
        return match is not None and self._skim_result(buffer, match, end, facts)

    def _skim_answer(self, buffer: bytearray | bytes, match: re.Match[bytes], end: int, facts: list[Fact]) -> bool:
        agent, model_before, message, model_after, call, tool = match.groups()
        content = match.end()
        # From the end: only in what a tool is called with may the same words stand as well, and that comes before.
        stopped = buffer.rfind(_STOPPED, content, end)
        if stopped < 0 or agent != self._agent_bytes or buffer.find(_SECOND_CALL, content, stopped) >= 0:
            return False
        model, known = model_before or model_after, self._answer
        is_told = known[0] == message and known[1] == model and buffer.startswith(known[2], stopped)
        if is_told and not call:
            return True
        usage = None if is_told else _USAGE.match(buffer, stopped + len(_STOPPED), end)
        if model is None or model == _SYNTHETIC or (usage is None and not is_told):
            return False
        at = _TIME.match(buffer, buffer.rfind(_TIMESTAMP, stopped, end) + len(_TIMESTAMP), end)
        if at is None:
            return False
        time = self._moment(at[1], at[2], at[3])
        if usage is not None:
            fact = _usage(message, time, model, usage)
            if not self._is_known(fact):
                facts.append(fact)
            self._answer = message, model, bytes(buffer[stopped : usage.end()])
        if call:
            facts.append(Call(call.decode(), time, tool.decode()))
        return True

    def _skim_result(self, buffer: bytearray | bytes, match: re.Match[bytes], end: int, facts: list[Fact]) -> bool:
        agent, call = match.groups()
        content = match.end()
        answered = buffer.find(_ANSWERED, content, end)
        behind = _AFTER_RESULT.match(buffer, answered + len(_ANSWERED), end) if answered > 0 else None
        if behind is None or agent != self._agent_bytes:
            return False
        last = answered - len(_NOT_FAILED) if buffer.endswith(_NOT_FAILED, content, answered) else answered - 1
        if buffer[last] != 0x22 or buffer.find(_SECOND_RESULT, content, last) >= 0:
            return False
        if behind[4] and buffer.rfind(_FINISHED, max(behind.end(), end - _LONGEST_TAIL), end) < 0:
            return False
        facts.append(Result(call.decode(), self._moment(behind[1], behind[2], behind[3]), OK, None, None, None))
        return True

    def _moment(self, minute: bytes, seconds: bytes, fraction: bytes) -> int:
        if minute != self._minute:
            self._minute, self._minute_ms = minute, time_ms(minute.decode() + "00Z")
        return self._minute_ms and self._minute_ms + _SECONDS[seconds] + _FRACTIONS[fraction]


def _usage(message: bytes, time: int, model: bytes, usage: re.Match[bytes]) -> Usage:
    into, written, read, out, hour, five = map(int, usage.groups())
    return Usage(message.decode(), time, model.decode(), into, out, read, max(written, hour + five) - hour, hour)
