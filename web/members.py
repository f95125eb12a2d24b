"""Settings: who belongs to the tenant, and in which role."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.members import add_member, change_role, members_page, remove_member, reset_password
from domain.accounts.permissions import ROLES, VIEWER
from domain.accounts.request_keys import answer_request, claim_request
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.kernel.ids import new_id
from web.access import actor, is_fragment, member_access, request_now, requires
from web.answers import done
from web.asked import request_key
from web.forms.settings import MemberForm, RoleForm

blueprint = Blueprint("members", __name__, url_prefix="/settings/members")


@blueprint.get("")
@requires("workflow:admin")
def index() -> ResponseReturnValue:
    return _list_page()


@blueprint.get("/new")
@requires("workflow:admin")
def new() -> ResponseReturnValue:
    form = MemberForm(data={"request_key": str(new_id()), "role": VIEWER})
    return render_template("settings/member_new.html", form=form)


@blueprint.post("")
@requires("workflow:admin")
def add() -> ResponseReturnValue:
    form = MemberForm(request.form)
    try:
        with transaction():
            key = f"member.add {request_key()}"
            if claim_request(actor().tenant_id, key, "member.added"):
                return done(url_for("members.index"), "They are a member already.")
            member, first = add_member(
                actor(), form.email.data or "", form.name.data or "", form.role.data or "", form.password.data or None
            )
            answer_request(actor().tenant_id, key, str(member.id))
            user = member.user
    except Refused as refusal:
        form.attach(refusal.problems)
        return render_template("settings/member_new.html", form=form), 422
    if first is None:
        return done(url_for("members.index"), f"{user.name} is a member now.")
    return render_template("settings/first_password.html", user=user, password=first)


@blueprint.post("/<uuid:member_id>/role")
@requires("workflow:admin")
def set_role(member_id: UUID) -> ResponseReturnValue:
    try:
        with transaction():
            change_role(actor(), member_id, RoleForm(request.form).role.data or "")
    except Refused as refusal:
        return _say_no(refusal)
    return done(url_for("members.index"), "Role changed. It counts from their next click.")


@blueprint.post("/<uuid:member_id>/password")
@requires("workflow:admin")
def new_password(member_id: UUID) -> ResponseReturnValue:
    try:
        with transaction():
            user, first = reset_password(actor(), member_id)
    except Refused as refusal:
        return _say_no(refusal)
    return render_template("settings/first_password.html", user=user, password=first)


@blueprint.post("/<uuid:member_id>/remove")
@requires("workflow:admin")
def remove(member_id: UUID) -> ResponseReturnValue:
    try:
        with transaction():
            user = remove_member(actor(), member_id, request_now())
    except Refused as refusal:
        return _say_no(refusal)
    return done(url_for("members.index"), f"{user.name} is no longer a member. Their sessions and tokens have ended.")


def _say_no(refusal: Refused) -> ResponseReturnValue:
    if is_fragment():
        raise refusal
    return _list_page(refusal), 422


def _list_page(refusal: Refused | None = None) -> str:
    members = members_page(member_access().tenant.id)
    return render_template("settings/members.html", members=members, roles=list(ROLES), refusal=refusal)
