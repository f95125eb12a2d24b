"""Where the steps of a definition stand in the text that someone typed."""

from __future__ import annotations

import json
import re
from bisect import bisect_right

from domain.workflows.definitions import BRANCHES

# A JSON text is a sequence of these; what is between them is white space.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)

Path = tuple[str | int, ...]


def step_lines(text: str) -> dict[str, int]:
    """The line, from 1, at which each step begins, by its path; empty for what is not JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return {}
    breaks = [match.start() for match in re.finditer("\n", text)]
    lines = {}
    for path, place in _object_places(text):
        if step_path := _step_path(path):
            lines[step_path] = bisect_right(breaks, place) + 1
    return lines


def syntax_line(text: str) -> int | None:
    """The line, from 1, at which a text stops being JSON; None for one that is."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno
    except (ValueError, RecursionError):
        return None
    return None


def _object_places(text: str) -> list[tuple[Path, int]]:
    """Every object of a JSON text: the keys and indexes that lead to it, and the offset of its bracket."""
    found: list[tuple[Path, int]] = []
    way: list[str | int] = []
    is_key = False
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "{":
            found.append((tuple(way), match.start()))
            way.append("")
            is_key = True
        elif token == "[":
            way.append(0)
            is_key = False
        elif token in "]}":
            way.pop()
            is_key = False
        elif token == ",":
            last = way[-1]
            way[-1] = last + 1 if isinstance(last, int) else ""
            is_key = not isinstance(last, int)
        elif is_key and token != ":":
            way[-1] = json.loads(token)
            is_key = False
    return found


def _step_path(path: Path) -> str | None:
    """The step path of a place in the JSON; None where no step stands."""
    if not path or len(path) % 2:
        return None
    pairs = list(zip(path[::2], path[1::2], strict=True))
    if pairs[0][0] != "steps" or any(key not in BRANCHES for key, _ in pairs[1:]):
        return None
    if not all(isinstance(index, int) for _, index in pairs):
        return None
    (_, first), *rest = pairs
    return f"root.steps[{first}]" + "".join(f".{key}.steps[{index}]" for key, index in rest)
