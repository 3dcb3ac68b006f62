"""What the scripted model says: for each script its answers in their order, each with the tokens that it is charged with.

A prompt names its script by a mark. The figures are odd ones, so that a wrong sum does not look like another that is right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

MARK = re.compile(r"\(by the script ([a-z0-9-]+)\)")


class Tokens(NamedTuple):
    """What one answer is charged with; ``input`` is without what a cache held."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: object) -> Tokens:  # type: ignore[override]
        assert isinstance(other, Tokens)
        return Tokens(*map(sum, zip(self, other, strict=True)))


class Call(NamedTuple):
    """The model asks for a tool. ``{work}`` in a text of the input is the folder in which the program runs."""

    tool: str
    input: dict[str, Any]


class Thought(NamedTuple):
    """The model thinks aloud."""

    text: str


@dataclass(frozen=True)
class Answer:
    """One answer of the model.

    Attributes:
        says: texts, thoughts and calls, in their order.
        tokens: what it is charged with.
        refused: HTTP codes with which the request is refused first, once each.
        always: a code with which it is refused however often it comes.
    """

    says: tuple[str | Thought | Call, ...]
    tokens: Tokens
    refused: tuple[int, ...] = ()
    always: int | None = None


class Script(NamedTuple):
    """The answers to one prompt; whoever asks on is told that it is over."""

    answers: tuple[Answer, ...]
    is_subagents: bool = False


OVER = Answer(("The script is over.",), Tokens(3, 5, 7, 11))
SIDE = Answer(("scripted",), Tokens(7, 3))
"""The answer to what a program asks by the way, such as for a title."""
SUMMARY = Answer(("<analysis>brief</analysis>\n<summary>Scripted work was done.</summary>",), Tokens(503, 61, 4001, 0))
"""The answer to a program that has a conversation summarised."""


def prompt(script: str, text: str = "Peruse the almanac of Wendover") -> str:
    """What a person types to have a script played."""
    return f"{text} (by the script {script})"


def answer(*says: str | Thought | Call, tokens: tuple[int, int, int, int], **more: Any) -> Answer:
    """One answer; ``tokens`` as in `Tokens`."""
    return Answer(says, Tokens(*tokens), **more)


def bash(command: str, **more: Any) -> Call:
    """A command of the shell."""
    return Call("Bash", {"command": command, "description": "Scripted", **more})


def agent(script: str, kind: str = "general-purpose", *, background: bool = False) -> Call:
    """A subagent."""
    told = {"description": "Scripted help", "subagent_type": kind, "prompt": prompt(script, "Survey the heath")}
    return Call("Agent", told | {"run_in_background": background})


UNTIL_TOLD = "touch {work}/begun; while [ ! -e {work}/go ]; do sleep 0.05; done"
"""A command that says that it runs, and does so until there is a file that a test makes."""
SECRET = "sk-ant-wendover-0123456789abcdefghij"
"""Something that looks like a key, in an input and an output of tools."""

SCRIPTS: dict[str, Script] = {
    "text": Script((answer("Only words.", tokens=(11, 13, 17, 19)),)),
    "more": Script((answer("More words.", tokens=(23, 29, 31, 37)),)),
    "basic": Script(
        (
            answer(Thought("A greeting first."), "Beginning.", bash(f"echo {SECRET}"), tokens=(101, 31, 0, 2003)),
            answer(Call("Write", {"file_path": "{work}/notes.txt", "content": "chalk\ncheese\n"}), tokens=(103, 37, 2003, 211)),
            answer(Call("Read", {"file_path": "{work}/notes.txt"}), tokens=(107, 41, 2214, 223)),
            answer(
                Call("Edit", {"file_path": "{work}/notes.txt", "old_string": "cheese", "new_string": "flint"}),
                tokens=(109, 43, 2437, 227),
            ),
            answer(Call("Read", {"file_path": "{work}/missing.txt"}), tokens=(113, 47, 2664, 229)),
            answer(bash("echo unwell >&2; exit 3"), tokens=(127, 53, 2893, 233)),
            answer(agent("basic-help"), tokens=(131, 59, 3126, 239)),
            answer("All is done.", tokens=(137, 61, 3365, 241)),
        )
    ),
    "basic-help": Script(
        (
            answer("Looking.", bash("ls {work}"), tokens=(17, 11, 0, 307)),
            answer(Call("Read", {"file_path": "{work}/nowhere.txt"}), tokens=(19, 13, 307, 29)),
            answer("One file.", tokens=(23, 14, 336, 37)),
        ),
        is_subagents=True,
    ),
    "parallel": Script(
        (
            answer(
                "Three at once.",
                bash("sleep 0.4; echo a"),
                bash("exit 4"),
                Call("Read", {"file_path": "{work}/seed.txt"}),
                tokens=(53, 59, 83, 71),
            ),
            answer(agent("parallel-one"), agent("parallel-two", "Explore"), tokens=(57, 61, 87, 73)),
            answer("Both are done.", tokens=(63, 67, 89, 79)),
        )
    ),
    "parallel-one": Script(
        (answer(bash("sleep 0.3; echo one"), tokens=(5, 7, 9, 11)), answer("One.", tokens=(13, 15, 17, 19))), is_subagents=True
    ),
    "parallel-two": Script(
        (answer(bash("sleep 0.2; exit 1"), tokens=(21, 23, 25, 27)), answer("Two.", tokens=(29, 31, 33, 35))), is_subagents=True
    ),
    "refused": Script(
        (
            answer(bash("touch {work}/forbidden"), tokens=(71, 73, 75, 77)),
            answer(Call("Read", {"file_path": "{work}/seed.txt"}), tokens=(79, 81, 83, 85)),
            answer("One call was refused.", tokens=(87, 89, 91, 93)),
        )
    ),
    "background": Script(
        (
            answer(agent("background-help", background=True), tokens=(1, 3, 5, 7)),
            answer(bash("sleep 0.6; echo behind", run_in_background=True), tokens=(9, 11, 13, 15)),
            answer(bash("sleep 1.5; echo before"), tokens=(17, 19, 21, 23)),
            answer("Waited.", tokens=(25, 27, 29, 31)),
        )
    ),
    "background-help": Script(
        (answer(bash("sleep 0.4; echo within"), tokens=(101, 203, 305, 407)), answer("Done.", tokens=(1009, 2003, 3007, 4013))),
        is_subagents=True,
    ),
    "long": Script((answer(bash(UNTIL_TOLD), tokens=(81, 83, 85, 87)), answer("At last.", tokens=(89, 91, 93, 95)))),
    "long-help": Script(
        (answer(bash(UNTIL_TOLD), tokens=(33, 35, 37, 39)), answer("Helped.", tokens=(41, 43, 45, 47))), is_subagents=True
    ),
    "helped": Script((answer(agent("long-help"), tokens=(49, 51, 53, 55)), answer("Thanks.", tokens=(57, 59, 61, 63)))),
    "overloaded": Script((answer("At the third try.", tokens=(65, 67, 69, 71), refused=(529, 500)),)),
    "given-up": Script((answer("Never.", tokens=(0, 0, 0, 0), always=400),)),
    "locked-out": Script((answer("Never.", tokens=(0, 0, 0, 0), always=401),)),
    "crowd": Script(
        (
            answer(*(bash(f"echo {n}") for n in range(64)), tokens=(641, 643, 645, 647)),
            answer("All.", tokens=(649, 651, 653, 655)),
        )
    ),
    "codex-basic": Script(
        (
            answer(bash(f"echo {SECRET}"), tokens=(1001, 31, 0, 0)),
            answer(bash("echo unwell >&2; exit 3"), bash("echo beside"), tokens=(103, 37, 1000, 0)),
            answer(Call("update_plan", {"plan": [{"step": "do it", "status": "completed"}]}), tokens=(107, 41, 1100, 0)),
            answer("All is done.", tokens=(109, 43, 1200, 0)),
        )
    ),
    "codex-helped": Script(
        (
            answer(Call("spawn_agent", {"message": prompt("codex-help", "Survey the heath")}), tokens=(301, 11, 0, 0)),
            answer(Call("wait_agent", {"targets": ["{agent}"], "timeout_ms": 20000}), tokens=(103, 13, 300, 0)),
            answer("Thanks.", tokens=(107, 17, 400, 0)),
        )
    ),
    "codex-help": Script(
        (answer(bash("echo within"), tokens=(2001, 19, 0, 0)), answer("Helped.", tokens=(103, 23, 2000, 0))), is_subagents=True
    ),
}
