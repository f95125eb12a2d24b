"""One run with its steps, live until it has ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import READ
from domain.kernel.ids import new_id
from domain.runs.called import called_by
from domain.runs.details import RunDetail, StepKey, run_detail, step_attempts, steps_named
from domain.runs.invocations import invocations_of_run
from domain.runs.relations import canceler_label
from domain.runs.runs import Run
from domain.runs.step_waits import attempts_allowed, wait_in_words
from domain.runs.waiting import obstacle_of
from domain.runs.waits import RETRY
from domain.timing.zones import parse_instant
from web.access import is_fragment, request_now, requires_by_kind
from web.run_tree import Axis, missing_parents, shown_status, step_tree, steps_in
from web.runs.frame import STARTER_WORDS, blueprint, readable, tenant_id, waited_in_words, zone_name

MAX_POSITION = 2**31 - 1


@blueprint.get("/<uuid:run_id>")
@requires_by_kind(READ)
def show(run_id: UUID) -> ResponseReturnValue:
    detail = run_detail(tenant_id(), run_id, -1 if (after := _after()) is None else after)
    template = "runs/_run.html" if is_fragment() else "runs/show.html"
    return render_template(template, is_part=is_fragment(), **_shown(detail), **_target(detail), **_selected(detail))


def _target(detail: RunDetail) -> dict[str, Any]:
    """What ran, a workflow or an endpoint, and the calls of extensions that were made for it."""
    called, workflow = called_by(detail.run), detail.workflow
    calls = invocations_of_run(detail.run.tenant_id, detail.run.id)
    gone = not called.is_installed if called else workflow is None or workflow.deleted_at is not None
    name = called.name if called else workflow.name if workflow else ""
    return {"called": called, "calls": calls, "target_name": name, "is_target_gone": gone}


def _shown(detail: RunDetail) -> dict[str, Any]:
    run, now, after = detail.run, request_now(), _after()
    zone = (run.trigger_metadata or {}).get("timezone") or zone_name()
    steps = [*steps_named(run.id, missing_parents(detail.steps)), *detail.steps]
    started_at = run.started_at or min((step.started_at for step in steps), default=now)
    return {
        "detail": detail,
        "run": run,
        "zone": zone,
        "tree": step_tree(steps, _key(detail)),
        "steps_in": steps_in,
        "axis": Axis(started_at, run.finished_at or now, detail.is_finished),
        "shown_status": lambda step: shown_status(step.status, detail.is_finished),
        "obstacle": obstacle_of(run, now, zone),
        "canceler": canceler_label(tenant_id(), run.id) if run.cancel_requested_at else None,
        "seconds": _seconds(detail),
        "after": after,
        "here": {"run_id": run.id, "after": after},
        "next_after": detail.steps[-1].position if detail.has_more_steps else None,
        "rehearsed_for": _rehearsed_for(run),
        "request_key": new_id(),
        "readable": readable,
        "starters": STARTER_WORDS,
        "waited": waited_in_words,
        "waiting": lambda found, most=None: wait_in_words(found, now, zone, most),
        "now": now,
    }


def _rehearsed_for(run: Run) -> datetime | None:
    """The instant that a rehearsal was told."""
    told = (run.trigger_metadata or {}).get("scheduledFor")
    return parse_instant(told) if run.is_rehearsal and told else None


def _selected(detail: RunDetail) -> dict[str, Any]:
    """The chosen step with all attempts at it; nothing of it is there when there is no such step."""
    key = _key(detail)
    attempts = step_attempts(detail.run.id, *key) if key else []
    waits = detail.waits.get(key, ()) if key else ()
    is_retried = len(attempts) > 1 or any(found.wait.kind == RETRY for found in waits)
    most = attempts_allowed(detail.run, key[0]) if key and is_retried else None
    return {"selected": key if attempts else None, "attempts": attempts, "waits": waits, "max_attempts": most}


def _key(detail: RunDetail) -> StepKey | None:
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
