"""A tenant's named secrets: written, used by runs, and never shown again."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified


class Secret(Identified, Owned, Base):
    """`sealed`: the value, encrypted (`domain.kernel.vault`). `changed_at`: when somebody last wrote it."""

    __tablename__ = "secrets"
    __table_args__ = (Index("uq_secrets_name", "tenant_id", "name", unique=True),)

    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    sealed: Mapped[str]
    changed_at: Mapped[datetime]
    changed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    used_at: Mapped[datetime | None]
