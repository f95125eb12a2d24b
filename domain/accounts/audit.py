"""Who changed what, and who tried to: one append-only table with one writer, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, db
from domain.kernel.ids import new_id, new_ids
from domain.kernel.log import current_number
from domain.kernel.secret_values import shown

CHANGED, REFUSED = "changed", "refused"
SUBJECTS = (
    "schedule",
    "workflow",
    "extension",
    "extension_version",
    "install",
    "payload_schema",
    "run",
    "event",
    "event_type",
    "task",
    "secret",
    "user",
    "api_token",
    "tenant",
)
PAGE_SIZE = 50


@dataclass(frozen=True)
class Actor:
    """Who is behind a command: a person, a token of theirs, or the system itself (`user_id` None)."""

    tenant_id: UUID
    user_id: UUID | None = None
    label: str = "Carillon"
    request_id: str | None = None


class AuditEntry(Base):
    """`request_id`: the number that the log lines of the same work carry: of a request, a command or a job of the system;
    for what a run did, the id of the run.

    `tenant_id` and `actor_id` are None for a failed sign-in of an unknown person."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        CheckConstraint("result IN ('changed', 'refused')", name="result"),
        # audit_page: newest first, by tenant or by subject
        Index("ix_audit_entries_page", "tenant_id", "id"),
        Index("ix_audit_entries_subject", "tenant_id", "subject_id", "id"),
        # search_audit by action, and actions_on_record
        Index("ix_audit_entries_action", "tenant_id", "action", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    actor_label: Mapped[str]
    action: Mapped[str]
    result: Mapped[str] = mapped_column(default=CHANGED)
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID | None]
    subject_label: Mapped[str | None]
    before: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    reason: Mapped[str | None]
    request_id: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


def record_change(
    actor: Actor,
    action: str,
    subject: Any,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Write the row of a change. `action` is `noun.verb`; `before` and `after` hold only what differs, JSON values.

    What is sealed in them is left out, so a replaced secret reads the same before and after.
    """
    _write(actor, action, CHANGED, _kind(subject), subject.id, _label(subject), before, after, reason)


def change_rows(
    actor: Actor, action: str, model: type[Base], changed: Sequence[tuple[UUID, str, Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """The rows of one change to subjects of a kind, for whoever writes them with their subjects: each by its id, with its
    name and what it is now."""
    common = {
        "tenant_id": actor.tenant_id,
        "actor_id": actor.user_id,
        "actor_label": actor.label,
        "action": action,
        "result": CHANGED,
        "subject_kind": _kind(model),
        "request_id": actor.request_id or current_number(),
    }
    return [
        {"id": entry_id, **common, "subject_id": subject_id, "subject_label": label, "after": shown(after)}
        for entry_id, (subject_id, label, after) in zip(new_ids(len(changed)), changed, strict=True)
    ]


def record_refusal(actor: Actor, action: str, subject_kind: str, subject_id: UUID | None, reason: str) -> None:
    """Write the row of an attempt that was turned down."""
    _write(actor, action, REFUSED, subject_kind, subject_id, None, None, None, reason)


def record_operation(action: str, subject: Any, *, after: Mapping[str, Any] | None = None) -> None:
    """Write the row of a change for the whole installation, which its operator made on the command line."""
    db.session.add(
        AuditEntry(
            actor_label="Command line",
            action=action,
            subject_kind=_kind(subject),
            subject_id=subject.id,
            subject_label=_label(subject),
            after=shown(after),
            request_id=current_number(),
        )
    )


def record_stranger(
    tenant_id: UUID | None, action: str, subject: Any | None, reason: str, request_id: str | None
) -> None:
    """Write the row of an attempt by someone who did not prove who they are, on what may be somebody's account."""
    db.session.add(
        AuditEntry(
            tenant_id=tenant_id,
            actor_label="Somebody not signed in",
            action=action,
            result=REFUSED,
            subject_kind="user",
            subject_id=subject.id if subject else None,
            subject_label=_label(subject) if subject else None,
            reason=reason,
            request_id=request_id,
        )
    )


def audit_page(
    tenant_id: UUID,
    *,
    subject_id: UUID | None = None,
    before: UUID | None = None,
    limit: int = PAGE_SIZE,
) -> tuple[list[AuditEntry], bool]:
    """The newest entries of the tenant older than the entry `before`, and whether there are more.

    `domain.accounts.audit_search` looks for more than what is about one subject.
    """
    entries = select(AuditEntry).where(AuditEntry.tenant_id == tenant_id)
    if subject_id is not None:
        entries = entries.where(AuditEntry.subject_id == subject_id)
    if before is not None:
        entries = entries.where(AuditEntry.id < before)
    found = list(db.session.scalars(entries.order_by(AuditEntry.id.desc()).limit(limit + 1)))
    return found[:limit], len(found) > limit


def _write(
    actor: Actor,
    action: str,
    result: str,
    kind: str,
    subject_id: UUID | None,
    label: str | None,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    reason: str | None,
) -> None:
    db.session.add(
        AuditEntry(
            tenant_id=actor.tenant_id,
            actor_id=actor.user_id,
            actor_label=actor.label,
            action=action,
            result=result,
            subject_kind=kind,
            subject_id=subject_id,
            subject_label=label,
            before=shown(before),
            after=shown(after),
            reason=reason,
            request_id=actor.request_id or current_number(),
        )
    )


def _kind(subject: Any) -> str:
    return str(subject.__tablename__).removesuffix("s")


def _label(subject: Any) -> str | None:
    return next((value for part in ("email", "name", "ref") if (value := getattr(subject, part, None))), None)
