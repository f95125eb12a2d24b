"""What stands under the tabs of a schedule's page: its occurrences, its runs, its calls, its changes, and itself as JSON.

Each has an address of its own (`?tab=`), and a page further down one more (`&before=`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import request, url_for

from domain.accounts.audit import audit_page
from domain.kernel.errors import Refused
from domain.runs.invocations import Invocation, invocations_of_runs, invocations_of_schedule
from domain.runs.listing import RunFilters
from domain.runs.pages import runs_page
from domain.schedules.entries import OUTCOMES, Entry, occurrences_page
from domain.schedules.pages import ScheduleRow
from domain.schedules.stored import stored_schedule, target_names
from domain.timing.zones import parse_instant
from web.access import request_now
from web.api.schedule_bodies import schedule_document
from web.asked import one_of
from web.schedules.changes import change_of, told_targets
from web.schedules.frame import tenant_id

OCCURRENCES_SHOWN = RUNS_SHOWN = CALLS_SHOWN = 20
CHANGES_SHOWN = 10


def _occurrences(row: ScheduleRow) -> dict[str, Any]:
    outcome = one_of("outcome", OUTCOMES)
    entries, has_more = occurrences_page(tenant_id(), row.id, outcome, _before(), OCCURRENCES_SHOWN)
    older = None
    if has_more:
        before = f"{entries[-1].scheduled_for:%Y-%m-%dT%H:%M:%SZ}|{entries[-1].origin_key}"
        older = _address(row, outcome=outcome or None, before=before)
    newest = _address(row, outcome=outcome or None)
    shown = {"entries": entries, "outcomes": OUTCOMES, "chosen": outcome, "calls": _calls_of(row, entries)}
    return {**shown, **_pager(newest, older)}


def _calls_of(row: ScheduleRow, entries: Sequence[Entry]) -> dict[UUID, list[Invocation]]:
    """The calls that the runs of these occurrences made, by run."""
    if row.install_id is None:
        return {}
    return invocations_of_runs(tenant_id(), [entry.run_id for entry in entries if entry.run_id])


def _calls(row: ScheduleRow) -> dict[str, Any]:
    before = request.args.get("before", type=UUID)
    found = invocations_of_schedule(tenant_id(), row.id, before, CALLS_SHOWN + 1)
    calls, has_more = found[:CALLS_SHOWN], len(found) > CALLS_SHOWN
    older = _address(row, tab="calls", before=calls[-1].id) if has_more else None
    return {"calls": calls, **_pager(_address(row, tab="calls"), older)}


def _runs(row: ScheduleRow) -> dict[str, Any]:
    before = request.args.get("before", type=UUID)
    found = runs_page(tenant_id(), RunFilters(schedule_id=row.id), before, RUNS_SHOWN + 1)
    runs, has_more = found[:RUNS_SHOWN], len(found) > RUNS_SHOWN
    older = _address(row, tab="runs", before=runs[-1].id) if has_more else None
    return {"runs": runs, "now": request_now(), **_pager(_address(row, tab="runs"), older)}


def _changes(row: ScheduleRow) -> dict[str, Any]:
    before = request.args.get("before", type=UUID)
    entries, has_more = audit_page(tenant_id(), subject_id=row.id, before=before, limit=CHANGES_SHOWN)
    names = target_names(tenant_id(), told_targets(entries))
    changes = [change_of(entry, row.timezone, request_now(), names) for entry in entries]
    older = _address(row, tab="changes", before=entries[-1].id) if has_more else None
    return {"changes": changes, **_pager(_address(row, tab="changes"), older)}


def _json(row: ScheduleRow) -> dict[str, Any]:
    return {"document": schedule_document(stored_schedule(tenant_id(), row.id))}


CONTENTS: dict[str, Callable[[ScheduleRow], dict[str, Any]]] = {
    "occurrences": _occurrences,
    "runs": _runs,
    "calls": _calls,
    "changes": _changes,
    "json": _json,
}
TABS = tuple(CONTENTS)


def _before() -> tuple[datetime, str] | None:
    """The entry of the ledger that the page begins below; None for the top and for what makes no sense."""
    instant, _, origin = request.args.get("before", "").replace("\x00", "").partition("|")
    try:
        return (parse_instant(instant), origin) if origin else None
    except Refused:
        return None


def _pager(newest: str, older: str | None) -> dict[str, Any]:
    return {"newest": newest if request.args.get("before") else None, "older": older}


def _address(row: ScheduleRow, **parts: Any) -> str:
    return url_for("schedules.show", schedule_id=row.id, **parts)
