"""Who names an event: workflows that it starts, drafts that will be, and steps that wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from domain.kernel.db import db

USES_NAMED = 5

# Every place where a living workflow names an event, and runs that wait for one. Steps are nested at will.
_USES = text("""
    SELECT w.id, w.name, w.event_name = :name AS is_started,
        coalesce(w.draft_trigger ->> 'eventName' = :name, false) AS is_drafted
    FROM workflows w
    LEFT JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.published_version
    WHERE w.tenant_id = :tenant_id AND w.deleted_at IS NULL AND (
        w.event_name = :name OR w.draft_trigger ->> 'eventName' = :name
        OR jsonb_path_exists(w.draft_definition, CAST(:waits AS jsonpath), jsonb_build_object('name', CAST(:name AS text)))
        OR jsonb_path_exists(v.definition, CAST(:waits AS jsonpath), jsonb_build_object('name', CAST(:name AS text)))
        OR EXISTS (
            SELECT 1 FROM waits o JOIN runs r ON r.id = o.run_id
            WHERE o.tenant_id = w.tenant_id AND o.event_name = :name AND o.status = 'open' AND o.kind = 'event'
              AND r.workflow_id = w.id))
    ORDER BY w.name LIMIT :limit
""")
_WAITS = 'strict $.** ? (@.type == "event.wait" && @.config.eventName == $name)'


STARTS, DRAFT, WAITS = "starts", "draft", "waits"


@dataclass(frozen=True)
class EventUse:
    """`kind`: the event starts the workflow, its draft has it as its trigger, or a step or a run of it waits for it."""

    workflow_id: UUID
    workflow: str
    kind: str

    def __str__(self) -> str:
        if self.kind == STARTS:
            return f"it starts {self.workflow}"
        return (
            f"the draft of {self.workflow} has it as its trigger"
            if self.kind == DRAFT
            else f"{self.workflow} waits for it"
        )


def event_uses(tenant_id: UUID, name: str, limit: int = USES_NAMED + 1) -> list[EventUse]:
    """Which living workflows name the event, by name."""
    found = db.session.execute(_USES, {"tenant_id": tenant_id, "name": name, "waits": _WAITS, "limit": limit})
    return [
        EventUse(row.id, row.name, STARTS if row.is_started else DRAFT if row.is_drafted else WAITS) for row in found
    ]
