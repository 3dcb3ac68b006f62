"""Decorators and context managers: what is recorded, and that nothing else changes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import inspect
import os
import sys
import textwrap
import threading
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pyjama_metrics import read_metrics, tracked_calls, tracked_functions
from pyjama_metrics.recorder import current_run
from pyjama_metrics.tracking import track_agent, track_tool
from tests.recorded import only, recorded
from tests.waiting import run_python

Log = list[Any]


class TickingClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> TickingClock:
    """The clock that durations are measured by."""
    clock = TickingClock()
    monkeypatch.setattr(tracked_calls, "perf_counter", clock)
    monkeypatch.setattr(tracked_functions, "perf_counter", clock)
    return clock


def current_agent() -> str | None:
    """The agent whose code is running."""
    here = current_run.get()
    return here[0] if here else None


class Picky(BaseException):
    """An exception of nobody's list."""


class Speechless(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


ENDS = [
    pytest.param(None, "ok", "completed", None, id="a value"),
    pytest.param(SystemExit(), "ok", "completed", None, id="SystemExit without a code"),
    pytest.param(SystemExit(0), "ok", "completed", None, id="SystemExit with 0"),
    pytest.param(SystemExit(3), "error", "failed", "SystemExit: 3", id="SystemExit with 3"),
    pytest.param(SystemExit("no"), "error", "failed", "SystemExit: no", id="SystemExit with a text"),
    pytest.param(KeyboardInterrupt(), "interrupted", "stopped", None, id="KeyboardInterrupt"),
    pytest.param(asyncio.CancelledError(), "interrupted", "stopped", None, id="CancelledError"),
    pytest.param(GeneratorExit(), "interrupted", "stopped", None, id="GeneratorExit"),
    pytest.param(ValueError("seven"), "error", "failed", "ValueError: seven", id="ValueError"),
    pytest.param(ValueError(), "error", "failed", "ValueError", id="ValueError without a message"),
    pytest.param(Picky("so"), "error", "failed", "Picky: so", id="a BaseException of one's own"),
    pytest.param(Speechless(), "error", "failed", "Speechless: (its message cannot be shown)", id="speechless"),
]


def raise_or_return(error: BaseException | None) -> str:
    """Raise the error, or return where there is none."""
    if error is not None:
        raise error
    return "value"


async def await_or_raise(error: BaseException | None) -> str:
    """The same as a coroutine."""
    return raise_or_return(error)


def generate_or_raise(error: BaseException | None) -> Generator[int, None, str]:
    """The same as a generator, after one item."""
    yield 1
    return raise_or_return(error)


async def generate_async_or_raise(error: BaseException | None) -> AsyncGenerator[int, None]:
    """The same as an async generator."""
    yield 1
    raise_or_return(error)


async def drain(source: AsyncGenerator[int, None]) -> None:
    """Take every item."""
    async for _ in source:
        pass


def drive(awaitable: Any) -> Any:
    """Step a coroutine that never really waits, without an event loop, which treats some exceptions in its own way."""
    try:
        awaitable.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


USES: dict[str, Callable[[Any, BaseException | None], Any]] = {
    "function": lambda tracker, error: tracker(raise_or_return)(error),
    "coroutine": lambda tracker, error: drive(tracker(await_or_raise)(error)),
    "generator": lambda tracker, error: list(tracker(generate_or_raise)(error)),
    "async generator": lambda tracker, error: drive(drain(tracker(generate_async_or_raise)(error))),
    "with block": lambda tracker, error: in_block(tracker, error),
    "async with block": lambda tracker, error: drive(in_async_block(tracker, error)),
}


def in_block(tracker: Any, error: BaseException | None) -> None:
    """The same in a block."""
    with tracker:
        raise_or_return(error)


async def in_async_block(tracker: Any, error: BaseException | None) -> None:
    """The same in an async block."""
    async with tracker:
        raise_or_return(error)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(("error", "status", "outcome", "text"), ENDS)
def test_the_way_it_ends_is_recorded_and_the_exception_passes_on(
    home: Path, use: str, error: BaseException | None, status: str, outcome: str, text: str | None
) -> None:
    """Each kind of function and block records ok, error or interrupted, and its run completed, failed or stopped."""
    for tracker in (track_tool("dig", agent="mole"), track_agent("mole")):
        if error is None:
            USES[use](tracker, None)
            continue
        with pytest.raises(type(error)) as caught:
            USES[use](tracker, error)
        assert caught.value is error
        assert (error.__context__, error.__cause__) == (None, None)

    tool, complete = only(home, "tool"), only(home, "complete")
    assert (tool["tool"], tool["agent"], tool["status"], tool.get("error")) == ("dig", "mole", status, text)
    assert (complete["agent"], complete["status"], complete.get("error")) == ("mole", outcome, text)
    assert complete["run"] == only(home, "start")["run"]


def test_the_traceback_of_a_failure_leads_to_where_it_happened() -> None:
    """The frames of the tracked function are all there, and each frame of ours once."""

    @track_tool("fall")
    @track_agent("clumsy")
    def fall() -> None:
        raise LookupError("down")

    with pytest.raises(LookupError) as caught:
        fall()
    assert [entry.name for entry in caught.traceback][1:] == ["tracked", "tracked", "fall"]


def test_a_context_that_the_exception_has_stays_as_it_is() -> None:
    """``raise ... from`` and what was being handled are the user's, with or without us."""

    @track_tool
    def convert() -> None:
        try:
            int("seven")
        except ValueError as error:
            raise LookupError("no number") from error

    with pytest.raises(LookupError) as caught:
        convert()
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.__context__ is caught.value.__cause__
    assert caught.value.__cause__.__context__ is None


def test_a_long_message_is_cut_to_500_characters(home: Path) -> None:
    """An exception that carries a whole document does not carry it into the journal."""
    with pytest.raises(ValueError, match="x"):
        track_tool("dig")(raise_or_return)(ValueError("x" * 10_000))
    assert only(home, "tool")["error"] == "ValueError: " + "x" * 488


def test_a_tool_takes_the_name_of_its_function_unless_it_is_given_one(home: Path) -> None:
    """``@track_tool``, ``@track_tool()``, a name, and a name that is no text."""

    def read() -> None: ...

    for tracked in (
        track_tool(read),
        track_tool()(read),
        track_tool("look")(read),
        track_tool(Path("a/b"))(read),
    ):
        tracked()
    assert [event["tool"] for event in recorded(home)] == ["read", "read", "look", "a/b"]


def test_an_agent_takes_the_name_of_its_function_without_parentheses(home: Path) -> None:
    """``@track_agent`` alone names the run after the function."""

    @track_agent
    def gardener() -> int:
        return 7

    assert gardener() == 7
    assert only(home, "start")["agent"] == "gardener"


def test_specification_labels_and_parent_reach_the_run(home: Path) -> None:
    """What is given to the decorator is recorded with the start."""
    with track_agent("child", parent="w-1.1", spec={"goal": "dig"}, labels={"team": "blue"}):
        pass
    start = only(home, "start")
    assert (start["parent"], start["spec"], start["labels"]) == ("w-1.1", {"goal": "dig"}, {"team": "blue"})


def test_a_tool_knows_the_agent_in_whose_code_it_is_called(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside: the agent and its run. Outside: the default agent. A name that is given wins."""
    monkeypatch.setenv("PYJAMA_AGENT", "outsider")
    monkeypatch.setenv("PYJAMA_RUN", "w-1.1")
    dig = track_tool("dig")(lambda: None)
    own = track_tool("dig", agent="mole")(lambda: None)
    with track_agent("mole") as run, track_tool("block"):
        dig()
        own()
        track_tool("dig", agent="badger")(lambda: None)()
    dig()
    told = [(event["agent"], event.get("run")) for event in recorded(home, "tool")]
    assert told[:2] == [("mole", run), ("mole", run)]
    assert told[2][0] == "badger"
    assert told[2][1] != run
    assert told[3] == ("mole", run)
    assert told[4][0] == "outsider"


def test_a_run_started_in_the_code_of_another_is_its_child(home: Path) -> None:
    """Nested agents are parent and child, and the outer one is current again afterwards."""

    @track_agent("inner")
    def inner() -> str | None:
        return current_agent()

    with track_agent("outer") as run:
        assert inner() == "inner"
        assert current_run.get() == ("outer", run)
    assert current_run.get() is None
    assert [event.get("parent") for event in recorded(home, "start")] == [None, run]


class Gardener:
    """Methods of every kind, decorated in every order."""

    name = "gardener"

    @track_tool
    def plain(self, seed: str) -> str:
        return f"{self.name} {seed}"

    @staticmethod
    @track_tool
    def static_outside(seed: str) -> str:
        return seed

    @track_tool
    @staticmethod
    def static_inside(seed: str) -> str:
        return seed

    @classmethod
    @track_tool("class_outside")
    def class_outside(cls, seed: str) -> str:
        return f"{cls.name} {seed}"

    @track_tool("class_inside")
    @classmethod
    def class_inside(cls, seed: str) -> str:
        return f"{cls.name} {seed}"

    @track_tool
    async def awaited(self, seed: str) -> str:
        return f"{self.name} {seed}"


def test_methods_of_every_kind_stay_methods(home: Path) -> None:
    """``self`` and ``cls`` arrive, in whichever order the decorators stand."""
    gardener = Gardener()
    answers = [
        gardener.plain("pea"),
        gardener.static_outside("pea"),
        gardener.static_inside("pea"),
        Gardener.static_inside("pea"),
        gardener.class_outside("pea"),
        Gardener.class_inside("pea"),
        asyncio.run(gardener.awaited("pea")),
    ]
    assert answers == ["gardener pea", "pea", "pea", "pea", "gardener pea", "gardener pea", "gardener pea"]
    assert [event["tool"] for event in recorded(home)] == [
        "plain", "static_outside", "static_inside", "static_inside", "class_outside", "class_inside", "awaited",
    ]  # fmt: skip


@pytest.mark.parametrize("tracker", [track_tool("dig"), track_agent("mole")], ids=["tool", "agent"])
def test_a_wrapper_looks_like_what_it_wraps(tracker: Any) -> None:
    """Name, documentation, signature and kind are those of the function."""

    def plain(depth: int = 3, *, wet: bool = False) -> str:
        """Dig."""
        return ""

    tracked = tracker(plain)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(tracked, name) == getattr(plain, name)
    assert tracked.__wrapped__ is plain
    assert inspect.signature(tracked) == inspect.signature(plain)
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    for function in (plain, await_or_raise, generate_or_raise, generate_async_or_raise):
        assert [is_kind(tracker(function)) for is_kind in kinds] == [is_kind(function) for is_kind in kinds]


def test_partials_and_objects_that_can_be_called_are_tracked_as_what_they_are(home: Path) -> None:
    """The kind is that of the code that runs; the name is that of the function, or of the class."""

    class Digger:
        async def __call__(self, depth: int) -> int:
            return depth

    half = functools.partial(functools.partial(await_or_raise), None)
    assert asyncio.run(track_tool(half)()) == "value"
    assert asyncio.run(track_tool(Digger())(4)) == 4
    assert inspect.iscoroutinefunction(track_tool(Digger()))
    assert track_tool(len)("four") == 4
    assert [(event["tool"], event["status"]) for event in recorded(home)] == [
        ("await_or_raise", "ok"),
        ("Digger", "ok"),
        ("len", "ok"),
    ]


def test_what_cannot_be_tracked_is_refused_with_a_sentence() -> None:
    """A class, a thing that cannot be called, and a block without a name."""
    with pytest.raises(TypeError, match="Only functions and methods can be tracked, not <class"):
        track_tool(Gardener)
    with pytest.raises(TypeError, match="not 7"):
        track_agent("mole")(7)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="A block needs a tool name"), track_tool():
        pass


# --- generators


def conversation(log: Log) -> Generator[Any, Any, str]:
    """A generator that answers everything that can be done to one."""
    heard: Any = "nothing"
    try:
        while heard != "stop":
            try:
                heard = yield ("heard", heard)
            except ValueError as error:
                heard = f"caught {error}"
                if str(error) == "translate":
                    raise LookupError("translated") from None
                if str(error) == "chain":
                    raise LookupError("chained")  # noqa: B904 - the context is what is looked at
            if heard == "caught late":
                raise LookupError("later, with nothing behind it")
    except GeneratorExit:
        log.append("closing")
        if heard == "swallow":
            return "swallowed"
        if heard == "stubborn":
            yield "no"
        raise
    finally:
        log.append("left")
    return "the end"


async def async_conversation(log: Log) -> AsyncGenerator[Any, Any]:
    """The same as an async generator; it really waits, too."""
    heard: Any = "nothing"
    try:
        while heard != "stop":
            await asyncio.sleep(0)
            try:
                heard = yield ("heard", heard)
            except ValueError as error:
                heard = f"caught {error}"
                if str(error) == "translate":
                    raise LookupError("translated") from None
                if str(error) == "chain":
                    raise LookupError("chained")  # noqa: B904 - the context is what is looked at
            if heard == "caught late":
                raise LookupError("later, with nothing behind it")
    except GeneratorExit:
        log.append("closing")
        if heard == "swallow":
            return
        if heard == "stubborn":
            yield "no"
        raise
    finally:
        await asyncio.sleep(0)
        log.append("left")


def told(error: BaseException) -> Any:
    """An exception and those behind it, to be compared."""
    behind = error.__context__ and told(error.__context__)
    return (
        type(error).__name__,
        str(error),
        getattr(error, "value", None),
        behind,
        error.__suppress_context__,
    )


def step_lists(*sent: str | None) -> st.SearchStrategy[list[tuple[str, Any]]]:
    """What may be done to a generator, most of the time after its first item."""
    steps = st.lists(
        st.one_of(
            st.just(("next", None)),
            st.tuples(st.just("send"), st.sampled_from(sent)),
            st.tuples(st.just("throw"), st.sampled_from(["go on", "translate", "chain", "late"])),
            st.just(("throw exit", None)),
            st.just(("close", None)),
        ),
        max_size=6,
    )
    return steps.map(lambda rest: [("next", None), *rest]) | steps


def talk(function: Callable[[Log], Generator[Any, Any, str]], steps: list[tuple[str, Any]]) -> Log:
    """Do the steps to a generator, and log what comes of each."""
    log: Log = []
    generator = function(log)
    for step, value in steps:
        actions: dict[str, Callable[[], Any]] = {
            "next": lambda: next(generator),
            "send": lambda value=value: generator.send(value),
            "throw": lambda value=value: generator.throw(ValueError(value)),
            "throw exit": lambda: generator.throw(GeneratorExit()),
            "close": generator.close,
        }
        try:
            log.append(actions[step]())
        except (Exception, GeneratorExit) as error:
            log.append(told(error))
    with contextlib.suppress(RuntimeError):  # a stubborn one, which would complain while it is collected
        generator.close()
    generator.close()
    return log


async def async_talk(function: Callable[[Log], AsyncGenerator[Any, Any]], steps: list[tuple[str, Any]]) -> Log:
    """The same for an async generator."""
    log: Log = []
    generator = function(log)
    for step, value in steps:
        actions: dict[str, Callable[[], Any]] = {
            "next": lambda: anext(generator),
            "send": lambda value=value: generator.asend(value),
            "throw": lambda value=value: generator.athrow(ValueError(value)),
            "throw exit": lambda: generator.athrow(GeneratorExit()),
            "close": generator.aclose,
        }
        try:
            log.append(await actions[step]())
        except (Exception, GeneratorExit) as error:
            log.append(told(error))
    return log


often = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(step_lists("hello", "stop", "swallow", "stubborn", None))
@example([("next", None), ("send", "stop")])
@example([("next", None), ("send", "swallow"), ("close", None)])
@example([("next", None), ("send", "stubborn"), ("close", None), ("next", None)])
@example([("next", None), ("throw", "go on"), ("throw", "translate"), ("next", None)])
@example([("next", None), ("throw", "chain")])
@example([("next", None), ("throw", "late")])
@example([("throw", "go on"), ("next", None)])
@often
def test_a_tracked_generator_behaves_as_without_tracking(steps: list[tuple[str, Any]]) -> None:
    """Whatever is sent, thrown or closed, in any order: the same values, the same exceptions, the same clean-up."""
    plain = talk(conversation, steps)
    assert talk(track_tool("talk")(conversation), steps) == plain
    assert talk(track_agent("talker")(conversation), steps) == plain


@given(step_lists("hello", "stop", "swallow", None))
@example([("next", None), ("send", "stop"), ("next", None)])
@example([("next", None), ("send", "swallow"), ("close", None)])
@example([("next", None), ("throw", "go on"), ("throw", "translate"), ("next", None)])
@example([("next", None), ("throw", "chain")])
@example([("next", None), ("throw", "late")])
@often
def test_a_tracked_async_generator_behaves_as_without_tracking(steps: list[tuple[str, Any]]) -> None:
    """The same for asend, athrow and aclose."""
    plain = asyncio.run(async_talk(async_conversation, steps))
    assert asyncio.run(async_talk(track_tool("talk")(async_conversation), steps)) == plain
    assert asyncio.run(async_talk(track_agent("talker")(async_conversation), steps)) == plain


def test_a_generator_that_returns_when_it_is_closed_was_interrupted_all_the_same(home: Path) -> None:
    """That it clears up and returns does not make it one that came to its end."""
    for tracker in (track_tool("talk"), track_agent("talker")):
        talk(tracker(conversation), [("next", None), ("send", "swallow"), ("close", None)])
        asyncio.run(async_talk(tracker(async_conversation), [("next", None), ("send", "swallow"), ("close", None)]))
    assert [event["status"] for event in recorded(home, "tool")] == ["interrupted"] * 2
    assert [event["status"] for event in recorded(home, "complete")] == ["stopped"] * 2


def test_a_generator_that_ends_elsewhere_belongs_to_the_run_in_which_it_began(home: Path) -> None:
    """A tool that streams may outlive the code that asked for it."""

    @track_tool
    def stream() -> Generator[int, None, None]:
        yield 1
        yield 2

    with track_agent("mole") as run:
        items = stream()
        next(items)
    with track_agent("mole"):
        assert list(items) == [2]
    assert only(home, "tool")["run"] == run


def test_the_run_of_a_generator_is_current_only_while_its_own_code_runs(home: Path) -> None:
    """Between two items the consumer has its own current run, and none where it had none."""

    @track_agent("source")
    def source() -> Generator[str | None, None, None]:
        yield current_agent()
        with track_agent("nested"):
            yield current_agent()
            yield current_agent()
        yield current_agent()

    items = source()
    seen = [(item, current_agent()) for item in items]
    assert seen == [("source", None), ("nested", None), ("nested", None), ("source", None)]
    with track_agent("consumer"):
        assert [(item, current_agent()) for item in source()][1] == ("nested", "consumer")
    assert current_run.get() is None
    assert Counter(event["status"] for event in recorded(home, "complete")) == {"completed": 5}


def test_the_run_of_an_async_generator_does_not_leak_to_its_consumer() -> None:
    """The same where the generator waits inside, and others run meanwhile."""

    @track_agent("source")
    async def source() -> AsyncGenerator[str | None, None]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield current_agent()

    async def consume() -> list[tuple[str | None, str | None]]:
        return [(item, current_agent()) async for item in source()]

    async def main() -> list[list[tuple[str | None, str | None]]]:
        return await asyncio.gather(*(consume() for _ in range(5)))

    assert asyncio.run(main()) == [[("source", None)] * 3] * 5


def test_a_generator_that_is_given_up_was_interrupted_and_one_that_ended_was_not(home: Path) -> None:
    """``break`` out of a loop interrupts; closing after the end changes nothing; what never began is not recorded."""

    @track_tool("count")
    @track_agent("counter")
    def count() -> Generator[int, None, None]:
        yield 1
        yield 2

    for item in count():
        if item == 1:
            break
    gc.collect()
    whole = count()
    assert list(whole) == [1, 2]
    whole.close()
    count().close()
    assert [event["status"] for event in recorded(home, "tool")] == ["interrupted", "ok"]
    assert [event["status"] for event in recorded(home, "complete")] == ["stopped", "completed"]


def test_the_duration_of_a_generator_is_the_time_of_its_own_code(home: Path, clock: TickingClock) -> None:
    """What the consumer does between two items is not the tool's time."""

    @track_tool
    def source() -> Generator[None, None, None]:
        for _ in range(3):
            clock.seconds += 0.25
            yield

    for _ in source():
        clock.seconds += 10
    assert only(home, "tool")["duration-ms"] == 750.0


def test_an_exception_thrown_into_a_generator_is_not_kept_alive() -> None:
    """No reference cycle: the exception dies with its last user, without the garbage collector."""

    class Missing(LookupError):
        """One that can be referred to weakly."""

    @track_tool
    def forgiving() -> Generator[int, None, None]:
        for number in range(5):
            with contextlib.suppress(LookupError):
                yield number

    items = forgiving()
    next(items)
    error: Missing | None = Missing()
    trace = weakref.ref(error)
    gc.disable()
    try:
        items.throw(error)
        error = None
        assert trace() is None
    finally:
        gc.enable()
    items.close()


def test_a_generator_closed_in_another_context_ends_without_a_word(home: Path) -> None:
    """A coroutine that waits is dropped, and finished in a context that never had its run."""

    @track_agent("sleeper")
    async def sleep() -> None:
        await asyncio.Future()

    async def main() -> None:
        coroutine = sleep()
        inside = contextvars.copy_context()
        inside.run(coroutine.send, None)
        assert inside[current_run] is not None
        coroutine.close()

    asyncio.run(main())
    assert current_run.get() is None
    assert only(home, "complete")["status"] == "stopped"


# --- at the same time


def test_a_recursive_call_is_a_run_and_a_duration_of_its_own(home: Path, clock: TickingClock) -> None:
    """One decorated function that calls itself: nested runs, each with the time it took."""

    @track_agent("climber")
    @track_tool("climb")
    def climb(height: int) -> int:
        clock.seconds += 1
        return 1 + climb(height - 1) if height else 0

    assert climb(3) == 3
    starts, tools = recorded(home, "start"), recorded(home, "tool")
    assert [event.get("parent") for event in starts] == [None, *(event["run"] for event in starts[:3])]
    assert [(event["run"], event["duration-ms"]) for event in tools] == [
        (start["run"], 1000.0 * (4 - depth)) for depth, start in reversed(list(enumerate(starts)))
    ]


def test_twenty_threads_share_one_decorator_and_one_block_object(home: Path) -> None:
    """Each call and each block has its own run, and its tools belong to that run."""
    together = threading.Barrier(20)
    block = track_agent("block")
    dig = track_tool("dig")(lambda: current_run.get())

    @track_agent("worker")
    def work(number: int) -> None:
        together.wait(20)
        mine = current_run.get()
        for _ in range(10):
            assert dig() == mine
            with block as run:
                assert dig() == ("block", run)
                with block as again:
                    assert dig() == ("block", again)
                assert dig() == ("block", run)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))
    of_run = Counter(event["run"] for event in recorded(home, "tool"))
    of_agent = Counter(event["agent"] for event in recorded(home, "complete"))
    assert of_agent == {"worker": 20, "block": 400}
    assert Counter(of_run.values()) == {10: 20, 2: 200, 1: 200}


def test_a_thousand_tasks_share_one_decorator_and_one_block_object(home: Path) -> None:
    """Tasks that all wait at once keep apart what is whose."""
    block = track_agent("block")

    @track_tool
    async def dig() -> Any:
        await asyncio.sleep(0)
        return current_run.get()

    @track_agent("task")
    async def work() -> None:
        mine = current_run.get()
        async with block as run:
            assert await dig() == ("block", run)
            await asyncio.sleep(0)
            with block as again:
                assert await dig() == ("block", again)
        assert await dig() == mine

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(1000)))

    asyncio.run(main())
    ends = recorded(home, "complete")
    tools = Counter(event["run"] for event in recorded(home, "tool"))
    assert Counter((event["agent"], event["status"]) for event in ends) == {
        ("task", "completed"): 1000,
        ("block", "completed"): 2000,
    }
    assert set(tools.values()) == {1}
    assert len(tools) == 3000


def test_overlapping_calls_have_each_their_own_duration(home: Path, clock: TickingClock) -> None:
    """Of two calls that overlap, each is as long as itself."""
    gates = [asyncio.Event(), asyncio.Event()]

    @track_tool
    async def wait(number: int) -> None:
        await gates[number].wait()

    async def main() -> None:
        first = asyncio.create_task(wait(0))
        await asyncio.sleep(0)
        clock.seconds += 1
        second = asyncio.create_task(wait(1))
        await asyncio.sleep(0)
        clock.seconds += 2
        gates[0].set()
        await first
        clock.seconds += 4
        gates[1].set()
        await second

    asyncio.run(main())
    assert [event["duration-ms"] for event in recorded(home)] == [3000.0, 6000.0]


def test_one_block_object_is_entered_again_while_it_is_open(home: Path, clock: TickingClock) -> None:
    """The inner block ends first and is the shorter one."""
    block = track_tool("dig")
    with block:
        clock.seconds += 1
        with block:
            clock.seconds += 2
    assert [event["duration-ms"] for event in recorded(home)] == [2000.0, 3000.0]


def test_a_block_entered_in_one_thread_is_left_in_another(home: Path) -> None:
    """Fixtures and thread pools do that; the run ends all the same, once."""
    block = track_agent("traveller")
    for action in (block.__enter__, lambda: block.__exit__(None, None, None)):
        thread = threading.Thread(target=action)
        thread.start()
        thread.join(10)
    block.__exit__(None, None, None)
    assert [event["event"] for event in recorded(home)] == ["start", "complete"]
    assert current_run.get() is None


def test_a_task_started_in_a_block_does_not_end_it(home: Path) -> None:
    """It inherits the current run, and opens and closes blocks of the same object on its own account."""
    block = track_agent("shared")

    async def child() -> None:
        with block:
            await asyncio.sleep(0)

    async def main() -> str:
        with block as run:
            await asyncio.gather(child(), child())
            assert not [event for event in recorded(home, "complete") if event["run"] == run]
            return run

    run = asyncio.run(main())
    starts = recorded(home, "start")
    assert [event.get("parent") for event in starts] == [None, run, run]
    assert recorded(home, "complete")[-1]["run"] == run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_does_not_end_the_run_of_its_parent() -> None:
    """The child unwinds through its parent's ``with``; only the parent completes the run."""
    code = """
        import os, sys
        from pyjama_metrics.tracking import track_agent
        with track_agent("parent"):
            child = os.fork()
            if child == 0:
                sys.exit(3)
            os.waitpid(child, 0)
    """
    with run_python(code) as child:
        _, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (0, "")
    agent = read_metrics()["agents"]["parent"]
    assert agent["status"] == "completed"
    assert agent["run-counts"] == {"started": 1, "completed": 1, "failed": 0, "crashed": 0, "stopped": 0}


# --- what it costs, and what it promises to type checkers


def test_importing_the_decorators_loads_no_heavy_module() -> None:
    """A hook process lives 30 ms; asyncio, inspect and typing would be most of it."""
    code = """
        import sys
        from pyjama_metrics.tracking import track_agent, track_tool
        @track_agent("a")
        def main():
            track_tool("t")(lambda: None)()
        main()
        heavy = {"asyncio", "inspect", "typing", "json", "re", "logging", "dataclasses", "pathlib", "subprocess"}
        print(sorted(heavy & set(sys.modules)))
    """
    with run_python(code) as child:
        out, err = child.communicate(timeout=20)
    assert (out, err) == ("[]\n", "")


def test_a_type_checker_sees_the_signature_of_the_function_itself(tmp_path: Path) -> None:
    """Arguments and results come through every form of the decorators, and a block gives what it gives."""
    source = tmp_path / "typed.py"
    source.write_text(
        textwrap.dedent("""\
            from collections.abc import AsyncIterator, Iterator
            from pyjama_metrics.tracking import track_agent, track_tool
            @track_tool
            def bare(depth: int, *, wet: bool = False) -> str: return ""
            @track_tool("named", agent="a")
            async def named(depth: int) -> bytes: return b""
            @track_agent("a", labels={"team": "blue"})
            def items(depth: int) -> Iterator[str]: yield ""
            class C:
                @track_agent("m")
                def method(self, depth: int) -> float: return 1.0
            reveal_type(bare)
            reveal_type(named)
            reveal_type(items)
            reveal_type(C().method)
            with track_agent("a") as run, track_tool("t") as nothing:
                reveal_type(run)
            bare("deep")
        """)
    )
    command = "from mypy.__main__ import console_entry; console_entry()"
    with run_python(command, "--strict", "--cache-dir", str(tmp_path / "cache"), str(source), cwd=os.getcwd()) as child:
        out, _ = child.communicate(timeout=100)
    out = out.replace("builtins.", "")  # as older versions say it
    revealed = [line.partition('is "')[2].rstrip('"') for line in out.splitlines() if "Revealed type" in line]
    assert revealed == [
        "def (depth: int, *, wet: bool =) -> str",
        "def (depth: int) -> typing.Coroutine[Any, Any, bytes]",
        "def (depth: int) -> typing.Iterator[str]",
        "def (depth: int) -> float",
        "str",
    ], out
    errors = [line for line in out.splitlines() if "typed.py" in line and " error: " in line]
    assert len(errors) == 1, out
    assert 'typed.py:18: error: Argument 1 to "bare" has incompatible type "str"; expected "int"' in errors[0]


def test_an_agent_whose_hub_cannot_be_used_goes_on(home: Path) -> None:
    """A hub folder that is a file costs the figures, not the work."""
    home.write_text("in the way")

    @track_agent("stubborn")
    def work() -> int:
        with track_tool("dig"):
            return 7

    assert work() == 7
    assert sys.exc_info() == (None, None, None)
