"""A signed-in browser. The row can be ended on the server, so a copied cookie dies with its sign-out."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, Identified


class Session(Identified, Base):
    """`token_hash`: SHA-256 of the random token in the cookie. `tenant_id`: the tenant being looked at."""

    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    token_hash: Mapped[str] = mapped_column(unique=True)
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
