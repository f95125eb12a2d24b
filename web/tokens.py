"""Settings: API tokens."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.request_keys import answer_request, claim_request
from domain.accounts.tokens import ApiToken, create_token, revoke_token, tokens_page
from domain.kernel.db import transaction
from domain.kernel.errors import Problem, Refused
from domain.kernel.ids import new_id
from web.access import actor, member_access, request_now, requires
from web.answers import done
from web.asked import request_key
from web.filters import Label
from web.forms.settings import SCOPE_SENTENCES, TokenForm

blueprint = Blueprint("tokens", __name__, url_prefix="/settings/tokens")

ACTIVE, EXPIRED = Label("Active", "ok", "check-circle"), Label("Expired", "mute", "flag")
REVOKED = Label("Revoked", "mute", "ban")


@blueprint.app_template_filter()
def token_status(token: ApiToken, now: datetime) -> Label:
    """Whether the token works at `now`."""
    if token.revoked_at:
        return REVOKED
    return EXPIRED if token.expires_at and token.expires_at <= now else ACTIVE


@blueprint.get("")
@requires("workflow:admin")
def index() -> ResponseReturnValue:
    tokens = tokens_page(member_access().tenant.id)
    return render_template("settings/tokens.html", tokens=tokens, now=request_now())


@blueprint.get("/new")
@requires("workflow:admin")
def new() -> ResponseReturnValue:
    return _form_page(TokenForm(data={"request_key": str(new_id())}))


@blueprint.post("")
@requires("workflow:admin")
def create() -> ResponseReturnValue:
    form = TokenForm(request.form)
    try:
        with transaction():
            key = f"token.create {request_key()}"
            if claim_request(actor().tenant_id, key, "token.created"):
                return done(url_for("tokens.index"), "This token was created already; its secret was shown then.")
            token, secret = create_token(
                actor(),
                member_access(),
                form.name.data or "",
                form.scopes.data or [],
                form.expires_at(member_access().tenant),
                request_now(),
            )
            answer_request(actor().tenant_id, key, str(token.id))
    except Refused as refusal:
        form.attach([_at_field(problem) for problem in refusal.problems])
        return _form_page(form), 422
    return render_template("settings/token_created.html", token=token, secret=secret)


@blueprint.post("/<uuid:token_id>/revoke")
@requires("workflow:admin")
def revoke(token_id: UUID) -> ResponseReturnValue:
    with transaction():
        token = revoke_token(actor(), token_id, request_now())
    return done(url_for("tokens.index"), f"{token.name} is revoked.")


def _form_page(form: TokenForm) -> str:
    form.offer_scopes(member_access())
    return render_template("settings/token_new.html", form=form, sentences=SCOPE_SENTENCES)


def _at_field(problem: Problem) -> Problem:
    return Problem("expires_on", problem.message, problem.code) if problem.path == "expires_at" else problem
