"""The list of schedules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import READ
from domain.firing.bulk import BULK_LIMIT
from domain.kernel.errors import Refused
from domain.kernel.ids import parse_id
from domain.schedules.choices import WorkflowChoice, chosen_workflow, eligible_workflows, workflow_choice
from domain.schedules.narrowing import STATUSES, TARGETS, TRIGGERS, ScheduleFilter, has_published_workflow
from domain.schedules.orders import SORTS
from domain.schedules.pages import NO_SCHEDULES, PAGE_SIZE, SchedulesPage, schedules_page
from web.access import is_fragment, request_now, requires_by_kind
from web.asked import asked_text, one_of
from web.kinds import readable_target
from web.schedules.frame import blueprint, tenant_id
from web.schedules.menus import RowMenus
from web.schedules.rows import drawn_cells, listed


@dataclass(frozen=True)
class Asked:
    """What the address asks for: the filter, the workflow it names, and why that is none."""

    narrowed: ScheduleFilter
    picked: WorkflowChoice | None
    problem: str


@blueprint.get("")
@requires_by_kind(READ)
def index() -> ResponseReturnValue:
    asked = asked_filter()
    narrowed, sort = asked.narrowed, one_of("sort", SORTS) or "next"
    number, now = request.args.get("page", 1, type=int), request_now()
    page = NO_SCHEDULES if asked.problem else schedules_page(tenant_id(), narrowed, sort, number)
    shown = {
        "page": page,
        "rows": [(one, drawn_cells(one, now)) for one in (listed(row, now) for row in page.rows)],
        "narrowed": narrowed,
        "is_narrowed": bool(narrowed or asked.problem),
        "picked": asked.picked,
        "problem": asked.problem,
        "sort": sort,
        "statuses": STATUSES,
        **_pages(page, narrowed, sort),
        "address": lambda **change: _address(narrowed, sort, page.number, **change),
        "bulk_address": url_for("schedules.ask_bulk", **parts_of(narrowed)),
        "are_all_selected": request.args.get("all") == "1",
        "bulk_limit": BULK_LIMIT,
        "menu_items": RowMenus(),
        "is_part": is_fragment(),
        "is_filtering": request.headers.get("HX-Trigger") == "schedule-filters",
    }
    if not page.rows:
        shown |= {"emptiness": _emptiness(asked), "filter_words": _filter_words(asked)}
    answer = make_response(
        render_template("schedules/_list.html" if is_fragment() else "schedules/index.html", **shown)
    )
    if shown["is_filtering"]:
        answer.headers["HX-Replace-Url"] = _address(narrowed, sort, page.number)
    return answer


@blueprint.get("/workflows")
@requires_by_kind(READ)
def workflow_options() -> ResponseReturnValue:
    """The options of a workflow picker for what has been typed so far."""
    typed = asked_text("workflow")
    return render_template("schedules/_options.html", choices=eligible_workflows(tenant_id(), typed))


def asked_filter() -> Asked:
    picked, problem = _picked_workflow(asked_text("workflow"))
    narrowed = ScheduleFilter(
        q=asked_text("q"),
        workflow_id=picked.id if picked else None,
        trigger=one_of("trigger", TRIGGERS),
        status=one_of("status", STATUSES),
        target=readable_target(one_of("target", TARGETS)),
    )
    return Asked(narrowed, picked, problem)


def parts_of(narrowed: ScheduleFilter) -> dict[str, Any]:
    """The filter as parameters of an address; what is not set has none."""
    parts = {
        "q": narrowed.q,
        "workflow": narrowed.workflow_id,
        "trigger": narrowed.trigger,
        "status": narrowed.status,
        "target": narrowed.target,
    }
    return {name: value for name, value in parts.items() if value}


def _picked_workflow(text: str) -> tuple[WorkflowChoice | None, str]:
    """The workflow that the list is narrowed to, by id or by typed name, and why it is none."""
    if not text:
        return None, ""
    if (workflow_id := parse_id(text)) is not None:
        found = workflow_choice(tenant_id(), workflow_id)
        return found, "" if found else "That workflow does not exist any more."
    try:
        return chosen_workflow(tenant_id(), text), ""
    except Refused as refused:
        return None, refused.problems[0].message


def _address(narrowed: ScheduleFilter, sort: str, number: int, /, **change: Any) -> str:
    """The list with this filter; `change` replaces parts of it, None removes one. Anything new starts at page 1."""
    parts = parts_of(narrowed) | {
        "sort": sort if sort != "next" else None,
        "page": number if number > 1 and not change else None,
    }
    return url_for("schedules.index", **{name: value for name, value in (parts | change).items() if value})


def _emptiness(asked: Asked) -> str:
    """Why nothing is shown, which decides what is offered: a word that the template of the list knows."""
    if asked.problem:
        return "unknown_workflow"
    if asked.picked and asked.narrowed == ScheduleFilter(workflow_id=asked.picked.id):
        return "obstacle" if asked.picked.obstacle else "of_workflow"
    if asked.narrowed == ScheduleFilter(target="endpoint"):
        return "of_endpoints"
    if asked.narrowed:
        return "no_match"
    return "none" if has_published_workflow(tenant_id()) else "no_workflow"


def _filter_words(asked: Asked) -> str:
    """The filters in words: what to take away when nothing is left."""
    narrowed = asked.narrowed
    parts = [
        f"the search “{narrowed.q}”" if narrowed.q else "",
        f"the workflow {asked.picked.label}" if asked.picked else "",
        {"schedule": "the trigger once", "recurring": "the trigger repeats"}.get(narrowed.trigger, ""),
        f"the status {narrowed.status}" if narrowed.status else "",
        {"workflow": "the target workflows", "endpoint": "the target endpoints"}.get(narrowed.target, ""),
    ]
    named = [part for part in parts if part]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def _pages(page: SchedulesPage, narrowed: ScheduleFilter, sort: str) -> dict[str, Any]:
    """Which part of how many is shown, and where the neighbours are."""
    first, total = (page.number - 1) * PAGE_SIZE + 1, f"{page.total:,}{'' if page.is_total_exact else ' or more'}"
    previous, following = (_address(narrowed, sort, page.number, page=page.number + by) for by in (-1, 1))
    return {
        "total_words": total,
        "range_words": f"{first:,}–{first + len(page.rows) - 1:,} of {total}",
        "previous_url": previous if page.number > 1 else None,
        "next_url": following if page.has_more else None,
    }
