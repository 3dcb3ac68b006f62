"""pyjama-metrics: what agents in separate processes do, in one shared file, while they do it.

The names below are the front door. Each is loaded when it is first used, because an agent that only records should not pay
for reading.
"""

from __future__ import annotations

from pyjama_metrics.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyjama_metrics.correcting import correct_run
    from pyjama_metrics.hooks import get_hooks, register_hook, run_hooks, shared_metrics_hook, unregister_hook
    from pyjama_metrics.reading import clear_metrics, flush, get_dashboard_data, read_metrics
    from pyjama_metrics.recorder import (
        child_env,
        lost_events,
        record_agent_activity,
        record_agent_complete,
        record_agent_start,
        record_agent_waiting,
        record_error,
        record_llm_usage,
        record_message,
        record_step_complete,
        record_step_start,
        record_tool_execution,
        record_workflow_info,
    )
    from pyjama_metrics.tracking import track_agent, track_tool

_HOME = {
    "child_env": "recorder",
    "clear_metrics": "reading",
    "correct_run": "correcting",
    "flush": "reading",
    "get_dashboard_data": "reading",
    "get_hooks": "hooks",
    "lost_events": "recorder",
    "read_metrics": "reading",
    "record_agent_activity": "recorder",
    "record_agent_complete": "recorder",
    "record_agent_start": "recorder",
    "record_agent_waiting": "recorder",
    "record_error": "recorder",
    "record_llm_usage": "recorder",
    "record_message": "recorder",
    "record_step_complete": "recorder",
    "record_step_start": "recorder",
    "record_tool_execution": "recorder",
    "record_workflow_info": "recorder",
    "register_hook": "hooks",
    "run_hooks": "hooks",
    "shared_metrics_hook": "hooks",
    "track_agent": "tracking",
    "track_tool": "tracking",
    "unregister_hook": "hooks",
}

__all__ = [
    "__version__",
    "child_env",
    "clear_metrics",
    "correct_run",
    "flush",
    "get_dashboard_data",
    "get_hooks",
    "lost_events",
    "read_metrics",
    "record_agent_activity",
    "record_agent_complete",
    "record_agent_start",
    "record_agent_waiting",
    "record_error",
    "record_llm_usage",
    "record_message",
    "record_step_complete",
    "record_step_start",
    "record_tool_execution",
    "record_workflow_info",
    "register_hook",
    "run_hooks",
    "shared_metrics_hook",
    "track_agent",
    "track_tool",
    "unregister_hook",
]


def __getattr__(name: str) -> object:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # __import__, not importlib.import_module: the latter is another module to load on the write road.
    value = getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
