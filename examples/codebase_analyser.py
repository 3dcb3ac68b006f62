"""Count the lines of a source tree and find the versions it states: codebase_analyser.py PATH [--json]."""

import argparse
import json
import re
from pathlib import Path

from pyjama_metrics import track_agent, track_tool

VERSION = re.compile(r"""^\s*["']?(?:__version__|version)["']?\s*[:=]\s*["']?(\d+\.\d+[\w.+-]*)""", re.M)


@track_tool("list-files")
def list_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not (p.name.startswith((".", "__pycache__", "build")) or p.is_symlink()))


read_file = track_tool("read-file")(Path.read_text)  # fails, truly, where a file is not text
find_versions = track_tool("find-versions")(VERSION.findall)


def analyse(root: Path) -> dict[str, object]:
    waiting, lines, versions = list_files(root), 0, dict[str, str]()
    done = {tool: {"success": 0, "error": 0} for tool in ("list-files", "read-file", "find-versions")}
    done["list-files"]["success"] += 1
    while waiting:
        path = waiting.pop()
        tool = "list-files" if path.is_dir() else "read-file"
        try:
            if tool == "list-files":
                waiting += list_files(path)
            else:
                text = read_file(path, encoding="utf-8")
                lines += len(text.splitlines())
                versions |= {str(path.relative_to(root)): found for found in find_versions(text)[:1]}
                done["find-versions"]["success"] += 1
            done[tool]["success"] += 1
        except (OSError, UnicodeDecodeError):
            done[tool]["error"] += 1
    return {"path": str(root), "lines": lines, "versions": versions, "tools": done}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--agent", default="codebase-analyser", help="the name to record as")
    parser.add_argument("--json", action="store_true", help="print what was done, per tool")
    options = parser.parse_args()
    with track_agent(options.agent, spec={"path": str(options.path)}):
        report = {"agent": options.agent} | analyse(options.path)
    print(json.dumps(report) if options.json else f"{report['lines']} lines, versions {report['versions']}")
