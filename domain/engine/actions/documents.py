"""Documents of transform.compose_text: what they are made of, what is wrong with one, and how it reads as Markdown.

A document is {version: 1, blocks: [...]}. Blocks are paragraph, heading (level 1 to 3), bullet_list_item,
ordered_list_item and blockquote, each with `children`, and code_block with `text`. A child is a text (`text`, `marks` of
bold, italic, code and link, `href` of a link) or a reference (`path`, such as payload.customer.name, and its `value`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from domain.engine.actions.schemas import ANY, TEXT, object_schema
from domain.engine.actions.texts import as_text
from domain.engine.failures import VALIDATION, StepFailed
from domain.kernel import strict_json
from domain.workflows.schema_rules import payload_problems

Json = dict[str, Any]

CODE, BULLET, NUMBERED, HEADING, QUOTE = "code_block", "bullet_list_item", "ordered_list_item", "heading", "blockquote"
_MARKS = {"code": "`", "bold": "**", "italic": "_"}
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_$][A-Za-z0-9_$]*|\[[0-9]{1,6}\])*")
_HREF = re.compile(r"(?:https?://|mailto:)[^\s()<>]+")

_CHILD = object_schema(
    ("text", "marks", "href", "path", "label", "value"),
    type={"enum": ["text", "reference"]},
    text=TEXT,
    marks={"type": "array", "items": {"enum": [*_MARKS, "link"]}, "maxItems": 4},
    href={"type": "string", "maxLength": 2_000},
    path={"type": "string", "maxLength": 500},
    label=TEXT,
    value=ANY,
)
_BLOCK = object_schema(
    ("children", "text", "level"),
    type={"enum": ["paragraph", HEADING, BULLET, NUMBERED, QUOTE, CODE]},
    children={"type": "array", "items": _CHILD, "maxItems": 1_000},
    text=TEXT,
    level={"enum": [1, 2, 3]},
)
OUTPUTS: Json = {
    "type": "array",
    "minItems": 1,
    "maxItems": 100,
    "items": object_schema(
        ("id", "label"),
        id=TEXT,
        label=TEXT,
        stableKey={"type": "string", "pattern": "^[a-z_][a-z0-9_]{0,63}$"},
        document=object_schema(version={"const": 1}, blocks={"type": "array", "items": _BLOCK, "maxItems": 1_000}),
    ),
    "description": "One text each. A step holds them as config.outputs, where a reference names its path only.",
}


def mapping_of(config: Json) -> Any:
    """The input mapping of an action call: `inputMapping`, and `outputs` where the config holds them beside it."""
    mapping = config.get("inputMapping", {})
    if "outputs" not in config or not isinstance(mapping, dict):
        return mapping
    return {**mapping, "outputs": with_references(config["outputs"])}


def config_faults(config: Json) -> Iterator[str]:
    """What is wrong with the `outputs` in the config of an action call: a sentence each. Nothing when there are none."""
    if "outputs" in config:
        outputs = config["outputs"]
        problems = payload_problems(OUTPUTS, outputs)
        yield from (f"outputs{problem.path.replace('/', '.')} {problem.message}." for problem in problems)
        if not problems:
            yield from outputs_problems(outputs)


def with_references(outputs: Any) -> Any:
    """Outputs as a step's config holds them, each reference's value mapped from its path. Leaves what is malformed."""
    if isinstance(outputs, dict):
        filled = {key: with_references(member) for key, member in outputs.items()}
        if outputs.get("type") == "reference" and "value" not in outputs and is_path(outputs.get("path")):
            filled["value"] = {"$expr": _expression(outputs["path"])}
        return filled
    return [with_references(item) for item in outputs] if isinstance(outputs, list) else outputs


def is_path(path: Any) -> bool:
    """Whether this names a place such as vars.lines[0].name."""
    return isinstance(path, str) and _PATH.fullmatch(path) is not None


def _expression(path: str) -> str:
    # Quoted, so that a name may also be a word of the expression language.
    return re.sub(r"[A-Za-z_$][A-Za-z0-9_$]*", lambda name: f"`{name[0]}`", path)


def outputs_problems(outputs: list[Json]) -> Iterator[str]:
    """What is wrong with outputs that fit the schema: a sentence each, with its place."""
    keys = [output["stableKey"] for output in outputs]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"Two outputs have the stableKey {key}."
    for output in outputs:
        for index, block in enumerate(output["document"]["blocks"]):
            place = f"{output['stableKey']}, block {index + 1}"
            needs = "text" if block["type"] == CODE else "children"
            if needs not in block:
                yield f"{place}: a {block['type']} needs {needs}."
            if block["type"] == HEADING and "level" not in block:
                yield f"{place}: a heading needs a level from 1 to 3."
            for child in block.get("children", ()):
                yield from (f"{place}: {fault}" for fault in _child_faults(child))


def _child_faults(child: Json) -> Iterator[str]:
    if child["type"] == "reference":
        if "value" not in child and not is_path(child.get("path")):
            yield "a reference needs a path such as payload.customer.name."
        return
    if "text" not in child:
        yield "a text needs text."
    if ("link" in child.get("marks", ())) != ("href" in child):
        yield "the mark link and a href belong together."
    if "href" in child and not _HREF.fullmatch(child["href"]):
        yield "a href begins with http://, https:// or mailto: and holds no blanks or brackets."


def markdown(document: Json, key: str) -> str:
    """The document as Markdown. Raises StepFailed (ValidationError) when a reference has no value."""
    written: list[str] = []
    for kind, group in groupby(document["blocks"], key=lambda block: block["type"]):
        blocks = list(group)
        if kind in (BULLET, NUMBERED):
            items = (
                _item(f"{number}." if kind == NUMBERED else "-", block, key) for number, block in enumerate(blocks, 1)
            )
            written.append("\n".join(items))
        else:
            written += [_block(block, key) for block in blocks]
    return "\n\n".join(written)


def _block(block: Json, key: str) -> str:
    if block["type"] == CODE:
        fence = "`" * max(3, _longest_ticks(block["text"]) + 1)
        return f"{fence}\n{block['text']}\n{fence}"
    content = _inline(block, key)
    if block["type"] == HEADING:
        return f"{'#' * block['level']} {' '.join(content.split())}"
    return "\n".join(f"> {line}" for line in content.split("\n")) if block["type"] == QUOTE else content


def _item(mark: str, block: Json, key: str) -> str:
    indent = " " * (len(mark) + 1)
    return f"{mark} " + _inline(block, key).replace("\n", f"\n{indent}")


def _inline(block: Json, key: str) -> str:
    return "".join(
        _reference(child, key) if child["type"] == "reference" else _text(child) for child in block["children"]
    )


def _reference(child: Json, key: str) -> str:
    value = child.get("value")
    if value is None:
        message = f"The text {key} refers to {child.get('path') or 'a value'}, which is missing or null."
        raise StepFailed(message, "MISSING_REFERENCE", VALIDATION)
    return strict_json.dumps(value) if isinstance(value, dict | list) else as_text(value)


def _text(child: Json) -> str:
    marks = child.get("marks", ())
    text = child["text"].replace("\n", "  \n")
    # Marks next to a blank are no marks in Markdown.
    core = text.strip()
    if not core:
        return str(text)
    before, after = text[: text.index(core)], text[text.index(core) + len(core) :]
    for name, sign in _MARKS.items():
        if name in marks:
            sign = "`" * (_longest_ticks(core) + 1) if name == "code" else sign
            core = f"{sign}{core}{sign}"
    return f"{before}[{core}]({child['href']}){after}" if "link" in marks else f"{before}{core}{after}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
