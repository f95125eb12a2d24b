"""The list of schedules."""

from __future__ import annotations

from typing import Any

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.kernel.errors import Refused
from domain.kernel.ids import new_id, parse_id
from domain.schedules.choices import WorkflowChoice, chosen_workflow, eligible_workflows, workflow_choice
from domain.schedules.narrowing import SORTS, STATUSES, TRIGGERS, ScheduleFilter
from domain.schedules.pages import PAGE_SIZE, SchedulesPage, schedules_page
from web.access import is_fragment, request_now, requires
from web.asked import asked_text, one_of
from web.schedules.frame import blueprint, tenant_id
from web.schedules.rows import listed


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    picked, problem = _picked_workflow(asked_text("workflow"))
    narrowed = ScheduleFilter(
        q=asked_text("q"),
        workflow_id=picked.id if picked else None,
        trigger=one_of("trigger", TRIGGERS),
        status=one_of("status", STATUSES),
    )
    sort = one_of("sort", SORTS) or "next"
    number = request.args.get("page", 1, type=int)
    page = SchedulesPage((), 0, 1, False) if problem else schedules_page(tenant_id(), narrowed, sort, number)
    shown = {
        "page": page,
        "rows": [listed(row, request_now()) for row in page.rows],
        "narrowed": narrowed,
        "is_narrowed": bool(narrowed or problem),
        "picked": picked,
        "problem": problem,
        "sort": sort,
        "statuses": STATUSES,
        "first": (page.number - 1) * PAGE_SIZE + 1,
        "address": lambda **change: _address(narrowed, sort, page.number, **change),
        "request_key": new_id,
        "is_part": is_fragment(),
        "is_filtering": request.headers.get("HX-Trigger") == "schedule-filters",
    }
    answer = make_response(
        render_template("schedules/_list.html" if is_fragment() else "schedules/index.html", **shown)
    )
    if shown["is_filtering"]:
        answer.headers["HX-Replace-Url"] = _address(narrowed, sort, page.number)
    return answer


@blueprint.get("/workflows")
@requires("workflow:read")
def workflow_options() -> ResponseReturnValue:
    """The options of a workflow picker for what has been typed so far."""
    typed = asked_text("workflow")
    return render_template("schedules/_options.html", choices=eligible_workflows(tenant_id(), typed))


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
    parts = {
        "q": narrowed.q,
        "workflow": narrowed.workflow_id,
        "trigger": narrowed.trigger,
        "status": narrowed.status,
        "sort": sort if sort != "next" else None,
        "page": number if number > 1 and not change else None,
    }
    return url_for("schedules.index", **{name: value for name, value in (parts | change).items() if value})
