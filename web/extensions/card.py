"""The schedules on the page of an extension: what they call, when, how it went, and what can be done about them."""

from __future__ import annotations

from uuid import UUID

from flask import render_template
from flask.typing import ResponseReturnValue

from domain.extensions.settings import configured_runner, limits
from domain.kernel.ids import new_id
from domain.schedules.offers import Offer, endpoint_offer
from domain.schedules.pages import install_schedules
from web.access import is_fragment, member_access, request_now, requires
from web.extensions.frame import blueprint
from web.schedules.rows import listed


@blueprint.get("/<uuid:extension_id>/schedules")
@requires("extension:read")
def schedules(extension_id: UUID) -> ResponseReturnValue:
    """The card, which refreshes itself; as a page of its own without JavaScript."""
    tenant = member_access().tenant
    offer = endpoint_offer(tenant.id, extension_id)
    rows = install_schedules(tenant.id, offer.install.id) if offer.install else []
    return render_template(
        "extensions/_schedules_card.html" if is_fragment() else "extensions/schedules.html",
        extension=offer.extension,
        offer=offer,
        rows=[listed(row, request_now()) for row in rows],
        state=_state(offer, tenant.has_schedules),
        most=limits().schedules_per_install,
        has_runner=configured_runner() is not None,
        request_key=new_id,
    )


def _state(offer: Offer, has_schedules: bool) -> str:
    """What decides whether one can be added: `edition`, `absent`, `disabled`, `nothing` to call, or `ready`."""
    if not has_schedules:
        return "edition"
    if offer.install is None:
        return "absent"
    if not offer.install.enabled:
        return "disabled"
    return "ready" if offer.endpoints else "nothing"
