"""What programs read, on stdout."""

from __future__ import annotations

import json
import sys


def print_json(document: object, indent: int | None = 2) -> None:
    """Print one JSON document; ``indent`` None puts it on one line.

    Characters stay readable where the output can hold them. A lone surrogate is written as its escape,
    which is valid JSON, by the error handler of the stream.
    """
    readable = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = json.dumps(document, ensure_ascii=not readable, indent=indent)
    # A terminal takes some characters for commands, or turns the text around; a program that reads gets them as they are.
    print(_escaped(text) if sys.stdout.isatty() else text)


def print_document(text: str) -> None:
    """Print a whole document as it is, as UTF-8: it is what it says of itself, whatever the terminal's encoding.

    A person at a terminal gets it harmless, as a terminal takes some characters for commands.
    """
    if sys.stdout is None:
        return  # closed, and print() would be silent too
    if sys.stdout.isatty():
        sys.stdout.write(_escaped(text.replace("\r\n", "\n")))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def _escaped(text: str) -> str:
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)
