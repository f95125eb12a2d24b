"""The list of events, live at its newest end, and one event with what it started."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.events.event_types import event_type_choices
from domain.events.ingest import CORRELATION_MAX_CHARACTERS
from domain.events.pages import OUTCOMES, PAGE_SIZE, EventFilters, event_detail, events_page
from web.access import is_fragment, requires
from web.asked import asked_text
from web.events.frame import blueprint, tenant_id

LIST_SECONDS, EVENT_SECONDS = 5, 2


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    filters = _filters()
    before = request.args.get("before", type=UUID)
    rows = events_page(tenant_id(), filters, before, PAGE_SIZE + 1)
    shown = {
        "rows": rows[:PAGE_SIZE],
        "filters": filters,
        "query": _query(filters),
        "before": before,
        "next_before": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        "seconds": LIST_SECONDS if before is None else None,
    }
    if is_fragment():
        return render_template("events/_list.html", **shown, is_known=True)
    names = [choice.name for choice in event_type_choices(tenant_id())]
    return render_template("events/index.html", **shown, is_known=bool(names), names=names, outcomes=OUTCOMES)


@blueprint.get("/<uuid:event_id>")
@requires("workflow:read")
def show(event_id: UUID) -> ResponseReturnValue:
    detail = event_detail(tenant_id(), event_id)
    seconds = None if detail.is_settled else EVENT_SECONDS
    template = "events/_event.html" if is_fragment() else "events/show.html"
    return render_template(template, detail=detail, event=detail.event, seconds=seconds)


def _filters() -> EventFilters:
    outcome = request.args.get("outcome", "")
    return EventFilters(
        name=asked_text("name"),
        outcome=outcome if outcome in OUTCOMES else "",
        correlation_key=asked_text("correlation", CORRELATION_MAX_CHARACTERS),
    )


def _query(filters: EventFilters) -> dict[str, Any]:
    """The filters as they stand in the address; empty ones are left out."""
    return {
        "name": filters.name or None,
        "outcome": filters.outcome or None,
        "correlation": filters.correlation_key or None,
    }
