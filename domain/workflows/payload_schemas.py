"""The registry of payload schemas: JSON Schema 2020-12 documents by ref. A ref that was used never changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import Owned, load, owned
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import NotFound, Problem, Refused
from domain.workflows.built_in_schemas import BUILT_IN, CLOCK_ALIAS, CLOCK_REF, EMPTY_REF, is_clock_ref
from domain.workflows.schema_rules import check_schema
from domain.workflows.workflows import Workflow

__all__ = ["CLOCK_ALIAS", "CLOCK_REF", "EMPTY_REF", "PayloadSchema", "is_clock_ref"]

REF_PATTERN = re.compile(r"payload\.[A-Za-z][A-Za-z0-9_]{0,99}\.v[1-9][0-9]{0,5}", re.ASCII)


class PayloadSchema(Identified, Owned, Base):
    """`used_at`: when a workflow was first published with it; from then on the row is immutable."""

    __tablename__ = "payload_schemas"
    __table_args__ = (Index("uq_payload_schemas_ref", "tenant_id", "ref", unique=True),)

    ref: Mapped[str]
    schema: Mapped[Any] = mapped_column(JSONB)
    used_at: Mapped[datetime | None]


@dataclass(frozen=True)
class SchemaRow:
    """One line of the registry. `id` is None for a built-in; `drafts`: living workflows whose draft names this ref."""

    ref: str
    id: UUID | None
    used_at: datetime | None
    drafts: int

    @property
    def is_built_in(self) -> bool:
        return self.id is None


def parse_ref(text: str, path: str = "ref") -> str:
    """A ref that a tenant may register: `payload.<Name>.v<N>`. Raises Refused at `path`."""
    ref = text.strip()
    if ref in BUILT_IN:
        raise Refused.at(path, f"{ref} is built in. Choose another name.", "SCHEMA_REF_TAKEN")
    if not REF_PATTERN.fullmatch(ref):
        message = "Write it as payload.<Name>.v<N>, such as payload.InvoiceSync.v1: letters, digits and _ in the name."
        raise Refused.at(path, message, "SCHEMA_REF_INVALID")
    return ref


def schema_of(tenant_id: UUID, ref: str | None, path: str = "schema_ref") -> dict[str, Any]:
    """The schema registered under `ref`, built-ins included; raises Refused at `path` when there is none."""
    if ref in BUILT_IN:
        return BUILT_IN[ref]
    found = db.session.scalars(owned(tenant_id, PayloadSchema).where(PayloadSchema.ref == ref)).one_or_none()
    return _schema_in(found, ref, path)


def check_registered(tenant_id: UUID, ref: str, path: str = "schema_ref") -> None:
    """Raises Refused at `path` unless `ref` is registered; until the transaction ends nobody deletes it."""
    if ref in BUILT_IN:
        return
    query = owned(tenant_id, PayloadSchema).where(PayloadSchema.ref == ref).with_for_update(read=True)
    # What cannot be a ref is not asked for: the database refuses some of it.
    _schema_in(db.session.scalars(query).one_or_none() if REF_PATTERN.fullmatch(ref) else None, ref, path)


def use_schema(tenant_id: UUID, ref: str | None, now: datetime, path: str = "schema_ref") -> dict[str, Any]:
    """The schema of `ref`, frozen from now on because a version is published with it; raises Refused at `path`."""
    if ref in BUILT_IN:
        return BUILT_IN[ref]
    query = owned(tenant_id, PayloadSchema).where(PayloadSchema.ref == ref).with_for_update(key_share=True)
    stored = db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    schema = _schema_in(stored, ref, path)
    if stored is not None and stored.used_at is None:
        stored.used_at = now
        db.session.flush()
    return schema


def _schema_in(found: PayloadSchema | None, ref: str | None, path: str) -> dict[str, Any]:
    if found is None:
        named = f"No payload schema is registered as {ref}." if ref else "No payload schema is chosen."
        raise Refused.at(path, f"{named} Choose one of the list.", "UNKNOWN_PAYLOAD_SCHEMA_REF")
    schema: dict[str, Any] = found.schema
    return schema


def schema_refs(tenant_id: UUID) -> list[str]:
    """Every ref that a workflow of the tenant may name: the built-ins, then its own by name."""
    own = select(PayloadSchema.ref).where(PayloadSchema.tenant_id == tenant_id).order_by(PayloadSchema.ref)
    return [*BUILT_IN, *db.session.scalars(own)]


def schemas_page(tenant_id: UUID, q: str = "", after: str | None = None, limit: int = 50) -> list[SchemaRow]:
    """The tenant's own schemas by ref, at most `limit`, from behind the ref `after`; `q` is part of the ref."""
    query = select(PayloadSchema.ref, PayloadSchema.id, PayloadSchema.used_at, _drafts_of(PayloadSchema)).where(
        PayloadSchema.tenant_id == tenant_id
    )
    if q:
        query = query.where(PayloadSchema.ref.icontains(q, autoescape=True))
    if after:
        query = query.where(PayloadSchema.ref > after)
    rows = db.session.execute(query.order_by(PayloadSchema.ref).limit(limit))
    return [SchemaRow(ref, schema_id, used_at, drafts) for ref, schema_id, used_at, drafts in rows]


def built_in_rows(q: str = "") -> list[SchemaRow]:
    """The built-in schemas whose ref contains `q`."""
    return [SchemaRow(ref, None, None, 0) for ref in BUILT_IN if q.lower() in ref.lower()]


def _drafts_of(schema: type[PayloadSchema]) -> Any:
    return (
        select(func.count())
        .select_from(Workflow)
        .where(
            Workflow.tenant_id == schema.tenant_id,
            _is_named_in_draft(schema.ref),
            Workflow.deleted_at.is_(None),
        )
        .scalar_subquery()
    )


def _is_named_in_draft(ref: Any) -> Any:
    """Whether a draft names the ref, as the schema of its payload or of the event that triggers it."""
    return or_(Workflow.draft_schema_ref == ref, Workflow.draft_trigger["sourcePayloadSchemaRef"].astext == ref)


def register_schema(actor: Actor, ref: str, schema: Any, now: datetime) -> PayloadSchema:
    """A new schema under a new ref. Raises Refused at `ref`, or below `schema` at the JSON pointer of what is wrong."""
    ref = _parsed_ref_and_schema(ref, schema)
    values = {"tenant_id": actor.tenant_id, "ref": ref, "schema": schema, "created_at": now, "updated_at": now}
    made = db.session.scalars(
        insert(PayloadSchema).values(**values).on_conflict_do_nothing().returning(PayloadSchema)
    ).one_or_none()
    if made is None:
        raise Refused.at("ref", f"{ref} is registered already. Use the next version.", "SCHEMA_REF_TAKEN")
    record_change(actor, "payload_schema.registered", made, after={"ref": ref, "schema": schema})
    return made


def replace_schema(actor: Actor, schema_id: UUID, schema: Any, now: datetime) -> PayloadSchema:
    """Another content under the same ref, while no published version was ever made with it."""
    stored = load(actor.tenant_id, PayloadSchema, schema_id, lock="change")
    _check_unused(stored, "changed. Register the next version instead")
    _check_content(schema)
    if stored.schema != schema:
        record_change(
            actor, "payload_schema.replaced", stored, before={"schema": stored.schema}, after={"schema": schema}
        )
        stored.schema = schema
        stored.updated_at = now
        db.session.flush()
    return stored


def delete_schema(actor: Actor, schema_id: UUID) -> None:
    """Take a schema out of the registry, while nothing was published with it and no draft names it."""
    stored = load(actor.tenant_id, PayloadSchema, schema_id, lock="change")
    _check_unused(stored, "deleted")
    drafts = db.session.scalars(
        owned(actor.tenant_id, Workflow).where(_is_named_in_draft(stored.ref)).order_by(Workflow.name).limit(6)
    ).all()
    if drafts:
        shown = ", ".join(workflow.name for workflow in drafts[:5]) + (" and others" if len(drafts) > 5 else "")
        raise Refused.at("ref", f"The draft of {shown} names it. Choose another schema there first.", "SCHEMA_IN_USE")
    record_change(actor, "payload_schema.deleted", stored, before={"ref": stored.ref, "schema": stored.schema})
    db.session.delete(stored)
    db.session.flush()


def stored_schema(tenant_id: UUID, schema_id: UUID) -> PayloadSchema:
    """A registered schema by id; raises NotFound."""
    return load(tenant_id, PayloadSchema, schema_id)


def registered_schema(tenant_id: UUID, ref: str, lock: str | None = None) -> PayloadSchema:
    """One of the tenant's own schemas by ref; raises NotFound. `lock`: as in `load`."""
    # What cannot be a ref is not asked for: the database refuses some of it.
    own = owned(tenant_id, PayloadSchema).where(PayloadSchema.ref == ref) if REF_PATTERN.fullmatch(ref) else None
    found = db.session.scalars(own).one_or_none() if own is not None else None
    if found is None:
        raise NotFound
    return load(tenant_id, PayloadSchema, found.id, lock=lock) if lock else found


def built_in_schema(ref: str) -> dict[str, Any]:
    """A built-in schema by ref; raises NotFound."""
    if ref not in BUILT_IN:
        raise NotFound
    return BUILT_IN[ref]


def _parsed_ref_and_schema(ref: str, schema: Any) -> str:
    problems: list[Problem] = []
    parsed = ref
    try:
        parsed = parse_ref(ref)
    except Refused as refusal:
        problems += refusal.problems
    try:
        _check_content(schema)
    except Refused as refusal:
        problems += refusal.problems
    if problems:
        raise Refused(problems)
    return parsed


def _check_content(schema: Any) -> None:
    try:
        check_schema(schema)
    except Refused as refusal:
        raise Refused(Problem(f"schema{p.path}", p.message, p.code) for p in refusal.problems) from None


def _check_unused(stored: PayloadSchema, verb: str) -> None:
    if stored.used_at is not None:
        message = f"A published version or an event uses {stored.ref}, so it cannot be {verb}."
        raise Refused.at("ref", message, "SCHEMA_IN_USE")
