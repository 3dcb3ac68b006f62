"""The one door to orjson, with its surprises taken out.

orjson turns NaN and the infinities into null without a word, and refuses integers beyond 64 bits and lone surrogates with
an exception of its own. Nothing of that kind reaches the state (the recorder and the fold bound every value), so here it
is an error like any other.
"""

from __future__ import annotations

from typing import Any

import orjson


def dumps(value: Any) -> bytes:
    """``value`` as JSON in UTF-8. Raises ValueError for what JSON cannot hold."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:  # a TypeError
        raise ValueError(f"not representable in JSON: {error}") from error


def loads(data: bytes) -> Any:
    """The value of a JSON document. Raises ValueError."""
    return orjson.loads(data)
