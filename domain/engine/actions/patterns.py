"""What the regular-expression actions share: how a pattern is compiled, and how a match reads as JSON.

RE2: the time is linear in the text whatever the pattern; there are no look-around and no back-references in a pattern.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from domain.engine.actions.schemas import BOOLEAN, TEXT, described, object_schema
from domain.engine.failures import VALIDATION, StepFailed

MAX_TEXT_CHARACTERS = 100_000
MAX_PATTERN_CHARACTERS = 2_000
MAX_MATCHES = 1_000
COMPILED_BYTES = 1_000_000  # of one compiled pattern
COMPILED_KEPT = 256

INPUTS: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "maxLength": MAX_TEXT_CHARACTERS},
    "pattern": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_PATTERN_CHARACTERS,
        "description": "An RE2 pattern: no look-around, no back-references.",
    },
    "flags": {
        "type": "string",
        "pattern": "^[gimsu]{0,5}$",
        "description": "i: letters of either case; m: ^ and $ at every line; s: a dot takes line ends. g and u are understood and change nothing.",
    },
}
REQUIRE_MATCH = described(BOOLEAN, "Whether the step fails when nothing matches; false unless given.")
GROUPS: dict[str, dict[str, Any]] = {
    "groups": {"type": "array", "items": {"type": ["string", "null"]}},
    "namedGroups": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
}
MATCH = object_schema((), match=TEXT, index={"type": "integer"}, **GROUPS)


def compiled_pattern(inputs: dict[str, Any]) -> Any:
    """The compiled `pattern` with its `flags`. Raises StepFailed (ValidationError) when RE2 does not take it."""
    flags = "".join(sorted({*inputs.get("flags", "")} & {*"ims"}))
    try:
        return _compiled(f"(?{flags}){inputs['pattern']}" if flags else inputs["pattern"])
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        message = f"This pattern cannot be used (look-around and back-references never can): {said[:200]}."
        raise StepFailed(message, "INVALID_PATTERN", VALIDATION) from None


@lru_cache(maxsize=COMPILED_KEPT)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = COMPILED_BYTES
    return re2.compile(pattern, options)


def check_found(inputs: dict[str, Any], is_found: bool) -> None:
    """Raises StepFailed (ValidationError) when a match is required and there is none."""
    if not is_found and inputs.get("requireMatch", False):
        raise StepFailed("The text does not match the pattern, and a match is required.", "NO_MATCH", VALIDATION)


def as_json(match: Any) -> dict[str, Any]:
    """{match, index, groups, namedGroups} of a match; `index` counts characters, a group that took no part is null."""
    return {
        "match": match.group(),
        "index": match.start(),
        "groups": list(match.groups()),
        "namedGroups": match.groupdict(),
    }
