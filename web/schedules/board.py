"""The list of schedules, and the page of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.audit import audit_page
from domain.firing.explain import explain
from domain.kernel.errors import Refused
from domain.kernel.ids import new_id, parse_id
from domain.schedules.choices import WorkflowChoice, chosen_workflow, eligible_workflows, workflow_choice
from domain.schedules.entries import OUTCOMES, occurrences_page
from domain.schedules.pages import (
    PAGE_SIZE,
    SORTS,
    STATUSES,
    TRIGGERS,
    ScheduleFilter,
    SchedulesPage,
    schedule_detail,
    schedules_page,
)
from domain.schedules.previews import next_fires
from domain.timing.zones import parse_instant
from web.access import is_fragment, request_now, requires
from web.asked import asked_text
from web.schedules.frame import blueprint, tenant_id
from web.schedules.rows import fire_lines, listed, outcome_words, words_of

NEXT_SHOWN = 10
OCCURRENCES_SHOWN = 10
CHANGES_SHOWN = 5


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    picked, problem = _picked_workflow(asked_text("workflow"))
    narrowed = ScheduleFilter(
        q=asked_text("q"),
        workflow_id=picked.id if picked else None,
        trigger=_one_of("trigger", TRIGGERS),
        status=_one_of("status", STATUSES),
    )
    sort = _one_of("sort", SORTS) or "next"
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


@blueprint.get("/<uuid:schedule_id>")
@requires("workflow:read")
def show(schedule_id: UUID) -> ResponseReturnValue:
    row = schedule_detail(tenant_id(), schedule_id)
    outcome = _one_of("outcome", OUTCOMES)
    entries, has_more = occurrences_page(tenant_id(), schedule_id, outcome, _before(), OCCURRENCES_SHOWN)
    changes, _ = audit_page(tenant_id(), subject_id=schedule_id, limit=CHANGES_SHOWN)
    fires = next_fires(row.timing, request_now(), NEXT_SHOWN) if row.timing and not row.deleted_at else []
    shown = {
        "row": row,
        "words": words_of(row, request_now()),
        "explanation": explain(row, request_now()),
        "fires": fire_lines(fires, row.timezone, request_now()),
        "entries": entries,
        "outcome_words": outcome_words,
        "outcomes": OUTCOMES,
        "chosen": outcome,
        "older": _older(schedule_id, outcome, entries[-1].scheduled_for, entries[-1].origin_key) if has_more else None,
        "changes": changes,
        "request_key": new_id,
    }
    return render_template("schedules/_detail.html" if is_fragment() else "schedules/show.html", **shown)


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


def _one_of(name: str, allowed: tuple[str, ...]) -> str:
    value = request.args.get(name, "")
    return value if value in allowed else ""


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


def _before() -> tuple[datetime, str] | None:
    """The entry of the ledger that the page begins below; None for the top and for what makes no sense."""
    instant, _, origin = request.args.get("before", "").replace("\x00", "").partition("|")
    try:
        return (parse_instant(instant), origin) if origin else None
    except Refused:
        return None


def _older(schedule_id: UUID, outcome: str, instant: datetime, origin: str) -> str:
    before = f"{instant:%Y-%m-%dT%H:%M:%SZ}|{origin}"
    return url_for("schedules.show", schedule_id=schedule_id, outcome=outcome or None, before=before)
