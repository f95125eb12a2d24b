"""One table from what went wrong to the answer: a page, a notice for htmx, or problem+json (RFC 9457) for the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Flask, Response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError, SecurityError

from domain.accounts.audit import record_refusal
from domain.health import is_database_away
from domain.kernel import errors
from domain.kernel.db import transaction
from domain.kernel.log import logger
from web.access import actor, current_access, forget_access, is_api, is_fragment, request_id
from web.security import UNSAFE_METHODS

STATUSES: dict[type[errors.DomainError], int] = {
    errors.Refused: 422,
    errors.NotFound: 404,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.Held: 409,
    errors.LostClaim: 409,
    errors.Throttled: 429,
    errors.DomainError: 422,
}
AUDITED = (errors.Forbidden, errors.Held)
RETRY_AFTER_SECONDS, AWAY_SECONDS = "60", "5"
PAGES = frozenset({400, 403, 404, 409, 429, 500, 503})
# For these htmx swaps or stays silent, so the notice has to come with the answer.
NOTICED = frozenset({409, 422})
# By what an address calls it: the name of its id, else where it stands. Others are what their name says.
SUBJECT_KINDS = {
    "member": "user",
    "token": "api_token",
    "setting": "tenant",
    "schema": "payload_schema",
    "workflow-run": "run",
    "workflow-definition": "workflow",
    "payload-schema": "payload_schema",
    "schedule-bundle": "schedule",
    "events.add_type": "event_type",
}
EXPLANATIONS = {
    500: "The request ended with an error that is on record under its number.",
    503: "The database cannot be reached. Wait a moment and try again.",
}
FORGED = "The form was open for too long, or it did not come from this site. Reload the page and send it again."
UNKNOWN_HOST = "This host name is not served here."

log = logger(__name__)


@dataclass(frozen=True)
class Answer:
    """What to tell: an HTTP status, a stable code, one message, and the fields it is about. `members`: what the API tells
    besides (RFC 9457, section 3.2)."""

    status: int
    code: str
    message: str
    problems: tuple[errors.Problem, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase


def register(app: Flask) -> None:
    app.register_error_handler(errors.DomainError, answer_domain_error)
    app.register_error_handler(HTTPException, answer_http_error)


def status_of(error: errors.DomainError) -> int:
    """The HTTP status of an error of the domain: that of the nearest class in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def answer_domain_error(error: errors.DomainError) -> Response:
    if isinstance(error, AUDITED):
        keep_refusal(error.message)
    status = status_of(error)
    problems = error.problems if isinstance(error, errors.Refused) else ()
    headers = (("Retry-After", RETRY_AFTER_SECONDS),) if status == 429 else ()
    message = error.message if is_api() else str(error)
    return render_answer(Answer(status, error.code, message, problems, headers))


def answer_http_error(error: HTTPException) -> Response:
    """Errors of HTTP itself, and unexpected ones, which Flask has logged: they tell nothing of the inside."""
    status = error.code or 500
    message = error.description or ""
    if isinstance(error, SecurityError):
        message = UNKNOWN_HOST
        if not is_api():
            # Without a host that is known, no address on a page can be made.
            return Response(message, status, content_type="text/plain")
    if isinstance(error, CSRFError):
        keep_refusal(f"Request forgery check failed: {error.description}")
        message = FORGED
    if isinstance(error, InternalServerError):
        forget_access()
        status = 503 if is_database_away(error.original_exception) else 500
        message = EXPLANATIONS[status]
    headers = tuple((name, value) for name, value in error.get_headers(request.environ) if name in KEPT_HEADERS)
    if status == 503:
        headers = (("Retry-After", AWAY_SECONDS),)
    return render_answer(Answer(status, HTTPStatus(status).name, message, headers=headers))


KEPT_HEADERS = frozenset({"Allow", "Retry-After"})


def render_answer(answer: Answer) -> Response:
    """The answer in the form that this request can read."""
    if is_api():
        response = problem_answer(answer)
    elif is_fragment():
        response = _notice(answer)
    else:
        response = Response(_page(answer), answer.status)
    response.headers.extend(answer.headers)
    return response


def problem_answer(answer: Answer) -> Response:
    """problem+json; `errors` name the fields by JSON pointer, `code` is stable, `requestId` is in the log."""
    body: dict[str, Any] = {
        **answer.members,
        "type": "about:blank",
        "title": answer.title,
        "status": answer.status,
        "detail": answer.message,
        "code": answer.code,
        "requestId": request_id(),
    }
    if answer.problems:
        body["errors"] = [{"path": p.path, "message": p.message, "code": p.code} for p in answer.problems]
    response = Response(json.dumps(body), answer.status, content_type="application/problem+json")
    if answer.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def keep_refusal(reason: str) -> None:
    """Put a command that was turned down on record, in a transaction of its own: its own one is undone."""
    if request.method not in UNSAFE_METHODS or current_access() is None:
        return
    kind, subject_id = _subject()
    with transaction():
        record_refusal(actor(), str(request.endpoint), kind, subject_id, reason)
    log.info("A command was refused.", action=request.endpoint, reason=reason)


def _subject() -> tuple[str, UUID | None]:
    """What the request is about: one of `audit.SUBJECTS`, and the id in its address if there is one."""
    ids = ((name, value) for name, value in (request.view_args or {}).items() if isinstance(value, UUID))
    name, subject_id = next(ids, ("", None))
    where = request.path.split("/")[2] if is_api() else request.blueprint or ""
    word = name.removesuffix("_id") or where.removesuffix("s")
    kind = SUBJECT_KINDS.get(str(request.endpoint)) or SUBJECT_KINDS.get(word, word)
    return kind, subject_id


def _notice(answer: Answer) -> Response:
    response = Response(render_template("errors/_notice.html", answer=answer, request_id=request_id()), answer.status)
    response.headers["HX-Reswap"] = "none"
    if answer.status in NOTICED:
        response.headers["HX-Trigger"] = json.dumps({"toast": {"message": answer.message, "kind": "error"}})
    return response


def _page(answer: Answer) -> str:
    if answer.status in PAGES:
        return render_template(f"errors/{answer.status}.html", answer=answer, request_id=request_id())
    return render_template(
        "errors/_oops.html",
        code=str(answer.status),
        what=answer.title,
        why=answer.message,
        todo="Go back, correct it and try again.",
        request_id=request_id(),
    )
