"""The circuit breaker of an install: after several failures in a row nobody calls it until a probe succeeds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base


class InstallCircuit(Base):
    """One row per install that has failed lately. `failures`: in a row. `open_until`: when the next probe may go;
    None while it is closed. `opened_at`: since when it is open."""

    __tablename__ = "install_circuits"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "install_id"], ["installs.tenant_id", "installs.id"]),
        CheckConstraint("(opened_at IS NULL) = (open_until IS NULL)", name="open"),
    )

    install_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    opened_at: Mapped[datetime | None]
    open_until: Mapped[datetime | None]
    last_error: Mapped[str | None]
