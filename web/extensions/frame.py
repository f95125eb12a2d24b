"""What the pages of extensions share: their blueprint, their tenant, and how an install is called."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, url_for

from domain.extensions.extensions import Extension, extension_of
from domain.extensions.installs import Install, living_install
from web.access import member_access
from web.filters import Label

blueprint = Blueprint("extensions", __name__, url_prefix="/settings/extensions")

ENABLED, DISABLED = Label("Enabled", "ok", "check-circle"), Label("Disabled", "held", "pause")
NOT_INSTALLED = Label("Not installed", "mute", "circle-dashed")


@blueprint.app_template_filter()
def install_status(install: object) -> Label:
    """Of an install, or of a line of the list; None stands for no install."""
    if install is None or not getattr(install, "is_installed", True):
        return NOT_INSTALLED
    return DISABLED if getattr(install, "disabled_at", None) else ENABLED


def tenant_id() -> UUID:
    return member_access().tenant.id


def address_of(extension_id: UUID) -> str:
    return url_for("extensions.show", extension_id=extension_id)


def installed(extension_id: UUID) -> tuple[Extension, Install]:
    """An extension that the tenant has, and its install; raises NotFound."""
    extension = extension_of(tenant_id(), extension_id)
    return extension, living_install(tenant_id(), extension.id)
