"""What an endpoint run calls: the endpoint, of which version of which extension, installed or not any more."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.runs.runs import Run

# The same for whoever claims a run as `r`, with how often it is tried: as its schedule says now, else as whoever started it
# said. NULL for a run of a workflow.
CALLED = """
    CASE WHEN r.install_id IS NOT NULL THEN (
        SELECT jsonb_build_object('extension', i.extension_id, 'method', e.method, 'path', e.path, 'attempts', coalesce(
            (SELECT to_jsonb(s.max_attempts) FROM schedules s WHERE s.id = r.schedule_id),
            r.trigger_metadata -> 'maxAttempts'))
        FROM extension_endpoints e, installs i WHERE e.id = r.endpoint_id AND i.id = r.install_id
    ) END
"""


@dataclass(frozen=True)
class Called:
    """`version`: that which was installed when the run was asked for. `is_installed`: whether the install is still there."""

    install_id: UUID
    extension_id: UUID
    extension_name: str
    version: str
    content_hash: str
    method: str
    path: str
    is_installed: bool

    @property
    def name(self) -> str:
        """Method and path as people read them: `POST /api/sync`."""
        return f"{self.method} {self.path}"


def called_by(run: Run) -> Called | None:
    """What a run calls; None for one of a workflow. One statement."""
    if run.install_id is None:
        return None
    query = (
        select(
            Install.id,
            Extension.id,
            Extension.name,
            ExtensionVersion.version,
            ExtensionVersion.content_hash,
            ExtensionEndpoint.method,
            ExtensionEndpoint.path,
            Install.deleted_at.is_(None),
        )
        .join(Extension, Extension.id == Install.extension_id)
        .join(ExtensionVersion, ExtensionVersion.id == run.extension_version_id)
        .join(ExtensionEndpoint, ExtensionEndpoint.id == run.endpoint_id)
        .where(Install.tenant_id == run.tenant_id, Install.id == run.install_id)
    )
    return Called(*db.session.execute(query).one())
