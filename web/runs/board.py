"""The list of runs. What it is narrowed to stands in the address."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import READ
from domain.runs.listing import REHEARSALS, STARTERS, STATUSES, TARGETS, RunFilters
from domain.runs.pages import (
    PAGE_SIZE,
    RunRow,
    extension_of_install,
    runs_page,
    schedule_choices,
    schedule_name,
    workflow_choices,
)
from domain.timing.zones import parse_local
from web.access import is_fragment, request_now, requires_by_kind
from web.asked import asked_text, asked_wall_time, one_of
from web.kinds import readable_target
from web.runs.frame import STARTER_WORDS, blueprint, tenant_id, zone_name

BUSY_SECONDS, IDLE_SECONDS = 2, 10


@blueprint.get("")
@requires_by_kind(READ)
def index() -> ResponseReturnValue:
    filters, query = _asked()
    before = request.args.get("before", type=UUID)
    rows = runs_page(tenant_id(), filters, before, PAGE_SIZE + 1)
    shown = {
        "rows": rows[:PAGE_SIZE],
        "filters": filters,
        "query": query,
        "next_before": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        "before": before,
        "seconds": _poll_seconds(rows[:PAGE_SIZE], filters, before),
        "now": request_now(),
    }
    if is_fragment():
        return render_template("runs/_list.html", **shown) + render_template(
            "runs/_span.html", **shown, is_out_of_band=True
        )
    return render_template("runs/index.html", **shown, **_choices(filters))


def _choices(filters: RunFilters) -> dict[str, Any]:
    """What the filters offer; what is chosen is among it, also when a list is too long to hold it."""
    workflows = workflow_choices(tenant_id())
    schedules = schedule_choices(tenant_id(), filters.workflow_id)
    if filters.workflow_id and filters.workflow_id not in dict(workflows):
        workflows.append((filters.workflow_id, "One workflow"))
    if filters.schedule_id and filters.schedule_id not in dict(schedules):
        name = schedule_name(tenant_id(), filters.schedule_id)
        schedules.append((filters.schedule_id, name or "One schedule"))
    extension = extension_of_install(tenant_id(), filters.install_id) if filters.install_id else None
    starters = [(starter, STARTER_WORDS[starter]) for starter in STARTERS]
    return {
        "workflows": workflows,
        "schedules": schedules,
        "statuses": STATUSES,
        "starters": starters,
        "install_words": f"Extension: {extension or 'one extension'}" if filters.install_id else "",
    }


def _asked() -> tuple[RunFilters, dict[str, Any]]:
    """The filters, and how they stand in the address: empty ones, and what makes no sense, are left out."""
    ids = {name: request.args.get(name, type=UUID) for name in ("workflow", "schedule", "parent", "install")}
    words = {
        "q": asked_text("q"),
        "status": one_of("status", STATUSES),
        "by": one_of("by", STARTERS),
        "rehearsal": one_of("rehearsal", REHEARSALS),
        "target": one_of("target", TARGETS),
        "from": asked_wall_time("from", zone_name()),
        "to": asked_wall_time("to", zone_name()),
    }
    filters = RunFilters(
        words["q"],
        ids["workflow"],
        ids["schedule"],
        words["status"],
        words["by"],
        _instant(words["from"]),
        _instant(words["to"]),
        ids["parent"],
        words["rehearsal"],
        readable_target(words["target"]),
        ids["install"],
    )
    return filters, {**ids, **{name: word or None for name, word in words.items()}}


def _instant(wall_time: str) -> datetime | None:
    return parse_local(wall_time, zone_name()) if wall_time else None


def _poll_seconds(rows: list[RunRow], filters: RunFilters, before: UUID | None) -> int | None:
    """How often the list looks again: often while something on it is unfinished, else only where new runs appear."""
    if any(not row.is_finished for row in rows):
        return BUSY_SECONDS
    is_past = filters.until is not None and filters.until <= request_now()
    return None if before is not None or is_past else IDLE_SECONDS
