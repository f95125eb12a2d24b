"""What a tenant has installed, found by what people call it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select

from domain.accounts.tenants import owned
from domain.extensions.extensions import Extension, ExtensionVersion, published_version
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.errors import NotFound, Refused


def installs_of(tenant_id: UUID) -> list[Install]:
    """The living installs of a tenant by name, disabled ones included."""
    return list(db.session.scalars(_living(tenant_id).order_by(Extension.name, Extension.publisher)))


def install_called(tenant_id: UUID, name: str) -> Install:
    """The install of the extension of this name. Raises NotFound, Refused when two publishers have one of that name."""
    found = list(db.session.scalars(_living(tenant_id).where(Extension.name == name)))
    if not found:
        raise NotFound(f"{name} is not installed.")
    if len(found) > 1:
        message = (
            f"Several publishers have a {name}, and more than one is installed. Do it on the page of the extension."
        )
        raise Refused.at("extension", message, "EXTENSION_AMBIGUOUS")
    return found[0]


def version_called(install: Install, number: str) -> ExtensionVersion:
    """A version of what is installed: by its number, or the latest. Raises NotFound."""
    return published_version(db.session.get_one(Extension, install.extension_id), number)


def _living(tenant_id: UUID) -> Select[Install]:
    return owned(tenant_id, Install).join(Extension, Extension.id == Install.extension_id)
