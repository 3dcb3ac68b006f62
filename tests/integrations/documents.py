"""Settings as people have them: random documents, written in random ways."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

NAME = "pyjama-metrics-hook"
EVENTS = ("PreToolUse", "Stop", "SessionEnd")

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
keys = st.one_of(texts, st.sampled_from(["env", "model", "permissions", "statusLine", "\u2028", 'a"b', "//", "/*"]))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), texts, st.just(1.5e300)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)
handlers = st.one_of(
    st.fixed_dictionaries({"type": st.just("command"), "command": st.sampled_from(["true", "echo pyjama-metrics-hook", "a 'b"])}),
    st.fixed_dictionaries({"type": st.just("http"), "url": texts}),
    values,
)
groups = st.one_of(
    st.fixed_dictionaries({"hooks": st.lists(handlers, max_size=3)}, optional={"matcher": texts}),
    values.filter(lambda value: value != {"hooks": []}),
)
hooks = st.dictionaries(st.sampled_from([*EVENTS, "Notification", "Other"]), st.lists(groups, max_size=3), max_size=4)
settings = st.builds(
    lambda first, held, last: {**first, **({} if held is None else {"hooks": held}), **last},
    st.dictionaries(keys.filter(lambda key: key != "statusLine"), values, max_size=3),
    st.one_of(st.none(), hooks),
    st.dictionaries(keys.filter(lambda key: key != "statusLine"), values, max_size=2),
)


@st.composite
def documents(draw: st.DrawFn, of: st.SearchStrategy[Any] = settings) -> str:
    """A document as text: any indent, any newline, comments and commas wherever they may be, a byte order mark."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    if draw(st.booleans()):
        return plainly(draw(of), draw(st.sampled_from([None, 0, 1, 2, 4, "\t"])), newline, draw(st.booleans()))
    space = st.sampled_from(["", " ", newline, "\t", newline + "  ", ' // a "{' + newline, "/* , } */", "/**/"])
    comma = st.sampled_from(["", "", ","])

    def write(value: Any) -> str:
        if isinstance(value, dict) and value:
            members = [draw(space) + json.dumps(k) + draw(space) + ":" + draw(space) + write(v) for k, v in value.items()]
            return "{" + (draw(space) + ",").join(members) + draw(space) + draw(comma) + draw(space) + "}"
        if isinstance(value, list) and value:
            return "[" + (draw(space) + ",").join(draw(space) + write(v) for v in value) + draw(comma) + draw(space) + "]"
        if value == {} or value == []:
            return json.dumps(value)[0] + draw(space) + json.dumps(value)[1]
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    return draw(st.sampled_from(["", "\ufeff"])) + draw(space) + write(draw(of)) + draw(space)


def plainly(value: Any, indent: int | str | None, newline: str, compact: bool) -> str:
    """A document as programs write it."""
    separators = (",", ":") if compact else ((", ", ": ") if indent is None else (",", ": "))
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=False)
    return text.replace("\n", newline) + newline
