from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyjama_metrics import price_table
from tests.cli.commands import PYJAMA, agent, in_terminal, pyjama, pyjama_process


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file of this test; it does not exist yet."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("PYJAMA_CONFIG", str(path))
    return path


def rows(text: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines() if line]


def asked(*words: str) -> dict[str, Any]:
    """What ``prices --json`` says."""
    answer = pyjama("prices", *words, "--json")
    assert (answer.returncode, answer.stderr) == (0, "")
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_all_models_are_listed_with_five_prices_each() -> None:
    """Aligned, in dollars per million tokens, with a dash for what nobody has published."""
    answer = pyjama("prices")
    assert (answer.returncode, answer.stderr) == (0, "")
    lines = rows(answer.stdout)
    assert lines[0] == ["MODEL", "INPUT", "WRITE", "5M", "WRITE", "1H", "READ", "OUTPUT", "SINCE", "LONG", "FROM"]
    found = {line[0]: line[1:] for line in lines}
    assert found["claude-opus-4-8"] == ["5.00", "6.25", "10.00", "0.50", "25.00", "–", "table"]
    assert found["openrouter/anthropic/claude-opus-4.8"] == ["5.00", "6.25", "–", "0.50", "25.00", "–", "table"]
    assert found["claude-haiku-5-5"][5:] == ["–", ">100,000", "table"]
    assert "deepseek-chat" not in found
    assert answer.stdout.splitlines()[-1].endswith(
        f"dollars per million tokens; the table is genai-prices {price_table.VERSION}, made on {price_table.MADE}."
    )


def test_one_model_is_shown_with_its_history_and_its_long_requests() -> None:
    """What holds now, what held before, for requests of which length, and who says so."""
    answer = pyjama("prices", "us.anthropic.claude-opus-4-8-v1:0")
    assert "regional.anthropic.claude-opus-4-8-v1:0  dollars per million tokens" in answer.stdout
    assert ["provider", "aws"] in rows(answer.stdout)
    source = ["genai-prices", price_table.VERSION]
    lines = rows(pyjama("prices", "claude-opus-4-6[1m]").stdout)
    assert lines[-3:] == [
        ["now", "2026-03-13", "any", "5.00", "6.25", "10.00", "0.50", "25.00", *source],
        ["before", "always", "up", "to", "200,000", "5.00", "6.25", "10.00", "0.50", "25.00", *source],
        ["before", "always", "above", "200,000", "10.00", "12.50", "20.00", "1.00", "37.50", *source],
    ]
    assert ["asked", "claude-opus-4-6[1m]"] in lines


def test_the_json_has_whole_numbers_and_where_they_come_from() -> None:
    """Micro-dollars per million tokens, times in milliseconds, and the making of the table."""
    found = asked("claude-sonnet-5-5[1m]")
    assert found["asked"] == "claude-sonnet-5-5[1m]"
    assert (found["now"]["name"], found["now"]["provider"]) == ("claude-sonnet-5-5", "anthropic")
    assert [(each["since"], each["cache-read"]) for each in found["history"]] == [(None, 200_000), (1_791_331_200_000, 100_000)]
    assert found["table"] == {
        "package": "genai-prices",
        "version": price_table.VERSION,
        "made": price_table.MADE,
        "models": price_table.MODELS,
        "unit": "micro-dollars per million tokens",
    }
    everything = {each["name"]: each for each in asked()["models"]}
    assert everything["claude-sonnet-5-5"] == found["now"]
    assert everything["claude-haiku-5-5"]["tiers"][0]["above-input-tokens"] == 100_000


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("claude-opos-4-8", "Did you mean claude-opus-4-8 or"),
        ("qqqqqqqqqqqqqqqqqqqqqqqq", "'pyjama-metrics prices' lists those that are known."),
        ("", "'pyjama-metrics prices' lists those that are known."),
        ("claude-opus-4-", "Did you mean"),
        ("\x1b[31mred", "'pyjama-metrics prices' lists"),
        ("x" * 100_000, "lists those that are known."),
    ],
)
def test_an_unknown_model_is_said_so_with_a_hint(name: str, hint: str, file: Path) -> None:
    """No price is made up; the next names are offered, and how to give it a price."""
    for form in ((), ("--json",)):
        answer = pyjama("prices", name, *form)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert answer.stderr.startswith("pyjama-metrics: There is no price for ")
        assert "so its usage is unpriced" in answer.stderr
        assert hint in answer.stderr
        assert str(file) in answer.stderr
        assert "\x1b" not in answer.stderr
        assert len(answer.stderr) < 1000


def test_a_model_that_is_left_out_is_said_so_with_the_reason() -> None:
    """It is known, and why it has no price."""
    answer = pyjama("prices", "deepseek-chat")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "deepseek-chat has no price: its price depends on the hour of the day." in answer.stderr


def test_an_override_is_said_to_win(file: Path) -> None:
    """In the list and for the model, with the file that it comes from; what it hides is still shown."""
    file.write_text('[prices."claude-opus-4-8"]\ninput = 1.5\noutput = 2\n\n[prices."my-own"]\ninput = 0\noutput = 0\n')
    lines = rows(pyjama("prices").stdout)
    assert ["claude-opus-4-8", "1.50", "–", "–", "–", "2.00", "–", "override"] in lines
    assert ["my-own", "0.00", "–", "–", "–", "0.00", "–", "override"] in lines
    shown = pyjama("prices", "claude-opus-4-8[1m]", env={"COLUMNS": "300"}).stdout
    assert f"your override in {file} wins, for all times" in shown
    assert [line[:3] for line in rows(shown)[-2:]] == [["now", "always", "any"], ["not", "used", "always"]]
    assert asked("claude-opus-4-8")["now"]["overridden"] is True
    assert [each["name"] for each in asked()["models"] if each["overridden"]] == ["claude-opus-4-8", "my-own"]


def test_an_override_of_one_name_is_listed_under_that_name(file: Path) -> None:
    """It is not mistaken for the model's own price."""
    file.write_text('[prices."claude-opus-4-8[1m]"]\ninput = 1\noutput = 2\n')
    lines = {line[0]: line[-1] for line in rows(pyjama("prices").stdout)}
    assert (lines["claude-opus-4-8"], lines["claude-opus-4-8[1m]"]) == ("table", "override")


def test_a_bad_file_is_told_and_changes_nothing_else(file: Path) -> None:
    """The same output as without it, and no other command fails or says anything."""
    before = {words: pyjama(*words).stdout for words in (("prices",), ("prices", "claude-opus-4-8"), ("show", "--json"))}
    for content, complaint in (
        ("[prices", f"Cannot read {file}: it is not TOML"),
        ('[prices."claude-opus-4-8"]\ninput = "much"\noutput = 1\n', "input is much, which is no price."),
        ("prices = 1", f"prices in {file} is no section"),
    ):
        file.write_text(content)
        for words in (("prices",), ("prices", "claude-opus-4-8")):
            answer = pyjama(*words)
            assert (answer.returncode, answer.stdout) == (0, before[words])
            assert complaint in answer.stderr
            assert answer.stderr.count("\n") == 1
        assert pyjama("record", "start", "a").stderr == ""
        assert agent("a")["status"] == "running"
        assert pyjama("show").stderr == ""


def test_it_is_read_only_and_needs_no_hub(home: Path) -> None:
    """Asking for a price creates nothing."""
    assert pyjama("prices", "claude-opus-4-8").returncode == 0
    assert not home.exists()
    assert list((home.parent / "user").iterdir()) == []


def test_colour_only_where_it_is_wanted() -> None:
    """On a terminal, and not there with NO_COLOR."""
    words = (*PYJAMA, "prices", "claude-opus-4-8")
    assert "\x1b[" in in_terminal(*words)[1]
    code, plain = in_terminal(*words, env={"NO_COLOR": "1"})
    assert (code, "\x1b[" in plain, "now" in plain) == (0, False, True)
    assert "\x1b[" not in pyjama("prices", "claude-opus-4-8").stdout


def test_a_narrow_terminal_and_plain_encodings_are_enough() -> None:
    """Names give way, and no character is used that the terminal has not."""
    narrow = pyjama_process("prices", env={"COLUMNS": "90"}).stdout
    assert max(map(len, narrow.splitlines()[:-1])) <= 90
    answer = pyjama_process("prices", env={"PYTHONIOENCODING": "ascii"})
    assert answer.returncode == 0
    assert answer.stdout.isascii()


def test_a_pipe_that_closes_early_is_no_error() -> None:
    """``prices | head -1`` ends in silence."""
    command = " ".join(PYJAMA) + " prices | head -1"
    code, shown = in_terminal("sh", "-c", command)
    assert (code, len(shown.splitlines())) == (0, 1)
