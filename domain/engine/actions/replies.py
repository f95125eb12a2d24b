"""How the answer to an HTTP request reads as JSON, and what its status means for the step."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from domain.engine.failures import ACTION, TRANSIENT, StepFailed
from domain.kernel import strict_json
from domain.kernel.errors import Refused
from domain.kernel.outbound import Answer

MAX_RETRY_AFTER_SECONDS = 3_600
MAX_QUOTED_CHARACTERS = 500
# What a workflow may want to know of an answer; cookies and the like stay out of the record.
HEADERS = (
    "content-type",
    "etag",
    "last-modified",
    "location",
    "link",
    "retry-after",
    "x-request-id",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
)
_BUSY = frozenset({408, 425, 429})
_CHARSETS = frozenset({"utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"})
_CHARSET = re.compile(r'charset="?([A-Za-z0-9_.:-]+)')
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\b", re.IGNORECASE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def kept_headers(answer: Answer) -> dict[str, str]:
    """The headers of HEADERS that the answer has."""
    return {name: _storable(answer.headers[name]) for name in HEADERS if name in answer.headers}


def body_and_text(answer: Answer, max_bytes: int) -> tuple[Any, str | None]:
    """The JSON value of the body and None, or None and its text: where it is said not to be JSON, or is not."""
    content_type = answer.headers.get("content-type", "")
    if _JSON_TYPE.match(content_type.strip()):
        try:
            return strict_json.loads(answer.body, max_bytes=max_bytes), None
        except Refused:
            pass
    return None, _text(answer.body, content_type)


def check_status(answer: Answer, expected: list[int] | None, host: str, now: datetime) -> None:
    """Raises StepFailed when the status is not as expected (unless given: 200 to 299).

    TransientError for what may be otherwise later (408, 425, 429 and 5xx), else ActionError; the code is HTTP_<status>.
    """
    status = answer.status
    if status in expected if expected else 200 <= status <= 299:
        return
    message = f"{host} answered {status}{_phrase(status)}."
    if 300 <= status <= 399:
        message += " Redirects are never followed: ask the address it names, if you trust it."
    elif quote := _quote(answer):
        message += f" It says: {quote}"
    is_transient = status in _BUSY or status >= 500
    raise StepFailed(
        message,
        f"HTTP_{status}",
        TRANSIENT if is_transient else ACTION,
        retry_after_seconds=_retry_after(answer, now) if is_transient else 0,
    )


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _quote(answer: Answer) -> str:
    # Whole or not at all: of a secret cut in two nobody could tell that it is one.
    text = _text(answer.body, answer.headers.get("content-type", "")).strip()
    is_markup = text[:1] == "<"
    return text if len(text) <= MAX_QUOTED_CHARACTERS and not is_markup else ""


def _retry_after(answer: Answer, now: datetime) -> float:
    """The seconds in Retry-After, given as a number or a moment (RFC 9110 §10.2.3), MAX_RETRY_AFTER_SECONDS at most."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(int(asked[:9]), MAX_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(asked)
    except ValueError:
        return 0
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, min((aware - now).total_seconds(), MAX_RETRY_AFTER_SECONDS))


def _text(body: bytes, content_type: str) -> str:
    named = _CHARSET.search(content_type)
    charset = named[1].lower() if named else "utf-8"
    return _storable(body.decode(charset if charset in _CHARSETS else "utf-8", "replace").removeprefix("\ufeff"))


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)
