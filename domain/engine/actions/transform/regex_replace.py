"""Puts another text in place of what a pattern matches, everywhere or at the first place only."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.patterns import INPUTS, compiled_pattern
from domain.engine.actions.schemas import BOOLEAN, TEXT, described, object_schema
from domain.engine.actions.texts import check_length

# $$ is a dollar sign, $& or $0 the match, $1 … $99 and $<name> its groups; any other $ stands for itself.
_MARK = re.compile(r"\$(?:(?P<dollar>\$)|(?P<whole>&)|(?P<number>[0-9]{1,2})|<(?P<name>[A-Za-z_][A-Za-z0-9_]*)>)")


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    text, template = inputs["text"], inputs["replacement"]
    places = compiled_pattern(inputs).finditer(text)
    parts: list[str] = []
    end = count = length = 0
    for place in places if inputs.get("replaceAll", True) else islice(places, 1):
        put = _filled(template, place)
        length += len(put)
        check_length(length)
        parts += (text[end : place.start()], put)
        end, count = place.end(), count + 1
    parts.append(text[end:])
    check_length(sum(map(len, parts)))
    return {"text": "".join(parts), "replacementCount": count}


def _filled(template: str, place: Any) -> str:
    return _MARK.sub(lambda mark: _taken(mark, place), template) if "$" in template else template


def _taken(mark: re.Match[str], place: Any) -> str:
    if mark["dollar"]:
        return "$"
    if mark["whole"]:
        return str(place.group())
    groups, named = (place.group(), *place.groups()), place.groupdict()
    if mark["name"]:
        return named[mark["name"]] or "" if mark["name"] in named else mark[0]
    number = mark["number"]
    if int(number) < len(groups):
        return groups[int(number)] or ""
    # $12 of a pattern with a single group is that group and a 2.
    return (groups[int(number[0])] or "") + number[1] if len(number) > 1 and int(number[0]) < len(groups) else mark[0]


ACTION = Action(
    id="transform.regex_replace",
    version=1,
    label="Replace by a pattern",
    category="transform",
    description="Puts another text in place of what a pattern matches, everywhere or at the first place only.",
    input_schema=object_schema(
        ("flags", "replaceAll"),
        **INPUTS,
        replacement={
            "type": "string",
            "maxLength": 10_000,
            "description": "$1 and $<name> stand for groups, $& for the whole match, $$ for a dollar sign.",
        },
        replaceAll=described(BOOLEAN, "True unless given."),
    ),
    output_schema=object_schema(text=TEXT, replacementCount={"type": "integer"}),
    effect=PURE,
    example=Example(
        {"text": "2026-03-01", "pattern": "([0-9]+)-([0-9]+)-([0-9]+)", "replacement": "$3.$2.$1"},
        {"text": "01.03.2026", "replacementCount": 1},
    ),
    run=run,
)
