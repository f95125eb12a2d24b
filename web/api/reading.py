"""What a request of the API says: its body, its query, its idempotency key. Anything unknown is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.kernel.ids import parse_id
from domain.timing.zones import parse_instant
from web.security import sent_bytes

BODY_MAX_BYTES = 256_000
LIMIT_DEFAULT, LIMIT_MAX = 50, 200
KEY_MAX_CHARACTERS = 128
Q_MAX_CHARACTERS = 128
NAMED_MAX = 50
"""How many of the fields that are not known are named."""
_SHOWN_NAME_CHARACTERS = 64


def json_body(
    allowed: Collection[str], read_only: Collection[str] = (), max_depth: int = strict_json.MAX_DEPTH
) -> dict[str, Any]:
    """The object in the body; an empty body is an empty object.

    Raises UnsupportedMediaType, RequestEntityTooLarge, and Refused naming the members that are not `allowed`.
    """
    raw = raw_body(BODY_MAX_BYTES)
    if not raw:
        return {}
    try:
        body = strict_json.loads(raw, max_bytes=BODY_MAX_BYTES, max_depth=max_depth)
    except Refused as refused:
        raise _located(raw, refused, max_depth) from None
    if not isinstance(body, dict):
        raise Refused.at("", "The body is a JSON object, in curly braces.", "BODY_NOT_OBJECT")
    # As many as somebody reads: an answer is not many times as long as what was sent.
    problems = [_unknown(name, allowed, read_only) for name in body if name not in allowed][:NAMED_MAX]
    if problems:
        raise Refused(problems)
    return body


def raw_body(max_bytes: int) -> bytes:
    """The bytes of a body that says it is JSON. Raises UnsupportedMediaType, RequestEntityTooLarge and BadRequest."""
    if request.mimetype not in ("", "application/json"):
        raise UnsupportedMediaType("Send the body as application/json.")
    # What unpacks to a thousand times its size is nothing to be read here.
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without a Content-Encoding.")
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    request.max_content_length = max(max_bytes, request.max_content_length or 0)
    raw = sent_bytes()
    if len(raw) > max_bytes:
        raise _too_large(max_bytes)
    if raw and not request.mimetype:
        raise UnsupportedMediaType("Say what the body is: Content-Type: application/json.")
    return raw


def check_query(allowed: Collection[str]) -> None:
    """Raise Refused naming every parameter that is not `allowed`, `cursor` or `limit`."""
    known = {*allowed, "cursor", "limit"}
    problems = [_unknown(name, known, ()) for name in request.args if name not in known]
    if problems:
        raise Refused(problems)


def query_text(name: str, max_characters: int = Q_MAX_CHARACTERS) -> str:
    """A parameter as text; empty when it is absent. Raises Refused when it is too long or cannot be stored."""
    value = request.args.get(name, "")
    if len(value) > max_characters:
        raise Refused.at(name, f"At most {max_characters} characters.", "TOO_LONG")
    strict_json.check_value(value, path=name)
    return value.strip()


def query_texts(name: str, max_characters: int = Q_MAX_CHARACTERS) -> list[str]:
    """A parameter that may be given several times. Raises Refused as `query_text` does, and for an empty one."""
    values = request.args.getlist(name)
    for value in values:
        if not 1 <= len(value) <= max_characters:
            raise Refused.at(name, f"Each has 1 to {max_characters} characters.", "TOO_LONG" if value else "REQUIRED")
        strict_json.check_value(value, path=name)
    return values


def query_ids(name: str) -> list[UUID]:
    """A parameter that is an id and may be given several times."""
    return [id_in(value, name) for value in request.args.getlist(name)]


def query_id(name: str) -> UUID | None:
    """A parameter as an id; None when it is absent."""
    value = request.args.get(name)
    return None if value is None else id_in(value, name)


def query_choice(name: str, allowed: Collection[str]) -> str:
    """A parameter that is one of `allowed`; empty when it is absent."""
    value = request.args.get(name)
    if value is not None and value not in allowed:
        raise Refused.at(name, f"Choose one of {', '.join(allowed)}.", "CHOICE_INVALID")
    return value or ""


def query_instant(name: str) -> datetime | None:
    """A parameter as an instant; None when it is absent."""
    value = request.args.get(name)
    if value is None:
        return None
    try:
        # A plus sign that was not encoded arrives as a blank.
        return parse_instant(re.sub(r" (?=[0-9]{2}:?[0-9]{2}$)", "+", value))
    except Refused as refused:
        raise Refused(Problem(name, problem.message, "INSTANT_INVALID") for problem in refused.problems) from None


def query_flag(name: str) -> bool | None:
    """A parameter that is true or false; None when it is absent."""
    value = query_choice(name, ("true", "false"))
    return None if not value else value == "true"


def page_cursor() -> UUID | None:
    """Where the page begins: behind what the cursor of the page before says."""
    return query_id("cursor")


def number_cursor(otherwise: int) -> int:
    """Where a page of what is numbered begins: behind this number; `otherwise` for the first page."""
    value = request.args.get("cursor")
    if value is None:
        return otherwise
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        message = "This is no cursor of this list. Begin again without one."
        raise Refused.at("cursor", message, "CURSOR_UNKNOWN")
    return int(value)


def page_limit() -> int:
    """How many items the page has at most."""
    value = request.args.get("limit", str(LIMIT_DEFAULT))
    if not (value.isascii() and value.isdigit() and len(value) <= 3) or not 1 <= int(value) <= LIMIT_MAX:
        raise Refused.at("limit", f"Enter a whole number from 1 to {LIMIT_MAX}.", "NUMBER_INVALID")
    return int(value)


def id_in(value: object, path: str) -> UUID:
    """The id written in a JSON value; raises Refused at `path`."""
    found = parse_id(value) if isinstance(value, str) else None
    if found is None:
        raise Refused.at(path, "This is not an id. Ids look like 01a1fb80-25f1-7000-9878-3cc29d3900f9.", "ID_INVALID")
    return found


def text_in(body: Mapping[str, Any], name: str) -> str:
    """The text at `name` of a body; empty when there is none. Raises Refused there."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused.at(name, "This must be text.", "TEXT_REQUIRED")
    return value or ""


def flag_in(body: Mapping[str, Any], name: str) -> bool:
    """Whether `name` is true in a body; false when it is not there. Raises Refused there."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused.at(name, "Write true or false.", "BOOLEAN_REQUIRED")
    return bool(value)


def whole_number_in(body: Mapping[str, Any], name: str, message: str) -> int | None:
    """The whole number at `name` of a body; None when there is none. Raises Refused there with `message`."""
    value = body.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise Refused.at(name, message, "NUMBER_INVALID")
    return value


def idempotency_key() -> str | None:
    """What makes sending this request again harmless; None when the caller gave nothing. Raises Refused."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_MAX_CHARACTERS or not key.isascii() or not key.isprintable():
        message = f"A key has 1 to {KEY_MAX_CHARACTERS} printable ASCII characters."
        raise Refused.at("Idempotency-Key", message, "IDEMPOTENCY_KEY_INVALID")
    return key


def collected(*readings: Callable[[], Any]) -> list[Any]:
    """The results of all readings; raises Refused with the problems of every one that fails."""
    problems: list[Problem] = []
    results = []
    for reading in readings:
        try:
            results.append(reading())
        except Refused as refused:
            problems += refused.problems
    if problems:
        raise Refused(problems)
    return results


def _located(raw: bytes, refused: Refused, max_depth: int) -> Refused:
    """The refusal at the member that holds a number or text which cannot be kept; as it is when there is no telling."""
    if not {problem.code for problem in refused.problems} & {"JSON_NUMBER", "JSON_TEXT"}:
        return refused
    try:
        strict_json.check_value(json.loads(raw), max_bytes=BODY_MAX_BYTES, max_depth=max_depth)
    except Refused as precise:
        return Refused(Problem(p.path.removeprefix("/"), p.message, p.code) for p in precise.problems)
    except ValueError:
        pass
    return refused


def _unknown(name: str, allowed: Collection[str], read_only: Collection[str]) -> Problem:
    shown = name if len(name) <= _SHOWN_NAME_CHARACTERS else f"{name[:_SHOWN_NAME_CHARACTERS]}…"
    if name in read_only:
        return Problem(shown, f"{shown} is an answer only. Leave it out.", "READ_ONLY_FIELD")
    known = f" Known: {', '.join(sorted(allowed))}." if allowed else ""
    return Problem(shown, f"There is nothing called {shown} here.{known}", "UNKNOWN_FIELD")


def _too_large(max_bytes: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"A body has at most {max_bytes:,} bytes.")
