"""Parse a tree's Python files, eight at a time, and list the longest functions."""

import argparse
import ast
import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from pyjama_metrics import track_agent, track_tool


@track_tool("parse-file")
async def parse(path: Path) -> list[tuple[int, str]]:
    tree = ast.parse(await asyncio.to_thread(path.read_text, encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [((f.end_lineno or f.lineno) - f.lineno + 1, f"{path}:{f.lineno} {f.name}") for f in functions]


async def in_turn(turn: asyncio.Semaphore, path: Path) -> list[tuple[int, str]]:
    async with turn:  # waiting for it is not the tool's time
        return await parse(path)


@track_tool("find-functions")
async def find_functions(root: Path) -> AsyncIterator[tuple[int, str]]:
    turn = asyncio.Semaphore(8)
    files = [path for path in sorted(root.rglob("*.py")) if ".venv" not in path.parts]
    for done in asyncio.as_completed([in_turn(turn, path) for path in files]):
        try:
            for function in await done:
                yield function
        except (SyntaxError, UnicodeDecodeError) as reason:  # the tool has recorded it
            print(f"left out: {reason}", file=sys.stderr)


@track_agent("asyncio-agent")
async def main(root: Path) -> None:
    functions = [function async for function in find_functions(root)]
    print(f"{len(functions)} functions; the longest:")
    for lines, place in sorted(functions, reverse=True)[:5]:
        print(f"{lines:5} lines  {place}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    asyncio.run(main(parser.parse_args().path))
