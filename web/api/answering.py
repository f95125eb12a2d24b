"""What the API answers: JSON documents, pages of them, and for a repeated request what it was answered first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from domain.accounts.request_keys import answer_request, claim_request
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Refused
from domain.kernel.ids import new_id
from domain.kernel.secret_values import shown
from web.access import member_access
from web.api.reading import collected, idempotency_key, page_cursor, page_limit

Json = dict[str, Any]


class KeyReused(Conflict):
    """This Idempotency-Key was used for another request. Choose a new key for every new request."""

    code = "IDEMPOTENCY_KEY_REUSED"


def document(body: Json, status: int = 200, location: str | None = None, tag: str | None = None) -> Response:
    """One JSON document, without what is sealed in it. Its ETag is `tag`, or the revision of what has one."""
    return _written(shown(body), status, location, tag)


def _written(body: Json, status: int, location: str | None, tag: str | None = None) -> Response:
    """A document that shows nothing sealed any more."""
    answer = Response(json.dumps(body, ensure_ascii=False), status, content_type="application/json")
    if tag or body.get("revision"):
        answer.set_etag(tag or str(body["revision"]))
    if location:
        answer.headers["Location"] = location
    return answer


def page(items: Sequence[Any], limit: int, written: Callable[[Any], Json], cursor: Callable[[Any], Any]) -> Response:
    """The first `limit` of `items`, which holds one more when there is a next page, and the cursor that leads there."""
    shown = items[:limit]
    following = str(cursor(shown[-1])) if len(items) > limit else None
    return document({"items": [written(item) for item in shown], "nextCursor": following})


def page_within(items: Sequence[Any], written: Callable[[Any], Json]) -> Response:
    """A page of a list that is short enough to be read whole; what is in it has an `id`. Raises Refused at `cursor`."""
    cursor, limit = collected(page_cursor, page_limit)
    ids = [item.id for item in items]
    if cursor is not None and cursor not in ids:
        message = "Nothing in this list has this id any more. Begin again without a cursor."
        raise Refused.at("cursor", message, "CURSOR_UNKNOWN")
    start = ids.index(cursor) + 1 if cursor is not None else 0
    return page(items[start : start + limit + 1], limit, written, lambda item: item.id)


def answered_once(act: Callable[[str], tuple[int, Json, str]]) -> Response:
    """Carry out a POST in one transaction; with an Idempotency-Key a repetition changes nothing and is answered the same.

    `act(request key)` gives the status, the document and its address. Keys are the person's own: with two tokens one may
    go on with what the other began. Raises KeyReused, and whatever `act` raises.
    """
    given = idempotency_key()
    with transaction():
        tenant_id, person_id = member_access().tenant.id, member_access().user.id
        key = f"api:{person_id}:{given or new_id()}"
        earlier = claim_request(tenant_id, key, str(request.endpoint)) if given else None
        if earlier:
            answer = earlier.answer or {}
            if answer.get("fingerprint") != _fingerprint():
                raise KeyReused
        else:
            # Begins with a word of its own: what follows is the caller's to choose, and must not be the key of a request.
            status, body, location = act(f"act.{key}")
            answer = {"status": status, "body": shown(body), "location": location}
            if given:
                answer_request(tenant_id, key, {**answer, "fingerprint": _fingerprint()})
    return _written(answer["body"], answer["status"], answer["location"])


def instant(at: datetime | None) -> str | None:
    """RFC 3339 in UTC; milliseconds only where there are any."""
    if at is None:
        return None
    text = at.astimezone(UTC).isoformat(timespec="milliseconds" if at.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _fingerprint() -> str:
    """What tells one request from another that bears the same key."""
    address = request.full_path if request.query_string else request.path
    said = b"\n".join((request.method.encode(), address.encode(), request.get_data(cache=True)))
    return hashlib.sha256(said).hexdigest()
