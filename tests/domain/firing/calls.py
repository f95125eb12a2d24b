"""An extension that a tenant has installed, and schedules that call its endpoints."""

from __future__ import annotations

from typing import Any

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
from domain.firing.lifecycle import create_schedule
from domain.kernel.db import db
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.schedules import Schedule
from tests.domain.firing.ledger import NOON
from tests.factories import an_endpoint, an_extension, an_extension_version, an_install

SYNC, HEALTH, DEVICE, REMOVE = "POST /api/sync", "GET /api/health", "GET /api/devices/:id", "DELETE /api/sync"
REGION = {
    "type": "object",
    "properties": {"region": {"enum": ["eu", "us"]}, "token": {"type": "string", "x-secret": True}},
    "required": ["region"],
}


class Installed:
    """`version` 1.0.0 of com.acme.rmm-sync; `POST /api/import` takes a body with a region and may have a token."""

    def __init__(self, tenant: Tenant, name: str = "com.acme.rmm-sync") -> None:
        self.tenant = tenant
        self.actor = Actor(tenant.id)
        self.extension: Extension = an_extension(tenant, name)
        self.version = self.publish("1.0.0")
        self.install: Install = an_install(tenant, self.version)

    def publish(self, version: str, *called: str) -> ExtensionVersion:
        """Another version with these endpoints, or with the usual ones."""
        imports = {"method": "POST", "path": "/api/import", "handler": "dist/main", "requestSchema": REGION}
        listed = list(called) or [SYNC, HEALTH, DEVICE, REMOVE, imports]
        return an_extension_version(self.extension, version, listed)

    def endpoint(self, called: str = SYNC) -> ExtensionEndpoint:
        return an_endpoint(self.version, called)

    def draft(self, called: str = SYNC, **values: Any) -> ScheduleDraft:
        """Every five minutes in UTC, without a name, unless told otherwise."""
        return ScheduleDraft(**{"endpoint_id": self.endpoint(called).id, "cron": "*/5 * * * *"} | values)

    def schedule(self, called: str = SYNC, **values: Any) -> Schedule:
        """Made by the command itself at noon."""
        return create_schedule(self.actor, self.draft(called, **values), NOON)

    def install_version(self, version: ExtensionVersion) -> None:
        """As an upgrade that leaves every schedule behind would."""
        self.install.version_id = version.id
        db.session.flush()

    def disable(self, reason: str | None = "The vendor is down") -> None:
        self.install.disabled_at, self.install.disable_reason = NOON, reason
        db.session.flush()
