"""The registry: how versions of extensions get in. What is in never changes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from domain.accounts.audit import Actor, record_change, record_operation
from domain.extensions.endpoints import materialise_endpoints
from domain.extensions.extensions import Extension, ExtensionVersion, extension_named, version_numbered
from domain.extensions.manifests import Manifest, content_hash, parse_manifest
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.kernel.errors import Conflict


class VersionExists(Conflict):
    """This version is published already, with other content. Give the changed manifest another version number."""

    code = "EXTENSION_VERSION_EXISTS"


def publish_version(
    actor: Actor | None, tenant_id: UUID | None, manifest_text: str | bytes, now: datetime
) -> ExtensionVersion:
    """The version that a manifest describes, with its endpoints; the same content again is the version there is.

    Without a tenant it is for every tenant of the installation, and only whoever operates that may do it (`actor`
    None). Raises Refused at JSON pointers of the manifest, VersionExists.
    """
    manifest = parse_manifest(strict_json.loads(manifest_text))
    extension = _extension(actor, tenant_id, manifest)
    values = {
        "extension_id": extension.id,
        "version": manifest.version,
        "manifest": manifest.document,
        "content_hash": content_hash(manifest),
        "published_at": now,
        "published_by": actor.user_id if actor else None,
    }
    made = db.session.scalars(
        insert(ExtensionVersion).values(values).on_conflict_do_nothing().returning(ExtensionVersion)
    ).one_or_none()
    if made is None:
        return _published_before(extension, manifest)
    materialise_endpoints(made)
    _record(actor, "extension.published", extension, made)
    return made


def _extension(actor: Actor | None, tenant_id: UUID | None, manifest: Manifest) -> Extension:
    values = {"tenant_id": tenant_id, "publisher": manifest.publisher, "name": manifest.name}
    creator = actor.user_id if actor else None
    db.session.execute(insert(Extension).values(**values, created_by=creator).on_conflict_do_nothing())
    found = extension_named(tenant_id, manifest.publisher, manifest.name)
    assert found is not None, "it was there, or it was made just now"  # noqa: S101
    return found


def _published_before(extension: Extension, manifest: Manifest) -> ExtensionVersion:
    stored = version_numbered(extension.id, manifest.version)
    if stored is None or (stored.content_hash, stored.manifest) != (content_hash(manifest), manifest.document):
        message = (
            f"Version {manifest.version} of {manifest.name} is published already, with other content, and a version "
            "never changes. Give the changed manifest another version number."
        )
        raise VersionExists(message)
    return stored


def _record(actor: Actor | None, action: str, extension: Extension, version: ExtensionVersion) -> None:
    said = {"version": version.version, "contentHash": version.content_hash}
    if actor is None:
        record_operation(action, extension, after=said)
    else:
        record_change(actor, action, extension, after=said)
