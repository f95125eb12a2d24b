"""What the copy of a schedule begins with."""

from __future__ import annotations

from itertools import count
from typing import Any
from uuid import UUID

from domain.accounts.tenants import owned
from domain.kernel.db import db
from domain.kernel.names import MAX_CHARACTERS
from domain.schedules.schedules import Schedule
from domain.schedules.targets import Target

_SUFFIX_CHARACTERS = len(" (copy 1000)")


def copy_name(source: Schedule) -> str:
    """The name of the schedule with `(copy)` behind it, numbered while another of its workflow or extension has that name.
    Empty when it has none of its own."""
    if not source.is_named:
        return ""
    begin = source.name[: MAX_CHARACTERS - _SUFFIX_CHARACTERS].strip()
    is_beside = Schedule.workflow_id == source.workflow_id
    if source.install_id is not None:
        is_beside = Schedule.install_id == source.install_id
    alike = owned(source.tenant_id, Schedule).where(
        is_beside, Schedule.name.startswith(f"{begin} (copy", autoescape=True)
    )
    taken = set(db.session.scalars(alike.with_only_columns(Schedule.name)))
    names = (f"{begin} (copy{f' {number}' if number > 1 else ''})" for number in count(1))
    return next(name for name in names if name not in taken)


def payload_to_copy(target: Target, schedule_id: UUID | None) -> Any:
    """The stored payload, sealed values included, that kept marks in a copy stand for, which runs `target`.

    None when it is gone, and for a copy of another kind or extension: secrets stay with whom they were typed for.
    """
    if schedule_id is None:
        return None
    alike = owned(target.tenant_id, Schedule).where(
        Schedule.id == schedule_id, Schedule.install_id.is_not_distinct_from(target.columns["install_id"])
    )
    return db.session.scalars(alike.with_only_columns(Schedule.payload_json)).one_or_none()
