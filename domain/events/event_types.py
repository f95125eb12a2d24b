"""The catalogue of events: which a tenant knows, and what payload each of them has. An unknown event is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load, owned
from domain.events.events import EventType
from domain.events.uses import USES_NAMED, event_uses
from domain.kernel.db import db
from domain.kernel.errors import Problem, Refused
from domain.workflows.built_in_schemas import BUILT_IN
from domain.workflows.payload_schemas import REF_PATTERN, use_schema
from domain.workflows.workflows import Workflow

NAME_MAX_CHARACTERS = 128
NAME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*", re.ASCII)
DESCRIPTION_MAX_CHARACTERS = 2_000
CHOICES_LISTED = 500


@dataclass(frozen=True)
class EventTypeRow:
    """One line of the catalogue. `workflows`: how many living workflows it starts."""

    id: UUID
    name: str
    description: str
    payload_schema_ref: str
    workflows: int


@dataclass(frozen=True)
class EventTypeChoice:
    """What a picker of events offers."""

    name: str
    description: str
    payload_schema_ref: str


def parse_event_name(text: str, path: str = "name") -> str:
    """A name such as `invoice.paid`; raises Refused at `path`."""
    name = text.strip()
    if not name:
        raise Refused.at(path, "Enter a name such as invoice.paid.", "NAME_REQUIRED")
    if len(name) > NAME_MAX_CHARACTERS:
        message = f"A name has at most {NAME_MAX_CHARACTERS} characters; this one has {len(name)}."
        raise Refused.at(path, message, "NAME_TOO_LONG")
    if not NAME_PATTERN.fullmatch(name):
        message = "Write it as words with dots between them, such as invoice.paid: letters, digits, _ and -."
        raise Refused.at(path, message, "EVENT_NAME_INVALID")
    return name


def event_type_choices(tenant_id: UUID, limit: int = CHOICES_LISTED) -> list[EventTypeChoice]:
    """The catalogue by name, for pickers."""
    query = select(EventType.name, EventType.description, EventType.payload_schema_ref)
    rows = db.session.execute(query.where(EventType.tenant_id == tenant_id).order_by(EventType.name).limit(limit))
    return [EventTypeChoice(*row) for row in rows]


def event_types_page(tenant_id: UUID, q: str = "", after: str | None = None, limit: int = 50) -> list[EventTypeRow]:
    """The catalogue by name, at most `limit`, from behind the name `after`; `q` is part of the name or description."""
    query = select(
        EventType.id,
        EventType.name,
        EventType.description,
        EventType.payload_schema_ref,
        _workflow_count(),
    ).where(EventType.tenant_id == tenant_id)
    if q:
        is_named = EventType.name.icontains(q, autoescape=True)
        query = query.where(or_(is_named, EventType.description.icontains(q, autoescape=True)))
    if after:
        query = query.where(EventType.name > after)
    return [EventTypeRow(*row) for row in db.session.execute(query.order_by(EventType.name).limit(limit))]


def event_type_of(tenant_id: UUID, event_type_id: UUID) -> EventType:
    """An entry of the catalogue by id; raises NotFound."""
    return load(tenant_id, EventType, event_type_id)


def known_event_type(tenant_id: UUID, name: str, path: str = "name", *, lock: bool = False) -> EventType:
    """The entry called `name`; raises Refused at `path` with UNKNOWN_EVENT. With `lock` nobody deletes or edits it until
    the transaction ends."""
    query = owned(tenant_id, EventType).where(EventType.name == name)
    if lock:
        query = query.with_for_update(read=True).execution_options(populate_existing=True)
    # What cannot be a name is not asked for: the database refuses some of it.
    found = db.session.scalars(query).one_or_none() if NAME_PATTERN.fullmatch(name) else None
    if found is None:
        shown = name if len(name) <= NAME_MAX_CHARACTERS else f"{name[:NAME_MAX_CHARACTERS]}…"
        message = f"The catalogue has no event called {shown}." if name else "No event is chosen."
        raise Refused.at(path, f"{message} Choose one of the catalogue, or add it there first.", "UNKNOWN_EVENT")
    return found


def register_event_type(actor: Actor, name: str, description: str, payload_schema_ref: str, now: datetime) -> EventType:
    """A new entry of the catalogue. From now on its schema never changes. Raises Refused at each wrong field."""
    parsed, described = _parsed(actor, name, description, payload_schema_ref, now)
    values = {
        "tenant_id": actor.tenant_id,
        "name": parsed,
        "description": described,
        "payload_schema_ref": payload_schema_ref,
        "created_at": now,
        "updated_at": now,
    }
    made = db.session.scalars(
        insert(EventType).values(**values).on_conflict_do_nothing().returning(EventType)
    ).one_or_none()
    if made is None:
        raise Refused.at("name", f"{parsed} is in the catalogue already. Edit it there.", "EVENT_NAME_TAKEN")
    record_change(actor, "event_type.registered", made, after=_content(made))
    return made


def edit_event_type(
    actor: Actor, event_type_id: UUID, description: str, payload_schema_ref: str, now: datetime
) -> EventType:
    """Another description or schema. What is published keeps the schema it was published with. Raises Refused."""
    stored = load(actor.tenant_id, EventType, event_type_id, lock="change")
    before = _content(stored)
    _, stored.description = _parsed(actor, stored.name, description, payload_schema_ref, now)
    stored.payload_schema_ref = payload_schema_ref
    after = _content(stored)
    changed = [field for field in after if after[field] != before[field]]
    if changed:
        stored.updated_at = now
        db.session.flush()
        old, new = ({field: side[field] for field in changed} for side in (before, after))
        record_change(actor, "event_type.edited", stored, before=old, after=new)
    return stored


def delete_event_type(actor: Actor, event_type_id: UUID) -> None:
    """Take an entry out of the catalogue; events that came stay readable. Raises Refused while a workflow names it."""
    stored = load(actor.tenant_id, EventType, event_type_id, lock="change")
    uses = event_uses(actor.tenant_id, stored.name)
    if uses:
        shown = "; ".join(map(str, uses[:USES_NAMED])) + ("; and others" if len(uses) > USES_NAMED else "")
        raise Refused.at("name", f"{stored.name} is in use: {shown}. Change that first.", "EVENT_IN_USE")
    record_change(actor, "event_type.deleted", stored, before=_content(stored))
    db.session.delete(stored)
    db.session.flush()


def _parsed(actor: Actor, name: str, description: str, ref: str, now: datetime) -> tuple[str, str]:
    """The name and the description as they are stored; the schema is frozen. Raises Refused with every problem."""
    problems: list[Problem] = []
    parsed, described = name, description
    try:
        parsed = parse_event_name(name)
    except Refused as refusal:
        problems += refusal.problems
    try:
        described = _parsed_description(description)
    except Refused as refusal:
        problems += refusal.problems
    try:
        # What cannot be a ref is not asked for: the database refuses some of it.
        known = ref if ref in BUILT_IN or REF_PATTERN.fullmatch(ref) else None
        use_schema(actor.tenant_id, known, now, "payload_schema_ref")
    except Refused as refusal:
        problems += refusal.problems
    if problems:
        raise Refused(problems)
    return parsed, described


def _parsed_description(text: str) -> str:
    described = text.replace("\r\n", "\n").strip()
    if len(described) > DESCRIPTION_MAX_CHARACTERS:
        message = f"A description has at most {DESCRIPTION_MAX_CHARACTERS:,} characters."
        raise Refused.at("description", message, "DESCRIPTION_TOO_LONG")
    if not all(character.isprintable() or character in "\n\t\u200c\u200d" for character in described):
        message = "A description cannot contain invisible characters. Remove them."
        raise Refused.at("description", message, "DESCRIPTION_CHARACTERS")
    return described


def _content(stored: EventType) -> dict[str, Any]:
    return {
        "name": stored.name,
        "description": stored.description,
        "payloadSchemaRef": stored.payload_schema_ref,
    }


def _workflow_count() -> Any:
    return (
        select(func.count())
        .select_from(Workflow)
        .where(
            Workflow.tenant_id == EventType.tenant_id,
            Workflow.event_name == EventType.name,
            Workflow.deleted_at.is_(None),
        )
        .scalar_subquery()
    )
