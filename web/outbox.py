"""The outbox: mails of a tenant that were kept in files because the installation has no mail server."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from domain.kernel.outbox import LISTED, has_outbox, kept_mail, outbox_page
from web.access import member_access, requires

blueprint = Blueprint("outbox", __name__, url_prefix="/system/outbox")


@blueprint.get("")
@requires("workflow:admin")
def index() -> ResponseReturnValue:
    tenant_id, asked = member_access().tenant.id, request.args.get("mail")
    return render_template(
        "outbox/index.html",
        mails=outbox_page(tenant_id),
        mail=kept_mail(tenant_id, asked) if asked is not None else None,
        is_in_use=has_outbox(),
        most=LISTED,
    )
