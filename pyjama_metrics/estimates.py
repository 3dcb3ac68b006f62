"""Estimates of tokens from numbers of characters, for calls of which nobody tells the tokens. They are made only when asked for.

A token is about four characters of common English text, by the rule of thumb of OpenAI ("What are tokens and how to count them?",
help.openai.com); code, and other languages, have fewer characters a token. Of an answer one and a half times as much is taken:
what a model writes besides the text that one sees (its thinking, calls of tools, markup) is charged as output too. That factor is
a convention of this project and not a measurement, as no estimate is one: whatever is told is better.

Both are rounded up to whole tokens, so that only nothing is nothing.
"""

from __future__ import annotations

from pyjama_metrics.events import MAX_COUNT

CHARACTERS_A_TOKEN = 4


def input_tokens(characters: int) -> int:
    """The tokens of a prompt of so many characters.

    >>> [input_tokens(characters) for characters in (0, 1, 4, 5, 1000)]
    [0, 1, 1, 2, 250]
    """
    return -(-characters // CHARACTERS_A_TOKEN)


def output_tokens(characters: int) -> int:
    """The tokens of an answer of so many characters.

    >>> [output_tokens(characters) for characters in (0, 1, 4, 8, 1000)]
    [0, 1, 2, 3, 375]
    """
    return -(-3 * characters // (2 * CHARACTERS_A_TOKEN))


def characters_of(told: object) -> int | None:
    """How many characters a text has, or a number of characters as it is; None for what is neither."""
    if isinstance(told, str):
        return str.__len__(told)
    if isinstance(told, bool) or not isinstance(told, int):
        return None
    number = int.__index__(told)  # whatever a type of the caller's own makes of comparisons
    return number if 0 <= number <= MAX_COUNT else None
