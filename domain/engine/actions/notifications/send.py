"""Tells members of the tenant something inside Carillon."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.accounts.notifications import (
    BODY_MAX_CHARACTERS,
    DEDUPE_KEY_MAX_CHARACTERS,
    INFO,
    LINK_MAX_CHARACTERS,
    LINK_PATTERN,
    SEVERITIES,
    TITLE_MAX_CHARACTERS,
    members_among,
    members_by_email,
    members_in,
    notify,
)
from domain.accounts.permissions import ROLES
from domain.engine.actions.action import LOCAL, Action, ActionContext, Example
from domain.engine.actions.schemas import TEXT, described, object_schema
from domain.engine.failures import ACTION as ACTION_ERROR
from domain.engine.failures import StepFailed
from domain.kernel.ids import parse_id

MAX_NAMED = 200
_TEXTS = {"type": "array", "items": {"type": "string", "maxLength": 254}, "maxItems": MAX_NAMED}


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    told, unknown = _members(context.tenant_id, inputs["recipients"])
    if not told:
        message = "None of the recipients is a member of this tenant."
        raise StepFailed(message, "NO_RECIPIENT", ACTION_ERROR)
    written = notify(
        context.tenant_id,
        told,
        inputs["title"],
        inputs.get("body", ""),
        inputs.get("severity", INFO),
        context.now,
        inputs.get("link"),
        inputs.get("dedupe_key"),
    )
    ids = [str(one) for one in written]
    return {"notification_ids": ids, "delivered_count": len(ids), "unknown_recipients": unknown}


def _members(tenant_id: UUID, recipients: dict[str, Any]) -> tuple[set[UUID], list[str]]:
    """The members that are named in any way, and the names that are not a member's."""
    asked = {text: parse_id(text) for text in recipients.get("user_ids", [])}
    found = set(members_among(tenant_id, [one for one in asked.values() if one]))
    by_email = members_by_email(tenant_id, recipients.get("emails", []))
    unknown = [text for text, one in asked.items() if one not in found]
    unknown += [text for text in recipients.get("emails", []) if text.strip().lower() not in by_email]
    return found | set(by_email.values()) | set(members_in(tenant_id, recipients.get("roles", []))), unknown


ACTION = Action(
    id="notifications.send",
    version=1,
    label="Notify members",
    category="notifications",
    description="Shows members of the tenant a notification inside Carillon, once per person and dedupe key.",
    input_schema=object_schema(
        ("body", "severity", "link", "dedupe_key"),
        recipients={
            **object_schema(
                ("user_ids", "emails", "roles"),
                user_ids=_TEXTS,
                emails=_TEXTS,
                roles={"type": "array", "items": {"enum": list(ROLES)}},
            ),
            "minProperties": 1,
        },
        title={"type": "string", "minLength": 1, "maxLength": TITLE_MAX_CHARACTERS},
        body={"type": "string", "maxLength": BODY_MAX_CHARACTERS},
        severity={"enum": list(SEVERITIES)},
        link=described(
            {"type": "string", "pattern": LINK_PATTERN, "maxLength": LINK_MAX_CHARACTERS},
            "A path on this site, such as /runs.",
        ),
        dedupe_key=described(
            {"type": "string", "minLength": 1, "maxLength": DEDUPE_KEY_MAX_CHARACTERS},
            "A person who was told something under this key is not told again.",
        ),
    ),
    output_schema=object_schema(
        notification_ids={"type": "array", "items": TEXT},
        delivered_count={"type": "integer"},
        unknown_recipients={"type": "array", "items": TEXT},
    ),
    effect=LOCAL,
    example=Example(
        {"recipients": {"roles": ["admin"]}, "title": "The month is closed", "severity": "info", "link": "/runs"},
        {
            "notification_ids": ["01a1fb80-25f1-7000-9878-3cc29d3900f9"],
            "delivered_count": 1,
            "unknown_recipients": [],
        },
    ),
    run=run,
)
