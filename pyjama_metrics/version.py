"""The version, a plain text: asking importlib.metadata for it would cost each agent 20 ms."""

from __future__ import annotations

__version__ = "0.1.0"
