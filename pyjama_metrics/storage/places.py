"""Where the operating system wants other files of ours to lie."""

from __future__ import annotations

import warnings
from functools import cache

import platformdirs

APP = "pyjama-metrics"


def configuration_folder() -> str:
    """Where a user's settings lie: apart from the figures, so that whoever removes those keeps his settings."""
    return platformdirs.user_config_dir(APP, appauthor=False)


def data_folder() -> str:
    """Where programs that others call by their path lie, and notes of what was installed: apart from the figures."""
    return platformdirs.user_data_dir(APP, appauthor=False)


@cache
def runtime_folder() -> str:
    """A folder for small notes of running programs, on Linux in memory: it takes a note when the home's disk is full."""
    with warnings.catch_warnings():
        # platformdirs warns where it falls back to a folder below /tmp. We check the folder's owner before we use it, and an
        # agent's stderr (or its -W error) is not ours to disturb.
        warnings.simplefilter("ignore")
        return platformdirs.user_runtime_dir(APP, appauthor=False)
