"""Whatever agents call themselves and report: the page shows it as text, where it belongs, and nothing else happens."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pyjama_metrics.cli.terminal import printable
from pyjama_metrics.dashboard.server import DashboardServer
from pyjama_metrics.recorder import record_agent_start, record_llm_usage, record_tool_execution
from tests.dashboard.looking import open_page, row, see
from tests.dashboard.serving import Agent, Served, agent_process, ask, dashboard_process
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

HOSTILE = [
    "<script>window.hurt = 1</script>",
    '<img src=x onerror="window.hurt = 1">',
    '"\' onmouseover="window.hurt = 1" autofocus onfocus=\'window.hurt = 1\' x="',
    '</bdi></td></template></textarea></title></style><svg onload="window.hurt = 1">',
    "javascript:window.hurt = 1//",
    "{{ 7 * 7 }} ${window.hurt = 1} &lt;b&gt;&#0;",
    "\u202egnp.exe\u2066 \u200f\u202b",
    "x" * 10_000,
    "long and wide " * 700,
    "one\ntwo\r\n\tthree",
    "nul\x00 escape\x1b[31m",
    "lone \ud800 and \udfff",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308",
    "Z" + "\u0337\u035b\u0344" * 60,
    "%2F..%2f../#/agents/?a=b&c#d",
    " ",
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
]
LONGEST_SHOWN = 300
WIDTHS = (1280, 360)

RECORD = """
def be_hostile(text, parent):
    run = record_agent_start(text, parent=parent, spec={text: [text]}, labels={text: text}, source=text)
    record_workflow_info(text, [text, "after " + text])
    record_step_start(text, text)
    record_tool_execution(text, text, text, 5, text, log=True)
    record_tool_execution(text, text, "ok", 7)
    record_step_complete(text, text, text)
    record_agent_activity(text, text, text)
    record_message(text, text)
    record_llm_usage(text, text, 100, 20, phase=text, request_id=text)
    record_error(text, text)
    record_agent_waiting(text, text)
"""

Hub = tuple[Served, Agent, list[str]]
"""A dashboard, the process that recorded what it shows, and the names under which the agents are known."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Each text is an agent, and whatever that agent can say: each the parent of the next."""
    home = tmp_path_factory.mktemp("hostile") / "hub"
    folder = tmp_path_factory.mktemp("work") / "<img src=x onerror='window.hurt = 1'>\n\u202e"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch, dashboard_process(home=home) as server:
        patch.setenv("PYJAMA_HOME", str(home))
        patch.setenv("TMUX", "/tmp/'; window.hurt = 1 #,4711,0")
        patch.setenv("TMUX_PANE", "%1'; touch hurt; '")
        with agent_process() as agent:
            agent.do(f"import os; os.chdir({str(folder)!r}); from pyjama_metrics.recorder import *; exec({RECORD!r})")
            for place, text in enumerate(HOSTILE):
                agent.do(f"be_hostile({text!r}, {HOSTILE[place - 1] if place else None!r})")
            wait_until(lambda: len(data(server)["needs"]) == len(HOSTILE), 30, "all of them")
            yield server, agent, list(data(server)["agents"])


def data(server: Served) -> Any:
    """What the page is shown from."""
    return ask(server, "/api/data").json


def detail(server: Served, name: str) -> Any:
    """What the page of an agent is shown from."""
    return ask(server, f"/api/agents/{quote(name, safe='')}").json


def shown(text: str) -> str:
    """How a text is written: its controls as pictures, what shows nothing as the command line has it, no more than a line."""
    written = (chr(0x2400 + ord(each)) if each < " " else each for each in text[: LONGEST_SHOWN + 1])
    pictures = "".join(each if each > "\u2400" or each == " " else printable(each) for each in written)
    return pictures if len(pictures) <= LONGEST_SHOWN else f"{pictures[:LONGEST_SHOWN]}…"


def texts(page: Page, selector: str) -> list[str]:
    """The texts of all elements, as they are in the document."""
    found: list[str] = page.locator(selector).evaluate_all("found => found.map(element => element.textContent)")
    return found


def nothing_happened(page: Page) -> bool:
    """No text became an element or a program, none reached an object's own nature, and nothing is wider than the window."""
    told = page.evaluate(
        """() => ({
            hurt: window.hurt ?? null,
            foreign: document.querySelectorAll("main :is(img, script, iframe, style, [onload], [onerror], [onfocus])").length,
            inherited: [...(function* () { for (const name in {}) yield name; })()],
            counted: ({}).count ?? ({}).status ?? ({}).tools ?? null,
            excess: Math.max(0, document.documentElement.scrollWidth - innerWidth),
        })"""
    )
    assert told == {"hurt": None, "foreign": 0, "inherited": [], "counted": None, "excess": 0}, told
    return True


@pytest.mark.parametrize("width", WIDTHS)
def test_the_overview_shows_them_as_texts(hub: Hub, page: Page, width: int) -> None:
    """As agents, tools, reasons, messages; a row is as high as any other."""
    server, _, names = hub
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, server)
    wait_until(lambda: page.locator("#agents tr").count() == len(names), what="all agents")
    assert sorted(texts(page, "#agents [data-name]")) == sorted(map(shown, names))
    assert sorted(texts(page, "#tools [data-name]")) == sorted(map(shown, data(server)["metrics"]["tools"]))
    assert set(texts(page, "#log .tool")) <= {shown(name) for name in names} | {""}
    assert page.locator("#log li").count() == len(data(server)["recent-logs"])
    for rows in ("#agents tr", "#tools tr", "#log li"):
        heights = set(page.locator(rows).evaluate_all("rows => rows.map(row => Math.round(row.offsetHeight))"))
        assert len(heights) == 1, (rows, heights)
    assert nothing_happened(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_tree_and_all_needs(hub: Hub, page: Page, width: int) -> None:
    """Each is the child of the one before; all of them wait."""
    server, _, names = hub
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, server)
    page.get_by_role("button", name="Tree", exact=True).click()
    page.get_by_role("button", name=f"{len(names) - 6} more").click()
    wait_until(lambda: page.locator("#needs li").count() == len(names), what="all needs")
    assert sorted(texts(page, "#agents [data-name]")) == sorted(map(shown, names))
    assert nothing_happened(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_each_agent_shows_them_as_texts(hub: Hub, page: Page, width: int) -> None:
    """Its name, tools, models, phases, roles, steps, labels, task, folder, errors and log."""
    server, _, names = hub
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, server)
    for name in names:
        page.evaluate("hash => { location.hash = hash; }", f"#/agents/{quote(name, safe='')}")
        wait_until(lambda name=name: texts(page, "#agent-name bdi") == [shown(name)], what="its name")
        view = detail(server, name)
        wait_until(lambda view=view: texts(page, "#agent-tools [data-name]") == [*map(shown, view["tools"])], what="its tool")
        assert texts(page, "#models [data-name]") == [*map(shown, view["models"])]
        assert texts(page, "#phases [data-name]") == [*map(shown, view["phases"])]
        steps = [shown(step["id"]) for step in view["runs"][0]["steps"]]
        wait_until(lambda steps=steps: texts(page, "#steps:not([hidden]) bdi") == steps, what="its steps")
        assert set(texts(page, "#errors [data-message]")) == {shown(error["message"]) for error in view["errors"]}
        assert {shown(text) for each in view["labels"].items() for text in each} <= set(texts(page, "#agent-origin bdi"))
        assert shown(view["agent"]["cwd"]) in texts(page, "#agent-origin code")
        assert nothing_happened(page)


def test_an_address_leads_back_to_each_agent(hub: Hub, page: Page) -> None:
    """The one that its own link has; after a reload, too."""
    server, _, names = hub
    open_page(page, server)
    wait_until(lambda: page.locator("#agents tr").count() == len(names), what="all agents")
    links = page.locator("#agents .branch a").evaluate_all("links => links.map(link => [link.textContent, link.href])")
    assert len({address for _, address in links}) == len(names)
    for text, address in links:
        page.goto(address)
        page.reload()
        page.wait_for_selector("#agent-tools tr")
        assert texts(page, "#agent-name bdi") == [text]
        assert page.locator("#agent-gone").is_hidden()


def test_filters_find_each_agent(hub: Hub, page: Page) -> None:
    """By what is typed, by the source, and in the log by agent and tool."""
    server, _, names = hub
    open_page(page, server)
    wait_until(lambda: page.locator("#agents tr").count() == len(names), what="all agents")
    search, source = page.locator(".agents input[type=search]"), page.locator(".agents select[name=source]")
    for name in names:
        if name.strip() and name.isprintable():  # what can be typed
            search.fill(name[:100])
            assert shown(name) in texts(page, "#agents [data-name]")
    search.fill("nobody is called that")
    assert page.locator("#agents tr").count() == 0
    search.fill("")
    for name, agent in data(server)["agents"].items():
        source.select_option(value=agent["source"])
        wait_until(lambda name=name: texts(page, "#agents [data-name]") == [shown(name)], what=f"{name[:50]!r} alone")
    assert nothing_happened(page)


def test_the_log_is_filtered_by_each_name(hub: Hub, page: Page) -> None:
    """A list of choices offers them as they are."""
    server, _, _ = hub
    logs = data(server)["recent-logs"]
    open_page(page, server)
    see(page.locator(".log select[name=tool]"), "__proto__")
    for kind, key in (("agent", "agent-id"), ("tool", "tool")):
        select = page.locator(f".log select[name={kind}]")
        for name in {entry[key] for entry in logs if entry[key]}:
            select.select_option(value=name)
            assert page.locator("#log li").count() == sum(entry[key] == name for entry in logs)
        select.select_option(value="")
    assert nothing_happened(page)


def test_they_move_like_any_other(hub: Hub, page: Page) -> None:
    """An update of a name that every object inherits reaches the row, and only that."""
    server, agent, names = hub
    open_page(page, server)
    wait_until(lambda: page.locator("#agents tr").count() == len(names), what="all agents")
    for name in ("__proto__", "constructor", "hasOwnProperty", "<script>window.hurt = 1</script>"):
        agent.do(f"[record_tool_execution('{name}', '{name}', duration_ms=2) for _ in range(10)]")
        count = row(page, "agents", name).locator("[data-field=count]")
        wait_until(lambda count=count: count.inner_text() == "12", what=f"12 executions of {name}")
    assert nothing_happened(page)


def test_a_name_that_every_object_inherits_arrives(server: DashboardServer, page: Page) -> None:
    """While the page is open: as an agent, a tool, a model and a label that were not there before."""
    record_agent_start("first")
    open_page(page, server)
    see(row(page, "agents", "first"), "running")
    for name in ("__proto__", "constructor"):
        record_agent_start(name, labels={name: name})
        record_tool_execution(name, name, duration_ms=1)
        record_llm_usage(name, name, 10, 5, phase=name)
    for name in ("__proto__", "constructor"):
        for table in ("agents", "tools"):
            see(row(page, table, name), "1")
    assert nothing_happened(page)


TMUX = """#!/bin/sh
printf '%s\\n' "$@" >told
"""
"""A stand-in that writes down what it was told."""


def test_a_command_that_is_offered_holds_no_other(
    hub: Hub, server: DashboardServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment says of the terminal may be anything: there is no command, or one that a shell takes for one."""
    assert {need["command"] for need in data(hub[0])["needs"]} == {None}
    path = "/tmp/'; touch hurt #$(touch hurt) `touch hurt`"
    monkeypatch.setenv("TMUX", f"{path},4711,0")
    monkeypatch.setenv("TMUX_PANE", "%1")
    with agent_process() as agent:
        agent.do("record_agent_start('a'), record_agent_waiting('a', 'here')")
        wait_until(lambda: data(server)["needs"], what="the need")
    (tmp_path / "tmux").write_text(TMUX)
    (tmp_path / "tmux").chmod(0o700)
    command = data(server)["needs"][0]["command"]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=True, timeout=10)
    assert (tmp_path / "told").read_text().splitlines() == ["-S", path, "switch-client", "-t", "%1"]
    assert not (tmp_path / "hurt").exists()
