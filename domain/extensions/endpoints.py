"""Endpoints: method and path as a version's manifest declares them, one row each, with an id that stays."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from domain.extensions.extensions import ExtensionVersion
from domain.extensions.manifests import DeclaredEndpoint, readable_endpoints
from domain.extensions.paths import obstacle, parse_method, parse_path
from domain.kernel.db import Base, Identified, db, transaction
from domain.kernel.errors import Refused
from domain.kernel.ids import new_id


class ExtensionEndpoint(Identified, Base):
    """`method` in capitals, `path` with one slash in front and none doubled. `request_schema`: of the body, if declared."""

    __tablename__ = "extension_endpoints"
    __table_args__ = (UniqueConstraint("version_id", "method", "path"),)

    version_id: Mapped[UUID] = mapped_column(ForeignKey("extension_versions.id"))
    method: Mapped[str]
    path: Mapped[str]
    handler: Mapped[str]
    request_schema: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))

    @property
    def called(self) -> str:
        """Method and path as people read them: `POST /api/sync`."""
        return f"{self.method} {self.path}"


_CALLED = select(ExtensionEndpoint).where(
    ExtensionEndpoint.version_id == bindparam("version_id"),
    ExtensionEndpoint.method == bindparam("method"),
    ExtensionEndpoint.path == bindparam("path"),
)


def endpoints_of(version_id: UUID) -> list[ExtensionEndpoint]:
    """The endpoints of a version by path and method; made now, and kept, when nobody asked for them before."""
    filled = select(ExtensionVersion.endpoints_at).where(ExtensionVersion.id == version_id)
    if db.session.scalar(filled) is None:
        # Asking is reading, also for whoever opened no unit of work; what they are told must still be there afterwards.
        with transaction():
            version = db.session.get(ExtensionVersion, version_id)
            if version is not None:
                materialise_endpoints(version)
    rows = select(ExtensionEndpoint).where(ExtensionEndpoint.version_id == version_id)
    return list(db.session.scalars(rows.order_by(ExtensionEndpoint.path, ExtensionEndpoint.method)))


def find_endpoint(version_id: UUID, method: str, path: str) -> ExtensionEndpoint | None:
    """The endpoint of a version with this method and path, however they are written; None when it declares none."""
    try:
        called = {"version_id": version_id, "method": parse_method(method), "path": parse_path(path)}
    except Refused:
        return None
    if found := db.session.scalar(_CALLED, called):
        return found
    # Nobody may have asked for them before.
    endpoints_of(version_id)
    return db.session.scalar(_CALLED, called)


def endpoint_obstacle(endpoint: ExtensionEndpoint) -> str | None:
    """Why this endpoint cannot be scheduled, in a sentence; None when it can."""
    return obstacle(endpoint.method, endpoint.path)


def materialise_endpoints(version: ExtensionVersion) -> None:
    """Make the rows of the endpoints that a version's manifest declares. Doing it again keeps rows and ids as they are."""
    declared = readable_endpoints(version.manifest)
    if declared:
        rows = insert(ExtensionEndpoint).values([_row(version.id, one) for one in declared])
        db.session.execute(rows.on_conflict_do_nothing(index_elements=["version_id", "method", "path"]))
    unmarked = update(ExtensionVersion).where(
        ExtensionVersion.id == version.id, ExtensionVersion.endpoints_at.is_(None)
    )
    db.session.execute(
        unmarked.values(endpoints_at=func.clock_timestamp()).execution_options(synchronize_session=False)
    )
    db.session.expire(version, ["endpoints_at"])


def fill_endpoints(limit: int = 100) -> int:
    """Make the rows of versions that have none yet, of at most `limit` of them; how many those were."""
    unfilled = select(ExtensionVersion).where(ExtensionVersion.endpoints_at.is_(None)).order_by(ExtensionVersion.id)
    versions = db.session.scalars(unfilled.limit(limit)).all()
    for version in versions:
        materialise_endpoints(version)
    return len(versions)


def _row(version_id: UUID, declared: DeclaredEndpoint) -> dict[str, Any]:
    return {
        "id": new_id(),
        "version_id": version_id,
        "method": declared.method,
        "path": declared.path,
        "handler": declared.handler,
        "request_schema": declared.request_schema,
    }
