"""Where the operating system wants other files of ours to lie."""

from __future__ import annotations

import platformdirs

APP = "pyjama-metrics"


def runtime_folder() -> str:
    """A folder for small notes of running programs, on Linux in memory: it takes a note when the home's disk is full."""
    return platformdirs.user_runtime_dir(APP, appauthor=False)


def config_folder() -> str:
    """The folder of a user's own settings; ``rm -rf ~/.pyjama`` does not touch it."""
    return platformdirs.user_config_dir(APP, appauthor=False)
