"""What the views of schedules share: their blueprint, whom they are for, and how an action answers."""

from __future__ import annotations

import json
from uuid import UUID

from flask import Blueprint, Response, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import Access
from domain.firing.holds import EDITION_REQUIRED
from domain.kernel.errors import Forbidden
from web.access import is_fragment, member_access
from web.answers import done
from web.security import UNSAFE_METHODS

blueprint = Blueprint("schedules", __name__, url_prefix="/schedules")

CHANGED = "schedules-changed"


@blueprint.before_request
def check_edition() -> ResponseReturnValue | None:
    """Schedules belong to the enterprise edition: in the other one every page here says so."""
    if member_access().tenant.has_schedules:
        return None
    if request.method in UNSAFE_METHODS:
        raise Forbidden(EDITION_REQUIRED, code="EDITION_REQUIRED")
    return render_template("schedules/edition.html"), 403


def tenant_id() -> UUID:
    return member_access().tenant.id


def access() -> Access:
    return member_access()


def min_interval_seconds() -> int:
    """How far apart the fires of one schedule must be on this installation."""
    return int(current_app.config["CARILLON"].min_interval_seconds)


def address_of(schedule_id: UUID) -> str:
    return url_for("schedules.show", schedule_id=schedule_id)


def place() -> str:
    """Where the dialog stands: `drawer` beside a list, or `page`."""
    return request.values.get("place") or ("drawer" if is_fragment() else "page")


def changed(address: str, message: str | dict[str, object]) -> ResponseReturnValue:
    """An action is done. Beside a list the list is told to look again; a page goes to `address`. Both say `message`."""
    if not is_fragment() or request.form.get("place") == "page":
        return done(address, message)  # type: ignore[arg-type]
    answer = Response(status=204)
    answer.headers["HX-Trigger"] = json.dumps({"toast": message, "drawer:close": {}, CHANGED: {}})
    return answer
