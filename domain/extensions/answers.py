"""What the runner answered: the endpoint's own answer inside it, or the reason why it cannot be used."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from domain.kernel import strict_json
from domain.kernel.errors import Refused
from domain.kernel.outbound import Answer

MAX_EXCERPT_CHARACTERS = 2_000
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_RETRYABLE = frozenset({"RUNNER_UNREACHABLE", "RUNNER_TIMEOUT", "RUNNER_HTTP_ERROR"})
_ADVICE = {
    401: "Check CARILLON_RUNNER_TOKEN: both sides must have the same.",
    403: "Check CARILLON_RUNNER_TOKEN: both sides must have the same.",
    404: "Check CARILLON_RUNNER_URL: there is no runner at this address.",
    413: "The request is larger than the runner takes: send a smaller payload.",
}


class RunnerFailed(Exception):
    """Nothing usable came of a call. `http_status`: of the runner. `endpoint_status`: of the endpoint, inside its answer.

    `excerpt`: the beginning of what was answered, not redacted yet; neither is the message of an endpoint's own error.
    """

    def __init__(
        self,
        code: str,
        message: str,
        http_status: int | None = None,
        excerpt: str = "",
        *,
        endpoint_status: int | None = None,
        duration_ms: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status
        self.excerpt = excerpt
        self.endpoint_status = endpoint_status
        self.duration_ms = duration_ms

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may go well later: nobody answered, or the other side says that it is its own fault."""
        return self.code in _RETRYABLE or (self.code == "ENDPOINT_ERROR" and (self.endpoint_status or 0) >= 500)


@dataclass(frozen=True)
class Executed:
    """The endpoint's answer. `http_status`: of the runner around it. `error`: what went wrong inside the runner."""

    http_status: int
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    error: str | None
    duration_ms: int

    @property
    def text(self) -> str:
        """The body as text that can be stored: whatever is not UTF-8 is replaced."""
        return storable(self.body)

    @property
    def failure(self) -> RunnerFailed | None:
        """Why this is no success: a status of 400 or more, or an error. None when it is one."""
        if self.status < 400 and not self.error:
            return None
        code = "ENDPOINT_REFUSED" if 400 <= self.status <= 499 else "ENDPOINT_ERROR"
        message = f"The endpoint answered {self.status}." if self.status >= 400 else "The endpoint failed."
        return RunnerFailed(
            code,
            f"{message} {self.error[:MAX_EXCERPT_CHARACTERS]}" if self.error else message,
            self.http_status,
            self.text[:MAX_EXCERPT_CHARACTERS],
            endpoint_status=self.status,
            duration_ms=self.duration_ms,
        )


def read_answer(answer: Answer, max_bytes: int, duration_ms: int) -> Executed:
    """The endpoint's answer out of the runner's. Raises RunnerFailed with the code of what is wrong with it."""
    code, message = _fault_of(answer)
    if code:
        raise _failed(code, message, answer, duration_ms)
    try:
        value = strict_json.loads(answer.body, max_bytes=max_bytes)
    except Refused as refused:
        reason = refused.problems[0].message
        raise _failed("RUNNER_NOT_JSON", f"The runner's answer is not JSON. {reason}", answer, duration_ms) from None
    try:
        return _executed(value, answer.status, duration_ms)
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        message = "The runner's answer is not of the form {status, headers, body_b64, error}."
        raise _failed("RUNNER_NOT_JSON", message, answer, duration_ms) from None


def storable(body: bytes) -> str:
    """Bytes as text without what no text column takes."""
    return _UNSTORABLE.sub("\ufffd", body.decode("utf-8", "replace"))


def _fault_of(answer: Answer) -> tuple[str, str]:
    """The code and the sentence of what the status or an empty body says, or two empty texts."""
    status = answer.status
    if status >= 500:
        return "RUNNER_HTTP_ERROR", f"The runner failed with HTTP {status}."
    if status >= 400:
        return "RUNNER_REFUSED", f"The runner refused the request with HTTP {status}. {_ADVICE.get(status, '')}".strip()
    if status >= 300:
        return "RUNNER_REFUSED", f"The runner answered HTTP {status}, a redirect. Redirects are never followed."
    if not answer.body.strip():
        return "RUNNER_EMPTY", "The runner's answer is empty."
    return "", ""


def _executed(value: Any, http_status: int, duration_ms: int) -> Executed:
    """Raises one of several errors when the answer has another form."""
    status, error, body = value["status"], value.get("error"), value.get("body_b64")
    headers = {str(name): str(text) for name, text in (value.get("headers") or {}).items()}
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 999:
        raise ValueError("status")
    if error is not None and not isinstance(error, str):
        raise TypeError("error")
    decoded = b"" if body is None else base64.b64decode(body, validate=True)
    return Executed(http_status, status, headers, decoded, error or None, duration_ms)


def _failed(code: str, message: str, answer: Answer, duration_ms: int) -> RunnerFailed:
    excerpt = storable(answer.body[: 4 * MAX_EXCERPT_CHARACTERS])[:MAX_EXCERPT_CHARACTERS]
    return RunnerFailed(code, message, answer.status, excerpt, duration_ms=duration_ms)
