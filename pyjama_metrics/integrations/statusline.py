"""The status line of Claude Code: tell the hub what Claude Code says, then print the user's own line, or one of ours.

Claude Code runs this several times a minute and shows what it prints, so it is quick (it is called as a script, without ``site``,
and imports what it needs when it needs it) and prints nothing but a status line: no failure of ours is anybody's to see.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Called by its path in an isolated interpreter: the package is where this file is.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

LONGEST_WAIT = 10.0
"""Seconds that the user's own status line command may take."""
_TIMED_OUT = 124
LARGEST = 1 << 20
"""Bytes that are read of what Claude Code says."""
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "grey": "90"}
_UNKNOWN = "–"
_BETWEEN = " · "
_NAME_CHARACTERS = 40
_WARN, _ALARM = 60.0, 85.0
"""Per cent from which on a share is yellow, and red."""
_LIMITS = {"five_hour": "5h", "seven_day": "7d"}
_LARGEST_TOLD = 1e12


def main(words: Sequence[str] | None = None) -> int:
    """Record what stdin says and print a line.

    Args:
        words: ``--then COMMAND`` is the user's own status line command, ``--config FILE`` has his prices; by default those of
            this process.

    Returns:
        The exit code of that command, or 0.
    """
    options = _options(list(sys.argv[1:] if words is None else words))
    data = _read_all(0)
    payload = _parsed(data)
    now = time.time()
    _record(payload, now)
    if options.get("--then"):
        return _previous(options["--then"], data)
    try:
        text = line(payload, now, cost_of_today(now, options.get("--config")))
        os.write(1, text.encode("utf-8", "replace") + b"\n")
    except Exception:
        return 0
    return 0


def line(payload: dict[str, Any], now: float, today: str | None) -> str:
    """Our own status line: model, context, cost of the session and of today, limits of the plan. What is not known is a dash."""
    percent = number(_inside(payload, "context_window", "used_percentage"))
    cost = number(_inside(payload, "cost", "total_cost_usd"))
    told = _UNKNOWN if cost is None else f"${cost:,.2f}"
    parts = [
        _paint(_model(payload), "cyan"),
        "context " + (_UNKNOWN if percent is None else _share(percent)),
        f"{told} {_paint('session', 'grey')}",
        f"{today or _UNKNOWN} {_paint('today', 'grey')}",
    ]
    for name, (used, resets_ms) in limits_of(payload).items():
        until = f" {_paint('until ' + _clock(resets_ms / 1000, now), 'grey')}" if resets_ms else ""
        parts.append(f"{_LIMITS.get(name, name)} {_share(used)}{until}")
    return _BETWEEN.join(parts)


def fields_of(payload: dict[str, Any]) -> dict[str, object]:
    """What of the payload is kept: figures, and no names of people's work."""
    window = _inside(payload, "context_window", "context_window_size")
    model = _inside(payload, "model", "id")
    tokens = _context_tokens(payload)
    return {
        "hook": "StatusLine",
        "model": model if isinstance(model, str) and model else None,
        "cost-usd": number(_inside(payload, "cost", "total_cost_usd")),
        "context-percent": number(_inside(payload, "context_window", "used_percentage")),
        "context-tokens": tokens,
        "context-window": _whole(window),
        "limits": {name: list(told) for name, told in limits_of(payload).items()} or None,
    }


def limits_of(payload: dict[str, Any]) -> dict[str, tuple[float, int]]:
    """The limits of the user's plan: name to per cent used and when it begins anew (ms since the epoch, 0 if unknown)."""
    told = payload.get("rate_limits")
    found = {}
    for name, limit in list(told.items())[:8] if isinstance(told, dict) else ():
        used = number(_inside({"limit": limit}, "limit", "used_percentage"))
        if used is not None and 0 < len(name) <= _NAME_CHARACTERS:
            found[_harmless(name)] = used, _moment_ms(_inside({"limit": limit}, "limit", "resets_at"))
    return found


def number(value: object) -> float | None:
    """A figure of the payload that can be one; None for anything else."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _LARGEST_TOLD
    return float(value) if usable and isinstance(value, (int, float)) else None


def cost_of_today(now: float, config_path: str | None = None) -> str | None:
    """What all agents cost since midnight, by the figures of the hub as they are; with a ``+`` if some calls have no price.

    None where nothing is known.
    """
    import json

    from pyjama_metrics import settings
    from pyjama_metrics.days import local_midnight
    from pyjama_metrics.storage import files, names

    try:
        state = json.loads(files.read_whole(names.snapshot_path(settings.home())))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(state, dict):
        return None
    from pyjama_metrics.slice_costs import cost_since

    cost = cost_since(state, local_midnight(now), _prices(config_path))
    if cost.total_micros is None:
        return None
    return f"${cost.total_micros / 1_000_000:,.2f}" + ("+" if cost.unpriced_requests else "")


def _prices(path: str | None) -> Any:
    """The user's own prices, if he has any. What is wrong with them is told by the commands that show costs."""
    from pyjama_metrics import settings

    path = settings.config() or path
    if path is None or not os.path.exists(path):
        return None
    import tomllib
    from decimal import Decimal

    from pyjama_metrics.pricing import overrides_of

    try:
        with open(path, encoding="utf-8-sig") as file:
            told = tomllib.loads(file.read(LARGEST), parse_float=Decimal).get("prices")
    except (OSError, ValueError, RecursionError):
        return None
    return overrides_of(told)[0] if isinstance(told, dict) else None


def _options(words: list[str]) -> dict[str, str]:
    return dict(zip(words[::2], words[1::2], strict=False))


def _read_all(descriptor: int) -> bytes:
    parts = []
    try:
        while part := os.read(descriptor, 1 << 16):
            parts.append(part)
    except OSError:
        parts.append(b"")  # closed: there is nothing to read
    return b"".join(parts)


def _parsed(data: bytes) -> dict[str, Any]:
    import json

    if len(data) > LARGEST:
        return {}
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _record(payload: dict[str, Any], now: float) -> None:
    """Append one line to the session's journal, as a hook does; neither the line nor the user's command depends on that."""
    try:
        from pyjama_metrics.integrations.session_lines import append

        append("claude-code", payload, fields_of(payload), int(now * 1000))
    except Exception:
        return


def _previous(command: str, data: bytes) -> int:
    """Run the user's own command with what we were given; its output and its exit code are ours."""
    import signal
    import subprocess

    child: subprocess.Popen[bytes] | None = None

    def end(number: int, _frame: object) -> None:
        if child is not None:
            _kill_group(child.pid)
        os._exit(128 + number)

    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, end)
    try:
        child = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
    except (OSError, ValueError):
        return 0
    try:
        out, _ = child.communicate(data, timeout=LONGEST_WAIT)
        code = child.returncode
    except subprocess.TimeoutExpired:
        _kill_group(child.pid)
        out, _ = child.communicate()
        code = _TIMED_OUT
    _write_all(1, out)
    return code if code >= 0 else 128 - code


def _kill_group(pid: int) -> None:
    import signal

    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        return  # nobody reads it any more


def _inside(payload: dict[str, Any], *path: str) -> object:
    value: object = payload
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _whole(value: object) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _context_tokens(payload: dict[str, Any]) -> int | None:
    """Tokens that the conversation has: those of the last call's input, whatever of it came from a cache."""
    usage = _inside(payload, "context_window", "current_usage")
    if not isinstance(usage, dict):
        return None
    parts = [_whole(usage.get(name)) for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")]
    return None if parts[0] is None else sum(part or 0 for part in parts)


def _moment_ms(value: object) -> int:
    """A time in seconds or milliseconds since the epoch, or in ISO 8601, in milliseconds; 0 for what is none."""
    seconds = number(value)
    if isinstance(value, str):
        from datetime import datetime

        try:
            seconds = datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            return 0
    if seconds is None or seconds < 0:
        return 0
    return int(seconds if seconds > 1e11 else seconds * 1000)


def _model(payload: dict[str, Any]) -> str:
    for name in ("display_name", "id"):
        found = _inside(payload, "model", name)
        if isinstance(found, str) and found.strip():
            return _harmless(found)
    return _UNKNOWN


def _harmless(text: str) -> str:
    """A name on one line and no longer than it should be."""
    kept = "".join(character if character.isprintable() else "?" for character in text[: _NAME_CHARACTERS + 1])
    return kept if len(kept) <= _NAME_CHARACTERS else kept[: _NAME_CHARACTERS - 1] + "…"


def _share(percent: float) -> str:
    return _paint(f"{percent:.0f} %", "red" if percent >= _ALARM else "yellow" if percent >= _WARN else "green")


def _clock(then: float, now: float) -> str:
    """A moment of the next days: the time, and the day where it is not today's."""
    try:
        moment, today = time.localtime(then), time.localtime(now)
    except (OverflowError, ValueError, OSError):
        return _UNKNOWN
    text = time.strftime("%H:%M", moment)
    if moment[:3] == today[:3]:
        return text
    return time.strftime("%a ", moment) + text if 0 < then - now < 6 * 86_400 else time.strftime("%Y-%m-%d", moment)


def _paint(text: str, colour: str) -> str:
    return text if os.environ.get("NO_COLOR") else f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


if __name__ == "__main__":
    code = main()
    # Nothing is left to flush or to tidy, and Claude Code waits for the end.
    os._exit(code)
