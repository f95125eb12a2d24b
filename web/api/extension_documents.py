"""Extensions, their versions and their installs as JSON."""

from __future__ import annotations

from uuid import UUID

from domain.extensions.endpoints import ExtensionEndpoint, endpoint_obstacle
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install, InstallSecret
from domain.extensions.listing import ExtensionRow
from domain.upgrades import Missing, Near, Remapped, Upgraded
from domain.upgrades.previews import Preview
from web.api.answering import Json, instant


def row_document(row: ExtensionRow) -> Json:
    """An extension as lists show it. What only an installed one has is null."""
    return {
        "id": str(row.id),
        "name": row.name,
        "publisher": row.publisher,
        "isOwn": row.is_own,
        "latestVersion": row.latest,
        "installedVersion": row.installed,
        "hasNewerVersion": row.is_behind,
        "enabled": row.disabled_at is None if row.is_installed else None,
        "installedAt": instant(row.installed_at),
    }


def extension_document(
    extension: Extension, latest: str | None, install: Install | None, installed: ExtensionVersion | None
) -> Json:
    """One extension, with the tenant's install of it; null when it has none."""
    return {
        "id": str(extension.id),
        "name": extension.name,
        "publisher": extension.publisher,
        "isOwn": extension.tenant_id is not None,
        "latestVersion": latest,
        "install": install_document(install, installed) if install and installed else None,
    }


def version_row_document(version: ExtensionVersion, installed_id: UUID | None) -> Json:
    return {
        "id": str(version.id),
        "extensionId": str(version.extension_id),
        "version": version.version,
        "contentHash": version.content_hash,
        "isInstalled": version.id == installed_id,
        "publishedAt": instant(version.published_at),
    }


def version_document(version: ExtensionVersion, endpoints: list[ExtensionEndpoint], installed_id: UUID | None) -> Json:
    """One version with its manifest as it was published, and what it asks an admin to grant."""
    return {
        **version_row_document(version, installed_id),
        "capabilities": version.asked,
        "manifest": version.manifest,
        "endpoints": [endpoint_document(one) for one in endpoints],
    }


def endpoint_document(endpoint: ExtensionEndpoint) -> Json:
    """`reason`: why it cannot be scheduled, null when it can."""
    obstacle = endpoint_obstacle(endpoint)
    return {
        "id": str(endpoint.id),
        "method": endpoint.method,
        "path": endpoint.path,
        "handler": endpoint.handler,
        "requestSchema": endpoint.request_schema,
        "schedulable": obstacle is None,
        "reason": obstacle,
    }


def install_document(install: Install, version: ExtensionVersion) -> Json:
    """`capabilities`: those that an admin granted; `askedCapabilities`: those that the installed version asks for."""
    return {
        "id": str(install.id),
        "extensionId": str(install.extension_id),
        "version": version.version,
        "versionId": str(version.id),
        "contentHash": version.content_hash,
        "config": install.config,
        "capabilities": install.capabilities,
        "askedCapabilities": version.asked,
        "enabled": install.enabled,
        "disabledAt": instant(install.disabled_at),
        "disableReason": install.disable_reason,
        "revision": install.revision,
        "createdAt": instant(install.created_at),
        "updatedAt": instant(install.updated_at),
    }


def secret_document(secret: InstallSecret) -> Json:
    """That there is one; its value is never answered."""
    return {"name": secret.name, "changedAt": instant(secret.changed_at)}


def upgraded_document(upgraded: Upgraded) -> Json:
    """How many schedules found their endpoint, were given another one, were disabled, became invalid, and fit again."""
    return {
        "changed": upgraded.is_changed,
        "fromVersion": upgraded.from_version,
        "toVersion": upgraded.to_version,
        "remapped": upgraded.remapped,
        "redirected": upgraded.redirected,
        "disabled": upgraded.disabled,
        "invalidated": upgraded.invalidated,
        "recovered": upgraded.recovered,
    }


def preview_document(preview: Preview) -> Json:
    """What the upgrade would do; `ready` says whether it would happen."""
    plan = preview.plan
    return {
        "dryRun": True,
        "ready": preview.is_ready,
        "fromVersion": plan.from_version,
        "toVersion": plan.to_version,
        "remapped": [_remapped_document(one) for one in plan.remapped],
        "missing": [missing_document(one) for one in plan.missing],
        "unanswered": [str(one.schedule_id) for one in preview.unanswered],
        "stale": [missing_document(one) for one in plan.stale],
        "newCapabilities": list(plan.new_capabilities),
        "ungranted": list(preview.ungranted),
        "choices": [_near_document(one) for one in plan.choices],
        "fingerprint": plan.fingerprint,
    }


def missing_document(missing: Missing) -> Json:
    """A schedule whose endpoint the other version does not have, and what it could call instead, best first."""
    return {
        "scheduleId": str(missing.schedule_id),
        "name": missing.name,
        "enabled": missing.enabled,
        "method": missing.method,
        "path": missing.path,
        "nearest": [_near_document(one) for one in missing.nearest],
    }


def _remapped_document(one: Remapped) -> Json:
    """`misfit`: why the endpoint of the other version does not take its payload; null when it does."""
    return {
        "scheduleId": str(one.schedule_id),
        "name": one.name,
        "method": one.method,
        "path": one.path,
        "endpointId": str(one.endpoint_id),
        "misfit": one.reason,
    }


def _near_document(one: Near) -> Json:
    return {"endpointId": str(one.endpoint_id), "method": one.method, "path": one.path}
