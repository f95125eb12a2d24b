"""Publishing a version from a manifest."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from domain.extensions.registry import VersionExists, publish_version
from domain.kernel.db import transaction
from domain.kernel.errors import Problem, Refused
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.extensions.frame import address_of, blueprint
from web.forms.extensions import ManifestForm

TITLE = "Publish a version"


@blueprint.get("/new")
@requires("extension:write")
def new() -> ResponseReturnValue:
    return show_dialog("extensions/_publish.html", TITLE, form=ManifestForm())


@blueprint.post("")
@requires("extension:write")
def publish() -> ResponseReturnValue:
    form = ManifestForm(request.form)
    try:
        form.take_file(request.files.get("file"))
        with transaction():
            version = publish_version(actor(), actor().tenant_id, form.manifest.data or "", request_now())
            address, number = address_of(version.extension_id), version.version
    except Refused as refusal:
        form.attach(refusal.problems)
        return show_dialog("extensions/_publish.html", TITLE, 422, form=form)
    except VersionExists as exists:
        form.attach([Problem("/version", exists.message)])
        return show_dialog("extensions/_publish.html", TITLE, 409, form=form)
    return done(address, f"Version {number} is published.")
