"""Holding an install and letting it go on."""

from __future__ import annotations

from uuid import UUID

from flask import request
from flask.typing import ResponseReturnValue

from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.upgrades import disable_install, enable_install
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.extensions.frame import address_of, blueprint, installed
from web.forms.workflows import ReasonForm


@blueprint.get("/<uuid:extension_id>/disable")
@requires("extension:write")
def ask_disable(extension_id: UUID) -> ResponseReturnValue:
    return _dialog(extension_id, ReasonForm())


@blueprint.post("/<uuid:extension_id>/disable")
@requires("extension:write")
def disable(extension_id: UUID) -> ResponseReturnValue:
    form = ReasonForm(request.form)
    try:
        with transaction():
            extension, install = installed(extension_id)
            disable_install(actor(), install.id, form.reason.data or "", request_now())
            name = extension.name
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(extension_id, form, 422)
    return done(address_of(extension_id), f"{name} is disabled. Nothing of it is called until it is enabled.")


@blueprint.post("/<uuid:extension_id>/enable")
@requires("extension:write")
def enable(extension_id: UUID) -> ResponseReturnValue:
    with transaction():
        extension, install = installed(extension_id)
        enable_install(actor(), install.id, request_now())
        name = extension.name
    return done(address_of(extension_id), f"{name} is enabled. Its schedules go on with their next times.")


def _dialog(extension_id: UUID, form: ReasonForm, status: int = 200) -> ResponseReturnValue:
    extension, _ = installed(extension_id)
    return show_dialog("extensions/_disable.html", f"Disable {extension.name}", status, extension=extension, form=form)
