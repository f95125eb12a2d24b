"""Changing the version of an install as a reviewed step: what becomes of its schedules, and what it asks for."""

from __future__ import annotations

from uuid import UUID

from flask import request
from flask.typing import ResponseReturnValue

from domain.extensions.capabilities import KNOWN
from domain.extensions.manifests import precedence
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Held, Refused
from domain.upgrades import Plan, Upgraded, upgrade_install, upgrade_plan
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.extensions.frame import address_of, blueprint, installed, tenant_id
from web.forms.upgrades import UpgradeForm, is_grave


@blueprint.get("/<uuid:extension_id>/versions/<uuid:version_id>/upgrade")
@requires("extension:write")
def ask_upgrade(extension_id: UUID, version_id: UUID) -> ResponseReturnValue:
    return _dialog(extension_id, version_id, UpgradeForm())


@blueprint.post("/<uuid:extension_id>/versions/<uuid:version_id>/upgrade")
@requires("extension:write")
def upgrade(extension_id: UUID, version_id: UUID) -> ResponseReturnValue:
    form = UpgradeForm(request.form)
    try:
        with transaction():
            _, install = installed(extension_id)
            plan = upgrade_plan(tenant_id(), install.id, version_id)
            form.check(plan)
            upgraded = upgrade_install(
                actor(),
                install.id,
                version_id,
                request_now(),
                remap=form.remap(),
                disable_missing=form.disabled(),
                grant=plan.new_capabilities,
                fingerprint=form.fingerprint.data or "",
            )
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(extension_id, version_id, form, 422)
    except (Conflict, Held) as changed:
        form.form_errors.append(changed.message)
        form.confirm.data = form.grant.data = False
        return _dialog(extension_id, version_id, form, 409)
    return done(address_of(extension_id), _said(upgraded))


def _dialog(extension_id: UUID, version_id: UUID, form: UpgradeForm, status: int = 200) -> ResponseReturnValue:
    extension, install = installed(extension_id)
    plan = upgrade_plan(tenant_id(), install.id, version_id)
    # A refused answer stays bound to the plan that was seen: only what was shown anew is agreed to anew.
    if status != 422:
        form.fingerprint.data = plan.fingerprint
    verb = _verb(plan)
    asked = [(name, KNOWN.get(name, name)) for name in plan.new_capabilities]
    values = {"extension": extension, "install": install, "version_id": version_id, "plan": plan, "asked": asked}
    title = f"{verb} for {extension.name}" if _is_back(plan) else f"Upgrade {extension.name} to {plan.to_version}"
    return show_dialog(
        "extensions/_upgrade.html", title, status, form=form, verb=verb, is_grave=is_grave(plan), **values
    )


def _is_back(plan: Plan) -> bool:
    return precedence(plan.to_version) < precedence(plan.from_version)


def _verb(plan: Plan) -> str:
    return f"Go back to {plan.to_version}" if _is_back(plan) else f"Upgrade to {plan.to_version}"


def _said(upgraded: Upgraded) -> str:
    if not upgraded.is_changed:
        return f"Version {upgraded.to_version} is installed already."
    counts = (
        (upgraded.redirected, "calls another endpoint", "call another endpoint"),
        (upgraded.disabled, "was disabled", "were disabled"),
        (upgraded.invalidated, "no longer fits and is held", "no longer fit and are held"),
        (upgraded.recovered, "fits again and is paused", "fit again and are paused"),
    )
    told = [
        f"{count} {'schedule ' + one if count == 1 else 'schedules ' + many}." for count, one, many in counts if count
    ]
    return " ".join([f"Version {upgraded.to_version} is installed.", *told])
