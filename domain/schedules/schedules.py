"""A schedule: a tenant's standing intent. When (timing), what (target), and with which payload.

A schedule is its own registration: no second copy of its timing exists anywhere. Its hot half is the cursor
(`domain.schedules.cursors`); what became of each instant is in the ledger (`domain.schedules.occurrences`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified
from domain.kernel.errors import Problem, Refused
from domain.timing.decisions import CatchUp, Overlap, Policy
from domain.timing.timing import Timing

ACTIVE, PAUSED, INVALID, COMPLETED = "active", "paused", "invalid", "completed"
WORKFLOW, ENDPOINT = "workflow", "endpoint"

# From → what it may become. Deleting is `deleted_at`, from any of them.
TRANSITIONS: dict[str, frozenset[str]] = {
    ACTIVE: frozenset({PAUSED, INVALID, COMPLETED}),
    # Completed when a pause that ends by itself covered the last of its instants.
    PAUSED: frozenset({ACTIVE, INVALID, COMPLETED}),
    INVALID: frozenset({PAUSED, ACTIVE}),
    COMPLETED: frozenset({ACTIVE, PAUSED, INVALID}),
}


class Schedule(Identified, Owned, Base):
    """`run_at` only for one-time schedules, `cron` only for recurring ones; `timezone` for both.

    The target is a version of a workflow, or (`target_kind` endpoint) an endpoint of an install, called at most
    `max_attempts` times per run. `is_named`: somebody chose the name; else it says what is called, `POST /api/sync`.

    `paused_until`: when a pause ends by itself. `skip_next_at`: the one instant to come that is to be skipped.
    """

    __tablename__ = "schedules"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id", "workflow_id"], ["workflows.tenant_id", "workflows.id"]),
        ForeignKeyConstraint(
            ["tenant_id", "workflow_id", "workflow_version"],
            ["workflow_versions.tenant_id", "workflow_versions.workflow_id", "workflow_versions.version"],
        ),
        Index(
            "uq_schedules_name", "tenant_id", "workflow_id", "name", unique=True, postgresql_where="deleted_at IS NULL"
        ),
        ForeignKeyConstraint(["tenant_id", "install_id"], ["installs.tenant_id", "installs.id"]),
        # One of an install may go without a name of its own; then its name says what it calls.
        Index(
            "uq_schedules_install_name",
            "install_id",
            "name",
            unique=True,
            postgresql_where="deleted_at IS NULL AND install_id IS NOT NULL AND is_named",
        ),
        # Upgrading, disabling and removing an install; how many it has
        Index("ix_schedules_install", "install_id", "id", postgresql_where="install_id IS NOT NULL"),
        Index(
            "uq_schedules_external_key",
            "tenant_id",
            "external_key",
            unique=True,
            postgresql_where="deleted_at IS NULL AND external_key IS NOT NULL",
        ),
        # schedules_of_workflow: publishing, pausing and deleting a workflow
        Index("ix_schedules_workflow", "workflow_id", postgresql_where="deleted_at IS NULL"),
        # schedules_page: by status, by name, and the last changed first
        # (a search reads nothing but the index by name: with the name itself, because an expression alone does not count)
        Index(
            "ix_schedules_status",
            "tenant_id",
            "status",
            "id",
            postgresql_include=["trigger_type"],
            postgresql_where="deleted_at IS NULL",
        ),
        Index(
            "ix_schedules_name",
            "tenant_id",
            func.lower(text("name")),
            "id",
            postgresql_include=["name", "workflow_id", "install_id", "endpoint_id", "status", "trigger_type"],
            postgresql_where="deleted_at IS NULL",
        ),
        Index(
            "ix_schedules_updated", "tenant_id", text("updated_at DESC"), "id", postgresql_where="deleted_at IS NULL"
        ),
        # Exactly one target. Only what cannot fire may have no version: its workflow has never been published.
        CheckConstraint(
            "(target_kind = 'workflow' AND workflow_id IS NOT NULL AND install_id IS NULL AND endpoint_id IS NULL"
            " AND (workflow_version IS NOT NULL OR status IN ('invalid', 'completed')))"
            " OR (target_kind = 'endpoint' AND install_id IS NOT NULL AND endpoint_id IS NOT NULL"
            " AND workflow_id IS NULL AND workflow_version IS NULL)",
            name="target",
        ),
        CheckConstraint("is_named OR target_kind = 'endpoint'", name="named"),
        CheckConstraint("max_attempts BETWEEN 1 AND 10", name="max_attempts"),
        CheckConstraint(
            "(trigger_type = 'schedule' AND run_at IS NOT NULL AND cron IS NULL)"
            " OR (trigger_type = 'recurring' AND run_at IS NULL AND cron IS NOT NULL)",
            name="timing",
        ),
        CheckConstraint("run_at = date_trunc('second', run_at)", name="run_at_whole_seconds"),
        CheckConstraint("status IN ('active', 'paused', 'invalid', 'completed')", name="status"),
        CheckConstraint("(status = 'paused') = (paused_at IS NOT NULL)", name="paused"),
        CheckConstraint("paused_at IS NOT NULL OR (paused_by IS NULL AND pause_reason IS NULL)", name="pause_reason"),
        CheckConstraint("paused_at IS NOT NULL OR paused_until IS NULL", name="paused_until"),
        CheckConstraint("skip_next_at IS NOT NULL OR skip_next_by IS NULL", name="skip_next"),
        CheckConstraint("(status = 'invalid') = (invalid_reason IS NOT NULL)", name="invalid_reason"),
        CheckConstraint("overlap IN ('queue', 'skip', 'allow')", name="overlap"),
        CheckConstraint("catch_up IN ('latest', 'all', 'skip')", name="catch_up"),
        CheckConstraint("dst_gap IN ('after', 'skip')", name="dst_gap"),
        CheckConstraint("dst_repeat IN ('first', 'both')", name="dst_repeat"),
        CheckConstraint("starts_at IS NULL OR ends_at IS NULL OR starts_at < ends_at", name="window"),
        CheckConstraint("max_lateness_seconds > 0", name="max_lateness_seconds"),
        CheckConstraint("spread_seconds >= 0", name="spread_seconds"),
    )

    name: Mapped[str]
    is_named: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    target_kind: Mapped[str] = mapped_column(default="workflow", server_default="workflow")
    workflow_id: Mapped[UUID | None]
    workflow_version: Mapped[int | None]
    install_id: Mapped[UUID | None]
    endpoint_id: Mapped[UUID | None] = mapped_column(ForeignKey("extension_endpoints.id"))
    max_attempts: Mapped[int] = mapped_column(default=3, server_default="3")
    trigger_type: Mapped[str]
    run_at: Mapped[datetime | None]
    cron: Mapped[str | None]
    timezone: Mapped[str]
    payload_json: Mapped[Any] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(default=ACTIVE)
    invalid_reason: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    pause_reason: Mapped[str | None]
    paused_until: Mapped[datetime | None]
    skip_next_at: Mapped[datetime | None]
    skip_next_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    overlap: Mapped[Overlap] = mapped_column(String, default="queue", server_default="queue")
    catch_up: Mapped[CatchUp] = mapped_column(String, default="latest", server_default="latest")
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    max_lateness_seconds: Mapped[int | None]
    spread_seconds: Mapped[int] = mapped_column(default=0, server_default="0")
    dst_gap: Mapped[str] = mapped_column(default="after", server_default="after")
    dst_repeat: Mapped[str] = mapped_column(default="first", server_default="first")
    external_key: Mapped[str | None]
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    deleted_at: Mapped[datetime | None]

    @property
    def timing(self) -> Timing:
        return timing_of(self)

    @property
    def policy(self) -> Policy:
        return Policy(self.overlap, self.catch_up, self.max_lateness_seconds)

    @property
    def enabled(self) -> bool:
        return self.status == ACTIVE


def timing_of(row: Any) -> Timing:
    """The timing of anything that has a schedule's timing columns."""
    if row.trigger_type == "schedule":
        return Timing.once(row.run_at, row.timezone)
    return Timing.recurring(
        row.cron,
        row.timezone,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        dst_gap=row.dst_gap,
        dst_repeat=row.dst_repeat,
    )


@contextmanager
def named_apart(name: str, external_key: str | None) -> Iterator[None]:
    """Turn the database's unique keys into problems at their fields (Refused), for a schedule that is written inside.

    A refusal leaves the transaction unusable: it is the edge's to roll back.
    """
    try:
        yield
    except IntegrityError as error:
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", "") or ""
        if constraint == "uq_schedules_name":
            raise Refused([name_taken(name)]) from error
        if constraint == "uq_schedules_install_name":
            message = f"This extension has a schedule named {name} already. Choose another name."
            raise Refused.at("name", message, "NAME_TAKEN") from error
        if constraint == "uq_schedules_external_key":
            message = f"Another schedule has the external key {external_key}."
            raise Refused.at("externalKey", message, "EXTERNAL_KEY_TAKEN") from error
        raise


def name_taken(name: str) -> Problem:
    """Why a workflow gets no second schedule of a name."""
    return Problem("name", f"This workflow has a schedule named {name} already. Choose another name.", "NAME_TAKEN")


def snapshot(schedule: Any) -> dict[str, Any]:
    """What an audit row says of a schedule, or of anything that has its columns: JSON values in the words of the API."""
    return {
        "name": schedule.name,
        **_target(schedule),
        "triggerType": schedule.trigger_type,
        "runAt": _iso(schedule.run_at),
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "payload": schedule.payload_json,
        "status": schedule.status,
        "pausedUntil": _iso(schedule.paused_until),
        "skipNextAt": _iso(schedule.skip_next_at),
        "overlap": schedule.overlap,
        "catchUp": schedule.catch_up,
        "startsAt": _iso(schedule.starts_at),
        "endsAt": _iso(schedule.ends_at),
        "maxLatenessSeconds": schedule.max_lateness_seconds,
        "spreadSeconds": schedule.spread_seconds,
        "dstGap": schedule.dst_gap,
        "dstRepeat": schedule.dst_repeat,
        "externalKey": schedule.external_key,
    }


def _target(schedule: Any) -> dict[str, Any]:
    if schedule.target_kind == WORKFLOW:
        return {"workflowId": str(schedule.workflow_id), "workflowVersion": schedule.workflow_version}
    return {
        "isNamed": schedule.is_named,
        "installId": str(schedule.install_id),
        "endpointId": str(schedule.endpoint_id),
        "maxAttempts": schedule.max_attempts,
    }


def _iso(instant: datetime | None) -> str | None:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ") if instant else None
