"""Extensions over HTTP: which there are, publishing a version, and the versions of one."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from flask import Response, url_for

from domain.extensions.endpoints import endpoints_of
from domain.extensions.extensions import extension_of, version_of_extension, versions_of_extension
from domain.extensions.installs import current_install
from domain.extensions.listing import STATES, extensions_page
from domain.extensions.registry import publish_version
from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import NotFound, Problem, Refused
from domain.upgrades import Delivered, publish_and_upgrade
from domain.upgrades.version_removal import delete_version
from web.access import actor, member_access, request_now, requires
from web.api import blueprint
from web.api.answering import Json, answered_once, document, page, page_within
from web.api.extension_bodies import missing_to_disable, new_grant
from web.api.extension_documents import (
    extension_document,
    row_document,
    upgraded_document,
    version_document,
    version_row_document,
)
from web.api.openapi import extensions as shapes
from web.api.openapi.declaring import declared, declared_list
from web.api.openapi.words import choice, text
from web.api.reading import (
    Q_MAX_CHARACTERS,
    check_query,
    collected,
    flag_in,
    json_body,
    page_cursor,
    page_limit,
    query_choice,
    query_text,
)

PUBLISHABLE = ("manifest", "upgrade", "disableMissing", "grant")


@blueprint.get("/extensions")
@declared_list("List extensions, by name", shapes.EXTENSION_ROW, q=text(Q_MAX_CHARACTERS), state=choice(STATES[1:]))
@requires("extension:read")
def list_extensions() -> Response:
    check_query(("q", "state"))
    q, state, after, limit = collected(
        lambda: query_text("q"), lambda: query_choice("state", STATES[1:]), _cursor, page_limit
    )
    rows, _ = extensions_page(_tenant(), q, state, after, limit + 1)
    return page(rows, limit, row_document, lambda row: row.id)


@blueprint.post("/extensions")
@declared(
    "Publish a version of an extension",
    shapes.PUBLISHED,
    status=201,
    also={200: shapes.PUBLISHED},
    body=shapes.NEW_VERSION,
    needs_body=True,
)
@requires("extension:write")
def publish_extension() -> Response:
    body = json_body(PUBLISHABLE)
    if not isinstance(body.get("manifest"), dict):
        message = "Send the manifest as a JSON object with name, publisher, version and runtime."
        raise Refused.at("manifest", message, "MANIFEST_REQUIRED")
    is_upgrade, disabled, granted = collected(
        lambda: flag_in(body, "upgrade"), lambda: missing_to_disable(body), lambda: new_grant(body)
    )

    def act(_key: str) -> tuple[int, Json, str]:
        delivered = _published(body["manifest"], is_upgrade, disabled, granted)
        version, upgraded = delivered.version, delivered.upgraded
        told = {
            **_version(version.extension_id, version.id),
            "upgraded": upgraded_document(upgraded) if upgraded else None,
        }
        # Publishing the same content once more makes nothing.
        is_new = version.published_at == request_now()
        return 201 if is_new else 200, told, _address(version.extension_id, version.id)

    return answered_once(act)


@blueprint.get("/extensions/<uuid:extension_id>")
@declared("Read an extension with its install", shapes.EXTENSION)
@requires("extension:read")
def show_extension(extension_id: UUID) -> Response:
    extension = extension_of(_tenant(), extension_id)
    versions, install = versions_of_extension(extension.id), current_install(_tenant(), extension.id)
    installed = next((one for one in versions if install and one.id == install.version_id), None)
    return document(extension_document(extension, versions[0].version if versions else None, install, installed))


@blueprint.get("/extensions/<uuid:extension_id>/versions")
@declared_list("List the versions of an extension, the latest first", shapes.VERSION_ROW)
@requires("extension:read")
def list_versions(extension_id: UUID) -> Response:
    extension = extension_of(_tenant(), extension_id)
    check_query(())
    installed_id = _installed_id(extension.id)
    return page_within(versions_of_extension(extension.id), lambda one: version_row_document(one, installed_id))


@blueprint.get("/extensions/<uuid:extension_id>/versions/<uuid:version_id>")
@declared("Read a version with its manifest", shapes.VERSION)
@requires("extension:read")
def show_version(extension_id: UUID, version_id: UUID) -> Response:
    return document(_version(extension_id, version_id))


@blueprint.delete("/extensions/<uuid:extension_id>/versions/<uuid:version_id>")
@declared("Take back a version that nothing refers to", status=204)
@requires("extension:write")
def remove_version(extension_id: UUID, version_id: UUID) -> Response:
    with transaction():
        delete_version(actor(), _tenant(), extension_id, version_id)
    return Response(status=204)


def _published(manifest: Json, is_upgrade: bool, disabled: bool | set[UUID], granted: list[str]) -> Delivered:
    text = strict_json.dumps(manifest)
    try:
        if is_upgrade:
            return publish_and_upgrade(actor(), text, request_now(), disable_missing=disabled, grant=granted)
        return Delivered(publish_version(actor(), _tenant(), text, request_now()), None)
    except Refused as refused:
        raise Refused(_at_manifest(one) for one in refused.problems) from None


def _at_manifest(problem: Problem) -> Problem:
    """What is wrong inside a manifest stands at a pointer into it; in the body that begins at `manifest`."""
    is_inside = problem.path.startswith("/") or not problem.path
    return replace(problem, path=f"manifest{problem.path}") if is_inside else problem


def _cursor() -> UUID | None:
    """Pages follow the names: a cursor has to be an extension that whoever asks may see."""
    after = page_cursor()
    try:
        return extension_of(_tenant(), after).id if after else None
    except NotFound:
        message = "Nothing in this list has this id any more. Begin again without a cursor."
        raise Refused.at("cursor", message, "CURSOR_UNKNOWN") from None


def _version(extension_id: UUID, version_id: UUID) -> Json:
    extension = extension_of(_tenant(), extension_id)
    version = version_of_extension(extension.id, version_id)
    return version_document(version, endpoints_of(version.id), _installed_id(extension.id))


def _installed_id(extension_id: UUID) -> UUID | None:
    install = current_install(_tenant(), extension_id)
    return install.version_id if install else None


def _address(extension_id: UUID, version_id: UUID) -> str:
    return url_for("api.show_version", extension_id=extension_id, version_id=version_id)


def _tenant() -> UUID:
    return member_access().tenant.id
