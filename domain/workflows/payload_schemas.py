"""The registry of payload schemas: JSON Schema 2020-12 documents by ref. A ref that was used never changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified

EMPTY_REF = "payload.Empty.v1"
CLOCK_REF = "trigger.clock.v1"
CLOCK_ALIAS = "payload.WorkflowClockTrigger.v1"


class PayloadSchema(Identified, Owned, Base):
    """`used_at`: when a workflow was first published with it; from then on the row is immutable."""

    __tablename__ = "payload_schemas"
    __table_args__ = (Index("uq_payload_schemas_ref", "tenant_id", "ref", unique=True),)

    ref: Mapped[str]
    schema: Mapped[Any] = mapped_column(JSONB)
    used_at: Mapped[datetime | None]
