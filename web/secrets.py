"""Settings: the tenant's named secrets. Everybody who reads workflows sees the names; nobody sees a value."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.secrets import (
    create_secret,
    delete_secret,
    describe_secret,
    is_secret_name,
    replace_secret,
    secrets_page,
    stored_secret,
)
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.schedules.secret_uses import SHOWN, secret_uses
from web.access import actor, is_fragment, request_now, requires
from web.answers import done, show_dialog
from web.asked import asked_text
from web.forms.secrets import DescriptionForm, SecretForm, ValueForm

blueprint = Blueprint("secrets", __name__, url_prefix="/settings/secrets")


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    q, after = asked_text("q"), asked_text("after")
    rows, has_more = secrets_page(actor().tenant_id, q, after if is_secret_name(after) else None)
    shown = {"rows": rows, "next_after": rows[-1].name if has_more else None, "q": q, "after": after}
    return render_template("settings/_secret_list.html" if is_fragment() else "settings/secrets.html", **shown)


@blueprint.get("/new")
@requires("workflow:admin")
def new() -> ResponseReturnValue:
    return show_dialog("settings/_secret_new.html", "New secret", form=SecretForm())


@blueprint.post("")
@requires("workflow:admin")
def create() -> ResponseReturnValue:
    form = SecretForm(request.form)
    try:
        with transaction():
            values = form.name.data or "", form.value.typed, form.description.data or ""
            name = create_secret(actor(), *values, request_now()).name
    except Refused as refusal:
        form.attach(refusal.problems)
        return show_dialog("settings/_secret_new.html", "New secret", 422, form=form)
    return done(url_for("secrets.index"), f"{name} is kept. Steps can name it now.")


@blueprint.get("/<uuid:secret_id>/replace")
@requires("workflow:admin")
def ask_value(secret_id: UUID) -> ResponseReturnValue:
    return _value_dialog(secret_id, ValueForm())


@blueprint.post("/<uuid:secret_id>/replace")
@requires("workflow:admin")
def replace(secret_id: UUID) -> ResponseReturnValue:
    form = ValueForm(request.form)
    try:
        with transaction():
            name = replace_secret(actor(), secret_id, form.value.typed, request_now()).name
    except Refused as refusal:
        form.attach(refusal.problems)
        return _value_dialog(secret_id, form, 422)
    return done(url_for("secrets.index"), f"{name} has a new value. What runs next uses it.")


@blueprint.get("/<uuid:secret_id>/describe")
@requires("workflow:admin")
def ask_description(secret_id: UUID) -> ResponseReturnValue:
    secret = stored_secret(actor().tenant_id, secret_id)
    return _description_dialog(secret_id, DescriptionForm(data={"description": secret.description}))


@blueprint.post("/<uuid:secret_id>/describe")
@requires("workflow:admin")
def describe(secret_id: UUID) -> ResponseReturnValue:
    form = DescriptionForm(request.form)
    try:
        with transaction():
            name = describe_secret(actor(), secret_id, form.description.data or "").name
    except Refused as refusal:
        form.attach(refusal.problems)
        return _description_dialog(secret_id, form, 422)
    return done(url_for("secrets.index"), f"What {name} is for was saved.")


@blueprint.get("/<uuid:secret_id>/delete")
@requires("workflow:admin")
def ask_delete(secret_id: UUID) -> ResponseReturnValue:
    secret = stored_secret(actor().tenant_id, secret_id)
    uses = secret_uses(secret.tenant_id, secret.name)
    title = f"Delete {secret.name}?"
    return show_dialog("settings/_secret_delete.html", title, secret=secret, uses=uses, most=SHOWN)


@blueprint.post("/<uuid:secret_id>/delete")
@requires("workflow:admin")
def delete(secret_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = delete_secret(actor(), secret_id).name
    return done(url_for("secrets.index"), f"{name} was deleted.")


def _value_dialog(secret_id: UUID, form: ValueForm, status: int = 200) -> ResponseReturnValue:
    secret = stored_secret(actor().tenant_id, secret_id)
    return show_dialog("settings/_secret_value.html", f"Replace {secret.name}", status, form=form, secret=secret)


def _description_dialog(secret_id: UUID, form: DescriptionForm, status: int = 200) -> ResponseReturnValue:
    secret = stored_secret(actor().tenant_id, secret_id)
    title = f"What {secret.name} is for"
    return show_dialog("settings/_secret_description.html", title, status, form=form, secret=secret)
