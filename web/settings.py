"""Settings: the tenant's name and zone, and one's own password."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.sessions import change_password
from domain.accounts.tenants import edit_tenant
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.timing.zones import zone_names
from web.access import actor, member_access, request_now, requires, signed_in
from web.accounts import remember
from web.answers import done
from web.forms.settings import PasswordForm, TenantForm
from web.throttle import PER_ACCOUNT, session_and_address, throttled

blueprint = Blueprint("settings", __name__, url_prefix="/settings")


@blueprint.get("")
@signed_in
def index() -> ResponseReturnValue:
    return _tenant_page(TenantForm(obj=member_access().tenant))


@blueprint.post("")
@requires("workflow:admin")
def edit() -> ResponseReturnValue:
    form = TenantForm(request.form)
    try:
        with transaction():
            edit_tenant(actor(), form.name.data or "", form.timezone.data or "", form.retention_days.data)
    except Refused as refusal:
        form.attach(refusal.problems)
        return _tenant_page(form), 422
    return done(url_for("settings.index"), "Settings saved.")


@blueprint.get("/password")
@signed_in
def show_password() -> ResponseReturnValue:
    return render_template("settings/password.html", form=PasswordForm())


@blueprint.post("/password")
@signed_in
@throttled(PER_ACCOUNT, session_and_address, counts_refusals_only=True)
def set_password() -> ResponseReturnValue:
    form = PasswordForm(request.form)
    try:
        if form.new.data != form.again.data:
            raise Refused.at("again", "The two new passwords differ.", "PASSWORDS_DIFFER")
        with transaction():
            token = change_password(
                actor(), member_access(), form.current.data or "", form.new.data or "", request_now()
            )
    except Refused as refusal:
        form.attach(refusal.problems)
        return render_template("settings/password.html", form=form), 422
    remember(token)
    return done(url_for("settings.show_password"), "Password changed. All your other sessions have ended.")


def _tenant_page(form: TenantForm) -> str:
    return render_template("settings/index.html", form=form, zones=zone_names())
