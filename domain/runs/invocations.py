"""Invocations: every attempt to call an extension through the runner, made for a run or for a step of one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, db
from domain.kernel.ids import new_id

STARTED, SUCCEEDED, FAILED, LOST, NOT_SENT = "started", "succeeded", "failed", "lost", "not_sent"
CALLS_SHOWN = 200
"""Of one run, or of the runs on one page, at most: an endpoint run has ten, but a loop in a workflow may call often."""


class Invocation(Base):
    """`id` is the request id of this attempt. `status`: `lost` when its worker went away before the answer was on record,
    `not_sent` when something kept the call from being made (`error_code` says what).

    `http_status`: of the runner's answer. `endpoint_status`: what the extension answered, inside it. `response_excerpt`:
    the beginning of the extension's answer, redacted. `duration_ms`: from sending to the end of the answer.
    """

    __tablename__ = "invocations"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "install_id"], ["installs.tenant_id", "installs.id"]),
        # The calls of a run
        UniqueConstraint("run_id", "step_path", "iteration", "attempt"),
        # The newest calls of an install, and of a schedule
        Index("ix_invocations_install", "install_id", "id"),
        Index("ix_invocations_schedule", "schedule_id", "id", postgresql_where="schedule_id IS NOT NULL"),
        CheckConstraint("status IN ('started', 'succeeded', 'failed', 'lost', 'not_sent')", name="status"),
        CheckConstraint("(status = 'started') = (finished_at IS NULL)", name="finished"),
        CheckConstraint("trigger IN ('schedule', 'manual')", name="trigger"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID]
    run_id: Mapped[UUID]
    step_path: Mapped[str]
    iteration: Mapped[str]
    attempt: Mapped[int]
    install_id: Mapped[UUID]
    extension_id: Mapped[UUID]
    version_id: Mapped[UUID]
    content_hash: Mapped[str]
    schedule_id: Mapped[UUID | None]
    scheduled_for: Mapped[datetime | None]
    trigger: Mapped[str]
    actor_id: Mapped[UUID | None]
    method: Mapped[str]
    path: Mapped[str]
    idempotency_key: Mapped[str]
    status: Mapped[str] = mapped_column(default=STARTED)
    http_status: Mapped[int | None]
    endpoint_status: Mapped[int | None]
    duration_ms: Mapped[int | None]
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    response_excerpt: Mapped[str | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


def invocations_of_run(tenant_id: UUID, run_id: UUID, limit: int = CALLS_SHOWN) -> list[Invocation]:
    """The calls that a run of the tenant made, the first first."""
    query = _calls(tenant_id).where(Invocation.run_id == run_id)
    return list(db.session.scalars(query.order_by(Invocation.id).limit(limit)))


def invocations_of_runs(
    tenant_id: UUID, run_ids: Collection[UUID], limit: int = CALLS_SHOWN
) -> dict[UUID, list[Invocation]]:
    """The calls of several runs of the tenant by run, the first first; a run that made none is not in it."""
    if not run_ids:
        return {}
    found: dict[UUID, list[Invocation]] = {}
    query = _calls(tenant_id).where(Invocation.run_id.in_(run_ids)).order_by(Invocation.id).limit(limit)
    for call in db.session.scalars(query):
        found.setdefault(call.run_id, []).append(call)
    return found


def invocations_of_schedule(
    tenant_id: UUID, schedule_id: UUID, before: UUID | None = None, limit: int = 20
) -> list[Invocation]:
    """The calls of a schedule of the tenant, the newest first, at most `limit`, older than the call `before`."""
    query = _calls(tenant_id).where(Invocation.schedule_id == schedule_id)
    if before is not None:
        query = query.where(Invocation.id < before)
    return list(db.session.scalars(query.order_by(Invocation.id.desc()).limit(limit)))


def _calls(tenant_id: UUID) -> Any:
    # A call ends in the process of a worker: what this one remembers of the row may be older.
    return select(Invocation).where(Invocation.tenant_id == tenant_id).execution_options(populate_existing=True)
