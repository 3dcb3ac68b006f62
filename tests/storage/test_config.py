from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pyjama_metrics.pricing import Price, find
from pyjama_metrics.storage import config
from tests.waiting import run_python

GOOD = '[prices."my-model"]\ninput = 1.5\noutput = "0.000001"\n'
MINE = {"my-model": Price(1_500_000, 1)}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file of this test; it does not exist yet."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("PYJAMA_CONFIG", str(path))
    return path


def test_a_missing_file_is_fine(file: Path) -> None:
    """Nobody has to have one."""
    assert config.load() == config.Config(str(file))


def test_prices_are_read_exactly(file: Path) -> None:
    """Numbers are what is written, and not the binary number next to it."""
    file.write_text('[prices."my-model"]\ninput = 0.1\noutput = 0.3\ncache_read = 0\n')
    assert dict(config.load().prices.prices) == {"my-model": Price(100_000, 300_000, 0)}
    file.write_text('[prices."my-model"]\ninput = 0.10000000000000000001\noutput = 1\n')
    assert "finer than a millionth" in config.load().problems[0]
    file.write_text(GOOD)
    price = find("my-model", 0, config.load().prices)
    assert price is not None
    assert (price.source, price.overridden) == (str(file), True)


def test_it_lies_where_the_system_has_such_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Apart from the figures: removing those leaves a user his prices."""
    monkeypatch.delenv("PYJAMA_CONFIG", raising=False)
    path = Path(config.path())
    assert path.name == "config.toml"
    assert tmp_path / "user" in path.parents
    assert not path.is_relative_to(os.environ["PYJAMA_HOME"])
    path.parent.mkdir(parents=True)
    path.write_text(GOOD)
    assert dict(config.load().prices.prices) == MINE


def test_a_path_may_begin_at_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a person writes it."""
    monkeypatch.setenv("PYJAMA_CONFIG", "~/my.toml")
    assert config.path() == str(tmp_path / "user" / "my.toml")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[prices", "it is not TOML: "),
        (b"a = 1\na = 2\n", "it is not TOML: "),
        (b"[prices.\xff]\n", "it is not in UTF-8"),
        (b"a = " + b"[" * 100_000, "it is not TOML: "),
        (b"a = " + b"9" * 5000, "it is not TOML: "),
        (b"#" * 1_000_001, "it has more than 1,000,000 bytes"),
        (b"a = 1\x00", "it is not TOML: "),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_defaults_are_used(file: Path, content: bytes, reason: str) -> None:
    """One sentence: what, where, why, and what to do; nothing is raised."""
    file.write_bytes(content)
    found = config.load()
    assert (found.prices, len(found.problems)) == (config.Config("").prices, 1)
    assert found.problems[0].startswith(f"Cannot read {file}: {reason}")
    assert "Defaults are used instead." in found.problems[0]


def test_a_folder_or_a_pipe_in_its_place_is_told_at_once(file: Path) -> None:
    """A pipe that nobody writes to is not waited for."""
    file.mkdir()
    assert "it is no file" in config.load().problems[0]
    file.rmdir()
    os.mkfifo(file)
    reader = threading.Thread(target=config.load, daemon=True)
    reader.start()
    reader.join(10)
    assert not reader.is_alive()
    assert "it is no file" in config.load().problems[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(file: Path) -> None:
    """As of a file of somebody else."""
    file.write_text(GOOD)
    file.chmod(0)
    assert "Permission denied" in config.load().problems[0]


def test_a_wrong_section_costs_no_other(file: Path) -> None:
    """What is wrong is told and left out; what this version does not know is left alone."""
    file.write_text('prices = 3\n[days]\nstart = "monday"\n')
    assert config.load().problems == (
        f"prices in {file} is no section, so it is not used. Write [prices.…] on a line of its own, and the entries below.",
    )
    file.write_text(GOOD + "[prices.bad]\ninput = 1\n[days]\nstart = 1\n")
    found = config.load()
    assert (dict(found.prices.prices), len(found.problems)) == (MINE, 1)
    assert found.problems[0].startswith(f'[prices."bad"] in {file} is left out')


def test_a_mark_at_the_beginning_and_other_line_ends_are_read(file: Path) -> None:
    """As some editors save a file."""
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert dict(config.load().prices.prices) == MINE


def test_a_bad_file_changes_nothing_for_whoever_records(file: Path) -> None:
    """Recording does not even look at it: neither the file nor what reads it is loaded."""
    file.write_text("[prices")
    script = """
        import sys
        from pyjama_metrics import flush, record_agent_start, record_llm_usage
        record_agent_start("a")
        record_llm_usage("a", "claude-opus-4-8", 10, 20)
        assert flush(10)
        print(sorted(name for name in sys.modules if name in {"tomllib", "pyjama_metrics.storage.config"}))
    """
    with run_python(script) as child:
        assert child.communicate(timeout=30) == ("[]\n", "")


@pytest.mark.parametrize(
    ("text", "names", "problems"),
    [
        ("", "{project}", 0),
        ('[sessions]\nagent = "{source} in {project}"', "{source} in {project}", 0),
        ('[sessions]\nagent = "claude"', "{project}", 1),
        ("[sessions]\nagent = 7", "{project}", 1),
        ("sessions = 7", "{project}", 1),
    ],
)
def test_how_the_agents_of_sessions_are_named(tmp_path: Path, text: str, names: str, problems: int) -> None:
    """By their project at least: all sessions under one name would be one agent."""
    file = tmp_path / "config.toml"
    file.write_text(text)
    found = config.load(str(file))
    assert (found.agent_names, len(found.problems)) == (names, problems)
