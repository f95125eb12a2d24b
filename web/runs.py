"""The pages of runs: the list, and one run with its steps, live until it has ended."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.kernel.db import transaction
from domain.kernel.ids import new_id
from domain.runs.details import RunDetail, StepKey, run_detail, step_attempts, steps_named
from domain.runs.launch import cancel_run, rerun
from domain.runs.listing import STARTERS, STATUSES, RunFilters
from domain.runs.pages import (
    PAGE_SIZE,
    RunRow,
    runs_page,
    schedule_name,
    workflow_choices,
)
from domain.runs.waiting import obstacle_of
from web.access import actor, is_fragment, member_access, request_now, requires
from web.answers import done
from web.asked import asked_text, request_key
from web.run_tree import Axis, missing_parents, step_tree, steps_in

blueprint = Blueprint("runs", __name__, url_prefix="/runs")

BUSY_SECONDS, IDLE_SECONDS = 2, 10
MAX_POSITION = 2**31 - 1


def _tenant() -> UUID:
    return member_access().tenant.id


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    filters = _filters()
    before = request.args.get("before", type=UUID)
    rows = runs_page(_tenant(), filters, before, PAGE_SIZE + 1)
    shown = {
        "rows": rows[:PAGE_SIZE],
        "filters": filters,
        "query": _query(filters),
        "next_before": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        "before": before,
        "seconds": _poll_seconds(rows[:PAGE_SIZE], before),
        "now": request_now(),
    }
    if is_fragment():
        return render_template("runs/_list.html", **shown)
    chosen = schedule_name(_tenant(), filters.schedule_id) if filters.schedule_id else None
    choices = workflow_choices(_tenant())
    return render_template(
        "runs/index.html", **shown, choices=choices, schedule_name=chosen, statuses=STATUSES, starters=STARTERS
    )


@blueprint.get("/<uuid:run_id>")
@requires("workflow:read")
def show(run_id: UUID) -> ResponseReturnValue:
    detail = run_detail(_tenant(), run_id, -1 if (after := _after()) is None else after)
    template = "runs/_run.html" if is_fragment() else "runs/show.html"
    return render_template(template, is_part=is_fragment(), **_shown(detail))


@blueprint.post("/<uuid:run_id>/cancel")
@requires("workflow:manage")
def cancel(run_id: UUID) -> ResponseReturnValue:
    with transaction():
        result = cancel_run(actor(), run_id, request_now())
    said = "The run is canceled." if result == "canceled" else "The run ends at its next step."
    return done(url_for("runs.show", run_id=run_id), said)


@blueprint.post("/<uuid:run_id>/run-again")
@requires("workflow:manage")
def run_again(run_id: UUID) -> ResponseReturnValue:
    key = f"rerun:{run_id}:{request_key()}"
    with transaction():
        started_id = rerun(actor(), run_id, key, request_now()).id
    return done(url_for("runs.show", run_id=started_id), "It runs again with the same input. This is the new run.")


def _filters() -> RunFilters:
    asked = request.args
    return RunFilters(
        q=asked_text("q"),
        workflow_id=asked.get("workflow", type=UUID),
        schedule_id=asked.get("schedule", type=UUID),
        status=_one_of(asked.get("status", ""), STATUSES),
        started_by=_one_of(asked.get("by", ""), STARTERS),
    )


def _one_of(asked: str, known: tuple[str, ...]) -> str:
    return asked if asked in known else ""


def _query(filters: RunFilters) -> dict[str, Any]:
    """The filters as they stand in the address; empty ones are left out."""
    return {
        "q": filters.q or None,
        "workflow": filters.workflow_id,
        "schedule": filters.schedule_id,
        "status": filters.status or None,
        "by": filters.started_by or None,
    }


def _poll_seconds(rows: list[RunRow], before: UUID | None) -> int | None:
    """How often the list looks again: often while something on it is unfinished, else only where new runs appear."""
    if any(not row.is_finished for row in rows):
        return BUSY_SECONDS
    return IDLE_SECONDS if before is None else None


def _shown(detail: RunDetail) -> dict[str, Any]:
    run, now = detail.run, request_now()
    after = _after()
    selected = _selected(detail)
    attempts = step_attempts(run.id, *selected) if selected else []
    steps = [*steps_named(run.id, missing_parents(detail.steps)), *detail.steps]
    started_at = run.started_at or min((step.started_at for step in steps), default=now)
    return {
        "detail": detail,
        "run": run,
        "tree": step_tree(steps, selected),
        "steps_in": steps_in,
        "axis": Axis(started_at, run.finished_at or now),
        "selected": selected if attempts else None,
        "attempts": attempts,
        "obstacle": obstacle_of(run, now),
        "seconds": _seconds(detail),
        "after": after,
        "here": {"run_id": run.id, "after": after},
        "next_after": detail.steps[-1].position if detail.has_more_steps else None,
        "request_key": new_id(),
        "now": now,
    }


def _selected(detail: RunDetail) -> StepKey | None:
    """The step that was asked for, else the one that the run died of."""
    path = _text("step")
    return (path, _text("iteration")) if path else detail.failed


def _after() -> int | None:
    """The position behind which the shown steps begin."""
    after = request.args.get("after", type=int)
    return after if after is not None and 0 <= after <= MAX_POSITION else None


def _text(name: str) -> str:
    """A text of the address, without what no row can hold."""
    return request.args.get(name, "").replace("\x00", "")


def _seconds(detail: RunDetail) -> float | None:
    """How long it ran, or has been running."""
    run = detail.run
    if run.started_at is None:
        return None
    return max(((run.finished_at or request_now()) - run.started_at).total_seconds(), 0)
