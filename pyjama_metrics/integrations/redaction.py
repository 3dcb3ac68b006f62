"""Content as it is kept, where somebody has asked for it: short, and without what looks like a secret.

Looks like: nobody can know. What is told apart is in the table below; too much is taken rather than too little.
"""

from __future__ import annotations

import re
from _json import encode_basestring as _quote
from collections.abc import Iterable

from pyjama_metrics.events import MAX_TEXT, encode

GONE = "[redacted]"
"""What stands where a secret was."""
READ = 16_000
"""Characters that are looked at of one text."""
UNSURE = 4_000
"""Of a text that is longer, so much of what was looked at is left out again: a secret may go on behind it, and then looks like
none."""
DEEPEST = 8

_SECRET = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)s?"
_VALUE = r"""(?:\\*"(?:\\.|[^"\\])*(?:\\*"|\Z)|\\*'(?:\\.|[^'\\])*(?:\\*'|\Z)|[^\s"']+)"""
_PATTERNS = (
    # What goes over several lines is first.
    (r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", GONE),
    (r"(?i)\b((?:proxy-)?authorization|x-api-key|(?:set-)?cookie)(\\*[\"']?\s*[:=]\s*\\*[\"']?)[^\r\n\"']+", rf"\1\2{GONE}"),
    (r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{6,}", rf"\1\2{GONE}"),
    (r"://[^/\s\"'@:]*:[^/\s\"']*@", f"://{GONE}@"),
    (r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?", GONE),
    (r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{8,}", GONE),
    (r"(?<![A-Za-z0-9])(?:gh[a-z]_|github_pat_|glpat-|xox[a-z]-|hf_|npm_)[A-Za-z0-9_-]{8,}", GONE),
    (r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{12,}", GONE),
    (r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{20,}", GONE),
    (rf"(?i)({_SECRET}[\w-]{{0,40}}\\*[\"']?\s*[=:]+>?\s*){_VALUE}", rf"\1{GONE}"),
    (rf"(?i)(--?[\w-]{{0,40}}{_SECRET}\s+){_VALUE}", rf"\1{GONE}"),
)
_RULES = tuple((re.compile(pattern, re.DOTALL), instead) for pattern, instead in _PATTERNS)
_SECRET_NAME = re.compile(rf"(?i){_SECRET}[\w-]{{0,40}}\Z|authorization|cookie")


def redacted(text: str) -> str:
    """``text``, or its beginning, without what looks like a secret.

    >>> redacted("curl -H 'Authorization: Bearer abc.def' https://me:hunter2@host/ --token 0815")
    "curl -H 'Authorization: [redacted]' https://[redacted]@host/ --token [redacted]"
    """
    is_longer = len(text) > READ
    text = text[:READ]
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text[:-UNSURE] if is_longer else text


def shown(value: object) -> str:
    """A text, or anything else as JSON, redacted and of at most ``MAX_TEXT`` characters."""
    text = redacted(value) if isinstance(value, str) else _as_json(value, DEEPEST)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _as_json(value: object, depth: int) -> str:
    """JSON for people: it is cut, so nobody can read it back."""
    if isinstance(value, str):
        return _quote(redacted(value))
    if not isinstance(value, (dict, list)):
        return encode(value)
    if not depth:
        return "…"
    if isinstance(value, list):
        return "[" + _joined(_as_json(item, depth - 1) for item in value) + "]"
    return "{" + _joined(f"{_quote(redacted(name))}:{_member(name, item, depth - 1)}" for name, item in value.items()) + "}"


def _member(name: str, value: object, depth: int) -> str:
    is_secret = isinstance(value, (str, int, float)) and _SECRET_NAME.search(name[:READ])
    return _quote(GONE) if is_secret else _as_json(value, depth)


def _joined(parts: Iterable[str]) -> str:
    """As many of the parts as may be seen in the end."""
    kept, size = [], 0
    for part in parts:
        kept.append(part)
        size += len(part)
        if size > MAX_TEXT:
            break
    return ",".join(kept)
