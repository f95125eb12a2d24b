"""Installs: a tenant's extension at a version, with its configuration, its grants and its secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified


class Install(Identified, Owned, Base):
    """`config`: an object of texts. `capabilities`: what an admin granted, a list of names such as `cap:http.fetch`.

    `disabled_at`: since when it is held, by whom and why. `deleted_at`: when it was uninstalled; the row stays.
    """

    __tablename__ = "installs"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["extension_id", "version_id"], ["extension_versions.extension_id", "extension_versions.id"]
        ),
        Index("uq_installs_extension", "tenant_id", "extension_id", unique=True, postgresql_where="deleted_at IS NULL"),
        # Which installs keep a version or an extension from being deleted.
        Index("ix_installs_version", "extension_id", "version_id"),
        CheckConstraint("disabled_at IS NOT NULL OR (disabled_by IS NULL AND disable_reason IS NULL)", name="disabled"),
        CheckConstraint("jsonb_typeof(config) = 'object' AND jsonb_typeof(capabilities) = 'array'", name="settings"),
    )

    extension_id: Mapped[UUID]
    version_id: Mapped[UUID]
    config: Mapped[Any] = mapped_column(JSONB)
    capabilities: Mapped[Any] = mapped_column(JSONB)
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    disabled_at: Mapped[datetime | None]
    disabled_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    disable_reason: Mapped[str | None]
    deleted_at: Mapped[datetime | None]

    @property
    def enabled(self) -> bool:
        return self.disabled_at is None


class InstallSecret(Identified, Owned, Base):
    """A secret that only calls of this install carry. `sealed`: the value, encrypted (`domain.kernel.vault`)."""

    __tablename__ = "install_secrets"
    __table_args__ = (
        UniqueConstraint("install_id", "name"),
        ForeignKeyConstraint(["tenant_id", "install_id"], ["installs.tenant_id", "installs.id"]),
    )

    install_id: Mapped[UUID]
    name: Mapped[str]
    sealed: Mapped[str]
    changed_at: Mapped[datetime]
    changed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
