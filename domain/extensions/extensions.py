"""Extensions and their versions: what somebody published, and what an install of it calls.

An extension belongs to the tenant it was published in, or, published by whoever operates the installation, to nobody
(`tenant_id` None): then every tenant may install it. A version never changes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, Identified


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
