"""A user's machine in a folder: home, project, settings, and programs that can reach nothing but a scripted model.

Nothing of the environment of whoever runs the tests reaches a program. Its key is none, and whatever is not on loopback would
have to go through a proxy where nobody listens.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.live.model import Model
from tests.live.programs import Program, node
from tests.waiting import wait_until

CHECKOUT = Path(__file__).parents[2]
KEY = "sk-ant-nobody-needs-this-key-0123456789"
"""What programs are given as their key."""
LONGEST = 50.0
"""Seconds that a program may take."""
_NOWHERE = "http://127.0.0.1:9"
_QUIET = ("DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC")


class Ended(NamedTuple):
    """A program that came to its end."""

    session: str
    code: int
    out: str
    err: str


class Machine:
    """A machine with one program on it.

    Attributes:
        program: which.
        model: whom it asks.
        work: the folder of the project that it works on.
        user: the home folder.
        hub: the hub's folder.
        before: the files of its settings before the installation.
    """

    def __init__(self, program: Program, model: Model, folder: Path, hub: Path) -> None:
        self.program, self.model, self.hub = program, model, hub
        self.user, self.work = folder / "user", Path(model.work)
        self.before: dict[Path, bytes] = {}
        self.bin = folder / "bin"
        for place in (self.user, self.work, self.bin, folder / "tmp"):
            place.mkdir(exist_ok=True)
        (self.bin / program.name).symlink_to(program.path)
        (self.work / "seed.txt").write_text("a seed\n")
        self.environment = {
            "PATH": os.pathsep.join([str(self.bin), "/usr/local/bin", "/usr/bin", "/bin", *filter(None, [node()])]),
            "HOME": str(self.user),
            "TMPDIR": str(folder / "tmp"),
            "XDG_RUNTIME_DIR": os.environ["XDG_RUNTIME_DIR"],
            "LANG": "C.UTF-8",
            "SHELL": "/bin/bash",
            "USER": "somebody",
            "TERM": "xterm-256color",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HTTP_PROXY": _NOWHERE,
            "HTTPS_PROXY": _NOWHERE,
            "NO_PROXY": "127.0.0.1,localhost",
            "PYJAMA_HOME": str(hub),
        }

    # -- ours ------------------------------------------------------------------------------------------------------

    def pyjama(self, *arguments: str) -> str:
        """Run our own command; what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "pyjama_metrics", *arguments],
            env=self.environment | {"PYTHONPATH": str(CHECKOUT)},
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    # -- the program -----------------------------------------------------------------------------------------------

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """The program with these arguments while the block lasts; no process of its own survives that."""
        child = subprocess.Popen(
            [self.bin / self.program.name, *arguments],
            env=self.environment | environment,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield child
        finally:
            end_group(child.pid)
            child.wait()
            for pipe in (child.stdout, child.stderr):
                assert pipe is not None
                pipe.close()

    def ended(self, child: subprocess.Popen[str], session: str = "") -> Ended:
        """How the program ended."""
        out, err = child.communicate(timeout=LONGEST)
        return Ended(session, child.returncode, out, err)

    def began(self) -> None:
        """Wait until the command of the scripts that wait for a word has begun."""
        wait_until((self.work / "begun").exists, LONGEST, "the tool")

    def go_on(self) -> None:
        """Give that word."""
        (self.work / "go").touch()

    def written(self) -> dict[Path, bytes]:
        """Every file that the hub wrote, and what it put into the user's folders."""
        places = [
            self.hub,
            self.user / ".local",
            self.user / ".config",
            self.user / ".cache",
            Path(self.environment["XDG_RUNTIME_DIR"]),
        ]
        files = (path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink())
        return {path: path.read_bytes() for path in files}


class ClaudeMachine(Machine):
    """A machine with Claude Code."""

    def __init__(self, program: Program, model: Model, folder: Path, hub: Path) -> None:
        super().__init__(program, model, folder, hub)
        self.environment |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url, "IS_SANDBOX": "1"}
        self.environment |= dict.fromkeys(_QUIET, "1")
        self.settings = self.user / ".claude" / "settings.json"
        self.settings.parent.mkdir(exist_ok=True)
        known = {"allowedTools": [], "hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        told = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "bypassPermissionsModeAccepted": True,
            "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
            "projects": {str(self.work): known},
        }
        (self.user / ".claude.json").write_text(json.dumps(told))

    def install(self) -> None:
        """Put our hooks into its settings, as users do."""
        told = json.loads(self.pyjama("claude", "install", "--json"))
        assert told["version"] == self.program.version, "The program was asked for its version, and did not answer in time."

    def uninstall(self) -> None:
        """Take them out again."""
        self.pyjama("claude", "uninstall")

    def arguments(self, prompt: str, session: str, *, resumes: str | None, forks: bool, asks: bool) -> list[str]:
        """How it is called for one prompt."""
        chosen = ["-p", prompt]
        if resumes is not None:
            chosen += ["--resume", resumes] + (["--fork-session"] if forks else [])
        if resumes is None or (forks and self.program.version != "1.0.128"):  # which names a fork as it likes
            chosen += ["--session-id", session]
        return chosen if asks else [*chosen, "--dangerously-skip-permissions"]

    def run(
        self, prompt: str, *, resumes: str | None = None, forks: bool = False, asks: bool = False, **environment: str
    ) -> Ended:
        """One prompt in a process of its own, to its end.

        Args:
            prompt: what is typed.
            resumes: the session that goes on.
            forks: whether it does so as another one.
            asks: whether permissions are needed; there is nobody to ask.
            environment: more variables.
        """
        with self.begun(prompt, resumes=resumes, forks=forks, asks=asks, **environment) as (session, child):
            return self.ended(child, session)

    @contextmanager
    def begun(
        self, prompt: str, *, resumes: str | None = None, forks: bool = False, asks: bool = False, **environment: str
    ) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """The same while it runs: the session's id and the process."""
        session = resumes if resumes is not None and not forks else str(uuid.uuid4())
        arguments = self.arguments(prompt, session, resumes=resumes, forks=forks, asks=asks)
        with self.running(*arguments, **environment) as child:
            yield session, child


class CodexMachine(Machine):
    """A machine with Codex."""

    def __init__(self, program: Program, model: Model, folder: Path, hub: Path) -> None:
        super().__init__(program, model, folder, hub)
        self.folder = self.user / ".codex"
        self.folder.mkdir(exist_ok=True)
        self.environment |= {"CODEX_HOME": str(self.folder), "SCRIPTED_KEY": KEY}
        self.config = self.folder / "config.toml"
        self.config.write_text(
            f"""\
model = "gpt-5.2-codex"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[feedback]
enabled = false

[model_providers.scripted]
name = "scripted"
base_url = "{model.url}/v1"
env_key = "SCRIPTED_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1

[projects.{json.dumps(str(self.work))}]
trust_level = "trusted"
"""
        )

    def install(self) -> None:
        """Put our hooks into its files, as users do."""
        self.pyjama("codex", "install")

    def uninstall(self) -> None:
        """Take them out again."""
        self.pyjama("codex", "uninstall")

    def run(self, prompt: str, *, resumes: str | None = None, **environment: str) -> Ended:
        """One prompt in a process of its own, to its end."""
        with self.begun(prompt, resumes=resumes, **environment) as child:
            ended = self.ended(child)
        told = [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]
        sessions = [line["thread_id"] for line in told if line.get("type") == "thread.started"]
        return ended._replace(session=sessions[0] if sessions else "")

    @contextmanager
    def begun(self, prompt: str, *, resumes: str | None = None, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """The same while it runs."""
        # Nobody is there who could trust the hooks.
        options = ["--json", "--skip-git-repo-check", "--dangerously-bypass-hook-trust"]
        resumed = [] if resumes is None else ["resume", resumes]
        with self.running("exec", *resumed, *options, prompt, **environment) as child:
            yield child


def end_group(leader: int) -> None:
    """Kill what is left of the processes that a leader began."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
