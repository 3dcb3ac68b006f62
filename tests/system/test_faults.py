"""Whatever is wrong with the disk, the folder, the arguments or the clock: the agent goes on, and losses are counted."""

from __future__ import annotations

import json
import os
import subprocess
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import pyjama_metrics as p
from pyjama_metrics.checks import check
from pyjama_metrics.events import text_of
from pyjama_metrics.hub import Hub
from tests.disks import small_disk
from tests.system.processes import agent, counts, end, figures, hear, journal, kill, run_to_end, tell, tool_line, wait_for_status
from tests.waiting import wait_until

EVERYTHING = """
def record_everything():
    p.record_agent_start("a", spec={"what": "everything"}, labels={"colour": "red"})
    p.record_agent_activity("a", "t")
    p.record_tool_execution("t", "a", "ok", 1.5)
    p.record_tool_execution("t", "a", "error", 1.5, "it broke", log=True)
    p.record_step_start("a", "s")
    p.record_step_complete("a", "s")
    p.record_workflow_info("a", ["s", "t"])
    p.record_message("a", "user")
    p.record_error("a", "oh")
    p.record_llm_usage("a", "m", 1, 2)
    p.record_agent_waiting("a", "for you")
    p.record_agent_complete("a")
    return 12

def record(number):
    for _ in range(number):
        p.record_tool_execution("t", "a", "ok", 1.5)
"""


def kinds(home: Path) -> set[str]:
    """What ``doctor`` finds."""
    return {problem.kind for problem in check(Hub(str(home)))}


def lost(home: Path) -> int:
    """The losses that the file tells."""
    return int(figures(home)["problems"]["lost-events"])


# -- full and read-only disks -----------------------------------------------------------------------------------------


def test_what_a_full_disk_did_not_take_is_counted_and_told_when_there_is_room_again(tmp_path: Path) -> None:
    """Each of 4,000 events is either in the figures or in the number of lost ones, and the agent never notices."""
    with small_disk(tmp_path / "disk", 512) as disk:
        home, ballast = disk / "hub", disk / "ballast"
        ballast.write_bytes(bytes(300 * 1024))
        with agent(
            EVERYTHING + "record(4000); say(p.lost_events()); hear(); record(10); say(p.lost_events())",
            env={"PYJAMA_HOME": str(home)},
        ) as child:
            lost_first = int(hear(child))
            assert 0 < lost_first < 4000
            assert {"little-space", "lost-events"} <= kinds(home)
            ballast.unlink()
            tell(child)
            assert int(hear(child)) == lost_first
            end(child)
        state = figures(home)
        assert state["global"]["count"] + lost_first == 4010
        assert state["problems"]["lost-events"] == lost_first
        assert "lost-events" in kinds(home)
        assert Hub(str(home)).lost_elsewhere() == 0  # told in the journal now, so the note is gone


def test_a_disk_that_was_full_from_the_beginning_is_no_different(tmp_path: Path) -> None:
    """Not even the folder can be made; when it can, the agent records without being started again."""
    with small_disk(tmp_path / "disk", 64) as disk:
        home, ballast = disk / "hub", disk / "ballast"
        fill(ballast)
        code = "\nwhile number := hear(): record(int(number)); say(p.lost_events())"
        with agent(EVERYTHING + code, env={"PYJAMA_HOME": str(home)}) as child:
            tell(child, "20")
            assert hear(child) == "20"
            assert 10 <= Hub(str(home)).lost_elsewhere() <= 20  # not each loss is noted at once
            ballast.unlink()
            recorded, losses = record_until_it_works(child)
            tell(child, "")
            end(child)
        assert (figures(home)["global"]["count"], lost(home)) == (recorded, losses)


def test_a_read_only_disk_loses_events_and_shows_the_old_figures(tmp_path: Path) -> None:
    """The file there can still be read; why it stands still is said; and it goes on when the disk may be written."""
    with small_disk(tmp_path / "disk", 1024) as disk:
        home = disk / "hub"
        with journal(home) as written:
            written.append(tool_line() * 3)
            figures(home)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        code = "\nwhile number := hear(): record(int(number)); say(p.lost_events())"
        with agent(EVERYTHING + code, env={"PYJAMA_HOME": str(home)}) as child:
            tell(child, "20")
            assert hear(child) == "20"
            hub = Hub(str(home))
            assert hub.read()["global"]["count"] == 3
            assert "Read-only" in str(hub.trouble)
            assert {"folder-unusable", "lost-events"} <= kinds(home)
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            recorded, losses = record_until_it_works(child)
            tell(child, "")
            end(child)
        assert (figures(home)["global"]["count"], lost(home)) == (3 + recorded, losses)


def fill(path: Path) -> None:
    """Make a file as large as the disk takes."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            return


def record_until_it_works(child: subprocess.Popen[str]) -> tuple[int, int]:
    """Have one event after another recorded, until one is: (events recorded, events lost so far).

    A journal that could not be opened is tried again after a moment, not with each event.
    """
    before = -1

    def works() -> bool:
        nonlocal before
        tell(child, "1")
        now = int(hear(child))
        done, before = now == before, now
        return done

    wait_until(works, what="the journal to be opened again")
    return 1, before


LIMITED = (
    EVERYTHING
    + """
import resource
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
"""
)


def test_a_limit_on_the_size_of_files_loses_nothing(home: Path) -> None:
    """RLIMIT_FSIZE bounds each file: the journal goes on in the next one."""
    said = run_to_end(LIMITED + "limit(50_000); record(3000); say(p.lost_events()); limit(-1)")
    assert (said, figures(home)["global"]["count"], lost(home)) == ("0\n", 3000, 0)


def test_a_limit_under_which_nothing_can_be_written_is_survived(home: Path) -> None:
    """Neither a journal nor a note of the losses: the process itself remembers, and tells as soon as it can."""
    code = (
        "limit(0); record(20); say(p.lost_events()); limit(-1)\nwhile number := hear(): record(int(number)); say(p.lost_events())"
    )
    with agent(LIMITED + code) as child:
        assert hear(child) == "20"
        recorded, losses = record_until_it_works(child)
        tell(child, "")
        end(child)
    assert (figures(home)["global"]["count"], lost(home)) == (recorded, losses)


def test_a_process_without_a_free_descriptor_goes_on_and_records_when_it_has_one(home: Path) -> None:
    """EMFILE is one more reason for which a journal cannot be opened."""
    code = """
import resource
p.record_tool_execution  # loads the module
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
record(20)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
say(p.lost_events())
while number := hear():
    record(int(number)); say(p.lost_events())
"""
    with agent(EVERYTHING + code) as child:
        assert hear(child) == "20"
        recorded, losses = record_until_it_works(child)
        tell(child, "")
        end(child)
    assert (figures(home)["global"]["count"], lost(home)) == (recorded, losses)


# -- folders that cannot be one ---------------------------------------------------------------------------------------


def a_file(tmp_path: Path) -> Path:
    """PYJAMA_HOME is a file."""
    (tmp_path / "file").write_text("mine")
    return tmp_path / "file"


def below_a_file(tmp_path: Path) -> Path:
    """PYJAMA_HOME would have to lie in a file."""
    return a_file(tmp_path) / "hub"


def a_dangling_link(tmp_path: Path) -> Path:
    """PYJAMA_HOME is a link to nowhere."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "at" / "all")
    return tmp_path / "link"


def no_folder_of_anybody(tmp_path: Path) -> Path:
    """The kernel makes no folder there, for root neither."""
    return Path("/proc/pyjama")


nowhere = pytest.mark.parametrize("place", [a_file, below_a_file, a_dangling_link, no_folder_of_anybody])


@nowhere
def test_a_home_that_cannot_be_used_hurts_nobody(tmp_path: Path, place: Any) -> None:
    """All kinds of events are lost, in silence; how many is told by the process, and by doctor while it is up."""
    home = place(tmp_path)
    code = EVERYTHING + "say(record_everything(), p.lost_events()); hear()"
    with agent(code, env={"PYJAMA_HOME": str(home)}) as child:
        assert hear(child) == "12 12"
        expected = {"lost-events"} if place is no_folder_of_anybody else {"folder-unusable", "lost-events"}
        assert expected <= kinds(home)
        tell(child)
        end(child)
    assert Hub(str(home)).lost_elsewhere() == 12


def test_a_file_in_the_place_of_the_home_is_left_as_it_is(tmp_path: Path) -> None:
    """What is there is somebody's."""
    home = a_file(tmp_path)
    run_to_end(EVERYTHING + "record_everything()", env={"PYJAMA_HOME": str(home)})
    assert home.read_text() == "mine"


def test_a_home_that_does_not_exist_is_made(tmp_path: Path) -> None:
    """With all the folders above it."""
    home = tmp_path / "not" / "there" / "yet"
    assert run_to_end(EVERYTHING + "record(3); say(p.lost_events())", env={"PYJAMA_HOME": str(home)}) == "0\n"
    assert figures(home)["global"]["count"] == 3


def test_a_relative_home_in_a_working_folder_that_is_gone_hurts_nobody(tmp_path: Path) -> None:
    """There is no absolute path for it, so there is no hub."""
    code = "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); say(record_everything(), p.lost_events())"
    with agent(EVERYTHING + f"os.chdir({str(tmp_path)!r}); {code}", env={"PYJAMA_HOME": "hub"}) as child:
        assert hear(child) == "12 12"
        end(child)


def test_a_loss_is_told_quietly_where_the_system_has_no_runtime_folder(tmp_path: Path) -> None:
    """The note then lies in the folder for temporary files, and nobody warns on the agent's stderr."""
    env: dict[str, str | None] = {"PYJAMA_HOME": str(a_file(tmp_path)), "XDG_RUNTIME_DIR": None, "TMPDIR": str(tmp_path)}
    assert run_to_end(EVERYTHING + "record(2); say(p.lost_events())", env={**env, "PYTHONWARNINGS": "error"}) == "2\n"


def test_a_home_that_becomes_a_file_and_a_folder_again_is_survived(home: Path) -> None:
    """Under a living agent: what is recorded meanwhile is lost and counted, what comes later counts."""
    code = "\nwhile number := hear(): record(int(number)); look_after_journal(); say(p.lost_events())"
    with agent("from pyjama_metrics.recorder import look_after_journal" + EVERYTHING + code) as child:
        tell(child, "5")
        assert hear(child) == "0"
        home.rename(home.with_name("aside"))
        home.write_text("mine")
        tell(child, "1")  # goes with the folder that was moved away, and is where that is
        hear(child)
        tell(child, "7")
        losses = int(hear(child))
        assert losses >= 7
        home.unlink()
        recorded, losses = record_until_it_works(child)
        tell(child, "")
        end(child)
    assert (figures(home)["global"]["count"], lost(home)) == (recorded, losses)


# -- files that others spoilt -----------------------------------------------------------------------------------------

SPOILT = {
    "empty": b"",
    "truncated": b'{"format":1,"generation":3,"agents":{"a":{"sta',
    "binary": bytes(range(256)) * 20,
    "null": b"null",
    "a list": b"[]",
    "somebody else's": b'{"version": 3, "metrics": [1, 2]}',
    "half ours": b'{"format":1,"generation":3,"agents":[]}',
}


@pytest.mark.parametrize("content", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_is_set_aside_and_its_figures_come_back(home: Path, content: bytes) -> None:
    """From the generation before and the journals: exactly, while an agent goes on to record."""
    with journal(home) as written:
        for _ in range(3):
            written.append(tool_line() * 5)
            generation = figures(home)["generation"]
        (home / "metrics.json").write_bytes(content)
        written.append(tool_line())
        state = figures(home)
    assert (state["global"]["count"], state["problems"]["restored-snapshots"]) == (16, 1)
    assert state["generation"] >= generation
    assert [path.read_bytes() for path in home.glob("metrics.json.corrupt-*")] == [content]
    assert "set-aside" in kinds(home)


GARBAGE = (
    b"\n",
    b"garbage\n",
    b"\xff\xfe\x00\n",
    b"[1,2]\n",
    b'{"event":"tool"\n',
    b"null\n",
    b'{"a":"\xed\xa0\x80"}\n',
    b"[" * 3000 + b"\n",
)


def test_garbage_in_a_journal_is_counted_and_passed_over(home: Path) -> None:
    """Each such line is one malformed line; its neighbours count."""
    with journal(home) as written:
        for garbage in GARBAGE:
            written.append(tool_line() + garbage + tool_line())
        state = figures(home)
    assert (state["global"]["count"], state["problems"]["malformed-lines"]) == (2 * len(GARBAGE), len(GARBAGE))
    assert "malformed-lines" in kinds(home)


STRANGE = (
    b'{"event":"tool"}\n',
    b'{"event":"tool","agent":{},"tool":[],"status":{},"time":"now"}\n',
    b'{"event":"tool","agent":"a","tool":"t","status":"ok","time":-1e400}\n',
    b'{"event":"start","time":1,"agent":"a","run":7}\n',
    b'{"event":"complete","time":null,"agent":"a"}\n',
    b'{"event":"llm","time":1,"agent":"a","input-tokens":-5}\n',
    b'{"event":"workflow","time":1,"agent":"a","steps":7}\n',
    b'{"event":"lost","time":1,"count":"many"}\n',
    b'{"event":7}\n',
    b"{}\n",
)


def test_foreign_events_never_stop_the_fold(home: Path) -> None:
    """What is no event of ours is a problem that is counted, and what follows it is folded."""
    with journal(home) as written:
        for strange in STRANGE:
            written.append(strange + tool_line("b"))
        state = figures(home)
    assert state["agents"]["b"]["count"] == len(STRANGE)
    assert sum(state["problems"].values()) >= len(STRANGE) - 2


# -- arguments that are none ------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


class Rude:
    """An argument whose every method raises what nobody expects."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __float__(self) -> float:
        raise RuntimeError("no number")

    def __int__(self) -> int:
        raise RuntimeError("no number")

    def __le__(self, other: object) -> bool:
        raise RuntimeError("no order")

    __ge__ = __lt__ = __gt__ = __le__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


NAMES: dict[str, Any] = {
    "newlines": "two\nlines\r\n",
    "emoji": "👩‍👩‍👧 ✓",
    "lone surrogates": "a\ud800b\udfff",
    "NUL": "a\0b",
    "a megabyte": "x" * 1_000_000,
    "html": "<img src=x onerror=alert(1)>",
    "quotes": '"\\"{}',
    "control": "\x1b[2J\x7f",
    "line separators": "\u2028\u2029\x85",
    "empty": "",
    "none": None,
    "bytes": b"\xff\xfe",
    "number": 7,
    "path": Path("/tmp/x"),
    "enum": Colour.RED,
    "list": ["a", {"b": 1}],
    "rude": Rude(),
    "NaN": float("nan"),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_value_is_a_name(home: Path, capfd: pytest.CaptureFixture[str], name: Any) -> None:
    """Of agents, tools, steps, models, roles, statuses and messages; recorded three times, counted three times, as one."""
    p.record_agent_start(name if name is not None else "(unnamed)", spec=name, labels={"l": name})
    for _ in range(3):
        p.record_tool_execution(name, name if name is not None else "(unnamed)", "ok", 1.0)
    as_agent = name if name is not None else "(unnamed)"
    p.record_tool_execution(name, as_agent, name, error=name, log=True)
    p.record_agent_activity(as_agent, name, name)
    p.record_agent_waiting(as_agent, name)
    p.record_step_start(as_agent, name)
    p.record_step_complete(as_agent, name, name)
    p.record_workflow_info(as_agent, [name, name])
    p.record_message(as_agent, name)
    p.record_error(as_agent, name)
    p.record_llm_usage(as_agent, name, 1, 1, phase=name, request_id=name, source=name)
    p.record_agent_complete(as_agent, name, name)
    assert p.lost_events() == 0
    state = strict(home)
    assert counts(state) == {text_of(as_agent): 4}
    assert {tool: tally["count"] for tool, tally in state["tools"].items()} == {text_of(name): 4}
    assert set(state["problems"].values()) == {0}
    assert capfd.readouterr() == ("", "")


def strict(home: Path) -> dict[str, Any]:
    """The file, read by a reader that takes nothing but JSON: no NaN, no infinity, no lone surrogate."""
    figures(home)

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    state = json.loads((home / "metrics.json").read_text(encoding="utf-8"), parse_constant=refuse)
    json.dumps(state, ensure_ascii=False).encode()
    return dict(state)


def test_names_that_differ_far_behind_stay_two_names(home: Path) -> None:
    """A name of a megabyte is cut, and yet not mixed up with another one."""
    for tail in ("a", "b", "b"):
        p.record_tool_execution("t", "x" * 1_000_000 + tail)
    assert sorted(counts(figures(home)).values()) == [1, 2]


NO_DURATIONS = [
    float("nan"),
    float("inf"),
    -float("inf"),
    -1,
    -1e-9,
    1e300,
    10**400,
    1e10 + 1,
    "abc",
    b"x",
    [],
    {},
    Rude(),
    object(),
    1j,
]
DURATIONS = [0, 0.0, True, 1.5, 10**9, "2.5", Decimal("1.5"), Fraction(3, 2), 5e-324]


def test_what_is_no_duration_is_counted_as_such_and_the_execution_all_the_same(home: Path) -> None:
    """NaN, infinities, negative and absurd ones spoil no sum."""
    for duration in NO_DURATIONS:
        p.record_tool_execution("t", "a", "ok", duration)  # type: ignore[arg-type]
    p.record_tool_execution("t", "a", "ok", 2.0)
    tool = strict(home)["tools"]["t"]
    assert (tool["count"], tool["timed"], tool["total-duration"]) == (len(NO_DURATIONS) + 1, 1, 2.0)
    assert (figures(home)["problems"]["invalid-values"], p.lost_events()) == (len(NO_DURATIONS), 0)
    assert "invalid-values" in kinds(home)


def test_everything_that_means_a_duration_is_one(home: Path) -> None:
    """On the first call as on the second, which goes another way through the recorder."""
    for duration in DURATIONS * 2:
        p.record_tool_execution("t", "a", "ok", duration)  # type: ignore[arg-type]
    tool = strict(home)["tools"]["t"]
    assert (tool["count"], tool["timed"]) == (2 * len(DURATIONS), 2 * len(DURATIONS))
    assert figures(home)["problems"]["invalid-values"] == 0


NO_TIMES = [float("nan"), float("inf"), -1, 10**30, "now", Rude(), [], 253_402_300_800_001]


def test_what_is_no_time_is_now(home: Path) -> None:
    """The event counts; last-seen does not leave this century."""
    for time_ms in NO_TIMES:
        p.record_tool_execution("t", "a", time_ms=time_ms)  # type: ignore[arg-type]
        p.record_message("a", "user", time_ms=time_ms)  # type: ignore[arg-type]
    state = strict(home)
    assert (counts(state), state["messages"]) == ({"a": len(NO_TIMES)}, {"user": len(NO_TIMES)})
    assert 1.6e12 < state["agents"]["a"]["last-seen"] < 4e12
    assert (state["problems"]["invalid-values"], p.lost_events()) == (2 * len(NO_TIMES), 0)


NO_COUNTS = [-1, 10**30, float("nan"), float("inf"), "many", Rude(), None, []]


def test_what_is_no_number_of_tokens_is_none(home: Path) -> None:
    """The model call counts, with those of its numbers that are some."""
    for tokens in NO_COUNTS:
        p.record_llm_usage("a", "m", tokens, 5)  # type: ignore[arg-type]
    p.record_llm_usage("a", "m", 1, 1, cost_usd=float("nan"))
    usage = strict(home)["models"]["m"]
    assert (usage["requests"], usage["input-tokens"], usage["output-tokens"]) == (len(NO_COUNTS) + 1, 1, 5 * len(NO_COUNTS) + 1)
    assert (figures(home)["problems"]["invalid-values"], p.lost_events()) == (len(NO_COUNTS) + 1, 0)


def test_specifications_of_every_size_and_shape_are_survived(home: Path) -> None:
    """A list that holds itself, a megabyte, nesting without end."""
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = "bottom"
    for _ in range(10_000):
        deep = [deep]
    for spec in (endless, "x" * 1_000_000, {Rude: Rude()}, {i: i for i in range(100_000)}, deep):
        p.record_agent_start("a", spec=spec, labels={"l": spec})
    p.record_agent_start("a", labels={f"{i}": "x" * 1000 for i in range(1000)})
    state = strict(home)
    assert (state["runs"]["started"], p.lost_events()) == (6, 0)
    assert (home / "metrics.json").stat().st_size < 200_000


# -- clocks, streams, locales, threads --------------------------------------------------------------------------------


@pytest.mark.totals_differ("what is dated ahead of the clock counts when it is read; the two read it one after the other")
def test_a_clock_that_jumps_hurts_no_figure(home: Path) -> None:
    """An hour back, to 1970, far ahead and home again: each event counts, and a death is still seen."""
    code = """
    import time
    now_ns, now = time.time_ns, time.time
    p.record_agent_start("a")
    for jump in (-3600, -10**10, 3600, 3 * 10**8, 0):
        time.time_ns = lambda: max(0, now_ns() + jump * 10**9)
        time.time = lambda: max(0.0, now() + jump)
        for _ in range(10):
            p.record_tool_execution("t", "a", "ok", 1.0)
        p.record_agent_activity("a")
        p.flush()
    say(p.lost_events())
    hear()
    """
    with agent(code) as child:
        assert hear(child) == "0"
        state = strict(home)
        assert (counts(state), state["agents"]["a"]["status"]) == ({"a": 50}, "running")
        # Of what was recorded while the clock was ahead, that which was read when it was right again is dated wrongly.
        assert state["problems"]["invalid-values"] <= 22
        kill(child)
        wait_for_status(home, "a", "crashed")


def test_a_process_without_standard_streams_records(home: Path) -> None:
    """A daemon's streams are closed: no journal takes their numbers, and nothing is printed into it."""
    with agent(
        "for n in (0, 1, 2): os.close(n)\np.record_agent_start('a'); p.record_tool_execution('t', 'a')\np.flush()"
    ) as child:
        assert child.wait(30) == 0
    state = figures(home)
    assert (counts(state), state["agents"]["a"]["status"], set(state["problems"].values())) == ({"a": 1}, "stopped", {0})


def test_an_emoji_is_a_name_also_where_the_locale_has_none(home: Path) -> None:
    """In the C locale neither the agent's start nor a subprocess of it fails for want of a character."""
    code = """
    import subprocess
    assert sys.getfilesystemencoding() == "ascii"
    p.record_agent_start("\\N{SNAKE}")
    child = "import pyjama_metrics as p; p.record_agent_start('child')"
    subprocess.run([sys.executable, "-c", child], env=p.child_env("\\N{SNAKE}"), check=True)
    say(p.lost_events())
    """
    said = run_to_end(code, env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"})
    state = figures(home)
    assert (said, state["runs"]["started"], state["agents"]["child"]["parent"]) == ("0\n", 2, state["agents"]["🐍"]["latest-run"])


def test_a_process_that_cannot_start_a_thread_records_all_the_same(home: Path) -> None:
    """Who folds is anybody; who records is it."""
    code = """
    import threading
    def no(self): raise RuntimeError("can't start new thread")
    threading.Thread.start = no
    p.record_tool_execution("t", "a")
    p.record_tool_execution("t", "a")
    say(p.lost_events())
    """
    assert (run_to_end(code), counts(figures(home))) == ("0\n", {"a": 2})


def test_a_fold_that_fails_in_the_background_is_silent(home: Path) -> None:
    """A folder in the place of the shared file: events are recorded, and folded when it is gone."""
    home.mkdir()
    (home / "metrics.json.lock").mkdir()
    with agent(EVERYTHING + "record(50)\nsay(p.lost_events())\nhear()") as child:
        assert hear(child) == "0"
        os.rmdir(home / "metrics.json.lock")
        tell(child)
        end(child)
    assert counts(figures(home)) == {"a": 50}
