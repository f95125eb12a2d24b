"""Writes schedules of a tenant into a file. Reading them is all it does: who exports changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, and_, any_, literal, or_, select

from domain.accounts.tenants import owned
from domain.bundles.reading import MAX_BYTES
from domain.bundles.schedule_documents import Document, stored_document, written_bundle
from domain.bundles.schedule_schema import MAX_SCHEDULES
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.errors import Conflict, NotFound, Refused
from domain.schedules.schedules import COMPLETED, ENDPOINT, WORKFLOW, Schedule
from domain.workflows.workflows import Workflow

KINDS = frozenset({WORKFLOW, ENDPOINT})
_DERIVED = "schedule-"


@dataclass(frozen=True)
class StoredSchedule:
    """A living schedule as a bundle has it, and what of it no bundle has."""

    id: UUID
    revision: int
    status: str
    endpoint_id: UUID | None
    has_key: bool
    document: Document

    @property
    def key(self) -> str:
        return str(self.document["externalKey"])


def export_schedules(
    tenant_id: UUID, schedule_ids: Collection[UUID] | None = None, kinds: Collection[str] = KINDS
) -> bytes:
    """The file with these living schedules, of these kinds of targets; without ids with all that have not completed.

    One without an external key is written with the key that follows from its id. Raises NotFound when one of the ids is
    none of them, Refused with TOO_MANY_SCHEDULES or BUNDLE_TOO_LARGE, Conflict when two would have one key.
    """
    asked = owned(tenant_id, Schedule).where(Schedule.target_kind.in_(kinds))
    if schedule_ids is None:
        asked = asked.where(Schedule.status != COMPLETED)
    else:
        asked = asked.where(Schedule.id.in_(schedule_ids))
    found = _stored(asked.limit(MAX_SCHEDULES + 1))
    if schedule_ids is not None and len(found) < min(len(set(schedule_ids)), MAX_SCHEDULES + 1):
        raise NotFound
    if len(found) > MAX_SCHEDULES:
        message = f"One file holds {MAX_SCHEDULES:,} schedules at most. Choose fewer, and export the others after."
        raise Refused.at("", message, "TOO_MANY_SCHEDULES")
    _check_keys(found)
    written = written_bundle(one.document for one in found)
    if len(written) > MAX_BYTES:
        message = f"These schedules need more than {MAX_BYTES:,} bytes, the most that one file holds. Choose fewer."
        raise Refused.at("", message, "BUNDLE_TOO_LARGE")
    return written


def schedules_by_key(tenant_id: UUID, keys: Collection[str]) -> dict[str, StoredSchedule]:
    """The living schedules that have these external keys, or that an export gives them."""
    # Arrays: thousands of parameters cost more than the query.
    ids = literal([derived for key in keys if (derived := derived_id(key))], ARRAY(Uuid))
    is_derived = and_(Schedule.id == any_(ids), Schedule.external_key.is_(None))
    has_key = Schedule.external_key == any_(literal(list(keys), ARRAY(Text)))
    found = _stored(owned(tenant_id, Schedule).where(or_(has_key, is_derived)))
    # A key that somebody chose goes before one that follows from an id.
    return {one.key: one for one in sorted(found, key=lambda one: one.has_key)}


def derived_key(schedule_id: UUID) -> str:
    """The external key of a schedule that was given none: it stays, whatever the schedule is renamed to."""
    return f"{_DERIVED}{schedule_id}"


def derived_id(key: str) -> UUID | None:
    """The id of the schedule whose derived key this is; None for any other key."""
    try:
        found = UUID(key.removeprefix(_DERIVED))
    except ValueError:
        return None
    return found if derived_key(found) == key else None


def _stored(schedules: Any) -> list[StoredSchedule]:
    wanted = schedules.with_only_columns(Schedule.id).order_by(Schedule.id).subquery("wanted")
    query = (
        select(
            Schedule,
            Workflow.key,
            Extension.publisher,
            Extension.name,
            ExtensionEndpoint.method,
            ExtensionEndpoint.path,
        )
        .join(wanted, wanted.c.id == Schedule.id)
        .outerjoin(Workflow, Workflow.id == Schedule.workflow_id)
        .outerjoin(Install, Install.id == Schedule.install_id)
        .outerjoin(Extension, Extension.id == Install.extension_id)
        .outerjoin(ExtensionEndpoint, ExtensionEndpoint.id == Schedule.endpoint_id)
        .order_by(Schedule.id)
    )
    return [_one_stored(schedule, *names) for schedule, *names in db.session.execute(query)]


def _one_stored(schedule: Schedule, workflow: str | None, *called: str) -> StoredSchedule:
    names = ("publisher", "extension", "method", "path")
    target = {"workflow": workflow} if workflow is not None else dict(zip(names, called, strict=True))
    key = schedule.external_key or derived_key(schedule.id)
    document = stored_document(schedule, key, target)
    has_key = schedule.external_key is not None
    return StoredSchedule(schedule.id, schedule.revision, schedule.status, schedule.endpoint_id, has_key, document)


def _check_keys(found: list[StoredSchedule]) -> None:
    chosen = {one.key for one in found if one.has_key}
    for one in found:
        if not one.has_key and one.key in chosen:
            message = (
                f"Another schedule has the external key {one.key}, which stands for this one. Give it another key."
            )
            raise Conflict(message, code="EXTERNAL_KEY_TAKEN")
