"""The mapping from an event to a payload as a form: a row per field of the payload schema, or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from domain.expressions.mappings import EXPR
from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused

DEEPEST = 4
MAX_ROWS = 200
FIELDS, JSON = "fields", "json"

Json = dict[str, Any]


@dataclass(frozen=True)
class MappingRow:
    """One target and the expression that fills it. `hint` tells what the schema says of it; `is_known`: it names it."""

    target: str
    expression: str = ""
    hint: str = ""
    is_required: bool = False
    is_known: bool = False
    errors: tuple[str, ...] = ()


def mapping_rows(schema: Any, pairs: Sequence[tuple[str, str]]) -> list[MappingRow]:
    """A row per field that `schema` names, in its order, then what else is mapped, then an empty one to add to them.

    `pairs` are the targets and expressions that are there already.
    """
    rest = [(target, text) for target, text in pairs if target.strip() or text.strip()]
    rows = []
    for row in islice(_known_rows(schema, schema, "", 0), MAX_ROWS):
        mine = next((pair for pair in rest if pair[0] == row.target), None)
        if mine:
            rest.remove(mine)
        rows.append(replace(row, expression=mine[1] if mine else ""))
    return [*rows, *(MappingRow(target, text) for target, text in rest), MappingRow("")]


def is_in_fields(mapping: Mapping[str, Any]) -> bool:
    """Whether a row per target can show the mapping: every value is an expression."""
    return all(
        isinstance(value, dict) and set(value) == {EXPR} and isinstance(value[EXPR], str) for value in mapping.values()
    )


def mapping_of(pairs: Sequence[tuple[str, str]]) -> Json:
    """The mapping in rows; a row without an expression maps nothing. Raises Refused at `mapping/<target>`."""
    found: Json = {}
    problems = []
    for target, expression in pairs:
        target = target.strip()
        if not expression.strip():
            continue
        if not target:
            problems.append(Problem("mapping", f"Say which field {expression.strip()[:40]} fills.", "MAPPING_TARGET"))
        elif target in found:
            problems.append(Problem(f"mapping/{target}", f"{target} is filled twice.", "MAPPING_TARGET"))
        found[target] = {EXPR: expression.strip()}
    if problems:
        raise Refused(problems)
    return found


def mapping_in(text: str) -> Json:
    """The mapping in a JSON text, empty for an empty one; raises Refused at `mapping`."""
    if not text.strip():
        return {}
    found = strict_json.loads(text, path="mapping")
    if not isinstance(found, dict):
        raise Refused.at("mapping", "A mapping is an object: the field to fill, then what fills it.", "MAPPING_INVALID")
    return found


def mapping_text(mapping: Mapping[str, Any]) -> str:
    """The mapping as JSON for people; empty when nothing is mapped."""
    return strict_json.pretty(dict(mapping)) if mapping else ""


def _known_rows(schema: Any, root: Any, prefix: str, depth: int) -> Iterator[MappingRow]:
    schema = _resolved(schema, root)
    required = schema.get("required")
    for name, part in _properties(schema).items():
        if not name or "." in name:
            continue
        part = _resolved(part, root)
        is_required = isinstance(required, list) and name in required
        if _properties(part) and depth < DEEPEST:
            yield from _known_rows(part, root, f"{prefix}{name}.", depth + 1)
        else:
            yield MappingRow(f"{prefix}{name}", "", _hint(part), is_required, is_known=True)


def _hint(part: Json) -> str:
    title, kind = part.get("title"), part.get("type")
    words = [title] if isinstance(title, str) and title else []
    if isinstance(part.get("enum"), list):
        words.append("one of " + ", ".join(str(value) for value in part["enum"][:5]))
    elif isinstance(kind, str):
        words.append(kind)
    return " · ".join(words)[:120]


def _properties(schema: Json) -> Json:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _resolved(schema: Any, root: Any) -> Json:
    """The schema behind references into the same document; an empty one for what cannot be followed."""
    for _ in range(DEEPEST):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            break
        schema = root
        for key in reference.removeprefix("#").split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            schema = schema.get(key) if isinstance(schema, dict) else None
    return schema if isinstance(schema, dict) else {}
