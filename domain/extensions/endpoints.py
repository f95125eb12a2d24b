"""Endpoints: method and path as a version's manifest declares them, one row each, with an id that stays."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, Identified


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
