"""Which endpoints of an extension a schedule may call: what the picker offers."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from domain.extensions.endpoints import ExtensionEndpoint, endpoint_obstacle, endpoints_of
from domain.extensions.extensions import Extension, ExtensionVersion, extension_of, version_of_extension
from domain.extensions.installs import Install, living_install
from domain.kernel.db import db
from domain.kernel.errors import NotFound
from domain.schedules.targets import disabled_words


@dataclass(frozen=True)
class Offer:
    """An extension as a tenant has it. `install` and `version` are None while it is not installed.

    `endpoints`: those of the installed version that can be scheduled; `others`: how many of it cannot.
    """

    extension: Extension
    install: Install | None = None
    version: str | None = None
    endpoints: tuple[ExtensionEndpoint, ...] = ()
    others: int = 0

    @property
    def obstacle(self) -> str | None:
        """Why nothing of it can be scheduled, and what helps, in sentences."""
        if self.install is None:
            return f"{self.extension.name} is not installed. Install it, then its endpoints can be scheduled."
        if not self.install.enabled:
            return f"{disabled_words(self.extension.name, self.install.disable_reason)} Enable it first."
        if not self.endpoints and self.others:
            why = "Only GET and POST without a part to be filled in can be."
            return f"No endpoint of version {self.version} can be scheduled. {why}"
        return None if self.endpoints else f"Version {self.version} declares no endpoint, so there is nothing to call."

    def known(self, endpoint_id: UUID | None) -> ExtensionEndpoint | None:
        """An endpoint of any version of this extension."""
        offered = next((one for one in self.endpoints if one.id == endpoint_id), None)
        if offered is not None or endpoint_id is None:
            return offered
        return db.session.scalars(
            select(ExtensionEndpoint)
            .join(ExtensionVersion, ExtensionVersion.id == ExtensionEndpoint.version_id)
            .where(ExtensionVersion.extension_id == self.extension.id, ExtensionEndpoint.id == endpoint_id)
        ).one_or_none()

    def same_as(self, endpoint: ExtensionEndpoint | None) -> ExtensionEndpoint | None:
        """The offered endpoint with the method and the path of this one, which may be of another version."""
        if endpoint is None:
            return None
        return next((one for one in self.endpoints if one.called == endpoint.called), None)


def endpoint_offer(tenant_id: UUID, extension_id: UUID) -> Offer:
    """What the tenant can schedule of an extension; raises NotFound for one that it may not see."""
    extension = extension_of(tenant_id, extension_id)
    try:
        install = living_install(tenant_id, extension_id)
    except NotFound:
        return Offer(extension)
    declared = endpoints_of(install.version_id)
    ready = tuple(one for one in declared if endpoint_obstacle(one) is None)
    version = version_of_extension(extension_id, install.version_id).version
    return Offer(extension, install, version, ready, len(declared) - len(ready))
