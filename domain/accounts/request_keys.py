"""A request's key, written with its effect, makes repeating the request harmless: the first answer is given again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, ForeignKey, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, db

KEPT = timedelta(days=7)
PRUNED_AT_ONCE = 5_000


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


def prune_requests(now: datetime, limit: int = PRUNED_AT_ONCE) -> int:
    """Forget at most `limit` of the keys that nobody will send again; how many it were."""
    past = select(RequestKey.tenant_id, RequestKey.key).where(RequestKey.created_at < now - KEPT).limit(limit)
    named = tuple_(RequestKey.tenant_id, RequestKey.key).in_(past.with_for_update(skip_locked=True))
    return cast(CursorResult[Any], db.session.execute(delete(RequestKey).where(named))).rowcount
