"""Secrets of an install: everybody who may see it sees their names; nobody sees a value."""

from __future__ import annotations

from uuid import UUID

from flask import request
from flask.typing import ResponseReturnValue

from domain.extensions.install_secrets import delete_install_secret, set_install_secret
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.asked import asked_text
from web.extensions.frame import address_of, blueprint, installed
from web.forms.extensions import InstallSecretForm


@blueprint.get("/<uuid:extension_id>/secrets/new")
@requires("extension:write")
def ask_secret(extension_id: UUID) -> ResponseReturnValue:
    return _dialog(extension_id, InstallSecretForm(data={"name": asked_text("name")}))


@blueprint.post("/<uuid:extension_id>/secrets")
@requires("extension:write")
def keep_secret(extension_id: UUID) -> ResponseReturnValue:
    form = InstallSecretForm(request.form)
    try:
        with transaction():
            _, install = installed(extension_id)
            values = form.name.data or "", form.value.typed
            name = set_install_secret(actor(), install.id, *values, request_now()).name
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(extension_id, form, 422)
    return done(address_of(extension_id), f"{name} is kept. What is called next gets it.")


@blueprint.post("/<uuid:extension_id>/secrets/<secret_name>/delete")
@requires("extension:write")
def forget_secret(extension_id: UUID, secret_name: str) -> ResponseReturnValue:
    with transaction():
        _, install = installed(extension_id)
        delete_install_secret(actor(), install.id, secret_name)
    return done(address_of(extension_id), f"{secret_name} was deleted.")


def _dialog(extension_id: UUID, form: InstallSecretForm, status: int = 200) -> ResponseReturnValue:
    extension, _ = installed(extension_id)
    title = f"Secret of {extension.name}"
    return show_dialog("extensions/_secret_form.html", title, status, form=form, extension=extension)
