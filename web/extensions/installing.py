"""Installing an extension: an admin looks at what a version asks for, and grants some of it."""

from __future__ import annotations

from uuid import UUID

from flask import request
from flask.typing import ResponseReturnValue

from domain.extensions.extensions import extension_of, version_of_extension, versions_of_extension
from domain.extensions.installs import install_extension
from domain.kernel.db import transaction
from domain.kernel.errors import Held, NotFound, Problem, Refused
from domain.kernel.ids import parse_id
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.extensions.frame import address_of, blueprint, tenant_id
from web.forms.extensions import InstallForm


@blueprint.get("/<uuid:extension_id>/install")
@requires("extension:write")
def ask_install(extension_id: UUID) -> ResponseReturnValue:
    version_id = request.args.get("version", type=UUID) or _latest_id(extension_id)
    return _dialog(extension_id, InstallForm(data={"version_id": version_id, "config": "{}"}), version_id)


@blueprint.post("/<uuid:extension_id>/install")
@requires("extension:write")
def install(extension_id: UUID) -> ResponseReturnValue:
    form = InstallForm(request.form)
    version_id = parse_id(form.version_id.data or "") or _latest_id(extension_id)
    try:
        config = form.typed_config
        with transaction():
            granted = form.capabilities.data or []
            name = install_extension(actor(), extension_id, version_id, granted, config, request_now()).name
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(extension_id, form, version_id, 422)
    except Held as held:
        form.attach([Problem("", held.message)])
        return _dialog(extension_id, form, version_id, 409)
    return done(address_of(extension_id), f"{name} is installed.")


def _latest_id(extension_id: UUID) -> UUID:
    versions = versions_of_extension(extension_of(tenant_id(), extension_id).id)
    if not versions:
        raise NotFound
    return versions[0].id


def _dialog(extension_id: UUID, form: InstallForm, version_id: UUID, status: int = 200) -> ResponseReturnValue:
    extension = extension_of(tenant_id(), extension_id)
    version = version_of_extension(extension.id, version_id)
    form.offer(version.asked)
    title = f"Install {extension.name} {version.version}"
    return show_dialog("extensions/_install.html", title, status, form=form, extension=extension, version=version)
