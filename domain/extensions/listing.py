"""The list of extensions that a tenant has or could have."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select

from domain.extensions.extensions import Extension, ExtensionVersion, visible_extensions
from domain.extensions.installs import Install
from domain.extensions.manifests import precedence
from domain.kernel.db import db

PAGE_SIZE = 50
INSTALLED, AVAILABLE = "installed", "available"
STATES = ("", INSTALLED, AVAILABLE)


@dataclass(frozen=True)
class ExtensionRow:
    """One line. `is_own`: published by the tenant itself. `latest`: the greatest version number there is."""

    id: UUID
    name: str
    publisher: str
    is_own: bool
    latest: str
    installed: str | None
    installed_at: datetime | None
    disabled_at: datetime | None

    @property
    def is_installed(self) -> bool:
        return self.installed is not None

    @property
    def is_behind(self) -> bool:
        """Whether a later version than the installed one is published."""
        return self.installed is not None and precedence(self.latest) > precedence(self.installed)


def extensions_page(
    tenant_id: UUID, q: str = "", state: str = "", after: UUID | None = None, limit: int = PAGE_SIZE
) -> tuple[list[ExtensionRow], bool]:
    """Extensions by name from behind the one with the id `after`, and whether there are more. Two statements.

    `q` is part of the name or the publisher, `state` one of STATES. One of which no version is left is not listed.
    """
    mine = and_(Install.extension_id == Extension.id, Install.tenant_id == tenant_id, Install.deleted_at.is_(None))
    query = (
        select(Extension, Install, ExtensionVersion.version)
        .outerjoin(Install, mine)
        .outerjoin(ExtensionVersion, ExtensionVersion.id == Install.version_id)
        .where(or_(Extension.tenant_id == tenant_id, Extension.tenant_id.is_(None)))
        .where(exists().where(ExtensionVersion.extension_id == Extension.id).correlate(Extension))
    )
    if q:
        query = query.where(
            or_(Extension.name.icontains(q, autoescape=True), Extension.publisher.icontains(q, autoescape=True))
        )
    if state == INSTALLED:
        query = query.where(Install.id.is_not(None))
    elif state == AVAILABLE:
        query = query.where(Install.id.is_(None))
    if after is not None:
        query = query.where(_behind(tenant_id, after))
    found = db.session.execute(query.order_by(Extension.name, Extension.id).limit(limit + 1)).all()
    latest = _latest([extension.id for extension, _, _ in found])
    rows = [_row(extension, install, version, latest[extension.id]) for extension, install, version in found]
    return rows[:limit], len(rows) > limit


def catalogue(tenant_id: UUID | None) -> list[tuple[Extension, list[str]]]:
    """Every extension that a tenant may install with the numbers of its versions, the latest first.

    Without a tenant, those of the whole installation: for whoever operates it.
    """
    owner = or_(Extension.tenant_id == tenant_id, Extension.tenant_id.is_(None))
    query = (
        select(Extension, func.array_agg(ExtensionVersion.version))
        .join(ExtensionVersion, ExtensionVersion.extension_id == Extension.id)
        .where(owner if tenant_id is not None else Extension.tenant_id.is_(None))
        .group_by(Extension.id)
        .order_by(Extension.name, Extension.id)
    )
    found = db.session.execute(query).all()
    return [(extension, sorted(versions, key=precedence, reverse=True)) for extension, versions in found]


def _behind(tenant_id: UUID, after: UUID) -> Any:
    """Nothing is behind one that the tenant does not see: or else the order would tell its name."""
    visible = visible_extensions(tenant_id).where(Extension.id == after)
    name = visible.with_only_columns(Extension.name).scalar_subquery()
    return or_(Extension.name > name, and_(Extension.name == name, Extension.id > after))


def _latest(extension_ids: Collection[UUID]) -> dict[UUID, str]:
    published = select(ExtensionVersion.extension_id, ExtensionVersion.version).where(
        ExtensionVersion.extension_id.in_(extension_ids)
    )
    latest: dict[UUID, str] = {}
    for extension_id, version in db.session.execute(published):
        latest[extension_id] = max(version, latest.get(extension_id, version), key=precedence)
    return latest


def _row(extension: Extension, install: Install | None, version: str | None, latest: str) -> ExtensionRow:
    return ExtensionRow(
        extension.id,
        extension.name,
        extension.publisher,
        extension.tenant_id is not None,
        latest,
        version,
        install.created_at if install else None,
        install.disabled_at if install else None,
    )
