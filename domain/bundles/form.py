"""The form of a file, checked part by part: one with a million wrong entries is refused as quickly as one with a hundred."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from domain.kernel.errors import Problem
from domain.workflows.payload_messages import payload_problem

TEXT_SHOWN = 300


class Form:
    """A JSON Schema (2020-12) of an object whose member `entries` is a list."""

    def __init__(self, schema: dict[str, Any], entries: str) -> None:
        self.entries = entries
        listed = schema["properties"][entries]
        frame = {**schema, "properties": {**schema["properties"], entries: {**listed, "items": True}}}
        self._frame = _validator(frame)
        self._entry = _validator({**listed["items"], "$defs": schema["$defs"]})

    def problems(self, document: dict[str, Any]) -> Iterator[Problem]:
        """What is wrong with the document, each at its JSON pointer; nobody looks further than the caller asks."""
        wrong = [problem for error in self._frame.iter_errors(document) for problem in payload_problem(error)]
        yield from map(shown, wrong)
        found = document.get(self.entries)
        if not isinstance(found, list) or any(problem.path == f"/{self.entries}" for problem in wrong):
            return
        for index, entry in enumerate(found):
            if self._entry.is_valid(entry):
                continue
            for error in self._entry.iter_errors(entry):
                for problem in payload_problem(error):
                    place = f"/{self.entries}/{index}{problem.path}"
                    yield shown(Problem(place, problem.message, problem.code))


def shown(problem: Problem) -> Problem:
    """The problem with as much of its texts as an answer may hold: a file can have names of any length."""
    return Problem(shortened(problem.path), shortened(problem.message), problem.code)


def shortened(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN else text[:TEXT_SHOWN] + "…"


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_guarded(schema), validate_formats=True)


def _guarded(schema: Any) -> Any:
    """The same schema, which looks at no item of a list that is too long."""
    if isinstance(schema, list):
        return [_guarded(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: _guarded(part) for name, part in schema.items()}
    if "maxItems" in parts and "items" in parts:
        items = parts.pop("items")
        parts |= {"if": {"maxItems": parts["maxItems"]}, "then": {"items": items}}
    return parts
