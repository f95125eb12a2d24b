"""A request's key, written with its effect, makes repeating the request harmless: the first answer is given again."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, db


class RequestKey(Base):
    __tablename__ = "request_keys"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    action: Mapped[str]
    answer: Mapped[Any | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)


def claim_request(tenant_id: UUID, key: str, action: str) -> RequestKey | None:
    """The earlier use of `key`, or None when this transaction is the first: then finish with `answer_request`.

    A second request waits here until the first has committed or rolled back.
    """
    claimed = db.session.execute(
        insert(RequestKey)
        .values(tenant_id=tenant_id, key=key, action=action)
        .on_conflict_do_nothing()
        .returning(RequestKey.key)
    ).first()
    if claimed:
        return None
    return db.session.scalars(select(RequestKey).where(RequestKey.tenant_id == tenant_id, RequestKey.key == key)).one()


def answer_request(tenant_id: UUID, key: str, answer: Any) -> None:
    """Record what the request led to, for whoever sends it again."""
    db.session.get_one(RequestKey, (tenant_id, key)).answer = answer
