"""A task: a question that a run puts to a person, and the answer that lets it go on."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.audit import Actor, record_change
from domain.accounts.notifications import INFO, members_with, notify
from domain.accounts.request_keys import answer_request, claim_request
from domain.accounts.tenants import Owned, load
from domain.accounts.users import User
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import StaleTransition
from domain.runs.waking import resolve_wait
from domain.workflows.payload_secrets import taken_payload

OPEN, ANSWERED, EXPIRED, CANCELED = "open", "answered", "expired", "canceled"
STATUSES = (OPEN, ANSWERED, EXPIRED, CANCELED)
TRANSITIONS: dict[str, frozenset[str]] = {
    OPEN: frozenset({ANSWERED, EXPIRED, CANCELED}),
    ANSWERED: frozenset(),
    EXPIRED: frozenset(),
    CANCELED: frozenset(),
}
ANSWER_PERMISSION = "workflow:manage"


class TaskClosed(StaleTransition):
    """This task is no longer open. Reload to see how it ended."""

    code = "TASK_CLOSED"


class HumanTask(Identified, Owned, Base):
    """`form_schema`: what the answer must look like, as it was when the task was created. `context`: shown beside it."""

    __tablename__ = "tasks"
    __table_args__ = (
        # tasks_page, newest first; the count of open ones
        Index("ix_tasks_page", "tenant_id", "id"),
        Index("ix_tasks_open", "tenant_id", "id", postgresql_where="status = 'open'"),
        Index("ix_tasks_run", "run_id"),
        CheckConstraint("status IN ('open', 'answered', 'expired', 'canceled')", name="status"),
        CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(status = 'answered') = (answer IS NOT NULL)", name="answered"),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    wait_id: Mapped[UUID] = mapped_column(ForeignKey("waits.id", ondelete="CASCADE"), unique=True)
    task_type: Mapped[str]
    title: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    context: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    form_schema: Mapped[Any] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(default=OPEN, server_default=OPEN)
    due_at: Mapped[datetime | None]
    answer: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    closed_at: Mapped[datetime | None]

    @property
    def name(self) -> str:
        """What the audit log calls it."""
        return self.title


def announce_task(task: HumanTask, now: datetime) -> None:
    """Tell everybody who may answer that there is something to answer; telling them again does nothing."""
    told = members_with(task.tenant_id, ANSWER_PERMISSION)
    notify(task.tenant_id, told, task.title, task.description, INFO, now, f"/tasks/{task.id}", f"task {task.id}")


def answer_task(actor: Actor, task_id: UUID, answer: Any, request_key: str, now: datetime) -> HumanTask:
    """Give a task its answer, and let its run go on; repeating the request changes nothing.

    What was typed into fields of the form that are marked `x-secret` is sealed. Raises NotFound; Refused at `answer…`
    (JSON pointers) when it does not fit the form; TaskClosed, which says how the task ended, when it is not open.
    """
    if claim_request(actor.tenant_id, request_key, "tasks.answer"):
        return load(actor.tenant_id, HumanTask, task_id)
    task = load(actor.tenant_id, HumanTask, task_id)
    if task.status != OPEN:
        raise TaskClosed(closing_words(task))
    given = taken_payload(task.tenant_id, task.form_schema, answer, path="answer")
    # The run is locked before the task: whoever ends a wait takes them in this order.
    if not resolve_wait(task.wait_id, _output(task, given, actor, now), now) or not _close(task, given, actor, now):
        db.session.refresh(task)
        raise TaskClosed(closing_words(task))
    answer_request(actor.tenant_id, request_key, str(task.id))
    record_change(actor, "task.answered", task, before={"status": OPEN}, after={"status": ANSWERED})
    return task


def closing_words(task: HumanTask) -> str:
    """How the task ended, and that nothing more can be answered."""
    if task.status == ANSWERED:
        person = db.session.get(User, task.answered_by) if task.answered_by else None
        return f"{person.name if person else 'Somebody'} has answered this already. The first answer counts."
    if task.status == EXPIRED:
        return "Nobody answered this in time: it has expired, and its run went on without an answer."
    if task.status == CANCELED:
        return "Its run was canceled, so nobody needs this answer any more."
    return "Its run does not wait for this answer any more. Open the run to see where it stands."


def _output(task: HumanTask, answer: Any, actor: Actor, now: datetime) -> dict[str, Any]:
    """What the step `human.task` gives."""
    answered_by = str(actor.user_id) if actor.user_id else None
    return {"taskId": str(task.id), "answer": answer, "answeredBy": answered_by, "answeredAt": now.isoformat()}


def _close(task: HumanTask, answer: Any, actor: Actor, now: datetime) -> bool:
    changed = (
        update(HumanTask)
        .where(HumanTask.id == task.id, HumanTask.status == OPEN)
        .values(status=ANSWERED, answer=answer, answered_by=actor.user_id, closed_at=now)
        .returning(HumanTask.id)
        .execution_options(synchronize_session=False)
    )
    closed = db.session.scalar(changed) is not None
    db.session.refresh(task)
    return closed
