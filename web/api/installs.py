"""A tenant's install of an extension over HTTP: installing, configuring, granting, holding, uninstalling; its secrets."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, url_for

from domain.extensions.extensions import LATEST, Extension, extension_of
from domain.extensions.install_secrets import delete_install_secret, install_secrets, set_install_secret
from domain.extensions.installs import (
    Install,
    configure_install,
    install_extension,
    installed_version,
    living_install,
)
from domain.kernel.db import transaction
from domain.upgrades import disable_install, enable_install, uninstall
from web.access import actor, member_access, request_now, requires
from web.api import blueprint
from web.api.answering import Json, answered_once, document, page_within
from web.api.extension_bodies import asked_version
from web.api.extension_documents import install_document, secret_document
from web.api.openapi import extensions as shapes
from web.api.openapi.declaring import declared, declared_list
from web.api.preconditions import check_match, conditional
from web.api.reading import check_query, json_body, text_in
from web.api.schedule_changes import revision_in

INSTALLABLE = ("version", "config", "capabilities")
CONFIGURABLE = ("config", "capabilities", "revision")
READ_ONLY = (
    *("id", "extensionId", "versionId", "contentHash", "askedCapabilities", "enabled", "disabledAt", "disableReason"),
    *("createdAt", "updatedAt"),
)


@blueprint.get("/extensions/<uuid:extension_id>/install")
@declared("Read the install of an extension", shapes.INSTALL)
@requires("extension:read")
def show_install(extension_id: UUID) -> Response:
    return document(_document(extension_id))


@blueprint.post("/extensions/<uuid:extension_id>/install")
@declared("Install an extension", shapes.INSTALL, status=201, body=shapes.NEW_INSTALL)
@requires("extension:write")
def install_from_body(extension_id: UUID) -> Response:
    extension = extension_of(_tenant(), extension_id)
    body = json_body(INSTALLABLE, (*READ_ONLY, "revision"))

    def act(_key: str) -> tuple[int, Json, str]:
        version = asked_version(extension, body, otherwise=LATEST)
        config, granted = _settings({"config": None, "capabilities": None, **body})
        install_extension(actor(), extension.id, version.id, granted, config, request_now())
        return 201, _document(extension_id), address_of_install(extension_id)

    return answered_once(act)


@blueprint.patch("/extensions/<uuid:extension_id>/install")
@declared("Change what an install may and knows", shapes.INSTALL, body=shapes.INSTALL_CHANGE, is_conditional=True)
@requires("extension:write")
def configure_from_body(extension_id: UUID) -> Response:
    body = json_body(CONFIGURABLE, (*READ_ONLY, "version"))
    with transaction():
        _, install = installed(extension_id, lock="change")
        with conditional(install.revision, revision_in(body)) as revision:
            seen = install.revision if revision is None else revision
            configure_install(actor(), install.id, seen, *_settings(body))
        answer = _document(extension_id)
    return document(answer)


@blueprint.delete("/extensions/<uuid:extension_id>/install")
@declared("Uninstall an extension", status=204, is_conditional=True)
@requires("extension:write")
def uninstall_extension(extension_id: UUID) -> Response:
    with transaction():
        install = matching_install(extension_id)
        uninstall(actor(), install.id, request_now())
    return Response(status=204)


@blueprint.post("/extensions/<uuid:extension_id>/install/disable")
@declared("Hold an extension", shapes.INSTALL, body=shapes.REASON, is_conditional=True)
@requires("extension:write")
def disable_extension(extension_id: UUID) -> Response:
    reason = text_in(json_body(("reason",)), "reason")

    def act(_key: str) -> tuple[int, Json, str]:
        disable_install(actor(), matching_install(extension_id).id, reason, request_now())
        return 200, _document(extension_id), address_of_install(extension_id)

    return answered_once(act)


@blueprint.post("/extensions/<uuid:extension_id>/install/enable")
@declared("Let an extension go on", shapes.INSTALL, body=shapes.NOTHING, is_conditional=True)
@requires("extension:write")
def enable_extension(extension_id: UUID) -> Response:
    json_body(())

    def act(_key: str) -> tuple[int, Json, str]:
        enable_install(actor(), matching_install(extension_id).id, request_now())
        return 200, _document(extension_id), address_of_install(extension_id)

    return answered_once(act)


@blueprint.get("/extensions/<uuid:extension_id>/install/secrets")
@declared_list("List the names of the secrets of an install", shapes.SECRET)
@requires("extension:read")
def list_install_secrets(extension_id: UUID) -> Response:
    _, install = installed(extension_id)
    check_query(())
    return page_within(install_secrets(install), secret_document)


@blueprint.put("/extensions/<uuid:extension_id>/install/secrets/<secret_name>")
@declared(
    "Keep a secret of an install",
    shapes.SECRET,
    also={201: shapes.SECRET},
    body=shapes.SECRET_VALUE,
    needs_body=True,
)
@requires("extension:write")
def keep_install_secret(extension_id: UUID, secret_name: str) -> Response:
    value = text_in(json_body(("value",)), "value")
    with transaction():
        _, install = installed(extension_id)
        is_new = secret_name not in {one.name for one in install_secrets(install)}
        kept = set_install_secret(actor(), install.id, secret_name, value, request_now())
        answer = secret_document(kept)
    return document(answer, 201 if is_new else 200)


@blueprint.delete("/extensions/<uuid:extension_id>/install/secrets/<secret_name>")
@declared("Forget a secret of an install", status=204)
@requires("extension:write")
def forget_install_secret(extension_id: UUID, secret_name: str) -> Response:
    with transaction():
        _, install = installed(extension_id)
        delete_install_secret(actor(), install.id, secret_name)
    return Response(status=204)


def installed(extension_id: UUID, lock: str | None = None) -> tuple[Extension, Install]:
    """An extension that the tenant has installed, and its install; raises NotFound."""
    extension = extension_of(_tenant(), extension_id)
    return extension, living_install(_tenant(), extension.id, lock)


def matching_install(extension_id: UUID) -> Install:
    """The tenant's install, held until the transaction ends, and as it was read when the request says that."""
    _, install = installed(extension_id, lock="change")
    check_match(install.revision)
    return install


def address_of_install(extension_id: UUID) -> str:
    return url_for("api.show_install", extension_id=extension_id)


def _settings(body: Json) -> tuple[Any, Any]:
    """Configuration and grants as the body has them: None for what it does not name, nothing for what it says is null."""
    config, granted = body.get("config", ...), body.get("capabilities", ...)
    return (
        None if config is ... else {} if config is None else config,
        None if granted is ... else [] if granted is None else granted,
    )


def _document(extension_id: UUID) -> Json:
    _, install = installed(extension_id)
    return install_document(install, installed_version(install))


def _tenant() -> UUID:
    return member_access().tenant.id
