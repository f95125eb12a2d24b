"""A step: one executed node of a run. The engine's only memory: a recorded step is never executed again."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base

STARTED, WAITING, SUCCEEDED, FAILED = "started", "waiting", "succeeded", "failed"


class RunStep(Base):
    """`step_path`: `root.steps[2].then.steps[0]`. `iteration`: indexes of the loops around it, outermost first, `3.0`,
    empty outside loops. `position`: the order of recording inside the run. `idempotency_key` only with an effect."""

    __tablename__ = "run_steps"
    __table_args__ = (
        CheckConstraint("status IN ('started', 'waiting', 'succeeded', 'failed')", name="status"),
        CheckConstraint("(status IN ('started', 'waiting')) = (finished_at IS NULL)", name="finished"),
        CheckConstraint("attempt >= 1", name="attempt"),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    step_path: Mapped[str] = mapped_column(primary_key=True)
    iteration: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, default=1)
    position: Mapped[int]
    step_id: Mapped[str]
    node_type: Mapped[str]
    status: Mapped[str]
    input: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    output: Mapped[Any | None] = mapped_column(JSONB)
    error: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    idempotency_key: Mapped[str | None]
    claim_epoch: Mapped[int]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
