"""The OpenAPI document: the routes of the application, each with its declaration, and what holds for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from web.access import PUBLIC
from web.api.openapi.declaring import Declaration
from web.api.openapi.words import FAULT, ID, TEXT, WHOLE, Json, counted, listed, maybe, record
from web.api.reading import KEY_MAX_CHARACTERS, LIMIT_DEFAULT, LIMIT_MAX

VERSION = "1"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
FAULTS = {
    400: "It was sent with a session from another site, or without the token against forgery.",
    401: "There is no valid token.",
    403: "This needs a permission that the token does not have, or an edition that the tenant does not have.",
    404: "There is no such thing in this tenant.",
    409: "Its state does not allow it, or it has changed meanwhile.",
    412: "It is no longer what If-Match names.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "Something that was sent cannot be used; nothing was changed.",
    429: "Too many requests. Wait for as long as Retry-After says.",
    503: "The database cannot be reached. Wait for as long as Retry-After says.",
}
FAULT_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
DONE = {200: "Done.", 201: "Made.", 202: "Accepted.", 204: "Gone."}
PROBLEM: Json = {
    **record("Problem", type=TEXT, title=TEXT, status=WHOLE, detail=TEXT, code=TEXT, requestId=maybe(TEXT)),
    # RFC 9457, section 3.2: some problems tell more.
    "additionalProperties": True,
}
PROBLEM["properties"]["errors"] = listed(FAULT)
IN_PATH: dict[str, Json] = {"uuid": ID, "int": counted(0, 2_147_483_647)}
CURSOR = {"name": "cursor", "in": "query", "schema": TEXT, "description": "nextCursor of the page before."}
LIMIT = {
    "name": "limit",
    "in": "query",
    "schema": {**counted(1, LIMIT_MAX), "default": LIMIT_DEFAULT},
    "description": "How many items the page has at most.",
}
ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX_CHARACTERS, "pattern": "^[!-~]+$"},
    "description": "Sent again with the same key, it is answered the same and carried out once.",
}
MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string", "pattern": '^"[0-9a-f]{1,64}"$'},
    "description": "The ETag of what was read: carried out only while it is still that.",
}
HEADERS: Json = {
    "RateLimit": {"description": "What is left of the policy, and when it begins anew, in seconds.", "schema": TEXT},
    "RateLimit-Policy": {"description": "How many requests there may be in how many seconds.", "schema": TEXT},
    "Location": {"description": "Where it is read.", "schema": TEXT},
    "ETag": {"description": "The revision, to be sent back as If-Match.", "schema": TEXT},
    "Retry-After": {"description": "How many seconds to wait.", "schema": WHOLE},
    "WWW-Authenticate": {"description": "Bearer.", "schema": TEXT},
}


class UndeclaredView(Exception):
    """A view of the API says nothing about what it takes and answers. Mark it with `declared`."""


def openapi_document(app: Flask) -> Json:
    """The whole description. Raises UndeclaredView."""
    schemas: Json = {}
    paths: Json = {}
    for rule, method in api_routes(app):
        operation = _hoisted(_operation(app, rule, method), schemas)
        paths.setdefault(path_of(rule), {})[method.lower()] = operation
    problem = _hoisted(PROBLEM, schemas)
    answers = {str(status): _fault(status, problem) for status in FAULTS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Carillon",
            "version": VERSION,
            "description": "Decide when workflows and extensions run, and account for every occurrence.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": [], "forgery": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": answers,
            "headers": HEADERS,
            "securitySchemes": _security(app),
        },
    }


def api_routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Every route of the API with each of its methods, by address."""
    rules = (rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/"))
    for rule in sorted(rules, key=lambda rule: rule.rule):
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            yield rule, method


def declaration_of(app: Flask, endpoint: str) -> Declaration:
    """What a view declares. Raises UndeclaredView."""
    found: Declaration | None = getattr(app.view_functions[endpoint], "declaration", None)
    if found is None:
        raise UndeclaredView(f"{UndeclaredView.__doc__} ({endpoint})")
    return found


def path_of(rule: Rule) -> str:
    """The address as OpenAPI writes it: `/api/schedules/{scheduleId}`."""
    return re.sub(r"<(?:[^:>]+:)?(\w+)>", lambda found: f"{{{_camel(found[1])}}}", rule.rule)


def _operation(app: Flask, rule: Rule, method: str) -> Json:
    known = declaration_of(app, rule.endpoint)
    operation: Json = {
        "operationId": _camel(rule.endpoint.removeprefix("api.")),
        "summary": known.summary,
        "tags": [rule.rule.split("/")[2]],
        "parameters": [*_path_parameters(rule), *_parameters(known, method)],
        "responses": _answers(rule, method, known),
    }
    needed = _permissions(app.view_functions[rule.endpoint])
    if needed:
        operation["description"] = f"Needs {' or '.join(f'`{one}`' for one in needed)}."
    else:
        operation["security"] = [{}]
    if known.body is not None:
        content = {"application/json": {"schema": known.body}}
        operation["requestBody"] = {"required": known.needs_body, "content": content}
    return operation


def _permissions(view: Any) -> list[str]:
    """The permissions of which one is needed; none for what is open to all."""
    by_kind = getattr(view, "by_kind", None)
    return sorted(set(by_kind.values())) if by_kind else [] if view.permission == PUBLIC else [view.permission]


def _path_parameters(rule: Rule) -> list[Json]:
    names = re.findall(r"<(?:([^:>]+):)?(\w+)>", rule.rule)
    return [
        {"name": _camel(name), "in": "path", "required": True, "schema": IN_PATH.get(kind, TEXT)}
        for kind, name in names
    ]


def _parameters(known: Declaration, method: str) -> list[Json]:
    query = [{"name": name, "in": "query", "schema": schema} for name, schema in known.query.items()]
    paging = [CURSOR, LIMIT] if known.is_paged else []
    once = [ONCE] if method == "POST" and known.is_once else []
    return [*query, *paging, *once, *([MATCH] if known.is_conditional else [])]


def _answers(rule: Rule, method: str, known: Declaration) -> Json:
    faults = {401, 403, 422, 429, 503} if not known.is_public else {429}
    faults |= {404} if rule.arguments else set()
    faults |= {400, 409} if method in UNSAFE else set()
    faults |= {413, 415} if method in UNSAFE - {"DELETE"} else set()
    faults |= {412} if known.is_conditional else set()
    faults |= set(known.faults)
    done = {str(status): _answer(status, schema, known) for status, schema in known.answers.items()}
    return {**done, **{str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(faults)}}


def _answer(status: int, schema: Json | None, known: Declaration) -> Json:
    headers = [] if known.is_public else ["RateLimit", "RateLimit-Policy"]
    headers += ["Location"] if status in (201, 202) else []
    headers += ["ETag"] if schema and "revision" in schema.get("properties", {}) else []
    told: Json = {"description": DONE[status]}
    if headers:
        told["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return told | ({"content": {known.media_type: {"schema": schema}}} if schema is not None else {})


def _fault(status: int, problem: Json) -> Json:
    told: Json = {"description": FAULTS[status], "content": {"application/problem+json": {"schema": problem}}}
    names = FAULT_HEADERS.get(status)
    return told | ({"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}} if names else {})


def _hoisted(said: Any, schemas: Json) -> Any:
    """`said` with every schema that has a title moved to `schemas`, and a reference in its place."""
    if isinstance(said, list):
        return [_hoisted(one, schemas) for one in said]
    if not isinstance(said, dict):
        return said
    told = {name: _hoisted(one, schemas) for name, one in said.items()}
    title = said.get("title")
    if not isinstance(title, str) or "properties" not in said:
        return told
    if schemas.setdefault(title, told) != told:
        raise ValueError(f"two schemas are called {title}")
    return {"$ref": f"#/components/schemas/{title}"}


def _security(app: Flask) -> Json:
    cookie = app.config["SESSION_COOKIE_NAME"]
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token: carillon_…"},
        "session": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "Who is signed in."},
        "forgery": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRFToken",
            "description": "What the pages carry as csrf-token; with a session, for everything but reading.",
        },
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
