"""The page of an extension: what the tenant set for its install, and what each of its versions holds."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import render_template
from flask.typing import ResponseReturnValue

from domain.accounts.users import names_of
from domain.extensions.capabilities import ALWAYS, KNOWN
from domain.extensions.endpoints import endpoint_obstacle, endpoints_of
from domain.extensions.extensions import (
    Extension,
    ExtensionVersion,
    extension_of,
    version_of_extension,
    versions_of_extension,
)
from domain.extensions.install_secrets import install_secrets
from domain.extensions.installs import Install, current_install
from web.access import requires
from web.extensions.frame import blueprint, tenant_id

VERSIONS_SHOWN = 50


@blueprint.get("/<uuid:extension_id>")
@requires("extension:read")
def show(extension_id: UUID) -> ResponseReturnValue:
    extension = extension_of(tenant_id(), extension_id)
    install = current_install(tenant_id(), extension.id)
    versions = versions_of_extension(extension.id)
    version = _shown_version(versions, install)
    kept = install_secrets(install) if install else []
    values = {
        "install": install,
        "version": version,
        "versions": versions[:VERSIONS_SHOWN],
        "older": max(len(versions) - VERSIONS_SHOWN, 0),
        "endpoints": _endpoints(version),
        "capabilities": _capabilities(version, install),
        "always": ALWAYS,
        "kept": kept,
        "names": names_of(_people(install, versions[:VERSIONS_SHOWN], kept)),
        "is_own": _is_own(extension),
    }
    return render_template("extensions/show.html", extension=extension, **values)


@blueprint.get("/<uuid:extension_id>/versions/<uuid:version_id>")
@requires("extension:read")
def show_version(extension_id: UUID, version_id: UUID) -> ResponseReturnValue:
    extension = extension_of(tenant_id(), extension_id)
    version = version_of_extension(extension.id, version_id)
    install = current_install(tenant_id(), extension.id)
    values = {
        "install": install,
        "endpoints": _endpoints(version),
        "names": names_of(_people(None, [version], [])),
        "is_own": _is_own(extension),
    }
    return render_template("extensions/version.html", extension=extension, version=version, **values)


def _shown_version(versions: list[ExtensionVersion], install: Install | None) -> ExtensionVersion | None:
    """The installed version, else the latest; None when none is left."""
    at = install.version_id if install else None
    return next((one for one in versions if one.id == at), versions[0] if versions else None)


def _endpoints(version: ExtensionVersion | None) -> list[tuple[Any, str | None]]:
    """Each endpoint with what keeps it from being scheduled."""
    return [(one, endpoint_obstacle(one)) for one in endpoints_of(version.id)] if version else []


def _capabilities(version: ExtensionVersion | None, install: Install | None) -> list[tuple[str, str, bool]]:
    """What the version asks for and what every extension has: name, meaning, whether it has it."""
    granted = set(install.capabilities) if install else set()
    asked = [(name, KNOWN[name], name in granted) for name in (version.asked if version else [])]
    return asked + [(name, words, True) for name, words in ALWAYS.items()]


def _people(install: Install | None, versions: list[ExtensionVersion], kept: list[Any]) -> set[UUID | None]:
    by = {one.published_by for one in versions} | {one.changed_by for one in kept}
    return by | {install.disabled_by, install.created_by} if install else by


def _is_own(extension: Extension) -> bool:
    return extension.tenant_id is not None
