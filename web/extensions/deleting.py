"""Taking back a version that nothing refers to."""

from __future__ import annotations

from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue

from domain.extensions.extensions import version_of_extension
from domain.kernel.db import transaction
from domain.upgrades.version_removal import delete_version, own_extension, references_to
from web.access import actor, requires
from web.answers import done, show_dialog
from web.extensions.frame import address_of, blueprint, tenant_id


@blueprint.get("/<uuid:extension_id>/versions/<uuid:version_id>/delete")
@requires("extension:write")
def ask_delete(extension_id: UUID, version_id: UUID) -> ResponseReturnValue:
    extension = own_extension(tenant_id(), extension_id)
    version = version_of_extension(extension.id, version_id)
    title = f"Delete {extension.name} {version.version}?"
    found = references_to(version)
    fragment = "extensions/_version_delete.html"
    return show_dialog(fragment, title, extension=extension, version=version, references=found)


@blueprint.post("/<uuid:extension_id>/versions/<uuid:version_id>/delete")
@requires("extension:write")
def delete(extension_id: UUID, version_id: UUID) -> ResponseReturnValue:
    with transaction():
        deleted = delete_version(actor(), tenant_id(), extension_id, version_id)
    address = url_for("extensions.index") if deleted.was_last else address_of(extension_id)
    return done(address, f"Version {deleted.version} of {deleted.name} was deleted.")
