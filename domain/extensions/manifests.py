"""Manifests: the document in which an extension says who it is, what it needs and which endpoints it has.

The format is the second version of the runner's manifests; `requestSchema` of an endpoint, the JSON Schema of its body,
and `contentHash`, of a bundle that is delivered to the runner by other ways, are ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from domain.extensions.capabilities import parse_capabilities
from domain.extensions.paths import parse_method, parse_path
from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.kernel.names import parse_name
from domain.workflows.schema_rules import check_schema

MAX_ENDPOINTS = 500
MAX_PROBLEMS = 100  # told at once
HANDLER_MAX_CHARACTERS = 256
NAME_MAX_CHARACTERS = 128
KEYS = ("name", "publisher", "version", "runtime", "capabilities", "api", "contentHash")
# Known to the runner or to other hosts of the same extension; kept, and without meaning here.
KEPT_KEYS = ("$schema", "displayName", "description", "ui", "assets", "precompiled", "sbom", "events", "entry")

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)+", re.ASCII)
_RUNTIME = re.compile(
    r"[a-z][a-z0-9._-]{0,63}@[0-9a-z][0-9a-z._-]{0,31}|[a-z][a-z0-9._]{0,31}-[a-z0-9._-]{1,64}", re.ASCII
)
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
# https://semver.org/spec/v2.0.0.html, numbers of at most nine digits
_NUMBER, _IDENTIFIER = r"(0|[1-9]\d{0,8})", r"(?:0|[1-9]\d{0,8}|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
VERSION_MAX_CHARACTERS = 64

Part = TypeVar("Part")


@dataclass(frozen=True)
class DeclaredEndpoint:
    """`handler` is the runner's business. `request_schema`: of the body, None when nothing is said of it."""

    method: str
    path: str
    handler: str
    request_schema: dict[str, Any] | None = None


@dataclass(frozen=True)
class Manifest:
    """`document`: the manifest as it was written. `declared_hash`: of the bundle, when the manifest names one."""

    name: str
    publisher: str
    version: str
    runtime: str
    capabilities: tuple[str, ...]
    endpoints: tuple[DeclaredEndpoint, ...]
    document: dict[str, Any]
    declared_hash: str | None = None


def parse_manifest(value: Any) -> Manifest:
    """The manifest in a JSON value; raises Refused with what is wrong, each at its JSON pointer."""
    if not isinstance(value, dict):
        raise Refused.at("", "A manifest is a JSON object with name, publisher, version and runtime.", "MANIFEST_ROOT")
    strict_json.check_value(value)
    problems = [
        Problem(strict_json.pointer([key]), f"{key[:80]} is no part of a manifest. Remove it.", "MANIFEST_KEY")
        for key in value
        if key not in (*KEYS, *KEPT_KEYS)
    ]
    parts = _Parts(problems)
    manifest = Manifest(
        name=parts.parse(lambda: _name(value.get("name")), ""),
        publisher=parts.parse(lambda: parse_name(value.get("publisher", ""), "/publisher"), ""),
        version=parts.parse(lambda: parse_version(value.get("version"), "/version"), ""),
        runtime=parts.parse(lambda: _runtime(value.get("runtime")), ""),
        capabilities=tuple(parts.parse(lambda: parse_capabilities(value.get("capabilities", []), "/capabilities"), [])),
        endpoints=_endpoints(value.get("api", {}), parts),
        document=value,
        declared_hash=parts.parse(lambda: _declared_hash(value.get("contentHash")), None),
    )
    if problems:
        raise Refused(problems[:MAX_PROBLEMS])
    return manifest


def content_hash(manifest: Manifest) -> str:
    """What names the content: the declared hash, else that of the manifest in its canonical form."""
    if manifest.declared_hash:
        return manifest.declared_hash
    return f"sha256:{hashlib.sha256(strict_json.dumps(manifest.document).encode()).hexdigest()}"


def parse_version(value: Any, path: str = "version") -> str:
    """A version number of SemVer 2.0.0; raises Refused at `path`."""
    written = value.strip() if isinstance(value, str) else ""
    if len(written) > VERSION_MAX_CHARACTERS or not VERSION.fullmatch(written):
        raise Refused.at(path, "Write the version as three numbers, such as 1.4.0 or 2.0.0-beta.1.", "VERSION_INVALID")
    return written


def precedence(version: str) -> tuple[Any, ...]:
    """What versions are ordered by, the least first (SemVer 2.0.0 §11); what is no version comes before all."""
    match = VERSION.fullmatch(version)
    if match is None:
        return (0,)
    numbers, before = tuple(int(match[group]) for group in (1, 2, 3)), match[4]
    identifiers = [(0, int(one), "") if one.isdigit() else (1, 0, one) for one in (before or "").split(".")]
    return (1, numbers, 0 if before else 1, tuple(identifiers) if before else ())


def readable_endpoints(document: Any) -> list[DeclaredEndpoint]:
    """The endpoints of a stored manifest, the last of equal ones; what cannot be read is left out."""
    api = document.get("api") if isinstance(document, dict) else None
    return list(_endpoints(api if api is not None else {}, _Parts([])))


class _Parts:
    """Parses one part after the other and gathers what is wrong with any."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def parse(self, parse: Callable[[], Part], otherwise: Part) -> Part:
        try:
            return parse()
        except Refused as refusal:
            self.problems.extend(refusal.problems)
            return otherwise


def _name(value: Any) -> str:
    written = value.strip() if isinstance(value, str) else ""
    if len(written) > NAME_MAX_CHARACTERS or not _NAME.fullmatch(written):
        message = "Write the name as a domain backwards, in small letters, such as com.acme.rmm-sync."
        raise Refused.at("/name", message, "EXTENSION_NAME_INVALID")
    return written


def _runtime(value: Any) -> str:
    written = value.strip() if isinstance(value, str) else ""
    if not _RUNTIME.fullmatch(written):
        raise Refused.at("/runtime", "Name the runtime with its version, such as wasm-js@1.", "RUNTIME_INVALID")
    return written


def _declared_hash(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        message = "Write the hash of the bundle as sha256: and 64 hexadecimal digits in small letters."
        raise Refused.at("/contentHash", message, "CONTENT_HASH_INVALID")
    return value


def _endpoints(api: Any, parts: _Parts) -> tuple[DeclaredEndpoint, ...]:
    listed = api.get("endpoints", []) if isinstance(api, dict) else None
    if not isinstance(listed, list):
        problem = Problem("/api/endpoints", "Write the endpoints as an array of objects.", "ENDPOINTS_INVALID")
        parts.problems.append(problem)
        return ()
    if len(listed) > MAX_ENDPOINTS:
        message = f"A version has at most {MAX_ENDPOINTS} endpoints; this one has {len(listed):,}."
        parts.problems.append(Problem("/api/endpoints", message, "ENDPOINTS_TOO_MANY"))
        return ()
    found: dict[tuple[str, str], DeclaredEndpoint] = {}
    for at, one in enumerate(listed):
        endpoint = _endpoint(one, f"/api/endpoints/{at}", parts)
        if endpoint is not None:
            found[endpoint.method, endpoint.path] = endpoint
    return tuple(found.values())


def _endpoint(value: Any, path: str, parts: _Parts) -> DeclaredEndpoint | None:
    if not isinstance(value, dict):
        message = "An endpoint is an object with method, path and handler."
        parts.problems.append(Problem(path, message, "ENDPOINT_INVALID"))
        return None
    before = len(parts.problems)
    endpoint = DeclaredEndpoint(
        parts.parse(lambda: parse_method(value.get("method"), f"{path}/method"), ""),
        parts.parse(lambda: parse_path(value.get("path"), f"{path}/path"), ""),
        parts.parse(lambda: _code(value.get("handler"), f"{path}/handler"), ""),
        parts.parse(lambda: _request_schema(value.get("requestSchema"), f"{path}/requestSchema"), None),
    )
    return endpoint if len(parts.problems) == before else None


def _code(value: Any, path: str) -> str:
    """What the runner calls for an endpoint, such as `dist/main`."""
    name = parse_name(value if isinstance(value, str) else "", path, max_characters=HANDLER_MAX_CHARACTERS)
    if ".." in name:
        raise Refused.at(path, "The handler cannot contain .. in its name.", "HANDLER_INVALID")
    return name


def _request_schema(value: Any, path: str) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        check_schema(value)
    except Refused as refusal:
        raise Refused([Problem(path + one.path, one.message, one.code) for one in refusal.problems]) from None
    schema: dict[str, Any] = value
    return schema
