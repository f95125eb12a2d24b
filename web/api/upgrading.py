"""Changing the version of an install over HTTP: what it would do, and doing it."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from domain.upgrades import RemapFailed, upgrade_install
from domain.upgrades.previews import preview_upgrade
from web.access import actor, request_now, requires
from web.api import blueprint
from web.api.answering import Json, answered_once, document
from web.api.extension_bodies import asked_version, missing_to_disable, new_endpoints, new_grant
from web.api.extension_documents import missing_document, preview_document, upgraded_document
from web.api.installs import address_of_install, installed, matching_install
from web.api.openapi import extensions as shapes
from web.api.openapi.declaring import declared
from web.api.reading import collected, flag_in, json_body, text_in
from web.errors import Answer, keep_refusal, problem_answer

UPGRADABLE = ("version", "disableMissing", "remap", "grant", "fingerprint", "dryRun")


@blueprint.errorhandler(RemapFailed)
def answer_missing(error: RemapFailed) -> Response:
    """409 with the schedules that nothing was said of, and what each of them could call instead."""
    keep_refusal(error.message)
    missing = [missing_document(one) for one in error.missing]
    return problem_answer(Answer(409, error.code, error.message, members={"missing": missing}))


@blueprint.post("/extensions/<uuid:extension_id>/upgrade")
@declared(
    "Change the version of an install, or ask what that would do",
    {"anyOf": [shapes.UPGRADED, shapes.UPGRADE_PREVIEW]},
    body=shapes.UPGRADE,
    needs_body=True,
    is_conditional=True,
)
@requires("extension:write")
def upgrade_extension(extension_id: UUID) -> Response:
    extension, install = installed(extension_id)
    body = json_body(UPGRADABLE)
    version, remap, disabled, granted, fingerprint, is_dry = collected(
        lambda: asked_version(extension, body),
        lambda: new_endpoints(body),
        lambda: missing_to_disable(body),
        lambda: new_grant(body),
        lambda: text_in(body, "fingerprint"),
        lambda: flag_in(body, "dryRun"),
    )
    answers: Json = {"remap": remap, "disable_missing": disabled, "grant": granted}
    if is_dry:
        return document(preview_document(preview_upgrade(install.tenant_id, install.id, version.id, **answers)))

    def act(_key: str) -> tuple[int, Json, str]:
        agreed = answers | {"fingerprint": fingerprint or None}
        upgraded = upgrade_install(actor(), matching_install(extension_id).id, version.id, request_now(), **agreed)
        return 200, upgraded_document(upgraded), address_of_install(extension_id)

    return answered_once(act)
