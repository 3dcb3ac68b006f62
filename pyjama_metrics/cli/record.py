"""``pyjama-metrics record``: one event from a shell, or from any program that can start a process."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyjama_metrics import recorder
from pyjama_metrics.cli import argument_types, terminal
from pyjama_metrics.cli.labels import add_labels
from pyjama_metrics.errors import RecordingFailed
from pyjama_metrics.events import TOKENS

DESCRIPTION = """\
Record one event. Each call is a process of its own, so what it records belongs to the shell that called it:
when that shell ends without 'record complete', the run is shown as crashed. --pid names another owner.
AGENT is the name that you give; '-' means the agent that started this shell (PYJAMA_RUN, set by
'pyjama-metrics run').
"""

EXAMPLES = """\
examples:
  run=$(pyjama-metrics record start nightly)
  pyjama-metrics record tool nightly backup --status ok --duration-ms 1520
  pyjama-metrics record tool nightly upload --status error --error "no route to host"
  pyjama-metrics record waiting nightly "for the lock of the archive"
  pyjama-metrics record complete nightly --run "$run"
  pyjama-metrics record llm nightly some-model --input-tokens 1200 --output-tokens 300
  pyjama-metrics record llm nightly some-model --estimate-prompt prompt.txt --estimate-answer answer.txt
  pyjama-metrics run -- sh -c 'pyjama-metrics record tool - compile'
"""

LABEL = "shell"
"""The first part of the journal's name: who reads the folder sees where it came from."""

Configure = Callable[[argparse.ArgumentParser], None]
Write = Callable[[argparse.Namespace, dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event: its word, what it is for, its own arguments, and the recorder's function for it."""

    name: str
    summary: str
    configure: Configure
    write: Write


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the kinds of events and their options."""
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    kinds = parser.add_subparsers(dest="kind_name", metavar="EVENT", title="events", required=True)
    for kind in KINDS:
        sub = kinds.add_parser(kind.name, help=kind.summary, description=kind.summary.capitalize() + ".", allow_abbrev=False)
        sub.add_argument(
            "agent", metavar="AGENT", type=argument_types.name, help="name of the agent; '-': the one that started us"
        )
        kind.configure(sub)
        if kind.name != "start":
            sub.add_argument(
                "--run",
                type=argument_types.name,
                metavar="RUN",
                help="the run it belongs to, as 'record start' printed it",
            )
        sub.add_argument(
            "--time",
            type=argument_types.moment,
            metavar="T",
            help="when it happened: ms since the epoch or ISO 8601 (now)",
        )
        sub.add_argument(
            "--pid",
            type=argument_types.process_id,
            metavar="PID",
            help="process that the event belongs to (the calling shell)",
        )
        sub.add_argument("--json", action="store_true", help="print what was recorded as JSON")
        sub.set_defaults(kind=kind)


def run(arguments: argparse.Namespace) -> int:
    """Record the event, count it at once if nobody else is at it, and print the run id of a start."""
    where = _target(arguments)
    owner = _owner(arguments.pid)
    if where is None or owner is None:
        return 2
    if arguments.kind.name == "complete" and "run" not in where and not _choose_run(where):
        return 1
    arguments.agent = where.pop("agent")
    if arguments.time is not None:
        where["time_ms"] = arguments.time
    try:
        # Here somebody waits for an answer: what cannot be recorded is said, not counted in silence.
        recorder.use_session(LABEL, owner, strict=True)
        answer = arguments.kind.write(arguments, where)
    except RecordingFailed as error:
        terminal.complain(
            f"The event was not recorded: {error.reason}. Mend that, or point PYJAMA_HOME at a folder that you may write; "
            "'pyjama-metrics doctor' shows more."
        )
        return 1
    _fold()
    if arguments.kind.name == "waiting":
        _say_if_nothing_waits(arguments.agent)
    run_id = answer if isinstance(answer, str) else where.get("run")
    if arguments.json:
        from pyjama_metrics.cli.printing import print_json

        told = {
            "event": arguments.kind.name,
            "agent": arguments.agent,
            "run": run_id,
            "time": arguments.time,
            "pid": owner,
        }
        print_json({key: value for key, value in told.items() if value is not None}, indent=None)
    elif isinstance(answer, str):
        print(answer)
    return 0


def _target(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The agent, and the run if it is known; None after a complaint if '-' means nothing here."""
    run_id = getattr(arguments, "run", None)
    if arguments.agent != "-":
        return {"agent": arguments.agent} | ({"run": run_id} if run_id else {})
    agent, inherited = os.environ.get("PYJAMA_AGENT"), os.environ.get("PYJAMA_RUN")
    if not agent:
        terminal.complain(
            "AGENT is '-', but no agent started this shell (PYJAMA_AGENT is not set). "
            "Give the agent's name, or start the script with 'pyjama-metrics run'."
        )
        return None
    if arguments.kind.name == "start":
        return {"agent": agent}
    return {"agent": agent} | ({"run": run_id or inherited} if run_id or inherited else {})


def _say_if_nothing_waits(agent_id: str) -> None:
    """Warn where nobody will see that the agent waits: it is a run that waits, and none is open."""
    from pyjama_metrics.errors import HubError
    from pyjama_metrics.hub import Hub

    try:
        agent = Hub().read()["agents"].get(agent_id)
    except (HubError, OSError):
        return  # the figures cannot be read; somebody else has said so
    if agent is not None and all(run["outcome"] is not None for run in agent["runs"].values()):
        name = terminal.printable(agent_id)
        terminal.complain(
            f"No run of {name} is open, so it is in the log but not shown as waiting. "
            f"'pyjama-metrics record start {name}' begins one."
        )


def _choose_run(where: dict[str, Any]) -> bool:
    """Add the agent's open run, whichever shell began it; False after a complaint if it has none, or several."""
    from pyjama_metrics.errors import HubError
    from pyjama_metrics.hub import Hub

    try:
        agent = Hub().read()["agents"].get(where["agent"])
    except (HubError, OSError):
        return True  # the figures cannot be read; the event may be recorded all the same
    open_runs = [] if agent is None else [run_id for run_id, run in agent["runs"].items() if run["outcome"] is None]
    name = terminal.printable(where["agent"])
    if not open_runs:
        terminal.complain(f"No run of {name} is open, so none can be completed. 'pyjama-metrics record start {name}' begins one.")
    elif len(open_runs) > 1:
        terminal.complain(f"{len(open_runs)} runs of {name} are open. Say which with --run: {', '.join(sorted(open_runs))}.")
    else:
        where["run"] = open_runs[0]
    return len(open_runs) == 1


def _owner(asked: int | None) -> int | None:
    """The process that the event belongs to; None after a complaint if the one asked for does not live."""
    if asked is None:
        from pyjama_metrics.cli.calling_shell import owner

        return owner()
    from pyjama_metrics.storage.owners import process_start

    if process_start(asked) is None and os.path.isdir("/proc/self"):
        terminal.complain(
            f"There is no process {asked} that the event could belong to. --pid takes that of a running one: --pid $$."
        )
        return None
    return asked


def _fold() -> None:
    """Count the event in ``metrics.json`` now, if nobody else is folding; it is safe in its journal either
    way.
    """
    from pyjama_metrics.errors import HubError
    from pyjama_metrics.hub import Hub

    hub = Hub()
    hub.history.is_left_to_others = True  # a hook lives for as long as a person does not notice
    try:
        hub.fold()
    except (HubError, OSError) as error:
        terminal.complain(f"The event is recorded, but not counted yet. {error}")


def _start_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parent", metavar="RUN", type=argument_types.name, help="run that started this one (PYJAMA_RUN)")
    add_labels(parser)
    parser.add_argument("--spec", metavar="TEXT", help="what the agent is to do")


def _start(arguments: argparse.Namespace, where: dict[str, Any]) -> str:
    labels = dict(arguments.label) or None
    return recorder.record_agent_start(
        arguments.agent, parent=arguments.parent, spec=arguments.spec, labels=labels, source="shell", **where
    )


def _activity_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tool", type=argument_types.name, help="the tool at work")
    parser.add_argument("--status", type=argument_types.name, default="ok", help="how it goes (ok)")


def _activity(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_agent_activity(arguments.agent, arguments.tool, arguments.status, **where)


def _tool_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tool", metavar="TOOL", type=argument_types.name, help="name of the tool")
    parser.add_argument(
        "--status", type=argument_types.name, default="ok", help="ok, error, interrupted, or a word of your own (ok)"
    )
    parser.add_argument("--duration-ms", type=argument_types.duration_ms, metavar="MS", help="how long it took, in milliseconds")
    parser.add_argument("--error", metavar="TEXT", help="what went wrong")
    parser.add_argument("--log", action="store_true", help="also make a line of the log; executions are only counted")


def _tool(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_tool_execution(
        arguments.tool, arguments.agent, arguments.status, arguments.duration_ms, arguments.error, log=arguments.log, **where
    )


def _complete_arguments(parser: argparse.ArgumentParser) -> None:
    outcomes = ("completed", "failed", "stopped")
    parser.add_argument("--status", choices=outcomes, default="completed", help="how it ended (completed)")
    parser.add_argument("--error", metavar="TEXT", help="why it did not complete")


def _complete(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_agent_complete(arguments.agent, arguments.status, arguments.error, **where)


def _waiting_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reason", metavar="REASON", type=argument_types.name, help="what it waits for")


def _waiting(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_agent_waiting(arguments.agent, arguments.reason, **where)


def _step_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("step", metavar="STEP", type=argument_types.name, help="name of the step")


def _step_complete_arguments(parser: argparse.ArgumentParser) -> None:
    _step_arguments(parser)
    parser.add_argument("--status", type=argument_types.name, default="ok", help="how it went (ok)")


def _step_start(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_step_start(arguments.agent, arguments.step, **where)


def _step_complete(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_step_complete(arguments.agent, arguments.step, arguments.status, **where)


def _workflow_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("steps", metavar="STEP", nargs="+", type=argument_types.name, help="the steps, in order")


def _workflow(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_workflow_info(arguments.agent, arguments.steps, **where)


def _message_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("role", metavar="ROLE", type=argument_types.name, help="who spoke: user, assistant, …")


def _message(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_message(arguments.agent, arguments.role, **where)


def _error_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("message", metavar="MESSAGE", type=argument_types.name, help="what went wrong")


def _error(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_error(arguments.agent, arguments.message, **where)


def _llm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=argument_types.name, help="name of the model")
    for option in TOKENS:
        parser.add_argument(
            f"--{option}", type=argument_types.tokens, default=0, metavar="N", help=f"{option.replace('-', ' ')} (0)"
        )
    parser.add_argument("--phase", type=argument_types.name, help="free text: planning, execution, …")
    parser.add_argument("--tool", type=argument_types.name, help="the tool on whose behalf the model was called")
    parser.add_argument("--cost-usd", type=argument_types.dollars, metavar="D", help="what the call cost, in dollars")
    parser.add_argument("--request-id", type=argument_types.name, metavar="ID", help="the provider's id of the call")
    parser.add_argument("--estimated", action="store_true", help="the tokens are an estimate")
    for what, tokens in (("prompt", "input"), ("answer", "output")):
        told = parser.add_mutually_exclusive_group()
        told.add_argument(
            f"--estimate-{what}",
            type=argument_types.characters_in,
            metavar="FILE",
            dest=what,
            help=f"estimate the {tokens} tokens, if none are given, from the characters of a file; it is not kept",
        )
        told.add_argument(
            f"--estimate-{what}-characters",
            type=argument_types.characters,
            metavar="N",
            dest=what,
            help="the same from their number",
        )


def _llm(arguments: argparse.Namespace, where: dict[str, Any]) -> None:
    recorder.record_llm_usage(
        arguments.agent,
        arguments.model,
        arguments.input_tokens,
        arguments.output_tokens,
        cache_read_tokens=arguments.cache_read_tokens,
        cache_write_tokens=arguments.cache_write_tokens,
        cache_write_1h_tokens=arguments.cache_write_1h_tokens,
        phase=arguments.phase,
        tool=arguments.tool,
        cost_usd=arguments.cost_usd,
        request_id=arguments.request_id,
        source="estimated" if arguments.estimated else "actual",
        prompt=arguments.prompt,
        answer=arguments.answer,
        estimate=arguments.prompt is not None or arguments.answer is not None,
        **where,
    )


KINDS = (
    Kind("start", "a run begins; prints its id", _start_arguments, _start),
    Kind("activity", "the agent is at work: last seen, and one log entry", _activity_arguments, _activity),
    Kind("tool", "one execution of a tool", _tool_arguments, _tool),
    Kind("complete", "the run ends", _complete_arguments, _complete),
    Kind("waiting", "the agent waits for something or somebody", _waiting_arguments, _waiting),
    Kind("step-start", "a step of the workflow begins", _step_arguments, _step_start),
    Kind("step-complete", "a step of the workflow ends", _step_complete_arguments, _step_complete),
    Kind("workflow", "the steps that the run will take", _workflow_arguments, _workflow),
    Kind("message", "a message was exchanged; only its role is kept", _message_arguments, _message),
    Kind("error", "the agent reports an error", _error_arguments, _error),
    Kind("llm", "one call of a language model", _llm_arguments, _llm),
)
