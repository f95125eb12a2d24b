"""The ledger of a schedule over HTTP: what became of each of its instants."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

from flask import Response, request

from domain.accounts.permissions import READ
from domain.kernel import strict_json
from domain.kernel.errors import NotFound, Refused
from domain.schedules.entries import OUTCOMES, Entry, occurrences_page
from domain.schedules.kinds import schedule_kind
from domain.timing.zones import parse_instant
from web.access import member_access, requires_by_kind
from web.api import blueprint
from web.api.answering import Json, document, instant
from web.api.openapi import schedules as shapes
from web.api.openapi.declaring import declared_list
from web.api.openapi.words import choice
from web.api.reading import check_query, collected, page_limit, query_choice

CURSOR_MAX_CHARACTERS = 1_000

Position = tuple[datetime, str]
"""Where an entry stands: its instant and its origin."""


@blueprint.get("/schedules/<uuid:schedule_id>/occurrences")
@declared_list("List what became of the instants of a schedule", shapes.OCCURRENCE, outcome=choice(OUTCOMES))
@requires_by_kind(READ)
def list_occurrences(schedule_id: UUID) -> Response:
    tenant_id = member_access().tenant.id
    # Those of a deleted schedule stay readable.
    if schedule_kind(tenant_id, schedule_id) is None:
        raise NotFound
    check_query(("outcome",))
    outcome, before, limit = collected(lambda: query_choice("outcome", OUTCOMES), _cursor, page_limit)
    entries, has_more = occurrences_page(tenant_id, schedule_id, outcome, before, limit)
    following = _written((entries[-1].scheduled_for, entries[-1].origin_key)) if has_more else None
    return document({"items": [_document(entry) for entry in entries], "nextCursor": following})


def _document(entry: Entry) -> Json:
    return {
        "scheduledFor": instant(entry.scheduled_for),
        "through": instant(entry.through),
        "count": entry.count,
        "origin": entry.origin_key.partition(":")[0],
        "outcome": entry.outcome,
        "reason": entry.reason,
        "detail": entry.detail,
        "decidedAt": instant(entry.decided_at),
        "runId": str(entry.run_id) if entry.run_id else None,
        "runStatus": entry.run_status,
        "runError": entry.run_error,
        "runSeconds": float(entry.seconds) if entry.seconds is not None else None,
    }


def _written(position: Position) -> str:
    said = strict_json.dumps([instant(position[0]), position[1]])
    return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def _cursor() -> Position | None:
    given = request.args.get("cursor")
    if given is None:
        return None
    try:
        if len(given) > CURSOR_MAX_CHARACTERS:
            raise ValueError
        said = strict_json.loads(base64.b64decode(given + "=" * (-len(given) % 4), b"-_", validate=True))
        at, origin = said
        if not isinstance(origin, str):
            raise TypeError
        return parse_instant(at), origin
    except (Refused, ValueError, TypeError, binascii.Error):
        message = "This is no cursor of this list. Begin again without one."
        raise Refused.at("cursor", message, "CURSOR_UNKNOWN") from None
