"""What an admin configures for an install: texts by name, which every call carries in the clear."""

from __future__ import annotations

import re
from typing import Any

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused

MAX_ENTRIES = 100
VALUE_MAX_CHARACTERS = 10_000
MAX_BYTES = 64_000
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}", re.ASCII)


def parse_config(value: Any, path: str = "config") -> dict[str, str]:
    """An object of texts; raises Refused at `path` and the JSON pointer of what cannot be used."""
    if not isinstance(value, dict):
        raise Refused.at(path, 'The configuration is an object of texts, such as {"region": "eu"}.', "CONFIG_INVALID")
    strict_json.check_value(value, path=path, max_bytes=MAX_BYTES)
    if len(value) > MAX_ENTRIES:
        raise Refused.at(path, f"A configuration has at most {MAX_ENTRIES} entries.", "CONFIG_INVALID")
    problems = [
        Problem(path + strict_json.pointer([key]), reason, "CONFIG_INVALID")
        for key, one in value.items()
        if (reason := _fault(key, one))
    ]
    if problems:
        raise Refused(problems)
    return dict(value)


def _fault(key: str, value: Any) -> str | None:
    if not _KEY.fullmatch(key):
        return "Begin the name with a letter; then letters, digits and _ . - may follow, 128 characters at most."
    if not isinstance(value, str):
        return "Every value of a configuration is text. Write it in quotes."
    if len(value) > VALUE_MAX_CHARACTERS:
        return f"A value has at most {VALUE_MAX_CHARACTERS:,} characters."
    return None
