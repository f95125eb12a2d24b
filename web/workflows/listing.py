"""The list of workflows."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.publishing import STATUSES, TRIGGERS, workflow_count, workflows_page
from web.access import is_fragment, request_now, requires
from web.asked import asked_text, one_of
from web.workflows.frame import access_now, blueprint, tenant_id
from web.workflows.rows import listed

PAGE_SIZE = 50
TRIGGER_WORDS = {"none": "No trigger", "event": "Event", "scheduled": "Scheduled"}


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    narrowed = {"q": asked_text("q"), "status": one_of("status", STATUSES), "trigger": one_of("trigger", TRIGGERS)}
    rows = workflows_page(tenant_id(), **narrowed, after=request.args.get("after", type=UUID), limit=PAGE_SIZE + 1)
    zone, now = access_now().tenant.timezone, request_now()
    is_filtering = request.headers.get("HX-Trigger") == "workflow-filters"
    shown = {
        "rows": [listed(row, zone, now) for row in rows[:PAGE_SIZE]],
        "next_after": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        "total": workflow_count(tenant_id(), **narrowed),
        "narrowed": narrowed,
        "is_narrowed": any(narrowed.values()),
        "statuses": ["published", "draft", "paused"],
        "trigger_words": TRIGGER_WORDS,
        "address": lambda **change: _address(narrowed, **change),
        "is_first": "after" not in request.args,
        "is_part": is_fragment(),
    }
    answer = make_response(
        render_template("workflows/_list.html" if is_fragment() else "workflows/index.html", **shown)
    )
    if is_filtering:
        answer.headers["HX-Replace-Url"] = _address(narrowed)
    return answer


def _address(narrowed: dict[str, str], /, **change: Any) -> str:
    """The list with these filters; `change` replaces or adds parts."""
    return url_for("workflows.index", **{name: value for name, value in (narrowed | change).items() if value})
