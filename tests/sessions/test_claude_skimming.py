"""Skimming finds what parsing finds: in what the real program wrote, and in lines made to mislead it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, target
from hypothesis import strategies as st

from pyjama_metrics.sessions import claude_skimming
from pyjama_metrics.sessions.claude_skimming import Skimmer, Told
from pyjama_metrics.sessions.facts import About, Call, Result, Usage
from pyjama_metrics.storage.json import loads
from tests.captured import CLAUDE, as_printed, files_of, name_of


def told(raw: bytes, *, skims: bool = True) -> list[Told]:
    """What lines tell, neighbours of one agent put together."""
    found: list[Told] = []
    for one in Skimmer(loads, skims=skims).read(bytearray(raw), 0, len(raw)):
        if found and found[-1][:2] == one[:2]:
            found[-1].facts.extend(one.facts)
        else:
            found.append(one)
    return found


def parsed_of(raw: bytes) -> int:
    """How many lines are parsed."""
    count = 0

    def parse(line: bytes) -> object:
        nonlocal count
        count += 1
        return loads(line)

    list(Skimmer(parse).read(bytearray(raw), 0, len(raw)))
    return count


@pytest.mark.parametrize("folder", CLAUDE, ids=name_of)
def test_skimming_finds_what_parsing_finds(folder: Path) -> None:
    """In every transcript of the real program, as it prints it and with blanks."""
    for file in files_of(folder):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        printed = b"\n".join(map(as_printed, lines)) + b"\n"
        assert told(printed) == told(printed, skims=False)
        assert told(file.read_bytes()) == told(printed)


def test_skimming_parses_few_lines() -> None:
    """Of 25 lines six: the prompt, two failures, the subagent's result, the summary of hooks, the costs."""
    (file,) = (file for folder in CLAUDE if name_of(folder) == "claude-code-2.1.329/basic" for file in files_of(folder)[:1])
    printed = b"\n".join(as_printed(json.loads(line)) for line in file.read_text().splitlines()) + b"\n"
    lines = printed.count(b"\n")
    assert (lines, parsed_of(printed)) == (25, 6)


def captured(pick: str) -> list[dict[str, Any]]:
    """The lines of the captured session with thinking, calls and results."""
    (folder,) = (folder for folder in CLAUDE if name_of(folder) == pick)
    return [json.loads(line) for line in files_of(folder)[0].read_text().splitlines()]


HOSTILE = [
    '"}],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9',
    '"}]},"uuid":"0","timestamp":"2020-01-01T00:00:00.000Z","toolUseResult":"',
    '\\"}]},\\"uuid\\":\\"',
    '","is_error":true,"tool_use_id":"toolu_x"}]},"uuid":"',
    '{"type":"tool_use","id":"toolu_evil","name":"Evil","input":{}}',
    '"timestamp":"2020-01-01T00:00:00.000Z"',
    ',"userType":"external","cwd":"/evil","sessionId":"evil","version":"1"}',
    '"interrupted":false,',
    "\\",
    '\\\\"',
    "\n\r\u2028\u0000é😀",
    "<tool_use_error>",
    "Exit code 9",
    "",
]
texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=6), max_size=4).map("".join)
values = st.recursive(
    texts | st.integers(-5, 5) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["usage", "type", "timestamp", "tool_use_id", "stop_reason", "text", "content", "input_tokens", "interrupted"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
answers = [line for line in captured("claude-code-2.1.329/basic") if line["type"] == "assistant"]
results = [line for line in captured("claude-code-2.1.329/basic") if line["type"] == "user" and "toolUseResult" in line]
counts = st.integers(0, 10**6)


@st.composite
def answer_lines(draw: st.DrawFn) -> dict[str, Any]:
    """An answer as the program prints it, with texts and inputs that would like to be something else."""
    line: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(answers))))
    message = line["message"]
    for block in message["content"]:
        if block["type"] == "tool_use":
            block["input"] = draw(st.dictionaries(st.sampled_from(["command", "usage", "type", "content"]), values, max_size=3))
        else:
            block["thinking" if block["type"] == "thinking" else "text"] = draw(texts)
    if draw(st.integers(0, 7)) == 3:
        message["content"] += json.loads(json.dumps(draw(st.sampled_from(answers))["message"]["content"]))
    message["id"] = draw(st.sampled_from(["msg_1", "msg_2"]))
    message["usage"]["output_tokens"] = draw(counts)
    message["usage"]["cache_creation"]["ephemeral_1h_input_tokens"] = draw(counts)
    if draw(st.integers(0, 9)) == 3:
        message["model"] = draw(st.sampled_from(["<synthetic>", "é", ""]))
        line["isApiErrorMessage"] = True
    return line


@st.composite
def result_lines(draw: st.DrawFn) -> dict[str, Any]:
    """A result, likewise: of one tool or of several, of this tool's shape or of none."""
    line: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(results))))
    (block,) = line["message"]["content"]
    block["content"] = draw(texts) if draw(st.integers(0, 5)) else draw(values)
    if draw(st.integers(0, 5)) == 3:
        block["is_error"] = draw(st.booleans())
    if draw(st.integers(0, 5)) == 3:
        line["message"]["content"].append({"tool_use_id": "toolu_2", "type": "tool_result", "content": draw(texts)})
    which = draw(st.integers(0, 9))
    if which == 0:
        line["toolUseResult"] = draw(values)
    elif which == 1:
        line["toolUseResult"] = {
            "stdout": draw(texts),
            "stderr": draw(texts),
            "interrupted": draw(st.booleans()),
            "isImage": False,
        }
    elif which == 2:
        line["toolUseResult"] = {"filenames": [], "durationMs": draw(st.integers(-1, 99))}
    elif which == 3:
        line["toolUseResult"] = {"type": "text", "file": {"content": draw(texts)}, "durationMs": 5}
    return line


@st.composite
def printed_lines(draw: st.DrawFn) -> bytes:
    """A line, printed as the program prints it, with odd spacing, in another order, or with escapes."""
    line = draw(answer_lines() | result_lines())
    line["isSidechain"] = draw(st.integers(0, 9)) == 3
    line["sessionId"] = "s-2" if draw(st.integers(0, 9)) == 3 else "s-1"
    line["timestamp"] = f"2026-11-21T02:0{draw(st.integers(0, 9))}:14.331Z"
    if draw(st.integers(0, 9)) == 3:
        line["timestamp"] = draw(st.sampled_from(["2026-11-21T02:02:14Z", "2026-13-21T02:02:14.331Z", "soon", 7]))
    form = draw(st.integers(0, 15))
    if form == 1:
        line = dict(draw(st.permutations(list(line.items()))))
    if form == 2:
        return json.dumps(line).encode()
    if form == 3:
        return json.dumps(line, separators=(" ,", "\t: ")).encode()
    if form == 4:
        return as_printed(line).replace(b'"type"', rb'"t\u0079pe"')
    if form == 5:
        return as_printed(line)[:-1]
    return as_printed(line)


BEFORE = as_printed(answers[0] | {"sessionId": "s-1"}) + b"\n"


@given(st.lists(printed_lines(), max_size=6))
def test_no_text_and_no_shape_misleads_it(lines: list[bytes]) -> None:
    """Skimming tells what parsing tells of every line that is JSON."""
    whole = [line for line in lines if line.endswith(b"}") and is_json(line)]
    raw = BEFORE + b"".join(line + b"\n" for line in whole)
    target(float(len(whole) - parsed_of(raw)))  # lines that are skimmed are those of which it tells something
    assert told(raw) == told(raw, skims=False)


def is_json(line: bytes) -> bool:
    """Whether it can be read at all."""
    try:
        loads(line)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_text_that_looks_like_a_line_is_a_text(hostile: str) -> None:
    """Each of them in the output of a command, by itself."""
    command = next(line for line in results if "stdout" in line["toolUseResult"])
    first, line = (json.loads(json.dumps(command)) for _ in range(2))
    line["message"]["content"][0]["content"] = hostile
    line["toolUseResult"]["stdout"] = hostile
    raw = as_printed(first) + b"\n" + as_printed(line) + b"\n"
    assert told(raw) == told(raw, skims=False)
    assert [type(fact) for one in told(raw) for fact in one.facts] == [About, Result, Result]


def test_an_input_that_looks_like_an_answer_is_an_input() -> None:
    """A tool may be given what a model answered; the figures of the line are those at its end."""
    line = json.loads(json.dumps(answers[2]))
    inner = json.loads(json.dumps(line["message"]))
    inner["usage"]["output_tokens"] = 99_999
    line["message"]["content"][0]["input"] = {"answer": inner | {"content": [{"text": "x"}]}}
    line["message"]["id"] = "msg_2"
    (one,) = told(BEFORE + as_printed(line | {"sessionId": "s-1"}) + b"\n")
    assert [fact.output for fact in one.facts if isinstance(fact, Usage)] == [31, 31]
    assert parsed_of(BEFORE + as_printed(line | {"sessionId": "s-1"}) + b"\n") == 1


def test_results_of_two_subagents_in_one_file_are_told_apart() -> None:
    """They end alike."""
    lines = [json.loads(json.dumps(results[0])) | {"isSidechain": True, "agentId": agent} for agent in ("a1", "a1", "a2")]
    raw = b"".join(as_printed(in_order(line)) + b"\n" for line in lines)
    assert [(one.agent, len([fact for fact in one.facts if isinstance(fact, Result)])) for one in told(raw)] == [
        ("a1", 2),
        ("a2", 1),
    ]


def in_order(line: dict[str, Any]) -> dict[str, Any]:
    """A subagent's line with its fields in the program's order."""
    first = ("parentUuid", "isSidechain", "promptId", "agentId")
    return {name: line[name] for name in first if name in line} | {name: line[name] for name in line if name not in first}


def test_an_answer_in_several_lines_is_told_once_and_each_of_its_calls() -> None:
    """Larger figures are told again."""
    thinking, text, call = (json.loads(json.dumps(line)) for line in answers[:3])
    larger = json.loads(json.dumps(call))
    larger["message"]["usage"]["output_tokens"] = 32
    raw = b"".join(as_printed(line) + b"\n" for line in (thinking, text, call, larger))
    (one,) = told(raw)
    assert [type(fact) for fact in one.facts] == [About, Usage, Call, Usage, Call]
    assert [fact.output for fact in one.facts if isinstance(fact, Usage)] == [31, 32]


def test_lines_of_a_subagent_among_others_are_told_apart() -> None:
    """As version 1 wrote them, and as a line with an id tells."""
    lines = [json.loads(json.dumps(line)) for line in (answers[0], answers[2], answers[3])]
    lines[1]["isSidechain"] = True
    lines[2] |= {"isSidechain": True, "agentId": "a1"}
    raw = b"".join(as_printed(line) + b"\n" for line in lines)
    session = lines[0]["sessionId"]
    assert [(one.session, one.agent) for one in told(raw)] == [(session, None), (session, "sidechain"), (session, "a1")]


def test_a_folder_that_changes_is_told_when_it_does() -> None:
    """And a branch, and a version, though the lines are skimmed."""
    lines = [json.loads(json.dumps(line)) for line in answers[:4]]
    lines[2]["gitBranch"] = lines[3]["gitBranch"] = "feature"
    raw = b"".join(as_printed(line) + b"\n" for line in lines)
    abouts = [fact.branch for one in told(raw) for fact in one.facts if isinstance(fact, About)]
    assert abouts == ["HEAD", "feature"]


def test_what_is_no_json_is_counted_and_passed_over() -> None:
    """Half a character does not cost the figures of its line."""
    line = as_printed(answers[0])
    broken = line.replace(b"First I greet.", b"First \xe2\x82")
    skimmer = Skimmer(loads)
    raw = b"{\n\n   \n[1]\n" + broken + b"\nnull\n"
    facts = [fact for one in skimmer.read(bytearray(raw), 0, len(raw)) for fact in one.facts]
    assert (skimmer.unreadable, [type(fact) for fact in facts]) == (1, [About, Usage])


def test_the_patterns_match_what_the_program_prints_now() -> None:
    """A change of the shape makes reading slower, not wrong; this says so when the captures are renewed."""
    assert all(claude_skimming._ANSWER.match(as_printed(line)) for line in answers)
