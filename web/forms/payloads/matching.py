"""Patterns of a schema, run in linear time: the same engine that the schema was accepted with."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2


def is_match(pattern: str, text: str) -> bool:
    """Whether a pattern of the schema is found in the text; a pattern that cannot be run is found nowhere."""
    found = _compiled(pattern)
    return found is not None and found.search(text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None
