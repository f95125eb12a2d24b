"""Extensions and their versions: what somebody published, and what an install of it calls.

An extension belongs to the tenant it was published in, or, published by whoever operates the installation, to nobody
(`tenant_id` None): then every tenant may install it. A version never changes.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Select, UniqueConstraint, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, defer, mapped_column

from domain.extensions.capabilities import parse_capabilities, to_grant
from domain.extensions.manifests import precedence
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import NotFound, Refused

LATEST = "latest"


class Extension(Identified, Base):
    """`name` in the form of a reversed domain, such as com.acme.rmm-sync; with `publisher` it names one extension."""

    __tablename__ = "extensions"
    __table_args__ = (
        Index("uq_extensions_name", "tenant_id", "publisher", "name", unique=True, postgresql_nulls_not_distinct=True),
    )

    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    publisher: Mapped[str]
    name: Mapped[str]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))


class ExtensionVersion(Identified, Base):
    """`content_hash`: `sha256:` and 64 hexadecimal digits. `endpoints_at`: when the rows of its endpoints were made.

    A trigger of the database refuses updates of anything but `endpoints_at`.
    """

    __tablename__ = "extension_versions"
    __table_args__ = (
        UniqueConstraint("extension_id", "version"),
        # What an install points to: a version of its own extension.
        UniqueConstraint("extension_id", "id"),
    )

    extension_id: Mapped[UUID] = mapped_column(ForeignKey("extensions.id"))
    version: Mapped[str]
    manifest: Mapped[Any] = mapped_column(JSONB)
    content_hash: Mapped[str]
    endpoints_at: Mapped[datetime | None]
    published_at: Mapped[datetime]
    published_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))

    @property
    def asked(self) -> list[str]:
        """The capabilities that an admin has to grant, as far as the manifest can be read."""
        try:
            return to_grant(parse_capabilities(self.manifest.get("capabilities", [])))
        except Refused:
            return []


@lru_cache(maxsize=1_000)
def asked_by(version_id: UUID) -> tuple[str, ...]:
    """What `asked` says of a version. It never changes, so each process reads its manifest, which may be long, once."""
    return tuple(db.session.get_one(ExtensionVersion, version_id).asked)


def visible_extensions(tenant_id: UUID) -> Select[Extension]:
    """What the tenant may see and install: its own, and those of the whole installation."""
    return select(Extension).where(or_(Extension.tenant_id == tenant_id, Extension.tenant_id.is_(None)))


def extension_of(tenant_id: UUID, extension_id: UUID) -> Extension:
    """An extension that the tenant may see, by id; raises NotFound for others and absent ones alike."""
    found = db.session.scalars(visible_extensions(tenant_id).where(Extension.id == extension_id)).one_or_none()
    if found is None:
        raise NotFound
    return found


def extension_named(tenant_id: UUID | None, publisher: str, name: str) -> Extension | None:
    """The one extension of this publisher and name that the tenant published; without a tenant, the installation's."""
    owner = Extension.tenant_id.is_(None) if tenant_id is None else Extension.tenant_id == tenant_id
    query = select(Extension).where(owner, Extension.publisher == publisher, Extension.name == name)
    return db.session.scalars(query).one_or_none()


def version_of_extension(extension_id: UUID, version_id: UUID | None, *, lock: str | None = None) -> ExtensionVersion:
    """A version of the extension by id; raises NotFound. `lock`: `keep` (nobody deletes it) or `delete`."""
    query = select(ExtensionVersion).where(
        ExtensionVersion.extension_id == extension_id, ExtensionVersion.id == version_id
    )
    if lock:
        query = query.with_for_update(read=lock == "keep", key_share=lock == "keep")
    found = db.session.scalars(query.execution_options(populate_existing=lock is not None)).one_or_none()
    if found is None:
        raise NotFound
    return found


def version_numbered(extension_id: UUID, version: str) -> ExtensionVersion | None:
    """The version of the extension with this number."""
    query = select(ExtensionVersion).where(
        ExtensionVersion.extension_id == extension_id, ExtensionVersion.version == version
    )
    return db.session.scalars(query).one_or_none()


def published_version(extension: Extension, number: str) -> ExtensionVersion:
    """The version of the extension with this number, or its `latest`. Raises NotFound."""
    if number == LATEST:
        found = next(iter(versions_of_extension(extension.id)), None)
    else:
        found = version_numbered(extension.id, number)
    if found is None:
        raise NotFound(f"{extension.name} has no version {number}.")
    return found


def versions_of_extension(extension_id: UUID) -> list[ExtensionVersion]:
    """All its versions, the latest first: in the order of their numbers, not of when they were published.

    Manifests are large; that of one of them is read when it is asked for.
    """
    query = select(ExtensionVersion).where(ExtensionVersion.extension_id == extension_id)
    found = db.session.scalars(query.options(defer(ExtensionVersion.manifest)))
    return sorted(found, key=lambda version: (precedence(version.version), version.id), reverse=True)
