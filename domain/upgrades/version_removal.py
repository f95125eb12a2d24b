"""Taking back a version of an extension: only one that nothing refers to, so that no history loses what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, select

from domain.accounts.audit import Actor, record_change, record_operation
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension, ExtensionVersion, extension_of, version_of_extension
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.errors import Forbidden, Held, NotFound
from domain.runs.invocations import Invocation
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule

NAMED = 3


@dataclass(frozen=True)
class DeletedVersion:
    """`was_last`: no version of its extension is left, so that nobody sees that one any more."""

    name: str
    version: str
    was_last: bool


def delete_version(actor: Actor | None, tenant_id: UUID | None, extension_id: UUID, version_id: UUID) -> DeletedVersion:
    """Delete a version with the rows of its endpoints. Nothing else goes with it.

    Without a tenant it is one of the whole installation, which only its operator deletes (`actor` None). Raises NotFound,
    Forbidden, Held with VERSION_IN_USE that says what refers to it.
    """
    extension = own_extension(tenant_id, extension_id)
    version = version_of_extension(extension.id, version_id, lock="delete")
    if references := references_to(version):
        message = f"{extension.name} {version.version} cannot be deleted: {'; '.join(references)}."
        raise Held(message, code="VERSION_IN_USE")
    db.session.execute(delete(ExtensionEndpoint).where(ExtensionEndpoint.version_id == version.id))
    number = version.version
    _record(actor, extension, {"version": number, "contentHash": version.content_hash})
    db.session.delete(version)
    db.session.flush()
    is_left = select(exists().where(ExtensionVersion.extension_id == extension.id))
    return DeletedVersion(extension.name, number, not db.session.scalar(is_left))


def own_extension(tenant_id: UUID | None, extension_id: UUID) -> Extension:
    """An extension that the tenant itself published; without a tenant, one of the whole installation.

    Raises NotFound, Forbidden.
    """
    if tenant_id is None:
        extension = db.session.get(Extension, extension_id)
        if extension is None:
            raise NotFound
    else:
        extension = extension_of(tenant_id, extension_id)
    if extension.tenant_id != tenant_id:
        raise Forbidden("This version is for the whole installation. Only who operates that can delete it.")
    return extension


def references_to(version: ExtensionVersion) -> list[str]:
    """What keeps a version: each kind of thing that refers to it, in words."""
    at_it = (Install.extension_id == version.extension_id) & (Install.version_id == version.id)
    installs = select(Install.id).where(Install.extension_id == version.extension_id)
    checks: list[tuple[Any, str]] = [
        (at_it & Install.deleted_at.is_(None), "it is installed"),
        (at_it & Install.deleted_at.is_not(None), "it was installed when the extension was removed"),
        (Run.extension_version_id == version.id, "runs of it are on record"),
        (Invocation.install_id.in_(installs) & (Invocation.version_id == version.id), "calls of it are on record"),
    ]
    found = [words for condition, words in checks if db.session.scalar(select(exists().where(condition)))]
    return found + _schedules_words(version)


def _schedules_words(version: ExtensionVersion) -> list[str]:
    """Deleted schedules count: their history says which endpoint they called."""
    endpoints = select(ExtensionEndpoint.id).where(ExtensionEndpoint.version_id == version.id)
    installs = select(Install.id).where(Install.extension_id == version.extension_id)
    query = select(Schedule.name).where(Schedule.install_id.in_(installs), Schedule.endpoint_id.in_(endpoints))
    names = list(db.session.scalars(query.order_by(Schedule.id).limit(NAMED + 1)))
    if not names:
        return []
    more = " and others" if len(names) > NAMED else ""
    return [f"schedules call its endpoints ({', '.join(names[:NAMED])}{more})"]


def _record(actor: Actor | None, extension: Extension, before: dict[str, Any]) -> None:
    if actor is None:
        record_operation("extension.version_deleted", extension, after={"deleted": before})
    else:
        record_change(actor, "extension.version_deleted", extension, before=before)
