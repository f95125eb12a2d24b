"""Signing in and out, and going to another tenant of one's own."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import EmailField, HiddenField, PasswordField

from domain.accounts import sessions
from domain.accounts.permissions import Access
from domain.kernel.db import transaction
from domain.kernel.errors import NotFound, Refused
from domain.kernel.ids import parse_id
from web.access import (
    SESSION_TOKEN,
    current_access,
    local_path,
    member_access,
    public,
    request_id,
    request_now,
    signed_in,
)
from web.answers import done, show_dialog
from web.throttle import PER_ACCOUNT, PER_ADDRESS, account_and_address, address, throttled
from web.top_bar import top_bar

START_PAGE, START_PAGE_WITHOUT_SCHEDULES = "/schedules", "/workflows"

blueprint = Blueprint("accounts", __name__)
blueprint.add_app_template_global(top_bar)


class SignInForm(FlaskForm):  # type: ignore[misc]
    email = EmailField("E-mail address")
    password = PasswordField("Password")
    next = HiddenField()


@blueprint.get("/")
@signed_in
def start() -> ResponseReturnValue:
    return redirect(start_page(member_access()))


@blueprint.get("/sign-in")
@public
def show_sign_in() -> ResponseReturnValue:
    after = local_path(request.args.get("next"))
    if access := current_access():
        return redirect(after or start_page(access))
    return render_template("accounts/sign_in.html", form=SignInForm(formdata=None, next=after))


@blueprint.post("/sign-in")
@public
@throttled(PER_ADDRESS, address)
@throttled(PER_ACCOUNT, account_and_address, counts_refusals_only=True)
def sign_in() -> ResponseReturnValue:
    form = SignInForm()
    email = form.email.data or ""
    try:
        with transaction():
            started, token = sessions.sign_in(email, form.password.data or "", request_now(), request_id())
            must_choose = started.must_choose
    except Refused as refusal:
        with transaction():
            sessions.record_failed_sign_in(email, address(), request_id())
        form.form_errors = [problem.message for problem in refusal.problems]
        return render_template("accounts/sign_in.html", form=form), 422
    remember(token)
    after = local_path(form.next.data)
    if must_choose:
        return redirect(url_for("accounts.choose_tenant", next=after), 303)
    return redirect(after or start_page(sessions.load_access(token, request_now())), 303)


@blueprint.get("/switch-tenant")
@signed_in
def choose_tenant() -> ResponseReturnValue:
    places = sessions.places_of(member_access().user.id)
    after = local_path(request.args.get("next"))
    return show_dialog("accounts/_tenants.html", "Choose a tenant", places=places, next=after)


@blueprint.post("/switch-tenant")
@signed_in
def switch_tenant() -> ResponseReturnValue:
    chosen = parse_id(request.form.get("tenant", ""))
    if chosen is None:
        raise NotFound
    access, token = member_access(), str(session.get(SESSION_TOKEN, ""))
    with transaction():
        new_token = sessions.switch_tenant(access, token, chosen, request_now(), request_id())
    remember(new_token)
    after = local_path(request.form.get("next"))
    return done(
        after or start_page(sessions.load_access(new_token, request_now())),
        "You work in another tenant now. Its name is in the top bar.",
    )


@blueprint.post("/sign-out")
@public
def sign_out() -> ResponseReturnValue:
    with transaction():
        sessions.sign_out(str(session.get(SESSION_TOKEN, "")))
    session.clear()
    answer = redirect(url_for("accounts.show_sign_in"), 303)
    answer.headers["Clear-Site-Data"] = '"cache"'
    if request.headers.get("HX-Request") == "true":
        return Response(status=204, headers={"HX-Redirect": url_for("accounts.show_sign_in")})
    return answer


def start_page(access: Access | None) -> str:
    """Where one begins: with the schedules, where the tenant's edition has them."""
    return START_PAGE if access is None or access.tenant.has_schedules else START_PAGE_WITHOUT_SCHEDULES


def remember(token: str) -> None:
    """A new cookie: nothing of the one that was there before goes on, so that no stranger can have planted it."""
    session.clear()
    session[SESSION_TOKEN] = token
    session.permanent = True
