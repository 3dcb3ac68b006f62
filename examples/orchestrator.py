"""Analyse each folder of a tree in a process of its own: orchestrator.py PATH [--agents N] [--json]."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from pyjama_metrics import track_agent, track_tool

ANALYSER = Path(__file__).with_name("codebase_analyser.py")


@track_tool("start-agent")
def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(ANALYSER), str(folder), "--agent", f"analyse-{folder.name}", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # it finds its parent by itself


@track_tool("await-agent")
def outcome(agent: subprocess.Popen[str]) -> dict[str, object]:
    answer, _ = agent.communicate()
    if agent.returncode:
        raise subprocess.CalledProcessError(agent.returncode, agent.args)
    return dict(json.loads(answer))


@track_agent("orchestrator")
def main(root: Path, most: int) -> list[dict[str, object]]:
    folders = [path for path in sorted(root.resolve().iterdir()) if path.is_dir() and path.name[0] != "."]
    reports = []
    for agent in [start(folder) for folder in folders[:most]]:
        try:
            reports.append(outcome(agent))
        except subprocess.CalledProcessError as failure:  # the others go on; the tool has recorded this one
            print(failure, file=sys.stderr)
    return reports


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--agents", type=int, default=4, help="how many to start at most")
    parser.add_argument("--json", action="store_true", help="print what each of them did")
    options = parser.parse_args()
    reports = main(options.path, options.agents)
    text = "\n".join("{agent}: {lines} lines, versions {versions}".format(**report) for report in reports)
    print(json.dumps(reports) if options.json else text)
