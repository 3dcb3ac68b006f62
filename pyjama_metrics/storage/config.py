"""The user's configuration file, ``config.toml``: read by whoever shows figures, never by whoever records.

Reading it does not raise: what is wrong becomes a sentence, and what is not there has its default. A section that is not known
here is left alone; another version of this program may know it.
"""

from __future__ import annotations

import errno
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pyjama_metrics import settings
from pyjama_metrics.pricing import Overrides, overrides_of
from pyjama_metrics.storage.files import NotAFile, Signature, read_whole, signature
from pyjama_metrics.storage.places import configuration_folder

NAME = "config.toml"

PROJECT = "{project}"
"""In the name of an agent: that of the project on which it works."""
LARGEST = 1_000_000
"""Bytes that are read at most: a longer file is something else."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says.

    Attributes:
        path: where it is, or would be.
        prices: the section ``prices``, the user's own prices.
        agent_names: how the agents of sessions are named, ``agent`` in the section ``sessions``.
        problems: a sentence for each thing that is wrong with the file; what it is about has its default.
    """

    path: str
    prices: Overrides = field(default_factory=Overrides)
    agent_names: str = PROJECT
    problems: tuple[str, ...] = ()


def path() -> str:
    """Where the file is looked for: ``$PYJAMA_CONFIG``, else in the user's configuration folder. It need not exist."""
    return settings.config() or os.path.join(configuration_folder(), NAME)


def load(file: str | None = None) -> Config:
    """Read the file, or the one at ``file``."""
    file = path() if file is None else file
    try:
        document = _document(file)
    except FileNotFoundError:
        return Config(file)
    except OSError as error:
        return Config(file, problems=(_unused(file, error.strerror or str(error)),))
    except UnicodeDecodeError:
        return Config(file, problems=(_unused(file, "it is not in UTF-8"),))
    except (ValueError, RecursionError) as error:  # which tomllib's own error is
        return Config(file, problems=(_unused(file, f"it is not TOML: {error}"),))
    prices, problems = _section(document, "prices", file)
    overrides, wrong = overrides_of(prices, file)
    sessions, unusable = _section(document, "sessions", file)
    names = sessions.get("agent", PROJECT)
    if not isinstance(names, str) or PROJECT not in names:
        unusable += (
            f"agent in [sessions] of {file} is not used: it is a text with {PROJECT} in it, such as '{{source}} {PROJECT}'.",
        )
        names = PROJECT
    return Config(file, overrides, names, (*problems, *wrong, *unusable))


class PricesNow:
    """The prices in the file, for whoever asks again and again: it is read anew when it was changed."""

    def __init__(self) -> None:
        self._path = path()
        self._read: tuple[Signature | None, Overrides] | None = None

    def __call__(self) -> Overrides:
        """The same object until the file is changed. Costs one `os.stat`; never raises."""
        try:
            there = signature(self._path)
        except OSError:
            there = None  # reading it says why, to whoever asks for the problems
        if self._read is None or self._read[0] != there:
            self._read = there, load(self._path).prices
        return self._read[1]


def _document(file: str) -> Mapping[str, object]:
    there = signature(file)
    if there is not None and there[2] > LARGEST:
        raise NotAFile(errno.EFBIG, f"it has more than {LARGEST:,} bytes", file)
    return tomllib.loads(read_whole(file).decode("utf-8-sig"), parse_float=Decimal)


def _section(document: Mapping[str, object], name: str, file: str) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """A section of the file, and what is wrong with it; empty where it is missing."""
    section = document.get(name, {})
    if isinstance(section, Mapping):
        return section, ()
    return {}, (
        f"{name} in {file} is no section, so it is not used. Write [{name}.…] on a line of its own, and the entries below.",
    )


def _unused(file: str, reason: str) -> str:
    return f"Cannot read {file}: {reason}. Defaults are used instead. Mend that, or remove the file."
