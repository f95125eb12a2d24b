"""A tenant owns rows; every query starts from one. Tenants share an installation and never see each other."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Select, select
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.audit import Actor, record_change
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import NotFound, Refused
from domain.kernel.names import parse_name
from domain.timing.zones import parse_zone

NAME_MAX_CHARACTERS = 128
RETENTION_DAYS_MAX = 36_500
ENTERPRISE, COMMUNITY = "enterprise", "community"
EDITIONS = (ENTERPRISE, COMMUNITY)


class Tenant(Identified, Base):
    """`retention_days`: how long its finished runs and its events are kept; None is for ever. `deleted_at`: since then
    nobody can sign in to it and nothing of it runs; its history stays until it is pruned."""

    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint("edition IN ('enterprise', 'community')", name="edition"),
        CheckConstraint("retention_days >= 1", name="retention_days"),
    )

    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    timezone: Mapped[str]
    edition: Mapped[str] = mapped_column(default=ENTERPRISE, server_default=ENTERPRISE)
    retention_days: Mapped[int | None]
    deleted_at: Mapped[datetime | None]


@dataclass(frozen=True)
class TenantFacts:
    """What a request knows of the tenant it is in, as it was when the request began."""

    id: UUID
    name: str
    timezone: str
    edition: str
    retention_days: int | None

    @property
    def has_schedules(self) -> bool:
        """Whether its edition includes schedules; everything else every edition has."""
        return includes_schedules(self.edition)

    @classmethod
    def of(cls, tenant: Tenant) -> TenantFacts:
        return cls(*(getattr(tenant, column.key) for column in TENANT_FACTS))


TENANT_FACTS = tuple(Tenant.__table__.c[field.name] for field in fields(TenantFacts))


class Owned:
    """A row of one tenant."""

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))


Row = TypeVar("Row")


def owned(tenant_id: UUID, model: type[Row]) -> Select[Row]:
    """The rows of `model` that belong to the tenant and are not deleted: the start of every query by id."""
    columns: Any = model
    rows = select(model).where(columns.tenant_id == tenant_id)
    return rows.where(columns.deleted_at.is_(None)) if hasattr(model, "deleted_at") else rows


def load(tenant_id: UUID, model: type[Row], row_id: UUID | None, *, lock: str | None = None) -> Row:
    """One row of the tenant by id; raises NotFound for strangers' and absent ones alike.

    `lock`: `share` (FOR SHARE) or `change` (FOR NO KEY UPDATE); the row is read afresh under the lock.
    """
    columns: Any = model
    query = owned(tenant_id, model).where(columns.id == row_id)
    if lock == "share":
        query = query.with_for_update(read=True)
    elif lock == "change":
        query = query.with_for_update(key_share=True)
    row = db.session.scalars(query.execution_options(populate_existing=lock is not None)).one_or_none()
    if row is None:
        raise NotFound
    return row


def create_tenant(slug: str, name: str, timezone: str = "UTC", edition: str = ENTERPRISE) -> Tenant:
    """A new tenant; raises Refused when the zone is not an IANA name."""
    tenant = Tenant(slug=slug, name=name, timezone=parse_zone(timezone), edition=edition)
    db.session.add(tenant)
    db.session.flush()
    return tenant


def edit_tenant(actor: Actor, name: str, timezone: str, retention_days: Any = None) -> Tenant:
    """Rename the actor's tenant, set its zone, the default of new schedules, and how long its history is kept.

    Raises Refused for what cannot be used.
    """
    tenant = db.session.get_one(Tenant, actor.tenant_id, with_for_update={"key_share": True}, populate_existing=True)
    after: dict[str, Any] = {
        "name": parse_name(name, "name"),
        "timezone": parse_zone(timezone),
        "retention_days": parse_retention_days(retention_days),
    }
    before = {field: getattr(tenant, field) for field in after}
    changed = [field for field in after if after[field] != before[field]]
    for field in changed:
        setattr(tenant, field, after[field])
    if changed:
        record_change(
            actor,
            "tenant.edited",
            tenant,
            before={field: before[field] for field in changed},
            after={field: after[field] for field in changed},
        )
    return tenant


def set_edition(actor: Actor, edition: str) -> Tenant:
    """Put the actor's tenant on an edition; it applies from the next request and the next tick on. Raises Refused."""
    if edition not in EDITIONS:
        raise Refused.at("edition", f"Choose one of {' and '.join(EDITIONS)}.", "EDITION_UNKNOWN")
    tenant = db.session.get_one(Tenant, actor.tenant_id, with_for_update={"key_share": True}, populate_existing=True)
    before = tenant.edition
    if before != edition:
        tenant.edition = edition
        record_change(actor, "tenant.edited", tenant, before={"edition": before}, after={"edition": edition})
    return tenant


def includes_schedules(edition: str) -> bool:
    """The one rule of the editions: schedules belong to the enterprise edition."""
    return edition == ENTERPRISE


def tenants_by_slug(slug: str | None = None) -> list[Tenant]:
    """All tenants of the installation by slug, or the one with this slug: for whoever operates it, never for a tenant."""
    tenants = select(Tenant).order_by(Tenant.slug)
    return list(db.session.scalars(tenants.where(Tenant.slug == slug) if slug is not None else tenants))


def parse_retention_days(value: Any, path: str = "retention_days") -> int | None:
    """Whole days from 1, as a number or as its text; None, which is for ever, when empty. Raises Refused at `path`."""
    written = "" if value is None else str(value).strip()
    if not written:
        return None
    is_number = written.isascii() and written.isdigit() and len(written) <= 9
    if isinstance(value, bool) or not is_number or not 1 <= int(written) <= RETENTION_DAYS_MAX:
        message = f"Enter whole days from 1 to {RETENTION_DAYS_MAX:,}, or leave it empty to keep everything."
        raise Refused.at(path, message, "RETENTION_INVALID")
    return int(written)
