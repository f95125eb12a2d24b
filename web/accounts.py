"""Signing in and out."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import EmailField, HiddenField, PasswordField

from domain.accounts import sessions
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from web.access import SESSION_TOKEN, current_access, local_path, public, request_id, request_now, signed_in
from web.throttle import PER_ACCOUNT, PER_ADDRESS, account_and_address, address, throttled

START_PAGE = "/schedules"

blueprint = Blueprint("accounts", __name__)


class SignInForm(FlaskForm):  # type: ignore[misc]
    email = EmailField("E-mail address")
    password = PasswordField("Password")
    next = HiddenField()


@blueprint.get("/")
@signed_in
def start() -> ResponseReturnValue:
    return redirect(START_PAGE)


@blueprint.get("/sign-in")
@public
def show_sign_in() -> ResponseReturnValue:
    after = local_path(request.args.get("next"))
    if current_access() is not None:
        return redirect(after or START_PAGE)
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
            _, token = sessions.sign_in(email, form.password.data or "", request_now(), request_id())
    except Refused as refusal:
        with transaction():
            sessions.record_failed_sign_in(email, address(), request_id())
        form.form_errors = [problem.message for problem in refusal.problems]
        return render_template("accounts/sign_in.html", form=form), 422
    remember(token)
    return redirect(local_path(form.next.data) or START_PAGE, 303)


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


def remember(token: str) -> None:
    """A new cookie: nothing of the one that was there before goes on, so that no stranger can have planted it."""
    session.clear()
    session[SESSION_TOKEN] = token
    session.permanent = True
