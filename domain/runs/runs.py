"""A run: one execution of a target, from the moment it was asked for until it ended.

queued → running → succeeded | failed | canceled; a queued run has `ready_at` once it may start (it was admitted and
holds a slot of its workflow), a waiting one keeps its slot. `claim_epoch` grows with every claim: whoever writes for a
run proves the epoch first, so a worker that lost its lease can write nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base
from domain.kernel.ids import new_id

QUEUED, RUNNING, WAITING = "queued", "running", "waiting"
SUCCEEDED, FAILED, CANCELED = "succeeded", "failed", "canceled"
UNFINISHED = (QUEUED, RUNNING, WAITING)
FINISHED = (SUCCEEDED, FAILED, CANCELED)

TRANSITIONS: dict[str, frozenset[str]] = {
    QUEUED: frozenset({RUNNING, CANCELED, FAILED}),
    RUNNING: frozenset({QUEUED, WAITING, SUCCEEDED, FAILED, CANCELED}),
    WAITING: frozenset({QUEUED, FAILED, CANCELED}),
    SUCCEEDED: frozenset(),
    FAILED: frozenset(),
    CANCELED: frozenset(),
}

PURE, EFFECT, CALL = "pure", "effect", "call"
LANES = (PURE, EFFECT, CALL)

# What started a run.
BY_HAND, BY_SCHEDULE, BY_RECURRING, BY_API, BY_RERUN = "manual", "schedule", "recurring", "api", "rerun"
BY_EVENT, BY_PARENT = "event", "parent"

_FAILED = "status IN ('failed', 'canceled')"

_CALL_WAITING = "install_id IS NOT NULL AND status = 'queued' AND ready_at IS NULL"
_CALL_GOING = "install_id IS NOT NULL AND status IN ('queued', 'running') AND ready_at IS NOT NULL"
_WAITING_OF_BACKFILL = "backfill_id IS NOT NULL AND status = 'queued' AND ready_at IS NULL"


class Run(Base):
    __tablename__ = "runs"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "workflow_id", "workflow_version"],
            ["workflow_versions.tenant_id", "workflow_versions.workflow_id", "workflow_versions.version"],
        ),
        ForeignKeyConstraint(["tenant_id", "install_id"], ["installs.tenant_id", "installs.id"]),
        # runs_page; runs of a schedule; runs of a workflow: newest first
        Index("ix_runs_page", "tenant_id", "id"),
        # runs_page by what is rare: by status, and by who started them
        Index("ix_runs_failed", "tenant_id", "status", "id", postgresql_where=_FAILED),
        Index("ix_runs_failed_of_workflow", "workflow_id", "status", "id", postgresql_where=_FAILED),
        Index("ix_runs_failed_of_schedule", "schedule_id", "status", "id", postgresql_where=_FAILED),
        Index("ix_runs_going", "tenant_id", "status", "id", postgresql_where="finished_at IS NULL"),
        Index("ix_runs_started_by", "tenant_id", "started_by", "id", postgresql_where="started_by <> 'recurring'"),
        Index("ix_runs_schedule", "schedule_id", "id", postgresql_where="schedule_id IS NOT NULL"),
        Index("ix_runs_workflow", "workflow_id", "id"),
        # claim_runs and ready_by_lane
        Index("ix_runs_ready", "lane", "ready_at", "id", postgresql_where="status = 'queued' AND ready_at IS NOT NULL"),
        # admit_waiting: who waits for a slot, and how many slots are taken
        Index("ix_runs_queued", "workflow_id", "id", postgresql_where="status = 'queued' AND ready_at IS NULL"),
        Index("ix_runs_admitted", "workflow_id", postgresql_where="finished_at IS NULL AND ready_at IS NOT NULL"),
        # admit_calls: which calls wait for a slot of their install, and how many go on
        Index("ix_runs_calls_queued", "install_id", "id", postgresql_where=_CALL_WAITING),
        Index("ix_runs_calls_going", "tenant_id", "install_id", postgresql_where=_CALL_GOING),
        # runs of an install, newest first
        Index("ix_runs_install", "install_id", "id", postgresql_where="install_id IS NOT NULL"),
        # whether a version may be deleted
        Index("ix_runs_extension_version", "extension_version_id", postgresql_where="extension_version_id IS NOT NULL"),
        # overlap: unfinished runs of a schedule
        Index("ix_runs_unfinished", "schedule_id", postgresql_where="finished_at IS NULL AND schedule_id IS NOT NULL"),
        # child runs of a run; end_orphans
        Index("ix_runs_parent", "parent_run_id", "id", postgresql_where="parent_run_id IS NOT NULL"),
        Index(
            "ix_runs_children", "parent_run_id", postgresql_where="finished_at IS NULL AND parent_run_id IS NOT NULL"
        ),
        # admit_waiting and the page of a backfill; admit_waiting: the runs of backfills that wait for a slot
        Index("ix_runs_backfill", "backfill_id", "id", postgresql_where="backfill_id IS NOT NULL"),
        Index("ix_runs_backfill_queued", "workflow_id", "id", postgresql_where=_WAITING_OF_BACKFILL),
        # runs_page of rehearsals
        Index("ix_runs_rehearsals", "tenant_id", "id", postgresql_where="is_rehearsal"),
        # failing workflows, and what is kept of finished runs
        Index("ix_runs_finished", "workflow_id", "finished_at", postgresql_where="finished_at IS NOT NULL"),
        # reap_lost
        Index("ix_runs_running", "claimed_by", postgresql_where="status = 'running'"),
        CheckConstraint("status IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'canceled')", name="status"),
        CheckConstraint("(status IN ('succeeded', 'failed', 'canceled')) = (finished_at IS NOT NULL)", name="finished"),
        CheckConstraint("status <> 'running' OR (claimed_by IS NOT NULL AND ready_at IS NOT NULL)", name="running"),
        CheckConstraint("lane IN ('pure', 'effect', 'call')", name="lane"),
        CheckConstraint(
            "(target_kind = 'workflow' AND workflow_id IS NOT NULL AND workflow_version IS NOT NULL"
            " AND install_id IS NULL AND extension_version_id IS NULL AND endpoint_id IS NULL)"
            " OR (target_kind = 'endpoint' AND workflow_id IS NULL AND workflow_version IS NULL"
            " AND install_id IS NOT NULL AND extension_version_id IS NOT NULL AND endpoint_id IS NOT NULL)",
            name="target",
        ),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID]
    target_kind: Mapped[str] = mapped_column(default="workflow", server_default="workflow")
    workflow_id: Mapped[UUID | None]
    workflow_version: Mapped[int | None]
    install_id: Mapped[UUID | None]
    extension_version_id: Mapped[UUID | None] = mapped_column(ForeignKey("extension_versions.id"))
    endpoint_id: Mapped[UUID | None]
    schedule_id: Mapped[UUID | None]
    started_by: Mapped[str]
    actor_id: Mapped[UUID | None]
    trigger_metadata: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    input_json: Mapped[Any] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(default=QUEUED, server_default=QUEUED)
    lane: Mapped[str]
    ready_at: Mapped[datetime | None]
    claim_epoch: Mapped[int] = mapped_column(default=0, server_default="0")
    claimed_by: Mapped[UUID | None]
    deadline_at: Mapped[datetime | None]
    losses: Mapped[int] = mapped_column(default=0, server_default="0")
    cancel_requested_at: Mapped[datetime | None]
    cancel_reason: Mapped[str | None]
    state: Mapped[str | None]
    output: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    error: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    parent_run_id: Mapped[UUID | None]
    backfill_id: Mapped[UUID | None]
    is_rehearsal: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
