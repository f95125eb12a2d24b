"""What waits for people: the inbox of tasks, one task with where it comes from, and the counts in the top bar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Uuid, bindparam, func, select

from domain.accounts.notifications import Notification
from domain.accounts.users import User
from domain.kernel.db import db
from domain.kernel.errors import NotFound
from domain.runs.runs import Run
from domain.runs.tasks import OPEN, HumanTask
from domain.workflows.workflows import Workflow

PAGE_SIZE = 50
TYPES_LOOKED_AT = 500
COUNTED = 100
"""Where counts stop; what is beyond is shown as `99+`."""


@dataclass(frozen=True)
class TaskFilters:
    """`status`: one of `tasks.STATUSES`, or empty for any; `task_type`: exactly that type, or empty."""

    status: str = ""
    task_type: str = ""


@dataclass(frozen=True)
class TaskRow:
    """One line of the inbox. `asked_at`: when the run began to wait; `answered_by`: a name."""

    id: UUID
    status: str
    title: str
    task_type: str
    run_id: UUID
    workflow_id: UUID
    workflow_name: str
    asked_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    answered_by: str | None


@dataclass(frozen=True)
class TaskView:
    """A task and what asks: the run, its workflow, and who answered."""

    task: HumanTask
    run: Run
    workflow: Workflow
    answered_by: str | None

    @property
    def is_open(self) -> bool:
        return self.task.status == OPEN


@dataclass(frozen=True)
class Attention:
    """What asks for a person's attention in a tenant, each counted up to `COUNTED`."""

    open_tasks: int
    unread: int


def inbox_page(
    tenant_id: UUID, filters: TaskFilters | None = None, before: UUID | None = None, limit: int = PAGE_SIZE
) -> list[TaskRow]:
    """The tenant's tasks, newest first, at most `limit`, older than the task `before`. One statement."""
    chosen = filters or TaskFilters()
    query = _joined(
        HumanTask.id,
        HumanTask.status,
        HumanTask.title,
        HumanTask.task_type,
        HumanTask.run_id,
        Workflow.id,
        Workflow.name,
        HumanTask.created_at,
        HumanTask.due_at,
        HumanTask.closed_at,
        User.name,
    ).where(HumanTask.tenant_id == tenant_id)
    if chosen.status:
        query = query.where(HumanTask.status == chosen.status)
    if chosen.task_type:
        query = query.where(HumanTask.task_type == chosen.task_type)
    if before is not None:
        query = query.where(HumanTask.id < before)
    return [TaskRow(*row) for row in db.session.execute(query.order_by(HumanTask.id.desc()).limit(limit))]


def task_view(tenant_id: UUID, task_id: UUID) -> TaskView:
    """One task of the tenant with where it comes from; raises NotFound. One statement."""
    query = _joined(HumanTask, Run, Workflow, User.name)
    found = db.session.execute(
        query.where(HumanTask.tenant_id == tenant_id, HumanTask.id == task_id).execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotFound
    return TaskView(*found)


def task_types(tenant_id: UUID) -> list[str]:
    """The types of the latest tasks, by name: what the inbox can be narrowed to."""
    latest = select(HumanTask.task_type).where(HumanTask.tenant_id == tenant_id)
    named = latest.order_by(HumanTask.id.desc()).limit(TYPES_LOOKED_AT).subquery()
    return list(db.session.scalars(select(named.c.task_type).distinct().order_by(named.c.task_type)))


def attention_of(tenant_id: UUID, user_id: UUID) -> Attention:
    """What waits for the person in the tenant. One statement on two partial indexes, whatever there is."""
    return Attention(*db.session.execute(_ATTENTION, {"tenant_id": tenant_id, "user_id": user_id}).one())


def _joined(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(HumanTask)
        .join(Run, Run.id == HumanTask.run_id)
        .join(Workflow, Workflow.id == Run.workflow_id)
        .outerjoin(User, User.id == HumanTask.answered_by)
    )


def _counted(ids: Select[Any]) -> Any:
    return select(func.count()).select_from(ids.limit(COUNTED).subquery()).scalar_subquery()


def _attention() -> Any:
    tenant_id, user_id = bindparam("tenant_id", type_=Uuid), bindparam("user_id", type_=Uuid)
    tasks = select(HumanTask.id).where(HumanTask.tenant_id == tenant_id, HumanTask.status == OPEN)
    unread = select(Notification.id).where(
        Notification.tenant_id == tenant_id, Notification.user_id == user_id, Notification.read_at.is_(None)
    )
    return select(_counted(tasks), _counted(unread))


# Asked by every page, so it is put together once.
_ATTENTION = _attention()
