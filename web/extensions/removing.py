"""Taking an extension out of the tenant, after a look at what ends with it."""

from __future__ import annotations

from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue

from domain.kernel.db import transaction
from domain.schedules.pages import install_schedules
from domain.upgrades import Uninstalled
from domain.upgrades import uninstall as uninstall_install
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.extensions.frame import blueprint, installed, tenant_id

LISTED = 20


@blueprint.get("/<uuid:extension_id>/uninstall")
@requires("extension:write")
def ask_uninstall(extension_id: UUID) -> ResponseReturnValue:
    extension, install = installed(extension_id)
    schedules = install_schedules(tenant_id(), install.id)
    listed, title = schedules[:LISTED], f"Uninstall {extension.name}"
    return show_dialog("extensions/_uninstall.html", title, extension=extension, schedules=listed, count=len(schedules))


@blueprint.post("/<uuid:extension_id>/uninstall")
@requires("extension:write")
def uninstall(extension_id: UUID) -> ResponseReturnValue:
    with transaction():
        _, install = installed(extension_id)
        gone = uninstall_install(actor(), install.id, request_now())
    return done(url_for("extensions.index"), _said(gone))


def _said(gone: Uninstalled) -> str:
    ended = [
        f"{count} {word if count == 1 else word + 's'}"
        for count, word in ((gone.schedules, "schedule"), (gone.runs, "unfinished run"))
        if count
    ]
    with_it = f" {' and '.join(ended)} ended with it." if ended else ""
    return f"{gone.extension} was uninstalled.{with_it} Its history stays readable."
