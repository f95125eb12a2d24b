"""How an endpoint is written: method in capitals, path with one slash in front and none doubled."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from domain.kernel.errors import Refused

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
SCHEDULABLE_METHODS = ("GET", "POST")
PATH_MAX_CHARACTERS = 1_024
_VISIBLE = re.compile(r"[!-~]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SLASHES = re.compile("/{2,}")
_PARAMETER = re.compile(r"[:{}*<>\[\]]")


def parse_method(value: Any, path: str = "method") -> str:
    """Raises Refused at `path` with METHOD_INVALID."""
    method = value.strip().upper() if isinstance(value, str) else ""
    if method not in METHODS:
        raise Refused.at(path, f"The method is one of {', '.join(METHODS)}.", "METHOD_INVALID")
    return method


def parse_path(value: Any, path: str = "path") -> str:
    """The normal form of an endpoint's path. Raises Refused at `path` with PATH_INVALID and the reason."""
    written = value.strip() if isinstance(value, str) else ""
    if reason := _fault(written):
        raise Refused.at(path, reason, "PATH_INVALID")
    return _SLASHES.sub("/", f"/{written}")


def obstacle(method: str, path: str) -> str | None:
    """Why nobody can schedule such an endpoint; None when it can be scheduled."""
    if method not in SCHEDULABLE_METHODS:
        return f"Only GET and POST can be scheduled, and this is {method}."
    if found := _parameter(path):
        return f"Its path has a part to be filled in ({found}), which a schedule cannot do."
    return None


def _fault(written: str) -> str | None:
    if not written:
        return "An endpoint needs a path, such as /api/sync."
    if len(written) > PATH_MAX_CHARACTERS:
        return f"A path has at most {PATH_MAX_CHARACTERS:,} characters."
    if not _VISIBLE.fullmatch(written):
        return "A path has no spaces and only ASCII characters. Percent-encode others."
    if found := next((one for one in "?#\\" if one in written), None):
        return f"A path cannot contain {found}. Queries and fragments are no part of it."
    # Whoever takes the address apart behind us may decode it, even twice, and may leave out what stands behind a semicolon.
    plain = unquote(unquote(written, "latin-1"), "latin-1")
    if _CONTROL.search(plain):
        return "A path cannot contain control characters, percent-encoded ones neither."
    if any(segment.partition(";")[0] in (".", "..") for segment in plain.replace("\\", "/").split("/")):
        return "A path cannot contain . or .. as a part."
    return None


def _parameter(path: str) -> str | None:
    return next((segment for segment in path.split("/") if _PARAMETER.search(segment)), None)
