"""A call as the contract describes it: typed, unknown members ignored, and what is wrong with one that is not."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.extensions.envelopes import Audience


class Unprocessable(ValueError):
    """The body is JSON but not a call. The message names the member."""


class BadCall(Exception):
    """A call that is answered with an error inside the answer: `status` and `error`, such as `unknown_capabilities: x`."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


@dataclass(frozen=True)
class Call:
    """`routed`: tenant and extension as the headers name them. `body`: None where there is none."""

    routed: tuple[str, str]
    key: str
    context: dict[str, Any]
    config: dict[str, str] = field(repr=False)
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes | None = field(repr=False)
    timeout_ms: int | None
    memory_mb: int
    providers: tuple[str, ...]
    envelope: dict[str, Any] | None = field(repr=False)

    @property
    def audience(self) -> Audience:
        """Whom the envelope of this call has to be sealed for."""
        ids = ("tenant_id", "extension_id", "install_id", "version_id")
        return Audience(*(str(self.context.get(name) or "") for name in ids))

    @property
    def fingerprint(self) -> tuple[Any, ...]:
        """What must be the same whenever the same idempotency key comes again."""
        return self.method, self.path, tuple(sorted(self.query.items())), self.body


def parse_call(headers: Mapping[str, str], value: Any) -> Call:
    """The call. Raises Unprocessable."""
    members = _member({"body": value}, "body", dict, "")
    context = _member(members, "context", dict)
    http = _member(members, "http", dict)
    limits = _member(members, "limits", dict, default={})
    for name in ("tenant_id", "extension_id", "content_hash"):
        _member(context, name, str, "context.")
    for name in ("request_id", "install_id", "version_id"):
        _member(context, name, str, "context.", default=None)
    return Call(
        routed=(headers.get("x-alga-tenant", ""), headers.get("x-alga-extension", "")),
        key=headers.get("x-idempotency-key", ""),
        context=context,
        config=_texts(context, "config", "context."),
        method=_member(http, "method", str, "http."),
        path=_member(http, "path", str, "http."),
        query=_texts(http, "query", "http."),
        headers=_texts(http, "headers", "http."),
        body=_body(_member(http, "body_b64", str, "http.", default=None)),
        timeout_ms=_number(limits, "timeout_ms", None),
        memory_mb=_number(limits, "memory_mb", 256) or 256,
        providers=_providers(members),
        envelope=_member(members, "secret_envelope", dict, default=None),
    )


_REQUIRED = object()


def _member(members: dict[str, Any], name: str, kind: type, where: str = "", default: Any = _REQUIRED) -> Any:
    value = members.get(name, default)
    if value is _REQUIRED:
        raise Unprocessable(f"{where}{name} is missing")
    if value is None and default is None:
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Unprocessable(f"{where}{name} has another type")
    return value


def _texts(members: dict[str, Any], name: str, where: str) -> dict[str, str]:
    values: dict[str, str] = _member(members, name, dict, where, default={})
    for key, value in values.items():
        if not isinstance(value, str):
            raise Unprocessable(f"{where}{name}.{key} is not a text")
    return values


def _number(limits: dict[str, Any], name: str, default: int | None) -> int | None:
    value: int | None = _member(limits, name, int, "limits.", default=default)
    if value is not None and value < 0:
        raise Unprocessable(f"limits.{name} is negative")
    return value


def _providers(members: dict[str, Any]) -> tuple[str, ...]:
    values = _member(members, "providers", list, default=[])
    if not all(isinstance(value, str) for value in values):
        raise Unprocessable("providers holds something that is not a text")
    return tuple(value.strip().lower() for value in values)


def _body(text: str | None) -> bytes | None:
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadCall(500, "execute_failed: body_b64 is not base64") from None
