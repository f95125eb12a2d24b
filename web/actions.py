"""The catalogue of actions: what workflow steps can call, what goes in and out, and what was left out and why."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.engine.actions.action import LOCAL, OUTSIDE, PURE, Action
from domain.engine.actions.registry import PACKAGES, REJECTED, actions_page, listed_action, versions_of
from domain.engine.retries import Retry
from web.access import is_fragment, requires
from web.asked import asked_text
from web.filters import Label, duration
from web.schema_words import fields_in_words

blueprint = Blueprint("actions", __name__, url_prefix="/actions")

EFFECTS = {
    PURE: Label("Touches nothing", "plain", "braces"),
    LOCAL: Label("Writes here", "plain", "server"),
    OUTSIDE: Label("Reaches outside", "plain", "external-link"),
}
PROMISES = {PURE: "", LOCAL: "exactly once", OUTSIDE: "at least once, with the same key"}
CATEGORIES = {"http": "HTTP"}  # the others read as they are written


@blueprint.app_template_filter()
def action_effect(effect: str) -> Label:
    """What an action touches, in words."""
    return EFFECTS[effect]


@blueprint.app_template_filter()
def action_promise(effect: str) -> str:
    """How often that happens; empty when nothing is touched."""
    return PROMISES[effect]


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    q = asked_text("q")
    found = sorted(actions_page(q), key=lambda action: (action.category, action.id, action.version))
    groups = [
        (CATEGORIES.get(category, category.capitalize()), list(group))
        for category, group in groupby(found, key=lambda action: action.category)
    ]
    template = "actions/_list.html" if is_fragment() else "actions/index.html"
    return render_template(template, groups=groups, q=q, total=len(found), packages=PACKAGES, rejected=REJECTED)


@blueprint.get("/show")
@requires("workflow:read")
def show() -> ResponseReturnValue:
    asked = request.args
    action = listed_action(asked.get("id", ""), asked.get("version", ""))
    others = [
        (version, url_for("actions.show", id=action.id, version=version))
        for version in versions_of(action.id)
        if version != action.version
    ]
    return render_template(
        "actions/show.html",
        action=action,
        package=PACKAGES.get((action.id, action.version)),
        others=others,
        inputs=fields_in_words(action.input_schema),
        outputs=fields_in_words(action.output_schema),
        retries=_retries(action),
        step=_as_step(action),
    )


def _as_step(action: Action) -> dict[str, Any]:
    """A step of a definition that calls the action with the inputs of its example."""
    config = {"actionId": action.id, "version": action.version, "inputMapping": action.example.inputs}
    return {"id": action.id.rpartition(".")[2], "type": "action.call", "config": {**config, "saveAs": "result"}}


def _retries(action: Action) -> str:
    hint: Retry | None = action.retry_hint
    tried = "Not tried again unless the step says so."
    if hint:
        delay = duration(hint.backoff_ms / 1_000)
        tried = (
            f"Tried up to {hint.max_attempts} times after {' or '.join(hint.retry_on)}, the first time after {delay}."
        )
    if action.effect == OUTSIDE and not action.is_idempotent:
        tried += " Not repeated when a worker was lost on the way, because nobody knows whether it had its effect."
    return tried
