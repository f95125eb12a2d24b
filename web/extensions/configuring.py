"""What an admin sets for an install: its configuration, and what it may ask of its surroundings."""

from __future__ import annotations

from uuid import UUID

from flask import request
from flask.typing import ResponseReturnValue

from domain.extensions.installs import Install, configure_install, installed_version
from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Problem, Refused
from web.access import actor, requires
from web.answers import done, show_dialog
from web.extensions.frame import address_of, blueprint, installed
from web.forms.extensions import ConfigForm, GrantForm

MEANWHILE = "Somebody changed this install while you were editing. Compare with what is stored now and save again."


@blueprint.get("/<uuid:extension_id>/configuration")
@requires("extension:write")
def ask_config(extension_id: UUID) -> ResponseReturnValue:
    _, install = installed(extension_id)
    values = {"revision": install.revision, "config": strict_json.pretty(install.config)}
    return _config_dialog(extension_id, ConfigForm(data=values))


@blueprint.post("/<uuid:extension_id>/configuration")
@requires("extension:write")
def configure(extension_id: UUID) -> ResponseReturnValue:
    form = ConfigForm(request.form)
    try:
        config = form.typed_config
        with transaction():
            _, install = installed(extension_id)
            configure_install(actor(), install.id, _revision(form), config=config)
    except Refused as refusal:
        form.attach(refusal.problems)
        return _config_dialog(extension_id, form, 422)
    except Conflict:
        form.attach([Problem("", MEANWHILE)])
        return _config_dialog(extension_id, form, 409)
    return done(address_of(extension_id), "The configuration was saved. What is called next uses it.")


@blueprint.get("/<uuid:extension_id>/capabilities")
@requires("extension:write")
def ask_grant(extension_id: UUID) -> ResponseReturnValue:
    _, install = installed(extension_id)
    values = {"revision": install.revision, "capabilities": install.capabilities}
    return _grant_dialog(extension_id, GrantForm(data=values))


@blueprint.post("/<uuid:extension_id>/capabilities")
@requires("extension:write")
def grant(extension_id: UUID) -> ResponseReturnValue:
    form = GrantForm(request.form)
    try:
        with transaction():
            _, install = installed(extension_id)
            configure_install(actor(), install.id, _revision(form), capabilities=form.capabilities.data or [])
    except Refused as refusal:
        form.attach(refusal.problems)
        return _grant_dialog(extension_id, form, 422)
    except Conflict:
        form.attach([Problem("", MEANWHILE)])
        return _grant_dialog(extension_id, form, 409)
    return done(address_of(extension_id), "What it may do was saved. What is called next is held to it.")


def _revision(form: ConfigForm | GrantForm) -> int:
    """0, which no install has, for what is no revision."""
    written = str(form.revision.data or "")
    return int(written) if written.isascii() and written.isdigit() and len(written) <= 9 else 0


def _config_dialog(extension_id: UUID, form: ConfigForm, status: int = 200) -> ResponseReturnValue:
    extension, install = installed(extension_id)
    stored = install.config if _take_revision(form, install, status) else None
    title = f"Configure {extension.name}"
    return show_dialog("extensions/_config.html", title, status, form=form, extension=extension, stored=stored)


def _grant_dialog(extension_id: UUID, form: GrantForm, status: int = 200) -> ResponseReturnValue:
    extension, install = installed(extension_id)
    stored = install.capabilities if _take_revision(form, install, status) else None
    form.offer(installed_version(install).asked)
    title = f"What {extension.name} may do"
    return show_dialog("extensions/_grant.html", title, status, form=form, extension=extension, stored=stored)


def _take_revision(form: ConfigForm | GrantForm, install: Install, status: int) -> bool:
    """After a conflict the form is about what is stored now, which the dialog shows beside what was typed."""
    if status == 409:
        form.revision.data = install.revision
    return status == 409
