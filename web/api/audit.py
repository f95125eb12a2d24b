"""The audit log over HTTP: who changed what, and who tried to; the same filters as on its page."""

from __future__ import annotations

from flask import Response

from domain.accounts.audit import CHANGED, REFUSED, SUBJECTS, AuditEntry
from domain.accounts.audit_search import AuditFilter, search_audit
from web.access import member_access, requires
from web.api import blueprint
from web.api.answering import Json, document, instant
from web.api.openapi import happenings
from web.api.openapi.declaring import declared_list
from web.api.openapi.words import ID, INSTANT, choice, text
from web.api.reading import (
    Q_MAX_CHARACTERS,
    check_query,
    collected,
    page_cursor,
    page_limit,
    query_choice,
    query_id,
    query_instant,
    query_text,
)


@blueprint.get("/audit")
@declared_list(
    "List who changed what, newest first",
    happenings.AUDIT_ENTRY,
    q=text(Q_MAX_CHARACTERS),
    who=text(Q_MAX_CHARACTERS),
    action=text(Q_MAX_CHARACTERS),
    subjectKind=choice(SUBJECTS),
    subjectId=ID,
    result=choice((CHANGED, REFUSED)),
    **{"from": INSTANT, "to": INSTANT},
)
@requires("workflow:admin")
def list_audit() -> Response:
    check_query(("q", "who", "action", "subjectKind", "subjectId", "result", "from", "to"))
    *asked, cursor, limit = collected(
        lambda: query_text("q"),
        lambda: query_text("who"),
        lambda: query_text("action"),
        lambda: query_choice("subjectKind", SUBJECTS),
        lambda: query_id("subjectId"),
        lambda: query_choice("result", (CHANGED, REFUSED)),
        lambda: query_instant("from"),
        lambda: query_instant("to"),
        page_cursor,
        page_limit,
    )
    page = search_audit(member_access().tenant.id, AuditFilter(*asked), cursor, limit)
    following = str(page.next_before) if page.next_before else None
    return document({"items": [_entry_document(entry) for entry in page.entries], "nextCursor": following})


def _entry_document(entry: AuditEntry) -> Json:
    return {
        "id": str(entry.id),
        "at": instant(entry.created_at),
        "action": entry.action,
        "result": entry.result,
        "actorId": str(entry.actor_id) if entry.actor_id else None,
        "actorName": entry.actor_label,
        "subjectKind": entry.subject_kind,
        "subjectId": str(entry.subject_id) if entry.subject_id else None,
        "subjectName": entry.subject_label,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "requestId": entry.request_id,
    }
