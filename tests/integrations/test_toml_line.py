"""One line goes into a TOML file and comes out of it, and everything else stays as it is."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.integrations import toml_line
from pyjama_metrics.integrations.toml_line import TomlBroken

WORDS = ["/data/a b/pyjama-metrics-hook", "codex"]
LINE = 'notify = ["/data/a b/pyjama-metrics-hook", "codex"]'

pieces = st.sampled_from(
    [
        'model = "gpt" # dear',
        "# notify = 1",
        "",
        'text = """\n[no.table]\nnotify = 2\n"""',
        "list = [\n  1, # one\n  [2],\n]",
        "inline = { notify = 3 }",
        "raw = '''\nx'''",
        "number = nan",
    ]
)
tables = st.sampled_from(["[tui]\nnotify = true", "[[a]]\nb = 1", "  [profiles.x] # c", '["notify"]\nx = 1', "# end"])


@given(
    st.lists(pieces, unique=True, max_size=5),
    st.lists(tables, unique=True, max_size=3),
    st.booleans(),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_line_goes_in_and_comes_out_again(top: list[str], below: list[str], ends: bool, mark: str, newline: str) -> None:
    """Whatever stands around it: the characters of the rest are the same, and so is what they say."""
    text = mark + "\n".join([*top, *below]).replace("\n", newline) + newline * ends
    try:
        before = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        return  # two tables that do not go together
    if "notify" in before:
        return
    after = toml_line.put_in(text, "notify", WORDS)
    assert tomllib.loads(after.removeprefix("\ufeff"))["notify"] == WORDS
    assert after.count(LINE) == 1
    assert toml_line.take_out(after, "notify") in (text, text + newline, text + "\n")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", f"{LINE}\n"),
        ('model = "x"\n', f'model = "x"\n{LINE}\n'),
        ('model = "x"', f'model = "x"\n{LINE}\n'),
        ('# mine\nmodel = "x" # dear\n\n# its\n[tui]\na = 1\n', f'# mine\nmodel = "x" # dear\n{LINE}\n\n# its\n[tui]\na = 1\n'),
        ("[tui]\r\na = 1\r\n", f"{LINE}\r\n[tui]\r\na = 1\r\n"),
        ('a = """\n[x]\n"""\n[b]\n', f'{LINE}\na = """\n[x]\n"""\n[b]\n'),
    ],
)  # fmt: skip
def test_the_line_stands_among_the_keys_at_the_top(text: str, after: str) -> None:
    """After the last of them, or before all where a text looks like a table; below a table it would belong to that."""
    assert toml_line.put_in(text, "notify", WORDS) == after


@pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2", "[a", "\ud800"])
def test_what_is_no_toml_is_refused_with_its_place(text: str) -> None:
    """In the words of the reader."""
    with pytest.raises(TomlBroken, match=r"line \d|column|at end"):
        toml_line.put_in(text, "notify", WORDS)


def test_a_key_without_a_line_of_its_own_stays() -> None:
    """Whoever has written it in another way takes it out in an editor."""
    with pytest.raises(TomlBroken, match="'notify' has no line of its own"):
        toml_line.take_out('notify = [\n  "pyjama-metrics-hook",\n]\n', "notify")
