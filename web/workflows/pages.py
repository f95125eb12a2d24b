"""The list of workflows."""

from __future__ import annotations

from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.publishing import STATUSES, workflow_count, workflows_page
from web.access import is_fragment, requires
from web.asked import asked_text
from web.workflows.frame import blueprint, tenant_id

PAGE_SIZE = 50


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    q, status = asked_text("q"), request.args.get("status", "")
    status = status if status in STATUSES else ""
    rows = workflows_page(tenant_id(), q, status, request.args.get("after", type=UUID), PAGE_SIZE + 1)
    shown = {
        "rows": rows[:PAGE_SIZE],
        "next_after": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        "total": workflow_count(tenant_id(), q, status),
        "q": q,
        "status": status,
        "is_first": "after" not in request.args,
        "is_part": is_fragment(),
    }
    return render_template("workflows/_list.html" if is_fragment() else "workflows/index.html", **shown)
