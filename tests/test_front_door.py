"""What ``pyjama_metrics`` offers: the names that are a promise to users, all of them and no others."""

from __future__ import annotations

import inspect

import pytest

import pyjama_metrics

PROMISED = {
    "record_agent_start": "agent_id, *, parent, spec, labels",
    "record_agent_activity": "agent_id, tool_name, status",
    "record_tool_execution": "tool_name, agent_id, status, duration_ms, error",
    "record_agent_complete": "agent_id, status, error",
    "record_agent_waiting": "agent_id, reason",
    "record_step_start": "agent_id, step_id",
    "record_step_complete": "agent_id, step_id, status",
    "record_workflow_info": "agent_id, steps",
    "record_message": "agent_id, role",
    "record_error": "agent_id, message",
    "record_llm_usage": (
        "agent_id, model, input_tokens, output_tokens, *, cache_read_tokens, cache_write_tokens, phase, "
        "cost_usd, request_id, source"
    ),
    "track_agent": "name",
    "track_tool": "name",
    "register_hook": "tool_name, function",
    "unregister_hook": "tool_name",
    "get_hooks": "tool_name",
    "run_hooks": "payload",
    "shared_metrics_hook": "payload",
    "child_env": "agent_id",
    "lost_events": "",
    "flush": "timeout",
    "read_metrics": "",
    "get_dashboard_data": "",
    "clear_metrics": "",
    "correct_run": "run, reason, *, agent, model, input_tokens, output_tokens, requests, cost_usd",
}
"""Each call and the names of its arguments; it may take more, optional ones."""


def test_the_front_door_lists_exactly_what_it_opens() -> None:
    """``__all__``, ``dir()`` and what can be imported are one list, and it is sorted."""
    names = list(pyjama_metrics.__all__)
    assert names == sorted(names)
    assert set(names) == {*PROMISED, "__version__"}
    assert {name for name in dir(pyjama_metrics) if not name.startswith("_")} == {
        name for name in names if not name.startswith("_")
    }
    assert [name for name in names if not hasattr(pyjama_metrics, name)] == []


def test_a_star_import_brings_the_same() -> None:
    """``from pyjama_metrics import *`` gives each of them, the lazy ones too."""
    brought: dict[str, object] = {}
    exec("from pyjama_metrics import *", brought)
    assert set(brought) - {"__builtins__"} == set(pyjama_metrics.__all__)


@pytest.mark.parametrize("name", PROMISED)
def test_a_call_takes_the_arguments_that_were_promised(name: str) -> None:
    """Names, order and kind of arguments stay; what is added is optional and comes by keyword."""
    parameters = inspect.signature(getattr(pyjama_metrics, name)).parameters.values()
    positional, _, keyword = PROMISED[name].partition("*")
    promised_order = [part for part in positional.replace(" ", "").split(",") if part]
    promised_keywords = {part for part in keyword.replace(" ", "").split(",") if part}
    by_position = [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    assert by_position[: len(promised_order)] == promised_order
    assert promised_keywords <= {parameter.name for parameter in parameters}
    added = [one for one in parameters if one.name not in {*promised_order, *promised_keywords}]
    assert [one.name for one in added if one.default is one.empty and one.kind is one.KEYWORD_ONLY] == []


@pytest.mark.parametrize("name", PROMISED)
def test_a_call_says_what_it_promises(name: str) -> None:
    """``help()`` has an answer."""
    assert inspect.getdoc(getattr(pyjama_metrics, name))


def test_a_name_that_is_not_offered_is_an_attribute_error() -> None:
    """A typing mistake is answered as any module answers it."""
    with pytest.raises(AttributeError, match="record_everything"):
        _ = pyjama_metrics.record_everything
