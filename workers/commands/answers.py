"""How commands answer: tables and lines for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

NOTHING = "–"
CELL_MAX_CHARACTERS = 60
SHOWN_DEFAULT = 50
HAS_SAID = "carillon.has_said"
"""In the context of a command that has said its document: nothing may follow it."""

# The word above a column → the field of the document below it, or what makes its text.
Columns = Mapping[str, str | Callable[[Any], Any]]


def say_json(value: Any) -> None:
    """The one JSON document of a command on standard output."""
    _say(json.dumps(value, ensure_ascii=_is_ascii_safer(), indent=2))


def say_line(value: Any) -> None:
    """One JSON document of several on a line of its own."""
    _say(json.dumps(value, ensure_ascii=_is_ascii_safer()))


def say_list(items: Sequence[Any], columns: Columns, *, is_json: bool, limit: int | None, nothing: str) -> None:
    """The first `limit` of `items` as a JSON array or as a table; `nothing` when there are none.

    `items` holds one more when there are more, which is said on standard error.
    """
    shown = list(items) if limit is None else list(items)[:limit]
    if is_json:
        say_json(shown)
    elif shown:
        for line in table_lines(list(columns), ([_cell(one, how) for how in columns.values()] for one in shown)):
            click.echo(line)
    else:
        click.echo(nothing)
    if limit is not None and len(items) > limit:
        click.echo(f"These are the first {limit}. Ask for more with --limit, or for all with --all.", err=True)


def say_fields(document: Mapping[str, Any], *, is_json: bool, without: Iterable[str] = ()) -> None:
    """A document as JSON or as one line for each field that says something."""
    if is_json:
        say_json(document)
        return
    left_out = set(without)
    said = {name: value for name, value in document.items() if value not in (None, "", [], {}) and name not in left_out}
    width = max((len(name) for name in said), default=0)
    for name, value in said.items():
        click.echo(f"{name:<{width}}  {shown(value)}")


def table_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows below their head, in columns; what is too long for its column is cut."""
    cut = [
        [one if len(one) <= CELL_MAX_CHARACTERS else f"{one[: CELL_MAX_CHARACTERS - 1]}…" for one in row]
        for row in rows
    ]
    lines = [[word.upper() for word in head], *cut]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return ["  ".join(f"{one:<{width}}" for one, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def shown(value: Any) -> str:
    """A value in a line of text: no control character of it reaches the terminal."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else " " for one in text)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _cell(item: Any, how: str | Callable[[Any], Any]) -> str:
    return shown(item.get(how) if isinstance(how, str) else how(item))


def _say(document: str) -> None:
    if (ctx := click.get_current_context(silent=True)) is not None:
        ctx.meta[HAS_SAID] = True
    click.echo(document)


def _is_ascii_safer() -> bool:
    """Whether the terminal cannot show every character: what it cannot, stands in JSON as an escape."""
    return not (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf8")
