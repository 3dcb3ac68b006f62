"""Content is kept without what looks like a secret."""

from __future__ import annotations

import time

import pytest

from pyjama_metrics.integrations.redaction import redacted, shown

SECRET = "swordfishABCDEFGH12345678"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\nMIIB\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        f"export OPENAI_API_KEY=sk-{SECRET}",
        f"sk-ant-api03-{SECRET}",
        f"git clone https://x-access-token:ghp_{SECRET}@github.com/a/b",
        f"use ghp_{SECRET} and gho_{SECRET}",
        f"github_pat_{SECRET}",
        f"glpat-{SECRET}",
        f"xoxb-1-{SECRET} xoxp-{SECRET}",
        "AKIASWORDFISHABCD123",
        f"eyJhbGciOiJIUzI1NiJ9.eyJ{SECRET}.{SECRET}",
        PEM,
        f"before {PEM} behind",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f"password={SECRET}",
        f"PASSWORD = '{SECRET} with blanks'",
        f'{{"password": "{SECRET}"}}',
        f'{{"db_password": "a\\"{SECRET}"}}',
        f'curl -d "{{\\"client_secret\\": \\"{SECRET}\\"}}"',
        f"secret: {SECRET}",
        f"Token={SECRET}\\tail{SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"api-key: {SECRET}",
        f"apikey={SECRET}&x=1",
        f"login --password {SECRET} --user me",
        f"login --api-key '{SECRET}'",
        f"postgres://me:{SECRET}@db:5432/x",
        f"https://:{SECRET}@host",
        f"https://me:a@{SECRET}@host",
        f"curl -H 'Authorization: Bearer {SECRET}' x",
        f"Authorization: Basic {SECRET}",
        f'"Authorization": "Token {SECRET}"',
        f"Cookie: sid={SECRET}; other={SECRET}",
        f"x-api-key: {SECRET}",
        f"bearer {SECRET}",
        f"a=1\npassphrase={SECRET}\nb=2",
    ],
)
def test_a_secret_is_taken_out(text: str) -> None:
    """As a text, and as a string somewhere in JSON."""
    for result in (redacted(text), shown({"command": [text, {text: 1}]})):
        assert "swordfish" not in result.lower()
        assert "[redacted]" in result


@pytest.mark.parametrize(
    "name", ["password", "API_KEY", "authToken", "client_secret", "Authorization", "cookie", "aws_secret_access_key"]
)
def test_what_is_called_a_secret_is_one(name: str) -> None:
    """Whatever it looks like, at any depth."""
    assert "hunter2" not in shown({"a": [{name: "hunter2"}]})


@pytest.mark.parametrize(
    "text",
    [
        "Please add a password field to the form.",
        "the task-notification of a risk-averse person",
        "git commit -m 'tokens are counted'",
        "https://example.org/a:b/c?d=e@f",
        "ls -la /home/dev/work && make -j4 test",
        "the author is authorised; basic auth",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Content that is all redacted is of no use."""
    assert redacted(text) == text


def test_content_is_cut_and_no_secret_begins_where_the_look_ended() -> None:
    """A secret that goes on behind what was looked at looks like none."""
    assert shown("x" * 2000) == "x" * 2000
    assert shown("x" * 2001) == "x" * 1999 + "…"
    long = "-----BEGIN KEY-----" + "a" * 15_900 + "-----END KEY-----" + f" https://me:{SECRET}@host" + "b" * 9_000
    for shift in range(80):
        assert "swordfish" not in shown("c" * shift + long)
    assert len(shown({"a": ["y" * 5000] * 1000, "b": 1})) == 2000


def test_anything_can_be_shown() -> None:
    """As JSON for people."""
    assert shown({"a": [1, True, None, 1.5, "ü\n"], "b": {}}) == '{"a":[1,true,null,1.5,"ü\\n"],"b":{}}'
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    assert shown(deep) == "[" * 8 + "…" + "]" * 8


@pytest.mark.parametrize(
    "part",
    [
        ":",
        "a:",
        "://a:",
        "token",
        "token ",
        "-",
        "--token ",
        "eyJ-",
        "eyJaaaaa.",
        'password="\\',
        "\\",
        "-----BEGIN A-----",
        "sk-",
        '"',
        "cookie:",
    ],
)
def test_a_hostile_text_takes_no_time(part: str) -> None:
    """A hook must not be kept by a pattern that tries everything."""
    begin = time.perf_counter()
    shown(part * 300_000)
    assert time.perf_counter() - begin < 1.0
